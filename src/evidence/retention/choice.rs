//! Which of the runs are removed, and why the others stay. Pure: everything is in what was found.

use super::survey::{Found, Sealing};
use crate::model::{DrillName, RunState, Verdict, period};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;
use std::time::Duration;

/// What the user wishes to keep.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keep {
    /// The newest so many of each drill in each environment.
    pub newest: Option<usize>,
    /// What ended less than so long ago.
    pub younger: Option<Duration>,
    /// Only this drill is looked at.
    pub drill: Option<DrillName>,
    /// Runs that were never sealed may go, too.
    pub unsealed: bool,
}

/// What becomes of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is removed.
    Goes,
    /// It stays, and why.
    Stays(String),
}

/// A run and what becomes of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The run.
    pub found: Found,
    /// What becomes of it.
    pub fate: Fate,
}

/// Decides for every run; the order is that of the runs, which must be by drill, environment and time.
#[must_use]
pub fn choose(runs: Vec<Found>, keep: &Keep, now: DateTime<Utc>) -> Vec<Choice> {
    let mut groups: BTreeMap<(DrillName, String), Vec<usize>> = BTreeMap::new();
    for (place, run) in runs.iter().enumerate() {
        groups.entry((run.drill.clone(), run.environment.clone())).or_default().push(place);
    }
    let mut fates: Vec<Option<Fate>> = vec![None; runs.len()];
    for places in groups.values() {
        let last_pass = places.iter().rev().find(|place| passed(&runs[**place]));
        for (from_newest, place) in places.iter().rev().enumerate() {
            let run = &runs[*place];
            let protected = if Some(place) == last_pass { Some("the last pass of its drill".to_owned()) } else { None };
            let why =
                protected.or_else(|| must_stay(run, keep, now)).or_else(|| is_wished(run, from_newest, keep, now));
            fates[*place] = Some(why.map_or(Fate::Goes, Fate::Stays));
        }
    }
    let of_interest = |run: &Found| keep.drill.as_ref().is_none_or(|drill| run.drill == *drill);
    let all = runs.into_iter().zip(fates).filter(|(run, _)| of_interest(run));
    all.filter_map(|(found, fate)| Some(Choice { found, fate: fate? })).collect()
}

fn passed(run: &Found) -> bool {
    run.state == Some(RunState::Ended) && run.verdict == Some(Verdict::Pass)
}

/// Whatever the user wishes.
fn must_stay(run: &Found, keep: &Keep, now: DateTime<Utc>) -> Option<String> {
    if run.alive {
        return Some("it is under way".to_owned());
    }
    if run.open || run.state == Some(RunState::Dirty) {
        return Some("it left something open: blackstart recover".to_owned());
    }
    if run.state.is_none() {
        return Some("its record has no end, or is damaged".to_owned());
    }
    match &run.sealing {
        Sealing::Broken(why) => return Some(format!("it is not as it was sealed: {why}")),
        Sealing::Never if !keep.unsealed => return Some("it was never sealed (--unsealed removes it)".to_owned()),
        Sealing::Never | Sealing::Holds => {}
    }
    let written = run.retention.as_ref()?;
    match period(written) {
        None => Some(format!("its playbook says `retention: {written}`, which is no length of time")),
        Some(kept) if age(run, now) < kept => Some(format!("its playbook says `retention: {written}`")),
        Some(_) => None,
    }
}

fn is_wished(run: &Found, from_newest: usize, keep: &Keep, now: DateTime<Utc>) -> Option<String> {
    if let Some(newest) = keep.newest.filter(|newest| from_newest < *newest) {
        return Some(if newest == 1 { "the newest".to_owned() } else { format!("one of the newest {newest}") });
    }
    keep.younger.filter(|younger| age(run, now) < *younger).map(|_| "young enough".to_owned())
}

