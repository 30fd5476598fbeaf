//! `blackstart resolver`: a name server on its own, for a staging script to point things at; and the way to look at one and
//! to take faults out of it by hand. How it works is in `helpers::resolver`.

use super::{Complaint, Exit, Terminal};
use crate::adapters::World;
use crate::adapters::proxy::Keep;
use crate::adapters::resolver::{NameFault, ResolverAsk, ResolverStart};
use crate::helpers::resolver;
use crate::model::{Dur, Orphaned};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// Started with `--listen` it serves; with `--control` alone it asks the one that serves there.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where it is asked by UDP and TCP, ADDRESS:PORT; port 0 takes a free one
    #[arg(long, conflicts_with_all = ["clear", "clear_all", "set"])]
    listen: Option<SocketAddr>,
    /// The name server that it asks, ADDRESS:PORT
    #[arg(long, requires = "listen")]
    upstream: Option<SocketAddr>,
    /// A name that it knows itself, NAME=ADDRESS; more than once for more
    #[arg(long = "name", requires = "listen", value_parser = known)]
    names: Vec<(String, IpAddr)>,
    /// What it knows itself is good for so long
    #[arg(long, requires = "listen", default_value = "5s")]
    ttl: Dur,
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

fn known(text: &str) -> Result<(String, IpAddr), String> {
    let wrong = || format!("`{text}` is not NAME=ADDRESS, like db.example.com=127.0.0.1");
    let (name, address) = text.split_once('=').ok_or_else(wrong)?;
    Ok((name.to_owned(), address.parse().map_err(|_| wrong())?))
}

pub fn run(args: &Args, terminal: &mut Terminal) -> Result<Exit, Complaint> {
    if let Some(listen) = args.listen {
        return serve(args, listen, terminal);
    }
    let ask = question(args)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Complaint::new(Exit::Internal, e.to_string()))?;
    let said = runtime.block_on(World::system().resolvers.ask(&args.control, &ask));
    let state = said.map_err(|why| Complaint::new(Exit::Preflight, why.to_string()))?;
    terminal.say(&serde_json::to_string_pretty(&state).unwrap_or_default());
    Ok(Exit::Pass)
}

/// Until it is told to end; its state is the first line.
fn serve(args: &Args, listen: SocketAddr, terminal: &mut Terminal) -> Result<Exit, Complaint> {
    let (orphaned, linger) = (Orphaned::Open, Dur(std::time::Duration::ZERO));
    let keep = Keep { runner: None, orphaned, linger, deadline: args.deadline };
    let mut names: BTreeMap<String, Vec<IpAddr>> = BTreeMap::new();
    for (name, address) in &args.names {
        names.entry(name.clone()).or_default().push(*address);
    }
    let (upstream, ttl, control) = (args.upstream, args.ttl, args.control.clone());
    let start = ResolverStart { listen, upstream, names, ttl, control, keep };
    let ready = |state: &_| terminal.say(&serde_json::to_string(state).unwrap_or_default());
    match resolver::main(start, ready) {
        Ok(()) => Ok(Exit::Pass),
        Err(why) => Err(Complaint::new(Exit::Preflight, why.to_string())),
    }
}

fn question(args: &Args) -> Result<ResolverAsk, Complaint> {
    if let Some(text) = &args.set {
        let fault = serde_json::from_str::<NameFault>(text);
        return fault.map(ResolverAsk::Set).map_err(|e| Complaint::new(Exit::Usage, format!("this is no fault: {e}")));
    }
    Ok(match &args.clear {
        Some(owner) => ResolverAsk::Clear(owner.clone()),
        None if args.clear_all => ResolverAsk::ClearAll,
        None => ResolverAsk::State,
    })
}
