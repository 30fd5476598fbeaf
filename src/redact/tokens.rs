//! What is secret by its looks, whoever it belongs to: passwords in URLs, credentials in headers, tokens of well-known
//! services, private keys. Pure. Only patterns that hardly anything else fits.

use regex::bytes::{Captures, Regex};
use std::sync::LazyLock;

/// What a pattern finds, and the pattern: of bytes, all of these being ASCII (Unicode's classes take a hundred times as long
/// to compile).
const TOKENS: [(&str, &str); 8] = [
    ("a private key", r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----(?s:.*?-----END (?:[A-Z0-9]+ )*PRIVATE KEY-----)?"),
    ("a GitHub token", r"\bgh[pousr]_[A-Za-z0-9]{36,}"),
    ("a GitHub token", r"\bgithub_pat_[A-Za-z0-9_]{50,}"),
    ("a GitLab token", r"\bglpat-[A-Za-z0-9_-]{20,}"),
    ("a Slack token", r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}"),
    ("a JSON web token", r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{16,}"),
    ("an AWS secret key", r"\b(?:AKIA|ASIA)[A-Z0-9]{16}[^A-Za-z0-9/+]{1,20}[A-Za-z0-9/+]{40}\b"),
    (
        "an AWS secret key",
        r#"(?i:aws_?secret_?access_?key)[\\"']{0,4}\s{0,4}[:=]\s{0,4}[\\"']{0,4}[A-Za-z0-9/+]{40}\b"#,
    ),
];

/// Headers whose values are credentials.
const DENIED: [&str; 14] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "x-api-key",
    "api-key",
    "x-auth-token",
    "x-access-token",
    "x-csrf-token",
    "x-vault-token",
    "x-consul-token",
    "x-amz-security-token",
    "x-goog-api-key",
    "private-token",
];

static ANY: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let all: Vec<String> =
        TOKENS.iter().enumerate().map(|(n, (_, pattern))| format!("(?P<t{n}>(?-u:{pattern}))")).collect();
    Regex::new(&all.join("|")).ok()
});

static USERINFO: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?-u)://(?P<user>(?:[^\s/@:'"<>`\\?#]|\$\{[^}]*\}){0,256}):(?P<password>(?:[^\s/@'"<>`\\?#]|\$\{[^}]*\}){1,512})@"#).ok()
});

static HEADERS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let names = DENIED.join("|");
    Regex::new(&format!(
        r#"(?i-u)\b(?:{names})\b[\\"']{{0,4}}\s{{0,4}}[:=]\s{{0,4}}[\\"']{{0,4}}(?P<value>[^\r\n\\"']+)"#
    ))
    .ok()
});

/// What was found: from, to, what it is.
pub(super) type Found = (usize, usize, &'static str);

/// Tokens and keys.
pub(super) fn tokens(bytes: &[u8]) -> Vec<Found> {
    let Some(any) = &*ANY else { return Vec::new() };
    let what = |found: &Captures<'_>| {
        (0..TOKENS.len()).find(|n| found.name(&format!("t{n}")).is_some()).map_or("a token", |n| TOKENS[n].0)
    };
    any.captures_iter(bytes).filter_map(|c| c.get(0).map(|all| (all.start(), all.end(), what(&c)))).collect()
}

/// User and password in URLs: the part between `://` and `@`. What stands there by reference is none.
pub(super) fn userinfo(bytes: &[u8]) -> Vec<Found> {
    let Some(pattern) = &*USERINFO else { return Vec::new() };
    let each = pattern.captures_iter(bytes).filter_map(|found| {
        let (user, password) = (found.name("user")?, found.name("password")?);
        is_literal(password.as_bytes()).then_some((user.start(), password.end(), "a password in a URL"))
    });
    each.collect()
}

/// Values of headers that carry credentials, as texts show headers. What stands there by reference is none.
pub(super) fn headers(bytes: &[u8]) -> Vec<Found> {
    let Some(pattern) = &*HEADERS else { return Vec::new() };
    let values = pattern.captures_iter(bytes).filter_map(|found| found.name("value"));
    let literal = values.filter(|value| is_literal(value.as_bytes()));
    literal.map(|value| (value.start(), value.end(), "credentials in a header")).collect()
}

