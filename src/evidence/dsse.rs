//! Signs a DSSE envelope (secure-systems-lab/dsse, protocol 1.0.2), in which in-toto statements travel. What is signed is the
//! payload with its type and their lengths, never JSON that was written anew. What a statement says is `report`'s business.

use super::signature::Signer;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<Signature>,
}

#[derive(Serialize, Deserialize)]
struct Signature {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keyid: Option<String>,
    sig: String,
}

/// What is signed: the type and the payload with their lengths.
#[must_use]
pub fn pre_authentication(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

/// The envelope, a line of JSON, with a signature more; as it was if the signer does not hold the key itself (an agent or a
/// token signs `SHA256SUMS`, which covers the envelope).
#[must_use]
pub fn signed(envelope: &str, signer: &Signer) -> String {
    with_signature(envelope, signer).unwrap_or_else(|| envelope.to_owned())
}

fn with_signature(envelope: &str, signer: &Signer) -> Option<String> {
    let mut read: Envelope = serde_json::from_str(envelope).ok()?;
    let payload = STANDARD.decode(&read.payload).ok()?;
    let raw = signer.raw(&pre_authentication(&read.payload_type, &payload))?;
    read.signatures.push(Signature { keyid: Some(signer.fingerprint()), sig: STANDARD.encode(raw) });
    serde_json::to_string(&read).ok().map(|line| line + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification.
    #[test]
    fn what_is_signed_has_types_and_lengths() {
        let signed = pre_authentication("http://example.com/HelloWorld", b"hello world");
        assert_eq!(signed, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }
}
