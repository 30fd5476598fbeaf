//! A ledger that is written at each of its sites: every site has its own recovery and its own loss, and the worst decides.
//! And sites that differ at the end: never a clean pass.

use super::builder::*;
use crate::analysis::{Analysis, AtSite};
use crate::event::{ReadBack, ReadBackDone, ReadBackStage, SiteSeal, SitesSeal, What, WorkloadSeal, WriterFindings};
use crate::model::{Objective, ObjectiveKind, OpRecord, Outcome, Verdict};
use std::collections::BTreeMap;

const SITES: [&str; 2] = ["berlin", "lyon"];

fn sites() -> SitesSeal {
    let sites = SITES.map(str::to_owned).to_vec();
    SitesSeal { workload: "page".into(), sites, within: None, file: "drill.yaml".to_owned(), line: 3 }
}

/// A writer at each of two sites, ten writes a second each; the fault at 5,050 is seen at 5,060.
fn each(down: [Option<(i64, i64)>; 2]) -> Builder {
    let mut b = Builder::new();
    let part = |name: &str| WorkloadSeal {
        site: Some(SiteSeal { name: name.to_owned(), of: "page".into() }),
        ..seal(&format!("page@{name}"), 10.0, 1)
    };
    b.start.workloads = SITES.iter().map(|name| part(name)).collect();
    b.start.sites = vec![sites()];
    for ((writer, site), down) in (0..).zip(SITES).zip(down) {
        let log = b.record.ops.entry(format!("page@{site}").as_str().into()).or_default();
        let op = |k: i64| -> OpRecord {
            let off = down.is_some_and(|(from, to)| (from..to).contains(&(k * 100)));
            let (done, outcome) = if off { (1, Outcome::Fail) } else { (10, Outcome::Ok) };
            write(k * 100, k * 100 + done, outcome, writer, k as u64)
        };
        log.extend((0..300).map(op));
    }
    b.fault("f", 5_050, 5_060).healed("f", 9_000, 9_001);
    b
}

fn copy(b: &mut Builder, stage: ReadBackStage, site: &str, runs: [&[(u64, u64)]; 2]) {
    let file = format!("{stage:?}-{site}");
    let found = |runs: &[(u64, u64)]| WriterFindings { present: runs.to_vec(), ..WriterFindings::default() };
    let writers = BTreeMap::from([(0, found(runs[0])), (1, found(runs[1]))]);
    b.record.read_backs.insert(file.clone(), ReadBack { writers, ..ReadBack::default() });
    let at_ms = if stage == ReadBackStage::Early { 8_050 } else { 60_000 };
    let done = ReadBackDone {
        workload: if b.start.workloads.len() > 1 { format!("page@{site}").as_str().into() } else { "page".into() },
        stage,
        site: site.to_owned(),
        began: Some(at(at_ms)),
        file: Some(file),
        digest: None,
        error: None,
    };
    b.event(at_ms, What::ReadBack(done));
}

fn objectives(b: &mut Builder, rto: i64, writes: i64) {
    for (kind, target) in [(ObjectiveKind::Rto, rto), (ObjectiveKind::RpoWrites, writes)] {
        b.start.objectives.push(Objective { workload: "page".into(), ..objective(kind, target) });
    }
}

fn site<'a>(a: &'a Analysis, name: &str) -> &'a crate::analysis::SiteResult {
    a.sites[0].sites.iter().find(|site| site.name == name).unwrap()
}

#[test]
fn the_site_that_was_down_decides_and_the_other_says_that_it_was_not() {
    // Berlin refused 51 to 79 of its own; nothing is lost anywhere.
    let mut b = each([Some((5_100, 8_000)), None]);
    objectives(&mut b, 2 * S, 0);
    let own: &[(u64, u64)] = &[(0, 50), (80, 299)];
    for name in SITES {
        copy(&mut b, ReadBackStage::Final, name, [own, &[(0, 299)]]);
    }
    b.end();
    let a = b.analyze();
    let (berlin, lyon) = (site(&a, "berlin"), site(&a, "lyon"));
    let Some(AtSite::Back(took)) = berlin.service else { panic!("{berlin:?}") };
    assert!(took.low <= 2_950 * MS && 2_940 * MS <= took.high, "{took:?}");
    assert_eq!((lyon.service, lyon.downtime.unwrap().high), (Some(AtSite::Unaffected), 0));
    assert_eq!((berlin.lost, lyon.lost), (Some(0), Some(0)));
    let (rto, rpo) = (&a.objectives[0], &a.objectives[1]);
    assert_eq!((rto.verdict, rpo.verdict), (Verdict::Fail, Verdict::Pass), "{:?}", a.objectives);
    assert!(rto.why.contains("at `berlin`, the worst of berlin, lyon"), "{}", rto.why);
    assert_eq!(rto.objective.workload.as_str(), "page");
}

