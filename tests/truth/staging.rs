//! The embedded staging keeps its promises: what it loses and when, what a freeze does, how an old primary comes back,
//! and that nothing of it is left behind.

use super::support::{Staging, is_alive, signal, until};
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Writes seq 0, 1, 2 … as writer 0 until `count` are acknowledged or `stop` says so; the acknowledged ones.
fn write(staging: &Staging, from: u64, count: u64) -> BTreeSet<u64> {
    let mut client = staging.client();
    let acknowledged = |seq: &u64| {
        client.put(&format!("/ledger/run/0/{seq}"), format!("payload {seq}").as_bytes()).is_ok_and(|a| a.status == 200)
    };
    (from..from + count).filter(acknowledged).collect()
}

fn set(seqs: impl IntoIterator<Item = u64>) -> BTreeSet<u64> {
    seqs.into_iter().collect()
}

#[test]
fn async_loses_exactly_the_lagging_tail() {
    let staging = Staging::start(&["--lag", "60s"]);
    assert_eq!(write(&staging, 0, 40).len(), 40);
    let dead = staging.pid("primary");
    signal(dead, Signal::SIGKILL);
    staging.until_led_by("b");
    assert_eq!(staging.stored(), Vec::<u64>::new(), "nothing was older than the lag");
    assert_eq!(staging.pid("a"), dead, "the pid file of a dead node keeps its pid");
    assert_eq!(staging.pid("standby"), dead);
    assert_eq!(staging.pid("primary"), staging.pid("b"));

    let kept = write(&staging, 100, 10);
    // With a lag of a minute the old primary cannot catch up soon; that it joins is enough here.
    let port = staging.port;
    let asked = std::thread::spawn(move || super::http::Client::new(port).post("/cluster/start?node=a").is_ok());
    let discarded = until("the old primary discarded its tail", || {
        staging.truth("a").into_iter().find(|l| l["event"] == "truncated")
    });
    let discarded = discarded["records"].as_array().unwrap().iter().map(|r| r["seq"].as_u64().unwrap());
    assert_eq!(set(discarded), set(0..40));
    assert_eq!(staging.seqs("a", "accepted"), set(0..40));
    assert_eq!(set(staging.stored()), kept);
    drop(staging);
    assert!(!asked.join().unwrap(), "a staging that ends breaks off what waits for it");
}

#[test]
fn async_keeps_what_is_older_than_the_lag() {
    let staging = Staging::start(&["--lag", "200ms"]);
    write(&staging, 0, 30);
    staging.until_caught_up();
    write(&staging, 30, 30);
    signal(staging.pid("primary"), Signal::SIGKILL);
    staging.until_led_by("b");
    let stored = staging.stored();
    assert!((30..60).contains(&stored.len()), "{stored:?}");
    assert_eq!(stored, (0..stored.len() as u64).collect::<Vec<_>>(), "what is kept is a prefix");
    let died = staging.truth("cluster").into_iter().find(|l| l["event"] == "child_exited").unwrap();
    assert_eq!(died["status"], "signal: 9 (SIGKILL)");
    let answer = staging.client().post("/cluster/start?node=a").unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["alive"], 2);
    assert_eq!(staging.stored(), stored, "the old primary brings nothing back");
}

#[test]
fn sync_loses_nothing_and_says_when_it_is_alone() {
    let staging = Staging::start(&["--replication", "sync", "--degrade-after", "100ms"]);
    let mut acknowledged = write(&staging, 0, 50);
    assert_eq!(acknowledged.len(), 50);
    signal(staging.pid("primary"), Signal::SIGKILL);
    staging.until_led_by("b");
    let alone = until("the new primary acknowledges alone", || {
        let answer = staging.client().put("/ledger/run/0/50", b"x").unwrap();
        (answer.status == 200).then_some(answer)
    });
    assert_eq!(alone.header("x-blackstart-durability"), Some("local"));
    acknowledged.insert(50);
    assert_eq!(set(staging.stored()), acknowledged);
    assert_eq!(staging.client().post("/cluster/start?node=a").unwrap().status, 200);
    let together = staging.client().put("/ledger/run/0/51", b"x").unwrap();
    assert_eq!((together.status, together.header("x-blackstart-durability")), (200, None));
}

