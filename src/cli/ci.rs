//! What a CI is told of drills in its own way: GitHub's job summary, annotations and outputs, GitLab's places for reports.
//! A CI that cannot be told changes nothing about a drill.
//!
//! Source: GitHub's documentation of workflow commands and of `GITHUB_STEP_SUMMARY` and `GITHUB_OUTPUT`.

use super::files::plain;
use super::{Exit, Output, Terminal};
use crate::analysis::Analysis;
use crate::model::{Interval, ObjectiveKind, RunId, Verdict};
use crate::report::{self, words};
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The CI that this program runs in, if any.
pub struct Ci {
    summary: Option<PathBuf>,
    output: Option<PathBuf>,
    github: bool,
    gitlab: bool,
    told: Mutex<Vec<Told>>,
    annotations: Mutex<Vec<String>>,
}

/// May others see what a drill's reports say?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// Yes.
    ToShow,
    /// A secret may stand in them: a job's summary is read by more people than a runner's disk.
    ToKeep,
}

/// More annotations of one step are not shown.
const MOST_ANNOTATIONS: usize = 10;

/// A drill as a job's next step may want to know it.
struct Told {
    run: RunId,
    dir: PathBuf,
    exit: Exit,
    verdict: Verdict,
    rto: String,
    rpo: String,
    lost: String,
}

/// A summary of more than 1 MiB is not shown at all. Reports fill this much of it; the rest is for lines that say what did
/// not fit.
const ROOM: usize = 1_000_000;
const ROOM_FOR_LINES: usize = 1_040_000;

impl Ci {
    /// As the environment says.
    pub fn here() -> Self {
        Self::of(|name| std::env::var_os(name).filter(|value| !value.is_empty()))
    }

    fn of(env: impl Fn(&str) -> Option<OsString>) -> Self {
        Self {
            summary: env("GITHUB_STEP_SUMMARY").map(PathBuf::from),
            output: env("GITHUB_OUTPUT").map(PathBuf::from),
            github: env("GITHUB_ACTIONS").is_some(),
            gitlab: env("GITLAB_CI").is_some(),
            told: Mutex::default(),
            annotations: Mutex::default(),
        }
    }

    /// A drill is over, and its reports are written.
    pub fn drill(&self, (dir, fit): (&Path, Fit), a: &Analysis, exit: Exit, output: Output, terminal: &mut Terminal) {
        if let Some(file) = &self.summary {
            let full = dir.join("report.md");
            let text = if fit == Fit::ToShow { report::markdown(a) } else { withheld(a) };
            let written = append(file, |there| summary(there, &text, &full));
            complain("the job summary", file, written, terminal);
        }
        self.told.lock().unwrap_or_else(PoisonError::into_inner).push(told(dir, a, exit));
        if output == Output::Json || fit == Fit::ToKeep {
            return;
        }
        if self.github {
            self.annotations.lock().unwrap_or_else(PoisonError::into_inner).extend(report::annotations(a));
        }
        if self.gitlab {
            let of = |name: &str| dir.join(name).display().to_string();
            terminal.say(&format!("artifacts:reports:junit:   {}", of("junit.xml")));
            terminal.say(&format!("artifacts:reports:metrics: {}", of("metrics.txt")));
        }
    }

    /// All drills are over.
    pub fn end(&self, exit: Exit, terminal: &mut Terminal) {
        let lines = self.annotations.lock().unwrap_or_else(PoisonError::into_inner);
        worst_first(&lines).iter().for_each(|line| terminal.say(line));
        let Some(file) = &self.output else { return };
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let written = append(file, |_| outputs(&told, exit));
        complain("the step's outputs", file, written, terminal);
    }
}

/// Of all drills the errors, then the warnings, as many as are shown.
fn worst_first(lines: &[String]) -> Vec<&str> {
    let (errors, rest): (Vec<&str>, Vec<&str>) =
        lines.iter().map(String::as_str).partition(|line| line.starts_with("::error"));
    errors.into_iter().chain(rest).take(MOST_ANNOTATIONS).collect()
}

fn complain(what: &str, file: &Path, written: std::io::Result<()>, terminal: &mut Terminal) {
    if let Err(error) = written {
        terminal.warn(&format!("cannot write {what} to {}: {}", file.display(), plain(&error)));
    }
}

/// Adds to a file what follows from its length.
fn append(file: &Path, text: impl FnOnce(usize) -> String) -> std::io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(file)?;
    let there = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    file.write_all(text(there).as_bytes())
}

/// As much of a report as fits behind what is there, by whole lines; where it is cut, it says so.
fn summary(there: usize, report: &str, full: &Path) -> String {
    let between = if there == 0 { "" } else { "\n" };
    let room = ROOM.saturating_sub(there.saturating_add(between.len()));
    if report.len() <= room {
        return format!("{between}{report}");
    }
    let mut kept = String::new();
    for line in report.split_inclusive('\n') {
        if kept.len() + line.len() > room {
            break;
        }
        kept.push_str(line);
    }
    if kept.is_empty() {
        // What it came to is said in any case.
        kept = report.lines().next().map(|line| words::shortened(line, 300) + "\n").unwrap_or_default();
    }
    let path = words::clean(&full.display().to_string()).replace('`', "");
    let text = format!("{between}{kept}\n**Cut here: a job summary holds 1 MiB.** All of it is in `{path}`.\n");
    if there.saturating_add(text.len()) > ROOM_FOR_LINES { String::new() } else { text }
}

/// In place of a report in which a secret may stand: nothing of what it says but the verdict.
fn withheld(a: &Analysis) -> String {
    let h = words::headline(a);
    let why = "A secret may stand in the run's folder, so its report is not shown here.";
    format!("# ! NOT SEALED: {}\n\nBy its record: {}. {why}\n", a.run.drill, h.word)
}

