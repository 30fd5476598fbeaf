//! What a server says of its own replication: whom it follows, whether it does, and how far behind it is. MySQL renamed the
//! statement (8.0.22) and the columns, and took the old ones away (8.4); MariaDB knows both statements and has the old columns.

use super::server::{Trouble, text, trouble};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Row, ServerError};

/// A channel on which a server follows another one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Channel {
    /// `HOST:PORT` of the other one.
    pub source: String,
    /// Is what the other one logs received?
    pub receives: bool,
    /// Is what was received carried out?
    pub applies: bool,
    /// Seconds, by the server's own word; none if it cannot say.
    pub behind: Option<u64>,
    /// Why it does not, in the server's words.
    pub error: String,
}

impl Channel {
    /// Why it does not follow; none if it does.
    pub(super) fn trouble(&self) -> Option<String> {
        if self.receives && self.applies {
            return None;
        }
        let what = if self.receives { "does not apply" } else { "does not receive" };
        let why = if self.error.is_empty() { String::new() } else { format!(": {}", self.error) };
        Some(format!("{what} what {} logs{why}", self.source))
    }
}

/// The channels of a server; none for one that follows nobody.
pub(super) async fn channels(conn: &mut Conn) -> Result<Vec<Channel>, Trouble> {
    let rows = match conn.query::<Row, _>("show replica status").await {
        // 1064: it does not know the word yet.
        Err(Error::Server(ServerError { code: 1064, .. })) => conn.query::<Row, _>("show slave status").await,
        other => other,
    };
    match rows {
        Ok(rows) => Ok(rows.iter().map(|row| channel(&|name| named(row, name))).collect()),
        Err(Error::Server(ServerError { code: 1227, message, .. })) => Err(Trouble::Refused(format!(
            "{message} (error 1227); grant replica monitor on *.* to the user of the URL (MySQL, and MariaDB before 10.5: \
             grant replication client)"
        ))),
        Err(e) => Err(trouble(&e)),
    }
}

fn named(row: &Row, name: &str) -> Option<String> {
    let at = row.columns_ref().iter().position(|column| column.name_str().eq_ignore_ascii_case(name))?;
    text(row, at)
}

fn channel(of: &dyn Fn(&str) -> Option<String>) -> Channel {
    let either = |new: &str, old: &str| of(new).or_else(|| of(old));
    let yes = |new: &str, old: &str| either(new, old).is_some_and(|word| word == "Yes");
    let errors = [of("Last_IO_Error"), of("Last_SQL_Error")];
    let errors: Vec<String> = errors.into_iter().flatten().filter(|error| !error.is_empty()).collect();
    Channel {
        source: format!(
            "{}:{}",
            either("Source_Host", "Master_Host").unwrap_or_default(),
            either("Source_Port", "Master_Port").unwrap_or_default()
        ),
        receives: yes("Replica_IO_Running", "Slave_IO_Running"),
        applies: yes("Replica_SQL_Running", "Slave_SQL_Running"),
        behind: either("Seconds_Behind_Source", "Seconds_Behind_Master").and_then(|seconds| seconds.parse().ok()),
        error: errors.join("; "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Channel {
        channel(&|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn old_and_new_names_say_the_same() {
        let old = [
            ("Master_Host", "db1"),
            ("Master_Port", "3306"),
            ("Slave_IO_Running", "Yes"),
            ("Slave_SQL_Running", "Yes"),
            ("Seconds_Behind_Master", "3"),
            ("Last_SQL_Error", ""),
        ];
        let new = [
            ("Source_Host", "db1"),
            ("Source_Port", "3306"),
            ("Replica_IO_Running", "Yes"),
            ("Replica_SQL_Running", "Yes"),
            ("Seconds_Behind_Source", "3"),
        ];
        assert_eq!(read(&old), read(&new));
        assert_eq!((read(&new).behind, read(&new).trouble()), (Some(3), None));
    }

    #[test]
    fn one_that_stopped_says_why() {
        let stopped = read(&[
            ("Master_Host", "db1"),
            ("Master_Port", "3306"),
            ("Slave_IO_Running", "Connecting"),
            ("Slave_SQL_Running", "No"),
            ("Last_IO_Error", "no such user"),
            ("Last_SQL_Error", "duplicate entry"),
        ]);
        let why = stopped.trouble().unwrap();
        assert_eq!(why, "does not receive what db1:3306 logs: no such user; duplicate entry");
        assert_eq!(stopped.behind, None);
    }
}
