//! What happened, in a few sentences for a reader who has never seen such a report.

use super::words;
use crate::analysis::{Analysis, Attribution, FaultResult, LedgerResult, Recovery, RestoreResult, WorkloadResult};
use crate::model::ClientBehaviour;

/// Sentence by sentence: the faults, what clients felt, what was lost.
#[must_use]
pub fn story(a: &Analysis) -> Vec<String> {
    let felt = a
        .workloads
        .iter()
        .filter(|w| w.probe_of.is_none() && is_worst(a, w))
        .flat_map(|w| w.recoveries.iter().map(move |r| felt(a, w, r)));
    let writes = a.workloads.iter().filter_map(|w| Some(writes(w, w.ledger.as_ref()?)));
    let restored = a.restores.iter().map(restored);
    let told = a.faults.iter().map(fault).chain(felt).chain(restored).chain(writes);
    told.chain(super::trade::sentence(a)).map(|s| words::clean(&s)).collect()
}

/// Of a workload's places the one that was down longest speaks for all; tables have each.
fn is_worst(a: &Analysis, w: &WorkloadResult) -> bool {
    let rank = |w: &WorkloadResult| {
        let took = w.recoveries.iter().map(|r| r.sustained.map_or(i64::MAX, |i| i.high)).max();
        (took, w.downtime.high)
    };
    let worst = places(a, w).fold(None, |worst: Option<&WorkloadResult>, other| match worst {
        Some(so_far) if rank(so_far) >= rank(other) => Some(so_far),
        _ => Some(other),
    });
    worst.is_none_or(|worst| worst.name == w.name)
}

/// All places of the workload that this one is a place of, in order; itself if it has none.
fn places<'a>(a: &'a Analysis, w: &'a WorkloadResult) -> impl Iterator<Item = &'a WorkloadResult> {
    let whole = |w: &WorkloadResult| {
        let seal = a.run.workloads.iter().find(|seal| seal.name == w.name)?;
        (seal.vantage.is_some() || seal.site.is_some()).then(|| seal.whole().clone())
    };
    let own = whole(w);
    a.workloads.iter().filter(move |other| own.is_some() && whole(other) == own)
}

/// `page at oslo (the worst of 3 places)`
fn clients(a: &Analysis, w: &WorkloadResult) -> String {
    match places(a, w).count() {
        0 | 1 => w.name.to_string(),
        n => format!("{} (the worst of {n} places)", w.name),
    }
}

fn fault(f: &FaultResult) -> String {
    let Some(at) = f.at else { return format!("{} was not injected.", capital(&f.name)) };
    let effect = match f.effective {
        Some(true) => format!("took effect {} into the run", words::duration(at.best)),
        Some(false) => return format!("{} had no effect: {}.", capital(&f.name), f.effect),
        None => format!("was injected {} into the run; nobody looked whether it took effect", words::duration(at.best)),
    };
    let healed = match (f.healed, f.healed_at) {
        (true, Some(healed)) => {
            let by = words::healed_by(f.healed_by);
            format!("was healed{by} {} later", words::duration((healed.high - at.best).max(0)))
        }
        (true, None) => "is over".to_owned(),
        (false, _) => "is NOT healed".to_owned(),
    };
    format!("{} ({}) {effect} and {healed}.", capital(&f.name), f.kind)
}

