//! `blackstart plan`: what a drill would do, to whom, with which permissions, and what heals it. Looks at the targets as
//! they are now; touches nothing.

use super::playbooks::{self, Given};
use super::{Complaint, Exit, Output, Terminal, files};
use crate::adapters::World;
use crate::exec;
use crate::plan::{self, Explanation, Plan};
use serde_json::json;
use std::path::PathBuf;

/// Which drills.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Playbooks or game days
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    given: Given,
    /// Only what the runner must be allowed to do
    #[arg(long)]
    permissions: bool,
    /// How to print
    #[arg(long, value_enum, default_value = "human")]
    output: Output,
}

pub fn run(args: &Args, terminal: &mut Terminal) -> Result<Exit, Complaint> {
    let found = files::find(&args.files)?;
    let loaded = playbooks::load(&found.playbooks, &args.given)?;
    terminal.warn_all(&loaded.drawn(terminal.drawing()));
    if loaded.errors() > 0 {
        return Err(loaded.refusal());
    }
    let plans: Vec<Plan> = loaded.files.into_iter().flat_map(|file| file.plans).map(|drill| drill.plan).collect();
    let explained = explain(&plans)?;
    let texts = explained.iter().map(|(explained, _)| explained);
    match args.output {
        Output::Json => terminal.say(&format!("{:#}", json!({ "plans": texts.collect::<Vec<_>>() }))),
        Output::Human | Output::Plain if args.permissions => texts.for_each(|e| terminal.say(&permissions(e))),
        Output::Human | Output::Plain => texts.for_each(|e| terminal.say(&e.text())),
    }
    let mut exit = Exit::Pass;
    for (plan, (explained, unavailable)) in plans.iter().zip(&explained) {
        let unavailable = unavailable.iter().map(|why| format!("{}: {why}", explained.drill));
        let unavailable = unavailable.map(|why| Complaint::new(Exit::Preflight, why));
        for why in missing(plan, explained).into_iter().chain(unavailable) {
            exit = exit.merge(terminal.complain(&why));
        }
    }
    Ok(exit)
}

/// Each plan in words, and the faults in it that this machine cannot inject.
fn explain(plans: &[Plan]) -> Result<Vec<(Explanation, Vec<String>)>, Complaint> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Complaint::new(Exit::Internal, format!("cannot start the runtime: {e}")))?;
    let world = World::system();
    Ok(runtime.block_on(async {
        let mut explained = Vec::new();
        for plan in plans {
            let text = plan::explain(plan, &exec::look(plan, &world).await);
            explained.push((text, exec::unavailable(plan, &world).await));
        }
        explained
    }))
}

fn permissions(explained: &Explanation) -> String {
    if explained.permissions.is_empty() {
        return format!("{}: none", explained.drill);
    }
    format!("{}:\n  {}", explained.drill, explained.permissions.join("\n  "))
}

/// What a drill with a staging of its own does not find now may be there when the staging is up; else it is an error.
fn missing(plan: &Plan, explained: &Explanation) -> Vec<Complaint> {
    if plan.staging.is_some() {
        return Vec::new();
    }
    let why = |target: &plan::TargetLine| {
        let why = target.missing.as_ref()?;
        Some(Complaint::new(Exit::Preflight, format!("{}: target `{}`: {why}", explained.drill, target.name)))
    };
    explained.targets.iter().filter_map(why).collect()
}
