//! Looks at an HTTP service in a pod that nobody outside the cluster reaches: through the API server's port-forward, or by a
//! command inside a pod.

use super::http::Wanted;
use super::kubernetes::{Place, pods, readiness::readiness};
use super::{HttpExpect, Probe, ProbeError, Sample, system};
use crate::adapters::kubernetes::{Inside, Object};
use crate::adapters::{AdapterError, Request, http_over};
use crate::faults::{Cx, quote};
use crate::model::{Comparison, Dur, Resource, Right, TargetRef, Template};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// An HTTP request to a ready pod whose answer is looked at: the first by name of those that the target is, or has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PodHttpProbe {
    /// A target of kind `kubernetes`: pods, a workload, or a service.
    pub target: TargetRef,
    /// The port, by number or by the name that the pod gives it; of a service its own port. Not with `inside`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<PodPort>,
    /// The path, with its query; `/` if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<Template>,
    /// The method; GET if not given.
    #[serde(default = "get")]
    pub method: String,
    /// Headers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Template>,
    /// In place of a port-forward: a command in a container of the pod that asks and prints the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inside: Option<InsidePod>,
    /// What the answer must be. Of a command it knows only the body: exit status 0 is success.
    #[serde(default)]
    pub expect: HttpExpect,
    /// A JSON path to the value that `value` compares; the whole body if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<String>,
    /// What the value must be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Comparison>,
    /// Limit of one look; 5s if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Dur>,
}

/// A command in a pod.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InsidePod {
    /// The container; the only one if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<Template>,
    /// Program and arguments: `[wget, -qO-, "http://web.shop/health"]`. It prints the answer, and ends with 0 if it got one.
    pub command: Vec<Template>,
}

/// A port by number or name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum PodPort {
    /// By number.
    Number(u16),
    /// By name.
    Name(String),
}

impl std::fmt::Display for PodPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

fn get() -> String {
    "GET".to_owned()
}

impl PodPort {
    /// A number that is written like a name is a number.
    fn plain(&self) -> Self {
        match self {
            Self::Name(name) => name.trim().parse().map_or_else(|_| self.clone(), Self::Number),
            Self::Number(_) => self.clone(),
        }
    }

    /// Is it this one, of a list of ports of a pod or service?
    fn is(&self, port: &Value, key: &str) -> bool {
        match self {
            Self::Number(number) => port.get(key).and_then(Value::as_u64) == Some(u64::from(*number)),
            Self::Name(name) => port.get("name").and_then(Value::as_str) == Some(name),
        }
    }

    /// The number in this pod.
    fn in_pod(&self, pod: &Object) -> Option<u16> {
        if let Self::Number(number) = self {
            return Some(*number);
        }
        let ports = pod.items("/spec/containers").iter().filter_map(|c| c.get("ports")?.as_array()).flatten();
        let found = ports.filter(|port| self.is(port, "containerPort")).find_map(|port| port.get("containerPort"));
        found.and_then(Value::as_u64).and_then(|number| u16::try_from(number).ok())
    }

    /// What a service calls it, as its pods do.
    fn behind(&self, service: &Object) -> Option<Self> {
        let port = service.items("/spec/ports").iter().find(|port| self.is(port, "port"))?;
        let number = |value: &Value| u16::try_from(value.as_u64()?).ok();
        match port.get("targetPort").filter(|to| !to.is_null()) {
            Some(Value::String(name)) => Some(Self::Name(name.clone())),
            Some(other) => number(other).map(Self::Number),
            None => number(port.get("port")?).map(Self::Number),
        }
    }
}

