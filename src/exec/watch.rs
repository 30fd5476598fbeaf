//! What goes on beside the phases all the while: live figures, guards, deadlines of faults, the clock, the runner itself,
//! the limit of the whole drill, and the wish to stop. Nothing here ends by itself.

use super::budget::Used;
use super::drill::Drill;
use super::guards::Said;
use super::kill_switch::Asked;
use super::vigil::Vigil;
use crate::clock::Clock;
use crate::event::{AbortCause, HealCause, StallCause, What};
use crate::model::{Mono, Span, WorkloadStats};
use crate::plan::{GuardCheck, GuardPlan, WorkloadPlan};
use futures_util::future::join_all;
use std::sync::atomic::Ordering;
use std::time::Duration;

const STATS_EVERY: Duration = Duration::from_millis(200);
const CLOCK_EVERY: Duration = Duration::from_millis(500);
const DEADLINE_EVERY: Duration = Duration::from_millis(50);
/// A smaller change of one clock against another is how clocks are kept right.
const STEP: i64 = 50_000_000;
const READINGS: u32 = 5;
const SWITCH_EVERY: Duration = Duration::from_millis(200);

/// How the clocks of this machine stand to one another.
#[derive(Debug, Clone, Copy)]
struct Clocks {
    mono: Mono,
    /// CLOCK_BOOTTIME − CLOCK_MONOTONIC: grows while the machine sleeps.
    slept: i64,
    /// Wall clock − CLOCK_BOOTTIME: jumps when somebody sets the clock.
    wall: i64,
}

impl Clocks {
    /// Three clocks cannot be read at once: a reading that was interrupted is taken again, so that a runner that was
    /// held up in between does not look like a clock that jumped.
    fn read(clock: &Clock) -> Self {
        let mut best = (i64::MAX, Self { mono: clock.mono(), slept: 0, wall: 0 });
        for _ in 0..READINGS {
            let (stamp, boot) = (clock.stamp(), clock.boot_nanos());
            let wall = stamp.wall.timestamp_nanos_opt().unwrap_or_default();
            let took = clock.mono() - stamp.mono;
            if took < best.0 {
                best = (took, Self { mono: stamp.mono, slept: boot - stamp.mono.0, wall: wall - boot });
            }
            if took < STEP / 10 {
                break;
            }
        }
        best.1
    }

    fn changed(self, last: Self) -> Option<StallCause> {
        if (self.slept - last.slept).abs() > STEP {
            Some(StallCause::Suspend)
        } else if (self.wall - last.wall).abs() > STEP {
            Some(StallCause::ClockStep)
        } else {
            None
        }
    }
}

