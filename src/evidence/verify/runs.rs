//! The chain of runs over all folders that were given: gaps, forks, and whether each run names the manifest that the run
//! before it has. What stands in one folder is the neighbours' business.

use super::finding::{Area, Checked, Finding, Kind, Level};
use super::record::place;
use super::{Policy, Requirement};
use crate::event::ChainSeal;
use crate::model::RunId;
use std::collections::{BTreeMap, BTreeSet};

/// What a folder says of its run's place.
#[derive(Default)]
pub(super) struct Place {
    pub chain: Option<ChainSeal>,
    /// The chain's name; empty if nothing says it.
    pub name: String,
    /// Manifests that its manifest replaces.
    pub replaces: Vec<String>,
}

/// A checked run with its place.
pub(super) struct Placed {
    pub seen: Checked,
    pub place: Place,
}

impl Placed {
    fn chain(&self) -> Option<&ChainSeal> {
        self.place.chain.as_ref()
    }

    /// May both be of the same chain? What does not name its chain goes by drill and environment.
    fn same_chain(&self, other: &Self) -> bool {
        if self.place.name.is_empty() || other.place.name.is_empty() {
            return self.seen.drill == other.seen.drill && self.seen.environment == other.seen.environment;
        }
        self.place.name == other.place.name
    }
}

/// Checks the places of all runs against one another.
pub(super) fn check(placed: &mut [Placed], policy: &Policy<'_>) {
    let known = known(placed);
    let mut found: Vec<(usize, Finding)> = twice(placed);
    let mut followers: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, one) in placed.iter().enumerate() {
        let Some(chain) = one.chain() else {
            found.extend(unchained(one, policy).map(|finding| (index, finding)));
            continue;
        };
        let Some(previous) = &chain.previous else { continue };
        if known.get(run(one)) == Some(&index) {
            followers.entry(previous.run.to_string()).or_default().push(index);
        }
        let finding = match known.get(previous.run.as_str()) {
            Some(before) => follows(chain, &placed[*before], previous.manifest.as_deref()),
            None => Some(absent(chain, one, placed)),
        };
        found.extend(finding.map(|finding| (index, finding)));
    }
    for (before, after) in followers.iter().filter(|(_, after)| after.len() > 1) {
        let names: Vec<String> = after.iter().map(|index| run(&placed[*index]).to_string()).collect();
        let what = format!("{} follow {before}: the chain forks there", names.join(" and "));
        found.extend(after.iter().map(|index| (*index, Finding::new(Kind::ChainFork, "", what.clone()))));
    }
    found.extend(begun(placed, &known));
    for (index, finding) in found {
        placed[index].seen.findings.push(finding);
    }
    for one in placed.iter_mut().filter(|one| one.place.chain.is_some()) {
        let what = place(one.chain());
        if !one.seen.doubts(Area::Chain) {
            one.seen.good(Area::Chain, what);
        }
    }
}

fn run(one: &Placed) -> &str {
    one.seen.run.as_ref().map_or("", RunId::as_str)
}

/// The folder that each run has; the first, if it is there twice.
fn known(placed: &[Placed]) -> BTreeMap<String, usize> {
    let mut known = BTreeMap::new();
    for (index, one) in placed.iter().enumerate() {
        if let Some(run) = &one.seen.run {
            known.entry(run.to_string()).or_insert(index);
        }
    }
    known
}

/// A copy of a run is the run; two different runs of one name are not.
fn twice(placed: &[Placed]) -> Vec<(usize, Finding)> {
    let known = known(placed);
    let mut found = Vec::new();
    for (index, one) in placed.iter().enumerate() {
        let Some(first) =
            one.seen.run.as_ref().and_then(|run| known.get(run.as_str())).filter(|first| **first != index)
        else {
            continue;
        };
        let folder = placed[*first].seen.folder.display();
        let same = one.seen.manifest.is_some() && one.seen.manifest == placed[*first].seen.manifest;
        let finding = if same {
            Finding::new(Kind::RunTwice, "", format!("a copy of it is {folder}")).at(Level::Remark)
        } else {
            Finding::new(Kind::RunTwice, "", format!("another run of the same name is {folder}"))
        };
        found.push((index, finding));
    }
    found
}

fn unchained(one: &Placed, policy: &Policy<'_>) -> Option<Finding> {
    // Without a record nobody knows; that is said elsewhere.
    one.seen.run.as_ref()?;
    let level = if policy.requires(Requirement::Chained) { Level::Unverifiable } else { Level::Remark };
    Some(Finding::new(Kind::Unchained, "", "not chained: that no run before it was dropped, nobody can tell").at(level))
}

