//! How a run becomes evidence: who signs, its place in the chain of runs, time stamps, the seal. Asked for by flags and the
//! configuration, prepared before anything is touched, concluded when the reports are written; by the runner, or by whoever
//! heals in its place, for whom the settings are kept in the state directory. What a seal is, is `evidence`'s business.
//!
//! Invariant: what is missing here never stops a drill that has begun; it is said.

mod chain;
mod settings;
mod stamps;
mod subjects;

pub use settings::{Settings, abandoned};

use super::evidence::{self, Judged};
use super::playbooks::Scheduled;
use super::{Complaint, Exit};
use crate::adapters::World;
use crate::event::ChainSeal;
use crate::evidence::scan;
use crate::evidence::seal::{self, Order, Sealed, Standing};
use crate::evidence::signature::Signer;
use crate::exec::{Observer, RunOptions};
use crate::model::RunId;
use crate::report;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// As long as a staging whose runner died may take to end.
const STAGING: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What makes a run evidence.
#[derive(Debug, Clone, clap::Args)]
pub struct Asked {
    /// Sign with this SSH key: a private one, or a public one whose private half ssh-agent or a token holds
    #[arg(long, value_name = "KEY", env = "BLACKSTART_SIGN_WITH")]
    sign_with: Option<PathBuf>,
    /// Keep the chain of runs here instead of in the state directory; a CI workspace is clean each time
    #[arg(long, value_name = "DIR|s3://BUCKET/PREFIX", env = "BLACKSTART_CHAIN")]
    chain: Option<String>,
    /// Name this runner in the chain; this machine, or the CI's project, if not given
    #[arg(long, value_name = "NAME", env = "BLACKSTART_CHAIN_NAME")]
    chain_name: Option<String>,
    /// Ask this authority (RFC 3161) to stamp the start record and the signature
    #[arg(long, value_name = "URL", env = "BLACKSTART_TIMESTAMP")]
    timestamp: Option<String>,
    /// What is under test: `NAME=sha256:…` or `NAME=gitCommit:…`; a CI's commit is added by itself
    #[arg(long = "subject", value_name = "NAME=DIGEST", value_parser = subjects::parse)]
    subjects: Vec<crate::event::Subject>,
}

/// A run that will be evidence.
pub struct Begun {
    settings: Settings,
    state_dir: PathBuf,
    signer: Result<Signer, String>,
    /// What could not be had, for the user.
    pub notes: Vec<String>,
    start: Option<Arc<stamps::Start>>,
}

/// What became of a run as evidence.
pub struct Concluded {
    /// For the user, after the table.
    pub text: String,
    /// The same for programs.
    pub json: serde_json::Value,
    /// What could not be had, for the user.
    pub notes: Vec<String>,
    /// Why it is not what was asked for.
    pub problem: Option<Complaint>,
}

/// Before anything is touched: the key shows that it can sign, and the run takes its place in the chain. Fills in what is
/// sealed of both.
///
/// # Errors
/// When the key cannot sign, or what was asked for cannot be understood.
pub async fn begin(
    args: &Asked,
    drill: &Scheduled,
    options: &mut RunOptions,
    world: &World,
) -> Result<Begun, Complaint> {
    let mut settings = Settings::new(args, drill, options, world)?;
    let signer = match &settings.sign_with {
        None => Err("no key was given (--sign-with)".to_owned()),
        Some(path) => Ok(Signer::open(path, &world.commands).await.map_err(|e| {
            Complaint::new(Exit::Preflight, e.to_string())
                .mend("ssh-keygen -t ed25519 -N '' -f evidence_key, and --sign-with evidence_key; nothing was touched")
        })?),
    };
    let mut notes = Vec::new();
    let lineage = &mut options.lineage;
    match chain::claim(&settings, world).await {
        Ok(claimed) => {
            lineage.chain_name.clone_from(&settings.chain);
            lineage.chain = Some(claimed.seal);
            notes.extend(claimed.note);
        }
        Err(why) => {
            notes.push(format!("NOT CHAINED: {why}; this run goes on without a place in the chain of runs"));
            settings.keep = None;
        }
    }
    lineage.signer = signer.as_ref().ok().map(Signer::fingerprint);
    lineage.subjects = subjects::all(&args.subjects, |name| std::env::var(name).ok());
    if let Err(why) = settings.keep_in(&options.state_dir) {
        notes.push(format!("if this runner dies, its run will be unsigned: {why}"));
    }
    let start = settings.timestamp.as_ref().map(|authority| Arc::new(stamps::Start::new(authority, &settings.dir)));
    Ok(Begun { settings, state_dir: options.state_dir.clone(), signer, notes, start })
}

