//! `report.md`, for a CI's job summary, and annotations that point at playbook lines.

use super::story::story;
use super::tables::{self, Align, Classes, Table};
use super::words;
use crate::analysis::{Analysis, Reason};
use crate::model::Verdict;

/// Annotations beyond these are dropped by CI services anyway.
const MOST_ANNOTATIONS: usize = 10;

/// The summary, with a newline at the end.
#[must_use]
pub fn markdown(a: &Analysis) -> String {
    let h = words::headline(a);
    let mut out = format!("# {} {}: {}\n\n", h.sign, h.word, text(&a.run.drill.0));
    if !a.run.title.is_empty() {
        out.push_str(&format!("{}\n\n", text(&a.run.title)));
    }
    match a.reasons.as_slice() {
        [] => out.push_str(&format!("**{}**\n\n", prose(&h.reason))),
        some => {
            out.extend(some.iter().map(reason));
            out.push('\n');
        }
    }
    out.push_str("## In short\n\n");
    out.extend(story(a).iter().map(|sentence| format!("- {}\n", prose(sentence))));
    out.push_str(&format!(
        "\nRun {} in {}, {}, {}.\n",
        code(&a.run.run.0),
        text(&a.run.environment),
        words::wall(a.started),
        words::duration(a.length)
    ));
    let (compared, writes) = (super::trade::side_by_side(a), tables::ledger(a, Classes::Seen));
    for table in [tables::objectives(a), compared, tables::recovery(a), tables::workloads(a), writes] {
        section(&mut out, &table);
    }
    let (sites, data, restores) = (super::data::sites(a), super::data::fingerprints(a), super::data::restores(a));
    for table in [
        tables::losses(a),
        sites,
        data,
        restores,
        tables::faults(a),
        tables::steps(a),
        tables::stalls(a),
        tables::actions(a),
    ] {
        section(&mut out, &table);
    }
    if !a.notes.is_empty() {
        out.push_str("\n## Notes\n\n");
        out.extend(a.notes.iter().map(|n| format!("- {}\n", prose(n))));
    }
    out.push_str(&format!("\n<sub>{}, journal {}</sub>\n", text(&a.run.host.tool), code(&a.journal_head)));
    out
}

fn reason(r: &Reason) -> String {
    let place = r.place.as_ref().map_or_else(String::new, |p| format!(" ({})", code(p)));
    format!("- {} {}{place}\n", words::sign(r.verdict), prose(&r.text))
}

pub(super) fn section(out: &mut String, table: &Table) {
    if table.is_empty() {
        return;
    }
    out.push_str(&format!("\n## {}\n\n", table.title));
    row(out, table.head.iter().map(|h| text(h)));
    row(out, table.align.iter().map(|a| if *a == Align::Right { "--:".to_owned() } else { ":--".to_owned() }));
    for cells in &table.rows {
        row(out, cells.iter().map(|c| prose(&c.text)));
    }
}

fn row(out: &mut String, cells: impl Iterator<Item = String>) {
    for cell in cells {
        out.push_str(&format!("| {cell} "));
    }
    out.push_str("|\n");
}

/// Text that stays text: no markup, no HTML, no new table cell.
pub(super) fn text(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    for c in words::clean(raw).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '|' | '*' | '_' | '`' | '[' | ']' | '\\' | '~' | '#' | '!' | '@' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

/// A sentence whose names between backticks are set as code.
pub(super) fn prose(sentence: &str) -> String {
    words::pieces(sentence)
        .map(|piece| match piece {
            words::Piece::Words(raw) => text(raw),
            words::Piece::Name(raw) => code(raw),
        })
        .collect()
}

/// Text in a code span; a backtick in it would end the span.
pub(super) fn code(raw: &str) -> String {
    format!("`{}`", words::clean(raw).replace('`', "").replace(['<', '|'], "¦"))
}

/// Lines that GitHub Actions shows at the playbook's lines, worst first, at most ten.
#[must_use]
pub fn annotations(a: &Analysis) -> Vec<String> {
    let level = |v: Verdict| if v == Verdict::Fail { "error" } else { "warning" };
    a.reasons
        .iter()
        .filter(|r| r.verdict != Verdict::Pass)
        .take(MOST_ANNOTATIONS)
        .map(|r| {
            let place = r.place.as_deref().and_then(at).unwrap_or_default();
            format!("::{}{place}::{}", level(r.verdict), data(&format!("{}: {}", a.run.drill, r.text)))
        })
        .collect()
}

/// Where an annotation points, if that is a file and a line.
fn at(place: &str) -> Option<String> {
    let (file, line) = place.rsplit_once(':')?;
    let line: u32 = line.parse().ok()?;
    Some(format!(" file={},line={line}", property(file)))
}

/// A workflow command ends with its line; `%` begins an escape.
fn data(raw: &str) -> String {
    words::clean(raw).replace('%', "%25")
}

fn property(raw: &str) -> String {
    data(raw).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_cannot_become_markup() {
        assert_eq!(text("a|b\n<script> *x* @all"), "a\\|b &lt;script&gt; \\*x\\* \\@all");
        assert_eq!(code("a`b"), "`ab`");
        assert_eq!(data("50%\n::error::x"), "50%25 ::error::x");
        assert_eq!(property("a:b,c%"), "a%3Ab%2Cc%25");
    }

    #[test]
    fn an_annotation_points_at_a_line_or_nowhere() {
        assert_eq!(at("drills/a,b.yaml:7").as_deref(), Some(" file=drills/a%2Cb.yaml,line=7"));
        assert_eq!(at("x::error::y"), None);
        assert_eq!(at("drills/a.yaml"), None);
    }
}