/// Chains that begin more than once: their keeper forgot them, or was made to.
fn begun(placed: &[Placed], known: &BTreeMap<String, usize>) -> Vec<(usize, Finding)> {
    let mut begin: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, one) in placed.iter().enumerate() {
        let first = one.chain().is_some_and(|chain| chain.previous.is_none()) && known.get(run(one)) == Some(&index);
        if first && !one.place.name.is_empty() {
            begin.entry(&one.place.name).or_default().push(index);
        }
    }
    let again = begin.into_iter().filter(|(_, runs)| runs.len() > 1);
    let told = |(name, runs): (&str, Vec<usize>)| {
        let what =
            format!("the chain {name} begins {} times among these runs: who kept it forgot it between", runs.len());
        runs.into_iter()
            .map(move |index| (index, Finding::new(Kind::ChainRestarted, "", what.clone())))
            .collect::<Vec<_>>()
    };
    again.flat_map(told).collect()
}

/// The run before is here: is it the one that was meant?
fn follows(chain: &ChainSeal, before: &Placed, manifest: Option<&str>) -> Option<Finding> {
    let (name, counter) = (run(before), chain.counter);
    match (manifest, &before.seen.manifest) {
        (Some(named), Some(_)) if before.place.replaces.iter().any(|replaced| replaced == named) => {
            let what = format!("{name}, which it follows, was sealed anew since: a recovery continued its record");
            return Some(Finding::new(Kind::ChainReplaced, "", what));
        }
        (Some(named), Some(found)) if named != found => {
            let what =
                format!("it names {name} with another manifest than lies here: that run was changed or sealed anew");
            return Some(Finding::new(Kind::ChainPrevious, "", what));
        }
        (Some(_), None) => {
            let what = format!("it names {name} with its manifest, and that run has none here");
            return Some(Finding::new(Kind::ChainPrevious, "", what));
        }
        _ => {}
    }
    let theirs = before.chain().map(|chain| chain.counter);
    match theirs {
        Some(theirs) if theirs >= counter => {
            let what = format!("it is run {counter}, and {name}, which it follows, is run {theirs}");
            Some(Finding::new(Kind::ChainCounter, "", what))
        }
        None => Some(Finding::new(Kind::ChainCounter, "", format!("it follows {name}, which has no place in a chain"))),
        // A place may be given and never used: then both say so by naming each other.
        Some(theirs) if theirs + 1 < counter => {
            let what = format!("it is run {counter} and follows run {theirs}, {name}: places between were never used");
            Some(Finding::new(Kind::ChainCounter, "", what).at(Level::Remark))
        }
        Some(_) if manifest.is_none() => {
            let what = format!("{name} was not sealed when this run began: only its name ties it to this place");
            Some(Finding::new(Kind::ChainUntied, "", what))
        }
        Some(_) => None,
    }
}

/// The run before is not here: it is missing if an earlier one of the same drill and environment is, and nothing follows that.
fn absent(chain: &ChainSeal, one: &Placed, placed: &[Placed]) -> Finding {
    let before = chain.previous.as_ref().map_or_else(String::new, |previous| previous.run.to_string());
    let followed: BTreeSet<&str> =
        placed.iter().filter_map(|other| Some(other.chain()?.previous.as_ref()?.run.as_str())).collect();
    let same = |other: &&Placed| one.same_chain(other);
    let ends = |other: &&Placed| {
        let counter = other.chain().map(|chain| chain.counter);
        counter.is_some_and(|counter| counter < chain.counter) && !followed.contains(run(other))
    };
    let counter = chain.counter;
    let last = placed.iter().filter(same).filter(ends).max_by_key(|other| other.chain().map(|c| c.counter));
    match last.and_then(|other| Some((run(other), other.chain()?.counter))) {
        Some((name, theirs)) => {
            let what = format!(
                "run {before} is missing: this is run {counter} and follows it, and the last one before that is here is run {theirs}, {name}"
            );
            Finding::new(Kind::ChainGap, "", what)
        }
        None => {
            let earlier = if counter <= 2 { "run 1 is".to_owned() } else { format!("runs 1–{} are", counter - 1) };
            let what = format!("the chain begins here at {counter}: {earlier} not here (the one before is {before})");
            Finding::new(Kind::ChainBegins, "", what)
        }
    }
}
