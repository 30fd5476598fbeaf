//! Finds a value in a JSON text by a small path: `$.members[0].name`, `['odd key']`, `[-1]` for the last. Pure.

use serde_json::Value;
use thiserror::Error;

/// Why nothing was found.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum JsonPathError {
    /// The path cannot be read.
    #[error("`{0}` is no JSON path; write it like $.members[0].name")]
    Path(String),
    /// The text is no JSON.
    #[error("the answer is not JSON: {0}")]
    Text(String),
    /// There is no such value.
    #[error("the answer has nothing at `{0}`")]
    Nothing(String),
}

enum Part<'a> {
    Key(&'a str),
    Index(i64),
}

/// The value at `path` in the JSON `text`: strings as they are, everything else as JSON.
///
/// # Errors
/// When the path or the text cannot be read, or there is no such value.
pub fn json_path(text: &str, path: &str) -> Result<String, JsonPathError> {
    let parts = parse(path).ok_or_else(|| JsonPathError::Path(path.to_owned()))?;
    let root: Value = serde_json::from_str(text).map_err(|e| JsonPathError::Text(e.to_string()))?;
    let mut at = &root;
    for part in parts {
        let next = match part {
            Part::Key(key) => at.get(key),
            Part::Index(index) => at.as_array().and_then(|list| element(list, index)),
        };
        at = next.ok_or_else(|| JsonPathError::Nothing(path.to_owned()))?;
    }
    Ok(match at {
        Value::String(s) => s.clone(),
        other => other.to_string(),
    })
}

fn element(list: &[Value], index: i64) -> Option<&Value> {
    let from_end = usize::try_from(index.unsigned_abs()).ok()?;
    if index < 0 { list.get(list.len().checked_sub(from_end)?) } else { list.get(from_end) }
}

fn parse(path: &str) -> Option<Vec<Part<'_>>> {
    let (mut rest, mut parts) = (path.trim().strip_prefix('$')?, Vec::new());
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            parts.push(Part::Key(after.get(..end).filter(|k| !k.is_empty())?));
            rest = &after[end..];
        } else {
            let after = rest.strip_prefix('[')?;
            let (inner, end) = match after.chars().next()? {
                quote @ ('\'' | '"') => {
                    let close = after[1..].find(quote)? + 1;
                    (Part::Key(&after[1..close]), close + 1)
                }
                _ => {
                    let close = after.find(']')?;
                    (Part::Index(after[..close].trim().parse().ok()?), close)
                }
            };
            parts.push(inner);
            rest = after.get(end..)?.strip_prefix(']')?;
        }
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"members":[{"name":"pg1","lag":0},{"name":"pg2","tags":{"a.b":true}}],"n":null}"#;

    #[test]
    fn values_are_found_by_key_index_and_from_the_end() {
        for (path, found) in [
            ("$.members[0].name", "pg1"),
            ("$.members[-1].name", "pg2"),
            ("$['members'][0].lag", "0"),
            ("$.members[1].tags['a.b']", "true"),
            (r#"$.members[1]["tags"]"#, r#"{"a.b":true}"#),
            ("$.n", "null"),
        ] {
            assert_eq!(json_path(TEXT, path).as_deref(), Ok(found), "{path}");
        }
        assert_eq!(json_path("7", "$").as_deref(), Ok("7"));
    }

    #[test]
    fn what_is_not_there_and_what_is_no_path_are_told_apart() {
        for path in ["$.none", "$.members[2]", "$.members[-3]", "$.n.x", "$[0]"] {
            assert!(matches!(json_path(TEXT, path), Err(JsonPathError::Nothing(_))), "{path}");
        }
        for path in ["", "members", "$.", "$..a", "$[x]", "$[0", "$['a]", "$['a'", "$x", "$['ä'x"] {
            assert!(matches!(json_path(TEXT, path), Err(JsonPathError::Path(_))), "{path}");
        }
        assert!(matches!(json_path("<html>", "$.a"), Err(JsonPathError::Text(_))));
    }
}
