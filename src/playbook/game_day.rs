//! A game day: several drills in their order, with pauses, participants and a window.

use super::ast::Ast;
use super::decode;
use super::diagnostic::Diagnostics;
use super::fields::Fields;
use super::tree::{Node, Value};
use crate::model::Dur;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A game day as written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GameDay {
    /// Its name, `[a-z0-9-]+`.
    pub game_day: String,
    /// Its title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Who takes part.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub participants: Vec<Participant>,
    /// When it may run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// The drills, in their order.
    pub drills: Vec<GameDayDrill>,
}

/// A person and their part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Participant {
    /// Who.
    pub name: String,
    /// As what: leader, observer, operator …
    pub role: String,
}

/// When a game day may run, in UTC.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Not before, RFC 3339 (`2026-11-21T09:00:00Z`).
    pub from: Moment,
    /// No drill begins after this.
    pub until: Moment,
}

/// A moment of wall-clock time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Moment(pub chrono::DateTime<chrono::Utc>);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        let moment = chrono::DateTime::parse_from_rfc3339(&text).map_err(|_| {
            serde::de::Error::custom(format!("`{text}` is not a moment; write it like 2026-11-21T09:00:00Z"))
        })?;
        Ok(Self(moment.to_utc()))
    }
}

impl schemars::JsonSchema for Moment {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Moment".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "format": "date-time"})
    }
}

/// A drill of a game day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GameDayDrill {
    /// Path of its playbook, relative to the game day's file.
    pub playbook: String,
    /// Parameters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, String>,
    /// A pause after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<Dur>,
    /// What a verdict other than pass means for the drills after it; `continue` if not given.
    #[serde(default)]
    pub on_fail: AfterFailure,
}

/// What a failed drill means for the game day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AfterFailure {
    /// The next one runs.
    #[default]
    Continue,
    /// The game day ends.
    Stop,
}

/// The game day that a file describes. `None` if it describes a drill, or after diagnostics.
#[must_use]
pub fn game_day(ast: &Ast) -> Option<GameDay> {
    let said = Diagnostics::new(ast.sources.clone());
    (ast.kind == super::FileKind::GameDay && !ast.broken).then(|| parse(&ast.root, &said)).flatten()
}

/// Reads it, with everything that is wrong.
pub(super) fn parse(root: &Node, said: &Diagnostics) -> Option<GameDay> {
    let mut fields = Fields::of(root, "a game day", said)?;
    if let Some(name) = fields.text("game_day")
        && !super::is_dashed(&name.text)
    {
        let error = said.error(name.region, format!("`{}` cannot name a game day", name.text));
        said.push(error.help("use lower-case letters, digits and `-`"));
    }
    if let Some(list @ Node { value: Value::Sequence(items), .. }) = fields.get("drills")
        && items.is_empty()
    {
        said.push(said.error(list.region, "this game day has no drills").help("write `drills: [{playbook: a.yaml}]`"));
    }
    let day: GameDay = decode::decode(root, "game day", said)?;
    if let (Some(window), Some(node)) = (&day.window, root.get("window"))
        && window.from >= window.until
    {
        said.push(said.error(node.region, "the window ends before it begins").help("`until` comes after `from`"));
    }
    Some(day)
}
