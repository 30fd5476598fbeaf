//! The part of OSCAL assessment-results 1.2.1 that a drill fills. Lists are left out where they are empty: the schema has no
//! empty ones.
//!
//! Source: NIST, `oscal_assessment-results_schema.json` 1.2.1 (public domain).

use serde::Serialize;

/// The document.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Document {
    pub assessment_results: AssessmentResults,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct AssessmentResults {
    pub uuid: String,
    pub metadata: Metadata,
    pub import_ap: ImportAp,
    pub results: [Outcome; 1],
    pub back_matter: BackMatter,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Metadata {
    pub title: String,
    pub last_modified: String,
    pub version: String,
    pub oscal_version: &'static str,
    pub props: Vec<Prop>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<Role>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parties: Vec<Party>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub responsible_parties: Vec<Responsible>,
}

/// A named value of ours.
#[derive(Serialize)]
pub(super) struct Prop {
    pub name: &'static str,
    pub ns: &'static str,
    pub value: String,
}

#[derive(Serialize)]
pub(super) struct Role {
    pub id: &'static str,
    pub title: &'static str,
}

#[derive(Serialize)]
pub(super) struct Party {
    pub uuid: String,
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub name: String,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Responsible {
    pub role_id: &'static str,
    pub party_uuids: Vec<String>,
}

/// The plan: the playbook, which is a resource of the back matter.
#[derive(Serialize)]
pub(super) struct ImportAp {
    pub href: String,
    pub remarks: &'static str,
}

/// `result`
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Outcome {
    pub uuid: String,
    pub title: String,
    pub description: String,
    pub start: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    pub props: Vec<Prop>,
    pub reviewed_controls: Reviewed,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub observations: Vec<Observation>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub risks: Vec<Risk>,
    pub findings: Vec<Finding>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Reviewed {
    pub control_selections: [Selection; 1],
    pub remarks: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Selection {
    pub include_controls: Vec<Control>,
}

#[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Control {
    pub control_id: String,
}

/// What was seen.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Observation {
    pub uuid: String,
    pub title: String,
    pub description: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub props: Vec<Prop>,
    pub methods: [&'static str; 1],
    pub types: [&'static str; 1],
    pub relevant_evidence: [Evidence; 1],
    pub collected: String,
}

#[derive(Serialize)]
pub(super) struct Evidence {
    pub href: &'static str,
    pub description: &'static str,
}

/// What follows from an observation.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Finding {
    pub uuid: String,
    pub title: String,
    pub description: String,
    pub target: Target,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub related_observations: Vec<RelatedObservation>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub related_risks: Vec<RelatedRisk>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Target {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub target_id: String,
    pub status: Status,
}

/// `reason` is `pass`, `fail` or, where nothing was decided, `other`.
#[derive(Serialize)]
pub(super) struct Status {
    pub state: &'static str,
    pub reason: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct RelatedObservation {
    pub observation_uuid: String,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct RelatedRisk {
    pub risk_uuid: String,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Risk {
    pub uuid: String,
    pub title: String,
    pub description: String,
    pub statement: String,
    pub status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub related_observations: Vec<RelatedObservation>,
}

#[derive(Serialize)]
pub(super) struct BackMatter {
    pub resources: Vec<Resource>,
}

#[derive(Serialize)]
pub(super) struct Resource {
    pub uuid: String,
    pub title: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub props: Vec<Prop>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rlinks: Vec<Link>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Link {
    pub href: &'static str,
    pub media_type: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hashes: Vec<Hash>,
}

#[derive(Serialize)]
pub(super) struct Hash {
    pub algorithm: &'static str,
    pub value: String,
}
