//! From what files hold to what is applied, in order: checked, cleaned of what a server writes, none twice. Pure.

use super::SHOWN;
use crate::adapters::kubernetes::{Kind, Scope};
use crate::adapters::manifests::Manifest;
use crate::faults::kubernetes::{OWNER_LABEL, RECORD_LABEL};
use serde_json::Value;
use std::collections::BTreeSet;

/// What a server writes and nobody applies: an object that was exported has it.
const WRITTEN: [&str; 6] = ["managedFields", "uid", "resourceVersion", "creationTimestamp", "generation", "selfLink"];

/// An object to be applied.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item {
    /// The file that it is from.
    pub file: String,
    /// Group and version.
    pub api: String,
    /// Its kind.
    pub kind: String,
    /// Its namespace, if it says one.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// The object.
    pub object: Value,
}

impl Item {
    /// For people.
    pub fn words(&self) -> String {
        format!("{} {} ({})", self.kind.to_lowercase(), self.name, self.file)
    }
}

/// What may be touched.
pub(super) struct Scopes<'a> {
    /// The namespace.
    pub namespace: &'a str,
    /// Kinds in it; all if none.
    pub kinds: &'a [String],
    /// Kinds of the whole cluster; none if none.
    pub cluster_kinds: &'a [String],
}

impl Scopes<'_> {
    /// Why an object must not be touched, if so.
    pub fn outside(&self, item: &Item, kind: &Kind) -> Option<String> {
        let name = if kind.group.is_empty() { kind.plural.clone() } else { format!("{}.{}", kind.plural, kind.group) };
        let listed = |list: &[String]| list.contains(&name);
        match kind.scope {
            Scope::Cluster if !listed(self.cluster_kinds) => Some(format!(
                "{} belongs to the whole cluster; write `cluster_kinds: [{name}]` if that is meant",
                item.words()
            )),
            Scope::Namespaced if !self.kinds.is_empty() && !listed(self.kinds) => {
                Some(format!("{} is none of `kinds`; add {name} if that is meant", item.words()))
            }
            Scope::Namespaced => item.namespace.as_ref().filter(|space| *space != self.namespace).map(|space| {
                format!(
                    "{} is of namespace {space}, and {} is restored to; write a restore for each namespace",
                    item.words(),
                    self.namespace
                )
            }),
            Scope::Cluster => None,
        }
    }
}

/// All objects in the order in which they are applied.
///
/// # Errors
/// What is wrong with them, several at once.
pub(super) fn listed(manifests: &[Manifest], namespace: &str) -> Result<Vec<Item>, String> {
    let (mut items, mut wrong, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    for manifest in manifests {
        match item(manifest) {
            Ok(item) => {
                let space = item.namespace.clone().unwrap_or_else(|| namespace.to_owned());
                let group = item.api.split_once('/').map_or("", |(group, _)| group).to_owned();
                if !seen.insert((group, item.kind.clone(), space, item.name.clone())) {
                    wrong.push(format!("{} is there twice", item.words()));
                }
                items.push(item);
            }
            Err(why) => wrong.push(format!("{}: {why}", manifest.file)),
        }
    }
    if items.is_empty() && wrong.is_empty() {
        wrong.push("there is no object in it".to_owned());
    }
    if !wrong.is_empty() {
        let more = wrong.len().saturating_sub(SHOWN);
        wrong.truncate(SHOWN);
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        return Err(format!("nothing was applied: {}{more}", wrong.join("; ")));
    }
    items.sort_by_key(|item| rank(&item.kind));
    Ok(items)
}

fn item(manifest: &Manifest) -> Result<Item, String> {
    let mut object = manifest.object.clone();
    let text = |object: &Value, pointer: &str| {
        let text = object.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        text.filter(|text| !text.is_empty())
    };
    let api = text(&object, "/apiVersion").ok_or("it has no `apiVersion`: it is no object of Kubernetes")?;
    let kind = text(&object, "/kind").ok_or("it has no `kind`: it is no object of Kubernetes")?;
    let name = text(&object, "/metadata/name");
    let name =
        name.ok_or_else(|| format!("a {} has no name; what makes one up cannot be applied", kind.to_lowercase()))?;
    for label in [OWNER_LABEL, RECORD_LABEL] {
        if object.pointer("/metadata/labels").is_some_and(|labels| labels.get(label).is_some()) {
            return Err(format!(
                "{} {name} has the label {label}: it was exported while it was broken",
                kind.to_lowercase()
            ));
        }
    }
    if let Some(map) = object.as_object_mut() {
        map.remove("status");
    }
    protocols(&mut object, &kind);
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        WRITTEN.iter().for_each(|key| drop(metadata.remove(*key)));
    }
    Ok(Item { file: manifest.file.clone(), api, kind, namespace: text(&object, "/metadata/namespace"), name, object })
}

/// Where a kind has the spec of pods.
fn pods(kind: &str) -> &'static str {
    match kind {
        "Pod" => "/spec",
        "CronJob" => "/spec/jobTemplate/spec/template/spec",
        _ => "/spec/template/spec",
    }
}

/// Says of ports that they are TCP where nothing is said, as every server does: by server-side apply ports are told apart by it,
/// and older servers refuse those without.
fn protocols(object: &mut Value, kind: &str) {
    let fill = |ports: Option<&mut Value>| {
        for port in ports.and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(port) = port.as_object_mut() {
                port.entry("protocol").or_insert_with(|| "TCP".into());
            }
        }
    };
    if kind == "Service" {
        fill(object.pointer_mut("/spec/ports"));
    }
    for list in ["containers", "initContainers"] {
        let containers = object.pointer_mut(&format!("{}/{list}", pods(kind))).and_then(Value::as_array_mut);
        containers.into_iter().flatten().for_each(|container| fill(container.get_mut("ports")));
    }
}

