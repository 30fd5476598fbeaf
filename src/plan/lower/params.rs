//! Parameters: their defaults, what `--param` says, and the combinations of a matrix.

use super::Inputs;
use crate::playbook::ast::DrillAst;
use crate::playbook::decode::decode;
use crate::playbook::fields::Fields;
use crate::playbook::substitute::{Known, UNKNOWN, substitute};
use crate::playbook::tree::{Name, Node};
use crate::playbook::{Diagnostics, is_snake, suggest};
use std::collections::BTreeMap;

/// Values by name; nothing for one whose mistake is said already.
type Params = BTreeMap<String, Option<String>>;

/// A matrix may have so many combinations.
const MOST_RUNS: usize = 200;

/// The parameters of each run: one without a matrix.
pub(super) fn combinations(sections: &DrillAst<'_>, inputs: &Inputs<'_>, said: &Diagnostics) -> Vec<Params> {
    let mut base = Params::new();
    for (name, node) in sections.params {
        base.insert(name.text.clone(), declared(sections, name, node, inputs, said));
    }
    for name in inputs.params.keys().filter(|name| !base.contains_key(*name)) {
        let known: Vec<&str> = base.keys().map(String::as_str).collect();
        let at = sections.name.as_ref().map(|n| n.region).unwrap_or_default();
        let error = said.error(at, format!("`--param {name}=…`: this drill has no parameter `{name}`"));
        said.push(error.help(suggest::help(name, &known, "params")));
    }
    let mut runs = vec![base];
    for (name, node) in sections.matrix {
        let Some(values) = axis(sections, name, node, inputs, said) else { continue };
        if runs.len() * values.len() > MOST_RUNS {
            let error = said.error(name.region, format!("the matrix has more than {MOST_RUNS} combinations"));
            said.push(error.help("take values out, or write several drills"));
            return runs;
        }
        runs = values.iter().flat_map(|value| runs.iter().map(|run| with(run, name, value))).collect();
    }
    runs
}

fn with(run: &Params, name: &Name, value: &str) -> Params {
    let mut run = run.clone();
    run.insert(name.text.clone(), Some(value.to_owned()));
    run
}

/// The value of a parameter: given, or its default.
fn declared(
    sections: &DrillAst<'_>,
    name: &Name,
    node: &Node,
    inputs: &Inputs<'_>,
    said: &Diagnostics,
) -> Option<String> {
    if !is_snake(&name.text) {
        let error = said.error(name.region, format!("`{}` cannot name a parameter", name.text));
        said.push(error.help("use lower-case letters, digits and `_`"));
    }
    let nothing = Params::new();
    let node = substitute(node, &Known { params: &nothing, env: inputs.env }, said);
    let mut fields = Fields::of(&node, "a parameter", said)?;
    let default = fields.get("default").and_then(|n| decode::<String>(n, "default", said));
    let wrong_default = default.is_none() && node.get("default").is_some();
    fields.get("description");
    fields.finish();
    let given = inputs.params.get(&name.text).cloned();
    let in_matrix = sections.matrix.iter().any(|(m, _)| m.text == name.text);
    if given.is_none() && default.is_none() && !in_matrix && !wrong_default {
        let error = said.error(name.region, format!("the parameter `{}` has no value", name.text));
        said.push(error.help(format!("run with `--param {}=VALUE`, or give it a `default`", name.text)));
    }
    let value = given.or(default)?;
    if value.contains(UNKNOWN) {
        said.push(
            said.error(name.region, format!("the value of `{}` holds the character U+FFFC", name.text))
                .help("take it out"),
        );
        return None;
    }
    Some(value)
}

/// The values of one parameter in a matrix.
fn axis(
    sections: &DrillAst<'_>,
    name: &Name,
    node: &Node,
    inputs: &Inputs<'_>,
    said: &Diagnostics,
) -> Option<Vec<String>> {
    if !sections.params.iter().any(|(p, _)| p.text == name.text) {
        let known: Vec<&str> = sections.params.iter().map(|(p, _)| p.text.as_str()).collect();
        let error = said.error(name.region, format!("there is no parameter `{}`", name.text));
        said.push(error.help(suggest::help(&name.text, &known, "params")));
        return None;
    }
    if node.items().is_empty() {
        let error = said.error(
            node.region,
            format!("`{}` in a matrix is a list of values, but this is {}", name.text, node.kind()),
        );
        said.push(error.help(format!("write `{}: [A, B]`", name.text)));
        return None;
    }
    let values = node.items().iter().filter_map(|n| decode::<String>(n, &name.text, said)).collect();
    // One value on the command line picks one run.
    Some(inputs.params.get(&name.text).map_or(values, |given| vec![given.clone()]))
}
