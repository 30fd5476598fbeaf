//! Old runs go and their tombstones stay, also when the program is killed meanwhile; and a run is one archive, the same bytes
//! each time, which stock tools unpack and check.

use crate::support::{Ended, Place};
use blackstart::evidence::manifest::{self, FileDigest, Manifest};
use blackstart::evidence::tombstone::{self, Tombstone};
use blackstart::journal;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

fn hex(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// Everything below, by path.
pub fn content(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let (mut found, mut todo) = (BTreeMap::new(), vec![dir.to_owned()]);
    while let Some(folder) = todo.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            if entry.file_type().unwrap().is_dir() {
                todo.push(entry.path());
            } else {
                let name = entry.path().strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
                found.insert(name, fs::read(entry.path()).unwrap());
            }
        }
    }
    found
}

/// A place with a drill that passes or fails as it is told.
pub fn place() -> Place {
    let place = Place::new();
    place.file("blackstart.yaml", "environments: {test: {}}\n");
    place.file(
        "short.yaml",
        "drill: short\nenvironment: test\nbaseline: 20ms\nparams: {word: {default: good}}\nverify:\n  - check: {command: \
         {argv: [echo, \"${params.word}\"], stdout: {equals: good}}}\n",
    );
    place
}

/// Runs it, and gives its folder.
pub fn ran(place: &Place, run: &str, word: &str) -> PathBuf {
    let param = format!("word={word}");
    let ended = place.run(&["run", "short.yaml", "--reports", "out", "--run-id", run, "--param", &param]);
    ended.code(i32::from(word != "good"));
    place.path().join("out/short").join(run)
}

/// Seals it as it is: manifest, digests, and a signature that is none.
pub fn seal(dir: &Path) -> PathBuf {
    unseal(dir);
    let stored = journal::read_events(dir).unwrap();
    let files = content(dir).into_iter().filter(|(path, _)| !path.starts_with("addenda/"));
    let files: Vec<FileDigest> =
        files.map(|(path, bytes)| FileDigest { path, bytes: bytes.len() as u64, sha256: hex(&bytes) }).collect();
    let manifest = serde_json::json!({"schema": manifest::VERSION, "run": dir.file_name().unwrap().to_str().unwrap(),
        "drill": "short", "environment": "test", "exit_code": 0, "journal_head": stored.head, "journal_lines": stored.lines,
        "journal_root": "", "files": files});
    // It is one.
    serde_json::from_value::<Manifest>(manifest.clone()).unwrap();
    fs::write(dir.join("MANIFEST.json"), manifest.to_string()).unwrap();
    let sums: String = content(dir)
        .iter()
        .filter(|(path, _)| !path.starts_with("addenda/"))
        .map(|(path, bytes)| format!("{}  {path}\n", hex(bytes)))
        .collect();
    fs::write(dir.join("SHA256SUMS"), sums).unwrap();
    fs::write(dir.join("SHA256SUMS.sig"), "signature").unwrap();
    dir.to_owned()
}

fn unseal(dir: &Path) {
    for name in ["MANIFEST.json", "attestation.intoto.jsonl", "SHA256SUMS", "SHA256SUMS.sig", "SHA256SUMS.tsr"] {
        fs::remove_file(dir.join(name)).ok();
    }
}

fn prune(place: &Place, arguments: &[&str]) -> Ended {
    place.run(&[&["prune", "out"], arguments].concat())
}

