//! Restarts workloads as `kubectl rollout restart` does. Their controllers bring new pods by themselves.

use super::workload::{self, Before, TEMPLATED, looked, rights, sum, workloads};
use super::{Home, Now, home, kubectl, mark};
use crate::adapters::kubernetes::{Object, Write};
use crate::faults::{Cx, Fault, FaultError, Look, Reversibility};
use crate::model::{Right, TargetRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// As `kubectl rollout restart` has it: whoever looks for the reason of a rollout looks here.
const RESTARTED: &str = "kubectl.kubernetes.io/restartedAt";
const AT: &str = "/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt";

/// Restarts Deployments, StatefulSets or DaemonSets: all their pods are replaced by their own strategy, as `kubectl rollout
/// restart` does. The annotation in the pods' template stays, for to take it off would restart everything once more; only
/// a rollout that its controller calls failed is taken back by healing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkloadRestart {
    /// A target of kind `kubernetes`: deployments, statefulsets or daemonsets.
    pub target: TargetRef,
}

/// Which workloads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    /// The owner's tag.
    pub tag: String,
    /// Where the record stands.
    pub home: Home,
    /// The time that the annotation says.
    pub at: String,
    /// Each workload with the annotation before.
    pub workloads: Vec<(Before, Option<String>)>,
}

fn template(value: &Value) -> Value {
    json!({"spec": {"template": {"metadata": {"annotations": {RESTARTED: value}}}}})
}

async fn restart(undo: &Undo, write: Write, cx: &Cx<'_>) -> Result<(), FaultError> {
    for (before, _) in &undo.workloads {
        let change = |_: &Object| Ok(template(&json!(undo.at)));
        mark::change(&before.held, &undo.tag, write, cx, change).await?;
    }
    Ok(())
}

async fn settle(undo: &Undo, before: &Before, was: Option<&String>, cx: &Cx<'_>) -> Result<(), FaultError> {
    let back = |object: &Object| {
        let hangs = object.text(AT) == undo.at && object.condition("Progressing") == Some(false);
        hangs.then(|| template(&json!(was)))
    };
    mark::put_back(&before.held, &undo.tag, cx, back).await?;
    workload::tidy(before, &undo.tag, cx, |_| false).await
}

async fn through(undo: &Undo, before: &Before, cx: &Cx<'_>) -> Result<Look, FaultError> {
    let (look, object) = before.back(&undo.tag, cx).await?;
    let Some(object) = object.filter(|_| look.holds) else { return Ok(look) };
    Ok(match workload::unfinished(&before.held.object.kind, &object) {
        Some(why) => looked(false, format!("{}: {why}", before.held.at())),
        None => look,
    })
}

impl Fault for WorkloadRestart {
    const KIND: &'static str = "workload_restart";
    const SUMMARY: &'static str = "replace all pods of workloads, as a rollout restart does";
    const REVERSIBILITY: Reversibility = Reversibility::SelfHealing;
    const TARGETS: &'static [&'static str] = &["kubernetes"];
    type Undo = Undo;

    fn targets(&self) -> Vec<&TargetRef> {
        vec![&self.target]
    }

    fn permissions(&self) -> Vec<String> {
        vec![
            "on the cluster: get, list and patch the workloads; list pods; list and patch ReplicaSets and \
              ControllerRevisions"
                .to_owned(),
        ]
    }

    fn way_back(&self) -> String {
        "their controllers bring new pods; a rollout that they call failed is taken back".to_owned()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Undo, FaultError> {
        let mut found = Vec::new();
        for (before, object) in workloads(&self.target, TEMPLATED, cx).await? {
            let waits = |why: &str| FaultError::NothingToBreak(format!("{}: {why}", before.held.at()));
            if object.0.pointer("/spec/paused") == Some(&Value::Bool(true)) {
                return Err(waits("it is paused, so nothing would be rolled out"));
            }
            if object.text("/spec/updateStrategy/type") == "OnDelete" {
                return Err(waits("`updateStrategy: OnDelete`: only who deletes its pods restarts it (`pod_delete`)"));
            }
            let was = Some(object.text(AT).to_owned()).filter(|was| !was.is_empty());
            found.push((before, was));
        }
        let at = cx.world.clock.stamp().wall.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
        Ok(Undo { tag: cx.owner.tag(), home: home(&self.target, cx).await?, at, workloads: found })
    }

    async fn rehearse(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        restart(undo, Write::Dry, cx).await
    }

    async fn inject(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        restart(undo, Write::Real, cx).await
    }

    async fn effective(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let mut looks = Vec::new();
        for (before, _) in &undo.workloads {
            let at = before.held.at();
            let Now::Same(object) = before.held.now(cx).await? else {
                looks.push(looked(false, format!("{at} is gone or replaced")));
                continue;
            };
            let pods = workload::pods(&before.held, &object, cx).await?;
            let new = pods.iter().filter(|pod| pod.annotation(RESTARTED) == Some(&*undo.at)).count();
            looks.push(looked(new > 0, format!("{at} has {new} new pods")));
        }
        Ok(sum(looks))
    }

    async fn heal(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        let mut failed = None;
        for (before, was) in &undo.workloads {
            failed = settle(undo, before, was.as_ref(), cx).await.err().or(failed);
        }
        failed.map_or(Ok(()), Err)
    }

    async fn healed(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let mut looks = Vec::new();
        for (before, _) in &undo.workloads {
            looks.push(through(undo, before, cx).await?);
        }
        Ok(sum(looks))
    }

    fn by_hand(&self, undo: &Undo) -> String {
        let each = |(before, _): &(Before, Option<String>)| {
            format!("{}; {}", before.watch_by_hand(), kubectl::unmark(&before.held))
        };
        let mut lines: Vec<String> = undo.workloads.iter().map(each).collect();
        lines.push(kubectl::forget(&undo.home, &undo.tag));
        lines.join("; ")
    }

    fn touched(&self, undo: &Undo) -> Vec<String> {
        undo.workloads.iter().map(|(before, _)| kubectl::shown(&before.held.object)).collect()
    }

    fn rights(&self) -> Vec<Right> {
        rights(&self.target, &[])
    }

    fn home(undo: &Undo) -> Option<&Home> {
        Some(&undo.home)
    }
}
