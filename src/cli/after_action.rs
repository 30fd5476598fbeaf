//! `blackstart after-action`: one report over several runs. Reads reports, manifests and reviews, and has them put together by
//! `report::after_action`; nothing is computed again here.

use super::{Complaint, Exit, Terminal, files};
use crate::clock::Clock;
use crate::evidence::addendum::{self, ActionState, Addendum, Reviewed, Tracked};
use crate::evidence::reviews::{self, ReviewError, Signed, Stored};
use crate::journal;
use crate::model::Verdict;
use crate::report::after_action::{
    self as aa, ActionInput, Asks, Decision, Done, Doubt, Input, ReviewInput, RunInput, Sealed, Signature, Told,
};
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use clap::ValueEnum;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Which runs, and how.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folders of runs, or folders that hold such
    #[arg(required = true)]
    runs: Vec<PathBuf>,
    /// Runs that began on this day (UTC) or later
    #[arg(long, value_name = "DAY")]
    from: Option<NaiveDate>,
    /// Runs that began on this day (UTC) or earlier
    #[arg(long, value_name = "DAY")]
    until: Option<NaiveDate>,
    /// What stands above it
    #[arg(long, value_name = "TEXT", default_value = "Drills")]
    title: String,
    /// As what
    #[arg(long, value_enum, default_value = "html")]
    format: Format,
    /// Write it here, not to standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One page with no script, to be opened or printed
    Html,
    /// For a wiki or a job summary
    Markdown,
    /// For programs; has a JSON Schema
    Json,
}

/// So many runs at most.
const MOST: usize = 20_000;
/// Runs are looked for so deep below a folder.
const DEEPEST: usize = 4;
/// A report is not larger.
const LARGEST: u64 = 256 << 20;

/// Ends with 2 if some run cannot be relied on.
pub fn run(args: &Args, terminal: &mut Terminal) -> Result<Exit, Complaint> {
    if let (Some(from), Some(until)) = (args.from, args.until)
        && from > until
    {
        return Err(Complaint::new(Exit::Usage, format!("{from} is later than {until}")).mend("--from DAY --until DAY"));
    }
    let dirs = folders(&args.runs)?;
    let input = input(args, &dirs);
    let report = aa::fold(&input);
    let text = match args.format {
        Format::Html => crate::report::after_action_page(&report),
        Format::Markdown => aa::markdown(&report),
        Format::Json => aa::json(&report),
    };
    match &args.output {
        Some(path) => {
            std::fs::write(path, text).map_err(|e| {
                Complaint::new(Exit::Internal, format!("cannot write {}: {}", path.display(), files::plain(&e)))
            })?;
            terminal.say(&report.summary.join("\n"));
        }
        None => terminal.give(&text),
    }
    for doubt in &report.doubts {
        terminal.warn(&crate::report::words::clean(&format!("{}: {}", doubt.folder, doubt.why)));
    }
    Ok(if report.doubts.is_empty() { Exit::Pass } else { Exit::Inconclusive })
}

/// Folders of runs, each once, in order.
fn folders(given: &[PathBuf]) -> Result<Vec<PathBuf>, Complaint> {
    let mut found = BTreeSet::new();
    for dir in given {
        let before = found.len();
        let mut waiting = vec![(dir.clone(), 0)];
        while let Some((at, depth)) = waiting.pop() {
            if at.join(journal::FILE).exists() {
                found.insert(at);
            } else if depth < DEEPEST {
                let entries = std::fs::read_dir(&at).into_iter().flatten().flatten();
                let below = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
                waiting.extend(below.map(|entry| (entry.path(), depth + 1)));
            }
            if found.len() > MOST {
                let what = format!("more than {MOST} runs below {}", dir.display());
                return Err(Complaint::new(Exit::Usage, what).mend("name the folders of the drills that are meant"));
            }
        }
        if found.len() == before && !found.contains(dir) && !covered(&found, dir) {
            let mend = "the folder of a run, of a drill's runs, or of all reports";
            return Err(Complaint::new(Exit::Usage, format!("there is no run in {}", dir.display())).mend(mend));
        }
    }
    Ok(found.into_iter().collect())
}

