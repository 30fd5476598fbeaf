//! The workloads of a run: opened, started, watched for health, stopped, read back. How operations are scheduled and
//! written down is in `sampler`.

use super::drill::{Broken, Drill};
use super::sampler::{self, Sampler};
use super::sites::Sites;
use super::source::Source;
use super::vantage::{Assignment, Link};
use crate::event::{ReadBackDone, ReadBackStage, What};
use crate::journal::{ops::OpsWriter, readback};
use crate::model::{Mono, Service, WorkloadName, WorkloadStats};
use crate::plan::{StepPlan, Verb, WorkloadPlan};
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// From starting the schedules to their first operation, so that all begin together.
const HEAD_START: Duration = Duration::from_millis(50);
/// The early read-back must not hold the drill up.
const EARLY_LIMIT: Duration = Duration::from_secs(10);
/// So long it waits for the service to answer, once the system has saved itself.
const EARLY_WAIT: Duration = Duration::from_secs(2);
const EARLY_LOOK: Duration = Duration::from_millis(50);
/// A final read-back is tried so often.
const FINAL_ATTEMPTS: u32 = 3;
/// Between two marks of an operations log in the journal.
const MARK_EVERY: Duration = Duration::from_secs(2);

/// All workloads that run.
#[derive(Default)]
pub(super) struct Load {
    runners: Mutex<Vec<Arc<Runner>>>,
    vantages: Mutex<Vec<Arc<Link>>>,
    /// When something last began to heal: the sites are looked at from then on.
    pub healing: watch::Sender<Option<Mono>>,
}

pub(super) struct Runner {
    pub plan: WorkloadPlan,
    source: Source,
    pub sites: Sites,
    health: Mutex<Health>,
}

/// What is known of a workload's service from its live figures: for deciding how long to go on, never for judging.
struct Health {
    good_since: Option<Mono>,
    /// Since when the runner has seen enough of the service to say how it is.
    seen_since: Option<Mono>,
    /// Did it only succeed between the last two looks?
    answers: bool,
    ok: u64,
    bad: u64,
    missed: u64,
    marked: Mono,
    blocks: u64,
    /// Do its operations come? Not before it is started, and not after it is stopped.
    running: bool,
}

/// Was the last second as the service is to be?
fn is_good(stats: &WorkloadStats, service: &Service, rate: f64) -> bool {
    let share = stats.recent_ok as f64 / stats.recent_done.max(1) as f64;
    // Below two a second an empty second says nothing.
    let busy = stats.recent_done as f64 >= (rate / 2.0).floor();
    // Where every operation counts, one that was late is enough.
    let slowest = if service.availability >= 1.0 { stats.recent_max } else { stats.recent_p99 };
    let deadline = i64::try_from(service.deadline.as_nanos()).unwrap_or(i64::MAX);
    let quick = slowest.is_none_or(|slowest| slowest <= deadline);
    (share >= service.availability || stats.recent_done == 0) && busy && quick
}

/// Did the runner come in time to at least half of what was due in the last second? The analysis asks the same of every
/// window: what nobody saw does not count as service.
fn is_seen(stats: &WorkloadStats, rate: f64) -> bool {
    stats.recent_late == 0 || stats.recent_done.saturating_sub(stats.recent_late) as f64 >= (rate / 2.0).floor()
}

impl Runner {
    /// Looks at the last second.
    fn look(&self, stats: &WorkloadStats, now: Mono) {
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        let bad = stats.fail + stats.unknown + stats.missed;
        // A look may come late, and what was bad since the last one is not recent any more; the totals know.
        let spoiled = self.plan.service.availability >= 1.0 && bad != health.bad;
        if is_good(stats, &self.plan.service, self.plan.rate) && stats.missed == health.missed && !spoiled {
            health.good_since.get_or_insert(now);
        } else {
            health.good_since = None;
        }
        if is_seen(stats, self.plan.rate) {
            health.seen_since.get_or_insert(now);
        } else {
            health.seen_since = None;
        }
        health.answers = stats.ok > health.ok && bad == health.bad;
        (health.missed, health.ok, health.bad) = (stats.missed, stats.ok, bad);
    }

