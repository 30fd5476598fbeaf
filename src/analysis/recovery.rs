//! How service came back after a fault: the intervals of `docs/timing.md`, for one lane and for several together.

use super::lane::Lane;
use super::level::{Level, Sight};
use super::outage::Run;
use super::story::{FaultStory, Story, sane};
use super::{Attribution, Recovery};
use crate::model::figure::duration;
use crate::model::{FaultId, Interval, Span};

/// A fault as a clock.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    pub fault: FaultId,
    pub lo: i64,
    pub hi: i64,
    pub heal: Option<i64>,
    /// When a step first began to restore, at or after the fault.
    pub restore: Option<i64>,
    pub declared: Option<Span>,
    /// The next fault of a later phase: nothing after it says anything about this one.
    pub next: Option<i64>,
    /// Is it the first of its phase? Faults of one phase are one disaster, and its loss is counted from the first.
    pub leads: bool,
}

impl Clock {
    pub fn of(story: &Story, fault: &FaultStory) -> Option<Self> {
        let at = fault.at().filter(|at| sane(at.lo) && sane(at.hi))?;
        Some(Self {
            fault: fault.id().clone(),
            lo: at.lo.0,
            hi: at.hi.0,
            heal: fault.heal_started,
            restore: story.restoring(at.lo.0),
            declared: story.declared(at.lo.0),
            next: story.next_chapter(fault).map(|span| span.lo.0),
            leads: story.leads(fault),
        })
    }
}

impl Clock {
    /// The same seen by a clock that may be off by so much.
    pub fn blurred(&self, error: i64) -> Self {
        let wide = |span: Span| Span::new(span.lo + -error, span.hi + error);
        Self {
            lo: self.lo.saturating_sub(error),
            hi: self.hi.saturating_add(error),
            heal: self.heal.map(|heal| heal.saturating_sub(error)),
            restore: self.restore.map(|restore| restore.saturating_sub(error)),
            declared: self.declared.map(wide),
            next: self.next.map(|next| next.saturating_sub(error)),
            ..self.clone()
        }
    }

    /// Who brought service back, if the first answer was asked for at `sent`.
    fn attribution(&self, sent: i64) -> Attribution {
        let begun = |at: Option<i64>| at.is_some_and(|at| at <= sent);
        if begun(self.heal) {
            Attribution::Heal
        } else if begun(self.restore) {
            Attribution::Restore
        } else {
            Attribution::System
        }
    }
}

/// A recovery, and what only the verdict and the ledger need of it.
#[derive(Debug, Clone)]
pub(super) struct Judged {
    pub recovery: Recovery,
    /// Operations a second of the lane that decides.
    pub rate: f64,
    /// Due time of the operation that sustained service begins with.
    pub back: Option<i64>,
    /// Intervals whose low was above their high: errors of this program.
    pub internal: Vec<String>,
}

/// A lane with what is computed once for all faults.
pub(super) struct Measured<'a> {
    pub lane: Lane<'a>,
    pub level: Level,
    pub runs: Vec<Run>,
}

impl<'a> Measured<'a> {
    pub fn of(lane: Lane<'a>) -> Self {
        let (level, runs) = (Level::of(&lane), super::outage::runs(&lane));
        Self { lane, level, runs }
    }

    /// X: the first not-served operation (by due time) that could still have been served at `lo`, among the first `n`.
    fn first_bad(&self, lo: i64, n: usize) -> Option<usize> {
        let start = self.lane.at(lo.saturating_sub(self.lane.deadline));
        (start..n).find(|i| !self.lane.served(*i) && self.lane.settled(*i, i64::MAX / 8) >= lo)
    }

    /// How many operations come before the next fault of a later phase can have touched any.
    fn horizon(&self, clock: &Clock) -> usize {
        let Some(next) = clock.next else { return self.lane.len() };
        let touched = self.first_bad(next, self.lane.len());
        touched.unwrap_or(self.lane.len()).min(self.lane.at(next))
    }

    /// How service came back after the fault.
    pub fn recover(&self, clock: &Clock) -> Judged {
        let n = self.horizon(clock);
        let x = self.first_bad(clock.lo, n);
        let mut judged = Judged::nothing(&clock.fault, self.lane.rate);
        judged.recovery.unnoticed = x.is_none();
        match x {
            None => self.unnoticed(clock, n, &mut judged),
            Some(x) => self.restored(clock, x, n, &mut judged),
        }
        self.sustained(clock, x, n, &mut judged);
        judged
    }

