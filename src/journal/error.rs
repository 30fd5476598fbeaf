//! Why a record could not be written or read.

use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why a record could not be written or read.
#[derive(Debug, Error)]
pub enum JournalError {
    /// The file system said no.
    #[error("cannot {doing} `{path}`: {source}")]
    Io {
        /// The operation.
        doing: &'static str,
        /// The object.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A run's record is never overwritten.
    #[error("cannot create `{0}`: it exists already, and a record is never overwritten")]
    Exists(PathBuf),
    /// Somebody writes it.
    #[error(
        "cannot continue `{0}`: its run is still alive, or its guardian or another recovery is healing it right now"
    )]
    Busy(PathBuf),
    /// There is nothing to continue.
    #[error("cannot continue `{0}`: no line of it can be read ({1})")]
    Unreadable(PathBuf, String),
    /// An event that may not follow the ones before it: a bug of the caller.
    #[error("cannot append to the journal: {0}")]
    Illegal(String),
    /// An event that has no JSON form.
    #[error("cannot encode an event: {0}")]
    Encode(#[from] serde_json::Error),
    /// The operations log of a workload failed; it was said once, and is said again on every use.
    #[error("cannot write the operations log of `{workload}`: {why}")]
    Ops {
        /// Whose log.
        workload: String,
        /// What happened.
        why: String,
    },
}

impl JournalError {
    /// For `map_err`.
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_path_buf();
        move |source| Self::Io { doing, path, source }
    }
}
