//! Analyses built by hand: one for each way a run can end.

use crate::pieces::{MS, S, at, counts, ledger, ms, pass_with_loss, reason, workload};
use blackstart::analysis::{
    Analysis, At, AtSite, Attribution, Class, FaultLoss, FaultResult, FingerprintResult, LedgerResult, Mark, OpCounts,
    Outage, PartResult, PartTime, Percentiles, Reason, Recovery, RestoreResult, SiteResult, SitesResult, StallResult,
    WorkloadResult,
};
use blackstart::event::{
    ChainSeal, EarlierFigure, EarlierRun, Lineage, OpenAction, Previous, StallCause, StepOutcome, Subject,
};
use blackstart::model::{
    Change, Expectation, Exposure, FaultId, Interval, Named, NamedChange, ObjectiveKind, RestoreClaim, RestorePart,
    RunId, RunState, Verdict, WorkloadName,
};
use chrono::{DateTime, NaiveDate, TimeDelta, TimeZone, Utc};

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
        ("side-by-side", 0, side_by_side()),
        ("in-a-chain", 0, in_a_chain()),
        ("sealed", 0, crate::sealed::sealed()),
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
    a.restores = restores();
    a.reasons = vec![
        reason(Verdict::Fail, "RTO of orders missed: 21.550 ± 0.015 s, target 15 s", 11),
        reason(Verdict::Fail, "RPO of orders missed: 136 acknowledged writes lost, target 10 writes", 12),
        reason(Verdict::Fail, "books balance: value is -1200, must equal 0", 71),
        reason(Verdict::Inconclusive, "RTO of page-fresh not decided: 21.66 s with target 21.66 s", 13),
    ];
    a
}

