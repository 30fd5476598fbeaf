//! The command line: one file per command, the exit-code table, and the only printing.
//! What a drill is, does and means lives elsewhere; here it is asked for, shown, and turned into an exit code.

mod after_action;
mod analyze;
mod answers;
mod bundle;
mod ci;
mod compare;
mod completions;
mod coverage;
mod doctor;
mod evidence;
mod exit;
mod export;
mod files;
mod formats;
mod from_cluster;
mod gate;
mod guardian;
mod helper;
mod history;
mod host_seal;
mod init;
mod inside;
mod install_recovery;
mod kill_switch;
mod kv;
mod leaks;
mod list;
mod man;
mod part;
mod past;
mod plan;
mod playbooks;
mod progress;
mod proxy;
mod prune;
mod recover;
mod reference;
mod repeat;
mod report;
mod resolver;
mod review;
mod rig;
mod run;
mod schedule;
mod schema;
mod sealing;
mod selftest;
mod stats;
mod status;
mod terminal;
mod trap;
mod trend;
mod upload;
mod validate;
mod vantage;
mod verify;

pub use exit::Exit;
pub use reference::reference;
pub use verify::recomputed;

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::process::ExitCode;
use terminal::{Complaint, Terminal};

/// Runs chaos and disaster-recovery drills: breaks things on purpose, times how long clients could not work, and counts
/// which acknowledged writes are gone.
#[derive(Debug, Parser)]
#[command(name = "blackstart", version, propagate_version = true, after_help = exit::HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run drills, judge them, and write the evidence
    Run(Box<run::Args>),
    /// Print what runs a drill at fixed times: a Kubernetes CronJob with its guardian; touches nothing
    Schedule(Box<schedule::Args>),
    /// Find every mistake in playbooks: place, reason, and what to write
    Validate(validate::Args),
    /// Say what a drill would do: phases, targets, blast radius, permissions, healing; touches nothing
    Plan(plan::Args),
    /// Compute a run's reports again from its record, and compare byte for byte
    Analyze(analyze::Args),
    /// Render a run's report again, in any format
    Report(report::Args),
    /// Check runs as evidence: integrity, signature, chain of runs, and the verdict computed again
    Verify(verify::Args),
    /// Add a sign-off, notes and actions to a run, beside it and never changing it
    Review(review::Args),
    /// Write one report over several runs: a game day, a quarter
    AfterAction(after_action::Args),
    /// List runs, from an index over their folders
    History(history::Args),
    /// Say how a drill's figures went over its runs
    Trend(trend::Args),
    /// Say which systems and controls were drilled, when last, and what is overdue
    Coverage(coverage::Args),
    /// Compare two runs
    Compare(compare::Args),
    /// Decide from drills whether a release may go out
    Gate(gate::Args),
    /// Pack a run into one archive, the same bytes each time
    Bundle(bundle::Args),
    /// Remove old runs; tombstones stay, so that the chain of runs still verifies
    Prune(prune::Args),
    /// Say what several runs of a drill measured together, and what may be concluded from them
    Stats(stats::Args),
    /// Write a run's operations as a table: CSV or Parquet
    Export(export::Args),
    /// Say which runs may have left a fault open
    Status(status::Args),
    /// Heal what runs left open
    Recover(recover::Args),
    /// Heal at every boot what a run left open: a systemd unit
    InstallRecovery(install_recovery::Args),
    /// Stop every drill at once, and let none begin until it is released
    KillSwitch(kill_switch::Args),
    /// Write a commented playbook to begin with
    Init(init::Args),
    /// Say which faults, probes, workloads, restores, targets and controls a playbook can name
    List(list::Args),
    /// Print a JSON Schema, for editors and other programs
    Schema(schema::Args),
    /// Say what this machine can and cannot do, and how to mend it
    Doctor(doctor::Args),
    /// Say how right this program's numbers are on this machine: real drills against known outages
    Selftest(selftest::Args),
    /// Print completions for a shell
    Completions(completions::Args),
    /// Print the man page
    Man(man::Args),
    /// A TCP proxy whose connections drills can make slow, stuck or broken
    Proxy(proxy::Args),
    /// A name server whose answers drills can make fail, slow or wrong
    Resolver(resolver::Args),
    /// The processes of the embedded staging
    #[command(hide = true)]
    Kv(Box<kv::Kv>),
    /// The processes of the truth rig
    #[command(hide = true)]
    Rig(rig::Args),
    /// A process that holds a fault
    #[command(hide = true)]
    Helper(helper::Args),
    /// A part of a run's archive
    #[command(hide = true)]
    Part(part::Args),
    /// Watches over a run
    #[command(hide = true)]
    Guardian(guardian::Args),
}

