//! `blackstart recover`: heals what runs left open, from their journals alone.

use super::evidence;
use super::progress::Progress;
use super::run::{Memory, state_dir};
use super::{Complaint, Exit, Output, Terminal};
use crate::adapters::World;
use crate::clock::Clock;
use crate::config::Config;
use crate::exec::{self, Limits, Recovered};
use serde_json::json;
use std::sync::Arc;

/// How to print.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How to print
    #[arg(long, value_enum, default_value = "human")]
    output: Output,
}

pub fn run(args: &Args, terminal: &mut Terminal) -> Result<Exit, Complaint> {
    let dir = state_dir(&Config::default(), Memory::Accepted)?;
    let progress = Arc::new(Progress::new(args.output, terminal.look(), Clock::System));
    let recovered = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| Complaint::new(Exit::Internal, format!("cannot start the runtime: {e}")))?
        .block_on(exec::recover(&dir, &World::system(), &Limits::default(), progress.clone()));
    progress.end();
    let recovered = recovered.map_err(|e| Complaint::new(Exit::NotHealed, e.to_string()))?;
    match args.output {
        Output::Json => terminal.say(&as_json(&recovered)),
        Output::Human | Output::Plain => terminal.say(&in_words(&recovered)),
    }
    // What was written before the healing says something else.
    for run in recovered.iter().filter(|run| run.error.is_none()) {
        if let Err(why) = evidence::judge(&run.dir).and_then(|judged| evidence::write(&run.dir, &judged)) {
            terminal.complain(&why);
        }
    }
    let open = recovered.iter().any(|run| !run.open.is_empty() || run.error.is_some());
    Ok(if open { Exit::NotHealed } else { Exit::Pass })
}

fn in_words(all: &[Recovered]) -> String {
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
    let runs: Vec<_> = all
        .iter()
        .map(|run| {
            let open: Vec<_> =
                run.open.iter().map(|o| json!({"fault": o.fault, "why": o.why, "by_hand": o.by_hand})).collect();
            json!({"run": run.run, "dir": run.dir, "healed": run.healed, "open": open, "error": run.error})
        })
        .collect();
    json!({ "recovered": runs }).to_string()
}
