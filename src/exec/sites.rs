//! The sites of a ledger: each is read back by itself, and after a heal all are looked at until they hold the same.
//! What differs, and how long it took, is `analysis`'s business.

use super::drill::Drill;
use super::load::Runner;
use super::sampler;
use crate::adapters::tally::{Frontier, Tally};
use crate::adapters::{ClientSettings, LedgerStore};
use crate::event::{ReadBackDone, ReadBackStage, SitesLook, What};
use crate::journal::readback;
use crate::model::{Mono, Span};
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
    /// Opens the sites that a ledger names; connections may still be made lazily.
    pub async fn open_sites(&self, plan: &WorkloadPlan) -> Result<Sites, String> {
        let mut list = Vec::new();
        let WorkloadSpec::Ledger(ledger) = &plan.spec else { return Ok(Sites::default()) };
        for (name, site) in ledger.sites.iter().filter(|_| plan.probe_of.is_none()) {
            let target = self.plan.targets.get(&site.target).map(|t| &t.spec);
            let opened = sampler::endpoint(plan, target, &self.options.run, &self.scene.cx());
            let (endpoint, settings) = opened.map_err(|e| format!("site `{name}`: {e}"))?;
            let store = self.world.clients.site(&self.world.clock, &endpoint, &settings).await;
            let store = store.map_err(|e| format!("site `{name}`: {e}"))?;
            list.push(Site { name: name.clone(), store, settings });
        }
        Ok(Sites { list, followed: Mutex::default() })
    }

    /// Reads every site of every ledger back, all sites of one at the same time.
    pub async fn read_back_sites(&self, stage: ReadBackStage) {
        for runner in self.load.all() {
            join_all(runner.sites.list.iter().map(|site| self.read_back_site(&runner, site, stage))).await;
        }
    }

    async fn read_back_site(&self, runner: &Runner, site: &Site, stage: ReadBackStage) {
        let (limit, attempts) = match stage {
            ReadBackStage::Early => (EARLY_LIMIT, 1),
            ReadBackStage::Final => (self.options.limits.read_back, FINAL_ATTEMPTS),
        };
        let began = Some(self.now());
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
                let done = readback::write(&self.dir, &runner.plan.name, stage, &site.name, &findings);
                done.map_err(|e| e.to_string())
            });
            match written {
                Ok(done) => return self.note(What::ReadBack(ReadBackDone { began, ..done })),
                Err(why) => last = why,
            }
        }
        let (workload, site, error) = (runner.plan.name.clone(), site.name.clone(), Some(last));
        self.note(What::ReadBack(ReadBackDone { workload, stage, site, began, file: None, digest: None, error }));
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
        let look = SitesLook { workload: runner.plan.name.clone(), since, span, same, sites };
        (look, any.then_some(seen))
    }

    /// When the load has stopped: waits for sites that do not hold the same yet, but not for ever.
    pub async fn until_sites_agree(&self) {
        let Some(since) = *self.load.healing.borrow() else { return };
        let all = self.load.all();
        let open = || all.iter().filter(|r| !r.sites.list.is_empty() && !r.sites.followed().same);
        let longest = all.iter().filter_map(|runner| match &runner.plan.spec {
            WorkloadSpec::Ledger(ledger) => ledger.converge.map(|d| since.after(d.0)),
            _ => None,
        });
        let until = longest.max().unwrap_or_default().max(self.now().after(AGREE));
        while open().count() > 0 && self.now() < until {
            self.world.clock.sleep_until(self.now().after(LOOK_EVERY)).await;
        }
        for runner in open() {
            let last = runner.sites.followed().last.take();
            last.into_iter().for_each(|look| self.note(What::Sites(look)));
        }
    }
}
