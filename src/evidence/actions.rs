//! Which actions of earlier runs are open, from the folders of a drill's runs: what the start record of the next run seals.

use super::addendum::{self, ActionState, Reviewed};
use super::reviews;
use crate::event::{OpenAction, RunStarted, What};
use crate::journal;
use crate::model::Stamp;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// A start record has at most so many open actions.
pub const MOST: usize = 50;
/// Of so many runs at most, the newest, reviews are read.
const RUNS: usize = 2_000;
/// A text in a start record is not longer.
const LONGEST: usize = 500;
/// The first line of a journal is not longer.
const LINE: u64 = 16 << 20;

/// What is open, and what could not be read.
#[derive(Debug, Default)]
pub struct Earlier {
    /// At most [`MOST`], what is due first first.
    pub actions: Vec<OpenAction>,
    /// Reviews that cannot be read, in words.
    pub unread: Vec<String>,
}

/// The open actions of all runs in a drill's folder that ran in this environment.
#[must_use]
pub fn earlier(folder: &Path, environment: &str) -> Earlier {
    let dirs = runs(folder);
    let known = known_last(&dirs, environment);
    if known.is_empty() && !dirs.iter().any(|dir| dir.join(addendum::FOLDER).is_dir()) {
        return Earlier::default();
    }
    let (mut reviewed, mut unread) = (Vec::new(), Vec::new());
    for dir in &dirs {
        match one(dir) {
            Ok(run) => reviewed.extend(run.filter(|run| run.environment == environment)),
            Err(why) => unread.push(why),
        }
    }
    let open = addendum::track(&reviewed).into_iter().filter(|tracked| tracked.state == ActionState::Open);
    let mut actions: Vec<OpenAction> = open.map(|tracked| bounded(tracked.as_open())).collect();
    actions.extend(known.into_iter().filter(|action| is_left(action, &reviewed)));
    actions.sort_by_key(|action| (action.due.is_none(), action.due, action.run.clone(), action.number));
    actions.truncate(MOST);
    Earlier { actions, unread }
}

fn bounded(action: OpenAction) -> OpenAction {
    OpenAction { text: cut(action.text), owner: cut(action.owner), ..action }
}

fn cut(text: String) -> String {
    if text.chars().count() <= LONGEST {
        return text;
    }
    text.chars().take(LONGEST - 1).chain(['…']).collect()
}

/// What the newest run in this environment knew to be open when it began.
fn known_last(dirs: &[PathBuf], environment: &str) -> Vec<OpenAction> {
    let starts = dirs.iter().filter_map(|dir| start(dir)).filter(|(_, start)| start.environment == environment);
    starts.max_by_key(|(at, _)| *at).map(|(_, start)| known(&start)).unwrap_or_default()
}

fn known(start: &RunStarted) -> Vec<OpenAction> {
    start.lineage.as_ref().map(|lineage| lineage.actions.clone()).unwrap_or_default()
}

/// Is the run gone whose review asked for it, or can it not be read, and has nobody closed it?
fn is_left(action: &OpenAction, reviewed: &[Reviewed]) -> bool {
    let closes = || reviewed.iter().flat_map(|run| &run.addenda).flat_map(|addendum| &addendum.review.closes);
    !reviewed.iter().any(|run| run.run == action.run)
        && !closes().any(|closed| closed.run == action.run && closed.number == action.number)
}

/// What the run in a folder knew to be open when it began.
#[must_use]
pub fn sealed_open(dir: &Path) -> Vec<OpenAction> {
    start(dir).map(|(_, start)| known(&start)).unwrap_or_default()
}

/// Folders of runs, the newest ones, in order.
fn runs(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut dirs: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|dir| dir.join(journal::FILE).exists()).collect();
    dirs.sort();
    dirs.drain(..dirs.len().saturating_sub(RUNS));
    dirs
}

/// A run with its reviews; none if it was not sealed, because then it has no reviews and retests nothing.
fn one(dir: &Path) -> Result<Option<Reviewed>, String> {
    let sealed = match reviews::sealed(dir) {
        Ok(sealed) => sealed,
        Err(reviews::ReviewError::NotSealed(_)) => return Ok(None),
        Err(why) => return Err(why.to_string()),
    };
    let stored = reviews::read(dir, &sealed).map_err(|why| why.to_string())?;
    let Some(started) = started(dir) else { return Err(format!("the record in {} has no start", dir.display())) };
    let manifest = sealed.manifest;
    Ok(Some(Reviewed {
        run: manifest.run,
        drill: manifest.drill,
        environment: manifest.environment,
        started,
        passed: manifest.exit_code == 0,
        addenda: stored.into_iter().map(|stored| stored.addendum).collect(),
    }))
}

#[derive(Deserialize)]
struct First {
    at: Stamp,
    what: What,
}

/// When the run in a folder began; none if its record does not say.
#[must_use]
pub fn started(dir: &Path) -> Option<DateTime<Utc>> {
    start(dir).map(|(at, _)| at)
}

/// The start record.
fn start(dir: &Path) -> Option<(DateTime<Utc>, Box<RunStarted>)> {
    let file = File::open(dir.join(journal::FILE)).ok()?;
    let mut line = String::new();
    BufReader::new(file.take(LINE)).read_line(&mut line).ok()?;
    let first: First = serde_json::from_str(&line).ok()?;
    match first.what {
        What::RunStarted(start) => Some((first.at.wall, start)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_reviews_has_nothing_open() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("r")).unwrap();
        fs::write(dir.path().join("r").join(journal::FILE), "x").unwrap();
        let found = earlier(dir.path(), "staging");
        assert!(found.actions.is_empty() && found.unread.is_empty());
        assert!(earlier(&dir.path().join("none"), "staging").actions.is_empty());
        assert_eq!(started(&dir.path().join("r")), None);
    }

    #[test]
    fn a_text_that_is_too_long_is_cut() {
        assert_eq!(cut("x".repeat(501)).chars().count(), 500);
        assert_eq!(cut("x".to_owned()), "x");
    }
}
