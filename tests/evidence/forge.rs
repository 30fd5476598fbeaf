//! Sealed runs made by hand, for the tests of `verify`: nothing of what seals runs in the program is used, so that both are
//! written from the same description and must agree. Signatures are made by the real `ssh-keygen`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use blackstart::evidence::verify::{Finding, Kind, Level, Policy, Verified, verify};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

pub const RUN: &str = "20261121T041443Z-afgei";

/// Everything that the tests of this file share: keys, who may sign, and one sealed run.
pub struct Shop {
    dir: tempfile::TempDir,
}

/// The shop, made once.
pub fn shop() -> &'static Shop {
    static SHOP: OnceLock<Shop> = OnceLock::new();
    SHOP.get_or_init(Shop::make)
}

impl Shop {
    fn make() -> Self {
        let shop = Self { dir: tempfile::tempdir().unwrap() };
        let mut allowed = String::new();
        for who in ["team", "reviewer", "stranger"] {
            let key = shop.key(who);
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-C", who, "-f"])
                .arg(&key)
                .stdin(Stdio::null())
                .status();
            assert!(made.unwrap().success());
            if who != "stranger" {
                let public = fs::read_to_string(key.with_extension("pub")).unwrap();
                allowed += &format!("{who}@example.org namespaces=\"drill-evidence\" {public}");
            }
        }
        fs::write(shop.allowed(), allowed).unwrap();
        let run = shop.sealed();
        copy(&PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/reports/sample")), &run);
        place(&run, RUN, &json!({"counter": 1}));
        render(&run);
        let text = "# How to check this run\n";
        fs::write(run.join("VERIFY.md"), text).unwrap();
        seal(&run, "team");
        shop
    }

    pub fn key(&self, who: &str) -> PathBuf {
        self.dir.path().join(who)
    }

    pub fn allowed(&self) -> PathBuf {
        self.dir.path().join("allowed_signers")
    }

    /// The run that all others are copies of. It is never changed.
    pub fn sealed(&self) -> PathBuf {
        self.dir.path().join("sealed")
    }
}

/// A copy of the sealed run to do something to.
pub fn copied() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    copy(&shop().sealed(), dir.path());
    dir
}

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