/// One went well, one was given up.
fn restores() -> Vec<RestoreResult> {
    let part = |part, took: i64, bytes| PartTime { part, took: took * MS, bytes };
    let at = |seconds: i64| DateTime::from_timestamp(1_795_262_000 + seconds, 0);
    let exposure = Exposure {
        worst: Interval { low: 0, best: 61 * S, high: 62 * S },
        points: 1_204,
        holes: 0,
        from: at(-86_400).unwrap_or_default(),
        to: at(0).unwrap_or_default(),
    };
    let claim = RestoreClaim {
        backup: "20261120-020000F_20261121-020000I".to_owned(),
        taken: at(-3_600),
        recovered_to: at(-2),
        position: Some("0/1C00000".to_owned()),
        exposure: Some(Ok(exposure)),
    };
    let whole = RestoreResult {
        step: "restored".into(),
        name: "the newest backup and all archived WAL".to_owned(),
        kind: "pgbackrest".to_owned(),
        parts: vec![
            part(RestorePart::Locate, 212, None),
            part(RestorePart::Fetch, 612_300, Some(34_500_000_000)),
            part(RestorePart::Start, 1_100, None),
            part(RestorePart::Replay, 95_700, Some(8_388_568)),
            part(RestorePart::Ready, 0, None),
            part(RestorePart::Verify, 84, None),
        ],
        claim,
        claimed: Some(ms(2_000, 2_050, 2_100)),
        error: None,
    };
    let given_up = RestoreResult {
        step: "dumped".into(),
        name: "the newest dump".to_owned(),
        kind: "pg_restore".to_owned(),
        parts: vec![part(RestorePart::Locate, 31, None)],
        claim: RestoreClaim { exposure: Some(Err("there is one dump only".to_owned())), ..RestoreClaim::default() },
        claimed: None,
        error: Some("`restored` has 3 tables: a dump goes into an empty database".to_owned()),
    };
    vec![whole, given_up]
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

/// Two ledgers under the same outage, one of which waited for a standby; and somebody had to notice.
pub fn side_by_side() -> Analysis {
    let mut a = pass_with_loss();
    let mut waiting = WorkloadResult { name: "orders-waiting".into(), ..a.workloads[0].clone() };
    waiting.latency_before = waiting.latency_before.map(|p| Percentiles { p50: p.p50 * 3, p99: p.p99 * 2, ..p });
    waiting.ledger = Some(LedgerResult { acked: 19_207, kept: Some(19_207), ..ledger(0) });
    a.workloads.insert(1, waiting);
    let mut seal = a.run.workloads[0].clone();
    seal.name = "orders-waiting".into();
    a.run.workloads.insert(1, seal);
    let mut noticed = a.objectives[0].clone();
    (noticed.objective.kind, noticed.objective.workload) = (ObjectiveKind::Detect, WorkloadName::from(""));
    (noticed.objective.target, noticed.actual) = (30 * S, Some(ms(12_050, 12_300, 12_550)));
    noticed.why = "met with 17.4 s to spare".to_owned();
    a.objectives.push(noticed);
    a
}

/// A run that knows of others: chained, to be signed, with what was under test, earlier runs and what they left to do.
pub fn in_a_chain() -> Analysis {
    let mut a = pass_with_loss();
    let earlier = |n: u32, verdict, best: Option<f64>| EarlierRun {
        run: format!("2026{:02}20-120000-aaaa", 6 + n).as_str().into(),
        started: Utc.with_ymd_and_hms(2026, 6 + n, 20, 12, 0, 0).unwrap(),
        state: RunState::Ended,
        verdict,
        comparable: n > 1,
        figures: vec![EarlierFigure {
            objective: "rto".to_owned(),
            workload: "orders".to_owned(),
            fault: "leader_dies".to_owned(),
            basis: "fault".to_owned(),
            low: best.map(|best| best - 0.02),
            best,
            high: best.map(|best| best + 0.03),
            target: 30.0,
        }],
    };
    let previous = Previous { run: "20261020-120000-aaaa".into(), manifest: Some("c0ffee".repeat(10) + "c0ff") };
    let subject = |name: &str, digest: &str| Subject { name: name.to_owned(), digest: digest.to_owned() };
    a.run.lineage = Some(Box::new(Lineage {
        chain: Some(ChainSeal { counter: 5, previous: Some(previous) }),
        signer: Some("SHA256:kYlW0wXJ1kGq9uEJ0Y7Dq7tVg4mXcB5s1zR8nPq2hTo".to_owned()),
        subjects: vec![
            subject("registry.example.com/orders", &format!("sha256:{}", "ab".repeat(32))),
            subject("", "gitCommit:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b"),
        ],
        earlier: vec![
            earlier(1, Verdict::Pass, Some(24.5)),
            earlier(2, Verdict::Inconclusive, None),
            earlier(3, Verdict::Fail, Some(31.25)),
            earlier(4, Verdict::Pass, Some(22.0)),
        ],
        actions: vec![OpenAction {
            run: "20260920-120000-aaaa".into(),
            number: 2,
            text: "alert on-call when `pg2` lags more than 1 s".to_owned(),
            owner: "mira".to_owned(),
            due: NaiveDate::from_ymd_opt(2026, 12, 1),
        }],
        chain_name: "patroni-leader-loss@staging@runner-3".to_owned(),
    }));
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
    a.run.lineage = Some(Box::new(hostile_lineage(&a, NASTY)));
    a.run.metadata.extend(["owner", "why", "participants", "controls", "every", "scope", "approver"].map(|key| {
        let value = if key == "controls" { format!("soc2/{NASTY}") } else { NASTY.to_owned() };
        (key.to_owned(), vec![value])
    }));
    for restore in &mut a.restores {
        restore.name = NASTY.to_owned();
        restore.claim.backup = NASTY.to_owned();
    }
    a.run.host.trigger = NASTY.to_owned();
    a.run.waivers.push(NASTY.to_owned());
    a
}

fn hostile_lineage(a: &Analysis, nasty: &str) -> Lineage {
    let run = RunId(nasty.to_owned());
    let figure = EarlierFigure {
        objective: "rto".to_owned(),
        workload: "orders".to_owned(),
        fault: String::new(),
        basis: "fault".to_owned(),
        low: Some(f64::MIN),
        best: Some(f64::NAN),
        high: Some(f64::INFINITY),
        target: f64::NEG_INFINITY,
    };
    let earlier = EarlierRun {
        run: run.clone(),
        started: a.started,
        state: RunState::Dirty,
        verdict: Verdict::Fail,
        comparable: false,
        figures: vec![figure],
    };
    let text = nasty.to_owned();
    let action = OpenAction { run: run.clone(), number: u32::MAX, text: text.clone(), owner: text.clone(), due: None };
    Lineage {
        chain: Some(ChainSeal { counter: u64::MAX, previous: Some(Previous { run, manifest: Some(text.clone()) }) }),
        chain_name: text.clone(),
        signer: Some(text.clone()),
        subjects: vec![Subject { name: text.clone(), digest: text }],
        earlier: vec![earlier],
        actions: vec![action],
    }
}
