//! Stops a PostgreSQL server the way PostgreSQL stops: fast, immediate or smart. What it is, and whether it serves again, its
//! own `postmaster.pid` says, whoever is primary by then.

use super::process_kill::{live, signal, steps_back, way_back_words};
use super::{Cx, Fault, FaultError, Look, Reversibility, shell};
use crate::adapters::{AdapterError, ProcessState};
use crate::model::{ProcessIdentity, RunSpec, TargetRef, WayBack};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A server that was told to stop fast has stopped after this, its last checkpoint included.
const ENDING: Duration = Duration::from_secs(60);
/// A server that got the signal says so in its file after this, however busy the machine.
const HEARD: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How it stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StopMode {
    /// Sessions are ended, and everything is written out (SIGINT).
    #[default]
    Fast,
    /// At once, as in a crash, but without leaving anything behind; it recovers when it starts (SIGQUIT).
    Immediate,
    /// New sessions are refused; it stops when the last has ended by itself (SIGTERM).
    Smart,
}

impl StopMode {
    fn signal(self) -> &'static str {
        match self {
            Self::Fast => "INT",
            Self::Immediate => "QUIT",
            Self::Smart => "TERM",
        }
    }
}

/// Stops a PostgreSQL server until it is started again. It counts as healed when it says in its `postmaster.pid` that it
/// takes sessions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PostgresStop {
    /// A target of kind `process` or `service`: the postmaster.
    pub target: TargetRef,
    /// `fast`, `immediate` or `smart`; fast if not given.
    #[serde(default)]
    pub mode: StopMode,
    /// How it comes back.
    pub back: WayBack,
}

/// Who was stopped, and what brings it back (secrets by reference).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    /// The postmaster.
    pub process: ProcessIdentity,
    /// Its data folder.
    pub data: PathBuf,
    /// Brings it back.
    pub back: Option<RunSpec>,
    /// Where its relative paths start from.
    pub base: PathBuf,
}

/// What a `postmaster.pid` says: <https://github.com/postgres/postgres/blob/REL_15_STABLE/src/include/utils/pidfile.h>
struct PidFile {
    pid: i32,
    data: PathBuf,
    status: String,
}

