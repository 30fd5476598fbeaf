//! Writes a tree as YAML again: the playbook as it is run, parameters and environment filled in, secrets by name.

use super::tree::{Node, Value};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The playbook as it is run, includes merged in, with its parameters' values as defaults.
#[must_use]
pub fn resolved(root: &Node, params: &BTreeMap<String, Option<String>>) -> String {
    let mut out = String::new();
    for (name, node) in root.entries() {
        match name.text.as_str() {
            "matrix" => {}
            "params" => {
                out.push_str("params:\n");
                for (name, value) in params {
                    // A `${` in a value is not a reference.
                    let value = value.as_deref().unwrap_or_default().replace("${", "$${");
                    let _ = writeln!(out, "  {}: {{default: {}}}", word(name), quoted(&value));
                }
            }
            key => entry(&mut out, key, node, 0),
        }
    }
    out
}

fn entry(out: &mut String, key: &str, node: &Node, depth: usize) {
    let _ = write!(out, "{}{}:", "  ".repeat(depth), word(key));
    value(out, node, depth + 1);
}

fn value(out: &mut String, node: &Node, depth: usize) {
    match &node.value {
        Value::Scalar { text, plain: true } => {
            let _ = writeln!(out, " {}", if plain_again(text) { text.clone() } else { quoted(text) });
        }
        Value::Scalar { text, .. } => {
            let _ = writeln!(out, " {}", quoted(text));
        }
        Value::Sequence(items) if items.is_empty() => out.push_str(" []\n"),
        Value::Mapping(entries) if entries.is_empty() => out.push_str(" {}\n"),
        Value::Sequence(items) => {
            out.push('\n');
            for item in items {
                let _ = write!(out, "{}-", "  ".repeat(depth));
                value(out, item, depth + 1);
            }
        }
        Value::Mapping(entries) => {
            out.push('\n');
            for (name, node) in entries {
                entry(out, &name.text, node, depth);
            }
        }
    }
}

/// Can it stand without quotes and be read as the same text?
fn plain_again(text: &str) -> bool {
    let first = text.chars().next().is_some_and(|c| c.is_ascii_alphanumeric() || "./~".contains(c));
    (first || text.is_empty())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || " ./_-+%~()".contains(c))
        && !text.ends_with(' ')
}

fn word(key: &str) -> String {
    if !key.is_empty() && plain_again(key) && !key.contains(' ') { key.to_owned() } else { quoted(key) }
}

/// Double quotes with JSON's escapes, which are YAML's too; YAML wants some more characters escaped.
fn quoted(text: &str) -> String {
    let mut out = String::new();
    for c in serde_json::Value::from(text).to_string().chars() {
        match c {
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::diagnostic::Diagnostics;
    use super::super::source::{SourceText, Sources};
    use super::super::tree;
    use super::*;
    use std::sync::Arc;

    fn parse(text: &str) -> Node {
        let said = Diagnostics::new(Sources(vec![Arc::new(SourceText::new("a.yaml", text))]));
        tree::parse(0, &said).unwrap()
    }

    fn same(a: &Node, b: &Node) -> bool {
        match (&a.value, &b.value) {
            (Value::Scalar { text: x, .. }, Value::Scalar { text: y, .. }) => x == y && a.is_null() == b.is_null(),
            (Value::Sequence(x), Value::Sequence(y)) => x.len() == y.len() && x.iter().zip(y).all(|(a, b)| same(a, b)),
            (Value::Mapping(x), Value::Mapping(y)) => {
                x.len() == y.len() && x.iter().zip(y).all(|((k, a), (l, b))| k.text == l.text && same(a, b))
            }
            _ => false,
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_reads_the_same(texts in proptest::collection::vec(".{0,20}", 1..6)) {
            let list = texts.iter().map(|t| quoted(&t.replace(crate::playbook::substitute::UNKNOWN, ""))).collect::<Vec<_>>().join(", ");
            let text = format!("a: [{list}]\nb: {{c: [], d: {{}}, e: [[x], {{y: z, k: [1, 2]}}]}}\nn: ~\n");
            let node = parse(&text);
            let again = resolved(&node, &BTreeMap::new());
            proptest::prop_assert!(same(&node, &parse(&again)), "{again}");
        }
    }
}
