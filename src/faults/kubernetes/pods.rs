//! Pods that are taken away: the very ones, by uid; who brings them back; and, for pods of nobody, the manifest that
//! healing makes them anew from. It stands in a ConfigMap of ours, made before the pod is deleted, and not in a journal:
//! a manifest may hold what its owner would not show.

use super::workload::{self, Before, looked, sum};
use super::{Held, Home, Now, OWNER_LABEL, home, kubectl, mark, objects};
use crate::adapters::AdapterError;
use crate::adapters::kubernetes::{At, ClusterError, Deletion, Kind, Object, Write};
use crate::faults::{Cx, FaultError, Look};
use crate::model::{Dur, Resource, Right, TargetRef};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;

/// The key in the ConfigMap.
const MANIFEST: &str = "manifest.json";
/// So long healing waits for a pod's name to become free.
const FREE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(200);
/// What a server adds to an object's metadata.
const SERVERS: [&str; 9] = [
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "generation",
    "managedFields",
    "selfLink",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "ownerReferences",
];

/// Pods, and who brings them back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pods {
    /// The owner's tag.
    pub tag: String,
    /// Where the record stands.
    pub home: Home,
    /// The pods.
    pub pods: Vec<Pod>,
    /// The workloads that they belong to, as they were.
    pub owners: Vec<Before>,
}

/// A pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pod {
    /// Which one.
    pub held: Held,
    /// Was it ready?
    pub ready: bool,
    /// The name of the object that holds its manifest; none if its controller brings it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<String>,
}

/// How a pod is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Delete,
    Evict,
}

/// The live pods of a target with the objects that they are.
pub(super) async fn live(target: &TargetRef, cx: &Cx<'_>) -> Result<Vec<(Held, Object)>, FaultError> {
    let mut found = Vec::new();
    for held in objects(target, cx).await? {
        if held.object.kind != "Pod" {
            return Err(FaultError::NothingToBreak(format!("{}: this takes targets with `kind: pod`", held.at())));
        }
        if let Now::Same(pod) = held.now(cx).await?
            && workload::lives(&pod)
        {
            found.push((held, pod));
        }
    }
    if found.is_empty() {
        return Err(FaultError::NothingToBreak(format!("no pod of `{}` lives", target.name())));
    }
    Ok(found)
}

/// The workloads that bring these pods back, each once; and for each pod whether one does.
pub(super) async fn owners(pods: &[(Held, Object)], cx: &Cx<'_>) -> Result<(Vec<Before>, Vec<bool>), FaultError> {
    let (mut all, mut owned): (Vec<Before>, Vec<bool>) = (Vec::new(), Vec::new());
    for (held, pod) in pods {
        let owner = workload::controller(held, pod, cx).await?;
        owned.push(owner.is_some());
        let Some((owner, object)) = owner else { continue };
        if all.iter().all(|before| before.held.object.uid != owner.object.uid) {
            all.push(workload::as_it_is(owner, &object, cx).await?);
        }
    }
    Ok((all, owned))
}

/// Grace in whole seconds.
pub(super) fn seconds(grace: Option<Dur>) -> Option<u32> {
    grace.map(|grace| u32::try_from(grace.0.as_secs()).unwrap_or(u32::MAX))
}

impl Pods {
    /// What a target is now.
    ///
    /// # Errors
    /// When no pod of it lives, or the cluster cannot be asked.
    pub async fn of(target: &TargetRef, cx: &Cx<'_>) -> Result<Self, FaultError> {
        let (tag, found) = (cx.owner.tag(), live(target, cx).await?);
        let (owners, owned) = owners(&found, cx).await?;
        let each = |(at, (held, pod)): (usize, (Held, Object))| Pod {
            ready: workload::is_ready(&pod),
            backup: (!owned.get(at).copied().unwrap_or_default()).then(|| format!("{}-{at}", mark::record(&tag))),
            held,
        };
        let pods = found.into_iter().enumerate().map(each).collect();
        Ok(Self { pods, owners, home: home(target, cx).await?, tag })
    }

