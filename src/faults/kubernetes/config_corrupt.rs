//! Damages values of ConfigMaps and Secrets. Healing puts the values of before back.

use super::Home;
use super::config::{self, Undo};
use super::values::{self, Values};
use crate::faults::{Cx, Fault, FaultError, Look, Reversibility};
use crate::model::{Right, TargetRef};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// So many characters or bytes of which one is damaged.
const EVERY: u64 = 16;

/// Damages values of ConfigMaps or Secrets until it is healed: the first character and about one of sixteen others. The
/// values stay as long as they were, and text stays text. Values that somebody changes meanwhile are left as they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigCorrupt {
    /// A target of kind `kubernetes`: ConfigMaps or Secrets.
    pub target: TargetRef,
    /// Only these keys; all that are not empty if not given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// The same seed damages the same characters in the same way; 1 if not given.
    #[serde(default = "one")]
    pub seed: u64,
}

fn one() -> u64 {
    1
}

/// splitmix64: <https://doi.org/10.1145/2714064.2660195>
fn mix(seed: u64, number: u64) -> u64 {
    let mut z = seed.wrapping_add(number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn hit(seed: u64, number: u64) -> bool {
    number == 0 || mix(seed, number).is_multiple_of(EVERY)
}

/// Another text of as many characters; the first is one that begins neither JSON, YAML nor a number.
fn text(seed: u64, before: &str) -> String {
    let other = |(number, c): (usize, char)| {
        let number = number as u64;
        let replaced = if number == 0 { '}' } else { char::from(b'#' + (mix(!seed, number) % 90) as u8) };
        match (hit(seed, number), replaced == c) {
            (false, _) => c,
            (true, false) => replaced,
            (true, true) => '!',
        }
    };
    before.chars().enumerate().map(other).collect()
}

/// Other bytes, as many.
fn bytes(seed: u64, before: &[u8]) -> Vec<u8> {
    let other = |(number, byte): (usize, &u8)| {
        let number = number as u64;
        if hit(seed, number) { byte ^ (1 + (mix(!seed, number) % 255) as u8) } else { *byte }
    };
    before.iter().enumerate().map(other).collect()
}

impl Values for ConfigCorrupt {
    fn values(&self, original: &Value, _: &Cx<'_>) -> Result<Value, FaultError> {
        let mut patch = json!({});
        for part in config::PARTS {
            let plain = part == "data" && original["kind"] != "Secret";
            for (key, value) in original.get(part).and_then(Value::as_object).into_iter().flatten() {
                let value = value.as_str().unwrap_or_default();
                if value.is_empty() || !(self.keys.is_empty() || self.keys.contains(key)) {
                    continue;
                }
                let damaged = match plain {
                    true => text(self.seed, value),
                    false => {
                        let wrong = |_| config::refused(format!("`{key}` is not base64"));
                        STANDARD.encode(bytes(self.seed, &STANDARD.decode(value).map_err(wrong)?))
                    }
                };
                patch[part][key.as_str()] = damaged.into();
            }
        }
        Ok(patch)
    }
}

impl Fault for ConfigCorrupt {
    const KIND: &'static str = "config_corrupt";
    const SUMMARY: &'static str = "damage values of ConfigMaps or Secrets, and put them back";
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
            let at = kept.held.at();
            let has = |key: &&String| config::PARTS.iter().any(|part| original[*part].get(key.as_str()).is_some());
            if let Some(missing) = self.keys.iter().find(|key| !has(key)) {
                return Err(FaultError::NothingToBreak(format!("{at} has no key `{missing}`")));
            }
            let damaged = self.values(original, cx)?;
            if damaged.as_object().is_none_or(serde_json::Map::is_empty) {
                return Err(FaultError::NothingToBreak(format!("{at} has no value that could be damaged")));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_damaged_at_its_beginning_and_stays_as_long() {
        for seed in 0..50 {
            for before in ["{\"greeting\": \"welcome\"}", "}", "!", "ü", "a: [1, 2]\nb: äöü\n"] {
                let after = text(seed, before);
                assert_eq!(after.chars().count(), before.chars().count());
                assert_ne!(after.chars().next(), before.chars().next(), "{before}");
                assert_eq!(after, text(seed, before));
                assert!(serde_json::from_str::<Value>(&after).is_err());
            }
        }
        assert_ne!(text(1, &"x".repeat(500)), text(2, &"x".repeat(500)));
    }

    #[test]
    fn bytes_are_damaged_and_stay_as_many() {
        let before: Vec<u8> = (0..=255).collect();
        let after = bytes(1, &before);
        let damaged = before.iter().zip(&after).filter(|(a, b)| a != b).count();
        assert!(after.len() == before.len() && (2..64).contains(&damaged) && after[0] != before[0], "{damaged}");
    }
}
