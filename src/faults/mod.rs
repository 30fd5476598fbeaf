//! The faults a drill can inject: one file per kind, and their registry.
