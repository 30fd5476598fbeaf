//! The user's own data, fingerprinted where it lies: rows by the server that holds them, files by this machine. What the
//! result means is decided elsewhere.

use super::{AdapterError, Fut, ServerPlace};
use crate::model::{Fingerprint, Listing};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

pub mod directory;
pub(super) mod keys;
mod objects;
pub(super) mod selection;
pub(super) mod tables;

pub use objects::{Bucket, Content, Login, Objects, Versions};
pub use selection::Selection;

/// What to fingerprint, with everything filled in. A URL may hold a password: no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub enum Store {
    /// Tables of a PostgreSQL database.
    Postgres(Tables),
    /// Tables of a MySQL or MariaDB database.
    Mysql(Tables),
    /// Everything under a directory.
    Directory(Directory),
    /// Keys of a key-value store.
    Keys(Keys),
    /// Objects of a bucket.
    Objects(Objects),
    /// Documents of a CouchDB database.
    Documents(Documents),
    /// Collections of a MongoDB database.
    Collections(Collections),
    /// Documents of an Elasticsearch cluster.
    Indices(Indices),
}

/// Collections of a database.
#[derive(Clone, PartialEq, Eq)]
pub struct Collections {
    /// The members, and the database.
    pub place: ServerPlace,
    /// Names; `*` stands for anything. All of the database if there are none.
    pub collections: Vec<String>,
    /// What is left out, as patterns.
    pub exclude: Vec<String>,
    /// What the names of the drill's own collections begin with: never part of it.
    pub own: Vec<String>,
}

/// Documents of indices.
#[derive(Clone, PartialEq, Eq)]
pub struct Indices {
    /// The cluster.
    pub url: String,
    /// In place of user and password.
    pub api_key: Option<String>,
    /// Indices, and which documents count, by `INDEX/NAME`.
    pub selection: Selection,
}

/// Tables of a database.
#[derive(Clone, PartialEq, Eq)]
pub struct Tables {
    /// The database.
    pub url: String,
    /// Names, with or without a schema; `*` stands for anything. All of the user's if there are none.
    pub tables: Vec<String>,
    /// Columns that are left out, by table.
    pub exclude: BTreeMap<String, Vec<String>>,
    /// Tables of the drill itself: never part of it.
    pub own: Vec<String>,
}

/// Keys of a store.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    /// What it speaks.
    pub service: KeyService,
    /// Where it is.
    pub url: String,
    /// Which keys count.
    pub selection: Selection,
}

/// What a key-value store speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyService {
    /// The protocol of the embedded staging.
    Kv,
}

/// Documents of a CouchDB database.
#[derive(Clone, PartialEq, Eq)]
pub struct Documents {
    /// The database.
    pub url: String,
    /// Do revisions count?
    pub revisions: Counts,
    /// Which documents count.
    pub selection: Selection,
}

/// A directory.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Directory {
    /// How it is called in a report.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// What is left out of it, as patterns.
    pub exclude: Vec<String>,
    /// Does the time of the last change of a file's content count?
    pub times: Counts,
    /// Do the owners count?
    pub owners: Counts,
}

/// Is something part of a fingerprint?
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Counts {
    /// It is.
    Yes,
    /// It is not.
    No,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Taken {
    /// The fingerprint of what is there.
    pub print: Fingerprint,
    /// What the fingerprint is of, by name, if these have names and are not too many.
    pub listing: Option<Listing>,
    /// What was asked for and is not there, in words.
    pub absent: Vec<String>,
}

/// Takes fingerprints.
pub trait Data: Send + Sync {
    /// One fingerprint, of one moment where the store can be asked for one; given up after `limit`.
    fn fingerprint<'a>(&'a self, store: &'a Store, limit: Duration) -> Fut<'a, Result<Taken, AdapterError>>;
}

/// The data that this machine can reach.
pub(super) struct SystemData {
    /// The program whose processes read directories; the one that runs if none is given.
    pub program: Option<PathBuf>,
}

impl Data for SystemData {
    fn fingerprint<'a>(&'a self, store: &'a Store, limit: Duration) -> Fut<'a, Result<Taken, AdapterError>> {
        Box::pin(async move {
            match store {
                Store::Postgres(tables) => super::postgres::fingerprint(tables, limit).await,
                Store::Mysql(tables) => super::mysql::fingerprint(tables, limit).await,
                Store::Directory(directory) => directory::fingerprint(self.program.as_deref(), directory, limit).await,
                Store::Keys(keys) => keys::fingerprint(keys, limit).await,
                Store::Documents(documents) => keys::documents(documents, limit).await,
                Store::Collections(collections) => super::mongodb::fingerprint(collections, limit).await,
                Store::Indices(indices) => super::elasticsearch::fingerprint(indices, limit).await,
                Store::Objects(objects) => super::s3::fingerprint(objects, limit).await,
            }
        })
    }
}

/// The first eight bytes of a digest as a number, for summing up.
fn short(digest: &[u8]) -> u64 {
    digest.iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}
