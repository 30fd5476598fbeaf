//! The reference of all kinds as Markdown, from the registries: what `src/docs/playbooks.md` shows.

use super::list::{FAMILIES, Family};
use crate::faults::KindInfo;
use serde_json::Value;

/// Every kind with its keys: name, shape, whether it must be there, meaning.
#[must_use]
pub fn reference() -> String {
    FAMILIES.iter().map(|family| section(*family)).collect()
}

fn section(family: Family) -> String {
    let kinds: String = family.kinds().iter().map(kind).collect();
    format!("## {}\n\n{kinds}", title(family.word()))
}

fn title(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_uppercase() + rest
}

fn kind(info: &KindInfo) -> String {
    let schema = (info.schema)().to_value();
    let note = if info.note.is_empty() { String::new() } else { format!(" ({})", info.note) };
    let keys = schema["properties"].as_object();
    let rows: String = keys.into_iter().flatten().map(|(key, shape)| row(key, shape, &schema)).collect();
    format!(
        "### `{}`\n\n{}{note}.\n\n| key | shape | meaning |\n|---|---|---|\n{rows}\n",
        info.kind,
        title(info.summary)
    )
}

fn row(key: &str, property: &Value, schema: &Value) -> String {
    let must = schema["required"].as_array().is_some_and(|all| all.iter().any(|name| name == key));
    let must = if must { " **(required)**" } else { "" };
    let meaning = property["description"].as_str().unwrap_or("").replace('\n', " ").replace('|', "\\|");
    format!("| `{key}`{must} | {} | {meaning} |\n", shape(property, &schema["$defs"]))
}

/// What a value looks like, in a word or two.
fn shape(property: &Value, shared: &Value) -> String {
    if let Some(name) = property["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap_or(name);
        return choice(&shared[name]).unwrap_or_else(|| named(name).to_owned());
    }
    if let Some(options) = property["anyOf"].as_array().or_else(|| property["oneOf"].as_array()) {
        let mut words: Vec<String> = options.iter().map(|o| shape(o, shared)).filter(|word| word != "null").collect();
        words.dedup();
        return words.join(" or ");
    }
    match &property["type"] {
        Value::String(word) => single(word, property, shared),
        Value::Array(words) => {
            let words = words.iter().filter_map(Value::as_str).filter(|word| *word != "null");
            words.map(|word| single(word, property, shared)).collect::<Vec<_>>().join(" or ")
        }
        _ => "value".to_owned(),
    }
}

/// The words to choose from, if that is what it is.
fn choice(definition: &Value) -> Option<String> {
    let consts = definition["oneOf"].as_array().into_iter().flatten().map(|option| &option["const"]);
    let words: Option<Vec<&str>> = match definition["enum"].as_array() {
        Some(words) => words.iter().map(Value::as_str).collect(),
        None => consts.map(Value::as_str).collect(),
    };
    let words = words.filter(|words| !words.is_empty())?;
    Some(words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "))
}

fn single(word: &str, property: &Value, shared: &Value) -> String {
    match word {
        "array" => format!("list of {}", shape(&property["items"], shared)),
        "object" if property["additionalProperties"].is_object() => {
            format!("map to {}", shape(&property["additionalProperties"], shared))
        }
        "object" => "map".to_owned(),
        "string" => "text".to_owned(),
        "boolean" => "true or false".to_owned(),
        "integer" => "whole number".to_owned(),
        other => other.to_owned(),
    }
}

/// The words for shapes that several kinds share.
fn named(name: &str) -> &str {
    match name {
        "Template" | "Text" => "text",
        "Comparison" => "comparison",
        "TargetRef" => "target",
        "Dur" => "duration",
        "Rate" => "rate",
        "Size" => "size",
        "CommandSpec" => "command",
        "RequestSpec" => "request",
        "RunSpec" => "command or request",
        "WayBack" => "way back",
        "SignalName" => "signal",
        "Manager" => "`system` or `user`",
        "Way" => "`ahead` or `behind`",
        "Percent" => "share",
        "ClientSpec" => "client",
        "WriteAt" => "`target` or `each`",
        "LedgerSite" => "`{target: NAME}`",
        "ProbeSpec" => "probe",
        "HttpExpect" => "what to expect",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_keys() {
        let text = reference();
        assert!(text.contains("### `process_kill`"), "{text}");
        assert!(text.contains("| `target` **(required)** | target |"), "{text}");
        assert!(text.contains("| `rate` **(required)** | rate |"), "{text}");
        assert!(!text.contains("| value |"), "a shape without a word:\n{text}");
    }
}
