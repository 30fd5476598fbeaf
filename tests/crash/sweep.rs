//! Goes through every moment of a family's drill and kills there: the runner, its guardian, both. The moments are found
//! by a run in which nobody dies. Cases run beside each other, each in a place of its own.

use crate::families::Family;
use crate::place::Place;
use crate::program::{Case, Moment, Who, name};
use blackstart::event::What;
use blackstart::model::RunState;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// Cases beside each other.
const BESIDE: usize = 6;

/// A drill around the steps of an `outage:`, with the usual targets.
pub fn drill(outage: &str) -> String {
    let (targets, outage) = outage.split_once("OUTAGE:\n").unwrap_or(("", outage));
    format!(
        "drill: crash\nenvironment: test\nbaseline: 1ms\ntargets:\n  victim: {{process: {{pidfile: pid}}}}\n{targets}outage:\n{outage}"
    )
}

/// Events that tell of a moment between two steps of a fault's life, or of the run's. What comes and goes with time
/// (stalls, notes) is none.
fn is_moment(what: &What) -> bool {
    !matches!(what, What::Stall { .. } | What::Note { .. } | What::OpsMark(_))
}

/// All that can happen to a run, from when its guardian is there.
fn cases(family: &Family) -> Vec<Case> {
    let place = Place::new();
    let (events, acts) = whole(family, &place);
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    let (mut cases, mut guarded) = (Vec::new(), false);
    for what in events.iter().filter(|what| is_moment(what)) {
        let name = name(what);
        let count = counts.entry(name.clone()).or_default();
        *count += 1;
        guarded |= matches!(what, What::Guarded { .. });
        if guarded {
            let at = Moment::After(name, *count);
            cases.extend([Who::Runner, Who::Guardian, Who::Both].map(|who| Case::new(who, at.clone())));
        }
    }
    for act in 1..=acts {
        cases.push(Case::new(Who::Runner, Moment::BeforeAct(act)));
        cases.push(Case::new(Who::Runner, Moment::AfterAct(act)));
    }
    cases
}

/// The family's drill with nobody killed: the fault bites and is healed.
fn whole(family: &Family, place: &Place) -> (Vec<What>, u32) {
    place.write("drill.yaml", &drill(family.outage));
    (family.before)(place);
    assert_eq!((family.leftover)(place), None, "{}: broken before anything was done", family.name);
    assert!(place.start(&Case::none()).wait().success(), "{}", place.read("program.log"));
    let left = (family.leftover)(place);
    (family.after)(place);
    let events: Vec<What> = place.events().into_iter().map(|event| event.what).collect();
    let story = place.story();
    assert_eq!(left, None, "{}: {story}", family.name);
    assert!(matches!(events.last(), Some(What::RunEnded { state: RunState::Ended, .. })), "{}: {story}", family.name);
    assert!(events.iter().any(|w| matches!(w, What::FaultEffect { effective: true, .. })), "{}: {story}", family.name);
    let acts = place.read("acts").trim().parse().unwrap();
    (events, acts)
}

/// Every case of a family; names all that went wrong.
pub fn sweep(family: &Family) {
    let todo = Mutex::new(cases(family));
    let (wrong, done) = (Mutex::new(Vec::new()), Mutex::new(0));
    std::thread::scope(|scope| {
        for _ in 0..BESIDE {
            scope.spawn(|| {
                loop {
                    let Some(case) = todo.lock().unwrap().pop() else { return };
                    *done.lock().unwrap() += 1;
                    if let Err(why) = one(family, &case) {
                        wrong.lock().unwrap().push(format!("{} {case:?}: {why}", family.name));
                    }
                }
            });
        }
    });
    let (wrong, done) = (wrong.into_inner().unwrap(), done.into_inner().unwrap());
    println!("{}: {done} cases", family.name);
    assert!(done > 20, "{done} cases are too few to be a sweep");
    assert!(wrong.is_empty(), "{} of {done} cases:\n{}", wrong.len(), wrong.join("\n"));
}

fn one(family: &Family, case: &Case) -> Result<(), String> {
    let place = Place::new();
    place.write("drill.yaml", &drill(family.outage));
    (family.before)(&place);
    let seen =
        outcome(family, case, &place).map_err(|why| format!("{why}\n{}{}", place.story(), place.read("program.log")));
    (family.after)(&place);
    seen
}

/// What must be so after it.
fn outcome(family: &Family, case: &Case, place: &Place) -> Result<(), String> {
    let status = place.start(case).wait();
    match case.who {
        Who::Runner | Who::Nobody => place.until_guardian_is_gone(),
        Who::Guardian => ensure(status.success(), || format!("the runner broke: {status}"))?,
        Who::Both => {
            if let Some(guardian) = place.guardian() {
                place.kill(&guardian);
            }
        }
    }
    let (code, said) = if case.who == Who::Both {
        let done = place.blackstart(&["recover"]);
        (done.code, done.said)
    } else {
        (0, String::new())
    };
    ensure(code == 0, || format!("recover: {code}: {said}"))?;
    ensure((family.leftover)(place).is_none(), || format!("left: {:?} {said}", (family.leftover)(place)))?;
    ensure(place.open().is_empty(), || format!("the record has open: {:?}", place.open()))?;
    ensure(!place.listed(), || "the run is still listed".to_owned())?;
    let ended = place.said(|what| matches!(what, What::RunEnded { .. }));
    ensure(ended, || "the record has no end".to_owned())?;
    let judged = place.blackstart(&["analyze", &place.run_dir().to_string_lossy()]);
    let whole = place.said(|what| matches!(what, What::RunEnded { state: RunState::Ended, .. }));
    ensure(judged.code == 4 || whole, || format!("it is judged {}: {}", judged.code, judged.said))?;
    let again = place.blackstart(&["status"]);
    ensure(again.code == 0, || format!("status: {}", again.said))
}

fn ensure(holds: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why()) }
}
