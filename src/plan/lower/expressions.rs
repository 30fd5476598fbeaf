//! Expressions inside values: CEL, regular expressions and comparisons by size are tried when a playbook is read.

use super::Cx;
use crate::playbook::Region;
use crate::playbook::suggest;
use crate::playbook::tree::{Node, Value};

/// Maps whose keys are the user's own words.
const FREE: [&str; 3] = ["env", "headers", "params"];

/// Checks every comparison in a kind's parameters.
pub(super) fn check(cx: &Cx<'_>, node: &Node) {
    for (key, value) in node.entries() {
        match (key.text.as_str(), value.text()) {
            ("cel", Some(source)) => cel(cx, source, value.region, &["value"]),
            ("matches", Some(pattern)) => regex(cx, pattern, value.region),
            ("at_least" | "at_most", Some(_)) => drop(number(cx, &key.text, value)),
            ("between", _) => between(cx, value),
            (key, _) if FREE.contains(&key) => {}
            _ => check(cx, value),
        }
    }
    node.items().iter().for_each(|n| check(cx, n));
}

/// Compiles a CEL expression; it may only use these variables.
pub(super) fn cel(cx: &Cx<'_>, source: &str, at: Region, variables: &[&str]) {
    let program = match cel::Program::compile(source) {
        Ok(program) => program,
        Err(errors) => {
            let why = errors.to_string();
            let why = why.lines().find(|l| l.contains("ERROR")).unwrap_or(why.as_str());
            let why = why.split_once("Syntax error: ").map_or(why, |(_, w)| w);
            let why = why.split(" expecting ").next().unwrap_or(why);
            let why = why.replace("mismatched input '<EOF>'", "it ends too early");
            let help = format!(
                "write it like `{}`",
                if variables.contains(&"value") { "value.members.size() == 3" } else { "params.mode == \"sync\"" }
            );
            return cx.said.push(cx.said.error(at, "this is not a CEL expression").label(why.trim()).help(help));
        }
    };
    for name in program.references().variables() {
        // A name that is bound inside a macro (`map(x, …)`) is its own.
        let bound = ["(", "( "].iter().any(|p| source.contains(&format!("{p}{name},")));
        if !variables.contains(&name) && !bound {
            cx.wrong(at, format!("this CEL expression knows no `{name}`"), suggest::help(name, variables, "variables"));
        }
    }
}

/// Compiles a regular expression.
pub(super) fn regex(cx: &Cx<'_>, pattern: &str, at: Region) {
    if let Err(error) = regex::Regex::new(pattern) {
        let why = error.to_string();
        let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        cx.said.push(
            cx.said
                .error(at, "this is not a regular expression")
                .label(why)
                .help("a character with a meaning of its own is written with `\\` before it, in single quotes"),
        );
    }
}

fn number(cx: &Cx<'_>, key: &str, node: &Node) -> Option<f64> {
    let text = node.text()?;
    let number = text.trim().parse().ok();
    if number.is_none() && !text.contains("${") {
        cx.wrong(
            node.region,
            format!("`{key}` compares numbers, and `{text}` is none"),
            "for texts there are `equals`, `contains` and `matches`",
        );
    }
    number
}

fn between(cx: &Cx<'_>, node: &Node) {
    let Value::Sequence(ends) = &node.value else { return };
    let ends: Vec<Option<f64>> = ends.iter().map(|n| number(cx, "between", n)).collect();
    if let [Some(low), Some(high)] = ends[..]
        && low > high
    {
        cx.wrong(
            node.region,
            "no number lies in this range",
            format!("the lower end comes first: `between: [{high}, {low}]`"),
        );
    }
}
