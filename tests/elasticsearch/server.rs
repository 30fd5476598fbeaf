//! Three nodes of the double for a test, each a process of its own; ended with the test, also when it fails. And the vendor's
//! client, which shares no code with the crate.

use crate::common::{certificate, output, scripts, until};
use crate::ports::five_free;
use blackstart::adapters::ServerPlace;
use blackstart::adapters::elasticsearch::SearchPlace;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const VENDOR: &str = "/var/cache/blackstart-tests/elasticsearch/bin/python";
pub const PASSWORD: &str = "hunter2";
/// An API key of the same user.
pub const KEY: &str = "aGk6aHVudGVyMg==";

/// A cluster of its own, `drill` its only user.
pub struct Three {
    pub base: u16,
    pub folder: TempDir,
    nodes: Vec<Child>,
}

impl Three {
    pub fn up() -> Self {
        Self::with(|_| json!({}))
    }

    /// With more settings, for which its folder may be needed.
    pub fn with(more: impl FnOnce(&Path) -> Value) -> Self {
        let folder = tempfile::Builder::new().prefix("blackstart-test-elasticsearch-").tempdir().unwrap();
        let mut three = Self { base: five_free(), folder, nodes: Vec::new() };
        let more = more(three.folder.path());
        three.settings(&[], &more);
        for number in 0..3 {
            let child = three.spawn(number);
            three.nodes.push(child);
        }
        if more.get("tls").is_none() {
            three.green();
        }
        three
    }

    /// With TLS, by a certificate that nobody else trusts: the certificate's file.
    pub fn by_tls() -> (Self, String) {
        let mut file = String::new();
        let three = Self::with(|folder| {
            let (cert, key) = certificate(folder);
            file = cert.display().to_string();
            json!({"tls": [cert, key]})
        });
        (three, file)
    }

    fn settings(&self, denied: &[&str], more: &Value) {
        let base = self.base;
        let mut all = json!({
            "nodes": {"e1": base, "e2": base + 1, "e3": base + 2},
            "repositories": self.folder.path().join("repositories"),
            "users": {"drill": {"password": PASSWORD, "keys": [KEY], "deny": denied}},
        });
        for (name, value) in more.as_object().unwrap() {
            all[name] = value.clone();
        }
        let (new, file) = (self.folder.path().join("settings.new"), self.file());
        std::fs::write(&new, all.to_string()).unwrap();
        std::fs::rename(new, file).unwrap();
        std::fs::write(self.folder.path().join("password"), PASSWORD).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("settings.json")
    }

    /// Privileges that the user has not from now on.
    pub fn deny(&self, denied: &[&str]) {
        self.settings(denied, &json!({}));
    }

    fn spawn(&self, number: u16) -> Child {
        let script = scripts().join("elasticsearch/double/node.py");
        let log = std::fs::File::options().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let mut command = Command::new("/usr/bin/python3");
        command.env("PYTHONDONTWRITEBYTECODE", "1").arg(script).arg(format!("e{}", number + 1)).arg(self.file());
        command.stdout(Stdio::null()).stderr(log).spawn().unwrap()
    }

    /// By curl, at the first node that answers.
    pub fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        for number in 0..3 {
            let said = self.ask_at(number, method, path, body);
            if said.status.success() {
                return serde_json::from_slice(&said.stdout).unwrap();
            }
        }
        panic!(
            "{method} {path}: no node answers\n{}",
            std::fs::read_to_string(self.folder.path().join("log")).unwrap()
        );
    }

    fn ask_at(&self, number: u16, method: &str, path: &str, body: &Value) -> Output {
        let url = format!("http://127.0.0.1:{}{path}", self.base + number);
        let login = format!("drill:{PASSWORD}");
        Command::new("curl")
            .args(["-s", "--max-time", "20", "-u", &login, "-X", method, "--data-binary"])
            .arg(body.to_string())
            .arg(url)
            .output()
            .unwrap()
    }

    /// Waits until three nodes have every copy.
    pub fn green(&self) {
        until("three nodes have every copy", || {
            (0..3).all(|number| {
                let said = self.ask_at(number, "GET", "/_cluster/health", &json!({}));
                let said: Value = serde_json::from_slice(&said.stdout).unwrap_or_default();
                said["status"] == "green" && said["number_of_nodes"] == 3
            })
        });
    }

    /// What the nodes do wrong from now on.
    pub fn violate(&self, what: &[&str]) {
        for number in 0..3 {
            let said = self.ask_at(number, "POST", "/_internal/violate", &json!({"what": what}));
            assert_eq!(serde_json::from_slice::<Value>(&said.stdout).unwrap()["done"], true);
        }
    }

    /// The node that holds the primary of an index.
    pub fn primary(&self, index: &str) -> usize {
        let rows = self.ask("GET", &format!("/_cat/shards/{index}?format=json"), &json!({}));
        let row = rows.as_array().unwrap().iter().find(|row| row["prirep"] == "p").unwrap().clone();
        row["node"].as_str().unwrap()[1..].parse::<usize>().unwrap() - 1
    }

    pub fn kill(&mut self, node: usize) {
        self.nodes[node].kill().unwrap();
        self.nodes[node].wait().unwrap();
    }

    /// Starts it again, empty, and waits until it has copies.
    pub fn start_again(&mut self, node: usize) {
        self.nodes[node] = self.spawn(u16::try_from(node).unwrap());
        self.green();
    }

    /// To all nodes.
    pub fn signal(&self, signal: Signal) {
        self.nodes.iter().for_each(|node| crate::common::signal(node.id(), signal));
    }

    pub fn ports(&self) -> String {
        (0..3).map(|number| (self.base + number).to_string()).collect::<Vec<_>>().join(",")
    }

    pub fn hosts(&self) -> String {
        (0..3).map(|number| format!("127.0.0.1:{}", self.base + number)).collect::<Vec<_>>().join(",")
    }

    /// As the adapter reaches it.
    pub fn place(&self) -> SearchPlace {
        place(&format!("elasticsearch://drill:{PASSWORD}@{}", self.hosts()))
    }

    /// A part of the vendor's suite: how it ended.
    pub fn vendor(&self, words: &[&str]) -> Output {
        vendor(&self.ports(), &self.folder.path().join("password"), words)
    }
}

pub fn place(url: &str) -> SearchPlace {
    let connect_timeout = Some(Duration::from_millis(500));
    let server = ServerPlace { url: url.to_owned(), connect_timeout, response_timeout: None };
    SearchPlace { server, api_key: None, active_shards: None }
}

fn vendor(ports: &str, password: &Path, words: &[&str]) -> Output {
    assert!(Path::new(VENDOR).exists(), "{VENDOR}: tests/install.sh installs it");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/elasticsearch/vendor.py");
    let mut command = Command::new(VENDOR);
    command.env("PYTHONDONTWRITEBYTECODE", "1").args([script, ports]).arg(password).args(words);
    command.stdin(Stdio::null()).output().unwrap()
}

/// Names of an index's documents, by the vendor's client.
pub fn listed(ports: &str, password: &Path, index: &str) -> Vec<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/elasticsearch/vendor.py");
    let mut command = Command::new(VENDOR);
    command.env("PYTHONDONTWRITEBYTECODE", "1").args([script, ports]).arg(password).args(["keys", index]);
    output(&mut command).lines().map(str::to_owned).collect()
}

impl Drop for Three {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            let _gone = node.kill();
            let _reaped = node.wait();
        }
    }
}
