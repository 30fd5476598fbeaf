//! The run among others, as `report.json` shows it: what its start record knew of the runs around it.

use super::build::wall;
use crate::event::{self, EarlierFigure, EarlierRun, OpenAction};
use crate::model::{RunState, Verdict};
use schemars::JsonSchema;
use serde::Serialize;

/// What was known of other runs when this one began.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Lineage {
    /// Its place in the chain of runs; null if it is not chained.
    chain: Option<Chain>,
    /// Fingerprint of the key that was to sign the evidence; null if none was.
    signer: Option<String>,
    /// What was under test.
    subjects: Vec<Subject>,
    /// Earlier runs of the drill in this environment, oldest first.
    earlier: Vec<Earlier>,
    /// Actions of earlier runs that were still to be done, or to be retested.
    actions: Vec<Action>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Chain {
    /// `DRILL@ENVIRONMENT@RUNNER`
    name: String,
    /// 1 for the first run of the chain.
    counter: u64,
    /// Null: the chain starts here.
    previous: Option<Previous>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Previous {
    run: String,
    /// SHA-256 of its `MANIFEST.json`, hex; null if it was not sealed when this run began.
    manifest: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Subject {
    /// May be empty.
    name: String,
    /// `sha256:…` or `gitCommit:…`
    digest: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Earlier {
    run: String,
    /// RFC 3339, UTC.
    started: String,
    #[schemars(with = "String", extend("enum" = ["ended", "aborted", "dirty", "not_run", "held"]))]
    state: RunState,
    #[schemars(with = "String", extend("enum" = ["pass", "inconclusive", "fail"]))]
    verdict: Verdict,
    /// The same playbook apart from names of places, and the same load.
    comparable: bool,
    figures: Vec<Figure>,
}

/// What an earlier run measured for an objective, in its unit; null is "not measured".
#[derive(Debug, Serialize, JsonSchema)]
struct Figure {
    objective: String,
    workload: String,
    fault: String,
    basis: String,
    target: Option<f64>,
    low: Option<f64>,
    best: Option<f64>,
    high: Option<f64>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Action {
    /// The run whose review asked for it.
    run: String,
    number: u32,
    text: String,
    owner: String,
    /// `YYYY-MM-DD`; null if it has none.
    due: Option<String>,
}

pub(super) fn lineage(l: &event::Lineage) -> Lineage {
    Lineage {
        chain: l.chain.as_ref().map(|chain| Chain {
            name: l.chain_name.clone(),
            counter: chain.counter,
            previous: chain
                .previous
                .as_ref()
                .map(|previous| Previous { run: previous.run.0.clone(), manifest: previous.manifest.clone() }),
        }),
        signer: l.signer.clone(),
        subjects: l.subjects.iter().map(|s| Subject { name: s.name.clone(), digest: s.digest.clone() }).collect(),
        earlier: l.earlier.iter().map(earlier).collect(),
        actions: l.actions.iter().map(action).collect(),
    }
}

fn earlier(run: &EarlierRun) -> Earlier {
    Earlier {
        run: run.run.0.clone(),
        started: wall(run.started),
        state: run.state,
        verdict: run.verdict,
        comparable: run.comparable,
        figures: run.figures.iter().map(figure).collect(),
    }
}

fn figure(f: &EarlierFigure) -> Figure {
    Figure {
        objective: f.objective.clone(),
        workload: f.workload.clone(),
        fault: f.fault.clone(),
        basis: f.basis.clone(),
        target: number(f.target),
        low: f.low.and_then(number),
        best: f.best.and_then(number),
        high: f.high.and_then(number),
    }
}

/// JSON has no other numbers.
fn number(n: f64) -> Option<f64> {
    Some(n).filter(|n| n.is_finite())
}

fn action(action: &OpenAction) -> Action {
    Action {
        run: action.run.0.clone(),
        number: action.number,
        text: action.text.clone(),
        owner: action.owner.clone(),
        due: action.due.map(|day| day.format("%Y-%m-%d").to_string()),
    }
}
