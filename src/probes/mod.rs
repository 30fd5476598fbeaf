//! The ways a drill looks at the world: one file per kind, and their registry.
