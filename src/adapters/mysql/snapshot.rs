//! The ledger's table at one moment: one read-only transaction, in which the server sums rows up by itself.
//!
//! A block's sum covers numbers and payloads, its order hash the order of `pos`; both are the beginning of a SHA-256, the one
//! hash that every server of this kind has. A list of numbers that the server cut off could only make a block look
//! disordered, and then its rows are read.

use super::server::{number, text};
use super::table::{STALL, Table};
use crate::adapters::row_hash::{BlockHash, Hashing};
use crate::adapters::snapshot::{BlockSum, Snapshot, Which, WriterSum};
use crate::adapters::{AdapterError, Fut, Row};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use std::collections::BTreeMap;
use std::time::Duration;

/// Summing up says nothing until it is done; whoever asks has a limit of his own.
const SUMS: Duration = Duration::from_secs(900);

/// The second is for lists of a block's numbers: 4,096 of them, and more if there are duplicates.
const BEGIN: &[&str] = &[
    "set session transaction isolation level repeatable read",
    "set session group_concat_max_len = 16777216",
    "start transaction with consistent snapshot, read only",
];

/// A number's place in its block, and its block; both are right for numbers below zero too, which are nobody's.
const PLACE: &str = "cast(seq & 4095 as signed)";
const BLOCK: &str = "((seq - cast(seq & 4095 as signed)) div 4096)";

/// See the module. Dropping it closes the connection, and with it the transaction.
pub(super) struct Moment<'a> {
    table: &'a Table,
    conn: Conn,
}

impl<'a> Moment<'a> {
    /// None if the server does not hash as we do.
    pub(super) async fn of(table: &'a Table) -> Result<Option<Self>, AdapterError> {
        let mut conn = table.session().await?;
        if !hashes_alike(&mut conn).await {
            return Ok(None);
        }
        for statement in BEGIN {
            table.within("opening a snapshot of", conn.query_drop(*statement)).await?;
        }
        Ok(Some(Self { table, conn }))
    }

    /// The rows of a query about the run, read one by one.
    async fn ask<T>(
        &mut self,
        doing: &str,
        query: &str,
        read: impl Fn(&mysql_async::Row) -> Option<T>,
    ) -> Result<Vec<T>, AdapterError> {
        let table = self.table;
        let rows = self.conn.exec::<mysql_async::Row, _, _>(query, (table.run.as_str(),));
        let rows = table.within_limit(SUMS, doing, rows).await?;
        let label = &table.server.label;
        let broken = || AdapterError::Other(format!("{label}: {doing} the ledger's table: an answer cannot be read"));
        rows.iter().map(read).collect::<Option<_>>().ok_or_else(broken)
    }

    async fn count(&mut self) -> Result<Vec<WriterSum>, AdapterError> {
        let name = &self.table.name;
        let query = format!("select writer, count(*), max(seq) from {name} where run = ? group by writer");
        let sum = |row: &mysql_async::Row| {
            Some(WriterSum { writer: number(row, 0)?, count: number(row, 1)?, max: number(row, 2)? })
        };
        self.ask("counting", &query, sum).await
    }

    async fn sum(&mut self) -> Result<Vec<BlockSum>, AdapterError> {
        let row = hash("concat(seq, ':', payload)");
        let order = hash(&format!("group_concat({PLACE} order by pos separator ',')"));
        let query = format!(
            "select writer, {BLOCK} as block, count(*), min(seq), max(seq), cast(sum({row}) as char), {order},
                    min(pos), max(pos)
             from {} where run = ? group by writer, block",
            self.table.name
        );
        self.ask("summing up", &query, block).await
    }

