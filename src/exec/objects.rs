//! From objects of a cluster as written to those that are there: resolved, pinned by uid, with the fields that a playbook
//! can name and those that say whether they may be touched.

use crate::adapters::kubernetes::{Kind, Object};
use crate::faults::kubernetes::{self, Way};
use crate::faults::{Cx, FaultError};
use crate::model::{KubernetesTarget, ObjectRef, PinnedTarget};
use std::collections::{BTreeMap, BTreeSet};

/// The label by which a namespace or an object offers itself, or forbids to be touched.
const LABEL: &str = "blackstart";
const ALLOWED: &str = "allowed";
const PROTECTED: &str = "protected";

/// What was seen on the way through the list.
#[derive(Default)]
struct Seen {
    objects: Vec<ObjectRef>,
    /// The first by namespace and name, whole.
    first: Option<Object>,
    /// How many carry the label that allows it.
    allowed: usize,
    /// How many carry the label that forbids it.
    protected: usize,
}

impl Seen {
    fn take(&mut self, object: Object, pinned: ObjectRef) {
        self.allowed += usize::from(object.label(LABEL) == Some(ALLOWED));
        self.protected += usize::from(object.label(LABEL) == Some(PROTECTED));
        let order = |o: &Object| (o.namespace().map(str::to_owned), o.name().to_owned());
        if self.first.as_ref().is_none_or(|first| order(&object) < order(first)) {
            self.first = Some(object);
        }
        self.objects.push(pinned);
    }
}

/// The parts of a cluster that objects are in: what one drill has to itself. Pods and what they belong to come and go, and
/// selectors overlap; a namespace does not, and what belongs to the whole cluster goes by its kind.
pub(super) fn parts(objects: &[ObjectRef]) -> BTreeSet<String> {
    let part = |object: &ObjectRef| match &object.namespace {
        Some(namespace) => format!("namespace {namespace}"),
        None if object.kind == "Namespace" => format!("namespace {}", object.name),
        None => format!("every {}", object.kind.to_lowercase()),
    };
    objects.iter().map(part).collect()
}

/// What a target is now; that it is nothing is an error.
pub(super) async fn resolve(name: &str, target: &KubernetesTarget, cx: &Cx<'_>) -> Result<PinnedTarget, String> {
    let wrong = |why: String| format!("target `{name}`: {why}");
    let failed = |e: FaultError| wrong(e.to_string());
    let mut seen = Seen::default();
    let mut take = |object: Object, _: &Kind, pinned: ObjectRef| seen.take(object, pinned);
    let way = kubernetes::each(target, cx, &mut take).await.map_err(failed)?;
    let Seen { mut objects, first, allowed, protected } = seen;
    let Some(first) = first else {
        return Err(wrong(format!("there is no such {}", way.kind.kind.to_lowercase())));
    };
    objects.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    let said = match said(&way).await.map_err(failed)? {
        Some(PROTECTED) => Some(PROTECTED),
        _ if protected > 0 => Some(PROTECTED),
        Some(ALLOWED) => Some(ALLOWED),
        _ if allowed == objects.len() => Some(ALLOWED),
        _ => None,
    };
    let mut fields = fields(&first, &objects, &way).await;
    fields.extend(said.map(|said| (format!("label.{LABEL}"), said.to_owned())));
    Ok(PinnedTarget { name: name.to_owned(), kind: "kubernetes".to_owned(), processes: Vec::new(), objects, fields })
}

/// What the namespace says of drills. One that cannot be asked may be protected.
pub(super) async fn said(way: &Way) -> Result<Option<&'static str>, FaultError> {
    let (Some(namespace), Some(kind)) = (&way.namespace, Kind::known("namespace")) else { return Ok(None) };
    let found = way.cluster.get(&kind.at(None, namespace)).await?;
    Ok(found.and_then(|found| match found.label(LABEL) {
        Some(ALLOWED) => Some(ALLOWED),
        Some(PROTECTED) => Some(PROTECTED),
        _ => None,
    }))
}

async fn fields(first: &Object, objects: &[ObjectRef], way: &Way) -> BTreeMap<String, String> {
    let names: Vec<&str> = objects.iter().map(|object| object.name.as_str()).collect();
    let server = way.cluster.facts().server;
    let context = way.access.context.clone().or_else(|| way.cluster.context()).unwrap_or_default();
    let mut fields = BTreeMap::from(
        [
            ("name", first.name().to_owned()),
            ("names", names.join(" ")),
            ("namespace", first.namespace().unwrap_or_default().to_owned()),
            ("kind", way.kind.kind.to_lowercase()),
            ("count", objects.len().to_string()),
            ("context", context),
            ("server", server),
            ("home", way.home.namespace.clone()),
        ]
        .map(|(key, value)| (key.to_owned(), value)),
    );
    let mut add = |key: &str, value: Option<&str>| {
        fields.extend(value.filter(|value| !value.is_empty()).map(|value| (key.to_owned(), value.to_owned())));
    };
    let zone = objects.iter().find(|object| object.name == first.name()).and_then(|object| object.zone.clone());
    match way.kind.kind.as_str() {
        "Pod" => {
            let node = first.text("/spec/nodeName");
            add("node", Some(node));
            add("address", Some(first.text("/status/podIP")));
            // Known where nodes may be read; nothing depends on it.
            let zone = match zone {
                None if !node.is_empty() => kubernetes::zone_of(node, &*way.cluster).await.ok().flatten(),
                zone => zone,
            };
            add("zone", zone.as_deref());
        }
        "Node" => {
            let internal = first.items("/status/addresses").iter().find(|a| a["type"] == "InternalIP");
            add("address", internal.and_then(|a| a["address"].as_str()));
            add("zone", zone.as_deref());
        }
        "Service" => add("address", Some(first.text("/spec/clusterIP")).filter(|ip| *ip != "None")),
        _ => {}
    }
    fields
}
