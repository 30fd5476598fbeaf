//! TLS for clients, by rustls: whom they trust. What is said over it is the clients' business.

use super::AdapterError;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::sync::Arc;

/// Where Debian, Fedora and Alpine keep the certificates that the machine trusts.
const SYSTEM_ROOTS: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// Is the server's certificate looked at?
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trust {
    /// No: encrypted, but anybody could be the server.
    Anyone,
    /// It is signed by one of those in this file, or by what the machine trusts, and is for this host name.
    Roots(Option<String>),
}

/// How a client speaks TLS.
///
/// # Errors
/// When the certificates cannot be read.
pub(super) fn config(trust: &Trust) -> Result<ClientConfig, AdapterError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|e| AdapterError::Other(format!("TLS cannot be set up: {e}")))?;
    Ok(match trust {
        Trust::Anyone => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Unverified(provider))).with_no_client_auth()
        }
        Trust::Roots(file) => builder.with_root_certificates(roots(file.as_deref())?).with_no_client_auth(),
    })
}

fn roots(file: Option<&str>) -> Result<RootCertStore, AdapterError> {
    let file = match file {
        Some(file) => file,
        None => SYSTEM_ROOTS.into_iter().find(|f| std::path::Path::new(f).exists()).ok_or_else(|| {
            AdapterError::Missing("no trusted certificates on this machine; name a file with sslrootcert".to_owned())
        })?,
    };
    let missing = |e: String| AdapterError::Missing(format!("certificates {file}: {e}"));
    let mut store = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(file).map_err(|e| missing(e.to_string()))?;
    let (added, _) = store.add_parsable_certificates(certificates.filter_map(Result::ok));
    if added == 0 {
        return Err(missing("holds no certificate".to_owned()));
    }
    Ok(store)
}

/// Takes any certificate; the handshake's signatures are still checked.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
