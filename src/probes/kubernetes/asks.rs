//! What each question to a cluster's objects means, and how it is answered.

use super::pods::{pod, pods, pods_of};
use super::readiness::{observed, readiness};
use super::rollout::{Rollout, by_pods};
use super::{Place, Seen, all, labelled, named, selector};
use crate::adapters::kubernetes::{ClusterError, Kind, Object, Query};
use crate::faults::Cx;
use crate::model::TargetRef;
use crate::probes::ProbeError;
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Where nodes say which zone they are in.
const ZONE: &str = "topology.kubernetes.io/zone";
/// Events of what belongs to the whole cluster are here.
const DEFAULT: &str = "default";

/// How many are ready of how many, and which are not.
fn tally<'a>(kind: &Kind, objects: impl Iterator<Item = &'a Object>) -> Option<(Seen, usize)> {
    let (mut ready, mut total, mut others) = (0, 0, Vec::new());
    for object in objects {
        total += 1;
        match readiness(kind, object)? {
            None => ready += 1,
            Some(why) => others.push(format!("{} ({why})", object.name())),
        }
    }
    let note = if others.is_empty() { String::new() } else { format!("not ready: {}", named(&others)) };
    Some((Seen::of(ready, note).field("total", total), total))
}

pub(super) fn ready(place: &Place) -> Result<(Seen, usize), ProbeError> {
    let odd = || place.odd("it is neither ready nor unready; ask `condition`, `field`, `count` or `endpoints`");
    tally(&place.found.kind, place.objects()).ok_or_else(odd)
}

pub(super) async fn ready_replicas(place: &Place) -> Result<Seen, ProbeError> {
    let pods = pods(place).await?;
    let mut seen = tally(&pod(), pods.iter()).map(|(seen, _)| seen).unwrap_or_else(|| Seen::of(0, String::new()));
    if place.found.objects.is_empty() {
        seen.note = format!("nothing is `{}`", place.name);
    }
    Ok(seen)
}

pub(super) async fn nodes_ready(place: &Place, cx: &Cx<'_>) -> Result<Seen, ProbeError> {
    let node = Kind::of("", "v1", "Node", "nodes", crate::adapters::kubernetes::Scope::Cluster);
    let zone = place.spec.zone.as_ref().map(|zone| cx.text(zone)).transpose()?;
    let nodes: Vec<Object> = match zone.filter(|zone| !zone.is_empty()) {
        _ if place.found.kind == node => place.objects().cloned().collect(),
        Some(zone) => all(&*place.cluster, &labelled(node.clone(), None, format!("{ZONE}={zone}"))).await?,
        None => return Err(place.odd("`nodes_ready` asks nodes: write `kind: node`, or give the target a `zone`")),
    };
    let closed = nodes.iter().filter(|node| node.0.pointer("/spec/unschedulable") == Some(&Value::Bool(true))).count();
    let (seen, _) = tally(&node, nodes.iter()).unwrap_or_else(|| (Seen::of(0, String::new()), 0));
    Ok(seen.field("unschedulable", closed))
}

pub(super) async fn restarts(place: &Place) -> Result<Seen, ProbeError> {
    let of = |pod: &Object| -> i64 {
        let count = |status: &Value| status.get("restartCount").and_then(Value::as_i64).unwrap_or_default();
        pod.items("/status/containerStatuses").iter().map(count).sum()
    };
    Ok(Seen::of(pods(place).await?.iter().map(of).sum::<i64>(), String::new()))
}

/// The worst of all; pods tell sooner than a controller that nothing will come of it.
pub(super) async fn rollout(place: &Place) -> Result<Seen, ProbeError> {
    let kind = &place.found.kind;
    let mut worst: Option<(Rollout, String)> = None;
    for object in place.objects() {
        let odd = || place.odd("it rolls nothing out; name a deployment, statefulset or daemonset");
        let (mut is, mut why) = super::rollout::rollout(kind, object).ok_or_else(odd)?;
        if is == Rollout::Progressing
            && let Some(reason) = by_pods(pods_of(place, kind, object).await?.iter())
        {
            (is, why) = (Rollout::Stuck, reason);
        }
        if worst.as_ref().is_none_or(|(known, _)| is > *known) {
            worst = Some((is, if why.is_empty() { why } else { format!("{}: {why}", object.name()) }));
        }
    }
    Ok(match worst {
        Some((is, why)) => Seen::of(is.word(), why.clone()).field("reason", why),
        None => Seen::of("missing", format!("nothing is `{}`", place.name)),
    })
}

