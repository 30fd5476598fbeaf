//! An S3 server for a test: moto behind the script that checks signatures and rights, as the drills' staging has it; ended
//! with the test, also when it fails. And boto3, which shares no code with the crate.

use crate::common::{output, scripts, until};
use crate::ports::five_free;
use blackstart::adapters::data::{Bucket, Login};
use blackstart::model::Addressing;
use nix::sys::signal::Signal;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

const PYTHON: &str = "/var/cache/blackstart-tests/moto/bin/python";
/// Of everybody who may sign.
pub const SECRET: &str = "hunter2/hunter2+";

/// A server of its own.
pub struct Server {
    child: Child,
    pub port: u16,
    pub folder: TempDir,
}

impl Server {
    /// With these buckets, `versioned` in a name for one that keeps versions, and `locked` for one that locks what is new.
    pub fn up(buckets: &[&str]) -> Self {
        Self::with(buckets, |_| Vec::new())
    }

    /// With more arguments, for which its folder may be needed.
    pub fn with(buckets: &[&str], arguments: impl FnOnce(&Self) -> Vec<String>) -> Self {
        let folder = tempfile::Builder::new().prefix("blackstart-test-s3-").tempdir().unwrap();
        let mut server = Self { child: idle(), port: five_free(), folder };
        server.allow(&[]);
        let arguments = arguments(&server);
        let tls = arguments.iter().any(|word| word == "--ssl");
        let mut command = python();
        command.arg(scripts().join("s3-regions/server.py")).arg(server.port.to_string()).arg(server.keys());
        server.child.wait().unwrap();
        server.child = command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let port = server.port;
        until("the server listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        if !tls {
            server.make(buckets);
        }
        server
    }

    fn keys(&self) -> PathBuf {
        self.folder.path().join("keys.json")
    }

    /// Rights that `drill` has not from now on, as `PutObject`; `owner` has all.
    pub fn allow(&self, denied: &[&str]) {
        let text = format!(
            "{{\"owner\": {{\"secret\": \"{SECRET}\"}}, \"drill\": {{\"secret\": \"{SECRET}\", \"deny\": {denied:?}}}}}"
        );
        let new = self.folder.path().join("keys.new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.keys()).unwrap();
    }

    fn make(&self, buckets: &[&str]) {
        for bucket in buckets {
            let locked = if bucket.contains("locked") { "True" } else { "False" };
            self.boto(&format!(
                "s3.create_bucket(Bucket='{bucket}', ObjectLockEnabledForBucket={locked})\n\
                 if 'versioned' in '{bucket}':\n  \
                   s3.put_bucket_versioning(Bucket='{bucket}', VersioningConfiguration={{'Status': 'Enabled'}})\n\
                 if {locked}:\n  \
                   s3.put_object_lock_configuration(Bucket='{bucket}', ObjectLockConfiguration={{\n    \
                     'ObjectLockEnabled': 'Enabled', 'Rule': {{'DefaultRetention': {{'Mode': 'GOVERNANCE', 'Days': 1}}}}}})\n"
            ));
        }
    }

    /// What a Python program prints that has boto3's client as `s3`.
    pub fn boto(&self, program: &str) -> String {
        let begin = format!(
            "import boto3\nfrom botocore.config import Config\n\
             s3 = boto3.client('s3', endpoint_url='http://127.0.0.1:{}', region_name='us-east-1',\n  \
               aws_access_key_id='owner', aws_secret_access_key='{SECRET}', config=Config(retries={{'max_attempts': 1}}))\n",
            self.port
        );
        output(python().arg("-c").arg(begin + program))
    }

    /// A bucket, as the user `drill` reaches it.
    pub fn bucket(&self, name: &str) -> Bucket {
        let login = Some(Login { key: "drill".to_owned(), secret: SECRET.to_owned(), token: None });
        Bucket {
            endpoint: format!("http://127.0.0.1:{}", self.port),
            name: name.to_owned(),
            region: "us-east-1".to_owned(),
            addressing: Addressing::Path,
            login,
            ca: None,
        }
    }

    pub fn signal(&self, signal: Signal) {
        crate::common::signal(self.child.id(), signal);
    }

    /// And all that it had is gone.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn idle() -> Child {
    Command::new("true").spawn().unwrap()
}

fn python() -> Command {
    assert!(std::path::Path::new(PYTHON).exists(), "{PYTHON}: tests/install.sh installs it");
    let mut command = Command::new(PYTHON);
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// The records below a prefix, by boto3 as the staging's own script asks it.
pub fn listed(keys: &std::path::Path, port: u16, prefix: &str) -> Vec<String> {
    let script = scripts().join("s3-regions/s3.py");
    let (keys, port) = (keys.display().to_string(), port.to_string());
    let said = output(python().arg(script).args(["--keys", &keys, &port, "keys", prefix]));
    said.lines().map(str::to_owned).collect()
}
