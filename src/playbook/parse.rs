//! From a tree to the sections and steps of a playbook: which keys there are, and which belong together.

use super::ast::{COMMON, DrillAst, FileKind, PHASES, SPECIAL, StepAst, Word};
use super::diagnostic::Diagnostics;
use super::fields::{Fields, text_of};
use super::suggest;
use super::tree::{Name, Node, Value};

/// Keys of an included file.
pub(super) const SHARED: [&str; 4] = ["params", "secrets", "targets", "guards"];

/// Steps under `parallel` may be nested so deep.
const DEEPEST_PARALLEL: usize = 4;

/// Drill, game day or configuration?
pub(super) fn kind(root: &Node, said: &Diagnostics) -> Option<FileKind> {
    if !matches!(root.value, Value::Mapping(_)) {
        let message = format!("a playbook is a mapping that begins with `drill: NAME`, but this is {}", root.kind());
        said.push(said.error(root.region, message).help("write `drill: NAME` in the first line"));
        return None;
    }
    Some(match root {
        root if root.get("drill").is_some() => FileKind::Drill,
        root if root.get("game_day").is_some() => FileKind::GameDay,
        root if root.get("environments").is_some() => FileKind::Configuration,
        _ => FileKind::Drill,
    })
}

/// The sections of a drill.
#[must_use]
pub fn drill<'a>(root: &'a Node, said: &'a Diagnostics) -> DrillAst<'a> {
    let Some(mut top) = Fields::of(root, "a playbook", said) else { return DrillAst::default() };
    let name = top.require("drill", "drill: NAME");
    let mut drill = DrillAst {
        name: name.and_then(|n| text_of(n, "drill", said)),
        title: top.text("title"),
        environment: top.require("environment", "environment: NAME").and_then(|n| text_of(n, "environment", said)),
        metadata: top.map("metadata"),
        objectives: top.map("objectives"),
        params: top.map("params"),
        matrix: top.map("matrix"),
        secrets: top.map("secrets"),
        targets: top.map("targets"),
        staging: top.get("staging"),
        workloads: top.map("workload"),
        vantages: top.map("vantages"),
        fingerprints: top.map("fingerprints"),
        guards: top.list("guards"),
        waive: top.list("waive"),
        baseline: top.get("baseline"),
        phases: Default::default(),
    };
    top.allow(&["include"]);
    for (steps, key) in drill.phases.iter_mut().zip(PHASES) {
        *steps = top.list(key).iter().filter_map(|node| step(node, said, 0)).collect();
    }
    top.finish();
    drill
}

/// A step: exactly one verb, and modifiers that have a meaning for it.
fn step<'a>(node: &'a Node, said: &'a Diagnostics, depth: usize) -> Option<StepAst<'a>> {
    Fields::of(node, "a step", said)?;
    let mut verbs: Vec<(Word, &(Name, Node))> = Vec::new();
    let mut modifiers = Vec::new();
    let mut unknown = false;
    for entry in node.entries() {
        let key = entry.0.text.as_str();
        if let Some((_, word)) = Word::ALL.iter().find(|(text, _)| *text == key) {
            verbs.push((*word, entry));
        } else if COMMON.contains(&key) || SPECIAL.contains(&key) {
            modifiers.push(entry);
        } else {
            unknown = true;
            unknown_key(entry, said);
        }
    }
    if verbs.is_empty() && unknown {
        // What was misspelt may well be the verb.
        return None;
    }
    let (word, verb) = one_verb(node, &verbs, said)?;
    modifiers.retain(|entry| fits(word, entry, said));
    let mut step = StepAst::new(node, word, verb, modifiers);
    if word == Word::Parallel {
        step.parallel = inner_steps(&verb.1, said, depth);
    } else if verb.1.is_null() {
        said.push(said.error(verb.0.region, format!("`{}` has no value", word.text())).help(example(word)));
        return None;
    }
    Some(step)
}

