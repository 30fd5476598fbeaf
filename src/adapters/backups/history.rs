//! What a disaster at the worst moment of a history of backups would have cost. Pure.
//!
//! With an archive of WAL every stored segment is a recovery point, usable when it and all before it are stored; what is
//! written between two of them is lost with the server. The archive alone cannot tell a server that had nothing to write
//! from one that archived late, so a gap is only a bound from above; where a segment is missing it is certain, and lasts
//! until the next backup that begins after the hole.

use super::wal::Segment;
use super::{Dump, SegmentName};
use crate::model::{Exposure, Interval};
use chrono::{DateTime, Utc};

const SECOND: i64 = 1_000_000_000;

/// A backup in a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// Its name.
    pub label: String,
    /// `full`, `diff`, `incr`.
    pub kind: String,
    /// When it began and when it was complete, in seconds since 1970, by the clock of whoever took it.
    pub times: (i64, i64),
    /// The position at which replaying begins, and that from which on the copy is consistent, in bytes.
    pub positions: (u64, u64),
    /// The segment at which replaying begins.
    pub from: SegmentName,
    /// Bytes of the database.
    pub size: u64,
    /// Did it find pages with wrong checksums?
    pub broken: bool,
}

/// Between two recovery points.
struct Gap {
    /// Seconds.
    length: i64,
    /// Is it known that something written in it would be lost?
    certain: Certain,
}

#[derive(PartialEq, Eq)]
enum Certain {
    Yes,
    No,
}

/// The exposure of backups with an archive, over all of their history. `size` is that of a segment in bytes.
///
/// # Errors
/// Why nobody can say.
pub fn exposure(backups: &[Backup], segments: &[Segment], size: u64) -> Result<Exposure, String> {
    let sound: Vec<&Backup> = backups.iter().filter(|backup| !backup.broken).collect();
    let first = sound.iter().min_by_key(|backup| backup.times.1).ok_or("there is no backup that could be restored")?;
    let mut kept: Vec<&Segment> = segments.iter().filter(|s| s.name >= first.from).collect();
    kept.sort_unstable();
    let Some(begin) = kept.first() else { return Err("nothing is archived after the oldest backup".to_owned()) };
    if begin.name != first.from {
        return Err(format!("the segment at which the backup {} begins is not archived", first.label));
    }
    let (mut usable, mut gaps, mut holes) = (first.times.1.max(begin.stored), Vec::new(), 0_u64);
    for pair in kept.windows(2) {
        let [before, next] = pair else { continue };
        if follows(before.name, next.name, size) {
            let then = usable.max(next.stored);
            gaps.push(Gap { length: then - usable, certain: Certain::No });
            usable = then;
            continue;
        }
        holes += 1;
        // A backup that begins after the hole needs nothing of what is missing.
        let after = sound.iter().filter(|b| b.from >= next.name).map(|b| b.times.1).min();
        let newest = kept.iter().map(|segment| segment.stored).max().unwrap_or(usable);
        let then = usable.max(after.unwrap_or(newest));
        gaps.push(Gap { length: then - usable, certain: Certain::Yes });
        if after.is_none() {
            break;
        }
        usable = then;
    }
    Ok(Exposure {
        worst: worst(&gaps),
        points: kept.len() as u64 + sound.len() as u64,
        holes,
        from: when(first.times.1)?,
        to: when(usable)?,
    })
}

/// Is there nothing between them? A new timeline begins in the segment in which the old one ended, or after it.
fn follows(before: SegmentName, next: SegmentName, size: u64) -> bool {
    let (last, number) = (before.number(size), next.number(size));
    if before.timeline == next.timeline { number == last + 1 } else { number <= last + 1 }
}

/// Both ends of a gap are known to the second.
fn worst(gaps: &[Gap]) -> Interval {
    let certain = gaps.iter().filter(|gap| gap.certain == Certain::Yes).map(|gap| gap.length).max().unwrap_or(0);
    let longest = gaps.iter().map(|gap| gap.length).max().unwrap_or(0);
    let (low, high) = ((certain - 1).max(0) * SECOND, (longest + 1) * SECOND);
    Interval { low, best: longest.max(0) * SECOND, high }
}

