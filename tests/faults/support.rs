//! A place where a fault can be tried for real, what every kind must hold there, and running a drill with the binary.

use crate::again::once_more;
use blackstart::adapters::{Fut, Vault, World};
use blackstart::event::{Event, What};
use blackstart::faults::{self, Cx, FaultSpec, PreparedFault, Scope, journaled};
use blackstart::journal;
use blackstart::model::{FaultId, Mono, Owner, PinnedTarget, Reference, RunId, TargetRef, TargetSpec};
use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::time::Duration;

const SECRET: &str = "correct-horse-battery";

/// Finds a target as it is now.
pub type Find = Box<dyn Fn() -> Result<PinnedTarget, String> + Send + Sync>;

/// A world, targets, and a folder on a disk with a state directory in it.
pub struct Place {
    pub world: World,
    folder: tempfile::TempDir,
    run: RunId,
    find: BTreeMap<String, Find>,
    found: Mutex<BTreeMap<String, PinnedTarget>>,
    specs: BTreeMap<String, TargetSpec>,
    _watching: StandIn,
}

/// A process that is ended with the value.
struct StandIn(Child);

impl Drop for StandIn {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A process that looks like the guardian of this place's run: whoever looks at this machine meanwhile sees that what is
/// here belongs to somebody who is alive.
fn stand_in(run: &RunId, folder: &Path) -> StandIn {
    std::fs::write(folder.join("guardian"), "read -r _\n").unwrap();
    let mut command = Command::new("bash");
    command.arg0("blackstart").args(["guardian", run.as_str()]).current_dir(folder).stdin(Stdio::piped());
    StandIn(command.spawn().unwrap())
}

impl Place {
    /// Without targets; its run's name differs from every other's, so that nothing of ours is mixed up.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("blackstart-faults.").tempdir_in("/var/tmp").unwrap();
        let run = RunId(folder.path().file_name().unwrap().to_string_lossy().into_owned());
        let world = World::system_with(Some(env!("CARGO_BIN_EXE_blackstart").into()));
        let _watching = stand_in(&run, folder.path());
        Self { world, folder, run, find: BTreeMap::new(), found: Mutex::default(), specs: BTreeMap::new(), _watching }
    }

    /// With a target that is found like this.
    pub fn with(mut self, name: &str, find: impl Fn() -> Result<PinnedTarget, String> + Send + Sync + 'static) -> Self {
        self.find.insert(name.to_owned(), Box::new(find));
        self
    }

    /// With a target as a playbook writes it, for faults that ask what it is.
    pub fn described(mut self, name: &str, target: serde_json::Value) -> Self {
        self.specs.insert(name.to_owned(), serde_json::from_value(target).expect("a target"));
        self
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn owner(&self) -> Owner {
        Owner { run: self.run.clone(), fault: FaultId::from("f1") }
    }

    pub fn cx(&self) -> Cx<'_> {
        Cx { world: &self.world, scope: self, owner: self.owner() }
    }

    /// From now on the targets' names mean what they are now, as just before an outage.
    pub fn pin(&self) {
        let now = self.find.iter().map(|(name, find)| (name.clone(), find().expect("the target is there")));
        *self.found.lock().unwrap() = now.collect();
    }

    /// Residue of this place's fault.
    pub async fn residue(&self) -> Vec<faults::Residue> {
        let mut all = faults::residue(&self.world).await.found;
        all.retain(|residue| residue.tag == self.owner().tag());
        all
    }

    pub async fn until<F: Future<Output = bool>>(&self, what: &str, mut holds: impl FnMut() -> F) {
        for _ in 0..1500 {
            if holds().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never: {what}");
    }
}

impl Scope for Place {
    fn lookup(&self, reference: &Reference) -> Result<String, String> {
        match reference {
            Reference::Secret(_) => Ok(SECRET.to_owned()),
            Reference::Target(name, field) => {
                let found = self.found.lock().unwrap();
                found.get(name).and_then(|t| t.fields.get(field).cloned()).ok_or_else(|| format!("no {name}.{field}"))
            }
            other => Err(format!("no {other}")),
        }
    }