/// Are its runs named already?
fn covered(found: &BTreeSet<PathBuf>, dir: &Path) -> bool {
    found.iter().any(|run| run.starts_with(dir))
}

/// What a folder gives.
struct Read {
    run: RunInput,
    addenda: Vec<Addendum>,
    doubt: Option<String>,
}

fn input(args: &Args, dirs: &[PathBuf]) -> Input {
    let (mut runs, mut reviewed, mut doubts) = (Vec::new(), Vec::new(), Vec::new());
    let mut seen = BTreeSet::new();
    for dir in dirs {
        let folder = dir.display().to_string();
        match read(dir) {
            Ok(Read { run, addenda, doubt }) => {
                doubts.extend(doubt.map(|why| Doubt { folder, why }));
                if !seen.insert((run.told.run.drill.clone(), run.told.run.id.clone())) {
                    continue;
                }
                reviewed.push(for_actions(&run, addenda));
                runs.push(run);
            }
            Err(why) => doubts.push(Doubt { folder, why }),
        }
    }
    reviewed.retain(|run| args.until.is_none_or(|day| run.started.date_naive() <= day));
    let actions = addendum::track(&reviewed).into_iter().map(action).collect();
    let as_of = as_of(args.until, Clock::System.stamp().wall);
    Input { title: args.title.clone(), from: args.from, until: args.until, as_of, runs, actions, doubts }
}

/// The end of the last day, or now if that is earlier.
fn as_of(until: Option<NaiveDate>, now: DateTime<Utc>) -> DateTime<Utc> {
    let end = until.and_then(|day| day.succ_opt()).map(|day| day.and_time(NaiveTime::MIN).and_utc());
    end.map_or(now, |end| end.min(now))
}

fn read(dir: &Path) -> Result<Read, String> {
    let sealed = match reviews::sealed(dir) {
        Ok(sealed) => Some(sealed),
        Err(ReviewError::NotSealed(_)) => None,
        Err(why) => return Err(why.to_string()),
    };
    let path = dir.join("report.json");
    let too_large = std::fs::metadata(&path).is_ok_and(|meta| meta.len() > LARGEST);
    let bytes = std::fs::read(&path).map_err(|e| files::plain(&e)).and_then(|bytes| match too_large {
        true => Err("it is too large".to_owned()),
        false => Ok(bytes),
    });
    let bytes = bytes.map_err(|why| format!("its report.json cannot be read: {why}; `blackstart analyze` makes it"))?;
    if let Some(sealed) = &sealed {
        let altered = reviews::altered(dir, &sealed.manifest);
        if !altered.is_empty() {
            return Err(format!("altered after it was sealed: {}; nothing that it says is used", altered.join(", ")));
        }
        if !reviews::is_as_sealed(&sealed.manifest, "report.json", &bytes) {
            return Err("its report.json is not among what was sealed; nothing that it says is used".to_owned());
        }
    }
    let told: Told = serde_json::from_slice(&bytes).map_err(|e| format!("its report.json is none: {e}"))?;
    if told.schema != crate::report::VERSION {
        return Err(format!("its report.json is of version `{}`", told.schema));
    }
    let (stored, doubt) = match sealed.as_ref().map(|sealed| believed(dir, sealed)) {
        Some(Ok(stored)) => (stored, None),
        Some(Err(why)) => (Vec::new(), Some(format!("its reviews are not used: {why}"))),
        None => (Vec::new(), None),
    };
    let (sealed, signer) = match sealed.map(|sealed| reviews::signer(dir, &sealed)) {
        None => (Sealed::No, None),
        Some(Signed::No) => (Sealed::Unsigned, None),
        Some(Signed::By(key)) => (Sealed::Signed, Some(key)),
        Some(Signed::Unchecked(_)) => (Sealed::Unchecked, None),
        Some(Signed::Wrong(why)) => return Err(format!("its signature is none: {why}; nothing that it says is used")),
    };
    let reviews = stored.iter().map(review).collect();
    let run = RunInput { folder: dir.display().to_string(), told, sealed, signer, reviews };
    Ok(Read { run, addenda: stored.into_iter().map(|stored| stored.addendum).collect(), doubt })
}

