//! The tables of what several places hold: the sites of a ledger, the user's own data before and after, and restores.

use super::tables::{Align, Cell, Table, Tone};
use super::words::{self, UNKNOWN};
use crate::analysis::{Analysis, AtSite, FingerprintResult, PartResult, RestoreResult, SiteResult, SitesResult};
use crate::model::{Change, Expectation, Verdict, units};

/// Parts that are the same beyond these are summed up in one line: a database may have a thousand tables.
const MOST_SAME: usize = 20;

/// Site by site: what its own clients saw if it has some, what it lacked and lacks that another has, and when all held the
/// same.
#[must_use]
pub fn sites(a: &Analysis) -> Table {
    let count = |n: Option<u64>| n.map_or_else(|| UNKNOWN.to_owned(), words::count);
    let bad = |n: Option<u64>| {
        let tone = match n {
            None => Tone::Unsure,
            Some(0) => Tone::Plain,
            Some(_) => Tone::Bad,
        };
        Cell::toned(count(n), tone)
    };
    let written = a.sites.iter().flat_map(|of| &of.sites).any(|site| site.service.is_some());
    let rows = a.sites.iter().flat_map(|of| {
        of.sites.iter().map(move |site| {
            let mut row: Vec<Cell> = vec![of.workload.as_str().into(), site.name.as_str().into()];
            if written {
                row.push(service(site));
                row.push(site.downtime.map_or(UNKNOWN.to_owned(), words::interval).into());
            }
            row.extend([count(site.lacked).into(), bad(site.lacks), bad(site.lost), converged(of)]);
            row
        })
    });
    let mut columns = vec![("ledger", Align::Left), ("site", Align::Left)];
    if written {
        columns.extend([("back after", Align::Right), ("down", Align::Right)]);
    }
    columns.extend([
        ("lacked at the heal", Align::Right),
        ("lacks at the end", Align::Right),
        ("acknowledged, not there", Align::Right),
        ("all the same", Align::Right),
    ]);
    Table::new("Sites", &columns, rows.collect())
}

/// What clients of the site saw.
fn service(site: &SiteResult) -> Cell {
    match site.service {
        None => UNKNOWN.into(),
        Some(AtSite::Unaffected) => Cell::toned("unaffected", Tone::Good),
        Some(AtSite::Back(took)) => words::interval(took).into(),
        Some(AtSite::NotBack(None)) => Cell::toned("not known", Tone::Unsure),
        Some(AtSite::NotBack(Some(least))) => Cell::toned(format!("not in {}", words::duration(least)), Tone::Bad),
    }
}

fn converged(of: &SitesResult) -> Cell {
    let text = match (of.converged, of.at_least) {
        (Some(took), _) => format!("{} after the heal", words::interval(took)),
        (None, Some(least)) => format!("not {} after the heal", words::at_least(least)),
        (None, None) => UNKNOWN.to_owned(),
    };
    Cell::toned(text, if of.within.is_some() { of.verdict.into() } else { Tone::Plain })
}

/// Fingerprint by fingerprint, part by part: before, after, and what became of it.
#[must_use]
pub fn fingerprints(a: &Analysis) -> Table {
    let rows = a.fingerprints.iter().flat_map(rows);
    let columns = [
        ("data", Align::Left),
        ("part", Align::Left),
        ("before", Align::Right),
        ("after", Align::Right),
        ("", Align::Left),
    ];
    Table::new("The user's own data", &columns, rows.collect())
}

fn rows(print: &FingerprintResult) -> Vec<Vec<Cell>> {
    let same = |part: &&PartResult| part.change == Some(Change::Same);
    let mut rows: Vec<Vec<Cell>> = print.parts.iter().filter(|part| !same(part)).map(|part| row(print, part)).collect();
    rows.extend(print.parts.iter().filter(same).take(MOST_SAME).map(|part| row(print, part)));
    let more: Vec<&PartResult> = print.parts.iter().filter(same).skip(MOST_SAME).collect();
    if !more.is_empty() {
        let count = |of: fn(&PartResult) -> Option<u64>| more.iter().filter_map(|part| of(part)).sum::<u64>();
        let name = format!("{} more", words::count(more.len() as u64));
        let (before, after) = (number(print, Some(count(|p| p.before))), number(print, Some(count(|p| p.after))));
        rows.push(vec![print.name.as_str().into(), name.into(), before, after, Cell::toned("✓ the same", Tone::Good)]);
    }
    if rows.is_empty() {
        let unknown = || Cell::from(UNKNOWN);
        rows.push(vec![print.name.as_str().into(), unknown(), unknown(), unknown(), unclear(print)]);
    }
    rows
}

