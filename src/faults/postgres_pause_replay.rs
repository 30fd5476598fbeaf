//! Pauses the replay of WAL on a PostgreSQL standby: it receives and saves everything, and shows nothing of it.

use super::{Cx, Fault, FaultError, Look, Reversibility};
use crate::adapters::AdapterError;
use crate::model::TargetRef;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

const ASK: Duration = Duration::from_secs(10);

/// Is it a standby, may we, and who are we.
const FIND: &str = "select concat_ws('|', pg_is_in_recovery(), \
     has_function_privilege('pg_wal_replay_pause()', 'execute') \
     and has_function_privilege('pg_wal_replay_resume()', 'execute'), current_database(), quote_ident(current_user), \
     coalesce(host(inet_server_addr()), 'local') || ':' || coalesce(inet_server_port()::text, ''), \
     current_setting('server_version_num')::int >= 140000)";

/// `not paused`, `pause requested`, `paused`; a server before version 14 knows no difference between the last two.
const STATE: &str = "select case when pg_is_in_recovery() then pg_get_wal_replay_pause_state() else 'promoted' end";
const STATE_BEFORE_14: &str = "select case when not pg_is_in_recovery() then 'promoted' \
     when pg_is_wal_replay_paused() then 'paused' else 'not paused' end";

const PAUSE: &str = "select pg_wal_replay_pause()::text";
const RESUME: &str = "select case when pg_is_in_recovery() then pg_wal_replay_resume()::text else '' end";

/// Pauses the replay of WAL on a standby. A promotion, or a restart of the standby, ends the pause too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PostgresPauseReplay {
    /// A target of kind `postgres`: the standby itself.
    pub target: TargetRef,
}

/// Which server it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undo {
    /// Its address and port as it knows them.
    pub server: String,
    /// Does it know `pg_get_wal_replay_pause_state`?
    pub states: bool,
}

impl PostgresPauseReplay {
    async fn ask(&self, query: &str, cx: &Cx<'_>) -> Result<String, FaultError> {
        let url = cx.scope.url(&self.target).map_err(FaultError::Reference)?;
        Ok(cx.world.sql.scalar(&url, query, &[], ASK).await?.unwrap_or_default())
    }

    async fn state(&self, undo: &Undo, cx: &Cx<'_>) -> Result<String, FaultError> {
        self.ask(if undo.states { STATE } else { STATE_BEFORE_14 }, cx).await
    }
}

