//! The reports that lie in a folder against those that its record gives. Computing them is the caller's business: it knows
//! how, and this module must not.

use super::files::{Files, load};
use super::finding::{Area, Checked, Finding, Kind, Level};
use super::record::Record;
use crate::evidence::manifest::{self, Manifest};
use crate::journal::Stored;
use serde_json::Value;
use std::path::Path;

/// What a record amounts to.
pub struct Rendered {
    /// The exit code of the run.
    pub exit_code: u8,
    /// In words: `pass`, …
    pub word: String,
    /// This program, as start records name it.
    pub tool: String,
    /// Every report that is computed from the record: file and content.
    pub reports: Vec<(String, String)>,
}

/// Computes a run's reports from its folder and the record that was read from it.
pub type Recompute<'a> = dyn Fn(&Path, Stored) -> Result<Rendered, String> + Sync + 'a;

/// The one that other programs rely on.
const CORE: &str = "report.json";
/// Every run has these.
const ALWAYS: [&str; 2] = [CORE, "report.html"];
/// So many differences of a report are told.
const TOLD: usize = 4;

/// Computes the reports again and compares.
pub(super) fn check(
    (dir, files): (&Path, &Files),
    record: Record,
    manifest: Option<&Manifest>,
    recompute: &Recompute<'_>,
    seen: &mut Checked,
) {
    let wrote = record.start.host.tool.clone();
    let rendered = match recompute(dir, record.stored) {
        Ok(rendered) => rendered,
        Err(why) => return seen.find(Kind::NotRecomputed, CORE, why),
    };
    seen.exit_code = Some(rendered.exit_code);
    if let Some(manifest) = manifest.filter(|manifest| manifest.exit_code != rendered.exit_code) {
        let what = format!("it says exit code {}; the record gives {}", manifest.exit_code, rendered.exit_code);
        seen.find(Kind::ManifestExitCode, manifest::FILE, what);
    }
    let same_version = wrote == rendered.tool;
    if !same_version {
        let what = format!(
            "written by {wrote}, this is {}: bytes may differ, so only the core of {CORE} is compared",
            rendered.tool
        );
        seen.find(Kind::OtherVersion, CORE, what);
    }
    let mut compared = 0;
    for (name, text) in &rendered.reports {
        let Some(there) = load(dir, files, name) else {
            if ALWAYS.contains(&name.as_str()) {
                seen.find(Kind::ReportMissing, name, "every run has it, and it is not there");
            }
            continue;
        };
        if there == text.as_bytes() {
            compared += 1;
        } else if name == CORE {
            core(&there, text, same_version, seen);
        } else if same_version {
            seen.find(Kind::ReportDiffers, name, "other bytes than the record gives");
        }
    }
    if !seen.doubts(Area::Reports) {
        let code = rendered.exit_code;
        seen.good(
            Area::Reports,
            format!("{} ({code}), computed again; {compared} reports the same, byte for byte", rendered.word),
        );
    }
}

/// Names what differs in `report.json`; if another version wrote it, only what both versions know is compared.
fn core(there: &[u8], ours: &str, same_version: bool, seen: &mut Checked) {
    let (Ok(there), Ok(ours)) = (serde_json::from_slice::<Value>(there), serde_json::from_str::<Value>(ours)) else {
        return seen.find(Kind::ReportDiffers, CORE, "it is no JSON document");
    };
    let mut told = Vec::new();
    differences(&there, &ours, &mut String::new(), &mut told);
    if told.is_empty() && same_version {
        told.push("other bytes than the record gives".to_owned());
    }
    if told.is_empty() {
        return;
    }
    let more = if told.len() > TOLD { "; and more" } else { "" };
    told.truncate(TOLD);
    seen.findings.push(Finding::new(Kind::ReportDiffers, CORE, told.join("; ") + more).at(Level::Broken));
}

/// Every place where both have a value and the values differ, or lists are of different length.
fn differences(there: &Value, ours: &Value, path: &mut String, told: &mut Vec<String>) {
    if told.len() > TOLD {
        return;
    }
    let length = path.len();
    match (there, ours) {
        (Value::Object(there), Value::Object(ours)) => {
            for (key, value) in there {
                match ours.get(key) {
                    Some(mine) => {
                        path.push_str(&format!("/{key}"));
                        differences(value, mine, path, told);
                        path.truncate(length);
                    }
                    // A field that another version knows. Names of workloads and the like are data.
                    None if path.is_empty() || !path.ends_with("/workloads") => {}
                    None => told.push(format!("{path}/{key} is there, and the record knows nothing of it")),
                }
            }
        }
        (Value::Array(there), Value::Array(ours)) if there.len() == ours.len() => {
            for (index, (value, mine)) in there.iter().zip(ours).enumerate() {
                path.push_str(&format!("/{index}"));
                differences(value, mine, path, told);
                path.truncate(length);
            }
        }
        (Value::Array(there), Value::Array(ours)) => {
            told.push(format!("{path} has {} entries, and the record gives {}", there.len(), ours.len()));
        }
        (there, ours) if there != ours => {
            told.push(format!("{path} is {}, and the record gives {}", brief(there), brief(ours)))
        }
        _ => {}
    }
}

fn brief(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 40 { text } else { format!("{}…", text.chars().take(40).collect::<String>()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_difference_is_named_by_its_place() {
        let told = |there: Value, ours: Value| {
            let mut told = Vec::new();
            differences(&there, &ours, &mut String::new(), &mut told);
            told
        };
        let ours = json!({"run": {"verdict": "fail"}, "steps": [{"name": "a"}]});
        assert!(told(ours.clone(), ours.clone()).is_empty());
        let verdict = told(json!({"run": {"verdict": "pass"}, "steps": [{"name": "a"}]}), ours.clone());
        assert_eq!(verdict, ["/run/verdict is \"pass\", and the record gives \"fail\""]);
        let steps = told(json!({"run": {"verdict": "fail"}, "steps": []}), ours.clone());
        assert_eq!(steps, ["/steps has 0 entries, and the record gives 1"]);
        // A field that only one version knows is no difference.
        assert!(told(json!({"run": {"verdict": "fail", "colour": 1}, "steps": [{}]}), ours).is_empty());
    }
}
