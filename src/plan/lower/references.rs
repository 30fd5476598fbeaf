//! What references can name in this drill, and whether they do.

use super::Cx;
use crate::model::{Reference, Template};
use crate::playbook::Region;
use crate::playbook::ast::DrillAst;
use crate::playbook::substitute::inside;
use crate::playbook::tree::{Node, Value};
use std::collections::BTreeMap;

/// The names that a drill declares.
#[derive(Debug, Default)]
pub(super) struct Scope {
    pub secrets: Vec<String>,
    /// Those of them that come from the runner's environment.
    pub env_secrets: Vec<String>,
    /// By target, those of these that its own value refers to.
    pub env_secrets_of: BTreeMap<String, Vec<String>>,
    /// Each target's kind and fields; no list of fields if any can come from its command.
    pub targets: BTreeMap<String, (String, Option<&'static [&'static str]>)>,
    /// The fingerprints.
    pub fingerprints: Vec<String>,
    staging: Staging,
}

#[derive(Debug, Default)]
enum Staging {
    #[default]
    None,
    Embedded,
    Commands,
}

/// What the embedded staging says about itself.
const EMBEDDED_FIELDS: [&str; 6] = ["url", "dir", "pid", "a", "b", "leader"];

/// Where a value stands decides what it can refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Before the staging is up.
    Staging,
    /// When targets are resolved.
    Targets,
    /// While the drill runs.
    Run,
}

/// The outputs that earlier steps declare.
pub(super) type Outputs<'a> = &'a dyn Fn(&str) -> OutputsOf;

/// What is known about a step's outputs at some place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OutputsOf {
    /// No such step; these there are.
    NoStep(Vec<String>),
    /// It comes later, or at the same time.
    NotYet,
    /// These.
    Names(Vec<String>),
}

impl Scope {
    pub fn of(sections: &DrillAst<'_>) -> Self {
        let kind_of = |node: &Node| {
            let (kind, content) = node.entries().first().map(|(k, v)| (k.text.clone(), v)).unzip();
            let fields: Option<&'static [&'static str]> = match kind.as_deref() {
                Some("process") if content.is_some_and(|c: &Node| c.get("command").is_some()) => None,
                Some("process") => Some(&["pid", "pids", "name"]),
                Some("http") => Some(&["url", "host", "port"]),
                Some("kv") => Some(&["url"]),
                Some("s3") => Some(&["url", "host", "port", "bucket"]),
                Some("postgres" | "mysql") => Some(&["host", "port", "database", "user"]),
                Some("couchdb") => Some(&["url", "host", "port", "database"]),
                Some("redis" | "etcd" | "mongodb" | "rabbitmq" | "elasticsearch") => Some(&["url", "host", "port"]),
                Some("proxy" | "resolver") => Some(&["address", "host", "port", "upstream", "control"]),
                Some("tcp") => Some(&["address", "host", "port"]),
                Some("service") => Some(&["name", "unit", "pidfile", "pid"]),
                Some("host") => Some(&["name"]),
                Some("file" | "directory") => Some(&["path", "name", "folder"]),
                _ => None,
            };
            (kind.unwrap_or_default(), fields)
        };
        let staging = match sections.staging {
            None => Staging::None,
            Some(node) if node.get("embedded").is_some() => Staging::Embedded,
            Some(_) => Staging::Commands,
        };
        let env = sections.secrets.iter().filter(|(_, node)| node.get("env").is_some());
        let env_secrets: Vec<String> = env.map(|(name, _)| name.text.clone()).collect();
        let used = |node: &Node| env_secrets.iter().filter(|name| refers_to(node, name)).cloned().collect();
        Self {
            env_secrets_of: sections.targets.iter().map(|(name, node)| (name.text.clone(), used(node))).collect(),
            fingerprints: sections.fingerprints.iter().map(|(k, _)| k.text.clone()).collect(),
            secrets: sections.secrets.iter().map(|(k, _)| k.text.clone()).collect(),
            targets: sections.targets.iter().map(|(k, node)| (k.text.clone(), kind_of(node))).collect(),
            staging,
            env_secrets,
        }
    }
}

/// Does a text in it name this secret?
fn refers_to(node: &Node, secret: &str) -> bool {
    match &node.value {
        Value::Scalar { text, .. } => Template::parse(text).is_ok_and(|template| {
            template.references().any(|r| matches!(r, Reference::Secret(name) if name == secret))
        }),
        Value::Sequence(items) => items.iter().any(|node| refers_to(node, secret)),
        Value::Mapping(entries) => entries.iter().any(|(_, node)| refers_to(node, secret)),
    }
}

