//! Reads an operations log back: the longest prefix of whole blocks that verify.

use super::codec::Codec;
use super::{BLOCK_HEAD, BLOCK_MAX, Head, MAGIC, VERSION, first_head, next_head};
use crate::event::OpsMark;
use crate::journal::JournalError;
use crate::journal::format::{Cut, Torn, hex};
use crate::model::{Ops, WorkloadName};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

/// An operations log as its file holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct OpsLog {
    /// Whose, as its header says.
    pub workload: WorkloadName,
    /// The operations, in the order in which they ended.
    pub records: Ops,
    /// The chain's head before the first block and after each, with operations and bytes so far.
    points: Vec<Point>,
    /// What of the file is not used.
    pub cut: Option<Cut>,
}

#[derive(Debug, Clone, PartialEq)]
struct Point {
    head: Head,
    operations: u64,
    bytes: u64,
}

/// How much of the log the journal vouches for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coverage {
    /// The workload stopped in order: the last mark is the whole log.
    Whole,
    /// The record ends earlier: the log may go on after the last mark, and its tail may be torn.
    SoFar,
}

/// Reads the log in a file, block by block.
///
/// # Errors
/// Only if the file cannot be read; damage is data, in [`OpsLog::cut`].
pub fn read(path: &Path) -> Result<OpsLog, JournalError> {
    let log = File::open(path).and_then(|file| parse(BufReader::with_capacity(BUFFER, file)));
    log.map_err(JournalError::io("read", path))
}

const BUFFER: usize = 1 << 18;

pub(super) fn parse(mut source: impl Read) -> std::io::Result<OpsLog> {
    let mut log = OpsLog { workload: WorkloadName(String::new()), records: Ops::new(), points: Vec::new(), cut: None };
    let mut bytes = Vec::new();
    fill(&mut source, &mut bytes, 12)?;
    let name = bytes.get(10..12).map_or(0, |n| usize::from(u16::from_le_bytes([n[0], n[1]])));
    if bytes.starts_with(MAGIC) {
        fill(&mut source, &mut bytes, 12 + name + 4)?;
    }
    match header(&bytes) {
        Err(bad) => log.cut = Some(Cut::streamed(&bytes, source, 0, bad)?),
        Ok((workload, length)) => {
            log.workload = workload;
            log.points.push(Point { head: first_head(&bytes), operations: 0, bytes: length as u64 });
            log.blocks(source, length as u64)?;
        }
    }
    Ok(log)
}

/// Reads on until `bytes` are so many, or the source ends.
fn fill(source: &mut impl Read, bytes: &mut Vec<u8>, length: usize) -> std::io::Result<()> {
    source.take(length.saturating_sub(bytes.len()) as u64).read_to_end(bytes).map(drop)
}

type Bad = (Torn, String);

fn torn() -> Bad {
    (Torn::Yes, "the last block of the operations log is torn".to_owned())
}

fn header(bytes: &[u8]) -> Result<(WorkloadName, usize), Bad> {
    let torn = || (Torn::Yes, "the header of the operations log is torn".to_owned());
    let foreign = || (Torn::No, "the file is no operations log".to_owned());
    if !bytes.starts_with(MAGIC) {
        return Err(if MAGIC.starts_with(bytes) { torn() } else { foreign() });
    }
    let number = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let version = number(8).ok_or_else(torn)?;
    if version != VERSION {
        let why = format!("the operations log has format version {version}; this program reads version {VERSION}");
        return Err((Torn::No, why));
    }
    let end = 12 + usize::from(number(10).ok_or_else(torn)?);
    let stated = bytes.get(end..end + 4).ok_or_else(torn)?;
    if crc32fast::hash(&bytes[..end]).to_le_bytes() != stated {
        return Err(foreign());
    }
    Ok((WorkloadName(String::from_utf8_lossy(&bytes[12..end]).into_owned()), end + 4))
}

