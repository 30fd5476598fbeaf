//! `oscal.json`: a run as OSCAL assessment results 1.2.1: an observation for each objective, check and fault, a finding for
//! what was judged, a risk for what was missed.
//!
//! A finding's target is the drill's own objective or check, never a control: the controls that the playbook names are
//! listed as those that the evidence is relevant to. OSCAL knows satisfied and not satisfied only; what was not decided is
//! not satisfied for the reason `other`, and keeps our word beside it.

mod shape;
mod text;

use super::checked::{self, About, Checked};
use super::words;
use crate::analysis::{Analysis, FaultResult, ObjectiveResult};
use crate::model::{Interval, ObjectiveKind, Verdict};
use shape::{
    AssessmentResults, BackMatter, Control, Document, Evidence, Finding, Hash, ImportAp, Link, Metadata, Observation,
    Outcome, Party, Prop, RelatedObservation, RelatedRisk, Resource, Responsible, Reviewed, Risk, Role, Selection,
    Status, Target,
};
use text::{control, later, line, prose, time, token, uuid};

/// Whose names the properties are.
const NS: &str = "urn:blackstart:oscal";

/// The document, pretty-printed, with a newline at the end.
#[must_use]
pub fn oscal(a: &Analysis) -> String {
    let run = a.run.run.as_str();
    let plan = uuid(run, "playbook.resolved.yaml");
    super::json::written(&Document {
        assessment_results: AssessmentResults {
            uuid: uuid(run, "assessment-results"),
            metadata: metadata(a),
            import_ap: ImportAp {
                href: format!("#{plan}"),
                remarks: "The plan is the playbook as it was run, sealed before the fault.",
            },
            results: [outcome(a)],
            back_matter: back_matter(a, plan),
        },
    })
}

fn prop(name: &'static str, value: &str) -> Prop {
    Prop { name, ns: NS, value: line(value) }
}

/// When the last thing of the record was written.
fn ended(a: &Analysis) -> String {
    time(a.ended.unwrap_or_else(|| later(a.started, a.length)))
}

fn metadata(a: &Analysis) -> Metadata {
    let run = a.run.run.as_str();
    let owners = a.run.metadata.get("owner").map_or(&[][..], Vec::as_slice);
    let parties: Vec<Party> = owners
        .iter()
        .enumerate()
        .map(|(n, name)| Party { uuid: uuid(run, &format!("owner/{n}")), kind: "organization", name: line(name) })
        .collect();
    let owns = |parties: &[Party]| Responsible {
        role_id: "owner",
        party_uuids: parties.iter().map(|party| party.uuid.clone()).collect(),
    };
    let known = !parties.is_empty();
    Metadata {
        title: prose(&format!("Drill {} in {}, run {run}", a.run.drill, a.run.environment)),
        last_modified: ended(a),
        version: line(run),
        oscal_version: "1.2.1",
        props: vec![
            prop("tool", &a.run.host.tool),
            prop("host", &a.run.host.host),
            prop("trigger", &a.run.host.trigger),
            prop("journal-head", &a.journal_head),
        ],
        roles: if known { vec![Role { id: "owner", title: "Owner of the drill" }] } else { Vec::new() },
        responsible_parties: if known { vec![owns(&parties)] } else { Vec::new() },
        parties,
    }
}

fn outcome(a: &Analysis) -> Outcome {
    let (h, run) = (words::headline(a), a.run.run.as_str());
    let checked = checked::all(a);
    let mut observations: Vec<Observation> = checked.iter().map(|c| observation(a, c)).collect();
    observations.extend(a.faults.iter().map(|f| fault(a, f)));
    let mut risks: Vec<Risk> = checked.iter().filter(|c| c.verdict == Verdict::Fail).map(|c| missed(run, c)).collect();
    risks.extend(a.faults.iter().filter(|f| !f.healed).map(|f| open_fault(run, f)));
    risks.extend(actions(a));
    let mut findings = vec![whole(a)];
    findings.extend(checked.iter().map(|c| finding(run, c)));
    Outcome {
        uuid: uuid(run, "result"),
        title: prose(if a.run.title.is_empty() { a.run.drill.as_str() } else { &a.run.title }),
        description: prose(&format!("{}: {}", h.word, h.reason)),
        start: time(a.started),
        end: a.ended.map(time),
        props: vec![
            prop("result", h.word),
            prop("environment", &a.run.environment),
            prop("playbook-sha256", &a.run.playbook_digest),
        ],
        reviewed_controls: reviewed(a),
        observations,
        risks,
        findings,
    }
}