impl Begun {
    /// The observer, and whatever else must see the start record.
    #[must_use]
    pub fn watching(&self, observer: Arc<dyn Observer>) -> Arc<dyn Observer> {
        match &self.start {
            Some(start) => stamps::watching(Arc::clone(start), observer),
            None => observer,
        }
    }

    /// The run was refused before it had a folder: its place is free again.
    pub async fn release(&self, world: &World) {
        if chain::release(&self.settings, world).await.is_ok() {
            self.settings.forget_in(&self.state_dir);
        }
    }

    /// Seals the run's folder, with its reports in it.
    pub async fn conclude(&self, dir: &Path, judged: &Judged, world: &World) -> Concluded {
        let mut notes = Vec::new();
        if let Some(start) = &self.start {
            notes.extend(start.ended().await.err().map(|why| format!("no time stamp over the start record: {why}")));
        }
        let order = Order {
            dir,
            exit_code: judged.exit.code(),
            signer: self.signer.as_ref().map_err(Clone::clone),
            statement: &|digest| Some(report::intoto(&judged.analysis, digest)),
        };
        let sealed = match seal::seal(&order).await {
            Ok(sealed) => sealed,
            Err(why) => {
                let why = Complaint::new(Exit::Internal, format!("the run is not sealed: {why}"));
                return Concluded { notes, ..Concluded::refused(why) };
            }
        };
        if let Some(authority) = &self.settings.timestamp {
            let stamped = stamps::stamp(authority, dir, sealed.last, crate::evidence::sums::STAMP).await;
            notes.extend(stamped.err().map(|why| format!("no time stamp over {}: {why}", sealed.last)));
        }
        if let Err(why) = chain::finish(&self.settings, &sealed.manifest, world).await {
            notes.push(format!("the chain of runs does not know that this run is sealed: {why}"));
        }
        if judged.exit != Exit::NotHealed {
            self.settings.forget_in(&self.state_dir);
        }
        self.concluded(&sealed, judged, notes)
    }

    fn concluded(&self, sealed: &Sealed, judged: &Judged, notes: Vec<String>) -> Concluded {
        let lineage = judged.analysis.run.lineage.as_deref();
        let place = lineage.and_then(|lineage| Some((lineage.chain.as_ref()?, lineage.chain_name.as_str())));
        let chained = place.map_or_else(|| "NOT CHAINED".to_owned(), |(seal, name)| place_in_words(seal, name));
        let signed = match &sealed.signed {
            Ok(fingerprint) => format!("signed by {fingerprint}"),
            Err(why) => format!("UNSIGNED: {why}"),
        };
        let again = if sealed.replaces.is_some() { " (again: its record was continued)" } else { "" };
        let text = format!("   sealed{again}: manifest sha256 {}\n   {chained}\n   {signed}", sealed.manifest);
        let json = json!({"manifest": sealed.manifest, "signer": sealed.signed.as_ref().ok(),
            "unsigned": sealed.signed.as_ref().err(), "chain": place.map(|(seal, _)| seal),
            "replaces": sealed.replaces});
        let promised = lineage.is_some_and(|lineage| lineage.signer.is_some());
        let problem = match &sealed.signed {
            Err(why) if promised => Some(Complaint::new(Exit::Internal, format!("the run is not signed: {why}"))),
            _ => None,
        };
        Concluded { text, json, notes, problem }
    }
}

