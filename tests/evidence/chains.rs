//! What was done to a chain of runs shows: runs left out, swapped, sealed anew, pruned, or begun again.

use super::forge::*;
use super::tamper::append;
use blackstart::evidence::verify::{Kind, Level};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// Three runs of one chain, each naming the manifest of the one before.
pub fn chain_of_three() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut previous = Value::Null;
    for (counter, run) in NAMES.iter().enumerate() {
        let folder = dir.path().join(run);
        copy(&shop().sealed(), &folder);
        let chain =
            if counter == 0 { json!({"counter": 1}) } else { json!({"counter": counter + 1, "previous": previous}) };
        place(&folder, run, &chain);
        seal(&folder, "team");
        previous = json!({"run": run, "manifest": sha256(&fs::read(folder.join("MANIFEST.json")).unwrap())});
    }
    dir
}

const NAMES: [&str; 3] = ["20261121T041443Z-one", "20261122T041443Z-two", "20261123T041443Z-three"];

/// Seals a run of the chain anew with another place.
fn moved(dir: &Path, run: &str, chain: &Value) {
    place(&dir.join(run), run, chain);
    seal(&dir.join(run), "team");
}

fn digest_of(dir: &Path, run: &str) -> String {
    sha256(&fs::read(dir.join(run).join("MANIFEST.json")).unwrap())
}

#[test]
fn a_chain_of_runs_shows_what_was_done_to_it() {
    type Act = fn(&Path);
    let cheats: &[(&str, Kind, usize, Act)] = &[
        ("a run dropped", Kind::ChainGap, 2, |d| fs::remove_dir_all(d.join(NAMES[1])).unwrap()),
        ("a run sealed anew by its own team", Kind::ChainPrevious, 1, |d| {
            start(&d.join(NAMES[0]), |start| start["title"] = json!("nicer"));
            seal(&d.join(NAMES[0]), "team");
        }),
        ("a run before it swapped for another", Kind::ChainPrevious, 1, |d| {
            fs::remove_dir_all(d.join(NAMES[0])).unwrap();
            copy(&shop().sealed(), &d.join(NAMES[0]));
            moved(d, NAMES[0], &json!({"counter": 1, "previous": {"run": "20261101T000000Z-good"}}));
        }),
        ("two runs of one number", Kind::ChainFork, 2, |d| {
            let first = json!({"run": NAMES[0], "manifest": digest_of(d, NAMES[0])});
            moved(d, NAMES[2], &json!({"counter": 2, "previous": first}));
        }),
        ("numbers the wrong way round", Kind::ChainCounter, 2, |d| {
            let second = json!({"run": NAMES[1], "manifest": digest_of(d, NAMES[1])});
            moved(d, NAMES[2], &json!({"counter": 2, "previous": second}));
        }),
        ("the report of another run", Kind::Changed, 1, |d| {
            fs::copy(shop().sealed().join("report.json"), d.join(NAMES[1]).join("report.json")).unwrap();
            append(&d.join(NAMES[1]).join("report.json"), b" ");
        }),
        ("a run that says it is another", Kind::RunTwice, 1, |d| {
            place(&d.join(NAMES[1]), NAMES[0], &json!({"counter": 1}));
            start(&d.join(NAMES[1]), |start| start["title"] = json!("nicer"));
            seal(&d.join(NAMES[1]), "team");
        }),
        ("the seal of a run before removed", Kind::ChainPrevious, 1, |d| {
            for file in ["MANIFEST.json", "SHA256SUMS", "SHA256SUMS.sig", "attestation.intoto.jsonl"] {
                fs::remove_file(d.join(NAMES[0]).join(file)).unwrap();
            }
        }),
    ];
    let whole = chain_of_three();
    let verified = checked_fast(whole.path());
    assert!(doubts(&verified).is_empty(), "{:?}", doubts(&verified));
    for (name, kind, at, act) in cheats {
        let dir = tempfile::tempdir().unwrap();
        copy(whole.path(), dir.path());
        act(dir.path());
        let verified = checked_fast(dir.path());
        let folder = dir.path().join(NAMES[*at]);
        let run = verified.runs.iter().find(|run| run.folder == folder).unwrap();
        let found = run.findings.iter().any(|f| f.kind == *kind && f.level == Level::Broken);
        assert!(found, "{name}: {:?}", doubts(&verified));
    }
}

/// It may be that whoever kept it lost it: not called broken, and not hidden.
#[test]
fn a_chain_that_begins_again_is_remarked_upon() {
    let whole = chain_of_three();
    fs::remove_dir_all(whole.path().join(NAMES[2])).unwrap();
    moved(whole.path(), NAMES[1], &json!({"counter": 1}));
    let verified = checked_fast(whole.path());
    assert!(doubts(&verified).is_empty(), "{:?}", doubts(&verified));
    for run in &verified.runs {
        let remark = run.findings.iter().find(|finding| finding.kind == Kind::ChainRestarted).unwrap();
        assert!(remark.what.contains("quickstart@embedded@tests begins 2 times"), "{}", remark.what);
    }
}

