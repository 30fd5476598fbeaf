//! A real S3 server for tests: moto, which `tests/install.sh` puts into a folder of its own, with signatures checked.

use blackstart::adapters::{Request, World};
use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PYTHON: &str = "/var/cache/blackstart-tests/moto/bin/python";
/// Who may sign, and for which region.
pub const KEY: &str = "key";
pub const SECRET: &str = "a-secret-that-nobody-sees";
pub const REGION: &str = "eu-central-1";
const LIMIT: Duration = Duration::from_secs(60);

/// A server of a test's own; it keeps everything in memory and is ended with this.
pub struct Moto {
    child: Child,
    pub port: u16,
}

impl Moto {
    pub fn up() -> Self {
        Self::with("", &[])
    }

    /// For those who also show this token, and with these arguments.
    pub fn with(token: &str, arguments: &[&str]) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fingerprints/moto_server.py");
        let until = Instant::now() + LIMIT;
        while Instant::now() < until {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut child = Command::new(PYTHON)
                .args([script, KEY, SECRET, token, REGION])
                .args(["-H", "127.0.0.1", "-p", &port.to_string()])
                .args(arguments)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap_or_else(|e| panic!("{PYTHON}: {e}; tests/install.sh installs it"));
            // It ends when somebody else took the port meanwhile.
            while Instant::now() < until && child.try_wait().unwrap().is_none() {
                if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                    return Self { child, port };
                }
                std::thread::park_timeout(Duration::from_millis(20));
            }
            let _gone = child.kill();
            let _reaped = child.wait();
        }
        panic!("no S3 server came up");
    }

    /// Sends something that changes it; the path begins after the slash.
    pub async fn send(&self, method: &str, path: &str, body: &[u8]) -> String {
        // Without a type, moto takes a body for a form.
        let headers = BTreeMap::from([("content-type".to_owned(), "application/octet-stream".to_owned())]);
        let (method, url) = (method.to_owned(), format!("http://127.0.0.1:{}/{path}", self.port));
        let request = Request { method, url, headers, body: Some(body.to_vec()), timeout: LIMIT };
        let answer = World::system().http.send(&request).await.unwrap();
        assert!(answer.status < 300, "{} {path}: {}", request.method, answer.body);
        answer.body
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}
