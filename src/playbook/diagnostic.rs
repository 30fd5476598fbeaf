//! What is wrong in a file, where, why, and what to write instead. Drawing it is here; printing it is not.

use super::source::{Region, SourceText, Sources};
use crate::redact::Forms;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The playbook cannot be run.
    Error,
    /// It can, but probably not as meant.
    Warning,
}

/// How a diagnostic is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RenderStyle {
    /// Text only.
    Plain,
    /// With ANSI colours.
    Ansi,
}

/// Something wrong at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad.
    pub severity: Severity,
    /// What is wrong, in one line.
    pub message: String,
    /// Why, under the caret.
    pub label: String,
    /// What to write instead.
    pub help: Vec<String>,
    /// The file.
    pub source: Arc<SourceText>,
    /// First byte.
    pub start: usize,
    /// After the last byte.
    pub end: usize,
}

impl Diagnostic {
    /// An error at a place.
    #[must_use]
    pub fn error(sources: &Sources, region: Region, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            label: String::new(),
            help: Vec::new(),
            source: sources.of(region).clone(),
            start: region.start,
            end: region.end,
        }
    }

    /// Why, under the caret.
    #[must_use]
    pub fn label(mut self, text: impl Into<String>) -> Self {
        self.label = text.into();
        self
    }

    /// What to write instead.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help.push(text.into());
        self
    }

    /// The same as a warning.
    #[must_use]
    pub fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// Does it forbid the run?
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// Line and column of its first character, from 1.
    #[must_use]
    pub fn position(&self) -> (usize, usize) {
        self.source.position(self.start)
    }

    /// File, line, column, the line, a caret, the reason and what to write; ends with a line break.
    #[must_use]
    pub fn render(&self, style: RenderStyle) -> String {
        let (start, line) = self.source.line_at(self.start);
        let (number, _) = self.source.position(self.start);
        let line = masked(line);
        let (shown, span) = window(&line, self.start - start, self.end.saturating_sub(start));
        let path = self.source.path.display().to_string();
        let mut mark = AnnotationKind::Primary.span(span);
        if !self.label.is_empty() {
            mark = mark.label(self.label.as_str());
        }
        let snippet = Snippet::source(shown.as_ref()).path(path.as_str()).line_start(number).annotation(mark);
        let level = if self.is_error() { Level::ERROR } else { Level::WARNING };
        let help = self.help.iter().map(|h| Level::HELP.message(h.as_str()));
        let report = [level.primary_title(self.message.as_str()).element(snippet).elements(help)];
        let renderer = match style {
            RenderStyle::Plain => Renderer::plain(),
            RenderStyle::Ansi => Renderer::styled(),
        };
        format!("{}\n", renderer.render(&report))
    }
}

/// The line without what is secret by its looks: stars stand for its bytes.
fn masked(line: &str) -> String {
    let mut shown = line.to_owned();
    for hit in Forms::default().find(line.as_bytes()) {
        if line.is_char_boundary(hit.at) && line.is_char_boundary(hit.end) {
            shown.replace_range(hit.at..hit.end, &"*".repeat(hit.end - hit.at));
        }
    }
    shown
}

/// The part of a line that is shown, and the marked bytes in it: at least one, within that line.
fn window(line: &str, start: usize, end: usize) -> (std::borrow::Cow<'_, str>, std::ops::Range<usize>) {
    const WIDEST: usize = 400;
    let floor = |mut at: usize| {
        at = at.min(line.len());
        while !line.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = floor(start);
    let next = line[start..].chars().next().map_or(start, |c| start + c.len_utf8());
    let end = floor(end).max(next);
    if line.len() <= WIDEST {
        return (line.into(), start..end);
    }
    let from = floor(start.saturating_sub(WIDEST / 4));
    let to = floor(from + WIDEST);
    (line[from..to].into(), start - from..end.min(to) - from)
}

/// Draws all of them, file by file and from top to bottom, with an empty line after each.
#[must_use]
pub fn render_all(diagnostics: &[Diagnostic], style: RenderStyle) -> String {
    let mut files: Vec<&Path> = Vec::new();
    for diagnostic in diagnostics {
        if !files.contains(&diagnostic.source.path.as_path()) {
            files.push(&diagnostic.source.path);
        }
    }
    let file = |d: &Diagnostic| files.iter().position(|f| *f == d.source.path);
    let mut sorted: Vec<&Diagnostic> = diagnostics.iter().collect();
    sorted.sort_by_key(|d| (file(d), d.start));
    sorted.iter().map(|d| d.render(style) + "\n").collect()
}

/// Collects what is wrong while a file is read; bounded, and each thing once.
#[derive(Debug)]
pub struct Diagnostics {
    /// The files that regions point into.
    pub sources: Sources,
    found: RefCell<Vec<Diagnostic>>,
}

/// More than this many in one file help nobody.
const MOST: usize = 100;

impl Diagnostics {
    /// None yet.
    #[must_use]
    pub fn new(sources: Sources) -> Self {
        Self { sources, found: RefCell::default() }
    }

    /// An error at a place, to be completed and then pushed.
    #[must_use]
    pub fn error(&self, region: Region, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(&self.sources, region, message)
    }

    /// Keeps it, unless it is there already.
    pub fn push(&self, diagnostic: Diagnostic) {
        let mut found = self.found.borrow_mut();
        if found.len() < MOST && !found.contains(&diagnostic) {
            found.push(diagnostic);
        }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.found.borrow().len()
    }

    /// Is one of them an error?
    #[must_use]
    pub fn failed(&self) -> bool {
        self.found.borrow().iter().any(Diagnostic::is_error)
    }

    /// All of them, in the order of the files and places.
    #[must_use]
    pub fn finish(self) -> Vec<Diagnostic> {
        let mut found = self.found.into_inner();
        let order = |d: &Diagnostic| self.sources.0.iter().position(|s| Arc::ptr_eq(s, &d.source));
        found.sort_by_key(|d| (order(d), d.start));
        found
    }
}
