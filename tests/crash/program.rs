//! A program of our own that runs the drill in a folder through the library, and kills at an exact moment: itself, its
//! guardian, or itself beside a guardian that is stopped. The product has no hook for this: the moments come from the
//! run's observer and from the world that the run is given. It is this test binary again, with another environment.

use blackstart::adapters::{
    AdapterError, Command, CommandOutput, Commands, Fut, Held, ProcessState, Processes, World, host, usage,
};
use blackstart::config::Config;
use blackstart::event::{Event, HostSeal, What};
use blackstart::exec::{self, Finished, Guarding, Limits, Observer, RunOptions, StopSignal};
use blackstart::model::{ProcessIdentity, RunId, WorkloadStats};
use blackstart::plan::{Inputs, compile};
use blackstart::playbook::{RenderStyle, SourceText, render_all};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const VARIABLE: &str = "BLACKSTART_CRASH_CASE";

/// Who dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Who {
    Nobody,
    Runner,
    Guardian,
    /// The guardian is stopped, then the runner dies; whoever started it kills the guardian.
    Both,
}

/// A moment of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Moment {
    /// Right after the event of that name was noted for the n-th time (from 1).
    After(String, u32),
    /// Right before the n-th signal or command since the intent.
    BeforeAct(u32),
    /// Right after it.
    AfterAct(u32),
}

/// Who dies when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    pub who: Who,
    pub at: Moment,
}

impl Case {
    pub fn new(who: Who, at: Moment) -> Self {
        Self { who, at }
    }

    /// The run goes to its end.
    pub fn none() -> Self {
        Self::new(Who::Nobody, Moment::BeforeAct(0))
    }
}

/// The program while it runs; killed with the value.
pub struct Program(Child);

impl Program {
    pub fn start(folder: &Path, case: &Case) -> Self {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args(["program::runs_the_drill_of_its_folder", "--exact", "--nocapture"]).current_dir(folder);
        command.env(VARIABLE, serde_json::to_string(case).unwrap()).env("RUST_BACKTRACE", "0");
        let log = std::fs::File::create(folder.join("program.log")).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        Self(command.spawn().unwrap())
    }

