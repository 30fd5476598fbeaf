//! Looks at objects of a Kubernetes cluster: how many are ready, what their conditions and fields say, whether a rollout is
//! over, whether somebody serves behind a service, whether budgets are kept. What each question means is in the files below.

use super::{JsonPathError, Probe, ProbeError, Sample, json_path, judged, system};
use crate::adapters::AdapterError;
use crate::adapters::kubernetes::{Cluster, Flow, Kind, Object, Query};
use crate::faults::kubernetes::{self as clusters, Found};
use crate::faults::{Cx, quote};
use crate::model::{Comparison, Dur, KubernetesTarget, Resource, Right, Scalar, TargetRef, Template};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

mod asks;
pub(crate) mod pods;
pub(crate) mod readiness;
mod rollout;
pub(crate) mod selector;

/// So many objects are named when something is wrong with them.
const NAMED: usize = 5;

/// A question to the objects of a cluster whose answer is looked at. They are those that fit the target at that moment: a pod
/// that took another's place counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KubernetesProbe {
    /// A target of kind `kubernetes`.
    pub target: TargetRef,
    /// What is asked: `ready_replicas` (ready pods of workloads), `ready` (a number of objects, or a share: `100%`), `condition`,
    /// `endpoints` (ready addresses of a service), `rollout` (`finished`, `progressing`, `stuck`), `events`, `budget` (`kept`,
    /// `broken`, `none`), `nodes_ready`, `count`, `restarts`, or `field`.
    pub ask: KubernetesAsk,
    /// The type of a condition, `Available`; for `condition`. Its status (`True`, `False`, `Unknown`, `missing`) is the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// The reason of events, `BackOff`; for `events`. All if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Template>,
    /// A JSON path to the value in each object; for `field`. The whole object if not given: `value: {cel: …}` sees it as `value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<String>,
    /// What the answer must be; for `condition` and `field`, that of every object.
    pub value: Comparison,
    /// Limit of one look; 5s if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Dur>,
}

/// What is asked of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KubernetesAsk {
    /// How many pods of the workloads are ready.
    ReadyReplicas,
    /// How many of the objects are ready, or which share.
    Ready,
    /// The status of a condition of each.
    Condition,
    /// How many addresses behind the services are ready.
    Endpoints,
    /// Whether the newest template of the workloads is rolled out.
    Rollout,
    /// How many events about them there were since the drill began.
    Events,
    /// Whether every disruption budget that selects the pods has as many healthy pods as it wants.
    Budget,
    /// How many nodes are ready: those of the target, or those of its zone.
    NodesReady,
    /// How many objects fit the target.
    Count,
    /// How often containers of the pods were started again, since the pods were made.
    Restarts,
    /// A value in each.
    Field,
}

/// An answer that is one value.
struct Seen {
    value: String,
    /// What people should know besides; empty if nothing.
    note: String,
    fields: BTreeMap<String, String>,
}

impl Seen {
    fn of(value: impl ToString, note: String) -> Self {
        Self { value: value.to_string(), note, fields: BTreeMap::new() }
    }

    fn field(mut self, name: &str, value: impl ToString) -> Self {
        self.fields.insert(name.to_owned(), value.to_string());
        self
    }
}

/// A target as it is now, and its cluster.
pub(crate) struct Place {
    pub cluster: Arc<dyn Cluster>,
    pub found: Found,
    pub spec: KubernetesTarget,
    pub name: String,
}

impl Place {
    /// What fits the target now.
    pub async fn of(target: &TargetRef, cx: &Cx<'_>) -> Result<Self, ProbeError> {
        let spec = clusters::spec(target, cx)?;
        let found = clusters::find(&spec, cx).await?;
        let cluster = cx.world.clusters.open(&found.access).await?;
        Ok(Self { cluster, found, spec, name: target.name().to_owned() })
    }

    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.found.objects.iter().map(|(object, _)| object)
    }

    /// It cannot be asked that.
    pub fn odd(&self, what: &str) -> ProbeError {
        let kind = self.found.kind.kind.to_lowercase();
        ProbeError::Undecided(format!("`{}` is of kind {kind}: {what}", self.name))
    }
}

