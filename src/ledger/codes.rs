//! A small code for every sequence number of one writer. The run at the end is kept apart, so that what comes in order
//! touches no page.

use super::page::{PAGE, Page};
use super::table::Table;

/// See the module.
#[derive(Debug, Clone, Default)]
pub(super) struct Codes {
    pages: Table<Page>,
    /// The run that grows: `from..=to` with `code`; none while the code is 0.
    from: u64,
    to: u64,
    code: u8,
}

impl Codes {
    /// Gives a number this code, if it has none or a larger one.
    #[inline]
    pub fn put(&mut self, seq: u64, code: u8) {
        if code == self.code && seq == self.to.wrapping_add(1) && seq != 0 {
            self.to = seq;
            return;
        }
        self.close();
        (self.from, self.to, self.code) = (seq, seq, code);
    }

    /// Gives a whole run this code.
    pub fn put_run(&mut self, from: u64, to: u64, code: u8) {
        self.close();
        (self.from, self.to, self.code) = (from, to, code);
    }

    /// Writes the growing run into the pages.
    #[inline]
    pub fn close(&mut self) {
        if self.code == 0 {
            return;
        }
        let (first, last) = (self.from / PAGE, self.to / PAGE);
        if first == last {
            self.pages.at(first).put((self.from % PAGE) as u16, (self.to % PAGE) as u16, self.code);
        } else {
            self.close_long(first, last);
        }
        self.code = 0;
    }

    /// The same for a run that goes on over several pages.
    #[cold]
    fn close_long(&mut self, first: u64, last: u64) {
        for page in first..=last {
            let from = if page == first { (self.from % PAGE) as u16 } else { 0 };
            let to = if page == last { (self.to % PAGE) as u16 } else { u16::MAX };
            self.pages.at(page).put(from, to, self.code);
        }
    }

    /// The code of a number; 0 for none.
    pub fn code(&self, seq: u64) -> u8 {
        let written = self.pages.get(seq / PAGE).map_or(0, |page| page.code((seq % PAGE) as u16));
        let grows = self.code != 0 && (self.from..=self.to).contains(&seq);
        match (grows, written) {
            (false, written) => written,
            (true, 0) => self.code,
            (true, written) => written.min(self.code),
        }
    }

    /// Hands over the maximal runs of equal code, ascending. The growing run must have been closed.
    pub fn each(&self, take: &mut impl FnMut(u64, u64, u8)) {
        debug_assert_eq!(self.code, 0, "close first");
        let mut held: Option<(u64, u64, u8)> = None;
        for (number, page) in self.pages.iter() {
            page.each(number * PAGE, &mut |from, to, code| match &mut held {
                Some((_, end, same)) if *same == code && *end + 1 == from => *end = to,
                _ => {
                    if let Some((from, to, code)) = held.replace((from, to, code)) {
                        take(from, to, code);
                    }
                }
            });
        }
        if let Some((from, to, code)) = held {
            take(from, to, code);
        }
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        self.pages.bytes() + self.pages.iter().map(|(_, page)| page.bytes()).sum::<usize>()
    }
}
