//! The absolute objectives of the last run, what its bundle is worth, its age, and its playbook.

use super::regression;
use super::{Asked, Evidence, Grade, Integrity, Judged, Need, Reason, Regression, Rules, Runs, Standing, Unreadable};
use crate::event::EarlierFigure;
use crate::history::coverage::word;
use crate::history::entry::Entry;
use crate::history::trend::unit;
use crate::model::{RunState, Verdict};
use chrono::TimeDelta;

/// A clock may be ahead by so much before a run of the future is a run of the future.
const AHEAD: TimeDelta = TimeDelta::minutes(5);

/// Judges a drill by its runs.
#[must_use]
pub fn judge(asked: &Asked, runs: Runs<'_>, rules: &Rules) -> Judged {
    let mut of_drill: Vec<&Evidence> = runs.evidence.iter().filter(|run| asked.means(&run.entry)).collect();
    of_drill.sort_by(|a, b| (a.entry.started, &a.entry.run).cmp(&(b.entry.started, &b.entry.run)));
    let tested: Vec<&Evidence> = of_drill.iter().copied().filter(|run| tests(&run.entry, &rules.subjects)).collect();
    let Some(last) = tested.iter().rev().find(|run| run.entry.ran()) else {
        return missing(asked, &of_drill, tested.len(), runs, rules);
    };
    let mut reasons = worth(last, rules);
    for other in of_drill.iter().filter(|run| run.entry.run != last.entry.run) {
        if let Integrity::Broken(what) = &other.seal.integrity {
            let text = format!("run {} was tampered with: {}", other.entry.run, what.join("; "));
            reasons.push(Reason::bad("tampered", text, restore(&other.entry)));
        }
    }
    reasons.extend(unreadable(runs.unreadable, Some(&last.entry)));
    reasons.extend(promised(asked, &last.entry, rules));
    reasons.extend(recent(asked, &last.entry, rules));
    reasons.extend(unchanged(asked, &last.entry));
    let earlier: Vec<&Evidence> = match runs.baseline {
        Some(runs) => runs.iter().filter(|run| run.entry.run != last.entry.run).collect(),
        None => of_drill.iter().copied().filter(|run| before(&run.entry, &last.entry)).collect(),
    };
    let layer = regression::layer(last, &earlier, rules);
    if rules.regression == Regression::Decides {
        reasons.extend(regression::reasons(&layer, asked));
    }
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.grade));
    Judged {
        drill: asked.drill.clone(),
        environment: Some(last.entry.environment.clone()),
        grade: reasons.iter().map(|r| r.grade).max().unwrap_or(Grade::Good),
        run: Some(last.entry.run.clone()),
        started: Some(last.entry.started),
        age: Some((rules.now - last.entry.ended()).num_seconds()),
        folder: Some(last.entry.folder.clone()),
        reasons,
        notes: notes(asked, last, &tested, rules),
        regression: layer,
    }
}

fn before(a: &Entry, b: &Entry) -> bool {
    (a.started, &a.run) < (b.started, &b.run)
}

impl Asked {
    /// Is this a run of it?
    #[must_use]
    pub fn means(&self, entry: &Entry) -> bool {
        entry.drill.as_str() == self.drill && self.environment.as_ref().is_none_or(|e| *e == entry.environment)
    }

    /// What brings a new run of it.
    pub(super) fn again(&self) -> String {
        let path = self.playbook.as_ref().map_or("its playbook", |p| p.path.as_str());
        format!("blackstart run {path}")
    }
}

impl Reason {
    pub(super) fn bad(code: &'static str, text: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { grade: Grade::Bad, code, text: text.into(), mend: mend.into() }
    }

    fn unverified(code: &'static str, text: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { grade: Grade::Unverified, code, text: text.into(), mend: mend.into() }
    }
}

fn tests(entry: &Entry, subjects: &[String]) -> bool {
    subjects.iter().all(|wanted| entry.subjects.iter().any(|s| s.digest.eq_ignore_ascii_case(wanted)))
}