pub fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// The journal's events.
pub fn lines(dir: &Path) -> Vec<Value> {
    let text = fs::read_to_string(dir.join("journal.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Writes events as a journal whose chain holds: what a forger who knows the format would do.
pub fn chained(dir: &Path, events: Vec<Value>) {
    let (mut text, mut before) = (String::new(), "0".repeat(64));
    for (seq, mut event) in events.into_iter().enumerate() {
        event["seq"] = json!(seq);
        event["prev"] = json!(before);
        let line = event.to_string() + "\n";
        before = sha256(line.as_bytes());
        text += &line;
    }
    fs::write(dir.join("journal.jsonl"), text).unwrap();
}

/// Changes the start record and makes the chain hold again.
pub fn start(dir: &Path, change: impl FnOnce(&mut Value)) {
    let mut events = lines(dir);
    change(&mut events[0]["what"]["run_started"]);
    chained(dir, events);
}

/// Gives the run a name and a place, and says that the team will sign.
pub fn place(dir: &Path, run: &str, chain: &Value) {
    let signer = shop_fingerprint(dir);
    let mut events = lines(dir);
    events[0]["v"] = json!(3);
    let start = &mut events[0]["what"]["run_started"];
    start["run"] = json!(run);
    start["lineage"] = json!({"chain": chain, "chain_name": "quickstart@embedded@tests", "signer": signer});
    chained(dir, events);
}

/// The shop itself is still being made when its first run gets its place.
fn shop_fingerprint(dir: &Path) -> String {
    let near = dir.parent().unwrap().join("team");
    let key = if near.exists() { near } else { shop().key("team") };
    let out = Command::new("ssh-keygen").arg("-lf").arg(key).output().unwrap();
    String::from_utf8(out.stdout).unwrap().split(' ').nth(1).unwrap().to_owned()
}

/// Makes the reports from the record.
pub fn render(dir: &Path) {
    let stored = blackstart::journal::read(dir).unwrap();
    for (name, text) in blackstart::cli::recomputed(dir, stored).unwrap().reports {
        fs::write(dir.join(name), text).unwrap();
    }
}

/// All files of a folder, sorted, relative to it.
pub fn files(dir: &Path) -> Vec<String> {
    fn below(dir: &Path, prefix: &str, into: &mut Vec<String>) {
        for entry in fs::read_dir(dir).unwrap().flatten() {
            let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                below(&entry.path(), &format!("{name}/"), into);
            } else {
                into.push(name);
            }
        }
    }
    let mut found = Vec::new();
    below(dir, "", &mut found);
    found.sort();
    found
}

/// RFC 9162 §2.1.1, word for word.
fn root(lines: &[&[u8]]) -> Vec<u8> {
    match lines {
        [] => Sha256::digest([]).to_vec(),
        [one] => Sha256::new().chain_update([0]).chain_update(one).finalize().to_vec(),
        _ => {
            let half = lines.len().next_power_of_two() / 2;
            let (left, right) = (root(&lines[..half]), root(&lines[half..]));
            Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().to_vec()
        }
    }
}

const MADE: [&str; 5] = ["MANIFEST.json", "attestation.intoto.jsonl", "SHA256SUMS", "SHA256SUMS.sig", "SHA256SUMS.tsr"];

/// Writes the manifest that the folder should have, changed as one likes.
pub fn manifest(dir: &Path, change: impl FnOnce(&mut Value)) {
    let journal = fs::read(dir.join("journal.jsonl")).unwrap();
    let lines: Vec<&[u8]> = journal.split_inclusive(|byte| *byte == b'\n').collect();
    let started = self::lines(dir)[0]["what"]["run_started"].clone();
    let listed = files(dir).into_iter().filter(|f| !MADE.contains(&f.as_str()) && !f.starts_with("addenda/"));
    let entry = |path: String| {
        let bytes = fs::read(dir.join(&path)).unwrap();
        json!({"path": path, "bytes": bytes.len(), "sha256": sha256(&bytes)})
    };
    let mut manifest = json!({
        "schema": "blackstart/manifest/v1",
        "run": started["run"], "drill": started["drill"], "environment": started["environment"],
        "exit_code": reported(dir),
        "journal_head": sha256(lines.last().unwrap()),
        "journal_lines": lines.len(),
        "journal_root": root(&lines).iter().map(|b| format!("{b:02x}")).collect::<String>(),
        "files": listed.map(entry).collect::<Vec<_>>(),
    });
    if !started["lineage"]["chain"].is_null() {
        manifest["chain"] = started["lineage"]["chain"].clone();
    }
    change(&mut manifest);
    fs::write(dir.join("MANIFEST.json"), format!("{manifest:#}\n")).unwrap();
}

/// The exit code that the report says.
fn reported(dir: &Path) -> Value {
    let report = fs::read(dir.join("report.json")).ok();
    let report: Option<Value> = report.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    report.map_or(json!(0), |report| report["run"]["exit_code"].clone())
}

/// Changes the manifest as it lies there.
pub fn edit_manifest(dir: &Path, change: impl FnOnce(&mut Value)) {
    let path = dir.join("MANIFEST.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut manifest);
    fs::write(path, format!("{manifest:#}\n")).unwrap();
}

/// A statement about the manifest, in an envelope that nobody signed.
pub fn attest(dir: &Path) {
    let digest = sha256(&fs::read(dir.join("MANIFEST.json")).unwrap());
    let statement = json!({"_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "MANIFEST.json", "digest": {"sha256": digest}}],
        "predicateType": "https://in-toto.io/attestation/test-result/v0.1", "predicate": {"result": "PASSED"}});
    let envelope = json!({"payloadType": "application/vnd.in-toto+json",
        "payload": STANDARD.encode(statement.to_string()), "signatures": []});
    fs::write(dir.join("attestation.intoto.jsonl"), format!("{envelope}\n")).unwrap();
}

/// Writes `SHA256SUMS` over all that stands there.
pub fn sums(dir: &Path) {
    let beside = ["SHA256SUMS", "SHA256SUMS.sig", "SHA256SUMS.tsr"];
    let listed = files(dir).into_iter().filter(|f| !beside.contains(&f.as_str()) && !f.starts_with("addenda/"));
    let text: String = listed.map(|f| format!("{}  {f}\n", sha256(&fs::read(dir.join(&f)).unwrap()))).collect();
    fs::write(dir.join("SHA256SUMS"), text).unwrap();
}

/// Signs a file as an engineer would.
pub fn sign(file: &Path, who: &Path, namespace: &str) {
    let mut beside = file.as_os_str().to_owned();
    beside.push(".sig");
    drop(fs::remove_file(&beside));
    let done = Command::new("ssh-keygen")
        .args(["-q", "-Y", "sign", "-n", namespace, "-f"])
        .args([who, file])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(done.unwrap().success());
    assert!(Path::new(&beside).exists());
}

/// Seals all of it anew, as whoever has this key could.
pub fn seal(dir: &Path, who: &str) {
    manifest(dir, |_| ());
    seal_with_manifest(dir, who);
}

/// The same with the manifest as it lies there.
pub fn seal_with_manifest(dir: &Path, who: &str) {
    attest(dir);
    sums(dir);
    let near = dir.parent().unwrap().join(who);
    let key = if near.exists() { near } else { shop().key(who) };
    sign(&dir.join("SHA256SUMS"), &key, "drill-evidence");
}

/// Adds an addendum with this number, about the manifest that lies there.
pub fn addendum(dir: &Path, number: u32, change: impl FnOnce(&mut Value)) {
    let path = |number: u32| dir.join(format!("addenda/{number:04}-review.json"));
    fs::create_dir_all(dir.join("addenda")).unwrap();
    let mut addendum = json!({
        "schema": "blackstart/addendum/v1", "number": number, "run": lines(dir)[0]["what"]["run_started"]["run"],
        "manifest": sha256(&fs::read(dir.join("MANIFEST.json")).unwrap()),
        "at": "2026-11-22T09:00:00Z", "by": "Zoe Reviewer", "role": "auditor",
        "review": {"decision": "accepted", "notes": [{"field": "note", "text": "as planned"}]},
    });
    if number > 1 {
        addendum["previous"] = json!(sha256(&fs::read(path(number - 1)).unwrap()));
    }
    change(&mut addendum);
    fs::write(path(number), format!("{addendum:#}\n")).unwrap();
    sign(&path(number), &shop().key("reviewer"), "drill-evidence");
}

/// Checks a folder, or all runs below it, with the team's list of signers and everything computed again.
pub fn checked(dir: &Path) -> Verified {
    let allowed = fs::read_to_string(shop().allowed()).unwrap();
    let signers = Some(blackstart::evidence::allowed::AllowedSigners::parse(&allowed).unwrap());
    let recompute = blackstart::cli::recomputed;
    let folders = blackstart::evidence::verify::runs_below(dir).unwrap();
    verify(&folders, &Policy { signers, recompute: Some(&recompute), ..Policy::default() })
}

/// The same without computing verdicts again.
pub fn checked_fast(dir: &Path) -> Verified {
    let allowed = fs::read_to_string(shop().allowed()).unwrap();
    let signers = Some(blackstart::evidence::allowed::AllowedSigners::parse(&allowed).unwrap());
    let folders = blackstart::evidence::verify::runs_below(dir).unwrap();
    verify(&folders, &Policy { signers, ..Policy::default() })
}

/// Every finding that is worse than a remark.
pub fn doubts(verified: &Verified) -> Vec<&Finding> {
    verified.runs.iter().flat_map(|run| &run.findings).filter(|finding| finding.level > Level::Remark).collect()
}

/// Was this found, in this file?
pub fn names(verified: &Verified, kind: Kind, file: &str) -> bool {
    doubts(verified).iter().any(|finding| finding.kind == kind && finding.file == file)
}

/// Does `sha256sum -c` in the folder say that all is well?
pub fn sums_hold(dir: &Path) -> bool {
    let out = Command::new("sha256sum").args(["--status", "--strict", "-c", "SHA256SUMS"]).current_dir(dir).output();
    out.unwrap().status.success()
}

/// Does `ssh-keygen -Y verify` say that the team signed?
pub fn signature_holds(dir: &Path) -> bool {
    let Ok(sums) = fs::File::open(dir.join("SHA256SUMS")) else { return false };
    Command::new("ssh-keygen")
        .args(["-Y", "verify", "-I", "team@example.org", "-n", "drill-evidence", "-s"])
        .arg(dir.join("SHA256SUMS.sig"))
        .arg("-f")
        .arg(shop().allowed())
        .stdin(sums)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap()
        .success()
}
