//! The `dns_…` kinds, in a real resolver process: each one's life, what `dig` says, and what clients see in a drill.

use crate::proxy::{due_between, median, own_address, while_it_lasted};
use crate::support::{Place, conforms, fault, heals_a_replaced_target, heals_what_was_never_injected, run_drill_as};
use blackstart::adapters::World;
use blackstart::adapters::proxy::Keep;
use blackstart::adapters::resolver::{ResolverAsk, ResolverStart};
use blackstart::model::{Dur, FaultId, Orphaned, Outcome, Owner, PinnedTarget};
use serde_json::json;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);

/// A resolver as a helper process; ended with this.
struct Names {
    owner: Owner,
    start: ResolverStart,
    world: World,
}

impl Names {
    async fn new(place: &Place, name: &str, upstream: Option<SocketAddr>, names: &[(&str, &str)]) -> Self {
        let owner = Owner { run: place.owner().run, fault: FaultId(name.into()) };
        let control = place.world.resolvers.socket(&owner, name).unwrap();
        // Nobody else's, by UDP and TCP, and the same when the resolver is replaced.
        let listen = own_address(5300);
        let names = names.iter().map(|(n, a)| ((*n).to_owned(), vec![a.parse().unwrap()])).collect();
        let deadline = Some(Dur(LIMIT * 15));
        let keep = Keep { runner: None, orphaned: Orphaned::Open, linger: Dur(Duration::ZERO), deadline };
        let start = ResolverStart { listen, upstream, names, ttl: Dur(Duration::from_secs(7)), control, keep };
        let own = Self { owner, start, world: place.world.clone() };
        own.up().await;
        own
    }

    async fn up(&self) {
        let parameters = serde_json::to_value(&self.start).unwrap();
        self.world.helpers.start(&self.owner, "resolver", &parameters, LIMIT).await.unwrap();
    }

    /// Status and answers, as `dig` has them.
    fn dig(&self, words: &[&str]) -> (String, String) {
        let (host, port) = (format!("@{}", self.start.listen.ip()), self.start.listen.port().to_string());
        let mut command = Command::new("dig");
        command.args([&host, "-p", &port, "+tries=1", "+timeout=1", "+noall", "+comments", "+answer"]).args(words);
        let out = String::from_utf8(command.output().unwrap().stdout).unwrap();
        let status = out.split("status: ").nth(1).map_or("", |rest| rest.split(',').next().unwrap());
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let answers: Vec<String> = out.lines().filter(|l| !l.starts_with(';') && !l.is_empty()).map(words).collect();
        (status.to_owned(), answers.join("\n"))
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        let (world, owner) = (self.world.clone(), self.owner.clone());
        let end = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(world.helpers.end(&owner, LIMIT))
        });
        drop(end.join());
    }
}

async fn with_names() -> (Place, Names) {
    let place = Place::new();
    let names = Names::new(&place, "names", None, &[("db.test", "127.0.0.1"), ("*.zone.test", "::1")]).await;
    let fields = BTreeMap::from([("control".to_owned(), names.start.control.to_string_lossy().into_owned())]);
    let target = PinnedTarget { name: "names".into(), kind: "resolver".into(), fields, ..Default::default() };
    (place.with("names", move || Ok(target.clone())), names)
}

