//! Timestamps by a real authority (`openssl ts`), as `verify` and as `openssl` judge them.

use super::forge::{checked_fast, copied, doubts, names, shop};
use blackstart::evidence::verify::{Kind, Level};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

struct Authorities {
    dir: tempfile::TempDir,
}

fn openssl(dir: &Path, arguments: &[&str]) {
    let out = Command::new("openssl").args(arguments).current_dir(dir).stdin(Stdio::null()).output().unwrap();
    assert!(out.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
}

const CONFIGURATION: &str = "\
[tsa]\nserial = serial\ndefault_policy = 1.2.3.4\ndigests = sha256, sha512\nsigner_digest = sha256\n\
[req]\ndistinguished_name = name\nprompt = no\n[name]\nCN = a time-stamping authority of a test\n\
[stamps]\nextendedKeyUsage = critical,timeStamping\nkeyUsage = critical,digitalSignature\nbasicConstraints = CA:TRUE\n";

/// Two authorities that know nothing of each other.
fn authorities() -> &'static Authorities {
    static MADE: OnceLock<Authorities> = OnceLock::new();
    MADE.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("conf"), CONFIGURATION).unwrap();
        fs::write(dir.path().join("serial"), "01\n").unwrap();
        for name in ["one", "other"] {
            let (key, cert) = (format!("{name}.key"), format!("{name}.pem"));
            let made = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "9"];
            let files = ["-config", "conf", "-extensions", "stamps", "-keyout", &key, "-out", &cert];
            openssl(dir.path(), &[&made[..], &files].concat());
        }
        Authorities { dir }
    })
}

impl Authorities {
    fn certificate(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("{name}.pem"))
    }

    /// Puts a stamp over a file beside it.
    fn stamp(&self, name: &str, data: &Path, into: &Path) {
        let (data, into) = (data.to_str().unwrap(), into.to_str().unwrap());
        let (key, cert) = (format!("{name}.key"), format!("{name}.pem"));
        let query = format!("{into}.query");
        openssl(self.dir.path(), &["ts", "-query", "-data", data, "-sha256", "-cert", "-out", &query]);
        let config = ["ts", "-reply", "-config", "conf", "-section", "tsa", "-queryfile", &query];
        openssl(self.dir.path(), &[&config[..], &["-signer", &cert, "-inkey", &key, "-out", into]].concat());
        fs::remove_file(query).unwrap();
    }
}

/// The program's own answer, with an authority's certificate.
fn asked(dir: &Path, certificate: &Path) -> (i32, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_blackstart"))
        .arg("verify")
        .arg(dir)
        .args(["--no-recompute", "--require", "stamped,signed", "--output", "plain", "--tsa-ca"])
        .arg(certificate)
        .arg("--allowed-signers")
        .arg(shop().allowed())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (out.status.code().unwrap(), String::from_utf8(out.stdout).unwrap())
}

#[test]
fn a_stamp_is_of_this_signature_and_by_this_authority() {
    let (run, by) = (copied(), authorities());
    let (signature, stamp) = (run.path().join("SHA256SUMS.sig"), run.path().join("SHA256SUMS.tsr"));
    let unstamped = asked(run.path(), &by.certificate("one"));
    assert_eq!(unstamped.0, 2, "{}", unstamped.1);

    by.stamp("one", &signature, &stamp);
    let verified = checked_fast(run.path());
    assert!(doubts(&verified).is_empty(), "{verified:?}");
    assert!(verified.runs[0].findings.iter().any(|f| f.kind == Kind::StampUnchecked && f.level == Level::Remark));
    let good = asked(run.path(), &by.certificate("one"));
    assert!(good.0 == 0 && good.1.contains("signed by the authority"), "{}", good.1);
    let stranger = asked(run.path(), &by.certificate("other"));
    assert!(stranger.0 == 1 && stranger.1.contains("SHA256SUMS.tsr: openssl ts -verify says no"), "{}", stranger.1);
    let nowhere = asked(run.path(), Path::new("/nowhere/ca.pem"));
    assert!(nowhere.0 == 2 && nowhere.1.contains("/nowhere/ca.pem"), "{}", nowhere.1);

    by.stamp("one", &run.path().join("report.json"), &stamp);
    assert!(names(&checked_fast(run.path()), Kind::StampMismatch, "SHA256SUMS.tsr"));
    assert_eq!(asked(run.path(), &by.certificate("one")).0, 1);
    let whole = fs::read(&stamp).unwrap();
    for length in [0, 1, whole.len() / 2] {
        fs::write(&stamp, &whole[..length]).unwrap();
        assert!(names(&checked_fast(run.path()), Kind::StampMismatch, "SHA256SUMS.tsr"), "cut at {length}");
    }
}
