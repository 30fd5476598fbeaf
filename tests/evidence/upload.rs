//! Archives in a bucket that locks objects: a real server of the protocol (moto), asked with boto3 what is there and whether it
//! can be removed.

use crate::retention::{place, ran, seal};
use crate::support::{Ended, Place};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PYTHON: &str = "/var/cache/blackstart-tests/moto/bin/python";
const PORT: u16 = 17_450;
const SECRET: &str = "hunter2/hunter2+";

struct Server {
    child: Child,
}

impl Server {
    fn up(place: &Place) -> Self {
        assert!(Path::new(PYTHON).exists(), "{PYTHON}: tests/install.sh installs it");
        let keys = place.file("keys.json", &format!("{{\"owner\": {{\"secret\": \"{SECRET}\"}}}}"));
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("drills/staging/s3-regions/server.py");
        let mut command = Command::new(PYTHON);
        command.env("PYTHONDONTWRITEBYTECODE", "1").arg(script).arg(PORT.to_string()).arg(keys);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let server = Self { child };
        let deadline = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", PORT)).is_err() {
            assert!(Instant::now() < deadline, "the server never listens");
            std::thread::sleep(Duration::from_millis(20));
        }
        server.boto(
            "s3.create_bucket(Bucket='evidence', ObjectLockEnabledForBucket=True)\ns3.create_bucket(Bucket='plain')\n",
        );
        server
    }

    /// What a Python program prints that has boto3's client as `s3`.
    fn boto(&self, program: &str) -> String {
        let begin = format!(
            "import boto3\nfrom botocore.config import Config\n\
             s3 = boto3.client('s3', endpoint_url='http://127.0.0.1:{PORT}', region_name='us-east-1',\n  \
               aws_access_key_id='owner', aws_secret_access_key='{SECRET}', config=Config(retries={{'max_attempts': 1}}))\n"
        );
        let done = Command::new(PYTHON).arg("-c").arg(begin + program).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn ask(place: &Place, secret: &str, arguments: &[&str]) -> Ended {
    let mut command = place.blackstart();
    command.args(arguments).env("AWS_ACCESS_KEY_ID", "owner").env("AWS_SECRET_ACCESS_KEY", secret);
    command.env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{PORT}")).env("AWS_REGION", "us-east-1");
    Ended::new(command.output().unwrap())
}

#[test]
fn an_archive_is_locked_in_the_bucket_and_read_back() {
    let place = place();
    let server = Server::up(&place);
    let dir = seal(&ran(&place, "r1", "good"));
    place.run(&["bundle", "out/short/r1", "--output", "one.tar.gz"]).code(0);
    let locked = ["--object-lock", "compliance", "--retain", "400d"];
    let put =
        |to: &str, more: &[&str]| ask(&place, SECRET, &[&["bundle", "out/short/r1", "--upload", to], more].concat());

    let said = put("s3://evidence/drills/", &locked).code(0).out;
    assert!(said.starts_with("uploaded: s3://evidence/drills/short/r1.tar.gz at 127.0.0.1:17450"), "{said}");
    assert!(said.contains("(compliance)"), "{said}");
    let there = server.boto(
        "import hashlib, datetime\n\
         got = s3.get_object(Bucket='evidence', Key='drills/short/r1.tar.gz')\n\
         left = got['ObjectLockRetainUntilDate'] - datetime.datetime.now(datetime.timezone.utc)\n\
         print(hashlib.sha256(got['Body'].read()).hexdigest(), got['ObjectLockMode'], 399 < left.days < 402)\n\
         try:\n  s3.delete_object(Bucket='evidence', Key='drills/short/r1.tar.gz', VersionId=got['VersionId'])\n  print('gone')\n\
         except Exception as e:\n  print('refused')\n",
    );
    let digest = Command::new("sha256sum").arg(place.path().join("one.tar.gz")).output().unwrap();
    let digest = String::from_utf8(digest.stdout).unwrap();
    assert_eq!(there, format!("{} COMPLIANCE True\nrefused\n", &digest[..64]));
    assert!(said.contains(&digest[..64]), "{said}");

    // The same again writes nothing; an archive that has grown is a version more.
    assert!(put("s3://evidence/drills", &locked).code(0).out.starts_with("was there already"));
    std::fs::create_dir(dir.join("addenda")).unwrap();
    std::fs::write(dir.join("addenda/0001-review.json"), "{}").unwrap();
    assert!(put("s3://evidence/drills", &locked).code(0).out.starts_with("uploaded"));
    let versions = server.boto("print(len(s3.list_object_versions(Bucket='evidence')['Versions']))\n");
    assert_eq!(versions, "2\n");
    let said = put("s3://plain", &[]).code(0).out;
    assert!(said.contains("not locked"), "{said}");

    // What does not work is said, and is no success.
    let unlocked = put("s3://plain/x", &locked).code(2);
    assert!(unlocked.err.contains("s3://plain/x/short/r1.tar.gz"), "{}", unlocked.err);
    assert!(put("s3://nowhere", &[]).code(2).err.contains("there is no such bucket"));
    let stranger = ask(&place, "another-secret", &["bundle", "out/short/r1", "--upload", "s3://evidence"]).code(2);
    assert!(stranger.err.contains("does not belong to this access key"), "{}", stranger.err);
    assert!(!stranger.err.contains("another-secret"));
    put("https://evidence", &[]).code(64);
    put("s3://evidence", &["--retain", "1d"]).code(64);
    after_runs(&place, &server);
}

/// A run says what became of its archive, and how to try again; its result depends on it only if the user says so.
fn after_runs(place: &Place, server: &Server) {
    let run = |id: &str, more: &[&str]| {
        ask(place, SECRET, &[&["run", "short.yaml", "--reports", "out", "--run-id", id, "--upload"], more].concat())
    };
    let lost = run("r2", &["s3://nowhere/x", "--object-lock", "governance", "--retain", "30d"]).code(0);
    let again = "blackstart bundle out/short/r2 --upload s3://nowhere/x --object-lock governance --retain 30d";
    assert!(lost.err.contains("not uploaded") && lost.err.contains(again), "{}", lost.err);
    run("r3", &["s3://nowhere/x", "--upload-required"]).code(2);
    // What is sealed is uploaded.
    let done = run("r4", &["s3://evidence/runs", "--object-lock", "governance", "--retain", "30d"]).code(0);
    let sealed = place.path().join("out/short/r4/MANIFEST.json").exists();
    let count = server.boto("print(s3.list_objects_v2(Bucket='evidence', Prefix='runs/')['KeyCount'])\n");
    assert_eq!(count, if sealed { "1\n" } else { "0\n" }, "{}", done.err);
    assert_eq!(done.err.contains("not uploaded"), !sealed, "{}", done.err);
}
