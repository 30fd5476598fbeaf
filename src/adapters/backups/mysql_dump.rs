//! Dumps of `mysqldump` and `mariadb-dump` as SQL text, and the binary logs after them: what a dump says of itself, loading it,
//! what lies in the logs, and replaying them. A password goes by the environment, never as an argument. The programs of both
//! systems do; those that are called `mariadb…` are taken first.

use super::Via;
use crate::adapters::mysql::Login;
use crate::adapters::{AdapterError, CommandOutput, Commands};
use chrono::{DateTime, NaiveDateTime, Utc};
use std::time::Duration;

/// A place in a binary log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPlace {
    /// The file.
    pub file: String,
    /// Bytes from its beginning.
    pub offset: u64,
}

impl LogPlace {
    /// Reads `binlog.000002:12345`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (file, offset) = text.trim().rsplit_once(':')?;
        let offset = offset.parse().ok()?;
        number_of(file).map(|_| Self { file: file.to_owned(), offset })
    }
}

impl std::fmt::Display for LogPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file, self.offset)
    }
}

/// Up to where logs are replayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogUntil {
    /// To their end.
    Latest,
    /// What stands before this place.
    Place(LogPlace),
    /// What was begun before this second.
    Time(DateTime<Utc>),
}

/// What a dump says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SqlDump {
    /// `CREATE TABLE` statements.
    pub tables: u64,
    /// `INSERT` statements: there is none without rows.
    pub inserts: u64,
    /// Does it say at its end that it is complete?
    pub complete: bool,
    /// Where in the binary log it was taken.
    pub place: Option<LogPlace>,
    /// When the file was last written, in seconds since 1970.
    pub written: i64,
    /// Bytes.
    pub size: u64,
}

/// A binary log in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFile {
    /// Its name.
    pub name: String,
    /// Bytes.
    pub size: u64,
}

/// What lies in a stretch of binary logs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stretch {
    /// Transactions.
    pub transactions: u64,
    /// When the last event was begun, to the second.
    pub last: Option<DateTime<Utc>>,
    /// The identifier of the last transaction, as MariaDB writes it.
    pub gtid: Option<String>,
}

/// The programs of MySQL or MariaDB.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SqlDumps {
    /// The folder they lie in; searched if none.
    pub bin: Option<String>,
}

/// `program NAME NAME…`: the first of these that there is, in the folder `$bin` or by the path.
const PROGRAM: &str = "program() { for name; do \
     if [ -n \"$bin\" ]; then [ ! -x \"$bin/$name\" ] || { echo \"$bin/$name\"; return; }; \
     else command -v \"$name\" && return; fi; done; echo \"none of $* is there\" >&2; return 1; }; bin=$1; shift; ";

/// The head of a dump and figures of it. Statements begin lines; a line of rows can be long.
const LIST: &str = "f=$1; printf 'tables %s\\n' \"$(grep -c '^CREATE TABLE ' <\"$f\")\"; \
     printf 'inserts %s\\n' \"$(grep -c '^INSERT INTO ' <\"$f\")\"; stat -c 'written %Y size %s' -- \"$f\" || exit 1; \
     head -n 80 <\"$f\" | cut -c 1-300 | grep -E '^(-- )?CHANGE (MASTER|REPLICATION SOURCE) TO'; tail -n 2 <\"$f\" | cut -c 1-300";

/// Loads a file: the client ends at the first error.
const LOAD: &str = "f=$1; shift; client=$(program mariadb mysql) || exit; exec \"$client\" \"$@\" <\"$f\"";

/// One line of figures about the logs.
const SURVEY: &str = "reader=$(program mariadb-binlog mysqlbinlog) || exit; \
     { \"$reader\" --no-defaults --base64-output=decode-rows \"$@\" || echo '#unreadable'; } | awk '\
     /^#unreadable/ {bad = 1} \
     /^#[0-9][0-9][0-9][0-9][0-9][0-9] .* server id / && !/^#700101/ {when = $1 \" \" $2} \
     /^#[0-9].*[ \\t]GTID / {n++; for (i = 1; i < NF; i++) if ($i == \"GTID\") gtid = $(i + 1)} \
     END {if (bad) exit 1; print \"transactions\", n + 0; print \"last\", substr(when, 2); print \"gtid\", gtid}'";

