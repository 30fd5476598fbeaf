//! Chunks of bytes on their way, and the memory they are read into: an idle connection holds none, and each thread
//! keeps a few empty buffers for the next one that reads.

use crate::model::Mono;
use std::cell::RefCell;
use std::collections::VecDeque;

/// What is read at once: large enough that a bulk stream costs few system calls, small enough for a core's cache.
pub(super) const BUFFER: usize = 128 * 1024;
/// Empty buffers that a thread keeps.
const KEPT: usize = 16;

thread_local! {
    static EMPTY: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer; its length is [`BUFFER`].
pub(super) fn take() -> Vec<u8> {
    EMPTY.with_borrow_mut(Vec::pop).unwrap_or_else(|| vec![0; BUFFER])
}

/// Gives a buffer back.
pub(super) fn give(buffer: Vec<u8>) {
    EMPTY.with_borrow_mut(|kept| {
        if kept.len() < KEPT && buffer.len() == BUFFER {
            kept.push(buffer);
        }
    });
}

/// Bytes on their way: `bytes[from..to]`, not before `due`.
pub(super) struct Chunk {
    pub bytes: Vec<u8>,
    pub from: usize,
    pub to: usize,
    pub due: Mono,
    /// It has waited for its turn on the lines up to here.
    pub paid: usize,
}

/// Chunks in the order they came.
#[derive(Default)]
pub(super) struct Queue {
    chunks: VecDeque<Chunk>,
    held: usize,
}

impl Queue {
    pub fn push(&mut self, chunk: Chunk) {
        self.held += chunk.bytes.len();
        self.chunks.push_back(chunk);
    }

    pub fn front(&mut self) -> Option<&mut Chunk> {
        self.chunks.front_mut()
    }

    /// Takes the first one out and keeps its memory for others.
    pub fn pop(&mut self) {
        if let Some(chunk) = self.chunks.pop_front() {
            self.held -= chunk.bytes.len();
            give(chunk.bytes);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    pub fn count(&self) -> usize {
        self.chunks.len()
    }

    /// Bytes of memory.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Nothing waits for its time any more.
    pub fn hurry(&mut self, now: Mono) {
        for chunk in &mut self.chunks {
            chunk.due = chunk.due.min(now);
        }
    }
}
