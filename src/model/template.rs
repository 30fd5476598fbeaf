//! Text with references that only a running drill can fill in: `${targets.leader.pid}`, `${secrets.db}`.
//! References known when the playbook is read (`params`, `env`) are already replaced when a template is made.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use thiserror::Error;

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Literal text.
    Text(String),
    /// Something to fill in.
    Reference(Reference),
}

/// What a template can refer to. Displays as it is written, without `${}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// `params.NAME`
    Param(String),
    /// `env.NAME`
    Env(String),
    /// `secrets.NAME`
    Secret(String),
    /// `targets.NAME.FIELD`
    Target(String, String),
    /// `steps.ID.output.NAME`
    StepOutput(String, String),
    /// `staging.NAME`: `dir`, or a field the staging printed.
    Staging(String),
    /// `run.id`, `run.dir`
    Run(String),
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Param(n) => write!(f, "params.{n}"),
            Self::Env(n) => write!(f, "env.{n}"),
            Self::Secret(n) => write!(f, "secrets.{n}"),
            Self::Target(n, field) => write!(f, "targets.{n}.{field}"),
            Self::StepOutput(id, n) => write!(f, "steps.{id}.output.{n}"),
            Self::Staging(n) => write!(f, "staging.{n}"),
            Self::Run(n) => write!(f, "run.{n}"),
        }
    }
}

/// Why a text is not a template.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TemplateError {
    /// `${` without `}`.
    #[error("`${{` at character {0} has no closing `}}`")]
    Unclosed(usize),
    /// Not one of the known references.
    #[error("`${{{0}}}` is not a known reference")]
    Unknown(String),
}

/// Text with references.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Template {
    /// Its pieces in order.
    pub parts: Vec<Part>,
}

impl Template {
    /// Its name in serde's data model.
    pub const NAME: &'static str = "Template";

    /// Literal text, nothing in it is a reference.
    #[must_use]
    pub fn literal(text: &str) -> Self {
        Self { parts: vec![Part::Text(text.to_owned())] }
    }

    /// Reads `${…}` references; `$${` is a literal `${`, and `$$${…}` a literal `$` before a reference.
    ///
    /// # Errors
    /// When a reference is not closed or not known.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let (mut parts, mut plain, mut rest, mut at) = (Vec::new(), String::new(), text, 0);
        while let Some(found) = rest.find("${") {
            let before = rest[..found].trim_end_matches('$');
            // Of a run of `$` before `{` every second one is literal; an odd one out begins a reference.
            let run = found - before.len() + 1;
            plain.push_str(before);
            plain.extend(std::iter::repeat_n('$', run / 2));
            let body = &rest[found + 2..];
            if run.is_multiple_of(2) {
                plain.push('{');
                (at, rest) = (at + found + 2, body);
                continue;
            }
            let end = body.find('}').ok_or(TemplateError::Unclosed(at + found + 1))?;
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(Part::Reference(Reference::parse(body[..end].trim())?));
            (at, rest) = (at + found + 2 + end + 1, &body[end + 1..]);
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self { parts })
    }

    /// The references in it.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        self.parts.iter().filter_map(|p| match p {
            Part::Reference(r) => Some(r),
            Part::Text(_) => None,
        })
    }

    /// The text if nothing is left to fill in.
    #[must_use]
    pub fn as_literal(&self) -> Option<String> {
        self.parts.iter().map(|p| if let Part::Text(t) = p { Some(t.as_str()) } else { None }).collect()
    }

    /// The text with every reference replaced by what `lookup` says.
    ///
    /// # Errors
    /// The first error of `lookup`.
    pub fn render<E>(&self, mut lookup: impl FnMut(&Reference) -> Result<String, E>) -> Result<String, E> {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(t) => out.push_str(t),
                Part::Reference(r) => out.push_str(&lookup(r)?),
            }
        }
        Ok(out)
    }

    /// The same template with those references replaced that `lookup` knows; the others stay.
    #[must_use]
    pub fn fill(&self, mut lookup: impl FnMut(&Reference) -> Option<String>) -> Self {
        let parts = self.parts.iter().map(|part| match part {
            Part::Reference(r) => lookup(r).map_or_else(|| part.clone(), Part::Text),
            Part::Text(_) => part.clone(),
        });
        Self { parts: parts.collect() }
    }
}

