//! Lowers how many open files processes may have, until it is healed.

use super::process_kill::live;
use super::{Cx, Fault, FaultError, Look, Reversibility};
use crate::adapters::usage::FileLimit;
use crate::adapters::{AdapterError, ProcessState};
use crate::model::{ProcessIdentity, TargetRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Lowers how many open files the processes of a target may have (`RLIMIT_NOFILE`, the soft limit), so that they run out
/// of them. What is open stays open. Children that are born meanwhile inherit the limit, and get it back too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DescriptorPressure {
    /// A target of kind `process` or `service`.
    pub target: TargetRef,
    /// So many open files may each have; this or `headroom`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<u64>,
    /// So many more than it has open now; this or `files`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headroom: Option<u64>,
    /// Its children too.
    #[serde(default)]
    pub tree: bool,
}

/// A process and its limit before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lowered {
    /// Which.
    pub process: ProcessIdentity,
    /// Its limit before.
    pub before: FileLimit,
    /// Its soft limit under the fault.
    pub soft: u64,
}

/// Whose limits are lowered, and what they were.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    /// Them.
    pub lowered: Vec<Lowered>,
    /// Children that are none of ours to change: they were there before.
    pub others: Vec<ProcessIdentity>,
}

impl DescriptorPressure {
    fn lowered(&self, process: ProcessIdentity, cx: &Cx<'_>) -> Result<Option<Lowered>, FaultError> {
        let before = cx.world.processes.file_limit(&process)?;
        let soft = match (self.files, self.headroom) {
            (Some(files), None) => files,
            (None, Some(more)) => cx.world.processes.open_files(&process)?.saturating_add(more),
            _ => {
                let why = "descriptor_pressure takes `files` or `headroom`, exactly one of them";
                return Err(FaultError::NothingToBreak(why.to_owned()));
            }
        };
        cx.world.processes.may_signal(&process)?;
        Ok((soft < before.soft).then_some(Lowered { process, before, soft }))
    }

    /// Live processes that got a lowered limit from their parent: children born since, and whoever took the target's
    /// place and was started by one of them.
    async fn heirs(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Vec<(ProcessIdentity, FileLimit)>, FaultError> {
        let now = cx.scope.target(&TargetRef::Now(self.target.name().to_owned())).await;
        let mut roots: Vec<ProcessIdentity> = undo.lowered.iter().map(|l| l.process.clone()).collect();
        roots.extend(now.map(|target| target.processes).unwrap_or_default());
        let mut all = roots.clone();
        for root in &roots {
            all.extend(cx.world.processes.descendants(root)?);
        }
        let mut found: Vec<(ProcessIdentity, FileLimit)> = Vec::new();
        for process in all {
            let ours = undo.lowered.iter().any(|l| l.process == process);
            if ours || undo.others.contains(&process) || found.iter().any(|(other, _)| *other == process) {
                continue;
            }
            let Ok(limit) = cx.world.processes.file_limit(&process) else { continue };
            let parent = undo.lowered.iter().find(|l| l.soft == limit.soft && l.before.hard == limit.hard);
            found.extend(parent.map(|l| (process, l.before)));
        }
        Ok(found)
    }
}

impl Fault for DescriptorPressure {
    const KIND: &'static str = "descriptor_pressure";
    const SUMMARY: &'static str = "let processes run out of open files, by lowering their limit";
    const REVERSIBILITY: Reversibility = Reversibility::Reversible;
    const TARGETS: &'static [&'static str] = &["process", "service"];
    const SPLITS: bool = true;
    type Undo = Undo;

    fn targets(&self) -> Vec<&TargetRef> {
        vec![&self.target]
    }

    fn permissions(&self) -> Vec<String> {
        vec!["the same user as the process, or CAP_SYS_RESOURCE".to_owned()]
    }

