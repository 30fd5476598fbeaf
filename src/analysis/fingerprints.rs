//! The user's own data before the outage and after it: the same, or what differs.
//!
//! Invariant: what could not be taken is inconclusive, never a pass.

use super::{Analysis, Reason};
use crate::event::{Event, FingerprintSeal, FingerprintTaken, Moment, What};
use crate::model::{Change, Expectation, Fingerprint, Named, RunState, Verdict};

/// A fingerprint, before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FingerprintResult {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// What was expected at the end.
    pub expect: Expectation,
    /// What is counted, for one of them; empty if nothing was found.
    pub unit: String,
    /// Part by part, in the order of their names.
    pub parts: Vec<PartResult>,
    /// What differs by name, if names are known and something does.
    pub named: Option<Named>,
    /// How it is judged.
    pub verdict: Verdict,
    /// Why, in one sentence.
    pub why: String,
    /// `file:line`.
    pub place: String,
}

/// A table, prefix or directory, before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartResult {
    /// Its name.
    pub name: String,
    /// How many there were; none if it was not there, or nobody knows.
    pub before: Option<u64>,
    /// How many there are.
    pub after: Option<u64>,
    /// What became of it; none if one of the two fingerprints is missing.
    pub change: Option<Change>,
}

/// Every fingerprint that the playbook asks for.
pub(super) fn all(seals: &[FingerprintSeal], events: &[Event]) -> Vec<FingerprintResult> {
    seals.iter().map(|seal| result(seal, events)).collect()
}

fn result(seal: &FingerprintSeal, events: &[Event]) -> FingerprintResult {
    let taken = |moment| {
        let ours = |event: &'_ Event| match &event.what {
            What::Fingerprint(taken) if taken.name == seal.name && taken.moment == moment => Some((**taken).clone()),
            _ => None,
        };
        events.iter().rev().find_map(ours)
    };
    let (before, after) = (taken(Moment::Before), taken(Moment::After));
    let found = |taken: &Option<FingerprintTaken>| taken.as_ref().and_then(|t| t.found.clone());
    let (verdict, why) = judge(seal, &before, &after);
    let named = after.as_ref().and_then(|t| t.named.clone());
    let (before, after) = (found(&before), found(&after));
    FingerprintResult {
        name: seal.name.clone(),
        kind: seal.kind.clone(),
        expect: seal.expect,
        unit: before.as_ref().or(after.as_ref()).map_or_else(String::new, |print| print.unit.clone()),
        parts: parts(before.as_ref(), after.as_ref()),
        named,
        verdict,
        why,
        place: format!("{}:{}", seal.file, seal.line),
    }
}

fn judge(
    seal: &FingerprintSeal,
    before: &Option<FingerprintTaken>,
    after: &Option<FingerprintTaken>,
) -> (Verdict, String) {
    let missing = |when: &str, taken: &Option<FingerprintTaken>| match taken.as_ref().and_then(|t| t.error.as_ref()) {
        Some(error) => (Verdict::Inconclusive, format!("it could not be taken {when}: {error}")),
        None => (Verdict::Inconclusive, format!("it was not taken {when}")),
    };
    let found = |taken: &'_ Option<FingerprintTaken>| taken.as_ref().and_then(|t| t.found.clone());
    let (Some(was), Some(is)) = (found(before), found(after)) else {
        let early = before.as_ref().is_none_or(|taken| taken.found.is_none());
        return if early { missing("before the outage", before) } else { missing("at the end", after) };
    };
    let mut differences = was.differences(&is);
    if differences.is_empty() {
        return (Verdict::Pass, "the same as before the outage".to_owned());
    }
    differences.extend(after.iter().filter_map(|t| t.named.as_ref()).map(Named::words));
    let verdict = if seal.expect == Expectation::Same { Verdict::Fail } else { Verdict::Pass };
    (verdict, differences.join("; "))
}