impl Reference {
    fn parse(text: &str) -> Result<Self, TemplateError> {
        let words: Vec<&str> = text.split('.').collect();
        let own = |s: &str| s.to_owned();
        match words[..] {
            ["params", n] => Ok(Self::Param(own(n))),
            ["env", n] => Ok(Self::Env(own(n))),
            ["secrets", n] => Ok(Self::Secret(own(n))),
            ["targets", n, field] => Ok(Self::Target(own(n), own(field))),
            ["steps", id, "output", n] => Ok(Self::StepOutput(own(id), own(n))),
            ["staging", n] => Ok(Self::Staging(own(n))),
            ["run", n @ ("id" | "dir")] => Ok(Self::Run(own(n))),
            _ => Err(TemplateError::Unknown(own(text))),
        }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Every `$` that is read together with a `{` is doubled: what is written reads the same.
        let mut dollars = 0_usize;
        for part in &self.parts {
            match part {
                Part::Text(text) => {
                    for c in text.chars() {
                        if c == '$' {
                            dollars += 1;
                            continue;
                        }
                        let times = if c == '{' { dollars * 2 } else { dollars };
                        write!(f, "{}{c}", "$".repeat(times))?;
                        dollars = 0;
                    }
                }
                Part::Reference(reference) => {
                    write!(f, "{}${{{reference}}}", "$".repeat(dollars * 2))?;
                    dollars = 0;
                }
            }
        }
        f.write_str(&"$".repeat(dollars))
    }
}

impl Serialize for Template {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Template;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }
            fn visit_newtype_struct<D: Deserializer<'de>>(self, d: D) -> Result<Template, D::Error> {
                Template::parse(&String::deserialize(d)?).map_err(serde::de::Error::custom)
            }
        }
        // The name tells a playbook's decoder that references may stay in this text.
        d.deserialize_newtype_struct(Self::NAME, Visitor)
    }
}

impl schemars::JsonSchema for Template {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Text".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": ["string", "number", "boolean"], "description": "text that may hold ${…} references"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn references_and_literals() {
        let read = |t: &str| Template::parse(t).map(|t| t.parts);
        let text = |t: &str| Part::Text(t.to_owned());
        let id = || Part::Reference(Reference::Run("id".to_owned()));
        assert_eq!(read("a${run.id}b"), Ok(vec![text("a"), id(), text("b")]));
        assert_eq!(read("$${run.id}"), Ok(vec![text("${run.id}")]));
        assert_eq!(read("$$${run.id}"), Ok(vec![text("$"), id()]));
        assert_eq!(read("5$ $$ {x}"), Ok(vec![text("5$ $$ {x}")]));
        assert_eq!(read("x${run.id"), Err(TemplateError::Unclosed(2)));
        assert_eq!(read("${run.name}"), Err(TemplateError::Unknown("run.name".to_owned())));
    }

    fn part() -> impl Strategy<Value = Part> {
        prop_oneof![
            "[${}a ]{1,6}".prop_map(Part::Text),
            Just(Part::Reference(Reference::Secret("s".to_owned()))),
            Just(Part::Reference(Reference::Target("t".to_owned(), "f".to_owned()))),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_reads_the_same(parts in proptest::collection::vec(part(), 0..6)) {
            let template = Template { parts };
            let again = Template::parse(&template.to_string()).unwrap();
            let flat = |t: &Template| t.render(|r| Ok::<_, ()>(format!("<{r}>"))).unwrap();
            prop_assert_eq!(flat(&template), flat(&again));
        }
    }
}
