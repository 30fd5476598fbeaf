//! `metrics.txt`: what a run measured as OpenMetrics text, which Prometheus' older text format (node_exporter's textfile
//! collector) and GitLab's metrics report read as well. So every family is a gauge: the two disagree on all other types.
//!
//! No sample has a time of its own, none carries the run's id (a time series would end with each run) but `_run_info`, and
//! what is not known has no sample.

use super::words;
use crate::analysis::{Analysis, FaultResult, LedgerResult, ObjectiveResult, OpCounts, WorkloadResult};
use crate::event::EarlierRun;
use crate::model::{ClockBasis, FaultId, Interval, ObjectiveKind, RunState, Verdict};
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, BTreeSet};

/// The text; ends with `# EOF` and a newline.
#[must_use]
pub fn metrics(a: &Analysis, exit_code: u8) -> String {
    let common = vec![label("drill", a.run.drill.as_str()), label("environment", &a.run.environment)];
    let mut out = String::new();
    let families = [run(a, exit_code), objectives(a), recoveries(a), ledgers(a), clients(a), faults(a), lineage(a)];
    families.iter().flatten().for_each(|family| family.write(&common, &mut out));
    out.push_str("# EOF\n");
    out
}

/// A metric family; written only if it has a sample.
struct Family {
    /// Without the common prefix.
    name: &'static str,
    /// OpenMetrics wants it as the end of the name, too.
    unit: Option<&'static str>,
    help: &'static str,
    samples: Vec<Sample>,
}

struct Sample {
    labels: Vec<Label>,
    value: f64,
}

