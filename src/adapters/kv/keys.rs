//! The embedded staging's records as keys with values, for fingerprints: `RUN/WRITER/SEQ` and the payload.

use super::super::connection::Site;
use super::super::data::keys::KeyStore;
use super::super::{AdapterError, Fut, Line, unhex};
use super::{Asked, get, lines};
use hyper::Uri;
use std::time::Duration;

/// One connection may take so long to be made.
const CONNECT: Duration = Duration::from_secs(5);

/// A store that lists its keys.
pub(in crate::adapters) struct KvKeys {
    site: Site,
    path: String,
    limit: Duration,
}

/// Checks the URL; connects nowhere. One prefix may take as long as the limit.
///
/// # Errors
/// When the URL is not valid.
pub(in crate::adapters) fn keys(url: &str, limit: Duration) -> Result<KvKeys, AdapterError> {
    let uri: Uri =
        url.parse().map_err(|_| AdapterError::Other("the URL of a key-value store is not valid".to_owned()))?;
    let path = format!("{}/keys", uri.path().trim_end_matches('/'));
    Ok(KvKeys { site: Site::of(&uri, &Line::default())?, path, limit })
}

impl KeyStore for KvKeys {
    fn scan<'a>(
        &'a self,
        prefix: &'a str,
        each: &'a mut (dyn FnMut(&[u8], &[u8]) + Send),
    ) -> Fut<'a, Result<(), AdapterError>> {
        Box::pin(async move {
            let what = format!("list the keys of {}", self.site.header().to_str().unwrap_or_default());
            let asked = Asked { site: &self.site, what: &what, connect: CONNECT, limit: self.limit };
            let (mut keys, mut said, mut strange) = (0_u64, None, 0_u64);
            let path = format!("{}?prefix={}", self.path, escaped(prefix));
            let status = lines(&asked, &path, get(), &mut |line| match (line.strip_prefix("end "), parse(line)) {
                (Some(count), _) => said = count.parse().ok(),
                (None, Some((key, value))) => {
                    keys += 1;
                    each(key.as_bytes(), &value);
                }
                (None, None) => strange += 1,
            })
            .await?;
            ended(&what, status, (keys, said, strange))
        })
    }
}

/// `run/writer/seq payload-hex`; an empty payload leaves nothing after the space.
fn parse(line: &str) -> Option<(&str, Vec<u8>)> {
    let (key, value) = line.split_once(' ')?;
    Some((key, unhex(value)?))
}

/// A list counts only when its last line was there and says as much as was read.
fn ended(what: &str, status: u16, (keys, said, strange): (u64, Option<u64>, u64)) -> Result<(), AdapterError> {
    match (status, said) {
        (200, Some(said)) if said == keys && strange == 0 => Ok(()),
        (200, _) => Err(AdapterError::Other(format!("{what}: cut off after {keys} keys"))),
        (404 | 405, _) => Err(AdapterError::Missing(format!("{what}: it does not list keys"))),
        _ => Err(AdapterError::Refused(format!("{what}: status {status}"))),
    }
}

/// A text for a URL's query.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let one = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(one).collect()
}