    /// Takes them away, the very ones; may be repeated.
    pub(super) async fn take(&self, way: Way, grace: Option<u32>, write: Write, cx: &Cx<'_>) -> Result<(), FaultError> {
        for pod in &self.pods {
            let Now::Same(object) = pod.held.now(cx).await? else { continue };
            if object.ending() {
                continue;
            }
            if let Some(backup) = &pod.backup {
                self.keep(backup, &object, write, cx).await?;
            }
            let how = Deletion { uid: Some(pod.held.object.uid.clone()), grace, propagation: None };
            let (cluster, at) = (pod.held.cluster(cx).await?, pod.held.at());
            let done = match way {
                Way::Delete => cluster.delete(&at, &how, write).await,
                Way::Evict => cluster.evict(&at, &how, write).await,
            };
            match done {
                // It went by itself, or another has its name now; the look for the effect decides.
                Ok(()) | Err(ClusterError::Missing(_) | ClusterError::Conflict(_)) => {}
                Err(ClusterError::Blocked(why)) => return Err(blocked(pod, &object, &why, cx).await),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn backup_at(&self, name: &str) -> Result<At, FaultError> {
        let kind = Kind::known("configmap").ok_or_else(|| AdapterError::Other("no ConfigMaps".to_owned()))?;
        Ok(kind.at(Some(&self.home.namespace), name))
    }

    /// Keeps the manifest; never over one that is there.
    async fn keep(&self, name: &str, pod: &Object, write: Write, cx: &Cx<'_>) -> Result<(), FaultError> {
        let at = self.backup_at(name)?;
        let kept = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": self.home.namespace, "labels": mark::labels(&self.tag, "backup")},
            "data": {MANIFEST: manifest(pod).to_string()},
        });
        let cluster = cx.world.clusters.open(&self.home.access).await?;
        match cluster.create(&at.kind, at.namespace.as_deref(), &kept, write).await {
            Ok(_) => Ok(()),
            Err(ClusterError::Exists(why)) => match cluster.get(&at).await? {
                Some(there) if there.label(OWNER_LABEL) == Some(&*self.tag) => Ok(()),
                _ => Err(AdapterError::Refused(format!("{at} is there already, and not ours: {why}")).into()),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// Are they gone, or on their way?
    ///
    /// # Errors
    /// As the cluster's.
    pub async fn are_gone(&self, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let mut looks = Vec::new();
        for pod in &self.pods {
            let at = pod.held.at();
            looks.push(match pod.held.now(cx).await? {
                Now::Same(object) if object.ending() => looked(true, format!("{at} is ending")),
                Now::Same(_) => looked(false, format!("{at} is still there")),
                Now::Replaced(_) => looked(true, format!("{at} is gone, and another has its name")),
                Now::Gone => looked(true, format!("{at} is gone")),
            });
        }
        Ok(sum(looks))
    }

    /// Makes pods of nobody anew; others come back by themselves.
    ///
    /// # Errors
    /// The last one: a pod that cannot be made does not keep others away.
    pub async fn bring_back(&self, cx: &Cx<'_>) -> Result<(), FaultError> {
        let mut failed = None;
        for pod in &self.pods {
            if let Some(backup) = &pod.backup {
                failed = self.make(pod, backup, cx).await.err().or(failed);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    async fn make(&self, pod: &Pod, backup: &str, cx: &Cx<'_>) -> Result<(), FaultError> {
        let home = cx.world.clusters.open(&self.home.access).await?;
        let at = self.backup_at(backup)?;
        // Without it the pod was never deleted by us, or is back already.
        let Some(kept) = home.get(&at).await?.filter(|kept| kept.label(OWNER_LABEL) == Some(&*self.tag)) else {
            return Ok(());
        };
        if self.is_free(pod, cx).await? {
            let text = kept.text(&format!("/data/{MANIFEST}"));
            let manifest: Value = serde_json::from_str(text)
                .map_err(|e| FaultError::Journal(format!("{at} does not hold a manifest: {e}")))?;
            let namespace = pod.held.object.namespace.as_deref();
            let cluster = pod.held.cluster(cx).await?;
            match cluster.create(&pod.held.kind, namespace, &manifest, Write::Real).await {
                Ok(_) | Err(ClusterError::Exists(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let how = Deletion { uid: Some(kept.uid().to_owned()), grace: None, propagation: None };
        match home.delete(&at, &how, Write::Real).await {
            Ok(()) | Err(ClusterError::Missing(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until nothing that is ending has its name: false if something that lives has it.
    async fn is_free(&self, pod: &Pod, cx: &Cx<'_>) -> Result<bool, FaultError> {
        let clock = &cx.world.clock;
        let until = clock.mono().after(FREE);
        loop {
            match pod.held.now(cx).await? {
                Now::Gone => return Ok(true),
                Now::Same(object) | Now::Replaced(object) if !object.ending() => return Ok(false),
                _ if clock.mono() >= until => {
                    let why = format!("{} is still ending: it cannot be made anew yet", pod.held.at());
                    return Err(AdapterError::TimedOut(why).into());
                }
                _ => clock.sleep_until(clock.mono().after(PAUSE)).await,
            }
        }
    }

    /// Do the workloads have as many ready pods as before, and are pods of nobody back?
    ///
    /// # Errors
    /// As the cluster's.
    pub async fn are_back(&self, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let mut looks = Vec::new();
        for owner in &self.owners {
            looks.push(owner.serves(cx).await?.0);
        }
        for pod in &self.pods {
            let Some(backup) = &pod.backup else { continue };
            looks.push(self.is_back(pod, backup, cx).await?);
        }
        Ok(sum(looks))
    }

    async fn is_back(&self, pod: &Pod, backup: &str, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let (at, kept) = (pod.held.at(), self.backup_at(backup)?);
        let left = cx.world.clusters.open(&self.home.access).await?.get(&kept).await?;
        if left.is_some_and(|kept| kept.label(OWNER_LABEL) == Some(&*self.tag)) {
            return Ok(looked(false, format!("{kept} still holds the manifest of {at}")));
        }
        Ok(match pod.held.now(cx).await? {
            // Its manifest is removed only after it is back: somebody else has taken it away since.
            Now::Gone => looked(true, format!("{at} was brought back, and somebody else has deleted it")),
            Now::Same(now) | Now::Replaced(now) => {
                let ready = if pod.ready { workload::is_ready(&now) } else { workload::lives(&now) };
                let how = if ready { "as ready as before" } else { "not ready yet" };
                looked(ready, format!("{at} is {how}"))
            }
        })
    }

    /// Lines for people.
    #[must_use]
    pub fn by_hand(&self) -> String {
        let mut lines: Vec<String> = Vec::new();
        for pod in &self.pods {
            let Some(backup) = &pod.backup else { continue };
            let home = |arguments: &str| kubectl::line(&self.home.access, Some(&self.home.namespace), arguments);
            let get = home(&format!("get configmap {backup} -o jsonpath='{{.data.manifest\\.json}}'"));
            lines.push(format!("{get} | {}", kubectl::at(&pod.held, "create -f -")));
            lines.push(home(&format!("delete configmap {backup} --ignore-not-found")));
        }
        lines.extend(self.owners.iter().map(Before::watch_by_hand));
        lines.push(kubectl::forget(&self.home, &self.tag));
        lines.join("; ")
    }

    /// For people.
    #[must_use]
    pub fn touched(&self) -> Vec<String> {
        self.pods.iter().map(|pod| kubectl::shown(&pod.held.object)).collect()
    }
}

/// The refusal with the budgets that made it.
async fn blocked(pod: &Pod, object: &Object, why: &str, cx: &Cx<'_>) -> FaultError {
    let budgets = budgets(pod, object, cx).await.unwrap_or_default();
    let named = if budgets.is_empty() { String::new() } else { format!(" (disruption budget {})", budgets.join(", ")) };
    let mend = "wait until more pods are ready, evict fewer, or delete them (`pod_delete`)";
    AdapterError::Refused(format!("{} may not be evicted now{named}: {why}; {mend}", pod.held.at())).into()
}

/// The budgets that count this pod and allow nothing now, with their numbers.
async fn budgets(pod: &Pod, object: &Object, cx: &Cx<'_>) -> Result<Vec<String>, FaultError> {
    let cluster = pod.held.cluster(cx).await?;
    let kind = cluster.kind("poddisruptionbudgets.policy").await?;
    let namespace = pod.held.object.namespace.clone();
    let every = crate::adapters::kubernetes::Query { kind, namespace, labels: String::new(), fields: String::new() };
    let mut named = Vec::new();
    for budget in workload::list(&*cluster, &every).await? {
        let labels = workload::selector(budget.0.pointer("/spec/selector").unwrap_or(&Value::Null));
        let fields = format!("metadata.name={}", object.name());
        let (kind, namespace) = (pod.held.kind.clone(), pod.held.object.namespace.clone());
        let counted =
            workload::list(&*cluster, &crate::adapters::kubernetes::Query { kind, namespace, labels, fields }).await?;
        if counted.is_empty() || budget.number("/status/disruptionsAllowed").unwrap_or_default() > 0 {
            continue;
        }
        let number = |name: &str| budget.number(&format!("/status/{name}")).unwrap_or_default();
        let (healthy, needed) = (number("currentHealthy"), number("desiredHealthy"));
        named.push(format!("`{}`, {healthy} healthy and {needed} needed", budget.name()));
    }
    Ok(named)
}

/// A pod as it can be made anew: without what the server, the scheduler and the kubelet have added.
fn manifest(pod: &Object) -> Value {
    let mut value = pod.0.clone();
    let Some(all) = value.as_object_mut() else { return value };
    all.remove("status");
    all.insert("apiVersion".to_owned(), json!("v1"));
    all.insert("kind".to_owned(), json!("Pod"));
    if let Some(metadata) = all.get_mut("metadata").and_then(Value::as_object_mut) {
        for field in SERVERS {
            metadata.remove(field);
        }
    }
    if let Some(spec) = all.get_mut("spec").and_then(Value::as_object_mut) {
        spec.remove("ephemeralContainers");
        // The scheduler finds a place anew, unless there was none in between.
        if spec.contains_key("schedulerName") {
            spec.remove("nodeName");
        }
    }
    value
}

/// What it takes to take pods away, and to see that they are back; `how` is what does it.
pub(super) fn rights(target: &TargetRef, how: &Resource, verb: &str) -> Vec<Right> {
    let in_it = |group: &str, plural: &str| Resource::Namespaced(group.to_owned(), plural.to_owned());
    let mut all = Right::each(target, &Resource::Itself(None), &["get", "list", "create"]);
    all.extend(Right::each(target, how, &[verb]));
    for plural in ["deployments", "replicasets", "statefulsets", "daemonsets"] {
        all.extend(Right::each(target, &in_it("apps", plural), &["get"]));
    }
    all.extend(Right::each(target, &in_it("apps", "replicasets"), &["list"]));
    all.extend(Right::each(target, &in_it("batch", "jobs"), &["get"]));
    let backup = Resource::Home(String::new(), "configmaps".to_owned());
    all.extend(Right::each(target, &backup, &["create", "get", "delete"]));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_has_nothing_of_the_server() {
        let pod = json!({
            "metadata": {"name": "lone", "namespace": "shop", "uid": "u", "resourceVersion": "7", "labels": {"a": "1"},
                "creationTimestamp": "x", "managedFields": []},
            "spec": {"schedulerName": "default-scheduler", "nodeName": "n1", "containers": [{"name": "c", "image": "i"}]},
            "status": {"phase": "Running"},
        });
        let expected = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "lone", "namespace": "shop", "labels": {"a": "1"}},
            "spec": {"schedulerName": "default-scheduler", "containers": [{"name": "c", "image": "i"}]},
        });
        assert_eq!(manifest(&Object(pod)), expected);
    }
}