impl Drill<'_> {
    /// Watches until it is dropped.
    pub async fn watch(&self) {
        let guards = join_all(self.plan.guards.iter().map(|guard| self.guard(guard)));
        let switch = async { tokio::join!(self.switch_files(), self.switch_url()) };
        let guardian = self.guardian_lost();
        tokio::join!(
            self.figures(),
            self.follow_sites(),
            self.clocks(),
            self.kept_from_running(),
            self.deadlines(),
            self.whole(),
            self.wishes(),
            self.renew_leases(),
            guards,
            switch,
            guardian
        );
    }

    async fn every(&self, time: Duration) -> Mono {
        self.world.clock.sleep_until(self.now().after(time)).await;
        self.now()
    }

    async fn figures(&self) {
        loop {
            let now = self.every(STATS_EVERY).await;
            let stats = self.load.stats(now);
            if !stats.is_empty() {
                self.record.stats(&stats);
            }
            self.mark_load(now);
        }
    }

    async fn guard(&self, guard: &GuardPlan) {
        let (mut broken, mut used) = (0, Used::default());
        loop {
            self.every(guard.every).await;
            if !self.armed.load(Ordering::SeqCst) {
                continue;
            }
            let began = self.now();
            let held = self.holds(guard, &mut used).await;
            self.looked(guard, Span::new(began, self.now()), if held.is_ok() { Said::Holds } else { Said::Broken });
            let Err(detail) = held else {
                broken = 0;
                continue;
            };
            broken += 1;
            if broken > guard.tolerate && self.stop.requested().is_none() && self.armed.load(Ordering::SeqCst) {
                self.note(What::GuardBroken { guard: guard.name.clone(), detail });
                self.stop.trigger(AbortCause::Guard(guard.name.clone()));
                return;
            }
        }
    }

    /// Budgets are counted all the time; only looks leave gaps.
    fn looked(&self, guard: &GuardPlan, span: Span, said: Said) {
        if matches!(guard.check, GuardCheck::Probe(_)) && self.armed.load(Ordering::SeqCst) {
            self.progress().guards.entry(guard.name.clone()).or_default().add(span, said);
        }
    }

    /// What is wrong with it now.
    async fn holds(&self, guard: &GuardPlan, used: &mut Used) -> Result<(), String> {
        match &guard.check {
            GuardCheck::Probe(probe) => match probe.sample(&self.scene.cx()).await {
                Ok(sample) if sample.holds => Ok(()),
                Ok(sample) => Err(sample.detail),
                // A guard that cannot see protects nothing.
                Err(error) => Err(error.to_string()),
            },
            GuardCheck::Budget(budget) => {
                let (now, all) = (self.now(), self.load.stats(self.now()));
                used.look(budget, self.seen_everywhere(&budget.workload, &all).as_ref(), now)
            }
        }
    }

    /// The figures of a workload; of one that is seen from several places, all of them together. None if nobody looks from
    /// one of them any more: a guard that cannot see protects nothing.
    fn seen_everywhere(&self, name: &str, all: &[WorkloadStats]) -> Option<WorkloadStats> {
        let of = |plan: &&WorkloadPlan| plan.name.as_str() == name || plan.whole().as_str() == name;
        let plans: Vec<&WorkloadPlan> = self.plan.workloads.iter().filter(of).collect();
        if plans.iter().any(|plan| self.load.is_lost(&plan.name)) {
            return None;
        }
        let plans = plans.into_iter();
        plans.filter_map(|plan| all.iter().find(|stats| stats.workload == plan.name)).cloned().reduce(|a, b| {
            let (due, ok, fail) = (a.due + b.due, a.ok + b.ok, a.fail + b.fail);
            WorkloadStats { due, ok, fail, unknown: a.unknown + b.unknown, missed: a.missed + b.missed, ..a }
        })
    }

    /// A machine that slept, or a wall clock that was stepped: that time is neither up nor down.
    async fn clocks(&self) {
        let mut last = Clocks::read(&self.world.clock);
        loop {
            self.every(CLOCK_EVERY).await;
            let now = Clocks::read(&self.world.clock);
            if let Some(cause) = now.changed(last) {
                self.note(What::Stall { span: Span::new(last.mono, now.mono), cause, workload: None });
            }
            last = now;
        }
    }

    /// A runner that was stopped, or got no processor: that time is neither up nor down.
    async fn kept_from_running(&self) {
        let mut vigil = Vigil::begin(&self.world.clock);
        loop {
            let (span, cause) = vigil.next().await;
            self.note(What::Stall { span, cause, workload: None });
        }
    }

    /// A fault whose deadline has passed is healed, whatever the steps do meanwhile.
    async fn deadlines(&self) {
        loop {
            self.every(DEADLINE_EVERY).await;
            // This clock goes on while the machine sleeps, as the guardian's does.
            let now = self.world.clock.boot_nanos();
            for open in self.open_faults() {
                if open.intent.deadline_boot.is_some_and(|due| now >= due) && !open.is_stuck() {
                    let _named_at_the_end = self.heal(&open, HealCause::Deadline).await;
                }
            }
        }
    }

    /// The kill switch as far as files say; steps look at it themselves, too.
    async fn switch_files(&self) {
        loop {
            self.every(SWITCH_EVERY).await;
            self.look_at_switch();
        }
    }

    /// Stops the run if the kill switch is engaged.
    pub fn look_at_switch(&self) {
        if let Some(why) = self.options.kill_switch.engaged() {
            self.stop.trigger(AbortCause::KillSwitch(why));
        }
    }

    /// The kill switch as far as its URL says. One that cannot be asked protects nobody.
    async fn switch_url(&self) {
        let Some(every) = self.options.kill_switch.asks_every() else { return };
        let mut silent = 0;
        loop {
            self.every(every).await;
            match self.options.kill_switch.ask(self.world).await {
                Asked::Released => silent = 0,
                Asked::Engaged(why) => self.stop.trigger(AbortCause::KillSwitch(why)),
                Asked::Silent(why) => {
                    silent += 1;
                    if silent > self.options.kill_switch.tolerates() {
                        self.stop.trigger(AbortCause::KillSwitch(format!("it cannot be asked: {why}")));
                    }
                }
            }
        }
    }

    async fn whole(&self) {
        self.every(self.plan.max_duration).await;
        self.stop.trigger(AbortCause::MaxDuration);
    }

    /// Notes the first wish to stop at once, and answers the later ones.
    async fn wishes(&self) {
        self.stop.wait().await;
        self.note_abort();
        let mut seen = 1;
        loop {
            self.every(DEADLINE_EVERY).await;
            let (wishes, open) = (self.stop.wishes(), self.open_faults());
            if wishes > seen && !open.is_empty() {
                let faults: Vec<String> = open.iter().map(|f| format!("`{}`", f.intent.fault)).collect();
                let (list, pid) = (faults.join(", "), std::process::id());
                self.say(format!("still healing {list}; to leave it broken nevertheless: kill -9 {pid}"));
            }
            seen = wishes;
        }
    }

    /// Notes the wish to stop, once.
    pub fn note_abort(&self) {
        let Some(cause) = self.stop.requested() else { return };
        let noted = std::mem::replace(&mut self.progress().abort_noted, true);
        if !noted {
            self.note(What::AbortRequested { cause });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(slept: i64, wall: i64) -> Clocks {
        Clocks { mono: Mono(0), slept, wall }
    }

    #[test]
    fn a_sleep_and_a_step_are_told_apart_and_slewing_is_neither() {
        let before = at(1_000, 1_700_000_000_000_000_000);
        assert_eq!(at(2_000_001_000, before.wall).changed(before), Some(StallCause::Suspend));
        for jump in [3_600_000_000_000, -3_600_000_000_000, 60_000_000] {
            assert_eq!(at(before.slept, before.wall + jump).changed(before), Some(StallCause::ClockStep));
        }
        // Half a second in which the clock is slewed by 500 ppm, the most that the kernel does.
        assert_eq!(at(before.slept, before.wall + 250_000).changed(before), None);
    }

    #[test]
    fn clocks_that_nobody_touches_do_not_seem_to_move() {
        let clock = Clock::System;
        let first = Clocks::read(&clock);
        for _ in 0..1_000 {
            assert_eq!(Clocks::read(&clock).changed(first), None);
        }
    }
}
