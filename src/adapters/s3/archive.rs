//! Archives in a bucket that locks objects: written once with a check of their bytes and a time until which nobody can change
//! them, and read back. <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html>, and `…/API_GetObject.html`
//! for the headers that say the lock

use super::{ALGORITHM, CHECKSUM, Call, GOOD, S3, Trouble, again, base64, http};
use crate::adapters::AdapterError;
use crate::adapters::data::Bucket;
use chrono::{DateTime, SecondsFormat, Utc};
use reqwest::Method;
use rusty_s3::S3Action;
use rusty_s3::actions::PutObject;
use sha2::{Digest, Sha256};

const MODE: &str = "x-amz-object-lock-mode";
const UNTIL: &str = "x-amz-object-lock-retain-until-date";

/// A bucket for archives.
pub struct Archive {
    s3: S3,
}

/// Until when an object cannot be changed or removed, and who may all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locked {
    /// `COMPLIANCE`: nobody; `GOVERNANCE`: who has the right to.
    pub mode: String,
    /// Until then.
    pub until: DateTime<Utc>,
}

/// What is in the bucket now: it was read back, and is what was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Where, for a message.
    pub label: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of its bytes as they were read back, hex.
    pub sha256: String,
    /// Its lock as the server has it.
    pub locked: Option<Locked>,
    /// Was it there before, the same and locked for at least as long?
    pub already: bool,
}

/// What is in the bucket.
struct There {
    bytes: u64,
    sha256: String,
    locked: Option<Locked>,
}

impl Archive {
    /// # Errors
    /// When the endpoint is no URL, or the certificates that it trusts cannot be read.
    pub fn new(place: &Bucket) -> Result<Self, AdapterError> {
        Ok(Self { s3: S3::new(place)? })
    }

    /// Puts an object there and reads it back: its bytes, and its lock if one is asked for. What is there already and locked
    /// for at least as long stays as it is.
    ///
    /// # Errors
    /// When the bucket cannot be reached, refuses, locks nothing, or gives back something else.
    pub async fn store(&self, key: &str, bytes: &[u8], lock: Option<&Locked>) -> Result<Stored, AdapterError> {
        let wanted = format!("{:x}", Sha256::digest(bytes));
        let wanted = (bytes.len() as u64, wanted.as_str());
        if let Some(there) = self.read(key).await?
            && let Ok(stored) = self.checked(key, there, wanted, lock)
        {
            return Ok(Stored { already: true, ..stored });
        }
        self.put(key, bytes, lock).await?;
        let there = self.read(key).await?;
        let gone = || AdapterError::Other(format!("{}: it was written, and is not there", self.s3.label(key)));
        self.checked(key, there.ok_or_else(gone)?, wanted, lock)
    }

    async fn put(&self, key: &str, bytes: &[u8], lock: Option<&Locked>) -> Result<(), AdapterError> {
        let right = if lock.is_some() { "s3:PutObject and s3:PutObjectRetention" } else { "s3:PutObject" };
        let call = Call { what: format!("write {}", self.s3.label(key)), right };
        let mut headers =
            vec![(CHECKSUM, base64::encoded(&Sha256::digest(bytes))), (ALGORITHM.0, ALGORITHM.1.to_owned())];
        if let Some(lock) = lock {
            headers.push((MODE, lock.mode.clone()));
            headers.push((UNTIL, lock.until.to_rfc3339_opts(SecondsFormat::Secs, true)));
        }
        let attempt = || {
            let mut action = PutObject::new(&self.s3.bucket, self.s3.login.as_ref(), key);
            headers.iter().for_each(|(name, value)| action.headers_mut().insert(*name, value.clone()));
            let mut request = self.s3.client.put(action.sign(GOOD)).header("content-type", "application/gzip");
            for (name, value) in &headers {
                request = request.header(*name, value);
            }
            self.s3.answer(&call, request.body(bytes.to_vec()))
        };
        again(attempt).await.map(drop)
    }

    /// What is there, read whole; none if nothing is.
    async fn read(&self, key: &str) -> Result<Option<There>, AdapterError> {
        let what = format!("read {}", self.s3.label(key));
        let call = Call { what: what.clone(), right: "s3:GetObject" };
        let attempt = || async {
            let mut answer = self.s3.send(&call, Method::GET, self.s3.url(key, &[])).await?;
            let header =
                |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
            let until = header(UNTIL).and_then(|until| DateTime::parse_from_rfc3339(&until).ok());
            let locked = header(MODE).zip(until);
            let locked = locked.map(|(mode, until)| Locked { mode, until: until.with_timezone(&Utc) });
            let (mut hash, mut bytes) = (Sha256::new(), 0);
            while let Some(piece) = answer.chunk().await.map_err(|e| Trouble::Again(http::failed(&what, e), None))? {
                hash.update(&piece);
                bytes += piece.len() as u64;
            }
            Ok(There { bytes, sha256: format!("{:x}", hash.finalize()), locked })
        };
        match again(attempt).await {
            Ok(there) => Ok(Some(there)),
            // That there is no such bucket is said when something is written.
            Err(AdapterError::Missing(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn checked(
        &self,
        key: &str,
        there: There,
        wanted: (u64, &str),
        lock: Option<&Locked>,
    ) -> Result<Stored, AdapterError> {
        let label = self.s3.label(key);
        let There { bytes, sha256, locked } = there;
        let wrong = |why: String| Err(AdapterError::Other(format!("{label}: {why}")));
        if (bytes, sha256.as_str()) != wanted {
            return wrong(format!("{bytes} bytes with another digest were read back, not the {} written", wanted.0));
        }
        match (lock, &locked) {
            (Some(_), None) => {
                return wrong(
                    "it is not locked, or the access key may not see that (s3:GetObjectRetention)".to_owned(),
                );
            }
            (Some(asked), Some(has)) if has.mode != asked.mode || has.until < asked.until => {
                let until = has.until.to_rfc3339_opts(SecondsFormat::Secs, true);
                return wrong(format!("it is locked in mode {} until {until}, not as was asked", has.mode));
            }
            _ => {}
        }
        Ok(Stored { label, bytes, sha256, locked, already: false })
    }
}
