//! Analyses built by hand: one for each way a run can end.

use crate::pieces::{MS, S, at, counts, ledger, ms, pass_with_loss, reason, workload};
use blackstart::analysis::{
    Analysis, At, AtSite, Attribution, Class, FaultLoss, FaultResult, FingerprintResult, LedgerResult, Mark, OpCounts,
    Outage, PartResult, Reason, Recovery, SiteResult, SitesResult, StallResult, WorkloadResult,
};
use blackstart::event::{StallCause, StepOutcome};
use blackstart::model::{Change, Expectation, FaultId, Interval, Named, NamedChange, RunState, Verdict, WorkloadName};
use chrono::TimeDelta;

/// Every variant with its name, its exit code, and what it shows.
pub fn all() -> Vec<(&'static str, u8, Analysis)> {
    vec![
        ("pass-with-loss", 0, pass_with_loss()),
        ("fail", 1, fail()),
        ("inconclusive", 2, inconclusive()),
        ("not-effective", 2, not_effective()),
        ("dirty", 3, dirty()),
        ("aborted", 4, aborted()),
        ("no-ledger", 0, no_ledger()),
        ("not-run", 69, not_run()),
        ("failback", 1, failback()),
        ("hostile", 1, hostile()),
    ]
}

/// RTO and RPO missed, with holes, flapping and odd writes; a check failed; the schedule stalled once.
pub fn fail() -> Analysis {
    let mut a = pass_with_loss();
    a.verdict = Verdict::Fail;
    a.objectives[0].objective.target = 15 * S;
    a.objectives[0].verdict = Verdict::Fail;
    a.objectives[0].why = "missed by 6.5 s".to_owned();
    a.objectives[2].objective.target = 10;
    a.objectives[2].verdict = Verdict::Fail;
    a.objectives[2].why = "missed by 126 writes".to_owned();
    a.objectives[3].objective.target = 21_660 * MS;
    a.objectives[3].verdict = Verdict::Inconclusive;
    a.objectives[3].why = "the error bar reaches over the target; no rate decides it".to_owned();
    let books = a.steps.iter_mut().find(|s| s.id.as_str() == "books").unwrap();
    books.outcome = Some(StepOutcome::Failed { detail: "value is -1200, must equal 0".to_owned() });
    books.verdict = Verdict::Fail;
    let l = a.workloads[0].ledger.as_mut().unwrap();
    l.holes = Some(41);
    l.duplicated = Some(2);
    l.resurrected = Some(1);
    l.stale = 7;
    l.lost_by_healing = Some(12);
    l.stale_age = Some(ms(40, 52, 64));
    l.ages = vec![(50 * MS, 61), (100 * MS, 40), (200 * MS, 22), (400 * MS, 9), (800 * MS, 0), (1_600 * MS, 4)];
    for i in [120, 121, 700, 701, 1_000] {
        l.strip[i].1 = Class::Odd;
    }
    let page = &mut a.workloads[2];
    page.outages.push(Outage {
        from: at(41 * S, 10 * MS),
        to: Some(at(43 * S, 10 * MS)),
        perceived: Some(ms(1_980, 2_000, 2_020)),
        operations: 100,
        doubtful: true,
    });
    page.downtime = ms(23_180, 23_220, 23_260);
    page.operations.late = 14;
    page.operations.ok -= 14;
    let stall = |from, to, workload| StallResult { from, to, cause: StallCause::Schedule, workload };
    a.stalls = vec![
        stall(41_900 * MS, 42_300 * MS, None),
        stall(44_100 * MS, 44_200 * MS, Some("page".into())),
        stall(45_100 * MS, 45_150 * MS, Some("page".into())),
    ];
    a.sites = sites();
    a.fingerprints = fingerprints();
    a.reasons = vec![
        reason(Verdict::Fail, "RTO of orders missed: 21.550 ± 0.015 s, target 15 s", 11),
        reason(Verdict::Fail, "RPO of orders missed: 136 acknowledged writes lost, target 10 writes", 12),
        reason(Verdict::Fail, "books balance: value is -1200, must equal 0", 71),
        reason(Verdict::Inconclusive, "RTO of page-fresh not decided: 21.66 s with target 21.66 s", 13),
    ];
    a
}