    fn way_back(&self) -> String {
        "the limits of open files are set to what they were".to_owned()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Undo, FaultError> {
        let name = self.target.name();
        let target = cx.scope.target(&self.target).await.map_err(FaultError::NothingToBreak)?;
        let (mut lowered, mut others): (Vec<Lowered>, Vec<ProcessIdentity>) = (Vec::new(), Vec::new());
        for process in live(&target.processes, name, cx)? {
            let below = cx.world.processes.descendants(&process)?;
            lowered.extend(self.lowered(process, cx)?);
            if !self.tree {
                others.extend(below);
                continue;
            }
            for child in below {
                match self.lowered(child.clone(), cx) {
                    Ok(Some(one)) => lowered.push(one),
                    Ok(None) => others.push(child),
                    // It has ended since.
                    Err(FaultError::World(AdapterError::Missing(_))) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        // The rest of the target, if only a part of it was picked.
        let now = cx.scope.target(&TargetRef::Now(name.to_owned())).await;
        let rest = now.map(|now| now.processes).unwrap_or_default().into_iter();
        for process in rest.filter(|process| !lowered.iter().any(|l| l.process == *process)) {
            others.extend(cx.world.processes.descendants(&process)?);
            others.push(process);
        }
        if lowered.is_empty() {
            let why = format!("`{name}` may not have more open files than that already");
            return Err(FaultError::NothingToBreak(why));
        }
        Ok(Undo { lowered, others })
    }

    async fn inject(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        for Lowered { process, before, soft } in &undo.lowered {
            set(process, FileLimit { soft: *soft, hard: before.hard }, cx)?;
        }
        Ok(())
    }

    async fn effective(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let mut low = 0;
        for Lowered { process, soft, .. } in &undo.lowered {
            let limit = cx.world.processes.file_limit(process);
            low += usize::from(limit.is_ok_and(|limit| limit.soft == *soft));
        }
        let all = undo.lowered.len();
        Ok(Look { holds: low == all, detail: format!("{low} of {all} have the lower limit") })
    }

    async fn heal(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        for Lowered { process, before, soft } in &undo.lowered {
            // One that set its own limit meanwhile keeps it.
            if cx.world.processes.file_limit(process).is_ok_and(|limit| limit.soft == *soft) {
                set(process, *before, cx)?;
            }
        }
        for (process, before) in self.heirs(undo, cx).await? {
            set(&process, before, cx)?;
        }
        Ok(())
    }

    async fn healed(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let mut low = Vec::new();
        for Lowered { process, soft, .. } in &undo.lowered {
            let alive = cx.world.processes.state(process)? != ProcessState::Gone;
            if alive && cx.world.processes.file_limit(process).is_ok_and(|limit| limit.soft == *soft) {
                low.push(process.pid.to_string());
            }
        }
        low.extend(self.heirs(undo, cx).await?.iter().map(|(process, _)| process.pid.to_string()));
        let detail = if low.is_empty() {
            "every limit is what it was".to_owned()
        } else {
            format!("pid {} still has the lower limit", low.join(", "))
        };
        Ok(Look { holds: low.is_empty(), detail })
    }

    fn by_hand(&self, undo: &Undo) -> String {
        let word = |n: u64| if n == u64::MAX { "unlimited".to_owned() } else { n.to_string() };
        let each = undo.lowered.iter().map(|l| {
            format!("prlimit --pid {} --nofile={}:{}", l.process.pid, word(l.before.soft), word(l.before.hard))
        });
        each.collect::<Vec<_>>().join("; ")
    }

    fn touched(&self, undo: &Undo) -> Vec<String> {
        undo.lowered.iter().map(|l| format!("{} (pid {})", l.process.name, l.process.pid)).collect()
    }
}

/// That it is gone is no error.
fn set(process: &ProcessIdentity, limit: FileLimit, cx: &Cx<'_>) -> Result<(), FaultError> {
    match cx.world.processes.set_file_limit(process, limit) {
        Ok(()) | Err(AdapterError::Missing(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