    fn target<'a>(&'a self, target: &'a TargetRef) -> Fut<'a, Result<PinnedTarget, String>> {
        Box::pin(async move {
            let pinned = self.found.lock().unwrap().get(target.name()).cloned();
            match (target, pinned) {
                (TargetRef::Pinned(_), Some(pinned)) => Ok(pinned),
                _ => self.find.get(target.name()).ok_or_else(|| format!("no target `{}`", target.name()))?(),
            }
        })
    }

    fn url(&self, target: &TargetRef) -> Result<String, String> {
        match self.specs.get(target.name()) {
            Some(TargetSpec::Postgres(database)) => Ok(database.url.to_string()),
            _ => Err(format!("`{}` has no URL", target.name())),
        }
    }

    fn spec(&self, target: &TargetRef) -> Result<TargetSpec, String> {
        self.specs.get(target.name()).cloned().ok_or_else(|| format!("no target `{}`", target.name()))
    }

    fn base(&self) -> PathBuf {
        self.path().to_path_buf()
    }

    fn vault(&self) -> Vault {
        Vault::at(&self.path().join("state"))
    }
}

/// A fault of these parameters, as a playbook writes them: `{"process_pause": {"target": "victim"}}`.
pub fn fault(parameters: serde_json::Value) -> FaultSpec {
    serde_json::from_value(parameters).expect("parameters of a fault")
}

/// Parameters and undo as another process would read them from the journal.
fn from_journal(fault: &PreparedFault, cx: &Cx<'_>) -> PreparedFault {
    let spec = journaled(serde_json::to_value(&fault.spec).unwrap(), cx);
    let undo = journaled(serde_json::to_value(&fault.undo).unwrap(), cx);
    let text = format!("{spec}{undo}");
    assert!(!text.contains(SECRET), "a secret in the journal: {text}");
    assert!(!text.contains("${targets"), "only secrets may stay references: {text}");
    PreparedFault { spec: serde_json::from_value(spec).unwrap(), undo: serde_json::from_value(undo).unwrap() }
}

async fn prepared(spec: &FaultSpec, place: &Place) -> PreparedFault {
    let undo = spec.prepare(&place.cx()).await.expect("prepared");
    PreparedFault { spec: spec.clone(), undo }
}

async fn bites(fault: &PreparedFault, place: &Place) {
    place.until("effective", || async { fault.effective(&place.cx()).await.expect("a look").holds }).await;
}

async fn is_healed(fault: &PreparedFault, place: &Place) {
    place.until("healed", || async { fault.healed(&place.cx()).await.expect("a look").holds }).await;
    place.cx().scope.vault().erase(&place.owner()).unwrap();
}

/// Life of a fault: not effective before, repeatable, healed by what the journal holds in another process, and nothing
/// of ours is left. Leaves the target as it was.
pub async fn conforms(place: &Place, spec: &FaultSpec) {
    place.pin();
    let fault = prepared(spec, place).await;
    assert!(!fault.effective(&place.cx()).await.expect("a look").holds, "effective before it was injected");
    assert!(!fault.by_hand().is_empty() && !fault.touched().is_empty());
    let other = from_journal(&fault, &place.cx());
    for _ in 0..2 {
        fault.inject(&place.cx()).await.expect("injected");
        bites(&fault, place).await;
    }
    assert!(!other.healed(&place.cx()).await.expect("a look").holds, "healed before it was healed");
    // Another process: no pinned targets, only the journal, the secrets and the vault.
    place.found.lock().unwrap().clear();
    for _ in 0..2 {
        other.heal(&place.cx()).await.expect("healed");
        is_healed(&other, place).await;
    }
    assert_eq!(place.residue().await, [], "something of ours is left");
}

/// The intent was journaled and nothing was injected: healing does no harm.
pub async fn heals_what_was_never_injected(place: &Place, spec: &FaultSpec) {
    place.pin();
    let fault = from_journal(&prepared(spec, place).await, &place.cx());
    fault.heal(&place.cx()).await.expect("healed");
    is_healed(&fault, place).await;
    assert_eq!(place.residue().await, [], "something of ours is left");
}

/// The target is replaced while the fault is on it.
pub async fn heals_a_replaced_target(place: &Place, spec: &FaultSpec, replace: impl FnOnce()) {
    place.pin();
    let fault = prepared(spec, place).await;
    fault.inject(&place.cx()).await.expect("injected");
    bites(&fault, place).await;
    replace();
    for _ in 0..2 {
        fault.heal(&place.cx()).await.expect("healed after the target was replaced");
        is_healed(&fault, place).await;
    }
    assert_eq!(place.residue().await, [], "something of ours is left");
}

/// A drill that was run by the binary.
pub struct Ran {
    pub code: i32,
    pub text: String,
    pub events: Vec<Event>,
    pub report: serde_json::Value,
    /// Where it ran; the run's folder is in it.
    pub place: tempfile::TempDir,
}

impl Ran {
    pub fn healed(&self, fault: &str) -> bool {
        self.events.iter().any(|e| matches!(&e.what, What::Healed { fault: f, .. } if f.as_str() == fault))
    }