impl PodHttpProbe {
    /// What does not go together in it, and what to write instead.
    #[must_use]
    pub fn mistake(&self) -> Option<(&'static str, &'static str)> {
        match (&self.inside, &self.port) {
            (None, None) => Some(("`pod_http` has no port", "write `port: 8080`, or the port's name")),
            (Some(inside), _) if inside.command.is_empty() => {
                Some(("this command is nothing", "write `command: [wget, -qO-, \"http://localhost:8080/\"]`"))
            }
            (Some(_), Some(_)) => Some(("a command in a pod needs no `port`", "write the address into the command")),
            (Some(_), None) if self.path.is_some() || !self.headers.is_empty() || self.method != get() => {
                Some(("a command in a pod asks by itself", "take `path`, `method` and `headers` out"))
            }
            (Some(_), None) if self.expect.status.is_some() => {
                Some(("nobody knows the status that a command got", "take `status` out; exit status 0 is success"))
            }
            _ => None,
        }
    }

    async fn look(&self, cx: &Cx<'_>) -> Result<Sample, ProbeError> {
        if let Some((what, help)) = self.mistake() {
            return Err(ProbeError::Undecided(format!("{what}: {help}")));
        }
        let place = Place::of(&self.target, cx).await?;
        let mut ready: Vec<Object> = pods::pods(&place).await?;
        ready.retain(|object| readiness(&pods::pod(), object) == Some(None));
        ready.sort_by(|a, b| (a.namespace(), a.name()).cmp(&(b.namespace(), b.name())));
        let Some(pod) = ready.first() else {
            let mut sample = Sample::default();
            sample.fail(format!("no pod of `{}` is ready\nwanted: an answer of one", place.name));
            return Ok(sample);
        };
        let mut sample = match &self.inside {
            Some(inside) => self.by_command(inside, pod, &place, cx).await?,
            None => self.by_forward(pod, &place, cx).await?,
        };
        sample.detail = format!("pod {}: {}", pod.name(), sample.detail);
        sample.fields.insert("pod".to_owned(), pod.name().to_owned());
        Ok(sample)
    }

    fn wanted(&self) -> Wanted<'_> {
        Wanted { expect: &self.expect, json: self.json.as_deref(), value: self.value.as_ref() }
    }

    async fn by_forward(&self, pod: &Object, place: &Place, cx: &Cx<'_>) -> Result<Sample, ProbeError> {
        let asked = self.port.as_ref().map_or(PodPort::Number(80), PodPort::plain);
        let service = place.objects().find(|_| place.found.kind.kind == "Service");
        let named = match service {
            Some(service) => asked.behind(service).ok_or_else(|| place.odd(&format!("it has no port {asked}")))?,
            None => asked,
        };
        let port = named.in_pod(pod);
        let port = port.ok_or_else(|| place.odd(&format!("its pod {} has no port `{named}`", pod.name())))?;
        let fill = |(k, t): (&String, &Template)| Ok((k.clone(), cx.text(t)?));
        let path = self.path.as_ref().map(|path| cx.text(path)).transpose()?.unwrap_or_default();
        let timeout = system::limit(self.timeout);
        let request = Request {
            method: self.method.clone(),
            url: format!("http://{}:{port}/{}", pod.name(), path.trim_start_matches('/')),
            headers: self.headers.iter().map(fill).collect::<Result<_, ProbeError>>()?,
            body: None,
            timeout,
        };
        let stream = place.cluster.connect(&self.place_in(pod, None), port, timeout).await?;
        let answer = http_over::exchange(stream, &request).await?;
        self.wanted().judge(Some(answer.status), answer.body, cx)
    }

    async fn by_command(
        &self,
        inside: &InsidePod,
        pod: &Object,
        place: &Place,
        cx: &Cx<'_>,
    ) -> Result<Sample, ProbeError> {
        let argv = inside.command.iter().map(|word| cx.word(word)).collect::<Result<Vec<_>, _>>()?;
        let container = inside.container.as_ref().map(|name| cx.text(name)).transpose()?;
        let output = place.cluster.exec(&self.place_in(pod, container), &argv, system::limit(self.timeout)).await?;
        if output.status != Some(0) {
            let how = output.status.map_or_else(|| "ended by a signal".to_owned(), |s| format!("exit status {s}"));
            let said = if output.stderr.trim().is_empty() { output.stdout.trim() } else { output.stderr.trim() };
            let mut sample = Sample::default();
            sample.fail(format!("{how}: {}\nwanted: an answer, and exit status 0", quote(said, 400)));
            sample.answer = output.stdout;
            return Ok(sample);
        }
        self.wanted().judge(None, output.stdout, cx)
    }

    fn place_in(&self, pod: &Object, container: Option<String>) -> Inside {
        let namespace = pod.namespace().unwrap_or_default().to_owned();
        Inside { namespace, pod: pod.name().to_owned(), container }
    }
}

