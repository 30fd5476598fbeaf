//! Kills processes with a signal; a way back says how they return.

use super::{Cx, Fault, FaultError, Look, Reversibility, shell};
use crate::adapters::{AdapterError, ProcessState};
use crate::model::{ProcessIdentity, RunSpec, SignalName, TargetRef, WayBack};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// A killed process is gone after this, however busy the machine.
const DYING: Duration = Duration::from_secs(5);
/// One that was asked to end has ended after this, or will not.
const ENDING: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Kills the processes of a target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessKill {
    /// A target of kind `process` or `service`.
    pub target: TargetRef,
    /// The signal, by name or number; KILL if not given.
    #[serde(default = "kill", deserialize_with = "ending")]
    pub signal: SignalName,
    /// Kill the children too, parents first; also those that are born meanwhile.
    #[serde(default)]
    pub tree: bool,
    /// How it comes back.
    pub back: WayBack,
    /// The process target that must be alive again for the fault to count as healed; `target` itself if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alive: Option<String>,
}

fn kill() -> SignalName {
    SignalName::KILL
}

/// A signal that may end a process.
pub(super) fn ending<'de, D: Deserializer<'de>>(d: D) -> Result<SignalName, D::Error> {
    let signal = SignalName::deserialize(d)?;
    if signal.is_job_control() {
        let why = format!("{signal} stops a process or lets it go on, it never ends it; `process_pause` freezes");
        return Err(serde::de::Error::custom(why));
    }
    Ok(signal)
}

/// Who was killed, and what brings it back (secrets by reference).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    /// The killed processes, parents first.
    pub processes: Vec<ProcessIdentity>,
    /// Brings them back.
    pub back: Option<RunSpec>,
    /// Where its relative paths start from.
    pub base: PathBuf,
    /// So many processes the target was, children of its own not counted; so many must be back.
    #[serde(default)]
    pub before: usize,
}

impl ProcessKill {
    fn alive(&self) -> &str {
        self.alive.as_deref().unwrap_or(self.target.name())
    }

    /// Does everything live that lived before: the target, and what must be alive besides? Both, because right after
    /// the fault the other role may still be held by a process that never died.
    async fn back_again(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let own = self.lives(self.target.name(), (undo, undo.before), cx).await?;
        match &self.alive {
            Some(other) if own.holds && other != self.target.name() => self.lives(other, (undo, 1), cx).await,
            _ => Ok(own),
        }
    }

    async fn lives(&self, name: &str, (undo, least): (&Undo, usize), cx: &Cx<'_>) -> Result<Look, FaultError> {
        let now = match cx.scope.target(&TargetRef::Now(name.to_owned())).await {
            Ok(target) => target,
            Err(why) => return Ok(Look { holds: false, detail: format!("`{name}` is not back: {why}") }),
        };
        let (mut seen, mut holds) = (Vec::new(), !now.processes.is_empty());
        for process in &now.processes {
            let state = cx.world.processes.state(process)?;
            let killed = undo.processes.contains(process);
            holds = holds && state == ProcessState::Running && (!killed || self.survived(process, cx).await?);
            seen.push(format!("{} (pid {}) {}", process.name, process.pid, word(state)));
        }
        let there = own(&now.processes, cx)?;
        if there < least {
            // A target that lists only who lives does not say who is missing.
            let detail = format!("`{name}`: {there} of {least} are back: {}", seen.join(", "));
            return Ok(Look { holds: false, detail });
        }
        Ok(Look { holds, detail: format!("`{name}`: {}", seen.join(", ")) })
    }

    /// One of those that were to be killed still lives. If it goes on living, the signal never reached it (the runner
    /// died before it sent it), and nothing has to be brought back.
    async fn survived(&self, process: &ProcessIdentity, cx: &Cx<'_>) -> Result<bool, FaultError> {
        let sure = self.signal == SignalName::KILL;
        let until = cx.world.clock.mono().after(if sure { DYING } else { ENDING });
        while cx.world.processes.state(process)? == ProcessState::Running {
            if cx.world.clock.mono() >= until {
                return Ok(true);
            }
            cx.world.clock.sleep_until(cx.world.clock.mono().after(LOOK_EVERY)).await;
        }
        Ok(false)
    }
}

pub(super) fn word(state: ProcessState) -> &'static str {
    match state {
        ProcessState::Running => "runs",
        ProcessState::Stopped => "is frozen",
        ProcessState::Dying => "is dying",
        ProcessState::Gone => "is gone",
    }
}

/// Parents before their children, so that no parent starts a child again.
fn parents_first(parent: ProcessIdentity, mut below: Vec<ProcessIdentity>) -> Vec<ProcessIdentity> {
    below.push(parent);
    below.reverse();
    below
}

