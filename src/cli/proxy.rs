//! `blackstart proxy`: a TCP proxy on its own, for a staging script to put in front of a service; and the way to look at
//! one and to take faults out of it by hand. How it works is in `helpers::proxy`.

use super::{Complaint, Exit, Terminal};
use crate::adapters::World;
use crate::adapters::proxy::{Ask, Keep, LineFault, ProxyStart, Said};
use crate::helpers::proxy;
use crate::model::{Dur, Orphaned};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Started with `--listen` and `--upstream` it serves; with `--control` alone it asks the one that serves there.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where clients connect, ADDRESS:PORT; port 0 takes a free one
    #[arg(long, requires = "upstream", conflicts_with_all = ["clear", "clear_all", "set"])]
    listen: Option<SocketAddr>,
    /// Where they are led to, HOST:PORT
    #[arg(long, requires = "listen")]
    upstream: Option<String>,
    /// The control socket's file; only this user may speak to it
    #[arg(long)]
    control: PathBuf,
    /// It ends after this time, like 2h
    #[arg(long, requires = "listen")]
    deadline: Option<Dur>,
    /// Put a fault there: JSON
    #[arg(long, conflicts_with_all = ["clear", "clear_all"])]
    set: Option<String>,
    /// Take the fault with this owner's tag away
    #[arg(long, conflicts_with = "clear_all")]
    clear: Option<String>,
    /// Take all faults away
    #[arg(long)]
    clear_all: bool,
}

pub fn run(args: &Args, terminal: &mut Terminal) -> Result<Exit, Complaint> {
    if let (Some(listen), Some(upstream)) = (args.listen, &args.upstream) {
        return serve(args, listen, upstream, terminal);
    }
    let said = ask(&args.control, &question(args)?)?;
    terminal.say(&said);
    Ok(Exit::Pass)
}

/// Until it is told to end; its state is the first line.
fn serve(args: &Args, listen: SocketAddr, upstream: &str, terminal: &mut Terminal) -> Result<Exit, Complaint> {
    let (orphaned, linger) = (Orphaned::Open, Dur(std::time::Duration::ZERO));
    let keep = Keep { runner: None, orphaned, linger, deadline: args.deadline };
    let start = ProxyStart { listen, upstream: upstream.to_owned(), control: args.control.clone(), keep };
    let ready = |state: &_| terminal.say(&serde_json::to_string(state).unwrap_or_default());
    match proxy::main(start, ready) {
        Ok(()) => Ok(Exit::Pass),
        Err(why) => Err(Complaint::new(Exit::Preflight, why.to_string())),
    }
}

fn question(args: &Args) -> Result<Ask, Complaint> {
    if let Some(text) = &args.set {
        let fault = serde_json::from_str::<LineFault>(text);
        return fault.map(Ask::Set).map_err(|e| Complaint::new(Exit::Usage, format!("this is no fault: {e}")));
    }
    Ok(match &args.clear {
        Some(owner) => Ask::Clear(owner.clone()),
        None if args.clear_all => Ask::ClearAll,
        None => Ask::State,
    })
}

fn ask(control: &std::path::Path, ask: &Ask) -> Result<String, Complaint> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Complaint::new(Exit::Internal, e.to_string()))?;
    let world = World::system();
    match runtime.block_on(world.proxies.ask(control, ask)) {
        Ok(Said::State(state)) => Ok(serde_json::to_string_pretty(&state).unwrap_or_default()),
        Ok(Said::Echo(text) | Said::Error(text)) => Ok(text),
        Err(why) => Err(Complaint::new(Exit::Preflight, why.to_string())),
    }
}
