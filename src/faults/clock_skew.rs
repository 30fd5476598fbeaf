//! Skews the clock of processes that run under libfaketime; the machine's own clock is never set.

use super::process_kill::live;
use super::swap::Swap;
use super::{Cx, Fault, FaultError, Look, Reversibility};
use crate::adapters::AdapterError;
use crate::model::{CommandSpec, Dur, TargetRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

const OFFSET: &str = "offset";
const LIBRARY: &str = "libfaketime";
const VARIABLE: &str = "FAKETIME_TIMESTAMP_FILE";
/// What `shows` says may be off by so much of the skew: it takes time to ask.
const TOLERATED: f64 = 0.2;

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Into the future.
    Ahead,
    /// Into the past.
    Behind,
}

/// Skews the clock of processes. They must have been started with libfaketime (`LD_PRELOAD`) and
/// `FAKETIME_TIMESTAMP_FILE`, a file that exists (`+0` in it): the fault writes the offset into it, and healing puts its
/// bytes back. libfaketime reads it again every 10 s, or at once with `FAKETIME_NO_CACHE=1`. No other way works without
/// touching the clock of the whole machine, which no drill does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClockSkew {
    /// A target of kind `process` or `service`.
    pub target: TargetRef,
    /// By how much.
    pub by: Dur,
    /// Which way.
    pub way: Way,
    /// A command that prints the target's idea of the time, in seconds since 1970: an independent look at effect and heal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shows: Option<CommandSpec>,
}

/// The files that hold the offsets, as they were.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    /// One per file; processes may share one.
    pub files: Vec<Swap>,
    /// Whose clocks they are, for people.
    pub processes: Vec<String>,
    /// How far the target was off before, in seconds, if something shows it.
    pub off: Option<f64>,
}

impl ClockSkew {
    fn seconds(&self) -> f64 {
        let seconds = self.by.0.as_secs_f64();
        if self.way == Way::Ahead { seconds } else { -seconds }
    }

    /// The offset as libfaketime reads it.
    fn offset(&self) -> String {
        format!("{:+.3}\n", self.seconds())
    }

    /// How far the target's clock is off, in seconds.
    async fn off(&self, cx: &Cx<'_>) -> Result<Option<f64>, FaultError> {
        let Some(shows) = &self.shows else { return Ok(None) };
        let done = cx.run_command(shows).await?;
        let now = cx.world.clock.stamp().wall.timestamp_micros() as f64 / 1e6;
        match done.answer.trim().parse::<f64>() {
            Ok(seconds) if done.ok => Ok(Some(seconds - now)),
            _ => Err(AdapterError::Refused(format!("`shows` prints no time: {}", done.detail)).into()),
        }
    }
}

impl Fault for ClockSkew {
    const KIND: &'static str = "clock_skew";
    const SUMMARY: &'static str = "skew the clock of processes that run under libfaketime";
    const REVERSIBILITY: Reversibility = Reversibility::Reversible;
    const TARGETS: &'static [&'static str] = &["process", "service"];
    type Undo = Undo;

    fn targets(&self) -> Vec<&TargetRef> {
        vec![&self.target]
    }

    fn permissions(&self) -> Vec<String> {
        vec![
            "to read /proc/PID of the process, and to write its FAKETIME_TIMESTAMP_FILE: the same user, or root"
                .to_owned(),
        ]
    }

    fn way_back(&self) -> String {
        "the file with the offset is put back".to_owned()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Undo, FaultError> {
        if self.by.0.is_zero() {
            return Err(FaultError::NothingToBreak("a skew of nothing".to_owned()));
        }
        let target = cx.scope.target(&self.target).await.map_err(FaultError::NothingToBreak)?;
        let (mut files, mut processes): (Vec<Swap>, Vec<String>) = (Vec::new(), Vec::new());
        for process in live(&target.processes, self.target.name(), cx)? {
            let who = format!("{} (pid {})", process.name, process.pid);
            let unavailable = |why: &str| {
                let text = format!("a clock skew of {who} is unavailable, because {why}");
                FaultError::World(AdapterError::Missing(text))
            };
            if !cx.world.processes.has_loaded(&process, LIBRARY)? {
                return Err(unavailable("it was not started with libfaketime (LD_PRELOAD)"));
            }
            let Some(file) = cx.world.processes.variable(&process, VARIABLE)? else {
                return Err(unavailable("it was started without FAKETIME_TIMESTAMP_FILE"));
            };
            let path = PathBuf::from(file);
            if !files.iter().any(|swap| swap.path == path) {
                files.push(Swap::of(&path, &format!("{OFFSET}{}", files.len()), cx)?);
            }
            processes.push(who);
        }
        Ok(Undo { files, processes, off: self.off(cx).await? })
    }

    async fn inject(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        undo.files.iter().try_for_each(|file| file.replace(self.offset().as_bytes(), cx))
    }

    async fn effective(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        for file in &undo.files {
            if cx.world.files.read(&file.path)? != self.offset().as_bytes() {
                return Ok(Look { holds: false, detail: format!("{} does not hold the offset", file.path.display()) });
            }
        }
        let Some(off) = self.off(cx).await? else {
            return Ok(Look {
                holds: true,
                detail: "the offset is written; nothing shows whether it is used".to_owned(),
            });
        };
        let moved = off - undo.off.unwrap_or_default();
        let holds = (moved - self.seconds()).abs() <= TOLERATED * self.seconds().abs();
        Ok(Look { holds, detail: format!("its clock is {off:+.1} s off") })
    }

    async fn heal(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        undo.files.iter().try_for_each(|file| file.put_back(cx).map(|_| ()))
    }

    async fn healed(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        for file in &undo.files {
            let look = file.is_back(cx)?;
            if !look.holds {
                return Ok(look);
            }
        }
        let Some(off) = self.off(cx).await? else {
            return Ok(Look { holds: true, detail: "the offset is what it was".to_owned() });
        };
        let left = off - undo.off.unwrap_or_default();
        let holds = left.abs() <= TOLERATED * self.seconds().abs();
        Ok(Look { holds, detail: format!("its clock is {off:+.1} s off") })
    }

    fn by_hand(&self, undo: &Undo) -> String {
        undo.files.iter().map(Swap::by_hand).collect::<Vec<_>>().join(" && ")
    }

    fn touched(&self, undo: &Undo) -> Vec<String> {
        undo.processes.iter().map(|who| format!("the clock of {who}")).collect()
    }
}
