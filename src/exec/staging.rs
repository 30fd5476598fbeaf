//! Brings a drill's own staging up and down. What it consists of is not known here.

use super::drill::{Broken, Drill};
use super::scene::Scene;
use crate::adapters::{Command, Held};
use crate::event::What;
use crate::faults::journaled;
use crate::model::CommandSpec;
use crate::plan::{EmbeddedStaging, StagingPlan};
use std::collections::BTreeMap;
use std::time::Duration;

/// Of a staging's commands, if the playbook says nothing: databases take their time.
const COMMAND_LIMIT: Duration = Duration::from_secs(300);

/// A staging that was brought up, or half of it.
pub(super) enum Up {
    /// Lives as long as it is held.
    Held(Held),
    /// Goes down by this command.
    Command(CommandSpec),
}

impl Drill<'_> {
    pub async fn staging_up(&self) -> Result<(), Broken> {
        let Some(staging) = &self.plan.staging else { return Ok(()) };
        let up = self.unless_stopped(async {
            match staging {
                StagingPlan::Embedded(settings) => self.embedded_up(settings).await,
                StagingPlan::Commands { up, down } => self.commands_up(up, down).await,
            }
        });
        let fields =
            up.await?.map_err(|why| Broken::Preflight(vec![format!("the staging does not come up: {why}")]))?;
        self.scene.set_staging(fields.clone());
        self.note(What::StagingUp { fields });
        Ok(())
    }

    async fn embedded_up(&self, settings: &EmbeddedStaging) -> Result<BTreeMap<String, String>, String> {
        let dir = self.dir.join("staging");
        std::fs::create_dir_all(&dir).map_err(|e| format!("cannot make {}: {e}", dir.display()))?;
        let argv = (self.options.embedded)(settings, &dir);
        if argv.is_empty() {
            return Err("there is no embedded staging here".to_owned());
        }
        let timeout = self.options.limits.staging;
        let command = Command { argv, env: BTreeMap::new(), stdin: None, cwd: None, timeout };
        let held = self.world.commands.hold(&command).await.map_err(|e| e.to_string())?;
        let mut fields = ready_fields(&held.first_line);
        fields.insert("dir".to_owned(), dir.to_string_lossy().into_owned());
        let pid = fields.get("pid").and_then(|pid| pid.parse().ok());
        let process = pid.and_then(|pid| self.world.processes.identify(pid).ok().flatten());
        self.progress().held_staging = process;
        self.progress().staging = Some(Up::Held(held));
        Ok(fields)
    }

    async fn commands_up(&self, up: &CommandSpec, down: &CommandSpec) -> Result<BTreeMap<String, String>, String> {
        self.begun(&patient(down))?;
        // Also when it comes up only in part.
        self.progress().staging = Some(Up::Command(patient(down)));
        let done = self.scene.cx().run_command(&patient(up)).await.map_err(|e| e.to_string())?;
        if !done.ok {
            return Err(done.detail);
        }
        Ok(printed_fields(&done.answer))
    }

    /// From now on another process can bring it down, too.
    fn begun(&self, down: &CommandSpec) -> Result<(), String> {
        let unreadable = |e: serde_json::Error| format!("its commands cannot be journaled: {e}");
        let down = journaled(serde_json::to_value(down).map_err(unreadable)?, &self.scene.cx());
        let context = serde_json::to_value(self.scene.context()).map_err(unreadable)?;
        if let Some(why) = self.record.redactor.refuses(&format!("{down} {context}")) {
            return Err(why);
        }
        self.index.add(&self.options.run, &self.dir).map_err(|e| e.to_string())?;
        self.record.write(What::StagingBegun { down, context }).map_err(|e| e.to_string())
    }

    /// Brings it down, however far up it is.
    pub async fn staging_down(&self) {
        let up = self.progress().staging.take();
        let error = match up {
            None => return,
            Some(Up::Held(held)) => held.process.end(self.options.limits.staging).await.err().map(|e| e.to_string()),
            Some(Up::Command(down)) => run_down(&down, &self.scene).await,
        };
        self.note(What::StagingDown { error });
    }
}

/// Runs the command that brings a staging down; says why it is not down, if so.
pub(super) async fn run_down(down: &CommandSpec, scene: &Scene) -> Option<String> {
    match scene.cx().run_command(down).await {
        Ok(done) if done.ok => None,
        Ok(done) => Some(done.detail),
        Err(error) => Some(error.to_string()),
    }
}

fn patient(command: &CommandSpec) -> CommandSpec {
    let timeout = command.timeout.or(Some(crate::model::Dur(COMMAND_LIMIT)));
    CommandSpec { timeout, ..command.clone() }
}

/// The scalars of a line of JSON.
fn ready_fields(line: &str) -> BTreeMap<String, String> {
    let Ok(serde_json::Value::Object(map)) = serde_json::from_str(line) else { return BTreeMap::new() };
    let text = |value: serde_json::Value| match value {
        serde_json::Value::String(s) => s,
        other => other.to_string(),
    };
    map.into_iter().map(|(k, v)| (k, text(v))).collect()
}

/// `name=value` lines.
fn printed_fields(text: &str) -> BTreeMap<String, String> {
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs.map(|(k, v)| (k.trim().to_owned(), v.trim().to_owned())).collect()
}
