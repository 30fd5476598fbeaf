//! What the `dns_…` kinds share: putting a fault into a resolver of ours, looking at it twice (what the resolver says, and
//! what a client that asks it gets), and taking it out again. What each does to answers is in its own file.

use super::{Cx, FaultError, Look, Residue, Search};
use crate::adapters::resolver::{Failure, NameEffect, NameFault, Resolved, ResolverAsk};
use crate::adapters::{AdapterError, World};
use crate::model::TargetRef;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a kind does to answers.
pub(super) trait OnNames {
    fn target(&self) -> &TargetRef;
    fn names(&self) -> &[String];
    fn effect(&self) -> NameEffect;
}

/// Nobody answers within this.
const SILENCE: Duration = Duration::from_millis(150);
/// A look may take so long.
const PATIENCE: Duration = Duration::from_secs(10);
/// On top of what is expected.
const SPARE: Duration = Duration::from_secs(5);

/// A fault in a resolver.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    /// The resolver's control socket.
    pub control: PathBuf,
    /// Which process it was: another one has none of our faults.
    pub instance: String,
    /// Where it is asked.
    pub listen: String,
    /// What is put there.
    pub fault: NameFault,
}

pub(super) fn permissions() -> Vec<String> {
    vec!["the same user as the resolver's; no root (port 53 needs CAP_NET_BIND_SERVICE)".to_owned()]
}

pub(super) fn way_back() -> String {
    "the resolver is told to take the fault away; clients may keep an answer as long as its TTL says".to_owned()
}

pub(super) async fn prepare(kind: &impl OnNames, cx: &Cx<'_>) -> Result<Undo, FaultError> {
    let target = cx.scope.target(kind.target()).await.map_err(FaultError::NothingToBreak)?;
    let nothing = |why: String| FaultError::NothingToBreak(why);
    let control = target.fields.get("control").map(PathBuf::from);
    let control = control.ok_or_else(|| nothing(format!("`{}` is no target of kind `resolver`", target.name)))?;
    if kind.names().is_empty() {
        return Err(nothing("no name is given".to_owned()));
    }
    let state = cx.world.resolvers.ask(&control, &ResolverAsk::State).await?;
    let (owner, name) = (cx.owner.tag(), cx.owner.to_string());
    let fault = NameFault { owner, name, names: kind.names().to_vec(), effect: kind.effect() };
    if state.faults.iter().any(|f| f.owner == fault.owner) {
        return Err(nothing(format!("the resolver on {} already has it", state.listen)));
    }
    Ok(Undo { control, instance: state.instance, listen: state.listen, fault })
}

pub(super) async fn inject(undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
    cx.world.resolvers.ask(&undo.control, &ResolverAsk::Set(undo.fault.clone())).await?;
    Ok(())
}

/// The resolver says that it is there, and a client that asks for the first name sees it.
pub(super) async fn effective(undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
    let state = cx.world.resolvers.ask(&undo.control, &ResolverAsk::State).await?;
    if !state.faults.contains(&undo.fault) {
        return Ok(Look { holds: false, detail: format!("the resolver on {} has no such fault", undo.listen) });
    }
    // Some name below a zone.
    let name = undo.fault.names.first().map(|name| name.replacen('*', "blackstart-look", 1)).unwrap_or_default();
    let (like, limit) = match &undo.fault.effect {
        NameEffect::Answer { addresses, .. } => (addresses.first().copied(), SPARE),
        NameEffect::Fail(Failure::NoAnswer) => (None, SILENCE),
        NameEffect::Fail(_) => (None, SPARE),
        NameEffect::Slow(millis) if Duration::from_millis(*millis) > PATIENCE => {
            return Ok(Look { holds: true, detail: format!("the resolver on {} has it; it shows later", undo.listen) });
        }
        NameEffect::Slow(millis) => (None, Duration::from_millis(*millis) + SPARE),
    };
    let like = like.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let (seen, took) = cx.world.resolvers.resolve(&undo.listen, &name, like, limit).await?;
    let shows = match &undo.fault.effect {
        NameEffect::Fail(failure) => seen == Resolved::Failed(*failure),
        NameEffect::Slow(millis) => took >= Duration::from_millis(*millis),
        NameEffect::Answer { addresses, .. } => {
            matches!(&seen, Resolved::Addresses(found) if found.iter().all(|a| addresses.contains(a)))
        }
    };
    // Beside other faults nobody can say which of them is seen.
    let holds = shows || state.faults.len() > 1;
    let took = took.as_secs_f64() * 1e3;
    Ok(Look {
        holds,
        detail: format!("`{name}` by the resolver on {}: {}, {took:.1} ms", undo.listen, in_words(&seen)),
    })
}

