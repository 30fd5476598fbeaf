//! A request as the server understands it: who wants to do what to which object.

use super::kinds::Kind;
use super::status::Refusal;
use super::store::Key;
use serde_json::Value;

/// What is asked.
#[derive(Debug, Clone)]
pub struct Call {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: &'static str,
    /// The kind's place in the registry.
    pub kind: usize,
    /// The version of the API that is spoken.
    pub version: String,
    pub namespace: Option<String>,
    pub name: Option<String>,
    /// `status`, `scale`, …
    pub part: Option<String>,
    pub query: Vec<(String, String)>,
    pub accept: String,
    pub media: String,
    pub body: Vec<u8>,
    /// Who asks.
    pub user: String,
    /// The program that asks, for `managedFields`.
    pub agent: String,
}

impl Call {
    /// A parameter; empty if it is not given.
    pub fn ask(&self, name: &str) -> &str {
        self.query.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    pub fn all(&self, name: &str) -> Vec<String> {
        self.query.iter().filter(|(key, _)| key == name).map(|(_, value)| value.clone()).collect()
    }

    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    pub fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or_default()
    }

    pub fn part(&self) -> &str {
        self.part.as_deref().unwrap_or_default()
    }

    pub fn key(&self, kind: &Kind) -> Key {
        let namespace = if kind.namespaced { self.namespace() } else { "" };
        Key { kind: self.kind, namespace: namespace.to_owned(), name: self.name().to_owned() }
    }

    /// Who writes, as `managedFields` names it.
    pub fn manager(&self) -> String {
        match self.ask("fieldManager") {
            "" => self.agent.split('/').next().unwrap_or("unknown").to_owned(),
            given => given.to_owned(),
        }
    }

    /// Is it only tried? Anything but `All` is refused.
    pub fn dry(&self) -> Result<bool, Refusal> {
        let asked = self.all("dryRun");
        match asked.iter().find(|d| *d != "All") {
            Some(other) => {
                Err(Refusal::invalid("CreateOptions", "meta.k8s.io", "", "dryRun", &format!("no such: {other}")))
            }
            None => Ok(!asked.is_empty()),
        }
    }

    /// The body as JSON (or YAML).
    pub fn json(&self) -> Result<Value, Refusal> {
        if self.media.contains("protobuf") {
            return super::protobuf::review(&self.body).ok_or_else(|| Refusal::media(&self.media));
        }
        let yaml = || std::str::from_utf8(&self.body).ok().and_then(|t| serde_yaml::from_str(t).ok());
        let parsed = serde_json::from_slice(&self.body).ok().or_else(yaml);
        parsed.ok_or_else(|| Refusal::bad("the body is no JSON"))
    }
}

/// The parts of a path that name an object.
#[derive(Debug, Default, PartialEq)]
pub struct Place {
    pub group: String,
    pub version: String,
    pub namespace: Option<String>,
    pub plural: String,
    pub name: Option<String>,
    pub part: Option<String>,
}

/// `/api/v1/namespaces/shop/pods/web-1/log` and the like; none for other paths.
pub fn place(path: &str) -> Option<Place> {
    let words: Vec<String> = path.split('/').filter(|w| !w.is_empty()).map(decoded).collect();
    let (group, version, rest) = match words.first()?.as_str() {
        "api" => (String::new(), words.get(1)?.clone(), &words[2..]),
        "apis" => (words.get(1)?.clone(), words.get(2)?.clone(), words.get(3..)?),
        _ => return None,
    };
    let own = |w: &String| ["status", "finalize"].contains(&w.as_str());
    let inside = rest.len() >= 3 && rest[0] == "namespaces" && !(rest.len() == 3 && own(&rest[2]));
    let (namespace, rest) = if inside { (Some(rest[1].clone()), &rest[2..]) } else { (None, rest) };
    let plural = rest.first()?.clone();
    let part = (rest.len() > 2).then(|| rest[2..].join("/"));
    let name = rest.get(1).cloned();
    let namespace = namespace.or_else(|| name.clone().filter(|_| plural == "namespaces" && group.is_empty()));
    Some(Place { group, version, namespace, plural, name, part })
}

fn decoded(word: &str) -> String {
    percent_encoding::percent_decode_str(word).decode_utf8_lossy().into_owned()
}

/// `a=1&b=2`
pub fn query(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').filter(|p| !p.is_empty());
    let part = |t: &str| decoded(&t.replace('+', " "));
    pairs.map(|p| p.split_once('=').map_or((part(p), String::new()), |(k, v)| (part(k), part(v)))).collect()
}
