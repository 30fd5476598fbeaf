//! What makes a run's folder evidence: its manifest, the digests that stock tools check, signatures, the chain of runs, what
//! people add afterwards, and the check of all that. Files on this machine are read and written here; other machines,
//! other programs and agents are asked through `adapters`. What a run measured is `analysis`'s business.
//!
//! Invariant: nothing here changes a file that is sealed; what comes later stands beside it and names what it is about.

pub mod actions;
pub mod addendum;
pub mod allowed;
pub mod archive;
pub mod chain;
pub mod digest;
pub mod dsse;
pub mod manifest;
pub mod merkle;
pub mod place;
pub mod retention;
pub mod reviews;
pub mod scan;
pub mod seal;
pub mod signature;
pub mod stamp;
pub mod sums;
pub mod tombstone;
pub mod verify;
