//! 65,536 neighbouring sequence numbers and a small code for each: runs while they are few, bit planes on disorder.
//! What a code means is not known here, only that 0 is nothing and that the smaller one stands when two meet.

/// Numbers on a page.
pub(super) const PAGE: u64 = 1 << 16;
const WORDS: usize = 1024;
/// More runs than this become planes: 3 KiB against 8 KiB a plane, and inserting in the middle stays cheap.
const MANY: usize = 512;

/// Inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    from: u16,
    to: u16,
    code: u8,
}

type Plane = Option<Box<[u64; WORDS]>>;

/// See the module. Codes are 1 to 7; a plane is there only when a code needs its bit.
#[derive(Debug, Clone)]
pub(super) enum Page {
    Runs(Vec<Run>),
    Planes([Plane; 3]),
}

impl Default for Page {
    fn default() -> Self {
        Self::Runs(Vec::new())
    }
}

impl Page {
    /// Gives `from..=to` this code where there is none, or a larger one.
    #[inline]
    pub fn put(&mut self, from: u16, to: u16, code: u8) {
        match self {
            Self::Planes(planes) if from == to => put_bit(planes, from, code),
            Self::Planes(planes) => put_planes(planes, from, to, code),
            Self::Runs(runs) => {
                insert(runs, Run { from, to, code });
                if runs.len() > MANY {
                    self.spread();
                }
            }
        }
    }

    #[cold]
    fn spread(&mut self) {
        let mut planes = [None, None, None];
        if let Self::Runs(runs) = self {
            runs.iter().for_each(|run| put_planes(&mut planes, run.from, run.to, run.code));
        }
        *self = Self::Planes(planes);
    }

    /// The code of a number; 0 for none.
    pub fn code(&self, at: u16) -> u8 {
        match self {
            Self::Runs(runs) => {
                let place = runs.partition_point(|run| run.to < at);
                runs.get(place).filter(|run| run.from <= at).map_or(0, |run| run.code)
            }
            Self::Planes(planes) => bit_code(&words(planes, usize::from(at / 64)), u32::from(at % 64)),
        }
    }

    /// Hands over all runs of equal code, ascending, with `base` added; runs that touch may have the same code.
    pub fn each(&self, base: u64, take: &mut impl FnMut(u64, u64, u8)) {
        match self {
            Self::Runs(runs) => {
                runs.iter().for_each(|run| take(base + u64::from(run.from), base + u64::from(run.to), run.code));
            }
            Self::Planes(planes) => each_plane(planes, base, take),
        }
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Runs(runs) => runs.capacity() * size_of::<Run>(),
            Self::Planes(planes) => planes.iter().flatten().count() * WORDS * 8,
        }
    }
}

/// Appends, or merges with what is there.
fn insert(runs: &mut Vec<Run>, new: Run) {
    match runs.last_mut() {
        Some(last) if last.to >= new.from => weave(runs, new),
        Some(last) if last.code == new.code && last.to + 1 == new.from => last.to = new.to,
        _ => runs.push(new),
    }
}

/// Replaces the runs that the new one meets or touches.
fn weave(runs: &mut Vec<Run>, new: Run) {
    let first = runs.partition_point(|run| u32::from(run.to) + 1 < u32::from(new.from));
    let last = runs.partition_point(|run| u32::from(run.from) <= u32::from(new.to) + 1);
    let woven = woven(&runs[first..last], new);
    runs.splice(first..last, woven);
}

fn woven(old: &[Run], new: Run) -> Vec<Run> {
    let mut out: Vec<Run> = Vec::with_capacity(old.len() + 2);
    let (start, end) = (u32::from(new.from), u32::from(new.to) + 1);
    let mut next = start;
    for run in old {
        let (from, to) = (u32::from(run.from), u32::from(run.to) + 1);
        join(&mut out, from, to.min(start), run.code);
        join(&mut out, next, from.min(end), new.code);
        join(&mut out, from.max(start), to.min(end), run.code.min(new.code));
        next = next.max(to.min(end));
        // What is left of this run may only be written when the new one is.
        if to > end {
            join(&mut out, next, end, new.code);
            next = end;
            join(&mut out, from.max(end), to, run.code);
        }
    }
    join(&mut out, next, end, new.code);
    out
}

/// Appends `from..to` if it is not empty, as a part of the last run where it can be.
fn join(out: &mut Vec<Run>, from: u32, to: u32, code: u8) {
    if from >= to {
        return;
    }
    let (from, to) = (from as u16, (to - 1) as u16);
    match out.last_mut() {
        Some(last) if last.code == code && u32::from(last.to) + 1 == u32::from(from) => last.to = to,
        _ => out.push(Run { from, to, code }),
    }
}

#[inline]
fn words([low, middle, high]: &[Plane; 3], word: usize) -> [u64; 3] {
    let of = |plane: &Plane| plane.as_ref().map_or(0, |bits| bits[word]);
    [of(low), of(middle), of(high)]
}

fn bit_code(words: &[u64; 3], bit: u32) -> u8 {
    let one = |plane: usize| ((words[plane] >> bit) & 1) as u8;
    one(0) | one(1) << 1 | one(2) << 2
}

