//! Where an index over runs is kept: a SQLite file, or a PostgreSQL database for a team. Both have the same tables, and both
//! can be made again at any time from the runs' folders ([`folders`]), which are the truth. What follows from the runs is
//! `history`'s business.
//!
//! Invariant: a file or database that is not ours, is damaged, or is of a later version is never changed.

pub mod folders;
mod server;
mod sqlite;

use super::AdapterError;
use crate::history::entry::Entry;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;

/// The version of the tables that this program writes, and the latest that it reads.
pub const VERSION: i64 = 1;

/// The tables, version by version: what takes one of them from the version before to it. Both kinds of database know these
/// words.
const MIGRATIONS: [&[&str]; VERSION as usize] = [&[
    "create table blackstart_runs (source text not null, folder text not null, mark text not null, drill text, \
     environment text, started text, entry text, skipped text, primary key (source, folder))",
    "create index blackstart_runs_by_drill on blackstart_runs (drill, environment, started)",
]];

const GET_VERSION: &str = "select version from blackstart_version";
const MAKE_VERSION: &str = "create table blackstart_version (version bigint not null)";
const FIRST_VERSION: &str = "insert into blackstart_version (version) values (0)";
const GET_MARKS: &str = "select folder, mark from blackstart_runs where source = $1";
const REMOVE: &str = "delete from blackstart_runs where source = $1 and folder = $2";
const CLEAR: &str = "delete from blackstart_runs where source = $1";
const GET_ROWS: &str = "select folder, mark, entry, skipped from blackstart_runs \
    where (cast($1 as text) is null or drill = $1 or drill is null) \
    and (cast($2 as text) is null or environment = $2 or environment is null) order by started, source, folder";
const PUT: &str = "insert into blackstart_runs (source, folder, mark, drill, environment, started, entry, skipped) \
    values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (source, folder) do update set mark = excluded.mark, \
    drill = excluded.drill, environment = excluded.environment, started = excluded.started, entry = excluded.entry, \
    skipped = excluded.skipped";

/// Why an index cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IndexError {
    /// The file is a database of something else, or no database.
    #[error("{0} is not an index of runs, and is left as it is")]
    Foreign(String),
    /// The file is damaged.
    #[error("the index {0} is damaged, and is left as it is")]
    Damaged(String),
    /// A later program wrote it.
    #[error("the index {place} is of version {found}, and this program knows {VERSION} at most")]
    Newer {
        /// Which.
        place: String,
        /// Its version.
        found: i64,
    },
    /// Others write all the time.
    #[error("the index {0} is busy")]
    Busy(String),
    /// The file cannot be opened or written.
    #[error("the index {place} cannot be used: {why}")]
    Unusable {
        /// Which.
        place: String,
        /// Why.
        why: String,
    },
    /// The database server.
    #[error("{0}")]
    Server(#[from] AdapterError),
}

/// Where an index is. No `Debug`: a URL may hold a password.
#[derive(Clone)]
pub enum Place {
    /// A SQLite file.
    File(PathBuf),
    /// A PostgreSQL database.
    Server(String),
}

impl Place {
    /// What a user wrote: a path, or a `postgres://` URL.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let url = ["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme));
        if url { Self::Server(text.to_owned()) } else { Self::File(PathBuf::from(text)) }
    }

    /// The password in a URL, if it has one.
    #[must_use]
    pub fn has_password(&self) -> bool {
        let Self::Server(url) = self else { return false };
        let authority = url.split_once("://").map_or("", |(_, rest)| rest);
        let (authority, query) = authority.split_once('?').unwrap_or((authority, ""));
        let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
        user.contains(':') || query.split('&').any(|pair| pair.starts_with("password="))
    }

    /// With a password, if it is a URL that has a user and no password.
    #[must_use]
    pub fn with_password(self, password: &str) -> Self {
        let Self::Server(url) = &self else { return self };
        if self.has_password() {
            return self;
        }
        let coded = percent_encoding::utf8_percent_encode(password, percent_encoding::NON_ALPHANUMERIC);
        Self::Server(url.replacen('@', &format!(":{coded}@"), 1))
    }

    /// For messages; without user and password.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Server(url) => server::label(url),
        }
    }
}

