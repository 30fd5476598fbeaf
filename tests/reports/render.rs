//! `blackstart report`, and what a CI is told, by the real binary: on a copy of the committed sample, and on a run whose
//! preflight fails.

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// A folder with a copy of the sample in `run/`.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::Builder::new().prefix("blackstart-reports.").tempdir_in("/var/tmp").unwrap());
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("reports/sample"), &place.run());
        place
    }

    fn run(&self) -> PathBuf {
        self.0.path().join("run")
    }

    fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.path().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_blackstart"));
        command.args(words).current_dir(self.0.path()).env("COLUMNS", "100");
        command.env("BLACKSTART_STATE_DIR", self.0.path().join("state"));
        for name in ["GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT", "GITLAB_CI"] {
            command.env_remove(name);
        }
        command
    }

    #[track_caller]
    fn blackstart(&self, words: &[&str], code: i32) -> (String, String) {
        ended(self.command(words).output().unwrap(), code)
    }
}

#[track_caller]
fn ended(output: Output, code: i32) -> (String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert_eq!(output.status.code(), Some(code), "{out}\n{err}");
    (out, err)
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let there = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &there);
        } else {
            std::fs::copy(entry.path(), &there).unwrap();
        }
    }
}

#[test]
fn every_format_is_rendered_again_byte_for_byte() {
    let place = Place::new();
    for (format, file) in [
        ("html", "report.html"),
        ("json", "report.json"),
        ("markdown", "report.md"),
        ("junit", "junit.xml"),
        ("metrics", "metrics.txt"),
    ] {
        let (out, _) = place.blackstart(&["report", "run", "--format", format], 0);
        assert!(out == place.file(&format!("run/{file}")), "{format}");
        place.blackstart(&["report", "run", "--format", format, "--output", "again"], 0);
        assert!(out == place.file("again"), "{format} as a file");
    }
    let (out, _) = place.blackstart(&["report", "run", "--format", "terminal"], 0);
    assert!(out.contains("✓ PASSED") && !out.contains('\u{1b}'), "{out}");
}

#[test]
fn formats_that_were_asked_for_are_compared_like_the_others() {
    let place = Place::new();
    for (format, file) in [("oscal", "oscal.json"), ("trace", "trace.json")] {
        let (out, _) = place.blackstart(&["report", "run", "--format", format], 0);
        std::fs::write(place.run().join(file), out).unwrap();
    }
    let (out, _) = place.blackstart(&["analyze", "run"], 0);
    assert!(out.contains("all 7 reports are the same, byte for byte"), "{out}");
    let trace = place.file("run/trace.json").replacen("\"code\":1", "\"code\":2", 1);
    std::fs::write(place.run().join("trace.json"), trace).unwrap();
    let (out, _) = place.blackstart(&["analyze", "run"], 1);
    assert!(out.contains("NOT what the record says: trace.json"), "{out}");
}

#[test]
fn an_attestation_keeps_its_signatures_while_it_says_the_same() {
    let place = Place::new();
    let intoto = ["report", "run", "--format", "intoto"];
    let (_, err) = place.blackstart(&intoto, 2);
    assert!(err.contains("has no MANIFEST.json"), "{err}");
    std::fs::write(place.run().join("MANIFEST.json"), "{}\n").unwrap();
    let (out, _) = place.blackstart(&intoto, 0);
    let mut envelope: Value = serde_json::from_str(&out).unwrap();
    envelope["signatures"] = json!([{"keyid": "SHA256:x", "sig": "AAAA"}]);
    let signed = format!("{envelope}\n");
    let attestation = place.run().join("attestation.intoto.jsonl");
    std::fs::write(&attestation, &signed).unwrap();
    assert_eq!(place.blackstart(&intoto, 0).0, signed);
    // Another manifest: nobody signed for that.
    std::fs::write(place.run().join("MANIFEST.json"), "{ }\n").unwrap();
    let (out, err) = place.blackstart(&intoto, 1);
    assert!(out.contains("\"signatures\":[]") && err.contains("does not say what the record says"), "{out}{err}");
}

#[test]
fn nothing_is_written_into_a_runs_folder() {
    let place = Place::new();
    let (_, err) = place.blackstart(&["report", "run", "--format", "oscal", "--output", "run/oscal.json"], 64);
    assert!(err.contains("evidence as it is"), "{err}");
    assert!(!place.run().join("oscal.json").exists());
    place.blackstart(&["report", "nothing", "--format", "html"], 64);
    place.blackstart(&["report", "run", "--format", "pdf"], 64);
}

/// There is no such process: preflight fails, and nothing is touched.
const UNREADY: &str = r#"
drill: unready
environment: embedded
objectives: {rto: 10s}
targets:
  worker: {process: {pidfile: "50%,of:all.pid"}}
workload:
  page:
    http: {url: "http://127.0.0.1:18960/", rate: 10/s}
outage:
  - id: stops
    inject: {process_pause: {target: worker}}
    deadline: 1m
"#;