impl SqlDumps {
    fn argv<'a>(&'a self, script: &'a str, words: &'a [String]) -> Vec<&'a str> {
        let own = ["sh", "-c", script, "sh", self.bin.as_deref().unwrap_or_default()];
        own.into_iter().chain(words.iter().map(String::as_str)).collect()
    }

    async fn output(
        &self,
        commands: &dyn Commands,
        script: &str,
        words: &[String],
        limit: Duration,
    ) -> Result<String, AdapterError> {
        let script = format!("{PROGRAM}{script}");
        Via::default().output(commands, &self.argv(&script, words), limit).await
    }

    async fn fed(
        &self,
        commands: &dyn Commands,
        script: &str,
        words: &[String],
        login: &Login,
        limit: Duration,
    ) -> Result<CommandOutput, AdapterError> {
        let script = format!("{PROGRAM}{script}");
        let mut command = Via::default().command(&self.argv(&script, words), limit);
        command.env.insert("MYSQL_PWD".to_owned(), login.password.clone());
        commands.run(&command).await
    }

    /// What a dump says of itself.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn listed(&self, commands: &dyn Commands, path: &str, limit: Duration) -> Result<SqlDump, AdapterError> {
        Ok(listed(&self.output(commands, LIST, &[path.to_owned()], limit).await?))
    }

    /// The binary logs in a folder whose names are the log's and a number, in their order.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub async fn logs(
        &self,
        commands: &dyn Commands,
        folder: &str,
        like: &str,
        limit: Duration,
    ) -> Result<Vec<LogFile>, AdapterError> {
        let argv = ["find", folder, "-maxdepth", "1", "-type", "f", "-printf", "%s %f\\n"];
        Ok(logs(&Via::default().output(commands, &argv, limit).await?, like))
    }

    /// What lies in a stretch of logs.
    ///
    /// # Errors
    /// When it cannot be read to its end.
    pub async fn survey(
        &self,
        commands: &dyn Commands,
        stretch: &[String],
        limit: Duration,
    ) -> Result<Stretch, AdapterError> {
        Ok(survey(&self.output(commands, SURVEY, stretch, limit).await?))
    }

    /// Loads a dump into a database.
    ///
    /// # Errors
    /// When it cannot be started, or does not end in time. That it went wrong is in its exit status.
    pub async fn load(
        &self,
        commands: &dyn Commands,
        path: &str,
        login: &Login,
        limit: Duration,
    ) -> Result<CommandOutput, AdapterError> {
        let words: Vec<String> = std::iter::once(path.to_owned()).chain(client(login)).collect();
        self.fed(commands, LOAD, &words, login, limit).await
    }

    /// Replays a stretch of logs. One that cannot be read to its end makes the client fail, whatever it has carried out.
    ///
    /// # Errors
    /// As [`SqlDumps::load`].
    pub async fn replay(
        &self,
        commands: &dyn Commands,
        stretch: &[String],
        login: &Login,
        limit: Duration,
    ) -> Result<CommandOutput, AdapterError> {
        // The shell gives the first so many words to the one program, and the others to the other.
        let client = client(login);
        let places = |from: usize, count: usize| {
            (from..from + count).map(|at| format!("\"${{{at}}}\"")).collect::<Vec<_>>().join(" ")
        };
        let script = format!(
            "reader=$(program mariadb-binlog mysqlbinlog) || exit; client=$(program mariadb mysql) || exit; \
             {{ \"$reader\" --no-defaults {} || echo \"signal sqlstate '45000' set message_text = 'a binary log cannot be read';\"; }} | \
             \"$client\" {}",
            places(1, stretch.len()),
            places(1 + stretch.len(), client.len())
        );
        let words: Vec<String> = stretch.iter().cloned().chain(client).collect();
        self.fed(commands, &script, &words, login, limit).await
    }
}

/// How the client is told where to go; it reads no configuration.
fn client(login: &Login) -> Vec<String> {
    let Login { host, port, user, database, .. } = login;
    let own = ["--no-defaults", "--protocol=tcp", "--batch", "--default-character-set=utf8mb4"].map(str::to_owned);
    let place = [format!("--host={host}"), format!("--port={port}"), format!("--user={user}")];
    own.into_iter().chain(place).chain([format!("--database={database}")]).collect()
}

