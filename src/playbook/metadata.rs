//! The keys of `metadata:` that have a meaning: what people say of a drill before it runs. Their values are checked by
//! `plan`; they go into the start record as they are written.

use serde_json::{Value, json};

/// A key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What its values look like.
    pub shape: Shape,
    /// The fields of the evidence that it fills, by number.
    pub fields: &'static [u8],
    /// What it says.
    pub meaning: &'static str,
    /// How it may look.
    pub example: &'static str,
}

/// What the values of a key look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A text.
    Text,
    /// A text or several.
    List,
    /// A duration, or a word such as `quarterly`.
    Period,
    /// Some of these words.
    Words(&'static [&'static str]),
    /// People with their roles: `Ann Lee, incident lead`.
    People,
    /// Third parties, and whether they were exercised: `stripe: stubbed`, or `none`.
    Parties,
    /// `FRAMEWORK/CONTROL`
    Controls,
}

/// What kind of exercise a drill is, and whether people knew of it.
pub const KINDS: [&str; 14] = [
    "tabletop",
    "walkthrough",
    "simulation",
    "component",
    "functional",
    "integrated",
    "parallel",
    "full",
    "chaos",
    "game_day",
    "automated",
    "planned",
    "announced",
    "unannounced",
];

/// What can be said of a third party.
pub const PARTIES: [&str; 4] = ["exercised", "stubbed", "excluded", "informed"];

/// All keys, in the order in which they are documented.
pub const KEYS: [Key; 28] = [
    key("owner", Shape::List, &[5], "who answers for the drill", "data-platform"),
    key("contact", Shape::List, &[], "how to reach them", "\"#data-platform\""),
    key("approver", Shape::List, &[9], "who approved it before it ran", "\"Kim Berg, head of platform\""),
    key("approval", Shape::List, &[9], "where that can be read: a ticket, a change", "CHG-4711"),
    key("ticket", Shape::List, &[], "what else belongs to it", "OPS-1"),
    key("runbooks", Shape::List, &[], "what people follow", "[failover.md]"),
    key("plan", Shape::List, &[5], "the recovery plan that is exercised, and which part of it", "\"BCP-7, chapter 4\""),
    key("criticality", Shape::Text, &[5], "how much depends on the system", "tier-1"),
    key(
        "kind",
        Shape::Words(&KINDS),
        &[4],
        "the kind of exercise, and whether people knew of it",
        "[functional, unannounced]",
    ),
    key("every", Shape::Period, &[27], "how often it must be drilled", "quarterly"),
    key("systems", Shape::List, &[5], "what is exercised", "[orders-db, checkout]"),
    key("sites", Shape::List, &[5, 16], "where: data centres, regions", "[fra1, ams2]"),
    key("scope", Shape::List, &[5], "what is part of it, in words", "\"loss of the primary site\""),
    key("exclusions", Shape::List, &[5], "what is not", "\"payroll: has a drill of its own\""),
    key(
        "third_parties",
        Shape::Parties,
        &[7],
        "vendors, and whether each was exercised or stubbed",
        "{stripe: stubbed}",
    ),
    key("scenario", Shape::List, &[6], "what is supposed to have happened", "\"the primary's disk dies\""),
    key("why", Shape::List, &[6], "why this scenario was chosen", "\"happened on 2026-03-02\""),
    key("participants", Shape::People, &[8], "who takes part, with their roles", "[\"Ann Lee, incident lead\"]"),
    key(
        "absent",
        Shape::List,
        &[8],
        "who should have and does not; also people whose absence is played",
        "\"Bo Chen, DBA\"",
    ),
    key("load", Shape::List, &[16], "how the load compares with production's", "\"30 % of Monday's peak\""),
    key("communication", Shape::List, &[21], "who is to be told, and how", "\"status page, drill channel\""),
    key("security", Shape::List, &[20], "what protects it while it is degraded", "\"TLS and audit log stay on\""),
    key(
        "budget",
        Shape::List,
        &[31],
        "how much of an error budget or of money it may use",
        "\"5 min of downtime a month\"",
    ),
    key("conditions", Shape::List, &[31], "what must hold so that it may run", "\"no release within the hour\""),
    key("controls", Shape::Controls, &[32], "which controls it is evidence for", "[soc2/A1.3]"),
    key("classification", Shape::Text, &[30], "who may read its evidence", "internal"),
    key("retention", Shape::Period, &[30], "how long its evidence is kept", "7y"),
    key("next", Shape::Text, &[27], "when it is planned next, in words", "\"2027-02-01, with the vendor\""),
];

const fn key(
    name: &'static str,
    shape: Shape,
    fields: &'static [u8],
    meaning: &'static str,
    example: &'static str,
) -> Key {
    Key { name, shape, fields, meaning, example }
}

/// The key of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// Is it a key of the user's own, which nobody here looks at?
#[must_use]
pub fn is_own(name: &str) -> bool {
    name.starts_with("x_") || name.starts_with("x-")
}

/// The keys as rows of a Markdown table.
#[must_use]
pub fn markdown() -> String {
    let rows: String = KEYS.iter().map(row).collect();
    format!("| key | what it says | fields | for example |\n|---|---|---|---|\n{rows}")
}

fn row(key: &Key) -> String {
    let fields: Vec<String> = key.fields.iter().map(|n| format!("E{n}")).collect();
    format!("| `{}` | {} | {} | `{}: {}` |\n", key.name, key.meaning, fields.join(" "), key.name, key.example)
}

/// Its part of the JSON Schema of a playbook.
pub(super) fn schema() -> Value {
    let scalar = json!({"type": ["string", "number", "boolean"]});
    let properties: serde_json::Map<String, Value> = KEYS
        .iter()
        .map(|key| {
            let mut shape = shape(key.shape);
            shape["description"] = key.meaning.into();
            (key.name.to_owned(), shape)
        })
        .collect();
    json!({"type": "object", "additionalProperties": one_or_more(&scalar), "properties": properties})
}

fn shape(of: Shape) -> Value {
    let text = json!({"type": ["string", "number", "boolean"]});
    match of {
        Shape::Text => text,
        Shape::Period => json!({"type": "string"}),
        Shape::List | Shape::People => one_or_more(&text),
        Shape::Words(words) => one_or_more(&json!({"enum": words})),
        Shape::Parties => json!({"anyOf": [text, {"type": "array", "items": text},
            {"type": "object", "additionalProperties": {"enum": PARTIES}}]}),
        Shape::Controls => one_or_more(&json!({"type": "string", "pattern": "^[^/]+/.+$"})),
    }
}

fn one_or_more(value: &Value) -> Value {
    json!({"anyOf": [value, {"type": "array", "items": value}]})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_examples_are_yaml() {
        for (n, key) in KEYS.iter().enumerate() {
            assert!(!KEYS[..n].iter().any(|other| other.name == key.name), "{}", key.name);
            let line = format!("{}: {}", key.name, key.example);
            let read: serde_json::Value = serde_yaml::from_str(&line).expect("an example is YAML");
            assert!(read[key.name] != Value::Null, "{line}");
            assert!(key.fields.iter().all(|n| (1..=32).contains(n)), "{}", key.name);
        }
        assert!(is_own("x_ticket") && !is_own("ticket"));
    }
}
