//! The table at the end of a run, for people at a terminal: verdict first, then why, then the figures.

use super::tables::{self, Align, Cell, Classes, Table, Tone};
use super::words;
use crate::analysis::{Analysis, Reason};
use crate::model::RunState;
use tabled::builder::Builder;
use tabled::settings::object::{Cell as Place, Columns, Rows};
use tabled::settings::peaker::Priority;
use tabled::settings::{Alignment, Color, Modify, Padding, Style as Lines, Width};

/// Whether to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// ANSI colours, for a terminal.
    Colour,
    /// Text only, for a log.
    Plain,
}

impl Style {
    /// The text in the tone's colour.
    #[must_use]
    pub fn paint(self, text: &str, tone: Tone) -> String {
        let code = match tone {
            Tone::Plain => "1",
            Tone::Good => "1;32",
            Tone::Bad => "1;31",
            Tone::Unsure => "1;33",
            Tone::Faint => "2",
        };
        match self {
            Self::Colour => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            Self::Plain => text.to_owned(),
        }
    }
}

/// Where and how it is shown.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// Columns of the terminal; tables wrap or turn to fit.
    pub width: usize,
    /// Colours or not.
    pub style: Style,
    /// The run's folder, as a person would type it.
    pub folder: &'a str,
}

pub(super) const NARROWEST: usize = 40;

/// The whole table, with a newline at the end.
#[must_use]
pub fn terminal(a: &Analysis, view: View<'_>) -> String {
    let view = View { width: view.width.max(NARROWEST), ..view };
    let mut out = heading(a, &view);
    let shown = [
        tables::objectives(a),
        super::trade::side_by_side(a),
        tables::recovery(a),
        tables::workloads(a),
        tables::ledger(a, Classes::Seen),
        tables::losses(a),
        super::data::sites(a),
        super::data::fingerprints(a),
        super::data::restores(a),
        tables::faults(a),
        tables::steps(a),
        tables::stalls(a),
        tables::actions(a),
    ];
    for table in shown.iter().filter(|t| !t.is_empty()) {
        out.push('\n');
        out.push_str(&section(table, &view));
    }
    out.push_str(&phases(a, &view));
    out.push_str(&notes(a, &view));
    out.push_str(&closing(a, &view));
    out
}

fn heading(a: &Analysis, view: &View<'_>) -> String {
    let h = words::headline(a);
    let title = if a.run.title.is_empty() { String::new() } else { format!(": {}", words::clean(&a.run.title)) };
    let mut out = format!("{}  {}{title}\n", badge(&h, view.style), words::clean(&a.run.drill.0));
    let reasons: Vec<String> = match a.reasons.as_slice() {
        [] => vec![indented(&h.reason, "  ", view.width)],
        some => some.iter().map(|r| reason(r, view)).collect(),
    };
    out.extend(reasons);
    let when = format!("{} to {}", words::wall(a.started), a.ended.map_or("(no end recorded)".to_owned(), words::wall));
    let run = format!("run {} in {}, {when}, {}", a.run.run, a.run.environment, words::duration(a.length));
    for line in indented(&run, "  ", view.width).lines() {
        out.push_str(&format!("{}\n", view.style.paint(line, Tone::Faint)));
    }
    out
}

fn reason(r: &Reason, view: &View<'_>) -> String {
    let text = r.place.as_ref().map_or(r.text.clone(), |p| format!("{} ({p})", r.text));
    indented(&text, &format!("  {} ", words::sign(r.verdict)), view.width)
}

fn badge(h: &words::Headline, style: Style) -> String {
    style.paint(&format!("{} {}", h.sign, h.word), h.verdict.into())
}

/// As it is if it fits, turned if only that fits, else wrapped.
#[must_use]
pub fn section(table: &Table, view: &View<'_>) -> String {
    let title = view.style.paint(table.title, Tone::Plain);
    let drawn = draw(table, view, None);
    if !too_wide(&drawn, view) {
        return format!("{title}\n{drawn}\n");
    }
    // Wrapped narrower than its words, a table cannot be read.
    let many = table.head.len() > 8 || least(table) > view.width;
    let turned = table.turned();
    let few = table.rows.len() <= 4 || least(&turned) <= view.width;
    let drawn = draw(&turned, view, None);
    if many && (few || !too_wide(&drawn, view)) {
        if too_wide(&drawn, view) {
            return format!("{title}\n{}\n", wrapped(&turned, view));
        }
        return format!("{title}\n{drawn}\n");
    }
    format!("{title}\n{}\n", wrapped(table, view))
}

/// Figures in narrow columns are hard to read; one table below the other is not.
fn wrapped(table: &Table, view: &View<'_>) -> String {
    if !figures(table) {
        return draw(table, view, Some(view.width));
    }
    let parts = table.parts(|part| !too_wide(&draw(part, view, None), view));
    parts.iter().map(|part| draw(part, view, Some(view.width))).collect::<Vec<_>>().join("\n")
}

