//! `blackstart guardian RUN`: watches over a run and heals in its place (hidden: the runner starts it, people need not).
//! What it does is in [`crate::exec::guardian`]; here it leaves the runner's session, and says what happens.

use super::{Exit, evidence};
use crate::adapters::{World, guardian};
use crate::event::{Event, What};
use crate::exec::guardian::{Served, serve};
use crate::exec::{Observer, Recovered, StopSignal};
use crate::model::WorkloadStats;
use crate::report::words;
use std::io::{self, Write, stderr, stdin, stdout};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// Lines that wait for a terminal; more are not said.
const LINES: usize = 256;
/// A terminal that takes no more is left alone after this.
const FAREWELL: Duration = Duration::from_secs(1);

/// Which run.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run, for whoever looks at the list of processes
    run: String,
}

pub fn run(args: &Args) -> Exit {
    match guard(&args.run) {
        Ok(exit) => exit,
        Err(why) => {
            drop(writeln!(stderr(), "blackstart guardian: {why}"));
            Exit::Preflight
        }
    }
}

fn guard(run: &str) -> io::Result<Exit> {
    guardian::detach()?;
    let (input, output) = (stdin().as_fd().try_clone_to_owned()?, stdout().as_fd().try_clone_to_owned()?);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (voice, spoken) = Voice::new(run);
    let voice = Arc::new(voice);
    let served = runtime.block_on(async {
        let ends = guardian::ends(input, output)?;
        // A service manager that stops everything sends these to the guardian too, and the runner still needs it then.
        StopSignal::new().listen()?;
        io::Result::Ok(serve(ends, &World::system(), voice.clone()).await)
    })?;
    let exit = match served {
        Served::Unused | Served::Released => Exit::Pass,
        Served::TookOver(recovered) => concluded(&recovered, &voice),
    };
    drop(voice);
    // Nobody may be reading: what is to be done is done.
    let _unread = spoken.recv_timeout(FAREWELL);
    runtime.shutdown_background();
    Ok(exit)
}

/// Writes the reports that the runner can no longer write, and says what is left.
fn concluded(recovered: &Recovered, voice: &Voice) -> Exit {
    for open in &recovered.open {
        voice.say(format!("NOT HEALED `{}`: {}; by hand: {}", open.fault, open.why, open.by_hand));
    }
    if let Ok(judged) = evidence::judge(&recovered.dir)
        && evidence::write(&recovered.dir, &judged).is_ok()
    {
        voice.say(format!("report: {}", recovered.dir.join("report.html").display()));
    }
    match (&recovered.error, recovered.open.is_empty()) {
        (None, true) => Exit::Aborted,
        (error, _) => {
            error.iter().for_each(|why| voice.say(why.clone()));
            voice.say("what is not healed is healed by: blackstart recover".to_owned());
            Exit::NotHealed
        }
    }
}

/// Says things on standard error by a thread of its own: a terminal or a pipe that takes nothing more must not keep a
/// fault open.
struct Voice {
    lines: SyncSender<String>,
    run: String,
}

impl Voice {
    fn new(run: &str) -> (Self, Receiver<()>) {
        let (lines, spoken) = sync_channel::<String>(LINES);
        let (done, ended) = sync_channel(1);
        std::thread::spawn(move || {
            for line in spoken {
                drop(writeln!(stderr().lock(), "{line}"));
            }
            let _nobody_waits = done.send(());
        });
        (Self { lines, run: run.to_owned() }, ended)
    }

    fn say(&self, text: String) {
        let _full = self.lines.try_send(format!("guardian of {}: {}", self.run, words::clean(&text)));
    }
}

impl Observer for Voice {
    fn event(&self, event: &Event) {
        match &event.what {
            What::TakenOver { why, .. } => self.say(format!("{why}; healing what it left open")),
            What::Healed { fault, detail, .. } => self.say(format!("healed `{fault}`: {detail}")),
            What::HealFailed { fault, attempt, error, .. } => {
                self.say(format!("healing `{fault}` failed (attempt {attempt}): {error}"));
            }
            What::StagingDown { error: None } => self.say("the staging is down".to_owned()),
            What::Note { text } => self.say(text.clone()),
            _ => {}
        }
    }

    fn stats(&self, _: &[WorkloadStats]) {}
}