fn told(dir: &Path, a: &Analysis, exit: Exit) -> Told {
    let verdict = words::headline(a).verdict;
    let worst = |kind| worst(a, kind);
    Told {
        run: a.run.run.clone(),
        dir: dir.to_owned(),
        exit,
        // Only a run that ends with 0 may be called a pass.
        verdict: if exit == Exit::Pass { verdict } else { verdict.max(Verdict::Inconclusive) },
        rto: worst(ObjectiveKind::Rto).map_or_else(String::new, seconds),
        rpo: worst(ObjectiveKind::RpoTime).map_or_else(String::new, seconds),
        lost: worst(ObjectiveKind::RpoWrites).map_or_else(String::new, |i| i.best.to_string()),
    }
}

fn seconds(i: Interval) -> String {
    words::seconds(i.best).to_string()
}

/// The worst figure of a kind; none if there is none, or one of them was not measured.
fn worst(a: &Analysis, kind: ObjectiveKind) -> Option<Interval> {
    let figures: Option<Vec<Interval>> =
        a.objectives.iter().filter(|o| o.objective.kind == kind).map(|o| o.actual).collect();
    figures?.into_iter().max_by_key(|i| i.best)
}

/// Lines of `name=value`. Of several drills the one that decided is told; if that left no record, none.
fn outputs(told: &[Told], exit: Exit) -> String {
    let decided = told.iter().find(|drill| drill.exit == exit);
    let of = |value: fn(&Told) -> String| decided.map(value).unwrap_or_default();
    let verdict = decided.map_or(Verdict::Inconclusive, |drill| drill.verdict);
    let verdict = if exit == Exit::Pass { verdict } else { verdict.max(Verdict::Inconclusive) };
    let lines = [
        ("verdict", verdict.word().to_owned()),
        ("exit_code", exit.code().to_string()),
        ("run", of(|drill| drill.run.to_string())),
        ("dir", of(|drill| drill.dir.display().to_string())),
        ("rto", of(|drill| drill.rto.clone())),
        ("rpo", of(|drill| drill.rpo.clone())),
        ("lost", of(|drill| drill.lost.clone())),
    ];
    // A value on one line cannot become another output.
    lines.iter().map(|(name, value)| format!("{name}={}\n", words::clean(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(run: &str, exit: Exit, verdict: Verdict) -> Told {
        let (dir, rto) = (PathBuf::from(format!("out/d/{run}\nrun=other")), "1.5".to_owned());
        Told { run: run.into(), dir, exit, verdict, rto, rpo: String::new(), lost: "3".to_owned() }
    }

    #[test]
    fn outputs_are_of_the_drill_that_decided_and_never_a_pass_by_mistake() {
        let drills = [told("a", Exit::Fail, Verdict::Fail), told("b", Exit::Pass, Verdict::Pass)];
        let text = outputs(&drills, Exit::Fail);
        assert_eq!(text, "verdict=fail\nexit_code=1\nrun=a\ndir=out/d/a run=other\nrto=1.5\nrpo=\nlost=3\n");
        assert!(outputs(&drills[1..], Exit::Pass).starts_with("verdict=pass\nexit_code=0\n"));
        assert!(outputs(&drills[1..], Exit::Internal).starts_with("verdict=inconclusive\nexit_code=70\nrun=\n"));
        assert!(outputs(&[], Exit::Preflight).starts_with("verdict=inconclusive\nexit_code=69\nrun=\n"));
    }

    #[test]
    fn a_summary_keeps_below_what_is_shown_and_says_where_it_is_cut() {
        let report = "# ✗ FAILED: d\n".to_owned() + &"| a | b |\n".repeat(40_000);
        let full = Path::new("out/d/r/report.md");
        let mut all = String::new();
        for _ in 0..2_000 {
            all.push_str(&summary(all.len(), &report, full));
        }
        assert!(all.len() < 1 << 20, "{}", all.len());
        assert_eq!(all.matches("| b |").count() * 10, all.matches("| a | b |\n").map(str::len).sum::<usize>());
        assert!(all.matches("**Cut here").count() > 100, "every drill is named as long as there is room");
        assert!(all.contains("\n**Cut here: a job summary holds 1 MiB.** All of it is in `out/d/r/report.md`.\n"));
        assert_eq!(summary(0, "# x\n", full), "# x\n");
        assert_eq!(summary(7, "# x\n", full), "\n# x\n");
    }

    #[test]
    fn a_summary_is_added_to_and_a_file_that_cannot_be_written_is_no_end() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("summary");
        for text in ["a\n", "b\n"] {
            append(&file, |there| summary(there, text, Path::new("x"))).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "a\n\nb\n");
        assert!(append(Path::new("/proc/nothing/x"), |_| String::new()).is_err());
    }

    #[test]
    fn annotations_of_all_drills_together_are_as_many_as_are_shown() {
        let lines: Vec<String> =
            (0..20).map(|n| format!("::{}::{n}", if n % 2 == 0 { "warning" } else { "error" })).collect();
        let shown = worst_first(&lines);
        assert_eq!((shown.len(), shown[0], shown[9]), (10, "::error::1", "::error::19"));
        assert_eq!(worst_first(&lines[..3]), ["::error::1", "::warning::0", "::warning::2"]);
    }

    #[test]
    fn the_environment_says_where_we_are() {
        let of = |set: &'static str| Ci::of(move |name| (name == set).then(|| OsString::from("x")));
        assert!(of("GITLAB_CI").gitlab && of("GITHUB_ACTIONS").github);
        assert!(of("GITHUB_OUTPUT").output.is_some() && of("X").summary.is_none());
    }
}