/// Reviews that hold together and have no signature that is none.
fn believed(dir: &Path, sealed: &reviews::Sealed) -> Result<Vec<Stored>, String> {
    let stored = reviews::read(dir, sealed).map_err(|why| why.to_string())?;
    let wrong = stored.iter().find_map(|stored| match &stored.signed {
        Signed::Wrong(why) => Some(format!("the signature of review {} is none: {why}", stored.addendum.number)),
        Signed::No | Signed::By(_) | Signed::Unchecked(_) => None,
    });
    wrong.map_or(Ok(stored), Err)
}

fn review(stored: &Stored) -> ReviewInput {
    let Addendum { by, role, at, review, .. } = stored.addendum.clone();
    let asks = match (review.actions.is_empty(), review.actions.iter().all(|action| action.due.is_some())) {
        (true, _) => Asks::Nothing,
        (false, true) => Asks::Dated,
        (false, false) => Asks::Undated,
    };
    let (signature, signer) = match &stored.signed {
        Signed::By(key) => (Signature::Good, Some(key.clone())),
        Signed::Unchecked(_) => (Signature::Unchecked, None),
        Signed::No | Signed::Wrong(_) => (Signature::None, None),
    };
    ReviewInput {
        by,
        role,
        at,
        decision: review.decision.map(|decision| match decision {
            addendum::Decision::Accepted => Decision::Accepted,
            addendum::Decision::AcceptedWithActions => Decision::AcceptedWithActions,
            addendum::Decision::Rejected => Decision::Rejected,
        }),
        signature,
        signer,
        notes: review.notes.into_iter().map(|note| (note.field, note.text)).collect(),
        asks,
    }
}

fn for_actions(run: &RunInput, addenda: Vec<Addendum>) -> Reviewed {
    let r = &run.told.run;
    Reviewed {
        run: r.id.as_str().into(),
        drill: r.drill.as_str().into(),
        environment: r.environment.clone(),
        started: r.started,
        passed: r.exit_code == 0 && r.verdict == Verdict::Pass && run.sealed != Sealed::No,
        addenda,
    }
}

fn action(tracked: Tracked) -> ActionInput {
    let Tracked { run, action, state } = tracked;
    let (standing, how) = match state {
        ActionState::Open if action.retest => (Done::Open, "waits for a run that passes".to_owned()),
        ActionState::Open => (Done::Open, String::new()),
        ActionState::Closed { how, by } => (Done::Closed, format!("{how} ({by})")),
        ActionState::Retested(run) => (Done::Retested, run.0),
    };
    let addendum::Action { number, text, owner, due, .. } = action;
    ActionInput { run: run.0, number, text, owner, due, standing, how }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_is_over_is_reported_as_it_ended() {
        let now = DateTime::UNIX_EPOCH + chrono::TimeDelta::days(100);
        let day = |n| DateTime::UNIX_EPOCH.date_naive() + chrono::TimeDelta::days(n);
        assert_eq!(as_of(Some(day(10)), now), DateTime::UNIX_EPOCH + chrono::TimeDelta::days(11));
        assert_eq!(as_of(Some(day(100)), now), now);
        assert_eq!(as_of(None, now), now);
    }

    #[test]
    fn a_folder_without_runs_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(folders(&[dir.path().to_owned()]).unwrap_err().exit, Exit::Usage);
        let run = dir.path().join("drill/run");
        std::fs::create_dir_all(&run).unwrap();
        std::fs::write(run.join(journal::FILE), "").unwrap();
        let twice = [dir.path().to_owned(), dir.path().join("drill")];
        assert_eq!(folders(&twice).unwrap(), [run]);
    }
}
