//! A folder with a playbook, its configuration and room for reports; runs the playbook and reads back what it left.

use blackstart::adapters::World;
use blackstart::config::Config;
use blackstart::event::{AbortCause, Event, HostSeal, Phase, StepOutcome, What};
use blackstart::exec::{self, Finished, Guarding, Limits, Observer, RunOptions, Silent, StopSignal};
use blackstart::journal;
use blackstart::model::{Mono, RunId, WorkloadStats};
use blackstart::plan::{Inputs, Plan, compile};
use blackstart::playbook::{RenderStyle, SourceText, render_all};
use blackstart::staging;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub const CONFIG: &str = "environments:\n  test:\n    hosts: [127.0.0.1, localhost]\n";

/// A folder of its own.
pub struct Bench {
    folder: tempfile::TempDir,
    pub limits: Limits,
}

/// A run that is over.
pub struct Ran {
    pub finished: Finished,
    pub events: Vec<Event>,
}

/// Wishes that the run stops when an event fits.
struct StopAt<F: Fn(&What) -> bool + Send + Sync> {
    fits: F,
    stop: StopSignal,
}

impl<F: Fn(&What) -> bool + Send + Sync> Observer for StopAt<F> {
    fn event(&self, event: &Event) {
        if (self.fits)(&event.what) {
            self.stop.trigger(AbortCause::Signal("SIGINT".to_owned()));
        }
    }
    fn stats(&self, _: &[WorkloadStats]) {}
}

impl Bench {
    pub fn new() -> Self {
        let limits = Limits {
            effect: Duration::from_secs(10),
            heal_look: Duration::from_secs(5),
            heal_attempts: 3,
            heal_backoff: Duration::from_millis(50),
            staging: Duration::from_secs(30),
            reach: Duration::from_secs(1),
            warm_up: Duration::from_secs(30),
            settle: Duration::from_secs(10),
            ..Limits::default()
        };
        Self { folder: tempfile::tempdir().expect("a folder"), limits }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn script(&self, name: &str, body: &str) {
        std::fs::write(self.path(name), format!("#!/bin/sh\ncd \"$(dirname \"$0\")\" || exit 1\n{body}\n")).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(self.path(name), mode).unwrap();
    }

    pub fn plan(&self, text: &str) -> Plan {
        let config = SourceText::new(self.path("blackstart.yaml"), CONFIG);
        let config = Config::parse(config).unwrap_or_else(|said| panic!("{}", render_all(&said, RenderStyle::Plain)));
        let source = SourceText::new(self.path("drill.yaml"), text);
        let env = |name: &str| std::env::var(name).ok();
        let inputs = Inputs { params: &BTreeMap::new(), env: &env, config: &config };
        let mut plans =
            compile(&source, &inputs).unwrap_or_else(|said| panic!("{}", render_all(&said, RenderStyle::Plain)));
        plans.remove(0)
    }

    pub fn options(&self) -> RunOptions {
        let text = |t: &str| t.to_owned();
        let host = HostSeal {
            tool: text("blackstart test"),
            host: text("host"),
            system: text("Linux"),
            boot: text("boot"),
            cores: 2,
            trigger: text("test"),
        };
        let mut options = RunOptions::new(self.path("reports"), self.path("state"), RunId::from("run-1"), host);
        options.limits = self.limits;
        options.guardian = Guarding::Process(vec![env!("CARGO_BIN_EXE_blackstart").to_owned(), "guardian".to_owned()]);
        options.embedded = Arc::new(|settings, dir| {
            let mut argv = vec![env!("CARGO_BIN_EXE_blackstart").to_owned()];
            argv.extend(staging::Embedded::from(settings).arguments(dir));
            argv
        });
        options
    }

    pub async fn run(&self, text: &str) -> Ran {
        self.run_with(text, self.options(), Arc::new(Silent), StopSignal::new()).await
    }

    /// Ctrl-C as soon as an event fits.
    pub async fn run_and_stop(&self, text: &str, fits: impl Fn(&What) -> bool + Send + Sync + 'static) -> Ran {
        let stop = StopSignal::new();
        let observer = Arc::new(StopAt { fits, stop: stop.clone() });
        self.run_with(text, self.options(), observer, stop).await
    }

    pub async fn run_with(
        &self,
        text: &str,
        options: RunOptions,
        observer: Arc<dyn Observer>,
        stop: StopSignal,
    ) -> Ran {
        let plan = self.plan(text);
        // Directories are looked at by processes of the program, which a test is not.
        let program = World::system_with(Some(env!("CARGO_BIN_EXE_blackstart").into()));
        let world = World { data: program.data, systems: program.systems, ..World::system() };
        let finished = exec::run(&plan, &world, &options, observer, stop).await;
        let events = finished.dir.as_deref().map(|dir| self.events(dir)).unwrap_or_default();
        Ran { finished, events }
    }

    pub fn events(&self, dir: &Path) -> Vec<Event> {
        let stored = journal::read(dir).unwrap();
        assert!(stored.cut.is_none(), "{:?}", stored.cut);
        stored.events
    }

    pub fn journal_text(&self) -> String {
        let dir = self.path("reports");
        let mut text = String::new();
        for drill in std::fs::read_dir(dir).unwrap() {
            for run in std::fs::read_dir(drill.unwrap().path()).unwrap() {
                text += &std::fs::read_to_string(run.unwrap().path().join("journal.jsonl")).unwrap();
            }
        }
        text
    }

    /// Is a run listed as holding open faults?
    pub fn listed(&self) -> bool {
        std::fs::read_dir(self.path("state").join("open")).is_ok_and(|list| list.count() > 0)
    }

    pub fn alive(&self, pidfile: &str) -> bool {
        let pid = std::fs::read_to_string(self.path(pidfile)).ok().and_then(|t| t.trim().parse().ok());
        pid.is_some_and(|pid| World::system().processes.identify(pid).unwrap().is_some())
    }
}

impl Ran {
    pub fn outcome(&self, step: &str) -> Option<&StepOutcome> {
        self.events.iter().rev().find_map(|e| match &e.what {
            What::StepEnded { step: id, outcome, .. } if id.as_str() == step => Some(outcome),
            _ => None,
        })
    }

