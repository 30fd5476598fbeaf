//! Names of archived WAL segments, and their order. Pure. A name is 24 hexadecimal digits: timeline, log, segment of the
//! log (PostgreSQL documentation, "WAL Internals").

/// A segment in an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Segment {
    /// Which.
    pub name: SegmentName,
    /// When it was stored, in seconds since 1970.
    pub stored: i64,
}

/// The name of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentName {
    /// The timeline.
    pub timeline: u32,
    /// The upper half of the positions in it.
    pub log: u32,
    /// The segment of that log.
    pub segment: u32,
}

impl SegmentName {
    /// The name at the beginning of a text; none if it is no segment's (a history, a partial one).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (name, rest) = text.split_at_checked(24)?;
        let plain = rest.is_empty() || rest.starts_with('-');
        let digits = name.bytes().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b));
        let part = |at: usize| u32::from_str_radix(&name[at..at + 8], 16).ok();
        (plain && digits).then_some(())?;
        Some(Self { timeline: part(0)?, log: part(8)?, segment: part(16)? })
    }

    /// Its number since the beginning of the cluster's log.
    #[must_use]
    pub fn number(self, size: u64) -> u64 {
        u64::from(self.log) * ((1 << 32) / size.max(1)) + u64::from(self.segment)
    }
}

/// A position as `0/1300028`, in bytes.
#[must_use]
pub(super) fn position(text: &str) -> Option<u64> {
    let (high, low) = text.trim().split_once('/')?;
    let part = |text: &str| u32::from_str_radix(text, 16).ok();
    Some(u64::from(part(high)?) << 32 | u64::from(part(low)?))
}

/// The size of segments that fits positions and the segments that they lie in: a power of two from 1 MB to 1 GB. None if
/// none fits, or several do and it matters.
#[must_use]
pub fn segment_size(known: &[(u64, SegmentName)]) -> Option<u64> {
    let fits = |size: &u64| {
        known.iter().all(|(at, name)| {
            at >> 32 == u64::from(name.log) && (at & u64::from(u32::MAX)) / size == u64::from(name.segment)
        })
    };
    let mut sizes = (20..=30).map(|bits| 1_u64 << bits).filter(fits);
    let first = sizes.next()?;
    sizes.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_segments_have_names() {
        let name = SegmentName::parse("00000002000000010000001F-5aa225f063e5895e369974a9254c48bf009ab7b3.lz4").unwrap();
        assert_eq!(name, SegmentName { timeline: 2, log: 1, segment: 0x1F });
        assert_eq!(name.number(1 << 24), 256 + 0x1F);
        for other in ["00000002.history", "00000002000000010000001F.partial", "00000002000000010000001f", "0000", ""] {
            assert_eq!(SegmentName::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_size_is_said_only_when_it_is_certain() {
        let at = |at: &str, name: &str| (position(at).unwrap(), SegmentName::parse(name).unwrap());
        let one = at("0/1300028", "000000010000000000000013");
        assert_eq!(segment_size(&[one]), Some(1 << 20));
        assert_eq!(segment_size(&[at("0/5000028", "000000010000000000000005")]), Some(1 << 24));
        assert_eq!(segment_size(&[at("1/28", "000000010000000100000000")]), None, "any size fits");
        assert_eq!(segment_size(&[one, at("0/5000028", "000000010000000000000005")]), None, "none fits both");
        assert_eq!((position("0/x"), position("0"), position("1/0")), (None, None, Some(1 << 32)));
    }
}
