//! `blackstart status`: which runs may have left a fault open, and what of ours is on this host that no run accounts for.
//! Reads the state directory, the journals and the host; heals nothing.

use super::from_cluster::{self, FromCluster};
use super::run::{Memory, state_dir};
use super::{Complaint, Exit, Output, Terminal};
use crate::adapters::{ProcessState, World, host};
use crate::clock::Clock;
use crate::config::Config;
use crate::event::{Event, FaultIntent, What};
use crate::exec::{self, Able, Blind, Left};
use crate::journal::{self, state::Index, state::OpenRun};
use crate::model::ProcessIdentity;
use crate::report::words;
use serde_json::json;

/// How to print.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    from: FromCluster,
    /// How to print
    #[arg(long, value_enum, default_value = "human")]
    output: Output,
}

/// A run that the state directory lists.
struct Listed {
    run: OpenRun,
    life: Life,
    seen: Result<Seen, String>,
}

/// Who has its record in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    /// Its runner, and a guardian watches.
    Guarded,
    /// Its runner, alone.
    Running,
    /// Its guardian or a recovery.
    BeingHealed,
    /// Nobody.
    Over,
}

/// What its record says.
struct Seen {
    open: Vec<FaultIntent>,
    staging: Staging,
    /// Boot id of the machine when it began.
    boot: String,
}

/// Is a staging of scripts left up?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Staging {
    Up,
    Down,
}

pub fn run(args: &Args, terminal: &mut Terminal) -> Result<Exit, Complaint> {
    if args.from.is_asked() {
        return from_cluster::status(&args.from, args.output, terminal);
    }
    let dir = state_dir(&Config::default(), Memory::Accepted)?;
    let index = |e: journal::JournalError| Complaint::new(Exit::NotHealed, e.to_string());
    let runs = Index::at(&dir).list().map_err(index)?;
    let listed: Vec<Listed> = runs.into_iter().map(look).collect();
    let (left, blind) = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Complaint::new(Exit::Internal, format!("cannot start the runtime: {e}")))?
        .block_on(exec::left_behind(&dir, &World::system()))
        .map_err(index)?;
    match args.output {
        Output::Json => terminal.say(&as_json(&listed, &left, &blind)),
        Output::Human | Output::Plain => terminal.say(&(in_words(&listed) + &residue(&left) + &not_seen(&blind))),
    }
    let open = listed.iter().any(is_open)
        || left.iter().any(|left| left.perhaps.is_empty())
        || blind.iter().any(|blind| blind.able == Able::Yes);
    Ok(if open { Exit::NotHealed } else { Exit::Pass })
}

/// What no run of this state directory accounts for.
fn residue(left: &[Left]) -> String {
    let mut text = String::new();
    for Left { residue, perhaps } in left {
        let of = match perhaps.as_slice() {
            [] => "of a run that nobody knows any more".to_owned(),
            runs => {
                let runs: Vec<&str> = runs.iter().map(|run| run.as_str()).collect();
                format!("perhaps of {}, which is alive with a state directory of its own", runs.join(" or "))
            }
        };
        text.push_str(&format!("\nresidue: {}, {of}\n         by hand: {}", residue.what, residue.by_hand));
    }
    text
}

/// Where something might be left, and nobody can say.
fn not_seen(blind: &[Blind]) -> String {
    let line = |Blind { what, able }: &Blind| match able {
        Able::Yes => format!("\nnot looked at: {what}; nobody can say what is left there"),
        Able::No => format!("\nnot looked at: {what}"),
    };
    blind.iter().map(line).collect()
}

/// A run that is over and left something open, or nobody can say.
fn is_open(listed: &Listed) -> bool {
    let left = |seen: &Seen| !seen.open.is_empty() || seen.staging == Staging::Up;
    listed.life == Life::Over && listed.seen.as_ref().map_or(true, left)
}

fn look(run: OpenRun) -> Listed {
    let record = journal::read_events(&run.dir);
    let events = record.as_ref().map(|stored| stored.events.as_slice()).unwrap_or_default();
    let life = match journal::alive(&run.dir) {
        false => Life::Over,
        true if journal::being_healed(events) => Life::BeingHealed,
        true if guardian(events).is_some_and(lives) => Life::Guarded,
        true => Life::Running,
    };
    let seen = match &record {
        Err(why) => Err(why.to_string()),
        Ok(stored) => match (&stored.cut, stored.events.first().map(|event| &event.what)) {
            (Some(cut), _) if !cut.torn => Err(format!("its record is damaged: {cut}")),
            (_, Some(What::RunStarted(start))) => Ok(seen(&stored.events, start.host.boot.clone())),
            _ => Err("its record is empty".to_owned()),
        },
    };
    Listed { run, life, seen }
}

