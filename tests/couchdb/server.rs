//! Servers for tests: a single one, or the staging of two regions; brought up for a test and down when it ends, also when it
//! fails. And `curl` with `jq`, which share no code with the crate.

use crate::common::{ground, one_at_a_time, output, scripts, until};
use nix::fcntl::Flock;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// Where `tests/install.sh` puts it.
const SERVER: &str = "/var/cache/blackstart-tests/pouchdb/node_modules/.bin/pouchdb-server";

/// What `curl` says to a request as the administrator: the status, and the answer.
fn curl(netrc: &Path, port: u16, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--noproxy", "*", "--max-time", "20", "-w", "\n%{http_code}", "-X", method, "--netrc-file"]);
    curl.arg(netrc).arg(format!("http://127.0.0.1:{port}/{path}"));
    if body.is_some() {
        curl.args(["-H", "content-type: application/json", "--data-binary", "@-"]);
    }
    let mut child = curl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(body.map(Value::to_string).unwrap_or_default().as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    let (answer, status) = said.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), serde_json::from_str(answer).unwrap_or_default())
}

/// A single server with a database `shop`, whose member is `app`.
pub struct Single {
    dir: TempDir,
    server: Option<Child>,
    pub port: u16,
}

impl Single {
    pub fn up(port: u16) -> Self {
        let dir = tempfile::Builder::new().prefix("blackstart-test-couchdb-").tempdir_in(ground()).unwrap();
        let config = json!({
            "admins": {"admin": "hunter2"},
            "couch_httpd_auth": {"require_valid_user": true},
            "httpd": {"port": port, "bind_address": "127.0.0.1"},
            "log": {"file": "/dev/null", "level": "error"},
        });
        std::fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
        std::fs::write(dir.path().join("netrc"), "machine 127.0.0.1 login admin password hunter2\n").unwrap();
        std::fs::create_dir(dir.path().join("data")).unwrap();
        let mut single = Self { dir, server: None, port };
        single.start();
        for (user, path) in [("app", "shop"), ("nobody", "other")] {
            single.put(path, json!({}));
            let named = json!({"name": user, "password": "hunter2", "roles": [], "type": "user"});
            single.put(&format!("_users/org.couchdb.user:{user}"), named);
            let members = json!({"admins": {"names": [], "roles": []}, "members": {"names": [user], "roles": []}});
            single.put(&format!("{path}/_security"), members);
        }
        single
    }

    /// Starts it, with the disk that it has.
    pub fn start(&mut self) {
        assert!(Path::new(SERVER).exists(), "{SERVER} is missing: tests/install.sh installs it");
        let at = |name: &str| self.dir.path().join(name);
        let log = File::options().create(true).append(true).open(at("log")).unwrap();
        let mut node = Command::new("node");
        node.args(["--unhandled-rejections=warn", SERVER, "--no-stdout-logs", "--config"]).arg(at("config.json"));
        node.arg("--dir").arg(at("data")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.server = Some(node.spawn().unwrap());
        until("it answers", || self.get("").0 == 200);
    }

    pub fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        curl(&self.dir.path().join("netrc"), self.port, method, path, body)
    }

    pub fn get(&self, path: &str) -> (u16, Value) {
        self.ask("GET", path, None)
    }

    /// Puts what must be taken.
    pub fn put(&self, path: &str, body: Value) {
        let (status, answer) = self.ask("PUT", path, Some(&body));
        assert!([200, 201].contains(&status), "{path}: {status} {answer}");
    }

    /// Changes a document that is there.
    pub fn change(&self, id: &str, mut body: Value) {
        body["_rev"] = self.get(&format!("shop/{id}")).1["_rev"].clone();
        self.put(&format!("shop/{id}"), body);
    }

    /// Puts a second revision beside the one that is there: a conflict.
    pub fn conflict(&self, id: &str, mut body: Value) {
        (body["_id"], body["_rev"]) = (json!(id), json!("1-ffffffffffffffffffffffffffffffff"));
        let docs = json!({"docs": [body], "new_edits": false});
        assert_eq!(self.ask("POST", "shop/_bulk_docs", Some(&docs)).0, 201);
    }

