//! Heals a fault and proves it: attempts with growing pauses, each followed by independent looks. Used by a run and by
//! a recovery alike; who asked, and what happens when it does not work, is not known here.

use super::clusters;
use super::options::Limits;
use crate::event::What;
use crate::faults::{Cx, PreparedFault};
use crate::model::{FaultId, Span};
use std::time::Duration;

/// Notes what happens.
pub(super) type Note<'a> = &'a (dyn Fn(What) -> Noted + Send + Sync);

/// Has it reached the record?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Noted {
    Yes,
    No,
}

/// Between two looks whether it is healed.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Heals, with retries. `Ok` only after the look that proved it; `Err` is the last reason.
pub(super) async fn heal(
    id: &FaultId,
    fault: &PreparedFault,
    cx: &Cx<'_>,
    limits: &Limits,
    note: Note<'_>,
) -> Result<(), String> {
    let clock = &cx.world.clock;
    let (began, mut pause) = (clock.mono(), limits.heal_backoff);
    let mut attempt = 1;
    loop {
        let error = match once(fault, cx, limits).await {
            Ok(detail) => {
                healed(id, fault, Span::new(began, clock.mono()), detail, (cx, note)).await;
                return Ok(());
            }
            Err(error) => error,
        };
        let last = attempt >= limits.heal_attempts;
        let _said = note(What::HealFailed { fault: id.clone(), attempt, error: error.clone(), last });
        if last {
            return Err(error);
        }
        clock.sleep_until(clock.mono().after(pause)).await;
        (attempt, pause) = (attempt + 1, pause * 2);
    }
}

/// While other faults are open, one that does not come back in this may need that they are healed first.
const BRIEF: Duration = Duration::from_secs(5);

/// The same, tried once and not for long: for one of several open faults, whose healing may need that of another. If it
/// fails, it is tried again when the others have had their turn.
pub(super) async fn brief(
    id: &FaultId,
    fault: &PreparedFault,
    cx: &Cx<'_>,
    limits: &Limits,
    note: Note<'_>,
) -> Result<(), String> {
    let limits = Limits { heal_attempts: 1, heal_look: limits.heal_look.min(BRIEF), ..*limits };
    let goes_on = |what| match what {
        What::HealFailed { fault, attempt, error, .. } => note(What::HealFailed { fault, attempt, error, last: false }),
        other => note(other),
    };
    heal(id, fault, cx, &limits, &goes_on).await
}

/// How long a fault is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Others are open, and their turn comes.
    First,
    /// As long as the limits say.
    Last,
}

/// In which turns so many open faults are healed.
pub(super) fn turns(open: usize) -> &'static [Turn] {
    if open > 1 { &[Turn::First, Turn::Last] } else { &[Turn::Last] }
}

/// Notes that it is healed. What was kept for putting it back is erased only after that is in the record: whoever finds
/// the fault open heals it again, and needs it.
pub(super) async fn healed(
    id: &FaultId,
    fault: &PreparedFault,
    span: Span,
    detail: String,
    (cx, note): (&Cx<'_>, Note<'_>),
) {
    if note(What::Healed { fault: id.clone(), span, detail }) == Noted::No {
        return;
    }
    if let Err(why) = cx.scope.vault().erase(&cx.owner) {
        let text = format!("what was kept of `{id}` could not be erased: {why}");
        let _said = note(What::Note { text });
    }
    if let Err(why) = clusters::forget(fault, cx).await {
        let text = format!("the record of `{id}` in the cluster could not be removed, and will be found there: {why}");
        let _said = note(What::Note { text });
    }
}

async fn once(fault: &PreparedFault, cx: &Cx<'_>, limits: &Limits) -> Result<String, String> {
    let called = match tokio::time::timeout(limits.heal_call, fault.heal(cx)).await {
        Ok(called) => called.map_err(|e| e.to_string()),
        Err(_) => Err(format!("healing did not end within {:?}", limits.heal_call)),
    };
    match called {
        Ok(()) => confirm(fault, cx, limits, limits.heal_look).await,
        // Perhaps somebody else has healed it: one look decides.
        Err(why) => confirm(fault, cx, limits, Duration::ZERO).await.map_err(|_| why),
    }
}

/// Looks until the state before the fault is back, for so long; no look takes longer than a glance may.
pub(super) async fn confirm(
    fault: &PreparedFault,
    cx: &Cx<'_>,
    limits: &Limits,
    within: Duration,
) -> Result<String, String> {
    let clock = &cx.world.clock;
    let until = clock.mono().after(within);
    loop {
        let seen = match tokio::time::timeout(limits.heal_glance, fault.healed(cx)).await {
            Ok(Ok(look)) if look.holds => return Ok(look.detail),
            Ok(Ok(look)) => look.detail,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("looking did not end within {:?}", limits.heal_glance),
        };
        if clock.mono() >= until {
            return Err(format!("not back yet: {seen}"));
        }
        clock.sleep_until(clock.mono().after(LOOK_EVERY)).await;
    }
}
