//! `blackstart run PLAYBOOK --on kubernetes`: orders a run in a cluster, follows it, brings its folder here, removes what was
//! made, and ends with the exit code of the run.

use super::super::evidence;
use super::super::run::runtime;
use super::super::{Complaint, Exit, Output, Terminal};
use super::fetch::unpack;
use super::follow::{Came, Follower};
use super::set::{Place, needed};
use super::{Gathered, setting};
use crate::adapters::World;
use crate::adapters::kubernetes::Allowed;
use crate::cli::playbooks::Scheduled;
use crate::evidence::retention::{self, Sealing};
use crate::exec::StopSignal;
use crate::inside::{
    Names, Purpose, Setting, account, bindings, config_map, guardian_job, lease, limits_in_words, minimal_role,
    runner_job,
};
use crate::model::RunId;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc;

/// Removing takes at most this, besides the grace of what still runs.
const REMOVE: Duration = Duration::from_secs(120);

/// A run that is to be done in a cluster.
pub struct Order<'a> {
    pub drill: &'a Scheduled,
    pub gathered: &'a Gathered,
    pub asked: &'a super::Asked,
    pub given: &'a crate::cli::playbooks::Given,
    pub run: RunId,
    pub reports: PathBuf,
    pub output: Output,
    /// More arguments for the runner.
    pub arguments: Vec<String>,
}

/// The objects of a run, in the order in which they are created: the guardian before the runner.
fn objects(setting: &Setting, order: &Order<'_>, roles: Vec<Value>) -> Vec<Value> {
    let files = &order.gathered.files;
    let mut all = Vec::new();
    let mut bound = vec![minimal_role(setting)];
    if setting.account.is_none() {
        all.push(account(setting));
        bound.extend(roles);
    }
    let roles = bound;
    all.extend(bindings(setting, roles));
    all.push(config_map(setting, files));
    all.push(lease(setting, &setting.names.guardian, "guardian"));
    all.push(lease(setting, &setting.names.set, "runner"));
    all.push(guardian_job(setting, files));
    all.push(runner_job(setting, files, Some(order.run.as_str())));
    all
}

/// Does it all; the exit code is the run's.
///
/// # Errors
/// When nothing could be begun.
pub fn order(order: &Order<'_>, terminal: &mut Terminal) -> Result<Exit, Complaint> {
    let (runtime, world, stop) = (runtime()?, World::system(), StopSignal::new());
    order.gathered.left.iter().for_each(|left| terminal.warn(&format!("note: {left}")));
    let exit = runtime.block_on(async {
        stop.listen().map_err(|e| Complaint::new(Exit::Preflight, format!("cannot listen to signals: {e}")))?;
        let place = open(order, &world).await?;
        let names = Names::of_run(order.run.as_str());
        let named = (names, place.namespace.clone(), Purpose::Run);
        let mut setting = setting((order.drill, order.gathered), (order.asked, order.given), named)?;
        setting.arguments.extend(order.arguments.iter().cloned());
        allowed(&place, &setting).await?;
        let needs = super::needs(&order.drill.plan, order.asked.access()).await?;
        setting.homes = needs.homes;
        let objects = objects(&setting, order, needs.roles);
        begin((&place, &setting), &objects, terminal).await?;
        let came = conduct((&place, &setting), order, &stop, terminal).await;
        let exit = conclude(order, &came, terminal);
        Ok(exit.merge(remove((&place, &setting), &objects, order, terminal).await))
    });
    runtime.shutdown_background();
    exit
}

async fn open(order: &Order<'_>, world: &World) -> Result<Place, Complaint> {
    let access = order.asked.access();
    let cluster = world
        .clusters
        .open(&access)
        .await
        .map_err(|e| Complaint::new(Exit::Preflight, e.to_string()).mend("--kubeconfig FILE --context NAME"))?;
    let namespace = order.asked.namespace.clone().unwrap_or_else(|| cluster.facts().namespace);
    Ok(Place { cluster, namespace, clock: world.clock.clone() })
}

