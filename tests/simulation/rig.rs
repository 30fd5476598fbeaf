//! Nine thousand small outages: the real sampler on the paused clock, against a service that is a function of time, and
//! the real analysis and report of what it recorded. The judge is the one that judges real drills.
//!
//! `BLACKSTART_SEED=N` tries one alone, `BLACKSTART_SOAK=1` ten times as many.

use super::drill::simulated;
use super::record::{MS, S, Setup, record};
use blackstart::adapters::{Act, Client, ClientSettings, Done, Endpoint, Fut, Operation, World};
use blackstart::analysis::analyze;
use blackstart::clock::Clock;
use blackstart::event::What;
use blackstart::exec::sampler::Sampler;
use blackstart::model::{ClientBehaviour, Mono, OpRecord, Outcome, Service, Span};
use blackstart::plan::{Place, WorkloadPlan};
use blackstart::rig::Play;
use blackstart::rig::judge::{Client as Judged, Op, Role, judge};
use blackstart::rig::log::Fate;
use blackstart::rig::table::Table;
use blackstart::rig::truth::{Moment, Spell, Truth, Visit};
use blackstart::sim::{Cluster, Lies, Memory, Only, Rng, Settings};
use blackstart::workloads::WorkloadSpec;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A service whose outages are known beforehand, and one client.
#[derive(Debug, Clone)]
struct Scenario {
    seed: u64,
    rate: i64,
    deadline: i64,
    timeout: i64,
    /// From, to, and what is played, on the simulated clock.
    spells: Vec<(i64, i64, Play)>,
    /// The slowest usual answer.
    slowest: i64,
    /// What the runner knows about the moment of the fault.
    fault: (i64, i64),
    /// When the runner stalls, and for how long.
    stalls: Vec<(i64, i64)>,
    end: i64,
}

const STABLE: i64 = S;
/// One of so many outages lasts a minute.
const LONG: u64 = 450;

fn scenario(seed: u64) -> Scenario {
    let mut rng = Rng::new(seed ^ 0x0072_6967);
    let mut within = |from: i64, to: i64| from + rng.below((to - from + 1).max(1).unsigned_abs()).cast_signed();
    let rate = [20, 33, 50, 100, 200][within(0, 4) as usize];
    let (period, slowest) = (S / rate, [MS, 5 * MS, 30 * MS][within(0, 2) as usize]);
    let deadline = [150 * MS, 300 * MS][within(0, 1) as usize];
    let timeout = deadline + within(50 * MS, 700 * MS);
    let mut spells: Vec<(i64, i64, Play)> = Vec::new();
    let mut from = S + within(0, 200 * MS);
    let start = from;
    let count = [1, 1, 1, 2, 3][within(0, 4) as usize];
    let long = seed.is_multiple_of(LONG);
    let count = if long { 1 } else { count };
    for _ in 0..count {
        let play = match within(0, 4) {
            0 => Play::Refuse,
            1 => Play::Closed,
            2 => Play::Freeze,
            3 => Play::BlackHole,
            _ => Play::Slow(u32::try_from((deadline + slowest) / MS + within(20, 300)).unwrap()),
        };
        let waits = matches!(play, Play::Freeze | Play::BlackHole | Play::Slow(_));
        // What is alone may be too short to be seen; of several each must be seen, or nobody can say which was the last.
        let visible = 4 * period + slowest + if waits { deadline } else { 0 };
        let shortest = if count == 1 { MS } else { visible };
        let most = if within(0, 9) == 0 { 3 * S } else { 500 * MS };
        let to = from + if long { 60 * S } else { shortest + within(0, most) };
        spells.push((from, to, play));
        // What is due before a freeze ends waits for its answer, and what is swallowed is known only at its time-out.
        from = to + 4 * period + 2 * slowest + within(0, 400 * MS);
    }
    let end = spells.last().map_or(start, |spell| spell.1) + STABLE + deadline + timeout + 4 * period + 500 * MS;
    let fault = (start - within(0, 3 * MS), start + within(0, 30 * MS));
    let mut stalls = Vec::new();
    if within(0, 4) == 0 {
        for _ in 0..=within(0, 2) {
            stalls.push((within(200 * MS, end - S), within(10 * MS, 400 * MS)));
        }
        stalls.sort_unstable();
    }
    Scenario { seed, rate, deadline, timeout, spells, slowest, fault, stalls, end }
}

