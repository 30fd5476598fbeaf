//! One run of a drill, from the refusal to start over an open fault to the end of the record.

use super::drill::Drill;
use super::finish::caught;
use super::options::{Finished, Observer, RunError, RunOptions};
use super::record::Record;
use super::redact::Redactor;
use super::scene::Scene;
use super::stop::StopSignal;
use super::{preflight, seal, secrets};
use crate::adapters::World;
use crate::event::{AbortCause, What};
use crate::journal::{Journal, JournalError, state::Index};
use crate::model::RunState;
use crate::plan::Plan;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Carries a plan out. Everything that happens is in the run's folder when it returns; whatever was broken is healed,
/// or named as open.
pub async fn run(
    plan: &Plan,
    world: &World,
    options: &RunOptions,
    observer: Arc<dyn Observer>,
    stop: StopSignal,
) -> Finished {
    let stop = stop.child();
    let redactor = Redactor::default();
    let forms = redactor.forms.clone();
    let refused = |error: RunError| {
        let dirty = error.is_of_an_earlier_run();
        let state = match &error {
            RunError::Held(_) => RunState::Held,
            _ if dirty => RunState::Dirty,
            _ => RunState::NotRun,
        };
        Finished { dir: None, state, error: Some(error.clean(&forms)), secrets: forms.clone() }
    };
    if let Some(why) = options.kill_switch.forbids(world).await {
        return refused(RunError::Held(vec![why]));
    }
    if let Err(error) = preflight::residue(&options.state_dir, world).await {
        return refused(error);
    }
    // Before anything is written down, so that no secret is.
    let early = Scene::new(plan, world, &options.run, &folder(plan, options), &options.state_dir);
    tokio::select! {
        biased;
        () = stop.wait() => {}
        () = secrets::early(&early, &redactor) => {}
    }
    let written = preflight::written_down(plan, &redactor.forms);
    if !written.is_empty() {
        return refused(RunError::Preflight(written));
    }
    let (dir, index, journal) = match begin(plan, world, options) {
        Ok(begun) => begun,
        Err(error) => return refused(error),
    };
    let record = Arc::new(Record::new((journal, redactor), observer, world.clock.clone(), stop.clone()));
    if let Err(error) = record.write(What::RunStarted(Box::new(seal::start_record(plan, options)))) {
        return refused(RunError::Preflight(vec![error.to_string()]));
    }
    let drill = Drill::new(plan, world, options, record, stop, (dir, index));
    drill.scene.adopt(early);
    let work = async { drill.finish(caught(drill.conduct()).await).await };
    tokio::select! {
        finished = work => finished,
        never = watched(&drill) => match never {},
    }
}

/// The watch goes on for ever; if it breaks, the run stops and is healed.
async fn watched(drill: &Drill<'_>) -> std::convert::Infallible {
    let broke = caught(drill.watch()).await.err().unwrap_or_default();
    drill.say(format!("the watch over the run broke: {broke}"));
    drill.stop.trigger(AbortCause::Journal(broke));
    std::future::pending().await
}

/// The run's folder.
fn folder(plan: &Plan, options: &RunOptions) -> PathBuf {
    let dir = options.reports_dir.join(plan.name.as_str()).join(options.run.as_str());
    std::path::absolute(&dir).unwrap_or(dir)
}

/// Nothing is touched by this but the folder of the run.
fn begin(plan: &Plan, world: &World, options: &RunOptions) -> Result<(PathBuf, Index, Journal), RunError> {
    let reasons = preflight::room(options);
    if !reasons.is_empty() {
        return Err(RunError::Preflight(reasons));
    }
    let failed = |e: JournalError| RunError::Preflight(vec![e.to_string()]);
    let index = Index::open(&options.state_dir).map_err(failed)?;
    preflight::open_fault(&index)?;
    let dir = folder(plan, options);
    let journal = Journal::create(&dir, world.clock.clone()).map_err(failed)?;
    // As the index lists it: what belongs to a run is found by its folder's name, too.
    let dir = std::fs::canonicalize(&dir).unwrap_or(dir);
    write(&dir, "playbook.yaml", &plan.source.text)?;
    write(&dir, "playbook.resolved.yaml", &plan.source.resolved)?;
    Ok((dir, index, journal))
}

fn write(dir: &Path, name: &str, text: &str) -> Result<(), RunError> {
    let path = dir.join(name);
    std::fs::write(&path, text).map_err(|e| RunError::Preflight(vec![format!("cannot write {}: {e}", path.display())]))
}
