//! What clients do while a drill runs: one file per kind, and their registry.
