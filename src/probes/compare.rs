//! Compares a value with what a playbook expects of it. Pure.

use crate::model::{Comparison, Reference, Template};
use thiserror::Error;

/// Why a comparison decides nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CompareError {
    /// Both sides must be numbers.
    #[error("`{0}` is not a number, so it cannot be compared by size")]
    NotANumber(String),
    /// A wrong regular expression or CEL expression.
    #[error("{0}")]
    Expression(String),
    /// A reference could not be filled in.
    #[error("{0}")]
    Reference(String),
}

/// Does `value` fulfil the comparison?
///
/// # Errors
/// When it cannot be decided; that never counts as true.
pub fn compare(
    comparison: &Comparison,
    value: &str,
    lookup: &dyn Fn(&Reference) -> Result<String, String>,
) -> Result<bool, CompareError> {
    let text = |t: &Template| t.render(lookup).map_err(CompareError::Reference);
    let equal = |a: &str, b: &str| match (a.trim().parse::<f64>(), b.trim().parse::<f64>()) {
        (Ok(x), Ok(y)) => x == y,
        _ => a == b,
    };
    let number = |s: &str| s.trim().parse::<f64>().map_err(|_| CompareError::NotANumber(s.to_owned()));
    Ok(match comparison {
        Comparison::Equals(s) => equal(value, &text(&s.0)?),
        Comparison::NotEquals(s) => !equal(value, &text(&s.0)?),
        Comparison::AtLeast(s) => number(value)? >= number(&text(&s.0)?)?,
        Comparison::AtMost(s) => number(value)? <= number(&text(&s.0)?)?,
        Comparison::Between(a, b) => (number(&text(&a.0)?)?..=number(&text(&b.0)?)?).contains(&number(value)?),
        Comparison::Matches(re) => {
            regex::Regex::new(re).map_err(|e| CompareError::Expression(e.to_string()))?.is_match(value)
        }
        Comparison::Contains(s) => value.contains(&text(&s.0)?),
        Comparison::OneOf(list) => {
            for s in list {
                if equal(value, &text(&s.0)?) {
                    return Ok(true);
                }
            }
            false
        }
        Comparison::Cel(source) => cel_holds(source, value)?,
    })
}

fn cel_holds(source: &str, value: &str) -> Result<bool, CompareError> {
    let wrong = |e: String| CompareError::Expression(format!("`{source}`: {e}"));
    let program = cel::Program::compile(source).map_err(|e| wrong(e.to_string()))?;
    let mut context = cel::Context::default();
    let json: serde_json::Value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
    context.add_variable("value", json).map_err(|e| wrong(e.to_string()))?;
    match program.execute(&context) {
        Ok(cel::Value::Bool(b)) => Ok(b),
        Ok(_) => Err(wrong("it must be true or false".to_owned())),
        Err(e) => Err(wrong(e.to_string())),
    }
}
