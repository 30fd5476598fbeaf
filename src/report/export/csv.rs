//! Comma-separated values (RFC 4180, with plain line feeds): a line of column names, then a line an operation.

use super::{COLUMNS, Row, Table};
use std::io::{Result, Write};

/// Writes the table.
///
/// # Errors
/// Only the writer's own.
pub fn csv(table: Table, out: &mut impl Write) -> Result<()> {
    writeln!(out, "{}", COLUMNS.join(","))?;
    table.rows().try_for_each(|row| line(&row, out))?;
    out.flush()
}

fn line(row: &Row, out: &mut impl Write) -> Result<()> {
    let Row { workload, action, outcome, due, done, latency, served, late, .. } = row;
    let sent = Cell(row.sent);
    let (writer, seq) = (Cell(row.key.map(|key| key.writer)), Cell(row.key.map(|key| key.seq)));
    let found = Cell(row.found);
    let workload = quoted(workload);
    writeln!(out, "{workload},{action},{outcome},{due},{sent},{done},{latency},{served},{late},{writer},{seq},{found}")
}

/// Nothing where there is no value.
struct Cell<T>(Option<T>);

impl<T: std::fmt::Display> std::fmt::Display for Cell<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.as_ref().map_or(Ok(()), |value| value.fmt(f))
    }
}

fn quoted(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\"")).into()
    } else {
        text.into()
    }
}
