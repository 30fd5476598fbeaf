//! What the user's own data was at one moment, and how two such moments differ. How it is taken is `adapters`' business.
//!
//! A fingerprint does not depend on the order in which a store hands its content out: every row, key, object or file has
//! a digest of its own, and these are summed up.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// So many names of what differs are kept of each kind.
const NAMED: usize = 10;
/// A name is kept up to this length, in characters.
const NAME: usize = 300;

/// What is there: parts (tables, prefixes, directories) by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Fingerprint {
    /// What is counted, for one of them: `row`, `key`, `object`, `entry`.
    pub unit: String,
    /// Its parts.
    pub parts: BTreeMap<String, DataPart>,
}

/// One table, prefix or directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct DataPart {
    /// Rows, keys, objects or files.
    pub count: u64,
    /// The sum of their digests, modulo 2^64, as 16 hex digits.
    pub sum: String,
    /// What is fingerprinted of each (columns with their types, for a table).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub shape: String,
}

impl DataPart {
    /// From a count and a sum of digests.
    #[must_use]
    pub fn new(count: u64, sum: u64, shape: impl Into<String>) -> Self {
        Self { count, sum: format!("{sum:016x}"), shape: shape.into() }
    }
}

/// What became of one part between two moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// The same.
    Same,
    /// It is not there any more.
    Gone,
    /// It was not there.
    New,
    /// Its columns are others: the sums cannot be compared.
    Shape,
    /// At least so many are missing as the counts differ; others may have changed.
    Fewer,
    /// At least so many were added as the counts differ; others may have changed.
    More,
    /// As many as before, but not the same ones.
    Content,
}

impl Fingerprint {
    /// What became of each part from `self` to `later`, by its name, in order.
    #[must_use]
    pub fn compare(&self, later: &Self) -> BTreeMap<String, Change> {
        let names: BTreeSet<&String> = self.parts.keys().chain(later.parts.keys()).collect();
        let change = |name: &String| match (self.parts.get(name), later.parts.get(name)) {
            (Some(_), None) => Change::Gone,
            (None, _) => Change::New,
            (Some(before), Some(after)) if before.shape != after.shape => Change::Shape,
            (Some(before), Some(after)) if after.count < before.count => Change::Fewer,
            (Some(before), Some(after)) if after.count > before.count => Change::More,
            (Some(before), Some(after)) if after.sum != before.sum => Change::Content,
            _ => Change::Same,
        };
        names.into_iter().map(|name| (name.clone(), change(name))).collect()
    }

    /// In words, part by part, what became of those that are not the same; none if all are.
    #[must_use]
    pub fn differences(&self, later: &Self) -> Vec<String> {
        let changes = self.compare(later);
        changes.iter().filter(|(_, c)| **c != Change::Same).map(|(name, c)| self.words(later, name, *c)).collect()
    }

    fn words(&self, later: &Self, name: &str, change: Change) -> String {
        let count = |print: &Self| print.parts.get(name).map_or(0, |part| part.count);
        let (before, after) = (count(self), count(later));
        let some = |n: u64| format!("{n} {}", units(n, &self.unit));
        match change {
            Change::Same => format!("`{name}` is the same"),
            Change::Gone => format!("`{name}` is gone; it had {}", some(before)),
            Change::New => format!("`{name}` is new; it has {}", some(after)),
            Change::Shape => format!("the columns of `{name}` are not the same any more"),
            Change::Fewer => {
                format!("`{name}`: {} before and {after} after: at least {} missing", some(before), before - after)
            }
            Change::More => {
                format!("`{name}`: {} before and {after} after: at least {} added", some(before), after - before)
            }
            Change::Content => format!("`{name}`: {} before and after, and not the same ones", some(before)),
        }
    }
}

/// The word for so many: `row`, `rows`, `entries`.
#[must_use]
pub fn units(n: u64, unit: &str) -> String {
    match (n, unit.strip_suffix("ry")) {
        (1, _) => unit.to_owned(),
        (_, Some(stem)) => format!("{stem}ries"),
        (_, None) => format!("{unit}s"),
    }
}

/// The digest of each file, key or object by name, where they are few enough to be kept.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Listing(pub BTreeMap<String, u64>);

