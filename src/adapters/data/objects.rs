//! What to fingerprint in a bucket. How it is read is the S3 adapter's business.

use super::Selection;
use crate::model::Addressing;

/// Objects of a bucket.
#[derive(Clone, PartialEq, Eq)]
pub struct Objects {
    /// The bucket.
    pub bucket: Bucket,
    /// Which objects count, by key.
    pub selection: Selection,
    /// What stands for an object's content.
    pub content: Content,
    /// Which versions of an object count.
    pub versions: Versions,
    /// So many are asked for at once; a server gives at most 1,000.
    pub page: u16,
}

/// A bucket and how it is reached, with everything filled in. It holds secrets: no `Debug`.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Bucket {
    /// The service's URL.
    pub endpoint: String,
    /// The bucket's name.
    pub name: String,
    /// The region that requests are signed for.
    pub region: String,
    /// Where the bucket's name stands.
    pub addressing: Addressing,
    /// Who asks; nobody in particular if not given.
    pub login: Option<Login>,
    /// A PEM file with the certificates that are trusted; those of the machine if not given.
    pub ca: Option<String>,
}

/// Who asks.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Login {
    /// The access key's id.
    pub key: String,
    /// The secret.
    pub secret: String,
    /// For temporary credentials.
    pub token: Option<String>,
}

/// What stands for an object's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Its bytes, all of them read.
    Read,
    /// What the server calls its ETag; nothing is read.
    Etag,
}

/// Which versions of an object count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versions {
    /// The one that is there.
    Current,
    /// All of them, and what marks it as deleted.
    All,
}
