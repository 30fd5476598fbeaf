//! The user's own data, compared before the outage and after it: one file per kind of store, and their registry.
//! How a store is read is `adapters`' business; when, and what a difference means, is `exec`'s and `analysis`'s.

use crate::adapters::data::{Store, Taken};
use crate::faults::{Cx, FaultError, KindInfo};
use crate::model::TargetRef;
use crate::probes::ProbeError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::time::Duration;

mod collections;
mod couchdb;
mod directory;
mod documents;
mod keys;
mod mysql;
mod objects;
mod postgres;

pub use collections::CollectionsPrint;
pub use couchdb::CouchdbPrint;
pub use directory::DirectoryPrint;
pub use documents::DocumentsPrint;
pub use keys::KeysPrint;
pub use mysql::MysqlPrint;
pub use objects::ObjectsPrint;
pub use postgres::PostgresPrint;

/// A fingerprint of one kind of store.
pub trait Print: Serialize + DeserializeOwned + JsonSchema + Send + Sync {
    /// The key in a playbook.
    const KIND: &'static str;
    /// One line for `list` and the reference.
    const SUMMARY: &'static str;
    /// Kinds of targets that it can read.
    const TARGETS: &'static [&'static str] = &[Self::KIND];

    /// The target it reads, if it names one.
    fn target(&self) -> Option<&TargetRef> {
        None
    }
    /// What to read, with everything filled in. `own` are the tables of the drill's own ledgers.
    ///
    /// # Errors
    /// When a reference cannot be filled in.
    fn store(&self, cx: &Cx<'_>, own: &[String]) -> Result<Store, FaultError>;
    /// What is read, in a few words.
    fn words(&self) -> String;
}

macro_rules! fingerprints {
    ($($variant:ident($ty:ty) = $key:literal),+ $(,)?) => {
        /// A fingerprint of any kind.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
        pub enum FingerprintSpec {
            $(#[doc = $key] #[serde(rename = $key)] $variant($ty)),+
        }

        /// All kinds, in the order of the registry.
        pub const KINDS: &[KindInfo] = &[$(KindInfo {
            kind: $key,
            summary: <$ty as Print>::SUMMARY,
            note: "",
            schema: || schemars::schema_for!($ty),
        }),+];

        impl FingerprintSpec {
            /// The key in a playbook.
            #[must_use]
            pub fn kind(&self) -> &'static str {
                match self { $(Self::$variant(_) => <$ty as Print>::KIND),+ }
            }
            /// Kinds of targets that it can read.
            #[must_use]
            pub fn target_kinds(&self) -> &'static [&'static str] {
                match self { $(Self::$variant(_) => <$ty as Print>::TARGETS),+ }
            }
            /// The target it reads, if it names one.
            #[must_use]
            pub fn target(&self) -> Option<&TargetRef> {
                match self { $(Self::$variant(p) => p.target()),+ }
            }
            /// What is read, in a few words.
            #[must_use]
            pub fn words(&self) -> String {
                match self { $(Self::$variant(p) => p.words()),+ }
            }
            fn store(&self, cx: &Cx<'_>, own: &[String]) -> Result<Store, FaultError> {
                match self { $(Self::$variant(p) => p.store(cx, own)),+ }
            }
        }
    };
}

fingerprints! {
    Postgres(PostgresPrint) = "postgres",
    Mysql(MysqlPrint) = "mysql",
    Directory(DirectoryPrint) = "directory",
    Keys(KeysPrint) = "keys",
    Objects(ObjectsPrint) = "objects",
    Couchdb(CouchdbPrint) = "couchdb",
    Collections(CollectionsPrint) = "collections",
    Documents(DocumentsPrint) = "documents",
}

impl FingerprintSpec {
    /// The same of a copy at another target; none for a kind that names no database.
    #[must_use]
    pub fn at(&self, target: &TargetRef) -> Option<Self> {
        let target = target.clone();
        match self {
            Self::Postgres(print) => Some(Self::Postgres(PostgresPrint { target, ..print.clone() })),
            Self::Couchdb(print) => Some(Self::Couchdb(CouchdbPrint { target, ..print.clone() })),
            Self::Mysql(print) => Some(Self::Mysql(MysqlPrint { target, ..print.clone() })),
            Self::Collections(print) => Some(Self::Collections(CollectionsPrint { target, ..print.clone() })),
            _ => None,
        }
    }

    /// Takes it now.
    ///
    /// # Errors
    /// When the store cannot be read within the limit, or changed while it was read.
    pub async fn take(&self, cx: &Cx<'_>, own: &[String], limit: Duration) -> Result<Taken, ProbeError> {
        let store = self.store(cx, own)?;
        Ok(cx.world.data.fingerprint(&store, limit).await?)
    }
}
