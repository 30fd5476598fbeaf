//! Heals what runs left open, from their journals alone: also after the runner, or the whole machine, died. Used by
//! `recover` and by a run's guardian; when a guardian takes over is decided in `guardian`.

use super::clusters;
use super::context::{HealContext, Inside};
use super::doors;
use super::heal::{self, Noted, Turn};
use super::options::{Limits, Observer};
use super::redact::Redactor;
use super::scene::Scene;
use super::secrets;
use super::staging;
use crate::adapters::{ProcessState, Vault, World, host, under_way};
use crate::clock::Clock;
use crate::event::{Event, FaultIntent, Healer, What};
use crate::faults::{self, PreparedFault};
use crate::journal::state::{Index, OpenRun};
use crate::journal::{self, Held, Journal, JournalError, LeftUp, open_faults};
use crate::model::{FaultId, Owner, RunId, RunState, Span};
use crate::redact::Forms;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A guardian waits so long for a record that somebody else has in hand: a runner on its way out, or a recovery.
const TURN: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What a recovery did for one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// The run.
    pub run: RunId,
    /// Its folder.
    pub dir: PathBuf,
    /// Where it was listed.
    pub state_dir: PathBuf,
    /// What it healed.
    pub healed: Vec<FaultId>,
    /// What is still open.
    pub open: Vec<StillOpen>,
    /// Why nothing more can be said, if so: its record cannot be read or written, or it is still alive.
    pub error: Option<String>,
    /// The secrets that it used: the run's folder is searched for them before it is sealed.
    pub secrets: Forms,
}

impl Recovered {
    /// The same without secrets: it is shown to people.
    fn cleaned(mut self) -> Self {
        let clean = |text: &mut String| self.secrets.clean(text);
        self.error.iter_mut().for_each(clean);
        self.open.iter_mut().flat_map(|open| [&mut open.why, &mut open.by_hand]).for_each(clean);
        self
    }
}

/// A fault that could not be healed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StillOpen {
    /// The fault.
    pub fault: FaultId,
    /// Why.
    pub why: String,
    /// The command that a person can run.
    pub by_hand: String,
}

/// Heals every open fault of every run that the state directory lists, newest first, and brings down what they left up.
/// What it does is appended to the same journals. A record that cannot be written, or is damaged, is healed from as far
/// as it can be read.
///
/// # Errors
/// When the state directory cannot be read.
pub async fn recover(
    state_dir: &Path,
    world: &World,
    limits: &Limits,
    observer: Arc<dyn Observer>,
) -> Result<Vec<Recovered>, JournalError> {
    let index = Index::at(state_dir);
    let mut all = Vec::new();
    for entry in index.list()?.into_iter().rev() {
        let why = "the runner died".to_owned();
        let mender = Mender { world, limits, state_dir, observer: &observer, by: Healer::Recover, why };
        let mut recovered = mender.mend(&entry, &[]).await;
        if recovered.error.is_none() && recovered.open.is_empty() {
            recovered.error = index.remove(&entry.run).err().map(|e| e.to_string());
        }
        all.push(recovered);
    }
    doors::end_orphans(world).await;
    Ok(all)
}

/// A fault as its intent says.
pub(super) fn prepared(
    intent: &FaultIntent,
    run: &RunId,
    world: &World,
) -> Result<(PreparedFault, HealContext, Scene), String> {
    let unreadable = |e: serde_json::Error| format!("its intent cannot be read: {e}");
    let spec = serde_json::from_value(intent.spec.clone()).map_err(unreadable)?;
    let undo = serde_json::from_value(intent.undo.clone()).map_err(unreadable)?;
    let context: HealContext = serde_json::from_value(intent.context.clone()).map_err(unreadable)?;
    let scene = Scene::recovered(context.clone(), world, run);
    Ok((PreparedFault { spec, undo }, context, scene))
}

/// Somebody who heals in place of a runner.
pub(super) struct Mender<'a> {
    pub world: &'a World,
    pub limits: &'a Limits,
    /// Where bytes are kept that must be put back.
    pub state_dir: &'a Path,
    pub observer: &'a Arc<dyn Observer>,
    pub by: Healer,
    /// Why it must.
    pub why: String,
}