/// A recovery that continues a sealed record says which manifest it replaces, and the run that names that one holds.
#[test]
fn a_run_that_was_sealed_anew_by_a_recovery_is_still_the_one_before() {
    let whole = chain_of_three();
    let first = whole.path().join(NAMES[0]);
    let replaced = digest_of(whole.path(), NAMES[0]);
    addendum(&first, 1, |_| ());
    manifest(&first, |manifest| manifest["replaces"] = json!([replaced]));
    seal_with_manifest(&first, "team");
    let verified = checked_fast(whole.path());
    assert!(doubts(&verified).is_empty(), "{:?}", doubts(&verified));
    assert!(verified.runs[1].findings.iter().any(|finding| finding.kind == Kind::ChainReplaced));
    let reviewed = verified.runs[0].findings.iter().find(|finding| finding.kind == Kind::AddendumBefore).unwrap();
    assert_eq!(reviewed.file, "addenda/0001-review.json");
    let files = digest_of(whole.path(), NAMES[0]);
    assert_ne!(files, replaced);
}

#[test]
fn runs_that_begin_later_are_remarked_upon_and_tombstones_stand_for_the_rest() {
    let whole = chain_of_three();
    let alone = checked_fast(&whole.path().join(NAMES[2]));
    assert!(doubts(&alone).is_empty(), "{:?}", doubts(&alone));
    let remark = alone.runs[0].findings.iter().find(|f| f.kind == Kind::ChainBegins).unwrap();
    assert!(remark.what.contains("runs 1–2 are not here"), "{}", remark.what);

    // The second run is pruned as it should be.
    let second = whole.path().join(NAMES[1]);
    let manifest: Value = serde_json::from_slice(&fs::read(second.join("MANIFEST.json")).unwrap()).unwrap();
    let tombstone = json!({"schema": "blackstart/tombstone/v1", "run": manifest["run"], "drill": manifest["drill"],
        "environment": manifest["environment"], "chain": manifest["chain"], "manifest": digest_of(whole.path(), NAMES[1]),
        "started": "2026-11-22T04:14:43Z", "journal_head": manifest["journal_head"], "verdict": "pass",
        "exit_code": manifest["exit_code"], "pruned_at": "2026-12-01T00:00:00Z", "by": "ops", "why": "older than a year"});
    let kept = ["MANIFEST.json", "SHA256SUMS", "SHA256SUMS.sig"];
    for file in files(&second).iter().filter(|file| !kept.contains(&file.as_str())) {
        fs::remove_file(second.join(file)).unwrap();
    }
    let write = |tombstone: &Value| fs::write(second.join("TOMBSTONE.json"), format!("{tombstone:#}\n")).unwrap();
    write(&tombstone);
    let verified = checked_fast(whole.path());
    assert!(doubts(&verified).is_empty(), "{:?}", doubts(&verified));
    assert!(verified.runs[1].findings.iter().any(|finding| finding.kind == Kind::Pruned));

    // Forged ones do not stand for anything.
    let forged = |name: &str, value: Value| {
        let mut forged = tombstone.clone();
        forged[name] = value;
        write(&forged);
        checked_fast(whole.path())
    };
    for (name, value) in [
        ("manifest", json!("0".repeat(64))),
        ("run", json!("20261101T000000Z-good")),
        ("chain", json!({"counter": 1})),
        ("exit_code", json!(7)),
        ("journal_head", json!("0".repeat(64))),
        ("schema", json!("a stone")),
    ] {
        assert!(names(&forged(name, value), Kind::Tombstone, "TOMBSTONE.json"), "{name}");
    }
    // One that was never sealed is named for what it is, and does not fit where a sealed one is named.
    let unsealed = forged("manifest", Value::Null);
    assert!(names(&unsealed, Kind::Tombstone, "TOMBSTONE.json"), "{unsealed:?}");
    write(&tombstone);
    append(&second.join("report.html"), b"nicer");
    assert!(names(&checked_fast(whole.path()), Kind::Added, "report.html"));
    fs::remove_file(second.join("report.html")).unwrap();
    fs::rename(second.join("MANIFEST.json"), whole.path().join("kept")).unwrap();
    assert!(names(&checked_fast(whole.path()), Kind::Missing, "MANIFEST.json"));
    fs::rename(whole.path().join("kept"), second.join("MANIFEST.json")).unwrap();
    edit_manifest(&second, |manifest| manifest["exit_code"] = json!(3));
    assert!(names(&checked_fast(whole.path()), Kind::Changed, "MANIFEST.json"));
}
