//! What is not true any more: an expired certificate, a clock that is wrong.

use crate::process::with_victim;
use crate::support::{Place, blackstart, conforms, fault, heals_what_was_never_injected, run_drill};
use blackstart::adapters::{AdapterError, World, certificate};
use blackstart::faults::{FaultError, PreparedFault};
use blackstart::model::PinnedTarget;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};

fn file(name: &str, path: &Path) -> Result<PinnedTarget, String> {
    let fields = BTreeMap::from([("path".to_owned(), path.display().to_string())]);
    Ok(PinnedTarget { name: name.into(), kind: "file".into(), fields, ..Default::default() })
}

/// A certificate and a key that only their owner may read.
fn with_certificate() -> Place {
    let place = Place::new();
    let (cert, key) = (place.path().join("cert.pem"), place.path().join("key.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"])
        .args(["-subj", "/CN=web.test", "-addext", "subjectAltName=DNS:web.test,IP:127.0.0.1"])
        .args([Path::new("-keyout"), &key, Path::new("-out"), &cert])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    place.with("certificate", move || file("certificate", &cert)).with("key", move || file("key", &key))
}

fn expired() -> serde_json::Value {
    json!({"certificate_expired": {"target": "certificate", "key": "key",
        "reload": {"command": {"argv": ["sh", "-c", "echo x >> reloads"]}}}})
}

#[tokio::test]
async fn an_expired_certificate_is_put_back_to_the_byte() {
    let place = with_certificate();
    let world = World::system();
    let look = |name: &str| world.files.look(&place.path().join(name)).unwrap().unwrap();
    let before = (look("cert.pem"), look("key.pem"));
    conforms(&place, &fault(expired())).await;
    heals_what_was_never_injected(&place, &fault(expired())).await;
    assert_eq!((look("cert.pem"), look("key.pem")), before);
    let names = std::fs::read_dir(place.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let drafts: Vec<_> = names.filter(|name| name.starts_with('.')).collect();
    assert!(drafts.is_empty(), "{drafts:?}");
}

#[tokio::test]
async fn it_is_for_the_same_names_and_the_key_fits() {
    let place = with_certificate();
    place.pin();
    let spec = fault(expired());
    let undo = spec.prepare(&place.cx()).await.unwrap();
    let fault = PreparedFault { spec, undo };
    let read = |name: &str| std::fs::read(place.path().join(name)).unwrap();
    let (before, key) = (certificate::names(&read("cert.pem")).unwrap(), read("key.pem"));
    fault.inject(&place.cx()).await.unwrap();
    let now = certificate::names(&read("cert.pem")).unwrap();
    assert_eq!((&now.common, &now.others), (&before.common, &before.others));
    assert!(now.until < before.until && now.digest != before.digest && read("key.pem") != key);
    let public = |of: &[&str]| Command::new("openssl").args(of).current_dir(place.path()).output().unwrap().stdout;
    let (of_cert, of_key) =
        (public(&["x509", "-in", "cert.pem", "-noout", "-pubkey"]), public(&["pkey", "-in", "key.pem", "-pubout"]));
    assert!(!of_cert.is_empty() && of_cert == of_key, "the pair fits");
    // Only a half was put back when the healer died.
    std::fs::write(place.path().join("key.pem"), &key).unwrap();
    assert!(!fault.healed(&place.cx()).await.unwrap().holds);
    fault.heal(&place.cx()).await.unwrap();
    assert!(fault.healed(&place.cx()).await.unwrap().holds && read("key.pem") == key);
}

/// A process under libfaketime that does nothing; ended however a test ends.
struct Faked(Child);

impl Drop for Faked {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
        // libfaketime leaves these behind when its process is killed.
        for left in ["faketime_shm_", "sem.faketime_sem_"] {
            drop(std::fs::remove_file(format!("/dev/shm/{left}{}", self.0.id())));
        }
    }
}

#[tokio::test]
async fn a_skewed_clock_is_right_again() {
    let place = Place::new();
    let library = std::fs::read_dir("/usr/lib").unwrap().flatten().map(|e| e.path().join("faketime/libfaketime.so.1"));
    let library = library.into_iter().find(|path| path.exists()).expect("libfaketime (tests/install.sh)");
    std::fs::write(place.path().join("offset"), "+0\n").unwrap();
    let mut sleeper = Command::new("sleep");
    sleeper.arg("600").env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", place.path().join("offset"));
    let faked = Faked(sleeper.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap());
    let (pid, world) = (i32::try_from(faked.0.id()).unwrap(), place.world.clone());
    let place = place.with("victim", move || {
        let process = world.processes.identify(pid).map_err(|e| e.to_string())?.ok_or("gone")?;
        Ok(PinnedTarget {
            name: "victim".into(),
            kind: "process".into(),
            processes: vec![process],
            ..Default::default()
        })
    });
    let who = place.world.processes.identify(pid).unwrap().unwrap();
    place.until("loaded", || async { place.world.processes.has_loaded(&who, "libfaketime").unwrap() }).await;
    let skew = fault(json!({"clock_skew": {"target": "victim", "by": "5m", "way": "behind"}}));
    conforms(&place, &skew).await;
    heals_what_was_never_injected(&place, &skew).await;
    assert_eq!(std::fs::read_to_string(place.path().join("offset")).unwrap(), "+0\n");
}

#[tokio::test]
async fn without_libfaketime_it_is_unavailable_and_says_why() {
    let (place, _victim) = with_victim();
    place.pin();
    let skew = fault(json!({"clock_skew": {"target": "victim", "by": "5m", "way": "ahead"}}));
    let error = skew.prepare(&place.cx()).await.err().unwrap();
    assert!(
        matches!(&error, FaultError::World(AdapterError::Missing(m)) if m.contains("unavailable, because")),
        "{error}"
    );
}

fn drill(playbook: &str, port: u16, fault: &str) {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let dir = format!("dir={}", folder.path().join("web").display());
    let ran = run_drill(playbook, &["--param", &dir, "--param", &format!("port={port}")]);
    assert_eq!(ran.code, 0, "{}", ran.text);
    assert!(ran.bit(fault) && ran.healed(fault), "{}", ran.text);
    assert_eq!(blackstart(ran.place.path()).arg("status").status().unwrap().code(), Some(0));
}

#[test]
fn the_certificate_drill_passes_and_leaves_nothing() {
    drill("drills/faults/certificate-expired.yaml", 17861, "expired");
}

#[test]
fn the_clock_drill_passes_and_leaves_nothing() {
    drill("drills/faults/clock-skew.yaml", 17871, "ahead");
}
