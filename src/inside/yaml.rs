//! Objects as YAML for people and `kubectl apply`: keys in the order in which they were put in, texts of several lines as
//! such. Only what JSON has is written.

use serde_json::Value;

/// Several objects, one document each.
#[must_use]
pub fn documents(objects: &[Value]) -> String {
    let one = |object: &Value| {
        let mut text = String::from("---\n");
        node(object, 0, &mut text);
        text
    };
    objects.iter().map(one).collect()
}

fn node(value: &Value, depth: usize, text: &mut String) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                pad(depth, text);
                text.push_str(&scalar(key));
                text.push(':');
                below(value, depth, text);
            }
        }
        Value::Array(items) => {
            for item in items {
                pad(depth, text);
                text.push('-');
                match item {
                    Value::Object(map) if !map.is_empty() => {
                        let mut inner = String::new();
                        node(item, depth + 1, &mut inner);
                        text.push(' ');
                        text.push_str(inner.trim_start_matches(' '));
                    }
                    item => below(item, depth, text),
                }
            }
        }
        other => {
            pad(depth, text);
            text.push_str(&plain(other));
            text.push('\n');
        }
    }
}

/// What stands after a key.
fn below(value: &Value, depth: usize, text: &mut String) {
    match value {
        Value::Object(map) if map.is_empty() => text.push_str(" {}\n"),
        Value::Array(items) if items.is_empty() => text.push_str(" []\n"),
        Value::Object(_) | Value::Array(_) => {
            text.push('\n');
            node(value, depth + 1, text);
        }
        Value::String(long) if is_block(long) => {
            text.push_str(" |\n");
            for line in long.lines() {
                if !line.is_empty() {
                    pad(depth + 1, text);
                    text.push_str(line);
                }
                text.push('\n');
            }
        }
        other => {
            text.push(' ');
            text.push_str(&plain(other));
            text.push('\n');
        }
    }
}

fn pad(depth: usize, text: &mut String) {
    text.extend(std::iter::repeat_n("  ", depth));
}

/// Can it stand as it is, line by line, and be read as the same text?
fn is_block(text: &str) -> bool {
    let seen = |c: char| c == '\n' || (!c.is_control() && c != '\u{2028}' && c != '\u{2029}' && c != '\u{feff}');
    text.trim_end_matches('\n').contains('\n')
        && text.ends_with('\n')
        && !text.ends_with("\n\n")
        && !text.starts_with([' ', '\n'])
        && text.chars().all(seen)
        && text.lines().all(|line| line.is_empty() || !line.trim_end_matches(' ').is_empty())
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        other => other.to_string(),
    }
}

/// A text, quoted unless every reader of YAML takes it for one anyway.
fn scalar(text: &str) -> String {
    let letters = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let words = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    if begins && text.chars().all(letters) && !words.contains(&text.to_ascii_lowercase().as_str()) {
        return text.to_owned();
    }
    Value::String(text.to_owned()).to_string()
}
