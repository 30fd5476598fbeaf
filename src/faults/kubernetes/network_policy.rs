//! Cuts pods off by NetworkPolicies of ours: from everything, or two groups from each other, both ways or one way.
//! Healing removes the policies. What a policy says is `policy`'s.

use super::config::together;
use super::mark::{self, Mark};
use super::policy::{self, Ends, Group};
use super::{Held, Home, Now, home, kubectl, objects, selector, spec};
use crate::adapters::AdapterError;
use crate::adapters::kubernetes::{At, Cluster, ClusterError, Deletion, Flow, Inside, Kind, Object, Query, Write};
use crate::faults::{Cx, Fault, FaultError, Look, Reversibility};
use crate::model::{Dur, KubernetesTarget, Resource, Right, TargetRef, Template};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// On pods of a group that no selector of the playbook says: which group.
const SIDE: &str = "blackstart.dev/side";
/// An attempt takes no longer.
const ATTEMPT: Duration = Duration::from_secs(5);

/// Cuts pods off by NetworkPolicies of ours, from everything or from the pods of a second target. Policies only add up:
/// traffic that another policy lets through at every end stays, and the fault is refused if it is so. Whether the
/// cluster's network enforces policies at all, no object says: give it a `look`, or nobody knows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkPolicy {
    /// A target of kind `kubernetes`: pods.
    pub target: TargetRef,
    /// What is cut, seen from `target`; `both` if not given.
    #[serde(default)]
    pub direction: Ends,
    /// The pods from which it is cut off; everything, name servers too, if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<TargetRef>,
    /// An attempt from inside that succeeds before, fails under the fault, and succeeds again when it is healed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look: Option<Attempted>,
}

/// An attempt from inside a pod.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attempted {
    /// Program and arguments, run in a container; exit status 0 is success: `[nc, -z, -w, "2", db, "5432"]`.
    pub command: Vec<Template>,
    /// Whose pods try; `target` if not given.
    #[serde(default)]
    pub from: Who,
    /// The container; the pod's only one if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// An attempt that takes longer has failed; 5s if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Dur>,
}

/// Whose pods try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// Those of the target.
    #[default]
    Target,
    /// Those of the peer.
    Peer,
}

/// A policy of ours, and what it must select.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its `spec`.
    pub spec: Value,
    /// The pods that it must select.
    pub pods: Vec<Held>,
}

/// What is tried, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Try {
    /// Pods; the first that is still there tries.
    pub pods: Vec<Held>,
    /// The container.
    pub container: Option<String>,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// It may take so long.
    pub limit: Duration,
}

/// What heals it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undo {
    /// Where the record stands; the policies are in the same cluster.
    pub home: Home,
    /// The policies.
    pub policies: Vec<Policy>,
    /// Pods that are labelled, with the label's value.
    pub labelled: Vec<(Held, String)>,
    /// The pods of the target.
    pub pods: Vec<Held>,
    /// What is tried.
    pub look: Option<Try>,
}

fn kind() -> Result<Kind, FaultError> {
    super::lost::known("networkpolicy")
}

fn refused(why: String) -> FaultError {
    AdapterError::Refused(why).into()
}

/// The pods of a target, as they are now.
async fn pods(target: &TargetRef, cx: &Cx<'_>) -> Result<Vec<(Held, Object)>, FaultError> {
    let mut pods = Vec::new();
    for held in objects(target, cx).await? {
        if held.object.kind != "Pod" {
            let why = format!("{} of `{}` is no pod", held.at(), target.name());
            return Err(FaultError::Reference(why));
        }
        let Now::Same(now) = held.now(cx).await? else {
            return Err(FaultError::NothingToBreak(format!("{} of `{}` is gone", held.at(), target.name())));
        };
        if now.0.pointer("/spec/hostNetwork").and_then(Value::as_bool) == Some(true) {
            return Err(refused(format!("{} uses its node's network: no policy touches it", held.at())));
        }
        pods.push((held, now));
    }
    Ok(pods)
}

/// The selector of a target, if it is by labels alone and selects the very pods that are meant.
async fn own_selector(
    target: &KubernetesTarget,
    pods: &[(Held, Object)],
    cx: &Cx<'_>,
) -> Result<Option<Value>, FaultError> {
    let others = [&target.name, &target.fields, &target.owner, &target.zone, &target.region];
    let (Some(labels), false) = (&target.labels, others.iter().any(|other| other.is_some())) else { return Ok(None) };
    let Some((first, _)) = pods.first() else { return Ok(None) };
    let text = cx.text(labels)?;
    let Some(parsed) = selector::parse(&text) else { return Ok(None) };
    let seen = selected(&*first.cluster(cx).await?, first.object.namespace.as_deref(), &parsed).await?;
    let meant: BTreeSet<&str> = pods.iter().map(|(held, _)| &*held.object.uid).collect();
    Ok((seen.iter().map(String::as_str).collect::<BTreeSet<_>>() == meant).then_some(parsed))
}