/// Does a table hold figures under short names? A sentence may stand in place of one that is not known.
fn figures(table: &Table) -> bool {
    let words = |row: &Vec<Cell>| {
        row.iter().zip(&table.align).all(|(cell, align)| *align == Align::Right || cell.text.chars().count() <= 28)
    };
    table.head.len() > 3 && table.rows.iter().all(words)
}

/// The width that a table needs to keep its words whole: the longest word of each column, and what is around it.
fn least(table: &Table) -> usize {
    let longest = |text: &str| text.split(' ').map(|word| word.chars().count()).max().unwrap_or(0);
    let column = |(i, head): (usize, &String)| {
        let cells = table.rows.iter().filter_map(|row| row.get(i)).map(|cell| longest(&cell.text));
        cells.chain([longest(head)]).max().unwrap_or(0) + 2
    };
    table.head.iter().enumerate().map(column).sum::<usize>() + 2
}

fn too_wide(drawn: &str, view: &View<'_>) -> bool {
    drawn.lines().next().is_some_and(|line| line.chars().count() > view.width)
}

/// Colours are put on by tabled after the layout, so that they take no width.
fn draw(table: &Table, view: &View<'_>, wrap: Option<usize>) -> String {
    let mut builder = Builder::default();
    builder.push_record(&table.head);
    for row in &table.rows {
        builder.push_record(row.iter().map(|c| c.text.as_str()));
    }
    let mut drawn = builder.build();
    drawn.with(Lines::rounded().remove_vertical()).with(Padding::new(1, 1, 0, 0));
    for (i, align) in table.align.iter().enumerate() {
        let side = if *align == Align::Right { Alignment::right() } else { Alignment::left() };
        drawn.with(Modify::new(Columns::one(i)).with(side));
    }
    if let Some(width) = wrap {
        drawn.with(Width::wrap(width).priority(Priority::max(true)).keep_words(true));
    }
    if view.style == Style::Colour {
        drawn.with(Modify::new(Rows::first()).with(Color::new("\u{1b}[2m", "\u{1b}[0m")));
        for (y, row) in table.rows.iter().enumerate() {
            for (x, cell) in row.iter().enumerate() {
                if let Some(colour) = colour(cell) {
                    drawn.with(Modify::new(Place::new(y + 1, x)).with(colour));
                }
            }
        }
    }
    drawn.to_string()
}

fn colour(cell: &Cell) -> Option<Color> {
    match cell.tone {
        Tone::Plain => None,
        Tone::Good => Some(Color::FG_GREEN),
        Tone::Bad => Some(Color::FG_RED),
        Tone::Unsure => Some(Color::FG_YELLOW),
        Tone::Faint => Some(Color::new("\u{1b}[2m", "\u{1b}[0m")),
    }
}

/// Thirteen short rows would push the figures off the screen, so they share a line.
fn phases(a: &Analysis, view: &View<'_>) -> String {
    let each =
        a.phases.iter().map(|p| format!("{}\u{a0}{}", words::phase(p.phase), joined(&words::duration(p.to - p.from))));
    let line = each.collect::<Vec<_>>().join(", ");
    format!("\n{}\n{}", view.style.paint("Phases", Tone::Plain), indented(&line, "  ", view.width))
        .replace('\u{a0}', " ")
}

/// A figure and its unit stay on one line.
fn joined(text: &str) -> String {
    text.replace(' ', "\u{a0}")
}

fn notes(a: &Analysis, view: &View<'_>) -> String {
    let whys = a.workloads.iter().filter_map(|w| Some(format!("{}: {}", w.name, w.ledger.as_ref()?.why.as_ref()?)));
    let cut = a.journal_cut.iter().map(|cut| format!("the journal was cut: {cut}"));
    let lines: Vec<String> = whys.chain(cut).chain(a.notes.iter().cloned()).collect();
    if lines.is_empty() {
        return String::new();
    }
    let body: String = lines.iter().map(|line| indented(line, "  • ", view.width)).collect();
    format!("\n{}\n{body}", view.style.paint("Notes", Tone::Plain))
}

fn closing(a: &Analysis, view: &View<'_>) -> String {
    let h = words::headline(a);
    let mut out = format!("\n{}  report: {}/report.html\n", badge(&h, view.style), view.folder.trim_end_matches('/'));
    if a.state == RunState::Dirty {
        for f in a.faults.iter().filter(|f| !f.healed) {
            out.push_str(&format!(
                "   still broken: {}; heal it by: {}\n",
                words::clean(&f.name),
                words::clean(&f.by_hand)
            ));
        }
    }
    out
}

/// The text wrapped at words, the first line after `lead`, the others as far in.
pub(super) fn indented(text: &str, lead: &str, width: usize) -> String {
    let indent = " ".repeat(lead.chars().count());
    let room = width.saturating_sub(indent.len()).max(20);
    let (mut out, mut line) = (String::new(), String::new());
    let mut start = lead.to_owned();
    for word in words::clean(text).split([' ']).filter(|w| !w.is_empty()) {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > room {
            out.push_str(&format!("{start}{line}\n"));
            start.clone_from(&indent);
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    out.push_str(&format!("{start}{line}\n"));
    out
}
