//! What was drilled, when last, and what is overdue: drill by drill, system by system, control by control. Drills of
//! playbooks that never ran are part of it.

use super::entry::Entry;
use crate::model::{RunId, period};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// A drill that ought to run: from a playbook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// Its name.
    pub drill: String,
    /// Its environment.
    pub environment: String,
    /// Its file.
    pub path: String,
    /// `metadata:` of it.
    pub metadata: BTreeMap<String, Vec<String>>,
}

/// Where a drill stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// No run of it is known.
    Never,
    /// It ran and never passed.
    NeverPassed,
    /// Its last pass is longer ago than it may be.
    Overdue,
    /// It does not say how often it must run, or not so that it can be read.
    NoFrequency,
    /// All is well.
    InTime,
}

impl Standing {
    /// In words.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Never => "never ran",
            Self::NeverPassed => "never passed",
            Self::Overdue => "overdue",
            Self::NoFrequency => "no frequency",
            Self::InTime => "in time",
        }
    }
}

/// A drill in an environment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DrillRow {
    /// Its name.
    pub drill: String,
    /// Its environment.
    pub environment: String,
    /// Its playbook, if one was given.
    pub playbook: Option<String>,
    /// So many runs are known.
    pub runs: usize,
    /// Its last run.
    pub last: Option<Last>,
    /// Its last run that passed.
    pub passed: Option<Last>,
    /// How often it must run, as written.
    pub every: Option<String>,
    /// When it is due next.
    pub due: Option<DateTime<Utc>>,
    /// So many whole days it is overdue.
    pub overdue_days: Option<i64>,
    /// All in one word.
    pub standing: Standing,
}

/// A run, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Last {
    /// Which.
    pub run: RunId,
    /// When it began.
    pub started: DateTime<Utc>,
    /// What it came to.
    pub word: &'static str,
}

/// A system or a control, and the last evidence about it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SubjectRow {
    /// Its name.
    pub name: String,
    /// Drills that are about it.
    pub drills: Vec<String>,
    /// The last run of one of them.
    pub last: Option<Last>,
    /// The last that passed.
    pub passed: Option<Last>,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Coverage {
    /// Drill by drill: what is worst first.
    pub drills: Vec<DrillRow>,
    /// System by system.
    pub systems: Vec<SubjectRow>,
    /// Control by control.
    pub controls: Vec<SubjectRow>,
}

/// How often, in metadata.
pub const EVERY: &str = "every";
/// Keys of metadata that name systems.
const SYSTEMS: [&str; 2] = ["systems", "system"];
/// Keys of metadata that name controls.
const CONTROLS: [&str; 1] = ["controls"];

/// What a frequency says, if it says anything.
#[must_use]
pub fn frequency(metadata: &BTreeMap<String, Vec<String>>) -> Option<TimeDelta> {
    let every = period(metadata.get(EVERY)?.first()?)?;
    TimeDelta::from_std(every).ok().filter(|every| *every > TimeDelta::zero())
}

/// What these runs (oldest first) and playbooks cover at a moment.
#[must_use]
pub fn coverage(entries: &[Entry], planned: &[Planned], now: DateTime<Utc>) -> Coverage {
    let mut keys: BTreeSet<(String, String)> = BTreeSet::new();
    keys.extend(entries.iter().map(|e| (e.drill.to_string(), e.environment.clone())));
    keys.extend(planned.iter().map(|p| (p.drill.clone(), p.environment.clone())));
    let mut drills: Vec<DrillRow> =
        keys.iter().map(|(drill, environment)| row(entries, planned, drill, environment, now)).collect();
    drills.sort_by_key(|row| (row.standing, row.due));
    let subjects = |names: &[&str]| subjects(entries, planned, names);
    Coverage { drills, systems: subjects(&SYSTEMS), controls: subjects(&CONTROLS) }
}

fn row(entries: &[Entry], planned: &[Planned], drill: &str, environment: &str, now: DateTime<Utc>) -> DrillRow {
    let runs: Vec<&Entry> =
        entries.iter().filter(|e| e.drill.as_str() == drill && e.environment == environment && e.ran()).collect();
    let plan = planned.iter().find(|p| p.drill == drill && p.environment == environment);
    // What the playbook says now counts; of a drill without one, what its last run was told.
    let metadata = plan.map(|p| &p.metadata).or_else(|| runs.last().map(|e| &e.metadata));
    let every = metadata.and_then(frequency);
    let passed = runs.iter().rev().find(|e| e.passed());
    let due = passed.zip(every).and_then(|(run, every)| run.started.checked_add_signed(every));
    let late = due.filter(|due| *due < now).map(|due| (now - due).num_days());
    let standing = match (runs.is_empty(), passed, every, late) {
        (true, ..) => Standing::Never,
        (false, None, ..) => Standing::NeverPassed,
        (_, _, None, _) => Standing::NoFrequency,
        (_, _, _, Some(_)) => Standing::Overdue,
        _ => Standing::InTime,
    };
    DrillRow {
        drill: drill.to_owned(),
        environment: environment.to_owned(),
        playbook: plan.map(|p| p.path.clone()),
        runs: runs.len(),
        last: runs.last().map(|e| last(e)),
        passed: passed.map(|e| last(e)),
        every: metadata.and_then(|m| m.get(EVERY)?.first().cloned()),
        due,
        overdue_days: late,
        standing,
    }
}

fn subjects(entries: &[Entry], planned: &[Planned], keys: &[&str]) -> Vec<SubjectRow> {
    let named = |metadata: &BTreeMap<String, Vec<String>>| -> Vec<String> {
        keys.iter().filter_map(|key| metadata.get(*key)).flatten().cloned().collect()
    };
    let mut rows: BTreeMap<String, SubjectRow> = BTreeMap::new();
    let mut about = |name: String, drill: &str, entry: Option<&Entry>| {
        let row = rows.entry(name.clone()).or_insert_with(|| SubjectRow {
            name,
            drills: Vec::new(),
            last: None,
            passed: None,
        });
        if !row.drills.iter().any(|d| d == drill) {
            row.drills.push(drill.to_owned());
            row.drills.sort();
        }
        if let Some(entry) = entry {
            row.last = Some(last(entry));
            if entry.passed() {
                row.passed = Some(last(entry));
            }
        }
    };
    for entry in entries.iter().filter(|e| e.ran()) {
        named(&entry.metadata).into_iter().for_each(|name| about(name, entry.drill.as_str(), Some(entry)));
    }
    for plan in planned {
        named(&plan.metadata).into_iter().for_each(|name| about(name, &plan.drill, None));
    }
    rows.into_values().collect()
}

fn last(entry: &Entry) -> Last {
    Last { run: entry.run.clone(), started: entry.started, word: word(entry) }
}

/// What a run came to, in a word.
#[must_use]
pub fn word(entry: &Entry) -> &'static str {
    use crate::model::RunState;
    match (entry.state, entry.verdict) {
        (RunState::Dirty, _) => "not healed",
        (RunState::Aborted, _) => "aborted",
        (RunState::NotRun | RunState::Held, _) => "not run",
        (RunState::Ended, verdict) => verdict.word(),
    }
}
