//! Fingerprints of every kind of store, held to the same suite; those of tables are with the tests of their servers.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "fingerprints/cluster.rs"]
mod cluster;
#[path = "fingerprints/directory.rs"]
mod directory;
#[path = "fingerprints/keys.rs"]
mod keys;
#[path = "fingerprints/moto.rs"]
mod moto;
#[path = "fingerprints/objects.rs"]
mod objects;
#[path = "truth/ports.rs"]
mod ports;
#[path = "fingerprints/suite.rs"]
mod suite;
