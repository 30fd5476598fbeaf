//! Damages bytes of a file in place, as a failing disk does: size and times do not tell. Which bytes, and what they
//! become, follows from a seed; the original bytes of the damaged ranges are kept in the vault.

use super::left::Place;
use super::{Cx, Fault, FaultError, Look, Reversibility, word};
use crate::adapters::AdapterError;
use crate::adapters::disk::{Facts, Range};
use crate::model::{Percent, Size, TargetRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The ranges' name in the vault.
const ORIGINAL: &str = "ranges";
/// At most so many ranges, each of at least so many bytes (but the last of a few).
const MOST_RANGES: u64 = 256;
const LEAST_BYTES: u64 = 16;
/// A larger file is not read as a whole.
const LARGE: u64 = 256 << 20;
/// So many bytes that are as we damaged them are no coincidence in a file that was replaced.
const CERTAIN: usize = 8;

/// Damages bytes of a file until it is healed. Ranges that a program has written anew meanwhile are left as they are, and
/// counted; what programs have made of the damage is not undone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileCorrupt {
    /// A target of kind `file`.
    pub target: TargetRef,
    /// How much of it.
    pub amount: Amount,
    /// Where, in bytes from the beginning; the amount is shared out among them. Scattered over the file if not given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub at: Vec<u64>,
    /// The same seed damages the same bytes in the same way; 1 if not given.
    #[serde(default = "one")]
    pub seed: u64,
}

/// How much of a file is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Amount {
    /// So many bytes.
    Bytes(Size),
    /// This share of it.
    Share(Percent),
}

fn one() -> u64 {
    1
}

/// Which ranges are damaged. Their bytes are in the vault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    /// The file.
    pub path: PathBuf,
    /// What it was.
    pub facts: Facts,
    /// Offset and length of each range, in order.
    pub places: Vec<(u64, u64)>,
    /// SHA-256 of the whole file, hex, unless it is large.
    pub digest: Option<String>,
    /// Where the bytes of the ranges are, one after another, for people.
    pub kept: PathBuf,
}

/// How a range is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// As it was.
    Original,
    /// With our damage, or a part of it.
    Damaged,
    /// Somebody has written something else, or cut the file off.
    Newer,
}

