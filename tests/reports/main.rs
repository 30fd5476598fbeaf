//! Reports in every format: against their schemas, in a real browser, and computed again byte for byte.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "../golden/analyses.rs"]
mod analyses;
mod browser;
mod formats;
mod large;
#[path = "../golden/pieces.rs"]
mod pieces;
mod render;
#[path = "../golden/sealed.rs"]
mod sealed;