#[test]
fn strict_sync_refuses_without_its_standby() {
    let staging = Staging::start(&["--replication", "sync"]);
    assert_eq!(write(&staging, 0, 5).len(), 5);
    signal(staging.pid("standby"), Signal::SIGKILL);
    until("the primary saw it go", || staging.truth("a").into_iter().find(|l| l["event"] == "standby_left"));
    let before = staging.stored();
    for seq in 1000..1005 {
        let refused = staging.client().put(&format!("/ledger/run/0/{seq}"), b"x").unwrap();
        assert_eq!((refused.status, refused.header("x-blackstart-outcome")), (503, Some("fail")));
    }
    assert_eq!(staging.stored(), before, "a definite fail stores nothing");
    assert_eq!(staging.client().post("/cluster/start?node=b").unwrap().status, 200);
    assert_eq!(write(&staging, 2000, 3).len(), 3);
}

#[test]
fn a_freeze_without_failover_holds_requests_and_then_answers_them() {
    let staging = Staging::start(&["--no-failover"]);
    write(&staging, 0, 3);
    let primary = staging.pid("primary");
    signal(primary, Signal::SIGSTOP);
    let (started, port) = (Instant::now(), staging.port);
    let held = std::thread::spawn(move || super::http::Client::new(port).put("/ledger/run/0/3", b"x").unwrap().status);
    let read = std::thread::spawn(move || super::http::Client::new(port).get("/?nonce=abc").unwrap().text());
    std::thread::sleep(Duration::from_secs(2));
    assert!(!held.is_finished() && !read.is_finished(), "the router waits for a frozen primary");
    signal(primary, Signal::SIGCONT);
    assert_eq!(held.join().unwrap(), 200);
    assert!(read.join().unwrap().contains("abc"));
    assert!(started.elapsed() >= Duration::from_secs(2));
    assert_eq!(staging.cluster()["leader"], "a");
    assert_eq!(staging.pid("primary"), primary);
    let witness = |event: &str| staging.truth("cluster").into_iter().find(|l| l["event"] == event);
    let at = |event: &str| until(event, || witness(event))["t"].as_i64().unwrap();
    let frozen = at("child_continued") - at("child_stopped");
    assert!((1_900_000_000..10_000_000_000).contains(&frozen), "the supervisor saw it stopped for {frozen} ns");
}

#[test]
fn a_frozen_primary_is_replaced_and_comes_back_as_a_standby() {
    let staging = Staging::start(&["--lag", "100ms", "--check-timeout", "100ms"]);
    write(&staging, 0, 20);
    let old = staging.pid("primary");
    signal(old, Signal::SIGSTOP);
    let port = staging.port;
    let held = std::thread::spawn(move || super::http::Client::new(port).put("/ledger/run/0/20", b"x").unwrap());
    staging.until_led_by("b");
    let answer = held.join().unwrap();
    if answer.status != 200 {
        assert_eq!(answer.header("x-blackstart-outcome"), Some("unknown"), "its bytes were sent: {}", answer.text());
    }
    let kept = write(&staging, 100, 10);
    assert_eq!(kept.len(), 10);
    signal(old, Signal::SIGCONT);
    until("the old primary steps down", || staging.truth("a").into_iter().find(|l| l["event"] == "demoted"));
    let refused = staging.node(0).put("/ledger/run/0/999", b"x").unwrap();
    assert_eq!((refused.status, refused.header("x-blackstart-outcome")), (503, Some("fail")));
    staging.until_caught_up();
    let view = staging.cluster();
    assert_eq!((&view["primaries"], &view["leader"]), (&1.into(), &"b".into()));
    let copy = staging.node(0).get("/ledger/run?any=1").unwrap().text();
    assert_eq!(copy, staging.client().get("/ledger/run").unwrap().text(), "both nodes hold the same rows");
    assert!(kept.is_subset(&set(staging.stored())));
}

