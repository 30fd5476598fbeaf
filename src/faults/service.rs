//! Services of this machine: is one active, who is it, stop it, start it; through systemd, or a pidfile and commands. Used
//! by faults and to resolve targets; what a stop is for is not known here.

use super::{Cx, FaultError, shell};
use crate::adapters::{AdapterError, Command, CommandOutput, ProcessState};
use crate::model::{Manager, ProcessIdentity, RunSpec, ServiceTarget, Template};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// One question to systemd.
const ASK: Duration = Duration::from_secs(10);
/// systemd's own limit to stop or start a unit is 90 s.
const JOB: Duration = Duration::from_secs(100);
/// Until a service that was asked to end is killed.
const PATIENCE: Duration = Duration::from_secs(10);
/// A killed process is gone after this, however busy the machine.
const DYING: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(20);
const PROPERTIES: &str = "--property=LoadState,ActiveState,SubState,MainPID";

/// A service with everything that another process needs to start it again (secrets by reference).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// What people call it: the unit, or the target's name.
    pub name: String,
    /// How it is managed; everything but secrets is filled in.
    pub target: ServiceTarget,
    /// Where its relative paths start from.
    pub base: PathBuf,
}

/// How a service is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceState {
    /// Active, that is what its users want.
    pub active: bool,
    /// Its main process, where there is one.
    pub process: Option<ProcessIdentity>,
    /// In words.
    pub words: String,
}

impl Service {
    /// A service as a target describes it.
    #[must_use]
    pub fn of(name: &str, target: &ServiceTarget, cx: &Cx<'_>) -> Self {
        let filled = |text: &Option<Template>| text.as_ref().map(|t| cx.journalable(t));
        let run = |run: &Option<RunSpec>| run.as_ref().map(|r| journalable(r, cx));
        let target = ServiceTarget {
            systemd: filled(&target.systemd),
            manager: target.manager,
            pidfile: filled(&target.pidfile),
            start: run(&target.start),
            stop: run(&target.stop),
            patience: target.patience,
        };
        let name = target.systemd.as_ref().map_or_else(|| name.to_owned(), ToString::to_string);
        Self { name, target, base: cx.scope.base() }
    }

    /// Is it systemd's?
    #[must_use]
    pub fn unit(&self) -> Option<String> {
        self.target.systemd.as_ref().map(ToString::to_string)
    }

    fn patience(&self) -> Duration {
        self.target.patience.map_or(PATIENCE, |p| p.0)
    }

    fn pidfile(&self) -> Option<PathBuf> {
        self.target.pidfile.as_ref().map(|file| self.base.join(file.to_string()))
    }

    fn systemctl(&self, words: &[&str], unit: &str, timeout: Duration) -> Command {
        let manager = (self.target.manager == Manager::User).then_some("--user");
        let argv = ["systemctl"].into_iter().chain(manager).chain(words.iter().copied()).chain(["--", unit]);
        let env = BTreeMap::from([("LC_ALL".to_owned(), "C".to_owned())]);
        Command { argv: argv.map(str::to_owned).collect(), env, stdin: None, cwd: None, timeout }
    }

    /// How it is now.
    ///
    /// # Errors
    /// When nobody can tell; `Missing` where there is no systemd, or no such unit.
    pub async fn state(&self, cx: &Cx<'_>) -> Result<ServiceState, FaultError> {
        match self.unit() {
            Some(unit) => self.unit_state(&unit, cx).await,
            None => self.pidfile_state(cx),
        }
    }

    async fn unit_state(&self, unit: &str, cx: &Cx<'_>) -> Result<ServiceState, FaultError> {
        let output = systemctl_run(&self.systemctl(&["show", "--no-pager", PROPERTIES], unit, ASK), cx).await?;
        let properties: BTreeMap<&str, &str> = output.stdout.lines().filter_map(|l| l.split_once('=')).collect();
        let of = |key: &str| properties.get(key).copied().unwrap_or_default();
        match of("LoadState") {
            "loaded" => {}
            "not-found" => return Err(AdapterError::Missing(format!("there is no systemd unit `{unit}`")).into()),
            other => {
                let why = format!("the systemd unit `{unit}` cannot be started: its load state is `{other}`");
                return Err(AdapterError::Refused(why).into());
            }
        }
        let process = match of("MainPID").parse() {
            Ok(pid) if pid > 0 => cx.world.processes.identify(pid)?,
            _ => None,
        };
        let (active, sub) = (of("ActiveState"), of("SubState"));
        let pid = process.as_ref().map(|p| format!(", pid {}", p.pid)).unwrap_or_default();
        let words = format!("{unit} is {active} ({sub}{pid})");
        Ok(ServiceState { active: matches!(active, "active" | "reloading" | "refreshing"), process, words })
    }