/// One number; nearly always it has no code yet, and only bits are set.
#[inline]
fn put_bit(planes: &mut [Plane; 3], at: u16, code: u8) {
    let (word, bit) = (usize::from(at / 64), u32::from(at % 64));
    let before = words(planes, word);
    if (before[0] | before[1] | before[2]) >> bit & 1 == 0 {
        return set(planes, word, 1 << bit, code);
    }
    let old = bit_code(&before, bit);
    write(planes, word, 1 << bit, old.min(code), old | code);
}

/// Gives the masked numbers of a word, which have none, this code.
#[inline]
fn set(planes: &mut [Plane; 3], word: usize, mask: u64, code: u8) {
    for (number, plane) in planes.iter_mut().enumerate() {
        if code >> number & 1 == 1 {
            match plane {
                Some(bits) => bits[word] |= mask,
                None => begin(plane)[word] |= mask,
            }
        }
    }
}

#[cold]
fn begin(plane: &mut Plane) -> &mut [u64; WORDS] {
    plane.get_or_insert_with(|| Box::new([0; WORDS]))
}

/// Sets the masked numbers of a word to `code`; only the planes in `touched` have to be looked at.
fn write(planes: &mut [Plane; 3], word: usize, mask: u64, code: u8, touched: u8) {
    for (number, plane) in planes.iter_mut().enumerate() {
        if touched >> number & 1 == 0 {
            continue;
        }
        let bits = begin(plane);
        if code >> number & 1 == 1 {
            bits[word] |= mask;
        } else {
            bits[word] &= !mask;
        }
    }
}

fn put_planes(planes: &mut [Plane; 3], from: u16, to: u16, code: u8) {
    for word in usize::from(from / 64)..=usize::from(to / 64) {
        let low = if word == usize::from(from / 64) { from % 64 } else { 0 };
        let high = if word == usize::from(to / 64) { to % 64 } else { 63 };
        let mask = (u64::MAX << low) & (u64::MAX >> (63 - high));
        let before = words(planes, word);
        let taken = (before[0] | before[1] | before[2]) & mask;
        set(planes, word, mask & !taken, code);
        let mut left = taken;
        while left != 0 {
            put_bit(planes, (word * 64) as u16 + left.trailing_zeros() as u16, code);
            left &= left - 1;
        }
    }
}

fn each_plane(planes: &[Plane; 3], base: u64, take: &mut impl FnMut(u64, u64, u8)) {
    let (mut from, mut code) = (0_u64, 0_u8);
    for word in 0..WORDS {
        let bits = words(planes, word);
        let mut at = 0;
        while at < 64 {
            let here = bit_code(&bits, at);
            let differs = (0..3).fold(0, |differs, plane| {
                let same = if here >> plane & 1 == 1 { u64::MAX } else { 0 };
                differs | (bits[plane] ^ same)
            });
            let length = (differs >> at).trailing_zeros().min(64 - at);
            if here != code {
                let start = word as u64 * 64 + u64::from(at);
                if code != 0 {
                    take(base + from, base + start - 1, code);
                }
                (from, code) = (start, here);
            }
            at += length;
        }
    }
    if code != 0 {
        take(base + from, base + PAGE - 1, code);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn listed(page: &Page) -> Vec<u8> {
        let mut codes = vec![0; PAGE as usize];
        let mut last = None;
        page.each(0, &mut |from, to, code| {
            assert!(last.is_none_or(|last| last < from) && from <= to && code != 0);
            last = Some(to);
            codes[from as usize..=to as usize].fill(code);
        });
        codes
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn runs_and_planes_hold_what_was_put(
            puts in prop::collection::vec((0_u16..400, 0_u16..90, 1_u8..=7), 0..80), high in any::<bool>()
        ) {
            let offset = if high { u16::MAX - 488 } else { 0 };
            let mut naive = vec![0_u8; PAGE as usize];
            let (mut page, mut planes) = (Page::default(), Page::Planes([None, None, None]));
            for (from, length, code) in puts {
                let (from, to) = (from + offset, from + length + offset);
                page.put(from, to, code);
                planes.put(from, to, code);
                for old in &mut naive[usize::from(from)..=usize::from(to)] {
                    *old = if *old == 0 { code } else { code.min(*old) };
                }
            }
            prop_assert_eq!(&listed(&page), &naive);
            prop_assert_eq!(&listed(&planes), &naive);
            for at in (0..PAGE).step_by(7) {
                prop_assert_eq!(page.code(at as u16), naive[at as usize]);
                prop_assert_eq!(planes.code(at as u16), naive[at as usize]);
            }
        }
    }

    #[test]
    fn many_runs_become_planes_and_stay_small() {
        let mut page = Page::default();
        (0..=u16::MAX).step_by(2).for_each(|at| page.put(at, at, 1));
        assert_eq!(page.bytes(), WORDS * 8);
        (1..=u16::MAX).step_by(2).for_each(|at| page.put(at, at, 1));
        let mut runs = Vec::new();
        page.each(0, &mut |from, to, code| runs.push((from, to, code)));
        assert_eq!(runs, [(0, PAGE - 1, 1)]);
    }
}
