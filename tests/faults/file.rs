//! Files that are taken away, cut off and damaged, and what becomes of what a program writes meanwhile.

use crate::support::{
    Place, blackstart, conforms, fault, heals_a_replaced_target, heals_what_was_never_injected, run_drill,
};
use blackstart::adapters::disk::Facts;
use blackstart::faults::{FaultError, FaultSpec, PreparedFault};
use blackstart::model::PinnedTarget;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A place with a target of kind `file` in a folder of its own.
fn with_file(bytes: &[u8]) -> (Place, PathBuf) {
    let place = Place::new();
    let folder = place.path().join("service");
    std::fs::create_dir(&folder).unwrap();
    let path = folder.join("data.bin");
    std::fs::write(&path, bytes).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
    std::os::unix::fs::chown(&path, Some(1), Some(1)).unwrap();
    let attribute = rustix::fs::setxattr(&path, "user.made-by", b"the service", rustix::fs::XattrFlags::empty());
    attribute.unwrap();
    let text = path.to_str().unwrap().to_owned();
    let find = move || {
        let fields = BTreeMap::from([("path".to_owned(), text.clone())]);
        Ok(PinnedTarget { name: "data".into(), kind: "file".into(), fields, ..Default::default() })
    };
    (place.with("data", find), path)
}

fn bytes() -> Vec<u8> {
    (0..200_000_u32).flat_map(|n| n.to_le_bytes()).collect()
}

async fn facts(place: &Place, path: &Path) -> Facts {
    let facts = place.world.disks.facts(path).await.unwrap().unwrap();
    // Comparing reads it.
    Facts { accessed: (0, 0), ..facts }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn all() -> Vec<FaultSpec> {
    vec![
        fault(json!({"file_remove": {"target": "data"}})),
        fault(json!({"file_truncate": {"target": "data"}})),
        fault(json!({"file_truncate": {"target": "data", "to": "1000B"}})),
        fault(json!({"file_corrupt": {"target": "data", "amount": {"bytes": "64B"}}})),
        fault(json!({"file_corrupt": {"target": "data", "amount": {"share": "10%"}, "seed": 7}})),
        fault(json!({"file_corrupt": {"target": "data", "amount": {"bytes": "2B"}, "at": [0, 4096]}})),
    ]
}

/// Prepared and injected.
async fn injected(place: &Place, spec: &FaultSpec) -> PreparedFault {
    place.pin();
    let undo = spec.prepare(&place.cx()).await.unwrap();
    let fault = PreparedFault { spec: spec.clone(), undo };
    fault.inject(&place.cx()).await.unwrap();
    assert!(fault.effective(&place.cx()).await.unwrap().holds, "{}", spec.kind());
    fault
}

async fn heals(place: &Place, fault: &PreparedFault) -> String {
    fault.heal(&place.cx()).await.unwrap();
    let look = fault.healed(&place.cx()).await.unwrap();
    assert!(look.holds, "{}", look.detail);
    assert_eq!(place.residue().await, []);
    look.detail
}

#[tokio::test]
async fn every_byte_and_all_that_belongs_to_a_file_comes_back() {
    for spec in all() {
        let (place, path) = with_file(&bytes());
        let before = facts(&place, &path).await;
        conforms(&place, &spec).await;
        heals_what_was_never_injected(&place, &spec).await;
        assert_eq!(std::fs::read(&path).unwrap(), bytes(), "{}", spec.kind());
        assert_eq!(facts(&place, &path).await, before, "{}", spec.kind());
        assert_eq!(names(path.parent().unwrap()), ["data.bin"]);
    }
}

#[tokio::test]
async fn what_a_program_wrote_meanwhile_is_kept_beside() {
    for kind in ["file_remove", "file_truncate"] {
        let (place, path) = with_file(&bytes());
        let spec = fault(json!({kind: {"target": "data"}}));
        heals_a_replaced_target(&place, &spec, || {
            drop(std::fs::remove_file(&path));
            std::fs::write(&path, "newer").unwrap();
        })
        .await;
        assert_eq!(std::fs::read(&path).unwrap(), bytes());
        let newer = format!("data.bin.newer-{}", place.owner().tag());
        assert_eq!(names(path.parent().unwrap()), ["data.bin".to_owned(), newer.clone()]);
        assert_eq!(std::fs::read_to_string(path.with_file_name(&newer)).unwrap(), "newer");
        assert_eq!(facts(&place, &path).await.mode, 0o640);
    }
}

#[tokio::test]
async fn the_detail_names_what_is_newer_and_a_second_one_does_not_cover_it() {
    let (place, path) = with_file(&bytes());
    let remove = fault(json!({"file_remove": {"target": "data"}}));
    for _ in 0..2 {
        let fault = injected(&place, &remove).await;
        std::fs::write(&path, "newer").unwrap();
        let detail = heals(&place, &fault).await;
        assert!(detail.contains(".newer-bs-"), "{detail}");
    }
    assert_eq!(names(path.parent().unwrap()).len(), 3);
}

#[tokio::test]
async fn a_log_that_grows_is_not_fought_over() {
    let (place, path) = with_file(b"line 1\nline 2\n");
    let fault = injected(&place, &fault(json!({"file_truncate": {"target": "data"}}))).await;
    fault.heal(&place.cx()).await.unwrap();
    std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"line 3\n").unwrap();
    let detail = heals(&place, &fault).await;
    assert!(detail.contains("grown"), "{detail}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "line 1\nline 2\nline 3\n");
}

#[tokio::test]
async fn a_heal_that_was_broken_off_goes_on() {
    let (place, path) = with_file(&bytes());
    let fault = injected(&place, &fault(json!({"file_truncate": {"target": "data", "to": "10B"}}))).await;
    // The first half was put back, and then the healer died.
    std::fs::write(&path, &bytes()[..400_000]).unwrap();
    assert!(!fault.healed(&place.cx()).await.unwrap().holds);
    heals(&place, &fault).await;
    assert_eq!(std::fs::read(&path).unwrap(), bytes());
    assert_eq!(names(path.parent().unwrap()), ["data.bin"], "nothing was written meanwhile");
}

#[tokio::test]
async fn a_range_that_was_written_anew_is_left_alone() {
    let (place, path) = with_file(&bytes());
    let spec = fault(json!({"file_corrupt": {"target": "data", "amount": {"bytes": "40B"}, "at": [100, 9000]}}));
    let fault = injected(&place, &spec).await;
    let damaged = std::fs::read(&path).unwrap();
    assert!(damaged != bytes() && damaged.len() == bytes().len());
    use std::os::unix::fs::FileExt;
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(b"twenty bytes, newer.", 9000).unwrap();
    let detail = heals(&place, &fault).await;
    assert!(detail.contains("1 of 2 ranges"), "{detail}");
    let mut expected = bytes();
    expected[9000..9020].copy_from_slice(b"twenty bytes, newer.");
    assert_eq!(std::fs::read(&path).unwrap(), expected);
}

#[tokio::test]
async fn damage_is_healed_in_a_copy_and_another_file_is_left_alone() {
    let spec = fault(json!({"file_corrupt": {"target": "data", "amount": {"bytes": "64B"}}}));
    let (place, path) = with_file(&bytes());
    heals_a_replaced_target(&place, &spec, || {
        let copy = path.with_extension("copy");
        std::fs::copy(&path, &copy).unwrap();
        std::fs::rename(&copy, &path).unwrap();
    })
    .await;
    assert_eq!(std::fs::read(&path).unwrap(), bytes());
    let fault = injected(&place, &spec).await;
    let other = vec![b'x'; 10_000];
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, &other).unwrap();
    let detail = heals(&place, &fault).await;
    assert!(detail.contains("written anew"), "{detail}");
    assert_eq!(std::fs::read(&path).unwrap(), other);
}

