//! The clients that workloads drive, against real services: the embedded staging, pages that misbehave, a program in
//! another language. What the schedule makes of them is tested elsewhere.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "fingerprints/cluster.rs"]
mod cluster;
#[path = "clients/command.rs"]
mod command;
#[path = "clients/kv.rs"]
mod kv;
#[path = "clients/lines.rs"]
mod lines;
#[cfg(test)]
#[path = "postgres/planted.rs"]
mod planted;
#[path = "truth/ports.rs"]
mod ports;
#[path = "clients/stalls.rs"]
mod stalls;
#[path = "clients/visits.rs"]
mod visits;

use blackstart::adapters::{Act, Client, ClientSettings, Done, Operation};
use blackstart::clock::Clock;
use blackstart::model::{ClientBehaviour, Key};
use std::time::Duration;

/// Generous: nothing here measures how fast the machine is.
const PATIENCE: Duration = Duration::from_secs(30);

fn settings(behaviour: ClientBehaviour, timeout: Duration) -> ClientSettings {
    ClientSettings { run: "test-run".into(), behaviour, timeout, writers: 2, payload: 32, rate: 100.0 }
}

async fn act(client: &dyn Client, act: Act) -> Done {
    let before = Clock::System.mono();
    let done = client.operate(Operation { due: before, act }).await;
    assert!(before <= done.sent && done.sent <= done.done && done.done <= Clock::System.mono(), "{done:?}");
    done
}

fn key(writer: u16, seq: u64) -> Key {
    Key { writer, seq }
}