    /// No operation failed at all: whatever happened was shorter than the largest gap between consecutive oks.
    fn unnoticed(&self, clock: &Clock, n: usize, judged: &mut Judged) {
        let gap = self.largest_gap(clock.lo, n).and_then(|gap| Interval::between(0, gap));
        (judged.recovery.perceived, judged.recovery.first_restored) = (gap, gap);
    }

    fn largest_gap(&self, lo: i64, n: usize) -> Option<i64> {
        let lane = &self.lane;
        let from = lane.at(lo.saturating_sub(lane.deadline));
        // After a blind span the last answer before it may be older than that.
        let from = (0..from).rev().find(|i| lane.served(*i)).unwrap_or(from);
        let mut dones: Vec<i64> = (from..n).filter(|i| lane.served(*i)).map(|i| lane.done(i)).collect();
        dones.sort_unstable();
        let first = dones.partition_point(|done| *done < lo).saturating_sub(1);
        // An answer that came in while the runner could not see was stamped only afterwards.
        let came = |done: i64| lane.blind.first(done - super::lane::STALL, done).map_or(done, |blind| blind.min(done));
        dones[first.min(dones.len())..].windows(2).map(|pair| pair[1] - came(pair[0])).max()
    }

    /// First restored ∈ [Y*.due − t_fault.hi, F*.done − t_fault.lo].
    fn restored(&self, clock: &Clock, x: usize, n: usize, judged: &mut Judged) {
        let (lane, recovery) = (&self.lane, &mut judged.recovery);
        let due = lane.due(x);
        recovery.first_error = Some(clipped(due - clock.hi, due - clock.lo));
        recovery.perceived = self.runs.iter().find(|run| run.y >= x).and_then(|run| run.perceived(lane));
        let Some((f, y)) = self.first_back(clock, x, n) else { return };
        let (low, high) = (lane.due(y) - clock.hi, lane.done(f) - clock.lo);
        recovery.first_ok = Interval::between(lane.done(f) - clock.hi, high);
        recovery.first_restored = Interval::between(low, high);
        recovery.attribution = clock.attribution(lane.sent(f));
        if recovery.first_restored.is_none() {
            judged.internal.push(format!("first restored after `{}`: [{low}, {high}]", clock.fault));
        }
    }

    /// By when the outage that X belongs to had begun for certain: an answer proves that service is back only if it
    /// was asked for after some other operation had settled as not served. One that is merely due after X may have been
    /// answered before the outage began.
    fn begun(&self, clock: &Clock, x: usize, n: usize) -> i64 {
        let (lane, usual) = (&self.lane, self.lane.usual(clock.lo));
        let mut begun = i64::MAX;
        for i in x..n {
            if lane.due(i) > begun {
                break;
            }
            let settled = lane.settled(i, usual);
            if !lane.served(i) && settled >= clock.lo {
                begun = begun.min(settled);
            }
        }
        // If nothing but what had waited too long already was cut off, the fault itself has to do.
        if begun == i64::MAX { clock.lo } else { begun }
    }

    /// F*: the served operation due after X (and sent after the outage had begun) with the earliest answer; Y*: the
    /// last not-served one due before it.
    fn first_back(&self, clock: &Clock, x: usize, n: usize) -> Option<(usize, usize)> {
        let (lane, begun) = (&self.lane, self.begun(clock, x, n));
        let mut best: Option<usize> = None;
        for i in lane.after(lane.due(x))..n {
            if best.is_some_and(|b| lane.due(i) > lane.done(b)) {
                break;
            }
            let proves = lane.served(i) && lane.sent(i) >= begun;
            if proves && best.is_none_or(|b| lane.done(i) < lane.done(b)) {
                best = Some(i);
            }
        }
        let f = best?;
        let y = (x..lane.at(lane.due(f))).rev().find(|i| !lane.served(*i))?;
        Some((f, y))
    }