/// Is it the value of a password, and not a reference, a placeholder or what stands for one that was taken out?
fn is_literal(value: &[u8]) -> bool {
    let text = String::from_utf8_lossy(value);
    let text = text.trim();
    let placeholder = text.eq_ignore_ascii_case("password") || text.chars().all(|c| "*…x.".contains(c));
    !placeholder && !text.contains("${") && !text.contains('…') && !text.is_empty()
}

/// Where a password stands in a URL of this text, if one does: the byte at which user and password begin.
#[must_use]
pub fn literal_password(text: &str) -> Option<usize> {
    userinfo(text.as_bytes()).first().map(|(at, _, _)| *at)
}

/// Does a header of this name carry credentials?
#[must_use]
pub fn denied_header(name: &str) -> bool {
    DENIED.contains(&name.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_patterns_are_right() {
        assert!(ANY.is_some() && USERINFO.is_some() && HEADERS.is_some());
    }

    #[test]
    fn tokens_are_found_and_named() {
        let jwt = format!("eyJ{}.eyJ{}.{}", "a".repeat(20), "b".repeat(30), "c".repeat(43));
        for (text, what) in [
            (format!("ghp_{}", "a1".repeat(18)), "a GitHub token"),
            (format!("github_pat_{}", "a1_".repeat(27)), "a GitHub token"),
            (format!("glpat-{}", "a1-_".repeat(5)), "a GitLab token"),
            (format!("xoxb-{}", "12-ab".repeat(5)), "a Slack token"),
            (jwt, "a JSON web token"),
            (format!("AKIA{}\",\"{}", "A".repeat(16), "b/+2".repeat(10)), "an AWS secret key"),
            (format!("aws_secret_access_key = {}", "b/+2".repeat(10)), "an AWS secret key"),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n".to_owned(), "a private key"),
        ] {
            let found = tokens(format!("before {text} after").as_bytes());
            assert_eq!(found.len(), 1, "{text}");
            assert_eq!((found[0].0, found[0].2), (7, what), "{text}");
        }
        for harmless in ["AKIAIOSFODNN7EXAMPLE", "ghp_short", "eyJhbGciOi", "-----BEGIN PUBLIC KEY-----", "glpat-x"] {
            assert!(tokens(harmless.as_bytes()).is_empty(), "{harmless}");
        }
    }

    #[test]
    fn passwords_in_urls_are_found_and_references_are_not() {
        let text = "postgresql://app:hunter2@h/db and http://:pw1@h";
        let found: Vec<&str> = userinfo(text.as_bytes()).iter().map(|(from, to, _)| &text[*from..*to]).collect();
        assert_eq!(found, ["app:hunter2", ":pw1"]);
        let umlauts = "→ postgresql://jürgen:pässwörtß@büro/db ←";
        let found: Vec<&str> = userinfo(umlauts.as_bytes()).iter().map(|(from, to, _)| &umlauts[*from..*to]).collect();
        assert_eq!(found, ["jürgen:pässwörtß"]);
        for harmless in [
            "postgresql://app:${secrets.db}@h",
            "redis://USER:PASSWORD@HOST",
            "mysql://user:password@h",
            "http://h:80/a@b",
            "https://…@h",
            "postgresql://app@h",
            "http://h/?at=12:30@x",
        ] {
            assert!(userinfo(harmless.as_bytes()).is_empty(), "{harmless}");
        }
    }

    #[test]
    fn values_of_denied_headers_are_found() {
        for (text, value) in [
            ("> Authorization: Bearer abc.def", "Bearer abc.def"),
            ("{\"set-cookie\": \"sid=1; Path=/\"}", "sid=1; Path=/"),
            ("X-API-Key=k1 k2\nHost: h", "k1 k2"),
            ("Cookie: größe=ß→ü\r\nHost: h", "größe=ß→ü"),
        ] {
            let found: Vec<&str> = headers(text.as_bytes()).iter().map(|(from, to, _)| &text[*from..*to]).collect();
            assert_eq!(found, [value], "{text}");
        }
        assert!(headers(b"authorization: Bearer ${secrets.token}").is_empty());
        assert!(denied_header("Cookie") && !denied_header("Accept"));
    }
}
