//! A cluster, by the crate kube: objects read and changed. How it is reached is in `opening`; lists, watches and what is done
//! inside pods are files of their own.

use super::call::{Ask, Caller, JSON, Later, escaped};
use super::discovery::Discovery;
use super::status::{Details, Hush, Status};
use super::{
    Allowed, Applier, At, Change, Cluster, ClusterError, Conflicts, Deletion, Facts, Flow, Inside, Kind, MANAGER, May,
    Object, Patch, Propagation, Query, Scope, Stream, Write,
};
use crate::adapters::{CommandOutput, Fut};
use hyper::Method;
use serde_json::{Value, json};
use std::time::Duration;

/// A cluster.
pub(super) struct System {
    pub(super) caller: Caller,
    pub(super) facts: Facts,
    pub(super) context: Option<String>,
    pub(super) kinds: Discovery,
}

impl System {
    async fn write(&self, ask: Ask, write: Write) -> Result<Object, ClusterError> {
        self.write_by(MANAGER, ask, write).await
    }

    async fn write_by(&self, manager: &str, ask: Ask, write: Write) -> Result<Object, ClusterError> {
        let ask = ask.with("fieldManager", manager);
        let ask = if write == Write::Dry { ask.with("dryRun", "All") } else { ask };
        self.caller.json(&ask).await.map(Object)
    }
}

/// The path of all objects of a kind, there.
pub(super) fn all(kind: &Kind, namespace: Option<&str>) -> String {
    let root = if kind.group.is_empty() { "/api" } else { "/apis" };
    let place = match namespace {
        Some(name) if kind.scope == Scope::Namespaced => format!("/namespaces/{}", escaped(name)),
        _ => String::new(),
    };
    format!("{root}/{}{place}/{}", kind.api(), escaped(&kind.plural))
}

fn one(at: &At, part: Option<&str>) -> Result<String, ClusterError> {
    if at.name.is_empty() || [".", ".."].contains(&at.name.as_str()) {
        return Err(ClusterError::Invalid(format!("{at}: that is no name of an object")));
    }
    if at.kind.scope == Scope::Namespaced && at.namespace.is_none() {
        return Err(ClusterError::Invalid(format!("{at}: which namespace is not said")));
    }
    let part = part.map(|part| format!("/{part}")).unwrap_or_default();
    Ok(format!("{}/{}{part}", all(&at.kind, at.namespace.as_deref()), escaped(&at.name)))
}

/// A Secret's content is not repeated, and neither is that of an object that may hold one.
fn hush(kind: &Kind) -> Hush {
    if kind.group.is_empty() && kind.kind == "Secret" { Hush::Yes } else { Hush::No }
}

fn ask(method: Method, at: &At, part: Option<&str>, verb: &str) -> Result<Ask, ClusterError> {
    let named = part.map(|part| format!("{part} of ")).unwrap_or_default();
    let mut ask = Ask::new(method, one(at, part)?, format!("{verb} {named}{at}"));
    ask.hush = hush(&at.kind);
    Ok(ask)
}

/// With `apiVersion`, `kind`, and the name that the path says too.
fn whole(at: &At, object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(map) = object.as_object_mut() {
        map.entry("apiVersion").or_insert_with(|| at.kind.api().into());
        map.entry("kind").or_insert_with(|| at.kind.kind.clone().into());
        if let Some(metadata) = map.entry("metadata").or_insert_with(|| json!({})).as_object_mut() {
            metadata.entry("name").or_insert_with(|| at.name.clone().into());
        }
    }
    object
}

fn options(how: &Deletion, write: Write) -> Value {
    let mut options = json!({ "apiVersion": "v1", "kind": "DeleteOptions" });
    if let Some(uid) = &how.uid {
        options["preconditions"] = json!({ "uid": uid });
    }
    if let Some(grace) = how.grace {
        options["gracePeriodSeconds"] = grace.into();
    }
    if let Some(propagation) = how.propagation {
        options["propagationPolicy"] = match propagation {
            Propagation::Orphan => "Orphan",
            Propagation::Background => "Background",
            Propagation::Foreground => "Foreground",
        }
        .into();
    }
    if write == Write::Dry {
        options["dryRun"] = json!(["All"]);
    }
    options
}

impl System {
    async fn get(&self, at: &At) -> Result<Option<Object>, ClusterError> {
        let ask = ask(Method::GET, at, None, "get")?;
        let answer = self.caller.answer(&ask).await?;
        if answer.code != 404 {
            return answer.json(&ask).map(|value| Some(Object(value)));
        }
        // That there is no such object names it; that there is no such kind names nothing.
        let status = Status::of(404, answer.body.as_deref().unwrap_or_default());
        let Details { name, .. } = &status.details;
        if name.is_empty() { Err(status.error(&ask.doing, ask.hush)) } else { Ok(None) }
    }

