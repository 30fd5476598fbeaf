//! Label and field selectors.

use super::json::{at, name, namespace, text};
use super::status::Refusal;
use serde_json::Value;

/// A condition on a label.
#[derive(Debug, Clone, PartialEq)]
enum Label {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Is(String),
    IsNot(String),
}

/// Which objects fit.
#[derive(Debug, Clone, Default)]
pub struct Selector {
    labels: Vec<Label>,
    fields: Vec<(String, bool, String)>,
}

/// Splits at commas outside of parentheses.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (i, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(text[start..i].trim());
                start = i + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts.retain(|p| !p.is_empty());
    parts
}

fn good(word: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    word.chars().all(fits)
}

fn label(part: &str) -> Option<Label> {
    if let Some((left, right)) = part.split_once('(') {
        let mut words = left.split_whitespace();
        let (key, how) = (words.next()?, words.next()?);
        let values = right.strip_suffix(')')?.split(',').map(|v| v.trim().to_owned()).collect();
        let fits = good(key) && words.next().is_none();
        return match how {
            "in" if fits => Some(Label::In(key.to_owned(), values)),
            "notin" if fits => Some(Label::NotIn(key.to_owned(), values)),
            _ => None,
        };
    }
    let pair = |sign: &str| part.split_once(sign).map(|(k, v)| (k.trim().to_owned(), v.trim().to_owned()));
    let fits = |k: &str, v: &str| !k.is_empty() && good(k) && good(v);
    if let Some((key, value)) = pair("!=") {
        return fits(&key, &value).then(|| Label::NotIn(key, vec![value]));
    }
    if let Some((key, value)) = pair("==").or_else(|| pair("=")) {
        return fits(&key, &value).then(|| Label::In(key, vec![value]));
    }
    match part.strip_prefix('!') {
        Some(key) => (!key.is_empty() && good(key.trim())).then(|| Label::IsNot(key.trim().to_owned())),
        None => good(part).then(|| Label::Is(part.to_owned())),
    }
}

impl Selector {
    /// From what a request asks. `plural`: which fields may be asked is the kind's.
    pub fn parse(labels: &str, fields: &str, plural: &str) -> Result<Self, Refusal> {
        let wrong = |part: &str| Refusal::bad(format!("unable to parse requirement: `{part}`"));
        let labels = split(labels).into_iter().map(|p| label(p).ok_or_else(|| wrong(p))).collect::<Result<_, _>>()?;
        let fields = split(fields).into_iter().map(|p| field(p, plural)).collect::<Result<_, _>>()?;
        Ok(Self { labels, fields })
    }

    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub fn fits(&self, object: &Value) -> bool {
        let labels = at(object, "/metadata/labels");
        self.labels.iter().all(|l| fits(l, labels)) && self.fields.iter().all(|f| field_fits(f, object))
    }
}

fn fits(condition: &Label, labels: &Value) -> bool {
    let value = |key: &String| labels.get(key).and_then(Value::as_str);
    match condition {
        Label::In(key, values) => value(key).is_some_and(|v| values.iter().any(|x| x == v)),
        Label::NotIn(key, values) => value(key).is_none_or(|v| values.iter().all(|x| x != v)),
        Label::Is(key) => value(key).is_some(),
        Label::IsNot(key) => value(key).is_none(),
    }
}

fn field(part: &str, plural: &str) -> Result<(String, bool, String), Refusal> {
    let found = match part.split_once("!=") {
        Some((key, value)) => Some((key, false, value)),
        None => part.split_once("==").or_else(|| part.split_once('=')).map(|(key, value)| (key, true, value)),
    };
    let (key, equal, value) = found.ok_or_else(|| Refusal::bad(format!("invalid field selector: `{part}`")))?;
    let more: &[&str] = match plural {
        "pods" => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        "nodes" => &["spec.unschedulable"],
        "namespaces" => &["status.phase"],
        "secrets" => &["type"],
        "jobs" => &["status.successful"],
        "replicasets" | "replicationcontrollers" => &["status.replicas"],
        "events" => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "source",
            "type",
        ],
        _ => &[],
    };
    if !["metadata.name", "metadata.namespace"].contains(&key) && !more.contains(&key) {
        return Err(Refusal::bad(format!("field label not supported: {key}")));
    }
    Ok((key.to_owned(), equal, value.to_owned()))
}

fn field_fits((key, equal, value): &(String, bool, String), object: &Value) -> bool {
    let pointer = format!("/{}", key.replace('.', "/"));
    let found = match key.as_str() {
        "metadata.name" => name(object).to_owned(),
        "metadata.namespace" => namespace(object).to_owned(),
        "spec.unschedulable" => at(object, &pointer).as_bool().unwrap_or_default().to_string(),
        "status.successful" => at(object, "/status/succeeded").as_i64().unwrap_or_default().to_string(),
        "status.replicas" => at(object, &pointer).as_i64().unwrap_or_default().to_string(),
        "source" => text(object, "/source/component").to_owned(),
        _ => text(object, &pointer).to_owned(),
    };
    (found == *value) == *equal
}

/// Does a `LabelSelector` (of a workload, a budget, a policy) choose these labels? An empty one chooses all.
pub fn chooses(selector: &Value, labels: &Value) -> bool {
    let exact = selector.get("matchLabels").and_then(Value::as_object);
    let exact = exact.is_none_or(|m| m.iter().all(|(k, v)| labels.get(k) == Some(v)));
    let more = selector.get("matchExpressions").and_then(Value::as_array);
    exact && more.is_none_or(|m| m.iter().all(|e| expression(e, labels)))
}

/// A `matchExpressions` entry.
pub fn expression(e: &Value, labels: &Value) -> bool {
    let value = labels.get(text(e, "/key"));
    let among = || super::json::items(e, "/values").iter().any(|v| Some(v) == value);
    match text(e, "/operator") {
        "In" => among(),
        "NotIn" => !among(),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        _ => false,
    }
}
