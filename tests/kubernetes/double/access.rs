//! Who may do what: tokens of users, and roles with their bindings as they are stored (or given by a test).

use super::State;
use super::call::Call;
use super::json::{at, items, text};
use super::status::{Refusal, long};
use super::write::Answer;
use serde_json::{Value, json};

/// The user who may do everything.
pub const ADMIN: &str = "admin";

/// Somebody with a token.
#[derive(Debug, Clone)]
pub struct User {
    pub name: String,
    pub token: String,
    pub rules: Vec<Rule>,
}

/// Something that is allowed. Everything is a list with `*` for all.
#[derive(Debug, Clone)]
pub struct Rule {
    /// In this namespace; in all, and for the whole cluster, if none.
    pub namespace: Option<String>,
    pub groups: Vec<String>,
    /// `pods`, `pods/eviction`
    pub resources: Vec<String>,
    /// Only these; all if empty.
    pub names: Vec<String>,
    pub verbs: Vec<String>,
}

impl Rule {
    /// `Rule::of("shop", "apps", "deployments,deployments/scale", "get,list,patch")`; namespace `*` for everywhere.
    pub fn of(namespace: &str, group: &str, resources: &str, verbs: &str) -> Self {
        let words = |t: &str| t.split(',').map(|w| w.trim().to_owned()).collect();
        let namespace = (namespace != "*").then(|| namespace.to_owned());
        Self {
            namespace,
            groups: vec![group.to_owned()],
            resources: words(resources),
            names: vec![],
            verbs: words(verbs),
        }
    }

    fn read(rule: &Value, namespace: Option<&str>) -> Self {
        let words =
            |field: &str| items(rule, field).iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>();
        Self {
            namespace: namespace.map(str::to_owned),
            groups: words("/apiGroups"),
            resources: words("/resources"),
            names: words("/resourceNames"),
            verbs: words("/verbs"),
        }
    }

    fn allows(&self, what: &What) -> bool {
        let one = |list: &[String], word: &str| list.iter().any(|w| w == "*" || w == word);
        let part = what.resource.split_once('/').map(|(_, part)| format!("*/{part}"));
        let resource = one(&self.resources, &what.resource) || part.is_some_and(|p| self.resources.contains(&p));
        self.namespace.as_ref().is_none_or(|n| *n == what.namespace)
            && one(&self.groups, &what.group)
            && resource
            && one(&self.verbs, &what.verb)
            && (self.names.is_empty() || self.names.contains(&what.name))
    }
}

/// What somebody wants to do.
#[derive(Debug, Clone, Default)]
pub struct What {
    pub verb: String,
    pub group: String,
    pub resource: String,
    /// Empty for all, or for the whole cluster.
    pub namespace: String,
    pub name: String,
}

/// The user of a token.
pub fn user(state: &State, authorization: &str, instead: &str) -> Result<String, Refusal> {
    let token = authorization.strip_prefix("Bearer ").unwrap_or_default();
    let found = state.users.iter().find(|u| u.token == token).ok_or_else(Refusal::unauthorized)?;
    Ok(if found.name == ADMIN && !instead.is_empty() { instead.to_owned() } else { found.name.clone() })
}

/// Is a user one of a binding's subjects?
fn bound(binding: &Value, user: &str) -> bool {
    let mut parts = user.splitn(4, ':');
    let account = parts.next() == Some("system") && parts.next() == Some("serviceaccount");
    let (namespace, own) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    items(binding, "/subjects").iter().any(|s| match text(s, "/kind") {
        "User" => text(s, "/name") == user,
        "ServiceAccount" => account && text(s, "/name") == own && text(s, "/namespace") == namespace,
        "Group" => {
            let group = text(s, "/name");
            group == "system:authenticated"
                || (account
                    && (group == "system:serviceaccounts" || group == format!("system:serviceaccounts:{namespace}")))
        }
        _ => false,
    })
}

