//! Times: from the rig's spells to what each reported interval must hold, and how wide it may be.

use super::super::script::Play;
use super::super::truth::{Away, Moment, Truth};
use super::{Bar, Check, Client, Judged, Measure, Role, Width};
use serde_json::Value;

/// A second.
const S: i64 = 1_000_000_000;

/// A workload and all that is known of it.
pub(super) struct Case<'a> {
    client: &'a Client,
    found: &'a Value,
    away: Vec<Away>,
    /// When the first spell began: the fault.
    start: Moment,
    fault_width: i64,
    /// When the runner could not see.
    blind: &'a [(i64, i64)],
    period: i64,
    /// Service times, from due, in quiet times: of 99 of 100, and the worst.
    usual: i64,
    worst: i64,
    /// Is only a share of the visits refused? Then the first that is served tells nothing.
    shared: bool,
}

impl<'a> Case<'a> {
    pub fn of(
        truth: &'a Truth,
        report: &'a Value,
        (fault_width, blind): (i64, &'a [(i64, i64)]),
        client: &'a Client,
    ) -> Self {
        let share = |play| matches!(play, Play::Errors(_) | Play::Router);
        let shared = truth.spells.iter().any(|spell| share(spell.play));
        let away = if shared { truth.spoilt(&client.name).into_iter().collect() } else { truth.away(client.deadline) };
        let (usual, worst) = service(truth, client);
        Self {
            client,
            found: &report["workloads"][client.name.as_str()],
            away,
            start: truth.spells.first().map_or(Moment { lo: 0, hi: 0 }, |spell| spell.start),
            fault_width,
            blind,
            period: (1e9 / client.rate) as i64,
            usual,
            worst,
            shared,
        }
    }

    /// From the fault to this moment.
    fn since_fault(&self, moment: Moment) -> Moment {
        Moment { lo: moment.lo - self.start.hi, hi: moment.hi - self.start.lo }
    }

    fn waits(&self) -> bool {
        self.away.iter().any(|away| away.waits)
    }

    /// Where requests wait: the deadline within which one that waited still counts as served.
    fn held(&self) -> i64 {
        if self.waits() { self.client.deadline } else { 0 }
    }

    /// How much of a span was not seen. What is beside a blind span may be missed by up to a period at either end.
    fn unseen(&self, from: i64, to: i64) -> i64 {
        let overlap = |&(a, b): &(i64, i64)| (to.min(b) - from.max(a)).max(0);
        let touched = self.blind.iter().map(overlap).filter(|overlap| *overlap > 0);
        touched.map(|overlap| overlap + 2 * self.period).sum()
    }

    /// How long the runner could not see, with what that costs in periods.
    fn stalled(&self) -> i64 {
        self.unseen(i64::MIN / 2, i64::MAX / 2)
    }

    /// Two periods, a service time, the fault's own width, the deadline where requests wait, and what was not seen.
    fn width(&self, is: i64) -> Width {
        let base = 2 * self.period + self.fault_width + self.held() + self.stalled();
        Width { is, usual: base + self.usual, limit: base + self.worst + self.waking() }
    }

    /// Where service came back while nobody looked: how long after that the first answer came. A runner that has just
    /// been woken has all to catch up with, so that answer may take longer than any in quiet times.
    fn waking(&self) -> i64 {
        let hid = |&&(from, to): &&(i64, i64)| self.away.iter().any(|away| from <= away.end.hi && away.end.lo <= to);
        let answers = |to: i64| self.client.ops.iter().filter(move |op| op.ok && op.done > to).map(|op| op.done).min();
        let waits = self.blind.iter().filter(hid).filter_map(|&(_, to)| Some(answers(to)? - to));
        waits.max().unwrap_or(0)
    }

    /// A window of which less than half was seen tells nothing, so where that much was not seen, in one piece or in
    /// several, half a window more is hidden, and another one for each long piece.
    fn windows(&self) -> i64 {
        let half = (S / 2).max(10 * self.period);
        let long = self.blind.iter().filter(|(from, to)| to - from + 2 * self.period >= half).count() as i64;
        half * long.max(i64::from(self.stalled() >= half))
    }

    fn check(&self, measure: Measure, bar: Option<Bar>, truths: &[Moment]) -> Check {
        let inside = bar.is_some_and(|bar| truths.iter().any(|truth| bar.meets(*truth)));
        let said = format!("reported {bar:?}, true is one of {truths:?}");
        let more = if measure == Measure::Sustained { self.windows() } else { 0 };
        let width = bar.map(|bar| self.width(bar.width()));
        let width = width.map(|w| Width { is: w.is, usual: w.usual + more, limit: w.limit + more });
        Check { of: self.client.name.clone(), measure, inside, width, said }
    }
}

/// Service times of quiet operations, from due to done.
fn service(truth: &Truth, client: &Client) -> (i64, i64) {
    let margin = client.deadline.max(client.timeout);
    let quiet = client.ops.iter().filter(|op| op.ok && truth.is_quiet(op.due, margin));
    let mut times: Vec<i64> = quiet.map(|op| op.done - op.due).collect();
    times.sort_unstable();
    let place = times.len().saturating_sub(times.len() / 100 + 1);
    (times.get(place).copied().unwrap_or(0), times.last().copied().unwrap_or(0))
}

pub(super) fn judge(case: &Case<'_>, judged: &mut Judged) {
    let Some(first) = case.away.first() else {
        return judged.checks.push(quiet(case));
    };
    let found = &case.found["recoveries"][0];
    if found["unnoticed"] == true {
        return judged.checks.push(unnoticed(case, found));
    }
    let bar = |key: &str| Bar::of(&found[key]);
    if !case.shared {
        judged.checks.push(case.check(Measure::FirstError, bar("first_error"), &[first_error(case, first)]));
        judged.checks.push(case.check(Measure::Restored, bar("first_restored"), &restored(case)));
    }
    // Where so much was not seen that no window tells anything, a report may say that it does not know.
    let known = bar("sustained").is_some() || case.windows() == 0;
    if known {
        judged.checks.push(case.check(Measure::Sustained, bar("sustained"), &sustained(case)));
    }
    if case.away.len() == 1 && found["outages"] == 1 && !case.shared {
        judged.checks.push(case.check(Measure::Perceived, bar("perceived"), &[perceived(case, first)]));
    }
}

/// Nobody may have seen an outage.
fn quiet(case: &Case<'_>) -> Check {
    let outages = case.found["downtime"]["outages"].as_u64();
    let said = format!("{outages:?} outages, though it was never away for these clients");
    let (of, inside) = (case.client.name.clone(), outages == Some(0));
    Check { of, measure: Measure::Unnoticed, inside, width: None, said }
}

/// Not one operation fell into it: then it was short, and the report's bound holds it.
fn unnoticed(case: &Case<'_>, found: &Value) -> Check {
    let lengths: Vec<Moment> =
        case.away.iter().map(|a| Moment { lo: a.end.lo - a.start.hi, hi: a.end.hi - a.start.lo }).collect();
    let longest = lengths.iter().map(|length| length.lo).max().unwrap_or(0);
    let bar = Bar::of(&found["sustained"]);
    let within = bar.is_some_and(|bar| lengths.iter().all(|length| bar.meets(*length)));
    let most = case.period + case.held() + case.worst + case.stalled();
    let said = format!("an outage of {longest} ns was not noticed, at most {most} may be; reported {bar:?}");
    // Between two answers lies a blind span, and with it an operation at either end that says nothing.
    let more = if case.stalled() > 0 { 2 * case.period } else { 0 };
    let width = bar.map(|bar| case.width(bar.width()));
    let width = width.map(|w| Width { is: w.is, usual: w.usual + more, limit: w.limit + more });
    let (of, inside) = (case.client.name.clone(), within && longest <= most);
    Check { of, measure: Measure::Unnoticed, inside, width, said }
}

/// The first that was not served was due a period after the start at the latest, or after the runner could see again; one
/// that was due before it may have been on its way, or may have waited.
fn first_error(case: &Case<'_>, first: &Away) -> Moment {
    let since = case.since_fault(first.start);
    let hidden = case.away.iter().take_while(|away| is_hidden(case, away)).count();
    let last = case.away.get(hidden).map_or(first.start, |away| away.start);
    let latest = case.since_fault(last).hi + case.period + case.worst + case.stalled();
    Moment { lo: (since.lo - case.worst - case.held()).min(since.lo), hi: latest }
}

/// From the end of an outage to the start of the next, as far as it was seen.
fn gap(case: &Case<'_>, place: usize) -> i64 {
    let end = case.away[place].end.hi;
    case.away.get(place + 1).map_or(i64::MAX, |next| next.start.lo - end - case.unseen(end, next.start.lo))
}

/// What is shorter may hold no operation that tells of it.
fn shortest(case: &Case<'_>) -> i64 {
    5 * case.period / 2 + case.worst
}

/// May it be that no operation fell into it, as far as it was seen?
fn is_hidden(case: &Case<'_>, away: &Away) -> bool {
    let seen = away.end.lo - away.start.hi - case.unseen(away.start.lo, away.end.hi);
    seen < shortest(case) + if away.waits { case.client.deadline } else { 0 }
}

/// The end of the first outage; and as long as an outage, or the gap after it, is so short that it may hold no
/// operation, the end of the next one as well.
fn restored(case: &Case<'_>) -> Vec<Moment> {
    let hidden = |place: usize| is_hidden(case, &case.away[place]) || gap(case, place) < shortest(case);
    let last = (0..case.away.len()).find(|place| !hidden(*place)).unwrap_or(case.away.len() - 1);
    case.away[..=last].iter().map(|away| back(case, away)).collect()
}

/// When service was back and held for long enough. A gap about as long as it must hold may count or not, and so may an
/// outage that nobody saw.
fn sustained(case: &Case<'_>) -> Vec<Moment> {
    let stable = case.client.stable;
    let slack = 200_000_000 + 2 * case.period;
    let held = |place: &usize| gap(case, *place) >= stable + slack;
    let last = (0..case.away.len()).find(held).unwrap_or(case.away.len() - 1);
    let perhaps = |place: &usize| {
        let later = &case.away[place + 1..];
        let next = later.iter().find(|away| !is_hidden(case, away)).map_or(i64::MAX, |next| next.start.lo);
        let later = &case.away[place + 1..=last];
        next - case.away[*place].end.hi >= stable - case.client.deadline - slack
            || later.iter().all(|away| is_hidden(case, away))
    };
    (0..=last).filter(perhaps).map(|place| back(case, &case.away[place])).collect()
}

/// From the fault to the return of the service. A writer whose request was swallowed waits for its time-out, so to the
/// clients of a ledger service may be back later than to others.
fn back(case: &Case<'_>, away: &Away) -> Moment {
    let mut end = away.end;
    if case.client.role == Role::Ledger && away.waits {
        end.hi += case.client.timeout;
    }
    case.since_fault(end)
}

/// What clients can perceive of an outage. They count from when they were due: a request that was due shortly before
/// and waited is part of it, and one that was due so late in a freeze that it was answered in time is not.
fn perceived(case: &Case<'_>, away: &Away) -> Moment {
    let (low, high) = (away.end.lo - away.start.hi, away.end.hi - away.start.lo);
    let late = if case.client.role == Role::Ledger && away.waits { case.client.timeout } else { 0 };
    Moment { lo: low - case.held() - case.worst, hi: high + case.worst + late }
}

#[cfg(test)]
mod tests {
    use super::super::super::truth::Spell;
    use super::*;
    use serde_json::json;