fn reviewed(a: &Analysis) -> Reviewed {
    let named = a.run.metadata.get("controls").map_or(&[][..], Vec::as_slice);
    let mut controls: Vec<Control> = named.iter().map(|id| Control { control_id: control(id) }).collect();
    controls.sort();
    controls.dedup();
    let mut remarks = "The run is evidence relevant to these controls; that they are met is not claimed.";
    if controls.is_empty() {
        // The schema wants one.
        controls.push(Control { control_id: "none-declared".to_owned() });
        remarks = "The playbook declares no controls.";
    }
    Reviewed { control_selections: [Selection { include_controls: controls }], remarks }
}

/// The key of everything that is about a check.
fn key(c: &Checked) -> String {
    let about = match c.about {
        About::Objective => "objective",
        About::Step => "step",
        About::Data => "data",
        About::Sites => "sites",
    };
    format!("{about}/{}", c.key)
}

fn observed(run: &str, key: &str) -> Vec<RelatedObservation> {
    vec![RelatedObservation { observation_uuid: uuid(run, &format!("observation/{key}")) }]
}

const EVIDENCE: Evidence =
    Evidence { href: "report.json", description: "All figures, computed from journal.jsonl and the operations logs." };

fn observation(a: &Analysis, c: &Checked) -> Observation {
    let mut props = vec![prop("verdict", c.verdict.word())];
    if !c.place.is_empty() {
        props.push(prop("place", &c.place));
    }
    if let (About::Objective, Some(o)) =
        (c.about, c.key.parse::<usize>().ok().and_then(|n| a.objectives.get(n.wrapping_sub(1))))
    {
        props.extend(figures(o));
    }
    Observation {
        uuid: uuid(a.run.run.as_str(), &format!("observation/{}", key(c))),
        title: prose(&c.name),
        description: prose(&c.seen),
        props,
        methods: ["TEST"],
        types: [if c.about == About::Objective { "control-objective" } else { "finding" }],
        relevant_evidence: [EVIDENCE],
        collected: c.at.map_or_else(|| ended(a), |at| time(later(a.started, at))),
    }
}

/// In seconds, or writes; a figure that was not measured has none.
fn figures(o: &ObjectiveResult) -> Vec<Prop> {
    let writes = o.objective.kind == ObjectiveKind::RpoWrites;
    let number = |n: i64| if writes { n.to_string() } else { words::seconds(n).to_string() };
    let mut props =
        vec![prop("unit", if writes { "writes" } else { "s" }), prop("target", &number(o.objective.target))];
    if let Some(Interval { low, best, high }) = o.actual {
        props.extend([("low", low), ("best", best), ("high", high)].map(|(name, n)| prop(name, &number(n))));
    }
    props
}

fn fault(a: &Analysis, f: &FaultResult) -> Observation {
    let at = f.at.map_or(a.length, |at| at.best);
    Observation {
        uuid: uuid(a.run.run.as_str(), &format!("observation/fault/{}", f.id)),
        title: prose(&format!("Fault: {}", f.name)),
        description: prose(&format!("{}: {}", f.targets.join(", "), f.effect)),
        props: vec![
            prop("kind", &f.kind),
            prop("effective", words::yes_no(f.effective)),
            prop("healed", words::yes_no(Some(f.healed))),
        ],
        methods: ["TEST"],
        types: ["discovery"],
        relevant_evidence: [EVIDENCE],
        collected: time(later(a.started, at)),
    }
}

fn status(verdict: Verdict) -> Status {
    match verdict {
        Verdict::Pass => Status { state: "satisfied", reason: "pass" },
        Verdict::Fail => Status { state: "not-satisfied", reason: "fail" },
        Verdict::Inconclusive => Status { state: "not-satisfied", reason: "other" },
    }
}

