//! Fingerprints of the user's own data: taken in the steady state before the outage, and again at the end when the load
//! has stopped. What a difference means is `analysis`'s business; the names of what differs are noted here, because only
//! the runner has both listings.

use super::drill::{Broken, Drill};
use super::scene::Scene;
use crate::adapters::data::Taken;
use crate::event::{FingerprintTaken, Moment, What};
use crate::model::{Expectation, Named, Span, TargetRef};
use crate::plan::FingerprintPlan;
use std::time::Duration;

/// A fingerprint at the end is tried so often: a server may have been promoted a moment ago.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);

impl Drill<'_> {
    /// All of them, before anything is broken. What cannot be taken now could not be compared later: nothing is touched then.
    pub async fn fingerprints_before(&self) -> Result<(), Broken> {
        let mut reasons = Vec::new();
        for plan in &self.plan.fingerprints {
            match self.unless_stopped(self.fingerprint(plan, Moment::Before)).await? {
                Ok(taken) => self.scene.set_before(&plan.name, taken),
                Err(why) if plan.expect == Expectation::Same => {
                    reasons.push(format!("the fingerprint `{}` cannot be taken: {why}", plan.name));
                }
                Err(_) => {}
            }
        }
        if reasons.is_empty() { Ok(()) } else { Err(Broken::Preflight(reasons)) }
    }

    /// All of them, when all is over.
    pub async fn fingerprints_after(&self) {
        for plan in &self.plan.fingerprints {
            let _taken = self.fingerprint(plan, Moment::After).await;
        }
    }

    /// Takes one and notes it, also that it could not be taken.
    async fn fingerprint(&self, plan: &FingerprintPlan, moment: Moment) -> Result<Taken, String> {
        let attempts = if moment == Moment::After { ATTEMPTS } else { 1 };
        let (mut span, mut taken) = (Span::point(self.now()), Err(String::new()));
        for attempt in 0..attempts {
            if attempt > 0 {
                self.world.clock.sleep_until(self.now().after(PAUSE)).await;
            }
            let began = self.now();
            taken = self.scene.take(plan).await.and_then(|taken| match moment {
                Moment::Before if !taken.absent.is_empty() => {
                    Err(format!("there is no such thing: {}", taken.absent.join(", ")))
                }
                _ => Ok(taken),
            });
            span = Span::new(began, self.now());
            if taken.is_ok() {
                break;
            }
        }
        let (found, named, error) = match &taken {
            Ok(taken) => {
                let named = if moment == Moment::After { self.scene.named(&plan.name, taken) } else { None };
                (Some(taken.print.clone()), named, None)
            }
            Err(why) => (None, None, Some(why.clone())),
        };
        let name = plan.name.clone();
        self.note(What::Fingerprint(Box::new(FingerprintTaken { name, moment, span, found, named, error })));
        taken
    }
}

impl Scene {
    /// Takes a fingerprint now.
    async fn take(&self, plan: &FingerprintPlan) -> Result<Taken, String> {
        plan.spec.take(&self.cx(), &plan.own, plan.within).await.map_err(|error| error.to_string())
    }

    /// What differs by name from what was before, if anything does and names are known.
    fn named(&self, name: &str, now: &Taken) -> Option<Named> {
        let before = self.before(name)?;
        let (before, now) = (before.listing.as_ref()?, now.listing.as_ref()?);
        Some(before.compare(now)).filter(|named| *named != Named::default())
    }

    /// What of a fingerprint is not as it was before the outage; of a copy at another target, if one is given.
    pub(super) async fn differences_now(&self, name: &str, at: Option<&TargetRef>) -> Result<Vec<String>, String> {
        let mut plan = self.fingerprint_plan(name).ok_or_else(|| format!("there is no fingerprint `{name}`"))?.clone();
        if let Some(target) = at {
            let kind = plan.spec.kind();
            plan.spec =
                plan.spec.at(target).ok_or_else(|| format!("`{name}` is of kind {kind}, which has no target"))?;
        }
        let before = self.before(name).ok_or_else(|| format!("`{name}` was not taken before the outage"))?;
        let now = self.take(&plan).await?;
        let mut differences = before.print.differences(&now.print);
        if !differences.is_empty() {
            differences.extend(self.named(name, &now).map(|named| named.words()));
        }
        Ok(differences)
    }
}
