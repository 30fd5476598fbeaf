//! When an object of another engine is injected, as the object itself says it. Pure.

use crate::adapters::kubernetes::Object;
use crate::faults::{FaultError, Look};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What the object says when it is injected; one of the three.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Injected {
    /// The condition of this type in `status.conditions` is `True`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// A CEL expression over `object` is true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cel: Option<String>,
    /// What is at this path, like `$.status.experiments[0].status`, is the text of `equals`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// With `path`: that text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equals: Option<String>,
}

/// When experiments of an API group are injected, if it is known.
pub(super) fn known(group: &str) -> Option<Injected> {
    let some = |text: &str| Some(text.to_owned());
    match group {
        "chaos-mesh.org" => Some(Injected { condition: some("AllInjected"), ..Injected::default() }),
        "litmuschaos.io" => {
            Some(Injected { path: some("$.status.engineStatus"), equals: some("initialized"), ..Injected::default() })
        }
        _ => None,
    }
}

/// What is at a path of names and places; none if there is nothing, or if it is no path.
fn at<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    let mut here = object;
    for name in path.trim_start_matches('$').split('.').filter(|name| !name.is_empty()) {
        let mut parts = name.split('[');
        let key = parts.next().unwrap_or_default();
        here = if key.is_empty() { here } else { here.get(key)? };
        for place in parts {
            here = here.get(place.strip_suffix(']')?.parse::<usize>().ok()?)?;
        }
    }
    Some(here)
}

fn cel_is_true(source: &str, object: &Value) -> Result<bool, String> {
    let program = cel::Program::compile(source).map_err(|e| e.to_string())?;
    let mut context = cel::Context::default();
    context.add_variable("object", object.clone()).map_err(|e| e.to_string())?;
    match program.execute(&context) {
        Ok(cel::Value::Bool(holds)) => Ok(holds),
        Ok(_) => Err("it must be true or false".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

impl Injected {
    /// Is exactly one of them written, and can it be read?
    pub(super) fn check(&self) -> Result<(), FaultError> {
        let wrong = |why: String| Err(FaultError::Reference(why));
        match (&self.condition, &self.cel, &self.path, &self.equals) {
            (Some(_), None, None, None) | (None, None, Some(_), Some(_)) => Ok(()),
            (None, Some(source), None, None) => match cel::Program::compile(source) {
                Ok(_) => Ok(()),
                Err(error) => wrong(format!("`{source}`: {error}")),
            },
            _ => wrong("`injected` is one of `condition`, `cel`, and `path` with `equals`".to_owned()),
        }
    }

    /// Does the object say so?
    pub(super) fn seen(&self, object: &Object) -> Look {
        if let Some(name) = &self.condition {
            let status = object.condition(name);
            let said = status.map_or("not there", |holds| if holds { "True" } else { "not True" });
            return Look { holds: status == Some(true), detail: format!("condition {name} is {said}") };
        }
        if let Some(source) = &self.cel {
            return match cel_is_true(source, &object.0) {
                Ok(holds) => Look { holds, detail: format!("`{source}` is {holds}") },
                Err(why) => Look { holds: false, detail: format!("`{source}`: {why}") },
            };
        }
        let (path, wanted) = (self.path.as_deref().unwrap_or_default(), self.equals.as_deref().unwrap_or_default());
        let now = at(&object.0, path).map(|value| value.as_str().map_or(value.to_string(), str::to_owned));
        let said = now.as_deref().map_or("nothing".to_owned(), |now| format!("`{now}`"));
        Look { holds: now.as_deref() == Some(wanted), detail: format!("{path} is {said}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_engine_is_believed_only_when_it_says_so() {
        let object = |status: Value| Object(json!({"status": status}));
        let mesh = known("chaos-mesh.org").expect("known");
        for (status, holds) in [("True", true), ("False", false)] {
            let conditions = json!({"conditions": [{"type": "Selected", "status": "True"}, {"type": "AllInjected", "status": status}]});
            assert_eq!(mesh.seen(&object(conditions)).holds, holds);
        }
        assert!(!mesh.seen(&object(json!({}))).holds);
        let litmus = known("litmuschaos.io").expect("known");
        assert!(litmus.seen(&object(json!({"engineStatus": "initialized"}))).holds);
        assert!(!litmus.seen(&object(json!({"engineStatus": "stopped"}))).holds);
        let path =
            |path: &str| Injected { path: Some(path.to_owned()), equals: Some("2".to_owned()), ..Injected::default() };
        let list = object(json!({"list": [{"n": 1}, {"n": 2}]}));
        assert!(path("$.status.list[1].n").seen(&list).holds && !path("$.status.list[0].n").seen(&list).holds);
        assert_eq!(path("$.status.list[7].n").seen(&list).detail, "$.status.list[7].n is nothing");
        let cel = |source: &str| Injected { cel: Some(source.to_owned()), ..Injected::default() };
        assert!(cel("object.status.list.exists(one, one.n == 2)").seen(&list).holds);
        assert!(!cel("object.status.none == 1").seen(&list).holds);
        assert!(cel("object.(").check().is_err() && Injected::default().check().is_err());
        assert!(path("$.x").check().is_ok() && mesh.check().is_ok() && known("").is_none());
    }
}
