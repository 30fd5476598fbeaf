//! Carries a simulated drill out and reads back what it left.

use super::scenario::Scenario;
use blackstart::analysis::{self, Analysis};
use blackstart::clock::Clock;
use blackstart::config::Config;
use blackstart::event::HostSeal;
use blackstart::exec::{self, Finished, RunOptions, Silent, StopSignal};
use blackstart::journal::{self, Stored};
use blackstart::model::RunId;
use blackstart::plan::{Inputs, Plan, compile};
use blackstart::playbook::{RenderStyle, SourceText, render_all};
use blackstart::sim::{Cluster, Truth};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// A simulated drill that is over.
pub struct Ran {
    pub finished: Finished,
    pub truth: Truth,
    /// Of the folder that holds reports and state; gone with this.
    pub folder: tempfile::TempDir,
}

impl Ran {
    pub fn stored(&self) -> Stored {
        journal::read(self.finished.dir.as_ref().unwrap()).unwrap()
    }
}

/// In memory if the machine has such a place: a thousand drills sync their journals many times each.
pub fn folder() -> tempfile::TempDir {
    let shared = Path::new("/dev/shm");
    tempfile::tempdir_in(if shared.is_dir() { shared } else { Path::new("/tmp") }).unwrap()
}

pub fn plan(text: &str) -> Plan {
    let inputs = Inputs { params: &BTreeMap::new(), env: &|_| None, config: &Config::default() };
    let plans = compile(&SourceText::new("/simulated/drill.yaml", text), &inputs);
    plans.unwrap_or_else(|said| panic!("{}", render_all(&said, RenderStyle::Plain))).remove(0)
}

pub fn options(folder: &Path, run: &str) -> RunOptions {
    let text = |t: &str| t.to_owned();
    let host = HostSeal {
        tool: text("blackstart test"),
        host: text("host"),
        system: text("simulated"),
        boot: text("simulated"),
        cores: 1,
        trigger: text("test"),
    };
    RunOptions::new(folder.join("reports"), folder.join("state"), RunId::from(run), host)
}

/// Runs something on a paused clock of its own.
pub fn simulated<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(work)
}

/// Carries the scenario's drill out in its world.
pub fn run(scenario: &Scenario) -> Ran {
    run_in(folder(), scenario)
}

/// As [`run`], in a folder of which nothing is kept.
pub fn run_in(folder: tempfile::TempDir, scenario: &Scenario) -> Ran {
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        std::fs::remove_dir_all(entry.unwrap().path()).unwrap();
    }
    let plan = plan(&scenario.playbook());
    let options = options(folder.path(), "run-1");
    let (finished, truth) = simulated(async {
        let cluster = Cluster::new(Clock::simulated(), scenario.settings.clone());
        let world = cluster.world();
        let finished = exec::run(&plan, &world, &options, Arc::new(Silent), StopSignal::new()).await;
        (finished, cluster.truth())
    });
    Ran { finished, truth, folder }
}

pub fn analyze(stored: Stored) -> Analysis {
    analysis::analyze(&record(stored))
}

pub fn record(stored: Stored) -> analysis::Record {
    let Stored { events, ops, read_backs, head, lines, cut, problems, .. } = stored;
    analysis::Record { events, ops, read_backs, head, lines, cut: cut.map(|cut| cut.to_string()), problems }
}
