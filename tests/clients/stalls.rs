//! Whole workloads of visits on this machine's clock: what their schedule makes of a service that stands still, that
//! never answers, or that is not there.

use blackstart::adapters::{ClientSettings, Endpoint, Line, Request, World, allow_descriptors};
use blackstart::clock::Clock;
use blackstart::exec::sampler::Sampler;
use blackstart::model::{ClientBehaviour, Mono, OpRecord, Outcome, Service};
use blackstart::plan::{Place, WorkloadPlan};
use blackstart::sim::Memory;
use blackstart::workloads::{HttpVisits, WorkloadSpec};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Answers each request once `open` says so; a service that stands still while it does not.
async fn service() -> (String, watch::Sender<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    rustix::net::listen(&listener, 4096).unwrap();
    let url = format!("http://{}/?{{nonce}}", listener.local_addr().unwrap());
    let (open, is_open) = watch::channel(true);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut is_open = is_open.clone();
            tokio::spawn(async move {
                let mut bytes = [0; 1024];
                while stream.read(&mut bytes).await.is_ok_and(|length| length > 0) {
                    is_open.wait_for(|open| *open).await.unwrap();
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                    if stream.write_all(answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (url, open)
}

fn plan(rate: f64, timeout: Duration, behaviour: &ClientBehaviour) -> WorkloadPlan {
    let visits: HttpVisits = serde_yaml::from_str("{url: 'http://127.0.0.1/', rate: 1/s}").unwrap();
    WorkloadPlan {
        name: "page".into(),
        spec: WorkloadSpec::Http(visits),
        service: Service::default(),
        rate,
        timeout,
        client: behaviour.clone(),
        writers: 0,
        probe_of: None,
        vantage: None,
        site: None,
        place: Place::default(),
    }
}

async fn open(url: &str, plan: &WorkloadPlan) -> (Sampler, Memory) {
    let (memory, timeout) = (Memory::default(), plan.timeout);
    let settings = ClientSettings {
        run: "r".into(),
        behaviour: plan.client.clone(),
        timeout,
        writers: 0,
        payload: 0,
        rate: plan.rate,
    };
    let request = Request { method: "GET".into(), url: url.to_owned(), headers: BTreeMap::new(), body: None, timeout };
    let endpoint = Endpoint::Http { request, status: vec![], contains: None, line: Line::default() };
    let recorder = Arc::new(memory.clone());
    let sampler = Sampler::open(&World::system(), plan, endpoint, settings, memory.clone(), recorder).await;
    (sampler.unwrap(), memory)
}

fn count(records: &[OpRecord], outcome: Outcome) -> usize {
    records.iter().filter(|record| record.outcome == outcome).count()
}

/// How late it was sent, at the median.
fn lateness(records: &[OpRecord]) -> i64 {
    let mut late: Vec<i64> = records.iter().map(|record| record.sent - record.due).collect();
    late.sort_unstable();
    late[late.len() / 2]
}

/// Every operation up to now was due, once, and is in the log.
fn whole(records: &[OpRecord], origin: Mono, rate: f64) {
    let due = |k: usize| origin + (k as f64 * 1e9 / rate).round() as i64;
    let off = records.iter().enumerate().find(|(k, record)| record.due != due(*k));
    assert_eq!(off, None, "every due operation is there, once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn through_five_seconds_of_standstill_everything_that_is_due_is_sent_and_answered() {
    allow_descriptors(12_000).unwrap();
    for behaviour in [ClientBehaviour::Pooled, ClientBehaviour::Fresh] {
        let (url, service) = service().await;
        let plan = plan(500.0, Duration::from_secs(20), &behaviour);
        let (sampler, memory) = open(&url, &plan).await;
        let clock = Clock::System;
        let origin = clock.mono().after(Duration::from_millis(20));
        sampler.start(origin).unwrap();
        clock.sleep_until(origin.after(Duration::from_millis(500))).await;
        service.send_replace(false);
        let frozen = clock.mono();
        clock.sleep_until(frozen.after(Duration::from_secs(5))).await;
        let thawed = clock.mono();
        let before = sampler.stats();
        service.send_replace(true);
        clock.sleep_until(thawed.after(Duration::from_millis(500))).await;
        sampler.stop().await.unwrap();
        let records = memory.records();
        whole(&records, origin, 500.0);
        assert_eq!(count(&records, Outcome::Ok), records.len(), "{behaviour:?}: nothing is missed, nothing is lost");
        let stood: Vec<_> =
            records.iter().filter(|r| r.due >= frozen && r.due < thawed && r.done >= thawed).copied().collect();
        assert!(stood.len() > 2_400, "{behaviour:?}: {} waited for the answer at the same time", stood.len());
        assert!(lateness(&stood) < 20_000_000, "{behaviour:?}: the schedule did not wait: {}", lateness(&stood));
        assert!(before.due > before.ok + 2_300, "{before:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_never_answered_is_given_up_in_time_and_slows_nothing() {
    let (url, service) = service().await;
    service.send_replace(false);
    let plan = plan(200.0, Duration::from_millis(500), &ClientBehaviour::Pooled);
    let (sampler, memory) = open(&url, &plan).await;
    let clock = Clock::System;
    let origin = clock.mono().after(Duration::from_millis(20));
    sampler.start(origin).unwrap();
    clock.sleep_until(origin.after(Duration::from_millis(2_000))).await;
    let stopping = clock.mono();
    sampler.stop().await.unwrap();
    let records = memory.records();
    whole(&records, origin, 200.0);
    assert!(records.len() >= 400, "{}", records.len());
    let unknown: Vec<_> = records.iter().filter(|r| r.outcome == Outcome::Unknown).collect();
    assert!(unknown.len() * 10 >= records.len() * 9, "{} of {}", unknown.len(), records.len());
    assert!(unknown.iter().all(|r| r.done - r.sent >= 500_000_000), "none is given up early");
    assert!(lateness(&records) < 20_000_000, "{}", lateness(&records));
    let last = records.iter().map(|record| record.done).max().unwrap();
    assert!(last > stopping && clock.mono() - last >= 500_000_000, "the service has had a whole time-out for them");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_has_failed_at_once() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for behaviour in [ClientBehaviour::Pooled, ClientBehaviour::Fresh] {
        let (sampler, memory) =
            open(&format!("http://{free}/"), &plan(200.0, Duration::from_secs(5), &behaviour)).await;
        let origin = Clock::System.mono();
        sampler.start(origin).unwrap();
        Clock::System.sleep_until(origin.after(Duration::from_millis(500))).await;
        let mark = sampler.stop().await.unwrap();
        let records = memory.records();
        whole(&records, origin, 200.0);
        assert_eq!((count(&records, Outcome::Fail) as u64, records.len() as u64), (mark.operations, mark.operations));
        assert!(mark.operations >= 100 && lateness(&records) < 20_000_000, "{mark:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_or_stopped_before_its_start_a_workload_leaves_nothing_behind() {
    let (url, _service) = service().await;
    let plan = plan(100.0, Duration::from_secs(5), &ClientBehaviour::Pooled);
    let (sampler, memory) = open(&url, &plan).await;
    assert_eq!(sampler.stop().await.unwrap().operations, 0);
    drop(sampler);
    let (sampler, log) = open(&url, &plan).await;
    sampler.start(Clock::System.mono()).unwrap();
    let begun = async {
        while log.records().len() < 5 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(super::PATIENCE, begun).await.unwrap();
    drop(sampler);
    // The thread ends, and with it the last owner of its log.
    let ended = async {
        while log.is_shared() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(super::PATIENCE, ended).await.unwrap();
    assert_eq!(memory.records().len(), 0);
}