    pub fn delete(&self, id: &str) {
        let rev = self.get(&format!("shop/{id}")).1["_rev"].as_str().unwrap().to_owned();
        assert_eq!(self.ask("DELETE", &format!("shop/{id}?rev={rev}"), None).0, 200);
    }

    /// The names of documents that begin like this.
    pub fn names(&self, prefix: &str) -> Vec<String> {
        names(&self.get(&listed(prefix)).1)
    }

    pub fn url(&self) -> String {
        format!("http://app:hunter2@127.0.0.1:{}/shop", self.port)
    }

    /// As the administrator, who sees replications.
    pub fn admin(&self) -> String {
        self.url().replace("app:", "admin:")
    }

    pub fn signal(&self, signal: Signal) {
        crate::common::signal(self.server.as_ref().unwrap().id(), signal);
    }

    pub fn kill(&mut self) {
        let mut server = self.server.take().unwrap();
        server.kill().unwrap();
        server.wait().unwrap();
    }

    pub fn folder(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for Single {
    fn drop(&mut self) {
        // Its own child: the pid cannot be another's.
        if let Some(mut server) = self.server.take()
            && let Err(e) = server.kill().and_then(|()| server.wait().map(|_| ()))
        {
            eprintln!("pouchdb-server: {e}");
        }
    }
}

fn listed(prefix: &str) -> String {
    format!("shop/_all_docs?startkey=%22{prefix}%22&endkey=%22{prefix}~%22")
}

fn names(answer: &Value) -> Vec<String> {
    answer["rows"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

/// The names of documents in a region of a staging that begin like this.
pub fn names_in(dir: &Path, port: u16, prefix: &str) -> Vec<String> {
    let (status, answer) = curl(&dir.join("netrc"), port, "GET", &listed(prefix), None);
    assert_eq!(status, 200, "{answer}");
    names(&answer)
}

/// The staging of two regions.
pub struct Regions {
    pub dir: PathBuf,
    base: u16,
    _lock: Flock<File>,
}

impl Regions {
    pub fn up(base: u16) -> Self {
        let lock = one_at_a_time("couchdb");
        let regions = Self { dir: ground().join(format!("blackstart-test-couchdb-{base}")), base, _lock: lock };
        output(regions.command("up.sh").args(["--base-port", &base.to_string()]));
        regions
    }

    fn command(&self, script: &str) -> Command {
        let mut command = Command::new(scripts().join("couchdb-regions").join(script));
        command.arg("--dir").arg(&self.dir);
        command
    }

    /// Runs one of the staging's scripts.
    pub fn run(&self, script: &str, words: &[&str]) -> String {
        output(self.command(script).args(words))
    }

    /// Why one of them failed.
    pub fn refusal(&self, script: &str, words: &[&str]) -> String {
        let done = self.command(script).args(words).output().unwrap();
        assert!(!done.status.success(), "{script} {words:?} succeeded");
        String::from_utf8_lossy(&done.stderr).into_owned()
    }

    pub fn port(&self, region: u16) -> u16 {
        self.base + region
    }

    /// Of region 1 or 2, as the member of its database.
    pub fn url(&self, region: u16) -> String {
        self.url_as("app", region)
    }

    pub fn url_as(&self, user: &str, region: u16) -> String {
        let word = std::fs::read_to_string(self.dir.join(format!("{user}.password"))).unwrap();
        format!("http://{user}:{}@127.0.0.1:{}/shop", word.trim_end(), self.port(region))
    }

    /// Stops or continues the way that leads out of a region.
    pub fn link(&self, region: &str, signal: Signal) {
        crate::common::signal(self.run("link-pids.sh", &[region]).parse().unwrap(), signal);
    }
}

impl Drop for Regions {
    fn drop(&mut self) {
        // A failing test still leaves nothing running; its own panic is what counts.
        if let Err(e) = self.command("down.sh").status() {
            eprintln!("down.sh: {e}");
        }
    }
}
