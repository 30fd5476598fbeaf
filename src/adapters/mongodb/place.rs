//! Where a MongoDB is, how one gets in, and when a write counts as acknowledged, as a URL says it
//! (mongodb.com/docs/manual/reference/connection-string). Nothing connects here.
//!
//! ```text
//! mongodb://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]…]/DATABASE[?OPTION=VALUE&…]
//! replicaSet authSource directConnection   w journal wtimeoutMS   tls tlsCAFile tlsAllowInvalidCertificates
//! tlsCertificateKeyFile
//! ```

use super::bson::{Fields, Value};
use crate::adapters::places::{Address, addresses, decoded};
use crate::adapters::tls::{Trust, config_as};
use crate::adapters::{AdapterError, Identity};
use secrecy::SecretString;
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::TlsConnector;

const PORT: u16 = 27017;

/// Who one is.
#[derive(Debug, Clone)]
pub(super) struct Login {
    pub user: String,
    pub password: SecretString,
    /// The database that the user was made in.
    pub source: String,
}

/// Whom a client goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Whom {
    /// This member, whatever its role.
    Member,
    /// The primary of the set that the members are of; of this name, if one is given.
    Primary(Option<String>),
}

/// When a write counts as acknowledged; what is not given the server decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Concern {
    pub w: Option<Acknowledged>,
    pub journal: Option<bool>,
    pub timeout: Option<Duration>,
}

/// By whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Acknowledged {
    /// By so many members.
    Members(i32),
    /// `majority`, or what the set itself has given a name.
    Named(String),
}

/// See the module.
pub(super) struct Place {
    pub addresses: Vec<Address>,
    pub whom: Whom,
    pub database: String,
    pub login: Option<Login>,
    pub concern: Concern,
    /// How TLS is spoken, if it is.
    pub tls: Option<TlsConnector>,
    /// `mongodb 127.0.0.1:27017`, for messages.
    pub label: String,
}

const WRONG: &str = "the URL of a mongodb target cannot be read; write \
     mongodb://USER:PASSWORD@HOST:PORT,HOST:PORT/DATABASE?replicaSet=NAME&authSource=admin (options: replicaSet, \
     authSource, directConnection, w, journal, wtimeoutMS, tls, tlsCAFile, tlsAllowInvalidCertificates, \
     tlsCertificateKeyFile; retryWrites can only be false, and time-outs are keys of the target)";

impl Place {
    /// # Errors
    /// When the URL cannot be read, or the certificates that it names; the text quotes nothing of it.
    pub fn parse(url: &str) -> Result<Self, AdapterError> {
        let wrong = || AdapterError::Other(WRONG.to_owned());
        let rest = url.strip_prefix("mongodb://").ok_or_else(wrong)?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let addresses = addresses(hosts, PORT).ok_or_else(wrong)?;
        let database = decoded(path).filter(|name| is_name(name)).ok_or_else(wrong)?;
        let options = Options::parse(query).ok_or_else(wrong)?;
        let source = options.source.clone().unwrap_or_else(|| database.clone());
        let direct = options.direct.unwrap_or(addresses.len() == 1 && options.set.is_none());
        if direct && addresses.len() > 1 {
            return Err(wrong());
        }
        let list = addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let of = options.set.as_ref().map(|name| format!("{name} at ")).unwrap_or_default();
        Ok(Self {
            tls: options.connector()?,
            login: login_of(login, source).ok_or_else(wrong)?,
            whom: if direct { Whom::Member } else { Whom::Primary(options.set) },
            label: format!("mongodb {of}{list}"),
            concern: options.concern,
            addresses,
            database,
        })
    }
}

/// A database's name: never empty, and without what MongoDB does not take.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(['/', '\\', '.', ' ', '"', '$', '\0'])
}

/// Nobody in particular, if no user is named.
fn login_of(text: &str, source: String) -> Option<Option<Login>> {
    if text.is_empty() {
        return Some(None);
    }
    let (user, password) = text.split_once(':')?;
    let (user, password) = (decoded(user)?, decoded(password)?);
    if user.is_empty() || password.is_empty() {
        return None;
    }
    Some(Some(Login { user, password: SecretString::from(password), source }))
}

impl Concern {
    /// As commands have it; none if the server is to decide.
    pub fn fields(&self) -> Option<Fields> {
        let Self { w, journal, timeout } = self;
        if w.is_none() && journal.is_none() && timeout.is_none() {
            return None;
        }
        let mut fields = Fields::new();
        fields = match w {
            Some(Acknowledged::Members(count)) => fields.add("w", *count),
            Some(Acknowledged::Named(name)) => fields.add("w", name.as_str()),
            None => fields,
        };
        if let Some(journal) = journal {
            fields = fields.add("j", *journal);
        }
        if let Some(timeout) = timeout {
            let millis = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX);
            fields = fields.add("wtimeout", Value::Long(millis));
        }
        Some(fields)
    }

    /// Does a majority of the members have what was acknowledged? So it is where nothing is said (MongoDB 5.0 and later).
    pub fn is_of_a_majority(&self) -> bool {
        !matches!(&self.w, Some(Acknowledged::Members(_)))
    }
}

#[derive(Default)]
struct Options {
    set: Option<String>,
    source: Option<String>,
    direct: Option<bool>,
    concern: Concern,
    tls: Option<bool>,
    ca: Option<String>,
    anyone: bool,
    own: Option<String>,
}

