//! `blackstart stats`: what several runs measured together, computed from their records, never from their reports.
//! What may be concluded from them is in `docs/statistics.md`.

use super::evidence;
use super::playbooks::nearest;
use super::terminal::width;
use super::{Complaint, Exit, Terminal, files};
use crate::analysis::stats::{Claim, Sample, Statistics, statistics};
use crate::config::Config;
use crate::journal;
use crate::model::Percent;
use crate::playbook::SourceText;
use crate::report::View;
use crate::report::stats::{self as shown, Shown};
use clap::ValueEnum;
use std::path::{Path, PathBuf};

/// Which runs, and how sure.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folders of runs (reports/DRILL/RUN), or folders that hold such
    runs: Vec<PathBuf>,
    /// All runs of this drill
    #[arg(long, value_name = "NAME")]
    drill: Vec<String>,
    /// Where the folders of drills are
    #[arg(long, value_name = "DIR", env = "BLACKSTART_REPORTS")]
    reports: Option<PathBuf>,
    #[command(flatten)]
    confidence: Confidence,
    /// How to print
    #[arg(long, value_enum, default_value = "human")]
    output: Shape,
}

/// What claims are tried.
#[derive(Debug, Clone, clap::Args)]
pub struct Confidence {
    /// How sure a claim must be
    #[arg(long, value_name = "PERCENT", default_value = "95%", value_parser = percent)]
    confidence: f64,
    /// Of how many of all runs claims are made
    #[arg(long, value_name = "PERCENT", default_values = ["90%", "95%", "99%"], value_parser = percent)]
    share: Vec<f64>,
}

impl Default for Confidence {
    fn default() -> Self {
        Self { confidence: 0.95, share: vec![0.9, 0.95, 0.99] }
    }
}

impl Confidence {
    fn claims(&self) -> Vec<Claim> {
        self.share.iter().filter_map(|share| Claim::new(self.confidence, *share)).collect()
    }
}

fn percent(text: &str) -> Result<f64, String> {
    let Percent(share) = text.parse().map_err(|e| format!("{e}"))?;
    Claim::new(share, share).map(Claim::share).ok_or_else(|| "it lies between 0% and 100%, like 95%".to_owned())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shape {
    /// Tables and sentences
    Human,
    /// For programs; has a JSON Schema
    Json,
    /// For a job summary or a wiki
    Markdown,
}

/// Statistics that can be shown.
pub struct Made {
    statistics: Statistics,
    unreadable: Vec<(String, String)>,
}

/// Statistics of these runs.
pub fn made(samples: Vec<Sample>, confidence: &Confidence) -> Made {
    Made { statistics: statistics(samples, &confidence.claims()), unreadable: Vec::new() }
}

impl Made {
    fn shown(&self) -> Shown<'_> {
        Shown { statistics: &self.statistics, unreadable: &self.unreadable }
    }

    /// As tables.
    pub fn drawn(&self, terminal: &Terminal) -> String {
        shown::terminal(self.shown(), View { width: width(), style: terminal.style(), folder: "" })
    }

    /// For programs.
    pub fn value(&self) -> serde_json::Value {
        shown::value(self.shown())
    }

    fn verified(&self) -> Exit {
        let runs = self.statistics.groups.iter().flat_map(|group| &group.runs);
        let doubt = !self.unreadable.is_empty() || runs.into_iter().any(|run| run.doubt.is_some());
        if doubt { Exit::Inconclusive } else { Exit::Pass }
    }
}

/// Ends with 2 if the record of some run is not to be believed.
pub fn run(args: &Args, terminal: &mut Terminal) -> Result<Exit, Complaint> {
    let (mut samples, mut unreadable) = (Vec::new(), Vec::new());
    for dir in folders(args)? {
        match evidence::sample(&dir) {
            Ok(sample) => samples.push(sample),
            Err(why) => unreadable.push((dir.display().to_string(), why.what)),
        }
    }
    let made = Made { unreadable, ..made(samples, &args.confidence) };
    match args.output {
        Shape::Human => terminal.say(&made.drawn(terminal)),
        Shape::Json => terminal.give(&shown::json(made.shown())),
        Shape::Markdown => terminal.give(&shown::markdown(made.shown())),
    }
    Ok(made.verified())
}

/// The folders of all runs that were meant, each once, in order.
fn folders(args: &Args) -> Result<Vec<PathBuf>, Complaint> {
    let mut found = Vec::new();
    for dir in &args.runs {
        found.extend(runs_in(dir)?);
    }
    if !args.drill.is_empty() {
        let reports = args.reports.clone().unwrap_or_else(reports);
        for name in &args.drill {
            found.extend(runs_in(&reports.join(name))?);
        }
    }
    if found.is_empty() {
        let mend = "blackstart stats reports/quickstart, or blackstart stats --drill quickstart";
        return Err(Complaint::new(Exit::Usage, "no run was named").mend(mend));
    }
    Ok(found)
}

/// The folder itself if it is a run's, else those in it that are. A folder that is named and holds no run is an error.
fn runs_in(dir: &Path) -> Result<Vec<PathBuf>, Complaint> {
    let is_run = |dir: &Path| dir.join(journal::FILE).exists();
    if is_run(dir) {
        return Ok(vec![dir.to_owned()]);
    }
    let refused = |why: String| Complaint::new(Exit::Usage, why).mend("the folder of a run or of a drill's runs");
    let entries =
        std::fs::read_dir(dir).map_err(|e| refused(format!("cannot list {}: {}", dir.display(), files::plain(&e))))?;
    let mut runs: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(|path| is_run(path)).collect();
    runs.sort();
    if runs.is_empty() {
        return Err(refused(format!("there is no run in {}", dir.display())));
    }
    Ok(runs)
}

/// Where the configuration beside or above this folder says that reports are.
fn reports() -> PathBuf {
    let configured = || {
        let path = nearest(Path::new("any.yaml"))?;
        let config = Config::parse(SourceText::from_bytes(&path, &files::read(&path).ok()?)).ok()?;
        Some(path.parent()?.join(config.reports?))
    };
    configured().unwrap_or_else(|| "reports".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_lies_between_none_and_all() {
        assert_eq!(percent("95%"), Ok(0.95));
        for wrong in ["0%", "100%", "95", "-5%", "lots"] {
            assert!(percent(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Confidence::default().claims().len(), 3);
    }

    #[test]
    fn a_folder_is_a_run_or_holds_runs() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(runs_in(dir.path()).err().map(|c| c.exit), Some(Exit::Usage));
        for run in ["b", "a"] {
            std::fs::create_dir(dir.path().join(run)).unwrap();
            std::fs::write(dir.path().join(run).join(journal::FILE), "").unwrap();
        }
        std::fs::create_dir(dir.path().join("other")).unwrap();
        assert_eq!(runs_in(dir.path()).unwrap(), [dir.path().join("a"), dir.path().join("b")]);
        assert_eq!(runs_in(&dir.path().join("b")).unwrap(), [dir.path().join("b")]);
    }
}
