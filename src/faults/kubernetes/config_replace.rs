//! Gives keys of ConfigMaps and Secrets other values. Healing puts the values of before back.

use super::Home;
use super::config::{self, Undo};
use super::values::{self, Values};
use crate::faults::{Cx, Fault, FaultError, Look, Reversibility};
use crate::model::{Right, TargetRef, Template};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Gives keys of ConfigMaps or Secrets other values until it is healed; the other keys stay. Values that somebody changes
/// meanwhile are left as they are. Pods see it when they read it: at their start, or in a mounted volume after a while.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigReplace {
    /// A target of kind `kubernetes`: ConfigMaps or Secrets.
    pub target: TargetRef,
    /// The new values, by key; those of a Secret as plain text too. A key that is not there is added.
    pub data: BTreeMap<String, Template>,
}

impl Values for ConfigReplace {
    fn values(&self, original: &Value, cx: &Cx<'_>) -> Result<Value, FaultError> {
        let secret = original["kind"] == "Secret";
        let mut data = serde_json::Map::new();
        for (key, template) in &self.data {
            let text = cx.text(template)?;
            data.insert(key.clone(), if secret { STANDARD.encode(text) } else { text }.into());
        }
        Ok(json!({"data": data}))
    }
}

impl Fault for ConfigReplace {
    const KIND: &'static str = "config_replace";
    const SUMMARY: &'static str = "give keys of ConfigMaps or Secrets other values, and put them back";
    const REVERSIBILITY: Reversibility = Reversibility::Reversible;
    const TARGETS: &'static [&'static str] = &["kubernetes"];
    type Undo = Undo;

    fn targets(&self) -> Vec<&TargetRef> {
        vec![&self.target]
    }

    fn permissions(&self) -> Vec<String> {
        vec!["to read and patch the objects, and to create and delete copies beside them".to_owned()]
    }

    fn rights(&self) -> Vec<Right> {
        config::rights(&self.target, &["patch"])
    }

    fn way_back(&self) -> String {
        "the values of before are put back from copies".to_owned()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Undo, FaultError> {
        let (undo, originals) = config::prepare(&self.target, cx).await?;
        values::mutable(&undo, &originals)?;
        for (kept, original) in undo.objects.iter().zip(&originals) {
            let same = |(key, value): (&String, &Value)| original["data"].get(key) == Some(value);
            if self.values(original, cx)?["data"].as_object().is_none_or(|data| data.iter().all(same)) {
                let why = format!("{} has these values already", kept.held.at());
                return Err(FaultError::NothingToBreak(why));
            }
        }
        Ok(undo)
    }

    async fn rehearse(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        values::rehearse(self, undo, cx).await
    }

    async fn inject(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        values::inject(self, undo, cx).await
    }

    async fn effective(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        values::effective(self, undo, cx).await
    }

    async fn heal(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        values::heal(self, undo, cx).await
    }

    async fn healed(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        undo.healed(cx).await
    }

    fn home(undo: &Undo) -> Option<&Home> {
        Some(&undo.home)
    }

    fn by_hand(&self, undo: &Undo) -> String {
        undo.by_hand("replace")
    }

    fn touched(&self, undo: &Undo) -> Vec<String> {
        undo.touched()
    }
}
