//! One report over several runs: a game day, a quarter. Pure: what the runs' reports and reviews say goes in ([`Input`]), what
//! follows from it comes out ([`AfterAction`]), and is shown as Markdown, as JSON, or as a page (`html`).
//!
//! Invariant: nothing is measured or judged here, and a run that went badly is listed like any other.

mod fold;
mod markdown;
mod parts;
mod told;

pub use fold::fold;
pub use markdown::markdown;
pub use parts::tables;
pub(super) use parts::{LIMITS, bar, figure, missing, name, time};
pub use told::{Bar, Objective, Run, Told};

use crate::model::{RunState, Verdict};
use chrono::{DateTime, NaiveDate, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;

/// The value of `schema`.
pub const VERSION: &str = "blackstart/after-action/v1";

/// What is reported on.
#[derive(Debug, Clone)]
pub struct Input {
    /// Above it all.
    pub title: String,
    /// Runs that began on this day or later.
    pub from: Option<NaiveDate>,
    /// Runs that began on this day or earlier.
    pub until: Option<NaiveDate>,
    /// What due dates are held against.
    pub as_of: DateTime<Utc>,
    /// All runs that there are, also those before `from`.
    pub runs: Vec<RunInput>,
    /// Actions that reviews of these runs asked for.
    pub actions: Vec<ActionInput>,
    /// Folders whose run is not told, and why.
    pub doubts: Vec<Doubt>,
}

/// A run.
#[derive(Debug, Clone)]
pub struct RunInput {
    /// Its folder as given.
    pub folder: String,
    /// Its report.
    pub told: Told,
    /// Does it have a manifest, and is everything as that says?
    pub sealed: Sealed,
    /// Fingerprint of the key that signed it.
    pub signer: Option<String>,
    /// Its reviews, in order.
    pub reviews: Vec<ReviewInput>,
}

/// Whether a run can be held to what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sealed {
    /// It has a manifest, its files are as that says, and the signature is one of it. Whose key that is was not asked.
    Signed,
    /// The same, but the signature is of a kind that was not checked.
    Unchecked,
    /// It has a manifest, and its files are as that says.
    Unsigned,
    /// It has none.
    No,
}

/// A review.
#[derive(Debug, Clone)]
pub struct ReviewInput {
    /// By whom.
    pub by: String,
    /// In which role; may be empty.
    pub role: String,
    /// When.
    pub at: DateTime<Utc>,
    /// What they decided.
    pub decision: Option<Decision>,
    /// Has it a signature?
    pub signature: Signature,
    /// Fingerprint of the key.
    pub signer: Option<String>,
    /// Field and text.
    pub notes: Vec<(String, String)>,
    /// Did it ask for actions, each with a date?
    pub asks: Asks,
}

/// Is there a signature?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Signature {
    /// There is one, of these very words. Whose key that is was not asked.
    Good,
    /// There is one of a kind that was not checked.
    Unchecked,
    /// There is none.
    None,
}

/// What a review asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    /// Nothing.
    Nothing,
    /// Actions, each with owner and date.
    Dated,
    /// Actions, some of them without a date.
    Undated,
}

/// What was decided of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Accepted as it is.
    Accepted,
    /// Accepted, with something to be done.
    AcceptedWithActions,
    /// Not accepted as evidence.
    Rejected,
}

/// An action and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ActionInput {
    /// The run whose review asked for it.
    pub run: String,
    /// Its number there.
    pub number: u32,
    /// What is to be done.
    pub text: String,
    /// By whom.
    pub owner: String,
    /// By when.
    #[schemars(with = "Option<String>")]
    pub due: Option<NaiveDate>,
    /// Is it open, closed, or retested?
    pub standing: Done,
    /// How it was closed, or by which run; what it waits for if it is open.
    pub how: String,
}

/// What became of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Done {
    /// Nothing yet.
    Open,
    /// Somebody said that it is done.
    Closed,
    /// A later run passed.
    Retested,
}