/// The words for `mysqlbinlog`: a file up to a place.
#[must_use]
pub fn before(folder: &str, place: &LogPlace) -> Vec<String> {
    vec![format!("--stop-position={}", place.offset), format!("{}/{}", folder.trim_end_matches('/'), place.file)]
}

/// The words for `mysqlbinlog`: from a place on, in these files of a folder.
#[must_use]
pub fn stretch(folder: &str, files: &[LogFile], from: u64, until: &LogUntil) -> Vec<String> {
    let mut words = vec![format!("--start-position={from}")];
    match until {
        LogUntil::Latest => {}
        LogUntil::Place(place) => words.push(format!("--stop-position={}", place.offset)),
        LogUntil::Time(when) => words.push(format!("--stop-datetime={}", when.format("%Y-%m-%d %H:%M:%S"))),
    }
    let folder = folder.trim_end_matches('/');
    words.extend(files.iter().map(|file| format!("{folder}/{}", file.name)));
    words
}

/// The logs from a place to another, without a hole.
///
/// # Errors
/// Which one is missing, or that what is asked for comes before that place.
pub fn covering(logs: &[LogFile], from: &LogPlace, until: &LogUntil) -> Result<Vec<LogFile>, String> {
    let missing = |name: &str| format!("the binary log {name} is not in the folder");
    let begin = logs.iter().position(|log| log.name == from.file).ok_or_else(|| missing(&from.file))?;
    let end = match until {
        LogUntil::Place(place) => {
            let end = logs.iter().position(|log| log.name == place.file).ok_or_else(|| missing(&place.file))?;
            let size = logs.get(end).map_or(0, |log| log.size);
            if size < place.offset {
                return Err(format!("{place} is not in the folder yet: {} ends at {size}", place.file));
            }
            if (end, place.offset) < (begin, from.offset) {
                return Err(format!("{place} comes before the dump, which was taken at {from}"));
            }
            end
        }
        LogUntil::Latest | LogUntil::Time(_) => logs.len() - 1,
    };
    let chosen = logs.get(begin..=end).unwrap_or_default();
    for pair in chosen.windows(2) {
        let [before, next] = pair else { continue };
        if number_of(&before.name).map(|number| number + 1) != number_of(&next.name) {
            return Err(format!("a binary log is missing between {} and {}", before.name, next.name));
        }
    }
    Ok(chosen.to_vec())
}

fn number_of(name: &str) -> Option<u64> {
    let digits = name.rsplit_once('.')?.1;
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
}

fn logs(text: &str, like: &str) -> Vec<LogFile> {
    let base = like.rsplit_once('.').map_or(like, |(base, _)| base);
    let file = |line: &str| {
        let (size, name) = line.split_once(' ')?;
        let ours = name.rsplit_once('.').is_some_and(|(own, _)| own == base);
        Some(LogFile { name: (ours && number_of(name).is_some()).then(|| name.to_owned())?, size: size.parse().ok()? })
    };
    let mut logs: Vec<LogFile> = text.lines().filter_map(file).collect();
    logs.sort_by_key(|log| number_of(&log.name));
    logs
}

fn listed(text: &str) -> SqlDump {
    let mut dump = SqlDump::default();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["tables", count] => dump.tables = count.parse().unwrap_or_default(),
            ["inserts", count] => dump.inserts = count.parse().unwrap_or_default(),
            ["written", written, "size", size] => {
                (dump.written, dump.size) = (written.parse().unwrap_or_default(), size.parse().unwrap_or_default());
            }
            _ if line.contains("CHANGE ") && dump.place.is_none() => dump.place = place(line),
            _ => {}
        }
    }
    dump.complete = text.lines().rev().take(2).any(|line| line.starts_with("-- Dump completed"));
    dump
}

/// `CHANGE MASTER TO MASTER_LOG_FILE='binlog.000001', MASTER_LOG_POS=330;`, or `CHANGE REPLICATION SOURCE TO SOURCE_LOG_…`.
fn place(line: &str) -> Option<LogPlace> {
    let after = |name: &str| line.split_once(name).map(|(_, rest)| rest);
    let file = after("_LOG_FILE='")?.split('\'').next()?;
    let digits: String = after("_LOG_POS=")?.chars().take_while(char::is_ascii_digit).collect();
    LogPlace::parse(&format!("{file}:{digits}"))
}

