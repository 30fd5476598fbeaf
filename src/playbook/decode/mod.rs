//! Decodes a tree into the structs of the kinds, by plain serde derives, with every mistake at its exact place.
//!
//! A derived `Deserialize` stops at its first error. So a wrong entry is reported, marked, and the whole value decoded
//! again without it, until nothing new is found: a handful of passes over a small tree, and all mistakes are known.

mod access;
mod value;

use super::diagnostic::{Diagnostic, Diagnostics};
use super::source::Region;
use super::suggest;
use super::tree::Node;
use serde::de::{self, DeserializeOwned};
use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;
use value::{De, View};

/// So many mistakes in one value are reported.
const MOST_PASSES: usize = 40;

/// Kinds that the language has and this version does not: they are said to come, not taken for slips of the finger.
const LATER: &[&str] = &[
    "amqp",
    "cassandra",
    "certificate",
    "cloudfoundry",
    "cpu",
    "cut",
    "delay",
    "dns",
    "docker",
    "exec",
    "functions",
    "fingerprint",
    "kafka",
    "kube",
    "kubernetes",
    "load_balancer",
    "memory",
    "network_cut",
    "network_delay",
    "network_loss",
    "nats",
    "node_drain",
    "partition",
    "pod_delete",
    "pod_kill",
    "proxy",
    "s3_delete",
    "scale",
    "service_stop",
    "snapshot",
    "ssh",
    "systemd",
    "systemd_stop",
    "zone_loss",
];

/// Decodes a value. `None` after at least one diagnostic.
#[must_use]
pub fn decode<T: DeserializeOwned>(node: &Node, label: &str, diagnostics: &Diagnostics) -> Option<T> {
    let cx = Cx { diagnostics, wrong: RefCell::default() };
    let de = De { node: View::Node(node), region: node.region, label, cx: &cx, raw: false };
    for _ in 0..MOST_PASSES {
        let marked = cx.wrong.borrow().len();
        match T::deserialize(de) {
            Ok(value) => return (marked == 0).then_some(value),
            Err(Trouble::Again) if cx.wrong.borrow().len() > marked => {}
            Err(Trouble::Again | Trouble::Said) => return None,
            Err(open) => {
                cx.say(open, node.region, label);
                return None;
            }
        }
    }
    None
}

/// Why decoding stopped.
#[derive(Debug)]
enum Trouble {
    /// Said, and the wrong entry is marked: decode again without it.
    Again,
    /// Said, and what holds it cannot be made.
    Said,
    /// Not said yet.
    Plain(String),
    UnknownField(String, &'static [&'static str]),
    UnknownVariant(String, &'static [&'static str]),
    Missing(&'static str),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Trouble {}

impl de::Error for Trouble {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Plain(message.to_string())
    }

    fn invalid_type(found: de::Unexpected<'_>, wanted: &dyn de::Expected) -> Self {
        let found = match found {
            de::Unexpected::Seq => "a list".to_owned(),
            de::Unexpected::Map => "a mapping".to_owned(),
            de::Unexpected::Str(s) => format!("`{s}`"),
            other => other.to_string(),
        };
        Self::Plain(format!("expected {wanted}, found {found}"))
    }

    fn invalid_length(length: usize, wanted: &dyn de::Expected) -> Self {
        Self::Plain(format!("expected {wanted}, found {length}"))
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        Self::UnknownField(field.to_owned(), known)
    }

    fn unknown_variant(variant: &str, known: &'static [&'static str]) -> Self {
        Self::UnknownVariant(variant.to_owned(), known)
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing(field)
    }
}

struct Cx<'a> {
    diagnostics: &'a Diagnostics,
    /// Addresses of values that are wrong; the tree does not move while it is decoded.
    wrong: RefCell<HashSet<usize>>,
}

fn address(node: &Node) -> usize {
    std::ptr::from_ref(node) as usize
}

impl Cx<'_> {
    fn is_wrong(&self, node: &Node) -> bool {
        self.wrong.borrow().contains(&address(node))
    }

    fn say(&self, trouble: Trouble, region: Region, label: &str) {
        let error = |message: String| self.diagnostics.error(region, message);
        let diagnostic = match trouble {
            Trouble::Again | Trouble::Said => return,
            Trouble::Plain(message) => plain(error, &message, label),
            Trouble::UnknownField(field, known) => {
                error(format!("`{label}` has no key `{field}`")).help(suggest::help(&field, known, "keys"))
            }
            Trouble::UnknownVariant(found, known) => unknown_kind(error, &found, known, label),
            Trouble::Missing(field) => {
                error(format!("`{label}` needs `{field}`")).help(format!("add `{field}:` to `{label}`"))
            }
        };
        self.diagnostics.push(diagnostic);
    }

    /// Says what is not said yet, marks the entry, and asks for another pass.
    fn mark(&self, trouble: Trouble, node: &Node, label: &str) -> Trouble {
        if !matches!(trouble, Trouble::Again) {
            self.say(trouble, node.region, label);
            self.wrong.borrow_mut().insert(address(node));
        }
        Trouble::Again
    }
}