/// There is no run that could decide.
fn missing(asked: &Asked, of_drill: &[&Evidence], tested: usize, runs: Runs<'_>, rules: &Rules) -> Judged {
    let place = asked.environment.as_ref().map_or(String::new(), |e| format!(" in {e}"));
    let reason = if of_drill.is_empty() {
        Reason::bad("missing", format!("no run of it{place} is here"), asked.again())
    } else if tested == 0 {
        let subjects = rules.subjects.join(" and ");
        let text = format!("none of its {} runs{place} tested {subjects}", of_drill.len());
        let named: String = rules.subjects.iter().map(|subject| format!(" --subject NAME={subject}")).collect();
        Reason::bad("subject", text, format!("{}{named}", asked.again()))
    } else {
        Reason::bad("missing", format!("none of its runs{place} began: nothing was touched"), asked.again())
    };
    let grade = reason.grade;
    let mut reasons = vec![reason];
    reasons.extend(unreadable(runs.unreadable, None));
    Judged {
        drill: asked.drill.clone(),
        environment: asked.environment.clone(),
        grade,
        run: None,
        started: None,
        age: None,
        folder: None,
        reasons,
        notes: Vec::new(),
        regression: regression::Layer::none("there is no run"),
    }
}

/// Folders that hide a run: one that was tampered with, and one that may be later than the last that can be read.
fn unreadable(folders: &[Unreadable], last: Option<&Entry>) -> Vec<Reason> {
    let later = |folder: &&Unreadable| match (folder.started, last) {
        (Some(started), Some(last)) => started > last.started,
        _ => true,
    };
    let reason = |folder: &Unreadable| {
        let mend = format!("blackstart verify {0}; blackstart status, if it may still be going on", folder.folder);
        if folder.broken.is_empty() {
            Reason::unverified(
                "unreadable",
                format!("{} is no run that can be read: {}", folder.folder, folder.why),
                mend,
            )
        } else {
            let text = format!("{} was tampered with: {}", folder.folder, folder.broken.join("; "));
            Reason::bad("tampered", text, mend)
        }
    };
    let tampered = folders.iter().filter(|folder| !folder.broken.is_empty());
    let hidden = folders.iter().filter(|folder| folder.broken.is_empty()).filter(later);
    tampered.chain(hidden).map(reason).collect()
}

fn restore(entry: &Entry) -> String {
    format!("blackstart verify {}; bring the bundle back from where it was kept, or drill again", entry.folder)
}

/// What the bundle is worth as evidence.
fn worth(run: &Evidence, rules: &Rules) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let verify = || format!("blackstart verify {}", run.entry.folder);
    match &run.seal.integrity {
        Integrity::Intact => {}
        Integrity::Broken(what) => {
            let text = format!("run {} was tampered with: {}", run.entry.run, what.join("; "));
            reasons.push(Reason::bad("tampered", text, restore(&run.entry)));
        }
        Integrity::Unknown(why) => {
            reasons.push(Reason::unverified("unsealed", format!("run {}: {why}", run.entry.run), verify()));
        }
    }
    let checks = [
        (Need::Signed, "signature", &run.seal.signature),
        (Need::Chained, "chain", &run.seal.chain),
        (Need::Stamped, "stamp", &run.seal.stamp),
    ];
    for (need, code, standing) in checks {
        let required = rules.require.contains(&need);
        match standing {
            Standing::Bad(why) => reasons.push(Reason::bad(code, why.clone(), verify())),
            Standing::Missing(why) if required => reasons.push(Reason::bad(code, why.clone(), make(need))),
            Standing::Unknown(why) if required => reasons.push(Reason::unverified(code, why.clone(), make(need))),
            _ => {}
        }
    }
    reasons
}

/// How a run gets what is required.
fn make(need: Need) -> &'static str {
    match need {
        Need::Passed => "blackstart run",
        Need::Signed => {
            "name a key under `evidence: signing:` in blackstart.yaml, and who may sign by --allowed-signers"
        }
        Need::Chained => {
            "keep the chain of runs: `evidence: chain:` in blackstart.yaml, and give the gate the run before"
        }
        Need::Stamped => "name a time stamp authority under `evidence: timestamp:` in blackstart.yaml",
    }
}