/// A run's record as far as it can be read, and whether what is done now can be written into it.
struct Taken {
    events: Vec<Event>,
    /// Kept as long as it is worked on: nobody else does.
    _held: Option<Held>,
    journal: Option<Journal>,
    /// Why it cannot be written.
    unwritten: Mutex<Option<String>>,
}

/// Where what happens goes.
struct Notes<'a> {
    taken: &'a Taken,
    mender: &'a Mender<'a>,
    world: &'a World,
    redactor: Redactor,
}

impl Notes<'_> {
    fn note(&self, mut what: What) -> Noted {
        self.redactor.event(&mut what);
        let appended = self.taken.journal.as_ref().map(|journal| journal.append(what.clone()));
        let (event, noted) = match appended {
            Some(Ok(event)) => (event, Noted::Yes),
            other => {
                // The healing counts, not that it is written down: a full disk must not keep a fault open.
                if let Some(Err(error)) = other {
                    self.taken.unwritten(error.to_string());
                }
                (Event { at: self.world.clock.stamp(), what }, Noted::No)
            }
        };
        self.mender.observer.event(&event);
        noted
    }
}

impl Taken {
    fn unwritten(&self, why: String) {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
    }

    fn ended(&self) -> bool {
        self.events.iter().any(|e| matches!(e.what, What::RunEnded { .. }))
    }
}

