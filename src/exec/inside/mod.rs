//! A run inside a cluster: the runner's Lease and who holds it, the wait for a guardian in another pod, and what that guardian
//! does when the runner falls silent. The objects themselves are [`crate::inside`]'s.
//!
//! Invariants: nothing is injected before a guardian has written that it watches this very holder. A runner that cannot
//! renew its Lease stops and heals before the Lease can run out. A guardian acts only on a Lease that it has seen unrenewed
//! for its whole length, takes it over in one conditional patch, and ends the runner's pod before it heals.

mod guard;
mod keep;
mod lease;

pub use guard::{Guarded, Healing, guard};
pub use keep::{Collected, Kept, Packed, begin};

#[cfg(test)]
mod tests;

use crate::adapters::kubernetes::{Access, At, ClusterError, Kind};
use crate::faults::kubernetes::Home;
use thiserror::Error;

/// Where a run's Lease is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// The namespace of the set.
    pub namespace: String,
    /// The Lease of the runner; the guardian's has `-guardian` after it.
    pub lease: String,
}

impl Seat {
    /// Where this pod's run keeps what reaches out of its cluster.
    #[must_use]
    pub fn home(&self) -> Home {
        Home { access: Access::default(), namespace: self.namespace.clone() }
    }
}

/// Whoever sits there: a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sitter {
    /// The pod's name.
    pub pod: String,
    /// The pod's uid.
    pub uid: String,
}

/// Why a Lease could not be held.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SeatError {
    /// There is none.
    #[error("there is no {0}: it is made with the Jobs, by `blackstart run --on kubernetes` or `schedule --emit k8s`")]
    Missing(String),
    /// Somebody else holds it.
    #[error("{0} is held by {1}")]
    Taken(String, String),
    /// The cluster did not do it.
    #[error("{0}: {1}")]
    Cluster(String, ClusterError),
    /// Nobody guards.
    #[error("there is no guardian: {0}")]
    Unguarded(String),
    /// The drill was stopped meanwhile.
    #[error("it was stopped before its guardian was there; nothing was touched")]
    Stopped,
}

impl Seat {
    /// From `NAMESPACE/NAME`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (namespace, lease) = text.split_once('/')?;
        let given = !namespace.is_empty() && !lease.is_empty() && !lease.contains('/');
        given.then(|| Self { namespace: namespace.to_owned(), lease: lease.to_owned() })
    }

    fn at(&self, name: &str) -> At {
        let kind = Kind::known("lease").unwrap_or_else(|| unreachable_kind("Lease"));
        kind.at(Some(&self.namespace), name)
    }

    /// The runner's Lease.
    #[must_use]
    pub fn runner(&self) -> At {
        self.at(&self.lease)
    }

    /// The guardian's.
    #[must_use]
    pub fn guardian(&self) -> At {
        self.at(&format!("{}-guardian", self.lease))
    }
}

/// Known kinds are known; a name that is not would be asked for as it is.
fn unreachable_kind(name: &str) -> Kind {
    use crate::adapters::kubernetes::Scope;
    Kind::of("", "v1", name, &format!("{}s", name.to_lowercase()), Scope::Namespaced)
}

fn pod(namespace: &str, name: &str) -> At {
    Kind::known("pod").unwrap_or_else(|| unreachable_kind("Pod")).at(Some(namespace), name)
}

impl Sitter {
    /// As it stands in a Lease.
    #[must_use]
    pub fn identity(&self) -> String {
        format!("{}_{}", self.pod, self.uid)
    }
}
