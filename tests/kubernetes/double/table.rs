//! Tables, as `kubectl get` asks for them. Columns for what people look at most; name and age for the rest.

use super::call::Call;
use super::json::{at, int, items, name, ready, since, text};
use super::kinds::Kind;
use serde_json::{Value, json};

/// Does the client want a table?
pub fn asked(call: &Call) -> bool {
    call.accept.contains("as=Table")
}

/// One object, in a table if that is asked.
pub fn one(call: &Call, kind: &Kind, object: Value) -> Value {
    if !asked(call) || call.part.is_some() {
        return object;
    }
    let metadata = json!({"resourceVersion": text(&object, "/metadata/resourceVersion")});
    table(kind, &metadata, &[object])
}

/// A list.
pub fn many(call: &Call, kind: &Kind, metadata: &Value, found: Vec<Value>, api: String) -> Value {
    if asked(call) {
        return table(kind, metadata, &found);
    }
    json!({"kind": format!("{}List", kind.kind), "apiVersion": api, "metadata": metadata, "items": found})
}

fn table(kind: &Kind, metadata: &Value, objects: &[Value]) -> Value {
    let columns = columns(&kind.plural);
    let mut defined = vec![column("Name", 0)];
    defined.extend(columns.iter().map(|(name, wide, _)| column(name, *wide)));
    defined.push(column("Age", 0));
    let row = |object: &Value| {
        let mut cells = vec![json!(name(object))];
        cells.extend(columns.iter().map(|(_, _, cell)| cell(object)));
        cells.push(json!(age(object)));
        let meta = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
            "metadata": at(object, "/metadata")});
        json!({"cells": cells, "object": meta})
    };
    let rows: Vec<Value> = objects.iter().map(row).collect();
    json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
        "columnDefinitions": defined, "rows": rows})
}

fn column(name: &str, priority: i32) -> Value {
    let format = if name == "Name" { "name" } else { "" };
    json!({"name": name, "type": "string", "format": format, "description": name, "priority": priority})
}

fn age(object: &Value) -> String {
    let seconds = since(text(object, "/metadata/creationTimestamp")).unwrap_or(0).max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        _ => format!("{}h", seconds / 3600),
    }
}

type Column = (&'static str, i32, fn(&Value) -> Value);

fn columns(plural: &str) -> Vec<Column> {
    match plural {
        "pods" => vec![
            ("Ready", 0, |p| {
                let all = items(p, "/spec/containers").len();
                json!(format!("{}/{all}", if ready(p) { all } else { 0 }))
            }),
            ("Status", 0, |p| json!(phase(p))),
            ("Restarts", 0, |p| {
                let count = |c: &Value| int(c, "/restartCount");
                json!(items(p, "/status/containerStatuses").iter().map(count).sum::<i64>().to_string())
            }),
            ("IP", 1, |p| json!(text(p, "/status/podIP"))),
            ("Node", 1, |p| json!(text(p, "/spec/nodeName"))),
        ],
        "deployments" | "statefulsets" => vec![
            ("Ready", 0, |d| json!(format!("{}/{}", int(d, "/status/readyReplicas"), int(d, "/spec/replicas")))),
            ("Up-to-date", 0, |d| json!(int(d, "/status/updatedReplicas").to_string())),
            ("Available", 0, |d| json!(int(d, "/status/availableReplicas").to_string())),
            ("Images", 1, |d| json!(text(d, "/spec/template/spec/containers/0/image"))),
        ],
        "replicasets" => vec![
            ("Desired", 0, |r| json!(int(r, "/spec/replicas").to_string())),
            ("Current", 0, |r| json!(int(r, "/status/replicas").to_string())),
            ("Ready", 0, |r| json!(int(r, "/status/readyReplicas").to_string())),
        ],
        "nodes" => vec![
            ("Status", 0, |n| {
                let ready = if ready(n) { "Ready" } else { "NotReady" };
                let shut = at(n, "/spec/unschedulable") == &Value::Bool(true);
                json!(format!("{ready}{}", if shut { ",SchedulingDisabled" } else { "" }))
            }),
            ("Version", 0, |n| json!(text(n, "/status/nodeInfo/kubeletVersion"))),
        ],
        "services" => vec![
            ("Type", 0, |s| json!(text(s, "/spec/type"))),
            ("Cluster-IP", 0, |s| json!(text(s, "/spec/clusterIP"))),
            ("Selector", 1, |s| json!(at(s, "/spec/selector").to_string())),
        ],
        "namespaces" => vec![("Status", 0, |n| json!(text(n, "/status/phase")))],
        "jobs" => vec![("Completions", 0, |j| json!(int(j, "/status/succeeded").to_string()))],
        "poddisruptionbudgets" => {
            vec![("Allowed disruptions", 0, |b| json!(int(b, "/status/disruptionsAllowed").to_string()))]
        }
        _ => Vec::new(),
    }
}

/// What `kubectl get pods` calls its status.
fn phase(pod: &Value) -> String {
    if super::json::ending(pod) {
        return "Terminating".to_owned();
    }
    let waits = items(pod, "/status/containerStatuses").iter().map(|c| text(c, "/state/waiting/reason"));
    let reason = waits.into_iter().find(|r| !r.is_empty() && *r != "ContainerCreating");
    reason.unwrap_or_else(|| text(pod, "/status/phase")).to_owned()
}
