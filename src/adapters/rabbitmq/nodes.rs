//! The nodes of a cluster as clients go to them, and what an error of theirs means to the people who set them up.

use super::connection::{Connection, Refusal, Trouble};
use super::place::Place;
use super::queues::Queues;
use crate::adapters::AdapterError;
use std::time::Duration;

/// A cluster, and how patient its clients are.
pub(super) struct Nodes {
    pub place: Place,
    /// Connecting to one node may take so long.
    pub patience: Duration,
}

impl Nodes {
    /// A connection to the node of this number, or to the first after it that lets one in: as long as nothing was sent,
    /// clients try the next one. Says which it is.
    pub async fn connect(&self, first: usize) -> Result<(Connection, usize), Trouble> {
        let count = self.place.nodes.len();
        let mut last = Trouble::NotSent("no node is named".to_owned());
        for number in (0..count).map(|step| (first + step) % count) {
            match Connection::open(&self.place, &self.place.nodes[number], self.patience).await {
                Ok(connection) => return Ok((connection, number)),
                Err(trouble) => last = trouble,
            }
        }
        Err(last)
    }

    /// A problem as a message: where, what, and what would help.
    pub fn about(&self, what: &str, trouble: Trouble, queues: Option<&Queues>) -> AdapterError {
        let label = format!("{}: {what}", self.place.label);
        let Trouble::Refused(refusal) = &trouble else { return trouble.about(&label) };
        let Some(help) = self.help(refusal, queues) else { return trouble.about(&label) };
        AdapterError::Refused(format!("{label}: {} (code {}); {help}", refusal.words, refusal.code))
    }

    /// What the people who set a broker up can do about a refusal.
    fn help(&self, refusal: &Refusal, queues: Option<&Queues>) -> Option<String> {
        let Place { user, vhost, .. } = &self.place;
        match (refusal.code, refusal.about.0) {
            (403, 50 | 60) => {
                let prefix = &queues?.prefix;
                Some(format!(
                    "the user `{user}` needs rights on what begins with `{prefix}.`: rabbitmqctl set_permissions -p '{vhost}' \
                     '{user}' '^{prefix}\\.' '^(amq\\.default|{prefix}\\..*)$' '^{prefix}\\.'"
                ))
            }
            (403, _) => Some(format!("the password of the user `{user}` is wrong, or there is no such user")),
            (530, _) => Some(format!("is there a vhost `{vhost}`, and may the user `{user}` enter it?")),
            _ => None,
        }
    }
}
