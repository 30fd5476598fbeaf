//! What the `tcp_…` kinds share: putting a fault into a TCP proxy of ours, looking at it twice (what the proxy says, and
//! what a connection through it shows), and taking it out again. What each does to connections is in its own file.

use super::{Cx, FaultError, Look, Residue, Search};
use crate::adapters::proxy::{Ask, Attempt, Attempted, Direction, Effect, LineFault, ProxyState, Said};
use crate::adapters::{AdapterError, World};
use crate::model::{Percent, TargetRef};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What a kind does to connections.
pub(super) trait OnLine {
    fn target(&self) -> &TargetRef;
    fn share(&self) -> Option<Percent>;
    fn direction(&self) -> Direction;
    fn effect(&self) -> Effect;
    /// What a connection through the proxy must try so that the effect shows; none if that would take too long.
    fn attempt(&self) -> Option<Attempt>;
    /// Does it show in what came of it?
    fn shows(&self, seen: &Attempted) -> bool;
}

/// A fault in a proxy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    /// The proxy's control socket.
    pub control: PathBuf,
    /// Which process it was: another one has none of our faults.
    pub instance: String,
    /// Where clients connect.
    pub listen: String,
    /// What is put there.
    pub fault: LineFault,
}

/// What these kinds need.
pub(super) fn permissions() -> Vec<String> {
    vec!["the same user as the proxy's; no root".to_owned()]
}

pub(super) fn way_back() -> String {
    "the proxy is told to take the fault away".to_owned()
}

async fn state(control: &Path, world: &World) -> Result<ProxyState, AdapterError> {
    match world.proxies.ask(control, &Ask::State).await? {
        Said::State(state) => Ok(*state),
        _ => Err(AdapterError::Other(format!("{} does not say how it is", control.display()))),
    }
}

pub(super) async fn prepare(kind: &impl OnLine, cx: &Cx<'_>) -> Result<Undo, FaultError> {
    let target = cx.scope.target(kind.target()).await.map_err(FaultError::NothingToBreak)?;
    let control = target.fields.get("control").map(PathBuf::from);
    let control = control.ok_or_else(|| {
        FaultError::NothingToBreak(format!("`{}` is no proxy: only a target of kind `proxy` can be", target.name))
    })?;
    let state = state(&control, cx.world).await?;
    let fault = LineFault {
        owner: cx.owner.tag(),
        name: cx.owner.to_string(),
        direction: kind.direction(),
        share: kind.share().map_or(1.0, |share| share.0),
        effect: kind.effect(),
    };
    if fault.share <= 0.0 {
        return Err(FaultError::NothingToBreak("a share of 0 % touches no connection".to_owned()));
    }
    if state.faults.iter().any(|f| f.owner == fault.owner) {
        return Err(FaultError::NothingToBreak(format!("the proxy on {} already has it", state.listen)));
    }
    Ok(Undo { control, instance: state.instance, listen: state.listen, fault })
}

pub(super) async fn inject(undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
    cx.world.proxies.ask(&undo.control, &Ask::Set(undo.fault.clone())).await?;
    Ok(())
}

/// The proxy says that it is there, and a connection through it shows it.
pub(super) async fn effective(kind: &impl OnLine, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
    let state = state(&undo.control, cx.world).await?;
    if !state.faults.contains(&undo.fault) {
        return Ok(Look { holds: false, detail: format!("the proxy on {} has no such fault", undo.listen) });
    }
    let Some(attempt) = kind.attempt() else {
        return Ok(Look { holds: true, detail: format!("the proxy on {} has it; it shows later", undo.listen) });
    };
    let refuses = undo.fault.effect == Effect::Refuse && undo.fault.share >= 1.0;
    let address = if refuses { undo.listen.clone() } else { echo(&undo.control, cx.world).await? };
    let seen = cx.world.proxies.attempt(&address, attempt).await;
    // Beside other faults nobody can say which of them is seen.
    let holds = kind.shows(&seen) || state.faults.len() > 1;
    Ok(Look { holds, detail: format!("through the proxy on {}: {}", undo.listen, in_words(&attempt, &seen)) })
}

async fn echo(control: &Path, world: &World) -> Result<String, AdapterError> {
    match world.proxies.ask(control, &Ask::Echo).await? {
        Said::Echo(address) => Ok(address),
        _ => Err(AdapterError::Other(format!("{} has no echo", control.display()))),
    }
}

fn in_words(attempt: &Attempt, seen: &Attempted) -> String {
    use crate::adapters::proxy::Outcome;
    let took = format!("{:.1} ms", seen.took.as_secs_f64() * 1e3);
    match seen.outcome {
        Outcome::Echoed if attempt.end => format!("the end of a stream came back after {took}"),
        Outcome::Echoed => format!("{} bytes came back after {took}", seen.back),
        Outcome::Ended => format!("the connection was closed after {} bytes", seen.back),
        Outcome::Reset => format!("the connection was reset after {} bytes", seen.back),
        Outcome::Refused => "the connection was refused".to_owned(),
        Outcome::Silent => format!("nothing more came within {took}"),
    }
}

