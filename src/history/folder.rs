//! From what lies in a run's folder to its entry. Texts in, an entry out; who reads the files is an adapter's business.

use super::class::{Load, class, hex};
use super::entry::Entry;
use super::report::{Report, ReportError};
use crate::event::{ChainSeal, EarlierFigure, Lineage, OpenAction, Subject};
use crate::model::{DrillName, RunId};
use chrono::{DateTime, NaiveDate, Utc};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use thiserror::Error;

/// What was read from a run's folder.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// `report.json`
    pub report: &'a str,
    /// The first line of `journal.jsonl`, if it could be read.
    pub start: Option<&'a str>,
    /// `MANIFEST.json`, if it is sealed.
    pub manifest: Option<&'a str>,
    /// `addenda/*.json`, in order.
    pub addenda: &'a [String],
    /// The folder, relative to the folder of runs.
    pub folder: &'a str,
}

/// Why a folder is no entry.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unfit {
    /// Its report cannot be read.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// Its manifest cannot be read.
    #[error("MANIFEST.json cannot be read: {0}")]
    Manifest(String),
    /// It is sealed, and something in it is not what was sealed.
    #[error("{0}: it was changed after it was sealed")]
    Altered(String),
    /// An addendum cannot be read.
    #[error("an addendum cannot be read: {0}")]
    Addendum(String),
}

#[derive(Deserialize)]
struct Manifest {
    run: RunId,
    #[serde(default)]
    chain: Option<ChainSeal>,
    files: Vec<File>,
}

#[derive(Deserialize)]
struct File {
    path: String,
    sha256: String,
}

#[derive(Deserialize)]
struct Line<T> {
    what: Started<T>,
}

#[derive(Deserialize)]
struct Started<T> {
    run_started: T,
}

#[derive(Deserialize)]
struct Start {
    #[serde(default)]
    lineage: Option<Lineage>,
}

#[derive(Deserialize)]
struct Timed {
    at: At,
    what: Started<Named>,
}

#[derive(Deserialize)]
struct At {
    wall: DateTime<Utc>,
}

#[derive(Deserialize)]
struct Named {
    run: RunId,
    drill: DrillName,
    environment: String,
    #[serde(default)]
    lineage: Option<Lineage>,
}

/// What the start record of a run says of it: enough to know whether it is one of those that are meant.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// The run.
    pub run: RunId,
    /// Its drill.
    pub drill: DrillName,
    /// Its environment.
    pub environment: String,
    /// When it began.
    pub started: DateTime<Utc>,
    /// What was under test.
    pub subjects: Vec<Subject>,
}

/// The first line of a journal, as far as it says which run it is.
#[must_use]
pub fn head(line: &str) -> Option<Head> {
    let Timed { at, what } = serde_json::from_str(line).ok()?;
    let Named { run, drill, environment, lineage } = what.run_started;
    Some(Head { run, drill, environment, started: at.wall, subjects: lineage.unwrap_or_default().subjects })
}

#[derive(Deserialize)]
struct Addendum {
    review: Review,
}

#[derive(Deserialize)]
struct Review {
    #[serde(default)]
    decision: Option<String>,
    #[serde(default)]
    actions: Vec<Action>,
    #[serde(default)]
    closes: Vec<Closed>,
}

#[derive(Deserialize)]
struct Action {
    number: u32,
    text: String,
    owner: String,
    #[serde(default)]
    due: Option<NaiveDate>,
}

#[derive(Deserialize)]
struct Closed {
    run: RunId,
    number: u32,
}

/// The entry of a run.
///
/// # Errors
/// When the folder holds no report of this version, or something that was sealed and then changed.
pub fn entry(parts: &Parts<'_>) -> Result<Entry, Unfit> {
    let report = Report::parse(parts.report)?;
    let manifest = parts.manifest.map(|text| sealed(text, parts, &report)).transpose()?;
    let (actions, decision) = reviewed(parts.addenda, &report.run.id)?;
    let lineage = parts.start.and_then(lineage).unwrap_or_default();
    let loads: Vec<Load<'_>> =
        report.workloads.iter().map(|(name, w)| Load { name, kind: &w.kind, rate: w.rate }).collect();
    let class = class(&report.run.playbook.digest, &report.run.environment, &report.run.params, &loads);
    let figures = report.objectives.iter().map(figure).collect();
    let run = report.run;
    Ok(Entry {
        run: run.id,
        drill: run.drill,
        title: run.title,
        environment: run.environment,
        started: run.started,
        seconds: run.seconds.unwrap_or_default(),
        state: run.state,
        verdict: run.verdict,
        exit_code: run.exit_code,
        reasons: run.reasons,
        playbook: run.playbook.digest,
        resolved: run.playbook.resolved_digest,
        class,
        metadata: run.metadata,
        subjects: lineage.subjects,
        figures,
        chain: manifest.and_then(|m| m.chain).or(lineage.chain),
        manifest: parts.manifest.map(digest),
        signer: lineage.signer,
        actions,
        folder: parts.folder.to_owned(),
        params: run.params,
        host: run.host.host,
        tool: run.host.tool,
        path: run.playbook.path,
        decision,
    })
}