    pub fn wait(mut self) -> ExitStatus {
        self.0.wait().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The event's name as the journal writes it.
pub fn name(what: &What) -> String {
    match serde_json::to_value(what).unwrap() {
        serde_json::Value::Object(map) => map.keys().next().unwrap().clone(),
        other => other.as_str().unwrap_or_default().to_owned(),
    }
}

/// Kills when its moment comes.
struct Reaper {
    case: Case,
    seen: Mutex<BTreeMap<String, u32>>,
    guardian: Mutex<Option<ProcessIdentity>>,
    acts: AtomicU32,
    armed: AtomicBool,
    done: AtomicBool,
}

impl Reaper {
    fn strike(&self) {
        if self.case.who == Who::Nobody || self.done.swap(true, Ordering::SeqCst) {
            return;
        }
        let guardian = self.guardian.lock().unwrap().clone();
        let tell = |signal| {
            if let Some(guardian) = &guardian {
                kill(Pid::from_raw(guardian.pid), signal).ok();
            }
        };
        let die = || kill(Pid::this(), Signal::SIGKILL).unwrap();
        match self.case.who {
            Who::Nobody => {}
            Who::Runner => die(),
            Who::Guardian => tell(Signal::SIGKILL),
            Who::Both => {
                tell(Signal::SIGSTOP);
                die();
            }
        }
    }

    fn act<T>(&self, act: impl FnOnce() -> T) -> T {
        let number = self.before();
        let done = act();
        self.after(number);
        done
    }

    fn before(&self) -> u32 {
        if !self.armed.load(Ordering::SeqCst) {
            return 0;
        }
        let number = self.acts.fetch_add(1, Ordering::SeqCst) + 1;
        if self.case.at == Moment::BeforeAct(number) {
            self.strike();
        }
        number
    }

    fn after(&self, number: u32) {
        if number > 0 && self.case.at == Moment::AfterAct(number) {
            self.strike();
        }
    }
}

/// What the run tells of itself.
struct Watch(Arc<Reaper>);

impl Observer for Watch {
    fn event(&self, event: &Event) {
        match &event.what {
            What::Guarded { guardian, .. } => self.0.guardian.lock().unwrap().clone_from(guardian),
            What::FaultIntent(_) => self.0.armed.store(true, Ordering::SeqCst),
            _ => {}
        }
        let name = name(&event.what);
        let count = {
            let mut seen = self.0.seen.lock().unwrap();
            let count = seen.entry(name.clone()).or_default();
            *count += 1;
            *count
        };
        if self.0.case.at == Moment::After(name, count) {
            self.0.strike();
        }
    }
    fn stats(&self, _: &[WorkloadStats]) {}
}

struct Acts<T: ?Sized>(Arc<Reaper>, Arc<T>);

impl Processes for Acts<dyn Processes> {
    fn identify(&self, pid: i32) -> Result<Option<ProcessIdentity>, AdapterError> {
        self.1.identify(pid)
    }
    fn state(&self, who: &ProcessIdentity) -> Result<ProcessState, AdapterError> {
        self.1.state(who)
    }
    fn signal(&self, who: &ProcessIdentity, signal: &str) -> Result<(), AdapterError> {
        self.0.act(|| self.1.signal(who, signal))
    }
    fn may_signal(&self, who: &ProcessIdentity) -> Result<(), AdapterError> {
        self.1.may_signal(who)
    }
    fn descendants(&self, who: &ProcessIdentity) -> Result<Vec<ProcessIdentity>, AdapterError> {
        self.1.descendants(who)
    }
    fn usage(&self, who: &ProcessIdentity) -> Result<usage::Usage, AdapterError> {
        self.1.usage(who)
    }
    fn file_limit(&self, who: &ProcessIdentity) -> Result<usage::FileLimit, AdapterError> {
        self.1.file_limit(who)
    }
    fn open_files(&self, who: &ProcessIdentity) -> Result<u64, AdapterError> {
        self.1.open_files(who)
    }
    fn set_file_limit(&self, who: &ProcessIdentity, limit: usage::FileLimit) -> Result<(), AdapterError> {
        self.0.act(|| self.1.set_file_limit(who, limit))
    }
    fn has_loaded(&self, who: &ProcessIdentity, library: &str) -> Result<bool, AdapterError> {
        self.1.has_loaded(who, library)
    }
    fn variable(&self, who: &ProcessIdentity, name: &str) -> Result<Option<String>, AdapterError> {
        self.1.variable(who, name)
    }
}

impl Commands for Acts<dyn Commands> {
    fn run<'a>(&'a self, command: &'a Command) -> Fut<'a, Result<CommandOutput, AdapterError>> {
        Box::pin(async move {
            let number = self.0.before();
            let done = self.1.run(command).await;
            self.0.after(number);
            done
        })
    }
    fn find(&self, program: &str) -> Result<(), AdapterError> {
        self.1.find(program)
    }
    fn hold<'a>(&'a self, command: &'a Command) -> Fut<'a, Result<Held, AdapterError>> {
        self.1.hold(command)
    }
}

/// Shorter than usual, so that what does not work is known soon.
pub fn limits() -> Limits {
    let (heal_look, heal_attempts) = (Duration::from_secs(10), 3);
    Limits { heal_look, heal_attempts, heal_backoff: Duration::from_millis(50), ..Limits::default() }
}

fn options(folder: &Path) -> RunOptions {
    let text = |t: &str| t.to_owned();
    let host = HostSeal {
        tool: text("blackstart test"),
        host: text("host"),
        system: text("Linux"),
        boot: host::line("/proc/sys/kernel/random/boot_id").unwrap(),
        cores: 2,
        trigger: text("test"),
    };
    let (reports, state) = (folder.join("reports"), folder.join("state"));
    let mut options = RunOptions::new(reports, state, RunId(crate::place::run_id(folder)), host);
    options.limits = limits();
    options.guardian = Guarding::Process(vec![env!("CARGO_BIN_EXE_blackstart").to_owned(), "guardian".to_owned()]);
    options.embedded = Arc::new(|settings, dir| {
        let mut argv = vec![env!("CARGO_BIN_EXE_blackstart").to_owned()];
        argv.extend(blackstart::staging::Embedded::from(settings).arguments(dir));
        argv
    });
    options
}

/// Runs `drill.yaml` of the folder; returns how often something was acted on.
fn run(folder: &Path, case: Case) -> (Finished, u32) {
    let read = |name: &str| SourceText::new(folder.join(name), std::fs::read_to_string(folder.join(name)).unwrap());
    let plain = |said: Vec<_>| render_all(&said, RenderStyle::Plain);
    let config = Config::parse(read("blackstart.yaml")).unwrap_or_else(|said| panic!("{}", plain(said)));
    let env = |name: &str| std::env::var(name).ok();
    let inputs = Inputs { params: &BTreeMap::new(), env: &env, config: &config };
    let plan = compile(&read("drill.yaml"), &inputs).unwrap_or_else(|said| panic!("{}", plain(said))).remove(0);
    let reaper = Arc::new(Reaper {
        case,
        seen: Mutex::default(),
        guardian: Mutex::default(),
        acts: AtomicU32::new(0),
        armed: AtomicBool::new(false),
        done: AtomicBool::new(false),
    });
    let mut world = World::system_with(Some(env!("CARGO_BIN_EXE_blackstart").into()));
    world.processes = Arc::new(Acts(Arc::clone(&reaper), Arc::clone(&world.processes)));
    world.commands = Arc::new(Acts(Arc::clone(&reaper), Arc::clone(&world.commands)));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let watch = Arc::new(Watch(Arc::clone(&reaper)));
    let finished = runtime.block_on(exec::run(&plan, &world, &options(folder), watch, StopSignal::new()));
    (finished, reaper.acts.load(Ordering::SeqCst))
}

/// The program: as a test of its own it runs a drill in which nobody dies.
#[test]
fn runs_the_drill_of_its_folder() {
    if let Ok(case) = std::env::var(VARIABLE) {
        let folder = std::env::current_dir().unwrap();
        let (finished, acts) = run(&folder, serde_json::from_str(&case).unwrap());
        std::fs::write(folder.join("acts"), acts.to_string()).unwrap();
        println!("{finished:?}");
        return;
    }
    let place = crate::place::Place::new();
    place.victim();
    place.write("drill.yaml", &crate::sweep::drill(crate::families::PAUSE));
    let (finished, acts) = run(place.folder(), Case::none());
    assert_eq!(finished.state, blackstart::model::RunState::Ended, "{finished:?}\n{}", place.story());
    assert!(acts >= 2, "it froze and thawed in {acts} acts");
}
