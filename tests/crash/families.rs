//! The table of fault families that the sweep goes through. A family joins with one line: its name, the steps of an
//! `outage:` whose fault it is, what has to be there before (in the place's folder; everything that a file `*pid` names is
//! killed at the end), and a look for what is still broken.

use crate::place::Place;
use crate::sweep::sweep;
use blackstart::adapters::ProcessState;

/// A fault family.
pub struct Family {
    pub name: &'static str,
    /// The steps of the `outage:`. The drill's targets are in [`crate::sweep::drill`]; `TARGETS:` lines before the steps
    /// add more.
    pub outage: &'static str,
    /// Makes what is to be broken.
    pub before: fn(&Place),
    /// What is still broken; nothing if all is well.
    pub leftover: fn(&Place) -> Option<String>,
    /// Takes away what `before` made outside the place's folder.
    pub after: fn(&Place),
}

macro_rules! families {
    ($($(#[$doc:meta])* $name:ident: $outage:expr, $before:expr, $leftover:expr $(, $after:expr)?;)+) => {
        $($(#[$doc])* #[test] fn $name() {
            let after: [fn(&Place); 1] = [families!(@after $($after)?)];
            sweep(&Family {
                name: stringify!($name),
                outage: $outage,
                before: $before,
                leftover: $leftover,
                after: after[0],
            });
        })+
    };
    (@after) => { |_| {} };
    (@after $after:expr) => { $after };
}

pub const PAUSE: &str = "  - {id: fault, inject: {process_pause: {target: victim}}, deadline: 5m}\n";
const KILL: &str =
    "  - {id: fault, inject: {process_kill: {target: victim, back: {command: [./start.sh]}}}, deadline: 5m}\n";
const COMMAND: &str = "  - id: fault\n    deadline: 5m\n    inject: {command: {inject: [sh, -c, 'touch a && sleep 0.05 && touch b'], \
     effective: [sh, -c, 'test -e a && test -e b'], heal: [rm, -f, a, b], healed: [sh, -c, 'test ! -e a && test ! -e b']}}\n";
const TWO: &str = "  - {id: frozen, inject: {process_pause: {target: victim}}, deadline: 5m}\n  - {id: fault, inject: \
     {process_kill: {target: victim, back: {command: [./start.sh]}}}, deadline: 5m}\n";

const PARTITION: &str = "  machine: {network: {namespace: ./machine.net}}\nOUTAGE:\n  - {id: fault, inject: \
     {network_partition: {target: machine, ports: [7000]}}, deadline: 5m}\n";
const RATE: &str = "  machine: {network: {namespace: ./machine.net, interface: lo}}\nOUTAGE:\n  - {id: fault, inject: \
     {network_rate: {target: machine, rate: 1Mbit/s}}, deadline: 5m}\n";

families! {
    process_pause: PAUSE, Place::victim, not_running;
    process_kill: KILL, Place::victim, not_running;
    command: COMMAND, Place::victim, |place| (place.path("a").exists() || place.path("b").exists()).then(|| "a flag".to_owned());
    network_partition: PARTITION, Place::machine, rules;
    network_rate: RATE, Place::machine, queue;
    /// Two faults on the same target, healed newest first.
    two_faults: TWO, Place::victim, not_running;
}

/// The victim must run.
fn not_running(place: &Place) -> Option<String> {
    match place.state("pid") {
        Some(ProcessState::Running) => None,
        other => Some(format!("the victim is {other:?}")),
    }
}

/// No table of ours.
fn rules(place: &Place) -> Option<String> {
    let tables = place.in_machine("nft list tables");
    (!tables.is_empty()).then_some(tables)
}

/// The kernel's own queue, and no other name of the interface.
fn queue(place: &Place) -> Option<String> {
    let seen = place.in_machine("tc qdisc show dev lo") + &place.in_machine("ip link show dev lo");
    (!seen.starts_with("qdisc noqueue 0:") || seen.contains("bs-")).then_some(seen)
}
