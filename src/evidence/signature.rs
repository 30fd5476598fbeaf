//! SSH signatures over files (SSHSIG, OpenSSH's PROTOCOL.sshsig) in one namespace: signing with a key file here or by
//! `ssh-keygen`, and whether a signature belongs to bytes. Whom to believe is `allowed`'s business.
//!
//! Invariant: bytes are signed, never text that was written anew.

use crate::adapters::{AdapterError, Commands, ssh_keygen};
use ssh_key::public::KeyData;
use ssh_key::{Algorithm, EcdsaCurve, HashAlg, LineEnding, PrivateKey, PublicKey, SshSig};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

/// What signatures of evidence are for: one that was made for anything else is none.
pub const NAMESPACE: &str = "drill-evidence";

/// Larger files are no keys and no signatures.
const LARGEST: u64 = 64 << 10;

/// Why nothing is signed, or a signature is none.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SignatureError {
    /// The key's file cannot be read.
    #[error("cannot read the key {}: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The file holds no key that could be understood.
    #[error("{} holds no SSH key in OpenSSH's format", .0.display())]
    NoKey(PathBuf),
    /// The key cannot sign.
    #[error("the key {} cannot sign: {why}", path.display())]
    CannotSign {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// It is no signature.
    #[error("it is no SSH signature: {0}")]
    Malformed(String),
    /// A signature for something else.
    #[error("it is a signature for `{0}`, not for `{NAMESPACE}`")]
    Namespace(String),
    /// A kind of key whose signatures are not checked here.
    #[error("signatures by {0} keys cannot be checked by this program; ssh-keygen -Y verify can")]
    Unsupported(String),
    /// The bytes are others, or the signature was changed.
    #[error("it does not belong to these bytes")]
    Wrong,
}

/// Somebody who signs evidence.
#[derive(Clone)]
pub struct Signer {
    path: PathBuf,
    public: PublicKey,
    hand: Hand,
}

#[derive(Clone)]
enum Hand {
    /// The key is here.
    Key(Box<PrivateKey>),
    /// `ssh-keygen` finds the key: in an agent, on a token, or in a file of a kind that it knows better.
    Program(Arc<dyn Commands>),
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("path", &self.path).field("fingerprint", &self.fingerprint()).finish()
    }
}

impl Signer {
    /// The signer behind a key's file, which has shown that it can sign. A private key without a passphrase signs here;
    /// for a public key, an encrypted one, one on a token, and RSA, `ssh-keygen` is asked, and nobody is asked for a passphrase.
    ///
    /// # Errors
    /// When it cannot sign, with what to do.
    pub async fn open(path: &Path, commands: &Arc<dyn Commands>) -> Result<Self, SignatureError> {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        let text = read(&path)?;
        let program = || Hand::Program(Arc::clone(commands));
        let (public, hand) = if text.contains("PRIVATE KEY-----") {
            match PrivateKey::from_openssh(&text) {
                Ok(key) if signs_here(&key) => (key.public_key().clone(), Hand::Key(Box::new(key))),
                Ok(key) => (key.public_key().clone(), program()),
                // Of another format: its public half may stand beside it.
                Err(_) => (beside(&path)?, program()),
            }
        } else {
            (PublicKey::from_openssh(text.trim()).map_err(|_| SignatureError::NoKey(path.clone()))?, program())
        };
        let signer = Self { path, public, hand };
        signer.sign(b"blackstart: may this key sign?\n").await?;
        Ok(signer)
    }

    /// `SHA256:…`, as `ssh-keygen -l` prints it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.public)
    }

    /// The public key as a line of `allowed_signers` has it: its type and its digits.
    #[must_use]
    pub fn public_line(&self) -> String {
        let key = PublicKey::new(self.public.key_data().clone(), "");
        key.to_openssh().map(|line| line.trim().to_owned()).unwrap_or_default()
    }

    /// The key's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A signature over these bytes, as the text of a `.sig` file. It has been checked.
    ///
    /// # Errors
    /// When the key cannot be had any more.
    pub async fn sign(&self, message: &[u8]) -> Result<String, SignatureError> {
        let cannot = |why: String| SignatureError::CannotSign { path: self.path.clone(), why };
        let text = match &self.hand {
            Hand::Key(key) => {
                let signature = key.sign(NAMESPACE, HashAlg::Sha512, message).map_err(|e| cannot(e.to_string()))?;
                signature.to_pem(LineEnding::LF).map_err(|e| cannot(e.to_string()))?
            }
            Hand::Program(commands) => {
                let message = std::str::from_utf8(message).map_err(|_| cannot("what is signed is no text".into()))?;
                let made = ssh_keygen::sign(commands.as_ref(), &self.path, NAMESPACE, message).await;
                made.map_err(|e| cannot(self.advice(e)))?
            }
        };
        match checked(message, text.as_bytes()) {
            Ok(key) if key.key_data() == self.public.key_data() => Ok(text),
            // ssh-keygen vouches for what it made.
            Err(SignatureError::Unsupported(_)) => Ok(text),
            Ok(_) => Err(cannot("another key signed in its place".to_owned())),
            Err(why) => Err(cannot(why.to_string())),
        }
    }

    /// The bare signature over these bytes, if the key is here: of Ed25519 as RFC 8032 has it, of ECDSA as DER.
    #[must_use]
    pub fn raw(&self, message: &[u8]) -> Option<Vec<u8>> {
        let Hand::Key(key) = &self.hand else { return None };
        let key: &dyn ssh_key::SigningKey = key.as_ref();
        let signature = key.try_sign(message).ok()?;
        match signature.algorithm() {
            Algorithm::Ed25519 => Some(signature.as_bytes().to_vec()),
            Algorithm::Ecdsa { .. } => der(signature.as_bytes()),
            _ => None,
        }
    }

    fn advice(&self, error: AdapterError) -> String {
        match error {
            AdapterError::Refused(said) => format!(
                "{said}; a key with a passphrase, or on a token, is offered by ssh-agent (ssh-add {}), or name a key without one",
                self.path.display()
            ),
            other => other.to_string(),
        }
    }
}

