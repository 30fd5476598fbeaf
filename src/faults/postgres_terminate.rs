//! Ends sessions of a PostgreSQL server, once or again and again: what a client's pool does then, and what becomes of a
//! commit that was on its way.

use super::{Cx, Fault, FaultError, Look, Reversibility};
use crate::adapters::AdapterError;
use crate::model::{Dur, TargetRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

const ASK: Duration = Duration::from_secs(10);
const LEAST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(3600);

/// Sessions of clients that match: user, database, application; the asking session is none of them.
macro_rules! matching {
    ($select:literal) => {
        concat!(
            "select ",
            $select,
            " from pg_stat_activity a where a.backend_type = 'client backend' and a.pid <> pg_backend_pid() \
             and $1::text in ('', a.usename::text) and $2::text in ('', a.datname::text) \
             and $3::text in ('', a.application_name)"
        )
    };
}

/// Who they are, and of how many we may not end the session.
const FIND: &str = matching!(
    "coalesce(string_agg(a.pid || '@' || coalesce(extract(epoch from a.backend_start)::text, ''), ','), '') || '|' || \
     count(*) filter (where a.backend_start is null or not (pg_has_role(current_user, a.usesysid, 'usage') \
         or pg_has_role(current_user, 'pg_signal_backend', 'usage')) \
         or (select r.rolsuper from pg_roles r where r.oid = a.usesysid) \
         and not (select r.rolsuper from pg_roles r where r.rolname = current_user)) || '|' || quote_ident(current_user)"
);

/// $4: only these, or all that match if it is empty.
const END: &str = concat!(
    "select count(pg_terminate_backend(x.pid)) from (",
    matching!("a.pid"),
    " and ($4::text = '' or a.pid || '@' || extract(epoch from a.backend_start)::text = any(string_to_array($4::text, ',')))) x"
);

/// How many of these are still there.
const LEFT: &str = "select count(*) from pg_stat_activity a \
     where a.pid || '@' || extract(epoch from a.backend_start)::text = any(string_to_array($1::text, ','))";

/// Again and again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Again {
    /// From one time to the next.
    pub every: Dur,
    /// For so long; the step ends then.
    pub during: Dur,
}

/// Ends the sessions of a server that match all that is given; with nothing given, those of every client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PostgresTerminate {
    /// A target of kind `postgres`.
    pub target: TargetRef,
    /// Of this user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// In this database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// With this `application_name`; a ledger's is `blackstart` unless its URL says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    /// Again and again; once if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<Again>,
}

/// Whose sessions were there at first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undo {
    /// `pid@seconds` of each: its process, and since when it is connected.
    pub sessions: Vec<String>,
}

impl PostgresTerminate {
    async fn ask(&self, query: &str, args: &[String], cx: &Cx<'_>) -> Result<String, FaultError> {
        let url = cx.scope.url(&self.target).map_err(FaultError::Reference)?;
        Ok(cx.world.sql.scalar(&url, query, args, ASK).await?.unwrap_or_default())
    }

    /// User, database, application.
    fn filter(&self) -> Vec<String> {
        [&self.user, &self.database, &self.application].map(|given| given.clone().unwrap_or_default()).to_vec()
    }

    fn whose(&self) -> String {
        let named = [("user", &self.user), ("database", &self.database), ("application", &self.application)];
        let given = named.into_iter().filter_map(|(name, value)| Some(format!("{name} {}", value.as_ref()?)));
        let given: Vec<String> = given.collect();
        if given.is_empty() { "any client".to_owned() } else { given.join(", ") }
    }
}

