//! The sites of a ledger: each is read back by itself, and after a heal all are looked at until they hold the same.
//! What differs, and how long it took, is `analysis`'s business.

use super::drill::Drill;
use super::load::Runner;
use super::sampler;
use crate::adapters::tally::{Frontier, Tally};
use crate::adapters::{ClientSettings, LedgerStore};
use crate::event::{ReadBackDone, ReadBackStage, SitesLook, What};
use crate::journal::readback;
use crate::model::{Mono, Span, WorkloadName};
use crate::plan::WorkloadPlan;
use crate::workloads::WorkloadSpec;
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Between two looks, or as long as the last one took.
const LOOK_EVERY: Duration = Duration::from_millis(150);
/// A site that does not answer within this time differs.
const LOOK_LIMIT: Duration = Duration::from_secs(5);
/// The early read-back of the sites must not hold the drill up.
const EARLY_LIMIT: Duration = Duration::from_secs(5);
/// When the load has stopped, sites are given so long to become the same, or as long as the playbook says.
const AGREE: Duration = Duration::from_secs(10);
const FINAL_ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);

/// By writer.
type Counts = BTreeMap<u16, Tally>;

/// The sites of one ledger, and what is known of them.
#[derive(Default)]
pub(super) struct Sites {
    list: Vec<Site>,
    followed: Mutex<Followed>,
}

struct Site {
    name: String,
    /// Whose books it closes: the ledger's, or those of the part of it that is written here.
    workload: WorkloadName,
    store: Arc<dyn LedgerStore>,
    settings: ClientSettings,
}

#[derive(Default)]
struct Followed {
    /// Did they hold the same at the last look?
    same: bool,
    /// The last look, if it is not noted.
    last: Option<SitesLook>,
}

