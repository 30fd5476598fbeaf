//! Several ledgers under one outage, side by side: what a promise costs in normal times, and what it saves. What each of
//! them went through alone stands in the tables of `tables`.

use super::tables::{Align, Cell, Table, Tone};
use super::words::{self, UNKNOWN};
use crate::analysis::{Analysis, LedgerResult, Percentiles, Recovery, WorkloadResult};
use crate::model::Interval;

/// Ledger by ledger: latency before the outage, return of service, acknowledged writes that are gone. Empty with fewer
/// than two of them, or if nothing was broken.
#[must_use]
pub fn side_by_side(a: &Analysis) -> Table {
    let rows = compared(a).into_iter().map(|(w, recovery, ledger)| {
        let lost = ledger.lost.is_some_and(|lost| lost > 0);
        vec![
            w.name.as_str().into(),
            latency(w, |p| p.p50).into(),
            latency(w, |p| p.p99).into(),
            words::maybe(recovery.perceived).into(),
            back(recovery).into(),
            words::count(ledger.acked).into(),
            Cell::toned(words::maybe_count(ledger.lost), if lost { Tone::Bad } else { Tone::Good }),
            ledger.rpo_time.map_or_else(|| UNKNOWN.to_owned(), oldest).into(),
        ]
    });
    let columns = [
        ("ledger", Align::Left),
        ("p50 before", Align::Right),
        ("p99 before", Align::Right),
        ("could not work for", Align::Right),
        ("back after", Align::Right),
        ("acknowledged", Align::Right),
        ("lost", Align::Right),
        ("oldest lost", Align::Right),
    ];
    Table::new("Side by side", &columns, rows.collect())
}

/// The same as one sentence.
pub(super) fn sentence(a: &Analysis) -> Option<String> {
    let each: Vec<String> = compared(a)
        .into_iter()
        .map(|(w, recovery, ledger)| {
            let lost = ledger.lost.map_or_else(|| "an unknown number".to_owned(), words::count);
            format!(
                "{} answered in {} before the outage (p50), was back after {}, and lost {lost} of {}",
                w.name,
                latency(w, |p| p.p50),
                back(recovery),
                words::plural(ledger.acked, "acknowledged write")
            )
        })
        .collect();
    (!each.is_empty()).then(|| format!("Side by side: {}.", each.join("; ")))
}

/// Ledgers whose clients all saw the same fault, the first one.
fn compared(a: &Analysis) -> Vec<(&WorkloadResult, &Recovery, &LedgerResult)> {
    let whole = |w: &&WorkloadResult| !a.run.workloads.iter().any(|seal| seal.name == w.name && seal.site.is_some());
    let ledgers = a.workloads.iter().filter(whole);
    let all: Vec<_> = ledgers.filter_map(|w| Some((w, w.recoveries.first()?, w.ledger.as_ref()?))).collect();
    if all.len() < 2 { Vec::new() } else { all }
}

fn latency(w: &WorkloadResult, of: fn(&Percentiles) -> i64) -> String {
    w.latency_before.as_ref().map_or_else(|| UNKNOWN.to_owned(), |p| words::duration(of(p)))
}

fn back(recovery: &Recovery) -> String {
    match (recovery.sustained, recovery.at_least) {
        (Some(i), _) if recovery.unnoticed => format!("at most {}", words::at_most(i.high)),
        (Some(i), _) => words::about(i),
        (None, Some(least)) => format!("more than {}", words::at_least(least)),
        (None, None) => UNKNOWN.to_owned(),
    }
}

/// How old the oldest lost write was at the fault.
fn oldest(age: Interval) -> String {
    if age.high == 0 { "none".to_owned() } else { words::about(age) }
}
