//! Every kind of fault on the real thing: its life as another process sees it, and the drills under `drills/faults/`.
//! One file per family.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "../data/again.rs"]
mod again;
mod container;
mod disk;
mod engine;
mod file;
mod io;
mod network;
mod pressure;
mod process;
mod proxy;
mod resolver;
mod service;
mod several;
mod skew;
mod support;
