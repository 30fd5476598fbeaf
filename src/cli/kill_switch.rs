//! `blackstart kill-switch`: stops every drill that uses this state directory, and lets no new one begin until it is
//! released.

use super::run::{Memory, state_dir};
use super::{Complaint, Exit, Terminal};
use crate::clock::Clock;
use crate::config::Config;
use crate::exec::{KillSwitch, engage, release};

/// On, off, or how it stands.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Stop every drill now; each heals what it broke, and no new one begins
    On {
        /// Why; shown in the evidence of every run that it stops
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Let drills begin again
    Off,
    /// Say how it stands; exit code 5 while it is engaged (the default)
    Show,
}

pub fn run(args: &Args, terminal: &mut Terminal) -> Result<Exit, Complaint> {
    let dir = state_dir(&Config::default(), Memory::Accepted)?;
    let cannot = |e: std::io::Error| Complaint::new(Exit::Internal, format!("{}: {e}", dir.display()));
    match args.action.as_ref().unwrap_or(&Action::Show) {
        Action::On { reason } => {
            let person = super::host_seal::seal().trigger;
            let when = Clock::System.stamp().wall.format("%Y-%m-%d %H:%M:%S UTC");
            let reason = reason.as_deref().unwrap_or("no reason is given");
            engage(&dir, &format!("{reason} (by {person} at {when})")).map_err(cannot)?;
            terminal.say("engaged: every drill stops and heals, none begins; `blackstart kill-switch off` releases it");
        }
        Action::Off => {
            release(&dir).map_err(cannot)?;
            terminal.say("released");
        }
        Action::Show => match KillSwitch::of(&dir).engaged() {
            Some(why) => {
                terminal.say(&format!("engaged: {why}"));
                return Ok(Exit::NotRun);
            }
            None => terminal.say("released"),
        },
    }
    Ok(Exit::Pass)
}
