//! A fault on several targets at once: who is chosen, in which order, how far apart, and that a set which is broken only in
//! part is healed as a whole. The life of each is in `fault`.

use super::drill::Drill;
use super::fault::{Member, OpenFault};
use super::scene::Scene;
use super::verb::VerbEnd;
use crate::adapters::{Fut, ProcessState, Vault};
use crate::event::{FaultIntent, HealCause, StepOutcome};
use crate::faults::{FaultSpec, PreparedFault, Scope};
use crate::model::{FaultId, ObjectRef, PinnedTarget, ProcessIdentity, Reference, Span, StepId, TargetRef, TargetSpec};
use crate::plan::{AtMost, InjectPlan, Order, StepPlan};
use sha2::{Digest, Sha256};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What can be chosen: a target, or a part of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Choice {
    /// Which of the faults.
    pub fault: usize,
    /// Only this of its target.
    pub part: Option<Part>,
    /// For people, and for the order by name.
    pub name: String,
}

/// A part of a target.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Part {
    Process(ProcessIdentity),
    /// Of a cluster.
    Object(ObjectRef),
}

impl Part {
    /// What is left of a target that is only these.
    fn keep(only: &[Self], target: &mut PinnedTarget) {
        target.processes.retain(|own| only.iter().any(|part| matches!(part, Self::Process(p) if p == own)));
        target.objects.retain(|own| only.iter().any(|part| matches!(part, Self::Object(o) if o == own)));
    }
}

/// The id of a fault's part: the first has the step's own, so that limits and objectives count from it.
fn part(step: &StepId, number: usize) -> FaultId {
    if number == 0 { FaultId(step.to_string()) } else { FaultId(format!("{step}.{}", number + 1)) }
}

/// Is it this fault, or a part of it?
pub(super) fn belongs(fault: &FaultId, to: &FaultId) -> bool {
    let rest = fault.as_str().strip_prefix(to.as_str());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// So many of `all`; a share is rounded down, and is at least one.
pub(super) fn amount(of: AtMost, all: usize) -> usize {
    match of {
        AtMost::Count(count) => count as usize,
        AtMost::Share(share) => ((share * all as f64 + 1e-9).floor() as usize).max(1),
    }
}

/// The chosen ones in their order.
pub(super) fn choose(mut from: Vec<Choice>, order: Order, seed: u64, count: usize) -> Vec<Choice> {
    match order {
        Order::Listed => {}
        Order::ByName => from.sort_by(|a, b| a.name.cmp(&b.name)),
        // The order of digests of seed and place: the same for the same seed on every machine.
        Order::Random => {
            let mut drawn: Vec<_> = from.into_iter().enumerate().map(|(at, choice)| (draw(seed, at), choice)).collect();
            drawn.sort_by_key(|(drawn, _)| *drawn);
            from = drawn.into_iter().map(|(_, choice)| choice).collect();
        }
    }
    from.truncate(count);
    from
}

fn draw(seed: u64, at: usize) -> [u8; 32] {
    Sha256::digest(format!("{seed}/{at}")).into()
}

/// A scope in which a pinned target is only some of its parts.
pub(super) struct Narrowed<'a> {
    pub scene: &'a Scene,
    pub target: Option<(String, Vec<Part>)>,
}

impl Scope for Narrowed<'_> {
    fn lookup(&self, reference: &Reference) -> Result<String, String> {
        self.scene.lookup(reference)
    }

    fn target<'a>(&'a self, target: &'a TargetRef) -> Fut<'a, Result<PinnedTarget, String>> {
        Box::pin(async move {
            let mut found = self.scene.target(target).await?;
            if let (TargetRef::Pinned(name), Some((narrowed, only))) = (target, &self.target)
                && name == narrowed
            {
                Part::keep(only, &mut found);
            }
            Ok(found)
        })
    }

    fn url(&self, target: &TargetRef) -> Result<String, String> {
        self.scene.url(target)
    }

    fn spec(&self, target: &TargetRef) -> Result<TargetSpec, String> {
        self.scene.spec(target)
    }

    fn base(&self) -> PathBuf {
        self.scene.base()
    }

    fn vault(&self) -> Vault {
        self.scene.vault()
    }
}

type Ready = (FaultIntent, PreparedFault);

