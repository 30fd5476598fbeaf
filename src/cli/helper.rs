//! `blackstart helper` (hidden): a detached child that holds a fault. What it does is in `helpers`.

use super::{Exit, Terminal};
use crate::helpers;
use std::io::Write;

/// Which helper, whose, and how.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The owner's tag; it is how the process is found
    #[arg(long)]
    owner: String,
    /// A vantage waits for its runner at this port of the loopback
    #[arg(long, value_name = "PORT")]
    listen: Option<u16>,
    /// The kind
    kind: String,
    /// Its parameters, JSON; a vantage's name
    parameters: String,
}

pub fn run(args: &Args, terminal: &mut Terminal) -> Exit {
    let mut ready = |line: &str| {
        // Nobody may be listening any more; the helper goes on.
        let mut out = std::io::stdout().lock();
        drop(writeln!(out, "{line}").and_then(|()| out.flush()));
    };
    if args.kind == crate::exec::vantage::HELPER {
        return match args.listen {
            Some(port) => super::vantage::listen(&args.parameters, port, terminal),
            None => super::vantage::run(&args.parameters, terminal),
        };
    }
    match helpers::run(&args.kind, &args.parameters, &mut ready) {
        Ok(()) => Exit::Pass,
        Err(why) => {
            terminal.warn(&format!("{} of {}: {why}", args.kind, args.owner));
            Exit::Internal
        }
    }
}