fn row(print: &FingerprintResult, part: &PartResult) -> Vec<Cell> {
    let judged = match part.change {
        None => unclear(print),
        Some(Change::Same) => Cell::toned("✓ the same", Tone::Good),
        Some(change) => {
            let expected = print.expect == Expectation::Any;
            let text = format!("{} {}", if expected { "·" } else { "✗" }, word(change, print));
            Cell::toned(text, if expected { Tone::Faint } else { Tone::Bad })
        }
    };
    let (before, after) = (number(print, part.before), number(print, part.after));
    vec![print.name.as_str().into(), part.name.as_str().into(), before, after, judged]
}

fn number(print: &FingerprintResult, count: Option<u64>) -> Cell {
    count.map_or_else(|| UNKNOWN.to_owned(), |n| format!("{} {}", words::count(n), units(n, &print.unit))).into()
}

fn unclear(print: &FingerprintResult) -> Cell {
    Cell::toned(format!("{} {}", words::sign(Verdict::Inconclusive), print.why), Tone::Unsure)
}

/// What became of a part; of what has names, the first of them.
fn word(change: Change, print: &FingerprintResult) -> String {
    let word = match change {
        Change::Same => "the same",
        Change::Gone => "gone",
        Change::New => "new",
        Change::Shape => "other columns",
        Change::Fewer => "some are missing",
        Change::More => "some were added",
        Change::Content => "not the same ones",
    };
    match &print.named {
        Some(named) => format!("{word}: {}", named.words()),
        None => word.to_owned(),
    }
}

/// Restore by restore, part by part: how long, how much, how fast; and below it what it says of itself.
#[must_use]
pub fn restores(a: &Analysis) -> Table {
    let rows = a.restores.iter().flat_map(restore);
    let columns = [
        ("restore", Align::Left),
        ("part", Align::Left),
        ("took", Align::Right),
        ("moved", Align::Right),
        ("", Align::Left),
    ];
    Table::new("Restores", &columns, rows.collect())
}

fn restore(r: &RestoreResult) -> Vec<Vec<Cell>> {
    let name = || Cell::from(r.step.as_str());
    let mut rows: Vec<Vec<Cell>> = r
        .parts
        .iter()
        .map(|part| {
            let moved = part.bytes.map_or_else(String::new, amount);
            let rate = part.bytes.filter(|_| part.took > 0).map(|b| b as f64 * 1e9 / part.took as f64);
            let rate = rate.map_or_else(String::new, |rate| format!("{}/s", amount(rate.round() as u64)));
            vec![name(), part.part.word().into(), words::duration(part.took).into(), moved.into(), rate.into()]
        })
        .collect();
    rows.push(vec![name(), "all".into(), words::duration(r.took()).into(), "".into(), claim(r).into()]);
    if let Some(error) = &r.error {
        let unknown = || Cell::from("");
        rows.push(vec![name(), unknown(), unknown(), unknown(), Cell::toned(format!("✗ {error}"), Tone::Bad)]);
    }
    rows
}

/// What a restore says of itself, in one line.
fn claim(r: &RestoreResult) -> String {
    let mut said = vec![r.claim.backup.clone()];
    said.extend(r.claim.taken.map(|at| format!("complete at {}", words::wall(at))));
    said.extend(r.claim.position.as_ref().map(|at| format!("replayed to {at}")));
    said.extend(r.claim.recovered_to.map(|at| format!("its last commit is of {}", at.format("%H:%M:%S%.3f UTC"))));
    said.extend(r.claimed.map(|loss| format!("so it says {} are lost", words::interval(loss))));
    match &r.claim.exposure {
        Some(Ok(exposure)) => {
            let (worst, points) = (words::at_most(exposure.worst.high), words::count(exposure.points));
            said.push(format!("at most {worst} between {points} recovery points"));
        }
        Some(Err(why)) => said.push(format!("exposure not known: {why}")),
        None => {}
    }
    said.retain(|text| !text.is_empty());
    said.join("; ")
}

/// Bytes in the unit that a person would choose, by powers of 1,000.
fn amount(bytes: u64) -> String {
    let units = [("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)];
    let found = units.iter().find(|(_, size)| bytes as f64 >= *size);
    found.map_or_else(|| format!("{bytes} B"), |(name, size)| format!("{:.1} {name}", bytes as f64 / size))
}
