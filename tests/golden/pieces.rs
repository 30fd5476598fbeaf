//! Pieces of analyses built by hand, and the plain one that all variants start from. No measurement happens here.

use blackstart::analysis::{
    Analysis, At, Attribution, Bucket, Class, FaultResult, LedgerResult, LostRun, Mark, ObjectiveResult, OpCounts,
    Outage, Percentiles, PhaseResult, Reason, Recovery, Series, StepResult, WorkloadResult,
};
use blackstart::event::{HostSeal, Phase, RunStarted, StepOutcome, StepSeal, WorkloadSeal};
use blackstart::model::{
    ClientBehaviour, ClockBasis, DrillName, FaultId, Interval, Objective, ObjectiveKind, RetryPolicy, RunId, RunState,
    Service, StepId, Verdict, WorkloadName,
};
use chrono::{TimeDelta, TimeZone, Utc};
use std::collections::BTreeMap;
use std::time::Duration;

pub const MS: i64 = 1_000_000;
pub const S: i64 = 1_000_000_000;

/// When the leader dies, in the drill that all of these are variants of.
const FAULT: i64 = 15 * S;
pub const LENGTH: i64 = 78 * S;

pub fn ms(low: i64, best: i64, high: i64) -> Interval {
    Interval { low: low * MS, best: best * MS, high: high * MS }
}

pub fn at(best: i64, error: i64) -> At {
    At { low: best - error, best, high: best + error }
}

pub fn writes(n: i64) -> Interval {
    Interval::exact(n)
}

fn seal(name: &str, kind: &str, rate: f64, client: ClientBehaviour, probe_of: Option<&str>) -> WorkloadSeal {
    WorkloadSeal {
        name: name.into(),
        kind: kind.to_owned(),
        rate,
        timeout: Duration::from_secs(5),
        service: Service::default(),
        client,
        writers: if kind == "ledger" && probe_of.is_none() { 8 } else { 0 },
        probe_of: probe_of.map(WorkloadName::from),
        vantage: None,
        site: None,
        ops: format!("ops/{name}.ops"),
    }
}

fn retrying() -> ClientBehaviour {
    ClientBehaviour::Retrying(RetryPolicy {
        attempts: 5,
        backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(1),
        attempt_timeout: Duration::from_millis(1250),
    })
}

fn limit(kind: ObjectiveKind, workload: &str, target: i64) -> Objective {
    Objective { kind, workload: workload.into(), target, basis: ClockBasis::Fault, fault: None }
}

fn judged(objective: Objective, actual: Option<Interval>, verdict: Verdict, why: &str) -> ObjectiveResult {
    ObjectiveResult { objective, fault: Some(FaultId::from("leader_dies")), actual, verdict, why: why.to_owned() }
}

fn started() -> RunStarted {
    let lists = |items: &[(&str, &[&str])]| {
        items
            .iter()
            .map(|(k, v)| ((*k).to_owned(), v.iter().map(|s| (*s).to_owned()).collect::<Vec<String>>()))
            .collect::<BTreeMap<_, _>>()
    };
    RunStarted {
        run: RunId::from("20261120-120000-k3f9"),
        drill: DrillName::from("patroni-leader-loss"),
        title: "Loss of the PostgreSQL leader in a three-node Patroni cluster".to_owned(),
        environment: "staging".to_owned(),
        playbook: "drills/postgres/patroni-leader-loss.yaml".to_owned(),
        playbook_digest: "5d41402abc4b2a76b9719d911017c592ae1f3ad1c1b2d3e4f5a6b7c8d9e0f1a2".to_owned(),
        resolved_digest: "7d793037a0760186574b0282f2f435e7b1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6".to_owned(),
        params: BTreeMap::from([("rate".to_owned(), "500/s".to_owned())]),
        metadata: lists(&[
            ("owner", &["data-platform"]),
            ("every", &["90d"]),
            ("controls", &["soc2/A1.3", "nist-800-53/CP-4", "iso-27001/A.5.30"]),
        ]),
        objectives: vec![
            limit(ObjectiveKind::Rto, "orders", 30 * S),
            limit(ObjectiveKind::RpoTime, "orders", S),
            limit(ObjectiveKind::RpoWrites, "orders", 1000),
            limit(ObjectiveKind::Rto, "page-fresh", 30 * S),
        ],
        workloads: vec![
            seal("orders", "ledger", 500.0, ClientBehaviour::Pooled, None),
            seal("orders.probe", "ledger", 20.0, ClientBehaviour::Fresh, Some("orders")),
            seal("page-fresh", "http", 50.0, ClientBehaviour::Fresh, None),
            seal("page-retrying", "http", 50.0, retrying(), None),
        ],
        steps: steps()
            .iter()
            .map(|s| StepSeal {
                id: s.id.clone(),
                name: s.name.clone(),
                phase: s.phase,
                verb: s.verb.clone(),
                kind: "http".to_owned(),
                file: "drills/postgres/patroni-leader-loss.yaml".to_owned(),
                line: 40,
            })
            .collect(),
        fingerprints: Vec::new(),
        sites: Vec::new(),
        waivers: Vec::new(),
        expects_failover: true,
        host: HostSeal {
            tool: "blackstart 0.1.0".to_owned(),
            host: "runner-3".to_owned(),
            system: "Linux 6.18.0".to_owned(),
            boot: "3f0c6e0e-1d7a-4c39-9f7b-0b8a8f1f2c11".to_owned(),
            cores: 2,
            trigger: "mira@runner-3".to_owned(),
        },
        lineage: None,
    }
}

