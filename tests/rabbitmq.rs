//! Real RabbitMQ: the adapter and the conformance suite against a node of its own, and the drills under `drills/rabbitmq/` with
//! the built binary. Needs the servers that `tests/install.sh` installs, and says so when they are missing.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "rabbitmq/adapter.rs"]
mod adapter;
#[path = "data/again.rs"]
mod again;
#[path = "data/common.rs"]
mod common;
#[path = "rabbitmq/conformance.rs"]
mod conformance;
#[path = "rabbitmq/double.rs"]
mod double;
#[path = "data/drill.rs"]
mod drill;
#[path = "rabbitmq/drills.rs"]
mod drills;
#[path = "rabbitmq/server.rs"]
mod server;
#[path = "data/suite.rs"]
mod suite;
