//! Writes of a PostgreSQL ledger against `pgbench` with one insert per transaction: the same server, table, number of
//! clients and payload, taking turns: `cargo bench --bench pgbench`. Needs what `tests/install.sh` installs. Ours carries
//! each write through the client that workloads use, and logs and records it. Figures: `src/docs/performance.md`.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench that cannot go on says where, and prints")]

#[path = "../postgres/pair.rs"]
#[expect(dead_code, reason = "tests use more of it")]
mod pair;

use blackstart::adapters::postgres::open_ledger;
use blackstart::adapters::{Act, Client, ClientSettings, LedgerStore, Operation};
use blackstart::clock::Clock;
use blackstart::journal::ops::OpsWriter;
use blackstart::ledger::{Keep, Ledger};
use blackstart::model::{ClientBehaviour, Key, Outcome, RunId};
use nix::sys::resource::{UsageWho, getrusage};
use pair::{Pair, output};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const CLIENTS: u16 = 8;
const SECONDS: u64 = 6;
const ROUNDS: usize = 5;
const PAYLOAD: usize = 128;

/// Transactions a second, and microseconds of the client's processor time for each.
#[derive(Debug, Clone, Copy)]
struct Rate {
    a_second: f64,
    cpu: f64,
}

fn main() {
    let pair = Pair::up(15900, &[]);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let settings = ClientSettings {
        run: RunId::from("bench-1"),
        behaviour: ClientBehaviour::Pooled,
        timeout: Duration::from_secs(10),
        writers: CLIENTS,
        payload: PAYLOAD as u64,
        rate: 1.0,
    };
    let opened = open_ledger(&Clock::System, &pair.url(1), "blackstart_ledger", &settings).unwrap();
    let store: Arc<dyn LedgerStore> = opened.store.unwrap();
    runtime.block_on(store.prepare()).unwrap();
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        theirs.push(pgbench(&pair));
        ours.push(runtime.block_on(writes(&opened.client, round)));
        let (a, b) = (theirs[round], ours[round]);
        println!(
            "round {round}: pgbench {:.0}/s ({:.0} µs), ours {:.0}/s ({:.0} µs)",
            a.a_second, a.cpu, b.a_second, b.cpu
        );
    }
    let (theirs, ours) = (median(theirs), median(ours));
    println!("| what | inserts a second | µs of client CPU for one |");
    println!("|---|---:|---:|");
    println!("| `pgbench -M prepared -c {CLIENTS}` | {:.0} | {:.0} |", theirs.a_second, theirs.cpu);
    println!("| ledger, {CLIENTS} writers | {:.0} | {:.0} |", ours.a_second, ours.cpu);
    println!("ours is {:.2} of its rate (wanted: at least 0.8)", ours.a_second / theirs.a_second);
}

fn median(mut rates: Vec<Rate>) -> Rate {
    rates.sort_by(|a, b| a.a_second.total_cmp(&b.a_second));
    rates[rates.len() / 2]
}

/// Every client in a closed loop, each write logged and recorded.
async fn writes(client: &Arc<dyn Client>, round: usize) -> Rate {
    let dir = tempfile::tempdir().unwrap();
    let log = Arc::new(OpsWriter::create(dir.path(), &"orders".into()).unwrap());
    let ledger = Arc::new(Mutex::new(Ledger::new(Keep::Outcomes)));
    let count = Arc::new(AtomicU64::new(0));
    let (began, before) = (Clock::System.mono(), cpu(UsageWho::RUSAGE_SELF));
    let end = began.after(Duration::from_secs(SECONDS));
    let writer = |writer: u16| {
        let (client, log, ledger, count) =
            (Arc::clone(client), Arc::clone(&log), Arc::clone(&ledger), Arc::clone(&count));
        async move {
            for seq in (round as u64) << 32.. {
                let due = Clock::System.mono();
                if due >= end {
                    break;
                }
                let operation = Operation { due, act: Act::Write(Key { writer, seq }) };
                let record = client.operate(operation).await.record(operation);
                assert_eq!(record.outcome, Outcome::Ok);
                log.push(record);
                ledger.lock().unwrap().record(record.key.unwrap(), record.outcome, record.sent, record.done);
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    let tasks: Vec<_> = (0..CLIENTS).map(|id| tokio::spawn(writer(id))).collect();
    for task in tasks {
        task.await.unwrap();
    }
    let (took, used) = (Clock::System.mono() - began, cpu(UsageWho::RUSAGE_SELF) - before);
    log.finish().unwrap();
    let count = count.load(Ordering::Relaxed) as f64;
    Rate { a_second: count / (took as f64 / 1e9), cpu: used / count }
}

/// The same inserts by pgbench, into the same table under another run's name.
fn pgbench(pair: &Pair) -> Rate {
    let script = pair.file("insert.sql");
    let payload = "5a".repeat(PAYLOAD);
    let insert = format!(
        "\\set seq random(1, 1000000000)\n\
         insert into blackstart_ledger (run, writer, seq, attempt, payload) values ('bench-1', :client_id, :seq, 1, '\\x{payload}');\n"
    );
    std::fs::write(&script, insert).unwrap();
    let url = pair.url(1);
    let before = cpu(UsageWho::RUSAGE_CHILDREN);
    let said = output(
        Command::new("pgbench")
            .args(["-n", "-M", "prepared", "-c", &CLIENTS.to_string(), "-j", "2", "-T", &SECONDS.to_string(), "-f"])
            .arg(&script)
            .arg(&url),
    );
    let used = cpu(UsageWho::RUSAGE_CHILDREN) - before;
    let field = |name: &str| {
        let line = said.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim_start_matches([':', '=', ' ']).split([' ', '/']).next().unwrap().parse::<f64>().unwrap()
    };
    Rate { a_second: field("tps"), cpu: used / field("number of transactions actually processed") }
}

/// Microseconds.
fn cpu(who: UsageWho) -> f64 {
    let usage = getrusage(who).unwrap();
    let micros = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 * 1e6 + time.tv_usec() as f64;
    micros(usage.user_time()) + micros(usage.system_time())
}
