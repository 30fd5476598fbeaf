//! What a server's error number says about a statement that was sent: did it definitely not happen, or does nobody know?
//! Pure. Errors before the statement was sent never come here: those are always `Fail`.

use crate::model::Outcome;
use mysql_async::{Error, ServerError};

/// The outcome of an autocommit insert that was sent and ended in this error.
///
/// Only the server's own word counts as a definite failure, and only numbers that are known to come before the commit. A
/// connection that broke decides nothing (what other clients call 2006 and 2013).
pub(super) fn after_sending(error: &Error) -> Outcome {
    match error {
        Error::Server(ServerError { code, .. }) if definitely_not(*code) => Outcome::Fail,
        _ => Outcome::Unknown,
    }
}

/// Error numbers after which the insert certainly had no effect (MySQL "Server Error Message Reference", MariaDB "Error
/// Codes"; both number alike below 1900).
///
/// Left out because they can reach a client whose commit is, or may still become, durable: 1026 (error writing the binary
/// log), 1053 (shutdown), 1105 (unknown error), 1158 to 1161 (network), 1180 and 1181 (error during commit, rollback), 1317
/// (interrupted), 1598 (no logging possible), 1815 (internal), 1927 (killed), 1969 (time limit), 3100 (a replication hook
/// failed: which one only the text says), 4031 (idle too long), and what proxies say in the server's name (2013, 9001 …).
fn definitely_not(code: u16) -> bool {
    matches!(
        code,
        // Nobody was let in: 1040, 1203, 1226 too many; 1044, 1045, 1049, 1129, 1130, 1698, 3118 who and where.
        1040 | 1203 | 1226 | 1044 | 1045 | 1049 | 1129 | 1130 | 1698 | 3118
        // Not allowed to: 1142, 1143, 1227, 1370; 1820 and 1862, the password is too old.
        | 1142 | 1143 | 1227 | 1370 | 1820 | 1862
        // Refused before it began: 1047 (Galera: not in the cluster), 1290, 1792, 1836, 1874 read-only, 1099, 1100, 1223
        // under a lock of another kind, 1153 too large, 1243, 1461, 1615 statements.
        | 1047 | 1290 | 1792 | 1836 | 1874 | 1099 | 1100 | 1223 | 1153 | 1243 | 1461 | 1615
        // What it names is not there, or is not such: 1046, 1054, 1064, 1146, 1109.
        | 1046 | 1054 | 1064 | 1146 | 1109
        // Its values do not fit: 1048, 1062, 1136, 1264, 1265, 1364, 1366, 1406, 1452, 4025.
        | 1048 | 1062 | 1136 | 1264 | 1265 | 1364 | 1366 | 1406 | 1452 | 4025
        // Rolled back: 1205 waited for a lock too long, 1213 deadlock (Galera: lost the vote), 1206 too many locks, 1637 too
        // many transactions, 1114 the table is full, 3101 a plugin (group replication: lost the vote).
        | 1205 | 1213 | 1206 | 1637 | 1114 | 3101
    )
}

/// Does the server say that it is not the one to write to, now? Then the next attempt looks for another one.
pub(super) fn elsewhere(error: &Error) -> bool {
    matches!(error, Error::Server(ServerError { code: 1047 | 1290 | 1792 | 1836 | 1874, .. }))
}

/// Does the server say that a right is missing?
pub(super) fn denied(error: &Error) -> bool {
    matches!(error, Error::Server(ServerError { code: 1044 | 1142 | 1143 | 1227 | 1370, .. }))
}

/// What to do about it, where it is not a matter of course.
pub(super) fn help(code: u16) -> Option<&'static str> {
    Some(match code {
        1045 | 1698 => "the user or the password in the URL is wrong, or this user may not come from here",
        1049 => "the URL names a database that is not there: `create database NAME`, or name another",
        1129 => "too many failed connections from here: `flush hosts` on the server",
        1130 => "no user may come from here: `create user NAME@'HOST'` with this machine's address",
        1290 | 1836 | 1874 => "the server is read-only: it is a replica, or was one",
        3118 => "`alter user NAME account unlock`",
        1820 | 1862 => "`alter user NAME identified by …`",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(code: u16) -> Error {
        Error::Server(ServerError {
            code,
            message: "read only, rolled back, nothing happened".to_owned(),
            state: String::new(),
        })
    }

    #[test]
    fn only_what_comes_before_the_commit_is_definite() {
        for code in [1040, 1045, 1047, 1142, 1146, 1205, 1213, 1290, 1792, 1836, 1062, 1406, 3101] {
            assert_eq!(after_sending(&server(code)), Outcome::Fail, "{code}");
        }
        for code in
            [1026, 1053, 1105, 1158, 1159, 1160, 1161, 1180, 1181, 1317, 1927, 1969, 2006, 2013, 3100, 4031, 9001, 0]
        {
            assert_eq!(after_sending(&server(code)), Outcome::Unknown, "{code}: whatever its words are");
        }
        let broken = Error::Driver(mysql_async::DriverError::ConnectionClosed);
        assert_eq!(after_sending(&broken), Outcome::Unknown);
    }

    #[test]
    fn a_server_that_is_no_primary_is_left() {
        assert!(elsewhere(&server(1290)) && elsewhere(&server(1836)) && elsewhere(&server(1047)));
        assert!(!elsewhere(&server(1205)) && !elsewhere(&server(1045)));
    }
}
