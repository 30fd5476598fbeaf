//! `blackstart compare`: two runs beside each other.

use super::past::{self, Anew, Where};
use super::terminal::width;
use super::{Complaint, Exit, Output, Terminal, files};
use crate::history::compare::{Comparison, Differ, FigureRow, compare};
use crate::history::report::Report;
use crate::report::tables::{Align, Cell, Table, Tone};
use crate::report::{Style, View, section, words};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Which runs, and how.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A run: its folder, or its id
    first: String,
    /// The run that is held against it
    second: String,
    #[command(flatten)]
    which: Where,
    /// How to print
    #[arg(long, value_enum, default_value = "human")]
    output: Output,
}

pub fn run(args: &Args, terminal: &mut Terminal) -> Result<Exit, Complaint> {
    let (first, second) = (found(args, &args.first, terminal)?, found(args, &args.second, terminal)?);
    let compared = compare(&first, &second);
    match args.output {
        Output::Json => {
            let run = |r: &Report| {
                json!({"run": r.run.id, "drill": r.run.drill, "environment": r.run.environment,
                    "started": r.run.started, "verdict": r.run.verdict})
            };
            let value = json!({"schema": "blackstart/compare/v1", "first": run(&first), "second": run(&second),
                "comparable": compared.not_comparable.is_empty(), "not_comparable": compared.not_comparable,
                "facts": compared.facts, "objectives": compared.objectives, "downtime": compared.downtime,
                "counts": compared.counts});
            terminal.give(&format!("{value:#}\n"));
        }
        Output::Human => terminal.say(&drawn(&compared, [&first, &second], terminal.style())),
        Output::Plain => terminal.say(&drawn(&compared, [&first, &second], Style::Plain)),
    }
    Ok(Exit::Pass)
}

/// The report of a run that was named by its folder or its id.
fn found(args: &Args, named: &str, terminal: &mut Terminal) -> Result<Report, Complaint> {
    let dir = if Path::new(named).is_dir() { PathBuf::from(named) } else { by_id(args, named, terminal)? };
    let path = dir.join("report.json");
    let refused = |why: String| {
        Complaint::new(Exit::Usage, format!("{}: {why}", path.display()))
            .mend(format!("blackstart analyze {}", dir.display()))
    };
    let text = std::fs::read_to_string(&path).map_err(|e| refused(files::plain(&e)))?;
    Report::parse(&text).map_err(|e| refused(e.to_string()))
}

fn by_id(args: &Args, named: &str, terminal: &mut Terminal) -> Result<PathBuf, Complaint> {
    let past = past::load(&args.which, None, Anew::No, terminal)?;
    let mut of_id = past.entries.iter().filter(|entry| entry.run.as_str() == named);
    let reports = past.reports.display();
    let Some(entry) = of_id.next() else {
        let what = format!("`{named}` is neither a folder nor the id of a run in {reports}");
        return Err(Complaint::new(Exit::Usage, what).mend("blackstart history, for the ids that are known"));
    };
    if of_id.next().is_some() {
        let what = format!("`{named}` is the id of several runs in {reports}");
        return Err(Complaint::new(Exit::Usage, what).mend("the folder of the one that is meant"));
    }
    Ok(past.reports.join(&entry.folder))
}

fn drawn(c: &Comparison, [first, second]: [&Report; 2], style: Style) -> String {
    let view = View { width: width(), style, folder: "" };
    let mut text = String::new();
    for (name, r) in [("first ", first), ("second", second)] {
        let of = format!("{} in {}", r.run.drill, words::clean(&r.run.environment));
        let (id, when, verdict) = (words::clean(r.run.id.as_str()), words::wall(r.run.started), r.run.verdict.word());
        text.push_str(&format!("{name}  {id}  {of}, {when}: {verdict}\n"));
    }
    if c.not_comparable.is_empty() {
        text.push_str("comparable: the same playbook, environment, parameters and load\n");
    } else {
        text.push_str(&format!("{}:\n", style.paint("not comparable, because", Tone::Unsure)));
        c.not_comparable.iter().for_each(|why| text.push_str(&format!("  • {}\n", words::clean(why))));
    }
    let sides = |first: &'static str| {
        [(first, Align::Left), ("first", Align::Right), ("second", Align::Right), ("", Align::Left)]
    };
    let facts = c
        .facts
        .iter()
        .map(|f| vec![f.what.as_str().into(), f.first.as_str().into(), f.second.as_str().into(), "differs".into()]);
    let figures = c.objectives.iter().chain(&c.downtime).map(figure);
    let counts = c.counts.iter().filter(|row| row.first != row.second).map(|row| {
        let count = |n: Option<u64>| words::maybe_count(n);
        vec![
            format!("{}: {}", row.workload, row.what).into(),
            count(row.first).into(),
            count(row.second).into(),
            difference(row.first, row.second).into(),
        ]
    });
    for table in [
        Table::new("What differs", &sides("of the runs"), facts.collect()),
        Table::new("Figures", &sides("figure"), figures.collect()),
        Table::new("Counts that differ", &sides("count"), counts.collect()),
    ] {
        if !table.is_empty() {
            text.push('\n');
            text.push_str(&section(&table, &view));
        }
    }
    text
}

fn difference(a: Option<u64>, b: Option<u64>) -> String {
    match (a, b) {
        (Some(a), Some(b)) if b >= a => format!("+{}", words::count(b - a)),
        (Some(a), Some(b)) => format!("−{}", words::count(a - b)),
        _ => words::UNKNOWN.to_owned(),
    }
}

fn figure(row: &FigureRow) -> Vec<Cell> {
    let said = |ends: Option<[f64; 3]>| {
        ends.map_or(words::UNKNOWN.to_owned(), |[low, best, high]| {
            let figure = |value| past::figure(&row.what, value);
            if low.to_bits() == high.to_bits() {
                figure(best)
            } else {
                format!("{} ({}–{})", figure(best), figure(low), figure(high))
            }
        })
    };
    let (word, tone) = match row.differ {
        Differ::Lower => ("lower", Tone::Good),
        Differ::Higher => ("higher", Tone::Bad),
        Differ::Within => ("the same, within errors", Tone::Faint),
        Differ::Unknown => ("not measured in both", Tone::Unsure),
    };
    let name = if row.what == "downtime" {
        format!("downtime of {}", row.workload)
    } else {
        past::objective(&row.what, &row.workload)
    };
    vec![name.into(), said(row.first).into(), said(row.second).into(), Cell::toned(word, tone)]
}
