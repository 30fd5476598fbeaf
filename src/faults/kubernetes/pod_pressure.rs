//! Pressure on nodes by a helper pod of ours on each: it ends by itself, and healing removes it.

use super::workload::{self, looked, sum};
use super::{Home, OWNER_LABEL, RECORD_LABEL, home, kubectl, mark, objects};
use crate::adapters::AdapterError;
use crate::adapters::kubernetes::{ClusterError, Deletion, Kind, Object, Query, Write};
use crate::faults::{Cx, Fault, FaultError, Look, Reversibility, pressure};
use crate::model::{Dur, Resource, Right, Size, TargetRef, Template};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// On top of what it fills, for the shell itself.
const HEADROOM: u64 = 32 << 20;
/// Nobody, as most systems have it: the pod needs no rights on its node.
const NOBODY: i64 = 65534;
/// It has so long to end when it is removed.
const END: u32 = 1;

/// Puts pressure on nodes: a helper pod of ours on each, with limits, that keeps cores busy and holds memory. It runs in the
/// drill's home namespace, needs no rights there, and ends by itself after `limit` even if nobody is left to remove it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PodPressure {
    /// A target of kind `kubernetes`: nodes, or pods (then the nodes that they are on).
    pub target: TargetRef,
    /// Cores that are kept busy on each node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u32>,
    /// Memory that is held on each node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Size>,
    /// The image of the helper; it needs `/bin/sh` and `head`, unless `command` is given: `busybox`, say, from a registry
    /// that the nodes reach.
    pub image: Template,
    /// What runs in it instead; the limits count for it too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<Template>>,
    /// It ends by itself after this, whatever happens; a little after the deadline if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Dur>,
}

/// Which nodes, and what runs there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    /// The owner's tag.
    pub tag: String,
    /// Where the record and the helpers stand.
    pub home: Home,
    /// The nodes, each once.
    pub nodes: Vec<String>,
}

fn pod_kind() -> Result<Kind, FaultError> {
    Kind::known("pod").ok_or_else(|| AdapterError::Other("no pods".to_owned()).into())
}

impl Undo {
    fn name(&self, at: usize) -> String {
        format!("{}-{at}", mark::record(&self.tag))
    }

    /// Our helpers, by their label alone.
    async fn helpers(&self, cx: &Cx<'_>) -> Result<Vec<Object>, FaultError> {
        let namespace = Some(self.home.namespace.clone());
        let labels = format!("{OWNER_LABEL}={},{RECORD_LABEL}=helper", self.tag);
        let query = Query { kind: pod_kind()?, namespace, labels, fields: String::new() };
        let cluster = cx.world.clusters.open(&self.home.access).await?;
        Ok(workload::list(&*cluster, &query).await?)
    }
}

impl PodPressure {
    /// Busy loops and a file in memory; the shell waits for both.
    fn script(&self) -> String {
        let mut script = "trap 'exit 0' TERM; ".to_owned();
        for _ in 0..self.cpu.unwrap_or_default() {
            script += "(while :; do :; done) & ";
        }
        if let Some(size) = self.memory {
            script += &format!("head -c {} /dev/zero > /pressure/fill; ", size.0);
        }
        script + "while :; do sleep 1 & wait $!; done"
    }

    fn command(&self, cx: &Cx<'_>) -> Result<Vec<String>, FaultError> {
        match &self.command {
            Some(command) => command.iter().map(|word| cx.word(word)).collect(),
            None => Ok(vec!["/bin/sh".to_owned(), "-c".to_owned(), self.script()]),
        }
    }

    fn limits(&self) -> Value {
        let mut limits = serde_json::Map::new();
        limits.extend(self.cpu.map(|cores| ("cpu".to_owned(), json!(cores.to_string()))));
        limits.extend(self.memory.map(|size| ("memory".to_owned(), json!((size.0 + HEADROOM).to_string()))));
        Value::Object(limits)
    }

