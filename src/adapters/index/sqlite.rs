//! The index in a SQLite file: write-ahead log, one writer at a time, others wait. A file that is not ours or is damaged is
//! refused before anything is written to it.

use super::{
    Afresh, CLEAR, Changes, FIRST_VERSION, GET_MARKS, GET_ROWS, GET_VERSION, IndexError, MAKE_VERSION, MIGRATIONS, PUT,
    REMOVE, Row, VERSION,
};
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior, params};
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

/// `BLKS`: SQLite keeps it in the file for whose file it is.
const OURS: i64 = 0x424C_4B53;
/// How every SQLite file begins.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// An open file.
pub struct File {
    connection: Connection,
    place: String,
}

impl File {
    pub(super) fn open(path: &Path, patience: Duration) -> Result<Self, IndexError> {
        let place = path.display().to_string();
        begins_well(path, &place)?;
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder)
                .map_err(|e| IndexError::Unusable { place: place.clone(), why: e.kind().to_string() })?;
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(|e| refused(&place, &e))?;
        let mut file = Self { connection, place };
        file.prepare(patience).map_err(|e| refused(&file.place, &e))?;
        file.migrate()?;
        Ok(file)
    }

    fn prepare(&self, patience: Duration) -> rusqlite::Result<()> {
        self.connection.busy_timeout(patience)?;
        self.connection.pragma_update(None, "synchronous", "normal")
    }

    /// Ours, whole, and of the version that is known: made so if it is new. Two that open it at once take turns.
    fn migrate(&mut self) -> Result<(), IndexError> {
        let place = self.place.clone();
        let wrong = |e: rusqlite::Error| refused(&place, &e);
        let begun = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(wrong)?;
        let owner: i64 = begun.query_row("pragma application_id", [], |row| row.get(0)).map_err(wrong)?;
        let tables: i64 = begun.query_row("select count(*) from sqlite_schema", [], |row| row.get(0)).map_err(wrong)?;
        if owner != OURS && (owner != 0 || tables > 0) {
            return Err(IndexError::Foreign(place));
        }
        let found: i64 =
            if tables == 0 { -1 } else { begun.query_row(GET_VERSION, [], |row| row.get(0)).map_err(wrong)? };
        if found > VERSION {
            return Err(IndexError::Newer { place, found });
        }
        let sound: String = begun.query_row("pragma quick_check(1)", [], |row| row.get(0)).map_err(wrong)?;
        if sound != "ok" {
            return Err(IndexError::Damaged(place));
        }
        if found == VERSION {
            return Ok(());
        }
        if found < 0 {
            begun.pragma_update(None, "application_id", OURS).map_err(wrong)?;
            begun.execute_batch(&format!("{MAKE_VERSION}; {FIRST_VERSION}")).map_err(wrong)?;
        }
        for statement in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or(0)).copied().flatten() {
            begun.execute_batch(statement).map_err(wrong)?;
        }
        begun.execute("update blackstart_version set version = ?1", params![VERSION]).map_err(wrong)?;
        begun.commit().map_err(wrong)?;
        // Readers do not wait for the writer then. Where a file system cannot do it, the usual way does.
        drop(self.connection.pragma_update(None, "journal_mode", "wal"));
        Ok(())
    }

    pub(super) fn marks(&mut self, source: &str) -> Result<BTreeMap<String, String>, IndexError> {
        let found = || -> rusqlite::Result<BTreeMap<String, String>> {
            let mut statement = self.connection.prepare(GET_MARKS)?;
            statement.query_map([source], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        };
        found().map_err(|e| refused(&self.place, &e))
    }

    pub(super) fn change(&mut self, source: &str, changes: &Changes) -> Result<(), IndexError> {
        let mut changed = || -> rusqlite::Result<()> {
            let begun = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            if changes.afresh == Afresh::Yes {
                begun.execute(CLEAR, [source])?;
            }
            for folder in &changes.gone {
                begun.execute(REMOVE, [source, folder])?;
            }
            {
                let mut put = begun.prepare(PUT)?;
                for row in &changes.put {
                    let [drill, environment, started, entry, skipped] = super::columns(row);
                    put.execute(params![source, row.folder, row.mark, drill, environment, started, entry, skipped])?;
                }
            }
            begun.commit()
        };
        changed().map_err(|e| refused(&self.place, &e))
    }

    pub(super) fn rows(&mut self, drill: Option<&str>, environment: Option<&str>) -> Result<Vec<Row>, IndexError> {
        let found = || -> rusqlite::Result<Vec<Row>> {
            let mut statement = self.connection.prepare(GET_ROWS)?;
            let rows = statement.query_map([drill, environment], |row| {
                let entry: Option<String> = row.get(2)?;
                Ok(super::row(row.get(0)?, row.get(1)?, entry.as_deref(), row.get(3)?))
            })?;
            rows.collect()
        };
        found().map_err(|e| refused(&self.place, &e))
    }
}

/// A file that is there and not empty begins as one of SQLite does.
fn begins_well(path: &Path, place: &str) -> Result<(), IndexError> {
    let unusable = |e: std::io::Error| IndexError::Unusable { place: place.to_owned(), why: e.kind().to_string() };
    let mut head = Vec::new();
    match fs::File::open(path) {
        Ok(file) => file.take(MAGIC.len() as u64).read_to_end(&mut head).map_err(unusable)?,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(unusable(e)),
    };
    if head.is_empty() || head == MAGIC { Ok(()) } else { Err(IndexError::Foreign(place.to_owned())) }
}

fn refused(place: &str, error: &rusqlite::Error) -> IndexError {
    let place = place.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt) => IndexError::Damaged(place),
        Some(ErrorCode::NotADatabase) => IndexError::Foreign(place),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => IndexError::Busy(place),
        _ => IndexError::Unusable { place, why: error.to_string() },
    }
}