impl Drill<'_> {
    /// The `inject` verb on several targets, or on some of a target's parts.
    pub async fn inject_several(&self, step: &StepPlan, plan: &InjectPlan) -> VerbEnd {
        let began = self.now();
        let wrong = |error: String| VerbEnd::new(StepOutcome::Errored { error }, Span::new(began, self.now()));
        let members = match self.members(step, plan).await {
            Ok(members) => members,
            Err(error) => return wrong(error),
        };
        let mut ready: Vec<Ready> = Vec::new();
        for member in &members {
            match self.prepare(step, plan, member).await {
                Ok(one) => ready.push(one),
                Err(error) => {
                    // What was kept for those before it is not needed: nothing is broken.
                    members.iter().take(ready.len() + 1).for_each(|m| self.forget(&m.id));
                    return wrong(error);
                }
            }
        }
        let ends = self.inject_all(step, plan.spread.stagger, ready).await;
        let whole = Span::new(ends.first().map_or(began, |e| e.span.lo), ends.last().map_or(began, |e| e.span.hi));
        let looks = ends.iter().map(|end| end.looks).sum();
        let failed = ends.into_iter().map(|end| end.outcome).find(|o| !matches!(o, StepOutcome::Passed { .. }));
        let outcome = match failed {
            None => StepOutcome::Passed { detail: format!("{} parts are broken", members.len()) },
            Some(outcome) => {
                self.heal_set(&part(&step.id, 0), &HealCause::Step(step.id.clone())).await;
                outcome
            }
        };
        VerbEnd { looks, ..VerbEnd::new(outcome, whole) }
    }

    /// What was kept for putting it back is not needed: it was never broken.
    fn forget(&self, fault: &FaultId) {
        if let Err(why) = self.scene.vault().erase(&self.scene.cx_for(fault).owner) {
            self.say(format!("what was kept for `{fault}` could not be erased: {why}"));
        }
    }

    /// One after the other with time between them, or all at once. The first that fails ends it.
    async fn inject_all(&self, step: &StepPlan, stagger: Duration, ready: Vec<Ready>) -> Vec<VerbEnd> {
        if stagger.is_zero() {
            let all = ready.into_iter().map(|(intent, prepared)| self.injection(step, intent, prepared));
            return futures_util::future::join_all(all).await;
        }
        let (mut ends, mut due) = (Vec::new(), self.now());
        let mut goes_on = true;
        for (intent, prepared) in ready {
            if goes_on && self.unless_stopped(self.world.clock.sleep_until(due)).await.is_err() {
                ends.push(VerbEnd::new(StepOutcome::Aborted, Span::point(self.now())));
                goes_on = false;
            }
            if !goes_on {
                self.forget(&intent.fault);
                continue;
            }
            let end = self.injection(step, intent, prepared).await;
            // From when this one may have begun: no two are nearer to each other than the playbook says.
            due = end.span.lo.after(stagger);
            goes_on = matches!(end.outcome, StepOutcome::Passed { .. });
            ends.push(end);
        }
        ends
    }

    /// Who is chosen.
    async fn members(&self, step: &StepPlan, plan: &InjectPlan) -> Result<Vec<Member>, String> {
        let faults: Vec<&FaultSpec> = std::iter::once(&plan.fault).chain(&plan.more).collect();
        let mut all = Vec::new();
        for (at, fault) in faults.iter().enumerate() {
            all.extend(self.choices(at, fault).await?);
        }
        let count = plan.spread.pick.map_or(all.len(), |pick| amount(pick, all.len()));
        let most = plan.at_most.map_or(all.len(), |most| match most {
            AtMost::Count(count) => count as usize,
            AtMost::Share(share) => (share * all.len() as f64 + 1e-9).floor() as usize,
        });
        if count > all.len() {
            return Err(format!("`pick` wants {count}, and there are {}", all.len()));
        }
        if count > most {
            return Err(format!("it would touch {count} of {}, and `at_most` allows {most}", all.len()));
        }
        let seed = plan.spread.seed.unwrap_or_else(|| self.seed(step));
        let there = all.len();
        let chosen = choose(all, plan.spread.order, seed, count);
        let names: Vec<&str> = chosen.iter().map(|choice| choice.name.as_str()).collect();
        let order = match plan.spread.order {
            Order::Listed => "as listed".to_owned(),
            Order::ByName => "by name".to_owned(),
            Order::Random => format!("in random order, seed {seed}"),
        };
        self.say(format!("`{}` breaks {count} of {there} ({order}): {}", step.id, names.join(", ")));
        Ok(group(step, &faults, &chosen, plan.spread.stagger.is_zero()))
    }

    /// A seed that the run's name says, so that it is recorded.
    fn seed(&self, step: &StepPlan) -> u64 {
        let digest = Sha256::digest(format!("{}/{}", self.options.run, step.id));
        digest.iter().take(6).fold(0, |seed, byte| seed << 8 | u64::from(*byte))
    }

    async fn choices(&self, fault: usize, spec: &FaultSpec) -> Result<Vec<Choice>, String> {
        let Some(target) = spec.targets().first().copied() else {
            return Ok(vec![Choice { fault, part: None, name: spec.kind().to_owned() }]);
        };
        let found = self.scene.target(target).await?;
        let whole = Choice { fault, part: None, name: target.name().to_owned() };
        if !spec.splits() || matches!(target, TargetRef::Now(_)) {
            return Ok(vec![whole]);
        }
        if !found.objects.is_empty() {
            let one = |object: ObjectRef| {
                let name = format!("{} ({object})", target.name());
                Choice { fault, part: Some(Part::Object(object)), name }
            };
            return Ok(found.objects.into_iter().map(one).collect());
        }
        let mut choices = Vec::new();
        for process in found.processes {
            let state = self.world.processes.state(&process).map_err(|e| e.to_string())?;
            if !matches!(state, ProcessState::Gone | ProcessState::Dying) {
                let name = format!("{} ({} pid {})", target.name(), process.name, process.pid);
                choices.push(Choice { fault, part: Some(Part::Process(process)), name });
            }
        }
        if choices.is_empty() {
            Err(format!("nothing to break: `{}` is already dead", target.name()))
        } else {
            Ok(choices)
        }
    }

    /// Everything open of a fault and its parts, newest first.
    pub fn open_set(&self, id: &FaultId) -> Vec<Arc<OpenFault>> {
        self.open_faults().into_iter().filter(|open| belongs(&open.intent.fault, id)).collect()
    }

    /// Heals a fault with all its parts; why some could not be healed.
    pub async fn heal_set(&self, id: &FaultId, cause: &HealCause) -> Vec<String> {
        let mut stuck = Vec::new();
        for open in self.open_set(id) {
            stuck.extend(self.heal(&open, cause.clone()).await.err());
        }
        stuck
    }
}

