//! Loads a dump of `pg_dump` into a database that has nothing in it. That the tool says it went well is not enough: what the
//! dump lists must be there.

use super::{Course, megabytes, refused};
use crate::adapters::backups::{Dumps, Listed, Via, exposure_of_dumps};
use crate::adapters::{AdapterError, postgres};
use crate::faults::{Cx, Done, FaultError};
use crate::model::{Mono, RestorePart, RunSpec, Span, TargetRef, Template};
use crate::probes::ProbeSpec;
use chrono::DateTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One question to a server, once it answers.
const ASK: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Tables of users; those of extensions are not theirs.
const TABLES: &str = "select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace \
     where c.relkind in ('r', 'p') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' \
     and not exists (select from pg_depend d where d.objid = c.oid and d.classid = 'pg_class'::regclass and d.deptype = 'e')";

/// Loads a dump of `pg_dump` (custom, directory or tar format) into an empty database, all of it or nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PgRestore {
    /// The dump. Those beside it whose names end alike are its history.
    pub file: Template,
    /// The folder of PostgreSQL's programs; searched if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bin: Option<Template>,
    /// Brings up the server with an empty database; not needed if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<RunSpec>,
    /// The empty database, a target of kind `postgres`.
    pub target: TargetRef,
    /// What must be true afterwards.
    pub verify: ProbeSpec,
}

impl PgRestore {
    pub(super) async fn restore(&self, cx: &Cx<'_>, until: Mono, course: &Course) -> Result<Done, FaultError> {
        let file = cx.word(&self.file)?;
        let bin = self.bin.as_ref().map(|bin| cx.word(bin)).transpose()?;
        let dumps = Dumps { via: Via::default(), bin };
        let url = cx.scope.url(&self.target).map_err(FaultError::Reference)?;
        let listed = locate(&dumps, &file, cx, until, course).await?;
        self.start(&url, cx, until, course).await?;
        let bytes = self.load(&dumps, &file, &url, cx, until, course).await?;
        let tables = tables(&url, cx).await?;
        if tables < listed.tables {
            let all = listed.tables;
            return Err(refused(format!("pg_restore says it restored, and {tables} of {all} tables are there")));
        }
        let detail = format!("{file}: {} loaded, {tables} tables", megabytes(bytes));
        Ok(Done { ok: true, detail, answer: serde_json::json!({"backup": file, "tables": tables}).to_string() })
    }

    async fn start(&self, url: &str, cx: &Cx<'_>, until: Mono, course: &Course) -> Result<(), FaultError> {
        let clock = &cx.world.clock;
        let began = clock.mono();
        if let Some(start) = &self.start {
            let done = cx.run(start).await?;
            if !done.ok {
                return Err(refused(format!("the server was not started: {}", done.detail)));
            }
        }
        loop {
            match tables(url, cx).await {
                Ok(0) => break,
                Ok(some) => {
                    let target = self.target.name();
                    return Err(refused(format!("`{target}` has {some} tables: a dump goes into an empty database")));
                }
                Err(why) if clock.mono() >= until => return Err(why),
                Err(_) => clock.sleep_until(clock.mono().after(LOOK_EVERY).min(until)).await,
            }
        }
        course.part(RestorePart::Start, Span::new(began, clock.mono()), None);
        Ok(())
    }

    async fn load(
        &self,
        dumps: &Dumps,
        file: &str,
        url: &str,
        cx: &Cx<'_>,
        until: Mono,
        course: &Course,
    ) -> Result<u64, FaultError> {
        let clock = &cx.world.clock;
        let began = clock.mono();
        let database = postgres::environment(url)?;
        let commands = &*cx.world.commands;
        let bytes = dumps.via.size(commands, file, until.since(began)).await?;
        let output = dumps.load(commands, file, &database, until.since(clock.mono())).await?;
        if output.status != Some(0) {
            let how = output.status.map_or_else(|| "a signal ended it".to_owned(), |s| format!("exit status {s}"));
            let said: Vec<&str> = output.stderr.lines().take(3).collect();
            return Err(refused(format!("pg_restore: {how}: {}", said.join("; "))));
        }
        course.part(RestorePart::Load, Span::new(began, clock.mono()), Some(bytes));
        Ok(bytes)
    }
}

/// What the dump is, and what lies beside it.
async fn locate(dumps: &Dumps, file: &str, cx: &Cx<'_>, until: Mono, course: &Course) -> Result<Listed, FaultError> {
    let clock = &cx.world.clock;
    let began = clock.mono();
    let commands = &*cx.world.commands;
    let listed = dumps.listed(commands, file, until.since(began)).await?;
    if listed.tables == 0 {
        return Err(refused(format!("{file} holds no table")));
    }
    let exposure = match dumps.beside(commands, file, until.since(clock.mono())).await {
        Ok(all) => exposure_of_dumps(&all),
        Err(why) => Err(why.to_string()),
    };
    let taken = listed.began.and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    course.claim(|claim| {
        file.clone_into(&mut claim.backup);
        (claim.taken, claim.recovered_to, claim.exposure) = (taken, taken, Some(exposure));
    });
    course.part(RestorePart::Locate, Span::new(began, clock.mono()), None);
    Ok(listed)
}

async fn tables(url: &str, cx: &Cx<'_>) -> Result<u64, FaultError> {
    let said = cx.world.sql.scalar(url, TABLES, &[], ASK).await?;
    let count = said.and_then(|text| text.parse().ok());
    count.ok_or_else(|| FaultError::World(AdapterError::Other("the tables cannot be counted".to_owned())))
}
