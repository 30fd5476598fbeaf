//! `metadata:`: what people say of a drill before it runs. What has a meaning is checked; a key that is only close to one that
//! has a meaning is a mistake, because what it says would be missing from the evidence and nobody would notice.

use super::Cx;
use crate::controls::{self, Found};
use crate::model::period;
use crate::playbook::Region;
use crate::playbook::ast::DrillAst;
use crate::playbook::metadata::{self as keys, Key, PARTIES, Shape};
use crate::playbook::suggest;
use crate::playbook::tree::{Name, Node, Value};
use std::collections::BTreeMap;

/// A text of metadata is not longer: it stands in every report.
const LONGEST: usize = 2_000;
/// A key has at most so many values.
const MOST: usize = 200;

pub(super) fn lower(cx: &Cx<'_>, sections: &DrillAst<'_>) -> BTreeMap<String, Vec<String>> {
    let mut metadata = BTreeMap::new();
    for (name, node) in sections.metadata {
        let shape = keys::find(&name.text).map(|key: &Key| key.shape);
        if shape.is_none() && !keys::is_own(&name.text) {
            unknown(cx, name);
        }
        metadata.insert(name.text.clone(), values(cx, name, node, shape));
    }
    metadata
}

fn unknown(cx: &Cx<'_>, name: &Name) {
    let own = format!("or `x_{}` if it is your own", name.text);
    let names = keys::KEYS.iter().map(|key| key.name);
    match suggest::nearest(&name.text, names) {
        Some(meant) => {
            let message = format!("`metadata` has no key `{}`", name.text);
            cx.wrong(name.region, message, format!("did you mean `{meant}`? Write that, {own}"));
        }
        None => cx.warn(
            name.region,
            format!("`{}` is kept in the record and has no meaning here", name.text),
            format!("write `x_{}`, which says that this is meant", name.text),
        ),
    }
}

/// The values of a key, each with a text.
fn values(cx: &Cx<'_>, name: &Name, node: &Node, shape: Option<Shape>) -> Vec<String> {
    let pairs = matches!(shape, Some(Shape::Parties | Shape::People));
    let mut found: Vec<(Region, String)> = Vec::new();
    match &node.value {
        Value::Mapping(entries) if pairs => {
            let between = if shape == Some(Shape::Parties) { ": " } else { ", " };
            for (key, value) in entries {
                let text: Option<String> = cx.decode(value, &key.text);
                found.extend(text.map(|text| (value.region, format!("{}{between}{text}", key.text))));
            }
        }
        Value::Sequence(items) => {
            found.extend(items.iter().filter_map(|n| Some((n.region, cx.decode(n, &name.text)?))));
        }
        _ => found.extend(cx.decode(node, &name.text).map(|text| (node.region, text))),
    }
    if found.len() > MOST {
        let message = format!("`{}` has {} values; it may have {MOST}", name.text, found.len());
        cx.wrong(node.region, message, "name the few that matter, or refer to a document");
        return Vec::new();
    }
    if let Some(shape) = shape {
        single(cx, name, shape, node);
        for (at, text) in &found {
            value(cx, &name.text, shape, *at, text);
        }
    }
    found.into_iter().map(|(_, text)| text).collect()
}

/// What there can be only one of.
fn single(cx: &Cx<'_>, name: &Name, shape: Shape, node: &Node) {
    if matches!(shape, Shape::Text | Shape::Period) && node.items().len() > 1 {
        let message = format!("`{}` is one value, but it is a list", name.text);
        cx.wrong(node.region, message, "write the one that holds");
    }
}

fn value(cx: &Cx<'_>, name: &str, shape: Shape, at: Region, text: &str) {
    if text.trim().is_empty() {
        return cx.wrong(at, format!("`{name}` says nothing"), "write what it is, or take the key out");
    }
    if text.len() > LONGEST {
        let message = format!("`{name}` has {} bytes; it may have {LONGEST}", text.len());
        return cx.wrong(at, message, "shorten it, or refer to a document");
    }
    match shape {
        Shape::Text | Shape::List => {}
        Shape::Period if period(text).is_some() => {}
        Shape::Period => {
            let message = format!("`{name}`: `{text}` is not a duration");
            cx.wrong(at, message, "write it like 90d, 6mo or 7y, or as a word such as quarterly");
        }
        Shape::Words(words) => word(cx, name, words, at, text),
        Shape::People if text.contains(',') || is_none(text) => {}
        Shape::People => {
            let message = format!("nobody can tell the role of `{text}`");
            cx.warn(at, message, format!("write \"{text}, ROLE\""));
        }
        Shape::Parties => party(cx, at, text),
        Shape::Controls => control(cx, at, text),
    }
}

fn is_none(text: &str) -> bool {
    matches!(text.trim().to_lowercase().as_str(), "none" | "nobody")
}

fn word(cx: &Cx<'_>, name: &str, words: &[&str], at: Region, text: &str) {
    for part in text.split(',').map(str::trim) {
        if !words.contains(&part.to_lowercase().replace('-', "_").as_str()) {
            let help = suggest::help(part, words, "words");
            cx.wrong(at, format!("`{part}` is no word of `{name}`"), help);
        }
    }
}

/// Exercised or not: a vendor that is only named says nothing.
fn party(cx: &Cx<'_>, at: Region, text: &str) {
    let lower = text.to_lowercase();
    let said = |word: &&str| lower.split(|c: char| !c.is_ascii_alphanumeric()).any(|part| part == *word);
    if is_none(text) || PARTIES.iter().any(said) {
        return;
    }
    let name = text.split([':', ',']).next().unwrap_or(text).trim();
    let message = format!("nobody can tell whether `{name}` was exercised");
    cx.wrong(at, message, format!("write `{{{name}: exercised}}`, or `stubbed`, `excluded` or `informed`"));
}

fn control(cx: &Cx<'_>, at: Region, text: &str) {
    let help = "write it as FRAMEWORK/CONTROL, like soc2/A1.3";
    match controls::find(text) {
        Found::Known(..) | Found::Open(_) => {}
        Found::NoControl => cx.wrong(at, format!("`{text}` is not a control"), help),
        Found::NoFramework(framework) => {
            let known: Vec<&str> = controls::FRAMEWORKS.iter().map(|f| f.id).collect();
            let message = format!("no control framework is known as `{framework}`");
            match suggest::nearest(framework, known.iter().copied()) {
                Some(meant) => cx.wrong(at, message, format!("did you mean `{meant}`?")),
                None => cx.warn(at, message, "`blackstart list controls` names all; list your own under `x_controls`"),
            }
        }
        Found::NotIn(framework, id) => {
            let known: Vec<&str> = framework.controls.iter().map(|c| c.id).collect();
            let meant = controls::alike(framework, id).or_else(|| suggest::nearest(id, known.iter().copied()));
            let help = match meant {
                Some(meant) => format!("did you mean `{}/{meant}`? Others", framework.id),
                None => format!("known are {}; others", suggest::list(known.iter().copied())),
            };
            let message = format!("`{}` has no control `{id}` that a drill could be evidence for", framework.id);
            cx.wrong(at, message, format!("{help} go under `x_controls`"));
        }
    }
}
