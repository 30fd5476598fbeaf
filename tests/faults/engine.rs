//! A Docker engine of a test's own: its own folder, socket, network and mount namespace, and an image made from busybox.
//! No other engine, no interface and no packet filter of the machine is touched.

use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// A `dockerd`, for as long as this lives.
pub struct Engine {
    folder: tempfile::TempDir,
    daemon: Child,
}

impl Engine {
    pub fn start() -> Self {
        // Short: a socket's path has at most 107 characters.
        let folder = tempfile::Builder::new().prefix("bs-engine.").tempdir_in("/var/tmp").unwrap();
        let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        std::fs::write(at("config.json"), "{}").unwrap();
        let log = std::fs::File::create(at("log")).unwrap();
        let flags = ["--iptables=false", "--ip6tables=false", "--bridge=none", "--ip-forward=false", "--ip-masq=false"];
        let daemon = Command::new("unshare")
            .args([
                "--net",
                "--mount",
                "--",
                "dockerd",
                "--config-file",
                &at("config.json"),
                "--data-root",
                &at("data"),
            ])
            .args(["--exec-root", &at("exec"), "--pidfile", &at("pid"), "-H", &format!("unix://{}", at("sock"))])
            .args(flags)
            .args(["--userland-proxy=false", "--shutdown-timeout", "2"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let engine = Self { folder, daemon };
        engine.until_ready();
        engine.import();
        engine
    }

    pub fn address(&self) -> String {
        format!("unix://{}", self.folder.path().join("sock").display())
    }

    fn until_ready(&self) {
        for _ in 0..1200 {
            if self.try_docker(&["version"]).status.success() {
                return;
            }
            std::thread::park_timeout(Duration::from_millis(50));
        }
        panic!("{}", std::fs::read_to_string(self.folder.path().join("log")).unwrap());
    }

    fn import(&self) {
        let image = self.folder.path().join("image");
        std::fs::create_dir_all(image.join("bin")).unwrap();
        std::fs::copy("/bin/busybox", image.join("bin/busybox")).unwrap();
        std::os::unix::fs::symlink("busybox", image.join("bin/sleep")).unwrap();
        let tar = self.folder.path().join("image.tar");
        let (tar, image) = (tar.to_str().unwrap(), image.to_str().unwrap());
        assert!(Command::new("tar").args(["-C", image, "-cf", tar, "."]).status().unwrap().success());
        self.docker(&["import", tar, "tiny"]);
    }

    pub fn try_docker(&self, words: &[&str]) -> Output {
        Command::new("docker").args(["-H", &self.address()]).args(words).stdin(Stdio::null()).output().unwrap()
    }

    pub fn docker(&self, words: &[&str]) -> String {
        let output = self.try_docker(words);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let ids = String::from_utf8_lossy(&self.try_docker(&["ps", "-aq"]).stdout).into_owned();
        let ids: Vec<&str> = ids.split_whitespace().collect();
        if !ids.is_empty() {
            drop(self.try_docker(&[&["rm", "-f"], &ids[..]].concat()));
        }
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.daemon.id()).unwrap());
        let _gone_already = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        drop(self.daemon.wait());
    }
}
