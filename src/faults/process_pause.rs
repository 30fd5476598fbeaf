//! Freezes processes with SIGSTOP; healing lets them go on with SIGCONT.

use super::process_kill::{live, own, signal};
use super::{Cx, Fault, FaultError, Look, Reversibility};
use crate::adapters::ProcessState;
use crate::model::{ProcessIdentity, TargetRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Freezes the processes of a target until it is healed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessPause {
    /// A target of kind `process` or `service`.
    pub target: TargetRef,
    /// Freeze the children too, parents first; also those that are born meanwhile.
    #[serde(default)]
    pub tree: bool,
}

/// New children are looked for so often at most: a frozen parent has no more of them.
const MOST_ROUNDS: u32 = 16;

/// Who is frozen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    /// The frozen processes, parents first.
    pub processes: Vec<ProcessIdentity>,
    /// Those that somebody else had frozen before: not ours to let go.
    #[serde(default)]
    pub others: Vec<ProcessIdentity>,
    /// So many processes the target was, children of its own not counted; so many must live if one died meanwhile.
    #[serde(default)]
    pub before: usize,
}

impl Fault for ProcessPause {
    const KIND: &'static str = "process_pause";
    const SUMMARY: &'static str = "freeze processes (SIGSTOP) until they are let go (SIGCONT)";
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
        "SIGCONT lets the processes go on".to_owned()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Undo, FaultError> {
        let name = self.target.name();
        let target = cx.scope.target(&self.target).await.map_err(FaultError::NothingToBreak)?;
        let (mut processes, mut others): (Vec<ProcessIdentity>, Vec<ProcessIdentity>) = (Vec::new(), Vec::new());
        for process in live(&target.processes, name, cx)? {
            let mut below = if self.tree { cx.world.processes.descendants(&process)? } else { Vec::new() };
            below.push(process);
            for each in below.into_iter().rev() {
                match cx.world.processes.state(&each)? {
                    ProcessState::Running if !processes.contains(&each) => processes.push(each),
                    ProcessState::Stopped if !others.contains(&each) => others.push(each),
                    _ => {}
                }
            }
        }
        if processes.is_empty() {
            return Err(FaultError::NothingToBreak(format!("`{name}` is already frozen")));
        }
        for process in &processes {
            cx.world.processes.may_signal(process)?;
        }
        let now = cx.scope.target(&TargetRef::Now(name.to_owned())).await;
        let before = own(&now.map_or(target.processes, |now| now.processes), cx)?;
        Ok(Undo { processes, others, before })
    }

    async fn inject(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        for process in &undo.processes {
            signal(process, "STOP", cx)?;
        }
        for _ in 0..MOST_ROUNDS {
            let born = self.children(undo, ProcessState::Running, cx)?;
            if born.is_empty() {
                break;
            }
            for child in born.iter().rev() {
                signal(child, "STOP", cx)?;
            }
        }
        Ok(())
    }

    async fn effective(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let born = self.children(undo, ProcessState::Running, cx)?.len();
        if born > 0 {
            return Ok(Look { holds: false, detail: format!("{born} children still run") });
        }
        let mut stopped = 0;
        for process in &undo.processes {
            stopped += usize::from(cx.world.processes.state(process)? == ProcessState::Stopped);
        }
        let all = undo.processes.len();
        Ok(Look { holds: stopped == all, detail: format!("{stopped} of {all} frozen") })
    }

    async fn heal(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        // Children first: a parent that goes on must not find them frozen.
        for child in self.children(undo, ProcessState::Stopped, cx)? {
            signal(&child, "CONT", cx)?;
        }
        for process in undo.processes.iter().rev() {
            signal(process, "CONT", cx)?;
        }
        Ok(())
    }

    /// Nothing is frozen any more; and what died meanwhile has been replaced, for then it is not back by our hand.
    async fn healed(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let (mut frozen, mut gone) = (Vec::new(), Vec::new());
        for process in &undo.processes {
            match cx.world.processes.state(process)? {
                ProcessState::Running => {}
                ProcessState::Stopped => frozen.push(process.pid.to_string()),
                ProcessState::Dying | ProcessState::Gone => gone.push(process.pid.to_string()),
            }
        }
        frozen.extend(self.children(undo, ProcessState::Stopped, cx)?.iter().map(|p| p.pid.to_string()));
        if !frozen.is_empty() {
            return Ok(Look { holds: false, detail: format!("pid {} is still frozen", frozen.join(", ")) });
        }
        if gone.is_empty() {
            return Ok(Look { holds: true, detail: format!("{} running again", undo.processes.len()) });
        }
        self.replaced(&gone.join(", "), undo.before, cx).await
    }