fn digest(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

/// The manifest, if it is about this run and this report.
fn sealed(text: &str, parts: &Parts<'_>, report: &Report) -> Result<Manifest, Unfit> {
    let manifest: Manifest = serde_json::from_str(text).map_err(|e| Unfit::Manifest(e.to_string()))?;
    if manifest.run != report.run.id {
        return Err(Unfit::Altered(format!("MANIFEST.json is of run {}, report.json of another", manifest.run)));
    }
    let listed = manifest.files.iter().find(|file| file.path == "report.json");
    if listed.is_none_or(|file| file.sha256 != digest(parts.report)) {
        return Err(Unfit::Altered("report.json is not the one that MANIFEST.json lists".to_owned()));
    }
    Ok(manifest)
}

/// What the start record says of the runs around it; nothing if it cannot be read.
fn lineage(line: &str) -> Option<Lineage> {
    let line: Line<Start> = serde_json::from_str(line).ok()?;
    line.what.run_started.lineage
}

fn figure(o: &super::report::Objective) -> EarlierFigure {
    EarlierFigure {
        objective: o.name.clone(),
        workload: o.workload.clone().unwrap_or_default(),
        fault: o.fault.clone().unwrap_or_default(),
        basis: o.basis.clone().unwrap_or_default(),
        low: o.actual.map(|i| i.low),
        best: o.actual.map(|i| i.best),
        high: o.actual.map(|i| i.high),
        target: o.target,
    }
}

/// Actions that are open in the run itself, and the last decision.
fn reviewed(addenda: &[String], run: &RunId) -> Result<(Vec<OpenAction>, Option<String>), Unfit> {
    let (mut actions, mut decision) = (Vec::<OpenAction>::new(), None);
    for text in addenda {
        let Addendum { review } = serde_json::from_str(text).map_err(|e| Unfit::Addendum(e.to_string()))?;
        actions.extend(review.actions.into_iter().map(|a| OpenAction {
            run: run.clone(),
            number: a.number,
            text: a.text,
            owner: a.owner,
            due: a.due,
        }));
        actions.retain(|a| !review.closes.iter().any(|c| c.run == a.run && c.number == a.number));
        decision = review.decision.or(decision);
    }
    Ok((actions, decision))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"{"schema":"blackstart/report/v1","run":{"id":"r","drill":"d","environment":"e",
        "started":"2026-11-20T12:00:00.000Z","state":"ended","verdict":"pass","exit_code":0,"params":{"rate":"5/s"}},
        "objectives":[{"name":"detect","workload":"","target":3.0,"unit":"s","basis":"fault","actual":null,
        "verdict":"inconclusive"}],"workloads":{"orders":{"kind":"ledger","rate":5.0}}}"#;

    fn parts(report: &str) -> Parts<'_> {
        Parts { report, start: None, manifest: None, addenda: &[], folder: "d/r" }
    }

    fn manifest(report: &str) -> String {
        format!(r#"{{"run":"r","files":[{{"path":"report.json","bytes":1,"sha256":"{}"}}]}}"#, digest(report))
    }

    #[test]
    fn a_report_alone_is_an_entry_and_what_is_unknown_is_none() {
        let entry = entry(&parts(REPORT)).unwrap();
        assert_eq!((entry.folder.as_str(), entry.figures[0].best, entry.manifest), ("d/r", None, None));
    }

    #[test]
    fn a_sealed_report_is_the_one_that_was_sealed() {
        let text = manifest(REPORT);
        let sealed = |report| entry(&Parts { manifest: Some(&text), ..parts(report) });
        assert_eq!(sealed(REPORT).unwrap().manifest, Some(digest(&text)));
        let other = REPORT.replace("inconclusive", "pass");
        assert!(matches!(sealed(&other), Err(Unfit::Altered(_))));
        let stranger = REPORT.replace("\"id\":\"r\"", "\"id\":\"s\"");
        assert!(matches!(sealed(&stranger), Err(Unfit::Altered(_))));
    }

    #[test]
    fn the_start_record_tells_chain_subjects_and_signer() {
        let line = r#"{"what":{"run_started":{"run":"r","lineage":{"signer":"SHA256:x",
            "subjects":[{"name":"app","digest":"sha256:ab"}],"chain":{"counter":3}}}}}"#;
        let entry = entry(&Parts { start: Some(line), ..parts(REPORT) }).unwrap();
        assert_eq!(entry.signer.as_deref(), Some("SHA256:x"));
        assert_eq!((entry.subjects[0].digest.as_str(), entry.chain.unwrap().counter), ("sha256:ab", 3));
    }

    #[test]
    fn actions_are_open_until_they_are_closed() {
        let add = |review: &str| format!(r#"{{"review":{review}}}"#);
        let first = add(r#"{"decision":"accepted_with_actions","actions":[{"number":1,"text":"a","owner":"o"},
            {"number":2,"text":"b","owner":"o","due":"2026-12-01"}]}"#);
        let second = add(r#"{"closes":[{"run":"r","number":1,"how":"done"},{"run":"s","number":2,"how":"x"}]}"#);
        let addenda = [first, second];
        let entry = entry(&Parts { addenda: &addenda, ..parts(REPORT) }).unwrap();
        assert_eq!(entry.actions.iter().map(|a| a.number).collect::<Vec<_>>(), [2]);
        assert_eq!(entry.decision.as_deref(), Some("accepted_with_actions"));
    }
}
