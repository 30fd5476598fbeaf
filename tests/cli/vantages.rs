//! Clients in processes of their own: what is seen when one of them dies, is held up, or loses its runner, and that no
//! secret is in a list of processes. Seeing from another network namespace is tried in `faults`.

use crate::drill;
use crate::support::{Ended, Place};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

const SECRET: &str = "hunter2-not-for-process-lists";

/// A drill whose page is seen from the runner's own place and from `FAR`; the primary is killed and comes back.
fn drill(port: u16, far: &str) -> String {
    let text = r#"
drill: places
environment: embedded
objectives: {rto: 20s}
staging: {embedded: {replication: async, lag: 20ms, port: PORT}}
secrets: {token: {env: TOKEN}}
targets:
  primary: {process: {pidfile: "${staging.dir}/primary.pid"}}
  standby: {process: {pidfile: "${staging.dir}/standby.pid"}}
vantages: {near: {}, FAR: {}}
workload:
  page:
    http: {url: "http://127.0.0.1:PORT/?nonce={nonce}", headers: {x-token: "${secrets.token}"}, rate: 50/s, timeout: 1s}
    service: {deadline: 500ms, stable: 2s}
    from: [near, FAR]
baseline: 1s
outage:
DIES
  - {wait: 2s}
restore:
  - {run: {request: {method: POST, url: "http://127.0.0.1:PORT/cluster/start", timeout: 20s}}, within: 20s, closes: dies}
"#;
    drill::filled(text, port).replace("FAR", far)
}

/// A drill that goes on.
struct Going {
    place: Place,
    runner: Child,
    far: String,
    pid: Pid,
}

/// All processes that are a vantage of this name.
fn vantages(name: &str) -> Vec<Pid> {
    let is = |pid: &i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<&[u8]> = line.split(|b| *b == 0).collect();
        words.get(1) == Some(&&b"helper"[..]) && words.get(4..6) == Some(&[&b"vantage"[..], name.as_bytes()][..])
    };
    let pids = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().to_str()?.parse().ok());
    pids.filter(is).map(Pid::from_raw).collect()
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(40);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Starts it and waits until clients look from everywhere.
fn going(port: u16, far: &str) -> Going {
    let place = Place::new();
    place.file("places.yaml", &drill(port, far));
    let mut command = place.blackstart();
    command.args(["run", "places.yaml", "--reports", "out", "--output", "plain"]).env("TOKEN", SECRET);
    let runner = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let journal = || {
        let dir = std::fs::read_dir(place.path().join("out/places")).ok()?.flatten().next()?.path();
        std::fs::read_to_string(dir.join("journal.jsonl")).ok()
    };
    let started = || journal().filter(|text| text.matches("workload_started").count() == 2);
    until("clients start", started);
    let pid = until("the vantage", || vantages(far).first().copied());
    Going { place, runner, far: far.to_owned(), pid }
}

impl Going {
    /// Waits for the moment that a word of the journal marks.
    fn reached(&self, word: &str) {
        let dir = self.place.only_run("out/places");
        until(word, || std::fs::read_to_string(dir.join("journal.jsonl")).ok().filter(|text| text.contains(word)));
    }

    /// How it ended, and its report.
    fn ended(self) -> (Ended, Value, Place) {
        let ended = Ended::new(self.runner.wait_with_output().unwrap());
        let dir = self.place.only_run("out/places");
        let text = std::fs::read_to_string(dir.join("report.json")).unwrap_or_else(|e| panic!("{e}: {ended:?}"));
        assert_eq!(vantages(&self.far), [], "a vantage is left");
        // The logs that the vantages wrote are part of the record.
        self.place.run(&["analyze", dir.to_str().unwrap()]).code(ended.code);
        (ended, serde_json::from_str(&text).unwrap(), self.place)
    }
}

fn far_of<'a>(report: &'a Value, far: &str) -> &'a Value {
    &report["workloads"][format!("page@{far}")]
}

#[test]
fn each_place_has_its_own_figures_and_no_secret_is_in_a_list_of_processes() {
    let going = going(18_800, "far_own");
    for file in ["cmdline", "environ"] {
        let shown = std::fs::read(format!("/proc/{}/{file}", going.pid)).unwrap();
        assert!(!String::from_utf8_lossy(&shown).contains(SECRET), "{file} shows a secret");
    }
    let (ended, report, place) = going.ended();
    ended.code(0);
    for name in ["near", "far_own"] {
        let seen = far_of(&report, name);
        assert_eq!((&seen["vantage"]["of"], &seen["vantage"]["name"]), (&"page".into(), &name.into()));
        assert!(seen["operations"]["ok"].as_u64().unwrap() > 100, "{seen}");
        assert!(seen["recoveries"][0]["sustained"]["high"].as_f64().unwrap() > 0.0, "{seen}");
    }
    let highs = ["near", "far_own"].map(|n| far_of(&report, n)["recoveries"][0]["sustained"]["high"].as_f64().unwrap());
    let [objective] = report["objectives"].as_array().unwrap().as_slice() else { panic!("{report}") };
    assert_eq!(objective["workload"], "page");
    assert_eq!(objective["actual"]["high"].as_f64().unwrap(), highs[0].max(highs[1]));
    assert!(objective["why"].as_str().unwrap().ends_with("the worst of what near, far_own saw"), "{objective}");
    place.nothing_left(18_800);
}