impl Probe for PodHttpProbe {
    const KIND: &'static str = "pod_http";
    const SUMMARY: &'static str =
        "an HTTP answer of a pod, through the API server's port-forward or by a command inside it";

    fn target(&self) -> Option<&TargetRef> {
        Some(&self.target)
    }

    fn rights(&self) -> Vec<Right> {
        let core = |plural: &str| Resource::Namespaced(String::new(), plural.to_owned());
        let part = if self.inside.is_some() { "pods/exec" } else { "pods/portforward" };
        let mut rights = Right::each(&self.target, &Resource::Itself(None), &["list"]);
        rights.extend(Right::each(&self.target, &core("pods"), &["list"]));
        // Over WebSockets servers up to 1.34 ask for `get`, later ones for `create`.
        rights.extend(Right::each(&self.target, &core(part), &["get", "create"]));
        rights
    }

    async fn sample(&self, cx: &Cx<'_>) -> Result<Sample, ProbeError> {
        let limit = system::limit(self.timeout);
        let late = |_| AdapterError::TimedOut(format!("no answer of `{}` within {}", self.target.name(), Dur(limit)));
        tokio::time::timeout(limit, self.look(cx)).await.map_err(late)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ports_are_found_by_number_and_name_in_pods_and_behind_services() {
        let pod = Object(json!({"spec": {"containers": [{"ports": [{"name": "web", "containerPort": 8080}]}]}}));
        let name = |text: &str| PodPort::Name(text.to_owned());
        assert_eq!((name("web").in_pod(&pod), PodPort::Number(9).in_pod(&pod)), (Some(8080), Some(9)));
        assert_eq!((name("none").in_pod(&pod), name("8080").plain()), (None, PodPort::Number(8080)));
        let service = Object(json!({"spec": {"ports": [
            {"name": "http", "port": 80, "targetPort": "web"}, {"port": 81, "targetPort": 8081}, {"port": 82}
        ]}}));
        assert_eq!(PodPort::Number(80).behind(&service), Some(name("web")));
        assert_eq!(name("http").behind(&service), Some(name("web")));
        assert_eq!(PodPort::Number(81).behind(&service), Some(PodPort::Number(8081)));
        assert_eq!(PodPort::Number(82).behind(&service), Some(PodPort::Number(82)));
        assert_eq!(PodPort::Number(8080).behind(&service), None);
    }

    #[test]
    fn what_does_not_go_together_is_told() {
        let of = |more: serde_json::Value| {
            let mut whole = json!({"target": "web"});
            whole.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            serde_json::from_value::<PodHttpProbe>(whole).unwrap().mistake().map(|(what, _)| what)
        };
        let inside = json!({"command": ["wget", "-qO-", "http://localhost/"]});
        assert!(of(json!({})).unwrap().contains("no port"));
        assert!(of(json!({"port": 80, "inside": inside})).unwrap().contains("needs no `port`"));
        assert!(of(json!({"path": "/", "inside": inside})).unwrap().contains("by itself"));
        assert!(of(json!({"expect": {"status": 200}, "inside": inside})).unwrap().contains("status"));
        assert!(of(json!({"inside": {"command": []}})).unwrap().contains("nothing"));
        assert_eq!((of(json!({"port": "web"})), of(json!({"inside": inside}))), (None, None));
    }
}