    async fn create(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        object: &Value,
        write: Write,
    ) -> Result<Object, ClusterError> {
        let said = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let namespace = namespace.or_else(|| Some(said("/metadata/namespace")).filter(|name| !name.is_empty()));
        let name = Some(said("/metadata/name")).filter(|name| !name.is_empty()).unwrap_or("(new)");
        let at = kind.at(namespace, name);
        let mut ask = Ask::new(Method::POST, all(kind, namespace), format!("create {at}"));
        if kind.scope == Scope::Namespaced && namespace.is_none() {
            return Err(ClusterError::Invalid(format!("{}: which namespace is not said", ask.doing)));
        }
        ask.hush = hush(kind);
        let object = if said("/metadata/generateName").is_empty() { whole(&at, object) } else { object.clone() };
        self.write(ask.sending(JSON, &object), write).await
    }

    async fn apply(&self, by: &Applier, at: &At, object: &Value, write: Write) -> Result<Object, ClusterError> {
        let force = match by.conflicts {
            Conflicts::Report => "false",
            Conflicts::TakeOver => "true",
        };
        let ask = ask(Method::PATCH, at, None, "apply")?.with("force", force);
        let ask = ask.sending("application/apply-patch+yaml", &whole(at, object));
        self.write_by(&by.manager, ask, write).await
    }

    async fn patch(&self, at: &At, part: Option<&str>, patch: &Patch, write: Write) -> Result<Object, ClusterError> {
        let (kind, value) = match patch {
            Patch::Merge(value) => ("application/merge-patch+json", value),
            Patch::Json(value) => ("application/json-patch+json", value),
            Patch::Strategic(value) => ("application/strategic-merge-patch+json", value),
        };
        self.write(ask(Method::PATCH, at, part, "change")?.sending(kind, value), write).await
    }

    async fn delete(&self, at: &At, how: &Deletion, write: Write) -> Result<(), ClusterError> {
        let mut ask = ask(Method::DELETE, at, None, "delete")?.sending(JSON, &options(how, write));
        if write == Write::Dry {
            // Said twice: who drops the body of a DELETE on the way must not make it a real one.
            ask = ask.with("dryRun", "All");
        }
        self.caller.answer(&ask).await?.good(&ask).map(drop)
    }

    async fn evict(&self, pod: &At, how: &Deletion, write: Write) -> Result<(), ClusterError> {
        let mut ask = ask(Method::POST, pod, Some("eviction"), "make")?;
        ask.doing = format!("evict {pod}");
        ask.later = Later::Answer;
        self.still(pod, how.uid.as_deref(), &ask.doing).await?;
        let api = self.kinds.eviction(&self.caller).await?;
        let metadata = json!({ "name": pod.name, "namespace": pod.namespace });
        let mut options = options(how, write);
        if let Some(map) = options.as_object_mut() {
            map.retain(|name, _| !["apiVersion", "kind"].contains(&name.as_str()));
        }
        let eviction = json!({ "apiVersion": api, "kind": "Eviction", "metadata": metadata, "deleteOptions": options });
        if write == Write::Dry {
            ask = ask.with("dryRun", "All");
        }
        let ask = ask.sending(JSON, &eviction);
        self.caller.answer(&ask).await?.good(&ask).map(drop)
    }

    /// Servers try an eviction with the wrong uid again and again, for longer than we wait: looked at before, and still a
    /// precondition, for it may be replaced in between.
    async fn still(&self, pod: &At, uid: Option<&str>, doing: &str) -> Result<(), ClusterError> {
        let Some(uid) = uid else { return Ok(()) };
        match self.get(pod).await? {
            None => Err(ClusterError::Missing(format!("{doing}: it is not there"))),
            Some(now) if now.uid() != uid => {
                Err(ClusterError::Conflict(format!("{doing}: it is another pod of that name")))
            }
            Some(_) => Ok(()),
        }
    }

