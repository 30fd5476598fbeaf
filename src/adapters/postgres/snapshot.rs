//! The ledger's table at one moment: one read-only transaction, in which the server sums rows up by itself.
//!
//! A block's sum covers numbers and payloads, its order hash the order of `pos`: rows are taken in that order, each block's
//! numbers are gathered, and the array is hashed. A plan that took them otherwise could only make a block look disordered,
//! and then its rows are read.

use super::server::Session;
use super::table::{STALL, Table, decode};
use crate::adapters::snapshot::{BlockSum, Snapshot, Which, WriterSum};
use crate::adapters::{AdapterError, Fut, Row, row_hash};
use futures_util::{TryStreamExt, pin_mut};
use std::time::Duration;
use tokio_postgres::types::ToSql;

/// Summing up says nothing until it is done; whoever asks has a limit of his own.
const SUMS: Duration = Duration::from_secs(900);

/// See the module. Dropping it closes the connection, and with it the transaction.
pub(super) struct Moment<'a> {
    table: &'a Table,
    session: Session,
}

impl<'a> Moment<'a> {
    /// None if the server does not hash as we do: one that is too old, or of the other byte order.
    pub(super) async fn of(table: &'a Table) -> Result<Option<Self>, AdapterError> {
        let session = table.server.connect(STALL).await?;
        if !hashes_alike(&session).await {
            return Ok(None);
        }
        let begin = "begin transaction isolation level repeatable read, read only;
                     set local max_parallel_workers_per_gather = 0; set local jit = off";
        table.within("opening a snapshot of", session.client.batch_execute(begin)).await?;
        Ok(Some(Self { table, session }))
    }

    /// The rows of a query about the run.
    async fn ask(&self, doing: &str, query: &str) -> Result<Vec<tokio_postgres::Row>, AdapterError> {
        let run = self.table.run.as_str();
        self.table.within_limit(SUMS, doing, self.session.client.query(query, &[&run])).await
    }

    async fn count(&self) -> Result<Vec<WriterSum>, AdapterError> {
        let query =
            format!("select writer, count(*), max(seq) from {} where run = $1 group by writer", self.table.name);
        let rows = self.ask("counting", &query).await?;
        let sum = |row: &tokio_postgres::Row| {
            Ok(WriterSum {
                writer: row.try_get(0)?,
                count: row.try_get::<_, i64>(1)?.cast_unsigned(),
                max: row.try_get(2)?,
            })
        };
        rows.iter().map(sum).collect::<Result<_, _>>().map_err(|e| self.table.server.refused("decoding a count", &e))
    }

    async fn sum(&self) -> Result<Vec<BlockSum>, AdapterError> {
        let query = format!(
            "select writer, block, count(*), min(seq), max(seq), (sum(hash))::text,
                    hash_array_extended(array_agg(place), 0), min(pos), max(pos)
             from (select pos, writer, seq, seq >> 12 as block, (seq & 4095)::int2 as place,
                          hash_array_extended(array[payload], seq) as hash
                   from {} where run = $1 order by pos) as inorder
             group by writer, block",
            self.table.name
        );
        let rows = self.ask("summing up", &query).await?;
        rows.iter().map(block).collect::<Result<_, _>>().map_err(|e| self.table.server.refused("decoding a sum", &e))
    }

    async fn read(&self, which: &Which, take: &mut (dyn FnMut(i64, Row) + Send)) -> Result<(), AdapterError> {
        let (run, name) = (self.table.run.as_str(), &self.table.name);
        let columns = "l.writer, l.seq, l.attempt, l.payload, l.pos";
        let (query, writers, blocks): (_, Vec<i32>, Vec<i64>) = match which {
            Which::All => (format!("select {columns} from {name} l where l.run = $1 order by l.pos"), vec![], vec![]),
            Which::Blocks(blocks) => {
                let query = format!(
                    "select {columns} from unnest($2::int4[], $3::int8[]) as b (writer, block)
                     join {name} l on l.run = $1 and l.writer = b.writer
                          and l.seq between b.block * 4096 and b.block * 4096 + 4095
                     order by l.pos"
                );
                let (writers, blocks) = blocks.iter().copied().unzip();
                (query, writers, blocks)
            }
        };
        let all: [&(dyn ToSql + Sync); 3] = [&run, &writers, &blocks];
        let used = if *which == Which::All { &all[..1] } else { &all[..] };
        let rows = self.session.client.query_raw(&query, used.iter().copied());
        let rows = self.table.within_limit(SUMS, "reading", rows).await?;
        pin_mut!(rows);
        let broke = |e: tokio_postgres::Error| self.table.server.refused("decoding a ledger row", &e);
        // The first row comes when all are sorted.
        let mut limit = SUMS;
        while let Some(found) = self.table.within_limit(limit, "reading", rows.try_next()).await? {
            take(found.try_get(4).map_err(broke)?, decode(&found).map_err(broke)?);
            limit = STALL;
        }
        Ok(())
    }
}

/// Does the server compute the hashes that we expect?
async fn hashes_alike(session: &Session) -> bool {
    const BYTES: &[u8] = b"a row of a ledger and its number";
    let query = "select hash_array_extended(array[$1::bytea], $2), hash_array_extended(array[$3::int2, 7::int2], 0)";
    let mut order = row_hash::OrderHash::default();
    order.push(4095);
    order.push(7);
    let (seq, place) = (1_i64 << 40 | 5, 4095_i16);
    match session.client.query_one(query, &[&BYTES, &seq, &place]).await {
        Ok(row) => {
            let (sum, hash) = (row.try_get::<_, i64>(0), row.try_get::<_, i64>(1));
            let ours = row_hash::row(seq.cast_unsigned(), BYTES);
            sum.is_ok_and(|sum| sum.cast_unsigned() == ours)
                && hash.is_ok_and(|hash| hash.cast_unsigned() == order.value())
        }
        Err(_) => false,
    }
}

fn block(row: &tokio_postgres::Row) -> Result<BlockSum, tokio_postgres::Error> {
    // The server adds without overflow; we keep the lowest 64 bits.
    let sum: Option<i128> = row.try_get::<_, String>(5)?.parse().ok();
    Ok(BlockSum {
        writer: row.try_get(0)?,
        block: row.try_get(1)?,
        count: row.try_get::<_, i64>(2)?.cast_unsigned(),
        min: row.try_get(3)?,
        max: row.try_get(4)?,
        sum: sum.unwrap_or_default() as u64,
        order: row.try_get::<_, i64>(6)?.cast_unsigned(),
        first: row.try_get(7)?,
        last: row.try_get(8)?,
    })
}

impl Snapshot for Moment<'_> {
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
