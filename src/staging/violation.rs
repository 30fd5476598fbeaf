//! Lies that a node tells when a test asks for them, one per class of the ledger's findings, so that each class is met
//! for real. Every lie is written to the truth log.

use std::sync::atomic::{AtomicU64, Ordering};

/// Which lies, and for every how many writes (`None`: never).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Violations {
    /// Once promoted, the first N records are gone.
    pub drop_prefix: Option<u64>,
    /// Stored twice.
    pub duplicate_every: Option<u64>,
    /// Stored with one bit flipped.
    pub corrupt_every: Option<u64>,
    /// Acknowledged, never stored.
    pub holes_every: Option<u64>,
    /// Stored, and with it a record nobody wrote.
    pub phantom_every: Option<u64>,
    /// Stored, yet refused as a definite fail.
    pub resurrect_every: Option<u64>,
    /// Stored after the writer's next record.
    pub reorder_every: Option<u64>,
    /// A read that says "not there" of a record that is.
    pub stale_every: Option<u64>,
}

impl Violations {
    /// The lies as arguments for a child process.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        let named = [
            ("--drop-prefix", self.drop_prefix),
            ("--duplicate-every", self.duplicate_every),
            ("--corrupt-every", self.corrupt_every),
            ("--holes-every", self.holes_every),
            ("--phantom-every", self.phantom_every),
            ("--resurrect-every", self.resurrect_every),
            ("--reorder-every", self.reorder_every),
            ("--stale-every", self.stale_every),
        ];
        named.into_iter().filter_map(|(name, n)| n.map(|n| [name.to_owned(), n.to_string()])).flatten().collect()
    }

    /// The lie for the `count`-th write, counted from 1.
    pub(super) fn deed(&self, count: u64) -> Deed {
        let due = |every: Option<u64>| every.is_some_and(|n| n > 0 && count.is_multiple_of(n));
        [
            (self.duplicate_every, Deed::Duplicate),
            (self.corrupt_every, Deed::Corrupt),
            (self.holes_every, Deed::Hole),
            (self.phantom_every, Deed::Phantom),
            (self.resurrect_every, Deed::Resurrect),
            (self.reorder_every, Deed::Reorder),
        ]
        .into_iter()
        .find_map(|(every, deed)| due(every).then_some(deed))
        .unwrap_or(Deed::Honest)
    }
}

/// What to do with one write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    Honest,
    Duplicate,
    Corrupt,
    Hole,
    Phantom,
    Resurrect,
    Reorder,
}

impl Deed {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Honest => "honest",
            Self::Duplicate => "duplicate",
            Self::Corrupt => "corrupt",
            Self::Hole => "hole",
            Self::Phantom => "phantom",
            Self::Resurrect => "resurrect",
            Self::Reorder => "reorder",
        }
    }
}

/// Counts from 1.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_third_write_is_a_hole_and_nothing_else_is() {
        let lies = Violations { holes_every: Some(3), ..Violations::default() };
        let deeds: Vec<Deed> = (1..=6).map(|n| lies.deed(n)).collect();
        assert_eq!(deeds.iter().filter(|d| **d == Deed::Hole).count(), 2);
        assert_eq!(deeds[2], Deed::Hole);
        assert_eq!(Violations::default().deed(5), Deed::Honest);
    }
}
