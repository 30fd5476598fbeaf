//! The faults of PostgreSQL's own on a real pair: what every kind must hold, and what the server itself says of it.

use crate::pair::{Pair, output, scripts};
use crate::support::{Place, conforms, fault, heals_a_replaced_target, heals_what_was_never_injected};
use blackstart::adapters::World;
use blackstart::faults::PreparedFault;
use blackstart::model::{PinnedTarget, ProcessIdentity};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The postmaster that the file in this data folder names.
fn postmaster(data: &Path) -> Result<ProcessIdentity, String> {
    let text = std::fs::read_to_string(data.join("postmaster.pid")).map_err(|e| e.to_string())?;
    let pid = text.lines().next().and_then(|line| line.parse().ok()).ok_or("no pid")?;
    World::system().processes.identify(pid).map_err(|e| e.to_string())?.ok_or_else(|| "it is gone".to_owned())
}

/// A place with the standby's postmaster as the target `pg2`, and both servers by their URLs.
fn place(pair: &Pair) -> Place {
    let data = pair.file("pg2/data");
    let find = move || {
        let fields = BTreeMap::from([("name".to_owned(), "pg2".to_owned())]);
        let (name, kind) = ("pg2".to_owned(), "process".to_owned());
        Ok(PinnedTarget { name, kind, processes: vec![postmaster(&data)?], fields, ..Default::default() })
    };
    Place::new()
        .with("pg2", find)
        .described("primary", json!({"postgres": {"url": pair.url(1)}}))
        .described("standby", json!({"postgres": {"url": pair.url(2)}}))
}

fn start(pair: &Pair) -> Vec<String> {
    let script = scripts().join("postgres-pair/start.sh").display().to_string();
    vec![script, "--dir".to_owned(), pair.file("").display().to_string(), "pg2".to_owned()]
}

fn stop(pair: &Pair, mode: &str) -> Value {
    json!({"postgres_stop": {"target": "pg2", "mode": mode, "back": {"command": {"argv": start(pair)}}}})
}

/// Why a fault cannot be prepared.
async fn refusal(place: &Place, parameters: Value) -> String {
    fault(parameters).prepare(&place.cx()).await.err().expect("it is refused").to_string()
}

