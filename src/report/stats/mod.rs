//! Several runs together, for a terminal, for Markdown and for programs. What the figures are is decided in
//! `analysis::stats`; how they are worded, in `words` here.

mod json;
mod tables;
mod words;

pub use json::{VERSION, schema};

use super::markdown::{self, prose};
use super::tables::Table;
use super::terminal::{NARROWEST, View, indented, section};
use crate::analysis::stats::{Group, Statistics};

/// Statistics, and what could not be made part of them.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// The figures.
    pub statistics: &'a Statistics,
    /// Folders without a record that can be read, with the reason.
    pub unreadable: &'a [(String, String)],
}

/// For programs, pretty-printed, with a newline at the end.
#[must_use]
pub fn json(shown: Shown<'_>) -> String {
    super::json::written(&json::report(shown))
}

/// For programs that read a line at a time.
#[must_use]
pub fn value(shown: Shown<'_>) -> serde_json::Value {
    serde_json::to_value(json::report(shown)).expect("numbers, texts, lists and text-keyed maps are JSON")
}

/// For people at a terminal.
#[must_use]
pub fn terminal(shown: Shown<'_>, view: View<'_>) -> String {
    let view = View { width: view.width.max(NARROWEST), ..view };
    let mut out = String::new();
    for group in &shown.statistics.groups {
        out.push_str(&indented(&words::title(group), "", view.width));
        out.push_str(&indented(&words::verdicts(group), "  ", view.width));
        for table in tables_of(group).iter().filter(|t| !t.is_empty()) {
            out.push('\n');
            out.push_str(&section(table, &view));
        }
        out.push_str("\nWhat these runs support\n");
        for row in &group.rows {
            out.push_str(&indented(&words::subject(row), "  ", view.width));
            out.extend(words::claims(group, row).iter().map(|line| indented(line, "    • ", view.width)));
        }
        let remarks = words::remarks(group);
        if !remarks.is_empty() {
            out.push_str("\nNotes\n");
            out.extend(remarks.iter().map(|line| indented(line, "  • ", view.width)));
        }
        out.push('\n');
    }
    out.extend(words::closing(shown).iter().map(|line| indented(line, "", view.width)));
    out
}

/// For a job summary or a wiki.
#[must_use]
pub fn markdown(shown: Shown<'_>) -> String {
    let mut out = String::new();
    for group in &shown.statistics.groups {
        out.push_str(&format!("# {}\n\n{}\n", prose(&words::title(group)), prose(&words::verdicts(group))));
        for table in tables_of(group) {
            markdown::section(&mut out, &table);
        }
        out.push_str("\n## What these runs support\n\n");
        for row in &group.rows {
            out.push_str(&format!("- {}\n", prose(&words::subject(row))));
            out.extend(words::claims(group, row).iter().map(|line| format!("  - {}\n", prose(line))));
        }
        out.push('\n');
        out.extend(words::remarks(group).iter().map(|line| format!("{}\n\n", prose(line))));
    }
    out.extend(words::closing(shown).iter().map(|line| format!("{}\n\n", prose(line))));
    out
}

fn tables_of(group: &Group) -> [Table; 3] {
    [tables::runs(group), tables::measured(group), tables::returned(group)]
}
