//! `blackstart plan`: what a drill would do, to whom, with which permissions, and what heals it. Looks at the targets as
//! they are now; touches nothing.

use super::playbooks::{self, Given};
use super::{Complaint, Exit, Output, Terminal, files};
use crate::adapters::World;
use crate::exec::{self, Rights};
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
    let (explained, rights) = explain(&plans)?;
    let texts = explained.iter().map(|(explained, _)| explained);
    match args.output {
        Output::Json => terminal.say(&format!("{:#}", json!({ "plans": texts.collect::<Vec<_>>() }))),
        Output::Human | Output::Plain if args.permissions => {
            texts.zip(&rights).for_each(|(e, rights)| terminal.say(&permissions(e, rights)));
        }
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

/// A plan in words, and the faults in it that this machine cannot inject.
type Explained = Vec<(Explanation, Vec<String>)>;

/// What it needs in its clusters, or why that is not known.
type Needed = Vec<Result<Vec<Rights>, Vec<String>>>;

fn explain(plans: &[Plan]) -> Result<(Explained, Needed), Complaint> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Complaint::new(Exit::Internal, format!("cannot start the runtime: {e}")))?;
    let world = World::system();
    Ok(runtime.block_on(async {
        let (mut explained, mut rights) = (Vec::new(), Vec::new());
        for plan in plans {
            let text = plan::explain(plan, &exec::look(plan, &world).await);
            explained.push((text, exec::unavailable(plan, &world).await));
            rights.push(exec::rights(plan, &world).await);
        }
        (explained, rights)
    }))
}

fn permissions(explained: &Explanation, rights: &Result<Vec<Rights>, Vec<String>>) -> String {
    let drill = &explained.drill;
    let words = match explained.permissions.as_slice() {
        [] => format!("{drill}: none"),
        permissions => format!("{drill}:\n  {}", permissions.join("\n  ")),
    };
    match rights {
        Ok(rights) if rights.is_empty() => words,
        Ok(rights) => roles(drill, &words, rights),
        Err(unknown) => format!("{words}\n  its Role is not known: {}", unknown.join("; ")),
    }
}

/// The account that the Role is bound to: whoever runs drills elsewhere puts its own in its place.
const ACCOUNT: &str = "blackstart";

/// For `kubectl apply -f -`: everything else is a comment.
fn roles(drill: &str, words: &str, rights: &[Rights]) -> String {
    let comment = |text: &str| text.lines().map(|line| format!("# {line}\n")).collect::<String>();
    let mut text = comment(words);
    for one in rights {
        text.push_str(&comment(&format!(
            "in the cluster {}, bound to the ServiceAccount {ACCOUNT} in {}:",
            one.cluster, one.home
        )));
        text.push_str(&plan::yaml(&plan::bound(drill, &one.grants, (&one.home, ACCOUNT))));
    }
    text.trim_end().to_owned()
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