/// All that a user may do.
fn rules(state: &State, user: &str) -> Vec<Rule> {
    const GROUP: &str = "rbac.authorization.k8s.io";
    let mut found: Vec<Rule> = state.users.iter().filter(|u| u.name == user).flat_map(|u| u.rules.clone()).collect();
    let store = &state.store;
    let role = |binding: &Value, namespace: Option<&str>| -> Vec<Value> {
        let plural = if text(binding, "/roleRef/kind") == "Role" { "roles" } else { "clusterroles" };
        let key = store.key(store.kind(GROUP, plural), namespace.unwrap_or_default(), text(binding, "/roleRef/name"));
        store.get(&key).map(|r| items(&r, "/rules").to_vec()).unwrap_or_default()
    };
    for binding in store.all(store.kind(GROUP, "clusterrolebindings"), None).iter().filter(|b| bound(b, user)) {
        found.extend(role(binding, None).iter().map(|r| Rule::read(r, None)));
    }
    for binding in store.all(store.kind(GROUP, "rolebindings"), None).iter().filter(|b| bound(b, user)) {
        let namespace = super::json::namespace(binding);
        found.extend(role(binding, Some(namespace)).iter().map(|r| Rule::read(r, Some(namespace))));
    }
    found
}

/// May this user do that?
pub fn allowed(state: &State, user: &str, what: &What) -> bool {
    user == ADMIN || what.resource.starts_with("selfsubject") || rules(state, user).iter().any(|r| r.allows(what))
}

/// Lets a request through, or 403.
pub fn authorize(state: &State, call: &Call) -> Result<(), Refusal> {
    let kind = &state.store.kinds[call.kind];
    let part = if call.part().is_empty() { String::new() } else { format!("/{}", call.part()) };
    let resource = format!("{}{part}", kind.plural);
    let namespace = call.namespace().to_owned();
    let (verb, group, name) = (call.verb.to_owned(), kind.group.clone(), call.name().to_owned());
    let what = What { verb, group, resource, namespace, name };
    if allowed(state, &call.user, &what) {
        return Ok(());
    }
    let place = match what.namespace.as_str() {
        "" => "at the cluster scope".to_owned(),
        namespace => format!("in the namespace \"{namespace}\""),
    };
    let why = format!(
        "User \"{}\" cannot {} resource \"{}\" in API group \"{}\" {place}",
        call.user, what.verb, what.resource, what.group
    );
    Err(Refusal::forbidden(&long(&what.resource, ""), &kind.group, &what.name, &why))
}

/// `SelfSubjectAccessReview` and `SelfSubjectRulesReview`.
pub fn review(state: &State, call: &Call) -> Answer {
    let asked = call.json()?;
    let mut answer = asked.clone();
    if state.store.kinds[call.kind].plural == "selfsubjectrulesreviews" {
        answer["status"] = json!({"resourceRules": said(state, &call.user, text(&asked, "/spec/namespace")),
            "nonResourceRules": [], "incomplete": false});
        return Ok((201, answer));
    }
    let wanted = at(&asked, "/spec/resourceAttributes");
    let field = |field: &str| text(wanted, field).to_owned();
    let part = match text(wanted, "/subresource") {
        "" => String::new(),
        part => format!("/{part}"),
    };
    let resource = format!("{}{part}", text(wanted, "/resource"));
    let what = What {
        verb: field("/verb"),
        group: field("/group"),
        resource,
        namespace: field("/namespace"),
        name: field("/name"),
    };
    let yes = !wanted.is_object() || allowed(state, &call.user, &what);
    answer["status"] = json!({"allowed": yes});
    Ok((201, answer))
}

fn said(state: &State, user: &str, namespace: &str) -> Vec<Value> {
    if user == ADMIN {
        return vec![json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]})];
    }
    let here = |r: &Rule| r.namespace.as_ref().is_none_or(|n| n == namespace);
    let rule =
        |r: Rule| json!({"verbs": r.verbs, "apiGroups": r.groups, "resources": r.resources, "resourceNames": r.names});
    rules(state, user).into_iter().filter(here).map(rule).collect()
}