#[test]
fn each_site_owes_what_was_acknowledged_anywhere() {
    // Lyon never got the last 12 writes that Berlin took before the fault; nobody has the last 3 of its own.
    let mut b = each([None, None]);
    objectives(&mut b, 30 * S, 5);
    copy(&mut b, ReadBackStage::Final, "berlin", [&[(0, 299)], &[(0, 47), (51, 299)]]);
    copy(&mut b, ReadBackStage::Final, "lyon", [&[(0, 38), (51, 299)], &[(0, 47), (51, 299)]]);
    b.end();
    let a = b.analyze();
    let (berlin, lyon) = (site(&a, "berlin"), site(&a, "lyon"));
    assert_eq!((berlin.lacks, berlin.lost, lyon.lacks, lyon.lost), (Some(0), Some(3), Some(12), Some(15)));
    let rpo = &a.objectives[1];
    assert_eq!((rpo.verdict, rpo.actual.map(|n| (n.low, n.high))), (Verdict::Fail, Some((15, 15))), "{rpo:?}");
    assert!(rpo.why.contains("at `lyon`"), "{}", rpo.why);
    // 39 of writer 0 was acknowledged at 3,910 and sent at 3,900.
    assert_eq!(lyon.rpo_time, Some(ms(5_050 - 3_910, 5_060 - 3_900)));
    let ledgers: Vec<_> = a.workloads.iter().map(|w| w.ledger.as_ref().unwrap()).map(|l| (l.acked, l.lost)).collect();
    assert_eq!(ledgers, [(600, Some(3)), (600, Some(15))], "every site is asked for the records of both");
}

#[test]
fn divergence_counts_what_had_been_acknowledged_when_the_first_copy_was_begun() {
    let mut b = each([None, None]);
    // Read from 8,050 on: 0 to 79 and 80 of Berlin had been sent, 80 was acknowledged only at 8,010 and counts; 81 was
    // not due yet, and shows up in the copy that is read last.
    copy(&mut b, ReadBackStage::Early, "berlin", [&[(0, 81)], &[(0, 40)]]);
    copy(&mut b, ReadBackStage::Early, "lyon", [&[(0, 60)], &[(0, 82)]]);
    for name in SITES {
        copy(&mut b, ReadBackStage::Final, name, [&[(0, 299)], &[(0, 299)]]);
    }
    b.end();
    let a = b.analyze();
    assert_eq!((site(&a, "berlin").lacked, site(&a, "lyon").lacked), (Some(40), Some(20)));
    assert_eq!(a.sites[0].verdict, Verdict::Pass, "{:?}", a.sites);
}

#[test]
fn a_site_that_cannot_be_read_is_no_pass_though_the_other_is_whole() {
    let mut b = each([None, None]);
    objectives(&mut b, 30 * S, 5);
    copy(&mut b, ReadBackStage::Final, "lyon", [&[(0, 299)], &[(0, 299)]]);
    b.end();
    let a = b.analyze();
    let berlin = site(&a, "berlin");
    assert_eq!((berlin.lost, berlin.lacks, berlin.rpo_time), (None, None, None));
    assert_eq!((a.objectives[1].verdict, a.verdict), (Verdict::Inconclusive, Verdict::Inconclusive));
}

/// One ledger behind one address, with two sites that are only read.
fn read_only(lacking: u64) -> Builder {
    let mut b = Builder::new();
    *b.seal() = seal("page", 10.0, 1);
    b.start.sites = vec![sites()];
    b.ops((0..300).map(|k| write(k * 100, k * 100 + 10, Outcome::Ok, 0, k as u64)));
    b.fault("f", 5_050, 5_060).healed("f", 9_000, 9_001);
    b.read_back(ReadBackStage::Final, &[(0, WriterFindings { present: vec![(0, 299)], ..Default::default() })]);
    copy(&mut b, ReadBackStage::Final, "berlin", [&[(0, 299)], &[]]);
    copy(&mut b, ReadBackStage::Final, "lyon", [&[(0, 50 - lacking), (51, 299)], &[]]);
    b
}

#[test]
fn what_a_replica_lacks_at_the_end_is_loss_there() {
    let mut b = read_only(7);
    objectives(&mut b, 30 * S, 5);
    b.end();
    let a = b.analyze();
    assert_eq!(a.workloads[0].ledger.as_ref().unwrap().lost, Some(0), "clients see all of it");
    let rpo = &a.objectives[1];
    assert_eq!((rpo.verdict, rpo.actual.map(|n| n.high)), (Verdict::Fail, Some(7)), "{rpo:?}");
    assert!(rpo.why.contains("at the site `lyon`"), "{}", rpo.why);
    assert_eq!(a.verdict, Verdict::Fail);
}

#[test]
fn sites_that_differ_and_that_nothing_judges_are_no_pass() {
    let mut b = read_only(7);
    b.objective(ObjectiveKind::Rto, 30 * S).end();
    let a = b.analyze();
    assert_eq!(a.verdict, Verdict::Inconclusive, "{:?}", a.reasons);
    assert!(a.reasons.iter().any(|r| r.text.contains("`lyon` lacks 7 records")), "{:?}", a.reasons);
    let mut same = read_only(0);
    same.objective(ObjectiveKind::Rto, 30 * S).end();
    assert_eq!(same.analyze().verdict, Verdict::Pass);
}