/// What is injected as one: a target each, or with time between them each choice.
fn group(step: &StepPlan, faults: &[&FaultSpec], chosen: &[Choice], together: bool) -> Vec<Member> {
    let mut sets: Vec<(usize, Vec<Part>)> = Vec::new();
    for choice in chosen {
        match sets.iter_mut().find(|(fault, _)| *fault == choice.fault && together) {
            Some((_, parts)) => parts.extend(choice.part.clone()),
            None => sets.push((choice.fault, choice.part.iter().cloned().collect())),
        }
    }
    let member = |(number, (fault, only)): (usize, (usize, Vec<Part>))| Member {
        id: part(&step.id, number),
        fault: faults[fault].clone(),
        only: (!only.is_empty()).then_some(only),
    };
    sets.into_iter().enumerate().map(member).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choices(names: &[&str]) -> Vec<Choice> {
        names.iter().map(|name| Choice { fault: 0, part: None, name: (*name).to_owned() }).collect()
    }

    fn names(chosen: &[Choice]) -> Vec<&str> {
        chosen.iter().map(|choice| choice.name.as_str()).collect()
    }

    #[test]
    fn a_share_is_rounded_down_and_is_at_least_one() {
        for (share, all, count) in
            [(0.33, 3, 1), (0.34, 3, 1), (0.5, 3, 1), (2.0 / 3.0, 3, 2), (1.0, 3, 3), (0.1, 3, 1)]
        {
            assert_eq!(amount(AtMost::Share(share), all), count, "{share} of {all}");
        }
        assert_eq!(amount(AtMost::Count(5), 3), 5);
    }

    #[test]
    fn the_order_is_as_listed_by_name_or_drawn_from_a_seed() {
        let all = || choices(&["c", "a", "d", "b"]);
        assert_eq!(names(&choose(all(), Order::Listed, 0, 2)), ["c", "a"]);
        assert_eq!(names(&choose(all(), Order::ByName, 0, 3)), ["a", "b", "c"]);
        let drawn = |seed| names(&choose(all(), Order::Random, seed, 4)).join("");
        assert_eq!(drawn(7), drawn(7));
        assert!((0..20).any(|seed| drawn(seed) != drawn(7)), "a seed decides");
        let mut sorted: Vec<char> = drawn(7).chars().collect();
        sorted.sort_unstable();
        assert_eq!(sorted, ['a', 'b', 'c', 'd'], "each once");
    }

    #[test]
    fn a_target_is_narrowed_to_the_objects_that_were_chosen() {
        let object = |name: &str| ObjectRef {
            api: "v1".into(),
            kind: "Pod".into(),
            namespace: Some("shop".into()),
            name: name.into(),
            uid: format!("uid of {name}"),
            node: None,
            zone: None,
        };
        let mut target =
            PinnedTarget { objects: vec![object("a"), object("b"), object("c")], ..PinnedTarget::default() };
        Part::keep(&[Part::Object(object("b"))], &mut target);
        assert_eq!(target.objects, [object("b")]);
        let chosen =
            ["a", "b", "c"].map(|name| Choice { fault: 0, part: Some(Part::Object(object(name))), name: name.into() });
        let most = amount(AtMost::Share(0.34), chosen.len());
        assert_eq!(choose(chosen.to_vec(), Order::ByName, 0, most).len(), 1);
    }

    #[test]
    fn parts_belong_to_their_fault_and_to_no_other() {
        let step = StepId::from("dies");
        assert_eq!((part(&step, 0).as_str(), part(&step, 2).as_str()), ("dies", "dies.3"));
        let fault = FaultId::from("dies");
        assert!(belongs(&part(&step, 0), &fault) && belongs(&part(&step, 9), &fault));
        assert!(!belongs(&FaultId::from("dies_too"), &fault) && !belongs(&FaultId::from("other"), &fault));
    }
}
