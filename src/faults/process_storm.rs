//! Kills a target again and again, each time when it is back: a restart storm.

use super::process_kill::{ending, live, signal, steps_back, way_back_words};
use super::{Cx, Fault, FaultError, Look, Reversibility, shell};
use crate::adapters::{AdapterError, ProcessState};
use crate::model::{Dur, Mono, ProcessIdentity, RunSpec, SignalName, TargetRef, WayBack};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

const MOST: u32 = 1000;
/// Until it is back, if the playbook does not say.
const WITHIN: Duration = Duration::from_secs(30);
/// It must live so long to be called back for good, if the playbook does not say.
const STAYS: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Kills the processes of a target, waits until it is back, and kills it again. It counts as healed when it lives and
/// stays. The step ends when the last kill is done; stopping the drill ends the storm at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessStorm {
    /// A target of kind `process` or `service`.
    pub target: TargetRef,
    /// How often it is killed, 2 to 1000.
    pub times: u32,
    /// From one kill to the next at least; as soon as it is back if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Dur>,
    /// It must be back after this; 30s if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Dur>,
    /// It must live so long in the end to count as healed; 1s if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stays: Option<Dur>,
    /// The signal, by name or number; KILL if not given.
    #[serde(default = "kill", deserialize_with = "ending")]
    pub signal: SignalName,
    /// How it comes back each time.
    pub back: WayBack,
}

fn kill() -> SignalName {
    SignalName::KILL
}

/// Who was there first, and what brings it back (secrets by reference).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    /// Those that are killed first.
    pub processes: Vec<ProcessIdentity>,
    /// Brings them back.
    pub back: Option<RunSpec>,
    /// Where its relative paths start from.
    pub base: PathBuf,
}

impl ProcessStorm {
    /// Who it is now: those that live. Nobody if it cannot be found.
    async fn now(&self, cx: &Cx<'_>) -> Result<Vec<ProcessIdentity>, FaultError> {
        let target = cx.scope.target(&TargetRef::Now(self.target.name().to_owned())).await;
        let mut found = target.map(|target| target.processes).unwrap_or_default();
        let mut states = Vec::new();
        for process in &found {
            states.push(cx.world.processes.state(process)?);
        }
        let mut states = states.into_iter();
        found.retain(|_| states.next() == Some(ProcessState::Running));
        Ok(found)
    }

    async fn bring_back(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        let Some(back) = &undo.back else { return Ok(()) };
        let done = cx.run(back).await?;
        if done.ok { Ok(()) } else { Err(FaultError::World(AdapterError::Refused(done.detail))) }
    }

    /// Waits until so many live that are none of these.
    async fn others(&self, than: &[ProcessIdentity], cx: &Cx<'_>) -> Result<Vec<ProcessIdentity>, FaultError> {
        let clock = &cx.world.clock;
        let limit = self.within.map_or(WITHIN, |w| w.0);
        let until = clock.mono().after(limit);
        loop {
            let now = self.now(cx).await?;
            if now.len() >= than.len().max(1) && !now.iter().any(|process| than.contains(process)) {
                return Ok(now);
            }
            if clock.mono() >= until {
                let why = format!("`{}` was not back {limit:?} after it was killed", self.target.name());
                return Err(AdapterError::TimedOut(why).into());
            }
            clock.sleep_until(clock.mono().after(LOOK_EVERY)).await;
        }
    }

    async fn gone(&self, processes: &[ProcessIdentity], until: Mono, cx: &Cx<'_>) -> Result<bool, FaultError> {
        for process in processes {
            while cx.world.processes.state(process)? != ProcessState::Gone {
                if cx.world.clock.mono() >= until {
                    return Ok(false);
                }
                cx.world.clock.sleep_until(cx.world.clock.mono().after(LOOK_EVERY)).await;
            }
        }
        Ok(true)
    }