pub(super) async fn endpoints(place: &Place) -> Result<Seen, ProbeError> {
    if place.found.kind.kind != "Service" || !place.found.kind.group.is_empty() {
        return Err(place.odd("`endpoints` asks services: write `kind: service`"));
    }
    let slices = match place.cluster.kind("endpointslices.discovery.k8s.io").await {
        Ok(kind) => Some(kind),
        Err(ClusterError::Missing(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let (mut ready, mut others) = (BTreeSet::new(), BTreeSet::new());
    for service in place.objects() {
        match &slices {
            Some(kind) => {
                let labels = format!("kubernetes.io/service-name={}", service.name());
                for slice in all(&*place.cluster, &labelled(kind.clone(), service.namespace(), labels)).await? {
                    slice.items("/endpoints").iter().for_each(|one| sort_in(one, &mut ready, &mut others));
                }
            }
            None => {
                let kind = Kind::of("", "v1", "Endpoints", "endpoints", crate::adapters::kubernetes::Scope::Namespaced);
                let found = place.cluster.get(&kind.at(service.namespace(), service.name())).await?;
                for subset in found.iter().flat_map(|object| object.items("/subsets")) {
                    let list = |key: &str| subset.get(key).and_then(Value::as_array).into_iter().flatten();
                    ready.extend(list("addresses").map(who));
                    others.extend(list("notReadyAddresses").map(who));
                }
            }
        }
    }
    // One that is ready by one port or address family is ready.
    let unready = others.difference(&ready).count();
    let note = if unready > 0 { format!("{unready} more are not ready") } else { String::new() };
    Ok(Seen::of(ready.len(), note).field("unready", unready))
}

fn sort_in(endpoint: &Value, ready: &mut BTreeSet<String>, others: &mut BTreeSet<String>) {
    // What says nothing of it counts as ready: so says the API.
    let is = endpoint.pointer("/conditions/ready").and_then(Value::as_bool).unwrap_or(true);
    let set = if is { ready } else { others };
    set.insert(who(endpoint));
}

/// Whose an address is: the pod's uid, as it has one address of each family; else the address.
fn who(endpoint: &Value) -> String {
    let text = |pointer: &str| endpoint.pointer(pointer).and_then(Value::as_str);
    text("/targetRef/uid").or_else(|| text("/ip")).or_else(|| text("/addresses/0")).unwrap_or_default().to_owned()
}

/// Those about what the target was before the outage, and about what it is now.
pub(super) async fn events(
    place: &Place,
    reason: Option<&str>,
    target: &TargetRef,
    cx: &Cx<'_>,
) -> Result<Seen, ProbeError> {
    let pinned = cx.scope.target(target).await.map(|pinned| pinned.objects).unwrap_or_default();
    let now = place.objects().map(|object| object.reference(&place.found.kind));
    let about: Vec<_> = pinned.into_iter().chain(now).collect();
    let spaces: BTreeSet<&str> = about.iter().map(|one| one.namespace.as_deref().unwrap_or(DEFAULT)).collect();
    // A node's events name it by its name in place of its uid.
    let known: BTreeSet<(&str, &str)> = about
        .iter()
        .flat_map(|one| {
            let by_name = (one.kind == "Node").then_some((one.kind.as_str(), one.name.as_str()));
            [Some((one.kind.as_str(), one.uid.as_str())), by_name].into_iter().flatten()
        })
        .collect();
    let event = Kind::of("", "v1", "Event", "events", crate::adapters::kubernetes::Scope::Namespaced);
    let (mut times, mut last) = (0, String::new());
    for space in spaces {
        let fields = reason.map(|reason| format!("reason={reason}")).unwrap_or_default();
        let query = Query { kind: event.clone(), namespace: Some(space.to_owned()), labels: String::new(), fields };
        for event in all(&*place.cluster, &query).await? {
            let whom = (event.text("/involvedObject/kind"), event.text("/involvedObject/uid"));
            let fits = reason.is_none_or(|reason| event.text("/reason") == reason);
            let since = occurrences(&event, cx.scope.began());
            if known.contains(&whom) && fits && since > 0 {
                times += since;
                last = format!("{}: {}", event.text("/reason"), event.text("/message"));
            }
        }
    }
    Ok(Seen::of(times, last))
}

/// How often it happened since then, by the cluster's clock in whole seconds. Of one that also happened before, only the last
/// time is known: it counts once.
fn occurrences(event: &Object, since: DateTime<Utc>) -> i64 {
    let at = |pointer: &str| DateTime::parse_from_rfc3339(event.text(pointer)).ok().map(|at| at.timestamp());
    let first = at("/firstTimestamp").or_else(|| at("/eventTime")).or_else(|| at("/metadata/creationTimestamp"));
    let last = at("/series/lastObservedTime").or_else(|| at("/lastTimestamp")).or(first);
    let count = event.number("/series/count").or_else(|| event.number("/count")).unwrap_or(1).max(1);
    match (first, last) {
        (Some(first), _) if first >= since.timestamp() => count,
        (_, Some(last)) if last >= since.timestamp() => 1,
        _ => 0,
    }
}

pub(super) async fn budget(place: &Place) -> Result<Seen, ProbeError> {
    let labels = labels_of_pods(place)?;
    let kind = place.cluster.kind("poddisruptionbudgets.policy").await?;
    let spaces: BTreeSet<&str> = labels.iter().map(|(space, _)| space.as_str()).collect();
    let (mut kept, mut broken) = (Vec::new(), Vec::new());
    for space in spaces {
        for budget in all(&*place.cluster, &labelled(kind.clone(), Some(space), String::new())).await? {
            let selector = budget.0.pointer("/spec/selector").unwrap_or(&Value::Null);
            if !labels.iter().any(|(of, labels)| of == space && selects(&kind, selector, labels)) {
                continue;
            }
            let figure = |name: &str| budget.number(&format!("/status/{name}"));
            let (Some(healthy), Some(wanted), true) =
                (figure("currentHealthy"), figure("desiredHealthy"), observed(&budget))
            else {
                let why = format!("its controller has not looked at the budget {} yet", budget.name());
                return Err(ProbeError::Undecided(why));
            };
            let list = if healthy >= wanted { &mut kept } else { &mut broken };
            list.push(format!("{}: {healthy} of {wanted} healthy", budget.name()));
        }
    }
    Ok(match (broken.as_slice(), kept.as_slice()) {
        ([], []) => Seen::of("none", "no budget selects them".to_owned()),
        ([], kept) => Seen::of("kept", named(kept)),
        (broken, _) => Seen::of("broken", named(broken)),
    })
}

type Labels = BTreeMap<String, String>;

/// Namespaces and labels of the pods: of a workload those that its template gives them, so that they are known without any.
fn labels_of_pods(place: &Place) -> Result<Vec<(String, Labels)>, ProbeError> {
    let kind = &place.found.kind;
    let at = match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "Pod") => "/metadata/labels",
        ("apps", "Deployment" | "StatefulSet" | "ReplicaSet" | "DaemonSet") | ("batch", "Job") => {
            "/spec/template/metadata/labels"
        }
        _ => return Err(place.odd("budgets are for pods; name pods or a workload")),
    };
    let text = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
    let of = |object: &Object| {
        let labels = object.0.pointer(at).and_then(Value::as_object).into_iter().flatten().filter_map(text).collect();
        (object.namespace().unwrap_or_default().to_owned(), labels)
    };
    Ok(place.objects().map(of).collect())
}

/// In the first version of the API one without requirements selects nothing, later everything.
fn selects(kind: &Kind, selector: &Value, labels: &BTreeMap<String, String>) -> bool {
    let empty = selector::query(selector).is_empty();
    if empty { kind.version == "v1" && selector.is_object() } else { selector::fits(selector, labels) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_happened_since_counts() {
        let since = DateTime::parse_from_rfc3339("2026-01-01T10:00:00.9Z").unwrap().to_utc();
        let event = |json: Value| occurrences(&Object(json), since);
        let (before, after) = ("2026-01-01T09:59:59Z", "2026-01-01T10:00:01Z");
        assert_eq!(event(json!({"firstTimestamp": after, "lastTimestamp": after, "count": 3})), 3);
        assert_eq!(event(json!({"firstTimestamp": before, "lastTimestamp": after, "count": 3})), 1);
        assert_eq!(event(json!({"firstTimestamp": before, "lastTimestamp": before, "count": 3})), 0);
        assert_eq!(
            event(json!({"firstTimestamp": null, "eventTime": "2026-01-01T10:00:00.100000Z"})),
            1,
            "whole seconds"
        );
        assert_eq!(event(json!({"eventTime": before, "series": {"count": 4, "lastObservedTime": after}})), 1);
        assert_eq!(event(json!({})), 0);
    }

    #[test]
    fn an_endpoint_is_counted_once() {
        let (mut ready, mut others) = (BTreeSet::new(), BTreeSet::new());
        for endpoint in [
            json!({"addresses": ["10.0.0.1"], "conditions": {"ready": true}, "targetRef": {"uid": "a"}}),
            json!({"addresses": ["fd00::1"], "conditions": {"ready": true}, "targetRef": {"uid": "a"}}),
            json!({"addresses": ["10.0.0.2"], "conditions": {}}),
            json!({"addresses": ["10.0.0.3"], "conditions": {"ready": false}, "targetRef": {"uid": "c"}}),
        ] {
            sort_in(&endpoint, &mut ready, &mut others);
        }
        assert_eq!((ready.len(), others.len()), (2, 1));
    }

    #[test]
    fn an_empty_selector_means_everything_or_nothing_by_version() {
        use crate::adapters::kubernetes::Scope::Namespaced;
        let of = |version: &str| Kind::of("policy", version, "PodDisruptionBudget", "poddisruptionbudgets", Namespaced);
        let none = BTreeMap::new();
        assert!(selects(&of("v1"), &json!({}), &none) && !selects(&of("v1beta1"), &json!({}), &none));
        assert!(!selects(&of("v1"), &Value::Null, &none), "no selector at all");
        assert!(!selects(&of("v1"), &json!({"matchLabels": {"a": "b"}}), &none));
    }
}
