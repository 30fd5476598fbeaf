//! Reading the embedded staging's ledger back: its lines, and the store at one moment.

use super::super::snapshot::{BlockSum, Snapshot, Which, WriterSum, by_writer};
use super::super::{AdapterError, Fut, Row, unhex};
use super::{Kv, Message, get};
use crate::model::Key;
use hyper::Method;
use hyper::body::Bytes;
use hyper::header::HeaderMap;

/// More blocks than this are asked for as all.
const MANY: usize = 2_000;

/// A line of a dump; one that is none is a row without a name.
pub(super) fn row(line: &str) -> Row {
    parse(line).unwrap_or_else(|| Row { key: Err(line.to_owned()), attempt: 1, payload: Vec::new() })
}

/// `writer seq attempt payload-hex`; an empty payload leaves nothing after the last space.
fn parse(line: &str) -> Option<Row> {
    let mut words = line.splitn(4, ' ');
    let writer = words.next()?.parse().ok()?;
    let seq = words.next()?.parse().ok()?;
    let attempt = words.next()?.parse().ok()?;
    let payload = unhex(words.next().unwrap_or_default())?;
    Some(Row { key: Ok(Key { writer, seq }), attempt, payload })
}

/// A dump counts only when its last line was there.
pub(super) fn ended(status: u16, rows: u64, said: Option<u64>) -> Result<(), AdapterError> {
    match (status, said) {
        (200, Some(said)) if said == rows => Ok(()),
        (200, _) => Err(AdapterError::Other(format!("read back the ledger: cut off after {rows} rows"))),
        _ => Err(AdapterError::Refused(format!("read back the ledger: status {status}"))),
    }
}

/// The store as it was when its blocks were summed up; the node refuses rows when its log is another one meanwhile.
pub(super) struct Moment<'a> {
    kv: &'a Kv,
    blocks: Vec<BlockSum>,
    term: u64,
    length: u64,
}

impl<'a> Moment<'a> {
    /// None if the other side does not sum up.
    pub async fn of(kv: &'a Kv) -> Result<Option<Self>, AdapterError> {
        let (mut blocks, mut end, mut strange) = (Vec::new(), None, 0_u64);
        let status = kv
            .lines(&format!("{}/blocks", kv.path), get(), &mut |line| {
                if let Some((term, length)) = line.strip_prefix("end ").and_then(|end| end.split_once(' ')) {
                    end = term.parse().ok().zip(length.parse().ok());
                } else if let Some(block) = BlockSum::from_line(line) {
                    blocks.push(block);
                } else {
                    strange += 1;
                }
            })
            .await?;
        match (status, end) {
            (404 | 405, _) => Ok(None),
            (200, Some((term, length))) if strange == 0 => Ok(Some(Self { kv, blocks, term, length })),
            (200, _) => Err(AdapterError::Other("read back the ledger: the sums were cut off".to_owned())),
            _ => Err(AdapterError::Refused(format!("read back the ledger: status {status}"))),
        }
    }

    async fn read(&self, which: &Which, take: &mut (dyn FnMut(i64, Row) + Send)) -> Result<(), AdapterError> {
        let body = match which {
            Which::Blocks(blocks) if blocks.len() <= MANY => {
                blocks.iter().map(|(writer, block)| format!("{writer} {block}\n")).collect()
            }
            _ => "all".to_owned(),
        };
        let Self { kv, term, length, .. } = self;
        let path = format!("{}/rows?term={term}&to={length}", kv.path);
        let message = Message { method: Method::POST, headers: HeaderMap::new(), body: Bytes::from(body) };
        let (mut rows, mut said) = (0, None);
        let status = kv
            .lines(&path, message, &mut |line| {
                if let Some(count) = line.strip_prefix("end ") {
                    said = count.parse().ok();
                    return;
                }
                rows += 1;
                let (place, line) = line.split_once(' ').unwrap_or(("", line));
                let row = row(line);
                if row.key.as_ref().map_or(true, |key| which.holds(*key)) {
                    take(place.parse().unwrap_or(i64::MAX), row);
                }
            })
            .await?;
        ended(status, rows, said)
    }
}

impl Snapshot for Moment<'_> {
    fn writers(&mut self) -> Fut<'_, Result<Vec<WriterSum>, AdapterError>> {
        Box::pin(std::future::ready(Ok(by_writer(&self.blocks))))
    }

    fn blocks(&mut self) -> Fut<'_, Result<Vec<BlockSum>, AdapterError>> {
        Box::pin(std::future::ready(Ok(self.blocks.clone())))
    }

    fn rows<'a>(
        &'a mut self,
        which: &'a Which,
        row: &'a mut (dyn FnMut(i64, Row) + Send),
    ) -> Fut<'a, Result<(), AdapterError>> {
        Box::pin(self.read(which, row))
    }
}