/// One site lacks records at the end, one could not be read.
fn sites() -> Vec<SitesResult> {
    let site = |name: &str, lacked, lacks, lost| SiteResult {
        name: name.to_owned(),
        lacked,
        lacks,
        lacking: lacks.filter(|n| *n > 0).map(|n| (3, 40, 39 + n)).into_iter().collect(),
        lost,
        rpo_time: lost.map(|lost| ms(lost as i64 * 10, lost as i64 * 10 + 5, lost as i64 * 10 + 10)),
        service: Some(AtSite::Back(ms(21_480, 21_500, 21_520))),
        downtime: Some(ms(21_400, 21_450, 21_500)),
        error: None,
    };
    let berlin = site("berlin", Some(0), Some(0), Some(136));
    let lyon = SiteResult {
        service: Some(AtSite::Unaffected),
        downtime: Some(Interval::exact(0)),
        ..site("lyon", Some(1_204), Some(7), Some(143))
    };
    let away = SiteResult {
        error: Some("no answer within 5s".to_owned()),
        service: Some(AtSite::NotBack(Some(61_300 * MS))),
        ..site("oslo", None, None, None)
    };
    vec![SitesResult {
        workload: WorkloadName::from("orders"),
        sites: vec![berlin, lyon, away],
        converged: None,
        at_least: Some(61_300 * MS),
        within: Some(30 * S),
        verdict: Verdict::Inconclusive,
        why: "the site `oslo` is not known at the end: no answer within 5s".to_owned(),
        place: "drills/patroni.yaml:31".to_owned(),
    }]
}

/// Tables that differ in every way, files of which two are named, and one that could not be taken.
fn fingerprints() -> Vec<FingerprintResult> {
    let part = |name: &str, before, after, change| PartResult { name: name.to_owned(), before, after, change };
    let print = |name: &str, kind: &str, unit: &str, parts, verdict, why: &str| FingerprintResult {
        name: name.to_owned(),
        kind: kind.to_owned(),
        expect: Expectation::Same,
        unit: unit.to_owned(),
        parts,
        named: None,
        verdict,
        why: why.to_owned(),
        place: "drills/patroni.yaml:40".to_owned(),
    };
    let tables = vec![
        part("public.books", Some(1_200_000), Some(1_199_998), Some(Change::Fewer)),
        part("public.items", Some(40), Some(40), Some(Change::Content)),
        part("public.old", Some(3), None, Some(Change::Gone)),
        part("public.people", Some(8_120), Some(8_120), Some(Change::Same)),
    ];
    let first = vec![("a/b.txt".to_owned(), NamedChange::Changed), ("c|<d>".to_owned(), NamedChange::Missing)];
    let named = Named { missing: 1, added: 0, changed: 1, first };
    let files = vec![part("./data", Some(12), Some(11), Some(Change::Fewer))];
    let why = "it could not be taken at the end: postgres 127.0.0.1:15000/app: connecting: refused";
    let late = vec![part("public.audit", Some(7), None, None)];
    vec![
        print("shop", "postgres", "row", tables, Verdict::Fail, "`public.books`: at least 2 missing"),
        FingerprintResult {
            named: Some(named),
            ..print("files", "directory", "entry", files, Verdict::Fail, "`./data`: at least 1 missing")
        },
        print("audit", "postgres", "row", late, Verdict::Inconclusive, why),
        print("never", "directory", "", Vec::new(), Verdict::Inconclusive, "it was not taken before the outage"),
    ]
}

/// Two faults, each with its own clock and loss; the ledger reads too; one client flaps, one never comes back.
pub fn failback() -> Analysis {
    let mut a = pass_with_loss();
    a.verdict = Verdict::Fail;
    let second = FaultId::from("failback");
    a.faults.push(FaultResult {
        id: second.clone(),
        name: "switch back to the first node".to_owned(),
        kind: "command".to_owned(),
        targets: vec!["leader (pg2)".to_owned()],
        at: Some(at(60 * S, 30 * MS)),
        effective: Some(true),
        effect: "the leader is pg1".to_owned(),
        healed: true,
        healed_at: None,
        healed_by: None,
        by_hand: String::new(),
    });
    a.timeline.push(Mark { name: "fault".to_owned(), of: "failback".to_owned(), at: at(60 * S, 30 * MS) });
    a.timeline.push(Mark { name: "promoted".to_owned(), of: "switched".to_owned(), at: at(61_900 * MS, 50 * MS) });
    for (i, w) in a.workloads.iter_mut().enumerate() {
        let again = Recovery {
            fault: second.clone(),
            perceived: Some(ms(2_390, 2_400, 2_410)),
            first_error: Some(ms(0, 20, 90)),
            first_ok: Some(ms(2_350, 2_420, 2_490)),
            first_restored: Some(ms(2_350, 2_420, 2_490)),
            sustained: Some(ms(2_350, 2_420, 2_490)),
            ..w.recoveries[0].clone()
        };
        w.recoveries.push(again);
        w.outages.push(Outage {
            from: at(60_020 * MS, 10 * MS),
            to: Some(at(62_420 * MS, 10 * MS)),
            perceived: Some(ms(2_390, 2_400, 2_410)),
            operations: 120,
            doubtful: false,
        });
        w.recoveries[0].outages = if i == 2 { 3 } else { 1 };
    }
    let last = &mut a.workloads[3].recoveries[1];
    (last.sustained, last.at_least) = (None, Some(12 * S));
    let orders = &mut a.workloads[0];
    orders.reads = Some(OpCounts { late: 3, ok: 3_100, ..counts(6_400, 2_200, 1_097, 0) });
    let l = orders.ledger.as_mut().unwrap();
    l.acked_local = 9;
    l.local_absent = Some(4);
    l.losses = vec![
        FaultLoss { fault: "leader_dies".into(), lost: 136, rpo_time: Some(ms(266, 272, 290)) },
        FaultLoss { fault: second, lost: 0, rpo_time: Some(Interval::exact(0)) },
    ];
    a.reasons = vec![reason(Verdict::Fail, "RTO of page-retrying missed after failback: over 12 s, target 5 s", 14)];
    a
}

