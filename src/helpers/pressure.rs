//! Pressure on a machine: workers that keep cores busy, memory that is held. Each ends by itself at its limit, and on
//! SIGTERM at once, without any handler.

use super::Ready;
use crate::adapters::pressure::{CpuLoad, HeldMemory};
use crate::adapters::usage;
use crate::clock::Clock;
use crate::model::Mono;
use std::hint::black_box;
use std::time::Duration;

/// A worker is busy for its share of each of these.
const SLICE: Duration = Duration::from_millis(10);
/// Between two looks at the clock while busy: some microseconds.
const SPINS: u32 = 2000;
const CHUNK: usize = 16 << 20;
const PAGE: usize = 4096;
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Keeps cores busy.
pub(super) fn cpu(parameters: &str, ready: Ready<'_>) -> Result<(), String> {
    let load: CpuLoad = serde_json::from_str(parameters).map_err(|e| e.to_string())?;
    let clock = Clock::System;
    let until = clock.mono().after(load.limit.0);
    let busy = SLICE.mul_f64(load.share.clamp(0.0, 1.0));
    let workers: Vec<_> = (0..load.workers).map(|_| std::thread::spawn(move || work(busy, until))).collect();
    ready("busy");
    for worker in workers {
        worker.join().map_err(|_| "a worker died".to_owned())?;
    }
    Ok(())
}

fn work(busy: Duration, until: Mono) {
    let clock = Clock::System;
    let mut slice = clock.mono();
    while slice < until {
        let rest = slice.after(busy);
        while clock.mono() < rest {
            (0..SPINS).for_each(|n| _ = black_box(n));
        }
        // One that did not get its core goes on from now: it must not make up for it.
        slice = slice.after(SLICE).max(clock.mono());
        if busy < SLICE {
            clock.block_until(slice);
        }
    }
}

/// Holds memory, and lets it go when others need it.
pub(super) fn memory(parameters: &str, ready: Ready<'_>) -> Result<(), String> {
    let held: HeldMemory = serde_json::from_str(parameters).map_err(|e| e.to_string())?;
    let text = |error: crate::adapters::AdapterError| error.to_string();
    usage::be_killed_first().map_err(text)?;
    let clock = Clock::System;
    let until = clock.mono().after(held.limit.0);
    let mut chunks: Vec<Vec<u8>> = Vec::new();
    let mut left = usize::try_from(held.bytes).map_err(|e| e.to_string())?;
    while left > 0 {
        let next = left.min(CHUNK);
        let available = usage::memory().map_err(text)?.available;
        if available < held.reserve.saturating_add(next as u64) {
            return Err(format!("only {} MiB are left by now, too little to go on", available >> 20));
        }
        chunks.push(filled(next, chunks.len()));
        left -= next;
    }
    ready("held");
    while clock.mono() < until {
        if usage::memory().map_err(text)?.available < held.reserve / 2 {
            return Err("others need the memory: it was let go".to_owned());
        }
        clock.block_until(clock.mono().after(LOOK_EVERY));
    }
    drop(black_box(chunks));
    Ok(())
}

/// Bytes whose every page is different, so that none can be shared or thrown away.
fn filled(length: usize, number: usize) -> Vec<u8> {
    let mut bytes = vec![1_u8; length];
    for (at, page) in bytes.chunks_mut(PAGE).enumerate() {
        let mark = (number * CHUNK / PAGE + at).to_le_bytes();
        let most = mark.len().min(page.len());
        page[..most].copy_from_slice(&mark[..most]);
    }
    black_box(bytes)
}