    pub fn passed(&self, step: &str) -> bool {
        matches!(self.outcome(step), Some(StepOutcome::Passed { .. }))
    }

    pub fn phases(&self) -> Vec<Phase> {
        let started = self.events.iter().filter_map(|e| match e.what {
            What::PhaseStarted { phase } => Some(phase),
            _ => None,
        });
        started.collect()
    }

    pub fn any(&self, fits: impl Fn(&What) -> bool) -> bool {
        self.events.iter().any(|e| fits(&e.what))
    }

    pub fn at(&self, fits: impl Fn(&What) -> bool) -> Option<Mono> {
        self.events.iter().find(|e| fits(&e.what)).map(|e| e.at.mono)
    }

    pub fn healed(&self, fault: &str) -> bool {
        self.any(|w| matches!(w, What::Healed { fault: f, .. } if f.as_str() == fault))
    }

    pub fn error(&self) -> String {
        self.finished.error.as_ref().map(ToString::to_string).unwrap_or_default()
    }

    /// For messages of failed assertions.
    pub fn story(&self) -> String {
        let lines = self.events.iter().filter(|e| !matches!(e.what, What::OpsMark(_) | What::RunStarted(_)));
        let start = self.events.first().map_or(0, |e| e.at.mono.0);
        let line = |e: &Event| format!("{:8.3} {:?}\n", (e.at.mono.0 - start) as f64 / 1e9, e.what);
        format!("{:?}\n{}", self.finished, lines.map(line).collect::<String>())
    }
}