/// Service had not been stable for long enough when the drill ended.
pub fn inconclusive() -> Analysis {
    let mut a = pass_with_loss();
    a.verdict = Verdict::Inconclusive;
    let r = &mut a.workloads[0].recoveries[0];
    r.sustained = None;
    r.why = Some("service held for 6.2 s of the 10 s that count as stable before the drill ended".to_owned());
    a.objectives[0].actual = None;
    a.objectives[0].verdict = Verdict::Inconclusive;
    a.objectives[0].why = "sustained service was not seen".to_owned();
    a.workloads[0].ledger = Some(LedgerResult {
        attempted: 32_150,
        acked: 21_411,
        resolution: 2 * MS,
        why: Some("the final read-back failed: connection refused".to_owned()),
        ..LedgerResult::default()
    });
    for i in [1, 2] {
        a.objectives[i].actual = None;
        a.objectives[i].verdict = Verdict::Inconclusive;
        a.objectives[i].why = "the final read-back failed".to_owned();
    }
    a.reasons = vec![
        reason(Verdict::Inconclusive, "RTO of orders not decided: sustained service was not seen", 11),
        reason(Verdict::Inconclusive, "the ledger orders could not be read back: connection refused", 33),
    ];
    a
}

/// The target was already dead.
pub fn not_effective() -> Analysis {
    let mut a = pass_with_loss();
    a.verdict = Verdict::Inconclusive;
    for w in &mut a.workloads {
        let quiet = workload(w.name.as_str(), &w.kind, 50, None, 2_000_000);
        *w = WorkloadResult { probe_of: w.probe_of.clone(), ledger: w.ledger.take().map(|_| ledger(0)), ..quiet };
        w.recoveries[0].sustained = None;
        w.recoveries[0].why = Some("the fault was not effective".to_owned());
    }
    for o in &mut a.objectives {
        o.actual = None;
        o.verdict = Verdict::Inconclusive;
        o.why = "the fault was not effective".to_owned();
    }
    a.faults[0].effective = Some(false);
    a.faults[0].effect = "the processes had ended before the injection".to_owned();
    a.timeline.retain(|m| m.name == "fault" || m.name == "healed");
    a.reasons = vec![reason(
        Verdict::Inconclusive,
        "the leader's host dies: the fault was not effective; nothing was tested",
        58,
    )];
    a
}

