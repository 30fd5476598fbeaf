//! Cutting, dropping, refusing and slowing down traffic, between two network namespaces that a test makes for itself.

mod drills;
mod lab;

use crate::support::{Place, conforms, fault, heals_a_replaced_target, heals_what_was_never_injected};
use blackstart::faults::{FaultSpec, PreparedFault};
use lab::{Lab, Netns, answers, arrives, find, sh};
use serde_json::json;
use std::process::Command;
use std::time::{Duration, Instant};

/// A lab, a place whose target `line` is the end `a` of the cable.
fn with_lab(interface: Option<&'static str>) -> (Place, Lab) {
    let place = Place::new();
    let lab = Lab::new(place.path());
    let (path, world) = (lab.a.path().to_path_buf(), place.world.clone());
    (place.with("line", move || find(&path, &world, interface)), lab)
}

async fn prepared(spec: &FaultSpec, place: &Place) -> PreparedFault {
    place.pin();
    PreparedFault { spec: spec.clone(), undo: spec.prepare(&place.cx()).await.expect("prepared") }
}

async fn injected(spec: &FaultSpec, place: &Place) -> PreparedFault {
    let fault = prepared(spec, place).await;
    fault.inject(&place.cx()).await.expect("injected");
    fault
}

async fn heal(fault: &PreparedFault, place: &Place) {
    fault.heal(&place.cx()).await.expect("healed");
    let look = fault.healed(&place.cx()).await.expect("a look");
    assert!(look.holds, "{}", look.detail);
}

async fn refused(spec: &FaultSpec, place: &Place) -> String {
    place.pin();
    spec.prepare(&place.cx()).await.err().expect("it is refused").to_string()
}

