//! Signing a review: one key, asked once.

use crate::adapters::World;
use crate::cli::{Complaint, Exit};
use crate::evidence::signature::{SignatureError, Signer};
use std::path::Path;

/// A key that has shown that it can sign.
pub(super) struct Signing {
    signer: Signer,
    runtime: tokio::runtime::Runtime,
}

impl Signing {
    pub(super) fn open(path: &Path) -> Result<Self, Complaint> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| Complaint::new(Exit::Internal, format!("cannot start the runtime: {e}")))?;
        let commands = World::system().commands;
        let signer = runtime.block_on(Signer::open(path, &commands)).map_err(|e| refused(&e))?;
        Ok(Self { signer, runtime })
    }

    /// A signature over these bytes, as the text of a `.sig` file.
    pub(super) fn sign(&self, bytes: &[u8]) -> Result<String, Complaint> {
        self.runtime.block_on(self.signer.sign(bytes)).map_err(|e| refused(&e))
    }

    pub(super) fn fingerprint(&self) -> String {
        self.signer.fingerprint()
    }
}

fn refused(error: &SignatureError) -> Complaint {
    Complaint::new(Exit::Usage, format!("{error}; nothing was written"))
        .mend("--sign-with ~/.ssh/id_ed25519, or without it: the review then says that it is not signed")
}
