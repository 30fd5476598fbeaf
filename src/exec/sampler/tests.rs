//! Whole workloads on the simulated clock: what a sampler makes of a service that hangs, of a runner that stalls, and
//! of clients that cannot send.

use super::*;
use crate::adapters::{Act, Client, Done, Ended, Fut, Operation, Waker};
use crate::clock::Clock;
use crate::model::{Action, ClientBehaviour, Outcome, Service, Span};
use crate::plan::Place;
use crate::sim::{Cluster, Lies, Memory, Only, Settings};
use crate::workloads::Ledger;
use std::collections::BTreeMap;

const MS: i64 = 1_000_000;

fn stalls(memory: &Memory) -> Vec<(Span, StallCause)> {
    let stall = |what: &What| match what {
        What::Stall { span, cause, workload } => {
            // Everything but a starved runtime is a workload's own.
            assert!(workload.is_some() || *cause == StallCause::Schedule);
            (*span, *cause)
        }
        other => panic!("{other:?}"),
    };
    memory.seen().iter().map(stall).collect()
}

/// A client that does as it is told: the closure sees when it was sent and what, and says how long it takes.
struct Told<F>(Clock, F);

impl<F: Fn(Mono, Act) -> (Duration, Outcome) + Send + Sync> Client for Told<F> {
    fn operate(&self, operation: Operation) -> Fut<'_, Done> {
        Box::pin(async move {
            let sent = self.0.mono();
            let (takes, outcome) = self.1(sent, operation.act);
            tokio::time::sleep(takes).await;
            Done { sent, done: self.0.mono(), outcome, found: None }
        })
    }
}

fn settings() -> Settings {
    Settings {
        seed: 1,
        lag: Duration::from_millis(300),
        check_every: Duration::from_millis(100),
        failures: Some(3),
        restart: Duration::from_secs(1),
        disturbances: Vec::new(),
        lies: Lies::default(),
    }
}

fn plan(writers: u16, rate: f64, read_rate: &str) -> WorkloadPlan {
    let ledger = format!("{{target: t, rate: 1/s, read_rate: {read_rate}}}");
    let ledger: Ledger = serde_yaml::from_str(&ledger).unwrap();
    WorkloadPlan {
        name: "orders".into(),
        spec: WorkloadSpec::Ledger(ledger),
        service: Service::default(),
        rate,
        timeout: Duration::from_secs(3),
        client: ClientBehaviour::Pooled,
        writers,
        probe_of: None,
        vantage: None,
        site: None,
        place: Place::default(),
    }
}

async fn open(world: &World, plan: &WorkloadPlan, memory: &Memory) -> Sampler {
    let settings = ClientSettings {
        run: "r".into(),
        behaviour: plan.client.clone(),
        timeout: plan.timeout,
        writers: plan.writers,
        payload: 16,
        rate: plan.rate,
    };
    let endpoint = Endpoint::KvLedger { url: String::new() };
    Sampler::open(world, plan, endpoint, settings, memory.clone(), Arc::new(memory.clone())).await.unwrap()
}

/// Runs a workload for so long with a client that does as it is told.
async fn told<F>(plan: &WorkloadPlan, lasting: Duration, act: F) -> (Memory, Sampler, Clock)
where
    F: Fn(Mono, Act) -> (Duration, Outcome) + Send + Sync + 'static,
{
    let clock = Clock::simulated();
    let mut world = Cluster::new(clock.clone(), settings()).world();
    world.clients = Arc::new(Only(Arc::new(Told(clock.clone(), act))));
    let memory = Memory::default();
    let sampler = open(&world, plan, &memory).await;
    sampler.start(clock.mono()).unwrap();
    clock.sleep_until(clock.mono().after(lasting)).await;
    (memory, sampler, clock)
}

fn count(records: &[OpRecord], outcome: Outcome) -> usize {
    records.iter().filter(|record| record.outcome == outcome).count()
}

