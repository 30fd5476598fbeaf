//! The minimal Role of a drill in a cluster, as objects and as YAML for `kubectl apply -f -`. Which rights a plan needs is
//! found where clusters can be asked.

use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};

/// Where a right holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Where {
    /// In all namespaces, and for what belongs to the whole cluster.
    Cluster,
    /// In one namespace.
    Namespace(String),
}

/// One right.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Grant {
    /// Where it holds.
    pub scope: Where,
    /// The API group; empty for the core.
    pub group: String,
    /// The plural, with `/part` for a part.
    pub resource: String,
    /// Only the object of this name; any if none.
    pub name: Option<String>,
    /// `get`, `list`, …
    pub verb: String,
}

impl fmt::Display for Grant {
    /// For people: `patch deployments.apps/scale in namespace shop`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (plural, part) =
            self.resource.split_once('/').map_or((self.resource.as_str(), None), |(p, s)| (p, Some(s)));
        write!(f, "{} {plural}", self.verb)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        part.map_or(Ok(()), |part| write!(f, "/{part}"))?;
        self.name.as_ref().map_or(Ok(()), |name| write!(f, " {name}"))?;
        match &self.scope {
            Where::Namespace(namespace) => write!(f, " in namespace {namespace}"),
            Where::Cluster => write!(f, " in the whole cluster"),
        }
    }
}

/// The Roles and the ClusterRole with exactly these rights, without bindings: `rbac.authorization.k8s.io/v1`.
#[must_use]
pub fn roles(drill: &str, grants: &BTreeSet<Grant>) -> Vec<Value> {
    let mut scopes: BTreeMap<&Where, BTreeSet<&Grant>> = BTreeMap::new();
    for grant in grants {
        scopes.entry(&grant.scope).or_default().insert(grant);
    }
    let role = |(scope, grants): (&Where, BTreeSet<&Grant>)| {
        let mut metadata = json!({"name": name(drill)});
        let kind = match scope {
            Where::Cluster => "ClusterRole",
            Where::Namespace(namespace) => {
                metadata["namespace"] = json!(namespace);
                "Role"
            }
        };
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": metadata, "rules": rules(&grants)})
    };
    scopes.into_iter().map(role).collect()
}

/// The same with bindings to an account, `NAMESPACE` and `NAME` of a ServiceAccount.
#[must_use]
pub fn bound(drill: &str, grants: &BTreeSet<Grant>, (namespace, account): (&str, &str)) -> Vec<Value> {
    let mut all = Vec::new();
    for role in roles(drill, grants) {
        let kind = role["kind"].as_str().unwrap_or_default().to_owned();
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": format!("{kind}Binding"),
            "metadata": role["metadata"],
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name(drill)},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
        });
        all.extend([role, binding]);
    }
    all
}

fn name(drill: &str) -> String {
    format!("blackstart-{}", drill.replace('_', "-"))
}

/// What rules have in common that can be written as one: group, name, verbs.
type Same<'a> = (&'a str, Option<&'a str>, BTreeSet<&'a str>);

/// One rule per group, verbs and name: resources with the same verbs stand together.
fn rules(grants: &BTreeSet<&Grant>) -> Vec<Value> {
    let mut verbs: BTreeMap<(&str, Option<&str>, &str), BTreeSet<&str>> = BTreeMap::new();
    for grant in grants {
        let key = (grant.group.as_str(), grant.name.as_deref(), grant.resource.as_str());
        verbs.entry(key).or_default().insert(&grant.verb);
    }
    let mut rules: BTreeMap<Same<'_>, Vec<&str>> = BTreeMap::new();
    for ((group, name, resource), verbs) in verbs {
        rules.entry((group, name, verbs)).or_default().push(resource);
    }
    let rule = |((group, name, verbs), resources): (Same<'_>, Vec<&str>)| {
        let mut rule = json!({"apiGroups": [group]});
        if let Some(name) = name {
            rule["resourceNames"] = json!([name]);
        }
        (rule["resources"], rule["verbs"]) = (json!(resources), json!(verbs));
        rule
    };
    rules.into_iter().map(rule).collect()
}

