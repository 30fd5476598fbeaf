//! What the API of Kubernetes takes as a name, a label selector or a field selector: its rules, without asking a server.

/// Why this is no name of an object (RFC 1123), if it is none.
///
/// # Errors
/// In words.
pub fn name(text: &str) -> Result<(), String> {
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let part = |part: &str| {
        edge(part.bytes().next())
            && edge(part.bytes().last())
            && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    if text.len() <= 253 && text.split('.').all(part) {
        return Ok(());
    }
    Err(format!("`{text}` can name nothing: lower-case letters, digits, `-` and `.` can, 253 at most"))
}

/// The same for a namespace.
///
/// # Errors
/// In words.
pub fn namespace(text: &str) -> Result<(), String> {
    if text.len() <= 63 && !text.contains('.') && name(text).is_ok() {
        return Ok(());
    }
    Err(format!("`{text}` can name no namespace: lower-case letters, digits and `-` can, 63 at most"))
}

/// Why this is no label selector, if it is none.
///
/// # Errors
/// In words.
pub fn labels(text: &str) -> Result<(), String> {
    for requirement in split(text)? {
        requirement_is_one(requirement.trim())?;
    }
    Ok(())
}

/// Why this is no field selector, if it is none.
///
/// # Errors
/// In words.
pub fn fields(text: &str) -> Result<(), String> {
    for term in text.split(',').map(str::trim) {
        let (path, value) = term.split_once('=').ok_or_else(|| format!("`{term}` compares nothing"))?;
        let path = path.strip_suffix('!').unwrap_or(path).trim();
        let value = value.strip_prefix('=').unwrap_or(value);
        let plain = |c: char| c.is_ascii_alphanumeric() || ".-_/[]'".contains(c);
        if path.is_empty() || !path.chars().all(plain) {
            return Err(format!("`{path}` is no field"));
        }
        if value.contains(['=', '!', ' ']) {
            return Err(format!("`{value}` is no value of a field"));
        }
    }
    Ok(())
}

/// At commas that are in no parentheses.
fn split(text: &str) -> Result<Vec<&str>, String> {
    let (mut parts, mut depth, mut from) = (Vec::new(), 0_u32, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' if depth == 0 => return Err("a `)` too many".to_owned()),
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    if depth > 0 {
        return Err("a `)` is missing".to_owned());
    }
    parts.push(&text[from..]);
    Ok(parts)
}

fn requirement_is_one(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("a comma too many".to_owned());
    }
    if let Some(absent) = text.strip_prefix('!') {
        return key(absent.trim());
    }
    for operator in [" notin", " in"] {
        if let Some((name, rest)) = text.split_once(operator)
            && let Some(values) = rest.trim().strip_prefix('(').and_then(|rest| rest.strip_suffix(')'))
        {
            key(name.trim())?;
            return values.split(',').try_for_each(|one| value(one.trim()));
        }
    }
    match text.split_once('=') {
        Some((name, rest)) => {
            key(name.strip_suffix('!').unwrap_or(name).trim())?;
            value(rest.strip_prefix('=').unwrap_or(rest).trim())
        }
        None => key(text),
    }
}

fn key(text: &str) -> Result<(), String> {
    let (prefix, rest) = text.split_once('/').map_or((None, text), |(prefix, rest)| (Some(prefix), rest));
    if prefix.is_some_and(|prefix| name(prefix).is_err()) || rest.is_empty() || !word(rest) {
        return Err(format!("`{text}` is no label"));
    }
    Ok(())
}

fn value(text: &str) -> Result<(), String> {
    if text.is_empty() || word(text) { Ok(()) } else { Err(format!("`{text}` is no value of a label")) }
}

/// Up to 63 letters, digits and `-_.`, with a letter or digit at both ends.
fn word(text: &str) -> bool {
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
    let inner = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    text.len() <= 63 && edge(text.bytes().next()) && edge(text.bytes().last()) && text.bytes().all(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_selectors_are_those_of_the_api() {
        for good in [
            "app=web",
            "app==web,tier!=front",
            "tier in (front, back),!legacy",
            "app.kubernetes.io/name=web",
            "tier notin (front)",
            "app",
            "app=",
        ] {
            assert_eq!(labels(good), Ok(()), "{good}");
        }
        for bad in ["", "app=web,", "app in front", "tier in (front", "-app=web", "app=a b", "a/b/c=d", "app=ü", "a)"]
        {
            assert!(labels(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn field_selectors_and_names_are_those_of_the_api() {
        for good in ["status.phase=Running", "spec.nodeName!=n1,metadata.name==web"] {
            assert_eq!(fields(good), Ok(()), "{good}");
        }
        for bad in ["status.phase", "=x", "a b=c", "a=b=c"] {
            assert!(fields(bad).is_err(), "{bad}");
        }
        assert!(name("web-1.v2").is_ok() && name("Web").is_err() && name("-web").is_err() && name("").is_err());
        assert!(namespace("shop").is_ok() && namespace("shop.eu").is_err() && namespace(&"a".repeat(64)).is_err());
    }
}
