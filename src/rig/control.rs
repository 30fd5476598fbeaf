//! The controller's process: holds the server, waits for the drill's fault (SIGUSR1), plays the script, and says in
//! files how far it is. What it freezes, it freezes with SIGSTOP, and the system tells when that was done.

use super::log::{Fact, Log, now};
use super::script::{Play, Script};
use super::store::Lies;
use super::{RigError, program, told_to_end};
use crate::clock::Clock;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::signal::unix::{Signal as UnixSignal, SignalKind, signal};
use tokio::sync::mpsc;

/// The server answers its controller within this, or the rig gives up.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a rig is started with.
#[derive(Debug, Clone)]
pub struct RigSettings {
    /// Where its files are.
    pub dir: PathBuf,
    /// Where its server listens.
    pub listen: SocketAddr,
    /// What it plays.
    pub script: Script,
    /// What its store does wrong.
    pub lies: Lies,
}

struct Controller {
    settings: RigSettings,
    log: Log,
    server: Child,
    pid: Pid,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

/// Runs a rig until it is told to end; `ready` is called when its server listens. No process of it is left.
///
/// # Errors
/// When the server does not start, or a file cannot be written.
pub fn run(settings: RigSettings, ready: impl FnOnce()) -> Result<(), RigError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|cause| RigError::System("start a runtime", cause))?;
    let ended = runtime.block_on(control(settings, ready));
    runtime.shutdown_background();
    ended
}

async fn control(settings: RigSettings, ready: impl FnOnce()) -> Result<(), RigError> {
    let listen = |kind| signal(kind).map_err(|cause| RigError::System("listen to signals", cause));
    let (mut begin, mut heal) = (listen(SignalKind::user_defined1())?, listen(SignalKind::user_defined2())?);
    let mut controller = Controller::start(settings).await?;
    ready();
    let (lines, _nobody) = mpsc::unbounded_channel();
    let ended = tokio::select! {
        Err(why) = controller.once(&mut begin, &mut heal) => Err(why),
        () = told_to_end(lines) => Ok(()),
    };
    controller.end().await;
    ended
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Put,
    Remove,
}

impl Controller {
    async fn start(settings: RigSettings) -> Result<Self, RigError> {
        let path = super::log::control(&settings.dir);
        let log = Log::create(&path).map_err(|cause| RigError::file("cannot write", &path, cause))?;
        let mut server = Command::new(program())
            .args(["rig", "--dir"])
            .arg(&settings.dir)
            .args(["--listen", &settings.listen.to_string(), "--serve", &std::process::id().to_string()])
            .args(settings.lies.arguments())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|cause| RigError::Server(format!("did not start: {cause}")))?;
        let (Some(pid), Some(orders), Some(stdout)) = (server.id(), server.stdin.take(), server.stdout.take()) else {
            return Err(RigError::Server("ended at once".to_owned()));
        };
        let pid = Pid::from_raw(pid.cast_signed());
        let answers = BufReader::new(stdout).lines();
        let mut controller = Self { settings, log, server, pid, orders, answers };
        controller.heard("ready").await?;
        controller.log.note(&Fact::Started { t: now(), pid: std::process::id() });
        Ok(controller)
    }

    /// Waits until the server has said that; what it said before belongs to a script that was ended early.
    async fn heard(&mut self, what: &str) -> Result<(), RigError> {
        let until = async {
            while let Ok(Some(line)) = self.answers.next_line().await {
                if line == what {
                    return Ok(());
                }
            }
            Err(RigError::Server("ended".to_owned()))
        };
        let heard = tokio::time::timeout(PATIENCE, until).await;
        heard.unwrap_or_else(|_| Err(RigError::Server("does not answer".to_owned())))
    }

    /// Waits for the fault, plays the script to its end or until it is healed, and then waits for ever.
    async fn once(&mut self, begin: &mut UnixSignal, heal: &mut UnixSignal) -> Result<(), RigError> {
        begin.recv().await;
        self.mark("broken", Mark::Put)?;
        let healed = tokio::select! {
            played = self.play() => { played?; false }
            _ = heal.recv() => true,
        };
        if healed {
            self.thaw()?;
        }
        self.order(Play::Up).await?;
        self.mark("broken", Mark::Remove)?;
        std::future::pending().await
    }

    async fn play(&mut self) -> Result<(), RigError> {
        let script = self.settings.script.clone();
        for (place, spell) in script.0.iter().enumerate() {
            let frozen = spell.play == Play::Freeze;
            if frozen {
                self.freeze().await?;
            } else {
                self.order(spell.play).await?;
            }
            let until = Clock::System.mono().after(spell.lasting);
            if place == 0 {
                self.mark("begun", Mark::Put)?;
            }
            Clock::System.sleep_until(until).await;
            if frozen {
                self.thaw()?;
            }
        }
        Ok(())
    }

    /// The server plays this now, and says so.
    async fn order(&mut self, play: Play) -> Result<(), RigError> {
        let line = serde_json::to_string(&play).unwrap_or_default();
        let told = self.orders.write_all(format!("{line}\n").as_bytes()).await;
        told.map_err(|cause| RigError::Server(format!("does not listen: {cause}")))?;
        self.heard(&line).await
    }

    async fn freeze(&mut self) -> Result<(), RigError> {
        let from = now();
        self.signal(Signal::SIGSTOP)?;
        let pid = self.pid;
        let stopped = tokio::task::spawn_blocking(move || waitid(Id::Pid(pid), WaitPidFlag::WSTOPPED)).await;
        if !matches!(stopped, Ok(Ok(_))) {
            return Err(RigError::Server("cannot be frozen".to_owned()));
        }
        self.log.note(&Fact::Plays { from, to: now(), play: Play::Freeze });
        Ok(())
    }

    /// The system says that it goes on only once it does; without a freeze this changes nothing.
    fn thaw(&mut self) -> Result<(), RigError> {
        let from = now();
        self.signal(Signal::SIGCONT)?;
        self.log.note(&Fact::Plays { from, to: now(), play: Play::Up });
        Ok(())
    }

    fn signal(&self, signal: Signal) -> Result<(), RigError> {
        kill(self.pid, signal).map_err(|e| RigError::System("signal the rig's server", e.into()))
    }

    fn mark(&self, name: &str, mark: Mark) -> Result<(), RigError> {
        let path = self.settings.dir.join(name);
        let done = match mark {
            Mark::Put => std::fs::write(&path, ""),
            Mark::Remove => std::fs::remove_file(&path),
        };
        done.map_err(|cause| RigError::file("cannot write", &path, cause))
    }

    async fn end(mut self) {
        let _awake = self.signal(Signal::SIGCONT);
        drop(self.orders);
        if tokio::time::timeout(PATIENCE, self.server.wait()).await.is_err() {
            let _gone = self.server.kill().await;
        }
        self.log.note(&Fact::Ended { t: now() });
    }
}