/// A folder whose run is not told, or not wholly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Doubt {
    /// The folder.
    pub folder: String,
    /// Why.
    pub why: String,
}

/// One report over several runs.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AfterAction {
    #[schemars(extend("const" = "blackstart/after-action/v1"))]
    schema: &'static str,
    /// Above it all.
    pub title: String,
    /// First day.
    #[schemars(with = "Option<String>")]
    pub from: Option<NaiveDate>,
    /// Last day.
    #[schemars(with = "Option<String>")]
    pub until: Option<NaiveDate>,
    /// What due dates are held against. RFC 3339, UTC.
    #[schemars(with = "String")]
    pub as_of: DateTime<Utc>,
    /// In a few sentences.
    pub summary: Vec<String>,
    /// Runs of the period, by how they ended.
    pub counts: Counts,
    /// Drill by drill and environment by environment.
    pub drills: Vec<Drill>,
    /// Every run of the period, in order of time.
    pub runs: Vec<RunRow>,
    /// Actions: open ones, and those of runs of the period.
    pub actions: Vec<ActionInput>,
    /// Reviews of runs of the period.
    pub reviews: Vec<ReviewRow>,
    /// What reviews say.
    pub notes: Vec<NoteRow>,
    /// Controls that runs of the period are evidence for.
    pub controls: Vec<ControlRow>,
    /// Listed controls of the same frameworks that no run of the period names.
    pub not_named: Vec<String>,
    /// What the drills' metadata call systems, sites and third parties.
    pub systems: Vec<SystemRow>,
    /// Folders whose run is not told, or not wholly.
    pub doubts: Vec<Doubt>,
}

/// Runs by how they ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Counts {
    /// All.
    pub runs: u64,
    /// Every objective met.
    pub passed: u64,
    /// Something missed.
    pub failed: u64,
    /// Not decided.
    pub inconclusive: u64,
    /// Stopped, and healed.
    pub aborted: u64,
    /// A fault is open.
    pub not_healed: u64,
    /// Nothing was touched.
    pub not_run: u64,
}

/// A drill in an environment.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Drill {
    /// Its name.
    pub drill: String,
    /// Its title, as the last run has it.
    pub title: String,
    /// The environment.
    pub environment: String,
    /// Who answers for it.
    pub owner: Vec<String>,
    /// How often it must be drilled, as written.
    pub every: Option<String>,
    /// Runs of the period.
    pub runs: u64,
    /// Of those, passed.
    pub passed: u64,
    /// The last run.
    #[schemars(with = "String")]
    pub last: DateTime<Utc>,
    /// The last one that passed, also before the period.
    #[schemars(with = "Option<String>")]
    pub last_passed: Option<DateTime<Utc>>,
    /// When it must have passed again.
    #[schemars(with = "Option<String>")]
    pub next_due: Option<NaiveDate>,
    /// In time or not.
    pub standing: Standing,
    /// Objective by objective, over the runs of the period.
    pub objectives: Vec<Trend>,
}

/// Whether a drill is drilled as often as it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It is not said how often.
    NoFrequency,
    /// It passed, and is not due yet.
    InTime,
    /// It passed too long ago.
    Overdue,
    /// It never passed.
    NeverPassed,
}

/// An objective over several runs.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Trend {
    /// `rto`, `rpo_time`, `rpo_writes`, `detect`
    pub name: String,
    /// Whose clients; empty if it is about the drill.
    pub workload: String,
    /// The fault whose clock it runs on.
    pub fault: Option<String>,
    /// `s` or `writes`
    pub unit: String,
    /// Runs that met it.
    pub met: u64,
    /// Runs that missed it.
    pub missed: u64,
    /// Runs that could not tell.
    pub not_decided: u64,
    /// Run by run.
    pub points: Vec<Point>,
}

