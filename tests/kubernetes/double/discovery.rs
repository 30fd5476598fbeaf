//! What the server says of itself: groups, resources, version. Only the plain form of discovery (a client that prefers
//! the aggregated one gets this, as from 1.20), and an empty OpenAPI document: clients then check nothing themselves.

use super::State;
use super::kinds::Kind;
use super::status::Refusal;
use serde_json::{Value, json};

/// An answer to a path that is no object's; none if it is not one of these.
pub fn answer(state: &State, path: &str) -> Option<Result<Value, Refusal>> {
    let words: Vec<&str> = path.split('/').filter(|w| !w.is_empty()).collect();
    let kinds = &state.store.kinds;
    match words.as_slice() {
        ["api"] => Some(Ok(json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}))),
        ["apis"] => Some(Ok(groups(kinds))),
        ["apis", group] => Some(groups_of(kinds).into_iter().find(|g| g["name"] == *group).map_or_else(
            || Err(Refusal::nowhere()),
            |mut g| {
                g["kind"] = json!("APIGroup");
                g["apiVersion"] = json!("v1");
                Ok(g)
            },
        )),
        ["api", version] => Some(resources(kinds, "", version)),
        ["apis", group, version] => Some(resources(kinds, group, version)),
        ["version"] => {
            let (major, minor) = state.settings.version;
            let version = format!("v{major}.{minor}.0");
            Some(Ok(json!({"major": major.to_string(), "minor": minor.to_string(), "gitVersion": version,
                "gitCommit": "", "gitTreeState": "clean", "buildDate": "2026-01-01T00:00:00Z", "goVersion": "none",
                "compiler": "double", "platform": "linux/amd64"})))
        }
        _ => None,
    }
}

fn groups_of(kinds: &[Kind]) -> Vec<Value> {
    let mut names: Vec<&str> = Vec::new();
    for kind in kinds.iter().filter(|k| !k.group.is_empty()) {
        if !names.contains(&kind.group.as_str()) {
            names.push(&kind.group);
        }
    }
    let group = |name: &&str| {
        let mut versions: Vec<&String> = Vec::new();
        for version in kinds.iter().filter(|k| k.group == **name).flat_map(|k| &k.versions) {
            if !versions.contains(&version) {
                versions.push(version);
            }
        }
        let said: Vec<Value> =
            versions.iter().map(|v| json!({"groupVersion": format!("{name}/{v}"), "version": v})).collect();
        json!({"name": name, "versions": said, "preferredVersion": said[0]})
    };
    names.iter().map(group).collect()
}

fn groups(kinds: &[Kind]) -> Value {
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups_of(kinds)})
}

fn resources(kinds: &[Kind], group: &str, version: &str) -> Result<Value, Refusal> {
    let here: Vec<&Kind> =
        kinds.iter().filter(|k| k.group == group && k.versions.iter().any(|v| v == version)).collect();
    if here.is_empty() {
        return Err(Refusal::nowhere());
    }
    let api = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    let policy = kinds.iter().find(|k| k.plural == "poddisruptionbudgets").map(|k| k.versions[0].clone());
    let all: Vec<Value> = here.iter().flat_map(|k| of(k, policy.as_deref().unwrap_or("v1"))).collect();
    Ok(json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api, "resources": all}))
}

fn of(kind: &Kind, policy: &str) -> Vec<Value> {
    let all = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
    let verbs = if kind.review { vec!["create"] } else { all.to_vec() };
    let mut own = json!({"name": kind.plural, "singularName": kind.kind.to_lowercase(), "namespaced": kind.namespaced,
        "kind": kind.kind, "verbs": verbs});
    if !kind.short.is_empty() {
        own["shortNames"] = json!(kind.short);
    }
    if ["pods", "services", "deployments", "replicasets", "statefulsets", "daemonsets", "jobs"]
        .contains(&kind.plural.as_str())
    {
        own["categories"] = json!(["all"]);
    }
    let part = |part: &String| {
        let name = format!("{}/{part}", kind.plural);
        let base = json!({"name": name, "singularName": "", "namespaced": kind.namespaced, "kind": kind.kind,
            "verbs": ["get", "patch", "update"]});
        let with = |more: Value| {
            let mut all = base.clone();
            super::patch::merge(&mut all, &more);
            all
        };
        match part.as_str() {
            "scale" => with(json!({"group": "autoscaling", "version": "v1", "kind": "Scale"})),
            "eviction" => with(json!({"group": "policy", "version": policy, "kind": "Eviction", "verbs": ["create"]})),
            "log" => with(json!({"verbs": ["get"]})),
            "exec" | "portforward" | "attach" => {
                with(json!({"kind": format!("Pod{}Options", capital(part)), "verbs": ["create", "get"]}))
            }
            "binding" => with(json!({"kind": "Binding", "verbs": ["create"]})),
            _ => base,
        }
    };
    let mut said = vec![own];
    said.extend(kind.parts.iter().map(part));
    said
}

fn capital(part: &str) -> &'static str {
    match part {
        "exec" => "Exec",
        "portforward" => "PortForward",
        _ => "Attach",
    }
}
