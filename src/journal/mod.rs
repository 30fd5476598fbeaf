//! The append-only, hash-chained record of a run, and what may follow what.
