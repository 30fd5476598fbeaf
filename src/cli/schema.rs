//! `blackstart schema`: the JSON Schemas that editors and other programs use.

use super::{Exit, Terminal};
use clap::ValueEnum;

/// Which schema.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Of what
    #[arg(value_enum, default_value = "playbook")]
    of: Of,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Of {
    /// A playbook
    Playbook,
    /// `blackstart.yaml`
    Config,
    /// `report.json`
    Report,
    /// `blackstart stats --output json`
    Stats,
    /// `blackstart after-action --format json`
    AfterAction,
}

pub fn run(args: &Args, terminal: &mut Terminal) -> Exit {
    let schema = match args.of {
        Of::Playbook => crate::playbook::schema(),
        Of::Config => schemars::schema_for!(crate::config::Config).to_value(),
        Of::Report => crate::report::schema(),
        Of::Stats => crate::report::stats::schema(),
        Of::AfterAction => crate::report::after_action::schema(),
    };
    terminal.say(&format!("{schema:#}"));
    Exit::Pass
}