    const MS: i64 = 1_000_000;

    /// Away from 1 s to 1.8 s; nobody looked from 1.4 to 2.3 s, and the first answer came 24 ms after that.
    fn complaints(high_ms: i64, answered_ms: i64) -> Vec<String> {
        let at = |ms: i64| Moment { lo: ms * MS, hi: ms * MS };
        let spell = Spell { play: Play::Refuse, start: at(1_000), end: Some(at(1_800)) };
        let truth = Truth { spells: vec![spell], whole: true, ..Truth::default() };
        let op = |due: i64, done: i64, ok| super::super::Op { due, sent: due, done, ok, key: None };
        let quiet = (0..200).map(|n| op(n * 4 * MS, n * 4 * MS + MS, true));
        let refused = (250..350).map(|n| op(n * 4 * MS, n * 4 * MS + MS, false));
        let woken = op(2_302 * MS, answered_ms * MS, true);
        let client = Client {
            name: "page".to_owned(),
            role: Role::Visitor,
            rate: 250.0,
            deadline: 50 * MS,
            timeout: 50 * MS,
            stable: S,
            ops: quiet.chain(refused).chain([woken]).collect(),
        };
        let found = json!({"recoveries": [{"first_restored": {"low": 0.396, "high": high_ms as f64 / 1e3}}]});
        let report = json!({"workloads": {"page": found}});
        let case = Case::of(&truth, &report, (0, &[(1_400 * MS, 2_300 * MS)]), &client);
        let bar = Bar { low: 396 * MS, high: high_ms * MS };
        let judged =
            Judged { checks: vec![case.check(Measure::Restored, Some(bar), &restored(&case))], ..Judged::default() };
        judged.complaints()
    }

    #[test]
    fn an_interval_over_a_blind_return_may_last_until_the_first_answer_after_it() {
        assert_eq!(complaints(1_324, 2_324), Vec::<String>::new());
        assert_eq!(
            complaints(1_360, 2_324).len(),
            1,
            "later than the first answer, with two periods more at either end"
        );
        assert_eq!(complaints(1_324, 2_303).len(), 1, "the first answer was at hand");
    }
}