/// The runner died in the middle; the fault is still open.
pub fn dirty() -> Analysis {
    let mut a = pass_with_loss();
    a.state = RunState::Dirty;
    a.verdict = Verdict::Inconclusive;
    a.ended = None;
    a.length = 29 * S;
    a.phases.retain(|p| p.from < a.length);
    a.phases.last_mut().unwrap().to = a.length;
    a.steps.retain(|s| s.from < 29 * S);
    let last = a.steps.last_mut().unwrap();
    (last.to, last.outcome, last.verdict) = (None, None, Verdict::Inconclusive);
    a.timeline.retain(|m| m.at.best < 29 * S);
    (a.faults[0].healed, a.faults[0].healed_at) = (false, None);
    for w in &mut a.workloads {
        w.series.buckets.truncate(121);
        w.outages[0].to = None;
        w.outages[0].perceived = None;
        w.longest = None;
        w.recoveries[0] = Recovery {
            first_ok: None,
            sustained: None,
            perceived: None,
            first_restored: None,
            attribution: Attribution::None,
            why: Some("the record ends during the outage".to_owned()),
            ..w.recoveries[0].clone()
        };
        w.ledger = w.ledger.take().map(|_| LedgerResult {
            attempted: 12_002,
            acked: 5_010,
            why: Some("there is no final read-back".to_owned()),
            ..LedgerResult::default()
        });
    }
    for o in &mut a.objectives {
        (o.actual, o.verdict, o.why) = (None, Verdict::Inconclusive, "the record ends too early".to_owned());
    }
    a.journal_cut = Some("the last line was torn: 118 bytes dropped".to_owned());
    a.reasons = vec![
        reason(Verdict::Fail, "the leader's host dies is not healed: run `blackstart recover`", 58),
        reason(Verdict::Inconclusive, "the record stops in the middle of failover", 0),
    ];
    a
}

/// Ctrl-C while waiting for the promotion.
pub fn aborted() -> Analysis {
    let mut a = dirty();
    a.state = RunState::Aborted;
    a.ended = Some(a.started + TimeDelta::nanoseconds(a.length));
    (a.faults[0].healed, a.faults[0].healed_at) = (true, Some(at(28 * S, 40 * MS)));
    a.steps.last_mut().unwrap().outcome = Some(StepOutcome::Aborted);
    a.steps.last_mut().unwrap().to = Some(24 * S);
    a.journal_cut = None;
    a.reasons = vec![reason(Verdict::Inconclusive, "stopped by SIGINT during failover; everything is healed", 0)];
    a
}

/// Only visits, nothing written.
pub fn no_ledger() -> Analysis {
    let mut a = pass_with_loss();
    a.workloads.retain(|w| w.kind == "http");
    a.run.workloads.retain(|w| w.kind == "http");
    a.objectives.retain(|o| o.objective.workload.as_str() == "page-fresh");
    a.timeline.retain(|m| m.of != "orders");
    a
}

/// A preflight check failed.
pub fn not_run() -> Analysis {
    let mut a = pass_with_loss();
    a.state = RunState::NotRun;
    a.verdict = Verdict::Inconclusive;
    a.length = 130 * MS;
    a.ended = Some(a.started + TimeDelta::nanoseconds(a.length));
    a.phases.truncate(1);
    a.workloads.clear();
    a.steps.clear();
    a.faults.clear();
    a.timeline.clear();
    a.notes.clear();
    for o in &mut a.objectives {
        (o.actual, o.verdict, o.why, o.fault) = (None, Verdict::Inconclusive, "nothing was run".to_owned(), None);
    }
    a.reasons =
        vec![reason(Verdict::Inconclusive, "target db: connection refused at 127.0.0.1:15000; is the cluster up?", 24)];
    a
}

/// Names and texts that try to break out of every format, and figures at their limits.
pub fn hostile() -> Analysis {
    const NASTY: &str = "</style><script>alert(1)</script>|`*\"'&]]>\u{1b}[31m\u{0}\u{202e}\n::error::x";
    let mut a = fail();
    a.run.title = NASTY.to_owned();
    a.run.environment = NASTY.to_owned();
    a.run.params.insert(NASTY.to_owned(), NASTY.to_owned());
    a.run.metadata.insert(NASTY.to_owned(), vec![NASTY.to_owned()]);
    a.notes.push(NASTY.to_owned());
    a.steps[0].name = NASTY.to_owned();
    a.steps[0].outcome = Some(StepOutcome::Failed { detail: NASTY.to_owned() });
    a.steps[0].verdict = Verdict::Fail;
    a.faults[0].name = NASTY.to_owned();
    a.faults[0].targets = vec![NASTY.to_owned(); 3];
    a.reasons.insert(0, Reason { verdict: Verdict::Fail, text: NASTY.to_owned(), place: Some(NASTY.to_owned()) });
    a.workloads[0].name = WorkloadName(NASTY.to_owned());
    a.timeline.push(Mark {
        name: NASTY.to_owned(),
        of: NASTY.to_owned(),
        at: At { low: i64::MIN / 2, best: 20 * S, high: i64::MAX / 2 },
    });
    a.workloads[2].operations.due = u64::MAX;
    a.workloads[3].downtime = Interval { low: 0, best: i64::MAX / 2, high: i64::MAX };
    a.objectives[0].actual = Some(Interval { low: 0, best: i64::MAX / 2, high: i64::MAX });
    a
}
