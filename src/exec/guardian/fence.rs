//! Makes sure that a runner cannot inject any more: it is killed, and its end is waited for.

use crate::adapters::{ProcessState, World};
use crate::model::ProcessIdentity;
use std::time::Duration;

/// A killed runner is gone after this, unless the system itself hangs.
const LIMIT: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Kills exactly this runner, if it still lives, and waits until it is gone. When this returns it can start nothing
/// any more; `Err` says that the system has not taken it off its list yet, or that it could not be killed.
pub(super) async fn fence(runner: &ProcessIdentity, world: &World) -> Result<(), String> {
    let until = world.clock.mono().after(LIMIT);
    loop {
        let state = world.processes.state(runner).map_err(|e| e.to_string())?;
        if state == ProcessState::Gone {
            return Ok(());
        }
        // Sent again and again: nothing happens to one that is dying already.
        let sent = world.processes.signal(runner, "KILL");
        if world.clock.mono() >= until {
            let why = sent.err().map_or_else(|| "it was killed and is still there".to_owned(), |e| e.to_string());
            return Err(format!("the runner (pid {}) does not go: {why}", runner.pid));
        }
        world.clock.sleep_until(world.clock.mono().after(LOOK_EVERY)).await;
    }
}
