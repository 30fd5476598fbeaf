//! Looks at the exit status and the output of a command.

use super::{Probe, ProbeError, Sample, judged};
use crate::faults::{Cx, quote};
use crate::model::{CommandSpec, Comparison, Dur, Template};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A command whose end is looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandProbe {
    /// Program and arguments; a relative program path is relative to the playbook.
    pub argv: Vec<Template>,
    /// Environment variables besides those of the runner. Secrets belong here, never into `argv`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, Template>,
    /// Text for its standard input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<Template>,
    /// Working directory; the playbook's folder if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<Template>,
    /// It is ended (with its children) after this; 60s if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Dur>,
    /// The exit status; 0 if not given.
    #[serde(default)]
    pub exit: i32,
    /// Its standard output, without the final line break.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout: Option<Comparison>,
}

impl CommandProbe {
    /// The command alone.
    #[must_use]
    pub fn command(&self) -> CommandSpec {
        CommandSpec {
            argv: self.argv.clone(),
            env: self.env.clone(),
            stdin: self.stdin.clone(),
            cwd: self.cwd.clone(),
            timeout: self.timeout,
        }
    }
}

impl Probe for CommandProbe {
    const KIND: &'static str = "command";
    const SUMMARY: &'static str = "a command's exit status and output";

    async fn sample(&self, cx: &Cx<'_>) -> Result<Sample, ProbeError> {
        let output = cx.world.commands.run(&cx.command(&self.command())?).await?;
        let stdout = output.stdout.strip_suffix('\n').unwrap_or(&output.stdout);
        let how = output.status.map_or_else(|| "ended by a signal".to_owned(), |s| format!("exit status {s}"));
        let mut sample = Sample { holds: true, detail: how.clone(), ..Sample::default() };
        sample.fields.insert("exit".to_owned(), output.status.map_or_else(String::new, |s| s.to_string()));
        if output.status != Some(self.exit) {
            let said = if output.stderr.trim().is_empty() { stdout } else { output.stderr.trim() };
            sample.fail(format!("{how}: {}\nwanted: exit status {}", quote(said, 400), self.exit));
        } else if let Some(wanted) = &self.stdout {
            sample.judge(judged(wanted, stdout, "the output", cx)?);
        }
        sample.answer = stdout.to_owned();
        Ok(sample)
    }
}
