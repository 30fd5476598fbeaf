//! What an auditor must find in the record of a drill, by number, and who fills it.

/// Who fills a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The tool, from what it did and measured.
    Tool,
    /// The playbook.
    Playbook,
    /// People, in `metadata:` before or in a review after.
    People,
}

/// A field of the evidence.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its number: `E13` is 13.
    pub number: u8,
    /// What it holds.
    pub title: &'static str,
    /// Who fills it.
    pub source: Source,
    /// How it comes to be filled.
    pub how: &'static str,
}

const fn field(number: u8, title: &'static str, source: Source, how: &'static str) -> Field {
    Field { number, title, source, how }
}

use Source::{People, Playbook, Tool};

/// All fields, by number.
pub const FIELDS: [Field; 32] = [
    field(1, "which run", Tool, "every run has a name of its own"),
    field(2, "which playbook, word by word", Tool, "the playbook's digest, and the playbook as run"),
    field(3, "objectives, recorded before the fault", Playbook, "`objectives:`"),
    field(4, "kind of exercise", Playbook, "`metadata.kind`"),
    field(
        5,
        "scope, systems, plan, criticality",
        Playbook,
        "`metadata.scope` or `systems`, with `plan` and `exclusions` where they apply",
    ),
    field(6, "scenario, and why it was chosen", Playbook, "`metadata.scenario` or `metadata.why`"),
    field(7, "third parties, exercised or stubbed", Playbook, "`metadata.third_parties`; `none` if there is none"),
    field(
        8,
        "participants with their roles, and who was absent",
        People,
        "`metadata.participants`, or a review's `participant`",
    ),
    field(9, "approval before, sign-off after", People, "`metadata.approver`, and a review that accepts the run"),
    field(10, "start, end, and who started it", Tool, "the run has an end in its record"),
    field(11, "steady state before and after", Tool, "`steady:` was looked at before the fault and again at the end"),
    field(12, "log of steps", Tool, "every step with its time and its result"),
    field(13, "recovery time against its target", Tool, "an `rto` that was measured, or a recovery that was"),
    field(14, "data loss against its target", Tool, "a ledger that was read back, or an `rpo` that was measured"),
    field(15, "availability, errors and latency over time", Tool, "a workload"),
    field(
        16,
        "operation at the other site",
        Tool,
        "clients worked on what took over, or on what the drill restored, while the fault was still there",
    ),
    field(17, "restore: backup, age, place, duration", Tool, "a `restore:` step that restores a backup"),
    field(18, "integrity and reconciliation", Tool, "a ledger or a fingerprint that was compared, or `verify:`"),
    field(19, "way back: faults removed, environment clean", Tool, "every fault is healed"),
    field(20, "security while degraded", People, "`metadata.security`, or a review's `security`"),
    field(
        21,
        "detection, alerts, communication",
        People,
        "a `detect` that was measured, or a review's `communication`",
    ),
    field(22, "deviations", People, "a review's `deviation`; `none` if there was none"),
    field(23, "root cause", People, "a review's `root_cause`"),
    field(
        24,
        "corrective actions with owner and date",
        People,
        "a review's actions, or a review that accepts without any",
    ),
    field(25, "lessons", People, "a review's `lesson`"),
    field(26, "verdict per objective, and limits of the test", Tool, "every run that judged anything"),
    field(27, "required frequency, last, next", Playbook, "`metadata.every`"),
    field(28, "tool, host, clock", Tool, "every run"),
    field(29, "integrity of the record", Tool, "the run is sealed"),
    field(30, "classification and retention", Playbook, "`metadata.classification` and `metadata.retention`"),
    field(
        31,
        "blast radius, guards, heal",
        Tool,
        "faults with their targets, and whether each took effect and was healed",
    ),
    field(32, "controls", Playbook, "`metadata.controls`"),
];

/// The field of this number.
#[must_use]
pub fn field_of(number: u8) -> Option<&'static Field> {
    FIELDS.iter().find(|field| field.number == number)
}

impl Source {
    /// Who, in a word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Playbook => "playbook",
            Self::People => "people",
        }
    }
}