    pub fn bit(&self, fault: &str) -> bool {
        let bit =
            |what: &What| matches!(what, What::FaultEffect { fault: f, effective: true, .. } if f.as_str() == fault);
        self.events.iter().any(|e| bit(&e.what))
    }
}

/// Appends how long every fault of a run took to the file that `BLACKSTART_TIMINGS` names: kind, milliseconds from the
/// step's start (the decision) to the look that saw the effect, and from the heal's start to the look that proved it.
fn timings(events: &[Event]) {
    let Some(file) = std::env::var_os("BLACKSTART_TIMINGS") else { return };
    let at = |fits: &dyn Fn(&What) -> bool| events.iter().find(|e| fits(&e.what)).map(|e| e.at.mono);
    let mut lines = String::new();
    for event in events {
        let What::FaultIntent(intent) = &event.what else { continue };
        let id = &intent.fault;
        let decided = at(&|w| matches!(w, What::StepStarted { step, .. } if step.as_str() == id.as_str()));
        let effect = at(&|w| matches!(w, What::FaultEffect { fault, effective: true, .. } if fault == id));
        let heal = at(&|w| matches!(w, What::HealStarted { fault, .. } if fault == id));
        let healed = at(&|w| matches!(w, What::Healed { fault, .. } if fault == id));
        let ms = |from: Option<Mono>, to: Option<Mono>| match (from, to) {
            (Some(from), Some(to)) => format!("{:.1}", (to - from) as f64 / 1e6),
            _ => "-".to_owned(),
        };
        lines += &format!("{}\t{}\t{}\n", intent.kind, ms(decided, effect), ms(heal, healed));
    }
    let mut out = std::fs::OpenOptions::new().create(true).append(true).open(file).unwrap();
    std::io::Write::write_all(&mut out, lines.as_bytes()).unwrap();
}

/// Runs a playbook below the project's folder with a state directory and a reports folder of its own.
pub fn run_drill(playbook: &str, arguments: &[&str]) -> Ran {
    let ran = run_drill_as(playbook, arguments, |command| command);
    if !once_more(playbook, Some(ran.code), &ran.text) {
        return ran;
    }
    run_drill_as(playbook, arguments, |command| command)
}

/// The same by another command: the binary in a network namespace, say.
pub fn run_drill_as(playbook: &str, arguments: &[&str], wrap: impl FnOnce(Command) -> Command) -> Ran {
    let place = tempfile::Builder::new().prefix("blackstart-drill.").tempdir_in("/var/tmp").unwrap();
    let mut command = blackstart(place.path());
    // What is left on the machine carries the run's name: it differs from every other's.
    let run = place.path().file_name().unwrap().to_string_lossy().into_owned();
    command.args(["run", playbook, "--output", "plain", "--run-id", &run]).args(arguments);
    let Output { status, stdout, stderr } = wrap(command).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    let drills = std::fs::read_dir(place.path().join("reports")).unwrap_or_else(|e| panic!("{e}: {text}"));
    let dir = drills.map(|entry| entry.unwrap().path().join(&run)).next().expect("a run");
    let events = journal::read(&dir).unwrap_or_else(|e| panic!("{e}: {text}")).events;
    timings(&events);
    let report = std::fs::read_to_string(dir.join("report.json")).unwrap_or_else(|e| panic!("{e}: {text}"));
    Ran { code: status.code().unwrap_or(-1), text, events, report: serde_json::from_str(&report).unwrap(), place }
}

/// The binary in the project's folder, with its state and reports in this one.
pub fn blackstart(place: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_blackstart"));
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command.env("BLACKSTART_STATE_DIR", place.join("state")).env("BLACKSTART_REPORTS", place.join("reports"));
    command.env("COLUMNS", "120").stdin(Stdio::null());
    command
}