#[tokio::test(start_paused = true)]
async fn a_healthy_ledger_is_written_read_and_read_back() {
    let clock = Clock::simulated();
    let cluster = Cluster::new(clock.clone(), settings());
    let (world, memory) = (cluster.world(), Memory::default());
    let sampler = open(&world, &plan(4, 200.0, "50/s"), &memory).await;
    sampler.start(clock.mono()).unwrap();
    clock.sleep_until(clock.mono().after(Duration::from_millis(4_999))).await;
    let stats = sampler.stats();
    assert_eq!((stats.due, stats.ok, stats.fail), (1000, 1000, 0));
    assert_eq!(sampler.stop().await.unwrap().operations, 1250);
    let records = memory.records();
    assert_eq!(count(&records, Outcome::Ok), records.len());
    assert!(records.iter().all(|r| r.due <= r.sent && r.sent <= r.done && r.sent - r.due < 2 * MS));
    let reads: Vec<_> = records.iter().filter(|r| r.action == Action::Read).collect();
    assert!(reads.len() == 250 && reads.iter().all(|r| r.found == Some(crate::model::Found::Intact)));
    let back = sampler.read_back().await.unwrap();
    assert_eq!(back.writers.values().map(|w| w.present.clone()).collect::<Vec<_>>(), vec![vec![(0, 249)]; 4]);
    assert_eq!((stalls(&memory), back.phantom_count), (vec![], 0));
}

#[tokio::test(start_paused = true)]
async fn while_all_writers_hang_due_writes_are_missed_and_take_no_number() {
    // From 1 s to 4 s every write hangs until its time-out.
    let hangs = |sent: Mono, _| match sent.0 {
        1_000_000_000..4_000_000_000 => (Duration::from_secs(3), Outcome::Unknown),
        _ => (Duration::ZERO, Outcome::Ok),
    };
    let (memory, sampler, _) = told(&plan(2, 100.0, "0/s"), Duration::from_millis(5_999), hangs).await;
    sampler.stop().await.unwrap();
    let records = memory.records();
    assert_eq!(records.len(), 600, "every due operation is there");
    assert_eq!(count(&records, Outcome::Unknown), 2);
    let missed: Vec<_> = records.iter().filter(|r| r.outcome == Outcome::Missed).collect();
    assert!(missed.iter().all(|r| r.key.is_none() && r.sent == r.due && r.done - r.due > 1000 * MS), "{missed:?}");
    // Due from 1.02 s on, missed when a second old; at 4 s what is younger goes out.
    assert!((195..=201).contains(&missed.len()), "{}", missed.len());
    let mut keys: BTreeMap<u16, Vec<u64>> = BTreeMap::new();
    records.iter().filter_map(|r| r.key).for_each(|key| keys.entry(key.writer).or_default().push(key.seq));
    for (_, mut seqs) in keys {
        seqs.sort_unstable();
        assert!(seqs.iter().enumerate().all(|(k, seq)| *seq == k as u64), "no gap and no number twice: {seqs:?}");
    }
    assert_eq!(stalls(&memory), [], "it was the service, not the runner");
}

#[tokio::test(start_paused = true)]
async fn visits_have_room_for_a_whole_time_out() {
    let hangs = |_, _| (Duration::from_secs(3), Outcome::Unknown);
    let (memory, sampler, clock) = told(&plan(0, 200.0, "0/s"), Duration::from_millis(9_999), hangs).await;
    sampler.stop().await.unwrap();
    let records = memory.records();
    assert_eq!(
        (records.len(), count(&records, Outcome::Unknown)),
        (2000, 2000),
        "a closed loop would have sent 3 each"
    );
    let last = records.iter().map(|r| r.done).max().unwrap();
    assert!(clock.mono() - last >= 3000 * MS, "the service has a whole time-out for what was given up");
}