impl OpsLog {
    fn blocks(&mut self, mut source: impl Read, mut offset: u64) -> std::io::Result<()> {
        let (mut codec, mut bytes) = (Codec::default(), Vec::new());
        loop {
            bytes.clear();
            fill(&mut source, &mut bytes, BLOCK_HEAD)?;
            if bytes.is_empty() {
                return Ok(());
            }
            let taken = match self.sizes(&bytes) {
                Ok((length, _)) => {
                    fill(&mut source, &mut bytes, BLOCK_HEAD + length)?;
                    self.block(&bytes, &mut codec)
                }
                Err(bad) => Err(bad),
            };
            if let Err(bad) = taken {
                self.cut = Some(Cut::streamed(&bytes, source, offset, bad)?);
                return Ok(());
            }
            offset += bytes.len() as u64;
        }
    }

    /// Length and number of operations, as a block's head says.
    fn sizes(&self, bytes: &[u8]) -> Result<(usize, usize), Bad> {
        let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let (length, count) = (word(0).ok_or_else(torn)? as usize, word(4).ok_or_else(torn)? as usize);
        if count > BLOCK_MAX || count > length || length > BLOCK_MAX * 64 {
            return Err(self.broken("has an impossible size"));
        }
        Ok((length, count))
    }

    fn broken(&self, why: &str) -> Bad {
        (Torn::No, format!("block {} of the operations log {why}", self.points.len()))
    }

    /// Takes the block that these bytes are, or leaves everything as it was.
    fn block(&mut self, bytes: &[u8], codec: &mut Codec) -> Result<(), Bad> {
        let (length, count) = self.sizes(bytes)?;
        let payload = bytes.get(BLOCK_HEAD..BLOCK_HEAD + length).ok_or_else(torn)?;
        let (sizes, last) = (&bytes[..8], self.points.last().ok_or_else(torn)?);
        let mut crc = crc32fast::Hasher::new();
        crc.update(sizes);
        crc.update(payload);
        if crc.finalize().to_le_bytes() != bytes[8..12] {
            return Err(self.broken("has a wrong checksum"));
        }
        let head = next_head(&last.head, sizes, payload);
        if head != bytes[12..BLOCK_HEAD] {
            return Err(self.broken("does not continue the block before it"));
        }
        let point = Point { head, operations: last.operations + count as u64, bytes: last.bytes + bytes.len() as u64 };
        let before = self.records.len();
        let mut left = payload;
        self.records.extend((0..count).map_while(|_| codec.take(&mut left)));
        if self.records.len() - before != count || !left.is_empty() {
            self.records.truncate(before);
            return Err(self.broken("is no block"));
        }
        self.points.push(point);
        Ok(())
    }

    /// How far the log goes, as a mark; `None` if not even its header is good.
    #[must_use]
    pub fn mark(&self) -> Option<OpsMark> {
        let Point { head, operations, bytes } = self.points.last()?;
        let (workload, blocks) = (self.workload.clone(), self.points.len() as u64 - 1);
        Some(OpsMark { workload, blocks, operations: *operations, bytes: *bytes, head: hex(head) })
    }

    /// Compares the log with what the journal says about it; each difference in plain words.
    #[must_use]
    pub fn verify(&self, workload: &WorkloadName, marks: &[&OpsMark], coverage: Coverage) -> Vec<String> {
        let mut problems = Vec::new();
        if self.points.is_empty() || self.workload != *workload {
            problems.push(format!("the operations log of `{workload}` is not its log"));
        }
        if let Some(cut) = self.cut.as_ref().filter(|cut| !(cut.torn && coverage == Coverage::SoFar)) {
            problems.push(format!("the operations log of `{workload}` is damaged: {cut}"));
        }
        if let Some(mark) = marks.iter().find(|mark| !self.passes(mark)) {
            let OpsMark { blocks, operations, .. } = mark;
            let text = "does not hold what the journal vouches for";
            problems
                .push(format!("the operations log of `{workload}` {text}: {operations} operations in {blocks} blocks"));
        }
        let last = marks.last().map_or(0, |mark| mark.blocks);
        let blocks = (self.points.len() as u64).saturating_sub(1);
        if coverage == Coverage::Whole && blocks > last {
            problems
                .push(format!("the operations log of `{workload}` goes on after its end: {blocks} blocks, not {last}"));
        }
        problems
    }

    fn passes(&self, mark: &OpsMark) -> bool {
        let point = usize::try_from(mark.blocks).ok().and_then(|blocks| self.points.get(blocks));
        point.is_some_and(|point| {
            hex(&point.head) == mark.head && point.operations == mark.operations && point.bytes == mark.bytes
        })
    }
}
