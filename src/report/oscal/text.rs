//! What OSCAL's types allow: ids that follow from the run, tokens, lines, times in UTC.

use crate::report::{markdown, words};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use uuid::Uuid;

/// The id of a thing of a run: version 5, so the same every time.
pub(super) fn uuid(run: &str, key: &str) -> String {
    let run = Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("urn:blackstart:run:{run}").as_bytes());
    Uuid::new_v5(&run, key.as_bytes()).to_string()
}

/// A token begins with a letter or `_`, goes on with letters, digits, `.`, `-` and `_`, and is never empty.
pub(super) fn token(text: &str) -> String {
    let mut token = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_alphanumeric() || matches!(c, '.' | '_') {
            token.push(c);
        } else if !token.is_empty() && !token.ends_with('-') {
            token.push('-');
        }
    }
    let token = token.trim_end_matches('-');
    if token.starts_with(|c: char| c.is_alphabetic() || c == '_') { token.to_owned() } else { format!("_{token}") }
}

/// The id of a control as OSCAL's catalogues call it: `nist-800-53/CP-4(1)` is `cp-4.1` there; of other frameworks, which
/// have no catalogue, `soc2-a1.3`.
pub(super) fn control(id: &str) -> String {
    let id = id.to_lowercase();
    match id.split_once('/') {
        Some((framework, control)) if framework.starts_with("nist-800-53") => {
            token(&control.replace(['(', ' '], ".").replace(')', "").replace("..", "."))
        }
        _ => token(&id),
    }
}

/// A text of one line without markup; never empty, no space at its ends.
pub(super) fn line(text: &str) -> String {
    let text = words::clean(text);
    match text.trim() {
        "" => words::UNKNOWN.to_owned(),
        some => some.to_owned(),
    }
}

/// A sentence as OSCAL's markup, in which names cannot become markup.
pub(super) fn prose(sentence: &str) -> String {
    line(&markdown::prose(sentence))
}

/// A time; ends in `Z`.
pub(super) fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The wall clock at a moment of the run.
pub(super) fn later(started: DateTime<Utc>, nanos: i64) -> DateTime<Utc> {
    started.checked_add_signed(TimeDelta::nanoseconds(nanos)).unwrap_or(started)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_tokens() {
        for (text, wanted) in [
            ("RTO of orders", "RTO-of-orders"),
            ("8.5", "_8.5"),
            ("", "_"),
            ("a / b!", "a-b"),
            ("<x>", "x"),
            ("über", "über"),
            ("\u{0}\n", "_"),
        ] {
            assert_eq!(token(text), wanted);
        }
    }

    #[test]
    fn controls_are_called_as_their_catalogue_calls_them() {
        for (id, wanted) in [
            ("nist-800-53/CP-4(1)", "cp-4.1"),
            ("nist-800-53/CP-10 (2)", "cp-10.2"),
            ("soc2/A1.3", "soc2-a1.3"),
            ("iso-27001/A.5.30", "iso-27001-a.5.30"),
            ("8.5", "_8.5"),
        ] {
            assert_eq!(control(id), wanted);
        }
    }

    #[test]
    fn ids_follow_from_the_run() {
        assert_eq!(uuid("r", "a"), uuid("r", "a"));
        assert_ne!(uuid("r", "a"), uuid("s", "a"));
        assert_eq!(uuid("r", "a").as_bytes()[14], b'5');
    }
}
