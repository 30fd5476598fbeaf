//! What a store must hold if nothing went wrong, in blocks of 4,096 numbers, so that a read-back can ask for sums and
//! fetch only the rows of blocks that differ.

use super::{Ledger, Told};

/// Sequence numbers in a block of the read-back.
pub const BLOCK: u64 = 4096;

/// A block in which something was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// The writer.
    pub writer: u16,
    /// The first sequence number divided by [`BLOCK`].
    pub block: u64,
    /// Acknowledged numbers as inclusive runs: exactly these must be there.
    pub acked: Vec<(u64, u64)>,
    /// Is there a write whose outcome nobody knows? Then sums decide nothing.
    pub in_doubt: bool,
}

impl Expected {
    /// How many rows.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.acked.iter().map(|(from, to)| to - from + 1).sum()
    }
}

impl Ledger {
    /// All blocks, ascending by writer and block.
    #[must_use]
    pub fn expected(&mut self) -> Vec<Expected> {
        let mut blocks: Vec<Expected> = Vec::new();
        for (id, writer) in (0..=u16::MAX).zip(&mut self.writers) {
            writer.told.close();
            writer.told.each(&mut |from, to, code| {
                for block in from / BLOCK..=to / BLOCK {
                    if blocks.last().is_none_or(|last| (last.writer, last.block) != (id, block)) {
                        blocks.push(Expected { writer: id, block, acked: Vec::new(), in_doubt: false });
                    }
                    let Some(last) = blocks.last_mut() else { continue };
                    let first = block * BLOCK;
                    match Told::from_code(code) {
                        Some(Told::Acked | Told::Local) => {
                            join(&mut last.acked, from.max(first), to.min(first + BLOCK - 1))
                        }
                        Some(Told::Unknown) => last.in_doubt = true,
                        _ => {}
                    }
                }
            });
        }
        blocks
    }
}

/// Two kinds of acknowledgement side by side are one run.
fn join(runs: &mut Vec<(u64, u64)>, from: u64, to: u64) {
    match runs.last_mut() {
        Some(last) if last.1 + 1 == from => last.1 = to,
        _ => runs.push((from, to)),
    }
}
