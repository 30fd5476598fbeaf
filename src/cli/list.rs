//! `blackstart list`: what a playbook can name, from the registries themselves.

use super::{Exit, Output, Terminal};
use crate::faults::KindInfo;
use crate::{controls, faults, fingerprints, plan, probes, restores, workloads};
use clap::ValueEnum;
use serde_json::json;

/// What to list.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this family; all if not given
    family: Option<Family>,
    /// How to print
    #[arg(long, value_enum, default_value = "human")]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Family {
    Faults,
    Probes,
    Workloads,
    Restores,
    Fingerprints,
    Targets,
    /// What a drill can be evidence for
    Controls,
}

/// Those whose members are kinds.
pub(super) const FAMILIES: [Family; 6] =
    [Family::Faults, Family::Probes, Family::Workloads, Family::Restores, Family::Fingerprints, Family::Targets];

impl Family {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Faults => "faults",
            Self::Probes => "probes",
            Self::Workloads => "workloads",
            Self::Restores => "restores",
            Self::Fingerprints => "fingerprints",
            Self::Targets => "targets",
            Self::Controls => "controls",
        }
    }

    pub(super) fn kinds(self) -> &'static [KindInfo] {
        match self {
            Self::Faults => faults::KINDS,
            Self::Probes => probes::KINDS,
            Self::Workloads => workloads::KINDS,
            Self::Restores => restores::KINDS,
            Self::Fingerprints => fingerprints::KINDS,
            Self::Targets => plan::TARGET_KINDS,
            Self::Controls => &[],
        }
    }
}

pub fn run(args: &Args, terminal: &mut Terminal) -> Exit {
    let families: Vec<Family> = args.family.map_or_else(all, |one| vec![one]);
    match args.output {
        Output::Human | Output::Plain => families.iter().for_each(|family| terminal.say(&human(*family))),
        Output::Json => terminal.say(&json_text(&families)),
    }
    Exit::Pass
}

fn all() -> Vec<Family> {
    FAMILIES.into_iter().chain([Family::Controls]).collect()
}

fn human(family: Family) -> String {
    if family == Family::Controls {
        return controls_for_people();
    }
    let width = family.kinds().iter().map(|k| k.kind.len()).max().unwrap_or(0);
    let mut text = format!("{}\n", family.word());
    for kind in family.kinds() {
        let note = if kind.note.is_empty() { String::new() } else { format!(" ({})", kind.note) };
        text.push_str(&format!("  {:width$}  {}{note}\n", kind.kind, kind.summary));
    }
    text
}

/// Frameworks with their controls, and which fields of the evidence each asks for.
fn controls_for_people() -> String {
    let mut text = format!("controls ({})\n", controls::CLAIM);
    let (listed, open): (Vec<_>, Vec<_>) = controls::FRAMEWORKS.iter().partition(|f| !f.controls.is_empty());
    for framework in listed {
        text.push_str(&format!("  {}\n", framework.title));
        let names: Vec<String> = framework.controls.iter().map(|c| format!("{}/{}", framework.id, c.id)).collect();
        let width = names.iter().map(String::len).max().unwrap_or(0);
        for (name, control) in names.iter().zip(framework.controls) {
            let fields = controls::numbers(control.fields);
            text.push_str(&format!("    {name:width$}  {}: {} ({fields})\n", control.title, control.summary));
        }
    }
    let open: Vec<&str> = open.iter().map(|f| f.id).collect();
    text.push_str(&format!("  any id is taken, and nothing is known of it: {}\n", open.join(", ")));
    text
}

fn controls_for_programs() -> serde_json::Value {
    let rows = controls::FRAMEWORKS.iter().flat_map(|framework| {
        framework.controls.iter().map(move |control| {
            let fields: Vec<String> = control.fields.iter().map(|n| format!("E{n}")).collect();
            json!({"control": format!("{}/{}", framework.id, control.id), "framework": framework.id,
                "framework_title": framework.title, "title": control.title, "summary": control.summary, "fields": fields})
        })
    });
    rows.collect()
}

fn json_text(families: &[Family]) -> String {
    let all: serde_json::Map<String, serde_json::Value> = families
        .iter()
        .map(|family| {
            if *family == Family::Controls {
                return (family.word().to_owned(), controls_for_programs());
            }
            let kinds: Vec<_> = family
                .kinds()
                .iter()
                .map(|k| json!({"kind": k.kind, "summary": k.summary, "note": k.note, "schema": (k.schema)()}))
                .collect();
            (family.word().to_owned(), kinds.into())
        })
        .collect();
    format!("{:#}", serde_json::Value::Object(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_lists_its_registry() {
        for family in FAMILIES {
            let text = human(family);
            assert!(!family.kinds().is_empty(), "{}", family.word());
            for kind in family.kinds() {
                assert!(text.contains(kind.kind) && text.contains(kind.summary), "{text}");
            }
        }
    }

    #[test]
    fn controls_are_listed_with_what_they_ask_for() {
        let text = human(Family::Controls);
        assert!(text.contains("soc2/A1.3") && text.contains("nist-csf") && text.contains("E13"), "{text}");
        let all: serde_json::Value = serde_json::from_str(&json_text(&all())).unwrap();
        assert_eq!(all["controls"][0]["control"], "dora/Art.11");
        assert_eq!(all["controls"][0]["fields"][0], "E3");
    }

    #[test]
    fn json_has_a_schema_for_every_kind() {
        let all: serde_json::Value = serde_json::from_str(&json_text(&FAMILIES)).unwrap();
        assert_eq!(all["faults"][0]["kind"], "process_kill");
        assert_eq!(all["faults"][0]["schema"]["type"], "object");
    }
}