/// What a request meets.
enum Met {
    /// An answer at this moment.
    Answer(i64),
    /// A refusal at this moment, which the service wrote down or, with nobody there, did not.
    Refusal(i64, Option<Fate>),
    /// Nothing ever.
    Silence,
    /// The connection is cut at this moment.
    Cut(i64),
}

impl Scenario {
    fn meets(&self, t: i64, takes: i64) -> Met {
        let (mut now, mut left) = (t, takes);
        for &(from, to, play) in self.spells.iter().filter(|spell| spell.1 > t) {
            if from > now + left {
                break;
            }
            let begun = from > t;
            match play {
                Play::Closed if begun => return Met::Cut(from),
                Play::Closed => return Met::Refusal(t + 20_000, None),
                Play::Refuse if !begun => return Met::Refusal(t + 50_000, Some(Fate::Refused)),
                Play::BlackHole if !begun => return Met::Silence,
                Play::Slow(millis) if !begun => left += i64::from(millis) * MS,
                Play::Freeze => {
                    left -= (from - now).max(0);
                    now = now.max(to);
                }
                // It was decided before.
                _ => {}
            }
        }
        Met::Answer(now + left)
    }

    fn truth(&self, visits: Vec<Visit>) -> Truth {
        // The paused clock's timers go in steps of a millisecond, so an answer before the start may be stamped after it.
        let spell = |&(from, to, play): &(i64, i64, Play)| Spell {
            play,
            start: Moment { lo: from, hi: from + MS },
            end: Some(Moment { lo: to, hi: to }),
        };
        let spells = self.spells.iter().map(spell).collect();
        Truth { spells, visits: [("w".to_owned(), visits)].into(), whole: true, ..Truth::default() }
    }
}

/// The client in the scenario's world; it writes down what the service did, too.
struct Visitor {
    clock: Clock,
    scenario: Scenario,
    visits: Mutex<Vec<Visit>>,
}

impl Client for Visitor {
    fn operate(&self, operation: Operation) -> Fut<'_, Done> {
        let Act::Visit(n) = operation.act else { panic!("only visits are made") };
        Box::pin(async move {
            let sent = self.clock.mono();
            let mut rng = Rng::of(self.scenario.seed, n & 0xFFFF_FFFF);
            let t = sent.0 + 1_000 + rng.below(200_000).cast_signed();
            let takes = rng.below(self.scenario.slowest.unsigned_abs()).cast_signed();
            let limit = sent.0 + self.scenario.timeout;
            let note = |out: i64, fate| self.visits.lock().unwrap().push(Visit { n, t, out, fate });
            let (at, outcome) = match self.scenario.meets(t, takes) {
                Met::Answer(at) => {
                    note(at, Fate::Served);
                    (at, if at > limit { Outcome::Unknown } else { Outcome::Ok })
                }
                Met::Refusal(at, fate) => {
                    if let Some(fate) = fate {
                        note(at, fate);
                    }
                    (at, Outcome::Fail)
                }
                Met::Silence => {
                    note(t, Fate::Swallowed);
                    (limit, Outcome::Unknown)
                }
                Met::Cut(at) => {
                    note(at, Fate::Cut);
                    (at, Outcome::Unknown)
                }
            };
            self.clock.sleep_until(Mono(at.min(limit))).await;
            Done { sent, done: self.clock.mono(), outcome, found: None }
        })
    }
}

fn world(clock: &Clock) -> World {
    let settings = Settings {
        seed: 1,
        lag: Duration::ZERO,
        check_every: Duration::from_secs(1),
        failures: None,
        restart: Duration::from_secs(1),
        disturbances: Vec::new(),
        lies: Lies::default(),
    };
    Cluster::new(clock.clone(), settings).world()
}

fn nanos(n: i64) -> Duration {
    Duration::from_nanos(n.unsigned_abs())
}