#[tokio::test(start_paused = true)]
async fn beyond_that_room_visits_wait_until_their_deadline() {
    // A client that keeps its operations half a second longer than it may.
    let hangs = |_, _| (Duration::from_millis(3_400), Outcome::Unknown);
    let (memory, sampler, _) = told(&plan(0, 100.0, "0/s"), Duration::from_millis(7_999), hangs).await;
    sampler.stop().await.unwrap();
    let records = memory.records();
    assert_eq!(records.len(), 800);
    let late = records.iter().filter(|r| r.sent - r.due > 300 * MS).count();
    assert!(late > 100, "{late}");
    assert_eq!(stalls(&memory), []);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_sent_is_the_runners_gap_and_uses_up_no_number() {
    let none_left = |sent: Mono, _| match sent.0 {
        1_000_000_000..2_000_000_000 => (Duration::ZERO, Outcome::Unsent),
        _ => (Duration::ZERO, Outcome::Ok),
    };
    let (memory, sampler, _) = told(&plan(2, 100.0, "0/s"), Duration::from_millis(2_999), none_left).await;
    sampler.stop().await.unwrap();
    let records = memory.records();
    assert_eq!((count(&records, Outcome::Ok), count(&records, Outcome::Unsent)), (200, 100));
    assert!(records.iter().filter(|r| r.outcome == Outcome::Unsent).all(|r| r.key.is_none()));
    let highest = records.iter().filter_map(|r| r.key).map(|key| key.seq).max();
    assert_eq!(highest, Some(99));
    let stalls = stalls(&memory);
    assert!(matches!(stalls[..], [(_, StallCause::Resources)]), "{stalls:?}");
    let (span, _) = stalls[0];
    assert!((span.lo.0 - 1000 * MS).abs() <= 10 * MS && (span.hi.0 - 1990 * MS).abs() <= 10 * MS, "{span:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stall_of_the_runner_is_neither_up_nor_down() {
    let fine = |_, _| (Duration::ZERO, Outcome::Ok);
    for writers in [0, 2] {
        let (memory, sampler, clock) = told(&plan(writers, 100.0, "0/s"), Duration::from_millis(995), fine).await;
        let before = clock.mono();
        tokio::time::advance(Duration::from_secs(3)).await;
        clock.sleep_until(Mono(4_999 * MS)).await;
        sampler.stop().await.unwrap();
        let records = memory.records();
        assert_eq!(records.len(), 500);
        let (ok, unsent) = (count(&records, Outcome::Ok), count(&records, Outcome::Unsent));
        // Due within the stall: 300, of which the last 100 were not yet too old to send.
        assert!((195..=205).contains(&unsent) && ok + unsent == 500, "writers {writers}: ok {ok}, unsent {unsent}");
        let stalls = stalls(&memory);
        assert!(matches!(stalls[..], [(_, StallCause::Schedule)]), "{stalls:?}");
        let (span, _) = stalls[0];
        assert!(span.lo - before <= 10 * MS && span.hi - before >= 3000 * MS, "{span:?}");
        assert!(records.iter().filter(|r| r.outcome == Outcome::Unsent).all(|r| r.due >= span.lo && r.due <= span.hi));
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_ends_is_given_up() {
    let never = |_, _| (Duration::from_secs(3600), Outcome::Ok);
    let (memory, sampler, _) = told(&plan(1, 10.0, "0/s"), Duration::from_millis(99), never).await;
    sampler.stop().await.unwrap();
    let records = memory.records();
    assert_eq!((records.len(), records[0].outcome, records[0].key.map(|key| key.seq)), (1, Outcome::Unknown, Some(0)));
}

/// Operations in flight that take so long, and come to this.
struct Takes(Duration, Outcome, std::collections::VecDeque<(Operation, Mono)>);

impl Flights for Takes {
    fn begin(&mut self, operation: Operation, _: &mut Ended) {
        self.2.push_back((operation, Clock::System.mono()));
    }

    fn wait(&mut self, until: Option<Mono>, ended: &mut Ended) {
        let (clock, soon) = (Clock::System, Clock::System.mono().after(Duration::from_millis(5)));
        let first = self.2.front().map(|(_, sent)| sent.after(self.0));
        clock.block_until([until, first, Some(soon)].into_iter().flatten().min().unwrap());
        while let Some((operation, sent)) = self.2.pop_front_if(|(_, sent)| sent.after(self.0) <= clock.mono()) {
            ended.push((operation, Done { sent, done: clock.mono(), outcome: self.1, found: None }));
        }
    }

    fn in_flight(&self) -> usize {
        self.2.len()
    }

    fn waker(&self) -> Waker {
        Waker::new().unwrap()
    }
}

/// Visits at 100/s on a thread of their own for half a second, of which `late` have passed when it starts. The deadline
/// is 100 ms, and 6 can be in flight.
async fn on_a_thread(takes: Duration, outcome: Outcome, late: Duration) -> Memory {
    let (memory, clock) = (Memory::default(), Clock::System);
    let engine = engine::Engine {
        clock: clock.clone(),
        flights: Box::new(Takes(takes, outcome, std::collections::VecDeque::new())),
        sink: Arc::new(memory.clone()),
        recorder: Arc::new(memory.clone()),
        shared: Arc::new(Shared::new(live::Live::new("page".into()))),
        late: stall::Stalls::new(StallCause::Schedule, 100.0).of(&"page".into()),
        starved: stall::Stalls::new(StallCause::Resources, 100.0).of(&"page".into()),
        nonce: 0,
        deadline: 100 * MS,
        capacity: capacity(100.0, Duration::from_millis(50)),
    };
    let origin = Mono(clock.mono().0 - i64::try_from(late.as_nanos()).unwrap());
    let running = engine.start(Schedule::new(origin, vec![Pace::new(Lane::Visit, 100.0)])).unwrap();
    clock.sleep_until(clock.mono().after(Duration::from_millis(500))).await;
    let end = clock.mono();
    running.stop(end);
    running.ended().await;
    let due: Vec<_> = memory.records().iter().map(|record| record.due - origin).collect();
    let all: Vec<_> = (0..due.len() as i64).map(|k| k * 10 * MS).collect();
    assert_eq!(due, all, "every due operation is there, once");
    assert_eq!(due.len() as i64, (end - origin) / (10 * MS) + 1, "up to the end, however late the thread is");
    memory
}

#[tokio::test]
async fn on_a_thread_too_what_finds_no_room_is_missed() {
    let memory = on_a_thread(Duration::from_millis(300), Outcome::Ok, Duration::ZERO).await;
    let records = memory.records();
    let (ok, missed) = (count(&records, Outcome::Ok), count(&records, Outcome::Missed));
    // What a stall of this machine explains is the runner's own.
    assert_eq!(ok + missed + count(&records, Outcome::Unsent), records.len());
    assert!(ok >= 6 && missed > 0, "{ok} ok, {missed} missed");
    let waited = |record: &&OpRecord| record.outcome == Outcome::Missed && record.done - record.due <= 100 * MS;
    assert_eq!(records.iter().find(waited), None, "each has waited for its whole deadline");
}

#[tokio::test]
async fn on_a_thread_too_what_cannot_be_sent_is_the_runners_gap() {
    let memory = on_a_thread(Duration::ZERO, Outcome::Unsent, Duration::ZERO).await;
    let records = memory.records();
    assert_eq!(count(&records, Outcome::Unsent), records.len());
    assert!(records.iter().all(|record| record.sent == record.due));
    assert!(stalls(&memory).iter().any(|(_, cause)| *cause == StallCause::Resources), "{:?}", stalls(&memory));
}

#[tokio::test]
async fn a_thread_that_comes_too_late_says_so() {
    let memory = on_a_thread(Duration::ZERO, Outcome::Ok, Duration::from_secs(3)).await;
    let records = memory.records();
    assert!((280..=300).contains(&count(&records[..300], Outcome::Unsent)), "older than their deadline, or nearly");
    assert!(count(&records, Outcome::Ok) >= 20, "and it goes on");
    let stalls = stalls(&memory);
    let (span, cause) = stalls[0];
    assert_eq!(cause, StallCause::Schedule);
    let named = |what: &What| matches!(what, What::Stall { workload: Some(name), .. } if name.as_str() == "page");
    assert!(memory.seen().iter().all(named), "its thread is its own");
    assert!(span.lo <= records[0].due && span.width() >= 2_900 * MS, "{stalls:?}");
}