/// Checks every reference in a value.
pub(super) fn check(cx: &Cx<'_>, node: &Node, stage: Stage, outputs: Outputs<'_>) {
    match &node.value {
        Value::Scalar { text, .. } if text.contains("${") => {
            let Ok(template) = Template::parse(text) else { return };
            for reference in template.references() {
                one(cx, reference, inside(node.region, reference, cx.said), stage, outputs);
            }
        }
        Value::Scalar { .. } => {}
        Value::Sequence(items) => items.iter().for_each(|n| check(cx, n, stage, outputs)),
        Value::Mapping(entries) => {
            for (key, value) in entries {
                if key.text == "argv" || key.text == "command" {
                    no_secrets_in_words(cx, value);
                }
                check(cx, value, stage, outputs);
            }
        }
    }
}

/// Outputs where there are no steps yet.
pub(super) fn no_steps(_: &str) -> OutputsOf {
    OutputsOf::NotYet
}

/// Everybody on the machine can read a command's words.
fn no_secrets_in_words(cx: &Cx<'_>, node: &Node) {
    for item in node.items() {
        let Some(Ok(template)) = item.text().map(Template::parse) else { continue };
        for reference in template.references() {
            if let Reference::Secret(name) = reference {
                let at = inside(item.region, reference, cx.said);
                let upper = name.to_uppercase();
                cx.wrong(
                    at,
                    "a secret in a command's words can be read in the process list",
                    format!("pass it by the environment: `env: {{{upper}: \"${{secrets.{name}}}\"}}`"),
                );
            }
        }
    }
}

fn one(cx: &Cx<'_>, reference: &Reference, at: Region, stage: Stage, outputs: Outputs<'_>) {
    let names = |list: &[String]| list.iter().map(String::clone).collect::<Vec<_>>();
    match reference {
        Reference::Secret(name) if !cx.scope.secrets.contains(name) => {
            let known = names(&cx.scope.secrets);
            cx.unknown(at, "secret", name, &known.iter().map(String::as_str).collect::<Vec<_>>());
        }
        Reference::Target(name, field) => target(cx, name, field, at, stage),
        Reference::Staging(name) => staging(cx, name, at, stage),
        Reference::StepOutput(id, name) => output(cx, id, name, at, outputs),
        _ => {}
    }
}

fn target(cx: &Cx<'_>, name: &str, field: &str, at: Region, stage: Stage) {
    // What the drill itself puts between clients and a target is there before the others are looked for.
    let between = matches!(cx.scope.targets.get(name), Some((kind, _)) if kind == "proxy" || kind == "resolver");
    if stage == Stage::Staging || (stage == Stage::Targets && !between) {
        let message = format!("`${{targets.{name}.{field}}}` is known only when all targets are resolved");
        return cx.wrong(at, message, "a target or staging cannot refer to a target");
    }
    let known: Vec<&str> = cx.scope.targets.keys().map(String::as_str).collect();
    match cx.scope.targets.get(name) {
        None => cx.unknown(at, "target", name, &known),
        Some((kind, Some(fields))) if !fields.contains(&field) => {
            let message = format!("the target `{name}` has no field `{field}`");
            let help = crate::playbook::suggest::help(field, fields, &format!("fields of `{kind}`"));
            cx.wrong(at, message, help);
        }
        Some(_) => {}
    }
}

fn staging(cx: &Cx<'_>, name: &str, at: Region, stage: Stage) {
    match cx.scope.staging {
        Staging::None => {
            cx.wrong(at, "this drill has no staging of its own", "add `staging:`, or write the value itself");
        }
        _ if stage == Stage::Staging => {
            cx.wrong(
                at,
                format!("`${{staging.{name}}}` is known only when the staging is up"),
                "write the value itself",
            );
        }
        Staging::Embedded if !EMBEDDED_FIELDS.contains(&name) => {
            cx.unknown(at, "field of the embedded staging", name, &EMBEDDED_FIELDS);
        }
        Staging::Embedded | Staging::Commands => {}
    }
}

fn output(cx: &Cx<'_>, id: &str, name: &str, at: Region, outputs: Outputs<'_>) {
    match outputs(id) {
        OutputsOf::NoStep(known) => {
            cx.unknown(at, "step", id, &known.iter().map(String::as_str).collect::<Vec<_>>());
        }
        OutputsOf::NotYet => {
            cx.wrong(
                at,
                format!("the step `{id}` has not ended when this is needed"),
                "refer to a step that comes earlier",
            );
        }
        OutputsOf::Names(names) if !names.iter().any(|n| n == name) => {
            let known: Vec<&str> = names.iter().map(String::as_str).collect();
            let help = match known.is_empty() {
                true => format!("declare it there: `output: {{{name}: {{json: \"$.{name}\"}}}}`"),
                false => crate::playbook::suggest::help(name, &known, "outputs"),
            };
            cx.wrong(at, format!("the step `{id}` declares no output `{name}`"), help);
        }
        OutputsOf::Names(_) => {}
    }
}