fn when(seconds: i64) -> Result<DateTime<Utc>, String> {
    DateTime::from_timestamp(seconds, 0).ok_or_else(|| format!("{seconds} is no time"))
}

/// The exposure of dumps: right before one is complete, the one before it is all there is, and that one holds what was there
/// when it began.
///
/// # Errors
/// Why nobody can say.
pub fn exposure_of_dumps(dumps: &[Dump]) -> Result<Exposure, String> {
    let mut dumps: Vec<&Dump> = dumps.iter().collect();
    dumps.sort_by_key(|dump| dump.complete);
    let (Some(first), Some(last)) = (dumps.first(), dumps.last()) else {
        return Err("there is no dump that could be restored".to_owned());
    };
    if dumps.len() < 2 {
        return Err("there is one dump only: how far dumps lie apart cannot be said".to_owned());
    }
    let gap = |pair: &[&Dump]| pair[1].complete - pair[0].began;
    let longest = dumps.windows(2).map(gap).max().unwrap_or(0).max(0);
    let worst = Interval { low: (longest - 1).max(0) * SECOND, best: longest * SECOND, high: (longest + 1) * SECOND };
    let (from, to) = (when(first.began)?, when(last.began)?);
    Ok(Exposure { worst, points: dumps.len() as u64, holes: 0, from, to })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(timeline: u32, segment: u32, stored: i64) -> Segment {
        Segment { name: SegmentName { timeline, log: 0, segment }, stored }
    }

    fn backup(from: u32, times: (i64, i64)) -> Backup {
        let from = SegmentName { timeline: 1, log: 0, segment: from };
        let (label, kind) = ("a".to_owned(), "full".to_owned());
        Backup { label, kind, times, positions: (0, 0), from, size: 1, broken: false }
    }

    fn seconds(exposure: &Exposure) -> (i64, i64, u64) {
        (exposure.worst.low / SECOND, exposure.worst.high / SECOND, exposure.holes)
    }

    #[test]
    fn the_largest_gap_is_a_bound_from_above() {
        let all = [segment(1, 1, 100), segment(1, 2, 103), segment(1, 4, 110), segment(1, 3, 112), segment(2, 4, 113)];
        let found = exposure(&[backup(1, (90, 101))], &all, 1 << 24).unwrap();
        // Segment 4 was stored before 3, and is of no use until that is there.
        assert_eq!((seconds(&found), found.points), ((0, 10, 0), 6));
        assert_eq!((found.from.timestamp(), found.to.timestamp()), (101, 113));
    }

    #[test]
    fn a_missing_segment_lasts_until_the_next_backup_after_it() {
        let all = [segment(1, 1, 100), segment(1, 2, 103), segment(1, 4, 110), segment(1, 5, 200), segment(1, 6, 203)];
        let found = exposure(&[backup(1, (90, 101)), backup(5, (195, 204))], &all, 1 << 24).unwrap();
        assert_eq!(seconds(&found), (100, 102, 1));
        // Without one, nothing that was stored after the hole is a recovery point.
        let never = exposure(&[backup(1, (90, 101))], &all, 1 << 24).unwrap();
        assert_eq!((seconds(&never), never.to.timestamp()), ((99, 101, 1), 103));
    }

    #[test]
    fn what_cannot_be_restored_has_no_exposure() {
        let broken = Backup { broken: true, ..backup(1, (90, 101)) };
        assert!(exposure(&[broken], &[segment(1, 1, 100)], 1 << 24).is_err());
        assert!(exposure(&[backup(1, (90, 101))], &[segment(1, 2, 100)], 1 << 24).is_err());
        assert!(exposure(&[backup(1, (90, 101))], &[], 1 << 24).is_err());
    }

    #[test]
    fn a_dump_holds_what_was_there_when_it_began() {
        let dump = |began, complete| Dump { began, complete, path: String::new() };
        let found = exposure_of_dumps(&[dump(1000, 1100), dump(0, 50), dump(2000, 2500)]).unwrap();
        assert_eq!(seconds(&found), (1499, 1501, 0));
        assert!(exposure_of_dumps(&[dump(0, 50)]).is_err());
    }
}
