//! Ends a container of pods from inside; the kubelet starts it again.

use super::pods::{live, owners};
use super::workload::{self, Before, looked, sum};
use super::{Held, Home, Now, home, kubectl};
use crate::adapters::AdapterError;
use crate::adapters::kubernetes::{ClusterError, Inside, Object};
use crate::faults::{Cx, Fault, FaultError, Look, Reversibility};
use crate::model::{Resource, Right, SignalName, TargetRef, Template};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);
/// An exit status from here on says that a signal ended it: what we killed took our command with it.
const SIGNALLED: i32 = 128;

/// Ends a container of pods by a command that is run in it, `/bin/sh -c 'kill -TERM 1'` if nothing else is said. The kernel
/// keeps signals from the first process of a container that it has no handler for, and KILL always: a program that does not
/// handle TERM needs another `signal`, or a `command` that ends it in its own way; one without a shell needs `command`.
/// The kubelet starts the container again, and that it is ready again is healed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PodContainerKill {
    /// A target of kind `kubernetes`: pods.
    pub target: TargetRef,
    /// The container; the pod's first one if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<Template>,
    /// By name or number; TERM if not given. Not KILL or STOP, which the kernel keeps from a container's first process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<SignalName>,
    /// What is run in the container instead of `kill`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<Template>>,
}

/// Which containers, and how they ran.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    /// The owner's tag.
    pub tag: String,
    /// Where the record stands.
    pub home: Home,
    /// Each container.
    pub containers: Vec<Container>,
    /// The workloads of the pods, as they were.
    pub owners: Vec<Before>,
}

/// A container of a pod, as it ran.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Container {
    /// The pod.
    pub held: Held,
    /// Its name.
    pub name: String,
    /// How often it had been started again.
    pub restarts: i64,
    /// When it had been started.
    pub started: String,
    /// Was it ready?
    pub ready: bool,
}

fn status<'a>(pod: &'a Object, name: &str) -> Option<&'a Value> {
    let all = pod.items("/status/containerStatuses");
    all.iter().find(|one| one.get("name").and_then(Value::as_str) == Some(name))
}

fn restarts(status: &Value) -> i64 {
    status.get("restartCount").and_then(Value::as_i64).unwrap_or_default()
}

fn started(status: &Value) -> &str {
    status.pointer("/state/running/startedAt").and_then(Value::as_str).unwrap_or_default()
}

impl Container {
    fn of(held: Held, pod: &Object, name: Option<&str>) -> Result<Self, FaultError> {
        let at = held.at();
        let none = |why: String| FaultError::NothingToBreak(format!("{at}: {why}"));
        let first = pod.text("/spec/containers/0/name");
        let name = name.unwrap_or(first).to_owned();
        let seen = status(pod, &name).ok_or_else(|| none(format!("there is no container `{name}` in it")))?;
        if started(seen).is_empty() {
            return Err(none(format!("the container `{name}` does not run")));
        }
        if pod.text("/spec/restartPolicy") == "Never" {
            return Err(none(format!("`restartPolicy: Never`: nothing would start `{name}` again")));
        }
        let ready = seen.get("ready").and_then(Value::as_bool).unwrap_or_default();
        Ok(Self { restarts: restarts(seen), started: started(seen).to_owned(), name, ready, held })
    }

    /// Does it still run as it did before?
    fn untouched(&self, pod: &Object) -> bool {
        status(pod, &self.name).is_some_and(|seen| restarts(seen) == self.restarts && started(seen) == self.started)
    }