fn parts(before: Option<&Fingerprint>, after: Option<&Fingerprint>) -> Vec<PartResult> {
    let empty = Fingerprint::default();
    let (was, is) = (before.unwrap_or(&empty), after.unwrap_or(&empty));
    let both = before.is_some() && after.is_some();
    let count = |print: &Fingerprint, name: &String| print.parts.get(name).map(|part| part.count);
    let part = |(name, change): (String, Change)| PartResult {
        before: count(was, &name),
        after: count(is, &name),
        change: both.then_some(change),
        name,
    };
    was.compare(is).into_iter().map(part).collect()
}

/// What a reader must be told: differences that are not expected, and fingerprints that are missing. A run that ended
/// before one was due says that itself.
pub(super) fn reasons(analysis: &Analysis) -> Vec<Reason> {
    let due = |print: &&FingerprintResult| !print.parts.is_empty() || analysis.state == RunState::Ended;
    let reason = |print: &FingerprintResult| {
        let what =
            if print.verdict == Verdict::Fail { "is not what it was before the outage" } else { "proves nothing" };
        let text = format!("the data `{}` {what}: {}", print.name, print.why);
        Reason { verdict: print.verdict, text, place: Some(print.place.clone()) }
    };
    let judged = analysis.fingerprints.iter().filter(|print| print.verdict != Verdict::Pass);
    judged.filter(due).map(reason).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{DataPart, Mono, Span, Stamp};
    use std::collections::BTreeMap;

    fn seal(expect: Expectation) -> FingerprintSeal {
        FingerprintSeal {
            name: "shop".to_owned(),
            kind: "postgres".to_owned(),
            expect,
            file: "p.yaml".to_owned(),
            line: 7,
        }
    }

    fn taken(moment: Moment, found: Result<(u64, u64), &str>) -> Event {
        let print = |(count, sum): (u64, u64)| Fingerprint {
            unit: "row".to_owned(),
            parts: BTreeMap::from([("public.t".to_owned(), DataPart::new(count, sum, "a int"))]),
        };
        let what = What::Fingerprint(Box::new(FingerprintTaken {
            name: "shop".to_owned(),
            moment,
            span: Span::point(Mono(0)),
            found: found.ok().map(print),
            named: None,
            error: found.err().map(str::to_owned),
        }));
        let wall = chrono::DateTime::UNIX_EPOCH;
        Event { at: Stamp { mono: Mono(0), wall }, what }
    }

    fn judged(expect: Expectation, events: &[Event]) -> (Verdict, String) {
        let found = all(&[seal(expect)], events).remove(0);
        (found.verdict, found.why)
    }

    #[test]
    fn the_same_passes_and_a_difference_fails() {
        let same = [taken(Moment::Before, Ok((2, 7))), taken(Moment::After, Ok((2, 7)))];
        assert_eq!(judged(Expectation::Same, &same).0, Verdict::Pass);
        let other = [taken(Moment::Before, Ok((2, 7))), taken(Moment::After, Ok((2, 8)))];
        let (verdict, why) = judged(Expectation::Same, &other);
        assert_eq!(
            (verdict, why.as_str()),
            (Verdict::Fail, "`public.t`: 2 rows before and after, and not the same ones")
        );
        assert_eq!(judged(Expectation::Any, &other), (Verdict::Pass, why));
    }

    #[test]
    fn what_was_not_taken_is_never_a_pass() {
        let (before, after) = (taken(Moment::Before, Ok((2, 7))), taken(Moment::After, Ok((2, 7))));
        let broken = |moment| taken(moment, Err("no connection"));
        for events in [
            vec![],
            vec![before.clone()],
            vec![after.clone()],
            vec![before, broken(Moment::After)],
            vec![broken(Moment::Before), after],
        ] {
            for expect in [Expectation::Same, Expectation::Any] {
                assert_eq!(judged(expect, &events).0, Verdict::Inconclusive, "{events:?}");
            }
        }
        assert!(judged(Expectation::Same, &[broken(Moment::Before)]).1.contains("no connection"));
    }
}
