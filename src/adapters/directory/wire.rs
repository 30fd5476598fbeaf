//! What a runner and the process that does its file operations say to each other: one JSON line each. A file operation can
//! hang in the kernel, where no signal reaches it; what hangs then is that process, never the runner.

use crate::adapters::AdapterError;
use crate::adapters::data::{Directory, Taken};
use crate::adapters::systems::{DirectoryAsk, Seen};
use crate::model::{FileLayout, Fsync, Key};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The kind of helper, as it stands in its command line.
pub const HELPER: &str = "directory";
/// What stands for its owner there: it lives only as long as its runner, and holds no fault.
pub const OWNER: &str = "ledger";
/// What it says when it is ready.
pub const READY: &str = "ready";
/// Numbers of slots are below this.
pub const SLOTS: u32 = 8_192;

/// What it works on; the first line that it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The directory.
    pub path: PathBuf,
    /// The folder in it that holds ledgers.
    pub name: String,
    /// The run.
    pub run: String,
    /// When a record counts as written.
    pub fsync: Fsync,
    /// How records stand in files.
    pub layout: FileLayout,
    /// Are files kept open between records?
    pub keep: Keep,
    /// Which process of its ledger it is: part of its files' names.
    pub process: u32,
}

/// Are files kept open between records?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Keep {
    /// They are.
    Open,
    /// They are closed after each.
    Closed,
}

/// Something to do. Orders of one slot are carried out one after the other, those of several at the same time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Which answer belongs to it.
    pub id: u64,
    /// Who waits for whom.
    pub slot: u32,
    /// What.
    pub what: What,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// Makes the run's folder, clears what earlier runs left, and tries out a write.
    Prepare {
        /// So many bytes must be free.
        need: Option<u64>,
    },
    /// Writes a record.
    Write {
        /// Its name.
        key: Key,
        /// Which attempt it is.
        attempt: u32,
        /// The line.
        line: String,
    },
    /// Reads a record: from where it was written, if that is known.
    Read {
        /// Its name.
        key: Key,
        /// Where its line begins.
        spot: Option<Spot>,
    },
    /// Writes a small file, syncs it and reads it back.
    Visit {
        /// What is in it.
        number: u64,
    },
    /// Reads all records of the run.
    ReadBack,
    /// Looks at the directory.
    Look(DirectoryAsk),
    /// Reads all that is in a directory.
    Fingerprint(Directory),
}

/// Where a record stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spot {
    /// The file's name.
    pub file: String,
    /// The first byte.
    pub at: u64,
}

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The order's.
    pub id: u64,
    /// What is said.
    pub said: Said,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Said {
    /// It is done; where the record stands.
    Done(Option<Spot>),
    /// A write, or a visit, went wrong.
    Failed(Trouble),
    /// Lines of a read-back, each as it stands in its file, and there is more.
    Lines(Vec<Entry>),
    /// A record's line, if there is one.
    Found(Option<String>),
    /// What a look saw.
    Seen {
        /// The answer.
        value: String,
        /// What else was seen.
        fields: std::collections::BTreeMap<String, String>,
    },
    /// A fingerprint.
    Taken(Taken),
    /// It cannot be done.
    Refused(AdapterError),
}

impl From<Seen> for Said {
    fn from(Seen { value, fields }: Seen) -> Self {
        Self::Seen { value, fields }
    }
}

/// Something that a read-back found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// A line.
    Line(String),
    /// What stands in the file of one record.
    Own(Key, u32, String),
    /// A file, or the part of one, that is not ours.
    Strange(String),
}

/// Which system call went wrong, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// What was being done.
    pub step: Step,
    /// The system's number of the error.
    pub errno: i32,
    /// Bytes of the record that had been taken by then.
    pub taken: usize,
    /// Whose file system it is.
    pub whose: Whose,
}

/// The steps of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// Opening or making the file, before the first byte of the record.
    Open,
    /// write(2).
    Write,
    /// fdatasync(2).
    Sync,
    /// Giving it its name.
    Rename,
    /// fsync(2) of the folder that names it.
    SyncFolder,
    /// Reading it again (a visit).
    Read,
}

/// Whose file system it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Whose {
    /// This machine's kernel writes it to a device of its own, and an error of write(2) is about this very write.
    Local,
    /// A server's, or a program's, or one that is not known: an error may be about an earlier write.
    Other,
}