/// OpenSSH's own: `SHA256:` and base64 of the digest.
#[must_use]
pub fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

/// Whose signature over these bytes this is. Whether that key may sign is not asked here.
///
/// # Errors
/// Why it is none: `Unsupported` if that cannot be told here.
pub fn checked(message: &[u8], signature: &[u8]) -> Result<PublicKey, SignatureError> {
    let text = std::str::from_utf8(signature).map_err(|_| SignatureError::Malformed("it is no text".to_owned()))?;
    let parsed = SshSig::from_pem(text.trim_end()).map_err(|e| SignatureError::Malformed(e.to_string()))?;
    if parsed.namespace() != NAMESPACE {
        return Err(SignatureError::Namespace(parsed.namespace().chars().take(60).collect()));
    }
    let key = PublicKey::from(parsed.public_key().clone());
    if !known(&key) {
        return Err(SignatureError::Unsupported(key.algorithm().as_str().to_owned()));
    }
    key.verify(NAMESPACE, message, &parsed).map_err(|_| SignatureError::Wrong)?;
    Ok(key)
}

/// Kinds of keys whose signatures can be checked here.
fn known(key: &PublicKey) -> bool {
    match key.algorithm() {
        Algorithm::Ed25519 | Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256 | Algorithm::Rsa { .. } => true,
        Algorithm::Ecdsa { curve } => curve != EcdsaCurve::NistP521,
        _ => false,
    }
}

/// RSA is left to ssh-keygen: ssh-key 0.6 puts RSA keys together wrongly.
fn signs_here(key: &PrivateKey) -> bool {
    let kind = match key.public_key().key_data() {
        KeyData::Ed25519(_) => true,
        KeyData::Ecdsa(key) => key.curve() != EcdsaCurve::NistP521,
        _ => false,
    };
    kind && !key.is_encrypted()
}

fn read(path: &Path) -> Result<String, SignatureError> {
    let unreadable = |why: String| SignatureError::Unreadable { path: path.to_path_buf(), why };
    let length = std::fs::metadata(path).map_err(|e| unreadable(e.to_string()))?.len();
    if length > LARGEST {
        return Err(SignatureError::NoKey(path.to_path_buf()));
    }
    let bytes = std::fs::read(path).map_err(|e| unreadable(e.to_string()))?;
    String::from_utf8(bytes).map_err(|_| SignatureError::NoKey(path.to_path_buf()))
}

fn beside(path: &Path) -> Result<PublicKey, SignatureError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    let text = read(Path::new(&name)).map_err(|_| SignatureError::NoKey(path.to_path_buf()))?;
    PublicKey::from_openssh(text.trim()).map_err(|_| SignatureError::NoKey(path.to_path_buf()))
}

/// Two numbers as SSH writes them (four bytes of length before each) as DER's sequence of two: their digits are the same.
fn der(ssh: &[u8]) -> Option<Vec<u8>> {
    let (mut content, mut rest) = (Vec::new(), ssh);
    while !rest.is_empty() {
        let (length, more) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok().filter(|length| *length < 0x80)?;
        content.extend([0x02, u8::try_from(length).ok()?]);
        content.extend_from_slice(more.get(..length)?);
        rest = &more[length..];
    }
    let length = u8::try_from(content.len()).ok().filter(|length| *length < 0x80)?;
    Some([&[0x30, length], content.as_slice()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_numbers_are_a_sequence_in_der() {
        let ssh = [0, 0, 0, 2, 0, 0x80, 0, 0, 0, 1, 5];
        assert_eq!(der(&ssh), Some(vec![0x30, 7, 2, 2, 0, 0x80, 2, 1, 5]));
        assert_eq!(der(&ssh[..10]), None);
    }

    #[test]
    fn garbage_is_no_signature() {
        for garbage in ["", "x", "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n"] {
            assert!(matches!(checked(b"", garbage.as_bytes()), Err(SignatureError::Malformed(_))), "{garbage}");
        }
        assert!(matches!(checked(b"", &[0xff]), Err(SignatureError::Malformed(_))));
    }
}