fn kinds() -> Vec<serde_json::Value> {
    vec![
        json!({"dns_fail": {"target": "names", "names": ["db.test"], "how": "nxdomain"}}),
        json!({"dns_fail": {"target": "names", "names": ["*.zone.test"], "how": "servfail"}}),
        json!({"dns_fail": {"target": "names", "names": ["db.test"], "how": "no_answer"}}),
        json!({"dns_slow": {"target": "names", "names": ["db.test"], "delay": "80ms"}}),
        json!({"dns_answer": {"target": "names", "names": ["db.test"], "addresses": ["10.9.9.9", "::9"]}}),
        json!({"dns_answer": {"target": "names", "names": ["db.test"], "addresses": []}}),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_bites_and_is_healed_also_when_the_resolver_was_replaced() {
    let (place, names) = with_names().await;
    for kind in kinds() {
        conforms(&place, &fault(kind.clone())).await;
        heals_what_was_never_injected(&place, &fault(kind)).await;
    }
    let (owner, start, world) = (names.owner.clone(), names.start.clone(), names.world.clone());
    let replace = move || {
        let other = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                world.helpers.end(&owner, LIMIT).await.unwrap();
                std::mem::ManuallyDrop::new(Names { owner, start, world }).up().await;
            });
        });
        other.join().unwrap();
    };
    heals_a_replaced_target(&place, &fault(kinds().swap_remove(0)), replace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dig_sees_what_was_said_by_udp_and_tcp() {
    let (place, names) = with_names().await;
    // Another one asks the first.
    let front = Names::new(&place, "front", Some(names.start.listen), &[]).await;
    for resolver in [&names, &front] {
        for over in ["+notcp", "+tcp"] {
            let dig = |words: &[&str]| resolver.dig(&[&[over][..], words].concat());
            assert_eq!(dig(&["DB.test", "A"]), ("NOERROR".into(), "DB.test. 7 IN A 127.0.0.1".into()));
            assert_eq!(dig(&["db.test", "AAAA"]), ("NOERROR".into(), String::new()));
            assert_eq!(dig(&["a.zone.test", "AAAA"]), ("NOERROR".into(), "a.zone.test. 7 IN AAAA ::1".into()));
            assert_eq!(dig(&["zone.test", "A"]).0, "NXDOMAIN");
        }
    }
    place.pin();
    for (kind, over, status, answer) in [
        (0, "+notcp", "NXDOMAIN", ""),
        (0, "+tcp", "NXDOMAIN", ""),
        (2, "+notcp", "", ""),
        (2, "+tcp", "", ""),
        (4, "+tcp", "NOERROR", "db.test. 5 IN A 10.9.9.9"),
    ] {
        let spec = fault(kinds().swap_remove(kind));
        let undo = spec.prepare(&place.cx()).await.unwrap();
        let prepared = blackstart::faults::PreparedFault { spec, undo };
        prepared.inject(&place.cx()).await.unwrap();
        assert_eq!(names.dig(&[over, "db.test", "A"]), (status.into(), answer.into()), "{kind} {over}");
        assert_eq!(names.dig(&[over, "a.zone.test", "AAAA"]).0, "NOERROR", "another name is not touched");
        assert_eq!(place.residue().await.len(), 1);
        // By hand, with our binary in the place of its name.
        let command = prepared.by_hand().replacen("blackstart", env!("CARGO_BIN_EXE_blackstart"), 1);
        assert!(Command::new("sh").args(["-c", &command]).stdout(Stdio::null()).status().unwrap().success());
        assert_eq!(names.dig(&[over, "db.test", "A"]).1, "db.test. 7 IN A 127.0.0.1");
    }
    // Nonsense gets no answer and does no harm.
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    for nonsense in [&b""[..], b"x", &[0xff; 600]] {
        socket.send_to(nonsense, names.start.listen).unwrap();
    }
    assert_eq!(names.dig(&["db.test", "A"]).0, "NOERROR");
    let state = names.world.resolvers.ask(&names.start.control, &ResolverAsk::State).await.unwrap();
    assert!(state.asked > 10 && state.touched >= 5 && state.faults.is_empty(), "{state:?}");
}

/// A network namespace whose programs ask 127.0.0.1 for names.
struct Machine(String);

impl Machine {
    fn new() -> Self {
        let name = format!("bsn{}", std::process::id());
        let own = Self(name.clone());
        let folder = format!("/etc/netns/{name}");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(format!("{folder}/resolv.conf"), "nameserver 127.0.0.1\n").unwrap();
        own.ip(&["netns", "add", &name]);
        own.ip(&["-n", &name, "link", "set", "lo", "up"]);
        own
    }

    fn ip(&self, words: &[&str]) {
        assert!(Command::new("ip").args(words).status().unwrap().success(), "ip {words:?}");
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        drop(Command::new("ip").args(["netns", "del", &self.0]).status());
        drop(std::fs::remove_dir_all(format!("/etc/netns/{}", self.0)));
    }
}

#[test]
fn the_dns_drill_does_to_clients_what_it_says() {
    let machine = Machine::new();
    let inside = |command: Command| {
        let mut entered = Command::new("ip");
        entered.args(["netns", "exec", &machine.0]).arg(command.get_program()).args(command.get_args());
        entered.current_dir(command.get_current_dir().unwrap()).stdin(Stdio::null());
        entered.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        entered
    };
    let ran = run_drill_as("drills/faults/dns.yaml", &[], inside);
    assert_eq!(ran.code, 0, "{}", ran.text);
    for fault in ["unknown", "astray", "slow"] {
        assert!(ran.bit(fault) && ran.healed(fault), "{fault}: {}", ran.text);
    }
    for fault in ["unknown", "astray"] {
        let (from, to) = while_it_lasted(&ran, fault);
        // A visit that was due a moment before the end may ask a moment after it.
        let due = due_between(&ran, "page", from, to - 400_000_000);
        assert!(due.len() > 40 && due.iter().all(|r| r.outcome != Outcome::Ok), "{fault}: a visit was served");
    }
    let slow = while_it_lasted(&ran, "slow");
    let usual = median(&due_between(&ran, "page", slow.0 - 1_500_000_000, slow.0 - 200_000_000));
    let late = median(&due_between(&ran, "page", slow.0, slow.1 - 500_000_000));
    let moved = late.saturating_sub(usual).as_secs_f64();
    assert!((0.14..0.25).contains(&moved), "{usual:?} became {late:?}");
}