fn felt(a: &Analysis, w: &WorkloadResult, r: &Recovery) -> String {
    let after = match a.faults.iter().find(|f| f.id == r.fault) {
        Some(f) if a.faults.len() > 1 => format!("“{}”", f.name),
        _ => "the fault".to_owned(),
    };
    if r.unnoticed && r.sustained.is_some() {
        return unnoticed(a, w, r.sustained.map_or(0, |i| i.high), &after);
    }
    let by = match r.attribution {
        Attribution::System => ", without our help",
        Attribution::Restore => ", by what the drill restored",
        Attribution::Heal => ", once the fault was removed",
        Attribution::None => "",
    };
    let flaps = if r.outages > 1 { format!(" at first, {} times in all", r.outages) } else { String::new() };
    match (r.perceived, r.sustained) {
        (Some(gap), Some(back)) => format!(
            "Clients of {} could not work for {}{flaps}; service was sustained {} after {after}{by}.",
            clients(a, w),
            words::about(gap),
            words::about(back)
        ),
        (None, Some(back)) => {
            format!("Service of {} was sustained {} after {after}{by}.", clients(a, w), words::about(back))
        }
        (_, None) => match r.at_least {
            Some(least) => {
                format!("Service of {} was not sustained within {} of {after}.", w.name, words::at_least(least))
            }
            None => {
                let why = r.why.as_deref().unwrap_or("it was not seen");
                format!("When service of {} was sustained is not known: {why}.", w.name)
            }
        },
    }
}

/// No operation failed; but a gap that is many times what is usual means that requests waited.
fn unnoticed(a: &Analysis, w: &WorkloadResult, gap: i64, after: &str) -> String {
    let below = words::at_most(gap);
    let seal = a.run.workloads.iter().find(|seal| seal.name == w.name);
    let period = seal.map_or(0.0, |seal| 1e9 / seal.rate);
    let usual = w.latency.map_or(0, |l| l.p50) as f64 + period;
    if (gap as f64) < usual * 10.0 {
        return format!("Clients of {} noticed nothing of {after}: any gap was below {below}.", w.name);
    }
    let again = match seal.map(|seal| &seal.client) {
        Some(ClientBehaviour::Retrying(_)) => " and were tried again where they were refused",
        _ => "",
    };
    format!(
        "No request of {} failed because of {after}, but requests waited{again}: for up to {below} no answer came.",
        w.name
    )
}

fn writes(w: &WorkloadResult, l: &LedgerResult) -> String {
    let acked = words::plural(l.acked, "acknowledged write");
    let loss = match (l.lost, l.lost_upper.unwrap_or(0)) {
        (None, _) => {
            return format!(
                "What became of {acked} to {} is not known: {}.",
                w.name,
                l.why.as_deref().unwrap_or("no read-back")
            );
        }
        (Some(0), 0) => format!("None of {acked} to {} is lost", w.name),
        (Some(lost), more) => {
            let count = if more == 0 {
                words::count(lost)
            } else {
                format!("{} to {}", words::count(lost), words::count(lost + more))
            };
            let old = l
                .rpo_time
                .map_or_else(String::new, |t| format!("; the oldest was {} old at the fault", words::about(t)));
            let verb = if lost + more == 1 { "is" } else { "are" };
            format!("{count} of {acked} to {} {verb} gone ({}){old}", w.name, words::share(lost, l.acked))
        }
    };
    let odd: Vec<String> = [
        (l.duplicated, "duplicated"),
        (l.corrupted, "corrupted"),
        (l.resurrected, "refused and yet there"),
        (l.phantom, "never written by this run"),
    ]
    .into_iter()
    .filter_map(|(n, word)| n.filter(|n| *n > 0).map(|n| format!("{} {word}", words::count(n))))
    .chain((l.stale > 0).then(|| format!("{} that read stale data", words::plural(l.stale, "read"))))
    .collect();
    if odd.is_empty() { format!("{loss}.") } else { format!("{loss}. Besides: {}.", odd.join(", ")) }
}

/// How long a restore took, and which part of it most.
fn restored(r: &RestoreResult) -> String {
    if let Some(error) = &r.error {
        return format!("{} was not restored: {error}.", capital(&r.name));
    }
    let all = words::duration(r.took());
    let most = r.parts.iter().max_by_key(|part| part.took);
    let most = most.map_or_else(String::new, |part| {
        format!(", most of it to {} ({})", part.part.word(), words::duration(part.took))
    });
    let says = r.claimed.map_or_else(String::new, |loss| format!("; by its own word {} are lost", words::about(loss)));
    format!("{} took {all} to restore{most}{says}.", capital(&r.name))
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