impl Mender<'_> {
    /// Heals one run. `known` is what must be healed even if the record has lost it.
    pub async fn mend(&self, entry: &OpenRun, known: &[FaultIntent]) -> Recovered {
        let OpenRun { run, dir } = entry.clone();
        let secrets = Forms::default();
        let redactor = Redactor { forms: secrets.clone() };
        let (state_dir, healed, open) = (self.state_dir.to_path_buf(), Vec::new(), Vec::new());
        let mut recovered = Recovered { run, dir, state_dir, healed, open, error: None, secrets };
        let world = self.world_now(&entry.dir);
        let taken = match self.take(&entry.dir, &world).await {
            Ok(taken) => taken,
            Err(error) => return Recovered { error: Some(error), ..recovered },
        };
        let notes = Notes { taken: &taken, mender: self, world: &world, redactor };
        let open = still_open(&taken.events, known);
        let left = journal::left_up(&taken.events);
        if !taken.ended() {
            let _said = notes.note(What::TakenOver { by: self.by, why: self.why.clone() });
        }
        self.heal_all(open, entry, (&world, &notes), &mut recovered).await;
        if let Some(left) = left {
            recovered.error = self.bring_down(left, entry, &world, &notes).await.err();
        }
        let ended = doors::left_by(&entry.run, &entry.dir, &world, self.limits.staging).await;
        recovered.error = recovered.error.or(ended.err());
        let still: Vec<FaultId> = recovered.open.iter().map(|open| open.fault.clone()).collect();
        let kept = |e: &&Event| matches!(e.what, What::FaultIntent(_) | What::VantagePlaced(_));
        let known: Vec<Event> = taken.events.iter().filter(kept).cloned().collect();
        for why in clusters::tidy(&known, &entry.run, &still, &world).await {
            let text =
                format!("what the run keeps in its cluster could not be removed, and will be found there: {why}");
            let _said = notes.note(What::Note { text });
        }
        if !taken.ended() {
            let open: Vec<FaultId> = recovered.open.iter().map(|o| o.fault.clone()).collect();
            let state = if open.is_empty() { RunState::Aborted } else { RunState::Dirty };
            let _said = notes.note(What::RunEnded { state, open, error: None });
        }
        self.forget(&taken, &recovered);
        let unwritten = taken.unwritten.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let unwritten = unwritten.map(|why| format!("what was done could not be written down: {why}"));
        recovered.error = recovered.error.or(unwritten);
        recovered.cleaned()
    }

    /// Newest first; what needs that another one is healed has a second turn.
    async fn heal_all(
        &self,
        open: Vec<FaultIntent>,
        entry: &OpenRun,
        (world, notes): (&World, &Notes<'_>),
        recovered: &mut Recovered,
    ) {
        let mut open: Vec<FaultIntent> = open.into_iter().rev().collect();
        for turn in heal::turns(open.len()) {
            recovered.open.clear();
            for intent in std::mem::take(&mut open) {
                match self.heal(&intent, entry, world, (notes, *turn)).await {
                    Ok(()) => recovered.healed.push(intent.fault),
                    Err(why) => {
                        let (fault, by_hand) = (intent.fault.clone(), intent.by_hand.clone());
                        recovered.open.push(StillOpen { fault, why, by_hand });
                        open.push(intent);
                    }
                }
            }
        }
    }

    /// What the runner kept and had no time to erase: of faults that are healed, and of those that it never came to
    /// inject. Nothing is erased as long as the record may have lost something.
    fn forget(&self, taken: &Taken, recovered: &Recovered) {
        let unwritten = taken.unwritten.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        if taken.journal.is_none() || unwritten {
            return;
        }
        let vault = Vault::at(self.state_dir);
        let faults = taken.events.iter().flat_map(|event| match &event.what {
            What::FaultIntent(intent) => vec![intent.fault.clone()],
            What::RunStarted(start) => {
                let injected = start.steps.iter().filter(|step| step.verb == "inject");
                injected.map(|step| FaultId(step.id.to_string())).collect()
            }
            _ => Vec::new(),
        });
        // What a restore had taken out of Git is nobody's after it.
        for fault in faults
            .chain([FaultId(String::new())])
            .filter(|fault| !recovered.open.iter().any(|open| open.fault == *fault))
        {
            // What cannot be erased is seen by `status`.
            drop(vault.erase(&Owner { run: recovered.run.clone(), fault }));
        }
    }

    /// Takes the record in hand. One that cannot be written, or is damaged, is still read as far as it goes.
    async fn take(&self, dir: &Path, world: &World) -> Result<Taken, String> {
        let patience = if self.by == Healer::Guardian { TURN } else { Duration::ZERO };
        let until = world.clock.mono().after(patience);
        let refused = loop {
            match Journal::reopen(dir, world.clock.clone()) {
                Ok((journal, stored)) => {
                    let (journal, unwritten) = (Some(journal), Mutex::new(None));
                    return Ok(Taken { events: stored.events, _held: None, journal, unwritten });
                }
                Err(JournalError::Busy(_)) if world.clock.mono() < until => {
                    world.clock.sleep_until(world.clock.mono().after(LOOK_EVERY)).await;
                }
                Err(busy @ JournalError::Busy(_)) => return Err(busy.to_string()),
                Err(other) => break other,
            }
        };
        let unwritten = Mutex::new(Some(refused.to_string()));
        let stored = journal::hold(dir).and_then(|held| Ok((held, journal::read_events(dir)?.events)));
        match (stored, self.by) {
            (Ok((held, events)), _) => Ok(Taken { events, _held: Some(held), journal: None, unwritten }),
            // It was told all that is open.
            (Err(_), Healer::Guardian) => Ok(Taken { events: Vec::new(), _held: None, journal: None, unwritten }),
            (Err(why), Healer::Recover) => Err(why.to_string()),
        }
    }

    /// After a reboot the monotonic clock begins anew; the record's goes on, as far as the wall clock can tell.
    fn world_now(&self, dir: &Path) -> World {
        let mut world = self.world.clone();
        // A guardian does not outlive its boot.
        let read = if self.by == Healer::Recover { journal::read_events(dir).ok() } else { None };
        let Some(events) = read.map(|stored| stored.events) else { return world };
        let (Some(What::RunStarted(start)), Some(last)) = (events.first().map(|e| &e.what), events.last()) else {
            return world;
        };
        let boot = host::line("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        if matches!(world.clock, Clock::System) && !boot.is_empty() && boot != start.host.boot {
            world.clock = Clock::continuing(&last.at);
        }
        world
    }

    async fn heal(
        &self,
        intent: &FaultIntent,
        entry: &OpenRun,
        world: &World,
        (notes, turn): (&Notes<'_>, Turn),
    ) -> Result<(), String> {
        let (fault, context, scene) = prepared(intent, &entry.run, world)?;
        let note = |what| notes.note(what);
        let _said = note(What::HealStarted { fault: intent.fault.clone(), by: self.by.cause() });
        let lo = world.clock.mono();
        let owner = scene.cx_for(&intent.fault).owner.to_string();
        end_commands(&owner, &intent.fault, notes, world)?;
        if let Some(inside) = &context.inside
            && self.ended_with_runner(inside, world).await
        {
            let detail = "it was inside the embedded staging, which ended with its runner: nothing of it is left";
            let (id, span) = (&intent.fault, Span::new(lo, world.clock.mono()));
            heal::healed(id, &fault, span, detail.to_owned(), (&scene.cx_for(id), &note)).await;
            return Ok(());
        }
        // A secret that is gone matters only if the heal needs it; then the heal says so.
        let _unread = secrets::read(&scene, &notes.redactor).await;
        let (id, cx) = (&intent.fault, scene.cx_for(&intent.fault));
        match turn {
            Turn::First => heal::brief(id, &fault, &cx, self.limits, &note).await,
            Turn::Last => heal::heal(id, &fault, &cx, self.limits, &note).await,
        }
    }

    /// An embedded staging holds a pipe to its runner and ends with it. Did it?
    async fn ended_with_runner(&self, inside: &Inside, world: &World) -> bool {
        let until = world.clock.mono().after(self.limits.staging);
        loop {
            let all = std::iter::once(&inside.staging).chain(&inside.touched);
            let gone = |who| matches!(world.processes.state(who), Ok(ProcessState::Gone));
            if all.into_iter().all(gone) {
                return true;
            }
            if world.clock.mono() >= until {
                return false;
            }
            world.clock.sleep_until(world.clock.mono().after(LOOK_EVERY)).await;
        }
    }

    async fn bring_down(&self, left: LeftUp, entry: &OpenRun, world: &World, notes: &Notes<'_>) -> Result<(), String> {
        let unreadable = |e: serde_json::Error| format!("what brings the staging down cannot be read: {e}");
        let down = serde_json::from_value(left.down).map_err(unreadable)?;
        let context = serde_json::from_value(left.context).map_err(unreadable)?;
        let scene = Scene::recovered(context, world, &entry.run);
        let _unread = secrets::read(&scene, &notes.redactor).await;
        let error = staging::run_down(&down, &scene).await;
        if !notes.taken.ended() {
            let _said = notes.note(What::StagingDown { error: error.clone() });
        }
        error.map_or(Ok(()), |why| Err(format!("the staging could not be brought down: {why}")))
    }
}

/// A command that injects or heals, and was under way when its runner died, goes on by itself.
fn end_commands(owner: &str, fault: &FaultId, notes: &Notes<'_>, world: &World) -> Result<(), String> {
    let runner = notes.taken.events.iter().find_map(|event| match &event.what {
        What::Guarded { runner, .. } => runner.as_ref().map(under_way::whose),
        _ => None,
    });
    let end = |variable, value: &str| world.processes.end_commands(variable, value);
    let unknown = |why| format!("its commands may still be under way: {why}");
    let mut ended = end(faults::OWNER, owner).map_err(unknown)?;
    if let Some(runner) = runner {
        ended += end(under_way::TOOL, &runner).map_err(unknown)?;
    }
    if ended > 0 {
        let text = format!("{ended} commands were still under way when `{fault}` was to be healed, and were ended");
        let _said = notes.note(What::Note { text });
    }
    Ok(())
}

/// What the record has open, and what it has lost, oldest first.
fn still_open(events: &[Event], known: &[FaultIntent]) -> Vec<FaultIntent> {
    // Texts for people may have been changed on the way into the record.
    let same =
        |a: &FaultIntent, b: &FaultIntent| a.fault == b.fault && a.undo == b.undo && a.deadline_boot == b.deadline_boot;
    let written = |known: &FaultIntent| {
        events.iter().any(|e| matches!(&e.what, What::FaultIntent(intent) if same(intent, known)))
    };
    let mut open = open_faults(events);
    let lost: Vec<FaultIntent> = known.iter().filter(|known| !known.irreversible && !written(known)).cloned().collect();
    open.retain(|old| !lost.iter().any(|new| new.fault == old.fault));
    open.extend(lost);
    open
}