    async fn kill_all(&self, processes: &[ProcessIdentity], cx: &Cx<'_>) -> Result<(), FaultError> {
        for process in processes {
            signal(process, self.signal.as_str(), cx)?;
        }
        let until = cx.world.clock.mono().after(self.within.map_or(WITHIN, |w| w.0));
        if self.gone(processes, until, cx).await? {
            return Ok(());
        }
        let why = format!("`{}` does not end by {}", self.target.name(), self.signal);
        Err(AdapterError::TimedOut(why).into())
    }
}

impl Fault for ProcessStorm {
    const KIND: &'static str = "process_storm";
    const SUMMARY: &'static str = "kill processes again and again, each time when they are back";
    const REVERSIBILITY: Reversibility = Reversibility::Reversible;
    const TARGETS: &'static [&'static str] = &["process", "service"];
    const BREAKS_OFF: bool = true;
    type Undo = Undo;

    fn targets(&self) -> Vec<&TargetRef> {
        vec![&self.target]
    }

    fn permissions(&self) -> Vec<String> {
        vec!["the same user as the process, or CAP_KILL".to_owned()]
    }

    fn way_back(&self) -> String {
        way_back_words(&self.back)
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Undo, FaultError> {
        if !(2..=MOST).contains(&self.times) || matches!(self.back, WayBack::None) {
            let why = format!("a storm kills 2 to {MOST} times, and something brings the target back each time");
            return Err(FaultError::NothingToBreak(why));
        }
        let target = cx.scope.target(&self.target).await.map_err(FaultError::NothingToBreak)?;
        let processes = live(&target.processes, self.target.name(), cx)?;
        for process in &processes {
            cx.world.processes.may_signal(process)?;
        }
        Ok(Undo { processes, back: steps_back(&self.back), base: cx.scope.base() })
    }

    /// Every kill is of whoever the target is then, so it can be broken off between any two steps and begun again.
    async fn inject(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        let clock = &cx.world.clock;
        let mut victims = self.now(cx).await?;
        if victims.is_empty() {
            self.bring_back(undo, cx).await?;
            victims = self.others(&[], cx).await?;
        }
        for round in 1..=self.times {
            let due = clock.mono().after(self.every.map_or(Duration::ZERO, |e| e.0));
            self.kill_all(&victims, cx).await?;
            if round == self.times {
                break;
            }
            self.bring_back(undo, cx).await?;
            victims = self.others(&victims, cx).await?;
            clock.sleep_until(due).await;
        }
        Ok(())
    }

    async fn effective(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let mut gone = 0;
        for process in &undo.processes {
            gone += usize::from(cx.world.processes.state(process)? == ProcessState::Gone);
        }
        let all = undo.processes.len();
        Ok(Look { holds: gone == all, detail: format!("{gone} of the first {all} are gone") })
    }

    async fn heal(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        // Whoever brought it back already: not started twice.
        if self.healed(undo, cx).await?.holds { Ok(()) } else { self.bring_back(undo, cx).await }
    }

    /// It lives, and the same processes live on for a while.
    async fn healed(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let first = self.now(cx).await?;
        let name = self.target.name();
        let wanted = undo.processes.len();
        if first.len() < wanted {
            return Ok(Look { holds: false, detail: format!("`{name}`: {} of {wanted} are back", first.len()) });
        }
        let stays = self.stays.map_or(STAYS, |s| s.0);
        let until = cx.world.clock.mono().after(stays);
        for process in &first {
            if self.gone(std::slice::from_ref(process), until, cx).await? {
                let detail = format!("`{name}`: pid {} did not stay", process.pid);
                return Ok(Look { holds: false, detail });
            }
        }
        let pids: Vec<String> = first.iter().map(|p| p.pid.to_string()).collect();
        Ok(Look { holds: true, detail: format!("`{name}` lives as pid {} and stayed {stays:?}", pids.join(", ")) })
    }

    fn by_hand(&self, undo: &Undo) -> String {
        match &undo.back {
            Some(back) => shell(back, &undo.base),
            None => format!("# start `{}` again: nothing is known that does it", self.target.name()),
        }
    }

    fn touched(&self, undo: &Undo) -> Vec<String> {
        undo.processes.iter().map(|p| format!("{} (pid {}), {} times", p.name, p.pid, self.times)).collect()
    }
}