impl Fault for PostgresTerminate {
    const KIND: &'static str = "postgres_terminate";
    const SUMMARY: &'static str = "end sessions of a PostgreSQL server, once or again and again";
    const REVERSIBILITY: Reversibility = Reversibility::SelfHealing;
    const TARGETS: &'static [&'static str] = &["postgres"];
    const BREAKS_OFF: bool = true;
    type Undo = Undo;

    fn targets(&self) -> Vec<&TargetRef> {
        vec![&self.target]
    }

    fn permissions(&self) -> Vec<String> {
        vec![
            "for sessions of one's own role none; of others the roles pg_signal_backend and pg_monitor; of superusers, to be \
             one"
            .to_owned(),
        ]
    }

    fn way_back(&self) -> String {
        "clients connect again".to_owned()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Undo, FaultError> {
        if self.again.as_ref().is_some_and(|a| a.every.0 < LEAST || a.during.0 < a.every.0 || a.during.0 > LONGEST) {
            let why = format!("`every` is at least {LEAST:?}, and `during` from `every` to {LONGEST:?}");
            return Err(FaultError::NothingToBreak(why));
        }
        let found = self.ask(FIND, &self.filter(), cx).await?;
        let parts: Vec<&str> = found.splitn(3, '|').collect();
        let &[sessions, foreign, user] = &parts[..] else {
            return Err(AdapterError::Other(format!("`{found}` does not list sessions")).into());
        };
        if sessions.is_empty() {
            let why = format!("`{}` has no session of {}", self.target.name(), self.whose());
            return Err(FaultError::NothingToBreak(why));
        }
        if foreign != "0" {
            let why = format!(
                "`{}`: {user} may not see or end {foreign} of the sessions of {}: GRANT pg_signal_backend, pg_monitor TO {user} \
                 (a superuser's only a superuser ends)",
                self.target.name(),
                self.whose()
            );
            return Err(AdapterError::Refused(why).into());
        }
        Ok(Undo { sessions: sessions.split(',').map(str::to_owned).collect() })
    }

    /// Once: those that were there, so that those who came back are left alone if this is done again.
    async fn inject(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        let args = |sessions: String| [self.filter(), vec![sessions]].concat();
        self.ask(END, &args(undo.sessions.join(",")), cx).await?;
        let Some(again) = &self.again else { return Ok(()) };
        let clock = &cx.world.clock;
        let (mut due, until) = (clock.mono().after(again.every.0), clock.mono().after(again.during.0));
        while due < until {
            clock.sleep_until(due).await;
            self.ask(END, &args(String::new()), cx).await?;
            due = due.after(again.every.0).max(clock.mono());
        }
        Ok(())
    }

    async fn effective(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let left = self.ask(LEFT, &[undo.sessions.join(",")], cx).await?;
        let all = undo.sessions.len();
        Ok(Look { holds: left == "0", detail: format!("{left} of {all} sessions of {} are left", self.whose()) })
    }

    async fn heal(&self, _: &Undo, _: &Cx<'_>) -> Result<(), FaultError> {
        Ok(())
    }

    /// Nothing is left of it: whoever ended sessions is gone or done, and the server takes new ones.
    async fn healed(&self, _: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        self.ask("select 1", &[], cx).await?;
        Ok(Look { holds: true, detail: "the server takes sessions".to_owned() })
    }

    fn by_hand(&self, _: &Undo) -> String {
        "# nothing to do: clients connect again".to_owned()
    }

    fn touched(&self, undo: &Undo) -> Vec<String> {
        vec![format!("{} sessions of {}", undo.sessions.len(), self.whose())]
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::SqlBench;
    use super::*;
    use crate::adapters::{Fut, Sql};
    use std::sync::{Arc, Mutex};

    /// A server: what it lists, and the sessions that were to be ended, one entry a time.
    struct Server {
        found: &'static str,
        ended: Mutex<Vec<String>>,
    }

    impl Sql for Server {
        fn scalar<'a>(
            &'a self,
            _: &'a str,
            query: &'a str,
            args: &'a [String],
            _: Duration,
        ) -> Fut<'a, Result<Option<String>, AdapterError>> {
            let mut ended = self.ended.lock().expect("lock");
            let said = match query {
                FIND => self.found.to_owned(),
                END => {
                    ended.push(args[3].clone());
                    "2".to_owned()
                }
                _ => if ended.is_empty() { "2" } else { "0" }.to_owned(),
            };
            Box::pin(async move { Ok(Some(said)) })
        }
    }

    fn bench(found: &'static str) -> (Arc<Server>, SqlBench) {
        let server = Arc::new(Server { found, ended: Mutex::default() });
        (Arc::clone(&server), SqlBench::new(server))
    }

    fn fault(again: Option<(u64, u64)>) -> PostgresTerminate {
        let again = again.map(|(every, during)| Again {
            every: Dur(Duration::from_millis(every)),
            during: Dur(Duration::from_millis(during)),
        });
        let target = TargetRef::Pinned("db".into());
        PostgresTerminate { target, user: Some("app".into()), database: None, application: None, again }
    }

    #[tokio::test]
    async fn those_that_were_there_are_ended_and_those_that_came_back_are_not() {
        let (server, bench) = bench("7@1.5,8@2.5|0|app");
        let (fault, cx) = (fault(None), bench.cx());
        let undo = fault.prepare(&cx).await.unwrap();
        assert!(!fault.effective(&undo, &cx).await.unwrap().holds);
        for _ in 0..2 {
            fault.inject(&undo, &cx).await.unwrap();
            assert!(fault.effective(&undo, &cx).await.unwrap().holds);
        }
        assert_eq!(*server.ended.lock().unwrap(), ["7@1.5,8@2.5", "7@1.5,8@2.5"]);
        assert_eq!(fault.touched(&undo), ["2 sessions of user app"]);
        fault.heal(&undo, &cx).await.unwrap();
        assert!(fault.healed(&undo, &cx).await.unwrap().holds);
    }

    #[tokio::test]
    async fn again_and_again_is_all_that_match_then() {
        let (server, bench) = bench("7@1.5|0|app");
        let fault = fault(Some((20, 70)));
        let undo = fault.prepare(&bench.cx()).await.unwrap();
        fault.inject(&undo, &bench.cx()).await.unwrap();
        let ended = server.ended.lock().unwrap().clone();
        assert!((2..=4).contains(&ended.len()), "{ended:?}");
        assert!(ended[1..].iter().all(String::is_empty), "{ended:?}");
    }

    #[tokio::test]
    async fn nobody_to_end_and_nobody_to_end_by_us_is_said() {
        let none = fault(None).prepare(&bench("|0|app").1.cx()).await.unwrap_err().to_string();
        assert!(none.contains("no session of user app"), "{none}");
        let foreign = fault(None).prepare(&bench("7@1.5|1|app").1.cx()).await.unwrap_err().to_string();
        assert!(foreign.contains("GRANT pg_signal_backend, pg_monitor TO app"), "{foreign}");
        let wrong = fault(Some((50, 20))).prepare(&bench("7@1|0|app").1.cx()).await.unwrap_err().to_string();
        assert!(wrong.contains("`every`"), "{wrong}");
    }
}