pub(super) async fn heal(undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
    match cx.world.proxies.ask(&undo.control, &Ask::Clear(undo.fault.owner.clone())).await {
        // The fault was in its memory only.
        Ok(_) | Err(AdapterError::Missing(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn healed(undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
    let state = match state(&undo.control, cx.world).await {
        Ok(state) => state,
        Err(AdapterError::Missing(_)) => {
            let detail = format!("the proxy on {} has ended, and its faults with it", undo.listen);
            return Ok(Look { holds: true, detail });
        }
        Err(error) => return Err(error.into()),
    };
    let own = state.faults.iter().any(|f| f.owner == undo.fault.owner);
    let detail = match (own, state.instance == undo.instance) {
        (true, _) => format!("the proxy on {} still has it", undo.listen),
        (false, true) => format!("the proxy on {} has no fault of this owner", undo.listen),
        (false, false) => format!("another proxy is on {} now, without it", undo.listen),
    };
    Ok(Look { holds: !own, detail })
}

pub(super) fn by_hand(undo: &Undo) -> String {
    clear(&undo.control, &undo.fault.owner)
}

fn clear(control: &Path, owner: &str) -> String {
    format!("blackstart proxy --control {} --clear {owner}", super::word(&control.to_string_lossy()))
}

pub(super) fn touched(undo: &Undo) -> Vec<String> {
    let share = if undo.fault.share < 1.0 { format!("{} of the", Percent(undo.fault.share)) } else { "all".to_owned() };
    vec![format!("{share} connections through {}", undo.listen)]
}

/// Faults of one kind in all proxies of this machine.
pub(super) async fn residue(world: &World, kind: &str) -> Search {
    let mut search = Search::default();
    for control in world.proxies.all() {
        let asked = state(&control, world).await;
        // Nobody listens: it has ended, and what it did with it.
        if matches!(asked, Err(AdapterError::Unreachable(_))) {
            continue;
        }
        let state = search.look(&format!("the proxy behind {}", control.display()), asked.map(Some));
        let Some(state) = state else { continue };
        for fault in state.faults.iter().filter(|f| named(&f.effect) == kind) {
            let what = format!("{kind} of {} in the proxy on {}", fault.name, state.listen);
            search.found.push(Residue { tag: fault.owner.clone(), what, by_hand: clear(&control, &fault.owner) });
        }
    }
    search
}

/// The kind that has this effect.
fn named(effect: &Effect) -> &'static str {
    match effect {
        Effect::Latency { .. } => "tcp_latency",
        Effect::Bandwidth { .. } => "tcp_bandwidth",
        Effect::BlackHole => "tcp_black_hole",
        Effect::Reset { .. } => "tcp_reset",
        Effect::SlowClose { .. } => "tcp_slow_close",
        Effect::HalfOpen { .. } => "tcp_half_open",
        Effect::Limit { .. } => "tcp_limit",
        Effect::Refuse => "tcp_refuse",
    }
}

/// The life of a fault of such a kind: everything but what it does to connections.
macro_rules! on_line {
    ($kind:ty, $key:literal, $summary:literal) => {
        impl super::Fault for $kind {
            const KIND: &'static str = $key;
            const SUMMARY: &'static str = $summary;
            const REVERSIBILITY: super::Reversibility = super::Reversibility::Reversible;
            const TARGETS: &'static [&'static str] = &["proxy"];
            type Undo = super::line::Undo;

            fn targets(&self) -> Vec<&crate::model::TargetRef> {
                vec![&self.target]
            }
            fn permissions(&self) -> Vec<String> {
                super::line::permissions()
            }
            fn way_back(&self) -> String {
                super::line::way_back()
            }
            async fn prepare(&self, cx: &super::Cx<'_>) -> Result<Self::Undo, super::FaultError> {
                super::line::prepare(self, cx).await
            }
            async fn inject(&self, undo: &Self::Undo, cx: &super::Cx<'_>) -> Result<(), super::FaultError> {
                super::line::inject(undo, cx).await
            }
            async fn effective(&self, undo: &Self::Undo, cx: &super::Cx<'_>) -> Result<super::Look, super::FaultError> {
                super::line::effective(self, undo, cx).await
            }
            async fn heal(&self, undo: &Self::Undo, cx: &super::Cx<'_>) -> Result<(), super::FaultError> {
                super::line::heal(undo, cx).await
            }
            async fn healed(&self, undo: &Self::Undo, cx: &super::Cx<'_>) -> Result<super::Look, super::FaultError> {
                super::line::healed(undo, cx).await
            }
            fn by_hand(&self, undo: &Self::Undo) -> String {
                super::line::by_hand(undo)
            }
            fn touched(&self, undo: &Self::Undo) -> Vec<String> {
                super::line::touched(undo)
            }
            async fn residue(world: &crate::adapters::World) -> super::Search {
                super::line::residue(world, $key).await
            }
        }
    };
}
pub(super) use on_line;
