//! Deleting: preconditions, grace, finalizers, what becomes of what is owned, and evictions as budgets allow.

use super::call::Call;
use super::json::{at, condition, ending, has, int, items, name, namespace, now, set, soon, take, text, uid};
use super::read;
use super::select::chooses;
use super::status::{Refusal, success};
use super::store::Key;
use super::write::{Answer, existing};
use super::{State, Violation};
use serde_json::{Value, json};

/// `DeleteOptions`
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub grace: Option<i64>,
    pub uid: String,
    pub version: String,
    pub propagation: String,
    pub dry: bool,
}

impl Options {
    fn read(call: &Call, body: &Value) -> Result<Self, Refusal> {
        let either = |field: &str| match text(body, &format!("/{field}")) {
            "" => call.ask(field).to_owned(),
            given => given.to_owned(),
        };
        let grace = at(body, "/gracePeriodSeconds").as_i64().or_else(|| call.ask("gracePeriodSeconds").parse().ok());
        let dry = match items(body, "/dryRun") {
            [] => call.dry()?,
            [one] if one == "All" => true,
            _ => return Err(Refusal::invalid("DeleteOptions", "", "", "dryRun", "only All is known")),
        };
        let mut propagation = either("propagationPolicy");
        if at(body, "/orphanDependents") == &Value::Bool(true) {
            propagation = "Orphan".to_owned();
        }
        if !["", "Orphan", "Background", "Foreground"].contains(&propagation.as_str()) {
            return Err(Refusal::invalid("DeleteOptions", "", "", "propagationPolicy", "no such policy"));
        }
        let part = |field: &str| text(body, &format!("/preconditions/{field}")).to_owned();
        Ok(Self { grace, uid: part("uid"), version: part("resourceVersion"), propagation, dry })
    }
}

fn body(call: &Call) -> Result<Value, Refusal> {
    if call.body.is_empty() { Ok(json!({})) } else { call.json() }
}

pub fn delete(state: &mut State, call: &Call) -> Answer {
    let kind = state.store.kinds[call.kind].clone();
    let mut options = Options::read(call, &body(call)?)?;
    let old = existing(state, call, &kind)?;
    options.dry &= !state.violates(Violation::IgnoresDryRun);
    let key = call.key(&kind);
    one(state, &key, &options)?;
    let left = state.store.get(&key).filter(|_| !options.dry);
    Ok((
        200,
        match left {
            Some(left) => state.store.shown(call.kind, &call.version, &left),
            None if kind.plural == "pods" => state.store.shown(call.kind, &call.version, &old),
            None => success(&kind.plural, &kind.group, name(&old), uid(&old)),
        },
    ))
}

/// All that a list would show.
pub fn collection(state: &mut State, call: &Call) -> Answer {
    let options = Options::read(call, &body(call)?)?;
    let selector = read::selector(&state.store, call)?;
    let all = state.store.all(call.kind, call.namespace.as_deref());
    let mut gone = Vec::new();
    for object in all.iter().filter(|o| selector.fits(o)) {
        let key = state.store.key_of(call.kind, object);
        one(state, &key, &options)?;
        gone.push(state.store.shown(call.kind, &call.version, object));
    }
    let metadata = json!({"resourceVersion": state.store.version().to_string()});
    let kind = format!("{}List", state.store.kinds[call.kind].kind);
    Ok((200, json!({"kind": kind, "apiVersion": state.store.api(call), "metadata": metadata, "items": gone})))
}

fn preconditions(state: &State, key: &Key, old: &Value, options: &Options) -> Result<(), Refusal> {
    if state.violates(Violation::IgnoresPreconditions) {
        return Ok(());
    }
    let kind = &state.store.kinds[key.kind];
    let refuse = |what: &str, wanted: &str, own: &str| {
        let why = format!("the {what} in the precondition ({wanted}) does not match the {what} in record ({own})");
        Err(Refusal::conflict(&kind.plural, &kind.group, &key.name, &why))
    };
    if !options.uid.is_empty() && options.uid != uid(old) {
        return refuse("UID", &options.uid, uid(old));
    }
    let version = text(old, "/metadata/resourceVersion");
    if !options.version.is_empty() && options.version != version {
        return refuse("ResourceVersion", &options.version, version);
    }
    Ok(())
}

