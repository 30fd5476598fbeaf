//! Who signed, judged by the file of allowed signers as of the end of the run. Whether a signature belongs to bytes is
//! `evidence::signature`'s business.

use super::files::{Files, load, signed_bytes};
use super::finding::{Area, Checked, Finding, Kind, Level};
use super::{Policy, Requirement};
use crate::evidence::allowed::Standing;
use crate::evidence::signature::{self, NAMESPACE, SignatureError};
use crate::evidence::sums::{self, SIGNATURE};
use chrono::{DateTime, Utc};
use std::path::Path;

/// What a signature is worth.
pub(super) enum Worth {
    /// Good, by a key that may sign: principals and fingerprint.
    Good { who: String, fingerprint: String },
    /// Good, and nobody was given who may sign.
    Unchecked { fingerprint: String },
    /// Not good, and why.
    Bad(Kind, String),
}

/// Judges a signature over some bytes as of a time.
pub(super) fn judge(text: &[u8], bytes: &[u8], at: Option<DateTime<Utc>>, policy: &Policy) -> Worth {
    let key = match signature::checked(bytes, text) {
        Ok(key) => key,
        Err(error) => {
            let kind = match error {
                SignatureError::Unsupported(_) => Kind::SignatureUnsupported,
                SignatureError::Namespace(_) => Kind::SignatureNamespace,
                _ => Kind::SignatureBad,
            };
            return Worth::Bad(kind, error.to_string());
        }
    };
    let fingerprint = signature::fingerprint(&key);
    let Some(signers) = &policy.signers else { return Worth::Unchecked { fingerprint } };
    let when = at.map_or_else(|| "an unknown time".to_owned(), |at| at.format("%Y-%m-%d %H:%M:%S UTC").to_string());
    match signers.standing(key.key_data(), NAMESPACE, at) {
        Standing::Allowed(who) => Worth::Good { who, fingerprint },
        Standing::Unknown(authorities) => Worth::Bad(Kind::SignerUnknown, unknown(&fingerprint, &authorities)),
        Standing::OtherNamespace(who) => {
            let what = format!("the key of {who} may not sign for `{NAMESPACE}`");
            Worth::Bad(Kind::SignatureNamespace, what)
        }
        Standing::NotYet(who) => {
            Worth::Bad(Kind::SignerExpired, format!("the key of {who} was not yet valid at {when}"))
        }
        Standing::Expired(who) => {
            Worth::Bad(Kind::SignerExpired, format!("the key of {who} was no longer valid at {when}"))
        }
    }
}

fn unknown(fingerprint: &str, authorities: &[usize]) -> String {
    let mut what = format!("the key {fingerprint} is not among the allowed signers");
    if let [line, ..] = authorities {
        what +=
            &format!(" (line {line} has `cert-authority`; certificates are not read here: list the keys themselves)");
    }
    what
}

/// The signature over the list of digests. `declared` is the signer that the start record names.
pub(super) fn check(
    dir: &Path,
    files: &Files,
    (declared, at): (Option<&str>, Option<DateTime<Utc>>),
    policy: &Policy,
    seen: &mut Checked,
) {
    let Some(bytes) = signed_bytes(dir, files) else {
        if files.contains_key(SIGNATURE) {
            seen.find(Kind::Missing, sums::FILE, "it is signed, and cannot be read");
        } else {
            unsigned(declared, policy, seen);
        }
        return;
    };
    let Some(signature) = load(dir, files, SIGNATURE) else { return unsigned(declared, policy, seen) };
    let fingerprint = match judge(&signature, &bytes, at, policy) {
        Worth::Good { who, fingerprint } => {
            seen.good(Area::Signature, format!("by {who}, {fingerprint}"));
            seen.signer = Some(who);
            fingerprint
        }
        Worth::Unchecked { fingerprint } => {
            let what = format!("good, by the key {fingerprint}; whose it is, --allowed-signers FILE says");
            let level = if policy.requires(Requirement::Signed) { Level::Unverifiable } else { Level::Remark };
            seen.findings.push(Finding::new(Kind::SignerUnchecked, SIGNATURE, what).at(level));
            fingerprint
        }
        Worth::Bad(kind, what) => return seen.find(kind, SIGNATURE, what),
    };
    seen.fingerprint = Some(fingerprint.clone());
    if let Some(declared) = declared.filter(|declared| *declared != fingerprint) {
        let what = format!("the start record says that {declared} will sign, and {fingerprint} did");
        seen.find(Kind::SignerOther, SIGNATURE, what);
    }
}

fn unsigned(declared: Option<&str>, policy: &Policy, seen: &mut Checked) {
    if let Some(declared) = declared {
        let what = format!(
            "the start record says that {declared} will sign; there is no signature: removed, or the key was not there"
        );
        return seen.find(Kind::SignatureMissing, SIGNATURE, what);
    }
    let level = if policy.requires(Requirement::Signed) { Level::Unverifiable } else { Level::Remark };
    let what = "UNSIGNED: nothing tells that these files are the ones that the run wrote";
    seen.findings.push(Finding::new(Kind::Unsigned, SIGNATURE, what).at(level));
}