/// A run that ended in the future, by a clock that was wrong, is young.
fn age(run: &Found, now: DateTime<Utc>) -> Duration {
    now.signed_duration_since(run.ended).max(TimeDelta::zero()).to_std().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    const DAY: i64 = 86_400;

    fn run(name: &str, days_ago: i64, verdict: Verdict) -> Found {
        let at = DateTime::from_timestamp(2_000_000_000 - days_ago * DAY, 0).unwrap();
        Found {
            dir: PathBuf::from(name),
            run: name.into(),
            drill: DrillName("d".to_owned()),
            environment: "e".to_owned(),
            started: at,
            ended: at,
            state: Some(RunState::Ended),
            open: false,
            alive: false,
            verdict: Some(verdict),
            exit_code: Some(0),
            chain: None,
            manifest: Some("ab".to_owned()),
            journal_head: "cd".to_owned(),
            sealing: Sealing::Holds,
            retention: None,
            bytes: 1,
        }
    }

    fn goes(runs: Vec<Found>, keep: &Keep) -> Vec<String> {
        let chosen = choose(runs, keep, DateTime::from_timestamp(2_000_000_000, 0).unwrap());
        chosen.into_iter().filter(|c| c.fate == Fate::Goes).map(|c| c.found.run.to_string()).collect()
    }

    #[test]
    fn the_newest_and_the_young_and_the_last_pass_stay() {
        let runs = || {
            let verdicts = [Verdict::Pass, Verdict::Pass, Verdict::Fail, Verdict::Fail, Verdict::Inconclusive];
            let each = verdicts.into_iter().enumerate();
            each.map(|(n, v)| run(&format!("r{n}"), 100 - 20 * n as i64, v)).collect::<Vec<_>>()
        };
        let newest = |n| Keep { newest: Some(n), ..Keep::default() };
        assert_eq!(goes(runs(), &newest(2)), ["r0", "r2"]);
        assert_eq!(goes(runs(), &newest(0)), ["r0", "r2", "r3", "r4"]);
        let younger = Some(Duration::from_secs(50 * 86_400));
        assert_eq!(goes(runs(), &Keep { younger, ..Keep::default() }), ["r0", "r2"]);
        assert_eq!(goes(runs(), &Keep { younger, newest: Some(3), ..Keep::default() }), ["r0"]);
        let other = Keep { drill: Some(DrillName("x".to_owned())), ..newest(0) };
        assert!(goes(runs(), &other).is_empty());
    }

    #[test]
    fn what_must_not_go_stays_whatever_is_wished() {
        let keep = Keep { newest: Some(0), ..Keep::default() };
        let old = |change: &dyn Fn(&mut Found)| {
            let mut found = run("r", 500, Verdict::Fail);
            change(&mut found);
            vec![found]
        };
        assert_eq!(goes(old(&|_| {}), &keep), ["r"]);
        assert!(goes(old(&|f| f.alive = true), &keep).is_empty());
        assert!(goes(old(&|f| f.open = true), &keep).is_empty());
        assert!(goes(old(&|f| f.state = Some(RunState::Dirty)), &keep).is_empty());
        assert!(goes(old(&|f| f.state = None), &keep).is_empty());
        assert!(goes(old(&|f| f.sealing = Sealing::Broken("x".to_owned())), &keep).is_empty());
        assert!(goes(old(&|f| f.retention = Some("2y".to_owned())), &keep).is_empty());
        assert!(goes(old(&|f| f.retention = Some("for ever".to_owned())), &keep).is_empty());
        assert_eq!(goes(old(&|f| f.retention = Some("1y".to_owned())), &keep), ["r"]);
        assert!(goes(old(&|f| f.sealing = Sealing::Never), &keep).is_empty());
        assert_eq!(goes(old(&|f| f.sealing = Sealing::Never), &Keep { unsealed: true, ..keep.clone() }), ["r"]);
        assert!(
            goes(
                old(&|f| f.ended += TimeDelta::days(9_000)),
                &Keep { newest: None, younger: Some(Duration::from_secs(1)), ..keep }
            )
            .is_empty()
        );
    }
}
