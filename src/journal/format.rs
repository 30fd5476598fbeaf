//! Versions 1 to 3 of `journal.jsonl`: one JSON object a line, each with the digest of the line before it.
//! Written by `writer`, read by `reader`; described for people in `docs/journal.md`.

use crate::event::{Event, What};
use crate::model::Stamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::io::{ErrorKind, Read};

/// The newest version. A reader that meets a later one stops there and says so.
pub const VERSION: u32 = 3;

/// A line says the lowest version that knows its event, so that an older reader reads what it can and stops where it must.
fn version_of(what: &What) -> u32 {
    match what {
        What::Fingerprint(_)
        | What::Restored(_)
        | What::Sites(_)
        | What::VantageStalled { .. }
        | What::VantageLost { .. } => 2,
        // Who does not know of its clock would take what a vantage measured for exact.
        What::VantagePlaced(_) | What::VantageClock { .. } => VERSION,
        // Who does not know of the chain would take the run for one that stands alone.
        What::RunStarted(start) if start.lineage.is_some() => VERSION,
        // Who knows neither vantages nor sites would take one service, or one ledger, for several.
        What::RunStarted(start) if start.workloads.iter().any(|seal| *seal.whole() != seal.name) => 2,
        _ => 1,
    }
}

/// The journal's name in a run's folder.
pub const FILE: &str = "journal.jsonl";

/// `prev` of the first line.
pub(super) const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

#[derive(Serialize)]
struct LineOut<'a> {
    v: u32,
    seq: u64,
    prev: &'a str,
    at: &'a Stamp,
    what: &'a What,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LineIn {
    v: u32,
    seq: u64,
    prev: String,
    at: Stamp,
    what: What,
}

#[derive(Deserialize)]
struct VersionOnly {
    v: u32,
}

/// What was cut off a file, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Length of what is good.
    pub offset: u64,
    /// Length of what was cut off.
    pub bytes: u64,
    /// SHA-256 of what was cut off, hex.
    pub digest: String,
    /// True for a half-written end, as a crash leaves it; false for something that does not belong there.
    pub torn: bool,
    /// Why.
    pub why: String,
}

impl Cut {
    pub(super) fn new(rest: &[u8], offset: usize, torn: Torn, why: impl Into<String>) -> Self {
        Self {
            offset: offset as u64,
            bytes: rest.len() as u64,
            digest: digest(rest),
            torn: torn == Torn::Yes,
            why: why.into(),
        }
    }

    /// Cuts off what a file holds from `offset` on: what of it was read already, and all that is still to come.
    pub(super) fn streamed(
        read: &[u8],
        mut rest: impl Read,
        offset: u64,
        (torn, why): (Torn, String),
    ) -> std::io::Result<Self> {
        let (mut digest, mut bytes) = (Sha256::new_with_prefix(read), read.len() as u64);
        let mut buffer = vec![0; 1 << 16];
        loop {
            match rest.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => {
                    digest.update(&buffer[..length]);
                    bytes += length as u64;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self { offset, bytes, digest: hex(&digest.finalize()), torn: torn == Torn::Yes, why })
    }
}

/// Is it a half-written end?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Torn {
    Yes,
    No,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset, bytes, digest, why, .. } = self;
        write!(f, "{why}; {bytes} bytes from offset {offset} on are not used (SHA-256 {digest})")
    }
}

/// SHA-256 of some bytes, hex.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// An event as a line, its line break included.
pub(super) fn encode(seq: u64, prev: &str, event: &Event) -> Result<Vec<u8>, serde_json::Error> {
    let mut line =
        serde_json::to_vec(&LineOut { v: version_of(&event.what), seq, prev, at: &event.at, what: &event.what })?;
    line.push(b'\n');
    Ok(line)
}

/// The event of a line (its line break included or not), if it is the one that is expected here.
pub(super) fn decode(line: &[u8], seq: u64, prev: &str) -> Result<Event, String> {
    let parsed: LineIn = serde_json::from_slice(line).map_err(|error| unreadable(line, seq, &error))?;
    if !(1..=VERSION).contains(&parsed.v) {
        return Err(newer(seq, parsed.v));
    }
    if parsed.seq != seq {
        return Err(format!("line {} should have seq {seq} and has {}", seq + 1, parsed.seq));
    }
    if parsed.prev != prev {
        return Err(format!("line {} does not continue the line before it: its `prev` is another digest", seq + 1));
    }
    Ok(Event { at: parsed.at, what: parsed.what })
}

fn unreadable(line: &[u8], seq: u64, error: &serde_json::Error) -> String {
    match serde_json::from_slice::<VersionOnly>(line) {
        Ok(VersionOnly { v }) if !(1..=VERSION).contains(&v) => newer(seq, v),
        _ => format!("line {} is no event: {error}", seq + 1),
    }
}

fn newer(seq: u64, v: u32) -> String {
    format!("line {} has format version {v}; this program reads versions up to {VERSION}", seq + 1)
}
