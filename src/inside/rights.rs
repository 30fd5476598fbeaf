//! The account of a drill in a cluster: what runner and guardian need for themselves, and how the rights that the drill
//! needs are bound to it. Which those are is the plan's business.

use super::Setting;
use serde_json::{Value, json};

/// The account.
#[must_use]
pub fn account(setting: &Setting) -> Value {
    json!({"apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": setting.metadata(setting.account_name(), "account")})
}

/// What runner and guardian need besides what the drill needs: their two Leases, and the runner's pod, which the guardian
/// ends before it heals. Pods have names that nobody knows before, so `delete` is on all pods of the namespace.
#[must_use]
pub fn minimal_role(setting: &Setting) -> Value {
    let mut rules = vec![
        json!({"apiGroups": ["coordination.k8s.io"], "resources": ["leases"],
            "resourceNames": [setting.names.set, setting.names.guardian], "verbs": ["get", "patch"]}),
        json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "delete"]}),
    ];
    if setting.reaches_out {
        rules.push(
            json!({"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "create", "delete"]}),
        );
        // Healing from records looks for their run's Leases beside them.
        rules.push(json!({"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["list"]}));
    }
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
    "metadata": setting.metadata(&setting.names.set, "account"),
    "rules": rules})
}

/// These roles, labelled as this set's and bound to its account.
#[must_use]
pub fn bindings(setting: &Setting, roles: Vec<Value>) -> Vec<Value> {
    let mut objects = Vec::new();
    for (n, mut role) in roles.into_iter().enumerate() {
        let kind = role.get("kind").and_then(Value::as_str).unwrap_or("Role").to_owned();
        let cluster = kind == "ClusterRole";
        let namespace = role.pointer("/metadata/namespace").and_then(Value::as_str).map(str::to_owned);
        let name = if n == 0 { setting.names.set.clone() } else { format!("{}-{n}", setting.names.set) };
        // What belongs to the whole cluster is told apart by the namespace of its set.
        let name = if cluster { format!("{}-{name}", setting.namespace) } else { name };
        let mut metadata = json!({"name": name, "labels": setting.labels("account")});
        if let (false, Some(metadata)) = (cluster, metadata.as_object_mut()) {
            let namespace = namespace.unwrap_or_else(|| setting.namespace.clone());
            metadata.insert("namespace".to_owned(), json!(namespace));
        }
        if let Some(role) = role.as_object_mut() {
            role.insert("metadata".to_owned(), metadata.clone());
        }
        objects.push(role);
        objects.push(json!({"apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": if cluster { "ClusterRoleBinding" } else { "RoleBinding" },
            "metadata": metadata,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": setting.account_name(), "namespace": setting.namespace}]}));
    }
    objects
}
