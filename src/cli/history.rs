//! `blackstart history`: a line for every run that is known, from an index over their folders.

use super::past::{self, Anew, Past, Where};
use super::terminal::width;
use super::{Complaint, Exit, Output, Terminal};
use crate::clock::Clock;
use crate::history::coverage::word;
use crate::history::entry::Entry;
use crate::model::{Dur, Verdict};
use crate::report::tables::{Align, Cell, Table, Tone};
use crate::report::{Style, View, section, words};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use clap::ValueEnum;
use serde_json::json;
use std::collections::BTreeMap;

/// Which runs, and how.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    which: Where,
    /// Only runs of this drill
    #[arg(long, value_name = "NAME")]
    drill: Option<String>,
    /// Only runs in this environment
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,
    /// Only runs since then: 90d, 12h, or a date like 2026-10-01
    #[arg(long, value_name = "AGE|DATE", value_parser = since)]
    since: Option<Since>,
    /// Only runs that came to this
    #[arg(long, value_enum)]
    verdict: Option<Came>,
    /// So many runs at most: the last ones
    #[arg(long, value_name = "N", default_value_t = 40)]
    limit: usize,
    /// Make the index again from all folders
    #[arg(long)]
    rebuild: bool,
    /// How to print
    #[arg(long, value_enum, default_value = "human")]
    output: Output,
}

/// From when on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Since {
    /// So long ago.
    Age(TimeDelta),
    /// That day, UTC.
    Day(DateTime<Utc>),
}

/// Reads an age or a date.
pub fn since(text: &str) -> Result<Since, String> {
    if let Ok(day) = text.parse::<NaiveDate>() {
        return Ok(Since::Day(day.and_time(chrono::NaiveTime::MIN).and_utc()));
    }
    let Dur(age) =
        text.parse().map_err(|_| format!("`{text}` is neither an age like 90d nor a date like 2026-10-01"))?;
    TimeDelta::from_std(age).map(Since::Age).map_err(|_| format!("`{text}` is too long ago"))
}

impl Since {
    /// As a moment.
    pub fn moment(self, now: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::Day(at) => at,
            Self::Age(age) => now.checked_sub_signed(age).unwrap_or(DateTime::<Utc>::MIN_UTC),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Came {
    /// It passed
    Pass,
    /// It failed
    Fail,
    /// It was not measured well enough
    Inconclusive,
}

pub fn run(args: &Args, terminal: &mut Terminal) -> Result<Exit, Complaint> {
    let anew = if args.rebuild { Anew::Yes } else { Anew::No };
    let mut past = past::load(&args.which, args.drill.as_deref(), anew, terminal)?;
    let all = past.entries.len();
    let since = args.since.map(|since| since.moment(Clock::System.stamp().wall));
    past.entries.retain(|entry| args.wants(entry, since));
    let kept = past.entries.len();
    past.entries.drain(..kept.saturating_sub(args.limit));
    match args.output {
        Output::Json => terminal.give(&format!("{:#}\n", value(&past))),
        Output::Human => terminal.say(&drawn(&past, (kept, all), terminal.style())),
        Output::Plain => terminal.say(&drawn(&past, (kept, all), Style::Plain)),
    }
    Ok(Exit::Pass)
}

impl Args {
    fn wants(&self, entry: &Entry, since: Option<DateTime<Utc>>) -> bool {
        let verdict = self.verdict.map(|came| match came {
            Came::Pass => Verdict::Pass,
            Came::Fail => Verdict::Fail,
            Came::Inconclusive => Verdict::Inconclusive,
        });
        self.environment.as_ref().is_none_or(|name| *name == entry.environment)
            && since.is_none_or(|since| entry.started >= since)
            && verdict.is_none_or(|verdict| verdict == entry.verdict)
    }
}

fn value(past: &Past) -> serde_json::Value {
    let skipped = past.skipped.iter().map(|(folder, why)| json!({"folder": folder, "reason": why}));
    json!({"schema": "blackstart/history/v1", "reports": past.reports, "runs": past.entries,
        "skipped": skipped.collect::<Vec<_>>()})
}

fn drawn(past: &Past, (kept, all): (usize, usize), style: Style) -> String {
    let columns = [
        ("began", Align::Left),
        ("drill", Align::Left),
        ("environment", Align::Left),
        ("", Align::Left),
        ("worst figures", Align::Left),
        ("sealed", Align::Left),
        ("run", Align::Left),
    ];
    let rows = past.entries.iter().map(row).collect();
    let view = View { width: width(), style, folder: "" };
    let mut text = section(&Table::new("Runs", &columns, rows), &view);
    if past.entries.is_empty() {
        text = format!("no run of {all} that are known is one of these\n");
    } else if kept > past.entries.len() {
        text.push_str(&format!("{} earlier ones are not shown (--limit)\n", kept - past.entries.len()));
    }
    for (folder, why) in &past.skipped {
        text.push_str(&format!("left out: {}: {}\n", words::clean(folder), words::clean(why)));
    }
    text
}

fn row(entry: &Entry) -> Vec<Cell> {
    let tone = if entry.passed() { Tone::Good } else { tone(entry) };
    let sealed = match (&entry.manifest, &entry.signer) {
        (None, _) => Cell::toned("no", Tone::Unsure),
        (Some(_), None) => Cell::toned("unsigned", Tone::Unsure),
        (Some(_), Some(_)) => "signed".into(),
    };
    vec![
        words::wall(entry.started).into(),
        entry.drill.as_str().into(),
        entry.environment.as_str().into(),
        Cell::toned(word(entry), tone),
        worst(entry).into(),
        sealed,
        Cell::toned(entry.run.as_str(), Tone::Faint),
    ]
}

/// How a run that did not pass looks.
pub fn tone(entry: &Entry) -> Tone {
    match (entry.ran(), entry.verdict) {
        (true, Verdict::Fail) => Tone::Bad,
        _ => Tone::Unsure,
    }
}

/// Of each kind of objective the worst.
fn worst(entry: &Entry) -> String {
    let mut worst: BTreeMap<&str, f64> = BTreeMap::new();
    for figure in &entry.figures {
        if let Some(best) = figure.best {
            let most = worst.entry(&figure.objective).or_insert(best);
            *most = most.max(best);
        }
    }
    let names = [("rto", "RTO "), ("rpo_time", "RPO "), ("rpo_writes", ""), ("detect", "detected in ")];
    let told = names.iter().filter_map(|(name, lead)| Some(format!("{lead}{}", past::figure(name, *worst.get(name)?))));
    let told: Vec<String> = told.collect();
    if told.is_empty() { words::UNKNOWN.to_owned() } else { told.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_an_age_or_a_day() {
        assert_eq!(since("90d"), Ok(Since::Age(TimeDelta::days(90))));
        assert!(matches!(since("2026-10-01"), Ok(Since::Day(_))));
        assert!(since("yesterday").unwrap_err().contains("90d") && since("").is_err());
        assert_eq!(Since::Age(TimeDelta::MAX).moment(DateTime::UNIX_EPOCH), DateTime::<Utc>::MIN_UTC);
    }
}
