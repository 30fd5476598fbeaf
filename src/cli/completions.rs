//! `blackstart completions SHELL`: a completion script, made from the command line's own definition.

use super::{Exit, Terminal};
use clap_complete::Shell;

/// For which shell.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell
    shell: Shell,
}

pub fn run(args: &Args, terminal: &mut Terminal) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "blackstart", &mut script);
    terminal.give(&String::from_utf8_lossy(&script));
    Exit::Pass
}
