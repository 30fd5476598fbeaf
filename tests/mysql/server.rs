//! Single MariaDB servers of a test's own, with its own client beside the crate's; ended with it, also when it fails.

use crate::common::{certificate, ground, output, until};
use std::fs::File;
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// The password of the application's user.
pub const PASSWORD: &str = "s3cret";

pub struct Maria {
    dir: TempDir,
    server: Child,
    pub port: u16,
    options: Vec<String>,
}

/// A server reads no other configuration, and runs as whoever runs the test.
fn user() -> Vec<String> {
    if nix::unistd::geteuid().is_root() { vec!["--user=root".to_owned()] } else { Vec::new() }
}

impl Maria {
    /// With options as on its command line.
    pub fn up(port: u16, options: &[&str]) -> Self {
        let dir = tempfile::Builder::new().prefix("blackstart-test-maria-").tempdir_in(ground()).unwrap();
        // A server that starts removes temporary tables from here, whoever they belong to.
        std::fs::create_dir(dir.path().join("tmp")).unwrap();
        output(
            Command::new("mariadb-install-db")
                .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
                .arg(format!("--datadir={}", dir.path().join("data").display()))
                .arg(format!("--tmpdir={}", dir.path().join("tmp").display()))
                .arg("--innodb-log-file-size=8M")
                .args(user()),
        );
        let options = options.iter().map(|option| (*option).to_owned()).collect::<Vec<_>>();
        let server = Self::start(&dir, port, &options);
        let maria = Self { dir, server, port, options };
        maria.is_up();
        maria
    }

    fn start(dir: &TempDir, port: u16, options: &[String]) -> Child {
        let place = |name: &str| dir.path().join(name).display().to_string();
        Command::new("/usr/sbin/mariadbd")
            .args(["--no-defaults", "--bind-address=127.0.0.1", "--skip-name-resolve"])
            .args(["--innodb-flush-log-at-trx-commit=0", "--innodb-log-file-size=8M"])
            .args(["--innodb-buffer-pool-size=32M", "--max-allowed-packet=1M", "--max-connections=100"])
            .args([format!("--datadir={}", place("data")), format!("--socket={}", place("sock"))])
            .args([format!("--port={port}"), format!("--tmpdir={}", place("tmp"))])
            .args(options)
            .args(user())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(dir.path().join("log")).unwrap())
            .spawn()
            .unwrap()
    }

    fn is_up(&self) {
        until("the server answers", || UnixStream::connect(self.dir.path().join("sock")).is_ok());
    }

    /// With the certificate for 127.0.0.1 that it shows, and where that is.
    pub fn with_tls(port: u16) -> (Self, TempDir, String) {
        let place = tempfile::tempdir().unwrap();
        let (cert, key) = certificate(place.path());
        let (cert, key) = (cert.display().to_string(), key.display().to_string());
        let options = [format!("--ssl-cert={cert}"), format!("--ssl-key={key}")];
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        (Self::up(port, &options), place, cert)
    }

    /// As its superuser, by the server's own client.
    pub fn sql(&self, text: &str) -> String {
        output(self.client().args(["-e", text]))
    }

    /// The same, whatever it comes to.
    pub fn try_sql(&self, text: &str) {
        if let Err(e) = self.client().args(["-e", text]).stderr(Stdio::null()).status() {
            eprintln!("mariadb: {e}");
        }
    }

    fn client(&self) -> Command {
        let mut client = Command::new("mariadb");
        let socket = format!("--socket={}", self.dir.path().join("sock").display());
        client.args(["--no-defaults", "-N", "-uroot", &socket]);
        client
    }

    /// The same for a text of any length.
    pub fn pipe(&self, text: &str) {
        let mut client = self.client().stdin(Stdio::piped()).spawn().unwrap();
        client.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(client.wait().unwrap().success());
    }

    /// The application's user with its own database and all rights on it.
    pub fn with_app(self) -> Self {
        self.sql(&format!(
            "create database app; create user app@'127.0.0.1' identified by '{PASSWORD}'; \
             grant create, select, insert, delete on app.* to app@'127.0.0.1'"
        ));
        self
    }

    pub fn url(&self, database: &str) -> String {
        format!("mysql://app:{PASSWORD}@127.0.0.1:{}/{database}", self.port)
    }

    pub fn kill(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }

    /// The same server on the same data again.
    pub fn again(&mut self) {
        self.server = Self::start(&self.dir, self.port, &self.options);
        self.is_up();
    }

    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        crate::common::signal(self.server.id(), signal);
    }
}

impl Drop for Maria {
    fn drop(&mut self) {
        // Its own child: the pid cannot be another's.
        if let Err(e) = self.server.kill().and_then(|()| self.server.wait().map(|_| ())) {
            eprintln!("mariadbd: {e}");
        }
    }
}