impl Fault for PostgresPauseReplay {
    const KIND: &'static str = "postgres_pause_replay";
    const SUMMARY: &'static str = "pause the replay of WAL on a PostgreSQL standby";
    const REVERSIBILITY: Reversibility = Reversibility::Reversible;
    const REACHES_OUT: bool = true;
    const TARGETS: &'static [&'static str] = &["postgres"];
    type Undo = Undo;

    fn targets(&self) -> Vec<&TargetRef> {
        vec![&self.target]
    }

    fn permissions(&self) -> Vec<String> {
        vec![
            "to execute pg_wal_replay_pause() and pg_wal_replay_resume(): a superuser, or whom they are granted"
                .to_owned(),
        ]
    }

    fn way_back(&self) -> String {
        "replay is resumed: pg_wal_replay_resume()".to_owned()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Undo, FaultError> {
        let (found, name) = (self.ask(FIND, cx).await?, self.target.name());
        let parts: Vec<&str> = found.split('|').collect();
        let &[standby, may, database, user, server, states] = &parts[..] else {
            return Err(AdapterError::Other(format!("`{found}` does not describe a server")).into());
        };
        if standby != "t" {
            let why = format!("`{name}` ({server}) is no standby: nothing is replayed there");
            return Err(FaultError::NothingToBreak(why));
        }
        if may != "t" {
            let why = format!(
                "`{name}` ({server}): {user} may not pause replay: on the primary, in {database}, GRANT EXECUTE ON FUNCTION \
                 pg_wal_replay_pause(), pg_wal_replay_resume() TO {user}"
            );
            return Err(AdapterError::Refused(why).into());
        }
        let undo = Undo { server: server.to_owned(), states: states == "t" };
        let state = self.state(&undo, cx).await?;
        if state != "not paused" {
            let why = format!("`{name}` ({server}): replay is {state} already");
            return Err(FaultError::NothingToBreak(why));
        }
        Ok(undo)
    }

    async fn inject(&self, _: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        self.ask(PAUSE, cx).await.map(|_| ())
    }

    async fn effective(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let state = self.state(undo, cx).await?;
        Ok(Look { holds: state == "paused", detail: format!("replay on {}: {state}", undo.server) })
    }

    async fn heal(&self, _: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        self.ask(RESUME, cx).await.map(|_| ())
    }

    async fn healed(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let state = self.state(undo, cx).await?;
        let holds = matches!(state.as_str(), "not paused" | "promoted");
        Ok(Look { holds, detail: format!("replay on {}: {state}", undo.server) })
    }

    fn by_hand(&self, undo: &Undo) -> String {
        format!("psql -c 'select pg_wal_replay_resume()'  # on {}", undo.server)
    }

    fn touched(&self, undo: &Undo) -> Vec<String> {
        vec![format!("the standby {}", undo.server)]
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::SqlBench;
    use super::*;
    use crate::adapters::{Fut, Sql};
    use std::sync::{Arc, Mutex};

    /// A server as it answers; the second is the state of its replay.
    struct Standby {
        found: &'static str,
        state: Mutex<&'static str>,
    }

    impl Sql for Standby {
        fn scalar<'a>(
            &'a self,
            _: &'a str,
            query: &'a str,
            _: &'a [String],
            _: Duration,
        ) -> Fut<'a, Result<Option<String>, AdapterError>> {
            Box::pin(async move {
                let mut state = self.state.lock().expect("lock");
                Ok(Some(match query {
                    FIND => self.found.to_owned(),
                    PAUSE => {
                        *state = if *state == "paused" { "paused" } else { "pause requested" };
                        String::new()
                    }
                    RESUME if *state != "promoted" => {
                        *state = "not paused";
                        String::new()
                    }
                    STATE | STATE_BEFORE_14 => (*state).to_owned(),
                    _ => String::new(),
                }))
            })
        }
    }

    fn bench(found: &'static str, state: &'static str) -> (Arc<Standby>, SqlBench) {
        let standby = Arc::new(Standby { found, state: Mutex::new(state) });
        (Arc::clone(&standby), SqlBench::new(standby))
    }

    fn fault() -> PostgresPauseReplay {
        PostgresPauseReplay { target: TargetRef::Pinned("standby".into()) }
    }

    const OURS: &str = "t|t|app|app|127.0.0.1:5433|t";

    #[tokio::test]
    async fn a_pause_that_is_only_asked_for_is_none_yet_and_a_promotion_ends_it() {
        let (standby, bench) = bench(OURS, "not paused");
        let (fault, cx) = (fault(), bench.cx());
        let undo = fault.prepare(&cx).await.unwrap();
        assert!(fault.healed(&undo, &cx).await.unwrap().holds && !fault.effective(&undo, &cx).await.unwrap().holds);
        fault.inject(&undo, &cx).await.unwrap();
        assert!(!fault.effective(&undo, &cx).await.unwrap().holds, "the server has not come to it");
        assert!(!fault.healed(&undo, &cx).await.unwrap().holds, "nor is it as before");
        *standby.state.lock().unwrap() = "paused";
        assert!(fault.effective(&undo, &cx).await.unwrap().holds);
        for _ in 0..2 {
            fault.heal(&undo, &cx).await.unwrap();
            assert!(fault.healed(&undo, &cx).await.unwrap().holds);
        }
        *standby.state.lock().unwrap() = "promoted";
        fault.heal(&undo, &cx).await.unwrap();
        assert!(fault.healed(&undo, &cx).await.unwrap().holds);
    }

    #[tokio::test]
    async fn what_is_no_standby_or_paused_or_not_allowed_is_left_alone() {
        for (found, state, why) in [
            ("f|t|app|app|127.0.0.1:5433|t", "promoted", "is no standby"),
            (OURS, "paused", "replay is paused already"),
            ("t|f|app|app|127.0.0.1:5433|t", "not paused", "GRANT EXECUTE ON FUNCTION pg_wal_replay_pause()"),
        ] {
            let error = fault().prepare(&bench(found, state).1.cx()).await.unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