#[test]
fn switchover_loses_nothing() {
    let staging = Staging::start(&["--lag", "500ms"]);
    let written = write(&staging, 0, 50);
    let answer = staging.client().post("/cluster/switchover").unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["leader"], "b");
    assert_eq!(set(staging.stored()), written);
    staging.until_caught_up();
    assert_eq!(staging.client().post("/cluster/switchover").unwrap().json()["leader"], "a");
}

#[test]
fn a_refused_request_is_a_definite_fail_while_nobody_leads() {
    let staging = Staging::start(&["--no-failover"]);
    write(&staging, 0, 3);
    signal(staging.pid("primary"), Signal::SIGKILL);
    until("the death is seen", || staging.truth("cluster").into_iter().find(|l| l["event"] == "child_exited"));
    let answer = staging.client().put("/ledger/run/0/3", b"x").unwrap();
    assert_eq!((answer.status, answer.header("x-blackstart-outcome")), (503, Some("fail")));
    until("the router says so", || (staging.client().get("/health").unwrap().status == 503).then_some(()));
    assert_eq!(staging.client().post("/cluster/start?node=a").unwrap().status, 200);
    assert_eq!(staging.stored(), [0, 1, 2], "a restarted primary has what it had");
}

#[test]
fn flapping_back_and_forth_loses_nothing_that_had_arrived() {
    let staging = Staging::start(&[]);
    let mut expected = BTreeSet::new();
    for round in 0..3 {
        expected.extend(write(&staging, round * 100, 20));
        staging.until_caught_up();
        let (leader, next) = if round % 2 == 0 { ("a", "b") } else { ("b", "a") };
        signal(staging.pid("primary"), Signal::SIGKILL);
        staging.until_led_by(next);
        let answer = staging.client().post(&format!("/cluster/start?node={leader}")).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!(set(staging.stored()), expected);
}

#[test]
fn every_lie_is_told_and_written_down() {
    let lies = ["--duplicate-every", "5", "--corrupt-every", "7", "--holes-every", "11", "--phantom-every", "13"];
    let more = ["--resurrect-every", "17", "--reorder-every", "19", "--stale-every", "2"];
    let staging = Staging::start(&[&lies[..], &more[..]].concat());
    let acknowledged = write(&staging, 0, 60);
    let said = |violation: &str| -> BTreeSet<u64> {
        let lines = staging.truth("a");
        let told = lines.iter().filter(|l| l["event"] == "violated" && l["violation"] == violation);
        told.map(|l| l["seq"].as_u64().unwrap()).collect()
    };
    assert_eq!(said("hole"), set([10, 21, 32, 43]), "the 55th is a duplicate already");
    assert_eq!(said("resurrect"), set([16, 33, 50]));
    assert_eq!(set(0..60).difference(&acknowledged).copied().collect::<BTreeSet<_>>(), said("resurrect"));
    let stored = staging.stored();
    for seq in 0..60 {
        let times = stored.iter().filter(|s| **s == seq).count();
        let expected = if said("hole").contains(&seq) { 0 } else { 1 + usize::from(said("duplicate").contains(&seq)) };
        assert_eq!(times, expected, "record {seq}");
    }
    assert_eq!(stored.iter().filter(|s| **s >= 1_000_000_000).count(), said("phantom").len());
    let reordered = *said("reorder").first().unwrap();
    let place = |seq| stored.iter().position(|s| *s == seq).unwrap();
    assert!(place(reordered) > place(reordered + 1));
    let rows = staging.client().get("/ledger/run").unwrap().text();
    let intact = |seq: u64| {
        let hex: String = format!("payload {seq}").bytes().map(|b| format!("{b:02x}")).collect();
        rows.lines().any(|l| l == format!("0 {seq} 1 {hex}"))
    };
    assert_eq!(set((0..60).filter(|s| stored.contains(s) && !intact(*s))), said("corrupt"));
    assert_eq!(staging.client().get("/ledger/run/0/1").unwrap().status, 200);
    assert_eq!(staging.client().get("/ledger/run/0/1").unwrap().status, 404, "every second read is stale");
}

#[test]
fn a_promoted_liar_drops_a_prefix() {
    let staging = Staging::start(&["--drop-prefix", "7"]);
    write(&staging, 0, 20);
    staging.until_caught_up();
    signal(staging.pid("primary"), Signal::SIGKILL);
    staging.until_led_by("b");
    assert_eq!(set(staging.stored()), set(7..20));
    assert_eq!(staging.client().get("/ledger/run/0/3").unwrap().status, 404);
}

#[test]
fn nonsense_is_a_definite_fail() {
    let staging = Staging::start(&[]);
    let mut client = staging.client();
    for path in ["/ledger/run/x/1", "/ledger/run/70000/1", "/ledger/run/0/-1", "/ledger/r%20n/0/1"] {
        let answer = client.put(path, b"x").unwrap();
        assert_eq!((answer.status, answer.header("x-blackstart-outcome")), (400, Some("fail")), "{path}");
    }
    let big = vec![b'x'; 70_000];
    let answer = staging.client().put("/ledger/run/0/1", &big).unwrap();
    assert_eq!((answer.status, answer.header("x-blackstart-outcome")), (400, Some("fail")));
    assert_eq!(client.get("/ledger/run/0/1").unwrap().status, 404);
    assert_eq!(client.get("/ledger/nobody").unwrap().text(), "end 0\n");
    assert_eq!(client.post("/cluster/start?node=c").unwrap().status, 404);
    let page = client.get("/?nonce=%3Cscript%3E12").unwrap().text();
    assert!(page.contains("script12") && !page.contains("<script>"), "{page}");
}

#[test]
fn a_taken_port_is_one_clear_line_and_nothing_is_left() {
    for offset in [0, 1, 4] {
        let (dir, port) = (tempfile::tempdir().unwrap(), super::ports::five_free());
        let _taken = std::net::TcpListener::bind(("127.0.0.1", port + offset)).unwrap();
        let mut child = Staging::spawn(dir.path(), port, &[]);
        let _held_open = child.stdin.take();
        let output = child.wait_with_output().unwrap();
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success());
        assert_eq!(complaint.lines().count(), 1, "{complaint}");
        assert!(complaint.contains(&format!("127.0.0.1:{}", port + offset)), "{complaint}");
        assert!(output.stdout.is_empty());
        let started = std::fs::read_to_string(dir.path().join("a.pid")).ok();
        assert!(!started.is_some_and(|pid| is_alive(pid.trim().parse().unwrap())));
    }
}