/// The objectives, always: one that is not shown to be met is not met. And that it passed as a whole, if that is required.
fn promised(asked: &Asked, run: &Entry, rules: &Rules) -> Vec<Reason> {
    let mend = format!("see {}/report.html; then {}", run.folder, asked.again());
    let told = |wanted: fn(&EarlierFigure) -> bool| {
        run.figures.iter().filter(|f| wanted(f)).map(objective).collect::<Vec<_>>().join("; ")
    };
    let (missed, undecided) = (told(is_missed), told(|f| !is_missed(f) && f.high.is_none_or(|high| high > f.target)));
    let why = || run.reasons.first().map_or(String::new(), |reason| format!(": {reason}"));
    let (code, text) = if !missed.is_empty() {
        ("objective", format!("missed in the last run: {missed}"))
    } else if run.verdict == Verdict::Fail || run.state == RunState::Dirty {
        ("objective", format!("the last run came to `{}`{}", word(run), why()))
    } else if !undecided.is_empty() {
        ("objective", format!("not shown to be met in the last run: {undecided}"))
    } else if rules.require.contains(&Need::Passed) && !run.passed() {
        ("not_passed", format!("the last run did not pass: it came to `{}`{}", word(run), why()))
    } else {
        return Vec::new();
    };
    vec![Reason::bad(code, text, mend)]
}

fn is_missed(f: &EarlierFigure) -> bool {
    f.low.is_some_and(|low| low > f.target)
}

/// `rto of orders 11 s, target 10 s`
fn objective(f: &EarlierFigure) -> String {
    let unit = unit(&f.objective);
    let of = if f.workload.is_empty() { String::new() } else { format!(" of {}", f.workload) };
    let now = f.best.or(f.low).map_or("not measured".to_owned(), |at| format!("{} {unit}", round(at)));
    format!("{}{of} {now}, target {} {unit}", f.objective, round(f.target))
}

/// Three significant digits are enough to see by how much.
pub(super) fn round(x: f64) -> String {
    let text = if x.abs() >= 100.0 { format!("{x:.0}") } else { format!("{x:.3}") };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn recent(asked: &Asked, run: &Entry, rules: &Rules) -> Option<Reason> {
    let age = rules.now - run.ended();
    if age < -AHEAD {
        let text = format!("the last run is of the future: it ended at {}", run.ended().format("%Y-%m-%d %H:%M UTC"));
        return Some(Reason::bad("future", text, "set the clocks of the runner and of this machine"));
    }
    let limit = rules.max_age.or(asked.every)?;
    (age > limit).then(|| {
        let text = format!("stale: the last run is {} old, at most {} are allowed", days(age), days(limit));
        Reason::bad("stale", text, asked.again())
    })
}

/// `3 days`, `5 h`, `12 min`.
#[must_use]
pub(super) fn days(span: TimeDelta) -> String {
    match (span.num_days(), span.num_hours(), span.num_minutes()) {
        (2.., ..) => format!("{} days", span.num_days()),
        (_, 2.., _) => format!("{} h", span.num_hours()),
        (_, _, 2..) => format!("{} min", span.num_minutes()),
        _ => format!("{} s", span.num_seconds().max(0)),
    }
}

fn unchanged(asked: &Asked, run: &Entry) -> Option<Reason> {
    let now = asked.playbook.as_ref()?;
    let what = if now.written != run.playbook {
        "the playbook changed since the last run"
    } else if now.params == run.params && now.resolved != run.resolved {
        "what the playbook includes changed since the last run"
    } else {
        return None;
    };
    Some(Reason::bad("playbook", format!("{what}: it is not what {} would do now", now.path), asked.again()))
}

fn notes(asked: &Asked, last: &Evidence, tested: &[&Evidence], rules: &Rules) -> Vec<String> {
    let mut notes = Vec::new();
    if rules.max_age.is_none() && asked.every.is_none() {
        notes.push("no age limit: give --max-age, or `metadata: every:` in the playbook".to_owned());
    }
    if let (Standing::Missing(_), false) = (&last.seal.signature, rules.require.contains(&Need::Signed)) {
        notes.push("unsigned: whoever can write its folder could have made it".to_owned());
    }
    if let (Standing::Unknown(why), false) = (&last.seal.signature, rules.require.contains(&Need::Signed)) {
        notes.push(format!("signed, but not verified: {why}"));
    }
    let idle = tested.iter().rev().take_while(|run| !run.entry.ran()).count();
    if idle > 0 {
        notes.push(format!("{idle} later attempts touched nothing and do not count"));
    }
    if let (Some(now), true) = (&asked.playbook, asked.playbook.as_ref().is_some_and(|p| p.params != last.entry.params))
        && now.written == last.entry.playbook
    {
        notes.push("the last run had other parameters than the playbook's own".to_owned());
    }
    if !last.entry.actions.is_empty() {
        notes.push(format!("{} actions of its review are open", last.entry.actions.len()));
    }
    if last.entry.decision.as_deref() == Some("rejected") {
        notes.push("its reviewer rejected it as evidence".to_owned());
    }
    notes
}
