//! The `tcp_…` kinds, in a real proxy process: each one's life, and what clients see in a drill.

use crate::support::{
    Place, Ran, blackstart, conforms, fault, heals_a_replaced_target, heals_what_was_never_injected, run_drill,
};
use blackstart::adapters::World;
use blackstart::adapters::proxy::{Ask, Keep, Life, ProxyStart, ProxyState, Said};
use blackstart::event::What;
use blackstart::journal::ops;
use blackstart::model::{Dur, FaultId, OpRecord, Orphaned, Outcome, Owner, PinnedTarget};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);

/// An echo on a free port, for as long as the test's process lives.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut bytes = [0; 4096];
                while let Ok(got @ 1..) = stream.read(&mut bytes) {
                    if stream.write_all(&bytes[..got]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// An address of 127.0.0.0/8 that no other test of this or another process uses now.
pub fn own_address(port: u16) -> SocketAddr {
    use std::sync::atomic::{AtomicU8, Ordering};
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    SocketAddr::from(([127, high | 64, low, NEXT.fetch_add(1, Ordering::Relaxed)], port))
}

/// A proxy as a helper process in front of an echo; ended with this.
struct Front {
    owner: Owner,
    start: ProxyStart,
    world: World,
}

impl Front {
    async fn new(place: &Place, keep: Keep) -> Self {
        let owner = Owner { run: place.owner().run, fault: FaultId("front".into()) };
        let control = place.world.proxies.socket(&owner, "front").unwrap();
        // Nobody else's, and the same when the proxy is replaced.
        let listen = own_address(5400);
        let start = ProxyStart { listen, upstream: echo().to_string(), control, keep };
        let front = Self { owner, start, world: place.world.clone() };
        front.up().await;
        front
    }

    async fn up(&self) {
        let parameters = serde_json::to_value(&self.start).unwrap();
        let line = self.world.helpers.start(&self.owner, "proxy", &parameters, LIMIT).await.unwrap();
        assert_eq!(serde_json::from_str::<ProxyState>(&line).unwrap().listen, self.start.listen.to_string());
    }

    async fn down(&self) {
        self.world.helpers.end(&self.owner, LIMIT).await.unwrap();
    }

    async fn state(&self) -> ProxyState {
        let Ok(Said::State(state)) = self.world.proxies.ask(&self.start.control, &Ask::State).await else {
            panic!("no state")
        };
        *state
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        let (world, owner) = (self.world.clone(), self.owner.clone());
        let end = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(world.helpers.end(&owner, LIMIT))
        });
        drop(end.join());
    }
}

fn alone() -> Keep {
    Keep { runner: None, orphaned: Orphaned::Open, linger: Dur(Duration::ZERO), deadline: Some(Dur(LIMIT * 15)) }
}

/// What a target is, found by its control socket alone.
fn target(control: &Path) -> PinnedTarget {
    let fields = BTreeMap::from([("control".to_owned(), control.to_string_lossy().into_owned())]);
    PinnedTarget { name: "front".into(), kind: "proxy".into(), fields, ..Default::default() }
}

async fn with_front(keep: Keep) -> (Place, Front) {
    let place = Place::new();
    let front = Front::new(&place, keep).await;
    let control = front.start.control.clone();
    (place.with("front", move || Ok(target(&control))), front)
}

