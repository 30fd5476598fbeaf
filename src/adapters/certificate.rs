//! Certificates: whom one is for, an expired one for the same names, and which one is served at an address. What is done
//! with them is decided elsewhere.

use super::{AdapterError, hex};
use chrono::{DateTime, Datelike, Utc};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, date_time_ymd};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Whom a certificate is for, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// Its common name.
    pub common: Option<String>,
    /// Its alternative names: host names and addresses.
    pub others: Vec<String>,
    /// The end of its validity, seconds since 1970.
    pub until: i64,
    /// SHA-256 of its DER form, hex.
    pub digest: String,
}

/// A certificate and its key, PEM.
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// The private key, PKCS#8.
    pub key: String,
}

fn unreadable(what: &str) -> AdapterError {
    AdapterError::Refused(format!("the certificate cannot be read: {what}"))
}

/// The first certificate in a PEM text.
///
/// # Errors
/// `Refused` if there is none.
pub fn names(pem: &[u8]) -> Result<Names, AdapterError> {
    let der = CertificateDer::from_pem_slice(pem).map_err(|e| unreadable(&e.to_string()))?;
    let (_, certificate) = X509Certificate::from_der(&der).map_err(|e| unreadable(&e.to_string()))?;
    let common = certificate.subject().iter_common_name().find_map(|name| name.as_str().ok()).map(str::to_owned);
    let extension = certificate.subject_alternative_name().map_err(|e| unreadable(&e.to_string()))?;
    let others = extension.map(|e| e.value.general_names.iter().filter_map(name).collect()).unwrap_or_default();
    let until = certificate.validity().not_after.timestamp();
    Ok(Names { common, others, until, digest: hex(&Sha256::digest(&der)) })
}

fn name(general: &GeneralName<'_>) -> Option<String> {
    match general {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|b| IpAddr::from(b).to_string()),
            _ => <[u8; 16]>::try_from(*bytes).ok().map(|b| IpAddr::from(b).to_string()),
        },
        _ => None,
    }
}

/// A certificate for the same names, signed by itself with a new key, that expired so long before `now`.
///
/// # Errors
/// When it cannot be made.
pub fn expired(names: &Names, now: DateTime<Utc>, ago: Duration) -> Result<Pair, AdapterError> {
    let cannot = |e: rcgen::Error| AdapterError::Other(format!("cannot make an expired certificate: {e}"));
    let key = KeyPair::generate().map_err(cannot)?;
    let mut parameters = CertificateParams::new(names.others.clone()).map_err(cannot)?;
    parameters.distinguished_name = DistinguishedName::new();
    if let Some(common) = &names.common {
        parameters.distinguished_name.push(DnType::CommonName, common);
    }
    let day = |at: DateTime<Utc>| {
        let (month, day) = (u8::try_from(at.month()).unwrap_or(1), u8::try_from(at.day()).unwrap_or(1));
        date_time_ymd(at.year(), month, day)
    };
    // The midnight before that moment: it has expired at least so long ago.
    let end = now - chrono::TimeDelta::from_std(ago).unwrap_or(chrono::TimeDelta::days(1));
    (parameters.not_before, parameters.not_after) = (day(end - chrono::TimeDelta::days(30)), day(end));
    let certificate = parameters.self_signed(&key).map_err(cannot)?;
    Ok(Pair { certificate: certificate.pem(), key: key.serialize_pem() })
}

/// SHA-256 of the certificate that is served at `host:port`, hex; whether it is valid is not looked at.
///
/// # Errors
/// When nobody serves one.
pub async fn served(address: &str, limit: Duration) -> Result<String, AdapterError> {
    let exchange = async {
        let unreachable = |e: std::io::Error| AdapterError::Unreachable(format!("TLS at {address}: {e}"));
        let stream = tokio::net::TcpStream::connect(address).await.map_err(unreachable)?;
        let config = super::tls::config(&super::tls::Trust::Anyone)?;
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host).trim_matches(['[', ']']).to_owned();
        let host = ServerName::try_from(host).map_err(|e| AdapterError::Other(format!("TLS at {address}: {e}")))?;
        let session = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(host, stream).await;
        let session = session.map_err(unreachable)?;
        let chain = session.get_ref().1.peer_certificates().unwrap_or_default();
        let first = chain.first().ok_or_else(|| AdapterError::Refused(format!("{address} serves no certificate")))?;
        Ok(hex(&Sha256::digest(first)))
    };
    let late = || AdapterError::TimedOut(format!("no TLS at {address} within {limit:?}"));
    tokio::time::timeout(limit, exchange).await.unwrap_or_else(|_| Err(late()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expired_certificate_has_the_same_names_and_another_key() {
        let wanted = Names {
            common: Some("web.test".to_owned()),
            others: vec!["web.test".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()],
            until: 0,
            digest: String::new(),
        };
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let pair = expired(&wanted, now, Duration::from_secs(86_400)).unwrap();
        let made = names(pair.certificate.as_bytes()).unwrap();
        assert_eq!((&made.common, &made.others), (&wanted.common, &wanted.others));
        assert!(made.until <= now.timestamp() - 86_400 && made.until > now.timestamp() - 3 * 86_400);
        assert!(pair.key.contains("PRIVATE KEY") && names(b"nothing").is_err());
    }
}