fn step(
    (id, name): (&str, &str),
    phase: Phase,
    verb: &str,
    line: u32,
    (from, to): (i64, i64),
    detail: &str,
) -> StepResult {
    StepResult {
        id: StepId::from(id),
        name: name.to_owned(),
        phase,
        verb: verb.to_owned(),
        round: 0,
        from: from * MS,
        to: Some(to * MS),
        outcome: Some(StepOutcome::Passed { detail: detail.to_owned() }),
        verdict: Verdict::Pass,
        place: format!("drills/postgres/patroni-leader-loss.yaml:{line}"),
        output: BTreeMap::new(),
    }
}

fn steps() -> Vec<StepResult> {
    vec![
        step(("two_standbys", "two standbys stream"), Phase::Baseline, "expect", 52, (4_900, 4_940), "2"),
        step(
            ("leader_dies", "the leader's host dies"),
            Phase::Outage,
            "inject",
            58,
            (15_000, 15_013),
            "SIGKILL to 5 processes",
        ),
        step(("promoted", "a standby is promoted"), Phase::Failover, "expect", 63, (15_014, 36_204), "leader is pg2"),
        step(("rejoin", "the old leader rejoins"), Phase::Restore, "run", 66, (47_012, 53_371), "exit 0"),
        step(("streams", "two standbys stream again"), Phase::Restore, "expect", 67, (53_372, 58_730), "2"),
        step(("one_leader", "exactly one leader"), Phase::Verify, "check", 70, (58_733, 58_791), "1"),
        step(("books", "books balance"), Phase::Verify, "check", 71, (58_792, 58_840), "0"),
    ]
}

fn phases() -> Vec<PhaseResult> {
    let of = |phase, from, to| PhaseResult { phase, from: from * MS, to: to * MS };
    vec![
        of(Phase::Preflight, 0, 120),
        of(Phase::StagingUp, 120, 4_800),
        of(Phase::Baseline, 4_800, 14_990),
        of(Phase::Outage, 14_990, 15_013),
        of(Phase::Failover, 15_013, 47_010),
        of(Phase::Restore, 47_010, 58_731),
        of(Phase::Verify, 58_731, 58_841),
        of(Phase::Unwind, 58_841, 58_850),
        of(Phase::Converge, 58_850, 59_020),
        of(Phase::Steady, 59_020, 69_100),
        of(Phase::Drain, 69_100, 74_130),
        of(Phase::ReadBack, 74_130, 75_400),
        of(Phase::StagingDown, 75_400, 78_000),
    ]
}