/// Whoever orders a run may do what that takes.
async fn allowed(place: &Place, setting: &Setting) -> Result<(), Complaint> {
    let refused = |what: String| Complaint::new(Exit::Preflight, what);
    let mut missing = Vec::new();
    for may in needed(setting) {
        match place.cluster.may(&may).await {
            Ok(Allowed::Yes) => {}
            Ok(Allowed::No(_)) => {
                let part = may.part.as_ref().map(|part| format!("/{part}")).unwrap_or_default();
                missing.push(format!("{} {}{part}", may.verb, may.resource));
            }
            Err(why) => return Err(refused(format!("cannot ask what is allowed: {why}"))),
        }
    }
    if !missing.is_empty() {
        let what =
            format!("in namespace {} you may not: {}; nothing was touched", setting.namespace, missing.join(", "));
        return Err(refused(what).mend("another --namespace, or a Role with these rights"));
    }
    Ok(())
}

/// Removes what an earlier run left, has the server try everything, and creates it.
async fn begin(
    (place, setting): (&Place, &Setting),
    objects: &[Value],
    terminal: &mut Terminal,
) -> Result<(), Complaint> {
    let refused = |what: String| Complaint::new(Exit::Preflight, what);
    for set in place.abandoned().await.unwrap_or_default() {
        terminal.warn(&format!("removing {set}, which an earlier run left behind"));
        let theirs = place.account_of(&set).await;
        if let Err(why) = place.remove(&set, &theirs, REMOVE).await {
            terminal.warn(&format!("{set} could not be removed: {why}"));
        }
    }
    let rejected = place.rehearse(objects).await;
    if !rejected.is_empty() {
        let complaint = refused(format!("{}; nothing was touched", rejected.join("\n")));
        let account =
            "--service-account NAME, if you may not make one with the rights of `blackstart plan --permissions`";
        return Err(if setting.account.is_none() { complaint.mend(account) } else { complaint });
    }
    terminal.say(&format!(
        "{} in namespace {}: {}",
        setting.names.set,
        setting.namespace,
        limits_in_words(&setting.times)
    ));
    if let Err(why) = place.create(objects).await {
        let left = place.remove(&setting.names.set, objects, REMOVE).await.err();
        let left = left.map(|left| format!("; what was made is still there: {left}")).unwrap_or_default();
        return Err(refused(format!("{why}; nothing was touched{left}")));
    }
    Ok(())
}

async fn conduct(
    (place, setting): (&Place, &Setting),
    order: &Order<'_>,
    stop: &StopSignal,
    terminal: &mut Terminal,
) -> Came {
    let (say, mut lines) = mpsc::unbounded_channel();
    let to = order.reports.join(format!(".{}.tar.gz", order.run));
    if let Err(why) = std::fs::create_dir_all(&order.reports) {
        terminal.warn(&format!("cannot make {}: {why}", order.reports.display()));
    }
    let follower = Follower { place, setting, run: order.run.as_str(), to: &to, stop, say };
    let mut follow = std::pin::pin!(follower.follow());
    let came = loop {
        tokio::select! {
            biased;
            Some(line) = lines.recv() => terminal.say(&line),
            came = &mut follow => break came,
        }
    };
    while let Ok(line) = lines.try_recv() {
        terminal.say(&line);
    }
    came
}