    async fn may(&self, what: &May) -> Result<Allowed, ClusterError> {
        let mut attributes = json!({ "verb": what.verb, "group": what.group, "resource": what.resource });
        let more = [("subresource", &what.part), ("namespace", &what.namespace), ("name", &what.name)];
        for (name, value) in more {
            if let Some(value) = value {
                attributes[name] = value.clone().into();
            }
        }
        let api = "authorization.k8s.io/v1";
        let body = json!({ "apiVersion": api, "kind": "SelfSubjectAccessReview", "spec": { "resourceAttributes": attributes } });
        let ask = Ask::new(
            Method::POST,
            format!("/apis/{api}/selfsubjectaccessreviews"),
            format!("ask whether `{}` of {} is allowed", what.verb, what.resource),
        )
        .sending(JSON, &body);
        let answer = Object(self.caller.json(&ask).await?);
        if answer.0.pointer("/status/allowed") == Some(&Value::Bool(true)) {
            return Ok(Allowed::Yes);
        }
        Ok(Allowed::No(super::status::tame(answer.text("/status/reason"))))
    }
}

impl Cluster for System {
    fn facts(&self) -> Facts {
        self.facts.clone()
    }

    fn context(&self) -> Option<String> {
        self.context.clone()
    }

    fn kind<'a>(&'a self, name: &'a str) -> Fut<'a, Result<Kind, ClusterError>> {
        Box::pin(async move {
            match Kind::known(name) {
                Some(kind) => Ok(kind),
                None => self.kinds.kind(&self.caller, name).await,
            }
        })
    }

    fn get<'a>(&'a self, at: &'a At) -> Fut<'a, Result<Option<Object>, ClusterError>> {
        Box::pin(Self::get(self, at))
    }

    fn list<'a>(
        &'a self,
        query: &'a Query,
        each: &'a mut (dyn FnMut(Object) -> Flow + Send),
    ) -> Fut<'a, Result<String, ClusterError>> {
        Box::pin(super::pages::list(&self.caller, query, each))
    }

    fn watch<'a>(
        &'a self,
        query: &'a Query,
        since: &'a str,
        limit: Duration,
        each: &'a mut (dyn FnMut(Change) -> Flow + Send),
    ) -> Fut<'a, Result<(), ClusterError>> {
        Box::pin(super::watch::watch(&self.caller, query, since, limit, each))
    }

    fn create<'a>(
        &'a self,
        kind: &'a Kind,
        namespace: Option<&'a str>,
        object: &'a Value,
        write: Write,
    ) -> Fut<'a, Result<Object, ClusterError>> {
        Box::pin(Self::create(self, kind, namespace, object, write))
    }

    fn apply<'a>(&'a self, at: &'a At, object: &'a Value, write: Write) -> Fut<'a, Result<Object, ClusterError>> {
        Box::pin(async move {
            let ours = Applier { manager: MANAGER.to_owned(), conflicts: Conflicts::Report };
            Self::apply(self, &ours, at, object, write).await
        })
    }

    fn apply_by<'a>(
        &'a self,
        by: &'a Applier,
        at: &'a At,
        object: &'a Value,
        write: Write,
    ) -> Fut<'a, Result<Object, ClusterError>> {
        Box::pin(Self::apply(self, by, at, object, write))
    }

    fn patch<'a>(
        &'a self,
        at: &'a At,
        part: Option<&'a str>,
        patch: &'a Patch,
        write: Write,
    ) -> Fut<'a, Result<Object, ClusterError>> {
        Box::pin(Self::patch(self, at, part, patch, write))
    }

    fn delete<'a>(&'a self, at: &'a At, how: &'a Deletion, write: Write) -> Fut<'a, Result<(), ClusterError>> {
        Box::pin(Self::delete(self, at, how, write))
    }

    fn evict<'a>(&'a self, pod: &'a At, how: &'a Deletion, write: Write) -> Fut<'a, Result<(), ClusterError>> {
        Box::pin(Self::evict(self, pod, how, write))
    }

    fn exec<'a>(
        &'a self,
        inside: &'a Inside,
        argv: &'a [String],
        limit: Duration,
    ) -> Fut<'a, Result<CommandOutput, ClusterError>> {
        Box::pin(super::inside::exec(&self.caller, inside, argv, limit))
    }

    fn logs<'a>(
        &'a self,
        inside: &'a Inside,
        limit: Duration,
        each: &'a mut (dyn FnMut(&str) -> Flow + Send),
    ) -> Fut<'a, Result<(), ClusterError>> {
        Box::pin(super::inside::logs(&self.caller, inside, limit, each))
    }

    fn connect<'a>(
        &'a self,
        inside: &'a Inside,
        port: u16,
        limit: Duration,
    ) -> Fut<'a, Result<Box<dyn Stream>, ClusterError>> {
        Box::pin(super::inside::connect(&self.caller, inside, port, limit))
    }

    fn may<'a>(&'a self, what: &'a May) -> Fut<'a, Result<Allowed, ClusterError>> {
        Box::pin(Self::may(self, what))
    }
}
