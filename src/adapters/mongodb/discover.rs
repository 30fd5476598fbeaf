//! Whom to go to: the member that the URL names, or the primary of its set. All members that the URL names are asked at once,
//! again for each connection, and the first that says that it is the primary is gone to; if none of these is, those that they
//! name (so discovery works as in MongoDB's own drivers). Nothing that was once known is believed later: who was primary
//! before a restore need not have been elected before who is primary after it.

use super::connection::{Connection, Trouble};
use super::place::{Place, Whom};
use super::scram::Salted;
use crate::adapters::AdapterError;
use crate::adapters::places::Address;
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Members that a set can have, and some more.
const MOST: usize = 100;

/// Finds the primary, again for each connection.
pub(super) struct Guide {
    pub place: Place,
    /// Connecting may take so long, to each member that is tried.
    pub patience: Duration,
    /// What the password comes to with the set's salt.
    salted: Mutex<Option<Salted>>,
}

impl Guide {
    pub fn new(place: Place, patience: Duration) -> Self {
        Self { place, patience, salted: Mutex::default() }
    }

    /// A connection to whom the URL means, ready for commands.
    pub async fn open(&self) -> Result<Connection, Trouble> {
        let mut connection = match (&self.place.whom, &self.place.addresses[..]) {
            (Whom::Member, [only, ..]) => Connection::open(&self.place, only, self.patience).await?,
            (_, named) => self.primary(named).await?,
        };
        self.log_in(&mut connection).await?;
        Ok(connection)
    }

    async fn log_in(&self, connection: &mut Connection) -> Result<(), Trouble> {
        let Some(login) = &self.place.login else { return Ok(()) };
        let mut known = self.salted.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let late = || Trouble::Late(format!("nobody logged in within {:?}", self.patience));
        let done = tokio::time::timeout(self.patience, connection.log_in(login, &mut known)).await;
        done.unwrap_or_else(|_| Err(late()))?;
        *self.salted.lock().unwrap_or_else(PoisonError::into_inner) = known;
        Ok(())
    }

    /// Of these, or of those that these name.
    async fn primary(&self, named: &[Address]) -> Result<Connection, Trouble> {
        let mut others = Vec::new();
        let mut why = match self.first_of(named, &mut others).await {
            Ok(connection) => return Ok(connection),
            Err(trouble) => vec![trouble],
        };
        others.sort();
        others.dedup();
        others.retain(|other| !named.contains(other));
        others.truncate(MOST);
        if !others.is_empty() {
            match self.first_of(&others, &mut Vec::new()).await {
                Ok(connection) => return Ok(connection),
                Err(trouble) => why.push(trouble),
            }
        }
        let decided = |trouble: &Trouble| matches!(trouble, Trouble::Unfit(_) | Trouble::Resources(_));
        let first = why.iter().position(decided).unwrap_or(0);
        Err(why.swap_remove(first))
    }

    /// The first of these that says that it is the primary; `others` gets whom they name.
    async fn first_of(&self, asked: &[Address], others: &mut Vec<Address>) -> Result<Connection, Trouble> {
        let mut answers: FuturesUnordered<_> =
            asked.iter().map(|at| Connection::open(&self.place, at, self.patience)).collect();
        let (mut unfit, mut said) = (None, Vec::new());
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(connection) if connection.hello.writable || connection.hello.router => return Ok(connection),
                Ok(Connection { at, hello, .. }) => {
                    said.push(format!("{at} is {}", hello.role()));
                    others.extend(hello.primary);
                    others.extend(hello.hosts);
                }
                Err(trouble @ (Trouble::Unfit(_) | Trouble::Resources(_))) => unfit = Some(trouble),
                Err(Trouble::NotSent(why) | Trouble::Undecided(why) | Trouble::Late(why)) => said.push(why),
                Err(Trouble::Refused(refusal)) => said.push(refusal.words),
            }
        }
        said.sort();
        let none = || Trouble::NotSent(format!("nobody says that it is the primary: {}", said.join("; ")));
        Err(unfit.unwrap_or_else(none))
    }

    /// All members that answer, each asked by itself; and the addresses of those that do not.
    pub async fn everybody(&self) -> Result<(Vec<Connection>, Vec<Address>), AdapterError> {
        let mut asked: Vec<Address> = Vec::new();
        let (mut answered, mut silent) = (Vec::new(), Vec::new());
        let mut next = self.place.addresses.clone();
        let mut last = None;
        // Those that the URL names, and then those that they name.
        for _ in 0..2 {
            let each = next.iter().map(|at| Connection::open(&self.place, at, self.patience));
            for (at, answer) in next.iter().zip(join_all(each).await) {
                match answer {
                    Ok(connection) => answered.push(connection),
                    Err(trouble) => {
                        silent.push(at.clone());
                        last = Some(trouble);
                    }
                }
            }
            asked.extend(next);
            next = answered.iter().flat_map(|connection: &Connection| connection.hello.hosts.clone()).collect();
            next.sort();
            next.dedup();
            next.retain(|at| !asked.contains(at));
            next.truncate(MOST);
        }
        match last {
            Some(trouble) if answered.is_empty() => Err(trouble.about(&self.place.label, &self.place, "")),
            _ => Ok((answered, silent)),
        }
    }
}
