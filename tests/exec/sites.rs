//! Sites of a ledger on the embedded staging, held against what the nodes themselves wrote down.

use crate::bench::{Bench, Ran};
use blackstart::analysis::{self, Analysis, Record};
use blackstart::event::{ReadBackStage, What};
use blackstart::journal;
use blackstart::model::{RunState, Verdict};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// The standby is frozen for a while, and thawed; the primary goes on.
fn frozen(port: u16, converge: &str) -> String {
    format!(
        r#"
drill: sites
environment: test
objectives: {{rto: 20s}}
staging: {{embedded: {{replication: async, lag: 600ms, port: {port}}}}}
targets:
  store:   {{kv: {{url: "http://127.0.0.1:{port}"}}}}
  node_a:  {{kv: {{url: "http://127.0.0.1:{a}"}}}}
  node_b:  {{kv: {{url: "http://127.0.0.1:{b}"}}}}
  standby: {{process: {{pidfile: "${{staging.dir}}/standby.pid"}}}}
workload:
  orders:
    ledger: {{target: store, rate: 100/s, writers: 4, payload: 64B, timeout: 2s, sites: {{a: {{target: node_a}}, b: {{target: node_b}}}}{converge}}}
    service: {{availability: 100%, deadline: 1s, stable: 1s}}
guards: [{{max_duration: 2m}}]
baseline: 1s
outage:
  - {{id: frozen, inject: {{process_pause: {{target: standby}}}}, deadline: 1m}}
  - {{id: meanwhile, wait: 1500ms}}
restore:
  - {{id: thaw, heal: frozen}}
"#,
        a = port + 1,
        b = port + 2
    )
}

fn analysis(ran: &Ran) -> Analysis {
    let stored = journal::read(ran.finished.dir.as_deref().unwrap()).unwrap();
    let (events, ops, read_backs) = (stored.events, stored.ops, stored.read_backs);
    analysis::analyze(&Record { events, ops, read_backs, problems: stored.problems, ..Record::default() })
}

type Name = (u64, u64);

/// When each record was first accepted by the primary, or stored by a standby: from the staging's own logs.
fn first(staging: &Path, node: &str, event: &str) -> BTreeMap<Name, i64> {
    let text = std::fs::read_to_string(staging.join(format!("truth/{node}.jsonl"))).unwrap();
    let mut times = BTreeMap::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        if line["event"] == event {
            let name = (line["writer"].as_u64().unwrap(), line["seq"].as_u64().unwrap());
            times.entry(name).or_insert(line["t"].as_i64().unwrap());
        }
    }
    times
}

#[tokio::test(flavor = "multi_thread")]
async fn convergence_and_divergence_are_what_the_nodes_wrote_down() {
    let bench = Bench::new();
    let ran = bench.run(&frozen(18700, ", converge: 20s")).await;
    assert_eq!(ran.finished.state, RunState::Ended, "{}", ran.story());
    let staging = ran.finished.dir.as_deref().unwrap().join("staging");
    let (accepted, stored) = (first(&staging, "a", "accepted"), first(&staging, "b", "stored"));

    let found = analysis(&ran);
    let sites = &found.sites[0];
    assert_eq!((sites.verdict, sites.sites.len()), (Verdict::Pass, 2), "{sites:?}");
    for site in &sites.sites {
        assert_eq!((site.lacks, site.lost, &site.error), (Some(0), Some(0), &None), "{site:?}");
    }

    // The frontier is what was there at the first look after the heal: all that was accepted before it began, and some of
    // what was accepted while it went on.
    let looks: Vec<_> = ran
        .events
        .iter()
        .filter_map(|e| match &e.what {
            What::Sites(look) => Some(look),
            _ => None,
        })
        .collect();
    let last = looks.last().unwrap();
    assert!(last.same, "{looks:?}");
    let round: Vec<_> = looks.iter().filter(|look| look.since == last.since).collect();
    let whole =
        |until: i64| accepted.iter().filter(|(_, at)| **at < until).map(|(name, _)| stored[name]).max().unwrap();
    let (low, high) = (whole(round[0].span.lo.0), whole(round[0].span.hi.0));
    let took = sites.converged.unwrap_or_else(|| panic!("{sites:?}\n{}", ran.story()));
    let (low, high) = (low - last.since.0, high - last.since.0);
    assert!(took.low <= high && low <= took.high, "truth {low} to {high}, said {took:?}\n{looks:?}");
    // The lag is 600 ms, so it cannot have been at once; and two looks are not far apart.
    assert!(took.high >= 300_000_000 && !round[0].same, "{took:?} {looks:?}");

    // Right before the heal: what b had not stored of what the service had shown.
    let early = |site: &str| {
        ran.events.iter().find_map(|e| match &e.what {
            What::ReadBack(done) if done.stage == ReadBackStage::Early && done.site == site => Some(done.clone()),
            _ => None,
        })
    };
    assert!(early("service").is_some_and(|done| done.error.is_none()), "{}", ran.story());
    let frozen = early("b").unwrap();
    assert!(frozen.error.is_some() && sites.sites[1].lacked.is_none(), "a frozen node shows nothing: {frozen:?}");
    assert_eq!(sites.sites[0].lacked, Some(0), "{sites:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_site_lacks_for_good_is_counted_and_named() {
    let bench = Bench::new();
    // The standby is killed and stays away: its copy cannot be read at the end.
    let text = frozen(18710, "")
        .replace("process_pause: {target: standby}", "process_kill: {target: standby, back: {command: [\"true\"]}}");
    let ran = bench.run(&text).await;
    let found = analysis(&ran);
    let sites = &found.sites[0];
    assert_eq!(sites.verdict, Verdict::Inconclusive, "{sites:?}\n{}", ran.story());
    assert!(sites.sites[1].error.is_some() && sites.sites[1].lacks.is_none(), "{sites:?}");
    assert_eq!(sites.converged, None);
    assert!(sites.at_least.is_some(), "it was looked at: {sites:?}");
}