impl Sites {
    fn followed(&self) -> MutexGuard<'_, Followed> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drill<'_> {
    /// Opens the sites that a ledger names; connections may still be made lazily. A ledger that is written at each has them
    /// once, with its first part.
    pub async fn open_sites(&self, plan: &WorkloadPlan) -> Result<Sites, String> {
        let mut list = Vec::new();
        let WorkloadSpec::Ledger(ledger) = &plan.spec else { return Ok(Sites::default()) };
        let first = plan.site.as_ref().is_none_or(|site| site.place == 0);
        for (name, site) in ledger.sites.iter().filter(|_| plan.probe_of.is_none() && first) {
            let target = self.plan.targets.get(&site.target).map(|t| &t.spec);
            let opened = sampler::endpoint(plan, target, &self.options.run, &self.scene.cx());
            let (endpoint, settings) = opened.map_err(|e| format!("site `{name}`: {e}"))?;
            let store = self.world.clients.site(&self.world.clock, &endpoint, &settings).await;
            let store = store.map_err(|e| format!("site `{name}`: {e}"))?;
            let own =
                |w: &&WorkloadPlan| w.whole() == plan.whole() && w.site.as_ref().is_some_and(|site| site.name == *name);
            let workload = self.plan.workloads.iter().find(own).unwrap_or(plan).name.clone();
            list.push(Site { name: name.clone(), workload, store, settings });
        }
        Ok(Sites { list, followed: Mutex::default() })
    }

    /// Reads every site of every ledger back, all sites of one at the same time.
    pub async fn read_back_sites(&self, stage: ReadBackStage) {
        for runner in self.load.all() {
            // A site that is down must not hold up what heals it.
            let silent = if stage == ReadBackStage::Early { self.load.silent(runner.plan.whole()) } else { Vec::new() };
            join_all(runner.sites.list.iter().map(|site| async {
                if silent.contains(&site.name) {
                    self.not_read(site, stage, self.now(), "its own clients get no answer".to_owned());
                } else {
                    self.read_back_site(site, stage).await;
                }
            }))
            .await;
        }
    }

    async fn read_back_site(&self, site: &Site, stage: ReadBackStage) {
        let (limit, attempts) = match stage {
            ReadBackStage::Early => (EARLY_LIMIT, 1),
            ReadBackStage::Final => (self.options.limits.read_back, FINAL_ATTEMPTS),
        };
        let first = self.now();
        let mut last = String::new();
        for attempt in 0..attempts {
            if attempt > 0 {
                self.world.clock.sleep_until(self.now().after(PAUSE)).await;
            }
            let began = Some(self.now());
            let found = tokio::time::timeout(limit, sampler::read_back_of(&*site.store, &site.settings)).await;
            let found = found.unwrap_or_else(|_| {
                Err(crate::adapters::AdapterError::TimedOut(format!("it was not over within {limit:?}")))
            });
            let written = found.map_err(|e| e.to_string()).and_then(|findings| {
                let done = readback::write(&self.dir, &site.workload, stage, &site.name, &findings);
                done.map_err(|e| e.to_string())
            });
            match written {
                Ok(done) => return self.note(What::ReadBack(ReadBackDone { began, ..done })),
                Err(why) => last = why,
            }
        }
        self.not_read(site, stage, first, last);
    }

    fn not_read(&self, site: &Site, stage: ReadBackStage, began: Mono, why: String) {
        let (workload, site, began) = (site.workload.clone(), site.name.clone(), Some(began));
        self.note(What::ReadBack(ReadBackDone {
            workload,
            stage,
            site,
            began,
            file: None,
            digest: None,
            error: Some(why),
        }));
    }

    /// From every heal on, looks at the sites until they hold the same; goes on for as long as the run does.
    pub async fn follow_sites(&self) {
        let mut healing = self.load.healing.subscribe();
        while healing.changed().await.is_ok() {
            let mut since = *healing.borrow_and_update();
            while let Some(from) = since {
                let all = self.load.all();
                let follow = join_all(all.iter().filter(|r| !r.sites.list.is_empty()).map(|r| self.follow(r, from)));
                tokio::select! {
                    _all_agree = follow => since = None,
                    _again = healing.changed() => since = *healing.borrow_and_update(),
                }
            }
        }
    }

    /// Looks at the sites of one ledger until they hold the same up to what any of them had at the first look.
    async fn follow(&self, runner: &Runner, since: Mono) {
        let (mut frontier, mut first) = (None, true);
        *runner.sites.followed() = Followed::default();
        loop {
            let (look, seen) = self.look_at_sites(runner, since, frontier.as_ref()).await;
            frontier = frontier.or(seen);
            let (same, span) = (look.same, look.span);
            {
                let mut followed = runner.sites.followed();
                followed.same = same;
                let before = followed.last.take();
                if same {
                    before.into_iter().for_each(|before| self.note(What::Sites(before)));
                }
                if same || first {
                    self.note(What::Sites(look));
                } else {
                    followed.last = Some(look);
                }
            }
            if same {
                return;
            }
            first = false;
            let cost = span.hi.since(span.lo);
            self.world.clock.sleep_until(span.hi.after(cost.max(LOOK_EVERY))).await;
        }
    }

    /// One look at all sites at the same time, and the frontier that it shows if any of them answered.
    async fn look_at_sites(
        &self,
        runner: &Runner,
        since: Mono,
        frontier: Option<&Frontier>,
    ) -> (SitesLook, Option<Frontier>) {
        let lo = self.now();
        let each = runner.sites.list.iter().map(|site| async move {
            let answer = tokio::time::timeout(LOOK_LIMIT, site.store.tally(frontier)).await;
            let answer = answer.map_err(|_| format!("no answer within {LOOK_LIMIT:?}"));
            (site.name.clone(), answer.and_then(|counts| counts.map_err(|e| e.to_string())))
        });
        let found: Vec<(String, Result<Counts, String>)> = join_all(each).await;
        let span = Span::new(lo, self.now());
        let answers: Vec<&Counts> = found.iter().filter_map(|(_, found)| found.as_ref().ok()).collect();
        // What nobody could be asked about is not known to be the same.
        let known = frontier.is_some() || answers.len() == found.len();
        let same = known && answers.len() == found.len() && answers.windows(2).all(|pair| pair[0] == pair[1]);
        let mut seen = Frontier::new();
        for (writer, tally) in answers.iter().flat_map(|counts| counts.iter()) {
            let highest = seen.entry(*writer).or_default();
            *highest = tally.highest.max(*highest);
        }
        let rows = |counts: Counts| counts.values().map(|tally| tally.count).sum();
        let any = !answers.is_empty();
        let sites = found.into_iter().map(|(name, found)| (name, found.map(rows))).collect();
        let look = SitesLook { workload: runner.plan.whole().clone(), since, span, same, sites };
        (look, any.then_some(seen))
    }

    /// When the load has stopped: waits for sites that do not hold the same yet, but not for ever. What one of them lacks
    /// then was not only under way.
    pub async fn until_sites_agree(&self) {
        let since = *self.load.healing.borrow();
        let all = self.load.all();
        let all: Vec<&Arc<Runner>> = all.iter().filter(|runner| !runner.sites.list.is_empty()).collect();
        let converge = |runner: &&Arc<Runner>| match &runner.plan.spec {
            WorkloadSpec::Ledger(ledger) => since.and_then(|since| Some(since.after(ledger.converge?.0))),
            _ => None,
        };
        let until = all.iter().filter_map(converge).max().unwrap_or_default().max(self.now().after(AGREE));
        join_all(all.iter().map(|runner| self.settle_sites(runner, since.is_some(), until))).await;
        for runner in all.iter().filter(|_| since.is_some()) {
            let mut followed = runner.sites.followed();
            let last = if followed.same { None } else { followed.last.take() };
            last.into_iter().for_each(|look| self.note(What::Sites(look)));
        }
    }

    /// Waits until whoever follows them from a heal on has seen them agree, and then until they hold the same to the last
    /// record. That is no convergence, and not noted.
    async fn settle_sites(&self, runner: &Runner, healed: bool, until: Mono) {
        while self.now() < until {
            let agreed = !healed || runner.sites.followed().same;
            if agreed && self.look_at_sites(runner, self.now(), None).await.0.same {
                return;
            }
            self.world.clock.sleep_until(self.now().after(LOOK_EVERY)).await;
        }
    }
}
