//! Where servers are in the WAL, as their own catalogs say: what one server knows of itself and of those that stream from it,
//! and how far behind that makes a standby. Queries and arithmetic; who is asked is in `look`.

use super::server::{Server, Session};
use crate::adapters::AdapterError;
use tokio_postgres::{SimpleQueryMessage, SimpleQueryRow};

/// The oldest server whose catalogs say all that is asked (`pg_stat_replication.reply_time` is of version 12).
const OLDEST: i64 = 12;

const VERSION: &str = "select current_setting('server_version_num')::int / 10000, current_setting('server_version')";

const RIGHTS: &str = "select pg_has_role(current_user, 'pg_read_all_stats', 'usage'), quote_ident(current_user)";

const ITSELF: &str = "select pg_is_in_recovery(), current_setting('transaction_read_only'), \
     pg_wal_lsn_diff(case when pg_is_in_recovery() then greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) \
         else pg_current_wal_lsn() end, '0/0')::bigint, \
     pg_wal_lsn_diff(case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end, \
         '0/0')::bigint, \
     extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp())::float8";

/// What streams and replays; what only stores WAL (pg_receivewal, a backup) or decodes it (a subscription) is no standby.
const STREAMS: &str = "select coalesce(nullif(r.application_name, ''), r.client_addr::text, r.pid::text), r.sync_state, \
     pg_wal_lsn_diff(pg_current_wal_lsn(), r.flush_lsn)::bigint, \
     pg_wal_lsn_diff(pg_current_wal_lsn(), r.replay_lsn)::bigint, \
     coalesce(extract(epoch from r.flush_lag), 0)::float8, coalesce(extract(epoch from r.replay_lag), 0)::float8, \
     coalesce(extract(epoch from clock_timestamp() - r.reply_time), 0)::float8 \
     from pg_stat_replication r left join pg_replication_slots s on s.active_pid = r.pid \
     where r.state = 'streaming' and r.replay_lsn is not null and coalesce(s.slot_type, 'physical') = 'physical' \
     order by 1";

/// On a standby, which has no current position of its own to compare with.
const STREAMS_BELOW: &str = "select coalesce(nullif(r.application_name, ''), r.client_addr::text, r.pid::text), \
     r.sync_state, 0::bigint, 0::bigint, 0::float8, 0::float8, 0::float8 \
     from pg_stat_replication r where r.state = 'streaming' and r.replay_lsn is not null order by 1";

const RECEIVER: &str = "select status, pg_wal_lsn_diff(latest_end_lsn, '0/0')::bigint, received_tli \
     from pg_stat_wal_receiver";

const TIMELINE: &str = "select case when pg_is_in_recovery() then coalesce((select received_tli from \
     pg_stat_wal_receiver), (select timeline_id from pg_control_checkpoint())) \
     else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int end";

/// How a server is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Itself {
    pub(super) in_recovery: bool,
    pub(super) read_only: bool,
    /// The end of the WAL that it has saved.
    pub(super) saved: i64,
    /// What it has replayed (a primary: written) of that.
    pub(super) replayed: i64,
    /// Seconds since the last commit that it has replayed was made; none on a primary, or if there was none.
    pub(super) age: Option<f64>,
}

/// A standby as the server that it streams from sees it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stream {
    pub(super) name: String,
    pub(super) sync: bool,
    pub(super) unsaved: i64,
    pub(super) unreplayed: i64,
    pub(super) save_lag: f64,
    pub(super) replay_lag: f64,
    /// Seconds since it last said where it is.
    pub(super) silent: f64,
}

/// How far behind a standby is: bytes, and at most so many seconds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Behind {
    pub(super) name: String,
    pub(super) bytes: i64,
    pub(super) seconds: f64,
}

/// What of the WAL is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// What is safe on the standby's disk.
    Saved,
    /// What can be read there.
    Replayed,
}

impl Stream {
    /// Nothing missing is no lag, however long nobody has written. Otherwise the server's own measure, and the time since the
    /// standby last said anything, for it may not have got any further since.
    pub(super) fn behind(&self, of: Of) -> Behind {
        let (bytes, lag) = match of {
            Of::Saved => (self.unsaved, self.save_lag),
            Of::Replayed => (self.unreplayed, self.replay_lag),
        };
        let seconds = if bytes <= 0 { 0.0 } else { (lag + self.silent).max(0.0) };
        Behind { name: self.name.clone(), bytes: bytes.max(0), seconds }
    }
}

impl Itself {
    /// How far this standby is behind a position. A commit that it has not replayed is younger than the last that it has.
    pub(super) fn behind(&self, of: Of, end: i64, name: &str) -> Behind {
        let bytes = match of {
            Of::Saved => end - self.saved,
            Of::Replayed => end - self.replayed,
        };
        let seconds = if bytes <= 0 { 0.0 } else { self.age.unwrap_or_default().max(0.0) };
        Behind { name: name.to_owned(), bytes: bytes.max(0), seconds }
    }
}

/// Values of the rows of one statement.
async fn rows(
    server: &Server,
    session: &Session,
    what: &str,
    query: &str,
) -> Result<Vec<SimpleQueryRow>, AdapterError> {
    let answer = session.client.simple_query(query).await.map_err(|e| server.refused(what, &e))?;
    let row = |message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    };
    Ok(answer.into_iter().filter_map(row).collect())
}

