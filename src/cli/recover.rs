//! `blackstart recover`: heals what runs left open, from their journals alone, or from what a cluster knows of them.

use super::from_cluster::{self, FromCluster};
use super::leaks;
use super::progress::Progress;
use super::run::{Memory, state_dir};
use super::sealing::{self, Left};
use super::{Complaint, Exit, Output, Terminal};
use crate::adapters::World;
use crate::clock::Clock;
use crate::config::Config;
use crate::exec::{self, Limits, Recovered};
use crate::journal;
use crate::redact::Forms;
use serde_json::json;
use std::sync::Arc;

/// How to print.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    from: FromCluster,
    /// How to print
    #[arg(long, value_enum, default_value = "human")]
    output: Output,
}

pub fn run(args: &Args, terminal: &mut Terminal) -> Result<Exit, Complaint> {
    if args.from.is_asked() {
        return from_cluster::recover(&args.from, args.output, terminal);
    }
    let dir = state_dir(&Config::default(), Memory::Accepted)?;
    let progress = Arc::new(Progress::new(args.output, terminal.look(), Clock::System));
    let world = World::system();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| Complaint::new(Exit::Internal, format!("cannot start the runtime: {e}")))?;
    let recovered = runtime.block_on(exec::recover(&dir, &world, &Limits::default(), progress.clone()));
    progress.end();
    let recovered = recovered.map_err(|e| Complaint::new(Exit::NotHealed, e.to_string()))?;
    match args.output {
        Output::Json => terminal.say(&as_json(&recovered)),
        Output::Human | Output::Plain => terminal.say(&in_words(&recovered)),
    }
    // What was written before the healing says something else.
    for run in recovered.iter().filter(|run| run.error.is_none()) {
        let left = Left { run: &run.run, dir: &run.dir, state_dir: &dir };
        runtime.block_on(sealed(left, &run.secrets, &world, terminal));
    }
    for settings in sealing::abandoned(&dir, &world) {
        if !settings.dir.exists() {
            runtime.block_on(sealing::give_back(&settings, &dir, &world));
        } else if !journal::alive(&settings.dir) && recovered.iter().all(|run| run.run != settings.run) {
            let left = Left { run: &settings.run, dir: &settings.dir, state_dir: &dir };
            runtime.block_on(sealed(left, &Forms::default(), &world, terminal));
        }
    }
    let open = recovered.iter().any(|run| !run.open.is_empty() || run.error.is_some());
    Ok(if open { Exit::NotHealed } else { Exit::Pass })
}

/// Reports and seal of a run whose runner could not make them. What is said of it is a remark: the answer is what was healed.
async fn sealed(left: Left<'_>, secrets: &Forms, world: &World, terminal: &mut Terminal) {
    let run = left.run;
    match sealing::in_place_of(left, world, &|dir| leaks::search(dir, secrets)).await {
        Ok(None) => {}
        Ok(Some(sealed)) => {
            let text = sealed.text.lines().map(str::trim).chain(sealed.notes.iter().map(String::as_str));
            terminal.warn(&format!("{run}: {}", text.collect::<Vec<_>>().join("; ")));
        }
        Err(why) => drop(terminal.complain(&why)),
    }
}

pub(super) fn in_words(all: &[Recovered]) -> String {
    if all.is_empty() {
        return "no run left anything open".to_owned();
    }
    let mut text = String::new();
    for run in all {
        text.push_str(&format!("{} ({})\n", run.run, run.dir.display()));
        run.healed.iter().for_each(|fault| text.push_str(&format!("  healed      {fault}\n")));
        for open in &run.open {
            text.push_str(&format!("  NOT HEALED  {}: {}\n", open.fault, open.why));
            text.push_str(&format!("              by hand: {}\n", open.by_hand));
        }
        match &run.error {
            Some(error) => text.push_str(&format!("  {error}\n")),
            None if run.healed.is_empty() && run.open.is_empty() => text.push_str("  nothing was open\n"),
            None => {}
        }
    }
    text
}

fn as_json(all: &[Recovered]) -> String {
    json!({ "recovered": runs(all) }).to_string()
}

/// What became of each run.
pub(super) fn runs(all: &[Recovered]) -> Vec<serde_json::Value> {
    let of = all.iter().map(|run| {
        let open: Vec<_> =
            run.open.iter().map(|o| json!({"fault": o.fault, "why": o.why, "by_hand": o.by_hand})).collect();
        json!({"run": run.run, "dir": run.dir, "healed": run.healed, "open": open, "error": run.error})
    });
    of.collect()
}