#[test]
fn old_runs_go_and_leave_what_the_chain_needs() {
    let place = place();
    let dirs: Vec<PathBuf> =
        [("r1", "good"), ("r2", "good"), ("r3", "bad"), ("r4", "bad"), ("r5", "bad"), ("r6", "bad")]
            .map(|(run, word)| seal(&ran(&place, run, word)))
            .to_vec();
    fs::create_dir(dirs[0].join("addenda")).unwrap();
    fs::write(dirs[0].join("addenda/0001-review.json"), "{}").unwrap();
    unseal(&dirs[3]);
    // Somebody changed a figure afterwards: that must not disappear.
    let report = fs::read_to_string(dirs[4].join("report.json")).unwrap();
    fs::write(dirs[4].join("report.json"), report.replace("short", "shirt")).unwrap();
    let before = content(place.path());

    let said = prune(&place, &["--keep", "1", "--dry-run"]).code(0).out;
    for line in [
        "remove  short/r1",
        "keep    short/r2",
        "the last pass of its drill",
        "remove  short/r3",
        "it was never sealed",
        "report.json is not as it was sealed",
        "the newest)",
        "2 runs would be removed",
    ] {
        assert!(said.contains(line), "{line}:\n{said}");
    }
    assert_eq!(content(place.path()), before, "a dry run changes nothing");

    let said = prune(&place, &["--keep", "1", "--why", "the quarter is over"]).code(0).out;
    assert!(said.contains("2 runs removed"), "{said}");
    let left = content(&dirs[0]);
    let names: Vec<&str> = left.keys().map(String::as_str).collect();
    assert_eq!(names, ["MANIFEST.json", "SHA256SUMS", "SHA256SUMS.sig", "TOMBSTONE.json", "addenda/0001-review.json"]);
    let stone: Tombstone = serde_json::from_slice(&left["TOMBSTONE.json"]).unwrap();
    assert_eq!(stone.schema, tombstone::VERSION);
    assert_eq!((stone.run.as_str(), stone.exit_code, stone.why.as_str()), ("r1", Some(0), "the quarter is over"));
    assert_eq!(stone.manifest.as_deref(), Some(hex(&left["MANIFEST.json"]).as_str()));
    assert_eq!(fs::read_dir(&dirs[2]).unwrap().count(), 4);
    for kept in [&dirs[1], &dirs[3], &dirs[4], &dirs[5]] {
        assert!(kept.join("journal.jsonl").exists(), "{}", kept.display());
    }
    // Nothing is left to do; what was never sealed goes only if that is said.
    assert!(prune(&place, &["--keep", "1"]).code(0).out.contains("0 runs removed"));
    assert!(prune(&place, &["--keep", "1", "--unsealed"]).code(0).out.contains("1 run removed"));
    assert!(prune(&place, &["--keep-for", "30d"]).code(0).out.contains("young enough"));
    prune(&place, &[]).code(64);
    prune(&place, &["--keep-for", "soon"]).code(64);
}

#[test]
fn a_tombstone_that_is_not_the_folders_removes_nothing() {
    let place = place();
    let (one, two) = (seal(&ran(&place, "r1", "good")), seal(&ran(&place, "r2", "good")));
    ran(&place, "r3", "good");
    prune(&place, &["--keep", "2"]).code(0);
    fs::copy(one.join("TOMBSTONE.json"), two.join("TOMBSTONE.json")).unwrap();
    let before = content(&two);
    let ended = prune(&place, &["--keep", "9"]).code(0);
    assert!(ended.err.contains("it does not belong to this folder"), "{}", ended.err);
    assert_eq!(content(&two), before);
}