#[tokio::test]
async fn a_file_that_was_lost_is_not_called_healed() {
    let (place, path) = with_file(&bytes());
    let fault = injected(&place, &fault(json!({"file_remove": {"target": "data"}}))).await;
    let residue = place.residue().await;
    assert!(residue.len() == 1 && residue[0].by_hand.contains("data.bin"), "{residue:?}");
    std::fs::remove_file(path.with_file_name(format!(".blackstart-{}.data.bin", place.owner().tag()))).unwrap();
    fault.heal(&place.cx()).await.unwrap();
    let look = fault.healed(&place.cx()).await.unwrap();
    assert!(!look.holds && look.detail.contains("gone"), "{}", look.detail);
}

#[tokio::test]
async fn there_must_be_something_to_break() {
    let (place, path) = with_file(b"");
    place.pin();
    for spec in all().into_iter().skip(1) {
        let error = spec.prepare(&place.cx()).await.err().expect("an empty file");
        assert!(matches!(error, FaultError::NothingToBreak(_)), "{error}");
    }
    std::fs::remove_file(&path).unwrap();
    for spec in all() {
        let error = spec.prepare(&place.cx()).await.err().expect("no file");
        assert!(matches!(error, FaultError::NothingToBreak(_)), "{error}");
    }
}

#[test]
fn the_drill_breaks_a_file_in_three_ways() {
    let staging = tempfile::Builder::new().prefix("blackstart-file.").tempdir_in("/tmp").unwrap();
    let dir = format!("dir={}/staging", staging.path().display());
    std::fs::set_permissions(staging.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let ran = run_drill("drills/faults/file.yaml", &["--param", &dir, "--param", "port=15702"]);
    assert_eq!(ran.code, 0, "{}", ran.text);
    for fault in ["gone", "cut_off", "damaged"] {
        assert!(ran.bit(fault) && ran.healed(fault), "{fault}: {}", ran.text);
    }
    let status = blackstart(ran.place.path()).arg("status").output().unwrap();
    assert_eq!(status.status.code(), Some(0), "{}", String::from_utf8_lossy(&status.stdout));
}
