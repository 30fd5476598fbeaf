//! Counts of a ledger's table by the server: rows, the highest sequence number and the sum of all, by writer.

use super::table::Table;
use crate::adapters::AdapterError;
use crate::adapters::tally::{Frontier, Tally};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio_postgres::types::ToSql;

/// A server that does not let us in within this time cannot be looked at now.
const LIMIT: Duration = Duration::from_secs(5);

impl Table {
    pub(super) async fn counts(&self, upto: Option<&Frontier>) -> Result<BTreeMap<u16, Tally>, AdapterError> {
        let session = self.server.connect(LIMIT).await?;
        let figures = "select writer, count(*), max(seq), sum(seq)::text from";
        let all = Frontier::new();
        let pairs = upto.unwrap_or(&all).iter();
        let (writers, seqs): (Vec<i32>, Vec<i64>) = pairs.map(|(w, s)| (i32::from(*w), s.cast_signed())).unzip();
        let run = self.run.as_str();
        let bounded =
            "join unnest($2::integer[], $3::bigint[]) as f (w, s) on writer = f.w and seq <= f.s where run = $1";
        let (query, values): (String, Vec<&(dyn ToSql + Sync)>) = match upto {
            None => (format!("{figures} {} where run = $1 group by writer", self.name), vec![&run]),
            Some(_) => (format!("{figures} {} {bounded} group by writer", self.name), vec![&run, &writers, &seqs]),
        };
        let rows = self.within("counting", session.client.query(&query, &values)).await?;
        let mut found = BTreeMap::new();
        for row in rows {
            let read = || -> Result<(i32, i64, i64, String), tokio_postgres::Error> {
                Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?))
            };
            let (writer, count, highest, sum) = read().map_err(|e| self.server.refused("counting", &e))?;
            let Ok(writer) = u16::try_from(writer) else { continue };
            let (count, highest) = (count.max(0).unsigned_abs(), highest.max(0).unsigned_abs());
            found.insert(writer, Tally { count, highest, sum: sum.parse().unwrap_or_default() });
        }
        Ok(found)
    }
}