/// A folder of a run in the index.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Relative to the folder of runs.
    pub folder: String,
    /// What it was made from: SHA-256, hex.
    pub mark: String,
    /// The run, or why it is none.
    pub content: Result<Box<Entry>, String>,
}

/// What changes in an index, at once or not at all.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// Rows that are new or other than before.
    pub put: Vec<Row>,
    /// Folders that are gone.
    pub gone: Vec<String>,
    /// Everything that is there of the source goes first.
    pub afresh: Afresh,
}

/// Does everything that is there go first?
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Afresh {
    /// No.
    #[default]
    No,
    /// Yes.
    Yes,
}

/// An open index.
pub enum Index {
    /// A file.
    File(Box<sqlite::File>),
    /// A server's.
    Server(Box<server::Tables>),
}

impl Index {
    /// Opens it; makes it if there is none. `patience` is how long one operation may take.
    ///
    /// # Errors
    /// When it is not ours, damaged, of a later version, or cannot be reached.
    pub fn open(place: &Place, patience: Duration) -> Result<Self, IndexError> {
        Ok(match place {
            Place::File(path) => Self::File(Box::new(sqlite::File::open(path, patience)?)),
            Place::Server(url) => Self::Server(Box::new(server::Tables::open(url, patience)?)),
        })
    }

    /// The folders of a source that it knows, each with what it was made from.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn marks(&mut self, source: &str) -> Result<BTreeMap<String, String>, IndexError> {
        match self {
            Self::File(file) => file.marks(source),
            Self::Server(tables) => tables.marks(source),
        }
    }

    /// Changes it, all or nothing.
    ///
    /// # Errors
    /// When it cannot be written; then nothing was.
    pub fn change(&mut self, source: &str, changes: &Changes) -> Result<(), IndexError> {
        match self {
            Self::File(file) => file.change(source, changes),
            Self::Server(tables) => tables.change(source, changes),
        }
    }

    /// All rows of a drill and an environment, or of all, with those that are no run; oldest first.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn rows(&mut self, drill: Option<&str>, environment: Option<&str>) -> Result<Vec<Row>, IndexError> {
        match self {
            Self::File(file) => file.rows(drill, environment),
            Self::Server(tables) => tables.rows(drill, environment),
        }
    }
}

/// A row as its columns: drill, environment, started, entry, skipped.
fn columns(row: &Row) -> [Option<String>; 5] {
    match &row.content {
        Ok(entry) => [
            Some(entry.drill.to_string()),
            Some(entry.environment.clone()),
            Some(entry.started.to_rfc3339_opts(chrono::SecondsFormat::Nanos, true)),
            serde_json::to_string(entry).ok(),
            None,
        ],
        Err(why) => [None, None, None, None, Some(why.clone())],
    }
}

/// A row from its columns. An entry that cannot be read is no run, and says so.
fn row(folder: String, mark: String, entry: Option<&str>, skipped: Option<String>) -> Row {
    let unknown = || Err("the index says nothing of it".to_owned());
    let content = match (entry, skipped) {
        (Some(text), _) => {
            serde_json::from_str(text).map(Box::new).map_err(|e| format!("the index cannot be read: {e}"))
        }
        (None, Some(why)) => Err(why),
        (None, None) => unknown(),
    };
    Row { folder, mark, content }
}

/// Who has these runs: the machine, and the folder on it. Two machines of a team have different runs in the same folder.
#[must_use]
pub fn source(host: &str, reports: &Path) -> String {
    let path = std::fs::canonicalize(reports).or_else(|_| std::path::absolute(reports));
    format!("{host}:{}", path.unwrap_or_else(|_| reports.to_owned()).display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_seen_added_and_never_shown() {
        let place = Place::of("postgresql://me@db.test:5432/runs?sslmode=disable");
        assert!(!place.has_password());
        let place = place.with_password("p@ss/word");
        assert!(place.has_password() && !place.label().contains("ss") && !place.label().contains("me"));
        let Place::Server(url) = &place else { panic!("a URL") };
        assert_eq!(url, "postgresql://me:p%40ss%2Fword@db.test:5432/runs?sslmode=disable");
        assert!(Place::of("postgres://h/d?password=x").has_password());
        assert!(!Place::of("a/b@c:d.sqlite").has_password());
    }
}
