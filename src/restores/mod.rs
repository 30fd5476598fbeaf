//! Restore actions that verify themselves: one file per kind, and their registry.
