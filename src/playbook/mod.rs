//! From text to a syntax tree with spans, and the diagnostics that point into it.
