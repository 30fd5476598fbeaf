//! Which server to go to: the one that the URL names, the primary among several, or the one that Sentinel names. Whatever
//! is named must say itself that it is the primary (redis.io/docs/latest/develop/reference/sentinel-clients).

use super::connection::{Connection, Trouble};
use super::place::Place;
use crate::adapters::places::Address;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Finds the primary, again for each connection.
pub(super) struct Guide {
    pub place: Place,
    /// Connecting may take so long, to each server that is tried.
    pub patience: Duration,
    /// The Sentinel that answered last is asked first.
    first: AtomicUsize,
}

impl Guide {
    pub fn new(place: Place, patience: Duration) -> Self {
        Self { place, patience, first: AtomicUsize::new(0) }
    }

    /// A connection to the primary, ready for commands.
    pub async fn primary(&self) -> Result<Connection, Trouble> {
        match (&self.place.name, &self.place.addresses[..]) {
            // Who names one server means it: what it may do, it says itself.
            (None, [only]) => self.server(only).await,
            (None, several) => self.among(several).await,
            (Some(name), _) => {
                let named = self.named(name).await?;
                let connection = self.server(&named).await?;
                self.if_primary(connection).await
            }
        }
    }

    /// A connection to a server.
    pub async fn server(&self, at: &Address) -> Result<Connection, Trouble> {
        let mut connection = Connection::open(&self.place, at, &self.place.login, self.patience).await?;
        if self.place.database > 0 {
            connection.must(&[b"SELECT", self.place.database.to_string().as_bytes()]).await?;
        }
        Ok(connection)
    }

    async fn if_primary(&self, mut connection: Connection) -> Result<Connection, Trouble> {
        let role = connection.must(&[b"ROLE"]).await?;
        if role.items().first().and_then(super::resp::Value::text).as_deref() == Some("master") {
            return Ok(connection);
        }
        Err(Trouble::NotSent(format!("{} is no primary", connection.at)))
    }

    /// The first that says that it is the primary.
    async fn among(&self, addresses: &[Address]) -> Result<Connection, Trouble> {
        let mut last = Trouble::NotSent("no server is named".to_owned());
        for at in addresses {
            let tried = match self.server(at).await {
                Ok(connection) => self.if_primary(connection).await,
                Err(trouble) => Err(trouble),
            };
            match tried {
                Ok(connection) => return Ok(connection),
                Err(trouble) => last = trouble,
            }
        }
        Err(last)
    }

    /// The first Sentinel that answers says where the primary is.
    async fn named(&self, name: &str) -> Result<Address, Trouble> {
        let (count, first) = (self.place.addresses.len(), self.first.load(Ordering::Relaxed));
        let mut last = Trouble::NotSent("no Sentinel is named".to_owned());
        for number in (0..count).map(|step| (first + step) % count) {
            match self.ask_sentinel(&self.place.addresses[number], name).await {
                Ok(address) => {
                    self.first.store(number, Ordering::Relaxed);
                    return Ok(address);
                }
                Err(trouble) => last = trouble,
            }
        }
        Err(last)
    }

    /// What one Sentinel says.
    pub async fn ask_sentinel(&self, sentinel: &Address, name: &str) -> Result<Address, Trouble> {
        let mut connection = self.sentinel(sentinel).await?;
        let answer = connection.must(&[b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", name.as_bytes()]).await?;
        let mut words = answer.items().iter().filter_map(super::resp::Value::text);
        match (words.next(), words.next().and_then(|port| port.parse().ok())) {
            (Some(host), Some(port)) => Ok(Address { host, port }),
            _ => Err(Trouble::NotSent(format!("the Sentinel {sentinel} knows no `{name}`"))),
        }
    }

    /// A connection to a Sentinel.
    pub async fn sentinel(&self, at: &Address) -> Result<Connection, Trouble> {
        Connection::open(&self.place, at, &self.place.sentinel_login, self.patience).await
    }
}