    async fn read(&mut self, which: &Which, take: &mut (dyn FnMut(i64, Row) + Send)) -> Result<(), AdapterError> {
        let table = self.table;
        let bound = match which {
            Which::All => String::new(),
            Which::Blocks(blocks) => format!(" and ({})", among(blocks)),
        };
        let name = &table.name;
        let query = format!("select writer, seq, attempt, payload, pos from {name} where run = ?{bound} order by pos");
        let rows = self.conn.exec_iter(query, (table.run.as_str(),));
        let mut rows = table.within_limit(SUMS, "reading", rows).await?;
        // The first row comes when all are sorted.
        let mut limit = SUMS;
        while let Some(found) = table.within_limit(limit, "reading", rows.next()).await? {
            let place = number(&found, 4).unwrap_or(i64::MAX);
            take(place, table.decode(&found)?);
            limit = STALL;
        }
        Ok(())
    }
}

/// Rows of these blocks and no others.
fn among(blocks: &[(i32, i64)]) -> String {
    let mut writers: BTreeMap<i32, Vec<String>> = BTreeMap::new();
    for (writer, block) in blocks {
        writers.entry(*writer).or_default().push(block.to_string());
    }
    let each =
        |(writer, blocks): (i32, Vec<String>)| format!("(writer = {writer} and {BLOCK} in ({}))", blocks.join(", "));
    if writers.is_empty() {
        return "false".to_owned();
    }
    writers.into_iter().map(each).collect::<Vec<_>>().join(" or ")
}

/// The first 64 bits of a text's SHA-256, as a number.
fn hash(of: &str) -> String {
    format!("cast(conv(left(sha2({of}, 256), 16), 16, 10) as unsigned)")
}

/// Does the server compute the hashes that we expect?
async fn hashes_alike(conn: &mut Conn) -> bool {
    const BYTES: &[u8] = &[0, 1, 0x7f, 0x80, 0xff, b'\'', b'\\', 0];
    let seq = 1_u64 << 40 | 4095;
    let hex: String = BYTES.iter().map(|byte| format!("{byte:02x}")).collect();
    let (row, order) = (hash(&format!("concat({seq}, ':', x'{hex}')")), hash("'4095,7'"));
    let Ok(Some(found)) = conn.query_first::<mysql_async::Row, _>(format!("select {row}, {order}")).await else {
        return false;
    };
    let (mut one, mut two) = (BlockHash::of(Hashing::Sha256), BlockHash::of(Hashing::Sha256));
    one.push(seq, BYTES);
    two.push(4095, BYTES);
    two.push(7, BYTES);
    let of = |at| text(&found, at).and_then(|digits| digits.parse::<u64>().ok());
    (of(0), of(1)) == (Some(one.finish().0), Some(two.finish().1))
}

fn block(row: &mysql_async::Row) -> Option<BlockSum> {
    // The server adds without overflow; we keep the lowest 64 bits.
    let sum: u128 = number(row, 5)?;
    Some(BlockSum {
        writer: number(row, 0)?,
        block: number(row, 1)?,
        count: number(row, 2)?,
        min: number(row, 3)?,
        max: number(row, 4)?,
        sum: sum as u64,
        order: number(row, 6)?,
        first: number(row, 7)?,
        last: number(row, 8)?,
    })
}

impl Snapshot for Moment<'_> {
    fn hashing(&self) -> Hashing {
        Hashing::Sha256
    }

    fn writers(&mut self) -> Fut<'_, Result<Vec<WriterSum>, AdapterError>> {
        Box::pin(self.count())
    }

    fn blocks(&mut self) -> Fut<'_, Result<Vec<BlockSum>, AdapterError>> {
        Box::pin(self.sum())
    }

    fn rows<'a>(
        &'a mut self,
        which: &'a Which,
        row: &'a mut (dyn FnMut(i64, Row) + Send),
    ) -> Fut<'a, Result<(), AdapterError>> {
        Box::pin(self.read(which, row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_named_by_writer() {
        let found = among(&[(0, 1), (0, 7), (3, -1)]);
        assert_eq!(found.matches("writer = ").count(), 2);
        assert!(found.contains("in (1, 7)") && found.contains("writer = 3") && found.ends_with("in (-1))"), "{found}");
        assert_eq!(among(&[]), "false");
    }
}
