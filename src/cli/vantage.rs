//! A vantage: `blackstart helper --owner TAG vantage NAME`, a process that a runner starts. What it does is in
//! [`crate::exec::vantage`]; here it leaves the runner's session, goes to its network namespace before any other thread
//! is started, and begins. With `--listen PORT` it is the program of a pod, and its runner comes to it.

use super::{Exit, Terminal};
use crate::adapters::{World, guardian};
use crate::exec::vantage::{self, Hello};
use std::io::{self, BufRead, Read, stdin, stdout};
use std::os::fd::AsFd;
use std::time::Duration;

/// A first line is not longer.
const MOST: u64 = 16 << 20;
/// A runner that does not come in this time never will.
const PATIENCE: Duration = Duration::from_secs(600);

pub fn run(name: &str, terminal: &mut Terminal) -> Exit {
    match look_out() {
        Ok(Ok(())) => Exit::Pass,
        Ok(Err(why)) => said(name, &why, terminal),
        Err(error) => said(name, &error.to_string(), terminal),
    }
}

/// Waits for a runner that a cluster leads here: the pod's own program.
pub fn listen(name: &str, port: u16, terminal: &mut Terminal) -> Exit {
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return said(name, &error.to_string(), terminal),
    };
    let served = runtime.block_on(async {
        let (hello, ends) = vantage::listen(port, PATIENCE).await?;
        let world = vantage::world(&hello);
        vantage::serve(hello, ends, &world).await
    });
    // What is in flight is nobody's any more.
    runtime.shutdown_background();
    match served {
        Ok(()) => Exit::Pass,
        Err(why) => said(name, &why, terminal),
    }
}

fn said(name: &str, why: &str, terminal: &mut Terminal) -> Exit {
    terminal.warn(&format!("blackstart: vantage {name}: {why}"));
    Exit::Preflight
}

fn look_out() -> io::Result<Result<(), String>> {
    // Ctrl-C at the runner's terminal is the runner's: it heals first, and is measured meanwhile.
    let _leader_already = nix::unistd::setsid();
    let mut text = String::new();
    // Nothing more is said before this is answered, so nothing is left in the buffer.
    stdin().lock().take(MOST).read_line(&mut text)?;
    let (input, output) = (stdin().as_fd().try_clone_to_owned()?, stdout().as_fd().try_clone_to_owned()?);
    let hello = vantage::hello(&text).and_then(|hello: Hello| vantage::enter(&hello).map(|()| hello));
    drop(text);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let served = runtime.block_on(async {
        let ends = guardian::ends(input, output)?;
        Ok(match hello {
            Ok(hello) => vantage::serve(hello, ends, &World::system()).await,
            Err(why) => {
                vantage::refuse(ends.to, why).await?;
                Ok(())
            }
        })
    });
    // What is in flight is nobody's any more.
    runtime.shutdown_background();
    served
}