/// What differs between two listings: all of it counted, the first of it by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Named {
    /// Not there any more.
    pub missing: u64,
    /// Not there before.
    pub added: u64,
    /// There, and not as it was.
    pub changed: u64,
    /// The first names of each, in order.
    pub first: Vec<(String, NamedChange)>,
}

/// What became of something that has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NamedChange {
    /// Not there any more.
    Missing,
    /// Not there before.
    Added,
    /// There, and not as it was.
    Changed,
}

impl NamedChange {
    /// In a word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Added => "added",
            Self::Changed => "changed",
        }
    }
}

impl Listing {
    /// What became of each name from `self` to `later`.
    #[must_use]
    pub fn compare(&self, later: &Self) -> Named {
        let mut named = Named::default();
        for (name, digest) in &self.0 {
            match later.0.get(name) {
                None => named.put(name, NamedChange::Missing),
                Some(now) if now != digest => named.put(name, NamedChange::Changed),
                Some(_) => {}
            }
        }
        later.0.keys().filter(|name| !self.0.contains_key(*name)).for_each(|name| named.put(name, NamedChange::Added));
        named
    }
}

impl Named {
    fn put(&mut self, name: &str, change: NamedChange) {
        let count = match change {
            NamedChange::Missing => &mut self.missing,
            NamedChange::Added => &mut self.added,
            NamedChange::Changed => &mut self.changed,
        };
        *count += 1;
        if *count <= NAMED as u64 {
            self.first.push((name.chars().take(NAME).collect(), change));
        }
    }

    /// In words: the counts, and the first names.
    #[must_use]
    pub fn words(&self) -> String {
        let counts = [(self.missing, "missing"), (self.changed, "changed"), (self.added, "added")];
        let counts: Vec<String> =
            counts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
        let names: Vec<String> =
            self.first.iter().take(NAMED).map(|(name, change)| format!("`{name}` {}", change.word())).collect();
        format!("{} ({})", counts.join(", "), names.join(", "))
    }
}

/// What a playbook expects of a fingerprint at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Expectation {
    /// The same as before the outage.
    #[default]
    Same,
    /// Whatever it is: it is only recorded.
    Any,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(parts: &[(&str, u64, u64, &str)]) -> Fingerprint {
        let part = |(name, count, sum, shape): &(&str, u64, u64, &str)| {
            ((*name).to_owned(), DataPart::new(*count, *sum, *shape))
        };
        Fingerprint { unit: "row".to_owned(), parts: parts.iter().map(part).collect() }
    }

    #[test]
    fn every_change_of_a_part_is_told_apart() {
        let before = print(&[
            ("same", 2, 7, "a"),
            ("gone", 1, 1, "a"),
            ("shape", 2, 7, "a"),
            ("fewer", 5, 7, "a"),
            ("more", 2, 7, "a"),
            ("other", 2, 7, "a"),
        ]);
        let after = print(&[
            ("same", 2, 7, "a"),
            ("new", 3, 1, "a"),
            ("shape", 2, 7, "a, b"),
            ("fewer", 2, 7, "a"),
            ("more", 3, 7, "a"),
            ("other", 2, 8, "a"),
        ]);
        assert_eq!(
            before.differences(&after),
            [
                "`fewer`: 5 rows before and 2 after: at least 3 missing",
                "`gone` is gone; it had 1 row",
                "`more`: 2 rows before and 3 after: at least 1 added",
                "`new` is new; it has 3 rows",
                "`other`: 2 rows before and after, and not the same ones",
                "the columns of `shape` are not the same any more",
            ]
        );
        assert!(before.differences(&before).is_empty());
    }

    #[test]
    fn what_has_a_name_is_named_up_to_a_bound() {
        let listing = |names: &[(&str, u64)]| Listing(names.iter().map(|(n, d)| ((*n).to_owned(), *d)).collect());
        let (before, after) = (listing(&[("a", 1), ("b", 2), ("c", 3)]), listing(&[("a", 1), ("b", 9), ("d", 4)]));
        let named = before.compare(&after);
        assert_eq!(named.words(), "1 missing, 1 changed, 1 added (`b` changed, `c` missing, `d` added)");
        let many = Listing((0..1_000).map(|n| (format!("f{n:04}"), n)).collect());
        let named = many.compare(&Listing::default());
        assert_eq!((named.missing, named.first.len()), (1_000, NAMED));
        assert_eq!(before.compare(&before), Named::default());
    }
}
