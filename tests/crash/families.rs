//! The table of fault families that the sweep goes through. A family joins with one line: its name, the steps of an
//! `outage:` whose fault it is, what has to be there before (in the place's folder; everything that a file `*pid` names is
//! killed at the end), and a look for what is still broken.

use crate::place::{Place, run_id};
use crate::sweep::sweep;
use blackstart::adapters::ProcessState;
use blackstart::model::{FaultId, Owner, RunId};

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
const REMOVE: &str = "  data: {file: {path: ./data/file}}\nOUTAGE:\n  - {id: fault, inject: {file_remove: {target: data}}, \
     deadline: 5m}\n";
const TRUNCATE: &str = "  data: {file: {path: ./data/file}}\nOUTAGE:\n  - {id: fault, inject: {file_truncate: {target: \
     data, to: 10B}}, deadline: 5m}\n";
const CORRUPT: &str = "  data: {file: {path: ./data/file}}\nOUTAGE:\n  - {id: fault, inject: {file_corrupt: {target: \
     data, amount: {bytes: 64B}}}, deadline: 5m}\n";
const FILL: &str = "  disk: {directory: {path: ./disk}}\nOUTAGE:\n  - {id: fault, inject: {disk_fill: {target: disk, to: \
     {share: 90%}}}, deadline: 5m}\n";
const READ_ONLY: &str = "  disk: {directory: {path: ./disk}}\nOUTAGE:\n  - {id: fault, inject: {disk_read_only: {target: \
     disk}}, deadline: 5m}\n";
const IO: &str = "  data: {directory: {path: ./data}}\nOUTAGE:\n  - {id: fault, inject: {disk_io: {target: data, \
     operations: [fsync], delay: 20ms}}, deadline: 5m}\n";
const SERVICE: &str = "  web: {service: {pidfile: pid, start: {command: [./start.sh]}, patience: 300ms}}\nOUTAGE:\n  - \
     {id: fault, inject: {service_stop: {target: web}}, deadline: 5m}\n";
const POSTMASTER: &str = "  - {id: fault, inject: {postgres_stop: {target: victim, mode: smart, back: {command: \
     [./start.sh]}}}, deadline: 5m}\n";
const FILES: &str = "  - {id: fault, inject: {descriptor_pressure: {target: victim, files: 64}}, deadline: 5m}\n";
const CPU: &str = "  here: {host: {}}\nOUTAGE:\n  - {id: fault, inject: {cpu_pressure: {target: here, workers: 1, load: 5%}}, \
     deadline: 5m}\n";
const PARTS: &str = "  other: {process: {pidfile: 2pid}}\nOUTAGE:\n  - {id: fault, inject: {process_pause: {target: [victim, \
     other]}}, deadline: 5m}\n";

const STORM: &str = "  - {id: fault, inject: {process_storm: {target: victim, times: 2, every: 100ms, stays: 50ms, back: \
     {command: [./start.sh]}}}, deadline: 5m}\n";
const MEMORY: &str = "  here: {host: {}}\nOUTAGE:\n  - {id: fault, inject: {memory_pressure: {target: here, size: 8MB}}, \
     deadline: 5m}\n";
const DOOR: &str = "  door: {proxy: {upstream: '127.0.0.1:PORT', orphaned: open}}\nOUTAGE:\n  - {id: fault, inject: \
     {tcp_refuse: {target: door}}, deadline: 5m}\n";
const NAMES: &str = "  names: {resolver: {names: {store.test: [127.0.0.1]}, ttl: 1s}}\nOUTAGE:\n  - {id: fault, inject: \
     {dns_fail: {target: names, names: [store.test], how: nxdomain}}, deadline: 5m}\n";
const CERTIFICATE: &str = "  certificate: {file: {path: ./data/server.pem}}\n  key: {file: {path: ./data/server.key}}\n\
     OUTAGE:\n  - {id: fault, inject: {certificate_expired: {target: certificate, key: key}}, deadline: 5m}\n";
const CLOCK: &str = "  - {id: fault, inject: {clock_skew: {target: victim, by: 2h, way: ahead}}, deadline: 5m}\n";
const DROP: &str = "  machine: {network: {namespace: ./machine.net}}\nOUTAGE:\n  - {id: fault, inject: {network_drop: \
     {target: machine, ports: [7000], share: 30%}}, deadline: 5m}\n";
const REJECT: &str = "  machine: {network: {namespace: ./machine.net}}\nOUTAGE:\n  - {id: fault, inject: \
     {network_reject: {target: machine, ports: [7000]}}, deadline: 5m}\n";

families! {
    clock_skew: CLOCK, under_faketime, |place| {
        let now = place.read("offset");
        (now != "+0\n").then_some(now)
    };
    network_drop: DROP, Place::machine, rules;
    network_reject: REJECT, Place::machine, rules;
    process_storm: STORM, Place::victim, not_running;
    memory_pressure: MEMORY, Place::victim, helpers;
    tcp_proxy: DOOR, before_a_service, helpers;
    names: NAMES, Place::victim, helpers;
    certificate_expired: CERTIFICATE, certificate, |place| {
        let now = |name: &str| std::fs::read(place.path(name)).ok();
        let same = now("data/server.pem") == now("server.pem") && now("data/server.key") == now("server.key");
        (!same).then(|| "the certificate or its key is not what it was".to_owned())
    };
    service_stop: SERVICE, Place::victim, not_running;
    postgres_stop: POSTMASTER, postmaster, not_running;
    descriptor_pressure: FILES, Place::victim, |place| {
        let limit = place.process("pid").map(|who| place.world.processes.file_limit(&who).unwrap());
        limit.filter(|limit| limit.soft == 64).map(|limit| format!("{limit:?}"))
    };
    cpu_pressure: CPU, Place::victim, helpers;
    /// A fault on two targets is two faults in the record.
    several_targets: PARTS, two_victims, |place| {
        not_running(place).or_else(|| match place.state("2pid") {
            Some(ProcessState::Running) => None,
            other => Some(format!("the other one is {other:?}")),
        })
    };
    process_pause: PAUSE, Place::victim, not_running;
    process_kill: KILL, Place::victim, not_running;
    command: COMMAND, Place::victim, |place| (place.path("a").exists() || place.path("b").exists()).then(|| "a flag".to_owned());
    network_partition: PARTITION, Place::machine, rules;
    network_rate: RATE, Place::machine, queue;
    file_remove: REMOVE, file, changed;
    file_truncate: TRUNCATE, file, changed;
    file_corrupt: CORRUPT, file, changed;
    disk_fill: FILL, disk, ballast, unmount;
    disk_read_only: READ_ONLY, disk, unwritable, unmount;
    disk_io: IO, file, covered;
    /// Two faults on the same target, healed newest first.
    two_faults: TWO, Place::victim, not_running;
}

