//! `blackstart trend`: how a drill's figures went over its runs.

use super::past::{self, Anew, Where};
use super::terminal::width;
use super::{Complaint, Exit, Output, Terminal};
use crate::history::trend::{Point, Series, sparkline, trend};
use crate::report::tables::{Align, Cell, Table, Tone};
use crate::report::{Style, View, section, words};
use serde_json::json;

/// Which drill, and how.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The drill
    drill: String,
    #[command(flatten)]
    which: Where,
    /// Only runs in this environment
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,
    /// Each run is held against the median of so many before it
    #[arg(long, value_name = "N", default_value_t = 5)]
    before: usize,
    /// So many runs at most: the last ones
    #[arg(long, value_name = "N", default_value_t = 40)]
    limit: usize,
    /// How to print
    #[arg(long, value_enum, default_value = "human")]
    output: Output,
}

pub fn run(args: &Args, terminal: &mut Terminal) -> Result<Exit, Complaint> {
    let mut past = past::load(&args.which, Some(&args.drill), Anew::No, terminal)?;
    past.entries.retain(|entry| args.environment.as_ref().is_none_or(|name| *name == entry.environment));
    if past.entries.is_empty() {
        let what = format!("no run of {} is known in {}", args.drill, past.reports.display());
        return Err(Complaint::new(Exit::Usage, what).mend("blackstart history, for the runs that are"));
    }
    let series = trend(&past.entries, args.before.max(1));
    match args.output {
        Output::Json => {
            let value = json!({"schema": "blackstart/trend/v1", "drill": args.drill, "before": args.before.max(1),
                "series": series});
            terminal.give(&format!("{value:#}\n"));
        }
        Output::Human => terminal.say(&drawn(&series, args.limit, terminal.style())),
        Output::Plain => terminal.say(&drawn(&series, args.limit, Style::Plain)),
    }
    Ok(Exit::Pass)
}

fn drawn(series: &[Series], limit: usize, style: Style) -> String {
    if series.is_empty() {
        return "these runs measured no objective\n".to_owned();
    }
    series.iter().map(|one| shown(one, limit, style)).collect::<Vec<_>>().join("\n")
}

fn shown(series: &Series, limit: usize, style: Style) -> String {
    let name = past::objective(&series.objective, &series.workload);
    let fault = if series.fault.is_empty() { String::new() } else { format!(" after {}", words::clean(&series.fault)) };
    let title = format!("{name}{fault}: {} in {}", series.drill, words::clean(&series.environment));
    let last = &series.points[series.points.len().saturating_sub(limit)..];
    let figures: Vec<Option<f64>> = last.iter().map(|point| point.best).collect();
    let figure = |value: Option<f64>| value.map_or("not measured".to_owned(), |v| past::figure(&series.objective, v));
    let mut text = format!("{}\n  {}", style.paint(&title, Tone::Plain), sparkline(&figures));
    let runs = words::plural(series.comparable as u64, "comparable run");
    text.push_str(&format!("  median {}, worst {} of {runs}", figure(series.median), figure(series.worst)));
    if let Some(target) = series.points.last().map(|point| point.target) {
        text.push_str(&format!(", target {}", past::figure(&series.objective, target)));
    }
    text.push('\n');
    let columns = [
        ("began", Align::Left),
        ("", Align::Left),
        ("measured", Align::Right),
        ("target", Align::Right),
        ("against those before", Align::Right),
        ("run", Align::Left),
    ];
    let rows = last.iter().map(|point| row(series, point)).collect();
    text.push_str(&section(&Table::new("Runs", &columns, rows), &View { width: width(), style, folder: "" }));
    text
}

fn row(series: &Series, point: &Point) -> Vec<Cell> {
    let figure = |value| past::figure(&series.objective, value);
    let change = match (point.comparable, point.change) {
        (false, _) => Cell::toned("not comparable with the last", Tone::Faint),
        (true, None) => words::UNKNOWN.into(),
        (true, Some(change)) => format!("{:+.0} %", change * 100.0).into(),
    };
    let missed = point.low.is_some_and(|low| low > point.target);
    vec![
        words::wall(point.started).into(),
        Cell::toned(point.verdict.word(), point.verdict.into()),
        point.best.map_or(words::UNKNOWN.into(), |best| {
            Cell::toned(figure(best), if missed { Tone::Bad } else { Tone::Plain })
        }),
        figure(point.target).into(),
        change,
        Cell::toned(point.run.as_str(), Tone::Faint),
    ]
}