/// Deletes one, or begins to.
pub fn one(state: &mut State, key: &Key, options: &Options) -> Result<(), Refusal> {
    let kind = state.store.kinds[key.kind].clone();
    let found = state.store.get(key);
    let old = found.ok_or_else(|| Refusal::missing(&kind.plural, &kind.group, &key.name))?;
    preconditions(state, key, &old, options)?;
    if options.dry {
        return Ok(());
    }
    let grace = grace(&kind.plural, &old, options);
    let job = kind.plural == "jobs" && options.propagation.is_empty();
    let policy = if job { "Orphan" } else { options.propagation.as_str() };
    if policy == "Orphan" {
        orphan(state, uid(&old));
    }
    let waits = kind.plural == "namespaces" || grace > 0 || policy == "Foreground";
    if !waits && items(&old, "/metadata/finalizers").is_empty() {
        state.store.remove(key);
        return Ok(());
    }
    state.store.change(key, |object| {
        if !ending(object) {
            set(object, &["metadata", "deletionTimestamp"], soon(grace));
            set(object, &["metadata", "deletionGracePeriodSeconds"], grace);
            if at(object, "/metadata/generation").is_i64() {
                set(object, &["metadata", "generation"], int(object, "/metadata/generation") + 1);
            }
        } else if grace < int(object, "/metadata/deletionGracePeriodSeconds") {
            set(object, &["metadata", "deletionTimestamp"], now());
            set(object, &["metadata", "deletionGracePeriodSeconds"], grace);
        }
        if policy == "Foreground" {
            let mut finalizers = items(object, "/metadata/finalizers").to_vec();
            if !finalizers.iter().any(|f| f == "foregroundDeletion") {
                finalizers.push(json!("foregroundDeletion"));
            }
            set(object, &["metadata", "finalizers"], finalizers);
        }
        if kind.plural == "namespaces" && kind.group.is_empty() {
            set(object, &["status", "phase"], "Terminating");
        }
    });
    complete(state, key);
    Ok(())
}

/// Only pods have time to end: those that run somewhere.
fn grace(plural: &str, old: &Value, options: &Options) -> i64 {
    let runs = plural == "pods" && !text(old, "/spec/nodeName").is_empty();
    if !runs || ["Succeeded", "Failed"].contains(&text(old, "/status/phase")) {
        return 0;
    }
    let own = at(old, "/spec/terminationGracePeriodSeconds").as_i64().unwrap_or(30);
    options.grace.unwrap_or(own).max(0)
}

/// Takes an object away that is being deleted and waits for nothing any more.
pub fn complete(state: &mut State, key: &Key) {
    let Some(object) = state.store.get(key) else { return };
    let plural = state.store.kinds[key.kind].plural.as_str();
    let open = match plural {
        "namespaces" => !items(&object, "/spec/finalizers").is_empty(),
        _ => int(&object, "/metadata/deletionGracePeriodSeconds") > 0,
    };
    if ending(&object) && items(&object, "/metadata/finalizers").is_empty() && !open {
        state.store.remove(key);
    }
}

/// What it owns stays, and forgets it.
fn orphan(state: &mut State, owner: &str) {
    for (key, _) in owned(state, owner) {
        state.store.change(&key, |object| {
            let mut owners = items(object, "/metadata/ownerReferences").to_vec();
            owners.retain(|o| text(o, "/uid") != owner);
            if owners.is_empty() {
                take(object, &["metadata", "ownerReferences"]);
            } else {
                set(object, &["metadata", "ownerReferences"], owners);
            }
        });
    }
}

