//! Loads a dump of `mysqldump` or `mariadb-dump` into a database that has nothing in it, and replays the binary logs after it.
//! That the tools say it went well is not enough: what the dump lists must be there, and the server must be where the logs
//! end.

use super::{Course, megabytes, refused};
use crate::adapters::backups::{LogPlace, LogUntil, SqlDumps, Stretch, before, covering, stretch};
use crate::adapters::mysql::{Login, login};
use crate::adapters::{AdapterError, CommandOutput};
use crate::faults::{Cx, Done, FaultError};
use crate::model::{Mono, RestorePart, RunSpec, Span, TargetRef, Template};
use crate::probes::ProbeSpec;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One question to a server, once it answers.
const ASK: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Tables and views of the database that the URL names.
const TABLES: &str = "select count(*) from information_schema.tables where table_schema = database()";

/// The last transaction that a MariaDB has in its own log; nothing where there is no log.
const LOGGED: &str = "select @@global.gtid_binlog_pos";

/// Loads a dump (SQL text) of `mysqldump` or `mariadb-dump` into an empty database, and replays binary logs after it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MysqlDumpRestore {
    /// The dump, made with `--single-transaction --master-data=2` (MySQL 8.0.26 and later: `--source-data=2`).
    pub file: Template,
    /// A folder with the binary logs from the dump on; none are replayed if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binlogs: Option<Template>,
    /// Up to where they are replayed; to their end if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<LogUntilSpec>,
    /// The folder of the system's programs; searched if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bin: Option<Template>,
    /// Brings up the server with an empty database; not needed if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<RunSpec>,
    /// The empty database, a target of kind `mysql`; its user must be allowed to replay binary logs.
    pub target: TargetRef,
    /// What must be true afterwards.
    pub verify: ProbeSpec,
}

/// Up to where binary logs are replayed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogUntilSpec {
    /// What stands before this place: `binlog.000002:12345`.
    Position(Template),
    /// What was begun before this second, with its zone: `2026-11-21T12:03:56Z`.
    Time(Template),
}

/// The logs that are replayed.
struct Logs {
    words: Vec<String>,
    bytes: u64,
    inside: Stretch,
}

/// A restore that goes on.
struct Going<'a> {
    cx: &'a Cx<'a>,
    until: Mono,
    course: &'a Course,
    dumps: SqlDumps,
    file: String,
    url: String,
    login: Login,
    target: &'a str,
}

impl MysqlDumpRestore {
    pub(super) async fn restore(&self, cx: &Cx<'_>, until: Mono, course: &Course) -> Result<Done, FaultError> {
        let url = cx.scope.url(&self.target).map_err(FaultError::Reference)?;
        let bin = self.bin.as_ref().map(|bin| cx.word(bin)).transpose()?;
        let (file, login) = (cx.word(&self.file)?, login(&url)?);
        let going = Going { cx, until, course, dumps: SqlDumps { bin }, file, url, login, target: self.target.name() };
        let folder = self.binlogs.as_ref().map(|folder| cx.word(folder)).transpose()?;
        let (tables, logs) = going.locate(folder, self.upto(cx)?).await?;
        going.start(self.start.as_ref()).await?;
        let bytes = going.load(tables).await?;
        let (mut detail, mut replayed) = (format!("{}: {} loaded, {tables} tables", going.file, megabytes(bytes)), 0);
        if let Some(logs) = logs {
            going.replay(&logs).await?;
            replayed = logs.inside.transactions;
            detail = format!("{detail}; {replayed} transactions replayed");
        }
        let answer = serde_json::json!({"backup": going.file, "tables": tables, "transactions": replayed});
        Ok(Done { ok: true, detail, answer: answer.to_string() })
    }

    fn upto(&self, cx: &Cx<'_>) -> Result<LogUntil, FaultError> {
        if self.until.is_some() && self.binlogs.is_none() {
            return Err(FaultError::Reference("`until` needs `binlogs`: a dump alone has one moment".to_owned()));
        }
        match &self.until {
            None => Ok(LogUntil::Latest),
            Some(LogUntilSpec::Position(template)) => {
                let text = cx.word(template)?;
                let why = || FaultError::Reference(format!("`{text}` is no place in a log; write binlog.000002:12345"));
                LogPlace::parse(&text).map(LogUntil::Place).ok_or_else(why)
            }
            Some(LogUntilSpec::Time(template)) => {
                let text = cx.word(template)?;
                let why = || FaultError::Reference(format!("`{text}` is no moment; write 2026-11-21T12:03:56Z"));
                let when = DateTime::parse_from_rfc3339(text.trim()).ok();
                when.map(|when| LogUntil::Time(when.with_timezone(&Utc))).ok_or_else(why)
            }
        }
    }
}

