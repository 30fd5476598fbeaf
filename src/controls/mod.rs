//! The controls that a drill can be evidence for: ids, a summary in our own words, and which fields of a report each asks
//! for. Pure. "Evidence relevant to" is all that is claimed, never that anybody complies; a drill is no threat-led
//! penetration test, and none is claimed.

mod fields;
mod registry;

pub use fields::{FIELDS, Field, Source, field_of};
pub use registry::{Control, FRAMEWORKS, Framework};

use std::collections::BTreeSet;

/// What all renderings say above controls.
pub const CLAIM: &str = "Evidence relevant to these controls. Whether a control is met is for people to judge; \
                         no threat-led penetration testing is claimed.";

/// What is known under a control's name.
#[derive(Debug, Clone, Copy)]
pub enum Found<'a> {
    /// A control of a framework. An enhancement that has no entry of its own is found as the control that it belongs to.
    Known(&'static Framework, &'static Control),
    /// A framework whose controls are not listed here: any id is taken as it is.
    Open(&'static Framework),
    /// Not written as `FRAMEWORK/CONTROL`.
    NoControl,
    /// No framework has this id.
    NoFramework(&'a str),
    /// The framework has no such control here.
    NotIn(&'static Framework, &'a str),
}

/// Finds a control by its name, `FRAMEWORK/CONTROL`.
#[must_use]
pub fn find(name: &str) -> Found<'_> {
    let Some((framework, id)) = name.split_once('/').filter(|(framework, id)| !framework.is_empty() && !id.is_empty())
    else {
        return Found::NoControl;
    };
    let Some(known) = FRAMEWORKS.iter().find(|f| f.id == framework) else { return Found::NoFramework(framework) };
    if known.controls.is_empty() {
        return Found::Open(known);
    }
    control_of(known, id).map_or(Found::NotIn(known, id), |control| Found::Known(known, control))
}

/// The control, or the one that `CP-9(8)` is an enhancement of.
fn control_of(framework: &'static Framework, id: &str) -> Option<&'static Control> {
    let mut id = id;
    loop {
        if let Some(control) = framework.controls.iter().find(|c| c.id == id) {
            return Some(control);
        }
        id = id.strip_suffix(')')?.rsplit_once('(').map(|(base, _)| base)?;
    }
}

/// The control that differs from this id in case and punctuation only: `cp4` is `CP-4`.
#[must_use]
pub fn alike(framework: &Framework, id: &str) -> Option<&'static str> {
    let plain = |text: &str| text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    let id = plain(id);
    framework.controls.iter().map(|control| control.id).find(|known| plain(known) == id)
}

/// What a record holds of what a control asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// Fields that are filled, by number.
    pub filled: Vec<u8>,
    /// Fields that are not.
    pub missing: Vec<u8>,
}

/// Which of the fields that a control asks for are filled.
#[must_use]
pub fn coverage(control: &Control, filled: &BTreeSet<u8>) -> Coverage {
    let (filled, missing) = control.fields.iter().partition(|field| filled.contains(field));
    Coverage { filled, missing }
}

/// Numbers of fields as people write them: `E3 E13 E14`.
#[must_use]
pub fn numbers(fields: &[u8]) -> String {
    fields.iter().map(|n| format!("E{n}")).collect::<Vec<_>>().join(" ")
}

/// The registry as Markdown: frameworks with their controls, then the fields.
#[must_use]
pub fn markdown() -> String {
    let mut out = String::new();
    for framework in FRAMEWORKS.iter().filter(|f| !f.controls.is_empty()) {
        out.push_str(&format!("### {} (`{}`)\n\n", framework.title, framework.id));
        out.push_str("| control | about | what a drill shows of it | fields |\n|---|---|---|---|\n");
        for c in framework.controls {
            let fields = numbers(c.fields);
            out.push_str(&format!("| `{}/{}` | {} | {} | {fields} |\n", framework.id, c.id, c.title, c.summary));
        }
        out.push('\n');
    }
    let open: Vec<String> =
        FRAMEWORKS.iter().filter(|f| f.controls.is_empty()).map(|f| format!("`{}`", f.id)).collect();
    out.push_str(&format!("Of these any id is taken as it is, and nothing is known of it: {}.\n\n", open.join(", ")));
    out.push_str("### Fields\n\n| field | what it holds | filled by | how |\n|---|---|---|---|\n");
    for field in &FIELDS {
        let (source, how) = (field.source.word(), field.how);
        out.push_str(&format!("| E{} | {} | {source} | {how} |\n", field.number, field.title));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_is_in_order() {
        for pair in FRAMEWORKS.windows(2) {
            assert!(pair[0].id < pair[1].id, "{} {}", pair[0].id, pair[1].id);
        }
        for (framework, control) in FRAMEWORKS.iter().flat_map(|f| f.controls.iter().map(move |c| (f, c))) {
            let name = format!("{}/{}", framework.id, control.id);
            assert!(matches!(find(&name), Found::Known(_, found) if found.id == control.id), "{name}");
            assert!(!control.fields.is_empty() && control.fields.is_sorted_by(|a, b| a < b), "{name}");
            assert!(control.fields.iter().all(|n| field_of(*n).is_some()), "{name}");
            assert_eq!(framework.controls.iter().filter(|c| c.id == control.id).count(), 1, "{name}");
        }
        assert!(FIELDS.iter().enumerate().all(|(i, field)| usize::from(field.number) == i + 1));
    }

    #[test]
    fn nothing_claims_that_anybody_complies() {
        let text = format!("{}{CLAIM}", markdown()).to_lowercase();
        assert!(!text.contains("complian") && !text.contains("complie"), "{text}");
        assert_eq!(text.matches("penetration test").count(), 2, "each mention says that it is not claimed");
    }

    #[test]
    fn what_is_written_otherwise_is_understood_or_refused() {
        assert!(matches!(find("nist-800-53/CP-9(8)"), Found::Known(_, c) if c.id == "CP-9"));
        assert!(matches!(find("dora/Art.11(6)"), Found::Known(_, c) if c.id == "Art.11(6)"));
        assert!(matches!(find("nist-csf/RC.RP-1"), Found::Open(_)));
        assert!(matches!(find("soc2"), Found::NoControl));
        assert!(matches!(find("soc2/"), Found::NoControl));
        assert!(matches!(find("sco2/A1.3"), Found::NoFramework("sco2")));
        let Found::NotIn(framework, id) = find("nist-800-53/cp4") else { panic!("cp4 is no id") };
        assert_eq!(alike(framework, id), Some("CP-4"));
        for odd in ["soc2/(", "soc2/)", "soc2/A1.3)", "soc2/((((", "/", "soc2/é)"] {
            assert!(matches!(find(odd), Found::NotIn(..) | Found::NoControl), "{odd}");
        }
    }

    #[test]
    fn coverage_says_what_is_missing() {
        let Found::Known(_, control) = find("iso-27001/A.5.33") else { panic!("it is listed") };
        let found = coverage(control, &BTreeSet::from([1, 29]));
        assert_eq!((found.filled, found.missing), (vec![29], vec![30]));
        assert_eq!(numbers(&[3, 13]), "E3 E13");
    }
}