/// The uids of the pods that a selector selects.
async fn selected(
    cluster: &dyn Cluster,
    namespace: Option<&str>,
    selector: &Value,
) -> Result<BTreeSet<String>, FaultError> {
    let namespace = namespace.map(str::to_owned);
    let query = Query { kind: super::lost::known("pod")?, namespace, labels: String::new(), fields: String::new() };
    let mut seen = BTreeSet::new();
    let mut each = |pod: Object| {
        let over = ["Succeeded", "Failed"].contains(&pod.text("/status/phase"));
        if selector::selects(Some(selector), &pod.labels()) && !over && !pod.ending() {
            seen.insert(pod.uid().to_owned());
        }
        Flow::On
    };
    cluster.list(&query, &mut each).await?;
    Ok(seen)
}

/// Policies of others that let through something of what shall be cut, at one end.
async fn open(
    cluster: &dyn Cluster,
    namespace: &str,
    pods: &[(Held, Object)],
    ends: Ends,
) -> Result<Vec<String>, FaultError> {
    let kind = kind()?;
    let query = Query {
        kind: kind.clone(),
        namespace: Some(namespace.to_owned()),
        labels: String::new(),
        fields: String::new(),
    };
    let mut found = Vec::new();
    let mut each = |other: Object| {
        let here = |(held, pod): &(Held, Object)| {
            held.object.namespace.as_deref() == Some(namespace)
                && selector::selects(other.0.pointer("/spec/podSelector"), &pod.labels())
        };
        if policy::lets_through(&other.0, ends) && pods.iter().any(here) {
            found.push(other.name().to_owned());
        }
        Flow::On
    };
    cluster.list(&query, &mut each).await?;
    Ok(found)
}

/// One end of the cut.
struct End<'a> {
    target: &'a TargetRef,
    letter: &'static str,
    ends: Ends,
    pods: Vec<(Held, Object)>,
    own: Option<Value>,
}

impl<'a> End<'a> {
    async fn of(target: &'a TargetRef, letter: &'static str, ends: Ends, cx: &Cx<'_>) -> Result<Self, FaultError> {
        let pods = pods(target, cx).await?;
        let own = own_selector(&spec(target, cx)?, &pods, cx).await?;
        Ok(Self { target, letter, ends, pods, own })
    }

    fn side(&self, tag: &str) -> String {
        format!("{tag}-{}", self.letter)
    }

    fn namespaces(&self) -> BTreeSet<&str> {
        self.pods.iter().filter_map(|(held, _)| held.object.namespace.as_deref()).collect()
    }

    fn group(&self, tag: &str) -> Group {
        let address = |(_, pod): &(Held, Object)| pod.text("/status/podIP").parse().ok();
        Group { label: SIDE, value: self.side(tag), addresses: self.pods.iter().filter_map(address).collect() }
    }

    /// The policies on this end; `other` is what it is cut off from.
    fn policies(&self, tag: &str, other: Option<&Group>) -> Vec<Policy> {
        let selector = self.own.clone().unwrap_or_else(|| json!({"matchLabels": {SIDE: self.side(tag)}}));
        let one = |(number, namespace): (usize, &str)| Policy {
            namespace: namespace.to_owned(),
            name: format!("{}-{}{}", mark::record(tag), self.letter, number + 1),
            spec: policy::spec(&selector, self.ends, other),
            pods: self.held().filter(|held| held.object.namespace.as_deref() == Some(namespace)).cloned().collect(),
        };
        self.namespaces().into_iter().enumerate().map(one).collect()
    }

    fn held(&self) -> impl Iterator<Item = &Held> {
        self.pods.iter().map(|(held, _)| held)
    }

    /// Is everything at this end let through by policies of others? Their names.
    async fn open(&self, cx: &Cx<'_>) -> Result<Vec<String>, FaultError> {
        let Some((first, _)) = self.pods.first() else { return Ok(Vec::new()) };
        let (cluster, mut names) = (first.cluster(cx).await?, Vec::new());
        for namespace in self.namespaces() {
            names.extend(open(&*cluster, namespace, &self.pods, self.ends).await?);
        }
        Ok(names)
    }
}