impl PidFile {
    fn read(path: &Path, cx: &Cx<'_>) -> Result<Option<Self>, FaultError> {
        let text = match cx.world.files.read(path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(AdapterError::Missing(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let line = |number: usize| text.lines().nth(number).unwrap_or_default().trim();
        let Ok(pid) = line(0).parse() else { return Ok(None) };
        Ok(Some(Self { pid, data: PathBuf::from(line(1)), status: line(7).to_owned() }))
    }

    fn serves(&self) -> bool {
        matches!(self.status.as_str(), "ready" | "standby")
    }
}

/// The file in the folder that a process works in: a postmaster's own says who it is.
fn of_process(process: &ProcessIdentity, cx: &Cx<'_>) -> Result<Option<PidFile>, FaultError> {
    let path = PathBuf::from(format!("/proc/{}/cwd/postmaster.pid", process.pid));
    Ok(PidFile::read(&path, cx)?.filter(|file| file.pid == process.pid))
}

impl Undo {
    fn file(&self, cx: &Cx<'_>) -> Result<Option<PidFile>, FaultError> {
        PidFile::read(&self.data.join("postmaster.pid"), cx)
    }

    /// Does a server take sessions on the data folder?
    fn look(&self, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let no = |why: String| Ok(Look { holds: false, detail: format!("{}: {why}", self.data.display()) });
        let Some(file) = self.file(cx)? else { return no("no server runs".to_owned()) };
        let Some(process) = cx.world.processes.identify(file.pid)? else {
            return no(format!("pid {} is gone", file.pid));
        };
        // A file that a crash left behind names a pid that may be anybody's by now.
        if process.name != self.process.name || of_process(&process, cx)?.is_none() {
            return no(format!("pid {} is another process", file.pid));
        }
        let detail = format!("{} (pid {}) on {} is {}", process.name, file.pid, self.data.display(), file.status);
        let runs = cx.world.processes.state(&process)? == ProcessState::Running;
        Ok(Look { holds: runs && file.serves(), detail })
    }

    fn is_stopping(&self, cx: &Cx<'_>) -> Result<bool, FaultError> {
        let file = self.file(cx)?;
        Ok(file.is_some_and(|file| file.pid == self.process.pid && !file.serves()))
    }

    fn is_gone(&self, cx: &Cx<'_>) -> Result<bool, FaultError> {
        Ok(cx.world.processes.state(&self.process)? == ProcessState::Gone)
    }

    async fn gone_within(&self, limit: Duration, cx: &Cx<'_>) -> Result<bool, FaultError> {
        let clock = &cx.world.clock;
        let until = clock.mono().after(limit);
        while !self.is_gone(cx)? {
            if clock.mono() >= until {
                return Ok(false);
            }
            clock.sleep_until(clock.mono().after(LOOK_EVERY)).await;
        }
        Ok(true)
    }

    /// Was the signal never sent, so that the same server goes on serving?
    async fn was_spared(&self, cx: &Cx<'_>) -> Result<bool, FaultError> {
        let clock = &cx.world.clock;
        let until = clock.mono().after(HEARD);
        while !self.is_gone(cx)? && !self.is_stopping(cx)? {
            if clock.mono() >= until {
                return Ok(true);
            }
            clock.sleep_until(clock.mono().after(LOOK_EVERY)).await;
        }
        Ok(false)
    }
}

impl Fault for PostgresStop {
    const KIND: &'static str = "postgres_stop";
    const SUMMARY: &'static str = "stop a PostgreSQL server, fast, immediate or smart, until it is started again";
    const REVERSIBILITY: Reversibility = Reversibility::Reversible;
    const TARGETS: &'static [&'static str] = &["process", "service"];
    type Undo = Undo;

    fn targets(&self) -> Vec<&TargetRef> {
        vec![&self.target]
    }

    fn permissions(&self) -> Vec<String> {
        vec!["the same user as the server, or root: to signal it and to read its postmaster.pid".to_owned()]
    }

    fn way_back(&self) -> String {
        way_back_words(&self.back)
    }

    fn irreversible(&self) -> bool {
        matches!(self.back, WayBack::None)
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Undo, FaultError> {
        let target = cx.scope.target(&self.target).await.map_err(FaultError::NothingToBreak)?;
        let name = self.target.name();
        for process in live(&target.processes, name, cx)? {
            let Some(file) = of_process(&process, cx)? else { continue };
            cx.world.processes.may_signal(&process)?;
            if !file.serves() {
                let why = format!("`{name}` (pid {}) takes no sessions: it is {}", process.pid, file.status);
                return Err(FaultError::NothingToBreak(why));
            }
            return Ok(Undo { process, data: file.data, back: steps_back(&self.back), base: cx.scope.base() });
        }
        let why =
            format!("`{name}` is no postmaster: none of its processes works in a folder whose postmaster.pid names it");
        Err(FaultError::NothingToBreak(why))
    }

    async fn inject(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        signal(&undo.process, self.mode.signal(), cx)
    }

    async fn effective(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let who = format!("{} (pid {}) on {}", undo.process.name, undo.process.pid, undo.data.display());
        if undo.is_gone(cx)? {
            return Ok(Look { holds: true, detail: format!("{who} has stopped") });
        }
        // Who stops smartly is stopped for everybody who comes, and for nobody who is there.
        let holds = self.mode == StopMode::Smart && undo.is_stopping(cx)?;
        let words = if holds { "takes no new sessions" } else { "has not stopped" };
        Ok(Look { holds, detail: format!("{who} {words}") })
    }

    async fn heal(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        if !undo.is_gone(cx)? {
            if undo.was_spared(cx).await? {
                return Ok(());
            }
            // A smart stop cannot be taken back: it is ended, and then it is as after a fast one.
            if self.mode == StopMode::Smart {
                signal(&undo.process, StopMode::Fast.signal(), cx)?;
            }
            if !undo.gone_within(ENDING, cx).await? {
                let why = format!("{} (pid {}) has not stopped after {ENDING:?}", undo.process.name, undo.process.pid);
                return Err(AdapterError::TimedOut(why).into());
            }
        }
        // Whoever brought it back already: not started twice.
        let Some(back) = undo.back.as_ref().filter(|_| !undo.look(cx).is_ok_and(|look| look.holds)) else {
            return Ok(());
        };
        let done = cx.run(back).await?;
        if done.ok { Ok(()) } else { Err(FaultError::World(AdapterError::Refused(done.detail))) }
    }

    async fn healed(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        if self.irreversible() {
            return Ok(Look { holds: true, detail: "nothing brings it back, as acknowledged".to_owned() });
        }
        if !undo.is_gone(cx)? && !undo.was_spared(cx).await? {
            let detail = format!("{} (pid {}) is about to stop", undo.process.name, undo.process.pid);
            return Ok(Look { holds: false, detail });
        }
        undo.look(cx)
    }

    fn by_hand(&self, undo: &Undo) -> String {
        match &undo.back {
            Some(back) => shell(back, &undo.base),
            None => format!("pg_ctl start -w -D {}", super::word(&undo.data.to_string_lossy())),
        }
    }

    fn touched(&self, undo: &Undo) -> Vec<String> {
        vec![format!("{} (pid {}), {}", undo.process.name, undo.process.pid, undo.data.display())]
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Bench, conforms};
    use super::*;
    use crate::faults::FaultSpec;

    /// The bench's victim as a postmaster, as far as its file goes. It is started by a shell without job control, which makes
    /// it deaf for INT and QUIT; the real modes are tried on a real server.
    async fn bench() -> Bench {
        let bench = Bench::new().await;
        let start = bench.dir().join("start.sh");
        let text = std::fs::read_to_string(&start).unwrap();
        let file = "printf '%s\\n%s\\n0\\n0\\n\\n\\n0\\nready\\n' \"$(cat pid)\" \"$PWD\" > postmaster.pid\n";
        std::fs::write(&start, text + file).unwrap();
        bench.kill();
        bench.start();
        bench.pin().await;
        bench
    }

    fn stop() -> PostgresStop {
        let back = serde_json::json!({"command": {"argv": ["./start.sh"]}});
        let back = serde_json::from_value(back).unwrap();
        PostgresStop { target: TargetRef::Pinned("victim".into()), mode: StopMode::Smart, back }
    }

    #[tokio::test]
    async fn conforms_on_a_process_with_the_file_of_a_postmaster() {
        conforms(FaultSpec::PostgresStop(stop()), &bench().await).await;
    }

    #[tokio::test]
    async fn a_process_without_the_file_is_no_postmaster_and_a_server_that_starts_is_none_to_stop() {
        let bench = bench().await;
        let path = bench.dir().join("postmaster.pid");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("ready", "starting")).unwrap();
        let error = stop().prepare(&bench.cx()).await.unwrap_err();
        assert!(matches!(&error, FaultError::NothingToBreak(why) if why.contains("it is starting")), "{error}");
        std::fs::remove_file(&path).unwrap();
        let error = stop().prepare(&bench.cx()).await.unwrap_err();
        assert!(matches!(&error, FaultError::NothingToBreak(why) if why.contains("no postmaster")), "{error}");
    }

    #[tokio::test]
    async fn a_server_that_was_never_signalled_goes_on() {
        let bench = bench().await;
        let undo = stop().prepare(&bench.cx()).await.unwrap();
        stop().heal(&undo, &bench.cx()).await.unwrap();
        assert!(stop().healed(&undo, &bench.cx()).await.unwrap().holds);
        assert_eq!(bench.starts(), 2, "the bench's own two");
    }

    #[tokio::test]
    async fn a_smart_stop_that_waits_for_sessions_is_ended_before_it_is_started_again() {
        let bench = bench().await;
        let undo = stop().prepare(&bench.cx()).await.unwrap();
        let path = bench.dir().join("postmaster.pid");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("ready", "stopping")).unwrap();
        assert!(stop().effective(&undo, &bench.cx()).await.unwrap().holds, "nobody comes in any more");
        assert!(!stop().healed(&undo, &bench.cx()).await.unwrap().holds);
        // The victim is deaf for what would end it.
        signal(&undo.process, "KILL", &bench.cx()).unwrap();
        stop().heal(&undo, &bench.cx()).await.unwrap();
        assert!(stop().healed(&undo, &bench.cx()).await.unwrap().holds);
    }
}
