//! A time-stamping authority for a test: `openssl ts` behind a few lines of HTTP; gone with the value.

use crate::common::output;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use tempfile::TempDir;

const CONFIG: &str = "
[tsa]
default_tsa = it
[it]
dir = .
serial = $dir/serial
certs = $dir/ca.pem
signer_cert = $dir/tsa.pem
signer_key = $dir/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
ess_cert_id_chain = no
";

/// See the module.
pub struct Authority {
    folder: TempDir,
    port: u16,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Authority {
    /// With a certificate authority and a key of its own.
    pub fn up() -> Self {
        let folder = tempfile::Builder::new().prefix("blackstart-test-tsa-").tempdir().unwrap();
        std::fs::write(folder.path().join("tsa.cnf"), CONFIG).unwrap();
        std::fs::write(folder.path().join("ext"), "extendedKeyUsage=critical,timeStamping\n").unwrap();
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
        let ca = ["req", "-x509", "-subj", "/CN=Test CA", "-days", "2", "-keyout", "ca.key", "-out", "ca.pem"];
        openssl(folder.path(), &[&ca[..], &key[..]].concat());
        let request = ["req", "-new", "-subj", "/CN=Test TSA", "-keyout", "tsa.key", "-out", "tsa.csr"];
        openssl(folder.path(), &[&request[..], &key[..]].concat());
        let sign = ["x509", "-req", "-in", "tsa.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
        openssl(folder.path(), &[&sign[..], &["-days", "2", "-extfile", "ext", "-out", "tsa.pem"][..]].concat());
        std::fs::write(folder.path().join("serial"), "01\n").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, over) = (listener.local_addr().unwrap().port(), Arc::new(AtomicBool::new(false)));
        let (place, end) = (folder.path().to_path_buf(), Arc::clone(&over));
        let serve = move || {
            for stream in listener.incoming().flatten() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                answer(stream, &place);
            }
        };
        Self { folder, port, over, thread: Some(std::thread::spawn(serve)) }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/stamp", self.port)
    }

    /// The certificate that an auditor has from the authority.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        drop(self.thread.take().map(JoinHandle::join));
    }
}

fn openssl(folder: &Path, words: &[&str]) {
    output(Command::new("openssl").args(words).current_dir(folder));
}

fn answer(mut stream: TcpStream, folder: &Path) {
    let (mut read, mut buffer) = (Vec::new(), [0; 4096]);
    let body = loop {
        let Ok(length @ 1..) = stream.read(&mut buffer) else { return };
        read.extend_from_slice(&buffer[..length]);
        let text = String::from_utf8_lossy(&read).to_lowercase();
        let Some(head) = text.find("\r\n\r\n") else { continue };
        assert!(text.contains("content-type: application/timestamp-query"), "{text}");
        let length = text.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()).unwrap();
        let start = read.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        assert!(head < read.len());
        if read.len() >= start + length.trim().parse::<usize>().unwrap() {
            break read[start..].to_vec();
        }
    };
    std::fs::write(folder.join("query"), body).unwrap();
    openssl(folder, &["ts", "-reply", "-queryfile", "query", "-config", "tsa.cnf", "-out", "reply"]);
    let reply = std::fs::read(folder.join("reply")).unwrap();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/timestamp-reply\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        reply.len()
    );
    drop(stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&reply)));
}