    /// The headline: from the fault to service that holds.
    fn sustained(&self, clock: &Clock, x: Option<usize>, n: usize, judged: &mut Judged) {
        let (lane, level) = (&self.lane, &self.level);
        let end = if n == lane.len() { lane.end() } else { lane.due(n) };
        // Without a not-served operation the level may still have been broken, by answers that were too slow.
        let broken = |(start, _, _): &(i64, i64, Sight)| *start < end - level.window;
        let begun = match x {
            Some(x) => self.begun(clock, x, n),
            None if level.next_bad(clock.lo).filter(broken).is_none() => {
                return self.never_broken(clock, n, end, judged);
            }
            None => clock.lo,
        };
        match self.back(x.unwrap_or_else(|| lane.at(clock.lo)), begun, n, end) {
            Ok((since, t)) => self.back_at(clock, since, t, x, judged),
            Err((since, tried)) => self.not_back(clock, since, tried, n, end, judged),
        }
    }

    /// The level that the workload's `service` asks for was kept throughout.
    fn never_broken(&self, clock: &Clock, n: usize, end: i64, judged: &mut Judged) {
        let recovery = &mut judged.recovery;
        if n == 0 || end < clock.hi + self.level.hold {
            recovery.why = Some(format!("the load stopped less than {} after the fault", duration(self.level.hold)));
            return;
        }
        recovery.sustained = self.largest_gap(clock.lo, n).and_then(|gap| Interval::between(0, gap));
        if recovery.sustained.is_none() {
            recovery.why = Some("fewer than two operations were served".to_owned());
            return;
        }
        recovery.sustained_from_declared = clock.declared.and(recovery.sustained);
        recovery.fixed_width = recovery.sustained.map_or(0, |i| (i.high - self.lane.period).max(0));
        judged.back = Some(clock.lo);
    }

    /// The earliest served operation, from place `i` on, at which no outage is open and from which on every window
    /// meets the level for as long as `stable`; else the place of the first one that might still be it. It must have
    /// been sent after the outage had `begun`; with it comes the first one that may have been the return unseen.
    fn back(&self, mut i: usize, begun: i64, n: usize, end: i64) -> Result<(usize, usize), (usize, usize)> {
        let (lane, level) = (&self.lane, &self.level);
        let last = end - level.window - 1;
        let mut since = i;
        while i < n {
            let due = lane.due(i);
            let open = self.runs.get(self.runs.partition_point(|run| run.y < i)).filter(|run| run.x <= i);
            let until = last.min(due + level.hold - level.window - 1);
            let bad = level.next_bad(due - 1).filter(|(start, _, _)| (due - 1).max(*start) <= until);
            let (next, sight) = match (open, bad) {
                (Some(run), _) => (run.y + 1, Sight::Seen),
                (None, Some((_, over, sight))) => (lane.after(over.min(last) + 1).max(i + 1), sight),
                (None, None) if due + level.hold > end => return Err((since, i)),
                (None, None) if lane.sent(i) < begun => (i + 1, Sight::Blind),
                (None, None) => return Ok((since, i)),
            };
            i = next;
            // What nobody saw to be bad may have been the return already.
            since = if sight == Sight::Seen { i } else { since };
        }
        Err((since, n))
    }

    fn back_at(&self, clock: &Clock, since: usize, t: usize, x: Option<usize>, judged: &mut Judged) {
        let (lane, recovery) = (&self.lane, &mut judged.recovery);
        let before = since.checked_sub(1).map_or(lane.due(t) - lane.period, |p| lane.due(p));
        let done = self.first_done(t);
        let (low, high) = (before - clock.hi, done - clock.lo);
        recovery.sustained = Interval::between(low, high);
        recovery.sustained_from_declared = clock.declared.map(|at| clipped(before - at.hi.0, done - at.lo.0));
        recovery.fixed_width = ((high - low) - (lane.due(t) - before).min(lane.period)).max(0);
        let since = x.unwrap_or(t);
        recovery.outages =
            self.runs.iter().filter(|run| run.y >= since && run.x < t).count().try_into().unwrap_or(u32::MAX);
        judged.back = Some(lane.due(t));
        if recovery.sustained.is_none() {
            judged.internal.push(format!("sustained service after `{}`: [{low}, {high}]", clock.fault));
        }
    }

    /// The earliest answer to anything that was due at or after place `t`.
    fn first_done(&self, t: usize) -> i64 {
        let lane = &self.lane;
        let mut best = lane.done(t);
        for i in (t + 1..lane.len()).take_while(|i| lane.due(*i) <= lane.done(t)) {
            if lane.served(i) {
                best = best.min(lane.done(i));
            }
        }
        best
    }

