//! Applies any object, such as an experiment of another engine, waits until it says that it is injected, and deletes it to
//! heal. When which engine is done is `injected`'s.

use super::injected::{self, Injected};
use super::mark::{self, Mark};
use super::{Home, access, home, kubectl, spec};
use crate::adapters::AdapterError;
use crate::adapters::kubernetes::{Access, At, Cluster, ClusterError, Deletion, Object, Scope, Write};
use crate::faults::{Cx, Fault, FaultError, Look, Reversibility, word};
use crate::model::{Dur, Resource, Right, TargetRef, Template};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// An object that is deleted is gone within this.
const GONE: Duration = Duration::from_secs(60);
/// Between two looks whether it is gone.
const AGAIN: Duration = Duration::from_millis(200);

/// Makes an object on a cluster, such as an experiment of Chaos Mesh or LitmusChaos, and deletes it to heal: what it does
/// is its own engine's. It is injected when the object says so, and healed when the object is gone: an engine that does
/// not come to an end holds it by a finalizer, and that is an error, never a pass.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// A target of kind `kubernetes`: what the object acts on. It is made in that cluster, and in that namespace unless
    /// it says another.
    pub target: TargetRef,
    /// The object, with `apiVersion`, `kind` and `metadata.name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Map<String, Value>>")]
    pub object: Option<Value>,
    /// The same as a file (YAML or JSON), from the playbook's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<Template>,
    /// When it is injected; known for `chaos-mesh.org` (condition `AllInjected`) and `litmuschaos.io`
    /// (`$.status.engineStatus` is `initialized`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub injected: Option<Injected>,
    /// It is gone so long after it was deleted; 60s if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone_within: Option<Dur>,
}

/// What heals it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    /// Where the record stands.
    pub home: Home,
    /// The way to the cluster.
    pub access: Access,
    /// Where the object is.
    pub at: At,
    /// The object (secrets by reference).
    pub object: Value,
    /// When it is injected.
    pub injected: Injected,
}

fn refused(why: String) -> FaultError {
    AdapterError::Refused(why).into()
}

fn wrong(why: &str) -> FaultError {
    FaultError::Reference(why.to_owned())
}

