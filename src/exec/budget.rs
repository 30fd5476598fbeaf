//! The error budget of a workload as a guard: how much of it has been used. Live figures are good enough to stop a drill;
//! nothing is judged by them.

use crate::model::{Mono, WorkloadStats};
use crate::plan::Budget;
use std::collections::VecDeque;
use std::time::Duration;

const OVER: Duration = Duration::from_secs(30);
/// Looks are a second apart if nothing else is written; more are thinned out.
const MOST: usize = 10_000;

/// What has been counted since the guard was armed.
#[derive(Debug, Default)]
pub(super) struct Used {
    first: Option<Count>,
    window: VecDeque<Count>,
}

#[derive(Debug, Clone, Copy)]
struct Count {
    at: Mono,
    due: u64,
    bad: u64,
}

impl Used {
    /// What is wrong, if more is used than the budget allows.
    pub fn look(&mut self, budget: &Budget, stats: Option<&WorkloadStats>, at: Mono) -> Result<(), String> {
        let Some(stats) = stats else { return Err(format!("the workload `{}` does not run", budget.workload)) };
        let now = Count { at, due: stats.due, bad: stats.fail + stats.unknown + stats.missed };
        let first = *self.first.get_or_insert(now);
        let over = budget.over.map_or(OVER, |over| over.0);
        self.window.push_back(now);
        // The oldest one that is kept is the first outside the window, so that the window is whole.
        while self.window.len() > MOST || self.window.get(1).is_some_and(|second| at.since(second.at) >= over) {
            self.window.pop_front();
        }
        let bad = now.bad - first.bad;
        if let Some(most) = budget.bad.filter(|most| bad > *most) {
            return Err(format!("{bad} operations of `{}` were bad, the budget is {most}", budget.workload));
        }
        let oldest = self.window.front().copied().unwrap_or(now);
        let (bad, due) = (now.bad - oldest.bad, now.due - oldest.due);
        let share = bad as f64 / due.max(1) as f64;
        match &budget.share {
            Some(most) if share > most.0 => {
                Err(format!("{bad} of {due} operations of `{}` were bad, the budget is {most}", budget.workload))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Dur, Percent};

    fn stats(due: u64, fail: u64) -> WorkloadStats {
        WorkloadStats { due, ok: due - fail, fail, ..WorkloadStats::none("page".into()) }
    }

    fn after(seconds: i64) -> Mono {
        Mono(seconds * 1_000_000_000)
    }

    #[test]
    fn a_number_counts_from_the_first_look() {
        let budget = Budget { workload: "page".into(), bad: Some(10), share: None, over: None };
        let mut used = Used::default();
        assert!(used.look(&budget, Some(&stats(100, 50)), after(0)).is_ok(), "what was before does not count");
        assert!(used.look(&budget, Some(&stats(200, 60)), after(1)).is_ok());
        let why = used.look(&budget, Some(&stats(300, 61)), after(2)).unwrap_err();
        assert_eq!(why, "11 operations of `page` were bad, the budget is 10");
        assert!(used.look(&budget, None, after(3)).unwrap_err().contains("does not run"));
    }

    #[test]
    fn a_share_counts_in_its_window_only() {
        let over = Some(Dur(Duration::from_secs(10)));
        let budget = Budget { workload: "page".into(), bad: None, share: Some(Percent(0.5)), over };
        let mut used = Used::default();
        for second in 0..20 {
            assert!(used.look(&budget, Some(&stats(100 * second, 0)), after(second as i64)).is_ok());
        }
        // All is bad from now on: half of the window after five seconds more.
        let broken = (20..40).find(|s| {
            let all = 100 * s;
            used.look(&budget, Some(&stats(all, all - 1_900)), after(*s as i64)).is_err()
        });
        assert_eq!(broken, Some(25));
    }
}
