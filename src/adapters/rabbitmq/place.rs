//! Where a broker is, as a URL says it, and how clients log in. Pure but for reading certificates.

use crate::adapters::connection::Site;
use crate::adapters::places::{Address, addresses, decoded};
use crate::adapters::{AdapterError, Identity, Line, tls};
use hyper::Uri;
use secrecy::SecretString;
use std::sync::Arc;
use tokio_rustls::TlsConnector;

const PORT: u16 = 5672;
const TLS_PORT: u16 = 5671;
const MANAGEMENT_PORT: u16 = 15672;

/// A cluster: `amqp://USER:PASSWORD@HOST[:PORT][,…]/VHOST`; `amqps` with TLS, and `?ca=FILE&cert=FILE&key=FILE`.
pub(super) struct Place {
    pub nodes: Vec<Address>,
    pub user: String,
    pub password: SecretString,
    pub vhost: String,
    pub tls: Option<TlsConnector>,
    /// What management is reached with.
    line: Line,
    /// `rabbitmq 127.0.0.1:5672 vhost /`, for messages.
    pub label: String,
}

const WRONG: &str = "the URL of a rabbitmq target cannot be read; write amqp://USER:PASSWORD@HOST:PORT,HOST:PORT/VHOST or \
     amqps://USER:PASSWORD@HOST:PORT/VHOST?ca=FILE";
const WRONG_MANAGEMENT: &str =
    "the `management` of a rabbitmq target cannot be read; write http://HOST:PORT,HOST:PORT or https://HOST:PORT";

impl Place {
    /// # Errors
    /// When the URL cannot be read, or the certificates that it names; the text quotes nothing of it.
    pub fn parse(url: &str) -> Result<Self, AdapterError> {
        let wrong = || AdapterError::Other(WRONG.to_owned());
        let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
        let (with_tls, port) = match scheme {
            "amqp" => (false, PORT),
            "amqps" => (true, TLS_PORT),
            _ => return Err(wrong()),
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, hosts) = authority.rsplit_once('@').unwrap_or(("guest:guest", authority));
        let (user, password) = login.split_once(':').ok_or_else(wrong)?;
        let user = decoded(user).ok_or_else(wrong)?;
        let password = SecretString::from(decoded(password).ok_or_else(wrong)?);
        // What every broker has is called `/`, and mostly left out.
        let vhost = if path.is_empty() { "/".to_owned() } else { decoded(path).ok_or_else(wrong)? };
        let nodes = addresses(hosts, port).ok_or_else(wrong)?;
        let (line, trust) = tls_line(query).filter(|_| with_tls || query.is_empty()).ok_or_else(wrong)?;
        let tls = with_tls.then(|| tls::config_as(&trust, line.identity.as_ref())).transpose()?;
        let tls = tls.map(|config| TlsConnector::from(Arc::new(config)));
        let names = nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let label = format!("rabbitmq {names} vhost {vhost}");
        Ok(Self { nodes, user, password, vhost, tls, line, label })
    }

    /// The nodes' management: each with its address.
    ///
    /// # Errors
    /// As [`Place::parse`].
    pub fn management(&self, url: &str) -> Result<Vec<(String, Site)>, AdapterError> {
        let wrong = || AdapterError::Other(WRONG_MANAGEMENT.to_owned());
        let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
        let port = if scheme == "https" { MANAGEMENT_PORT - 1 } else { MANAGEMENT_PORT };
        if !["http", "https"].contains(&scheme) || rest.contains('@') {
            return Err(wrong());
        }
        let list = addresses(rest.trim_end_matches('/'), port).ok_or_else(wrong)?;
        let site = |at: Address| {
            let uri: Uri = format!("{scheme}://{at}").parse().map_err(|_| wrong())?;
            Ok((at.to_string(), Site::of(&uri, &self.line)?))
        };
        list.into_iter().map(site).collect()
    }
}

/// `ca=FILE&cert=FILE&key=FILE`, or `verify=no`.
fn tls_line(query: &str) -> Option<(Line, tls::Trust)> {
    let (mut line, mut cert, mut key, mut anyone) = (Line::default(), None, None, false);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=')? {
            ("ca", file) => line.ca = Some(decoded(file)?),
            ("cert", file) => cert = Some(decoded(file)?),
            ("key", file) => key = Some(decoded(file)?),
            ("verify", "no") => anyone = true,
            _ => return None,
        }
    }
    line.identity = match (cert, key) {
        (Some(cert), Some(key)) => Some(Identity { cert, key }),
        (None, None) => None,
        _ => return None,
    };
    let trust = if anyone { tls::Trust::Anyone } else { tls::Trust::Roots(line.ca.clone()) };
    Some((line, trust))
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn one_node_and_several() {
        let place = Place::parse("amqp://app:p%40ss@a,b:1/orders%2Feu").unwrap();
        assert_eq!((place.label.as_str(), place.user.as_str()), ("rabbitmq a:5672,b:1 vhost orders/eu", "app"));
        assert_eq!(place.password.expose_secret(), "p@ss");
        let place = Place::parse("amqps://h/?verify=no").unwrap();
        assert_eq!((place.label.as_str(), place.user.as_str()), ("rabbitmq h:5671 vhost /", "guest"));
        assert!(place.tls.is_some());
        crate::adapters::install_tls();
        let sites = place.management("http://a,b:2/").unwrap();
        assert_eq!(sites.iter().map(|(at, _)| at.as_str()).collect::<Vec<_>>(), ["a:15672", "b:2"]);
        for wrong in ["a:1", "amqp://a", "http://u:hunter2@a", "http://"] {
            let error = place.management(wrong).err().unwrap_or_else(|| panic!("{wrong}")).to_string();
            assert!(error.contains("management") && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_wrong_url_is_not_quoted() {
        for url in [
            "hunter2",
            "http://u:hunter2@h",
            "amqp://u:hunter2@h:port",
            "amqp://u:hunter2@",
            "amqp://hunter2@h",
            "amqp://u:hunter2@h?ca=/f",
            "amqps://u:hunter2@h?x=1",
            "amqp://u:hunter2%4@h",
            "amqps://u:hunter2@h?ca=%2Fnowhere%2Fca.pem",
            "amqps://u:hunter2@h?cert=%2Fnowhere%2Fc.pem",
        ] {
            let error = Place::parse(url).err().unwrap_or_else(|| panic!("{url}")).to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
