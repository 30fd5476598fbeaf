//! Workloads taken down to a number of replicas and brought back, by the `scale` subresource; DaemonSets, which have no
//! number, by a node selector that no node fits. A number that somebody else has set meanwhile is theirs and stays.

use super::mark::{self, Mark};
use super::workload::{self, Before, looked, sum};
use super::{Home, Now, kubectl};
use crate::adapters::AdapterError;
use crate::adapters::kubernetes::{ClusterError, Object, Patch, Write};
use crate::faults::{Cx, FaultError, Look};
use crate::model::ObjectRef;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The label of a node that never is: its value is the fault's tag.
pub const NOWHERE: &str = "blackstart.dev/nowhere";
const TRIES: usize = 12;

/// What is scaled, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scaling {
    /// The owner's tag.
    pub tag: String,
    /// Where the record stands.
    pub home: Home,
    /// Each one as it was.
    pub workloads: Vec<Before>,
    /// So many replicas it gets.
    pub to: i64,
}

/// By its number, or by its nodes?
fn counted(before: &Before) -> bool {
    before.replicas.is_some()
}

fn selects_nowhere(object: &Object) -> bool {
    let nodes = object.0.pointer("/spec/template/spec/nodeSelector");
    nodes.and_then(|nodes| nodes.get(NOWHERE)).is_some()
}

fn nowhere(value: Value) -> Value {
    json!({"spec": {"template": {"spec": {"nodeSelector": {NOWHERE: value}}}}})
}

impl Scaling {
    /// Sets the numbers; may be repeated.
    ///
    /// # Errors
    /// As the cluster's; and if somebody has changed a number since it was looked at.
    pub async fn down(&self, write: Write, cx: &Cx<'_>) -> Result<(), FaultError> {
        for before in &self.workloads {
            let (tag, at) = (&self.tag, before.held.at());
            let change = |object: &Object| {
                if !counted(before) {
                    return Ok(nowhere(json!(tag)));
                }
                let now = workload::replicas(&before.held.object.kind, object);
                if now == before.replicas || now == Some(self.to) {
                    return Ok(json!({}));
                }
                let (was, now) = (before.replicas.unwrap_or_default(), now.unwrap_or_default());
                let why =
                    format!("{at} had {was} replicas when it was looked at, and has {now} now: somebody scales it");
                Err(AdapterError::Refused(why).into())
            };
            mark::change(&before.held, tag, write, cx, change).await?;
            if let Some(was) = before.replicas {
                self.scale(before, was, self.to, write, cx).await?;
            }
        }
        Ok(())
    }

    /// From one number to another; any third one is somebody else's and stays.
    async fn scale(&self, before: &Before, from: i64, to: i64, write: Write, cx: &Cx<'_>) -> Result<(), FaultError> {
        let (cluster, at) = (before.held.cluster(cx).await?, before.held.at());
        let mut last = String::new();
        for _ in 0..TRIES {
            let (Now::Same(object) | Now::Replaced(object)) = before.held.now(cx).await? else { return Ok(()) };
            if !before.is(&object) && mark::of(&object, &self.tag) != Mark::Ours {
                return Ok(());
            }
            let other = matches!(mark::of(&object, &self.tag), Mark::Other(_));
            if other || workload::replicas(&before.held.object.kind, &object) != Some(from) {
                return Ok(());
            }
            let number = json!({"metadata": {"resourceVersion": object.version()}, "spec": {"replicas": to}});
            match cluster.patch(&at, Some("scale"), &Patch::Merge(number), write).await {
                Err(ClusterError::Conflict(why)) => last = why,
                Err(ClusterError::Missing(_)) if to > from => return Ok(()),
                done => return Ok(done.map(|_| ())?),
            }
        }
        Err(AdapterError::Refused(format!("{at} was changed by others {TRIES} times while it was scaled: {last}"))
            .into())
    }