#[test]
fn a_killed_removal_is_finished_by_the_next_one() {
    let place = place();
    let half_way = (0..8).any(|attempt| {
        let dir = ran(&place, &format!("r{attempt}"), "good");
        fs::create_dir_all(dir.join("ops/more")).unwrap();
        for n in 0..2_000 {
            fs::write(dir.join(format!("ops/more/{n}")), "x").unwrap();
        }
        seal(&dir);
        ran(&place, &format!("r{attempt}-newer"), "good");
        let mut child = place.start(&["prune", "out", "--keep", "1"]);
        let deadline = Instant::now() + Duration::from_secs(30);
        while !dir.join("TOMBSTONE.json").exists() {
            assert!(Instant::now() < deadline, "nothing is removed");
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let left = content(&dir);
        // Whatever the moment: the tombstone is whole, and so is what it keeps.
        let stone: Tombstone = serde_json::from_slice(&left["TOMBSTONE.json"]).unwrap();
        assert_eq!(stone.manifest.as_deref(), Some(hex(&left["MANIFEST.json"]).as_str()));
        let half_way = left.len() > 4;
        let said = prune(&place, &["--keep", "99"]).code(0).out;
        assert_eq!(said.contains("its removal was begun, and is finished"), half_way, "{said}");
        let names: Vec<String> = content(&dir).into_keys().collect();
        assert_eq!(names, ["MANIFEST.json", "SHA256SUMS", "SHA256SUMS.sig", "TOMBSTONE.json"]);
        assert!(!dir.join("ops").exists());
        half_way
    });
    assert!(half_way, "it was never killed half-way");
}

fn stock(program: &str, arguments: &[&str], at: &Path) -> String {
    let done = Command::new(program).args(arguments).current_dir(at).output().unwrap();
    let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
    assert!(done.status.success(), "{program} {arguments:?}: {said}");
    said
}

#[test]
fn a_bundle_is_the_same_bytes_each_time_and_stock_tools_check_it() {
    let place = place();
    let dir = seal(&ran(&place, "r1", "good"));
    let bundle = |run: &str, to: &str| {
        place.run(&["bundle", run, "--output", to]).code(0);
        fs::read(place.path().join(to)).unwrap()
    };
    let first = bundle("out/short/r1", "one.tar.gz");
    // Another disk, other times, other rights, another order.
    fs::create_dir_all(place.path().join("copy")).unwrap();
    for (name, bytes) in content(&dir).into_iter().rev() {
        let to = place.file(&format!("copy/r1/{name}"), "");
        fs::write(&to, bytes).unwrap();
        stock("chmod", &["600", to.to_str().unwrap()], place.path());
        stock("touch", &["-d", "2001-02-03", to.to_str().unwrap()], place.path());
    }
    assert_eq!(bundle("copy/r1", "two.tar.gz"), first);
    assert_eq!(bundle("out/short/r1", "one.tar.gz"), first);
    let listed = stock("tar", &["tvzf", "one.tar.gz", "--numeric-owner"], place.path());
    assert!(listed.lines().all(|line| line.starts_with("-rw-r--r-- 0/0")), "{listed}");
    fs::create_dir(place.path().join("unpacked")).unwrap();
    stock("tar", &["xzf", "../one.tar.gz"], &place.path().join("unpacked"));
    let there = place.path().join("unpacked/r1");
    assert_eq!(content(&there), content(&dir));
    stock("sha256sum", &["--quiet", "--strict", "-c", "SHA256SUMS"], &there);

    let inside = place.run(&["bundle", "out/short/r1", "--output", "out/short/r1/x.tar.gz"]).code(64);
    assert!(inside.err.contains("lies in the run's folder"), "{}", inside.err);
    fs::write(dir.join("note.txt"), "mine").unwrap();
    let added = place.run(&["bundle", "out/short/r1", "--output", "x.tar.gz"]).code(2);
    assert!(added.err.contains("note.txt was added"), "{}", added.err);
    fs::remove_file(dir.join("note.txt")).unwrap();
    fs::write(dir.join("report.md"), "other").unwrap();
    let broken = place.run(&["bundle", "out/short/r1", "--output", "x.tar.gz", "--unsealed"]).code(2);
    assert!(broken.err.contains("report.md is not as it was sealed"), "{}", broken.err);
    unseal(&dir);
    let never = place.run(&["bundle", "out/short/r1", "--output", "x.tar.gz"]).code(2);
    assert!(never.err.contains("--unsealed"), "{}", never.err);
    place.run(&["bundle", "out/short/r1", "--output", "x.tar.gz", "--unsealed"]).code(0);
    fs::write(dir.join("UNSEALED"), "a secret").unwrap();
    place.run(&["bundle", "out/short/r1", "--output", "x.tar.gz", "--unsealed"]).code(2);
}