    fn by_hand(&self, undo: &Undo) -> String {
        let pids: Vec<String> = undo.processes.iter().rev().map(|p| p.pid.to_string()).collect();
        format!("kill -CONT {}", pids.join(" "))
    }

    fn touched(&self, undo: &Undo) -> Vec<String> {
        undo.processes.iter().map(|p| format!("{} (pid {})", p.name, p.pid)).collect()
    }
}

impl ProcessPause {
    /// Children in this state that the undo does not list, children first: born after it was written, or (running) let
    /// go by somebody else.
    fn children(&self, undo: &Undo, wanted: ProcessState, cx: &Cx<'_>) -> Result<Vec<ProcessIdentity>, FaultError> {
        let mut found: Vec<ProcessIdentity> = Vec::new();
        for process in undo.processes.iter().filter(|_| self.tree) {
            for child in cx.world.processes.descendants(process)? {
                let known = undo.processes.contains(&child) || undo.others.contains(&child) || found.contains(&child);
                if !known && cx.world.processes.state(&child)? == wanted {
                    found.push(child);
                }
            }
        }
        Ok(found)
    }

    async fn replaced(&self, gone: &str, before: usize, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let name = self.target.name();
        let now = cx.scope.target(&TargetRef::Now(name.to_owned())).await;
        let holds = match &now {
            Ok(target) => live(&target.processes, name, cx).is_ok() && own(&target.processes, cx)? >= before,
            Err(_) => false,
        };
        let what = if holds { "the target lives" } else { "and nothing has replaced it: start it again" };
        Ok(Look { holds, detail: format!("pid {gone} of `{name}` ended meanwhile, {what}") })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Bench, conforms};
    use super::*;
    use crate::faults::FaultSpec;

    fn spec() -> ProcessPause {
        ProcessPause { target: TargetRef::Pinned("victim".into()), tree: true }
    }

    #[tokio::test]
    async fn conforms_on_real_processes() {
        let bench = Bench::new().await;
        conforms(FaultSpec::ProcessPause(spec()), &bench).await;
    }

    #[tokio::test]
    async fn what_is_frozen_already_is_nothing_to_break() {
        let bench = Bench::new().await;
        let (fault, cx) = (spec(), bench.cx());
        let undo = fault.prepare(&cx).await.unwrap();
        fault.inject(&undo, &cx).await.unwrap();
        bench.until(|| async { fault.effective(&undo, &bench.cx()).await.unwrap().holds }).await;
        let error = fault.prepare(&cx).await.unwrap_err();
        assert!(matches!(&error, FaultError::NothingToBreak(m) if m.contains("already frozen")), "{error}");
        fault.heal(&undo, &cx).await.unwrap();
    }

    #[tokio::test]
    async fn a_child_that_was_born_after_the_look_is_frozen_and_let_go_too() {
        let bench = Bench::new().await;
        let (fault, cx) = (spec(), bench.cx());
        let mut parent = std::process::Command::new("sh").args(["-c", "sleep 600 & wait"]).spawn().unwrap();
        let world = cx.world.processes.clone();
        let who = world.identify(i32::try_from(parent.id()).unwrap()).unwrap().unwrap();
        bench.until(|| async { world.descendants(&who).unwrap().len() == 1 }).await;
        let child = world.descendants(&who).unwrap().remove(0);
        let undo = Undo { processes: vec![who.clone()], others: Vec::new(), before: 1 };
        fault.inject(&undo, &cx).await.unwrap();
        bench.until(|| async { world.state(&child).unwrap() == ProcessState::Stopped }).await;
        assert!(!fault.healed(&undo, &cx).await.unwrap().holds);
        fault.heal(&undo, &cx).await.unwrap();
        bench.until(|| async { fault.healed(&undo, &bench.cx()).await.unwrap().holds }).await;
        let let_go = world.state(&child).unwrap();
        for each in [&who, &child] {
            world.signal(each, "KILL").unwrap();
        }
        parent.wait().unwrap();
        assert_eq!(let_go, ProcessState::Running);
    }

    #[tokio::test]
    async fn a_process_that_died_while_frozen_is_not_called_healed() {
        let bench = Bench::new().await;
        let (fault, cx) = (spec(), bench.cx());
        let undo = fault.prepare(&cx).await.unwrap();
        fault.inject(&undo, &cx).await.unwrap();
        bench.kill();
        fault.heal(&undo, &cx).await.unwrap();
        let look = fault.healed(&undo, &cx).await.unwrap();
        assert!(!look.holds && look.detail.contains("start it again"), "{look:?}");
    }
}