impl Fault for ProcessKill {
    const KIND: &'static str = "process_kill";
    const SUMMARY: &'static str = "kill processes with a signal";
    const REVERSIBILITY: Reversibility = Reversibility::Reversible;
    const TARGETS: &'static [&'static str] = &["process", "service"];
    const SPLITS: bool = true;
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

    fn irreversible(&self) -> bool {
        matches!(self.back, WayBack::None)
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Undo, FaultError> {
        let target = cx.scope.target(&self.target).await.map_err(FaultError::NothingToBreak)?;
        let mut processes: Vec<ProcessIdentity> = Vec::new();
        for process in live(&target.processes, self.target.name(), cx)? {
            let below = if self.tree { cx.world.processes.descendants(&process)? } else { Vec::new() };
            for each in parents_first(process, below) {
                if !processes.contains(&each) {
                    processes.push(each);
                }
            }
        }
        for process in &processes {
            cx.world.processes.may_signal(process)?;
        }
        // As a look at the end will count them; what is pinned may have been narrowed to a part.
        let now = cx.scope.target(&TargetRef::Now(self.target.name().to_owned())).await;
        let before = own(&now.map_or(target.processes, |now| now.processes), cx)?;
        Ok(Undo { processes, back: steps_back(&self.back), base: cx.scope.base(), before })
    }

    async fn inject(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        for process in &undo.processes {
            // Looked for before the parent dies, for then they are nobody's children any more.
            let born = if self.tree { cx.world.processes.descendants(process)? } else { Vec::new() };
            signal(process, self.signal.as_str(), cx)?;
            for each in born.iter().rev().filter(|each| !undo.processes.contains(each)) {
                signal(each, self.signal.as_str(), cx)?;
            }
        }
        Ok(())
    }

    async fn effective(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let mut alive = 0;
        for process in &undo.processes {
            alive += usize::from(cx.world.processes.state(process)? != ProcessState::Gone);
        }
        let all = undo.processes.len();
        Ok(Look { holds: alive == 0, detail: format!("{} of {all} gone", all - alive) })
    }

    async fn heal(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        let Some(back) = &undo.back else { return Ok(()) };
        // Whoever brought it back already: not started twice.
        if self.back_again(undo, cx).await?.holds {
            return Ok(());
        }
        let done = cx.run(back).await?;
        if done.ok { Ok(()) } else { Err(FaultError::World(AdapterError::Refused(done.detail))) }
    }

    async fn healed(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        if self.irreversible() {
            return Ok(Look { holds: true, detail: "nothing brings it back, as acknowledged".to_owned() });
        }
        self.back_again(undo, cx).await
    }

    fn by_hand(&self, undo: &Undo) -> String {
        match &undo.back {
            Some(back) => shell(back, &undo.base),
            None => format!("# start `{}` again: nothing is known that does it", self.alive()),
        }
    }

    fn touched(&self, undo: &Undo) -> Vec<String> {
        undo.processes.iter().map(|p| format!("{} (pid {})", p.name, p.pid)).collect()
    }
}

/// What a way back does, if the drill does it.
pub(super) fn steps_back(back: &WayBack) -> Option<RunSpec> {
    match back {
        WayBack::Command(command) => Some(RunSpec::Command(command.clone())),
        WayBack::Request(request) => Some(RunSpec::Request(request.clone())),
        WayBack::Supervised | WayBack::None => None,
    }
}

/// What brings it back, for `plan`.
pub(super) fn way_back_words(back: &WayBack) -> String {
    match back {
        WayBack::Command(command) => format!("the command {}", RunSpec::Command(command.clone())),
        WayBack::Request(request) => format!("the request {}", RunSpec::Request(request.clone())),
        WayBack::Supervised => "something else restarts it; the drill only waits for it".to_owned(),
        WayBack::None => "nothing in the drill".to_owned(),
    }
}

/// How many of them are no child of another: a server's workers come and go, their parents stay.
pub(super) fn own(all: &[ProcessIdentity], cx: &Cx<'_>) -> Result<usize, FaultError> {
    let mut children = Vec::new();
    for process in all {
        children.extend(cx.world.processes.descendants(process)?);
    }
    Ok(all.iter().filter(|process| !children.contains(process)).count())
}

/// Those that still live; an error if none does.
pub(super) fn live(all: &[ProcessIdentity], name: &str, cx: &Cx<'_>) -> Result<Vec<ProcessIdentity>, FaultError> {
    let mut found = Vec::new();
    for process in all {
        if !matches!(cx.world.processes.state(process)?, ProcessState::Gone | ProcessState::Dying) {
            found.push(process.clone());
        }
    }
    if found.is_empty() {
        let pids: Vec<String> = all.iter().map(|p| p.pid.to_string()).collect();
        return Err(FaultError::NothingToBreak(format!("`{name}` is already dead (pid {})", pids.join(", "))));
    }
    Ok(found)
}