/// Objects as one stream of YAML documents.
#[must_use]
pub fn yaml(objects: &[Value]) -> String {
    let mut text = String::new();
    for object in objects {
        text.push_str("---\n");
        block(object, 0, &mut text);
    }
    text
}

fn block(value: &Value, indent: usize, out: &mut String) {
    let Value::Object(map) = value else { return };
    for (key, value) in map {
        let _ = write!(out, "{:indent$}{key}:", "");
        match value {
            Value::Object(_) => {
                out.push('\n');
                block(value, indent + 2, out);
            }
            Value::Array(items) if items.iter().any(Value::is_object) => {
                out.push('\n');
                items.iter().for_each(|item| listed(item, indent, out));
            }
            other => {
                let _ = writeln!(out, " {}", flow(other));
            }
        }
    }
}

fn listed(item: &Value, indent: usize, out: &mut String) {
    let mut inner = String::new();
    block(item, indent + 2, &mut inner);
    // The first line of an item stands behind its dash.
    let _ = write!(out, "{:indent$}- {}", "", inner.trim_start());
}

/// A word or a list of words; JSON is YAML.
fn flow(value: &Value) -> String {
    let plain = |text: &str| {
        let first = text.chars().next().is_some_and(|c| c.is_ascii_alphabetic());
        first
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "-./".contains(c))
            && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&text.to_lowercase().as_str())
    };
    match value {
        Value::String(text) if plain(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(scope: Where, group: &str, resource: &str, verb: &str) -> Grant {
        let [group, resource, verb] = [group, resource, verb].map(str::to_owned);
        Grant { scope, group, resource, name: None, verb }
    }

    fn grants() -> BTreeSet<Grant> {
        let shop = || Where::Namespace("shop".to_owned());
        let namespace = Grant { name: Some("shop".to_owned()), ..grant(shop(), "", "namespaces", "get") };
        BTreeSet::from([
            grant(shop(), "apps", "deployments/scale", "patch"),
            grant(shop(), "", "pods", "list"),
            grant(shop(), "", "pods", "get"),
            grant(shop(), "", "configmaps", "get"),
            grant(shop(), "", "configmaps", "list"),
            grant(Where::Cluster, "", "nodes", "list"),
            namespace,
        ])
    }

    #[test]
    fn rights_read_as_a_person_says_them() {
        let shop = Where::Namespace("shop".to_owned());
        let words = grant(shop, "apps", "deployments/scale", "patch").to_string();
        assert_eq!(words, "patch deployments.apps/scale in namespace shop");
        assert_eq!(grant(Where::Cluster, "", "nodes", "list").to_string(), "list nodes in the whole cluster");
    }

    #[test]
    fn the_roles_hold_these_rights_and_no_other() {
        let expected = "---\n\
            apiVersion: rbac.authorization.k8s.io/v1\n\
            kind: ClusterRole\n\
            metadata:\n\
            \x20 name: blackstart-pod-loss\n\
            rules:\n\
            - apiGroups: [\"\"]\n\
            \x20 resources: [nodes]\n\
            \x20 verbs: [list]\n\
            ---\n\
            apiVersion: rbac.authorization.k8s.io/v1\n\
            kind: Role\n\
            metadata:\n\
            \x20 name: blackstart-pod-loss\n\
            \x20 namespace: shop\n\
            rules:\n\
            - apiGroups: [\"\"]\n\
            \x20 resources: [configmaps, pods]\n\
            \x20 verbs: [get, list]\n\
            - apiGroups: [\"\"]\n\
            \x20 resourceNames: [shop]\n\
            \x20 resources: [namespaces]\n\
            \x20 verbs: [get]\n\
            - apiGroups: [apps]\n\
            \x20 resources: [deployments/scale]\n\
            \x20 verbs: [patch]\n";
        assert_eq!(yaml(&roles("pod_loss", &grants())), expected);
        let bound = bound("pod_loss", &grants(), ("shop", "blackstart"));
        assert_eq!(bound.len(), 4);
        assert_eq!(bound[3]["subjects"][0]["namespace"], "shop");
        assert_eq!(bound[3]["kind"], "RoleBinding");
    }
}
