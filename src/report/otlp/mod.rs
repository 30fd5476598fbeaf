//! `trace.json`: a run as an OpenTelemetry trace, one `ExportTraceServiceRequest` in OTLP/JSON on one line, so that a drill
//! can be seen beside the traces of what it broke.
//!
//! Spans: the run; in it phases with their steps, faults while they were open, what each workload's clients saw with its
//! outages, and spans in which the runner could not see. Milestones are events of the run. Times are the wall clock of the
//! start record plus the monotonic time since then, so that a stepped clock bends nothing. A span shows best values; its
//! error bars are attributes, in seconds since the start record. Ids follow from the run's id.

mod shape;

use super::words::{self, seconds};
use crate::analysis::{
    Analysis, At, FaultResult, Mark, Outage, PhaseResult, Recovery, StallResult, StepResult, WorkloadResult,
};
use crate::model::{Interval, Verdict};
use sha2::{Digest, Sha256};
use shape::{
    Attribute, INTERNAL, Request, Resource, ResourceSpans, Scope, ScopeSpans, Span, SpanEvent, Status, attribute,
};

/// The request, with a newline at the end.
#[must_use]
pub fn trace(a: &Analysis) -> String {
    let spans = Writer::new(a).spans();
    let scope = Scope { name: "blackstart", version: env!("CARGO_PKG_VERSION") };
    let scope_spans = [ScopeSpans { scope, spans }];
    let request = Request { resource_spans: [ResourceSpans { resource: resource(a), scope_spans }] };
    serde_json::to_string(&request).expect("numbers, texts and lists are JSON") + "\n"
}

fn resource(a: &Analysis) -> Resource {
    let host = &a.run.host;
    let text = |key, value: &str| attribute(key, words::clean(value));
    Resource {
        attributes: vec![
            attribute("service.name", "blackstart"),
            text("service.version", host.tool.strip_prefix("blackstart ").unwrap_or(&host.tool)),
            text("deployment.environment.name", &a.run.environment),
            text("host.name", &host.host),
            text("os.description", &host.system),
        ],
    }
}

struct Writer<'a> {
    a: &'a Analysis,
    trace_id: String,
    /// Wall clock of the start record, nanoseconds.
    origin: i128,
}

/// A span before it has its times and ids.
struct Draft {
    /// The same for the same thing of the same run; its id is made of it.
    key: String,
    parent: String,
    name: String,
    from: i64,
    to: i64,
    attributes: Vec<Attribute>,
    verdict: Option<Verdict>,
    message: String,
}

impl Draft {
    fn new(key: String, parent: &str, name: String, (from, to): (i64, i64)) -> Self {
        let (attributes, message) = (Vec::new(), String::new());
        Self { key, parent: parent.to_owned(), name, from, to, attributes, verdict: None, message }
    }
}

const RUN: &str = "run";

impl<'a> Writer<'a> {
    fn new(a: &'a Analysis) -> Self {
        let origin = i128::from(a.started.timestamp()) * 1_000_000_000 + i128::from(a.started.timestamp_subsec_nanos());
        Self { a, trace_id: hex(a.run.run.as_str(), 16), origin }
    }

    fn spans(&self) -> Vec<Span> {
        let a = self.a;
        let mut spans = vec![self.run()];
        let drafts = (a.phases.iter().enumerate().map(phase))
            .chain(a.steps.iter().map(|s| self.step(s)))
            .chain(a.faults.iter().filter_map(|f| self.fault(f)))
            .chain(a.workloads.iter().flat_map(|w| self.workload(w)))
            .chain(a.stalls.iter().enumerate().map(stall));
        spans.extend(drafts.map(|draft| self.span(draft)));
        spans
    }

    fn time(&self, offset: i64) -> String {
        // The protocol's times are unsigned 64-bit nanoseconds.
        let at = (self.origin + i128::from(offset)).clamp(0, i128::from(u64::MAX));
        at.to_string()
    }

    fn id(&self, key: &str) -> String {
        hex(&format!("{}/{key}", self.a.run.run), 8)
    }

