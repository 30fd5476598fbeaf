//! Breaks the selectors of Services, so that they lead nowhere. Healing takes our label out of them again.

use super::config::together;
use super::lost::{known, serves};
use super::mark::{self, Mark};
use super::{Held, Home, Now, home, kubectl, objects};
use crate::adapters::kubernetes::{Cluster, Flow, Object, Query, Write};
use crate::faults::{Cx, Fault, FaultError, Look, Reversibility};
use crate::model::{Resource, Right, TargetRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// No pod has this label.
const IMPOSSIBLE: &str = "blackstart.dev/nobody";

/// Adds a label that no pod has to the selectors of Services until it is healed: their endpoints become empty, the pods
/// run on. A Service without a selector, or that leads nowhere already, is refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceSelector {
    /// A target of kind `kubernetes`: Services.
    pub target: TargetRef,
}

/// A Service as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// The very Service.
    pub held: Held,
    /// Its selector.
    pub selector: BTreeMap<String, String>,
    /// So many addresses it led to.
    pub addresses: usize,
}

/// The Services.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undo {
    /// Where the record stands.
    pub home: Home,
    /// As they were.
    pub services: Vec<Service>,
}

fn selector(service: &Object) -> BTreeMap<String, String> {
    let selector = service.0.pointer("/spec/selector").cloned().unwrap_or_default();
    serde_json::from_value(selector).unwrap_or_default()
}

/// The addresses that a Service leads to now, and whether our mark is on what says so.
async fn addresses(held: &Held, cluster: &dyn Cluster, tag: &str) -> Result<(usize, Mark), FaultError> {
    let at = known("endpoints")?.at(held.object.namespace.as_deref(), &held.object.name);
    let Some(endpoints) = cluster.get(&at).await? else { return Ok((0, Mark::None)) };
    let ready = |subset: &Value| subset.get("addresses").and_then(Value::as_array).map_or(0, Vec::len);
    Ok((endpoints.items("/subsets").iter().map(ready).sum(), mark::of(&endpoints, tag)))
}

/// How many pods serve that a selector selects.
async fn ready(
    selector: &BTreeMap<String, String>,
    namespace: Option<&str>,
    cluster: &dyn Cluster,
) -> Result<usize, FaultError> {
    let labels: Vec<String> = selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let namespace = namespace.map(str::to_owned);
    let query = Query { kind: known("pod")?, namespace, labels: labels.join(","), fields: String::new() };
    let mut ready = 0;
    let mut each = |pod: Object| {
        ready += usize::from(serves(&pod));
        Flow::On
    };
    cluster.list(&query, &mut each).await?;
    Ok(ready)
}

impl Service {
    fn broken(tag: &str) -> Value {
        json!({"spec": {"selector": {IMPOSSIBLE: tag}}})
    }

    async fn healed(&self, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let (at, tag) = (self.held.at(), cx.owner.tag());
        let (Now::Same(now) | Now::Replaced(now)) = self.held.now(cx).await? else {
            return Ok(Look { holds: true, detail: format!("{at} was removed by somebody") });
        };
        let selector = selector(&now);
        if selector.get(IMPOSSIBLE) == Some(&tag) || mark::of(&now, &tag) == Mark::Ours {
            return Ok(Look { holds: false, detail: format!("the selector of {at} is broken by us") });
        }
        let cluster = self.held.cluster(cx).await?;
        let (addresses, marked) = addresses(&self.held, &*cluster, &tag).await?;
        if marked == Mark::Ours {
            return Ok(Look { holds: false, detail: format!("the endpoints of {at} carry our label still") });
        }
        let enough = addresses >= self.addresses
            || (addresses > 0
                && addresses >= ready(&selector, self.held.object.namespace.as_deref(), &*cluster).await?);
        let changed = if selector == self.selector { "" } else { ", with a selector that somebody changed meanwhile" };
        let detail = format!("{at} leads to {addresses} addresses, and led to {}{changed}", self.addresses);
        Ok(Look { holds: enough, detail })
    }
}

