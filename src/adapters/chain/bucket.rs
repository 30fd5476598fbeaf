//! Heads in a bucket, swapped by the conditions of the S3 protocol: `If-None-Match: *` for the first, `If-Match` with the
//! ETag of what was read for every other. Some servers take such requests and do not look at the conditions: that is found
//! out by one that nobody may keep, on an object of its own.

use super::{ATTEMPTS, Change, Swapped};
use crate::adapters::AdapterError;
use crate::adapters::data::Bucket;
use crate::adapters::s3::{Condition, Small, Written};

pub(super) async fn change(
    place: &Bucket,
    prefix: &str,
    name: &str,
    change: Change<'_>,
) -> Result<Swapped, AdapterError> {
    let (small, key) = (Small::new(place)?, key(prefix, name));
    let mut swapped = None;
    // Until there is nothing left to change: what was written is read back, for not every server checks a condition and
    // writes in one step.
    for _ in 0..ATTEMPTS {
        let there = small.read(&key).await?;
        let condition = match &there {
            None => Condition::Absent,
            Some(found) => Condition::Tag(found.tag.clone()),
        };
        let text = there.map(|found| String::from_utf8_lossy(&found.bytes).into_owned());
        let Some(new) = change(text.as_deref()).map_err(AdapterError::Refused)? else {
            return Ok(swapped.unwrap_or(Swapped::Surely));
        };
        if small.write(&key, new.as_bytes(), &condition).await? == Written::Yes && swapped.is_none() {
            swapped = Some(guarded(&small, prefix, name).await?);
        }
    }
    Err(AdapterError::Other(format!("others changed {} {ATTEMPTS} times in a row", small.label(&key))))
}

fn key(prefix: &str, name: &str) -> String {
    let prefix = prefix.trim_matches('/');
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") }
}

/// Does the server keep conditions? What is there already must not be written as new, nor over another version than the
/// one that is there.
async fn guarded(small: &Small, prefix: &str, name: &str) -> Result<Swapped, AdapterError> {
    let key = key(prefix, &format!("{name}.conditions"));
    let text = b"Written to find out whether conditions are kept; holds nothing.\n";
    let absent = || small.write(&key, text, &Condition::Absent);
    let first = absent().await?;
    if first == Written::Yes && absent().await? == Written::Yes {
        return Ok(Swapped::Unguarded);
    }
    let other = Condition::Tag(format!("\"{}\"", "0".repeat(32)));
    Ok(match small.write(&key, text, &other).await? {
        Written::Yes => Swapped::Unguarded,
        Written::ConditionFailed => Swapped::Surely,
    })
}
