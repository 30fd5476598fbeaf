//! `blackstart list`: what a playbook can name, from the registries themselves.

use super::{Exit, Output, Terminal};
use crate::faults::KindInfo;
use crate::{faults, fingerprints, plan, probes, restores, workloads};
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
}

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
        }
    }
}

pub fn run(args: &Args, terminal: &mut Terminal) -> Exit {
    let families: Vec<Family> = args.family.map_or_else(|| FAMILIES.to_vec(), |one| vec![one]);
    match args.output {
        Output::Human | Output::Plain => families.iter().for_each(|family| terminal.say(&human(*family))),
        Output::Json => terminal.say(&json_text(&families)),
    }
    Exit::Pass
}

fn human(family: Family) -> String {
    let width = family.kinds().iter().map(|k| k.kind.len()).max().unwrap_or(0);
    let mut text = format!("{}\n", family.word());
    for kind in family.kinds() {
        let note = if kind.note.is_empty() { String::new() } else { format!(" ({})", kind.note) };
        text.push_str(&format!("  {:width$}  {}{note}\n", kind.kind, kind.summary));
    }
    text
}

fn json_text(families: &[Family]) -> String {
    let all: serde_json::Map<String, serde_json::Value> = families
        .iter()
        .map(|family| {
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
    fn json_has_a_schema_for_every_kind() {
        let all: serde_json::Value = serde_json::from_str(&json_text(&FAMILIES)).unwrap();
        assert_eq!(all["faults"][0]["kind"], "process_kill");
        assert_eq!(all["faults"][0]["schema"]["type"], "object");
    }
}