impl NetworkPolicy {
    async fn ends<'a>(&'a self, cx: &Cx<'_>) -> Result<(End<'a>, Option<End<'a>>), FaultError> {
        let target = End::of(&self.target, "a", self.direction, cx).await?;
        let Some(peer) = &self.peer else { return Ok((target, None)) };
        let peer = End::of(peer, "b", self.direction.turned(), cx).await?;
        let access = |end: &End<'_>| end.pods.first().map(|(held, _)| held.access.clone());
        if access(&target) != access(&peer) {
            let why = "target and peer are reached in two ways: give them the same kubeconfig and context";
            return Err(FaultError::Reference(why.to_owned()));
        }
        let ours: BTreeSet<&str> = target.held().map(|held| &*held.object.uid).collect();
        if let Some(both) = peer.held().find(|held| ours.contains(&*held.object.uid)) {
            return Err(FaultError::Reference(format!("{} is in both groups", both.at())));
        }
        Ok((target, Some(peer)))
    }

    /// It is an error if policies of others let through at every end what shall be cut, unless an attempt will tell.
    async fn can_cut(&self, ends: &[&End<'_>], cx: &Cx<'_>) -> Result<(), FaultError> {
        let mut all = Vec::new();
        for end in ends {
            let names = end.open(cx).await?;
            if names.is_empty() {
                return Ok(());
            }
            all.extend(names);
        }
        if self.look.is_some() {
            return Ok(());
        }
        Err(refused(format!(
            "the network policies {} let traffic through to or from these pods, and policies only add up: ours could \
             not cut it. If they let through other traffic than is meant, give the fault a `look` that shows it",
            all.join(", ")
        )))
    }

    async fn attempt(&self, target: &End<'_>, peer: Option<&End<'_>>, cx: &Cx<'_>) -> Result<Option<Try>, FaultError> {
        let Some(look) = &self.look else { return Ok(None) };
        let end = match (look.from, peer) {
            (Who::Target, _) => target,
            (Who::Peer, Some(peer)) => peer,
            (Who::Peer, None) => return Err(FaultError::Reference("`from: peer` without a `peer`".to_owned())),
        };
        let attempt = Try {
            pods: end.held().cloned().collect(),
            container: look.container.clone(),
            argv: look.command.iter().map(|word| cx.word(word)).collect::<Result<_, _>>()?,
            limit: look.timeout.map_or(ATTEMPT, |timeout| timeout.0),
        };
        match attempt.run(cx).await? {
            Some((true, _)) => Ok(Some(attempt)),
            Some((false, said)) => Err(FaultError::NothingToBreak(format!("{said}: it must succeed before the fault"))),
            None => Err(FaultError::NothingToBreak(format!("no pod of `{}` is there", end.target.name()))),
        }
    }
}

impl Try {
    /// Whether it succeeded, and what is to be said about it; none if no pod is there that could try.
    async fn run(&self, cx: &Cx<'_>) -> Result<Option<(bool, String)>, FaultError> {
        for held in &self.pods {
            let Now::Same(now) = held.now(cx).await? else { continue };
            if now.ending() {
                continue;
            }
            let inside = Inside {
                namespace: held.object.namespace.clone().unwrap_or_default(),
                pod: held.object.name.clone(),
                container: self.container.clone(),
            };
            let program = self.argv.first().map(String::as_str).unwrap_or_default();
            let at = held.at();
            return Ok(Some(match held.cluster(cx).await?.exec(&inside, &self.argv, self.limit).await {
                Ok(output) if output.status == Some(0) => (true, format!("`{program}` in {at} succeeds")),
                Ok(output) => {
                    let how = output.status.map_or("a signal".to_owned(), |status| format!("exit status {status}"));
                    (false, format!("`{program}` in {at} fails ({how})"))
                }
                Err(ClusterError::TimedOut(_)) => {
                    (false, format!("`{program}` in {at} has no answer within {:?}", self.limit))
                }
                Err(error) => return Err(error.into()),
            }));
        }
        Ok(None)
    }
}

impl Policy {
    fn at(&self) -> Result<At, FaultError> {
        Ok(kind()?.at(Some(&self.namespace), &self.name))
    }

