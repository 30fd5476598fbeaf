//! `blackstart prune`: removes old runs and leaves tombstones. Which ones may go is decided in
//! [`crate::evidence::retention`]; here it is said before and after.

use super::host_seal;
use super::terminal::Look;
use super::{Complaint, Exit, Output, Terminal};
use crate::clock::Clock;
use crate::evidence::retention::{self, Choice, Fate, Keep, Pruner, Survey};
use crate::model::{DrillName, period};
use crate::report::words;
use serde_json::json;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Which runs may go.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("kept").required(true).multiple(true))]
pub struct Args {
    /// The folder of reports
    reports: PathBuf,
    /// Keep the newest N runs of each drill in each environment
    #[arg(long, value_name = "N", group = "kept")]
    keep: Option<usize>,
    /// Keep runs that ended less than this long ago: 400d, 2y
    #[arg(long, value_name = "TIME", value_parser = length, group = "kept")]
    keep_for: Option<Duration>,
    /// Only runs of this drill
    #[arg(long, value_name = "NAME")]
    drill: Option<String>,
    /// Also runs that were never sealed
    #[arg(long)]
    unsealed: bool,
    /// Why, in words; stands in the tombstones
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// Say what would go, and remove nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// How to print
    #[arg(long, value_enum, default_value = "human")]
    output: Output,
}

fn length(text: &str) -> Result<Duration, String> {
    period(text).ok_or_else(|| "a length of time is written like 400d, 6mo or 2y".to_owned())
}

/// What was done.
#[derive(Default)]
struct Done {
    removed: usize,
    freed: u64,
    failed: Vec<String>,
}

/// Ends with 0, or with 70 if something could not be removed.
pub fn run(args: &Args, terminal: &mut Terminal) -> Result<Exit, Complaint> {
    let found = retention::survey(&args.reports).map_err(|e| {
        Complaint::new(Exit::Usage, format!("cannot read {}: {e}", args.reports.display()))
            .mend("the folder of reports")
    })?;
    let Survey { runs, begun, unclear, .. } = found;
    let keep = Keep {
        newest: args.keep,
        younger: args.keep_for,
        drill: args.drill.clone().map(DrillName),
        unsealed: args.unsealed,
    };
    let chosen = retention::choose(runs, &keep, Clock::System.stamp().wall);
    let going = chosen.iter().filter(|choice| choice.fate == Fate::Goes).count() + begun.len();
    if args.output != Output::Json {
        terminal.say(&listing(&args.reports, &chosen, &begun.iter().map(|(dir, _)| dir.clone()).collect::<Vec<_>>()));
    }
    for (dir, why) in &unclear {
        terminal.warn(&format!("left alone: {}: {}", dir.display(), words::clean(why)));
    }
    let mut done = Done::default();
    if !args.dry_run && going > 0 {
        confirmed(args, going, terminal)?;
        let pruner = pruner(args);
        for (dir, _) in &begun {
            done.take(retention::finish(dir).map_err(|e| e.to_string()));
        }
        for choice in chosen.iter().filter(|choice| choice.fate == Fate::Goes) {
            done.take(retention::remove(&choice.found, &pruner).map_err(|e| e.to_string()));
        }
    }
    match args.output {
        Output::Json => {
            terminal.say(&as_json(args, &chosen, &begun.iter().map(|(dir, _)| dir).collect::<Vec<_>>(), &done))
        }
        Output::Human | Output::Plain => terminal.say(&summary(args, going, &done)),
    }
    for why in &done.failed {
        terminal
            .complain(&Complaint::new(Exit::Internal, why.clone()).mend("the same command again goes on from there"));
    }
    Ok(if done.failed.is_empty() { Exit::Pass } else { Exit::Internal })
}

impl Done {
    fn take(&mut self, removed: Result<u64, String>) {
        match removed {
            Ok(freed) => {
                self.removed += 1;
                self.freed += freed;
            }
            Err(why) => self.failed.push(why),
        }
    }
}

fn pruner(args: &Args) -> Pruner {
    let wish = match (args.keep, args.keep_for) {
        (Some(newest), None) => format!("--keep {newest}"),
        (None, Some(time)) => format!("--keep-for {}d", time.as_secs() / 86_400),
        (newest, time) => {
            format!("--keep {} --keep-for {}d", newest.unwrap_or_default(), time.unwrap_or_default().as_secs() / 86_400)
        }
    };
    let why = args.why.clone().unwrap_or(wish);
    Pruner { by: host_seal::seal().trigger, why, at: Clock::System.stamp().wall }
}

/// A person at a terminal is asked before runs are gone.
fn confirmed(args: &Args, going: usize, terminal: &mut Terminal) -> Result<(), Complaint> {
    if args.yes || terminal.look() == Look::Plain || !std::io::stdin().is_terminal() {
        return Ok(());
    }
    terminal.warn(&format!("{} will be removed for good\ntype `yes` to go on", words::plural(going as u64, "run")));
    let mut line = String::new();
    drop(std::io::stdin().read_line(&mut line));
    if line.trim() == "yes" { Ok(()) } else { Err(Complaint::new(Exit::NotRun, "not confirmed; nothing was removed")) }
}

fn listing(reports: &Path, chosen: &[Choice], begun: &[PathBuf]) -> String {
    let mut lines: Vec<String> = Vec::new();
    let shown = |dir: &Path| dir.strip_prefix(reports).unwrap_or(dir).display().to_string();
    for dir in begun {
        lines.push(format!("remove  {}  its removal was begun, and is finished", shown(dir)));
    }
    for Choice { found, fate } in chosen {
        let verdict = found.verdict.map_or("no verdict", |verdict| verdict.word());
        let line =
            format!("{}  {}  {verdict}  {}", shown(&found.dir), found.started.format("%Y-%m-%d"), size(found.bytes));
        lines.push(match fate {
            Fate::Goes => format!("remove  {line}"),
            Fate::Stays(why) => format!("keep    {line}  ({})", words::clean(why)),
        });
    }
    if lines.is_empty() { "there is no such run".to_owned() } else { lines.join("\n") }
}

fn summary(args: &Args, going: usize, done: &Done) -> String {
    let runs = |n: usize| words::plural(n as u64, "run");
    if args.dry_run {
        return format!("{} would be removed; nothing was", runs(going));
    }
    let failed = if done.failed.is_empty() { String::new() } else { format!("; {} failed", done.failed.len()) };
    format!("{} removed, {} free; tombstones stay{failed}", runs(done.removed), size(done.freed))
}

fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} B"),
        10_000..10_000_000 => format!("{} kB", bytes / 1_000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}

fn as_json(args: &Args, chosen: &[Choice], begun: &[&PathBuf], done: &Done) -> String {
    let runs: Vec<_> = chosen
        .iter()
        .map(|Choice { found, fate }| {
            let why = if let Fate::Stays(why) = fate { Some(why) } else { None };
            json!({"run": found.run, "drill": found.drill, "environment": found.environment, "dir": found.dir,
                "started": found.started, "verdict": found.verdict, "bytes": found.bytes,
                "removed": *fate == Fate::Goes && !args.dry_run, "would_go": *fate == Fate::Goes, "kept_because": why})
        })
        .collect();
    json!({"dry_run": args.dry_run, "runs": runs, "finished": begun, "freed_bytes": done.freed, "failed": done.failed})
        .to_string()
}