/// How a command prints its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people: redrawn on a terminal, lines otherwise
    Human,
    /// For programs
    Json,
    /// Lines of text, also on a terminal
    Plain,
}

/// Runs the command line and says how it ended.
#[must_use]
pub fn main() -> ExitCode {
    let mut terminal = Terminal::real();
    let exit = trap::panics(|| dispatch(&mut terminal));
    ExitCode::from(exit.code())
}

fn dispatch(terminal: &mut Terminal) -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(refusal) => return refused(&refusal, terminal),
    };
    cli.command.run(terminal).unwrap_or_else(|complaint| terminal.complain(&complaint))
}

impl Command {
    fn run(self, terminal: &mut Terminal) -> Result<Exit, Complaint> {
        match self {
            Self::Run(args) => run::run(&args, terminal),
            Self::Schedule(args) => schedule::run(&args, terminal),
            Self::Plan(args) => plan::run(&args, terminal),
            Self::Analyze(args) => analyze::run(&args, terminal),
            Self::Report(args) => report::run(&args, terminal),
            Self::Verify(args) => verify::run(&args, terminal),
            Self::Review(args) => review::run(&args, terminal),
            Self::AfterAction(args) => after_action::run(&args, terminal),
            Self::History(args) => history::run(&args, terminal),
            Self::Trend(args) => trend::run(&args, terminal),
            Self::Coverage(args) => coverage::run(&args, terminal),
            Self::Compare(args) => compare::run(&args, terminal),
            Self::Gate(args) => gate::run(&args, terminal),
            Self::Bundle(args) => bundle::run(&args, terminal),
            Self::Prune(args) => prune::run(&args, terminal),
            Self::Stats(args) => stats::run(&args, terminal),
            Self::Export(args) => export::run(&args, terminal),
            Self::Status(args) => status::run(&args, terminal),
            Self::Recover(args) => recover::run(&args, terminal),
            Self::InstallRecovery(args) => install_recovery::run(&args, terminal),
            Self::KillSwitch(args) => kill_switch::run(&args, terminal),
            Self::Validate(args) => validate::run(&args, terminal),
            Self::Init(args) => init::run(&args, terminal),
            Self::Schema(args) => Ok(schema::run(&args, terminal)),
            Self::List(args) => Ok(list::run(&args, terminal)),
            Self::Doctor(args) => Ok(doctor::run(&args, terminal)),
            Self::Selftest(args) => selftest::run(&args, terminal),
            Self::Completions(args) => Ok(completions::run(&args, terminal)),
            Self::Man(args) => man::run(&args, terminal),
            Self::Proxy(args) => proxy::run(&args, terminal),
            Self::Resolver(args) => resolver::run(&args, terminal),
            Self::Kv(args) => Ok(kv::run(*args)),
            Self::Rig(args) => rig::run(&args, terminal),
            Self::Helper(args) => Ok(helper::run(&args, terminal)),
            Self::Part(args) => part::run(&args, terminal),
            Self::Guardian(args) => guardian::run(&args, terminal),
        }
    }
}

/// Help and version are answers; everything else clap refuses is wrong usage, and its own status 2 becomes 64.
fn refused(refusal: &clap::Error, terminal: &mut Terminal) -> Exit {
    let text = refusal.render();
    if refusal.use_stderr() {
        terminal.warn(&terminal.styled(&text));
        Exit::Usage
    } else {
        terminal.say(&terminal.styled(&text));
        Exit::Pass
    }
}

/// Where the tool remembers runs that may hold open faults.
fn state_dir() -> Option<PathBuf> {
    crate::journal::state::directory(|name| std::env::var_os(name))
}

/// The command line as clap sees it, for completions and the man page.
fn command() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn wrong_usage_is_64_and_help_is_0() {
        let mut terminal = Terminal::captured();
        let wrong = Cli::try_parse_from(["blackstart", "frobnicate"]).unwrap_err();
        assert_eq!(refused(&wrong, &mut terminal), Exit::Usage);
        let help = Cli::try_parse_from(["blackstart", "--help"]).unwrap_err();
        assert_eq!(refused(&help, &mut terminal), Exit::Pass);
        assert!(terminal.out().contains("Usage:"), "{}", terminal.out());
        assert!(terminal.err().contains("frobnicate"), "{}", terminal.err());
    }
}
