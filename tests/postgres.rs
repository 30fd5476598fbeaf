//! Real PostgreSQL: the adapter against the scripts' pair, and the drills under `drills/postgres/` with the built binary.
//! Needs the servers that `tests/install.sh` installs, and says so when they are missing.

#[cfg(test)]
#[path = "postgres/adapter.rs"]
mod adapter;
#[cfg(test)]
#[path = "postgres/drills.rs"]
mod drills;
#[cfg(test)]
#[path = "postgres/fingerprints.rs"]
mod fingerprints;
#[cfg(test)]
#[path = "postgres/levels.rs"]
mod levels;
#[cfg(test)]
#[path = "postgres/pair.rs"]
mod pair;
#[cfg(test)]
#[path = "postgres/planted.rs"]
mod planted;
#[path = "postgres/protected.rs"]
mod protected;
#[cfg(test)]
#[path = "postgres/sites.rs"]
mod sites;
#[cfg(test)]
#[path = "fingerprints/suite.rs"]
mod suite;
