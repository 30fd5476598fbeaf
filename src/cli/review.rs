//! `blackstart review`: what people say of a run goes beside it, chained to its manifest, and never changes it. What was said is
//! taken from flags, a file or questions ([`given`], [`interview`]); how it is kept is `evidence`'s business.

mod given;
mod interview;
mod sign;

use super::{Complaint, Exit, Terminal};
use crate::clock::Clock;
use crate::evidence::actions;
use crate::evidence::addendum::{Addendum, Closed, Decision, Review, VERSION, next_action};
use crate::evidence::reviews::{self, ReviewError, Sealed, Signed, Stored};
use crate::model::RunId;
use given::Given;
use sign::Signing;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// What is said of which run.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run's folder (reports/DRILL/RUN)
    run: PathBuf,
    /// Who says it
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// In which role
    #[arg(long, value_name = "ROLE")]
    role: Option<String>,
    #[command(flatten)]
    decision: Decided,
    /// Text for a field: participant, absent, deviation, root_cause, lesson, communication, security, or note
    #[arg(long, value_name = "FIELD=TEXT")]
    note: Vec<String>,
    /// What is to be done: `TEXT; owner=NAME; due=2027-01-31; retest`
    #[arg(long, value_name = "ACTION")]
    action: Vec<String>,
    /// An action is done: `RUN#2=HOW`, or `2=HOW` for one of this run
    #[arg(long, value_name = "[RUN#]N=HOW")]
    close: Vec<String>,
    /// Take all of it from a file, too
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Sign it with this SSH key: a private one, or a public one whose other half an agent or a token holds
    #[arg(long, value_name = "KEY")]
    sign_with: Option<PathBuf>,
    /// Only print the reviews that there are
    #[arg(long, conflicts_with_all = ["by", "role", "note", "action", "close", "from", "sign_with", "what"])]
    show: bool,
}

/// What is decided.
#[derive(Debug, Clone, Copy, clap::Args)]
#[group(id = "what", multiple = false)]
struct Decided {
    /// Accept the run as it is
    #[arg(long)]
    accept: bool,
    /// Accept the run, with something to be done
    #[arg(long)]
    accept_with_actions: bool,
    /// Do not accept the run as evidence
    #[arg(long)]
    reject: bool,
}

impl Decided {
    fn decision(self) -> Option<Decision> {
        match (self.accept, self.accept_with_actions, self.reject) {
            (true, _, _) => Some(Decision::Accepted),
            (_, true, _) => Some(Decision::AcceptedWithActions),
            (_, _, true) => Some(Decision::Rejected),
            _ => None,
        }
    }
}

/// Somebody else may add a review at the same time: so often it is tried.
const ATTEMPTS: u32 = 5;

pub fn run(args: &Args, terminal: &mut Terminal) -> Result<Exit, Complaint> {
    let sealed = reviews::sealed(&args.run).map_err(|e| complaint(&e))?;
    let stored = reviews::read(&args.run, &sealed).map_err(|e| complaint(&e))?;
    if args.show {
        terminal.say(&shown(&sealed, &stored));
        return Ok(Exit::Pass);
    }
    let mut said = given::from_args(args, terminal)?;
    if said.is_nothing() {
        if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
            return Err(Complaint::new(Exit::Usage, "nothing is said of the run").mend(EXAMPLE));
        }
        terminal.warn(&shown(&sealed, &stored));
        said = interview::ask(said, &mut |question| {
            terminal.warn(question);
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).ok().filter(|n| *n > 0).map(|_| line.trim().to_owned())
        })
        .ok_or_else(|| Complaint::new(Exit::NotRun, "broken off; nothing was written"))?;
    }
    let said = said.checked()?;
    unaltered(&args.run, &sealed)?;
    let signer = args.sign_with.as_deref().map(Signing::open).transpose()?;
    let (path, addendum) = added(&args.run, &sealed, &said, signer.as_ref())?;
    terminal.say(&written(&path, &addendum));
    match signer {
        Some(signer) => {
            terminal.say(&format!("signed by {}", signer.fingerprint()));
            if reviews::signer(&args.run, &sealed) == Signed::By(signer.fingerprint()) {
                terminal.warn("this key signed the run, too: only another key shows that somebody else reviewed it");
            }
        }
        None => terminal.warn("NOT SIGNED: anybody could have written this. --sign-with KEY shows who did"),
    }
    Ok(Exit::Pass)
}