/// splitmix64: <https://doi.org/10.1145/2714064.2660195>
fn mix(seed: u64, number: u64) -> u64 {
    let mut z = seed.wrapping_add(number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl FileCorrupt {
    /// The ranges for a file of this size; none where nothing can be damaged.
    fn places(&self, size: u64) -> Vec<(u64, u64)> {
        let wanted = match self.amount {
            Amount::Bytes(bytes) => bytes.0,
            Amount::Share(share) => ((size as f64 * share.0).round() as u64).max(1),
        };
        let total = wanted.min(size);
        if total == 0 {
            return Vec::new();
        }
        let places = if self.at.is_empty() { self.scattered(size, total) } else { self.given(size, total) };
        let mut apart: Vec<(u64, u64)> = Vec::new();
        for (at, length) in places {
            let from = apart.last().map_or(at, |(before, of)| at.max(before + of));
            let end = (at + length).min(size);
            if end > from {
                apart.push((from, end - from));
            }
        }
        apart
    }

    /// One in each of equal parts, anywhere in it.
    fn scattered(&self, size: u64, total: u64) -> Vec<(u64, u64)> {
        let count = total.div_ceil(LEAST_BYTES).clamp(1, MOST_RANGES);
        let (part, length) = (size / count, total.div_ceil(count));
        let room = part.saturating_sub(length);
        let place = |number: u64| (number * part + mix(self.seed, number) % (room + 1), length);
        (0..count).map(place).collect()
    }

    fn given(&self, size: u64, total: u64) -> Vec<(u64, u64)> {
        let mut at: Vec<u64> = self.at.iter().copied().filter(|at| *at < size).collect();
        at.sort_unstable();
        at.dedup();
        let each = total.div_ceil((at.len() as u64).max(1));
        at.into_iter().map(|at| (at, each)).collect()
    }

    /// No byte stays what it was.
    fn damaged(&self, range: &Range) -> Range {
        let byte = |(index, byte): (usize, &u8)| byte ^ (1 + (mix(!self.seed, range.at + index as u64) % 255) as u8);
        Range { at: range.at, bytes: range.bytes.iter().enumerate().map(byte).collect() }
    }

    fn state(&self, original: &Range, now: &Range) -> State {
        let damaged = self.damaged(original);
        if now.bytes == original.bytes {
            return State::Original;
        }
        let bytes = now.bytes.iter().zip(original.bytes.iter().zip(&damaged.bytes));
        let ours = now.bytes.len() == original.bytes.len() && bytes.clone().all(|(n, (o, d))| n == o || n == d);
        if ours { State::Damaged } else { State::Newer }
    }

    /// The original ranges, if they are still kept.
    fn originals(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Option<Vec<Range>>, FaultError> {
        let Some(kept) = cx.scope.vault().kept(&cx.owner, ORIGINAL) else { return Ok(None) };
        let bytes = cx.world.files.read(&kept)?;
        let mut rest = &bytes[..];
        let mut ranges = Vec::new();
        for (at, length) in &undo.places {
            let length = usize::try_from(*length).unwrap_or(usize::MAX);
            let Some((range, after)) = rest.split_at_checked(length) else {
                return Err(FaultError::Journal(format!("{} is too short", kept.display())));
            };
            ranges.push(Range { at: *at, bytes: range.to_vec() });
            rest = after;
        }
        Ok(Some(ranges))
    }

    /// Each range with its original and how it is now; none if the file is gone.
    async fn states(
        &self,
        undo: &Undo,
        originals: Vec<Range>,
        cx: &Cx<'_>,
    ) -> Result<Option<Vec<(Range, State)>>, FaultError> {
        let Some(facts) = cx.world.disks.facts(&undo.path).await? else { return Ok(None) };
        let now = cx.world.disks.read(&undo.path, &undo.places).await?;
        let mut states: Vec<(Range, State)> = originals
            .into_iter()
            .zip(&now)
            .map(|(original, now)| {
                let state = self.state(&original, now);
                (original, state)
            })
            .collect();
        let damaged = |s: &[(Range, State)]| s.iter().filter(|(_, s)| *s == State::Damaged).count();
        let bytes: usize = states.iter().map(|(range, _)| range.bytes.len()).sum();
        if !facts.is_same(&undo.facts) && (damaged(&states) < states.len() || bytes < CERTAIN) {
            // Another file, and not a copy of the damaged one: what looks like our damage is its own.
            states.iter_mut().filter(|(_, s)| *s == State::Damaged).for_each(|(_, s)| *s = State::Newer);
        }
        Ok(Some(states))
    }
}

fn count(states: &[(Range, State)], wanted: State) -> usize {
    states.iter().filter(|(_, state)| *state == wanted).count()
}

impl Fault for FileCorrupt {
    const KIND: &'static str = "file_corrupt";
    const TARGETS: &'static [&'static str] = &["file"];
    const SUMMARY: &'static str = "damage bytes of a file in place, and put them back";
    const REVERSIBILITY: Reversibility = Reversibility::Reversible;
    type Undo = Undo;

    fn targets(&self) -> Vec<&TargetRef> {
        vec![&self.target]
    }

    fn permissions(&self) -> Vec<String> {
        vec!["read and write permission for the file; to keep its times, to be its owner or root".to_owned()]
    }

    fn way_back(&self) -> String {
        "the damaged bytes are put back from the vault".to_owned()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Undo, FaultError> {
        let Place { path, facts } = Place::of(&self.target, cx).await?;
        let places = self.places(facts.size);
        if places.is_empty() {
            let why = format!("{} has {} bytes, and none of them is meant", path.display(), facts.size);
            return Err(FaultError::NothingToBreak(why));
        }
        let bytes: Vec<u8> = cx.world.disks.read(&path, &places).await?.into_iter().flat_map(|r| r.bytes).collect();
        let digest = match facts.size <= LARGE {
            true => cx.world.files.look(&path)?.map(|state| state.digest),
            false => None,
        };
        let vault = cx.scope.vault();
        vault.keep_bytes(&cx.owner, ORIGINAL, &bytes)?;
        let kept = vault.kept(&cx.owner, ORIGINAL).unwrap_or_default();
        Ok(Undo { path, facts, places, digest, kept })
    }

    async fn inject(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        let Some(originals) = self.originals(undo, cx)? else {
            return Err(AdapterError::Missing("the original bytes are not kept any more".to_owned()).into());
        };
        let damaged: Vec<Range> = originals.iter().map(|range| self.damaged(range)).collect();
        Ok(cx.world.disks.write(&undo.path, &damaged).await?)
    }

    async fn effective(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let Some(originals) = self.originals(undo, cx)? else {
            return Ok(Look { holds: false, detail: "nothing is kept, so nothing was damaged".to_owned() });
        };
        let states = self.states(undo, originals, cx).await?.unwrap_or_default();
        let (damaged, all) = (count(&states, State::Damaged), undo.places.len());
        Ok(Look { holds: damaged > 0, detail: format!("{damaged} of {all} ranges are damaged") })
    }

    async fn heal(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        let Some(originals) = self.originals(undo, cx)? else { return Ok(()) };
        let Some(states) = self.states(undo, originals, cx).await? else { return Ok(()) };
        let ours = states.into_iter().filter(|(_, state)| *state == State::Damaged);
        let back: Vec<Range> = ours.map(|(range, _)| range).collect();
        if back.is_empty() {
            return Ok(());
        }
        Ok(cx.world.disks.write(&undo.path, &back).await?)
    }

    async fn healed(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let path = undo.path.display();
        let Some(originals) = self.originals(undo, cx)? else {
            let holds = match &undo.digest {
                Some(digest) => cx.world.files.look(&undo.path)?.is_some_and(|now| now.digest == *digest),
                None => {
                    let now = cx.world.disks.facts(&undo.path).await?;
                    now.is_some_and(|n| (n.size, n.modified) == (undo.facts.size, undo.facts.modified))
                }
            };
            let detail = if holds { "is as it was" } else { "is not as it was, and nothing is kept of it" };
            return Ok(Look { holds, detail: format!("{path} {detail}") });
        };
        let Some(states) = self.states(undo, originals, cx).await? else {
            return Ok(Look { holds: true, detail: format!("{path} was removed by somebody, with the damage in it") });
        };
        let (damaged, newer, all) = (count(&states, State::Damaged), count(&states, State::Newer), states.len());
        let detail = match (damaged, newer) {
            (0, 0) => format!("all {all} ranges of {path} are as they were"),
            (0, _) => format!("{newer} of {all} ranges of {path} were written anew meanwhile and left as they are"),
            _ => format!("{damaged} of {all} ranges of {path} are damaged"),
        };
        Ok(Look { holds: damaged == 0, detail })
    }

    fn by_hand(&self, undo: &Undo) -> String {
        let (kept, path) = (word(&undo.kept.to_string_lossy()), word(&undo.path.to_string_lossy()));
        let mut from = 0;
        let dd = |(at, length): &(u64, u64)| {
            let line = format!(
                "dd if={kept} of={path} bs=64K iflag=skip_bytes,count_bytes oflag=seek_bytes conv=notrunc skip={from} \
                 count={length} seek={at}"
            );
            from += length;
            line
        };
        undo.places.iter().map(dd).collect::<Vec<_>>().join(" && ")
    }

    fn touched(&self, undo: &Undo) -> Vec<String> {
        vec![undo.path.display().to_string()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(amount: Amount, at: &[u64], seed: u64) -> FileCorrupt {
        FileCorrupt { target: TargetRef::Pinned("f".into()), amount, at: at.to_vec(), seed }
    }

    #[test]
    fn ranges_are_apart_inside_the_file_and_as_much_as_was_asked() {
        for size in [1_u64, 2, 15, 16, 17, 100, 4096, 1_000_003] {
            for bytes in [1_u64, 3, 16, 64, 5000, 2_000_000] {
                for seed in 0..20 {
                    let places = of(Amount::Bytes(Size(bytes)), &[], seed).places(size);
                    let mut end = 0;
                    for (at, length) in &places {
                        assert!(*at >= end && *length > 0, "{size} {bytes} {places:?}");
                        end = at + length;
                    }
                    assert!(end <= size);
                    let total: u64 = places.iter().map(|(_, length)| length).sum();
                    let wanted = bytes.min(size);
                    assert!(total <= wanted + MOST_RANGES && total >= wanted.div_ceil(2), "{size} {bytes} {total}");
                }
            }
        }
        assert!(of(Amount::Bytes(Size(8)), &[], 1).places(0).is_empty());
    }

    #[test]
    fn given_places_are_kept_and_a_seed_repeats() {
        assert_eq!(of(Amount::Bytes(Size(8)), &[90, 10, 500], 1).places(100), [(10, 4), (90, 4)]);
        let scattered = |seed| of(Amount::Share(Percent(0.01)), &[], seed).places(100_000);
        assert_eq!(scattered(7), scattered(7));
        assert_ne!(scattered(7), scattered(8));
    }

    #[test]
    fn every_byte_is_damaged_and_the_damage_is_known_again() {
        let fault = of(Amount::Bytes(Size(8)), &[], 3);
        let original = Range { at: 77, bytes: (0..=255).collect() };
        let damaged = fault.damaged(&original);
        assert!(original.bytes.iter().zip(&damaged.bytes).all(|(a, b)| a != b));
        assert_eq!(fault.state(&original, &original), State::Original);
        assert_eq!(fault.state(&original, &damaged), State::Damaged);
        let mut half = damaged.clone();
        half.bytes[..100].copy_from_slice(&original.bytes[..100]);
        assert_eq!(fault.state(&original, &half), State::Damaged, "a heal that was broken off");
        let newer = Range { at: 77, bytes: vec![b'x'; 256] };
        assert_eq!(fault.state(&original, &newer), State::Newer);
        let cut = Range { at: 77, bytes: damaged.bytes[..9].to_vec() };
        assert_eq!(fault.state(&original, &cut), State::Newer);
    }
}