/// All objects of a query.
pub(crate) async fn all(cluster: &dyn Cluster, query: &Query) -> Result<Vec<Object>, ProbeError> {
    let mut objects = Vec::new();
    let mut each = |object: Object| {
        objects.push(object);
        Flow::On
    };
    cluster.list(query, &mut each).await?;
    Ok(objects)
}

/// All objects of a kind in a namespace that have these labels.
pub(crate) fn labelled(kind: Kind, namespace: Option<&str>, labels: String) -> Query {
    Query { kind, namespace: namespace.map(str::to_owned), labels, fields: String::new() }
}

/// Some names, and how many more there are.
fn named(names: &[String]) -> String {
    let more = names.len().saturating_sub(NAMED);
    let shown = names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

impl KubernetesProbe {
    /// What is asked, as people say it.
    fn what(&self) -> String {
        let name = self.target.name();
        match self.ask {
            KubernetesAsk::ReadyReplicas => format!("the number of ready pods of `{name}`"),
            KubernetesAsk::Ready => format!("the number of `{name}` that are ready"),
            KubernetesAsk::Condition => format!("{} of", self.condition.as_deref().unwrap_or_default()),
            KubernetesAsk::Endpoints => format!("the number of ready addresses behind `{name}`"),
            KubernetesAsk::Rollout => format!("the rollout of `{name}`"),
            KubernetesAsk::Events => format!("the number of events about `{name}`"),
            KubernetesAsk::Budget => format!("the budget of the pods of `{name}`"),
            KubernetesAsk::NodesReady => format!("the number of ready nodes of `{name}`"),
            KubernetesAsk::Count => format!("the number of `{name}`"),
            KubernetesAsk::Restarts => format!("the number of restarts in `{name}`"),
            KubernetesAsk::Field => format!("{} of", self.json.as_deref().unwrap_or("$")),
        }
    }

    /// What does not go together in it, and what to write instead.
    #[must_use]
    pub fn mistake(&self) -> Option<(&'static str, &'static str)> {
        let is = |ask| self.ask == ask;
        match () {
            () if is(KubernetesAsk::Condition) && self.condition.is_none() => {
                Some(("`ask: condition` does not say which", "write its type beside it: `condition: Available`"))
            }
            () if self.condition.is_some() && !is(KubernetesAsk::Condition) => {
                Some(("`condition` belongs to `ask: condition`", "write `ask: condition`, or take it out"))
            }
            () if self.reason.is_some() && !is(KubernetesAsk::Events) => {
                Some(("`reason` belongs to `ask: events`", "write `ask: events`, or take it out"))
            }
            () if self.json.is_some() && !is(KubernetesAsk::Field) => {
                Some(("`json` belongs to `ask: field`", "write `ask: field`, or take it out"))
            }
            () => None,
        }
    }

    async fn look(&self, cx: &Cx<'_>) -> Result<Sample, ProbeError> {
        if let Some((what, help)) = self.mistake() {
            return Err(ProbeError::Undecided(format!("{what}: {help}")));
        }
        let place = Place::of(&self.target, cx).await?;
        let seen = match self.ask {
            KubernetesAsk::Condition | KubernetesAsk::Field => return self.each(&place, cx),
            KubernetesAsk::Ready => return self.ready(&place, cx),
            KubernetesAsk::ReadyReplicas => asks::ready_replicas(&place).await?,
            KubernetesAsk::Endpoints => asks::endpoints(&place).await?,
            KubernetesAsk::Rollout => asks::rollout(&place).await?,
            KubernetesAsk::Events => {
                let reason = self.reason.as_ref().map(|reason| cx.text(reason)).transpose()?;
                asks::events(&place, reason.as_deref(), &self.target, cx).await?
            }
            KubernetesAsk::Budget => asks::budget(&place).await?,
            KubernetesAsk::NodesReady => asks::nodes_ready(&place, cx).await?,
            KubernetesAsk::Count => Seen::of(place.found.objects.len(), String::new()),
            KubernetesAsk::Restarts => asks::restarts(&place).await?,
        };
        self.told(seen, &self.value, cx)
    }

    fn told(&self, seen: Seen, wanted: &Comparison, cx: &Cx<'_>) -> Result<Sample, ProbeError> {
        let mut sample = Sample { holds: true, ..Sample::default() };
        sample.judge(judged(wanted, &seen.value, &self.what(), cx)?);
        if !seen.note.is_empty() {
            sample.detail.push_str(&format!("; {}", quote(&seen.note, 300)));
        }
        sample.answer.clone_from(&seen.value);
        sample.fields = seen.fields;
        sample.fields.insert("value".to_owned(), seen.value);
        Ok(sample)
    }

    /// A number, or a share if that is what is wanted.
    fn ready(&self, place: &Place, cx: &Cx<'_>) -> Result<Sample, ProbeError> {
        let (seen, total) = asks::ready(place)?;
        let Some(wanted) = share(&self.value) else { return self.told(seen, &self.value, cx) };
        if total == 0 {
            let mut sample = Sample::default();
            sample.fail(format!("nothing is `{}`\nwanted: a share of it that is ready", place.name));
            return Ok(sample);
        }
        let ready: f64 = seen.value.parse().unwrap_or_default();
        // Rounded down: 100 means all of them.
        let percent = (ready * 100.0 / total as f64).floor();
        self.told(Seen { value: percent.to_string(), ..seen }, &wanted, cx)
    }

    /// Every object must be as wanted; the first that is not is told.
    fn each(&self, place: &Place, cx: &Cx<'_>) -> Result<Sample, ProbeError> {
        let mut sample = Sample::default();
        if place.found.objects.is_empty() {
            sample.fail(format!("nothing is `{}`\nwanted: {} it", place.name, self.what()));
            return Ok(sample);
        }
        for (object, at) in &place.found.objects {
            let what = format!("{} {at}", self.what());
            let value = match self.value_of(object) {
                Ok(value) => value,
                Err(error @ JsonPathError::Path(_)) => return Err(ProbeError::Undecided(error.to_string())),
                Err(nothing) => {
                    sample.fail(format!("{at}: {nothing}"));
                    return Ok(sample);
                }
            };
            if place.found.kind == secret() && self.ask == KubernetesAsk::Field {
                sample.judge(hidden(judged(&self.value, &value, &what, cx), &what)?);
            } else {
                sample.judge(judged(&self.value, &value, &what, cx)?);
                sample.fields.insert("value".to_owned(), value.clone());
                sample.answer = value;
            }
            if !sample.holds {
                break;
            }
        }
        Ok(sample)
    }

    fn value_of(&self, object: &Object) -> Result<String, JsonPathError> {
        match (&self.condition, &self.json) {
            (Some(name), _) => Ok(readiness::condition(object, name).0.to_owned()),
            (None, Some(path)) => json_path(&object.0.to_string(), path),
            (None, None) => Ok(object.0.to_string()),
        }
    }
}

fn secret() -> Kind {
    Kind::of("", "v1", "Secret", "secrets", crate::adapters::kubernetes::Scope::Namespaced)
}

/// What is in a Secret is compared and never shown, nor kept.
fn hidden(judged: Result<(bool, String), ProbeError>, what: &str) -> Result<(bool, String), ProbeError> {
    match judged {
        Ok((true, _)) => Ok((true, format!("{what} is as wanted (not shown: it is a secret)"))),
        Ok((false, _)) => Ok((false, format!("{what} is not as wanted (not shown: it is a secret)"))),
        Err(ProbeError::Undecided(_)) => {
            Err(ProbeError::Undecided(format!("{what} cannot be compared in that way (not shown: it is a secret)")))
        }
        Err(world) => Err(world),
    }
}

/// The comparison without its percent signs, if that is what it is about.
fn share(wanted: &Comparison) -> Option<Comparison> {
    let bare = |scalar: &Scalar| {
        let text = scalar.0.to_string();
        Some(Scalar(Template::parse(text.trim().strip_suffix('%')?).ok()?))
    };
    Some(match wanted {
        Comparison::Equals(s) => Comparison::Equals(bare(s)?),
        Comparison::NotEquals(s) => Comparison::NotEquals(bare(s)?),
        Comparison::AtLeast(s) => Comparison::AtLeast(bare(s)?),
        Comparison::AtMost(s) => Comparison::AtMost(bare(s)?),
        Comparison::Between(a, b) => Comparison::Between(bare(a)?, bare(b)?),
        _ => return None,
    })
}

impl Probe for KubernetesProbe {
    const KIND: &'static str = "kubernetes";
    const SUMMARY: &'static str =
        "objects of a cluster: ready pods, conditions, fields, rollouts, endpoints, events, budgets, nodes";

    fn target(&self) -> Option<&TargetRef> {
        Some(&self.target)
    }

    fn rights(&self) -> Vec<Right> {
        let besides = |group: &str, plural: &str| Resource::Namespaced(group.to_owned(), plural.to_owned());
        let resource = match self.ask {
            KubernetesAsk::ReadyReplicas | KubernetesAsk::Rollout | KubernetesAsk::Restarts => besides("", "pods"),
            KubernetesAsk::Endpoints => besides("discovery.k8s.io", "endpointslices"),
            KubernetesAsk::Events => besides("", "events"),
            KubernetesAsk::Budget => besides("policy", "poddisruptionbudgets"),
            KubernetesAsk::NodesReady => Resource::Everywhere(String::new(), "nodes".to_owned()),
            KubernetesAsk::Ready | KubernetesAsk::Condition | KubernetesAsk::Count | KubernetesAsk::Field => {
                Resource::Itself(None)
            }
        };
        let mut rights = Right::each(&self.target, &Resource::Itself(None), &["list"]);
        rights.extend(Right::each(&self.target, &resource, &["list"]));
        rights.dedup();
        rights
    }

    async fn sample(&self, cx: &Cx<'_>) -> Result<Sample, ProbeError> {
        let limit = system::limit(self.timeout);
        let late = |_| AdapterError::TimedOut(format!("{}: no answer within {}", self.what(), Dur(limit)));
        tokio::time::timeout(limit, self.look(cx)).await.map_err(late)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(json: serde_json::Value) -> KubernetesProbe {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn what_does_not_go_together_is_told() {
        let value = serde_json::json!({"equals": "1"});
        let of = |more: serde_json::Value| {
            let mut whole = serde_json::json!({"target": "web", "value": value});
            whole.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            probe(whole).mistake().map(|(what, _)| what)
        };
        assert!(of(serde_json::json!({"ask": "condition"})).unwrap().contains("which"));
        assert!(of(serde_json::json!({"ask": "ready", "condition": "Ready"})).unwrap().contains("`condition` belongs"));
        assert!(of(serde_json::json!({"ask": "ready", "reason": "x"})).unwrap().contains("`reason` belongs"));
        assert!(of(serde_json::json!({"ask": "ready", "json": "$.x"})).unwrap().contains("`json` belongs"));
        for fine in [
            serde_json::json!({"ask": "field"}),
            serde_json::json!({"ask": "events"}),
            serde_json::json!({"ask": "condition", "condition": "Ready"}),
        ] {
            assert_eq!(of(fine), None);
        }
    }

    #[test]
    fn a_share_is_told_from_a_number() {
        let of = |value: serde_json::Value| share(&serde_json::from_value(value).unwrap());
        let percent = of(serde_json::json!({"at_least": "66%"})).unwrap();
        assert!(matches!(percent, Comparison::AtLeast(s) if s.0.to_string() == "66"));
        assert!(of(serde_json::json!({"between": ["50%", "100%"]})).is_some());
        assert!(of(serde_json::json!({"at_least": "3"})).is_none());
        assert!(of(serde_json::json!({"between": ["50%", "3"]})).is_none());
        assert!(of(serde_json::json!({"matches": "%"})).is_none());
    }

    #[test]
    fn what_a_secret_holds_is_not_shown() {
        let shown = [
            hidden(Ok((true, "$.data.k of secret a/b is `aHVudGVyMg==`".into())), "$.data.k of secret a/b"),
            hidden(Ok((false, "$.data.k of secret a/b is `aHVudGVyMg==`".into())), "$.data.k of secret a/b"),
            hidden(Err(ProbeError::Undecided("`aHVudGVyMg==` is not a number".into())), "$.data.k of secret a/b"),
        ];
        assert!(shown.iter().all(|one| !format!("{one:?}").contains("aHVudGVyMg")), "{shown:?}");
        assert!(shown.iter().all(|one| format!("{one:?}").contains("$.data.k")), "{shown:?}");
    }

    #[test]
    fn only_some_are_named() {
        let names: Vec<String> = (0..7).map(|n| n.to_string()).collect();
        assert_eq!(named(&names), "0, 1, 2, 3, 4 and 2 more");
        assert_eq!(named(&names[..2]), "0, 1");
    }
}