/// Every kind, small enough to be looked at quickly.
fn kinds() -> Vec<serde_json::Value> {
    vec![
        json!({"tcp_latency": {"target": "front", "delay": "60ms", "jitter": "20ms", "direction": "both"}}),
        json!({"tcp_bandwidth": {"target": "front", "rate": "1MB/s"}}),
        json!({"tcp_black_hole": {"target": "front", "direction": "to_client"}}),
        json!({"tcp_reset": {"target": "front"}}),
        json!({"tcp_reset": {"target": "front", "after": "1000B", "share": "50%"}}),
        json!({"tcp_slow_close": {"target": "front", "delay": "100ms"}}),
        json!({"tcp_half_open": {"target": "front", "closed": "upstream"}}),
        json!({"tcp_limit": {"target": "front", "bytes": "1000B"}}),
        json!({"tcp_refuse": {"target": "front"}}),
        json!({"tcp_refuse": {"target": "front", "share": "20%"}}),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_bites_and_is_healed_also_from_another_process() {
    let (place, _front) = with_front(alone()).await;
    for kind in kinds() {
        conforms(&place, &fault(kind.clone())).await;
        heals_what_was_never_injected(&place, &fault(kind)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_was_replaced_has_no_fault() {
    for kind in [kinds().swap_remove(0), kinds().swap_remove(8)] {
        let (place, front) = with_front(alone()).await;
        let (owner, start, world) = (front.owner.clone(), front.start.clone(), front.world.clone());
        let replace = move || {
            let other = std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let front = std::mem::ManuallyDrop::new(Front { owner, start, world });
                    front.down().await;
                    front.up().await;
                });
            });
            other.join().unwrap();
        };
        heals_a_replaced_target(&place, &fault(kind), replace).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_in_a_proxy_is_found_without_a_record_and_taken_out_by_hand() {
    let (place, front) = with_front(alone()).await;
    place.pin();
    let spec = fault(kinds().swap_remove(0));
    let undo = spec.prepare(&place.cx()).await.unwrap();
    let prepared = blackstart::faults::PreparedFault { spec, undo };
    prepared.inject(&place.cx()).await.unwrap();
    let found = place.residue().await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].what.starts_with("tcp_latency of "), "{found:?}");
    assert_eq!(found[0].by_hand, prepared.by_hand());
    // The very command, with our binary in the place of its name.
    let command = prepared.by_hand().replacen("blackstart", env!("CARGO_BIN_EXE_blackstart"), 1);
    let done = Command::new("sh").args(["-c", &command]).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    assert!(front.state().await.faults.is_empty() && place.residue().await.is_empty());
    assert!(prepared.healed(&place.cx()).await.unwrap().holds);
    // The socket is ours alone.
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&front.start.control).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

/// A process that stands for a runner.
struct Runner(std::process::Child);

impl Runner {
    fn new() -> (Self, Keep) {
        let child = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let started = blackstart::adapters::host::started(pid).unwrap();
        (Self(child), Keep { runner: Some((pid, started)), ..alone() })
    }

    fn die(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.die();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_runner_it_opens_or_closes_and_ends_by_itself() {
    for (orphaned, life) in [(Orphaned::Open, Life::OrphanedOpen), (Orphaned::Closed, Life::OrphanedClosed)] {
        let (mut runner, keep) = Runner::new();
        let (place, front) = with_front(Keep { orphaned, linger: Dur(Duration::from_secs(3)), ..keep }).await;
        place.pin();
        let spec = fault(json!({"tcp_black_hole": {"target": "front"}}));
        let undo = spec.prepare(&place.cx()).await.unwrap();
        let hole = blackstart::faults::PreparedFault { spec, undo };
        hole.inject(&place.cx()).await.unwrap();
        let mut open = std::net::TcpStream::connect(front.start.listen).unwrap();
        open.write_all(b"x").unwrap();
        assert_eq!(front.state().await.life, Life::Held);
        runner.die();
        let control = front.start.control.clone();
        let state = || async { front.world.proxies.ask(&control, &Ask::State).await };
        place
            .until("orphaned", || async {
                matches!(state().await, Ok(Said::State(s)) if s.life == life && s.faults.is_empty())
            })
            .await;
        // It takes no faults any more, and what is healed in it stays healed.
        assert!(hole.inject(&place.cx()).await.is_err());
        hole.heal(&place.cx()).await.unwrap();
        assert!(hole.healed(&place.cx()).await.unwrap().holds);
        open.set_read_timeout(Some(LIMIT)).unwrap();
        let read = open.read(&mut [0]);
        let connected = std::net::TcpStream::connect(front.start.listen);
        match orphaned {
            Orphaned::Open => assert!(read.unwrap() == 1 && connected.is_ok()),
            Orphaned::Closed => assert!(read.is_err() && connected.is_err()),
        }
        place.until("ended by itself", || async { state().await.is_err() }).await;
        hole.heal(&place.cx()).await.unwrap();
        assert!(hole.healed(&place.cx()).await.unwrap().holds);
        assert!(!front.start.control.exists());
    }
}

/// The operations of a workload, as the run's own log has them, that were due between two events.
pub fn due_between(ran: &Ran, workload: &str, from: i64, to: i64) -> Vec<OpRecord> {
    let file = find(&ran.place.path().join("reports"), &format!("{workload}.ops"));
    let log = ops::read(&file).unwrap();
    log.records.iter().filter(|r| (from..to).contains(&r.due.0)).collect()
}

fn find(folder: &Path, name: &str) -> PathBuf {
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.ends_with(format!("ops/{name}")) {
                return path;
            }
        }
    }
    panic!("no {name}");
}

/// From the look that saw the effect to the call that healed it.
pub fn while_it_lasted(ran: &Ran, fault: &str) -> (i64, i64) {
    let mut span = (0, 0);
    for event in &ran.events {
        match &event.what {
            What::FaultEffect { fault: f, effective: true, span: s, .. } if f.as_str() == fault => span.0 = s.hi.0,
            What::HealStarted { fault: f, .. } if f.as_str() == fault => span.1 = event.at.mono.0,
            _ => {}
        }
    }
    assert!(span.0 > 0 && span.1 > span.0, "{fault} {span:?}");
    span
}

pub fn median(records: &[OpRecord]) -> Duration {
    let mut took: Vec<Duration> =
        records.iter().filter(|r| r.outcome == Outcome::Ok).map(|r| r.done.since(r.due)).collect();
    assert!(!took.is_empty());
    took.sort();
    took[took.len() / 2]
}

#[test]
fn the_proxy_drill_does_to_clients_what_it_says() {
    let ran = run_drill("drills/faults/proxy.yaml", &["--param", "port=17470"]);
    assert_eq!(ran.code, 0, "{}", ran.text);
    for fault in ["late", "hole", "resets"] {
        assert!(ran.bit(fault) && ran.healed(fault), "{fault}: {}", ran.text);
    }
    // 100 ms later: the median moves by that.
    let (late, before) = (while_it_lasted(&ran, "late"), 2_000_000_000);
    let usual = median(&due_between(&ran, "page", late.0 - before, late.0 - before / 10));
    let slow = median(&due_between(&ran, "page", late.0, late.1 - 500_000_000));
    let moved = slow.saturating_sub(usual).as_secs_f64();
    assert!((0.099..0.130).contains(&moved), "{usual:?} became {slow:?}");
    // A black hole of 2 s (and the moments around it) is an outage of as much; nothing that is due then is answered then.
    let hole = while_it_lasted(&ran, "hole");
    let lasted = (hole.1 - hole.0) as f64 / 1e9;
    assert!((2.0..2.5).contains(&lasted), "{lasted}");
    let due = due_between(&ran, "page", hole.0, hole.1);
    assert!(due.iter().all(|r| r.done.0 > hole.1), "answered by a black hole");
    let outage = ran.report["workloads"]["page"]["downtime"]["longest"]["best"].as_f64().unwrap();
    assert!((lasted - 0.5..lasted + 0.8).contains(&outage), "a black hole of {lasted} s is an outage of {outage} s");
    // Half of the connections, give or take two in a row of them.
    let resets = while_it_lasted(&ran, "resets");
    let due = due_between(&ran, "page", resets.0, resets.1);
    let broken = due.iter().filter(|r| r.outcome != Outcome::Ok).count();
    let share = broken as f64 / due.len() as f64;
    assert!(due.len() > 150 && (share - 0.5).abs() < 0.05, "{broken} of {}", due.len());
    // Nothing is left: no process, no socket.
    assert_eq!(blackstart(ran.place.path()).arg("status").status().unwrap().code(), Some(0));
    let control = ran.events.iter().find_map(|e| match &e.what {
        What::TargetsResolved { targets, .. } => Some(PathBuf::from(&targets[0].fields["control"])),
        _ => None,
    });
    assert!(!control.unwrap().exists());
}

#[test]
fn postgres_loses_no_write_to_a_bad_line() {
    let folder = tempfile::tempdir_in("/tmp").unwrap();
    // The servers run as another user.
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let dir = format!("dir={}", folder.path().join("pair").display());
    let ran = run_drill("drills/faults/proxy-postgres.yaml", &["--param", &dir, "--param", "base_port=15560"]);
    assert_eq!(ran.code, 0, "{}", ran.text);
    for fault in ["late", "hole", "resets"] {
        assert!(ran.bit(fault) && ran.healed(fault), "{fault}: {}", ran.text);
    }
    // A write is a few exchanges, each 20 ms later.
    let late = while_it_lasted(&ran, "late");
    let usual = median(&due_between(&ran, "orders", late.0 - 2_000_000_000, late.0 - 200_000_000));
    let slow = median(&due_between(&ran, "orders", late.0, late.1 - 500_000_000));
    let moved = slow.saturating_sub(usual).as_secs_f64();
    assert!((0.019..0.250).contains(&moved), "{usual:?} became {slow:?}");
    let hole = while_it_lasted(&ran, "hole");
    let due = due_between(&ran, "orders", hole.0, hole.1);
    let answered = due.iter().filter(|r| r.outcome == Outcome::Ok && r.done.0 <= hole.1).count();
    assert!(due.len() > 20 && answered == 0, "{answered} of {} answered by a black hole", due.len());
    let resets = while_it_lasted(&ran, "resets");
    let due = due_between(&ran, "orders", resets.0, resets.1);
    assert!(due.iter().all(|r| r.outcome != Outcome::Ok), "a reset connection answered");
    assert_eq!(ran.report["run"]["verdict"], "pass", "{}", ran.text);
}

/// Those of a workload that were due while a fault lasted, but for the moments around its beginning and its end.
fn due_under(ran: &Ran, workload: &str, fault: &str) -> Vec<OpRecord> {
    let (from, to) = while_it_lasted(ran, fault);
    let due = due_between(ran, workload, from, to - 300_000_000);
    assert!(due.len() > 20, "{fault}: {} operations", due.len());
    due
}

/// How many of them were answered while the fault lasted.
fn answered(ran: &Ran, workload: &str, fault: &str) -> (usize, usize) {
    let end = while_it_lasted(ran, fault).1;
    let due = due_under(ran, workload, fault);
    (due.iter().filter(|r| r.outcome == Outcome::Ok && r.done.0 <= end).count(), due.len())
}

#[test]
fn the_rest_of_the_set_does_to_http_clients_what_it_says() {
    let ran = run_drill("drills/faults/proxy-rest.yaml", &["--param", "port=17480"]);
    assert_eq!(ran.code, 0, "{}", ran.text);
    for fault in ["narrow", "vague", "short", "half", "shut"] {
        assert!(ran.bit(fault) && ran.healed(fault), "{fault}: {}", ran.text);
    }
    let (some, all) = answered(&ran, "page", "narrow");
    assert!(some * 2 < all, "{some} of {all} passed a narrow line in time");
    // An answer that is complete does not wait for the end of its connection.
    let (some, all) = answered(&ran, "page", "vague");
    assert!(some * 10 > all * 9, "{some} of {all} were answered although only ends are late");
    for fault in ["short", "half", "shut"] {
        let (some, all) = answered(&ran, "page", fault);
        assert_eq!(some, 0, "{some} of {all} were answered under `{fault}`");
    }
    assert_eq!(blackstart(ran.place.path()).arg("status").status().unwrap().code(), Some(0));
}

#[test]
fn postgres_loses_no_write_to_the_rest_of_the_set() {
    let folder = tempfile::tempdir_in("/tmp").unwrap();
    // The servers run as another user.
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let dir = format!("dir={}", folder.path().join("pair").display());
    let ran = run_drill("drills/faults/proxy-postgres-rest.yaml", &["--param", &dir, "--param", "base_port=15640"]);
    assert_eq!(ran.code, 0, "{}", ran.text);
    for fault in ["narrow", "vague", "shut", "short", "half"] {
        assert!(ran.bit(fault) && ran.healed(fault), "{fault}: {}", ran.text);
    }
    let (some, all) = answered(&ran, "orders", "narrow");
    assert!(some * 2 < all, "{some} of {all} writes passed a narrow line in time");
    // Connections that stand are not refused, and nobody waits for the end of one.
    for fault in ["vague", "shut"] {
        let (some, all) = answered(&ran, "orders", fault);
        assert!(some * 10 > all * 9, "{some} of {all} writes were answered under `{fault}`");
    }
    // Those that begin are.
    let (some, all) = answered(&ran, "orders.probe", "shut");
    assert_eq!(some, 0, "{some} of {all} connections were taken");
    let broken = due_under(&ran, "orders", "short").iter().filter(|r| r.outcome != Outcome::Ok).count();
    assert!(broken >= 8, "{broken} writes met the end of their connection");
    let (some, all) = answered(&ran, "orders", "half");
    assert_eq!(some, 0, "{some} of {all} writes were answered by a half-open connection");
    assert_eq!(ran.report["run"]["verdict"], "pass", "{}", ran.text);
}