/// What one run measured.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Point {
    /// The run.
    pub run: String,
    /// When.
    #[schemars(with = "String")]
    pub started: DateTime<Utc>,
    /// The target at that time.
    pub target: f64,
    /// Lower end; null if it was not measured.
    pub low: Option<f64>,
    /// Best value.
    pub best: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// How it was judged.
    #[schemars(with = "String", extend("enum" = ["pass", "inconclusive", "fail"]))]
    pub verdict: Verdict,
}

/// A run of the period.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RunRow {
    /// Its id.
    pub run: String,
    /// Its drill.
    pub drill: String,
    /// Its environment.
    pub environment: String,
    /// When it began.
    #[schemars(with = "String")]
    pub started: DateTime<Utc>,
    /// How long it took.
    pub seconds: Option<f64>,
    /// How it ended.
    #[schemars(with = "String", extend("enum" = ["ended", "aborted", "dirty", "not_run", "held"]))]
    pub state: RunState,
    /// What it came to.
    #[schemars(with = "String", extend("enum" = ["pass", "inconclusive", "fail"]))]
    pub verdict: Verdict,
    /// The exit code.
    pub exit_code: u8,
    /// Why.
    pub reasons: Vec<String>,
    /// Objectives that were met.
    pub met: u64,
    /// Objectives.
    pub objectives: u64,
    /// What was decided of it last.
    pub decision: Option<Decision>,
    /// Whether it is sealed.
    pub sealed: Sealed,
    /// Fingerprint of the key that signed it.
    pub signer: Option<String>,
    /// Fields of the evidence that it fills, with its reviews, by number.
    pub filled: BTreeSet<u8>,
    /// Its folder.
    pub folder: String,
}

/// A review of a run.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ReviewRow {
    /// The run.
    pub run: String,
    /// When.
    #[schemars(with = "String")]
    pub at: DateTime<Utc>,
    /// By whom.
    pub by: String,
    /// In which role.
    pub role: String,
    /// What they decided.
    pub decision: Option<Decision>,
    /// Has it a signature?
    pub signature: Signature,
    /// Fingerprint of the key.
    pub signer: Option<String>,
    /// Is it the key that signed the run itself?
    pub key_of_the_run: bool,
}

/// What a review says.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NoteRow {
    /// Of which run.
    pub run: String,
    /// About what.
    pub field: String,
    /// In people's words.
    pub text: String,
    /// By whom.
    pub by: String,
}

/// A control.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ControlRow {
    /// `FRAMEWORK/CONTROL`
    pub control: String,
    /// The framework's name.
    pub framework: String,
    /// What it is about.
    pub title: String,
    /// Runs that are evidence relevant to it.
    pub runs: u64,
    /// Of those, passed.
    pub passed: u64,
    /// The last one that passed.
    #[schemars(with = "Option<String>")]
    pub last_passed: Option<DateTime<Utc>>,
    /// Fields that it asks for and that some run fills, by number.
    pub filled: Vec<u8>,
    /// Fields that it asks for and that no run fills.
    pub missing: Vec<u8>,
    /// Is it listed here? If not, what it asks for is not known.
    pub listed: bool,
}

/// A system, a site or a third party.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SystemRow {
    /// Its name, or what is said of a third party.
    pub name: String,
    /// Which of the three.
    pub kind: SystemKind,
    /// Drills that name it.
    pub drills: BTreeSet<String>,
    /// Runs of the period.
    pub runs: u64,
    /// Of those, passed.
    pub passed: u64,
    /// The last run that passed, also before the period.
    #[schemars(with = "Option<String>")]
    pub last_passed: Option<DateTime<Utc>>,
}

/// What is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SystemKind {
    /// `systems`
    System,
    /// `sites`
    Site,
    /// `third_parties`
    ThirdParty,
}

/// For programs.
#[must_use]
pub fn json(report: &AfterAction) -> String {
    super::json::written(report)
}

/// The JSON Schema of [`json`].
#[must_use]
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(AfterAction);
    schema.insert("$id".to_owned(), VERSION.into());
    schema.to_value()
}