const EXAMPLE: &str = "blackstart review RUN --by \"Kim Berg\" --role \"head of platform\" --accept";

fn complaint(error: &ReviewError) -> Complaint {
    let complaint = Complaint::new(Exit::Usage, error.to_string());
    match error {
        ReviewError::NotSealed(dir) => complaint.mend(format!(
            "a run is sealed when it ends; if its runner died, `blackstart recover` ends and seals it, and \
             `blackstart verify {}` says what is missing",
            dir.display()
        )),
        ReviewError::Wrong { .. } => Complaint { exit: Exit::Fail, ..complaint }
            .mend("blackstart verify RUN; nothing is added to what does not hold together"),
        ReviewError::Taken(_) => complaint.mend("the same command again"),
        ReviewError::Unreadable { .. } | ReviewError::Unwritable { .. } => complaint,
    }
}

/// Nobody signs off what was changed after it was sealed.
fn unaltered(dir: &Path, sealed: &Sealed) -> Result<(), Complaint> {
    let altered = reviews::altered(dir, &sealed.manifest);
    if altered.is_empty() {
        return Ok(());
    }
    let what = format!("this is not what was sealed: {}", altered.join(", "));
    Err(Complaint::new(Exit::Fail, what).mend(format!("blackstart verify {}; nothing was added", dir.display())))
}

/// Numbers it, writes it, and does so again if somebody was faster.
fn added(
    dir: &Path,
    sealed: &Sealed,
    said: &Given,
    signer: Option<&Signing>,
) -> Result<(PathBuf, Addendum), Complaint> {
    let mut last = None;
    for _ in 0..ATTEMPTS {
        let stored = reviews::read(dir, sealed).map_err(|e| complaint(&e))?;
        let addendum = made(dir, sealed, &stored, said)?;
        let bytes = reviews::bytes(&addendum);
        let signature = signer.map(|signer| signer.sign(&bytes)).transpose()?;
        match reviews::add(dir, addendum.number, &bytes, signature.as_deref()) {
            Ok(path) => return Ok((path, addendum)),
            Err(error @ ReviewError::Taken(_)) => last = Some(complaint(&error)),
            Err(error) => return Err(complaint(&error)),
        }
    }
    Err(last.unwrap_or_else(|| Complaint::new(Exit::Internal, "no number could be had for the review")))
}

fn made(dir: &Path, sealed: &Sealed, stored: &[Stored], said: &Given) -> Result<Addendum, Complaint> {
    let before: Vec<Addendum> = stored.iter().map(|stored| stored.addendum.clone()).collect();
    let run = sealed.manifest.run.clone();
    let first = next_action(&before);
    let review = said.review(&run, first);
    for close in &review.closes {
        closable(dir, sealed, &before, &review, close)?;
    }
    let number = u32::try_from(stored.len() + 1).unwrap_or(u32::MAX);
    Ok(Addendum {
        schema: VERSION.to_owned(),
        number,
        run,
        manifest: sealed.digest.clone(),
        previous: stored.last().map(|stored| stored.sha256.clone()),
        at: Clock::System.stamp().wall,
        by: said.by.clone(),
        role: said.role.clone(),
        review,
    })
}