/// A client's session that lasts, by its `application_name`.
fn session(pair: &Pair, node: u16, name: &str) -> Child {
    let url = format!("{}?application_name={name}", pair.url(node));
    let mut psql = Command::new("psql");
    psql.args([url.as_str(), "-Xqc", "select pg_sleep(600)"]);
    psql.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn sessions(pair: &Pair, node: u16, name: &str) -> String {
    pair.psql(node, "postgres", &format!("select count(*) from pg_stat_activity where application_name = '{name}'"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_stopped_as_asked_and_started_again() {
    let pair = Pair::up(15400, &[]);
    let place = place(&pair);
    conforms(&place, &fault(stop(&pair, "immediate"))).await;
    let fast = fault(stop(&pair, "fast"));
    conforms(&place, &fast).await;
    heals_what_was_never_injected(&place, &fast).await;
    heals_a_replaced_target(&place, &fast, || {
        output(Command::new(&start(&pair)[0]).args(&start(&pair)[1..]));
    })
    .await;
    // A smart stop refuses who comes and waits for who is there; it cannot be taken back, so healing ends it.
    let mut client = session(&pair, 2, "guest");
    place.until("the client is there", || async { sessions(&pair, 2, "guest") == "1" }).await;
    place.pin();
    let spec = fault(stop(&pair, "smart"));
    let undo = spec.prepare(&place.cx()).await.unwrap();
    let smart = PreparedFault { spec, undo };
    smart.inject(&place.cx()).await.unwrap();
    place.until("effective", || async { smart.effective(&place.cx()).await.unwrap().holds }).await;
    assert!(smart.effective(&place.cx()).await.unwrap().detail.contains("takes no new sessions"));
    assert!(client.try_wait().unwrap().is_none(), "who is there stays");
    smart.heal(&place.cx()).await.unwrap();
    place.until("healed", || async { smart.healed(&place.cx()).await.unwrap().holds }).await;
    assert!(!client.wait().unwrap().success(), "it was ended after all");
    assert_eq!(pair.psql(2, "postgres", "select pg_is_in_recovery()"), "t");
}

#[tokio::test(flavor = "multi_thread")]
async fn replay_is_paused_and_resumed_and_sessions_are_ended() {
    let pair = Pair::up(15400, &[]);
    let place = place(&pair);
    let pause = fault(json!({"postgres_pause_replay": {"target": "standby"}}));
    conforms(&place, &pause).await;
    heals_what_was_never_injected(&place, &pause).await;
    // By the server's own word.
    let undo = pause.prepare(&place.cx()).await.unwrap();
    pause_and_look(&pair, &place, &PreparedFault { spec: pause, undo }).await;
    let why = refusal(&place, json!({"postgres_pause_replay": {"target": "primary"}})).await;
    assert!(why.contains("is no standby"), "{why}");
    pair.psql(1, "app", "revoke execute on function pg_wal_replay_pause() from app");
    let denied = fault(json!({"postgres_pause_replay": {"target": "standby"}}));
    place.until("the standby knows", || async { denied.prepare(&place.cx()).await.is_err() }).await;
    let why = refusal(&place, json!({"postgres_pause_replay": {"target": "standby"}})).await;
    assert!(why.contains("in app, GRANT EXECUTE ON FUNCTION pg_wal_replay_pause()") && why.contains("TO app"), "{why}");
    ends_sessions(&pair, &place).await;
}

async fn pause_and_look(pair: &Pair, place: &Place, fault: &PreparedFault) {
    fault.inject(&place.cx()).await.unwrap();
    place.until("effective", || async { fault.effective(&place.cx()).await.unwrap().holds }).await;
    assert_eq!(pair.psql(2, "postgres", "select pg_get_wal_replay_pause_state()"), "paused");
    // A restart of the server ends the pause: healed, whoever did it.
    output(Command::new(&start(pair)[0]).args(&start(pair)[1..]));
    fault.heal(&place.cx()).await.unwrap();
    assert!(fault.healed(&place.cx()).await.unwrap().holds);
    assert_eq!(pair.psql(2, "postgres", "select pg_get_wal_replay_pause_state()"), "not paused");
}

async fn ends_sessions(pair: &Pair, place: &Place) {
    let named = |name: &str| json!({"postgres_terminate": {"target": "primary", "application": name}});
    let mut clients = [session(pair, 1, "victim"), session(pair, 1, "victim"), session(pair, 1, "bystander")];
    place.until("they are there", || async { sessions(pair, 1, "victim") == "2" }).await;
    place.until("he is there", || async { sessions(pair, 1, "bystander") == "1" }).await;
    let spec = fault(named("victim"));
    let undo = spec.prepare(&place.cx()).await.unwrap();
    let end = PreparedFault { spec, undo };
    assert!(!end.effective(&place.cx()).await.unwrap().holds);
    for _ in 0..2 {
        end.inject(&place.cx()).await.unwrap();
        place.until("effective", || async { end.effective(&place.cx()).await.unwrap().holds }).await;
    }
    end.heal(&place.cx()).await.unwrap();
    assert!(end.healed(&place.cx()).await.unwrap().holds);
    assert!(clients[..2].iter_mut().all(|client| !client.wait().unwrap().success()));
    assert_eq!(sessions(pair, 1, "bystander"), "1", "nobody else's session");
    let why = refusal(place, named("victim")).await;
    assert!(why.contains("no session of application victim"), "{why}");
    // Again and again: who comes back meanwhile is ended, too.
    let spec = fault(json!({"postgres_terminate": {"target": "primary", "application": "bystander",
        "again": {"every": "200ms", "during": "4s"}}}));
    let undo = spec.prepare(&place.cx()).await.unwrap();
    let storm = PreparedFault { spec, undo };
    let cx = place.cx();
    let come_back = async {
        place.until("the first is gone", || async { sessions(pair, 1, "bystander") == "0" }).await;
        let mut client = session(pair, 1, "bystander");
        tokio::task::spawn_blocking(move || client.wait().unwrap()).await.unwrap()
    };
    let (stormed, again) = tokio::join!(storm.inject(&cx), come_back);
    stormed.unwrap();
    assert!(!again.success() && storm.effective(&cx).await.unwrap().holds);
    clients[2].wait().unwrap();
    // Of others, only with the right to.
    pair.psql(1, "postgres", "create role other login password 'word'; grant pg_monitor to other");
    let url = format!("postgresql://other:word@127.0.0.1:{}/app", 15421);
    let other = Place::new().described("primary", json!({"postgres": {"url": url}}));
    let mut client = session(pair, 1, "victim");
    place.until("it is there", || async { sessions(pair, 1, "victim") == "1" }).await;
    let why = refusal(&other, named("victim")).await;
    assert!(why.contains("GRANT pg_signal_backend, pg_monitor TO other"), "{why}");
    client.kill().unwrap();
    client.wait().unwrap();
}
