//! Real PostgreSQL: the adapter against the scripts' pair, and the drills under `drills/postgres/` with the built binary.
//! Needs the servers that `tests/install.sh` installs, and says so when they are missing.

#[cfg(test)]
#[path = "postgres/adapter.rs"]
mod adapter;
#[cfg(test)]
#[path = "data/again.rs"]
mod again;
#[cfg(test)]
#[path = "data/common.rs"]
#[expect(dead_code, reason = "what other systems' tests need")]
mod common;
#[cfg(test)]
#[path = "data/drill.rs"]
mod drill;
#[cfg(test)]
#[path = "postgres/drills.rs"]
mod drills;
#[cfg(test)]
#[path = "postgres/failover.rs"]
mod failover;
#[cfg(test)]
#[path = "postgres/faults.rs"]
mod faults;
#[cfg(test)]
#[path = "postgres/fingerprints.rs"]
mod fingerprints;
#[cfg(test)]
#[path = "postgres/levels.rs"]
mod levels;
#[cfg(test)]
#[path = "postgres/look.rs"]
mod look;
#[cfg(test)]
#[path = "postgres/pair.rs"]
mod pair;
#[cfg(test)]
#[path = "postgres/patroni.rs"]
mod patroni;
#[cfg(test)]
#[path = "postgres/planted.rs"]
mod planted;
#[path = "postgres/protected.rs"]
mod protected;
#[cfg(test)]
#[path = "postgres/restores.rs"]
mod restores;
#[cfg(test)]
#[path = "postgres/sites.rs"]
mod sites;
#[cfg(test)]
#[path = "fingerprints/suite.rs"]
mod suite;
#[cfg(test)]
#[path = "faults/support.rs"]
#[expect(dead_code, reason = "what other faults' tests need")]
mod support;
#[cfg(test)]
#[path = "postgres/whole.rs"]
mod whole;
