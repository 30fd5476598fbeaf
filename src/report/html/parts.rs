//! What sections are made of besides charts: tables, lists, pairs of name and value. Each is bounded, so that no record
//! makes a page that nobody can open.

use super::markup::{El, Markup, el, prose};
use crate::report::tables::{Align, Cell, Table, Tone};
use crate::report::words;

/// So many rows of a table, the gravest of them if there are more.
pub(super) const MOST_ROWS: usize = 100;
/// So many lines of a list.
const MOST_LINES: usize = 60;
/// So many columns of a table on paper.
const MOST_COLUMNS: usize = 7;
/// So many columns of a table that comes in parts.
const MOST_PARTED: usize = 14;
/// So many characters of one text.
const MOST_TEXT: usize = 600;
/// The same of a cell.
const MOST_CELL: usize = 240;

/// A table with its caption above it; empty if it has no rows.
pub(super) fn table(of: &Table) -> Markup {
    scrolled(of, "shown")
}

/// A table whose section already has its name: the caption is there for those who cannot see the heading beside it.
pub(super) fn only(of: &Table) -> Markup {
    scrolled(of, "hidden")
}

/// A table of many columns turned, or in parts, so that it fits on paper.
pub(super) fn fitted(of: &Table) -> Markup {
    if of.head.len() <= MOST_COLUMNS || of.is_empty() {
        return table(of);
    }
    if of.rows.len() < MOST_COLUMNS {
        return table(&of.turned());
    }
    let shown = of.columns(MOST_PARTED);
    let left = of.head.len() - shown.head.len();
    let mut out: Markup = shown.parts(|part| part.head.len() <= MOST_COLUMNS).iter().map(table).collect();
    out.push(super::paper::left_out(left, "column"));
    out
}

fn scrolled(of: &Table, caption: &'static str) -> Markup {
    if of.is_empty() {
        return Markup::default();
    }
    let (rows, left) = gravest(&of.rows);
    // A box that scrolls can be reached with the keyboard, so it has a name.
    let boxed = el("div").class("scroll").attr("tabindex", "0").attr("role", "group").attr("aria-label", of.title);
    let more = (left > 0).then(|| faint(&format!("and {} more, in report.json", words::count(left as u64))));
    Markup::from_iter([boxed.child(drawn(of, &rows, caption)).into(), Markup::from(more)])
}

/// Rows that say that something is wrong, then the others, in their own order.
fn gravest(rows: &[Vec<Cell>]) -> (Vec<&Vec<Cell>>, usize) {
    let grave = |row: &&Vec<Cell>| row.iter().any(|cell| matches!(cell.tone, Tone::Bad | Tone::Unsure));
    let (kept, left) = super::groups::foremost(rows.iter().collect(), MOST_ROWS, |row| (grave(row), 0));
    (kept, left)
}

fn drawn(of: &Table, rows: &[&Vec<Cell>], caption: &'static str) -> El {
    let side = |i: usize| if of.align.get(i) == Some(&Align::Right) { "r" } else { "l" };
    let head = of.head.iter().enumerate().map(|(i, name)| {
        let cell = el("th").attr("scope", "col").class(side(i));
        if name.is_empty() { cell.child(el("span").class("hidden").text("remark")) } else { cell.text(name) }
    });
    let rows = rows.iter().map(|row| {
        el("tr").children(row.iter().enumerate().map(|(i, cell)| {
            let class = match cell.tone {
                Tone::Plain => side(i).to_owned(),
                Tone::Good => format!("{} good", side(i)),
                Tone::Bad => format!("{} bad", side(i)),
                Tone::Unsure => format!("{} unsure", side(i)),
                Tone::Faint => format!("{} faint", side(i)),
            };
            let td = if i == 0 { el("th").attr("scope", "row") } else { el("td") };
            td.class(&class).child(prose(&whole(&words::shortened(&cell.text, MOST_CELL))))
        }))
    });
    el("table")
        .child(el("caption").child(el("span").class(caption).text(of.title)))
        .child(el("thead").child(el("tr").children(head)))
        .child(el("tbody").children(rows))
}

/// A figure and its unit stay on one line.
fn whole(text: &str) -> String {
    if text.matches(' ').count() == 1 && text.starts_with(|c: char| c.is_ascii_digit()) {
        text.replace(' ', "\u{a0}")
    } else {
        text.to_owned()
    }
}

/// A list of sentences; empty if there is none.
pub(super) fn list(lines: &[String]) -> Markup {
    let items = lines.iter().take(MOST_LINES).map(|line| el("li").child(prose(&words::shortened(line, MOST_TEXT))));
    let left = lines.len().saturating_sub(MOST_LINES);
    let more = (left > 0).then(|| el("li").text(&format!("and {} more, in report.json", words::count(left as u64))));
    let items: Markup = items.map(Markup::from).chain([Markup::from(more)]).collect();
    (!lines.is_empty()).then(|| el("ul").class("list").child(items)).into()
}

/// A paragraph of plain text.
pub(super) fn paragraph(sentence: &str) -> El {
    el("p").child(prose(&words::shortened(sentence, MOST_TEXT)))
}

/// A line of less interest.
pub(super) fn faint(line: &str) -> El {
    el("p").class("faint").child(prose(&words::shortened(line, MOST_TEXT)))
}

/// A text that is what it is, to be copied.
pub(super) fn code(text: &str) -> El {
    el("code").text(&words::shortened(text, MOST_TEXT))
}

/// Commands to copy.
pub(super) fn commands(lines: &[String]) -> El {
    el("pre").attr("tabindex", "0").attr("role", "group").attr("aria-label", "commands").text_lines(lines)
}

/// Names with their values; those without a value are left out.
pub(super) fn pairs(items: impl IntoIterator<Item = (String, String)>) -> Markup {
    let rows: Markup = items
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .take(MOST_LINES)
        .map(|(name, value)| {
            let (name, value) = (words::shortened(&name, MOST_CELL), words::shortened(&value, MOST_TEXT));
            el("div").child(el("dt").text(&name)).child(el("dd").text(&value))
        })
        .collect();
    (!rows.is_empty()).then(|| el("dl").child(rows)).into()
}