    fn span(&self, d: Draft) -> Span {
        let code = match d.verdict {
            Some(Verdict::Pass) => 1,
            Some(Verdict::Fail) => 2,
            Some(Verdict::Inconclusive) | None => 0,
        };
        let mut attributes = d.attributes;
        attributes.extend(d.verdict.map(|verdict| attribute("blackstart.verdict", verdict.word())));
        // Only an error has a message there.
        if code != 2 && !d.message.is_empty() {
            attributes.push(attribute("blackstart.detail", words::clean(&d.message)));
        }
        Span {
            trace_id: self.trace_id.clone(),
            span_id: self.id(&d.key),
            parent_span_id: if d.parent.is_empty() { String::new() } else { self.id(&d.parent) },
            name: words::clean(&d.name),
            kind: INTERNAL,
            start_time_unix_nano: self.time(d.from),
            end_time_unix_nano: self.time(d.to.max(d.from)),
            attributes,
            events: Vec::new(),
            status: Status { code, message: if code == 2 { words::clean(&d.message) } else { String::new() } },
        }
    }

    fn run(&self) -> Span {
        let (a, h) = (self.a, words::headline(self.a));
        let mut draft = Draft::new(RUN.to_owned(), "", format!("drill {}", a.run.drill), (0, a.length));
        (draft.verdict, draft.message) = (Some(h.verdict), h.reason);
        draft.attributes = vec![
            attribute("blackstart.run", a.run.run.as_str()),
            attribute("blackstart.drill", a.run.drill.as_str()),
            attribute("blackstart.result", h.word),
            attribute("blackstart.playbook", words::clean(&a.run.playbook)),
            attribute("blackstart.playbook.sha256", a.run.playbook_digest.as_str()),
            attribute("blackstart.journal.head", a.journal_head.as_str()),
        ];
        let mut span = self.span(draft);
        span.events = a.timeline.iter().map(|mark| self.mark(mark)).collect();
        span
    }

    fn mark(&self, m: &Mark) -> SpanEvent {
        let mut attributes = vec![attribute("blackstart.of", words::clean(&m.of))];
        attributes.extend(moment(m.at));
        SpanEvent { time_unix_nano: self.time(m.at.best), name: words::clean(&m.name), attributes }
    }

    fn step(&self, s: &StepResult) -> Draft {
        // By time: what must hold in the steady state is looked at in the baseline, too.
        let inside = |p: &PhaseResult| (p.from..=p.to).contains(&s.from);
        let parent = self.a.phases.iter().rposition(inside).map_or_else(|| RUN.to_owned(), phase_key);
        let to = s.to.unwrap_or(self.a.length);
        let mut draft = Draft::new(format!("step/{}/{}", s.id, s.round), &parent, s.name.clone(), (s.from, to));
        draft.verdict = Some(s.verdict);
        draft.message = words::detail(s).to_owned();
        draft.attributes = vec![
            attribute("blackstart.step", s.id.as_str()),
            attribute("blackstart.verb", words::clean(&s.verb)),
            attribute("blackstart.round", u64::from(s.round)),
            attribute("blackstart.outcome", words::outcome(s)),
            attribute("blackstart.place", words::clean(&s.place)),
        ];
        draft
    }

    /// While it was open; none if it was never injected.
    fn fault(&self, f: &FaultResult) -> Option<Draft> {
        let at = f.at?;
        let to = f.healed_at.map_or(self.a.length, |healed| healed.best);
        let mut draft = Draft::new(format!("fault/{}", f.id), RUN, format!("fault {}", f.name), (at.best, to));
        draft.verdict = Some(match (f.healed, f.effective) {
            (false, _) => Verdict::Fail,
            (true, Some(true)) => Verdict::Pass,
            (true, _) => Verdict::Inconclusive,
        });
        draft.message = if f.healed { f.effect.clone() } else { "not healed".to_owned() };
        draft.attributes = vec![
            attribute("blackstart.fault", f.id.as_str()),
            attribute("blackstart.fault.kind", words::clean(&f.kind)),
            attribute("blackstart.fault.targets", words::clean(&f.targets.join(", "))),
            attribute("blackstart.fault.healed", f.healed),
        ];
        draft.attributes.extend(f.effective.map(|yes| attribute("blackstart.fault.effective", yes)));
        draft.attributes.extend(moment(at));
        Some(draft)
    }

