//! The chain of runs of a drill, an environment and a runner: who has which place. A run takes its place when it starts and
//! leaves its manifest's digest there when it is sealed. Pure; where the head is kept is `adapters::chain`'s business.
//!
//! Invariant: a place is never given twice, and never taken back once a later one was given.

use crate::event::{ChainSeal, Previous};
use crate::model::RunId;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The version that this program writes, and the only one that it reads.
pub const VERSION: &str = "blackstart/chain/v1";

/// So many places are remembered: runs that go on at the same time end in any order.
const REMEMBERED: usize = 32;

/// What is kept of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// [`VERSION`].
    pub schema: String,
    /// The chain: `DRILL@ENVIRONMENT@RUNNER`.
    pub chain: String,
    /// The last places, oldest first.
    pub places: Vec<Place>,
}

/// A place that was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// From 1.
    pub counter: u64,
    /// To this run.
    pub run: RunId,
    /// SHA-256 of its `MANIFEST.json`, hex, once it is sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// It was never begun: there is no record of it anywhere.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub void: bool,
}

/// Why a head cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ChainError {
    /// It is no head.
    #[error("the head of the chain cannot be read: {0}")]
    Unreadable(String),
    /// Written by another program or version.
    #[error("the head of the chain is of version `{0}`; this program reads `{VERSION}`")]
    Version(String),
    /// The head of another chain lies there.
    #[error("the head of the chain `{0}` lies where that of `{1}` is kept")]
    Other(String, String),
}

/// The name of a chain.
#[must_use]
pub fn name(drill: &str, environment: &str, runner: &str) -> String {
    format!("{drill}@{environment}@{runner}")
}