    /// Are they down, by the numbers and by the pods?
    ///
    /// # Errors
    /// As the cluster's.
    pub async fn is_down(&self, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let mut looks = Vec::new();
        for before in &self.workloads {
            let at = before.held.at();
            let Now::Same(object) = before.held.now(cx).await? else {
                looks.push(looked(false, format!("{at} is gone or replaced")));
                continue;
            };
            let pods = workload::pods(&before.held, &object, cx).await?;
            let live = pods.iter().filter(|pod| workload::lives(pod)).count();
            let (set, wanted) = match workload::replicas(&before.held.object.kind, &object) {
                Some(now) => (now == self.to, usize::try_from(self.to).unwrap_or_default()),
                None => (selects_nowhere(&object), 0),
            };
            looks.push(looked(set && live == wanted, format!("{at} has {live} pods")));
        }
        Ok(sum(looks))
    }

    /// Puts back what is still ours: one that fails does not keep the others down.
    ///
    /// # Errors
    /// The last one.
    pub async fn up(&self, cx: &Cx<'_>) -> Result<(), FaultError> {
        let mut failed = None;
        for before in self.workloads.iter().rev() {
            failed = self.one_up(before, cx).await.err().or(failed);
        }
        for before in &self.workloads {
            let ours = |revision: &Object| revision.0.to_string().contains(&format!("\"{NOWHERE}\""));
            failed = workload::tidy(before, &self.tag, cx, ours).await.err().or(failed);
        }
        failed.map_or(Ok(()), Err)
    }

    async fn one_up(&self, before: &Before, cx: &Cx<'_>) -> Result<(), FaultError> {
        if let Some(was) = before.replicas {
            self.scale(before, self.to, was, Write::Real, cx).await?;
        }
        let back = |object: &Object| {
            let ours =
                object.text(&format!("/spec/template/spec/nodeSelector/{}", NOWHERE.replace('/', "~1"))) == self.tag;
            ours.then(|| nowhere(Value::Null))
        };
        mark::put_back(&before.held, &self.tag, cx, back).await.map(|_| ())
    }

    /// Are they as before, or as somebody else wants them to be?
    ///
    /// # Errors
    /// As the cluster's.
    pub async fn is_up(&self, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let mut looks = Vec::new();
        for before in &self.workloads {
            let (look, object) = before.back(&self.tag, cx).await?;
            looks.push(match object {
                Some(object) if before.is(&object) => self.as_before(before, &object, look),
                Some(_) => looked(look.holds, format!("{} (it was replaced meanwhile)", look.detail)),
                None => look,
            });
        }
        Ok(sum(looks))
    }

    fn as_before(&self, before: &Before, object: &Object, look: Look) -> Look {
        let (at, now) = (before.held.at(), workload::replicas(&before.held.object.kind, object));
        if selects_nowhere(object) {
            return looked(false, format!("{at} still selects nodes that are not there"));
        }
        match (now, before.replicas) {
            (now, was) if now == was => look,
            (Some(now), _) if now == self.to => looked(false, format!("{at} is still told to have {now} replicas")),
            (Some(now), Some(was)) => {
                let theirs = format!("somebody else has set {now} replicas meanwhile ({was} before), which is left so");
                looked(look.holds, format!("{}; {theirs}", look.detail))
            }
            _ => look,
        }
    }

    /// Lines for people.
    #[must_use]
    pub fn by_hand(&self) -> String {
        let each = |before: &Before| {
            let name = kubectl::name(&before.held);
            let back = match before.replicas {
                Some(was) => kubectl::at(&before.held, &format!("scale {name} --replicas={was}")),
                None => {
                    let patch = nowhere(Value::Null).to_string();
                    kubectl::at(&before.held, &format!("patch {name} --type=merge -p '{patch}'"))
                }
            };
            format!("{back}; {}", kubectl::unmark(&before.held))
        };
        let mut lines: Vec<String> = self.workloads.iter().map(each).collect();
        lines.push(kubectl::forget(&self.home, &self.tag));
        lines.join("; ")
    }

    /// For people.
    #[must_use]
    pub fn touched(&self) -> Vec<String> {
        let shown = |object: &ObjectRef| kubectl::shown(object);
        self.workloads.iter().map(|before| shown(&before.held.object)).collect()
    }
}
