//! `blackstart status`: which runs may have left a fault open. Reads the state directory and the journals; heals
//! nothing.

use super::run::{Memory, state_dir};
use super::{Complaint, Exit, Output, Terminal};
use crate::config::Config;
use crate::event::FaultIntent;
use crate::journal::{self, state::Index, state::OpenRun};
use serde_json::json;

/// How to print.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How to print
    #[arg(long, value_enum, default_value = "human")]
    output: Output,
}

/// A run that the state directory lists.
struct Listed {
    run: OpenRun,
    alive: bool,
    open: Result<Vec<FaultIntent>, String>,
}

pub fn run(args: &Args, terminal: &mut Terminal) -> Result<Exit, Complaint> {
    let dir = state_dir(&Config::default(), Memory::Accepted)?;
    let index = |e: journal::JournalError| Complaint::new(Exit::NotHealed, e.to_string());
    let runs =
        if dir.join("open").exists() { Index::open(&dir).and_then(|i| i.list()).map_err(index)? } else { Vec::new() };
    let listed: Vec<Listed> = runs.into_iter().map(look).collect();
    match args.output {
        Output::Json => terminal.say(&as_json(&listed)),
        Output::Human | Output::Plain => terminal.say(&in_words(&listed)),
    }
    Ok(if listed.iter().any(is_open) { Exit::NotHealed } else { Exit::Pass })
}

/// A run that is over and left something open, or nobody can say.
fn is_open(listed: &Listed) -> bool {
    !listed.alive && listed.open.as_ref().map_or(true, |open| !open.is_empty())
}

fn look(run: OpenRun) -> Listed {
    let alive = journal::alive(&run.dir);
    let open = journal::read(&run.dir).map(|stored| journal::open_faults(&stored.events)).map_err(|e| e.to_string());
    Listed { run, alive, open }
}

fn in_words(listed: &[Listed]) -> String {
    if listed.is_empty() {
        return "no run is under way, and none left anything open".to_owned();
    }
    let mut text = String::new();
    for Listed { run, alive, open } in listed {
        let healed = open.as_ref().is_ok_and(Vec::is_empty);
        let state = match (*alive, healed) {
            (true, _) => "is running",
            (false, true) => "is over; `blackstart recover` or the next run takes it off this list",
            (false, false) => "has ended without healing, or its runner died",
        };
        text.push_str(&format!("{} {state} ({})\n", run.run, run.dir.display()));
        match open {
            Ok(open) if open.is_empty() => text.push_str("  nothing is open\n"),
            Ok(open) => open.iter().for_each(|fault| {
                text.push_str(&format!("  open: {} ({}): {}\n", fault.name, fault.kind, fault.targets.join(", ")));
                text.push_str(&format!("        by hand: {}\n", fault.by_hand));
            }),
            Err(why) => text.push_str(&format!("  nobody can say what is open: {why}\n")),
        }
    }
    if listed.iter().any(is_open) {
        text.push_str("blackstart recover heals what is open\n");
    }
    text
}

fn as_json(listed: &[Listed]) -> String {
    let runs: Vec<_> = listed
        .iter()
        .map(|l| {
            let open = l.open.as_ref().ok().map(|open| {
                open.iter()
                    .map(|f| json!({"fault": f.fault, "kind": f.kind, "targets": f.targets, "by_hand": f.by_hand}))
                    .collect::<Vec<_>>()
            });
            json!({"run": l.run.run, "dir": l.run.dir, "alive": l.alive, "open": open, "error": l.open.as_ref().err()})
        })
        .collect();
    json!({ "runs": runs }).to_string()
}
