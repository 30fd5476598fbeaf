//! `attestation.intoto.jsonl`: what a drill came to as an in-toto statement (v1) with the predicate test-result v0.1, in a
//! DSSE envelope. Signing it is not done here: what is signed is [`pae`] of the payload.
//!
//! Sources: in-toto attestation framework (statement v1, test-result v0.1), DSSE v1.0.2.

use super::checked::{self, Checked};
use super::words;
use crate::analysis::Analysis;
use crate::event::Subject;
use crate::model::Verdict;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a payload is.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// The name under which the manifest is a subject.
const MANIFEST: &str = "MANIFEST.json";

/// A DSSE envelope; one without signatures vouches for nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// The statement, base64 (standard alphabet, padded).
    pub payload: String,
    /// [`PAYLOAD_TYPE`]
    pub payload_type: String,
    /// By whoever stands for it.
    pub signatures: Vec<Signature>,
}

/// A signature of an envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// Which key, as the signer calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyid: Option<String>,
    /// Base64.
    pub sig: String,
}

impl Envelope {
    /// As it is stored: one line, with its line break.
    #[must_use]
    pub fn line(&self) -> String {
        serde_json::to_string(self).expect("texts and lists are JSON") + "\n"
    }
}

/// What is signed of an envelope (pre-authentication encoding): `DSSEv1`, the type and the payload itself, each with its
/// length.
#[must_use]
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut out = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    out.extend_from_slice(payload);
    out
}

/// The envelope without signatures, as one line with its line break. `manifest_digest` is SHA-256 of `MANIFEST.json`, hex.
#[must_use]
pub fn intoto(a: &Analysis, manifest_digest: &str) -> String {
    let payload = STANDARD.encode(statement(a, manifest_digest));
    Envelope { payload, payload_type: PAYLOAD_TYPE.to_owned(), signatures: Vec::new() }.line()
}

/// The statement itself, the payload of [`intoto`]: one line of JSON without a line break.
#[must_use]
pub fn statement(a: &Analysis, manifest_digest: &str) -> String {
    let lineage = a.run.lineage.as_deref();
    let mut subject: Vec<Resource> = lineage.iter().flat_map(|l| &l.subjects).map(tested).collect();
    subject.push(sha256(MANIFEST, manifest_digest));
    let statement = Statement {
        kind: "https://in-toto.io/Statement/v1",
        subject,
        predicate_type: "https://in-toto.io/attestation/test-result/v0.1",
        predicate: predicate(a),
    };
    serde_json::to_string(&statement).expect("texts, lists and maps are JSON")
}

#[derive(Serialize)]
struct Statement {
    #[serde(rename = "_type")]
    kind: &'static str,
    subject: Vec<Resource>,
    #[serde(rename = "predicateType")]
    predicate_type: &'static str,
    predicate: TestResult,
}

/// Something with a digest.
#[derive(Serialize)]
struct Resource {
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    digest: BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TestResult {
    result: &'static str,
    configuration: Vec<Resource>,
    passed_tests: Vec<String>,
    warned_tests: Vec<String>,
    failed_tests: Vec<String>,
}

fn sha256(name: &str, digest: &str) -> Resource {
    Resource { name: words::clean(name), digest: BTreeMap::from([("sha256".to_owned(), digest.to_owned())]) }
}

fn tested(subject: &Subject) -> Resource {
    let (kind, digest) = subject.digest.split_once(':').unwrap_or(("sha256", &subject.digest));
    Resource { name: words::clean(&subject.name), digest: BTreeMap::from([(kind.to_owned(), digest.to_owned())]) }
}

fn predicate(a: &Analysis) -> TestResult {
    let all = checked::all(a);
    let named = |verdict: Verdict| all.iter().filter(|c| c.verdict == verdict).map(name).collect();
    // What the run as a whole came to, whatever its checks say: an aborted run is no pass, and an open fault is a failure.
    let result = match words::headline(a).verdict {
        Verdict::Pass => "PASSED",
        Verdict::Inconclusive => "WARNED",
        Verdict::Fail => "FAILED",
    };
    TestResult {
        result,
        configuration: vec![
            sha256(&a.run.playbook, &a.run.playbook_digest),
            sha256("playbook.resolved.yaml", &a.run.resolved_digest),
        ],
        passed_tests: named(Verdict::Pass),
        warned_tests: named(Verdict::Inconclusive),
        failed_tests: named(Verdict::Fail),
    }
}

fn name(c: &Checked) -> String {
    words::clean(&c.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_is_what_the_protocol_says() {
        // The example of the protocol's own text.
        let bytes = pae("http://example.com/HelloWorld", b"hello world");
        assert_eq!(bytes, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }

    #[test]
    fn an_envelope_survives_being_read() {
        let signature = Signature { keyid: Some("k".to_owned()), sig: "AA==".to_owned() };
        let envelope =
            Envelope { payload_type: PAYLOAD_TYPE.to_owned(), payload: "e30=".to_owned(), signatures: vec![signature] };
        let line = envelope.line();
        assert_eq!(line.matches('\n').count(), 1);
        assert_eq!(serde_json::from_str::<Envelope>(&line).unwrap(), envelope);
    }
}