    fn pidfile_state(&self, cx: &Cx<'_>) -> Result<ServiceState, FaultError> {
        let Some(path) = self.pidfile() else {
            return Err(FaultError::Reference(format!("the service `{}` has neither unit nor pidfile", self.name)));
        };
        let none = |words: String| Ok(ServiceState { active: false, process: None, words });
        let text = match cx.world.files.read(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(AdapterError::Missing(_)) => return none(format!("`{}` has no pidfile {}", self.name, path.display())),
            Err(error) => return Err(error.into()),
        };
        let Ok(pid) = text.lines().next().unwrap_or_default().trim().parse::<i32>() else {
            return none(format!("no pid stands in {}", path.display()));
        };
        let Some(process) = cx.world.processes.identify(pid)? else {
            return none(format!("`{}` is not running: pid {pid} is gone", self.name));
        };
        let state = cx.world.processes.state(&process)?;
        let words = format!("`{}`: {} (pid {pid}) {}", self.name, process.name, super::process_kill::word(state));
        Ok(ServiceState { active: state == ProcessState::Running, process: Some(process), words })
    }

    /// Stops it and returns when it has stopped. `who` is its main process.
    ///
    /// # Errors
    /// When it does not stop.
    pub async fn stop(&self, who: Option<&ProcessIdentity>, cx: &Cx<'_>) -> Result<(), FaultError> {
        if let Some(unit) = self.unit() {
            let stop = self.systemctl(&["stop", "--no-ask-password"], &unit, JOB);
            return systemctl_run(&stop, cx).await.map(|_| ());
        }
        let Some(who) = who else { return Ok(()) };
        if let Some(stop) = &self.target.stop {
            self.run(stop, cx).await?;
        } else {
            super::process_kill::signal(who, "TERM", cx)?;
        }
        if !gone(who, self.patience(), cx).await? {
            super::process_kill::signal(who, "KILL", cx)?;
            if !gone(who, DYING, cx).await? {
                let why = format!("{} (pid {}) does not die", who.name, who.pid);
                return Err(AdapterError::TimedOut(why).into());
            }
        }
        Ok(())
    }

    /// Starts it.
    ///
    /// # Errors
    /// When what starts it says no.
    pub async fn start(&self, cx: &Cx<'_>) -> Result<(), FaultError> {
        if let Some(unit) = self.unit() {
            let start = self.systemctl(&["start", "--no-ask-password"], &unit, JOB);
            return systemctl_run(&start, cx).await.map(|_| ());
        }
        match &self.target.start {
            Some(start) => self.run(start, cx).await,
            None => Err(FaultError::Reference(format!("nothing is known that starts `{}`", self.name))),
        }
    }

    /// A process that was asked to end: does it live on? Nothing asks it again, so what lives after its patience stays.
    ///
    /// # Errors
    /// When nobody can tell.
    pub async fn survives(&self, who: &ProcessIdentity, cx: &Cx<'_>) -> Result<bool, FaultError> {
        Ok(!gone(who, self.patience(), cx).await?)
    }

    async fn run(&self, what: &RunSpec, cx: &Cx<'_>) -> Result<(), FaultError> {
        let done = cx.run(what).await?;
        if done.ok { Ok(()) } else { Err(FaultError::World(AdapterError::Refused(done.detail))) }
    }

    /// The command that starts it, for people.
    #[must_use]
    pub fn start_by_hand(&self) -> String {
        match (self.unit(), &self.target.start) {
            (Some(unit), _) => self.systemctl(&["start"], &unit, JOB).argv.join(" "),
            (None, Some(start)) => shell(start, &self.base),
            (None, None) => format!("# start `{}` again: nothing is known that does it", self.name),
        }
    }
}

/// Waits until exactly this process is gone.
async fn gone(who: &ProcessIdentity, limit: Duration, cx: &Cx<'_>) -> Result<bool, FaultError> {
    let clock = &cx.world.clock;
    let until = clock.mono().after(limit);
    while cx.world.processes.state(who)? != ProcessState::Gone {
        if clock.mono() >= until {
            return Ok(false);
        }
        clock.sleep_until(clock.mono().after(LOOK_EVERY)).await;
    }
    Ok(true)
}

fn journalable(run: &RunSpec, cx: &Cx<'_>) -> RunSpec {
    let value = serde_json::to_value(run).map(|value| super::journaled(value, cx));
    value.and_then(serde_json::from_value).unwrap_or_else(|_| run.clone())
}

/// systemctl, which says by its exit status whether it was done.
async fn systemctl_run(command: &Command, cx: &Cx<'_>) -> Result<CommandOutput, FaultError> {
    let output = match cx.world.commands.run(command).await {
        Err(AdapterError::Missing(_)) => {
            let why = "unavailable, because there is no systemd on this machine (no `systemctl`)";
            return Err(AdapterError::Missing(why.to_owned()).into());
        }
        other => other?,
    };
    if output.status == Some(0) {
        return Ok(output);
    }
    let said = output.stderr.trim().lines().next().unwrap_or("nothing").to_owned();
    Err(AdapterError::Refused(format!("`{}` said no: {said}", command.argv.join(" "))).into())
}
