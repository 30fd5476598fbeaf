//! A run among others, made by hand: signed, chained, looked at from several places, with earlier runs and open actions.

use crate::pieces::{MS, S, pass_with_loss, workload};
use blackstart::analysis::{Analysis, WorkloadResult};
use blackstart::event::{
    ChainSeal, EarlierFigure, EarlierRun, Lineage, OpenAction, Previous, Subject, VantageSeal, WorkloadSeal,
};
use blackstart::model::{RunId, RunState, Verdict, WorkloadName};
use chrono::{NaiveDate, TimeDelta};

/// A run that passed, with everything around it.
pub fn sealed() -> Analysis {
    let mut a = pass_with_loss();
    for (key, values) in [
        ("approver", vec!["Kim Berg, head of platform"]),
        ("plan", vec!["BCP-7, chapter 4"]),
        ("criticality", vec!["tier-1"]),
        ("kind", vec!["functional", "announced"]),
        ("scope", vec!["loss of the primary site"]),
        ("third_parties", vec!["stripe: stubbed"]),
        ("participants", vec!["Ann Lee, incident lead", "Bo Chen, DBA"]),
        ("classification", vec!["internal"]),
        ("x_cost_centre", vec!["4711"]),
    ] {
        a.run.metadata.insert(key.to_owned(), values.into_iter().map(str::to_owned).collect());
    }
    places(&mut a);
    a.run.lineage = Some(Box::new(lineage(&a)));
    a
}

/// The page's clients are in three places, one of which was cut off for longer.
fn places(a: &mut Analysis) {
    let names = ["berlin", "lyon", "oslo"];
    let template = a.run.workloads.iter().find(|seal| seal.name.as_str() == "page-fresh").cloned().unwrap();
    let of = |name: &str| WorkloadName::from(format!("page-fresh@{name}").as_str());
    let seal = |name: &&str| WorkloadSeal {
        name: of(name),
        vantage: Some(VantageSeal {
            name: (*name).to_owned(),
            of: template.name.clone(),
            namespace: None,
            offset: 0,
            offset_error: 0,
        }),
        ..template.clone()
    };
    let result = |(i, name): (usize, &&str)| WorkloadResult {
        name: of(name),
        ..workload("x", "http", 50, Some((40 * MS, 21_260 * MS + i as i64 * 4 * S)), 3_200_000 + i as i64 * 900_000)
    };
    let at = |name: &WorkloadName| name.as_str() == "page-fresh";
    let (seals, results): (Vec<_>, Vec<_>) =
        (names.iter().map(seal).collect(), names.iter().enumerate().map(result).collect());
    let place = a.run.workloads.iter().position(|seal| at(&seal.name)).unwrap();
    a.run.workloads.splice(place..=place, seals);
    let place = a.workloads.iter().position(|w| at(&w.name)).unwrap();
    a.workloads.splice(place..=place, results);
}

fn lineage(a: &Analysis) -> Lineage {
    let run = |n: i64| RunId(format!("2026{:02}20-120000-r{n:03}", n + 4));
    let figure = |objective: &str, workload: &str, best: Option<f64>, target: f64| EarlierFigure {
        objective: objective.to_owned(),
        workload: workload.to_owned(),
        fault: String::new(),
        basis: if objective == "rto" { "fault".to_owned() } else { String::new() },
        low: best.map(|best| best * 0.98),
        best,
        high: best.map(|best| best * 1.03),
        target,
    };
    let earlier = |n: i64| {
        let seconds = [24.1, 33.7, 22.9, 21.2, 27.5, 22.0][n as usize];
        let verdict = if n == 1 { Verdict::Fail } else { Verdict::Pass };
        let whole = n != 4;
        EarlierRun {
            run: run(n),
            started: a.started - TimeDelta::days(30 * (6 - n)),
            state: if whole { RunState::Ended } else { RunState::Aborted },
            verdict: if whole { verdict } else { Verdict::Inconclusive },
            comparable: n > 0,
            figures: vec![
                figure("rto", "orders", whole.then_some(seconds), if n < 2 { 25.0 } else { 30.0 }),
                figure("rpo_time", "orders", whole.then_some(0.2 + n as f64 * 0.02), 1.0),
                figure("rpo_writes", "orders", whole.then_some(100.0 * n as f64), 1000.0),
                figure("rto", "page-fresh", whole.then_some(seconds + 0.2), 30.0),
            ],
        }
    };
    let action = |number, text: &str, due: Option<(i32, u32, u32)>| OpenAction {
        run: run(1),
        number,
        text: text.to_owned(),
        owner: "data-platform".to_owned(),
        due: due.and_then(|(y, m, d)| NaiveDate::from_ymd_opt(y, m, d)),
    };
    Lineage {
        chain: Some(ChainSeal {
            counter: 7,
            previous: Some(Previous {
                run: run(5),
                manifest: Some("1b4f0e9851971998e732078544c96b36c3d01cedf7caa332359d6f1d83567014".to_owned()),
            }),
        }),
        chain_name: "quickstart@embedded@runner-3".to_owned(),
        signer: Some("SHA256:uNiVztksCsDhcc0u9e8BrrQHJ4XyY0P6iLq3Y2mZ0mE".to_owned()),
        subjects: vec![
            Subject {
                name: "registry.example/orders".to_owned(),
                digest: "sha256:60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752".to_owned(),
            },
            Subject {
                name: "orders".to_owned(),
                digest: "gitCommit:9fceb02d0ae598e95dc970b74767f19372d61af8".to_owned(),
            },
        ],
        earlier: (0..6).map(earlier).collect(),
        actions: vec![
            action(1, "alert on replication lag above 10 MB", Some((2026, 10, 1))),
            action(2, "shorten the leader's lease to 10 s", Some((2026, 12, 31))),
        ],
    }
}