/// Sends a signal; that the process is gone is no error, so it can be repeated.
pub(super) fn signal(process: &ProcessIdentity, name: &str, cx: &Cx<'_>) -> Result<(), FaultError> {
    match cx.world.processes.signal(process, name) {
        Ok(()) | Err(AdapterError::Missing(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Bench, conforms};
    use super::*;
    use crate::faults::FaultSpec;

    fn spec(bench: &Bench) -> ProcessKill {
        serde_json::from_value(serde_json::json!({
            "target": "victim", "tree": true, "back": {"command": {"argv": ["./start.sh", "${targets.victim.name}"]}}
        }))
        .unwrap_or_else(|e| panic!("{e} in {}", bench.dir().display()))
    }

    #[tokio::test]
    async fn conforms_on_real_processes() {
        let bench = Bench::new().await;
        conforms(FaultSpec::ProcessKill(spec(&bench)), &bench).await;
    }

    #[test]
    fn any_signal_that_ends_is_taken_by_name_or_number() {
        let with = |signal: &str| {
            serde_json::from_value::<ProcessKill>(serde_json::json!({
                "target": "victim", "signal": signal, "back": "supervised"
            }))
        };
        for (written, name) in [("9", "KILL"), ("sigterm", "TERM"), ("XCPU", "XCPU"), ("SIGALRM", "ALRM")] {
            assert_eq!(with(written).unwrap().signal.as_str(), name);
        }
        assert!(with("STOP").unwrap_err().to_string().contains("process_pause"));
        assert!(with("99").unwrap_err().to_string().contains("no signal"));
    }

    #[tokio::test]
    async fn one_of_two_that_does_not_come_back_is_not_called_healed() {
        let bench = Bench::new().await;
        let (fault, cx) = (spec(&bench), bench.cx());
        let undo = Undo { before: 2, ..fault.prepare(&cx).await.unwrap() };
        fault.inject(&undo, &cx).await.unwrap();
        bench.start();
        let look = fault.healed(&undo, &cx).await.unwrap();
        assert!(!look.holds && look.detail.contains("1 of 2 are back"), "{look:?}");
    }

    #[tokio::test]
    async fn a_child_that_was_born_after_the_look_is_killed_too() {
        let bench = Bench::new().await;
        let (fault, cx) = (spec(&bench), bench.cx());
        let undo = fault.prepare(&cx).await.unwrap();
        let parent = std::process::Command::new("sh").args(["-c", "sleep 600 & wait"]).spawn().unwrap();
        let mut parent = Reaped(parent);
        let pid = i32::try_from(parent.0.id()).unwrap();
        let who = cx.world.processes.identify(pid).unwrap().unwrap();
        bench.until(|| async { bench.cx().world.processes.descendants(&who).unwrap().len() == 1 }).await;
        let child = cx.world.processes.descendants(&who).unwrap().remove(0);
        let undo = Undo { processes: vec![who], ..undo };
        fault.inject(&undo, &cx).await.unwrap();
        parent.0.wait().unwrap();
        bench.until(|| async { bench.cx().world.processes.state(&child).unwrap() == ProcessState::Gone }).await;
    }

    struct Reaped(std::process::Child);

    impl Drop for Reaped {
        fn drop(&mut self) {
            drop(self.0.kill());
            drop(self.0.wait());
        }
    }

    #[tokio::test]
    async fn neither_the_runner_nor_who_started_it_is_a_target() {
        let bench = Bench::new().await;
        let cx = bench.cx();
        let own = i32::try_from(std::process::id()).unwrap();
        for pid in [own, std::os::unix::process::parent_id().cast_signed(), 1] {
            let who = cx.world.processes.identify(pid).unwrap().unwrap();
            let error = cx.world.processes.may_signal(&who).unwrap_err();
            assert!(matches!(&error, AdapterError::Refused(_)), "{pid}: {error}");
        }
    }

    #[tokio::test]
    async fn a_dead_target_is_nothing_to_break() {
        let bench = Bench::new().await;
        bench.kill();
        let error = spec(&bench).prepare(&bench.cx()).await.unwrap_err();
        assert!(matches!(&error, FaultError::NothingToBreak(m) if m.contains("already dead")), "{error}");
    }

    #[tokio::test]
    async fn the_way_back_is_not_run_when_someone_else_was_faster() {
        let bench = Bench::new().await;
        let (fault, cx) = (spec(&bench), bench.cx());
        let undo = fault.prepare(&cx).await.unwrap();
        fault.inject(&undo, &cx).await.unwrap();
        bench.start();
        let starts = bench.starts();
        fault.heal(&undo, &cx).await.unwrap();
        assert_eq!(bench.starts(), starts);
        assert!(fault.healed(&undo, &cx).await.unwrap().holds);
    }

    #[tokio::test]
    async fn without_a_way_back_it_is_irreversible_and_a_supervisor_is_only_waited_for() {
        let bench = Bench::new().await;
        let (mut fault, cx) = (spec(&bench), bench.cx());
        fault.back = WayBack::None;
        assert!(fault.irreversible());
        fault.back = WayBack::Supervised;
        assert!(!fault.irreversible());
        let undo = fault.prepare(&cx).await.unwrap();
        fault.inject(&undo, &cx).await.unwrap();
        fault.heal(&undo, &cx).await.unwrap();
        assert!(!fault.healed(&undo, &cx).await.unwrap().holds);
        bench.start();
        assert!(fault.healed(&undo, &cx).await.unwrap().holds);
        assert!(fault.by_hand(&undo).contains("start `victim` again"));
    }
}
