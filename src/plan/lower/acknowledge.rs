//! What the person who wrote an injection must have thought of: that it cannot be undone, or that healing it needs a
//! secret which is gone when the runner's environment is.

use super::Cx;
use crate::faults::FaultSpec;
use crate::model::{Reference, Template};
use crate::playbook::Region;
use crate::playbook::ast::StepAst;
use crate::playbook::substitute::inside;
use crate::playbook::tree::{Node, Value};

const IRREVERSIBLE: &str = "irreversible";
const ENV_SECRET: &str = "env_secret";

/// All that can be acknowledged.
const WORDS: [&str; 2] = [IRREVERSIBLE, ENV_SECRET];

/// Checks an injection; says whether it is acknowledged that the fault cannot be undone.
pub(super) fn check(cx: &Cx<'_>, ast: &StepAst<'_>, fault: &FaultSpec, way_back: Option<&str>) -> bool {
    let words = words(cx, ast);
    let said = |word: &str| words.iter().find(|(said, _)| *said == word).map(|(_, at)| *at);
    irreversible(cx, ast, fault, said(IRREVERSIBLE), way_back);
    env_secrets(cx, ast, fault, said(ENV_SECRET));
    said(IRREVERSIBLE).is_some()
}

/// What is acknowledged, and where: a word or a list of words.
fn words<'n>(cx: &Cx<'_>, ast: &StepAst<'n>) -> Vec<(&'n str, Region)> {
    let Some(node) = ast.get("acknowledge") else { return Vec::new() };
    let all: Vec<&Node> = match &node.value {
        Value::Sequence(items) => items.iter().collect(),
        _ => vec![node],
    };
    let mut words = Vec::new();
    for node in all {
        match node.text().filter(|text| WORDS.contains(text)) {
            Some(text) => words.push((text, node.region)),
            None => {
                let help = "write `irreversible`, `env_secret`, or a list of both";
                cx.wrong(node.region, "this cannot be acknowledged", help);
            }
        }
    }
    words
}

fn irreversible(cx: &Cx<'_>, ast: &StepAst<'_>, fault: &FaultSpec, said: Option<Region>, way_back: Option<&str>) {
    let kind = fault.kind();
    match (fault.irreversible(), said) {
        (true, None) => cx.wrong(
            ast.at,
            format!("this `{kind}` cannot be undone by the drill"),
            "give it a way back, or add `acknowledge: irreversible` and `way_back: HOW PEOPLE UNDO IT`",
        ),
        (true, Some(_)) if way_back.is_none_or(|way| way.trim().is_empty()) => cx.wrong(
            ast.at,
            format!("this `{kind}` cannot be undone by the drill, and no way back is stated"),
            "add `way_back: HOW PEOPLE UNDO IT`",
        ),
        (false, Some(at)) => cx.warn(
            at,
            format!("this `{kind}` is undone by the drill: there is nothing to acknowledge"),
            "take `acknowledge` out",
        ),
        (true, Some(_)) | (false, None) => {}
    }
}

/// A heal must work after a reboot too, when the environment that the runner had is gone.
fn env_secrets(cx: &Cx<'_>, ast: &StepAst<'_>, fault: &FaultSpec, said: Option<Region>) {
    let mut needed = Vec::new();
    for (kind, content) in ast.value.entries() {
        match kind.text.as_str() {
            // The other commands are of no use once the runner is gone.
            "command" => content
                .entries()
                .iter()
                .filter(|(key, _)| ["heal", "healed"].contains(&key.text.as_str()))
                .for_each(|(_, node)| find(cx, node, &mut needed)),
            _ => find(cx, content, &mut needed),
        }
    }
    // Whether it is back is seen by finding it again, and a database is healed by a login.
    let found_again: Vec<&str> = match fault {
        FaultSpec::ProcessKill(kill) => std::iter::once(kill.target.name()).chain(kill.alive.as_deref()).collect(),
        FaultSpec::PostgresPauseReplay(pause) => vec![pause.target.name()],
        _ => Vec::new(),
    };
    for name in found_again {
        let at = ast.value.find_text(name).unwrap_or(ast.value.region);
        let secrets = cx.scope.env_secrets_of.get(name).into_iter().flatten();
        needed.extend(secrets.map(|secret| (secret.clone(), at)));
    }
    match (needed.first(), said) {
        (Some((name, at)), None) => cx.wrong(
            *at,
            format!("healing this needs the secret `{name}`, which only the environment of the runner has"),
            "after a reboot nobody could heal it: take the secret from a `file` or a `command`, or add `acknowledge: env_secret`",
        ),
        (None, Some(at)) => {
            cx.warn(at, "healing this needs no secret of the environment: there is nothing to acknowledge", "take it out");
        }
        _ => {}
    }
}

/// Secrets of the environment that a value refers to, and where.
fn find(cx: &Cx<'_>, node: &Node, into: &mut Vec<(String, Region)>) {
    match &node.value {
        Value::Scalar { text, .. } => {
            let Ok(template) = Template::parse(text) else { return };
            for reference in template.references() {
                if let Reference::Secret(name) = reference
                    && cx.scope.env_secrets.contains(name)
                {
                    into.push((name.clone(), inside(node.region, reference, cx.said)));
                }
            }
        }
        Value::Sequence(items) => items.iter().for_each(|node| find(cx, node, into)),
        Value::Mapping(entries) => entries.iter().for_each(|(_, node)| find(cx, node, into)),
    }
}