/// A message of a type's own: what is before `; ` is the reason, what follows says what to write.
fn plain(error: impl Fn(String) -> Diagnostic, message: &str, label: &str) -> Diagnostic {
    match message.split_once("; ") {
        Some((reason, help)) => error(format!("`{label}`: {reason}")).help(help),
        None => error(format!("`{label}`: {message}")),
    }
}

fn unknown_kind(error: impl Fn(String) -> Diagnostic, found: &str, known: &[&str], label: &str) -> Diagnostic {
    if known.contains(&"equals") {
        return match suggest::nearest(found, known.iter().copied()) {
            Some(meant) => {
                error(format!("`{label}` knows no comparison `{found}`")).help(format!("did you mean `{meant}`?"))
            }
            None => error(format!("`{label}` names no comparison"))
                .help(format!("write `{{equals: {found}}}`; there are {}", suggest::list(known.iter().copied()))),
        };
    }
    if LATER.contains(&found) {
        return error(format!("this version has no `{found}` under `{label}` yet"))
            .help(format!("known here: {}", suggest::list(known.iter().copied())));
    }
    let diagnostic = error(format!("`{label}` knows no `{found}`"));
    match suggest::nearest(found, known.iter().copied()) {
        None if known.contains(&"command") && found.contains(['/', ' ', '.']) => {
            let words = found.split_whitespace().collect::<Vec<_>>().join(", ");
            diagnostic.help(format!("write `{label}: {{command: [{words}]}}`"))
        }
        _ => diagnostic.help(suggest::help(found, known, "here")),
    }
}
#[cfg(test)]
mod tests {
    use super::super::diagnostic::RenderStyle;
    use super::super::source::{SourceText, Sources};
    use super::super::tree;
    use super::*;
    use crate::faults::FaultSpec;
    use crate::model::{Comparison, RunSpec};
    use crate::probes::ProbeSpec;
    use std::sync::Arc;

    fn read<T: DeserializeOwned>(text: &str) -> (Option<T>, String) {
        let diagnostics = Diagnostics::new(Sources(vec![Arc::new(SourceText::new("a.yaml", text))]));
        let node = tree::parse(0, &diagnostics).unwrap();
        let value = decode(&node, "thing", &diagnostics);
        let said = diagnostics.finish().iter().map(|d| d.render(RenderStyle::Plain)).collect();
        (value, said)
    }

    #[test]
    fn short_and_long_commands_are_the_same() {
        let (short, said) = read::<ProbeSpec>("{command: [a, b], stdout: {equals: 1}, timeout: 3s}\n");
        assert_eq!(said, "");
        let (long, said) = read::<ProbeSpec>("command: {argv: [a, b], stdout: {equals: 1}, timeout: 3s}\n");
        assert_eq!(said, "");
        assert!(short.is_some() && short == long);
        assert!(read::<RunSpec>("command: [a]\n").0.is_some());
    }

    #[test]
    fn all_mistakes_of_a_value_are_found_in_one_go() {
        let (value, said) = read::<ProbeSpec>(
            "http:\n  url: http://x/\n  metod: GET\n  timeout: 5\n  expect: {status: two, bdy: 1}\n  value: {at_leest: 2}\n",
        );
        assert!(value.is_none());
        for wanted in [
            "did you mean `method`",
            "`5` is not a duration",
            "`two`",
            "did you mean `body`",
            "did you mean `at_least`",
        ] {
            assert!(said.contains(wanted), "{wanted} in\n{said}");
        }
    }

    #[test]
    fn a_missing_key_is_not_reported_when_it_is_only_wrong() {
        let (_, said) = read::<FaultSpec>("process_kill: {target: [x], back: supervised}\n");
        assert!(!said.contains("needs"), "{said}");
        let (_, said) = read::<FaultSpec>("process_kill: {back: supervised}\n");
        assert!(said.contains("`process_kill` needs `target`"), "{said}");
    }

    #[test]
    fn references_stay_only_where_they_may() {
        let (value, said) = read::<ProbeSpec>("tcp: {address: \"${targets.a.host}:1\", timeout: \"${secrets.t}\"}\n");
        assert!(value.is_none() && said.contains("known only when the drill runs"), "{said}");
        let (value, _) = read::<Comparison>("equals: \"$${x}\"\n");
        assert_eq!(serde_json::to_string(&value).unwrap(), r#"{"equals":"$${x}"}"#);
    }

    #[test]
    fn a_kind_that_comes_later_is_no_slip() {
        let (_, said) = read::<FaultSpec>("network_delay: {by: 10ms}\n");
        assert!(said.contains("this version has no `network_delay`"), "{said}");
    }

    #[test]
    fn a_range_has_two_ends() {
        assert!(read::<Comparison>("between: [1, 2]\n").0.is_some());
        assert!(read::<Comparison>("between: [1]\n").1.contains("a list of 2"));
        assert!(read::<Comparison>("between: 3\n").1.contains("a list"));
    }
}