/// A small generator, so that charts have texture and are the same every time.
fn jitter(i: usize, of: i64) -> i64 {
    let mut x = (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xA5A5_5A5A;
    x ^= x >> 29;
    x = x.wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x ^= x >> 32;
    i64::try_from(x % 1_000).unwrap_or(0) * of / 1_000
}

/// How a client's service looked: down in `[from, to)`, slow for a while after.
fn series(rate: u32, down: Option<(i64, i64)>, p50: i64) -> Series {
    let (from, width) = (4_800 * MS, 200 * MS);
    let per = rate / 5;
    let buckets = (0..322)
        .map(|i| {
            let t = from + i as i64 * width;
            let inside = down.is_some_and(|(a, b)| t + width > a && t < b);
            let edge = inside && down.is_some_and(|(a, b)| t < a || t + width > b);
            let after = down.map_or(0.0, |(_, b)| if t >= b { 6.0 * (-((t - b) as f64) / 3e9).exp() } else { 0.0 });
            let slow = |base: i64, i| (base as f64 * (1.0 + after)) as i64 + jitter(i, base / 3);
            let served = if edge {
                per / 2
            } else if inside {
                0
            } else {
                per
            };
            let lost = per - served;
            Bucket {
                due: per,
                served,
                fail: lost * 2 / 3,
                unknown: lost - lost * 2 / 3,
                other: 0,
                worst_share: if inside { 0 } else { 10_000 },
                p50: if served == 0 { 0 } else { slow(p50, i) },
                p95: if served == 0 { 0 } else { slow(p50 * 3, i + 1_000) },
                p99: if served == 0 { 0 } else { slow(p50 * 6, i + 2_000) },
            }
        })
        .collect();
    Series { from, width, buckets }
}

pub fn counts(due: u64, fail: u64, unknown: u64, missed: u64) -> OpCounts {
    OpCounts { due, ok: due - fail - unknown - missed, fail, unknown, missed, ..OpCounts::default() }
}

fn percentiles(p50: i64) -> Option<Percentiles> {
    Some(Percentiles { p50, p95: p50 * 3, p99: p50 * 6, max: p50 * 40 })
}

/// A workload that was down from `first_error` to `restored` after the fault.
pub fn workload(name: &str, kind: &str, rate: u32, outage: Option<(i64, i64)>, p50: i64) -> WorkloadResult {
    let period = S / i64::from(rate);
    let down = outage.map(|(a, b)| (FAULT + a, FAULT + b));
    let lasted = outage.map(|(a, b)| Interval { low: b - a - period, best: b - a, high: b - a + period });
    let hard = |n: i64| Some(Interval { low: n - period, best: n, high: n + period + 13 * MS });
    let due = u64::from(rate) * 64;
    let bad = outage.map_or(0, |(a, b)| ((b - a) / period) as u64);
    WorkloadResult {
        name: name.into(),
        kind: kind.to_owned(),
        probe_of: None,
        operations: counts(due, bad * 2 / 3, bad - bad * 2 / 3, 0),
        reads: None,
        latency: percentiles(p50),
        latency_before: percentiles(p50 * 4 / 5),
        lateness: Some(Percentiles { p50: 43_000, p95: 71_000, p99: 210_000, max: 3 * MS }),
        recoveries: vec![Recovery {
            fault: FaultId::from("leader_dies"),
            unnoticed: outage.is_none(),
            perceived: lasted,
            first_restored: outage.and_then(|(_, b)| hard(b)),
            sustained: Some(
                outage
                    .map_or(Interval { low: 0, best: period, high: 2 * period }, |(_, b)| hard(b + 400 * MS).unwrap()),
            ),
            sustained_from_declared: None,
            first_error: outage.map(|(a, _)| Interval { low: (a - 13 * MS).max(0), best: a, high: a + period }),
            first_ok: outage.and_then(|(_, b)| hard(b)),
            attribution: if outage.is_some() { Attribution::System } else { Attribution::None },
            at_least: None,
            outages: u32::from(outage.is_some()),
            why: None,
            fixed_width: 13 * MS,
        }],
        outages: down
            .map(|(a, b)| Outage {
                from: at(a, period / 2),
                to: Some(at(b, period / 2)),
                perceived: lasted,
                operations: bad,
                doubtful: false,
            })
            .into_iter()
            .collect(),
        longest: lasted,
        downtime: lasted.unwrap_or(Interval::exact(0)),
        lost_time: outage.map_or(0, |(a, b)| b - a),
        degraded: if outage.is_some() { 400 * MS } else { 0 },
        ledger: None,
        series: series(rate, down, p50),
        measured: Some((4_800 * MS, (4_800 + 322 * 200) * MS)),
    }
}

fn strip(lost: u32) -> Vec<(i64, Class)> {
    let (before, down, later) = (600 - lost, 240, 500);
    let mut out: Vec<(i64, Class)> =
        (0..before).map(|i| (FAULT - (i64::from(600 - i)) * 2 * MS, Class::Kept)).collect();
    out.extend((0..lost).map(|i| (FAULT - i64::from(lost - i) * 2 * MS, Class::Lost)));
    out.extend((0..8).map(|i| (FAULT + i * 2 * MS, Class::Unknown)));
    out.extend((0..down).map(|i| (FAULT + 16 * MS + i * 88 * MS, Class::Failed)));
    out.extend((0..8).map(|i| (FAULT + 21_150 * MS + i * 2 * MS, Class::Unknown)));
    out.extend((0..later).map(|i| (FAULT + 21_170 * MS + i * 2 * MS, Class::Kept)));
    out
}

pub fn ledger(lost: u64) -> LedgerResult {
    let some = |n| Some(n);
    LedgerResult {
        attempted: 32_150,
        acked: 21_411,
        acked_local: 0,
        local_absent: some(0),
        kept: some(21_411 - lost),
        lost: some(lost),
        lost_upper: some(0),
        unknown_present: some(3),
        unknown_absent: some(13),
        resurrected: some(0),
        duplicated: some(0),
        duplicated_by_server: some(0),
        corrupted: some(0),
        phantom: some(0),
        reordered: some(0),
        stale: 0,
        stale_age: None,
        losses: Vec::new(),
        observed_then_lost: some(0),
        transiently_missing: some(0),
        lost_by_healing: some(0),
        holes: some(0),
        rpo_time: Some(if lost == 0 {
            Interval::exact(0)
        } else {
            ms(lost as i64 * 2 - 6, lost as i64 * 2, lost as i64 * 2 + 18)
        }),
        resolution: 2 * MS,
        lost_runs: if lost == 0 {
            Vec::new()
        } else {
            (0..8)
                .map(|w| LostRun {
                    writer: w,
                    from: 640 - lost / 8,
                    to: 640,
                    acked_first: FAULT - lost as i64 * 2 * MS,
                    acked_last: FAULT - 2 * MS,
                })
                .collect()
        },
        ages: Vec::new(),
        strip: strip(lost as u32),
        why: None,
    }
}

fn marks() -> Vec<Mark> {
    let mark = |name: &str, of: &str, t: i64, error: i64| Mark {
        name: name.to_owned(),
        of: of.to_owned(),
        at: at(t * MS, error * MS),
    };
    vec![
        mark("fault", "leader_dies", 15_006, 7),
        mark("first_error", "orders", 15_020, 2),
        mark("first_error", "page-fresh", 15_040, 20),
        mark("detected", "detected", 27_300, 250),
        mark("promoted", "promoted", 36_100, 104),
        mark("first_ok", "orders", 36_150, 2),
        mark("restored", "orders", 36_150, 2),
        mark("restored", "page-fresh", 36_260, 20),
        mark("sustained", "orders", 36_550, 2),
        mark("healed", "leader_dies", 53_300, 70),
    ]
}

fn fault() -> FaultResult {
    FaultResult {
        id: FaultId::from("leader_dies"),
        name: "the leader's host dies".to_owned(),
        kind: "process_kill".to_owned(),
        targets: vec!["leader (pg1: postgres 4711, patroni 4690)".to_owned()],
        at: Some(At { low: 15_000 * MS, best: 15_006 * MS, high: 15_013 * MS }),
        effective: Some(true),
        effect: "no process of 5 is left".to_owned(),
        healed: true,
        healed_at: Some(At { low: 47_012 * MS, best: 50_000 * MS, high: 53_371 * MS }),
        healed_by: None,
        by_hand: "drills/staging/patroni/start.sh pg1".to_owned(),
    }
}

/// Everything met, though writes were lost.
pub fn pass_with_loss() -> Analysis {
    let run = started();
    let began = Utc.with_ymd_and_hms(2026, 11, 20, 12, 0, 0).unwrap();
    let mut orders = workload("orders", "ledger", 500, Some((20 * MS, 21_150 * MS)), 1_400_000);
    orders.ledger = Some(ledger(136));
    let mut probe = workload("orders.probe", "ledger", 20, Some((30 * MS, 21_180 * MS)), 2_100_000);
    probe.probe_of = Some("orders".into());
    let objective = |i: usize| run.objectives[i].clone();
    let (met, rto) = (Verdict::Pass, orders.recoveries[0].sustained);
    Analysis {
        objectives: vec![
            judged(objective(0), rto, met, "met with 8.4 s to spare"),
            judged(objective(1), Some(ms(266, 272, 290)), met, "met with 710 ms to spare"),
            judged(objective(2), Some(writes(136)), met, "met with 864 writes to spare"),
            judged(objective(3), Some(ms(21_640, 21_660, 21_693)), met, "met with 8.3 s to spare"),
        ],
        workloads: vec![
            orders,
            probe,
            workload("page-fresh", "http", 50, Some((40 * MS, 21_260 * MS)), 3_200_000),
            workload("page-retrying", "http", 50, Some((1_240 * MS, 19_980 * MS)), 3_400_000),
        ],
        run,
        started: began,
        ended: Some(began + TimeDelta::nanoseconds(LENGTH)),
        length: LENGTH,
        state: RunState::Ended,
        verdict: met,
        reasons: Vec::new(),
        timeline: marks(),
        phases: phases(),
        steps: steps(),
        faults: vec![fault()],
        stalls: Vec::new(),
        sites: Vec::new(),
        fingerprints: Vec::new(),
        restores: Vec::new(),
        notes: vec!["replication lag at the fault was 41 kB; the expected loss was at most 150 writes".to_owned()],
        journal_head: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".to_owned(),
        journal_lines: 418,
        journal_cut: None,
    }
}

pub fn reason(verdict: Verdict, text: &str, line: u32) -> Reason {
    let place = (line > 0).then(|| format!("drills/postgres/patroni-leader-loss.yaml:{line}"));
    Reason { verdict, text: text.to_owned(), place }
}