/// The file that a chain's head is kept in: its name, with everything that could mean something else written as `%` and
/// two digits.
#[must_use]
pub fn file(chain: &str) -> String {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
    let written: String = chain
        .bytes()
        .map(|byte| if fine(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect();
    format!("{written}.json")
}

impl Head {
    /// What is kept of a chain, as text; a new chain if there is none.
    ///
    /// # Errors
    /// When the text is no head, or that of another chain.
    pub fn read(text: Option<&str>, chain: &str) -> Result<Self, ChainError> {
        #[derive(Deserialize)]
        struct Versioned {
            schema: String,
        }
        let Some(text) = text else {
            return Ok(Self { schema: VERSION.to_owned(), chain: chain.to_owned(), places: Vec::new() });
        };
        let unreadable = |e: serde_json::Error| ChainError::Unreadable(e.to_string());
        let versioned: Versioned = serde_json::from_str(text).map_err(unreadable)?;
        if versioned.schema != VERSION {
            return Err(ChainError::Version(versioned.schema));
        }
        let head: Self = serde_json::from_str(text).map_err(unreadable)?;
        if head.chain != chain {
            return Err(ChainError::Other(head.chain, chain.to_owned()));
        }
        Ok(head)
    }

    /// As it is kept.
    #[must_use]
    pub fn text(&self) -> String {
        // These types have only keys that are text.
        serde_json::to_string_pretty(self).map(|text| text + "\n").unwrap_or_default()
    }

    /// The place of a run that begins: the one it has already, or the next.
    #[must_use]
    pub fn claim(mut self, run: &RunId) -> (Self, ChainSeal) {
        if let Some(at) = self.places.iter().position(|place| place.run == *run && !place.void) {
            let seal = ChainSeal { counter: self.places[at].counter, previous: previous(&self.places[..at]) };
            return (self, seal);
        }
        let counter = self.places.last().map_or(0, |place| place.counter) + 1;
        let seal = ChainSeal { counter, previous: previous(&self.places) };
        self.places.push(Place { counter, run: run.clone(), manifest: None, void: false });
        let over = self.places.len().saturating_sub(REMEMBERED);
        self.places.drain(..over);
        (self, seal)
    }

    /// A run was sealed. One that is not remembered changes nothing.
    #[must_use]
    pub fn finish(mut self, run: &RunId, manifest: &str) -> Self {
        if let Some(place) = self.places.iter_mut().find(|place| place.run == *run && !place.void) {
            place.manifest = Some(manifest.to_owned());
        }
        self
    }

    /// A run that had its place was never begun: the place is free again if it is the last one, else it stays, void.
    #[must_use]
    pub fn release(mut self, run: &RunId) -> Self {
        let Some(at) = self.places.iter().position(|place| place.run == *run && place.manifest.is_none()) else {
            return self;
        };
        // The first that is remembered is kept: without it nobody would know where to go on counting.
        if at + 1 == self.places.len() && (at > 0 || self.places[at].counter == 1) {
            self.places.pop();
        } else {
            self.places[at].void = true;
        }
        self
    }
}

/// The last run before that was begun.
fn previous(before: &[Place]) -> Option<Previous> {
    let place = before.iter().rev().find(|place| !place.void)?;
    Some(Previous { run: place.run.clone(), manifest: place.manifest.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(name: &str) -> RunId {
        RunId::from(name)
    }

    fn new() -> Head {
        Head::read(None, "d@e@r").unwrap()
    }

    fn seal(counter: u64, before: Option<(&str, Option<&str>)>) -> ChainSeal {
        let previous =
            before.map(|(name, manifest)| Previous { run: run(name), manifest: manifest.map(str::to_owned) });
        ChainSeal { counter, previous }
    }

    #[test]
    fn runs_one_after_another_name_each_other() {
        let (head, first) = new().claim(&run("a"));
        assert_eq!(first, seal(1, None));
        let (head, second) = head.finish(&run("a"), "aa").claim(&run("b"));
        assert_eq!(second, seal(2, Some(("a", Some("aa")))));
        assert_eq!(head.clone().claim(&run("b")).1, second, "who asks twice has one place");
        let kept = Head::read(Some(&head.text()), "d@e@r").unwrap();
        assert_eq!(kept, head);
    }

    #[test]
    fn runs_at_the_same_time_are_seen() {
        let (head, _) = new().claim(&run("a"));
        let (head, b) = head.claim(&run("b"));
        assert_eq!(b, seal(2, Some(("a", None))), "what was going on had no manifest yet");
        let (head, c) = head.finish(&run("b"), "bb").finish(&run("a"), "aa").claim(&run("c"));
        assert_eq!(c, seal(3, Some(("b", Some("bb")))));
        assert_eq!(head.places[0].manifest.as_deref(), Some("aa"), "the late one left its digest all the same");
    }

    #[test]
    fn a_run_that_was_never_begun_leaves_no_gap_or_says_so() {
        let (head, _) = new().claim(&run("a"));
        let (head, _) = head.finish(&run("a"), "aa").claim(&run("b"));
        let (free, again) = head.clone().release(&run("b")).claim(&run("c"));
        assert_eq!(again, seal(2, Some(("a", Some("aa")))));
        assert_eq!(free.places.len(), 2);
        let (head, _) = head.claim(&run("c"));
        let (head, d) = head.release(&run("b")).finish(&run("c"), "cc").claim(&run("d"));
        assert_eq!(d, seal(4, Some(("c", Some("cc")))), "a place is not given twice");
        assert!(head.places[1].void);
        assert!(new().claim(&run("x")).0.release(&run("x")).places.is_empty());
        let sealed = new().claim(&run("x")).0.finish(&run("x"), "xx");
        assert_eq!(sealed.clone().release(&run("x")), sealed, "what was sealed was begun");
    }

    #[test]
    fn counting_goes_on_when_old_places_are_forgotten() {
        let mut head = new();
        for n in 1..=100_u64 {
            let (next, seal) = head.claim(&run(&n.to_string()));
            assert_eq!(seal.counter, n);
            head = next.finish(&run(&n.to_string()), "m");
        }
        assert_eq!(head.places.len(), REMEMBERED);
        assert_eq!(head.clone().finish(&run("1"), "other"), head, "one that is forgotten changes nothing");
    }

    #[test]
    fn what_is_no_head_of_this_chain_is_refused() {
        let text = new().text();
        assert!(matches!(Head::read(Some("x"), "d@e@r"), Err(ChainError::Unreadable(_))));
        let later = text.replace("v1", "v2");
        assert!(matches!(Head::read(Some(&later), "d@e@r"), Err(ChainError::Version(_))));
        assert!(matches!(Head::read(Some(&text), "x@e@r"), Err(ChainError::Other(..))));
        assert_eq!(file("a/b@e e@r"), "a%2Fb@e%20e@r.json");
    }
}
