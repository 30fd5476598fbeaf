//! From text to a syntax tree with places, and the diagnostics that point into it.
//! Pure: files are read by the caller, and what a playbook means is `plan`'s business.

pub mod ast;
pub mod decode;
pub mod diagnostic;
pub mod emit;
pub mod fields;
mod game_day;
mod load;
pub mod metadata;
pub mod parse;
mod schema;
pub mod source;
pub mod substitute;
pub mod suggest;
pub mod tree;

pub use ast::{Ast, FileKind};
pub use diagnostic::{Diagnostic, Diagnostics, RenderStyle, Severity, render_all};
pub use game_day::{AfterFailure, GameDay, GameDayDrill, Moment, Participant, Window, game_day};
pub use load::{ReadFile, load};
pub use schema::schema;
pub use source::{Region, SourceText, Sources};

/// Is it a name with dashes, `[a-z0-9-]+`?
#[must_use]
pub fn is_dashed(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// Is it a name with underscores, `[a-z0-9_]+`?
#[must_use]
pub fn is_snake(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}
