//! The scale subresource.

use super::State;
use super::call::Call;
use super::json::{at, int, name, namespace, set, text, uid};
use super::patch::{json_patch, merge};
use super::status::Refusal;
use super::write::{Answer, dry, existing, replace};
use serde_json::{Value, json};

fn shown(object: &Value) -> Value {
    let labels = at(object, "/spec/selector/matchLabels").as_object();
    let selector: Vec<String> =
        labels.into_iter().flatten().map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default())).collect();
    json!({"kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {"name": name(object), "namespace": namespace(object), "uid": uid(object),
            "resourceVersion": text(object, "/metadata/resourceVersion"),
            "creationTimestamp": text(object, "/metadata/creationTimestamp")},
        "spec": {"replicas": int(object, "/spec/replicas")},
        "status": {"replicas": int(object, "/status/replicas"), "selector": selector.join(",")}})
}

pub fn scale(state: &mut State, call: &Call) -> Answer {
    let kind = state.store.kinds[call.kind].clone();
    let old = existing(state, call, &kind)?;
    let before = shown(&old);
    let after = match call.verb {
        "get" => return Ok((200, before)),
        "update" => call.json()?,
        "patch" => {
            let mut after = before.clone();
            let patch = call.json()?;
            match call.media.split(';').next().unwrap_or_default() {
                "application/json-patch+json" => json_patch(&mut after, &patch)?,
                "application/merge-patch+json" | "application/strategic-merge-patch+json" => merge(&mut after, &patch),
                other => return Err(Refusal::media(other)),
            }
            after
        }
        _ => return Err(Refusal::method()),
    };
    let replicas = int(&after, "/spec/replicas");
    if replicas < 0 {
        let why = "Invalid value: must be greater than or equal to 0";
        return Err(Refusal::invalid("Scale", "autoscaling", call.name(), "spec.replicas", why));
    }
    let mut new = state.store.shown(call.kind, &call.version, &old);
    set(&mut new, &["spec", "replicas"], replicas);
    for field in ["uid", "resourceVersion"] {
        set(&mut new, &["metadata", field], text(&after, &format!("/metadata/{field}")));
    }
    let dry = dry(state, call)?;
    let kept = replace(state, call, &kind, &old, new, dry)?;
    Ok((200, shown(&kept)))
}
