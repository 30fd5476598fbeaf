//! Evidence, with the built binary and stock tools: sealing, signing, checking, and what must never be in it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod agree;
mod chains;
#[path = "../data/common.rs"]
#[expect(dead_code, reason = "tests of data systems use more of it")]
mod common;
mod forge;
mod guide;
#[path = "../truth/ports.rs"]
mod ports;
mod retention;
mod seal;
mod secrets;
#[path = "../s3/server.rs"]
#[expect(dead_code, reason = "tests of object storage use more of it")]
mod server;
mod signers;
mod stamps;
#[path = "../cli/support.rs"]
#[expect(dead_code, reason = "tests of the command line use more of it")]
mod support;
mod tamper;
mod tsa;
mod upload;
