//! What people add to runs, and what several runs say together: through the binary, on runs that are copies of the sample.

use blackstart::evidence::addendum::Addendum;
use blackstart::evidence::manifest::{self, FileDigest, Manifest};
use blackstart::journal::digest;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use tempfile::TempDir;

const NASTY: &str = "</style><script>alert(1)</script>|`*\"'&]]>\u{1b}[31m\u{202e}\n::error::x";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn blackstart(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_blackstart")).args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A copy of the sample under another name, with another time, and with what `change` makes of its report.
struct Runs(TempDir);

impl Runs {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn unsealed(&self, drill: &str, run: &str, started: &str, change: impl FnOnce(&mut Value)) -> PathBuf {
        let (from, to) = (root().join("reports/sample"), self.0.path().join(drill).join(run));
        fs::create_dir_all(to.join("ops")).unwrap();
        for name in ["playbook.yaml", "playbook.resolved.yaml", "report.md"] {
            fs::copy(from.join(name), to.join(name)).unwrap();
        }
        let journal = fs::read_to_string(from.join("journal.jsonl")).unwrap();
        let mut start: Value = serde_json::from_str(journal.lines().next().unwrap()).unwrap();
        start["at"]["wall"] = json!(started);
        start["what"]["run_started"]["run"] = json!(run);
        fs::write(to.join("journal.jsonl"), format!("{start}\n")).unwrap();
        let text = fs::read_to_string(from.join("report.json")).unwrap();
        let mut report: Value = serde_json::from_str(&text).unwrap();
        report["run"]["id"] = json!(run);
        report["run"]["drill"] = json!(drill);
        report["run"]["started"] = json!(started);
        change(&mut report);
        fs::write(to.join("report.json"), report.to_string()).unwrap();
        to
    }

    fn sealed(&self, drill: &str, run: &str, started: &str, change: impl FnOnce(&mut Value)) -> PathBuf {
        let dir = self.unsealed(drill, run, started, change);
        let report: Value = serde_json::from_slice(&fs::read(dir.join("report.json")).unwrap()).unwrap();
        let names = ["journal.jsonl", "playbook.resolved.yaml", "playbook.yaml", "report.json", "report.md"];
        let file = |name: &str| {
            let bytes = fs::read(dir.join(name)).unwrap();
            FileDigest { path: name.to_owned(), bytes: bytes.len() as u64, sha256: digest(&bytes) }
        };
        let manifest = Manifest {
            schema: manifest::VERSION.to_owned(),
            run: run.into(),
            drill: drill.into(),
            environment: report["run"]["environment"].as_str().unwrap().to_owned(),
            exit_code: u8::try_from(report["run"]["exit_code"].as_u64().unwrap()).unwrap(),
            journal_head: report["journal"]["head"].as_str().unwrap().to_owned(),
            journal_lines: 1,
            journal_root: String::new(),
            chain: None,
            replaces: Vec::new(),
            files: names.map(file).into(),
        };
        fs::write(dir.join(manifest::FILE), serde_json::to_string_pretty(&manifest).unwrap()).unwrap();
        dir
    }
}

fn review(dir: &Path, arguments: &[&str]) -> Output {
    blackstart(&[&["review", dir.to_str().unwrap()], arguments].concat())
}

fn accepted(dir: &Path, arguments: &[&str]) {
    let output = review(dir, arguments);
    assert!(output.status.success(), "{}", said(&output));
}

/// It ends with this code and says this.
fn refused(output: &Output, code: i32, what: &str) {
    let said = said(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(what), "`{what}` is not in:\n{said}");
}

fn addendum(dir: &Path, number: u32) -> (Addendum, Vec<u8>) {
    let bytes = fs::read(dir.join(format!("addenda/{number:04}-review.json"))).unwrap();
    (serde_json::from_slice(&bytes).unwrap(), bytes)
}

/// Every file of a run but its addenda, with its bytes.
fn contents(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).filter(|p| p.is_file()).collect();
    files.sort();
    files.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

fn unchanged(_: &mut Value) {}

#[test]
fn reviews_are_chained_and_never_change_the_run() {
    let runs = Runs::new();
    let dir = runs.sealed("store", "r1", "2026-08-01T10:00:00Z", unchanged);
    let before = contents(&dir);
    let first = ["--by", "Kim Berg", "--role", "head", "--accept-with-actions", "--note", "lesson=page earlier"];
    let actions = [
        "--action",
        "page the right rota; owner=Ann Lee; due=2026-10-01; retest",
        "--action",
        "write it down; owner=Bo",
    ];
    let output = review(&dir, &[first.as_slice(), &actions].concat());
    assert!(output.status.success() && said(&output).contains("NOT SIGNED"), "{}", said(&output));
    accepted(
        &dir,
        &["--by", "Lou", "--note", "root_cause=the rota", "--action", "third; owner=Cy", "--close", "2=CHG-1"],
    );
    assert_eq!(contents(&dir), before, "a review changes nothing that was sealed");

    let ((one, bytes), (two, _)) = (addendum(&dir, 1), addendum(&dir, 2));
    let manifest = digest(&fs::read(dir.join(manifest::FILE)).unwrap());
    assert_eq!((one.number, one.previous.as_deref(), one.manifest.as_str()), (1, None, manifest.as_str()));
    assert_eq!((two.number, two.previous, two.manifest), (2, Some(digest(&bytes)), manifest));
    let numbers: Vec<u32> = one.review.actions.iter().chain(&two.review.actions).map(|action| action.number).collect();
    assert_eq!(numbers, [1, 2, 3], "numbers go on over reviews");
    assert_eq!((two.review.closes[0].run.as_str(), two.review.closes[0].number), ("r1", 2));

    let shown = said(&review(&dir, &["--show"]));
    for part in
        ["Kim Berg, head: accepts the run, with actions", "page the right rota", "done: r1#2, CHG-1", "not signed"]
    {
        assert!(shown.contains(part), "{part} is not in:\n{shown}");
    }
}

#[test]
fn what_cannot_be_reviewed_is_refused_with_what_to_do() {
    let runs = Runs::new();
    let bare = runs.unsealed("store", "r0", "2026-08-01T09:00:00Z", unchanged);
    refused(&review(&bare, &["--by", "Kim", "--accept"]), 64, "is not sealed");
    let dir = runs.sealed("store", "r1", "2026-08-01T10:00:00Z", unchanged);
    let by = |more: &[&str]| review(&dir, &[&["--by", "Kim"], more].concat());
    refused(&review(&dir, &["--accept"]), 64, "a review has a name");
    refused(&by(&[]), 64, "nothing is said");
    refused(&by(&["--accept", "--reject"]), 64, "cannot be used with");
    refused(&by(&["--accept-with-actions"]), 64, "there is none");
    refused(&by(&["--accept", "--note", "rootcause=x"]), 64, "did you mean `root_cause`?");
    refused(&by(&["--action", "x; owner=A; due=soon"]), 64, "write it like 2027-01-31");
    refused(&by(&["--action", "x"]), 64, "nobody is to do it");
    refused(&by(&["--close", "7=done"]), 64, "there is no action r1#7");
    refused(&by(&["--close", "other#1=done"]), 64, "there is no run `other` beside this one");
    refused(&by(&["--close", "../../etc#1=done"]), 64, "there is no run");
    refused(&by(&["--action", "x; owner=A; retest", "--close", "1=done"]), 64, "is to be retested");
    refused(&by(&["--accept", "--sign-with", "/nowhere/key"]), 64, "nothing was written");
    assert!(!dir.join("addenda").exists(), "what is refused leaves nothing behind");
    fs::write(dir.join("report.md"), "all is well").unwrap();
    refused(&by(&["--accept"]), 1, "this is not what was sealed: report.md");
}

#[test]
fn a_review_comes_from_a_file_too() {
    let runs = Runs::new();
    let dir = runs.sealed("store", "r1", "2026-08-01T10:00:00Z", unchanged);
    let file = runs.0.path().join("review.yaml");
    let text = "by: Kim\ndecision: accepted_with_actions\nnotes: [{field: deviation, text: late}]\n\
                actions: [{text: \"a; b\", owner: Ann, due: 2027-01-31, retest: true}]\n";
    fs::write(&file, text).unwrap();
    accepted(&dir, &["--from", file.to_str().unwrap(), "--by", "Lou"]);
    let (one, _) = addendum(&dir, 1);
    assert_eq!((one.by.as_str(), one.review.actions[0].text.as_str()), ("Lou", "a; b"));
    fs::write(&file, "by: Kim\ndecison: accepted\nactions: [{text: x, owner: A, due: 31.1.2027}]\n").unwrap();
    let output = review(&dir, &["--from", file.to_str().unwrap()]);
    refused(&output, 64, "did you mean `decision`?");
    refused(&output, 64, "review.yaml:2:1");
}

#[test]
fn two_reviewers_at_once_lose_nothing() {
    let runs = Runs::new();
    let dir = runs.sealed("store", "r1", "2026-08-01T10:00:00Z", unchanged);
    thread::scope(|scope| {
        for name in ["Ann", "Bo", "Cy"] {
            let dir = &dir;
            scope.spawn(move || accepted(dir, &["--by", name, "--action", "x; owner=A"]));
        }
    });
    let mut all: Vec<String> = Vec::new();
    let mut previous = None;
    for number in 1..=3 {
        let (one, bytes) = addendum(&dir, number);
        assert_eq!((one.previous, one.review.actions[0].number), (previous, number));
        previous = Some(digest(&bytes));
        all.push(one.by);
    }
    all.sort();
    assert_eq!(all, ["Ann", "Bo", "Cy"]);
    assert_eq!(fs::read_dir(dir.join("addenda")).unwrap().count(), 3);
}

#[test]
fn nothing_is_added_to_reviews_that_do_not_hold_together() {
    let runs = Runs::new();
    let dir = runs.sealed("store", "r1", "2026-08-01T10:00:00Z", unchanged);
    accepted(&dir, &["--by", "Kim", "--reject"]);
    accepted(&dir, &["--by", "Lou", "--note", "note=x"]);
    let one = dir.join("addenda/0001-review.json");
    let text = fs::read_to_string(&one).unwrap();
    fs::write(&one, text.replace("rejected", "accepted")).unwrap();
    refused(&review(&dir, &["--by", "Cy", "--accept"]), 1, "it does not name the one before it");
    fs::remove_file(&one).unwrap();
    refused(&review(&dir, &["--by", "Cy", "--accept"]), 1, "one before it is missing");
}

/// A folder in which a drill that breaks nothing can really be run, and a key.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let playbook = "drill: looks\nenvironment: embedded\nmetadata: {x_note: y}\nbaseline: 100ms\n\
                        verify: [{check: {command: {argv: [\"true\"]}}}]\n";
        fs::write(place.at("looks.yaml"), playbook).unwrap();
        let made = place.keygen(&["-q", "-t", "ed25519", "-N", "", "-C", "kim", "-f", "key"], Stdio::null());
        assert!(made.status.success(), "{}", said(&made));
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn keygen(&self, arguments: &[&str], stdin: Stdio) -> Output {
        Command::new("ssh-keygen").args(arguments).current_dir(self.0.path()).stdin(stdin).output().unwrap()
    }

    fn run(&self, name: &str, more: &[&str]) -> PathBuf {
        let output = Command::new(env!("CARGO_BIN_EXE_blackstart"))
            .args(["run", "looks.yaml", "--reports", "reports", "--volatile-state", "--run-id", name])
            .args(more)
            .env("BLACKSTART_STATE_DIR", self.at("state"))
            .current_dir(self.0.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", said(&output));
        self.at("reports/looks").join(name)
    }

    fn key(&self) -> String {
        self.at("key").display().to_string()
    }
}

fn reported(dir: &Path) -> Output {
    blackstart(&["after-action", dir.to_str().unwrap(), "--format", "markdown"])
}

#[test]
fn a_review_is_signed_and_ssh_keygen_believes_it() {
    let place = Place::new();
    let (run, key) = (place.run("one", &[]), place.key());
    let output = review(&run, &["--by", "Kim", "--action", "mend it; owner=Ann", "--sign-with", &key]);
    assert!(output.status.success() && said(&output).contains("signed by SHA256:"), "{}", said(&output));
    let public = fs::read_to_string(place.at("key.pub")).unwrap();
    fs::write(place.at("allowed"), format!("kim@example.org {public}")).unwrap();
    let addendum = run.join("addenda/0001-review.json");
    let signature = format!("{}.sig", addendum.display());
    let verify = ["-Y", "verify", "-f", "allowed", "-I", "kim@example.org", "-n", "drill-evidence", "-s", &signature];
    let verified = place.keygen(&verify, fs::File::open(&addendum).unwrap().into());
    assert!(verified.status.success(), "{}", said(&verified));

    let shown = said(&reported(&run));
    assert!(shown.contains("| SHA256:") && shown.contains("| sealed, not signed |"), "{shown}");
    let good = fs::read_to_string(&addendum).unwrap();
    fs::write(&addendum, good.replace("Ann", "Bob")).unwrap();
    refused(&reported(&run), 2, "its reviews are not used: the signature of review 1 is none");
    assert!(said(&review(&run, &["--show"])).contains("WITH A SIGNATURE THAT IS NONE"));

    // Whoever signs a run and its review with one key shows nobody that two people looked at it.
    let own = place.run("two", &["--sign-with", &key]);
    let output = review(&own, &["--by", "Kim", "--accept", "--sign-with", &key]);
    assert!(output.status.success() && said(&output).contains("this key signed the run, too"), "{}", said(&output));
    let shown = said(&reported(&own));
    assert!(shown.contains("the key of the run itself") && shown.contains("| signed by SHA256:"), "{shown}");
    fs::copy(run.join("SHA256SUMS"), own.join("SHA256SUMS")).unwrap();
    refused(&reported(&own), 2, "its signature is none");
}

#[test]
fn open_actions_are_sealed_in_the_next_run_and_told_until_they_are_done() {
    let place = Place::new();
    let first = place.run("one", &[]);
    accepted(&first, &["--by", "Kim", "--action", "mend <b>it</b>; owner=Ann; due=2020-01-01"]);
    let second = place.run("two", &[]);
    let start = fs::read_to_string(second.join("journal.jsonl")).unwrap();
    let start: Value = serde_json::from_str(start.lines().next().unwrap()).unwrap();
    let actions = &start["what"]["run_started"]["lineage"]["actions"];
    let action = json!([{"run": "one", "number": 1, "text": "mend <b>it</b>", "owner": "Ann", "due": "2020-01-01"}]);
    assert_eq!(actions, &action);
    let report = fs::read_to_string(second.join("report.md")).unwrap();
    assert!(report.contains("## Open actions of earlier runs") && report.contains("mend &lt;b&gt;it"), "{report}");
    assert!(report.contains("✗ 2020-01-01, past"), "{report}");
    assert!(blackstart(&["analyze", second.to_str().unwrap()]).status.success());

    // The first run is taken away: what its review asked for is still known, and can be closed.
    fs::rename(&first, place.at("elsewhere")).unwrap();
    let kept = fs::read_to_string(place.run("kept", &[]).join("report.md")).unwrap();
    assert!(kept.contains("mend &lt;b&gt;it"), "{kept}");
    refused(&review(&second, &["--by", "Kim", "--close", "one#2=done"]), 64, "there is no run `one`");
    accepted(&second, &["--by", "Kim", "--close", "one#1=done in CHG-1"]);
    refused(&review(&second, &["--by", "Kim", "--close", "one#1=again"]), 64, "closed already");
    fs::rename(place.at("elsewhere"), &first).unwrap();
    let third = fs::read_to_string(place.run("three", &[]).join("report.md")).unwrap();
    assert!(!third.contains("Open actions"), "{third}");
}

#[test]
fn open_actions_are_those_that_nothing_closed() {
    use blackstart::evidence::actions::earlier;
    let runs = Runs::new();
    let folder = runs.0.path().join("store");
    let first = runs.sealed("store", "r1", "2026-08-01T10:00:00Z", unchanged);
    let long = format!("z{}; owner=Ann", "x".repeat(900));
    accepted(&first, &["--by", "Kim", "--action", "retest me; owner=Ann; due=2027-01-01; retest", "--action", &long]);
    let open = earlier(&folder, "embedded");
    assert_eq!((open.actions.len(), open.unread.len()), (2, 0));
    assert_eq!(open.actions[0].text, "retest me", "what is due first stands first");
    assert_eq!(open.actions[1].text.chars().count(), 500, "a start record is not filled with it");
    assert!(earlier(&folder, "elsewhere").actions.is_empty());

    runs.sealed("store", "r2", "2096-08-01T10:00:00Z", |report| report["run"]["exit_code"] = json!(1));
    assert_eq!(earlier(&folder, "embedded").actions.len(), 2, "a run that failed retests nothing");
    let third = runs.sealed("store", "r3", "2097-08-01T10:00:00Z", unchanged);
    assert_eq!(earlier(&folder, "embedded").actions.len(), 1);
    accepted(&third, &["--by", "Kim", "--close", "r1#2=CHG-1"]);
    assert!(earlier(&folder, "embedded").actions.is_empty());
    refused(&review(&third, &["--by", "Kim", "--close", "r1#2=again"]), 64, "closed already");

    fs::write(first.join("addenda/0001-review.json"), "{}").unwrap();
    let broken = earlier(&folder, "embedded");
    assert!(broken.actions.is_empty() && broken.unread.len() == 1, "{:?}", broken.unread);
}

/// A quarter with all that can happen in one.
fn quarter(runs: &Runs) {
    let metadata = |report: &mut Value, every: &str| {
        report["run"]["metadata"] = json!({
            "owner": ["data-platform"], "approver": ["Kim Berg, head of platform"], "every": [every],
            "systems": ["orders-db", "checkout"], "third_parties": ["stripe: stubbed"], "kind": ["functional"],
            "controls": ["soc2/A1.3", "iso-27001/A.5.30", "nist-csf/RC.RP-1"],
        });
        report["run"]["host"]["trigger"] = json!("ci");
    };
    let early = runs.sealed("failover", "a1", "2026-06-20T10:00:00Z", |r| metadata(r, "quarterly"));
    accepted(&early, &["--by", "Kim", "--action", "old and open; owner=Ann; due=2026-07-15"]);
    let failed = runs.sealed("failover", "a2", "2026-07-10T10:00:00Z", |report| {
        metadata(report, "quarterly");
        report["run"]["verdict"] = json!("fail");
        report["run"]["exit_code"] = json!(1);
        report["run"]["reasons"] = json!(["RTO of `orders` missed by 2 s"]);
        report["objectives"][0]["verdict"] = json!("fail");
        report["objectives"][0]["actual"] = json!({"low": 11.8, "best": 12.0, "high": 12.2});
    });
    let asks = ["--action", "make it faster; owner=Bo; due=2026-12-01; retest", "--note", "root_cause=cold cache"];
    accepted(&failed, &[["--by", "Kim", "--role", "head", "--reject"].as_slice(), &asks].concat());
    let passed = runs.sealed("failover", "a3", "2026-08-10T10:00:00Z", |r| metadata(r, "quarterly"));
    accepted(&passed, &["--by", "Kim", "--accept", "--note", "lesson=warm the cache", "--note", "deviation=none"]);
    runs.sealed("failover", "a4", "2026-09-01T10:00:00Z", |report| {
        metadata(report, "quarterly");
        report["run"]["state"] = json!("aborted");
        report["run"]["verdict"] = json!("inconclusive");
        report["run"]["exit_code"] = json!(4);
        report["objectives"][0]["actual"] = json!(null);
        report["objectives"][0]["verdict"] = json!("inconclusive");
    });
    runs.sealed("restore", "b1", "2026-04-01T10:00:00Z", |r| metadata(r, "30d"));
    runs.unsealed("restore", "b2", "2026-07-20T10:00:00Z", |report| {
        metadata(report, "30d");
        report["run"]["verdict"] = json!("inconclusive");
        report["run"]["exit_code"] = json!(2);
    });
    let altered = runs.sealed("restore", "b3", "2026-09-10T10:00:00Z", unchanged);
    let path = altered.join("report.json");
    fs::write(&path, fs::read_to_string(&path).unwrap().replace("\"exit_code\":0", "\"exit_code\":00")).unwrap();
    runs.sealed("restore", "b4", "2026-10-02T10:00:00Z", |r| metadata(r, "30d"));
}

fn after_action(runs: &Runs, arguments: &[&str]) -> Output {
    let folder = runs.0.path().to_str().unwrap();
    let time = ["--from", "2026-07-01", "--until", "2026-09-30"];
    Command::new(env!("CARGO_BIN_EXE_blackstart"))
        .args([["after-action", "."].as_slice(), &time, arguments].concat())
        .current_dir(folder)
        .output()
        .unwrap()
}

#[test]
fn a_quarter_is_one_report() {
    let runs = Runs::new();
    quarter(&runs);
    let output = after_action(&runs, &["--format", "markdown", "--title", "Third quarter"]);
    assert_eq!(output.status.code(), Some(2), "one folder cannot be relied on: {}", said(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    // When a review was written is not in anybody's hand.
    let today = chrono::Utc::now().format("%Y-%m-%d").to_string();
    let stable = text.replace(&format!("| {today} |"), "| TODAY |");
    let golden = root().join("tests/history/people/quarter.md");
    if std::env::var_os("BLESS").is_some() {
        fs::create_dir_all(golden.parent().unwrap()).unwrap();
        fs::write(&golden, &stable).unwrap();
    }
    assert_eq!(stable, fs::read_to_string(&golden).unwrap_or_default(), "BLESS=1 cargo test --test history accepts it");
    assert_eq!(
        text,
        String::from_utf8(after_action(&runs, &["--format", "markdown", "--title", "Third quarter"]).stdout).unwrap()
    );
}

#[test]
fn programs_get_the_same_report_with_a_schema() {
    let runs = Runs::new();
    quarter(&runs);
    let output = after_action(&runs, &["--format", "json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let schema: Value = serde_json::from_slice(&blackstart(&["schema", "after-action"]).stdout).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let wrong: Vec<String> = validator.iter_errors(&report).map(|e| format!("{}: {e}", e.instance_path)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let counts = &report["counts"];
    assert_eq!((&counts["runs"], &counts["passed"], &counts["aborted"]), (&json!(4), &json!(1), &json!(1)));
    let standing = |n: usize| (report["drills"][n]["standing"].clone(), report["drills"][n]["next_due"].clone());
    assert_eq!(standing(0), (json!("in_time"), json!("2026-11-10")), "a rejected or aborted run is no pass");
    assert_eq!(standing(1), (json!("overdue"), json!("2026-05-01")), "what came after the time does not count");
    let points = report["drills"][0]["objectives"][0]["points"].as_array().unwrap();
    assert_eq!(points.iter().map(|p| &p["best"]).collect::<Vec<_>>()[0], &json!(12.0));
    assert_eq!(points[2]["best"], Value::Null, "what was not measured is null, not 0");
    let open: Vec<&Value> = report["actions"].as_array().unwrap().iter().filter(|a| a["standing"] == "open").collect();
    assert_eq!(open.len(), 2, "an action of an earlier quarter that is open stands there, too: {open:?}");
    let a1_3 = report["controls"].as_array().unwrap().iter().find(|c| c["control"] == "soc2/A1.3").unwrap();
    assert_eq!(a1_3["passed"], json!(1));
    let (filled, missing) = (a1_3["filled"].to_string(), a1_3["missing"].to_string());
    assert!(filled.contains("13") && missing.contains("17") && missing.contains('6'), "{filled} {missing}");
    assert!(report["doubts"][0]["why"].as_str().unwrap().contains("altered after it was sealed: report.json"));
}

#[test]
fn hostile_names_stay_text_in_every_format() {
    let runs = Runs::new();
    for run in ["h1", "h2"] {
        let dir = runs.sealed("hostile", run, "2026-08-01T10:00:00Z", |report| {
            report["run"]["metadata"] = json!({NASTY: [NASTY], "owner": [NASTY], "systems": [NASTY], "every": ["1d"],
                "third_parties": [NASTY], "controls": [NASTY, format!("soc2/{NASTY}")]});
            for key in ["environment", "title"] {
                report["run"][key] = json!(NASTY);
            }
            report["run"]["reasons"] = json!([NASTY]);
            report["objectives"][0]["workload"] = json!(NASTY);
            report["objectives"][0]["name"] = json!(NASTY);
            report["objectives"][0]["fault"] = json!(NASTY);
        });
        let action = format!("{}; owner={}", NASTY.replace(';', ""), NASTY.replace(';', ""));
        let note = format!("lesson={NASTY}");
        accepted(&dir, &["--by", NASTY, "--role", NASTY, "--note", &note, "--action", &action]);
    }
    let page = String::from_utf8(after_action(&runs, &["--title", NASTY]).stdout).unwrap();
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script") && page.matches("</style>").count() == 1);
    assert!(!page.contains('\u{1b}') && !page.contains('\u{202e}'));
    assert!(page.contains("default-src 'none'") || page.contains("default-src &#39;none&#39;"));
    let text = String::from_utf8(after_action(&runs, &["--title", NASTY, "--format", "markdown"]).stdout).unwrap();
    assert!(!text.contains("<script") && !text.contains("\n::error") && !text.contains('\u{1b}'), "{text}");
    let shown = said(&review(&runs.0.path().join("hostile/h1"), &["--show"]));
    assert!(shown.contains("alert(1)") && !shown.contains('\u{1b}') && !shown.contains("\n::error"), "{shown}");
}

#[test]
fn controls_are_listed() {
    let text = said(&blackstart(&["list", "controls"]));
    assert!(text.contains("nist-800-53/CP-4(4)") && text.contains("Evidence relevant to"), "{text}");
    let all: Value = serde_json::from_slice(&blackstart(&["list", "controls", "--output", "json"]).stdout).unwrap();
    assert!(all["controls"].as_array().unwrap().iter().any(|c| c["control"] == "hipaa/164.308(a)(7)(ii)(D)"));
}