    /// What its clients saw; its outages and recoveries lie in it.
    fn workload(&self, w: &WorkloadResult) -> Vec<Draft> {
        let Some(measured) = w.measured else { return Vec::new() };
        let key = workload_key(w);
        let mut whole = Draft::new(key.clone(), RUN, format!("workload {}", w.name), measured);
        let o = &w.operations;
        whole.attributes = vec![
            attribute("blackstart.workload", words::clean(w.name.as_str())),
            attribute("blackstart.workload.kind", words::clean(&w.kind)),
            attribute("blackstart.operations.due", o.due),
            attribute("blackstart.operations.ok", o.ok),
            attribute("blackstart.operations.late", o.late),
            attribute("blackstart.operations.fail", o.fail),
            attribute("blackstart.operations.unknown", o.unknown),
            attribute("blackstart.operations.missed", o.missed),
        ];
        let lost = w.ledger.as_ref().and_then(|ledger| ledger.lost);
        whole.attributes.extend(lost.map(|lost| attribute("blackstart.writes.lost", lost)));
        let outages = w.outages.iter().enumerate().map(|(n, outage)| self.outage(w, n, outage));
        let recoveries = w.recoveries.iter().filter_map(|recovery| self.recovery(&key, recovery));
        std::iter::once(whole).chain(outages).chain(recoveries).collect()
    }

    fn outage(&self, w: &WorkloadResult, n: usize, o: &Outage) -> Draft {
        let (to, workload) = (o.to.map_or(self.a.length, |to| to.best), workload_key(w));
        let name = format!("outage of {}", w.name);
        let mut draft = Draft::new(format!("{workload}/outage/{n}"), &workload, name, (o.from.best, to));
        draft.attributes = vec![
            attribute("blackstart.operations", o.operations),
            attribute("blackstart.outage.ended", o.to.is_some()),
            attribute("blackstart.outage.doubtful", o.doubtful),
        ];
        draft.attributes.extend(o.perceived.iter().flat_map(|i| bar(*i)));
        draft.attributes.extend(moment(o.from));
        (draft.verdict, draft.message) = match o.doubtful {
            false => (Some(Verdict::Fail), "clients were not served".to_owned()),
            true => (Some(Verdict::Inconclusive), "a stall of the runner touches it".to_owned()),
        };
        draft
    }

    /// From the fault to sustained service; none if that was not measured.
    fn recovery(&self, workload: &str, r: &Recovery) -> Option<Draft> {
        let took = r.sustained?;
        let from = self.a.faults.iter().find(|fault| fault.id == r.fault)?.at?.best;
        let key = format!("{workload}/recovery/{}", r.fault);
        let name = format!("recovery from {}", r.fault);
        let mut draft = Draft::new(key, workload, name, (from, from.saturating_add(took.best)));
        draft.attributes = Vec::from(bar(took));
        draft.attributes.push(attribute("blackstart.restored_by", words::attribution(r.attribution)));
        Some(draft)
    }
}

fn workload_key(w: &WorkloadResult) -> String {
    format!("workload/{}", w.name)
}

fn phase_key(n: usize) -> String {
    format!("phase/{n}")
}

fn phase((n, p): (usize, &PhaseResult)) -> Draft {
    Draft::new(phase_key(n), RUN, words::phase(p.phase).to_owned(), (p.from, p.to))
}

fn stall((n, s): (usize, &StallResult)) -> Draft {
    let mut draft = Draft::new(format!("stall/{n}"), RUN, words::stall(s.cause).to_owned(), (s.from, s.to));
    draft.verdict = Some(Verdict::Inconclusive);
    let only = s.workload.as_ref().map(|name| attribute("blackstart.workload", words::clean(name.as_str())));
    draft.attributes.extend(only);
    draft
}

/// A moment's error bar.
fn moment(at: At) -> [Attribute; 3] {
    [
        attribute("blackstart.at.low", seconds(at.low)),
        attribute("blackstart.at.best", seconds(at.best)),
        attribute("blackstart.at.high", seconds(at.high)),
    ]
}

/// A duration's error bar.
fn bar(i: Interval) -> [Attribute; 3] {
    [
        attribute("blackstart.seconds.low", seconds(i.low)),
        attribute("blackstart.seconds.best", seconds(i.best)),
        attribute("blackstart.seconds.high", seconds(i.high)),
    ]
}

/// The first bytes of a text's SHA-256.
fn hex(text: &str, bytes: usize) -> String {
    Sha256::digest(text.as_bytes()).iter().take(bytes).map(|byte| format!("{byte:02x}")).collect()
}