/// Only an action that there is can be closed, and one that is to be retested only by a run.
fn closable(dir: &Path, sealed: &Sealed, own: &[Addendum], now: &Review, close: &Closed) -> Result<(), Complaint> {
    let name = format!("{}#{}", close.run, close.number);
    let missing =
        |why: String| Complaint::new(Exit::Usage, why).mend("blackstart review RUN --show lists a run's actions");
    let sealed_open = actions::sealed_open(dir).iter().any(|a| a.run == close.run && a.number == close.number);
    let addenda = match of_sibling(dir, &close.run) {
        _ if close.run == sealed.manifest.run => own.to_vec(),
        Ok(addenda) => addenda,
        // Its folder is gone, and this run's start record knows the action.
        Err(_) if sealed_open => return not_closed(own, close, &name),
        Err(why) => return Err(why),
    };
    let new = if close.run == sealed.manifest.run { now.actions.as_slice() } else { &[] };
    let action = addenda.iter().flat_map(|a| &a.review.actions).chain(new).find(|a| a.number == close.number);
    let action = action.ok_or_else(|| missing(format!("there is no action {name}")))?;
    if action.retest {
        let what =
            format!("{name} is to be retested: a later run of the drill that passes closes it, and nothing else");
        return Err(Complaint::new(Exit::Usage, what).mend(format!("blackstart run, with {}", sealed.manifest.drill)));
    }
    not_closed(addenda.iter().chain(own), close, &name)
}

fn not_closed<'a>(
    addenda: impl IntoIterator<Item = &'a Addendum>,
    close: &Closed,
    name: &str,
) -> Result<(), Complaint> {
    let mut closes = addenda.into_iter().flat_map(|a| &a.review.closes);
    if closes.any(|c| c.run == close.run && c.number == close.number) {
        return Err(Complaint::new(Exit::Usage, format!("{name} is closed already")).mend("the number of another one"));
    }
    Ok(())
}

/// The reviews of another run of the same drill: its folder stands beside this one.
fn of_sibling(dir: &Path, run: &RunId) -> Result<Vec<Addendum>, Complaint> {
    let here = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let plain = !run.0.is_empty() && !run.0.starts_with('.') && !run.0.contains(['/', '\\']);
    let beside = here.parent().filter(|_| plain).map(|folder| folder.join(run.as_str()));
    let beside = beside.filter(|beside| beside.is_dir()).ok_or_else(|| {
        let mend = "the name of a run whose folder stands beside this one";
        Complaint::new(Exit::Usage, format!("there is no run `{run}` beside this one")).mend(mend)
    })?;
    let sealed = reviews::sealed(&beside).map_err(|e| complaint(&e))?;
    let stored = reviews::read(&beside, &sealed).map_err(|e| complaint(&e))?;
    Ok(stored.into_iter().map(|stored| stored.addendum).collect())
}

/// What was written, in words.
fn written(path: &Path, addendum: &Addendum) -> String {
    format!("{}\n{}", path.display(), interview::summary(&addendum.by, &addendum.role, &addendum.review))
}

fn shown(sealed: &Sealed, stored: &[Stored]) -> String {
    let m = &sealed.manifest;
    let of = format!("{} of {} in {}, exit code {}", m.run, m.drill, m.environment, m.exit_code);
    let mut text = crate::report::words::clean(&of) + "\n";
    if stored.is_empty() {
        text.push_str("no review yet\n");
    }
    for Stored { addendum: a, signed, .. } in stored {
        let signed = match signed {
            Signed::No => "not signed".to_owned(),
            Signed::By(key) => format!("signed by {key}"),
            Signed::Unchecked(kind) => format!("signed by a key of the kind {kind}, not checked here"),
            Signed::Wrong(why) => format!("WITH A SIGNATURE THAT IS NONE: {why}"),
        };
        text.push_str(&format!("\n{}. on {}, {signed}\n", a.number, a.at.format("%Y-%m-%d %H:%M UTC")));
        text.push_str(&interview::summary(&a.by, &a.role, &a.review));
    }
    text
}