impl Options {
    fn parse(text: &str) -> Option<Self> {
        let mut options = Self::default();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=')?;
            let value = decoded(value)?;
            let some = || Some(value.clone()).filter(|value| !value.is_empty());
            match name.to_ascii_lowercase().as_str() {
                "replicaset" => options.set = Some(some()?),
                "authsource" => options.source = Some(some()?),
                "authmechanism" if value == "SCRAM-SHA-256" => {}
                "directconnection" => options.direct = Some(flag(&value)?),
                // Nothing is acknowledged then, so nothing could be counted.
                "w" if value == "0" => return None,
                "w" => {
                    let members = value.parse().ok().filter(|count: &i32| *count > 0).map(Acknowledged::Members);
                    options.concern.w = Some(members.or_else(|| some().map(Acknowledged::Named))?);
                }
                "journal" => options.concern.journal = Some(flag(&value)?),
                "wtimeoutms" => options.concern.timeout = Some(Duration::from_millis(value.parse().ok()?)),
                "tls" | "ssl" => options.tls = Some(flag(&value)?),
                "tlscafile" => options.ca = Some(some()?),
                "tlsallowinvalidcertificates" => options.anyone = flag(&value)?,
                "tlscertificatekeyfile" => options.own = Some(some()?),
                "retrywrites" if value == "false" => {}
                _ => return None,
            }
        }
        Some(options)
    }

    fn connector(&self) -> Result<Option<TlsConnector>, AdapterError> {
        if self.tls != Some(true) {
            let meant = self.ca.is_some() || self.anyone || self.own.is_some();
            return if meant { Err(AdapterError::Other(WRONG.to_owned())) } else { Ok(None) };
        }
        let trust = if self.anyone { Trust::Anyone } else { Trust::Roots(self.ca.clone()) };
        // One file has both, as MongoDB's own clients want it.
        let own = self.own.as_ref().map(|file| Identity { cert: file.clone(), key: file.clone() });
        let config = config_as(&trust, own.as_ref())?;
        Ok(Some(TlsConnector::from(Arc::new(config))))
    }
}

fn flag(text: &str) -> Option<bool> {
    match text {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    #[test]
    fn one_member_and_a_set() {
        let place = Place::parse("mongodb://app:pass%40word@127.0.0.1/shop").unwrap();
        let login = place.login.unwrap();
        assert_eq!((place.label.as_str(), place.whom), ("mongodb 127.0.0.1:27017", Whom::Member));
        assert_eq!((login.user.as_str(), login.password.expose_secret()), ("app", "pass@word"));
        assert_eq!((login.source.as_str(), place.concern.fields()), ("shop", None));
        let url =
            "mongodb://u:p@a,b:7,[::1]:8/shop?replicaSet=rs0&authSource=admin&w=majority&wtimeoutMS=1500&journal=true";
        let place = Place::parse(url).unwrap();
        assert_eq!(place.label, "mongodb rs0 at a:27017,b:7,[::1]:8");
        assert_eq!(
            (place.whom, place.login.unwrap().source),
            (Whom::Primary(Some("rs0".to_owned())), "admin".to_owned())
        );
        let concern = Fields::new().add("w", "majority").add("j", true).add("wtimeout", 1500_i64);
        assert_eq!((place.concern.is_of_a_majority(), place.concern.fields()), (true, Some(concern)));
        let place = Place::parse("mongodb://a/shop?replicaSet=rs0&w=2").unwrap();
        assert_eq!(place.concern.w, Some(Acknowledged::Members(2)));
        assert!(!place.concern.is_of_a_majority() && place.login.is_none());
        assert_eq!(Place::parse("mongodb://a,b/shop").unwrap().whom, Whom::Primary(None));
        assert_eq!(Place::parse("mongodb://a/s?replicaSet=rs0&directConnection=true").unwrap().whom, Whom::Member);
        assert!(Place::parse("mongodb://a/s?tls=true&tlsAllowInvalidCertificates=true").unwrap().tls.is_some());
    }

    #[test]
    fn a_wrong_url_is_not_quoted() {
        for url in [
            "hunter2",
            "http://u:hunter2@h/d",
            "mongodb+srv://u:hunter2@h/d",
            "mongodb://u:hunter2@h",
            "mongodb://u:hunter2@h/",
            "mongodb://u:hunter2@h/a.b",
            "mongodb://u:hunter2@h:port/d",
            "mongodb://hunter2@h/d",
            "mongodb://u:hunter2%4@h/d",
            "mongodb://u:hunter2@h,,g/d",
            "mongodb://u:p@h/d?hunter2=1",
            "mongodb://u:hunter2@h/d?w=0",
            "mongodb://u:hunter2@h/d?retryWrites=true",
            "mongodb://u:hunter2@h/d?tls=yes",
            "mongodb://u:hunter2@h/d?tlsCAFile=x",
            "mongodb://u:hunter2@h,g/d?directConnection=true",
            "mongodb://u:hunter2@h/d?authMechanism=PLAIN",
        ] {
            let error = Place::parse(url).err().unwrap_or_else(|| panic!("{url}")).to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
        let error = Place::parse("mongodb://h/d?tls=true&tlsCAFile=%2Fnowhere%2Fca.pem").err().unwrap();
        assert!(matches!(&error, AdapterError::Missing(text) if text.contains("/nowhere/ca.pem")), "{error:?}");
    }
}