fn unknown_key((name, _): &(Name, Node), said: &Diagnostics) {
    let known: Vec<&str> = Word::ALL.iter().map(|(text, _)| *text).chain(COMMON).chain(SPECIAL).collect();
    let error = said.error(name.region, format!("a step has no key `{}`", name.text));
    let help = match name.text.as_str() {
        kind if crate::faults::KINDS.iter().any(|k| k.kind == kind) => {
            format!("a fault stands under its verb: `inject: {{{kind}: …}}`")
        }
        kind if crate::probes::KINDS.iter().any(|k| k.kind == kind) => {
            format!("a kind stands under a verb: `check: {{{kind}: …}}`, `expect: {{{kind}: …}}`")
        }
        "timeout" => "a step's limit is `within`".to_owned(),
        word => suggest::help(word, &known, "keys"),
    };
    said.push(error.help(help));
}

fn one_verb<'a>(
    node: &Node,
    verbs: &[(Word, &'a (Name, Node))],
    said: &Diagnostics,
) -> Option<(Word, &'a (Name, Node))> {
    match verbs {
        [one] => Some(*one),
        [] => {
            let known = suggest::list(Word::ALL.iter().map(|(text, _)| *text));
            let error = said.error(node.region, "this step does nothing: it has no verb");
            said.push(error.help(format!("give it one of {known}")));
            None
        }
        [(first, _), (_, (second, _)), ..] => {
            let message = format!("a step has exactly one verb, and this one has `{}` already", first.text());
            said.push(said.error(second.region, message).help(format!("make `{}` a step of its own", second.text)));
            None
        }
    }
}

fn fits(word: Word, (name, node): &(Name, Node), said: &Diagnostics) -> bool {
    let key = name.text.as_str();
    if !COMMON.contains(&key) && !word.modifiers().contains(&key) {
        let owners = Word::ALL.iter().filter(|(_, w)| w.modifiers().contains(&key)).map(|(text, _)| *text);
        let error = said.error(name.region, format!("`{key}` has no meaning for `{}`", word.text()));
        said.push(error.help(format!("it belongs to {}", suggest::list(owners))));
        return false;
    }
    if node.is_null() {
        said.push(said.error(name.region, format!("`{key}` has no value")).help("write one, or take the key out"));
        return false;
    }
    true
}

fn inner_steps<'a>(node: &'a Node, said: &'a Diagnostics, depth: usize) -> Vec<StepAst<'a>> {
    if depth >= DEEPEST_PARALLEL {
        said.push(
            said.error(node.region, format!("`parallel` is nested deeper than {DEEPEST_PARALLEL} times"))
                .help("steps that run at the same time can stand in one `parallel`"),
        );
        return Vec::new();
    }
    match &node.value {
        Value::Sequence(items) if items.is_empty() => {
            said.push(said.error(node.region, "`parallel` holds no steps").help(example(Word::Parallel)));
            Vec::new()
        }
        Value::Sequence(items) => items.iter().filter_map(|n| step(n, said, depth + 1)).collect(),
        _ => {
            let message = format!("`parallel` is a list of steps, but this is {}", node.kind());
            said.push(said.error(node.region, message).help("write `parallel: [{run: …}, {run: …}]`"));
            Vec::new()
        }
    }
}

fn example(word: Word) -> &'static str {
    match word {
        Word::Inject => "write `inject: {process_kill: {target: NAME, back: supervised}}`",
        Word::Heal => "write `heal: ID` with the id of the step that injects",
        Word::Expect => "write `expect: {http: {url: …}}`",
        Word::Check => "write `check: {command: [./check.sh]}`",
        Word::Restore => "write `restore: {command: [./restore.sh], verify: {tcp: {address: …}}}`",
        Word::Run => "write `run: {command: [./script.sh]}`",
        Word::Wait => "write `wait: 10s`",
        Word::Ask => "write `ask: what a person has to do`",
        Word::Parallel => "write `parallel: [{run: …}, {run: …}]`",
    }
}