    fn object(&self, tag: &str) -> Value {
        json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {
                "name": self.name, "namespace": self.namespace, "labels": mark::labels(tag, "helper"),
                "annotations": {super::UNDO_ANNOTATION: mark::record(tag)},
            },
            "spec": self.spec,
        })
    }

    async fn look(&self, cluster: &dyn Cluster, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let tag = &cx.owner.tag();
        let at = self.at()?;
        let Some(now) = cluster.get(&at).await?.filter(|now| mark::of(now, tag) == Mark::Ours) else {
            return Ok(Look { holds: false, detail: format!("{at} is not there") });
        };
        let none = json!({});
        let selector = now.0.pointer("/spec/podSelector").unwrap_or(&none);
        let selected = selected(cluster, Some(&self.namespace), selector).await?;
        let mut missed = Vec::new();
        for held in self.pods.iter().filter(|held| !selected.contains(&held.object.uid)) {
            if matches!(held.now(cx).await?, Now::Same(now) if !now.ending()) {
                missed.push(held.object.name.clone());
            }
        }
        let mut detail = format!("{at} selects {} pods", selected.len());
        if !missed.is_empty() {
            detail = format!("{detail}, and not {}", missed.join(", "));
        }
        Ok(Look { holds: !selected.is_empty() && missed.is_empty(), detail })
    }
}

impl Undo {
    async fn cluster(&self, cx: &Cx<'_>) -> Result<std::sync::Arc<dyn Cluster>, FaultError> {
        Ok(cx.world.clusters.open(&self.home.access).await?)
    }

    async fn apply(&self, write: Write, cx: &Cx<'_>) -> Result<(), FaultError> {
        let (tag, cluster) = (cx.owner.tag(), self.cluster(cx).await?);
        for (held, value) in &self.labelled {
            if matches!(held.now(cx).await?, Now::Same(_)) {
                let label = json!({"metadata": {"labels": {SIDE: value}}});
                mark::change(held, &tag, write, cx, |_| Ok(label.clone())).await?;
            }
        }
        for policy in &self.policies {
            cluster.apply(&policy.at()?, &policy.object(&tag), write).await?;
        }
        Ok(())
    }
}

