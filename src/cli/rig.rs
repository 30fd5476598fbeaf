//! `blackstart rig` (hidden): the processes of the truth rig, which `selftest` and the tests start. What they do is in
//! [`crate::rig`].

use super::{Complaint, Exit, Terminal};
use crate::rig::{Lies, RigError, RigSettings, Script, ServerSettings, run as control, serve};
use std::net::SocketAddr;
use std::path::PathBuf;

/// With `--serve` its server, else its controller.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where its files are
    #[arg(long)]
    dir: PathBuf,
    /// Where it is asked
    #[arg(long)]
    listen: SocketAddr,
    /// What it plays: spells like refuse:200ms,up:1s,freeze:2s
    #[arg(long, default_value = "")]
    script: Script,
    /// Be the server of the controller with this pid
    #[arg(long)]
    serve: Option<i32>,
    #[command(flatten)]
    lies: LyingArgs,
}

#[derive(Debug, Clone, Copy, clap::Args)]
struct LyingArgs {
    #[arg(long, default_value_t = 0)]
    lose_last_ms: u64,
    #[arg(long, default_value_t = 0)]
    lose_first: u64,
    #[arg(long, default_value_t = 0)]
    holes: u64,
    #[arg(long, default_value_t = 0)]
    duplicates: u64,
    #[arg(long, default_value_t = 0)]
    corrupts: u64,
    #[arg(long, default_value_t = 0)]
    resurrects: u64,
    #[arg(long, default_value_t = 0)]
    phantoms: u64,
    #[arg(long, default_value_t = 0)]
    stale: u64,
    #[arg(long, default_value_t = 0)]
    late: u64,
}

impl From<LyingArgs> for Lies {
    fn from(args: LyingArgs) -> Self {
        Self {
            lose_last_ms: args.lose_last_ms,
            lose_first: args.lose_first,
            holes: args.holes,
            duplicates: args.duplicates,
            corrupts: args.corrupts,
            resurrects: args.resurrects,
            phantoms: args.phantoms,
            stale: args.stale,
            late: args.late,
        }
    }
}

pub fn run(args: &Args, terminal: &mut Terminal) -> Result<Exit, Complaint> {
    let (dir, listen, lies) = (args.dir.clone(), args.listen, args.lies.into());
    let ended = match args.serve {
        Some(parent) => serve(ServerSettings { dir, listen, lies, parent: Some(parent) }, |line| terminal.say(line)),
        None => control(RigSettings { dir, listen, script: args.script.clone(), lies }, || terminal.say("ready")),
    };
    ended.map(|()| Exit::Pass).map_err(|why: RigError| Complaint::new(Exit::Preflight, why.to_string()))
}
