//! Where a Redis is and how one gets in, as a URL says it. Nothing connects here.
//!
//! ```text
//! redis://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]…][/DB]            one server, or several of which the primary is meant
//! redis+sentinel://[USER:PASSWORD@]HOST[:PORT][,…]/NAME[/DB]        the primary that Sentinel names
//! rediss://, rediss+sentinel://                                     the same by TLS
//! ?ca=FILE  ?verify=no  ?sentinel_user=…  ?sentinel_password=…
//! ```

use crate::adapters::AdapterError;
use crate::adapters::places::{Address, addresses, decoded};
use crate::adapters::tls::{Trust, config};
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;
use tokio_rustls::TlsConnector;

const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// Who one is.
#[derive(Debug, Clone, Default)]
pub(super) struct Login {
    pub user: Option<String>,
    pub password: Option<SecretString>,
}

/// See the module.
pub(super) struct Place {
    /// Servers; or Sentinels, if `name` is given.
    pub addresses: Vec<Address>,
    /// What Sentinel calls the primary and its replicas.
    pub name: Option<String>,
    /// For servers.
    pub login: Login,
    /// For Sentinels.
    pub sentinel_login: Login,
    /// The database's number.
    pub database: u32,
    /// How TLS is spoken, if it is.
    pub tls: Option<TlsConnector>,
    /// `redis 127.0.0.1:6379`, for messages.
    pub label: String,
}

impl Place {
    /// # Errors
    /// When the URL cannot be read, or the certificates that it names; the text quotes nothing of it.
    pub fn parse(url: &str) -> Result<Self, AdapterError> {
        let wrong = || AdapterError::Other(WRONG.to_owned());
        let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
        let (tls, sentinel) = match scheme {
            "redis" => (false, false),
            "rediss" => (true, false),
            "redis+sentinel" => (false, true),
            "rediss+sentinel" => (true, true),
            _ => return Err(wrong()),
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let port = if sentinel { SENTINEL_PORT } else { PORT };
        let addresses = addresses(hosts, port).ok_or_else(wrong)?;
        let (name, database) = match (sentinel, path.split_once('/')) {
            (true, Some((name, database))) => (Some(name), database),
            (true, None) => (Some(path), ""),
            (false, _) => (None, path),
        };
        if name.is_some_and(str::is_empty) {
            return Err(wrong());
        }
        let database = if database.is_empty() { 0 } else { database.parse().map_err(|_| wrong())? };
        let query = Query::parse(query).ok_or_else(wrong)?;
        let list = addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let label = name.map_or_else(|| format!("redis {list}"), |name| format!("redis {name} of sentinels {list}"));
        Ok(Self {
            tls: tls.then(|| config(&query.trust).map(|config| TlsConnector::from(Arc::new(config)))).transpose()?,
            login: Login::parse(login).ok_or_else(wrong)?,
            sentinel_login: query.sentinel,
            name: name.map(str::to_owned),
            addresses,
            database,
            label,
        })
    }
}

const WRONG: &str = "the URL of a redis target cannot be read; write redis://USER:PASSWORD@HOST:PORT/DB or \
     redis+sentinel://USER:PASSWORD@HOST:PORT,HOST:PORT/NAME/DB";

impl Login {
    fn parse(text: &str) -> Option<Self> {
        let (user, password) = text.split_once(':').unwrap_or((text, ""));
        let some = |text: &str| decoded(text).map(|text| Some(text).filter(|t| !t.is_empty()));
        Some(Self { user: some(user)?, password: some(password)?.map(SecretString::from) })
    }

    /// The command that lets one in; none if nothing is known about who one is.
    pub fn words(&self) -> Option<Vec<&[u8]>> {
        let password = self.password.as_ref()?.expose_secret().as_bytes();
        Some(match &self.user {
            Some(user) => vec![b"AUTH", user.as_bytes(), password],
            None => vec![b"AUTH", password],
        })
    }
}

struct Query {
    trust: Trust,
    sentinel: Login,
}

impl Query {
    fn parse(text: &str) -> Option<Self> {
        let mut query = Self { trust: Trust::Roots(None), sentinel: Login::default() };
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=')? {
                ("ca", file) => query.trust = Trust::Roots(Some(decoded(file)?)),
                ("verify", "no") => query.trust = Trust::Anyone,
                ("sentinel_user", user) => query.sentinel.user = Some(decoded(user)?),
                ("sentinel_password", word) => query.sentinel.password = Some(SecretString::from(decoded(word)?)),
                _ => return None,
            }
        }
        Some(query)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_server_several_and_sentinels() {
        let place = Place::parse("redis://:pass%40word@127.0.0.1/3").unwrap();
        assert_eq!((place.label.as_str(), place.database), ("redis 127.0.0.1:6379", 3));
        assert_eq!(place.login.words(), Some(vec![&b"AUTH"[..], b"pass@word"]));
        let place = Place::parse("redis://app:s@a,b:7000,[::1]:7001").unwrap();
        assert_eq!((place.label.as_str(), place.database), ("redis a:6379,b:7000,[::1]:7001", 0));
        assert_eq!(place.login.words(), Some(vec![&b"AUTH"[..], b"app", b"s"]));
        let place = Place::parse("redis+sentinel://:s@a,b:7/cache/2?sentinel_password=t").unwrap();
        assert_eq!((place.label.as_str(), place.database), ("redis cache of sentinels a:26379,b:7", 2));
        assert_eq!(place.sentinel_login.words(), Some(vec![&b"AUTH"[..], b"t"]));
        assert!(Place::parse("redis://h").unwrap().login.words().is_none());
        assert!(Place::parse("rediss://h?verify=no").unwrap().tls.is_some());
    }

    #[test]
    fn a_wrong_url_is_not_quoted() {
        for url in [
            "hunter2",
            "http://:hunter2@h",
            "redis://:hunter2@h:port",
            "redis://:hunter2@h/db",
            "redis://:hunter2@",
            "redis://:hunter2%4@h",
            "redis+sentinel://:hunter2@h",
            "redis+sentinel://:hunter2@h/",
            "redis://h?hunter2=1",
            "redis://:hunter2@h,,g",
        ] {
            let error = Place::parse(url).err().unwrap_or_else(|| panic!("{url}")).to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
        let error = Place::parse("rediss://h?ca=%2Fnowhere%2Fca.pem").err().unwrap();
        assert!(matches!(&error, AdapterError::Missing(text) if text.contains("/nowhere/ca.pem")), "{error:?}");
    }
}