    fn not_back(&self, clock: &Clock, since: usize, tried: usize, n: usize, end: i64, judged: &mut Judged) {
        let (lane, recovery) = (&self.lane, &mut judged.recovery);
        let last_bad = since.min(n).checked_sub(1).map(|p| lane.due(p) - clock.hi);
        recovery.at_least = last_bad.map(|nanos| nanos.max(0));
        recovery.outages =
            self.runs.iter().filter(|r| lane.due(r.y) >= clock.lo && r.x < n).count().try_into().unwrap_or(u32::MAX);
        let ended = if clock.next.is_some() && n < lane.len() { "the next fault came" } else { "the load stopped" };
        recovery.why = Some(if tried >= n {
            format!("service did not come back before {ended}")
        } else {
            let (left, hold) = (duration(end - lane.due(tried)), duration(self.level.hold));
            format!("{ended} {left} after service had come back; it must hold for {hold}")
        });
    }
}

impl Judged {
    fn nothing(fault: &FaultId, rate: f64) -> Self {
        let recovery = Recovery {
            fault: fault.clone(),
            unnoticed: false,
            perceived: None,
            first_restored: None,
            sustained: None,
            sustained_from_declared: None,
            first_error: None,
            first_ok: None,
            attribution: Attribution::None,
            at_least: None,
            outages: 0,
            why: None,
            fixed_width: 0,
        };
        Self { recovery, rate, back: None, internal: Vec::new() }
    }

    /// Where no operation was logged at all.
    pub fn unseen(fault: &FaultId) -> Self {
        let mut judged = Self::nothing(fault, 0.0);
        judged.recovery.why = Some("no operation of it was logged".to_owned());
        judged
    }

    /// Two views of the same service: the worse decides, number by number.
    pub fn worse(mut self, other: Self) -> Self {
        let high = |judged: &Self| judged.recovery.sustained.map_or(i64::MAX, |i| i.high);
        if high(&other) > high(&self) {
            self.rate = other.rate;
            self.recovery.fixed_width = other.recovery.fixed_width;
        }
        let (a, b) = (&mut self.recovery, other.recovery);
        let least = a.sustained.or(b.sustained).map(|known| known.low).filter(|low| *low > 0);
        a.attribution = worse_attribution(a, &b);
        a.perceived = later(a.perceived, b.perceived);
        a.first_restored = later(a.first_restored, b.first_restored);
        a.sustained = later(a.sustained, b.sustained);
        a.sustained_from_declared = later(a.sustained_from_declared, b.sustained_from_declared);
        a.first_ok = if a.unnoticed {
            b.first_ok
        } else if b.unnoticed {
            a.first_ok
        } else {
            later(a.first_ok, b.first_ok)
        };
        a.first_error = match (a.first_error, b.first_error) {
            (Some(x), Some(y)) => {
                Some(Interval { low: x.low.min(y.low), best: x.best.min(y.best), high: x.high.min(y.high) })
            }
            (x, y) => x.or(y),
        };
        a.unnoticed &= b.unnoticed;
        // Both together took at least as long as either is known to have taken.
        a.at_least = if a.sustained.is_some() { None } else { least.max(a.at_least).max(b.at_least) };
        a.outages = a.outages.max(b.outages);
        a.why = a.why.take().or(b.why);
        self.back = self.back.zip(other.back).map(|(x, y)| x.max(y));
        self.internal.extend(other.internal);
        self
    }
}

/// The one that took longer, bound by bound; unknown if either is.
fn later(a: Option<Interval>, b: Option<Interval>) -> Option<Interval> {
    let (a, b) = (a?, b?);
    Some(Interval { low: a.low.max(b.low), best: a.best.max(b.best), high: a.high.max(b.high) })
}

fn worse_attribution(a: &Recovery, b: &Recovery) -> Attribution {
    let lost = |r: &Recovery| !r.unnoticed && r.first_restored.is_none();
    match (a.attribution, b.attribution) {
        _ if lost(a) || lost(b) => Attribution::None,
        (Attribution::Heal, _) | (_, Attribution::Heal) => Attribution::Heal,
        (Attribution::Restore, _) | (_, Attribution::Restore) => Attribution::Restore,
        (Attribution::System, _) | (_, Attribution::System) => Attribution::System,
        _ => Attribution::None,
    }
}

/// A span that may lie before its clock began: then it took no time at all.
fn clipped(low: i64, high: i64) -> Interval {
    Interval::between(low, high.max(low).max(0)).unwrap_or(Interval::exact(0))
}
