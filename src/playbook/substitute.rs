//! Replaces `${params.x}` and `${env.X}` in single values, before they get a type. What stands for them is never read again
//! as YAML or as a reference; what only a run can know stays.

use super::diagnostic::{Diagnostic, Diagnostics};
use super::source::Region;
use super::suggest;
use super::tree::{Node, Value};
use crate::model::{Part, Reference, Template, TemplateError};
use std::collections::BTreeMap;

/// Stands for what could not be filled in, so that nothing is said about it a second time.
pub const UNKNOWN: char = '\u{fffc}';

/// What the first words of references can be.
const ROOTS: [&str; 7] = ["params", "env", "secrets", "targets", "steps", "staging", "run"];

/// So many wrong references in one text are said.
const MOST_REFERENCES: usize = 50;

/// What can be filled in when a playbook is read.
pub struct Known<'a> {
    /// Parameters of this run; `None` for one that is declared but whose value is wrong (that is said already).
    pub params: &'a BTreeMap<String, Option<String>>,
    /// The environment.
    pub env: &'a dyn Fn(&str) -> Option<String>,
}

/// The same tree with everything filled in that is known.
#[must_use]
pub fn substitute(node: &Node, known: &Known<'_>, said: &Diagnostics) -> Node {
    let value = match &node.value {
        Value::Scalar { text, plain } => match fill(node, text, known, said) {
            // A text that was filled in is a text even if it looks like `null`.
            Some(text) => Value::Scalar { text, plain: false },
            None => Value::Scalar { text: text.clone(), plain: *plain },
        },
        Value::Sequence(items) => Value::Sequence(items.iter().map(|n| substitute(n, known, said)).collect()),
        Value::Mapping(entries) => {
            Value::Mapping(entries.iter().map(|(k, v)| (k.clone(), substitute(v, known, said))).collect())
        }
    };
    Node { region: node.region, value }
}

fn fill(node: &Node, text: &str, known: &Known<'_>, said: &Diagnostics) -> Option<String> {
    if !text.contains("${") {
        return None;
    }
    let (mut template, mut changed) = (well_formed(node.region, text, said), false);
    for part in &mut template.parts {
        if let Part::Reference(reference) = part
            && let Some(text) = replacement(reference, node.region, known, said)
        {
            changed = true;
            *part = Part::Text(text);
        }
    }
    // Displayed again, so that a `${` inside a value stays literal.
    let again = template.to_string();
    (changed || again != text).then_some(again)
}

/// Reads a template; every reference that is none is said, and taken literally from then on.
fn well_formed(at: Region, text: &str, said: &Diagnostics) -> Template {
    let mut text = text.to_owned();
    for _ in 0..MOST_REFERENCES {
        let error = match Template::parse(&text) {
            Ok(template) => return template,
            Err(error) => error,
        };
        said.push(wrong_template(at, &text, &error, said));
        let wrong = match &error {
            TemplateError::Unclosed(from) => from.saturating_sub(1),
            TemplateError::Unknown(name) => unescaped(&text, name).unwrap_or_default(),
        };
        text.insert(wrong, '$');
    }
    Template::literal(&text)
}

/// Where a reference begins that is not escaped.
fn unescaped(text: &str, name: &str) -> Option<usize> {
    text.match_indices("${").map(|(at, _)| at).find(|at| {
        let escaped = text[..*at].chars().rev().take_while(|c| *c == '$').count() % 2 == 1;
        !escaped && text[at + 2..].trim_start().starts_with(name)
    })
}

fn replacement(reference: &Reference, at: Region, known: &Known<'_>, said: &Diagnostics) -> Option<String> {
    match reference {
        Reference::Param(name) => match known.params.get(name) {
            Some(value) => Some(value.clone().unwrap_or_else(|| UNKNOWN.to_string())),
            None => {
                let names: Vec<&str> = known.params.keys().map(String::as_str).collect();
                let error = said.error(inside(at, reference, said), format!("there is no parameter `{name}`"));
                said.push(error.help(suggest::help(name, &names, "params")));
                Some(UNKNOWN.to_string())
            }
        },
        Reference::Env(name) => (known.env)(name).map(|text| text.replace(UNKNOWN, "")).or_else(|| {
            let message = format!("the environment variable `{name}` is not set");
            let error = said.error(inside(at, reference, said), message);
            said.push(error.help(format!(
                "set it, or use a parameter with a default: `params: {{{}: {{default: …}}}}`",
                name.to_lowercase()
            )));
            Some(UNKNOWN.to_string())
        }),
        _ => None,
    }
}

/// Where a reference stands inside its value.
#[must_use]
pub fn inside(at: Region, reference: &Reference, said: &Diagnostics) -> Region {
    inside_text(at, &format!("${{{reference}}}"), said)
}

fn inside_text(at: Region, wanted: &str, said: &Diagnostics) -> Region {
    match said.sources.raw(at).find(wanted) {
        Some(found) => Region { start: at.start + found, end: at.start + found + wanted.len(), ..at },
        None => at,
    }
}

fn wrong_template(at: Region, text: &str, error: &TemplateError, said: &Diagnostics) -> Diagnostic {
    match error {
        TemplateError::Unclosed(from) => {
            let tail = text.get(from.saturating_sub(1)..).unwrap_or("${");
            let tail = tail.find("${").map_or("${", |i| &tail[i..]);
            said.error(inside_text(at, tail, said), "this `${` is never closed")
                .help("add the `}`; a literal `${` is written `$${`")
        }
        TemplateError::Unknown(name) => {
            let error =
                said.error(inside_text(at, &format!("${{{name}}}"), said), format!("`${{{name}}}` refers to nothing"));
            let first = name.split('.').next().unwrap_or_default();
            let forms = "`${params.NAME}`, `${env.NAME}`, `${secrets.NAME}`, `${targets.NAME.FIELD}`, \
                         `${steps.ID.output.NAME}`, `${staging.NAME}`, `${run.id}`";
            match (ROOTS.contains(&first), suggest::nearest(first, ROOTS)) {
                (false, Some(meant)) => error.help(format!("did you mean `${{{}}}`?", name.replacen(first, meant, 1))),
                _ => error.help(format!("references are {forms}; a literal `${{` is written `$${{`")),
            }
        }
    }
}