#[test]
fn the_end_of_standard_input_ends_every_process_even_a_frozen_one() {
    let mut staging = Staging::start(&["--no-failover"]);
    let pids = staging.pids();
    signal(staging.pid("primary"), Signal::SIGSTOP);
    staging.close();
    until("all are gone", || pids.iter().all(|pid| !is_alive(*pid)).then_some(()));
}

#[test]
fn a_killed_supervisor_takes_every_process_along_even_a_frozen_one() {
    let staging = Staging::start(&["--no-failover"]);
    let pids = staging.pids();
    signal(staging.pid("standby"), Signal::SIGSTOP);
    signal(staging.pid("cluster"), Signal::SIGKILL);
    until("all are gone", || pids.iter().all(|pid| !is_alive(*pid)).then_some(()));
}

#[test]
fn sigterm_ends_it_in_order() {
    let mut staging = Staging::start(&[]);
    let pids = staging.pids();
    signal(pids[0], Signal::SIGTERM);
    let status = until("the supervisor ends", || staging.ended());
    assert!(status.success(), "{status}");
    assert!(pids.iter().all(|pid| !is_alive(*pid)));
    let ends = staging.truth("cluster").into_iter().filter(|l| l["event"] == "child_exited").count();
    assert_eq!(ends, 2);
}