/// Every text in a value with everything filled in, secrets too.
fn filled(value: &Value, cx: &Cx<'_>) -> Result<Value, FaultError> {
    Ok(match value {
        Value::String(text) if text.contains("${") => {
            let template = Template::parse(text).map_err(|e| FaultError::Reference(e.to_string()))?;
            cx.text(&template)?.into()
        }
        Value::Array(list) => Value::Array(list.iter().map(|one| filled(one, cx)).collect::<Result<_, _>>()?),
        Value::Object(map) => {
            let one = |(key, value): (&String, &Value)| Ok((key.clone(), filled(value, cx)?));
            Value::Object(map.iter().map(one).collect::<Result<_, FaultError>>()?)
        }
        other => other.clone(),
    })
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Group and version of an `apiVersion`; the group of the core is empty.
fn api(object: &Value) -> (&str, &str) {
    let api = text(object, "/apiVersion");
    api.split_once('/').unwrap_or(("", api))
}

/// The plural as most engines have it: those that end in `chaos` are their own.
fn plural(kind: &str) -> String {
    let kind = kind.to_lowercase();
    match kind.as_str() {
        chaos if chaos.ends_with("chaos") => kind,
        other if other.ends_with('s') => format!("{kind}es"),
        other => other.strip_suffix('y').map_or(format!("{kind}s"), |stem| format!("{stem}ies")),
    }
}

impl Manifest {
    fn written(&self, cx: &Cx<'_>) -> Result<Value, FaultError> {
        let (object, what) = match (&self.object, &self.file) {
            (Some(object), None) => (object.clone(), "the object".to_owned()),
            (None, Some(file)) => {
                let path = cx.scope.base().join(cx.text(file)?);
                let text = String::from_utf8_lossy(&cx.world.files.read(&path)?).into_owned();
                let object = serde_yaml::from_str(&text)
                    .map_err(|_| refused(format!("{} is not one object in YAML or JSON", path.display())))?;
                (object, path.display().to_string())
            }
            _ => return Err(wrong("write either `object` or `file`")),
        };
        for pointer in ["/apiVersion", "/kind", "/metadata/name"] {
            if text(&object, pointer).is_empty() {
                return Err(refused(format!("{what} has no `{}`", pointer[1..].replace('/', "."))));
            }
        }
        Ok(object)
    }

    fn limit(&self) -> Duration {
        self.gone_within.map_or(GONE, |limit| limit.0)
    }

    /// With our label, and everything filled in.
    fn marked(undo: &Undo, cx: &Cx<'_>) -> Result<Value, FaultError> {
        let tag = cx.owner.tag();
        let ours = json!({"metadata": {
            "labels": {super::OWNER_LABEL: tag}, "annotations": {super::UNDO_ANNOTATION: mark::record(&tag)},
        }});
        Ok(mark::merged(filled(&undo.object, cx)?, ours))
    }
}

impl Undo {
    async fn cluster(&self, cx: &Cx<'_>) -> Result<Arc<dyn Cluster>, FaultError> {
        Ok(cx.world.clusters.open(&self.access).await?)
    }

    /// The object, if it is ours.
    async fn ours(&self, cluster: &dyn Cluster, cx: &Cx<'_>) -> Result<Option<Object>, FaultError> {
        let now = match cluster.get(&self.at).await {
            // Not even the kind is there any more.
            Err(ClusterError::Missing(_)) => None,
            now => now?,
        };
        Ok(now.filter(|now| mark::of(now, &cx.owner.tag()) == Mark::Ours))
    }

    async fn create(&self, write: Write, cx: &Cx<'_>) -> Result<(), FaultError> {
        let (cluster, object) = (self.cluster(cx).await?, Manifest::marked(self, cx)?);
        match cluster.create(&self.at.kind, self.at.namespace.as_deref(), &object, write).await {
            Ok(_) => Ok(()),
            Err(ClusterError::Exists(why)) => match self.ours(&*cluster, cx).await? {
                Some(_) => Ok(()),
                None => Err(refused(format!("{why}; it is not ours, and stays as it is"))),
            },
            Err(error) => Err(error.into()),
        }
    }
}

/// What holds an object that shall go.
fn held_by(object: &Object) -> String {
    let finalizers: Vec<&str> = object.items("/metadata/finalizers").iter().filter_map(Value::as_str).collect();
    if finalizers.is_empty() { "nothing that it names".to_owned() } else { finalizers.join(", ") }
}

impl Fault for Manifest {
    const KIND: &'static str = "manifest";
    const SUMMARY: &'static str = "make any object on a Kubernetes cluster, such as an experiment of another engine";
    const REVERSIBILITY: Reversibility = Reversibility::Reversible;
    const TARGETS: &'static [&'static str] = &["kubernetes"];
    type Undo = Undo;

    fn targets(&self) -> Vec<&TargetRef> {
        vec![&self.target]
    }

    fn permissions(&self) -> Vec<String> {
        vec!["to read, create and delete the object; and whatever its engine needs".to_owned()]
    }

    fn rights(&self) -> Vec<Right> {
        // Of a file nobody knows what is in it before it is read.
        let Some(object) = &self.object else { return Vec::new() };
        let (group, plural) = (api(object).0.to_owned(), plural(text(object, "/kind")));
        let resource = match text(object, "/metadata/namespace") {
            "" => Resource::Namespaced(group, plural),
            _ => Resource::Everywhere(group, plural),
        };
        Right::each(&self.target, &resource, &["get", "create", "delete"])
    }

    fn way_back(&self) -> String {
        "the object is deleted; its engine undoes what it did".to_owned()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Undo, FaultError> {
        let (object, target) = (self.written(cx)?, spec(&self.target, cx)?);
        let (access, home) = (access(&target, cx)?, home(&self.target, cx).await?);
        let cluster = cx.world.clusters.open(&access).await?;
        let (group, version) = api(&object);
        let name = match group {
            "" => text(&object, "/kind").to_owned(),
            group => format!("{}.{version}.{group}", text(&object, "/kind")),
        };
        let kind = cluster.kind(&name).await?;
        let given =
            cx.text(&Template::parse(text(&object, "/metadata/namespace")).map_err(|e| wrong(&e.to_string()))?)?;
        let own = match &target.namespace {
            Some(namespace) => cx.text(namespace)?,
            None => cluster.facts().namespace,
        };
        let namespace = if given.is_empty() { own } else { given };
        let namespace = Some(namespace).filter(|_| kind.scope == Scope::Namespaced);
        let own_name = Template::parse(text(&object, "/metadata/name")).map_err(|e| wrong(&e.to_string()))?;
        let at = kind.at(namespace.as_deref(), &cx.word(&own_name)?);
        if cluster.get(&at).await?.is_some() {
            return Err(refused(format!("{at} is there already, and not ours: give the object another name")));
        }
        let injected = self.injected.clone().or_else(|| injected::known(group)).ok_or_else(|| {
            FaultError::Reference(format!(
                "nothing says when {at} is injected: write `injected: {{path: $.status.phase, equals: Running}}`, \
                 `{{condition: NAME}}` or `{{cel: \"object.status.phase == 'Running'\"}}`"
            ))
        })?;
        injected.check()?;
        Ok(Undo { home, access, at, object, injected })
    }

    async fn rehearse(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        undo.create(Write::Dry, cx).await
    }

    async fn inject(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        undo.create(Write::Real, cx).await
    }

    async fn effective(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let Some(now) = undo.ours(&*undo.cluster(cx).await?, cx).await? else {
            return Ok(Look { holds: false, detail: format!("{} is not there", undo.at) });
        };
        if now.ending() {
            return Ok(Look { holds: false, detail: format!("{} is being deleted", undo.at) });
        }
        let look = undo.injected.seen(&now);
        Ok(Look { holds: look.holds, detail: format!("{}: {}", undo.at, look.detail) })
    }

    async fn heal(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        let (cluster, clock) = (undo.cluster(cx).await?, &cx.world.clock);
        let until = clock.mono().after(self.limit());
        loop {
            let Some(now) = undo.ours(&*cluster, cx).await? else { return Ok(()) };
            if !now.ending() {
                let how = Deletion { uid: Some(now.uid().to_owned()), ..Deletion::default() };
                match cluster.delete(&undo.at, &how, Write::Real).await {
                    Ok(()) | Err(ClusterError::Missing(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            } else if clock.mono() >= until {
                return Err(AdapterError::TimedOut(format!(
                    "{} was deleted and is still there after {:?}: its finalizers hold it ({}), so its engine has not \
                     undone what it did",
                    undo.at,
                    self.limit(),
                    held_by(&now)
                ))
                .into());
            }
            clock.sleep_until(clock.mono().after(AGAIN)).await;
        }
    }

    async fn healed(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        Ok(match undo.ours(&*undo.cluster(cx).await?, cx).await? {
            None => Look { holds: true, detail: format!("{} is gone", undo.at) },
            Some(now) if now.ending() => {
                let detail = format!("{} is being deleted, and held by {}", undo.at, held_by(&now));
                Look { holds: false, detail }
            }
            Some(_) => Look { holds: false, detail: format!("{} is there", undo.at) },
        })
    }

    fn home(undo: &Undo) -> Option<&Home> {
        Some(&undo.home)
    }

    fn by_hand(&self, undo: &Undo) -> String {
        let At { kind, namespace, name } = &undo.at;
        let group = if kind.group.is_empty() { String::new() } else { format!(".{}", kind.group) };
        let what = word(&format!("{}{group}/{name}", kind.plural));
        let delete = format!("delete {what} --ignore-not-found --timeout={}s", self.limit().as_secs().max(1));
        kubectl::line(&undo.access, namespace.as_deref(), &delete)
    }

    fn touched(&self, undo: &Undo) -> Vec<String> {
        vec![undo.at.to_string()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plurals_are_those_of_the_engines() {
        for (kind, expected) in [
            ("NetworkChaos", "networkchaos"),
            ("ChaosEngine", "chaosengines"),
            ("Workflow", "workflows"),
            ("NetworkPolicy", "networkpolicies"),
            ("Ingress", "ingresses"),
        ] {
            assert_eq!(plural(kind), expected);
        }
        assert_eq!(api(&json!({"apiVersion": "chaos-mesh.org/v1alpha1"})), ("chaos-mesh.org", "v1alpha1"));
        assert_eq!(api(&json!({"apiVersion": "v1"})), ("", "v1"));
    }
}
