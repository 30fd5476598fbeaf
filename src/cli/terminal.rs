//! Where the program prints: standard output for answers, standard error for complaints. A reader that goes away
//! (`blackstart list | head -1`) is no error and no panic.

use super::Exit;
use crate::playbook::RenderStyle;
use crate::report::Style;
use std::io::{IsTerminal, Write};

/// What went wrong at the user's edge, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// How the program ends.
    pub exit: Exit,
    /// What went wrong.
    pub what: String,
    /// What to do.
    pub mend: Option<String>,
}

impl Complaint {
    /// A complaint without advice.
    pub fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { exit, what: what.into(), mend: None }
    }

    /// Says what to do.
    #[must_use]
    pub fn mend(self, mend: impl Into<String>) -> Self {
        Self { mend: Some(mend.into()), ..self }
    }
}

/// Is this output read by a person at a terminal?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Colours and redrawing are welcome.
    Rich,
    /// Lines of text.
    Plain,
}

/// Standard output and standard error, or two strings in tests.
pub struct Terminal {
    out: Sink,
    err: Sink,
    look: Look,
}

enum Sink {
    Stdout,
    Stderr,
    #[cfg(test)]
    Text(String),
}

impl Sink {
    fn write(&mut self, text: &str) {
        // A closed pipe means that nobody listens any more: not our error.
        match self {
            Self::Stdout => drop(std::io::stdout().lock().write_all(text.as_bytes())),
            Self::Stderr => drop(std::io::stderr().lock().write_all(text.as_bytes())),
            #[cfg(test)]
            Self::Text(kept) => kept.push_str(text),
        }
    }
}

impl Terminal {
    /// The process's own.
    #[must_use]
    pub fn real() -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty())
            || std::env::var_os("TERM").is_some_and(|v| v == "dumb")
            || !std::io::stdout().is_terminal()
            || !std::io::stderr().is_terminal();
        Self { out: Sink::Stdout, err: Sink::Stderr, look: if plain { Look::Plain } else { Look::Rich } }
    }

    /// One that keeps what it is told.
    #[cfg(test)]
    pub fn captured() -> Self {
        Self { out: Sink::Text(String::new()), err: Sink::Text(String::new()), look: Look::Plain }
    }

    /// How its reader looks at it.
    #[must_use]
    pub fn look(&self) -> Look {
        self.look
    }

    /// An answer.
    pub fn say(&mut self, text: &str) {
        self.out.write(&ended(text));
    }

    /// Bytes as they are, for answers that are files.
    pub fn give(&mut self, text: &str) {
        self.out.write(text);
    }

    /// A remark that is no answer.
    pub fn warn(&mut self, text: &str) {
        self.err.write(&ended(text));
    }

    /// Remarks that may be none.
    pub fn warn_all(&mut self, text: &str) {
        self.err.write(text);
    }

    /// Says what went wrong and what to do, and how the program ends.
    pub fn complain(&mut self, complaint: &Complaint) -> Exit {
        self.warn(&format!("error: {}", complaint.what));
        if let Some(mend) = &complaint.mend {
            self.warn(&format!("  try: {mend}"));
        }
        complaint.exit
    }

    /// How diagnostics are drawn for it.
    #[must_use]
    pub fn drawing(&self) -> RenderStyle {
        match self.look {
            Look::Rich => RenderStyle::Ansi,
            Look::Plain => RenderStyle::Plain,
        }
    }

    /// How tables are drawn for it.
    #[must_use]
    pub fn style(&self) -> Style {
        match self.look {
            Look::Rich => Style::Colour,
            Look::Plain => Style::Plain,
        }
    }

    /// clap's text with or without colours.
    #[must_use]
    pub fn styled(&self, text: &clap::builder::StyledStr) -> String {
        match self.look {
            Look::Rich => text.ansi().to_string(),
            Look::Plain => text.to_string(),
        }
    }

    #[cfg(test)]
    pub fn out(&self) -> &str {
        self.out.text()
    }

    #[cfg(test)]
    pub fn err(&self) -> &str {
        self.err.text()
    }
}

#[cfg(test)]
impl Sink {
    fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Stdout | Self::Stderr => "",
        }
    }
}

/// Columns: those of the terminal, or `COLUMNS`, or 100.
#[must_use]
pub fn width() -> usize {
    let stated = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    let seen = || terminal_size::terminal_size().map(|(columns, _)| usize::from(columns.0));
    stated.or_else(seen).unwrap_or(100).clamp(40, 200)
}

fn ended(text: &str) -> String {
    if text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") }
}
