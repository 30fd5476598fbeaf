//! Label selectors: the text that a list takes as the object that policies hold, and what such an object selects. Pure.

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A selector's text (`app=web,tier in (front,back),!old`) as an object with `matchLabels` and `matchExpressions`; none
/// if it cannot be read.
#[must_use]
pub fn parse(text: &str) -> Option<Value> {
    let (mut labels, mut expressions) = (Map::new(), Vec::new());
    for part in parts(text) {
        let part = part.trim();
        if let Some(key) = part.strip_prefix('!') {
            expressions.push(json!({"key": key_of(key)?, "operator": "DoesNotExist"}));
        } else if let Some((key, value)) = part.split_once("!=") {
            expressions.push(json!({"key": key_of(key)?, "operator": "NotIn", "values": [value.trim()]}));
        } else if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
            labels.insert(key_of(key)?, value.trim().into());
        } else if let Some((head, values)) = part.split_once('(') {
            let values: Vec<&str> = values.strip_suffix(')')?.split(',').map(str::trim).collect();
            let mut words = head.split_whitespace();
            let (key, operator) = (words.next()?, words.next()?);
            let operator = match (operator, words.next()) {
                ("in", None) => "In",
                ("notin", None) => "NotIn",
                _ => return None,
            };
            expressions.push(json!({"key": key_of(key)?, "operator": operator, "values": values}));
        } else {
            expressions.push(json!({"key": key_of(part)?, "operator": "Exists"}));
        }
    }
    let mut selector = json!({});
    if !labels.is_empty() {
        selector["matchLabels"] = labels.into();
    }
    if !expressions.is_empty() {
        selector["matchExpressions"] = expressions.into();
    }
    Some(selector)
}

fn key_of(text: &str) -> Option<String> {
    let key = text.trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    (!key.is_empty() && key.chars().all(plain)).then(|| key.to_owned())
}

/// At the commas that stand outside of brackets.
fn parts(text: &str) -> Vec<&str> {
    let (mut parts, mut from, mut depth) = (Vec::new(), 0, 0_i32);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[from..]);
    parts.retain(|part| !part.trim().is_empty());
    parts
}

/// Does this selector select what has these labels? One that is missing selects nothing, an empty one everything; an
/// operator that is not known counts as fulfilled.
#[must_use]
pub fn selects(selector: Option<&Value>, labels: &BTreeMap<String, String>) -> bool {
    let Some(selector) = selector.filter(|s| s.is_object()) else { return false };
    let wanted = selector.get("matchLabels").and_then(Value::as_object);
    let equal = |(key, value): (&String, &Value)| labels.get(key).map(String::as_str) == value.as_str();
    let expressions = selector.get("matchExpressions").and_then(Value::as_array);
    wanted.into_iter().flatten().all(equal) && expressions.into_iter().flatten().all(|e| holds(e, labels))
}

fn holds(expression: &Value, labels: &BTreeMap<String, String>) -> bool {
    let text = |name: &str| expression.get(name).and_then(Value::as_str).unwrap_or_default();
    let value = labels.get(text("key"));
    let values = expression.get("values").and_then(Value::as_array);
    let among = value.is_some_and(|v| values.into_iter().flatten().any(|one| one.as_str() == Some(v)));
    match text("operator") {
        "In" => among,
        "NotIn" => !among,
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(all: &[(&str, &str)]) -> BTreeMap<String, String> {
        all.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_text_selects_what_its_object_selects() {
        let web = labels(&[("app", "web"), ("tier", "front")]);
        for (text, selected) in [
            ("", true),
            ("app=web", true),
            ("app==web , tier in (front, back)", true),
            ("app=web,tier notin (front,back)", false),
            ("app!=web", false),
            ("app!=db,!old", true),
            ("tier", true),
            ("!tier", false),
            ("old", false),
        ] {
            assert_eq!(selects(parse(text).as_ref(), &web), selected, "{text}");
        }
        for text in ["a b", "tier within (x)", "tier in (x", "=x", "a in b (x)"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn one_that_is_missing_selects_nothing() {
        assert!(!selects(None, &labels(&[])) && !selects(Some(&Value::Null), &labels(&[])));
        assert!(selects(Some(&json!({})), &labels(&[("a", "b")])));
    }
}