fn in_words(seen: &Resolved) -> String {
    match seen {
        Resolved::Addresses(found) if found.is_empty() => "no address".to_owned(),
        Resolved::Addresses(found) => found.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        Resolved::Failed(Failure::Nxdomain) => "no such name (NXDOMAIN)".to_owned(),
        Resolved::Failed(Failure::Servfail) => "the server failed (SERVFAIL)".to_owned(),
        Resolved::Failed(Failure::NoAnswer) => "no answer".to_owned(),
        Resolved::Refused(code) => format!("refused ({code})"),
    }
}

pub(super) async fn heal(undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
    match cx.world.resolvers.ask(&undo.control, &ResolverAsk::Clear(undo.fault.owner.clone())).await {
        // The fault was in its memory only.
        Ok(_) | Err(AdapterError::Missing(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn healed(undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
    let state = match cx.world.resolvers.ask(&undo.control, &ResolverAsk::State).await {
        Ok(state) => state,
        Err(AdapterError::Missing(_)) => {
            let detail = format!("the resolver on {} has ended, and its faults with it", undo.listen);
            return Ok(Look { holds: true, detail });
        }
        Err(error) => return Err(error.into()),
    };
    let own = state.faults.iter().any(|f| f.owner == undo.fault.owner);
    let detail = match (own, state.instance == undo.instance) {
        (true, _) => format!("the resolver on {} still has it", undo.listen),
        (false, true) => format!("the resolver on {} has no fault of this owner", undo.listen),
        (false, false) => format!("another resolver is on {} now, without it", undo.listen),
    };
    Ok(Look { holds: !own, detail })
}

pub(super) fn by_hand(undo: &Undo) -> String {
    clear(&undo.control, &undo.fault.owner)
}

fn clear(control: &Path, owner: &str) -> String {
    format!("blackstart resolver --control {} --clear {owner}", super::word(&control.to_string_lossy()))
}

pub(super) fn touched(undo: &Undo) -> Vec<String> {
    undo.fault.names.iter().map(|name| format!("{name} by the resolver on {}", undo.listen)).collect()
}

/// Faults of one kind in all resolvers of this machine.
pub(super) async fn residue(world: &World, kind: &str) -> Search {
    let mut search = Search::default();
    for control in world.resolvers.all() {
        let asked = world.resolvers.ask(&control, &ResolverAsk::State).await;
        // Nobody listens: it has ended, and what it did with it.
        if matches!(asked, Err(AdapterError::Unreachable(_))) {
            continue;
        }
        let state = search.look(&format!("the resolver behind {}", control.display()), asked.map(Some));
        let Some(state) = state else { continue };
        for fault in state.faults.iter().filter(|f| named(&f.effect) == kind) {
            let what = format!("{kind} of {} in the resolver on {}", fault.name, state.listen);
            search.found.push(Residue { tag: fault.owner.clone(), what, by_hand: clear(&control, &fault.owner) });
        }
    }
    search
}

/// The kind that has this effect.
fn named(effect: &NameEffect) -> &'static str {
    match effect {
        NameEffect::Fail(_) => "dns_fail",
        NameEffect::Slow(_) => "dns_slow",
        NameEffect::Answer { .. } => "dns_answer",
    }
}

/// The life of a fault of such a kind: everything but what it does to answers.
macro_rules! on_names {
    ($kind:ty, $key:literal, $summary:literal) => {
        impl super::Fault for $kind {
            const KIND: &'static str = $key;
            const SUMMARY: &'static str = $summary;
            const REVERSIBILITY: super::Reversibility = super::Reversibility::Reversible;
            const TARGETS: &'static [&'static str] = &["resolver"];
            type Undo = super::names::Undo;

            fn targets(&self) -> Vec<&crate::model::TargetRef> {
                vec![&self.target]
            }
            fn permissions(&self) -> Vec<String> {
                super::names::permissions()
            }
            fn way_back(&self) -> String {
                super::names::way_back()
            }
            async fn prepare(&self, cx: &super::Cx<'_>) -> Result<Self::Undo, super::FaultError> {
                super::names::prepare(self, cx).await
            }
            async fn inject(&self, undo: &Self::Undo, cx: &super::Cx<'_>) -> Result<(), super::FaultError> {
                super::names::inject(undo, cx).await
            }
            async fn effective(&self, undo: &Self::Undo, cx: &super::Cx<'_>) -> Result<super::Look, super::FaultError> {
                super::names::effective(undo, cx).await
            }
            async fn heal(&self, undo: &Self::Undo, cx: &super::Cx<'_>) -> Result<(), super::FaultError> {
                super::names::heal(undo, cx).await
            }
            async fn healed(&self, undo: &Self::Undo, cx: &super::Cx<'_>) -> Result<super::Look, super::FaultError> {
                super::names::healed(undo, cx).await
            }
            fn by_hand(&self, undo: &Self::Undo) -> String {
                super::names::by_hand(undo)
            }
            fn touched(&self, undo: &Self::Undo) -> Vec<String> {
                super::names::touched(undo)
            }
            async fn residue(world: &crate::adapters::World) -> super::Search {
                super::names::residue(world, $key).await
            }
        }
    };
}
pub(super) use on_names;
