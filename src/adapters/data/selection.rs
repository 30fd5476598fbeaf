//! Named things (keys, objects) that are summed up by prefix: which count, and what comes of them. Pure.

use super::{Taken, short};
use crate::model::{DataPart, Fingerprint, Listing, glob};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Beyond so many things, or so many bytes of their names, names are not kept: what differs is then known by the sums alone.
const LISTED: usize = 200_000;
const LISTED_BYTES: usize = 32 << 20;

/// Which named things of a store count.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// What their names begin with; each is a part of the fingerprint. All that is there if there are none.
    pub prefixes: Vec<String>,
    /// What is left out, as patterns for whole names: `*` stands for anything but `/`, `**` for anything.
    pub exclude: Vec<String>,
    /// What the names of the drill's own things begin with: never part of it.
    pub own: Vec<String>,
}

impl Selection {
    /// The prefixes to be read, each once.
    pub(in crate::adapters) fn prefixes(&self) -> Vec<String> {
        if self.prefixes.is_empty() {
            return vec![String::new()];
        }
        let mut prefixes = self.prefixes.clone();
        prefixes.sort();
        prefixes.dedup();
        prefixes
    }

    /// Does a thing of this name count?
    pub(in crate::adapters) fn counts(&self, name: &str) -> bool {
        !self.own.iter().any(|own| name.starts_with(own)) && !self.exclude.iter().any(|pattern| glob(pattern, name))
    }
}

/// The digest of a name with what belongs to it: each piece has its length before it, so that none can look like two.
pub(in crate::adapters) fn digest(pieces: &[&[u8]]) -> u64 {
    let mut hash = Sha256::new();
    for piece in pieces {
        hash.update((piece.len() as u64).to_le_bytes());
        hash.update(piece);
    }
    short(&hash.finalize())
}

/// The sums of a fingerprint that is being taken.
pub(in crate::adapters) struct Sums<'a> {
    selection: &'a Selection,
    unit: &'static str,
    shape: &'static str,
    parts: BTreeMap<String, (u64, u64)>,
    listing: Option<BTreeMap<String, u64>>,
    listed_bytes: usize,
}

impl<'a> Sums<'a> {
    /// What is counted, and what of each is looked at, in a few words.
    pub fn new(selection: &'a Selection, unit: &'static str, shape: &'static str) -> Self {
        Self { selection, unit, shape, parts: BTreeMap::new(), listing: Some(BTreeMap::new()), listed_bytes: 0 }
    }

    /// One more of this prefix. A name that is there twice counts twice.
    pub fn add(&mut self, prefix: &str, name: &str, digest: u64) {
        let part = match self.parts.get_mut(prefix) {
            Some(part) => part,
            None => self.parts.entry(prefix.to_owned()).or_default(),
        };
        *part = (part.0 + 1, part.1.wrapping_add(digest));
        let Some(listing) = &mut self.listing else { return };
        if let Some(known) = listing.get_mut(name) {
            *known = known.wrapping_add(digest);
            return;
        }
        self.listed_bytes += name.len();
        listing.insert(name.to_owned(), digest);
        if listing.len() > LISTED || self.listed_bytes > LISTED_BYTES {
            self.listing = None;
        }
    }

    /// All that was added; a prefix that nothing has is absent.
    pub fn taken(self) -> Taken {
        let name = |prefix: &str| if prefix.is_empty() { format!("every {}", self.unit) } else { prefix.to_owned() };
        let words = |prefix: &String| match prefix.as_str() {
            "" => format!("any {}", self.unit),
            some => format!("any {} that begins with `{some}`", self.unit),
        };
        let absent = self.selection.prefixes().iter().filter(|p| !self.parts.contains_key(*p)).map(words).collect();
        let part =
            |(prefix, (count, sum)): (&String, &(u64, u64))| (name(prefix), DataPart::new(*count, *sum, self.shape));
        let parts = self.parts.iter().map(part).collect();
        let print = Fingerprint { unit: self.unit.to_owned(), parts };
        Taken { print, listing: self.listing.map(Listing), absent }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn patterns_and_the_drills_own_are_left_out() {
        let exclude = texts(&["*/tmp", "**.lock", "session:*"]);
        let selection = Selection { prefixes: Vec::new(), exclude, own: texts(&["run-1/"]) };
        let counts = ["a/b", "a/tmp/x", "a/b/tmp", "x", "run-12/1", "sessions:1"];
        let out = ["a/tmp", "deep/er/x.lock", "x.lock", "session:1", "run-1/1/1"];
        assert_eq!(counts.map(|name| selection.counts(name)), [true; 6]);
        assert_eq!(out.map(|name| selection.counts(name)), [false; 5]);
    }

    #[test]
    fn a_digest_tells_pieces_apart() {
        assert_eq!(
            digest(&[b"a", b"1"]),
            0x9fe2_af43_0579_0bd0,
            "never another one: runs of other versions are compared"
        );
        let others: [&[&[u8]]; 5] = [&[b"a1", b""], &[b"", b"a1"], &[b"a", b"2"], &[b"a1"], &[b"a", b"1", b""]];
        assert!(others.iter().all(|pieces| digest(pieces) != digest(&[b"a", b"1"])));
    }

    #[test]
    fn what_nothing_has_is_absent_and_twice_is_not_once() {
        let selection = Selection { prefixes: texts(&["b/", "a/", "b/"]), ..Selection::default() };
        assert_eq!(selection.prefixes(), ["a/", "b/"]);
        let mut sums = Sums::new(&selection, "key", "name, value");
        (0..2).for_each(|_| sums.add("b/", "b/1", u64::MAX));
        let taken = sums.taken();
        assert_eq!(taken.print.parts["b/"], DataPart::new(2, u64::MAX - 1, "name, value"));
        assert_eq!(taken.listing.unwrap().0["b/1"], u64::MAX - 1);
        assert_eq!(taken.absent, ["any key that begins with `a/`"]);
        let all = Selection::default();
        assert_eq!(Sums::new(&all, "key", "").taken().absent, ["any key"]);
    }

    #[test]
    fn names_are_kept_while_they_are_few_and_short() {
        let selection = Selection::default();
        let kept = |count: usize, length: usize| {
            let mut sums = Sums::new(&selection, "key", "");
            (0..count).for_each(|n| sums.add("", &format!("{n:0length$}"), 1));
            sums.taken().listing.is_some()
        };
        assert!(kept(LISTED, 6) && !kept(LISTED + 1, 6));
        assert!(!kept(LISTED_BYTES / 10_000 + 1, 10_000));
    }
}