/// Unpacks the folder, checks it here, and says what it all came to.
fn conclude(order: &Order<'_>, came: &Came, terminal: &mut Terminal) -> Exit {
    let said = came.exit.and_then(Exit::of_code);
    let here = came.archive.as_deref().map(|archive| unpacked(order, archive, said, terminal));
    if let Some(archive) = &came.archive {
        drop(std::fs::remove_file(archive));
    }
    if let Some(exit) = here {
        return exit;
    }
    if let Some(why) = &came.lost {
        terminal.warn(&format!("error: {why}"));
    }
    let healed = came.healed.as_deref().map(|words| words.starts_with("ok: "));
    match (said, healed) {
        (_, Some(false)) => {
            let what = "the runner was lost, and its guardian could not heal everything";
            terminal.complain(&Complaint::new(Exit::NotHealed, what).mend("blackstart recover --from-cluster"))
        }
        (_, Some(true)) => {
            let what = "the runner was lost and its record with it; its guardian healed what was open";
            terminal.complain(
                &Complaint::new(Exit::Aborted, what).mend("--claim NAME, to keep the record of a runner that is lost"),
            )
        }
        (Some(exit), None) => exit,
        (None, None) if came.lost.is_some() => {
            let what = "nobody knows whether everything is healed";
            terminal.complain(&Complaint::new(Exit::NotHealed, what).mend("blackstart recover --from-cluster"))
        }
        (None, None) => {
            let ended = came.status.and_then(|code| u8::try_from(code).ok()).and_then(Exit::of_code);
            let what = "the runner ended before anything was touched";
            terminal.complain(&Complaint::new(ended.unwrap_or(Exit::NotRun), what))
        }
    }
}

/// A folder that came is believed only as far as it holds here.
fn unpacked(order: &Order<'_>, archive: &Path, said: Option<Exit>, terminal: &mut Terminal) -> Exit {
    let drill = order.drill.plan.name.as_str();
    let judged = unpack(archive, (&order.reports, drill, order.run.as_str()))
        .and_then(|dir| evidence::judge(&dir).map(|judged| (dir, judged)));
    let (dir, judged) = match judged {
        Ok(judged) => judged,
        Err(why) => return terminal.complain(&why).merge(said.unwrap_or(Exit::Internal)),
    };
    let mut exit = judged.exit.merge(said.unwrap_or(judged.exit));
    let sealing = retention::look(&dir).map(|found| found.sealing);
    let seal = match sealing {
        Ok(Sealing::Holds) => "its seal holds here".to_owned(),
        Ok(Sealing::Never) => "it was not sealed".to_owned(),
        Ok(Sealing::Broken(why)) => {
            let what = format!("{} is not what was sealed in its pod: {why}", dir.display());
            exit = exit.merge(terminal.complain(&Complaint::new(Exit::Inconclusive, what)));
            "its seal does not hold".to_owned()
        }
        Err(why) => {
            let what = format!("{} cannot be checked: {why}", dir.display());
            exit = exit.merge(terminal.complain(&Complaint::new(Exit::Inconclusive, what)));
            "it could not be checked".to_owned()
        }
    };
    crate::cli::past::note(&order.drill.config, &dir, terminal);
    if order.output != Output::Json {
        // The runner's log has shown the table.
        terminal.say(&format!("{}: computed again here: {}; {seal}", dir.display(), exit.word()));
    }
    exit
}

async fn remove(
    (place, setting): (&Place, &Setting),
    objects: &[Value],
    order: &Order<'_>,
    terminal: &mut Terminal,
) -> Exit {
    if order.asked.keep {
        terminal.say(&format!(
            "kept: everything labelled blackstart.dev/set={} in {}",
            setting.names.set, setting.namespace
        ));
        return Exit::Pass;
    }
    // Nothing of it is running any more, unless nobody knows.
    match place.remove(&setting.names.set, objects, REMOVE).await {
        Ok(()) => {
            terminal.say(&format!(
                "removed and looked at: nothing of {} is left in {}",
                setting.names.set, setting.namespace
            ));
            Exit::Pass
        }
        Err(why) => {
            let what = format!("what was made for the run is still there: {why}");
            let mend = format!(
                "kubectl delete job,pod,configmap,lease -n {} -l blackstart.dev/set={}",
                setting.namespace, setting.names.set
            );
            terminal.complain(&Complaint::new(Exit::Inconclusive, what).mend(mend));
            Exit::Pass
        }
    }
}