/// The victim as a postmaster, as far as its file goes. A shell without job control makes it deaf for INT and QUIT.
fn postmaster(place: &Place) {
    place.script(
        "start.sh",
        "sleep 3600 >/dev/null 2>&1 </dev/null & echo $! > pid\n\
         printf '%s\\n%s\\n0\\n0\\n\\n\\n0\\nready\\n' \"$(cat pid)\" \"$PWD\" > postmaster.pid",
    );
    assert_eq!(place.sh("sh start.sh").code, 0);
}

fn two_victims(place: &Place) {
    place.victim();
    assert_eq!(place.sh("sleep 3600 >/dev/null 2>&1 </dev/null & echo $! > 2pid").code, 0);
}

/// No helper process of the fault, and none that was put between clients and a service.
fn helpers(place: &Place) -> Option<String> {
    let of = |fault: String| Owner { run: RunId(run_id(place.folder())), fault: FaultId(fault) };
    let owners = [of("fault".to_owned()), of(format!("targets of {}", place.run_dir().display()))];
    let left: Vec<_> = owners.iter().flat_map(|owner| place.world.helpers.find(owner).unwrap()).collect();
    (!left.is_empty()).then(|| format!("{left:?}"))
}

/// A service that takes connections and closes them; a proxy stands before it.
fn before_a_service(place: &Place) {
    static PORT: std::sync::OnceLock<u16> = std::sync::OnceLock::new();
    let port = PORT.get_or_init(|| {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || listener.incoming().for_each(drop));
        port
    });
    place.victim();
    place.write("drill.yaml", &place.read("drill.yaml").replace("PORT", &port.to_string()));
}

/// The victim reads the offset of its clock from a file.
fn under_faketime(place: &Place) {
    place.write("offset", "+0\n");
    place.script(
        "start.sh",
        "export LD_PRELOAD=$(ls /usr/lib/*/faketime/libfaketime.so.1) FAKETIME_TIMESTAMP_FILE=$PWD/offset\n\
         sleep 3600 >/dev/null 2>&1 </dev/null & echo $! > pid",
    );
    assert_eq!(place.sh("sh start.sh").code, 0);
    // Until it has loaded the library.
    let loaded =
        || place.process("pid").is_some_and(|who| place.world.processes.has_loaded(&who, "libfaketime").unwrap());
    let patience = std::time::Instant::now() + crate::place::LONG;
    while !loaded() {
        assert!(std::time::Instant::now() < patience, "libfaketime is not loaded");
        std::thread::yield_now();
    }
}

/// A certificate with its key, and a copy of both.
fn certificate(place: &Place) {
    place.victim();
    let made = place.sh(
        "mkdir data && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
         -addext subjectAltName=DNS:localhost -keyout data/server.key -out data/server.pem && cp data/* .",
    );
    assert_eq!(made.code, 0, "{}", made.said);
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

/// What is in `data/file`.
fn bytes() -> Vec<u8> {
    (0..5000_u32).flat_map(u32::to_le_bytes).collect()
}

fn file(place: &Place) {
    place.victim();
    std::fs::create_dir_all(place.path("data")).unwrap();
    std::fs::write(place.path("data/file"), bytes()).unwrap();
}

/// The very file, alone in its folder.
fn changed(place: &Place) -> Option<String> {
    let names: Vec<String> =
        std::fs::read_dir(place.path("data")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    let same = std::fs::read(place.path("data/file")).is_ok_and(|now| now == bytes());
    (!same || names.len() != 1).then(|| format!("same: {same}, {names:?}"))
}

/// A file system in memory, at `disk`.
fn disk(place: &Place) {
    place.victim();
    let made = place.sh("mkdir disk && mount -t tmpfs -o size=8m tmpfs disk");
    assert_eq!(made.code, 0, "{}", made.said);
}

fn unmount(place: &Place) {
    drop(place.sh("umount -l disk"));
}

fn ballast(place: &Place) -> Option<String> {
    let names: Vec<_> = std::fs::read_dir(place.path("disk")).unwrap().map(|e| e.unwrap().file_name()).collect();
    (!names.is_empty()).then(|| format!("{names:?}"))
}

fn unwritable(place: &Place) -> Option<String> {
    let tried = std::fs::write(place.path("disk/try"), "").and_then(|()| std::fs::remove_file(place.path("disk/try")));
    tried.err().map(|e| e.to_string())
}

/// The folder itself, and no mount over it, alive or dead.
fn covered(place: &Place) -> Option<String> {
    let mounts = place.world.disks.mounts().unwrap();
    let over = mounts.into_iter().find(|m| m.point == place.path("data")).map(|m| format!("{m:?}"));
    over.or_else(|| changed(place))
}