impl Going<'_> {
    fn now(&self) -> Mono {
        self.cx.world.clock.mono()
    }

    fn left(&self) -> Duration {
        self.until.since(self.now())
    }

    fn done(&self, part: RestorePart, began: Mono, bytes: Option<u64>) {
        self.course.part(part, Span::new(began, self.now()), bytes);
    }

    /// What the dump is, and the logs after it.
    async fn locate(&self, folder: Option<String>, until: LogUntil) -> Result<(u64, Option<Logs>), FaultError> {
        let (began, commands, file) = (self.now(), &*self.cx.world.commands, &self.file);
        let dump = self.dumps.listed(commands, file, self.left()).await?;
        if !dump.complete {
            return Err(refused(format!("{file} is no complete dump: it does not end with `-- Dump completed`")));
        }
        if dump.tables == 0 {
            return Err(refused(format!("{file} holds no table")));
        }
        if dump.inserts == 0 {
            return Err(refused(format!("{file} holds {} tables, and no row of any of them", dump.tables)));
        }
        let logs = match folder {
            None => None,
            Some(folder) => {
                let help = "make it with --master-data=2 (MySQL 8.0.26 and later: --source-data=2)";
                let missing = || refused(format!("{file} does not say where in the binary log it was taken; {help}"));
                Some(self.logs(&folder, dump.place.clone().ok_or_else(missing)?, &until).await?)
            }
        };
        // A dump does not say when it was begun, and what it holds was there then; its logs know to the second.
        let recovered_to = logs.as_ref().and_then(|logs| logs.inside.last);
        let exposure = logs.is_none().then(|| Err("a dump of mysqldump does not say when it was begun".to_owned()));
        self.course.claim(|claim| {
            file.clone_into(&mut claim.backup);
            claim.taken = DateTime::from_timestamp(dump.written, 0);
            claim.position = logs.as_ref().and_then(|logs| logs.inside.gtid.clone());
            (claim.recovered_to, claim.exposure) = (recovered_to, exposure);
        });
        self.done(RestorePart::Locate, began, None);
        Ok((dump.tables, logs))
    }

    /// The logs from the dump's place on, and what lies in them.
    async fn logs(&self, folder: &str, from: LogPlace, until: &LogUntil) -> Result<Logs, FaultError> {
        let commands = &*self.cx.world.commands;
        let all = self.dumps.logs(commands, folder, &from.file, self.left()).await?;
        let chosen = covering(&all, &from, until).map_err(|why| refused(format!("{folder}: {why}")))?;
        if let LogUntil::Time(when) = until {
            let earlier = self.dumps.survey(commands, &before(folder, &from), self.left()).await?;
            if let Some(last) = earlier.last.filter(|last| last > when) {
                let (last, when) = (last.to_rfc3339(), when.to_rfc3339());
                return Err(refused(format!("the dump holds what was done at {last}, after {when} that is asked for")));
            }
        }
        let words = stretch(folder, &chosen, from.offset, until);
        let inside = self.dumps.survey(commands, &words, self.left()).await?;
        let bytes = chosen.iter().map(|log| log.size).sum::<u64>().saturating_sub(from.offset);
        Ok(Logs { words, bytes, inside })
    }

    async fn start(&self, start: Option<&RunSpec>) -> Result<(), FaultError> {
        let (began, clock) = (self.now(), &self.cx.world.clock);
        if let Some(start) = start {
            let done = self.cx.run(start).await?;
            if !done.ok {
                return Err(refused(format!("the server was not started: {}", done.detail)));
            }
        }
        loop {
            match self.tables().await {
                Ok(0) => break,
                Ok(some) => {
                    let target = self.target;
                    return Err(refused(format!("`{target}` has {some} tables: a dump goes into an empty database")));
                }
                Err(why) if self.now() >= self.until => return Err(why),
                Err(_) => clock.sleep_until(clock.mono().after(LOOK_EVERY).min(self.until)).await,
            }
        }
        self.done(RestorePart::Start, began, None);
        Ok(())
    }

    async fn load(&self, listed: u64) -> Result<u64, FaultError> {
        let (began, commands, file) = (self.now(), &*self.cx.world.commands, &self.file);
        let bytes = self.dumps.listed(commands, file, self.left()).await?.size;
        let output = self.dumps.load(commands, file, &self.login, self.left()).await?;
        went_well("the dump", &output)?;
        // From here on nothing of what it said counts.
        let there = self.tables().await?;
        if there < listed {
            let text = format!("the client says it loaded the dump, and {there} of {listed} tables are there");
            return Err(refused(text));
        }
        self.done(RestorePart::Load, began, Some(bytes));
        Ok(bytes)
    }

    async fn replay(&self, logs: &Logs) -> Result<(), FaultError> {
        let (began, commands) = (self.now(), &*self.cx.world.commands);
        let output = self.dumps.replay(commands, &logs.words, &self.login, self.left()).await?;
        went_well("the binary logs", &output)?;
        if let Some(last) = &logs.inside.gtid {
            // MySQL does not know the name; a server without a log of its own knows nothing.
            let at = self.cx.world.sql.scalar(&self.url, LOGGED, &[], ASK).await.ok().flatten().unwrap_or_default();
            if !at.is_empty() && !at.split(',').any(|gtid| gtid.trim() == last) {
                let text = format!("the client says it replayed the logs up to {last}, and the server is at {at}");
                return Err(refused(text));
            }
        }
        self.done(RestorePart::Replay, began, Some(logs.bytes));
        Ok(())
    }

    async fn tables(&self) -> Result<u64, FaultError> {
        let said = self.cx.world.sql.scalar(&self.url, TABLES, &[], ASK).await?;
        let count = said.and_then(|text| text.parse().ok());
        count.ok_or_else(|| FaultError::World(AdapterError::Other("the tables cannot be counted".to_owned())))
    }
}

/// An exit status other than 0 is believed.
fn went_well(what: &str, output: &CommandOutput) -> Result<(), FaultError> {
    if output.status == Some(0) {
        return Ok(());
    }
    let how = output.status.map_or_else(|| "a signal ended it".to_owned(), |s| format!("exit status {s}"));
    let said: Vec<&str> = output.stderr.lines().filter(|line| !line.trim().is_empty()).take(3).collect();
    Err(refused(format!("loading {what}: {how}: {}", said.join("; "))))
}