#[test]
fn a_ci_is_told_in_its_own_way() {
    let place = Place::new();
    let at = |name: &str| place.0.path().join(name);
    std::fs::write(at("unready.yaml"), UNREADY).unwrap();
    std::fs::write(at("blackstart.yaml"), "evidence: {formats: [trace]}\n").unwrap();
    std::fs::write(at("summary"), "# before\n").unwrap();
    let words = ["run", "unready.yaml", "--reports", "out", "--also", "oscal", "--run-id", "r1"];
    let github = |extra: &[&str]| {
        let mut command = place.command(&[&words[..], extra].concat());
        command.env("GITHUB_ACTIONS", "true").env("GITHUB_STEP_SUMMARY", at("summary"));
        ended(command.env("GITHUB_OUTPUT", at("output")).output().unwrap(), 69)
    };
    let (out, _) = github(&[]);
    assert!(out.contains("\n::warning::unready: ") && out.contains("50%25,of:all.pid"), "{out}");
    let summary = place.file("summary");
    assert_eq!(summary, format!("# before\n\n{}", place.file("out/unready/r1/report.md")));
    let outputs = place.file("output");
    assert_eq!(outputs, "verdict=inconclusive\nexit_code=69\nrun=r1\ndir=out/unready/r1\nrto=\nrpo=\nlost=\n");
    // What the configuration and the command line asked for is there.
    for file in ["oscal.json", "trace.json", "metrics.txt"] {
        assert!(place.0.path().join("out/unready/r1").join(file).is_file(), "{file}");
    }
    assert!(!place.file("out/unready/r1/metrics.txt").contains("downtime"), "nobody measured any");
    let gitlab =
        place.command(&["run", "unready.yaml", "--reports", "out2"]).env("GITLAB_CI", "true").output().unwrap();
    let (out, _) = ended(gitlab, 69);
    assert!(out.contains("artifacts:reports:junit:   out2/unready/") && out.contains("/metrics.txt\n"), "{out}");
}

/// Sealed and signed by the run itself: what lies there is rendered again, signatures and all.
#[test]
fn a_sealed_run_is_rendered_again_byte_for_byte() {
    let place = Place::new();
    let at = |name: &str| place.0.path().join(name);
    std::fs::write(at("unready.yaml"), UNREADY).unwrap();
    let key = at("key").to_str().unwrap().to_owned();
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &key]).status();
    assert!(made.expect("ssh-keygen is missing: run tests/install.sh").success());
    std::fs::write(at("blackstart.yaml"), "evidence: {formats: [oscal, trace], signing: {key: key}}\n").unwrap();
    place.blackstart(&["run", "unready.yaml", "--reports", "out", "--run-id", "r1"], 69);
    for (format, file) in [
        ("json", "report.json"),
        ("html", "report.html"),
        ("markdown", "report.md"),
        ("junit", "junit.xml"),
        ("metrics", "metrics.txt"),
        ("oscal", "oscal.json"),
        ("trace", "trace.json"),
        ("intoto", "attestation.intoto.jsonl"),
    ] {
        let (out, _) = place.blackstart(&["report", "out/unready/r1", "--format", format], 0);
        assert!(out == place.file(&format!("out/unready/r1/{file}")), "{format}");
    }
    let envelope: Value = serde_json::from_str(&place.file("out/unready/r1/attestation.intoto.jsonl")).unwrap();
    assert_eq!(envelope["signatures"].as_array().map(Vec::len), Some(1), "{envelope}");
}

/// A command of the drill writes a secret into the run's folder.
const LEAKS: &str = r#"
drill: leaks
environment: embedded
baseline: 50ms
secrets: {pw: {file: secret}}
verify:
  - run: {command: {argv: [sh, -c, 'printf "%s" "$PW" > "$DIR/raw"'], env: {PW: "${secrets.pw}", DIR: "${run.dir}"}}}
"#;

#[test]
fn a_report_in_which_a_secret_may_stand_is_not_shown_to_a_ci() {
    let place = Place::new();
    let at = |name: &str| place.0.path().join(name);
    std::fs::write(at("leaks.yaml"), LEAKS).unwrap();
    std::fs::write(at("secret"), "correct-horse-battery").unwrap();
    let mut command = place.command(&["run", "leaks.yaml", "--reports", "out", "--run-id", "r1"]);
    command.env("GITHUB_ACTIONS", "true").env("GITHUB_STEP_SUMMARY", at("summary")).env("GITHUB_OUTPUT", at("output"));
    let (out, err) = ended(command.output().unwrap(), 70);
    assert!(err.contains("not sealed") && !out.contains("::"), "{out}{err}");
    let why = "By its record: PASSED. A secret may stand in the run's folder, so its report is not shown here.";
    assert_eq!(place.file("summary"), format!("# ! NOT SEALED: leaks\n\n{why}\n"));
    assert!(place.file("output").starts_with("verdict=inconclusive\nexit_code=70\nrun=r1\n"));
}

#[test]
fn a_report_that_nobody_knows_is_refused_with_those_there_are() {
    let place = Place::new();
    std::fs::write(place.0.path().join("unready.yaml"), UNREADY).unwrap();
    let (_, err) = place.blackstart(&["run", "unready.yaml", "--also", "pdf"], 64);
    assert!(err.contains("oscal") && err.contains("trace"), "{err}");
}