/// The place in a chain, for people.
#[must_use]
pub fn place_in_words(seal: &ChainSeal, name: &str) -> String {
    let run = format!("run {} of the chain {name}", seal.counter);
    match &seal.previous {
        None => format!("{run}: the chain starts here"),
        Some(before) if before.manifest.is_none() => format!("{run}, after {}, which was not sealed yet", before.run),
        Some(before) => format!("{run}, after {}", before.run),
    }
}

impl Concluded {
    /// It is not sealed, and why.
    #[must_use]
    pub fn refused(why: Complaint) -> Self {
        let text = format!("   NOT SEALED: {}", why.what.lines().next().unwrap_or_default());
        Self { text, json: json!({"manifest": null, "why": why.what}), notes: Vec::new(), problem: Some(why) }
    }
}

/// A run whose runner cannot seal it any more.
#[derive(Clone, Copy)]
pub struct Left<'a> {
    /// The run.
    pub run: &'a RunId,
    /// Its folder.
    pub dir: &'a Path,
    /// Where its settings were kept.
    pub state_dir: &'a Path,
}

/// Writes reports and seals a run in place of its runner, once `clean` has found nothing in its folder that must not be
/// there. Nothing is done to one that is sealed and has not changed.
///
/// # Errors
/// When its record cannot be judged, its reports not be written, or what `clean` says.
pub async fn in_place_of(
    left: Left<'_>,
    world: &World,
    clean: &(dyn Fn(&Path) -> Result<(), Complaint> + Sync),
) -> Result<Option<Concluded>, Complaint> {
    let Left { run, dir, state_dir } = left;
    let standing = seal::standing(dir).map_err(|e| Complaint::new(Exit::Internal, e.to_string()))?;
    let kept = Settings::kept_in(state_dir, run);
    // A folder in which a secret was found stays unsealed: who comes later does not know what to look for.
    if matches!(standing, Standing::Sealed(_)) || dir.join(scan::UNSEALED).exists() {
        kept.iter().for_each(|settings| settings.forget_in(state_dir));
        return Ok(None);
    }
    until_staging_ended(dir, world).await;
    let judged = evidence::judge(dir)?;
    evidence::write(dir, &judged)?;
    clean(dir)?;
    let settings = kept.unwrap_or_else(|| Settings::unknown(run, dir));
    let signer = match &settings.sign_with {
        None => Err("nobody knows of a key that was to sign".to_owned()),
        Some(path) => Signer::open(path, &world.commands).await.map_err(|e| e.to_string()),
    };
    let begun = Begun { settings, state_dir: state_dir.to_path_buf(), signer, notes: Vec::new(), start: None };
    Ok(Some(begun.conclude(dir, &judged, world).await))
}

/// The embedded staging ends by itself when its runner dies, and writes in the run's folder until then.
async fn until_staging_ended(dir: &Path, world: &World) {
    let until = world.clock.mono().after(STAGING);
    let entries = std::fs::read_dir(dir.join("staging")).into_iter().flatten().flatten();
    let files = entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|ext| ext == "pid"));
    let pids = files.filter_map(|path| std::fs::read_to_string(path).ok()?.trim().parse::<i32>().ok());
    for pid in pids.collect::<Vec<_>>() {
        while world.processes.identify(pid).is_ok_and(|who| who.is_some()) && world.clock.mono() < until {
            world.clock.sleep_until(world.clock.mono().after(LOOK_EVERY)).await;
        }
    }
}

/// The place of a run that never had a folder is free again.
pub async fn give_back(settings: &Settings, state_dir: &Path, world: &World) {
    if chain::release(settings, world).await.is_ok() {
        settings.forget_in(state_dir);
    }
}
