//! From a syntax tree to plans: all that is wrong is said at once, and only a playbook with nothing wrong becomes a plan.
//! One file per part of a playbook; the order here is the order in which parts may refer to each other.

mod acknowledge;
mod apart;
mod clusters;
mod expressions;
mod fingerprints;
mod literal;
mod load;
mod metadata;
mod objectives;
mod order;
mod params;
mod references;
mod sites;
mod spread;
mod steps;
mod vantages;
mod warn;
mod world;

use super::{Drill, Place, Plan, Source};
use crate::config::{Config, Environment};
use crate::model::{DrillName, Dur};
use crate::playbook::ast::DrillAst;
use crate::playbook::decode::decode;
use crate::playbook::substitute::{Known, substitute};
use crate::playbook::tree::{Name, Node, Value};
use crate::playbook::{self, Ast, Diagnostic, Diagnostics, FileKind, Region, SourceText, emit, parse, suggest};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::time::Duration;

/// What a playbook is lowered with.
pub struct Inputs<'a> {
    /// `--param NAME=VALUE`
    pub params: &'a BTreeMap<String, String>,
    /// The environment of the runner.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// The environments that are allowed.
    pub config: &'a Config,
}

/// Makes a plan for each combination of the matrix: one if there is none, none for a game day or a configuration.
///
/// # Errors
/// Everything that is wrong and was not said when the file was parsed; warnings too. A plan keeps its warnings itself.
pub fn lower(ast: &Ast, inputs: &Inputs<'_>) -> Result<Vec<Plan>, Vec<Diagnostic>> {
    if ast.kind != FileKind::Drill {
        return if ast.broken { Err(Vec::new()) } else { Ok(Vec::new()) };
    }
    let said = Diagnostics::new(ast.sources.clone());
    let quiet = Diagnostics::new(ast.sources.clone());
    let sections = parse::drill(&ast.root, &quiet);
    literal::refused(&said);
    literal::called_so(&sections, &said);
    let mut drills = Vec::new();
    for params in params::combinations(&sections, inputs, &said) {
        drills.extend(one(ast, params, inputs, &said));
    }
    if ast.broken || said.failed() {
        return Err(said.finish());
    }
    let warnings = said.finish();
    Ok(drills.into_iter().map(|drill| Plan(Drill { warnings: warnings.clone(), ..drill })).collect())
}

/// Parses and lowers one text that includes no other: for tests and simulations.
///
/// # Errors
/// Everything that is wrong.
pub fn compile(source: &SourceText, inputs: &Inputs<'_>) -> Result<Vec<Plan>, Vec<Diagnostic>> {
    let nothing = |_: &std::path::Path| Err("no other files can be read here".to_owned());
    let (asts, mut said) = playbook::load(std::slice::from_ref(source), &nothing);
    let plans = asts.first().map_or(Err(Vec::new()), |ast| lower(ast, inputs));
    match plans {
        Ok(plans) => Ok(plans),
        Err(more) => {
            said.extend(more);
            Err(said)
        }
    }
}

/// What every part of lowering needs.
struct Cx<'a> {
    said: &'a Diagnostics,
    scope: references::Scope,
    inputs: &'a Inputs<'a>,
}

impl Cx<'_> {
    fn place(&self, region: Region) -> Place {
        let source = self.said.sources.of(region);
        let (line, column) = source.position(region.start);
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Place { file: source.path.display().to_string(), line: number(line), column: number(column) }
    }

    fn wrong(&self, region: Region, message: impl Into<String>, help: impl Into<String>) {
        self.said.push(self.said.error(region, message).help(help));
    }

    fn warn(&self, region: Region, message: impl Into<String>, help: impl Into<String>) {
        self.said.push(self.said.error(region, message).help(help).warning());
    }

    fn decode<T: DeserializeOwned>(&self, node: &Node, label: &str) -> Option<T> {
        decode(node, label, self.said)
    }

    fn dur(&self, node: &Node, label: &str) -> Option<Duration> {
        self.decode::<Dur>(node, label).map(|d| d.0)
    }

    /// A duration that must not be zero.
    fn some_time(&self, node: &Node, label: &str) -> Option<Duration> {
        let time = self.dur(node, label)?;
        if time.is_zero() {
            self.wrong(node.region, format!("`{label}` must be longer than nothing"), "write it like 10s");
            return None;
        }
        Some(time)
    }

    /// A name that is not among those there are.
    fn unknown(&self, at: Region, what: &str, name: &str, known: &[&str]) {
        self.wrong(at, format!("there is no {what} `{name}`"), suggest::help(name, known, &format!("{what}s")));
    }
}