/// What others need comes before them; what may refuse others comes last.
fn rank(kind: &str) -> u8 {
    match kind {
        "Namespace" => 0,
        "CustomResourceDefinition" => 1,
        "PriorityClass"
        | "StorageClass"
        | "VolumeSnapshotClass"
        | "RuntimeClass"
        | "IngressClass"
        | "ServiceAccount"
        | "Role"
        | "ClusterRole"
        | "RoleBinding"
        | "ClusterRoleBinding"
        | "ResourceQuota"
        | "LimitRange" => 2,
        "ConfigMap"
        | "Secret"
        | "PersistentVolume"
        | "PersistentVolumeClaim"
        | "NetworkPolicy"
        | "Service"
        | "Endpoints"
        | "EndpointSlice"
        | "PodDisruptionBudget" => 3,
        "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration" | "APIService" => 5,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn manifest(object: Value) -> Manifest {
        Manifest { file: "shop.yaml".to_owned(), object }
    }

    fn named(kind: &str, name: &str) -> Manifest {
        manifest(json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}}))
    }

    #[test]
    fn what_others_need_comes_first() {
        let all = [
            "Deployment",
            "ValidatingWebhookConfiguration",
            "ConfigMap",
            "CustomResourceDefinition",
            "Thing",
            "Namespace",
        ];
        let items = listed(&all.map(|kind| named(kind, "a")), "shop").unwrap();
        let kinds: Vec<&str> = items.iter().map(|item| item.kind.as_str()).collect();
        let order = [
            "Namespace",
            "CustomResourceDefinition",
            "ConfigMap",
            "Deployment",
            "Thing",
            "ValidatingWebhookConfiguration",
        ];
        assert_eq!(kinds, order);
    }

    #[test]
    fn an_exported_object_loses_what_the_server_wrote() {
        let metadata =
            json!({"name": "a", "uid": "u", "resourceVersion": "7", "managedFields": [], "labels": {"x": "y"}});
        let object =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "status": {}, "data": {"k": "v"}});
        let items = listed(&[manifest(object)], "shop").unwrap();
        let rest = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "labels": {"x": "y"}}, "data": {"k": "v"}});
        assert_eq!(items[0].object, rest);
    }

    #[test]
    fn ports_are_tcp_where_nothing_is_said() {
        let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"},
            "spec": {"ports": [{"port": 80}, {"port": 53, "protocol": "UDP"}]}});
        let containers = json!([{"name": "a", "ports": [{"containerPort": 80}]}, {"name": "b"}]);
        let job = json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "a"},
            "spec": {"jobTemplate": {"spec": {"template": {"spec": {"containers": containers}}}}}});
        let items = listed(&[manifest(service), manifest(job)], "shop").unwrap();
        let ports = &items[0].object["spec"]["ports"];
        assert_eq!((&ports[0]["protocol"], &ports[1]["protocol"]), (&json!("TCP"), &json!("UDP")));
        let pod = &items[1].object["spec"]["jobTemplate"]["spec"]["template"]["spec"];
        assert_eq!(pod["containers"][0]["ports"][0]["protocol"], "TCP");
    }

    #[test]
    fn everything_wrong_is_told_at_once_and_nothing_is_listed() {
        let broken =
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "labels": {OWNER_LABEL: "bs-1"}}});
        let unnamed = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "a-"}});
        let all = [
            named("Pod", "a"),
            named("Pod", "a"),
            manifest(broken),
            manifest(unnamed),
            manifest(json!({"kind": "Values"})),
            manifest(json!(7)),
        ];
        let wrong = listed(&all, "shop").unwrap_err();
        for words in ["pod a (shop.yaml) is there twice", "while it was broken", "no name", "no `apiVersion`"] {
            assert!(wrong.contains(words), "{wrong}");
        }
        assert!(listed(&[], "shop").unwrap_err().contains("no object"));
    }

    #[test]
    fn what_is_outside_is_not_touched() {
        let item = |space: Option<&str>| {
            let mut item = super::item(&named("Thing", "a")).unwrap();
            item.namespace = space.map(str::to_owned);
            item
        };
        let (things, whole) = (vec!["things.example.org".to_owned()], vec!["clusterthings.example.org".to_owned()]);
        let of = |plural: &str, scope| Kind::of("example.org", "v1", "Thing", plural, scope);
        let outside = |kinds: &[String], cluster_kinds: &[String], space, kind: &Kind| {
            Scopes { namespace: "shop", kinds, cluster_kinds }.outside(&item(space), kind)
        };
        let (own, all) = (of("things", Scope::Namespaced), of("clusterthings", Scope::Cluster));
        assert_eq!(outside(&[], &[], None, &own), None);
        assert_eq!(outside(&things, &[], Some("shop"), &own), None);
        assert!(outside(&[], &[], Some("other"), &own).unwrap().contains("namespace other"));
        assert!(outside(&["pods".to_owned()], &[], None, &own).unwrap().contains("add things.example.org"));
        assert!(outside(&[], &[], None, &all).unwrap().contains("cluster_kinds: [clusterthings.example.org]"));
        assert_eq!(outside(&[], &whole, None, &all), None);
    }
}
