//! One file per command; the exit-code table; the only printing.

pub mod kv;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Debug, Parser)]
#[command(name = "blackstart", version, about = "Runs disaster-recovery drills and measures what clients lost")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The processes of the embedded staging.
    #[command(hide = true)]
    Kv(kv::Kv),
}

/// Runs the command line and says how it ended.
#[must_use]
pub fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(Cli { command: Command::Kv(kv) }) => kv::run(kv),
        Err(usage) => {
            // Standard output may be closed; then there is nobody to tell.
            let _unheard = usage.print();
            ExitCode::from(if usage.use_stderr() { 64 } else { 0 })
        }
    }
}
