//! Takes declared outputs out of a step's answer. Pure.

use crate::model::OutputSpec;
use crate::probes::json_path;
use std::collections::BTreeMap;

/// All declared outputs, or why one is not there.
pub(super) fn take(specs: &BTreeMap<String, OutputSpec>, answer: &str) -> Result<BTreeMap<String, String>, String> {
    specs.iter().map(|(name, spec)| Ok((name.clone(), one(name, spec, answer)?))).collect()
}

fn one(name: &str, spec: &OutputSpec, answer: &str) -> Result<String, String> {
    match spec {
        OutputSpec::Json(path) => json_path(answer, path).map_err(|e| format!("output `{name}`: {e}")),
        OutputSpec::Regex(source) => {
            let expression = regex::Regex::new(source).map_err(|e| format!("output `{name}`: {e}"))?;
            let found = expression.captures(answer).and_then(|c| c.get(1).or_else(|| c.get(0)));
            found.map(|m| m.as_str().to_owned()).ok_or_else(|| format!("output `{name}`: nothing matches `{source}`"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_taken_or_named_as_missing() {
        let spec = |text: &str| serde_json::from_str::<BTreeMap<String, OutputSpec>>(text).unwrap();
        let both = spec(r#"{"a": {"json": "$.x[0]"}, "b": {"regex": "y\": (\\d+)"}}"#);
        let found = take(&both, r#"{"x": ["one"], "y": 22}"#).unwrap();
        assert_eq!((found["a"].as_str(), found["b"].as_str()), ("one", "22"));
        assert!(take(&both, "{}").unwrap_err().contains("output `a`"));
        assert_eq!(take(&spec(r#"{"w": {"regex": "w+"}}"#), "a www").unwrap()["w"], "www");
        assert!(take(&spec(r#"{"w": {"regex": "("}}"#), "").is_err());
    }
}