fn survey(text: &str) -> Stretch {
    let of = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim).unwrap_or_default();
    let last = NaiveDateTime::parse_from_str(of("last "), "%y%m%d %H:%M:%S").ok();
    // MySQL writes other words after GTID.
    let gtid = Some(of("gtid ")).filter(|gtid| gtid.split('-').count() == 3 && !gtid.contains('='));
    Stretch {
        transactions: of("transactions ").parse().unwrap_or_default(),
        last: last.map(|last| last.and_utc()),
        gtid: gtid.map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_says_how_much_it_holds_and_where_it_was_taken() {
        let text = "tables 3\ninserts 5\nwritten 1795262604 size 4711\n\
                    -- CHANGE MASTER TO MASTER_LOG_FILE='binlog.000001', MASTER_LOG_POS=330;\n\
                    -- CHANGE MASTER TO MASTER_USE_GTID=slave_pos;\n\n-- Dump completed on 2026-11-21 12:03:24\n";
        let place = Some(LogPlace { file: "binlog.000001".to_owned(), offset: 330 });
        let (written, size) = (1_795_262_604, 4_711);
        assert_eq!(listed(text), SqlDump { tables: 3, inserts: 5, complete: true, place, written, size });
        let new = "CHANGE REPLICATION SOURCE TO SOURCE_LOG_FILE='mysql-bin.000012', SOURCE_LOG_POS=157;";
        assert_eq!(super::place(new).map(|place| place.to_string()).as_deref(), Some("mysql-bin.000012:157"));
        let cut = listed("tables 1\ninserts 0\nwritten 1 size 2\nINSERT INTO t VALUES (1)\n");
        assert!(!cut.complete && cut.place.is_none());
    }

    #[test]
    fn logs_are_taken_in_order_and_a_hole_is_found() {
        let all = logs(
            "5 binlog.000009\n7 binlog.000010\n1 binlog.index\n9 other.000001\n3 binlog.000008\n",
            "binlog.000001",
        );
        let names = |logs: &[LogFile]| logs.iter().map(|log| log.name.clone()).collect::<Vec<_>>().join(" ");
        assert_eq!(names(&all), "binlog.000008 binlog.000009 binlog.000010");
        let upto = |file: &str, offset| LogUntil::Place(LogPlace { file: file.to_owned(), offset });
        let place = |file: &str| LogPlace { file: file.to_owned(), offset: 330 };
        let found = covering(&all, &place("binlog.000008"), &upto("binlog.000009", 5)).unwrap();
        assert_eq!(names(&found), "binlog.000008 binlog.000009");
        assert_eq!(
            stretch("/logs/", &found, 330, &upto("binlog.000009", 5)),
            ["--start-position=330", "--stop-position=5", "/logs/binlog.000008", "/logs/binlog.000009"]
        );
        for (from, until) in [
            ("binlog.000007", LogUntil::Latest),
            ("binlog.000008", upto("binlog.000011", 4)),
            ("binlog.000008", upto("binlog.000009", 6)),
            ("binlog.000010", upto("binlog.000009", 4)),
            ("binlog.000009", upto("binlog.000009", 4)),
        ] {
            assert!(covering(&all, &place(from), &until).is_err(), "{from} {until:?}");
        }
        let hole = [all[0].clone(), all[2].clone()];
        assert!(covering(&hole, &place("binlog.000008"), &LogUntil::Latest).unwrap_err().contains("between"));
    }

    #[test]
    fn a_stretch_has_an_end() {
        let found = survey("transactions 12\nlast 261121  9:03:24\ngtid 0-1-57\n");
        assert_eq!((found.transactions, found.gtid.as_deref()), (12, Some("0-1-57")));
        assert_eq!(found.last.map(|when| when.timestamp()), Some(1_795_251_804));
        let mysql = survey("transactions 12\nlast 261121 12:03:24\ngtid last_committed=3\n");
        assert_eq!(mysql.gtid, None);
        assert_eq!(survey("transactions 0\nlast \ngtid \n"), Stretch::default());
    }

    #[test]
    fn a_place_has_a_file_with_a_number() {
        assert!(LogPlace::parse("binlog.000002:12345").is_some());
        for wrong in ["binlog.000002", "binlog:4", "12345", "binlog.x:4", ""] {
            assert_eq!(LogPlace::parse(wrong), None, "{wrong}");
        }
    }
}