    fn good_since(&self) -> Option<Mono> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner).good_since
    }

    fn good_for(&self, now: Mono) -> Duration {
        self.good_since().map_or(Duration::ZERO, |since| now.since(since))
    }

    fn seen_for(&self, now: Mono) -> Duration {
        let seen_since = self.health.lock().unwrap_or_else(PoisonError::into_inner).seen_since;
        seen_since.map_or(Duration::ZERO, |since| now.since(since))
    }

    fn answers(&self) -> bool {
        self.health.lock().unwrap_or_else(PoisonError::into_inner).answers
    }

    /// So long it must have been good until "sustained" can be decided: the stable time, a window, a deadline.
    fn decided_after(&self) -> Duration {
        let window = Duration::from_secs_f64((20.0 / self.plan.rate.max(0.001)).clamp(1.0, 3600.0));
        self.plan.service.stable + window + self.plan.service.deadline + Duration::from_secs(1)
    }
}

impl Load {
    pub fn all(&self) -> Vec<Arc<Runner>> {
        self.runners.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What all say about themselves; their health is looked at on the way.
    pub fn stats(&self, now: Mono) -> Vec<WorkloadStats> {
        let each = self.all().into_iter().map(|runner| {
            let stats = runner.source.stats();
            runner.look(&stats, now);
            stats
        });
        each.collect()
    }

    /// Those that have not been good for so long, with what their last second looked like.
    pub fn not_good_for(&self, time: Duration, now: Mono) -> Vec<String> {
        let bad = self.all().into_iter().filter(|runner| runner.good_for(now) < time);
        bad.map(|runner| {
            let stats = runner.source.stats();
            let (ok, done) = (stats.recent_ok, stats.recent_done);
            format!("workload `{}`: {ok} of {done} operations were ok in the last second", runner.plan.name)
        })
        .collect()
    }

    /// Will nothing be known of this one any more?
    pub fn is_lost(&self, name: &WorkloadName) -> bool {
        self.all().iter().any(|runner| runner.plan.name == *name && runner.source.is_lost())
    }

    /// Those of whose service nothing will be known any more.
    pub fn lost(&self) -> Vec<String> {
        let lost = self.all().into_iter().filter(|runner| runner.source.is_lost());
        lost.map(|runner| format!("workload `{}`: its vantage is gone", runner.plan.name)).collect()
    }

    /// Those whose sustained service cannot be decided yet. One that no fault has disturbed must have held since the last,
    /// not only before it.
    pub fn undecided(&self, now: Mono, last_fault: Mono) -> Vec<String> {
        let all = self.all();
        let good = |r: &Runner| r.good_for(now).min(r.seen_for(now)).min(now.since(last_fault));
        // Of one that nobody drives any more nothing will be decided.
        let open = all.iter().filter(|r| !r.source.is_lost() && good(r) < r.decided_after());
        open.map(|runner| runner.plan.name.to_string()).collect()
    }

    /// Does every ledger's service answer right now? Of one that is written at several sites, one of them is enough.
    fn ledgers_answer(&self) -> bool {
        let mut answers: BTreeMap<WorkloadName, bool> = BTreeMap::new();
        for runner in self.all().iter().filter(|r| r.source.is_ledger()) {
            *answers.entry(runner.plan.whole().clone()).or_default() |= runner.answers();
        }
        answers.into_values().all(|answers| answers)
    }

    /// Sites of a ledger that is written at each: those whose own writers, or whose probe, get no answer right now.
    pub fn silent(&self, of: &WorkloadName) -> Vec<String> {
        let all = self.all();
        let quiet = |part: &WorkloadName| {
            let theirs = all.iter().filter(|r| r.plan.name == *part || r.plan.probe_of.as_ref() == Some(part));
            theirs.into_iter().any(|r| !r.answers() && r.good_since().is_none())
        };
        let silent = all.iter().filter(|r| r.plan.whole() == of && quiet(&r.plan.name));
        silent.filter_map(|r| r.plan.site.as_ref().map(|site| site.name.clone())).collect()
    }

    fn has_ledger(&self) -> bool {
        self.all().iter().any(|r| r.source.is_ledger())
    }
}

impl Drill<'_> {
    /// Opens every workload and starts all schedules together.
    pub async fn start_load(&self) -> Result<(), Broken> {
        let mut reasons = Vec::new();
        // Not broken off half-way: a process that has only just begun is not known yet.
        let opened = self.open_vantages().await;
        let stopped = |why| if self.stop.requested().is_some() { Broken::Stopped } else { Broken::Preflight(why) };
        let (vantages, mut seats) = opened.map_err(stopped)?;
        *self.load.vantages.lock().unwrap_or_else(PoisonError::into_inner) = vantages;
        for plan in &self.plan.workloads {
            let seat = seats.remove(&plan.name);
            let opened = async {
                match seat {
                    // A vantage holds no ledger, so there are no sites.
                    Some(seat) => Ok(self.runner(plan, Source::There(seat), Sites::default())),
                    None => self.open_workload(plan).await,
                }
            };
            match self.unless_stopped(opened).await? {
                Ok(runner) => self.load.runners.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::new(runner)),
                Err(why) => reasons.push(format!("workload `{}`: {why}", plan.name)),
            }
        }
        let origin = self.now().after(HEAD_START);
        for runner in self.load.all().iter().filter(|_| reasons.is_empty()) {
            match runner.source.start(origin) {
                Ok(()) => {
                    self.note(What::WorkloadStarted { workload: runner.plan.name.clone(), origin });
                    runner.health.lock().unwrap_or_else(PoisonError::into_inner).running = true;
                }
                Err(why) => return Err(Broken::Preflight(vec![format!("workload `{}`: {why}", runner.plan.name)])),
            }
        }
        if reasons.is_empty() { Ok(()) } else { Err(Broken::Preflight(reasons)) }
    }

    async fn open_workload(&self, plan: &WorkloadPlan) -> Result<Runner, String> {
        let Assignment { endpoint, settings, .. } = self.assignment(plan)?;
        let ops = OpsWriter::create(&self.dir, &plan.name).map_err(|e| e.to_string())?;
        let recorder: Arc<dyn sampler::Recorder> = Arc::clone(&self.record) as _;
        let opened = Sampler::open(self.world, plan, endpoint, settings, ops, recorder).await;
        let sampler = opened.map_err(|e| format!("it cannot be opened: {e}"))?;
        let sites = self.open_sites(plan).await?;
        Ok(self.runner(plan, Source::Here(Box::new(sampler)), sites))
    }

    fn runner(&self, plan: &WorkloadPlan, source: Source, sites: Sites) -> Runner {
        let marked = self.now();
        let health = Health {
            good_since: None,
            seen_since: None,
            answers: false,
            ok: 0,
            bad: 0,
            missed: 0,
            marked,
            blocks: 0,
            running: false,
        };
        Runner { plan: plan.clone(), source, sites, health: Mutex::new(health) }
    }

    /// Notes how far the operations logs have got, now and then. A log that cannot be written stops the run.
    pub fn mark_load(&self, now: Mono) {
        for runner in self.load.all() {
            let mut health = runner.health.lock().unwrap_or_else(PoisonError::into_inner);
            if !health.running || now.since(health.marked) < MARK_EVERY {
                continue;
            }
            health.marked = now;
            match runner.source.mark() {
                Ok(Some(mark)) if mark.blocks > health.blocks => {
                    health.blocks = mark.blocks;
                    self.note(What::OpsMark(mark));
                }
                Ok(_) => {}
                Err(error) => self.record.failing(&error.to_string()),
            }
        }
    }

    /// Ends all schedules, waits for what is in flight, and completes the logs.
    pub async fn stop_load(&self) {
        let all = self.load.all();
        join_all(all.iter().map(|runner| async move {
            let ran = {
                let mut health = runner.health.lock().unwrap_or_else(PoisonError::into_inner);
                std::mem::replace(&mut health.running, false)
            };
            match runner.source.stop().await {
                Ok(Some(mark)) if ran => self.note(What::WorkloadStopped(mark)),
                Ok(_) => {}
                Err(error) => self.record.failing(&error.to_string()),
            }
        }))
        .await;
        let vantages = std::mem::take(&mut *self.load.vantages.lock().unwrap_or_else(PoisonError::into_inner));
        for left in join_all(vantages.iter().map(|vantage| vantage.end())).await.into_iter().filter_map(Result::err) {
            self.say(format!("{left}; it ends by itself, and `blackstart recover` removes it"));
        }
    }

    /// Before the first step that heals: what is there now, for loss that only the healing causes is told apart by it.
    /// Only while the service answers: a drill must not wait for it.
    pub async fn read_back_before_healing(&self, step: &StepPlan) {
        if matches!(step.verb, Verb::Heal(_)) || step.closes.is_some() {
            self.early_read_back().await;
            self.load.healing.send_replace(Some(self.now()));
        }
    }

    /// The early read-back, at most once, while a fault is open and the service answers. It is waited for a moment
    /// only when the system has saved itself: otherwise the wait would make the outage longer.
    pub async fn early_read_back(&self) {
        let open = !self.open_faults().is_empty() && self.load.has_ledger();
        if !open || self.progress().early_read_back {
            return;
        }
        let saved = self.progress().failed_over;
        let until = self.now().after(if saved { EARLY_WAIT } else { Duration::ZERO });
        while !self.load.ledgers_answer() {
            let next = self.world.clock.sleep_until(self.now().after(EARLY_LOOK));
            if self.now() >= until || self.unless_stopped(next).await.is_err() {
                return;
            }
        }
        self.progress().early_read_back = true;
        let read_back = async {
            self.read_back(ReadBackStage::Early).await;
            self.read_back_sites(ReadBackStage::Early).await;
        };
        let _stopped = self.unless_stopped(read_back).await;
    }

    /// Reads every ledger back. One that is written at each site has no service in front of them: only they are read.
    pub async fn read_back(&self, stage: ReadBackStage) {
        for runner in self.load.all().iter().filter(|r| r.source.is_ledger() && r.plan.site.is_none()) {
            let began = Some(self.now());
            let (limit, attempts) = match stage {
                ReadBackStage::Early => (EARLY_LIMIT, 1),
                ReadBackStage::Final => (self.options.limits.read_back, FINAL_ATTEMPTS),
            };
            let mut last = String::new();
            for _ in 0..attempts {
                match tokio::time::timeout(limit, self.read_back_once(runner, stage)).await {
                    Ok(Ok(done)) => {
                        last.clear();
                        self.note(What::ReadBack(done));
                        break;
                    }
                    Ok(Err(why)) => last = why,
                    Err(_) => last = format!("it was not over within {limit:?}"),
                }
                self.world.clock.sleep_until(self.now().after(Duration::from_millis(500))).await;
            }
            if !last.is_empty() {
                let (workload, site) = (runner.plan.name.clone(), "service".to_owned());
                let error = Some(last);
                let (file, digest) = (None, None);
                self.note(What::ReadBack(ReadBackDone { workload, stage, site, began, file, digest, error }));
            }
        }
    }

    async fn read_back_once(&self, runner: &Runner, stage: ReadBackStage) -> Result<ReadBackDone, String> {
        let began = Some(self.now());
        let findings = runner.source.read_back().await.map_err(|e| e.to_string())?;
        let done = readback::write(&self.dir, &runner.plan.name, stage, "service", &findings);
        done.map(|done| ReadBackDone { began, ..done }).map_err(|e| e.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_late_operation_spoils_a_second_where_every_one_counts() {
        let second = |slowest: i64| WorkloadStats {
            recent_done: 400,
            recent_ok: 400,
            recent_p99: Some(9_000_000),
            recent_max: Some(slowest),
            ..WorkloadStats::none("orders".into())
        };
        let service = |availability| Service { availability, deadline: Duration::from_secs(1), ..Service::default() };
        let late = second(1_500_000_000);
        assert!(is_good(&second(20_000_000), &service(1.0), 400.0));
        assert!(!is_good(&late, &service(1.0), 400.0));
        assert!(is_good(&late, &service(0.99), 400.0), "99 of 100 were in time");
        assert!(!is_good(&second(20_000_000), &service(1.0), 900.0), "half of them did not come");
    }

    #[test]
    fn a_second_in_which_the_runner_came_late_to_half_of_it_was_not_seen() {
        let second =
            |done, late| WorkloadStats { recent_done: done, recent_late: late, ..WorkloadStats::none("orders".into()) };
        assert!(is_seen(&second(400, 0), 400.0) && is_seen(&second(400, 199), 400.0));
        assert!(!is_seen(&second(400, 201), 400.0) && !is_seen(&second(150, 50), 400.0));
        assert!(is_seen(&second(0, 0), 400.0), "that nothing was answered was seen");
        assert!(is_seen(&second(1, 1), 1.0), "one a second is never half of anything");
    }
}
