//! Where the runner itself could not send: spans that are neither up nor down. Adjacent ones are merged and their
//! number is bounded, so that a starved machine does not fill the journal. Pure.

use crate::event::{StallCause, What};
use crate::model::{Mono, Span, WorkloadName};

/// After so many spans the last one is only ever extended.
const LIMIT: u32 = 1_000;

/// Collects late sends of one cause.
#[derive(Debug)]
pub(super) struct Stalls {
    cause: StallCause,
    /// Whose schedule it is; nobody's if it concerns all that this process does.
    workload: Option<WorkloadName>,
    /// Later than this is a stall, in nanoseconds; spans less than this apart are one.
    threshold: i64,
    open: Option<Span>,
    closed: u32,
}

impl Stalls {
    /// Later than max(5 ms, 1/rate) is a stall.
    pub fn new(cause: StallCause, rate: f64) -> Self {
        let period = if rate > 0.0 { (1e9 / rate) as i64 } else { 0 };
        Self { cause, workload: None, threshold: period.max(5_000_000), open: None, closed: 0 }
    }

    /// It concerns this workload alone.
    pub fn of(self, workload: &WorkloadName) -> Self {
        Self { workload: Some(workload.clone()), ..self }
    }

    /// Was it later than what is only jitter?
    pub fn is_late(&self, due: Mono, sent: Mono) -> bool {
        sent - due > self.threshold
    }

    /// An operation that was due at `due` and had free capacity was sent at `sent`. Returns a span that is complete.
    pub fn observe(&mut self, due: Mono, sent: Mono) -> Option<What> {
        if self.is_late(due, sent) { self.late(Span::new(due, sent)) } else { self.punctual(due) }
    }

    /// Nothing could be sent in this span.
    pub fn late(&mut self, span: Span) -> Option<What> {
        match &mut self.open {
            Some(open) if span.lo - open.hi <= self.threshold || self.closed >= LIMIT => {
                *open = Span::new(open.lo.min(span.lo), open.hi.max(span.hi));
                None
            }
            _ => {
                let complete = self.flush();
                self.open = Some(span);
                complete
            }
        }
    }

    fn punctual(&mut self, due: Mono) -> Option<What> {
        let over = self.open.is_some_and(|open| due - open.hi > self.threshold);
        if over && self.closed < LIMIT { self.flush() } else { None }
    }

    /// Was it this stall that kept an operation, due then and waiting for up to `patience`, from being sent? So if it
    /// was due during the stall, or if the stall took more than half of its patience.
    pub fn explains(&self, due: Mono, patience: i64) -> bool {
        self.open.is_some_and(|open| {
            let overlap = (due + patience).min(open.hi) - due.max(open.lo);
            (open.lo <= due && due <= open.hi) || overlap > patience / 2
        })
    }

    /// The span that is still open, at the end.
    pub fn flush(&mut self) -> Option<What> {
        let span = self.open.take()?;
        self.closed += 1;
        Some(What::Stall { span, cause: self.cause, workload: self.workload.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    fn span(what: Option<What>) -> (i64, i64) {
        match what {
            Some(What::Stall { span, .. }) => (span.lo.0 / MS, span.hi.0 / MS),
            other => panic!("{other:?}"),
        }
    }

    fn observe(stalls: &mut Stalls, due: i64, sent: i64) -> Option<What> {
        stalls.observe(Mono(due * MS), Mono(sent * MS))
    }

    #[test]
    fn what_is_punctual_is_no_stall() {
        let mut stalls = Stalls::new(StallCause::Schedule, 1000.0);
        assert_eq!(observe(&mut stalls, 10, 15), None);
        assert_eq!(stalls.flush(), None);
        let mut slow = Stalls::new(StallCause::Schedule, 10.0);
        assert_eq!(observe(&mut slow, 100, 200), None);
        assert_eq!(slow.flush(), None);
    }

    #[test]
    fn a_burst_of_late_sends_is_one_span_that_ends_with_punctuality() {
        let mut stalls = Stalls::new(StallCause::Schedule, 1000.0);
        for due in 10..40 {
            assert_eq!(observe(&mut stalls, due, 46), None);
        }
        assert_eq!(observe(&mut stalls, 46, 47), None, "too close to be sure that it is over");
        assert_eq!(span(observe(&mut stalls, 52, 52)), (10, 46));
        assert_eq!(observe(&mut stalls, 100, 120), None);
        assert_eq!(span(observe(&mut stalls, 200, 210)), (100, 120));
        assert_eq!(span(stalls.flush()), (200, 210));
    }

    #[test]
    fn a_stall_explains_what_was_due_in_it_and_what_it_kept_waiting() {
        let mut stalls = Stalls::new(StallCause::Schedule, 1000.0);
        assert!(!stalls.explains(Mono(0), 1000 * MS));
        assert_eq!(observe(&mut stalls, 1000, 2000), None);
        let explains = |due: i64| stalls.explains(Mono(due * MS), 1000 * MS);
        assert!(explains(1000) && explains(2000) && explains(900));
        assert!(!explains(400) && !explains(2001));
    }

    #[test]
    fn their_number_is_bounded_and_nothing_is_forgotten() {
        let mut stalls = Stalls::new(StallCause::Schedule, 1000.0);
        let mut complete = Vec::new();
        for k in 0..3000 {
            complete.extend(observe(&mut stalls, k * 100, k * 100 + 10));
            complete.extend(observe(&mut stalls, k * 100 + 50, k * 100 + 50));
        }
        assert_eq!(complete.len(), 1000);
        assert_eq!(span(stalls.flush()), (100_000, 299_910));
    }
}