type Label = (&'static str, String);

fn label(name: &'static str, value: &str) -> Label {
    (name, words::clean(value))
}

fn gauge(name: &'static str, help: &'static str) -> Family {
    Family { name, unit: None, help, samples: Vec::new() }
}

fn seconds(name: &'static str, help: &'static str) -> Family {
    Family { unit: Some("seconds"), ..gauge(name, help) }
}

impl Family {
    fn add(&mut self, labels: Vec<Label>, value: f64) {
        self.samples.push(Sample { labels, value });
    }

    fn one(mut self, value: Option<f64>) -> Self {
        self.samples.extend(value.map(|value| Sample { labels: Vec::new(), value }));
        self
    }

    /// An interval as three samples: the truth lies between `low` and `high`.
    fn bar(&mut self, labels: &[Label], interval: Option<Interval>, scale: fn(i64) -> f64) {
        let Some(i) = interval else { return };
        for (bound, value) in [("low", i.low), ("best", i.best), ("high", i.high)] {
            self.bound(labels, bound, scale(value));
        }
    }

    fn bound(&mut self, labels: &[Label], bound: &str, value: f64) {
        let mut labels = labels.to_vec();
        labels.push(label("bound", bound));
        self.add(labels, value);
    }

    /// One sample for each word a thing may be; 1 for what it is.
    fn state(&mut self, labels: &[Label], words: &[&str], is: &str) {
        for word in words {
            let mut labels = labels.to_vec();
            labels.push(label("result", word));
            self.add(labels, f64::from(u8::from(*word == is)));
        }
    }

    fn write(&self, common: &[Label], out: &mut String) {
        if self.samples.is_empty() {
            return;
        }
        let name = format!("blackstart_{}", self.name);
        out.push_str(&format!("# TYPE {name} gauge\n"));
        out.extend(self.unit.map(|unit| format!("# UNIT {name} {unit}\n")));
        out.push_str(&format!("# HELP {name} {}\n", self.help));
        // A reader refuses the whole file when two samples have the same labels.
        let mut written = BTreeSet::new();
        for sample in &self.samples {
            let labels: Vec<String> = common
                .iter()
                .chain(&sample.labels)
                .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
                .collect();
            let labels = labels.join(",");
            if written.insert(labels.clone()) {
                out.push_str(&format!("{name}{{{labels}}} {}\n", sample.value));
            }
        }
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn timestamp(at: DateTime<Utc>) -> f64 {
    at.timestamp_millis() as f64 / 1e3
}

fn plain(n: i64) -> f64 {
    n as f64
}

const RESULTS: [&str; 6] = ["pass", "inconclusive", "fail", "aborted", "not_healed", "not_run"];

fn run(a: &Analysis, exit_code: u8) -> Vec<Family> {
    let mut info = gauge("run_info", "Which run the other values are of.");
    info.add(vec![label("run", a.run.run.as_str()), label("tool", &a.run.host.tool)], 1.0);
    let mut result = gauge("run_result", "1 for what the run came to, 0 for the rest.");
    result.state(&[], &RESULTS, result_of(a));
    vec![
        info,
        result,
        gauge("run_exit_code", "Exit code of the run; 0 is a pass.").one(Some(f64::from(exit_code))),
        seconds("run_start_timestamp_seconds", "Start of the run.").one(Some(timestamp(a.started))),
        seconds("run_duration_seconds", "Length of the run's record.").one(Some(words::seconds(a.length))),
        seconds(
            "last_success_timestamp_seconds",
            "Start of the newest run that passed, of this one and those before it.",
        )
        .one(last_success(a, exit_code).map(timestamp)),
    ]
}

fn result_of(a: &Analysis) -> &'static str {
    match a.state {
        RunState::Dirty => "not_healed",
        RunState::Aborted => "aborted",
        RunState::NotRun | RunState::Held => "not_run",
        RunState::Ended => a.verdict.word(),
    }
}

/// Of this run and the earlier ones that its start record knows.
fn last_success(a: &Analysis, exit_code: u8) -> Option<DateTime<Utc>> {
    if exit_code == 0 && result_of(a) == "pass" {
        return Some(a.started);
    }
    let passed = |run: &&EarlierRun| run.state == RunState::Ended && run.verdict == Verdict::Pass;
    a.run.lineage.as_ref()?.earlier.iter().filter(passed).map(|run| run.started).max()
}

/// Of several objectives that would have the same labels, the one that came out worse.
fn distinct(a: &Analysis) -> Vec<(Vec<Label>, &ObjectiveResult)> {
    let mut kept: BTreeMap<Vec<Label>, &ObjectiveResult> = BTreeMap::new();
    for o in &a.objectives {
        let place = kept.entry(labels_of(o)).or_insert(o);
        if o.verdict > place.verdict {
            *place = o;
        }
    }
    kept.into_iter().collect()
}

fn labels_of(o: &ObjectiveResult) -> Vec<Label> {
    let kind = match o.objective.kind {
        ObjectiveKind::Rto => "rto",
        ObjectiveKind::RpoTime => "rpo_time",
        ObjectiveKind::RpoWrites => "rpo_writes",
        ObjectiveKind::Detect => "detect",
    };
    let mut labels = vec![label("objective", kind), label("workload", o.objective.workload.as_str())];
    labels.push(label("fault", o.fault.as_ref().map_or("", FaultId::as_str)));
    if o.objective.kind == ObjectiveKind::Rto {
        labels.push(basis(o.objective.basis));
    }
    labels
}

fn basis(basis: ClockBasis) -> Label {
    label("basis", if basis == ClockBasis::Fault { "fault" } else { "declared" })
}

fn objectives(a: &Analysis) -> Vec<Family> {
    let mut result = gauge("objective_result", "1 for how an objective came out, 0 for the rest.");
    let mut times = seconds("objective_target_seconds", "What an objective allows.");
    let mut counts = gauge("objective_target_writes", "How many writes an objective allows to be lost.");
    let mut detect = seconds("detection_seconds", "From the fault until somebody noticed.");
    for (labels, o) in distinct(a) {
        result.state(&labels, &RESULTS[..3], o.verdict.word());
        match o.objective.kind {
            ObjectiveKind::RpoWrites => counts.add(labels, plain(o.objective.target)),
            kind => {
                if kind == ObjectiveKind::Detect {
                    detect.bar(&labels[2..], o.actual, words::seconds);
                }
                times.add(labels, words::seconds(o.objective.target));
            }
        }
    }
    vec![result, times, counts, detect]
}

fn recoveries(a: &Analysis) -> Vec<Family> {
    let mut rto = seconds("rto_seconds", "Until service was sustained again; only the low bound if it was not seen.");
    for w in &a.workloads {
        for r in &w.recoveries {
            let of = |from| vec![workload(w), label("fault", r.fault.as_str()), basis(from)];
            rto.bar(&of(ClockBasis::Fault), r.sustained, words::seconds);
            rto.bar(&of(ClockBasis::Declared), r.sustained_from_declared, words::seconds);
            if let (None, Some(least)) = (r.sustained, r.at_least) {
                rto.bound(&of(ClockBasis::Fault), "low", words::seconds(least));
            }
        }
    }
    vec![rto]
}

fn workload(w: &WorkloadResult) -> Label {
    label("workload", w.name.as_str())
}

fn ledgers(a: &Analysis) -> Vec<Family> {
    let mut rpo = seconds("rpo_seconds", "Age of the oldest lost write at the fault.");
    let mut lost = gauge("lost_writes", "Acknowledged writes that are gone.");
    let mut classes = gauge("ledger_writes", "Writes by what became of them.");
    // With several faults what belongs to which is told fault by fault, and all of it together has no fault.
    let only = if let [fault] = a.faults.as_slice() { fault.id.as_str() } else { "" };
    for (w, l) in a.workloads.iter().filter_map(|w| w.ledger.as_ref().map(|l| (w, l))) {
        let of = |fault: &str| vec![workload(w), label("fault", fault)];
        rpo.bar(&of(only), l.rpo_time, words::seconds);
        lost.bar(&of(only), l.lost.zip(l.lost_upper).map(|(lost, perhaps)| spread(lost, perhaps)), plain);
        for loss in &l.losses {
            rpo.bar(&of(loss.fault.as_str()), loss.rpo_time, words::seconds);
            let perhaps = l.lost_upper.map(|perhaps| spread(loss.lost, perhaps));
            lost.bar(&of(loss.fault.as_str()), perhaps, plain);
        }
        for (class, n) in classes_of(l) {
            n.into_iter().for_each(|n| classes.add(vec![workload(w), label("class", class)], n as f64));
        }
    }
    vec![rpo, lost, classes]
}

fn spread(lost: u64, perhaps: u64) -> Interval {
    let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    Interval { low: count(lost), best: count(lost), high: count(lost.saturating_add(perhaps)) }
}

fn classes_of(l: &LedgerResult) -> [(&'static str, Option<u64>); 11] {
    [
        ("attempted", Some(l.attempted)),
        ("acked", Some(l.acked)),
        ("kept", l.kept),
        ("lost", l.lost),
        ("unknown_present", l.unknown_present),
        ("unknown_absent", l.unknown_absent),
        ("duplicated", l.duplicated),
        ("corrupted", l.corrupted),
        ("resurrected", l.resurrected),
        ("holes", l.holes),
        ("phantom", l.phantom),
    ]
}

fn clients(a: &Analysis) -> Vec<Family> {
    let mut operations = gauge("operations", "Operations of clients by outcome.");
    let mut outages = gauge("outages", "How many spans there were in which clients were not served.");
    let mut longest = seconds("longest_outage_seconds", "The longest span in which clients were not served.");
    let mut downtime = seconds("downtime_seconds", "All time in which clients were not served.");
    let mut degraded =
        seconds("degraded_seconds", "Time in which the service answered, but below what counts as working.");
    let mut latency = seconds("latency_seconds", "From when an operation was due to its answer.");
    for w in a.workloads.iter().filter(|w| w.measured.is_some()) {
        let of = [workload(w)];
        let action = if w.ledger.is_some() { "write" } else { "visit" };
        counts(&mut operations, w, action, &w.operations);
        w.reads.iter().for_each(|reads| counts(&mut operations, w, "read", reads));
        outages.add(of.to_vec(), w.outages.len() as f64);
        longest.bar(&of, w.longest, words::seconds);
        downtime.bar(&of, Some(w.downtime), words::seconds);
        degraded.add(of.to_vec(), words::seconds(w.degraded));
        for (percentile, nanos) in
            w.latency.iter().flat_map(|p| [("50", p.p50), ("95", p.p95), ("99", p.p99), ("100", p.max)])
        {
            latency.add(vec![workload(w), label("percentile", percentile)], words::seconds(nanos));
        }
    }
    vec![operations, outages, longest, downtime, degraded, latency]
}

fn counts(family: &mut Family, w: &WorkloadResult, action: &str, of: &OpCounts) {
    let outcomes = [
        ("ok", of.ok),
        ("late", of.late),
        ("fail", of.fail),
        ("unknown", of.unknown),
        ("missed", of.missed),
        ("unsent", of.unsent),
    ];
    for (outcome, n) in outcomes {
        family.add(vec![workload(w), label("action", action), label("outcome", outcome)], n as f64);
    }
}

fn faults(a: &Analysis) -> Vec<Family> {
    let mut effective = gauge("fault_effective", "1 if a fault took effect, 0 if it did not.");
    let mut healed = gauge("fault_healed", "1 if a fault is healed, 0 if it may still be open.");
    for f in &a.faults {
        let of = |f: &FaultResult| vec![label("fault", f.id.as_str()), label("kind", &f.kind)];
        f.effective.into_iter().for_each(|yes| effective.add(of(f), f64::from(u8::from(yes))));
        healed.add(of(f), f64::from(u8::from(f.healed)));
    }
    vec![effective, healed]
}

fn lineage(a: &Analysis) -> Vec<Family> {
    let lineage = a.run.lineage.as_deref();
    let counter = lineage.and_then(|l| l.chain.as_ref()).map(|chain| chain.counter as f64);
    let actions = lineage.map(|l| l.actions.len() as f64);
    vec![
        gauge("chain_counter", "Place of the run in the chain of runs.").one(counter),
        gauge("open_actions", "Actions of earlier runs that nobody had closed when the run began.").one(actions),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_cannot_end_itself() {
        assert_eq!(escaped("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }

    #[test]
    fn the_same_labels_are_written_once_and_nothing_is_an_empty_family() {
        let mut family = seconds("x_seconds", "X.");
        let mut out = String::new();
        family.write(&[], &mut out);
        assert_eq!(out, "");
        family.bar(&[label("w", "a")], Some(Interval::exact(1_500_000_000)), words::seconds);
        family.bar(&[label("w", "a")], Some(Interval::exact(9)), words::seconds);
        family.write(&[label("drill", "d")], &mut out);
        assert_eq!(out.lines().count(), 3 + 3);
        assert!(out.contains("blackstart_x_seconds{drill=\"d\",w=\"a\",bound=\"best\"} 1.5\n"), "{out}");
    }
}
