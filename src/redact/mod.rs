//! Secrets, and every form in which their values turn up in texts and files: what takes them out, and what finds one that
//! slipped through. Pure; where secrets are read from is `exec`'s business, which files are searched `evidence`'s.
//!
//! Invariant: nothing here says a secret's value, only its name; `Debug` neither.

mod encode;
mod escaped;
mod forms;
mod split;
mod tokens;

pub use forms::{Forms, Hit, SHORTEST, Strength};
pub use tokens::{denied_header, literal_password};