    fn pod(&self, undo: &Undo, at: usize, node: &str, cx: &Cx<'_>) -> Result<Value, FaultError> {
        let limit = self.limit.unwrap_or(pressure::DEFAULT_LIMIT).0.as_secs().max(1);
        let memory = self.memory.map_or(HEADROOM, |size| size.0 + HEADROOM).to_string();
        let security = json!({
            "allowPrivilegeEscalation": false, "runAsNonRoot": true, "runAsUser": NOBODY,
            "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"},
        });
        Ok(json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": undo.name(at), "namespace": undo.home.namespace, "labels": mark::labels(&undo.tag, "helper"),
            },
            "spec": {
                // The very node, without asking the scheduler, and whatever taints it has.
                "nodeName": node, "tolerations": [{"operator": "Exists"}],
                "restartPolicy": "Never", "activeDeadlineSeconds": limit, "terminationGracePeriodSeconds": END,
                "automountServiceAccountToken": false, "enableServiceLinks": false,
                "containers": [{
                    "name": "pressure", "image": cx.text(&self.image)?, "command": self.command(cx)?,
                    // It asks for next to nothing, so that it fits on a full node, which is what is to be tried.
                    "resources": {"requests": {"cpu": "1m", "memory": "1Mi"}, "limits": self.limits()},
                    "securityContext": security,
                    "volumeMounts": [{"name": "pressure", "mountPath": "/pressure"}],
                }],
                "volumes": [{"name": "pressure", "emptyDir": {"medium": "Memory", "sizeLimit": memory}}],
            },
        }))
    }

    async fn start(&self, undo: &Undo, write: Write, cx: &Cx<'_>) -> Result<(), FaultError> {
        let cluster = cx.world.clusters.open(&undo.home.access).await?;
        let (kind, namespace) = (pod_kind()?, Some(&*undo.home.namespace));
        for (at, node) in undo.nodes.iter().enumerate() {
            let pod = self.pod(undo, at, node, cx)?;
            match cluster.create(&kind, namespace, &pod, write).await {
                Ok(_) => {}
                Err(ClusterError::Exists(why)) => {
                    let there = cluster.get(&kind.at(namespace, &undo.name(at))).await?;
                    if there.is_none_or(|there| there.label(OWNER_LABEL) != Some(&*undo.tag)) {
                        return Err(AdapterError::Refused(why).into());
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

impl Fault for PodPressure {
    const KIND: &'static str = "pod_pressure";
    const SUMMARY: &'static str = "put pressure on nodes of a cluster by a helper pod";
    const REVERSIBILITY: Reversibility = Reversibility::Reversible;
    const TARGETS: &'static [&'static str] = &["kubernetes"];
    type Undo = Undo;

    fn targets(&self) -> Vec<&TargetRef> {
        vec![&self.target]
    }

    fn permissions(&self) -> Vec<String> {
        vec!["on the cluster: get and list the targets; create, get, list and delete pods in the home namespace; a policy \
              there that allows `nodeName` and the image"
            .to_owned()]
    }

    fn way_back(&self) -> String {
        "the helper pods are removed; they also end by themselves".to_owned()
    }

    fn bound(&mut self, deadline: Duration) {
        self.limit.get_or_insert(pressure::limit(deadline));
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Undo, FaultError> {
        if self.cpu.is_none() && self.memory.is_none() && self.command.is_none() {
            return Err(FaultError::NothingToBreak("say `cpu`, `memory` or `command`: what shall press?".to_owned()));
        }
        let mut nodes = BTreeSet::new();
        for held in objects(&self.target, cx).await? {
            match &*held.object.kind {
                "Node" => nodes.extend([held.object.name.clone()]),
                "Pod" => nodes.extend(held.object.node.clone()),
                _ => {
                    let why = format!("{}: this takes targets with `kind:` node or pod", held.at());
                    return Err(FaultError::NothingToBreak(why));
                }
            }
        }
        if nodes.is_empty() {
            let why = format!("no pod of `{}` is on a node", self.target.name());
            return Err(FaultError::NothingToBreak(why));
        }
        let nodes = nodes.into_iter().collect();
        Ok(Undo { tag: cx.owner.tag(), home: home(&self.target, cx).await?, nodes })
    }

    async fn rehearse(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        self.start(undo, Write::Dry, cx).await
    }

    async fn inject(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        self.start(undo, Write::Real, cx).await
    }

    async fn effective(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let helpers = undo.helpers(cx).await?;
        let mut looks = Vec::new();
        for node in &undo.nodes {
            let here = helpers.iter().find(|pod| pod.text("/spec/nodeName") == node && !pod.ending());
            let running = here.map(|pod| !pod.text("/status/containerStatuses/0/state/running/startedAt").is_empty());
            let phase = here.map_or("", |pod| pod.text("/status/phase"));
            let how = if phase.is_empty() { "not there yet" } else { phase };
            looks.push(looked(running == Some(true), format!("the helper on {node} is {how}")));
        }
        Ok(sum(looks))
    }

    async fn heal(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        let (cluster, kind) = (cx.world.clusters.open(&undo.home.access).await?, pod_kind()?);
        let mut failed = None;
        for pod in undo.helpers(cx).await? {
            let how = Deletion { uid: Some(pod.uid().to_owned()), grace: Some(END), propagation: None };
            match cluster.delete(&pod.at(&kind), &how, Write::Real).await {
                Ok(()) | Err(ClusterError::Missing(_) | ClusterError::Conflict(_)) => {}
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    async fn healed(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let left = undo.helpers(cx).await?;
        let names: Vec<&str> = left.iter().map(Object::name).collect();
        let detail =
            if left.is_empty() { "no helper is left".to_owned() } else { format!("left: {}", names.join(", ")) };
        Ok(looked(left.is_empty(), detail))
    }

    fn by_hand(&self, undo: &Undo) -> String {
        let remove = format!("delete pods -l {OWNER_LABEL}={},{RECORD_LABEL}=helper", undo.tag);
        let remove = kubectl::line(&undo.home.access, Some(&undo.home.namespace), &remove);
        format!("{remove}; {}", kubectl::forget(&undo.home, &undo.tag))
    }

    fn touched(&self, undo: &Undo) -> Vec<String> {
        undo.nodes.iter().map(|node| format!("node {node}")).collect()
    }

    fn rights(&self) -> Vec<Right> {
        let mut all = Right::each(&self.target, &Resource::Itself(None), &["get", "list"]);
        let pods = Resource::Home(String::new(), "pods".to_owned());
        all.extend(Right::each(&self.target, &pods, &["create", "get", "list", "delete"]));
        all
    }

    fn home(undo: &Undo) -> Option<&Home> {
        Some(&undo.home)
    }
}
