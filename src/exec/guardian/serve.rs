//! The guardian's end: listens to its runner, confirms intents, and takes over when the lease is broken.

use super::super::options::Observer;
use super::super::recover::{Mender, Recovered, prepared};
use super::lease::{Cause, LOOK, Lease};
use super::{Ends, FromGuardian, FromRunner, Hello, fence, line};
use crate::adapters::World;
use crate::event::{Healer, What};
use crate::journal::state::{Index, OpenRun};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWrite, AsyncWriteExt, BufReader};

/// A runner that does not read for so long need not be answered: it is stopped, and will break its lease.
const WRITE: Duration = Duration::from_secs(2);

/// How a guardian's work ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Served {
    /// Nobody said what to guard.
    Unused,
    /// The runner said goodbye.
    Released,
    /// The runner is gone, and this was done in its place.
    TookOver(Recovered),
}

/// Guards the run that the other end names, until that says goodbye or has to be taken over.
pub async fn serve(ends: Ends, world: &World, observer: Arc<dyn Observer>) -> Served {
    let (mut lines, mut to) = (BufReader::new(ends.from).lines(), ends.to);
    let hello = match lines.next_line().await.ok().flatten().and_then(|line| serde_json::from_str(&line).ok()) {
        Some(FromRunner::Hello(hello)) => hello,
        _ => return Served::Unused,
    };
    let own = i32::try_from(std::process::id()).ok().and_then(|pid| world.processes.identify(pid).ok().flatten());
    tell(&mut to, &FromGuardian::Ready(own)).await;
    let mut lease = Lease::new(hello.limits);
    let mut next = world.clock.mono();
    let cause = loop {
        let look = async {
            world.clock.sleep_until(next).await;
        };
        tokio::select! {
            // What was said counts before what was not.
            biased;
            said = lines.next_line() => {
                let Ok(Some(text)) = said else { break Cause::Died };
                // A line that was cut short is a runner that died while it wrote.
                let Ok(said) = serde_json::from_str::<FromRunner>(&text) else { continue };
                lease.heard(&said);
                match said {
                    FromRunner::Goodbye => return Served::Released,
                    FromRunner::Abandoned => break Cause::Abandoned,
                    said => answer(&said, &hello, world, &mut to).await,
                }
            }
            () = look => {
                next = world.clock.mono().after(LOOK);
                if let Some(cause) = lease.look(world.clock.mono(), world.clock.boot_nanos()) {
                    break cause;
                }
            }
        }
    };
    // From here on nobody is answered: a runner that still lives must notice.
    drop((lines, to));
    take_over(&hello, &lease, &cause, world, observer).await
}

async fn answer(said: &FromRunner, hello: &Hello, world: &World, to: &mut (impl AsyncWrite + Unpin)) {
    match said {
        FromRunner::Beat => tell(to, &FromGuardian::Beat).await,
        FromRunner::Intent(intent) => {
            let fault = intent.fault.clone();
            // What cannot be read now cannot be healed later.
            let answer = match prepared(intent, &hello.run, world) {
                Ok(_) => FromGuardian::Confirmed(fault),
                Err(why) => FromGuardian::Refused(fault, why),
            };
            tell(to, &answer).await;
        }
        _ => {}
    }
}

async fn tell(to: &mut (impl AsyncWrite + Unpin), message: &FromGuardian) {
    // A runner that is gone is noticed by what it no longer says.
    let text = line(message);
    let _unheard = tokio::time::timeout(WRITE, async {
        to.write_all(&text).await?;
        to.flush().await
    })
    .await;
}

async fn take_over(hello: &Hello, lease: &Lease, cause: &Cause, world: &World, observer: Arc<dyn Observer>) -> Served {
    let mut why = cause.to_string();
    if let (Some(runner), true) = (&hello.runner, *cause != Cause::Abandoned)
        && let Err(alive) = fence::fence(runner, world).await
    {
        why = format!("{why}; {alive}");
    }
    let entry = OpenRun { run: hello.run.clone(), dir: hello.dir.clone() };
    let state_dir = hello.state_dir.as_path();
    let mender = Mender { world, limits: &hello.limits, state_dir, observer: &observer, by: Healer::Guardian, why };
    let mut recovered = mender.mend(&entry, &lease.open()).await;
    if recovered.error.is_none() && recovered.open.is_empty() {
        recovered.error = Index::at(&hello.state_dir).remove(&entry.run).err().map(|e| e.to_string());
    }
    if let Some(error) = &recovered.error {
        let text = format!("the guardian could not complete the record: {error}");
        observer.event(&crate::event::Event { at: world.clock.stamp(), what: What::Note { text } });
    }
    Served::TookOver(recovered)
}