fn seen(events: &[Event], boot: String) -> Seen {
    let staging = if journal::left_up(events).is_some() { Staging::Up } else { Staging::Down };
    Seen { open: journal::open_faults(events), staging, boot }
}

fn guardian(events: &[Event]) -> Option<&ProcessIdentity> {
    events.iter().find_map(|event| match &event.what {
        What::Guarded { guardian, .. } => guardian.as_ref(),
        _ => None,
    })
}

fn lives(who: &ProcessIdentity) -> bool {
    matches!(World::system().processes.state(who), Ok(ProcessState::Running | ProcessState::Stopped))
}

/// How a fault stands to its deadline.
fn deadline(fault: &FaultIntent, boot: &str) -> String {
    let Some(due) = fault.deadline_boot else { return String::new() };
    let now = host::line("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    if boot != now {
        return "; overdue: the machine was started anew since".to_owned();
    }
    let left = due - Clock::System.boot_nanos();
    if left > 0 {
        format!("; due in {}", words::duration(left))
    } else {
        format!("; overdue by {}", words::duration(-left))
    }
}

fn in_words(listed: &[Listed]) -> String {
    if listed.is_empty() {
        return "no run is under way, and none left anything open".to_owned();
    }
    let mut text = String::new();
    for one in listed {
        let Listed { run, life, seen } = one;
        let state = match life {
            Life::Guarded => "is running, and its guardian watches over it",
            Life::Running => "is running",
            Life::BeingHealed => "is being healed right now, by its guardian or by a recovery",
            Life::Over if is_open(one) => "has ended without healing, or its runner died",
            Life::Over => "is over; `blackstart recover` or the next run takes it off this list",
        };
        text.push_str(&format!("{} {state} ({})\n", run.run, run.dir.display()));
        match seen {
            Ok(seen) => text.push_str(&still_open(seen)),
            Err(why) => text.push_str(&format!("  nobody can say what is open: {why}\n")),
        }
    }
    if listed.iter().any(is_open) {
        text.push_str("blackstart recover heals what is open\n");
    }
    text
}

fn still_open(seen: &Seen) -> String {
    let mut text = String::new();
    for fault in &seen.open {
        let (name, kind, targets, due) =
            (&fault.name, &fault.kind, fault.targets.join(", "), deadline(fault, &seen.boot));
        text.push_str(&format!("  open: {name} ({kind}): {targets}{due}\n        by hand: {}\n", fault.by_hand));
    }
    match seen.staging {
        Staging::Up => text.push_str("  up: its staging\n"),
        Staging::Down if seen.open.is_empty() => text.push_str("  nothing is open\n"),
        Staging::Down => {}
    }
    text
}

fn as_json(listed: &[Listed], left: &[Left], blind: &[Blind]) -> String {
    let runs: Vec<_> = listed
        .iter()
        .map(|l| {
            let open = l.seen.as_ref().ok().map(|seen| {
                seen.open
                    .iter()
                    .map(|f| json!({"fault": f.fault, "kind": f.kind, "targets": f.targets, "by_hand": f.by_hand}))
                    .collect::<Vec<_>>()
            });
            let life = match l.life {
                Life::Guarded => "guarded",
                Life::Running => "running",
                Life::BeingHealed => "being_healed",
                Life::Over => "over",
            };
            let staging = l.seen.as_ref().is_ok_and(|seen| seen.staging == Staging::Up);
            let (alive, error) = (l.life != Life::Over, l.seen.as_ref().err());
            json!({"run": l.run.run, "dir": l.run.dir, "alive": alive, "life": life, "open": open, "staging_up": staging, "error": error})
        })
        .collect();
    let residue: Vec<_> = left
        .iter()
        .map(|Left { residue, perhaps }| {
            json!({"tag": residue.tag, "what": residue.what, "by_hand": residue.by_hand, "perhaps": perhaps})
        })
        .collect();
    let unseen: Vec<_> =
        blind.iter().map(|Blind { what, able }| json!({"what": what, "able": *able == Able::Yes})).collect();
    json!({ "runs": runs, "residue": residue, "not_looked_at": unseen }).to_string()
}
