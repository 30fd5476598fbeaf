//! An after-action report as Markdown.

use super::AfterAction;
use super::parts::{self, LIMITS};
use crate::controls::CLAIM;
use crate::report::markdown::{prose, section, text};

/// The report, with a newline at the end.
#[must_use]
pub fn markdown(report: &AfterAction) -> String {
    let mut out = format!("# {}\n\n", text(&report.title));
    out.push_str(&format!("{}, as of {}.\n\n", text(&parts::time(report)), report.as_of.format("%Y-%m-%d %H:%M UTC")));
    out.extend(report.summary.iter().map(|sentence| format!("- {}\n", prose(sentence))));
    for table in parts::tables(report) {
        section(&mut out, &table);
        if table.title == "Controls" && !table.is_empty() {
            out.push_str(&format!("\n{}\n", text(CLAIM)));
            section(&mut out, &parts::missing(report));
            if !report.not_named.is_empty() {
                let names: Vec<String> = report.not_named.iter().map(|name| format!("`{name}`")).collect();
                out.push_str(&format!("\nListed in the same frameworks, and named by no run: {}.\n", names.join(", ")));
            }
        }
    }
    out.push_str(&format!("\n<sub>{}</sub>\n", prose(LIMITS)));
    out
}