fn text(row: &SimpleQueryRow, column: usize) -> &str {
    row.try_get(column).ok().flatten().unwrap_or_default()
}

fn number<T: std::str::FromStr + Default>(row: &SimpleQueryRow, column: usize) -> T {
    text(row, column).parse().unwrap_or_default()
}

async fn row(server: &Server, session: &Session, what: &str, query: &str) -> Result<SimpleQueryRow, AdapterError> {
    let none = || AdapterError::Other(format!("{}: {what}: no row", server.label));
    rows(server, session, what, query).await?.into_iter().next().ok_or_else(none)
}

/// What is missing that this server could say where it is; none if nothing is.
pub(super) async fn missing(server: &Server, session: &Session) -> Result<Option<String>, AdapterError> {
    let version = row(server, session, "asking its version", VERSION).await?;
    if number::<i64>(&version, 0) < OLDEST {
        return Ok(Some(format!(
            "{}: version {} is too old to be asked about replication: PostgreSQL {OLDEST} or newer is needed",
            server.label,
            text(&version, 1)
        )));
    }
    let rights = row(server, session, "asking for its rights", RIGHTS).await?;
    let user = text(&rights, 1);
    let none = format!("{}: the role {user} may not see replication: GRANT pg_monitor TO {user}", server.label);
    Ok((text(&rights, 0) != "t").then_some(none))
}

/// How it is now.
pub(super) async fn itself(server: &Server, session: &Session) -> Result<Itself, AdapterError> {
    let row = row(server, session, "asking where it is", ITSELF).await?;
    Ok(Itself {
        in_recovery: text(&row, 0) == "t",
        read_only: text(&row, 1) != "off",
        saved: number(&row, 2),
        replayed: number(&row, 3),
        age: text(&row, 4).parse().ok(),
    })
}

/// The standbys that stream from it.
pub(super) async fn streams(server: &Server, session: &Session, is: &Itself) -> Result<Vec<Stream>, AdapterError> {
    let query = if is.in_recovery { STREAMS_BELOW } else { STREAMS };
    let all = rows(server, session, "asking for its standbys", query).await?;
    let stream = |row: &SimpleQueryRow| Stream {
        name: text(row, 0).to_owned(),
        sync: matches!(text(row, 1), "sync" | "quorum"),
        unsaved: number(row, 2),
        unreplayed: number(row, 3),
        save_lag: number(row, 4),
        replay_lag: number(row, 5),
        silent: number(row, 6),
    };
    Ok(all.iter().map(stream).collect())
}

/// Its WAL receiver: the state, and the end of the WAL of the server that it streams from, as it last heard.
pub(super) async fn receiver(server: &Server, session: &Session) -> Result<Option<(String, i64)>, AdapterError> {
    let all = rows(server, session, "asking for its WAL receiver", RECEIVER).await?;
    Ok(all.first().map(|row| (text(row, 0).to_owned(), number(row, 1))))
}

/// One value.
async fn value(server: &Server, session: &Session, what: &str, query: &str) -> Result<String, AdapterError> {
    Ok(text(&row(server, session, what, query).await?, 0).to_owned())
}

/// The number of its timeline.
pub(super) async fn timeline(server: &Server, session: &Session) -> Result<String, AdapterError> {
    value(server, session, "asking for its timeline", TIMELINE).await
}

/// Is replay paused? `pg_get_wal_replay_pause_state` is not asked: a pause that was asked for is one.
pub(super) async fn replay_paused(server: &Server, session: &Session) -> Result<bool, AdapterError> {
    let query = "select pg_is_wal_replay_paused()";
    Ok(value(server, session, "asking whether replay is paused", query).await? == "t")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(unsaved: i64, silent: f64) -> Stream {
        let name = "pg2".to_owned();
        Stream { name, sync: false, unsaved, unreplayed: 900, save_lag: 0.5, replay_lag: 4.0, silent }
    }

    #[test]
    fn nothing_missing_is_no_lag_however_long_nobody_writes() {
        assert_eq!(stream(0, 600.0).behind(Of::Saved).seconds, 0.0);
        let is = Itself { in_recovery: true, read_only: true, saved: 50, replayed: 50, age: Some(3_600.0) };
        assert_eq!(is.behind(Of::Saved, 50, "pg2"), Behind { name: "pg2".to_owned(), bytes: 0, seconds: 0.0 });
        assert_eq!(is.behind(Of::Replayed, 40, "pg2").bytes, 0, "it may have got further since the primary was asked");
    }

    #[test]
    fn a_standby_that_says_nothing_is_further_behind_every_second() {
        assert_eq!(stream(100, 3.0).behind(Of::Saved), Behind { name: "pg2".to_owned(), bytes: 100, seconds: 3.5 });
        assert_eq!(stream(100, 3.0).behind(Of::Replayed).seconds, 7.0);
        let is = Itself { in_recovery: true, read_only: true, saved: 50, replayed: 20, age: Some(2.5) };
        assert_eq!((is.behind(Of::Saved, 60, "x").bytes, is.behind(Of::Replayed, 60, "x").bytes), (10, 40));
        assert_eq!(is.behind(Of::Replayed, 60, "x").seconds, 2.5);
    }
}
