//! Small objects that are read and written whole, the latter under a condition.

use super::{CHECKSUM, Call, S3, Trouble, again, base64, sign, text, whole};
use crate::adapters::AdapterError;
use crate::adapters::data::Bucket;
use reqwest::Method;
use rusty_s3::S3Action;
use rusty_s3::actions::PutObject;
use sha2::{Digest, Sha256};

/// Nothing that is kept this way is larger.
const LARGEST: usize = 1 << 20;

/// A bucket for small objects.
pub struct Small {
    s3: S3,
}

/// An object that was read.
pub struct Found {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its ETag, as the server wrote it.
    pub tag: String,
}

/// When an object may be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Only if there is none.
    Absent,
    /// Only over the one with this ETag.
    Tag(String),
}

/// Was it written?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// Yes.
    Yes,
    /// No: the condition does not hold, or somebody else writes at this moment.
    ConditionFailed,
}

impl Small {
    /// # Errors
    /// When the endpoint is no URL, or the certificates that it trusts cannot be read.
    pub fn new(place: &Bucket) -> Result<Self, AdapterError> {
        Ok(Self { s3: S3::new(place)? })
    }

    /// Where an object is, for a message.
    #[must_use]
    pub fn label(&self, key: &str) -> String {
        self.s3.label(key)
    }

    /// An object; none if there is none.
    ///
    /// # Errors
    /// When the bucket cannot be asked, or the object is too large.
    pub async fn read(&self, key: &str) -> Result<Option<Found>, AdapterError> {
        let call = Call { what: format!("read {}", self.label(key)), right: "s3:GetObject" };
        let attempt = || async {
            let answer = self.s3.send(&call, Method::GET, self.s3.url(key, &[])).await?;
            let tag = answer.headers().get("etag").and_then(|tag| tag.to_str().ok()).unwrap_or_default().to_owned();
            Ok(Found { bytes: whole(&call.what, answer, LARGEST).await?, tag })
        };
        match again(attempt).await {
            Ok(found) if found.tag.is_empty() => {
                Err(AdapterError::Other(format!("{}: the server gives no ETag", call.what)))
            }
            Ok(found) => Ok(Some(found)),
            // No such bucket is another matter: writing will say so.
            Err(AdapterError::Missing(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes an object if the condition holds. Not tried again after a doubt: the first attempt may have been the one
    /// that breaks the condition of the second.
    ///
    /// # Errors
    /// When the bucket cannot be asked or refuses.
    pub async fn write(&self, key: &str, bytes: &[u8], condition: &Condition) -> Result<Written, AdapterError> {
        let what = format!("write {}", self.label(key));
        let sum = base64::encoded(&Sha256::digest(bytes));
        let mut action = PutObject::new(&self.s3.bucket, self.s3.login.as_ref(), key);
        action.headers_mut().insert(CHECKSUM, sum.clone());
        let request = self.s3.client.put(sign(action, &[])).header(CHECKSUM, sum);
        let request = match condition {
            Condition::Absent => request.header("if-none-match", "*"),
            Condition::Tag(tag) => request.header("if-match", tag),
        };
        let answer = request.body(bytes.to_vec()).send().await.map_err(|e| super::http::failed(&what, e))?;
        match answer.status().as_u16() {
            200 | 204 => Ok(Written::Yes),
            // 404: what was there is gone. 409: somebody else writes at this moment.
            409 | 412 => Ok(Written::ConditionFailed),
            404 if matches!(condition, Condition::Tag(_)) => Ok(Written::ConditionFailed),
            status => {
                let code = text(&what, answer, super::SAID).await.ok().and_then(|said| super::listing::code(&said));
                let advice = super::advice("s3:PutObject", status, code.as_deref());
                Err(AdapterError::Refused(format!("{what}: {advice}status {status}")))
            }
        }
    }
}

impl From<Trouble> for AdapterError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Again(error, _) | Trouble::Final(error) | Trouble::Lacking(error) => error,
        }
    }
}