#[test]
fn nothing_is_broken_when_a_vantage_dies_before_the_outage() {
    let going = going(18_810, "far_dies");
    kill(going.pid, Signal::SIGKILL).unwrap();
    let (ended, report, place) = going.ended();
    let ended = ended.code(69);
    assert!(ended.err.contains("workload `page@far_dies`: its vantage is gone"), "{}", ended.err);
    let reasons = report["run"]["reasons"].to_string();
    assert!(reasons.contains("the vantage `far_dies` was lost: its process ended"), "{reasons}");
    // Nothing was broken, and nothing is claimed.
    assert_eq!(report["faults"].as_array().map(Vec::len), Some(0));
    assert_eq!(far_of(&report, "far_dies")["downtime"]["outages"], 0, "{report}");
    place.nothing_left(18_810);
}

#[test]
fn a_vantage_that_dies_later_is_a_gap_of_ours_and_never_an_outage() {
    let going = going(18_820, "far_later");
    going.reached("fault_effect");
    kill(going.pid, Signal::SIGKILL).unwrap();
    let (ended, report, place) = going.ended();
    ended.code(2);
    // The outage that there was, as everybody saw it; nothing after it.
    assert!(far_of(&report, "far_later")["downtime"]["total"]["high"].as_f64().unwrap() < 1.5, "{report}");
    assert_eq!(report["objectives"][0]["verdict"], "inconclusive", "{}", report["objectives"]);
    let seen = far_of(&report, "near");
    assert!(seen["recoveries"][0]["sustained"]["high"].as_f64().is_some(), "{seen}");
    place.nothing_left(18_820);
}

#[test]
fn a_vantage_that_is_held_up_sees_neither_up_nor_down() {
    let going = going(18_830, "far_stops");
    going.reached("step_ended");
    kill(going.pid, Signal::SIGSTOP).unwrap();
    // Long enough to be an outage, had it been one.
    std::thread::sleep(Duration::from_millis(1_300));
    kill(going.pid, Signal::SIGCONT).unwrap();
    let (_, report, place) = going.ended();
    let notes = report["notes"].to_string();
    assert!(notes.contains("the vantage `far_stops` could not see"), "{notes}");
    let longest = |name: &str| {
        let outages = far_of(&report, name)["downtime"]["each"].as_array().unwrap().clone();
        outages.iter().filter_map(|o| o["perceived"]["low"].as_f64()).fold(0.0, f64::max)
    };
    // It may not have seen all of the outage; it never saw one that was not there.
    let (near, far) = (longest("near"), longest("far_stops"));
    assert!(far <= near + 0.25, "{far} s, and {near} s from nearby");
    assert!(
        report["stalls"]
            .as_array()
            .unwrap()
            .iter()
            .all(|s| s["to"].as_f64().unwrap() - s["from"].as_f64().unwrap() < 1.0)
    );
    place.nothing_left(18_830);
}

#[test]
fn a_vantage_ends_with_its_runner() {
    let mut going = going(18_840, "far_orphan");
    going.runner.kill().unwrap();
    going.runner.wait().unwrap();
    until("the vantage ends", || vantages("far_orphan").is_empty().then_some(()));
    // The guardian brings down what the runner left; while it does, a recovery leaves the record to it.
    until("nothing is open", || (going.place.run(&["status"]).code == 0).then_some(()));
    until("nothing is left to recover", || (going.place.run(&["recover"]).code == 0).then_some(()));
    going.place.nothing_left(18_840);
}

#[test]
fn a_place_that_is_not_there_or_not_allowed_is_69() {
    let place = Place::new();
    let with =
        |namespace: &str| drill(18_850, "far_no").replace("far_no: {}", &format!("far_no: {{namespace: {namespace}}}"));
    place.file("places.yaml", &with("bst-nowhere"));
    let ended =
        place.blackstart().args(["run", "places.yaml", "--reports", "out"]).env("TOKEN", SECRET).output().unwrap();
    let ended = Ended::new(ended).code(69);
    assert!(ended.err.contains("list it under `namespaces` in blackstart.yaml"), "{}", ended.err);
    place.file("blackstart.yaml", "environments: {embedded: {namespaces: [\"bst-*\"]}}\n");
    let ended =
        place.blackstart().args(["run", "places.yaml", "--reports", "out"]).env("TOKEN", SECRET).output().unwrap();
    let ended = Ended::new(ended).code(69);
    assert!(ended.err.contains("there is no network namespace `bst-nowhere`"), "{}", ended.err);
    assert_eq!(vantages("far_no"), []);
    place.nothing_left(18_850);
}
