//! `blackstart validate`: every mistake of every file in one pass. Reads files and touches nothing; starts no runtime.

use super::playbooks::{self, Given, Loaded};
use super::{Complaint, Exit, Output, Terminal, files};
use serde_json::json;
use std::path::PathBuf;

/// Which files.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Playbooks, folders, or patterns such as 'drills/**/*.yaml'
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    given: Given,
    /// How to print
    #[arg(long, value_enum, default_value = "human")]
    output: Output,
}

pub fn run(args: &Args, terminal: &mut Terminal) -> Result<Exit, Complaint> {
    let found = files::find(&args.files)?;
    let loaded = playbooks::load(&found.playbooks, &args.given)?;
    match args.output {
        Output::Json => terminal.say(&format!(
            "{:#}",
            json!({"files": found.playbooks, "skipped": found.skipped,
            "diagnostics": loaded.listed()})
        )),
        Output::Human | Output::Plain => {
            terminal.give(&loaded.drawn(terminal.drawing()));
            terminal.say(&summary(&loaded, found.playbooks.len(), found.skipped.len()));
        }
    }
    Ok(if loaded.errors() == 0 { Exit::Pass } else { Exit::Playbook })
}

fn summary(loaded: &Loaded, files: usize, skipped: usize) -> String {
    let count = |n: usize, one: &str| if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") };
    let warnings = loaded.said.len() + loaded.unreadable.len() - loaded.errors();
    let skipped = if skipped == 0 { String::new() } else { format!(" ({} skipped)", count(skipped, "other file")) };
    let mut text = format!("{}{skipped}: {}", count(files, "playbook"), count(loaded.errors(), "error"));
    if warnings > 0 {
        text.push_str(&format!(", {}", count(warnings, "warning")));
    }
    text
}
