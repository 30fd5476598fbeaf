//! The operations log of a workload, `ops/NAME.ops`: every operation, compact and crash-safe.
//! `codec` turns operations into bytes, `writer` appends blocks from a thread of its own, `reader` gives back the
//! longest prefix that verifies. The format is described in `docs/journal.md`.

mod codec;
mod reader;
mod writer;

pub use reader::{Coverage, OpsLog, read};
pub use writer::OpsWriter;

use crate::model::WorkloadName;
use sha2::{Digest, Sha256};

/// The version that is written. Only this one is read.
pub const VERSION: u16 = 1;

const MAGIC: &[u8; 8] = b"bstk-ops";
/// Length, count and checksum, then the chain's head.
const BLOCK_HEAD: usize = 12 + 32;
/// A block never holds more operations than this; the flush interval keeps it far below.
const BLOCK_MAX: usize = 1 << 16;

type Head = [u8; 32];

/// The log's file, relative to the run's folder.
#[must_use]
pub fn file_name(workload: &WorkloadName) -> String {
    format!("ops/{workload}.ops")
}

/// Magic, version, length of the name, name, checksum of all that.
fn header(workload: &WorkloadName) -> Vec<u8> {
    let name = workload.as_str().as_bytes();
    let length = u16::try_from(name.len()).unwrap_or(u16::MAX);
    let mut bytes = MAGIC.to_vec();
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(length.to_le_bytes());
    bytes.extend(&name[..usize::from(length)]);
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

/// The chain starts with the header and goes on with each block's length, count and payload.
fn first_head(header: &[u8]) -> Head {
    Sha256::digest(header).into()
}

fn next_head(head: &Head, sizes: &[u8], payload: &[u8]) -> Head {
    Sha256::new().chain_update(head).chain_update(sizes).chain_update(payload).finalize().into()
}

#[cfg(test)]
mod tests;