/// What names this uid as an owner, and whether the owner waits for it.
pub fn owned(state: &State, owner: &str) -> Vec<(Key, bool)> {
    let mut found = Vec::new();
    for kind in 0..state.store.kinds.len() {
        for (key, object) in state.store.range(kind, None) {
            let mut owners = items(object, "/metadata/ownerReferences").iter();
            if let Some(own) = owners.find(|o| text(o, "/uid") == owner) {
                found.push((key.clone(), at(own, "/blockOwnerDeletion") == &Value::Bool(true)));
            }
        }
    }
    found
}

/// `POST pods/NAME/eviction`
pub fn evict(state: &mut State, call: &Call) -> Answer {
    let kind = state.store.kinds[call.kind].clone();
    let eviction = call.json()?;
    if name(&eviction) != call.name() {
        return Err(Refusal::bad("name in URL does not match name in Eviction object"));
    }
    // The old version is taken by every server, the new one not by an old one.
    let new = state.store.kinds.iter().any(|k| k.plural == "poddisruptionbudgets" && k.versions[0] == "v1");
    let api = text(&eviction, "/apiVersion");
    if !(["", "policy/v1beta1"].contains(&api) || new && api == "policy/v1") {
        return Err(Refusal::bad(format!("no kind \"Eviction\" is registered for version \"{api}\"")));
    }
    let mut options = Options::read(call, at(&eviction, "/deleteOptions"))?;
    options.dry |= call.dry()?;
    options.dry &= !state.violates(Violation::IgnoresDryRun);
    let pod = existing(state, call, &kind)?;
    let done = |state: &mut State| {
        one(state, &call.key(&kind), &options)?;
        Ok((201, json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"})))
    };
    let phase = text(&pod, "/status/phase");
    if ["Succeeded", "Failed", "Pending"].contains(&phase) || ending(&pod) {
        return done(state);
    }
    preconditions(state, &call.key(&kind), &pod, &options)?;
    let pdbs = state.store.kind("policy", "poddisruptionbudgets");
    let all = state.store.all(pdbs, Some(namespace(&pod)));
    let mine: Vec<_> = all.iter().filter(|b| guards(b, &pod)).collect();
    match mine.as_slice() {
        [] => {}
        [budget] => spend(state, &state.store.key_of(pdbs, budget), &pod, options.dry)?,
        _ => {
            let message =
                "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
            return Err(Refusal::new(500, "", message));
        }
    }
    done(state)
}

/// Is a pod one of a budget's? A budget without a selector has none (`v1beta1`), with an empty one all (`v1`).
pub fn guards(budget: &Value, pod: &Value) -> bool {
    has(budget, "/spec/selector") && chooses(at(budget, "/spec/selector"), at(pod, "/metadata/labels"))
}

/// One disruption less is allowed, or none is.
fn spend(state: &mut State, key: &Key, pod: &Value, dry: bool) -> Result<(), Refusal> {
    let Some(budget) = state.store.get(key) else { return Ok(()) };
    let (healthy, wanted) = (int(&budget, "/status/currentHealthy"), int(&budget, "/status/desiredHealthy"));
    if condition(pod, "Ready") != "True" && healthy >= wanted && wanted > 0 {
        return Ok(());
    }
    let refuse = |why: String| {
        let cause = json!({"reason": "DisruptionBudget", "message": why});
        let message = "Cannot evict pod as it would violate the pod's disruption budget.";
        Err(Refusal::new(429, "TooManyRequests", message).causes(vec![cause]))
    };
    if int(&budget, "/status/observedGeneration") < int(&budget, "/metadata/generation") {
        return refuse(format!("The disruption budget {} is still being processed by the server.", key.name));
    }
    if int(&budget, "/status/disruptionsAllowed") <= 0 {
        let why = format!("The disruption budget {} needs {wanted} healthy pods and has {healthy} currently", key.name);
        return refuse(why);
    }
    if !dry {
        state.store.change(key, |b| {
            let left = int(b, "/status/disruptionsAllowed") - 1;
            set(b, &["status", "disruptionsAllowed"], left);
            set(b, &["status", "disruptedPods", name(pod)], now());
        });
    }
    Ok(())
}
