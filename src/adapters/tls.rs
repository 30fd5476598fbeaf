//! TLS for clients, by rustls: whom they trust. What is said over it is the clients' business.

use super::{AdapterError, Identity};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
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

/// How a client speaks TLS that shows no certificate of its own.
///
/// # Errors
/// When the certificates cannot be read.
pub(super) fn config(trust: &Trust) -> Result<ClientConfig, AdapterError> {
    config_as(trust, None)
}

/// How a client speaks TLS, and which certificate of its own it shows if it is asked.
///
/// # Errors
/// When the certificates or the key cannot be read.
pub(super) fn config_as(trust: &Trust, identity: Option<&Identity>) -> Result<ClientConfig, AdapterError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|e| AdapterError::Other(format!("TLS cannot be set up: {e}")))?;
    let builder = match trust {
        Trust::Anyone => builder.dangerous().with_custom_certificate_verifier(Arc::new(Unverified(provider))),
        Trust::Roots(file) => builder.with_root_certificates(roots(file.as_deref())?),
    };
    let Some(Identity { cert, key }) = identity else { return Ok(builder.with_no_client_auth()) };
    let missing = |file: &str, e: String| AdapterError::Missing(format!("certificate or key {file}: {e}"));
    let chain = CertificateDer::pem_file_iter(cert).map_err(|e| missing(cert, e.to_string()))?;
    let chain = chain.collect::<Result<Vec<_>, _>>().map_err(|e| missing(cert, e.to_string()))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|e| missing(key, e.to_string()))?;
    builder.with_client_auth_cert(chain, private).map_err(|e| missing(cert, e.to_string()))
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