    async fn end(&self, argv: &[String], cx: &Cx<'_>) -> Result<(), FaultError> {
        let Now::Same(pod) = self.held.now(cx).await? else { return Ok(()) };
        if !self.untouched(&pod) {
            return Ok(());
        }
        let namespace = self.held.object.namespace.clone().unwrap_or_default();
        let (pod, container) = (self.held.object.name.clone(), Some(self.name.clone()));
        let done = self.held.cluster(cx).await?.exec(&Inside { namespace, pod, container }, argv, LIMIT).await;
        match done {
            Ok(output) => match output.status {
                None | Some(0) => Ok(()),
                Some(status) if status >= SIGNALLED => Ok(()),
                Some(status) => {
                    let said = crate::faults::quote(output.stderr.trim(), 200);
                    let at = self.held.at();
                    let why = format!("{at}: the command in `{}` ended with exit status {status}: {said}", self.name);
                    Err(AdapterError::Refused(why).into())
                }
            },
            // It ends together with what it kills: the look for the effect decides.
            Err(ClusterError::Other(_) | ClusterError::TimedOut(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl PodContainerKill {
    fn argv(&self, cx: &Cx<'_>) -> Result<Vec<String>, FaultError> {
        match &self.command {
            Some(command) => command.iter().map(|word| cx.word(word)).collect(),
            None => {
                let signal = self.signal.map_or("TERM", SignalName::as_str);
                Ok(["/bin/sh", "-c", &format!("kill -{signal} 1")].map(str::to_owned).to_vec())
            }
        }
    }
}

impl Fault for PodContainerKill {
    const KIND: &'static str = "pod_container_kill";
    const SUMMARY: &'static str = "end a container of pods from inside, so that the kubelet starts it again";
    const REVERSIBILITY: Reversibility = Reversibility::SelfHealing;
    const TARGETS: &'static [&'static str] = &["kubernetes"];
    const SPLITS: bool = true;
    type Undo = Undo;

    fn targets(&self) -> Vec<&TargetRef> {
        vec![&self.target]
    }

    fn permissions(&self) -> Vec<String> {
        vec!["on the cluster: get and list pods, create and get `pods/exec`; get workloads, list ReplicaSets; in the container: a \
              shell, or what `command` names"
            .to_owned()]
    }

    fn way_back(&self) -> String {
        "the kubelet starts the container again".to_owned()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Undo, FaultError> {
        if self.command.is_none() && self.signal.is_some_and(|signal| matches!(signal.as_str(), "KILL" | "STOP")) {
            let why = "the kernel keeps KILL and STOP from a container's first process; use TERM or another signal that the \
                       program handles, a `command` that ends it, or `pod_delete` with `grace: 0s`";
            return Err(FaultError::NothingToBreak(why.to_owned()));
        }
        self.argv(cx)?;
        let name = self.container.as_ref().map(|name| cx.text(name)).transpose()?;
        let found = live(&self.target, cx).await?;
        let (owners, _) = owners(&found, cx).await?;
        let each = |(held, pod): (Held, Object)| Container::of(held, &pod, name.as_deref());
        let containers = found.into_iter().map(each).collect::<Result<_, _>>()?;
        Ok(Undo { tag: cx.owner.tag(), home: home(&self.target, cx).await?, containers, owners })
    }

    async fn inject(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        let argv = self.argv(cx)?;
        for each in &undo.containers {
            each.end(&argv, cx).await?;
        }
        Ok(())
    }

    async fn effective(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let mut looks = Vec::new();
        for each in &undo.containers {
            let (at, name) = (each.held.at(), &each.name);
            looks.push(match each.held.now(cx).await? {
                Now::Same(pod) if each.untouched(&pod) => looked(false, format!("{at}: `{name}` runs as before")),
                Now::Same(pod) => {
                    let count = status(&pod, name).map_or(0, restarts) - each.restarts;
                    looked(true, format!("{at}: `{name}` has ended, and was started again {count} times"))
                }
                _ => looked(false, format!("{at} is gone: nobody knows whether `{name}` was ended")),
            });
        }
        Ok(sum(looks))
    }

    async fn heal(&self, undo: &Undo, _: &Cx<'_>) -> Result<(), FaultError> {
        // The kubelet does it.
        let _nothing_to_do = undo;
        Ok(())
    }

    async fn healed(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let mut looks = Vec::new();
        for each in &undo.containers {
            let (at, name) = (each.held.at(), &each.name);
            // A pod that is gone is its workload's matter.
            let Now::Same(pod) = each.held.now(cx).await? else { continue };
            if !workload::lives(&pod) {
                continue;
            }
            let seen = status(&pod, name);
            let runs = seen.is_some_and(|seen| !started(seen).is_empty());
            let ready = seen.and_then(|seen| seen.get("ready")).and_then(Value::as_bool).unwrap_or_default();
            let back = runs && (ready || !each.ready);
            let how = if back { "runs again" } else { "is not ready yet" };
            looks.push(looked(back, format!("{at}: `{name}` {how}")));
        }
        for owner in &undo.owners {
            looks.push(owner.serves(cx).await?.0);
        }
        Ok(sum(looks))
    }

    fn by_hand(&self, undo: &Undo) -> String {
        let mut lines: Vec<String> = undo.owners.iter().map(Before::watch_by_hand).collect();
        let each = |each: &Container| kubectl::at(&each.held, &format!("get {}", kubectl::name(&each.held)));
        lines.extend(undo.containers.iter().map(each));
        lines.push(kubectl::forget(&undo.home, &undo.tag));
        lines.join("; ")
    }

    fn touched(&self, undo: &Undo) -> Vec<String> {
        let each = |each: &Container| format!("container {} of {}", each.name, kubectl::shown(&each.held.object));
        undo.containers.iter().map(each).collect()
    }

    fn rights(&self) -> Vec<Right> {
        let in_it = |group: &str, plural: &str| Resource::Namespaced(group.to_owned(), plural.to_owned());
        let mut all = Right::each(&self.target, &Resource::Itself(None), &["get", "list"]);
        all.extend(Right::each(&self.target, &Resource::Itself(Some("exec".to_owned())), &["create", "get"]));
        for plural in ["deployments", "replicasets", "statefulsets", "daemonsets"] {
            all.extend(Right::each(&self.target, &in_it("apps", plural), &["get"]));
        }
        all.extend(Right::each(&self.target, &in_it("apps", "replicasets"), &["list"]));
        all.extend(Right::each(&self.target, &in_it("batch", "jobs"), &["get"]));
        all
    }

    fn home(undo: &Undo) -> Option<&Home> {
        Some(&undo.home)
    }
}
