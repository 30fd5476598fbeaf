//! `blackstart guardian RUN`: watches over a run and heals in its place (hidden: the runner starts it, people need not).
//! What it does is in [`crate::exec::guardian`]; here it leaves the runner's session, and says what happens.

use super::{Complaint, Exit, Terminal, inside, leaks, sealing};
use crate::adapters::{World, guardian};
use crate::event::{Event, What};
use crate::exec::guardian::{Served, serve};
use crate::exec::{Observer, Recovered, StopSignal};
use crate::model::{Dur, WorkloadStats};
use crate::report::words;
use std::io::{self, Write, stderr, stdin, stdout};
use std::os::fd::AsFd;
use std::path::Path;
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
    #[arg(required_unless_present = "from_cluster", default_value = "")]
    run: String,
    /// Watch over whoever holds this Lease, from a pod of its own, and heal from what stands in the cluster
    #[arg(long, value_name = "NAMESPACE/NAME")]
    from_cluster: Option<String>,
    /// A namespace in which faults are recorded; that of the Lease if not given
    #[arg(long = "home", value_name = "NAMESPACE")]
    homes: Vec<String>,
    /// So long it waits for a runner
    #[arg(long, value_name = "TIME", default_value = "10m")]
    wait: Dur,
}

pub fn run(args: &Args, terminal: &mut Terminal) -> Result<Exit, Complaint> {
    match &args.from_cluster {
        Some(lease) => inside::watch(lease, &args.homes, args.wait.0, terminal),
        None => Ok(beside(args)),
    }
}

/// A guardian that a runner started.
fn beside(args: &Args) -> Exit {
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
        Served::TookOver(recovered) => runtime.block_on(concluded(&recovered, &voice)),
    };
    drop(voice);
    // Nobody may be reading: what is to be done is done.
    let _unread = spoken.recv_timeout(FAREWELL);
    runtime.shutdown_background();
    Ok(exit)
}

/// Writes the reports that the runner can no longer write, seals them, and says what is left.
async fn concluded(recovered: &Recovered, voice: &Voice) -> Exit {
    for open in &recovered.open {
        voice.say(format!("NOT HEALED `{}`: {}; by hand: {}", open.fault, open.why, open.by_hand));
    }
    let Recovered { run, dir, state_dir, .. } = recovered;
    let left = sealing::Left { run, dir, state_dir };
    let clean = |dir: &Path| leaks::search(dir, &recovered.secrets);
    let sealed = sealing::in_place_of(left, &World::system(), &clean).await;
    if let Err(why) = &sealed {
        voice.say(why.what.clone());
    }
    if let Ok(Some(sealed)) = sealed {
        voice.say(format!("report: {}", dir.join("report.html").display()));
        sealed
            .text
            .lines()
            .chain(sealed.notes.iter().map(String::as_str))
            .for_each(|line| voice.say(line.trim().into()));
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