/// Splits a mapping into its kind (with what belongs to it) and the modifiers beside it.
fn kind_of(cx: &Cx<'_>, node: &Node, label: &str, kinds: &[&str], modifiers: &[&str]) -> Option<Node> {
    let Value::Mapping(entries) = &node.value else {
        let known = suggest::list(kinds.iter().copied());
        cx.wrong(
            node.region,
            format!("`{label}` is {}, but it is a mapping", node.kind()),
            format!("write `{{KIND: …}}` with one of {known}"),
        );
        return None;
    };
    let rest: Vec<(Name, Node)> =
        entries.iter().filter(|(k, _)| !modifiers.contains(&k.text.as_str())).cloned().collect();
    let is_kind = |name: &Name| kinds.contains(&name.text.as_str());
    if !rest.iter().any(|(k, _)| k.text == "command") {
        let known: Vec<&str> = kinds.iter().chain(modifiers).copied().collect();
        let mut kind_seen = false;
        for (name, _) in &rest {
            if is_kind(name) && kind_seen {
                cx.wrong(name.region, format!("`{label}` takes exactly one kind"), "make it an entry of its own");
                return None;
            }
            kind_seen |= is_kind(name);
        }
        if kind_seen || rest.len() > 1 {
            for (name, _) in rest.iter().filter(|(k, _)| !is_kind(k)) {
                let help = suggest::help(&name.text, &known, "keys");
                cx.wrong(name.region, format!("`{label}` has no key `{}`", name.text), help);
            }
            if !kind_seen {
                return None;
            }
        }
        if rest.is_empty() {
            let known = suggest::list(kinds.iter().copied());
            cx.wrong(node.region, format!("`{label}` names no kind"), format!("add one of {known}"));
            return None;
        }
        let rest = if kind_seen { rest.into_iter().filter(|(k, _)| is_kind(k)).collect() } else { rest };
        return Some(Node { region: node.region, value: Value::Mapping(rest) });
    }
    Some(Node { region: node.region, value: Value::Mapping(rest) })
}

fn one(ast: &Ast, params: BTreeMap<String, Option<String>>, inputs: &Inputs<'_>, said: &Diagnostics) -> Option<Drill> {
    let root = substitute(&ast.root, &Known { params: &params, env: inputs.env }, said);
    let quiet = Diagnostics::new(ast.sources.clone());
    let sections = parse::drill(&root, &quiet);
    let cx = Cx { said, scope: references::Scope::of(&sections), inputs };

    let name = drill_name(&cx, &sections);
    let environment = environment(&cx, &sections);
    let metadata = metadata::lower(&cx, &sections);
    let secrets = world::secrets(&cx, &sections);
    let targets = world::targets(&cx, &sections, environment.as_deref());
    let staging = sections.staging.and_then(|node| world::staging(&cx, node));
    let vantages = vantages::lower(&cx, &sections);
    let workloads = load::workloads(&cx, &sections, &targets, &vantages);
    apart::check(&cx, &sections, &targets, &workloads);
    vantages::unused(&cx, &sections, &workloads);
    let fingerprints = fingerprints::lower(&cx, &sections, &workloads);
    let guards = load::guards(&cx, &sections, &workloads);
    let waivers = load::waivers(&cx, &sections, &guards.guards);
    let mut steps = steps::lower(&cx, &sections);
    let objectives = objectives::lower(&cx, &sections, &workloads, &steps.faults);
    let baseline = sections.baseline.and_then(|n| cx.some_time(n, "baseline")).unwrap_or(Duration::from_secs(10));
    let mut phase = |at: usize| std::mem::take(&mut steps.phases[at]);
    let drill = Drill {
        title: title(&cx, &sections, name.as_deref().unwrap_or_default()),
        name: DrillName(name?),
        environment: environment?,
        allowed: Environment::default(),
        source: Source {
            path: ast.sources.main().path.clone(),
            text: ast.sources.main().text.clone(),
            resolved: emit::resolved(&root, &params),
        },
        params: params.into_iter().filter_map(|(k, v)| Some((k, v?))).collect(),
        metadata,
        objectives,
        secrets,
        targets,
        staging,
        workloads,
        fingerprints,
        guards: guards.guards.into_iter().filter(|g| !waivers.iter().any(|w| w.guard == g.name)).collect(),
        max_duration: guards.max_duration,
        baseline,
        steady: phase(0),
        outage: phase(1),
        failover: phase(2),
        restore: phase(3),
        verify: phase(4),
        waivers,
        warnings: Vec::new(),
    };
    let allowed = inputs.config.environments.get(&drill.environment).cloned().unwrap_or_default();
    let drill = Drill { allowed, ..drill };
    warn::about(&cx, &sections, &drill);
    Some(drill)
}

fn title(cx: &Cx<'_>, sections: &DrillAst<'_>, name: &str) -> String {
    let Some(written) = &sections.title else { return name.to_owned() };
    let node = Node { region: written.region, value: Value::Scalar { text: written.text.clone(), plain: false } };
    cx.decode(&node, "title").unwrap_or_default()
}

fn drill_name(cx: &Cx<'_>, sections: &DrillAst<'_>) -> Option<String> {
    let name = sections.name.as_ref()?;
    if playbook::is_dashed(&name.text) {
        return Some(name.text.clone());
    }
    let fixed: String = name
        .text
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' })
        .collect();
    cx.wrong(
        name.region,
        format!("`{}` cannot name a drill: lower-case letters, digits and `-` can", name.text),
        format!("write `drill: {fixed}`"),
    );
    None
}

fn environment(cx: &Cx<'_>, sections: &DrillAst<'_>) -> Option<String> {
    let name = sections.environment.as_ref()?;
    let config = cx.inputs.config;
    match config.environments.get(&name.text) {
        None => {
            let file = match &config.path {
                Some(path) => format!("`{}` does not list it", path.display()),
                None => "there is no `blackstart.yaml`, so only `embedded` is allowed".to_owned(),
            };
            let known: Vec<&str> = config.environments.keys().map(String::as_str).collect();
            let message = format!("the environment `{}` is not allowed: {file}", name.text);
            let help = match suggest::nearest(&name.text, known.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("add `environments: {{{}: {{}}}}` to `blackstart.yaml` beside the playbook", name.text),
            };
            cx.wrong(name.region, message, help);
            None
        }
        Some(environment) if environment.protected => {
            let message = format!("the environment `{}` is protected: no drill runs there", name.text);
            cx.wrong(name.region, message, "drill a staging that is built like it");
            None
        }
        Some(_) => Some(name.text.clone()),
    }
}
