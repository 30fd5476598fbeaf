//! A fault of the user's own: commands that inject it, see it, heal it, and see that it is healed.

use super::{Cx, Fault, FaultError, Look, Reversibility, shell};
use crate::adapters::AdapterError;
use crate::model::{CommandSpec, RunSpec, TargetRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Injects and heals by commands; each succeeds with exit status 0. All must be safe to repeat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandFault {
    /// The targets it touches, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<TargetRef>,
    /// Injects it.
    pub inject: CommandSpec,
    /// Exit status 0 when the fault bites; an independent look, it must not change anything.
    pub effective: CommandSpec,
    /// Heals it; must be safe to repeat and to run when nothing is broken.
    pub heal: CommandSpec,
    /// Exit status 0 when the state before the fault is back; an independent look.
    pub healed: CommandSpec,
}

/// How it is healed (secrets by reference).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    /// The command that heals, for people.
    pub by_hand: String,
    /// What it touches, for people.
    pub touched: Vec<String>,
    /// Where relative paths start from.
    pub base: PathBuf,
}

async fn look(command: &CommandSpec, cx: &Cx<'_>) -> Result<Look, FaultError> {
    let done = cx.run_command(command).await?;
    Ok(Look { holds: done.ok, detail: done.detail })
}

async fn act(command: &CommandSpec, cx: &Cx<'_>) -> Result<(), FaultError> {
    let done = cx.run_command(command).await?;
    if done.ok { Ok(()) } else { Err(FaultError::World(AdapterError::Refused(done.detail))) }
}

impl Fault for CommandFault {
    const KIND: &'static str = "command";
    const SUMMARY: &'static str = "a fault of your own: commands that inject, look, heal, and look again";
    const REVERSIBILITY: Reversibility = Reversibility::Reversible;
    const REACHES_OUT: bool = true;
    type Undo = Undo;

    fn targets(&self) -> Vec<&TargetRef> {
        self.targets.iter().collect()
    }

    fn permissions(&self) -> Vec<String> {
        let programs = [&self.inject, &self.effective, &self.heal, &self.healed];
        let named = programs.iter().filter_map(|c| c.argv.first());
        let mut list: Vec<String> = named.map(|p| format!("whatever {p} needs")).collect();
        list.dedup();
        list
    }

    fn way_back(&self) -> String {
        format!("the command {}", RunSpec::Command(self.heal.clone()))
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Undo, FaultError> {
        let mut touched = Vec::new();
        for target in &self.targets {
            let found = cx.scope.target(target).await.map_err(FaultError::NothingToBreak)?;
            let processes = found.processes.iter().map(|p| format!("{} (pid {})", p.name, p.pid));
            touched.extend(processes);
            if found.processes.is_empty() {
                touched.push(found.name);
            }
        }
        let before = look(&self.effective, cx).await?;
        if before.holds {
            return Err(FaultError::NothingToBreak(format!("it is already as the fault makes it: {}", before.detail)));
        }
        let whole = look(&self.healed, cx).await?;
        if !whole.holds {
            let why =
                format!("`healed` says no before anything is broken, so it could never be proven: {}", whole.detail);
            return Err(FaultError::NothingToBreak(why));
        }
        let base = cx.scope.base();
        Ok(Undo { by_hand: shell(&RunSpec::Command(self.heal.clone()), &base), touched, base })
    }

    async fn inject(&self, _: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        act(&self.inject, cx).await
    }

    async fn effective(&self, _: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        look(&self.effective, cx).await
    }

    async fn heal(&self, _: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        act(&self.heal, cx).await
    }

    async fn healed(&self, _: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        look(&self.healed, cx).await
    }

    fn by_hand(&self, undo: &Undo) -> String {
        undo.by_hand.clone()
    }

    fn touched(&self, undo: &Undo) -> Vec<String> {
        undo.touched.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Bench, conforms};
    use super::*;
    use crate::faults::FaultSpec;

    fn spec() -> CommandFault {
        let sh = |script: &str| serde_json::json!({"argv": ["sh", "-c", script], "env": {"TOKEN": "${secrets.token}"}});
        serde_json::from_value(serde_json::json!({
            "inject": sh("touch flag"), "effective": sh("test -e flag"),
            "heal": sh("test -n \"$TOKEN\" && rm -f flag"), "healed": sh("test ! -e flag")
        }))
        .unwrap()
    }

    #[tokio::test]
    async fn conforms_on_real_commands() {
        let bench = Bench::new().await;
        conforms(FaultSpec::Command(spec()), &bench).await;
    }

    #[tokio::test]
    async fn what_is_broken_already_is_nothing_to_break() {
        let bench = Bench::new().await;
        std::fs::write(bench.dir().join("flag"), "").unwrap();
        assert!(matches!(spec().prepare(&bench.cx()).await, Err(FaultError::NothingToBreak(_))));
    }

    #[tokio::test]
    async fn a_look_that_says_no_before_the_fault_could_never_prove_the_heal() {
        let bench = Bench::new().await;
        let mut fault = spec();
        fault.healed = serde_json::from_value(serde_json::json!({"argv": ["false"]})).unwrap();
        let error = fault.prepare(&bench.cx()).await.unwrap_err().to_string();
        assert!(error.contains("never be proven"), "{error}");
    }

    #[tokio::test]
    async fn a_heal_that_says_no_is_an_error_with_its_words() {
        let bench = Bench::new().await;
        let mut fault = spec();
        fault.heal =
            serde_json::from_value(serde_json::json!({"argv": ["sh", "-c", "echo no disk >&2; exit 4"]})).unwrap();
        let cx = bench.cx();
        let undo = fault.prepare(&cx).await.unwrap();
        let error = fault.heal(&undo, &cx).await.unwrap_err().to_string();
        assert!(error.contains("exit status 4") && error.contains("no disk"), "{error}");
    }

    #[tokio::test]
    async fn a_secret_never_stands_in_arguments() {
        let bench = Bench::new().await;
        let leaky: CommandSpec =
            serde_json::from_value(serde_json::json!({"argv": ["echo", "${secrets.token}"]})).unwrap();
        assert!(matches!(bench.cx().command(&leaky), Err(FaultError::Reference(_))));
    }
}