async fn remove(policy: &Policy, cluster: &dyn Cluster, tag: &str) -> Result<(), FaultError> {
    let at = policy.at()?;
    let Some(now) = cluster.get(&at).await?.filter(|now| mark::of(now, tag) == Mark::Ours) else { return Ok(()) };
    let how = Deletion { uid: Some(now.uid().to_owned()), ..Deletion::default() };
    match cluster.delete(&at, &how, Write::Real).await {
        Ok(()) | Err(ClusterError::Missing(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

impl Fault for NetworkPolicy {
    const KIND: &'static str = "network_policy";
    const SUMMARY: &'static str = "cut pods off by NetworkPolicies, from everything or from each other";
    const REVERSIBILITY: Reversibility = Reversibility::Reversible;
    const TARGETS: &'static [&'static str] = &["kubernetes"];
    type Undo = Undo;

    fn targets(&self) -> Vec<&TargetRef> {
        std::iter::once(&self.target).chain(&self.peer).collect()
    }

    fn permissions(&self) -> Vec<String> {
        let mut all = vec!["to apply and delete networkpolicies, and to label pods".to_owned()];
        all.push(match self.look {
            Some(_) => "to run a program in a pod; a network that enforces policies (the `look` shows it)".to_owned(),
            None => "a network that enforces policies: nothing shows that it does; give the fault a `look`".to_owned(),
        });
        all
    }

    fn rights(&self) -> Vec<Right> {
        let policies = Resource::Namespaced("networking.k8s.io".to_owned(), "networkpolicies".to_owned());
        let exec = Resource::Namespaced(String::new(), "pods/exec".to_owned());
        let mut rights = Vec::new();
        for target in self.targets() {
            rights.extend(Right::each(target, &policies, &["get", "list", "create", "patch", "delete"]));
            rights.extend(Right::each(target, &Resource::Itself(None), &["get", "list", "patch"]));
        }
        if let Some(look) = &self.look {
            let who = self.peer.as_ref().filter(|_| look.from == Who::Peer).unwrap_or(&self.target);
            rights.extend(Right::each(who, &exec, &["create", "get"]));
        }
        rights
    }

    fn way_back(&self) -> String {
        "our network policies are removed".to_owned()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Undo, FaultError> {
        let (tag, (target, peer)) = (cx.owner.tag(), self.ends(cx).await?);
        let both: Vec<&End<'_>> = std::iter::once(&target).chain(&peer).collect();
        self.can_cut(&both, cx).await?;
        let mut labelled = Vec::new();
        for end in &both {
            // What the other end's policy excludes is known by a label of ours, and so is what has no selector.
            if peer.is_some() || end.own.is_none() {
                for (held, pod) in &end.pods {
                    mark::free(pod, &held.at())?;
                    labelled.push((held.clone(), end.side(&tag)));
                }
            }
        }
        let groups = (target.group(&tag), peer.as_ref().map(|peer| peer.group(&tag)));
        let mut policies = target.policies(&tag, groups.1.as_ref());
        policies.extend(peer.iter().flat_map(|peer| peer.policies(&tag, Some(&groups.0))));
        let look = self.attempt(&target, peer.as_ref(), cx).await?;
        let pods = target.held().cloned().collect();
        Ok(Undo { home: home(&self.target, cx).await?, policies, labelled, pods, look })
    }

    async fn rehearse(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        undo.apply(Write::Dry, cx).await
    }

    async fn inject(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        undo.apply(Write::Real, cx).await
    }

    /// That the policies are there and select the pods; that traffic is cut is said only if it was tried.
    async fn effective(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let (cluster, mut looks) = (undo.cluster(cx).await?, Vec::new());
        for policy in &undo.policies {
            looks.push(policy.look(&*cluster, cx).await?);
        }
        let there = together(looks);
        let Some(attempt) = undo.look.as_ref().filter(|_| there.holds) else {
            let nobody = if there.holds { "; whether the network enforces it was not tried" } else { "" };
            return Ok(Look { holds: there.holds, detail: format!("{}{nobody}", there.detail) });
        };
        let (holds, said) = match attempt.run(cx).await? {
            Some((succeeded, said)) => (!succeeded, said),
            None => (false, "no pod is there that could try".to_owned()),
        };
        Ok(Look { holds, detail: format!("{}; {said}", there.detail) })
    }

    async fn heal(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        let (tag, cluster, mut failed) = (cx.owner.tag(), undo.cluster(cx).await?, None);
        for policy in undo.policies.iter().rev() {
            failed = remove(policy, &*cluster, &tag).await.err().or(failed);
        }
        let off = |now: &Object| now.label(SIDE).map(|_| json!({"metadata": {"labels": {SIDE: null}}}));
        for (held, _) in undo.labelled.iter().rev() {
            failed = mark::put_back(held, &tag, cx, off).await.err().or(failed);
        }
        failed.map_or(Ok(()), Err)
    }

    async fn healed(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let (tag, cluster) = (cx.owner.tag(), undo.cluster(cx).await?);
        for policy in &undo.policies {
            let at = policy.at()?;
            if cluster.get(&at).await?.is_some_and(|now| mark::of(&now, &tag) == Mark::Ours) {
                return Ok(Look { holds: false, detail: format!("{at} is there") });
            }
        }
        for (held, value) in &undo.labelled {
            if let Now::Same(now) | Now::Replaced(now) = held.now(cx).await?
                && (now.label(SIDE) == Some(value) || mark::of(&now, &tag) == Mark::Ours)
            {
                return Ok(Look { holds: false, detail: format!("{} carries our label", held.at()) });
            }
        }
        let gone = "our network policies are gone".to_owned();
        Ok(match &undo.look {
            None => Look { holds: true, detail: gone },
            Some(attempt) => match attempt.run(cx).await? {
                Some((holds, said)) => Look { holds, detail: format!("{gone}; {said}") },
                None => Look { holds: true, detail: format!("{gone}; the pods that tried are gone too") },
            },
        })
    }

    fn home(undo: &Undo) -> Option<&Home> {
        Some(&undo.home)
    }

    fn by_hand(&self, undo: &Undo) -> String {
        let policy = |policy: &Policy| {
            let what = format!("delete networkpolicy {} --ignore-not-found", policy.name);
            kubectl::line(&undo.home.access, Some(&policy.namespace), &what)
        };
        let label = |(held, _): &(Held, String)| {
            let off = kubectl::at(held, &format!("label pod {} {SIDE}-", held.object.name));
            format!("{off}; {}", kubectl::unmark(held))
        };
        let lines = undo.policies.iter().map(policy).chain(undo.labelled.iter().map(label));
        lines.collect::<Vec<_>>().join("; ")
    }

    fn touched(&self, undo: &Undo) -> Vec<String> {
        let others = undo.labelled.iter().map(|(held, _)| held).filter(|held| !undo.pods.contains(held));
        undo.pods.iter().chain(others).map(|held| kubectl::shown(&held.object)).collect()
    }
}