/// Runs the scenario's client; what it recorded, what stalled, and what the service wrote down.
async fn sampled(scenario: &Scenario, service: &Service) -> (Vec<OpRecord>, Vec<What>, Vec<Visit>) {
    let clock = Clock::simulated();
    let visitor = Arc::new(Visitor { clock: clock.clone(), scenario: scenario.clone(), visits: Mutex::default() });
    let mut world = world(&clock);
    world.clients = Arc::new(Only(visitor.clone()));
    let memory = Memory::default();
    let spec: WorkloadSpec =
        serde_yaml::from_str(&format!("http: {{url: 'http://a', rate: {}/s}}", scenario.rate)).unwrap();
    let plan = WorkloadPlan {
        name: "w".into(),
        spec,
        service: service.clone(),
        rate: scenario.rate as f64,
        timeout: nanos(scenario.timeout),
        client: ClientBehaviour::Fresh,
        writers: 0,
        probe_of: None,
        vantage: None,
        site: None,
        place: Place::default(),
    };
    let settings = ClientSettings {
        run: "r".into(),
        behaviour: ClientBehaviour::Fresh,
        timeout: plan.timeout,
        writers: 0,
        payload: 0,
        rate: plan.rate,
    };
    let endpoint = Endpoint::KvLedger { url: String::new() };
    let sampler =
        Sampler::open(&world, &plan, endpoint, settings, memory.clone(), Arc::new(memory.clone())).await.unwrap();
    sampler.start(clock.mono()).unwrap();
    for (at, lasting) in &scenario.stalls {
        clock.sleep_until(Mono(*at)).await;
        tokio::time::advance(nanos(*lasting)).await;
    }
    clock.sleep_until(Mono(scenario.end)).await;
    sampler.stop().await.unwrap();
    let mut visits = std::mem::take(&mut *visitor.visits.lock().unwrap());
    visits.sort_by_key(|visit| visit.n);
    (memory.records(), memory.seen(), visits)
}

/// What is wrong with a seed, if anything is.
fn check(seed: u64, table: &mut Table) -> Option<String> {
    let scenario = scenario(seed);
    let service = Service { deadline: nanos(scenario.deadline), stable: nanos(STABLE), ..Service::default() };
    let (ops, events, visits) = simulated(sampled(&scenario, &service));
    let stall = |what: &What| match what {
        What::Stall { span, .. } => Some((span.lo.0, span.hi.0)),
        _ => None,
    };
    let setup = Setup {
        rate: scenario.rate as f64,
        service,
        timeout: scenario.timeout,
        writers: 0,
        fault: Span::new(Mono(scenario.fault.0), Mono(scenario.fault.1)),
        healed: scenario.end,
        stalls: events.iter().filter_map(stall).collect(),
    };
    let mut list: Vec<Op> = ops
        .iter()
        .map(|op| Op { due: op.due.0, sent: op.sent.0, done: op.done.0, ok: op.outcome == Outcome::Ok, key: None })
        .collect();
    list.sort_by_key(|op| op.due);
    let report = blackstart::report::json(&analyze(&record(&setup, ops)), 0);
    let client = Judged {
        name: "w".to_owned(),
        role: Role::Visitor,
        rate: scenario.rate as f64,
        deadline: scenario.deadline,
        timeout: scenario.timeout,
        stable: STABLE,
        ops: list,
    };
    let report = serde_json::from_str(&report).unwrap();
    let judged = judge(&scenario.truth(visits), &report, 0, &[client]);
    let wrong = judged.complaints();
    table.add("simulated", &judged);
    (!wrong.is_empty()).then(|| format!("BLACKSTART_SEED={seed}: {scenario:?}\n{wrong:#?}\n{}", report["stalls"]))
}

/// The parts of the nine thousand, so that they run side by side.
const PART: u64 = 2_250;

fn part(number: u64) {
    let seed = std::env::var("BLACKSTART_SEED").ok().and_then(|seed| seed.parse().ok());
    let size = if std::env::var_os("BLACKSTART_SOAK").is_some() { 10 * PART } else { PART };
    let mut table = Table::default();
    let seeds = match seed {
        Some(seed) if number == 0 => seed..seed + 1,
        Some(_) => return,
        None => number * size..(number + 1) * size,
    };
    let wrong: Vec<String> = seeds.filter_map(|seed| check(seed, &mut table)).collect();
    let (inside, all) = table.coverage();
    println!("{} outages, {inside} of {all} truths inside\n{}", table.runs, table.text());
    assert!(wrong.is_empty(), "{} are wrong: {}", wrong.len(), wrong.iter().take(5).cloned().collect::<String>());
    assert!(table.is_narrow(), "{}", table.text());
}

#[test]
fn small_outages_lie_inside_in_the_first_quarter() {
    part(0);
}

#[test]
fn small_outages_lie_inside_in_the_second_quarter() {
    part(1);
}

#[test]
fn small_outages_lie_inside_in_the_third_quarter() {
    part(2);
}

#[test]
fn small_outages_lie_inside_in_the_last_quarter() {
    part(3);
}