fn partition() -> FaultSpec {
    fault(json!({"network_partition": {"target": "line", "peers": [lab::B], "look": {"address": "10.83.77.2:7000"}}}))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_is_healed() {
    let (place, lab) = with_lab(None);
    let _echo = lab.echo(7000);
    conforms(&place, &partition()).await;
    heals_what_was_never_injected(&place, &partition()).await;
    heals_a_replaced_target(&place, &partition(), || lab.replace()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_and_a_refusal_are_healed() {
    let (place, lab) = with_lab(None);
    let _echo = lab.echo(7000);
    let look = json!({"address": "10.83.77.2:7000"});
    for spec in [
        json!({"network_drop": {"target": "line", "share": "50%", "peers": [lab::B], "look": look}}),
        json!({"network_reject": {"target": "line", "ports": ["7000"], "protocol": "tcp", "look": look}}),
        json!({"network_reject": {"target": "line", "peers": ["10.83.77.0/24"], "look": look}}),
        json!({"network_partition": {"target": "line", "direction": "in", "look": look}}),
    ] {
        conforms(&place, &fault(spec.clone())).await;
        heals_what_was_never_injected(&place, &fault(spec)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_established_connection_is_cut_and_goes_on() {
    let (place, lab) = with_lab(None);
    let _echo = lab.echo(7000);
    let mut stream = lab.connect(7000).unwrap();
    assert!(answers(&mut stream, Duration::from_secs(5)));
    let fault = injected(&partition(), &place).await;
    assert!(!answers(&mut stream, Duration::from_millis(300)) && lab.connect(7000).is_err());
    heal(&fault, &place).await;
    // What was sent meanwhile is sent again.
    assert!(answers(&mut stream, Duration::from_secs(20)) && lab.connect(7000).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_way_lets_the_other_way_through() {
    let (place, lab) = with_lab(None);
    let (a, b) = lab.datagrams(7001);
    for (direction, a_to_b, b_to_a) in [("in", true, false), ("out", false, true), ("both", false, false)] {
        let spec = fault(json!({"network_partition": {"target": "line", "peers": [lab::B], "direction": direction}}));
        let fault = injected(&spec, &place).await;
        assert_eq!((arrives(&a, &b), arrives(&b, &a)), (a_to_b, b_to_a), "{direction}");
        heal(&fault, &place).await;
        assert!(arrives(&a, &b) && arrives(&b, &a), "{direction}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_named_is_hit() {
    let (place, lab) = with_lab(None);
    let (_one, _other) = (lab.echo(7000), lab.echo(7002));
    let (a, b) = lab.datagrams(7000);
    let spec = fault(json!({"network_partition": {"target": "line", "ports": ["7000"], "protocol": "tcp"}}));
    let fault = injected(&spec, &place).await;
    assert!(lab.connect(7000).is_err() && lab.connect(7002).is_ok() && arrives(&a, &b));
    heal(&fault, &place).await;
    // Everything is the network, not what a machine says to itself.
    let everything = self::fault(json!({"network_partition": {"target": "line"}}));
    let fault = injected(&everything, &place).await;
    assert!(lab.connect(7002).is_err());
    lab.a.sh("ping -c1 -W5 127.0.0.1 >/dev/null 2>&1 || command -v ping >/dev/null && exit 1; true");
    heal(&fault, &place).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_told_at_once() {
    let (place, lab) = with_lab(None);
    let _echo = lab.echo(7000);
    let mut stream = lab.connect(7000).unwrap();
    assert!(answers(&mut stream, Duration::from_secs(5)));
    for direction in ["out", "in"] {
        let spec = fault(json!({"network_reject": {"target": "line", "ports": ["7000"], "direction": direction}}));
        let fault = injected(&spec, &place).await;
        let began = Instant::now();
        let error = lab.connect(7000).expect_err("refused");
        // Incoming answers are refused to the server, and the client never hears of it.
        if direction == "out" {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
            assert!(began.elapsed() < Duration::from_millis(850), "{:?}", began.elapsed());
            assert!(!answers(&mut stream, Duration::from_secs(5)));
        }
        heal(&fault, &place).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_is_a_share() {
    let (place, lab) = with_lab(None);
    let (a, b) = lab.datagrams(7001);
    let spec =
        fault(json!({"network_drop": {"target": "line", "share": "50%", "peers": [lab::B], "direction": "out"}}));
    let fault = injected(&spec, &place).await;
    b.set_nonblocking(true).unwrap();
    let (mut sent, mut arrived) = (0, 0);
    for _ in 0..1000 {
        // What nftables drops on its way out, the sender is told.
        sent += usize::from(a.send(b"x").is_ok());
        arrived += usize::from(b.recv(&mut [0_u8; 8]).is_ok());
    }
    while b.recv(&mut [0_u8; 8]).is_ok() {
        arrived += 1;
    }
    assert!((380..=620).contains(&arrived), "{arrived} of 1000 arrived, {sent} were taken");
    heal(&fault, &place).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_rules_stay_as_they_were() {
    let (place, lab) = with_lab(None);
    let foreign = "table inet filter { chain input { type filter hook input priority 0; policy accept; tcp dport 1 drop; }; }; \
                   table ip nat { chain out { type nat hook postrouting priority 100; }; }";
    lab.a.sh(&format!("nft \"{foreign}\""));
    let before = lab.a.sh("nft list ruleset");
    let fault =
        injected(&self::fault(json!({"network_partition": {"target": "line", "peers": [lab::B]}})), &place).await;
    let during = lab.a.sh("nft list ruleset");
    assert!(during.contains(&place.owner().tag()) && during.starts_with(before.trim_end()), "{during}");
    heal(&fault, &place).await;
    assert_eq!(lab.a.sh("nft list ruleset"), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_is_not_cut_off_by_mistake() {
    let world = Place::new().world;
    let place = Place::new().with("line", move || {
        find("/proc/self/ns/net".as_ref(), &world, None).map(|mut found| {
            found.fields.insert("namespace".to_owned(), String::new());
            found
        })
    });
    for peers in [json!([]), json!(["0.0.0.0/0"])] {
        let why = refused(&fault(json!({"network_partition": {"target": "line", "peers": peers}})), &place).await;
        assert!(why.contains("acknowledge: cuts_off_this_machine"), "{why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_refused() {
    let (place, _lab) = with_lab(None);
    for (spec, wanted) in [
        (json!({"network_partition": {"target": "line", "peers": ["nowhere"]}}), "`nowhere` is neither"),
        (json!({"network_partition": {"target": "line", "ports": ["x"]}}), "`x` is not a port"),
        (json!({"network_drop": {"target": "line", "share": "5%", "ports": ["1"], "protocol": "icmp"}}), "no ports"),
        (json!({"network_reject": {"target": "line", "protocol": "icmp"}}), "cannot be rejected"),
        (json!({"network_rate": {"target": "line", "rate": "1Mbit/s"}}), "names no interface"),
        (
            json!({"network_partition": {"target": "line", "peers": [lab::B], "look": {"address": "10.83.77.2:1"}}}),
            "must answer before the fault",
        ),
    ] {
        let why = refused(&fault(spec), &place).await;
        assert!(why.contains(wanted), "{why}");
    }
    let (place, _lab) = with_lab(Some("eth9"));
    let why = refused(&fault(json!({"network_partition": {"target": "line"}})), &place).await;
    assert!(why.contains("no interface `eth9`"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_is_gone_is_healed_and_one_that_was_replaced_is_not_touched() {
    let (place, lab) = with_lab(None);
    let fault =
        prepared(&self::fault(json!({"network_partition": {"target": "line", "peers": [lab::B]}})), &place).await;
    // The rules would land in a namespace that nobody looked at.
    let keep = std::fs::File::open(lab.a.path()).unwrap();
    lab.replace();
    assert!(fault.inject(&place.cx()).await.is_err());
    assert_eq!(lab.a.sh("nft list ruleset"), "");
    drop(keep);
    let fault =
        injected(&self::fault(json!({"network_partition": {"target": "line", "peers": [lab::B]}})), &place).await;
    lab.a.end();
    heal(&fault, &place).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_left_is_found_by_its_tag_and_removed_by_hand() {
    let place = Place::new();
    let left = Netns::named();
    left.sh("ip link add d0 type veth peer name d1; ip link set d0 up; ip link set d1 up");
    let (path, world) = (left.path().to_path_buf(), place.world.clone());
    let place = place.with("line", move || find(&path, &world, Some("d0")));
    for spec in [
        json!({"network_partition": {"target": "line", "ports": ["7000"]}}),
        json!({"network_rate": {"target": "line", "rate": "1Mbit/s"}}),
    ] {
        let fault = injected(&fault(spec), &place).await;
        let found = place.residue().await;
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].what.contains("network namespace bst-"), "{found:?}");
        assert_eq!(found[0].by_hand, fault.by_hand());
        sh(&found[0].by_hand);
        assert_eq!(place.residue().await, []);
        let look = fault.healed(&place.cx()).await.unwrap();
        assert!(look.holds, "{}", look.detail);
    }
}

fn rate() -> FaultSpec {
    fault(json!({"network_rate": {"target": "line", "rate": "4Mbit/s"}}))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bandwidth_limit_is_healed() {
    let (place, lab) = with_lab(Some("a0"));
    conforms(&place, &rate()).await;
    heals_what_was_never_injected(&place, &rate()).await;
    heals_a_replaced_target(&place, &rate(), || lab.replace()).await;
    // Not among addresses of links, which may hold anything.
    assert!(!lab.a.sh("tc qdisc show").contains(" 7b"));
}

/// How long so many bytes take to go from `a` to `b` and back.
fn takes(lab: &Lab, bytes: usize) -> Duration {
    use std::io::{Read, Write};
    let mut stream = lab.connect(7000).unwrap();
    let mut writing = stream.try_clone().unwrap();
    let began = Instant::now();
    let writer = std::thread::spawn(move || writing.write_all(&vec![0; bytes]).unwrap());
    stream.read_exact(&mut vec![0; bytes]).unwrap();
    writer.join().unwrap();
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bandwidth_limit_slows_down_what_passes() {
    let (place, lab) = with_lab(Some("a0"));
    let _echo = lab.echo(7000);
    let bytes = 1_000_000;
    let before = takes(&lab, bytes);
    let fault = injected(&rate(), &place).await;
    let during = takes(&lab, bytes);
    heal(&fault, &place).await;
    let after = takes(&lab, bytes);
    // 1 MB at 500 kB/s takes 2 s; retransmissions of what the queue dropped make it longer.
    assert!(during > Duration::from_millis(1800), "{during:?}");
    assert!(during > before * 3 && during > after * 3, "{before:?} {during:?} {after:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_queue_of_somebody_is_not_touched() {
    let (place, lab) = with_lab(Some("a0"));
    let fault = prepared(&rate(), &place).await;
    lab.a.sh("tc qdisc add dev a0 root handle 1: pfifo limit 77");
    let before = lab.a.sh("tc qdisc show dev a0");
    let why = refused(&rate(), &place).await;
    assert!(why.contains("somebody's queueing discipline (pfifo 1:)"), "{why}");
    // One that came between the look and the injection.
    assert!(fault.inject(&place.cx()).await.is_err());
    heal(&fault, &place).await;
    assert_eq!(lab.a.sh("tc qdisc show dev a0"), before);
    assert_eq!(place.residue().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_experiments_do_not_share_a_root_queue() {
    let (first, lab) = with_lab(Some("a0"));
    let (path, world) = (lab.a.path().to_path_buf(), first.world.clone());
    let second = Place::new().with("line", move || find(&path, &world, Some("a0")));
    let late = prepared(&rate(), &second).await;
    let fault = injected(&rate(), &first).await;
    let why = refused(&rate(), &second).await;
    assert!(why.contains("another drill's queueing discipline"), "{why}");
    assert!(late.inject(&second.cx()).await.is_err());
    // Healing the one that lost leaves the other's alone.
    heal(&late, &second).await;
    assert!(fault.effective(&first.cx()).await.unwrap().holds);
    heal(&fault, &first).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_line_is_healed_or_said_to_be_unavailable() {
    let (place, lab) = with_lab(Some("a0"));
    let spec = fault(json!({"network_netem": {"target": "line", "delay": "50ms", "jitter": "5ms", "loss": "1%"}}));
    let before = lab.a.sh("tc qdisc show; ip link show");
    if place.world.network.has_qdisc(&["netem", "delay", "1ms"]).await.is_ok() {
        conforms(&place, &spec).await;
        heals_a_replaced_target(&place, &spec, || lab.replace()).await;
        return;
    }
    let why = spec.unavailable(&place.world).await.expect("said before anything is touched");
    assert_eq!(refused(&spec, &place).await, why);
    assert_eq!(why, "unavailable, because this kernel has no netem (sch_netem); use the proxy for delays");
    assert_eq!(lab.a.sh("tc qdisc show; ip link show"), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_this_machine_can_do_is_not_unavailable() {
    let (place, _lab) = with_lab(Some("a0"));
    for spec in [rate(), partition()] {
        assert_eq!(spec.unavailable(&place.world).await, None);
    }
}

#[test]
fn a_plan_and_a_run_say_what_this_kernel_has_not_and_touch_nothing() {
    use crate::support::blackstart;
    let place = tempfile::tempdir_in("/var/tmp").unwrap();
    let at = |name: &str| place.path().join(name);
    let machine = Netns::at(at("machine.net"));
    std::fs::write(at("blackstart.yaml"), "environments: {lab: {namespaces: [machine.net]}}\n").unwrap();
    let drill = "drill: bad-line\nenvironment: lab\ntargets:\n  line: {network: {namespace: ./machine.net, interface: lo}}\n\
                 outage:\n  - {id: worse, inject: {network_netem: {target: line, delay: 1ms}}}\n";
    std::fs::write(at("drill.yaml"), drill).unwrap();
    let has =
        Command::new("unshare").args(["-n", "tc", "qdisc", "add", "dev", "lo", "root", "netem"]).output().unwrap();
    for verb in ["plan", "run"] {
        let output = blackstart(place.path()).arg(verb).arg(at("drill.yaml")).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).replace('\n', " ");
        let wanted = "`worse`: network_netem is unavailable, because this kernel has no netem";
        assert_eq!(output.status.code() == Some(69), !has.status.success(), "{verb}: {said}");
        assert_eq!(said.contains(wanted), !has.status.success(), "{verb}: {said}");
    }
    assert!(machine.sh("tc qdisc show dev lo").starts_with("qdisc noqueue 0:"));
}
