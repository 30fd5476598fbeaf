//! `blackstart coverage`: what was drilled, when last, and what is overdue, by drill, system and control. With playbooks, also
//! what never ran.

use super::past::{self, Anew, Where};
use super::playbooks::{self, Given};
use super::terminal::width;
use super::{Complaint, Exit, Output, Terminal, files};
use crate::clock::Clock;
use crate::history::coverage::{Coverage, DrillRow, Last, Planned, Standing, SubjectRow, coverage};
use crate::report::tables::{Align, Cell, Table, Tone};
use crate::report::{Style, View, section, words};
use serde_json::json;
use std::path::PathBuf;

/// Which playbooks and runs, and how.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Playbooks that ought to run, or folders of them
    playbooks: Vec<PathBuf>,
    #[command(flatten)]
    which: Where,
    /// How to print
    #[arg(long, value_enum, default_value = "human")]
    output: Output,
}

/// Ends with 1 if something that says how often it must run is overdue, or never passed.
pub fn run(args: &Args, terminal: &mut Terminal) -> Result<Exit, Complaint> {
    let planned = if args.playbooks.is_empty() { Vec::new() } else { planned(args, terminal)? };
    let past = past::load(&args.which, None, Anew::No, terminal)?;
    let covered = coverage(&past.entries, &planned, Clock::System.stamp().wall);
    match args.output {
        Output::Json => {
            let skipped = past.skipped.iter().map(|(folder, why)| json!({"folder": folder, "reason": why}));
            let value = json!({"schema": "blackstart/coverage/v1", "drills": covered.drills,
                "systems": covered.systems, "controls": covered.controls, "skipped": skipped.collect::<Vec<_>>()});
            terminal.give(&format!("{value:#}\n"));
        }
        Output::Human => terminal.say(&drawn(&covered, &past.skipped, terminal.style())),
        Output::Plain => terminal.say(&drawn(&covered, &past.skipped, Style::Plain)),
    }
    let late = covered.drills.iter().any(|row| row.every.is_some() && row.standing <= Standing::Overdue);
    Ok(if late { Exit::Fail } else { Exit::Pass })
}

fn planned(args: &Args, terminal: &mut Terminal) -> Result<Vec<Planned>, Complaint> {
    let found = files::find(&args.playbooks)?;
    let loaded = playbooks::load(&found.playbooks, &Given::default())?;
    terminal.warn_all(&loaded.drawn(terminal.drawing()));
    if loaded.errors() > 0 {
        return Err(loaded.refusal());
    }
    let plans = loaded.files.into_iter().flat_map(|file| file.plans);
    Ok(plans
        .map(|one| Planned {
            drill: one.plan.name.to_string(),
            environment: one.plan.environment.clone(),
            path: one.plan.source.path.to_string_lossy().into_owned(),
            metadata: one.plan.metadata.clone(),
        })
        .collect())
}

fn drawn(covered: &Coverage, skipped: &[(String, String)], style: Style) -> String {
    let view = View { width: width(), style, folder: "" };
    let columns = [
        ("drill", Align::Left),
        ("environment", Align::Left),
        ("", Align::Left),
        ("runs", Align::Right),
        ("last run", Align::Left),
        ("last pass", Align::Left),
        ("every", Align::Right),
        ("next due", Align::Left),
    ];
    let mut text = section(&Table::new("Drills", &columns, covered.drills.iter().map(drill).collect()), &view);
    for (title, rows) in [("Systems", &covered.systems), ("Controls", &covered.controls)] {
        if !rows.is_empty() {
            let columns =
                [("", Align::Left), ("drills", Align::Left), ("last run", Align::Left), ("last pass", Align::Left)];
            text.push('\n');
            text.push_str(&section(&Table::new(title, &columns, rows.iter().map(subject).collect()), &view));
        }
    }
    if !covered.controls.is_empty() {
        text.push_str("these runs are evidence relevant to the controls; nobody complies because of them\n");
    }
    for (folder, why) in skipped {
        text.push_str(&format!("left out: {}: {}\n", words::clean(folder), words::clean(why)));
    }
    text
}

fn drill(row: &DrillRow) -> Vec<Cell> {
    let tone = match row.standing {
        Standing::InTime => Tone::Good,
        Standing::NoFrequency => Tone::Faint,
        Standing::Never | Standing::NeverPassed | Standing::Overdue => Tone::Bad,
    };
    let word = match row.overdue_days {
        Some(days) => format!("overdue by {}", words::plural(days.unsigned_abs(), "day")),
        None => row.standing.word().to_owned(),
    };
    vec![
        row.drill.as_str().into(),
        row.environment.as_str().into(),
        Cell::toned(word, tone),
        row.runs.to_string().into(),
        last(row.last.as_ref()),
        row.passed.as_ref().map_or(words::UNKNOWN.into(), |run| day(run).into()),
        row.every.as_deref().unwrap_or(words::UNKNOWN).into(),
        row.due.map_or(words::UNKNOWN.to_owned(), |due| due.format("%Y-%m-%d").to_string()).into(),
    ]
}

fn subject(row: &SubjectRow) -> Vec<Cell> {
    vec![
        row.name.as_str().into(),
        row.drills.join(", ").into(),
        last(row.last.as_ref()),
        row.passed.as_ref().map_or(Cell::toned("never", Tone::Bad), |run| day(run).into()),
    ]
}

fn last(run: Option<&Last>) -> Cell {
    run.map_or(Cell::toned("never", Tone::Bad), |run| format!("{} {}", day(run), run.word).into())
}

fn day(run: &Last) -> String {
    run.started.format("%Y-%m-%d").to_string()
}
