//! Time-stamping authorities (RFC 3161) by HTTP. What is asked and what the answer says is `evidence`'s business.

use super::{AdapterError, http, tls};
use std::time::Duration;

/// The whole exchange.
const LIMIT: Duration = Duration::from_secs(15);
const CONNECT: Duration = Duration::from_secs(5);
/// An answer with its certificates has a few kilobytes.
const LARGEST: usize = 256 << 10;

/// Sends a request to an authority; gives its answer. `ca` is a PEM file with certificates that are trusted for TLS in place
/// of the machine's.
///
/// # Errors
/// When it does not answer in time, or with something else than a time stamp.
pub async fn ask(url: &str, ca: Option<&str>, request: Vec<u8>) -> Result<Vec<u8>, AdapterError> {
    let name = format!("the time stamp from {}", http::bare(url));
    http::install_tls();
    let mut client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT)
        .timeout(LIMIT);
    if url.starts_with("https:") {
        client = client.tls_backend_preconfigured(tls::config(&tls::Trust::Roots(ca.map(str::to_owned)))?);
    }
    let client = client.build().map_err(|_| AdapterError::Other(format!("{name}: no HTTP client can be made")))?;
    let asked = client.post(url).header("content-type", "application/timestamp-query").body(request);
    let mut answer = asked.send().await.map_err(|e| http::failed(&name, e))?;
    if answer.status().as_u16() != 200 {
        return Err(AdapterError::Refused(format!("{name}: status {}", answer.status().as_u16())));
    }
    let mut bytes = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(|e| http::failed(&name, e))? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > LARGEST {
            return Err(AdapterError::Other(format!("{name}: an oversized answer")));
        }
    }
    Ok(bytes)
}