fn target(name: &str, verdict: Verdict) -> Target {
    Target { kind: "objective-id", target_id: token(&words::clean(name)), status: status(verdict) }
}

/// What the run as a whole came to: an aborted one is no pass, whatever its checks say.
fn whole(a: &Analysis) -> Finding {
    let h = words::headline(a);
    Finding {
        uuid: uuid(a.run.run.as_str(), "finding/run"),
        title: "The run as a whole".to_owned(),
        description: prose(&format!("{}: {}", h.word, h.reason)),
        target: target(&format!("drill {}", a.run.drill), h.verdict),
        related_observations: Vec::new(),
        related_risks: Vec::new(),
    }
}

fn finding(run: &str, c: &Checked) -> Finding {
    let key = key(c);
    let risk = RelatedRisk { risk_uuid: uuid(run, &format!("risk/{key}")) };
    Finding {
        uuid: uuid(run, &format!("finding/{key}")),
        title: prose(&c.name),
        description: prose(&format!("{} {}: {}", words::sign(c.verdict), words::judged(c.verdict), c.seen)),
        target: target(&c.name, c.verdict),
        related_observations: observed(run, &key),
        related_risks: if c.verdict == Verdict::Fail { vec![risk] } else { Vec::new() },
    }
}

fn missed(run: &str, c: &Checked) -> Risk {
    let key = key(c);
    Risk {
        uuid: uuid(run, &format!("risk/{key}")),
        title: prose(&format!("Missed: {}", c.name)),
        description: prose(&c.seen),
        statement: "In an outage like the one that was drilled, the same may happen.".to_owned(),
        status: "open",
        deadline: None,
        related_observations: observed(run, &key),
    }
}

fn open_fault(run: &str, f: &FaultResult) -> Risk {
    Risk {
        uuid: uuid(run, &format!("risk/fault/{}", f.id)),
        title: prose(&format!("Not healed: {}", f.name)),
        description: prose(&format!("What the drill broke may still be broken: {}", f.targets.join(", "))),
        statement: prose(&format!("By hand: {}", f.by_hand)),
        status: "open",
        deadline: None,
        related_observations: observed(run, &format!("fault/{}", f.id)),
    }
}

/// What earlier runs asked for and nobody has done yet.
fn actions(a: &Analysis) -> Vec<Risk> {
    let open = a.run.lineage.iter().flat_map(|lineage| &lineage.actions);
    open.map(|action| Risk {
        uuid: uuid(a.run.run.as_str(), &format!("risk/action/{}/{}", action.run, action.number)),
        title: prose(&format!("Action {} of run {}", action.number, action.run)),
        description: prose(&action.text),
        statement: prose(&format!("To be done by {}", action.owner)),
        status: "open",
        deadline: action.due.map(|day| format!("{}T00:00:00Z", day.format("%Y-%m-%d"))),
        related_observations: Vec::new(),
    })
    .collect()
}

fn back_matter(a: &Analysis, plan: String) -> BackMatter {
    let run = a.run.run.as_str();
    let file = |uuid: String, href: &'static str, media_type: &'static str, digest: Option<&str>| Resource {
        uuid,
        title: href.to_owned(),
        props: Vec::new(),
        rlinks: vec![Link {
            href,
            media_type,
            hashes: digest.map(|value| Hash { algorithm: "SHA-256", value: line(value) }).into_iter().collect(),
        }],
    };
    let mut resources = vec![
        file(plan, "playbook.resolved.yaml", "application/yaml", Some(&a.run.resolved_digest)),
        file(uuid(run, "playbook.yaml"), "playbook.yaml", "application/yaml", Some(&a.run.playbook_digest)),
        file(uuid(run, "journal.jsonl"), "journal.jsonl", "application/jsonl", None),
    ];
    let subjects = a.run.lineage.iter().flat_map(|lineage| &lineage.subjects).enumerate();
    resources.extend(subjects.map(|(n, subject)| Resource {
        uuid: uuid(run, &format!("subject/{n}")),
        title: prose(&format!("Under test: {}", subject.name)),
        props: vec![prop("digest", &subject.digest)],
        rlinks: Vec::new(),
    }));
    BackMatter { resources }
}