impl Fault for ServiceSelector {
    const KIND: &'static str = "service_selector";
    const SUMMARY: &'static str = "break the selectors of Kubernetes Services, so that they lead nowhere";
    const REVERSIBILITY: Reversibility = Reversibility::Reversible;
    const TARGETS: &'static [&'static str] = &["kubernetes"];
    type Undo = Undo;

    fn targets(&self) -> Vec<&TargetRef> {
        vec![&self.target]
    }

    fn permissions(&self) -> Vec<String> {
        vec!["to patch services, and to read their endpoints and pods".to_owned()]
    }

    fn rights(&self) -> Vec<Right> {
        let namespaced = |plural: &str| Resource::Namespaced(String::new(), plural.to_owned());
        let mut rights = Right::each(&self.target, &Resource::Itself(None), &["get", "list", "patch"]);
        rights.extend(Right::each(&self.target, &namespaced("endpoints"), &["get"]));
        rights.extend(Right::each(&self.target, &namespaced("pods"), &["list"]));
        rights
    }

    fn way_back(&self) -> String {
        "the selectors get back what they were".to_owned()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Undo, FaultError> {
        let (tag, mut services) = (cx.owner.tag(), Vec::new());
        for held in objects(&self.target, cx).await? {
            let at = held.at();
            if held.object.kind != "Service" || !held.kind.group.is_empty() {
                let why = format!("{at} of `{}` is no Service: write `kind: service`", self.target.name());
                return Err(FaultError::Reference(why));
            }
            let Now::Same(now) = held.now(cx).await? else {
                return Err(FaultError::NothingToBreak(format!("{at} is gone")));
            };
            mark::free(&now, &at)?;
            let selector = selector(&now);
            if selector.is_empty() {
                return Err(FaultError::NothingToBreak(format!("{at} has no selector")));
            }
            let (addresses, _) = addresses(&held, &*held.cluster(cx).await?, &tag).await?;
            if addresses == 0 {
                return Err(FaultError::NothingToBreak(format!("{at} leads nowhere already")));
            }
            services.push(Service { held, selector, addresses });
        }
        Ok(Undo { home: home(&self.target, cx).await?, services })
    }

    async fn rehearse(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        let tag = cx.owner.tag();
        for service in &undo.services {
            mark::change(&service.held, &tag, Write::Dry, cx, |_| Ok(Service::broken(&tag))).await?;
        }
        Ok(())
    }

    async fn inject(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        let tag = cx.owner.tag();
        for service in &undo.services {
            if matches!(service.held.now(cx).await?, Now::Same(_)) {
                mark::change(&service.held, &tag, Write::Real, cx, |_| Ok(Service::broken(&tag))).await?;
            }
        }
        Ok(())
    }

    /// Not the Service is looked at, but where it leads.
    async fn effective(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let (tag, mut looks) = (cx.owner.tag(), Vec::new());
        for Service { held, .. } in &undo.services {
            let (now, _) = addresses(held, &*held.cluster(cx).await?, &tag).await?;
            looks.push(Look { holds: now == 0, detail: format!("{} leads to {now} addresses", held.at()) });
        }
        Ok(together(looks))
    }

    async fn heal(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        let (tag, mut failed) = (cx.owner.tag(), None);
        let back = |now: &Object| {
            let ours = selector(now).get(IMPOSSIBLE) == Some(&tag);
            ours.then(|| json!({"spec": {"selector": {IMPOSSIBLE: null}}}))
        };
        for service in undo.services.iter().rev() {
            failed = mark::put_back(&service.held, &tag, cx, back).await.err().or(failed);
        }
        failed.map_or(Ok(()), Err)
    }

    async fn healed(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let mut looks = Vec::new();
        for service in &undo.services {
            looks.push(service.healed(cx).await?);
        }
        Ok(together(looks))
    }

    fn home(undo: &Undo) -> Option<&Home> {
        Some(&undo.home)
    }

    fn by_hand(&self, undo: &Undo) -> String {
        let patch = json!({"spec": {"selector": {IMPOSSIBLE: null}}});
        let line = |service: &Service| {
            let name = kubectl::name(&service.held);
            let patch = kubectl::at(&service.held, &format!("patch {name} --type merge -p '{patch}'"));
            format!("{patch}; {}", kubectl::unmark(&service.held))
        };
        undo.services.iter().map(line).collect::<Vec<_>>().join("; ")
    }

    fn touched(&self, undo: &Undo) -> Vec<String> {
        undo.services.iter().map(|service| kubectl::shown(&service.held.object)).collect()
    }
}
