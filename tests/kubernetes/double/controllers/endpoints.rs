//! Endpoints and endpoint slices of services: the ready pods that they choose.

use super::reference;
use crate::double::State;
use crate::double::json::{active, at, items, name, namespace, ready, set, take, text, uid};
use serde_json::{Value, json};
use std::sync::Arc;

pub fn tick(state: &mut State) {
    let (services, pods) = (state.store.kind("", "services"), state.store.kind("", "pods"));
    for service in state.store.all(services, None) {
        let Some(selector) = at(&service, "/spec/selector").as_object().filter(|s| !s.is_empty()) else { continue };
        let fits = |p: &Value| {
            let labels = at(p, "/metadata/labels");
            selector.iter().all(|(k, v)| labels.get(k) == Some(v)) && !text(p, "/status/podIP").is_empty() && active(p)
        };
        let mut chosen = state.store.all(pods, Some(namespace(&service)));
        chosen.retain(|p| fits(p));
        endpoints(state, &service, &chosen);
        slice(state, &service, &chosen);
    }
}

/// The ports, as numbers: those of names are the first pod's.
fn ports(service: &Value, pods: &[Arc<Value>]) -> Vec<Value> {
    let number = |port: &Value| match at(port, "/targetPort") {
        Value::String(named) => {
            let all = pods.iter().flat_map(|p| items(p, "/spec/containers")).flat_map(|c| items(c, "/ports"));
            all.into_iter().find(|p| text(p, "/name") == named).map(|p| at(p, "/containerPort").clone())
        }
        Value::Number(n) => Some(json!(n)),
        _ => Some(at(port, "/port").clone()),
    };
    let one = |port: &Value| {
        let mut said = json!({"port": number(port)?, "protocol": text(port, "/protocol")});
        if !text(port, "/name").is_empty() {
            said["name"] = json!(text(port, "/name"));
        }
        Some(said)
    };
    items(service, "/spec/ports").iter().filter_map(one).collect()
}

fn target(pod: &Value) -> Value {
    json!({"kind": "Pod", "namespace": namespace(pod), "name": name(pod), "uid": uid(pod)})
}

fn endpoints(state: &mut State, service: &Value, pods: &[Arc<Value>]) {
    let address = |p: &Arc<Value>| json!({"ip": text(p, "/status/podIP"), "nodeName": text(p, "/spec/nodeName"), "targetRef": target(p)});
    let (up, down): (Vec<_>, Vec<_>) = pods.iter().partition(|p| ready(p));
    let mut subset = json!({"ports": ports(service, pods)});
    for (field, some) in [("addresses", up), ("notReadyAddresses", down)] {
        if !some.is_empty() {
            subset[field] = some.into_iter().map(address).collect();
        }
    }
    let subsets = if pods.is_empty() { json!([]) } else { json!([subset]) };
    let object = json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": name(service),
        "namespace": namespace(service)}});
    let labels = ("labels", at(service, "/metadata/labels").clone());
    keep(state, "", "endpoints", object, &[labels, ("subsets", subsets)]);
}

fn slice(state: &mut State, service: &Value, pods: &[Arc<Value>]) {
    let one = |p: &Arc<Value>| {
        json!({"addresses": [text(p, "/status/podIP")], "conditions": {"ready": ready(p), "serving": ready(p),
            "terminating": false}, "nodeName": text(p, "/spec/nodeName"), "targetRef": target(p)})
    };
    let all: Vec<Value> = pods.iter().map(one).collect();
    let group = "discovery.k8s.io";
    let api = state.store.kinds[state.store.kind(group, "endpointslices")].versions[0].clone();
    let own = format!("{}-{}", name(service), &uid(service)[..5]);
    let mut labels = at(service, "/metadata/labels").clone();
    set(&mut labels, &["kubernetes.io/service-name"], name(service));
    set(&mut labels, &["endpointslice.kubernetes.io/managed-by"], "endpointslice-controller.k8s.io");
    let object = json!({"apiVersion": format!("{group}/{api}"), "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": own, "namespace": namespace(service), "ownerReferences": reference(service)}});
    let parts = [("labels", labels), ("endpoints", json!(all)), ("ports", json!(ports(service, pods)))];
    keep(state, group, "endpointslices", object, &parts);
}

/// Writes it, or what is new in it.
fn keep(state: &mut State, group: &str, plural: &str, mut object: Value, fields: &[(&str, Value)]) {
    let kind = state.store.kind(group, plural);
    let key = state.store.key_of(kind, &object);
    let write = |object: &mut Value| {
        for (field, value) in fields {
            match *field {
                "labels" if value.is_null() => drop(take(object, &["metadata", "labels"])),
                "labels" => set(object, &["metadata", "labels"], value.clone()),
                field => set(object, &[field], value.clone()),
            }
        }
    };
    if state.store.change(&key, write).is_none() {
        write(&mut object);
        state.bear(kind, object);
    }
}
