//! A small drill on the embedded staging, quick, with every phase; tests change a line of it.

/// The drill; its staging takes `port` and the next four.
pub fn text(port: u16) -> String {
    filled(DRILL, port)
}

/// A drill's text with its port, and for `DIES` the step that kills the primary.
pub fn filled(text: &str, port: u16) -> String {
    text.replace("DIES", DIES).replace("PORT", &port.to_string())
}

/// The primary is killed; the standby must be there, and the staging brings it back.
const DIES: &str = r#"  - id: dies
    inject:
      process_kill:
        target: primary
        back: {request: {method: POST, url: "http://127.0.0.1:PORT/cluster/start", timeout: 20s}}
        alive: standby
    deadline: 1m"#;

const DRILL: &str = r#"
drill: small
environment: embedded
objectives: {rto: 10s, rpo: {time: 5s, writes: 500}}
staging: {embedded: {replication: async, lag: 50ms, port: PORT}}
targets:
  store:   {kv: {url: "http://127.0.0.1:PORT"}}
  primary: {process: {pidfile: "${staging.dir}/primary.pid"}}
  standby: {process: {pidfile: "${staging.dir}/standby.pid"}}
workload:
  orders:
    ledger: {target: store, rate: 100/s, writers: 4, timeout: 2s}
    service: {deadline: 1s, stable: 1s}
guards:
  - {max_duration: 2m}
baseline: 1s
steady:
  - expect: {http: {url: "http://127.0.0.1:PORT/cluster", value: {cel: "value.primaries == 1 && value.streaming"}}}
    within: 10s
outage:
DIES
failover:
  - id: promoted
    expect: {http: {url: "http://127.0.0.1:PORT/cluster", json: "$.leader", value: {equals: b}}}
    within: 10s
restore:
  - id: rejoin
    run: {request: {method: POST, url: "http://127.0.0.1:PORT/cluster/start", timeout: 20s}}
    within: 20s
    closes: dies
verify:
  - id: one_primary
    check: {http: {url: "http://127.0.0.1:PORT/cluster", json: "$.primaries", value: {equals: 1}}}
"#;

/// The same with one line changed; the line must be there.
#[track_caller]
pub fn with(port: u16, old: &str, new: &str) -> String {
    let text = text(port);
    assert!(text.contains(old), "no `{old}` in the drill");
    text.replacen(old, new, 1)
}
