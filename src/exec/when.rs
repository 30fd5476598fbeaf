//! Evaluates `when:`, a CEL expression over `params`, `targets` and `steps`.

use super::scene::Scene;
use std::collections::BTreeMap;

/// What an expression may say about a step that has ended.
#[derive(Debug, Clone, serde::Serialize)]
pub(super) struct StepView {
    /// `passed`, `failed`, `errored`, `skipped` or `aborted`.
    pub outcome: &'static str,
    /// Declared outputs.
    pub output: BTreeMap<String, String>,
}

/// Is it true?
pub(super) fn holds(
    source: &str,
    params: &BTreeMap<String, String>,
    scene: &Scene,
    steps: &BTreeMap<String, StepView>,
) -> Result<bool, String> {
    let wrong = |why: String| format!("`when: {source}`: {why}");
    let program = cel::Program::compile(source).map_err(|e| wrong(e.to_string()))?;
    let mut context = cel::Context::default();
    let added = [
        context.add_variable("params", params).map_err(|e| e.to_string()),
        context.add_variable("targets", scene.target_fields()).map_err(|e| e.to_string()),
        context.add_variable("steps", steps).map_err(|e| e.to_string()),
    ];
    added.into_iter().collect::<Result<(), _>>().map_err(wrong)?;
    match program.execute(&context) {
        Ok(cel::Value::Bool(holds)) => Ok(holds),
        Ok(_) => Err(wrong("it must be true or false".to_owned())),
        Err(e) => Err(wrong(e.to_string())),
    }
}
