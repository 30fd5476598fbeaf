//! What each level of a read-back costs with PostgreSQL, in time and bytes, against reading every row, and what the
//! fingerprint of a table costs:
//! `cargo bench --bench read_back`; with 10⁷ rows too: `cargo bench --bench read_back -- --large`. Needs what
//! `tests/install.sh` installs. Figures: `src/docs/performance.md`.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on says where")]

#[path = "../postgres/pair.rs"]
#[expect(dead_code, reason = "tests use more of it")]
mod pair;

use blackstart::adapters::data::{Store, Tables};
use blackstart::adapters::postgres::open_ledger;
use blackstart::adapters::{ClientSettings, LedgerStore, World};
use blackstart::clock::Clock;
use blackstart::exec::sampler::levels;
use blackstart::ledger::{Keep, Ledger};
use blackstart::model::{ClientBehaviour, Key, Mono, Outcome, RunId};
use blackstart::workloads::payload::payload;
use pair::Pair;
use std::io::{BufWriter, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const WRITERS: u64 = 8;
const PAYLOAD: usize = 128;
/// One writer lost so many in the middle.
const LOST: u64 = 100;

fn main() {
    let pair = Pair::up(15800, &[]);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let large = std::env::args().any(|word| word == "--large");
    println!("| rows | what is asked | seconds | bytes received |");
    println!("|---:|---|---:|---:|");
    for count in if large { vec![1_000_000, 10_000_000] } else { vec![1_000_000] } {
        runtime.block_on(measure(&pair, count));
        runtime.block_on(fingerprint(&pair, count));
    }
}

fn settings(count: u64) -> ClientSettings {
    ClientSettings {
        run: RunId::from(format!("bench-{count}").as_str()),
        behaviour: ClientBehaviour::Pooled,
        timeout: Duration::from_secs(10),
        writers: WRITERS as u16,
        payload: PAYLOAD as u64,
        rate: 1.0,
    }
}

fn store(url: &str, settings: &ClientSettings) -> Arc<dyn LedgerStore> {
    open_ledger(&Clock::System, url, "blackstart_ledger", settings).unwrap().store.unwrap()
}

async fn measure(pair: &Pair, count: u64) {
    let settings = settings(count);
    let direct = store(&pair.url(1), &settings);
    direct.prepare().await.unwrap();
    let ledger = fill(pair, &settings, count);
    let (url, bytes) = counted(pair).await;
    for store in [&store(&url, &settings), &direct] {
        let began = |bytes: &AtomicU64| (Clock::System.mono(), bytes.load(Ordering::Relaxed));
        let ended = |what: &str, (at, before): (Mono, u64)| {
            let (took, got) = ((Clock::System.mono() - at) as f64 / 1e9, bytes.load(Ordering::Relaxed) - before);
            // Bytes are counted by a relay, times are taken without it.
            if got > 0 {
                println!("| {count} | {what} | | {got} |");
            } else {
                println!("| {count} | {what} | {took:.2} | |");
            }
        };
        let mut snapshot = store.snapshot().await.unwrap().unwrap();
        let start = began(&bytes);
        let _counts = snapshot.writers().await.unwrap();
        ended("count and maximum of each writer", start);
        let start = began(&bytes);
        let _sums = snapshot.blocks().await.unwrap();
        ended("sums of every 4,096", start);
        let start = began(&bytes);
        let (found, asked) = levels::read_back(&**store, &settings, ledger.clone(), levels::FEW).await.unwrap();
        ended(&format!("all levels, {} rows of them", asked.rows), start);
        let start = began(&bytes);
        let (whole, _) = levels::read_back(&**store, &settings, ledger.clone(), u64::MAX).await.unwrap();
        ended("every row", start);
        assert_eq!(found, whole);
    }
}

/// A table of seven columns beside a plain count of its rows.
async fn fingerprint(pair: &Pair, count: u64) {
    let table = format!("items_{count}");
    pair.psql(
        1,
        "app",
        &format!(
            "create table {table}
                 (id int, name text, price numeric, made timestamptz, ratio float8, tags jsonb, raw bytea);
             insert into {table}
                 select g, 'a name', g * 1.50, '2026-01-01'::timestamptz + g * interval '1 second', g / 3.0,
                     jsonb_build_object('k', g), decode('00ff', 'hex') from generate_series(1, {count}) g;
             analyze {table};
             grant select on {table} to app"
        ),
    );
    let timed = |what: &str, began: Mono| {
        println!("| {count} | {what} | {:.2} | |", (Clock::System.mono() - began) as f64 / 1e9);
    };
    let began = Clock::System.mono();
    pair.psql(1, "app", &format!("select count(*) from {table}"));
    timed("a count of a table, by psql", began);
    let (tables, exclude) = (vec![table], std::collections::BTreeMap::new());
    let store = Store::Postgres(Tables { url: pair.url(1), tables, exclude, own: Vec::new() });
    let began = Clock::System.mono();
    let taken = World::system().data.fingerprint(&store, Duration::from_secs(600)).await.unwrap();
    timed("its fingerprint, seven columns", began);
    assert!(taken.absent.is_empty());
}

/// The rows of a run that lost a few, by COPY; and what its clients were told.
fn fill(pair: &Pair, settings: &ClientSettings, count: u64) -> Ledger {
    let mut psql = Command::new("psql")
        .args([
            "-XqAt",
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            "copy blackstart_ledger (run, writer, seq, attempt, payload) from stdin",
        ])
        .arg(pair.url(1))
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ledger = Ledger::new(Keep::Outcomes);
    let mut input = BufWriter::with_capacity(1 << 20, psql.stdin.take().unwrap());
    for k in 0..count {
        let key = Key { writer: (k % WRITERS) as u16, seq: k / WRITERS };
        ledger.record(key, Outcome::Ok, Mono(0), Mono(1));
        if key.writer == 3 && (count / 16..count / 16 + LOST).contains(&key.seq) {
            continue;
        }
        let bytes = payload(&settings.run, key, PAYLOAD);
        let hex: String =
            bytes.iter().flat_map(|b| [b >> 4, b & 15]).map(|n| char::from_digit(n.into(), 16).unwrap()).collect();
        writeln!(input, "{}\t{}\t{}\t1\t\\\\x{hex}", settings.run, key.writer, key.seq).unwrap();
    }
    drop(input.into_inner().unwrap());
    assert!(psql.wait().unwrap().success());
    pair.psql(1, "app", "analyze blackstart_ledger");
    ledger
}

/// A relay to the server, and how many bytes it has sent us.
async fn counted(pair: &Pair) -> (String, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = pair.url(1);
    let server = url.split(['@', '/']).nth(3).unwrap().to_owned();
    let relayed = url.replace(&server, &listener.local_addr().unwrap().to_string());
    let bytes = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&bytes);
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let server = TcpStream::connect(&server).await.unwrap();
            let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
                (client.into_split(), server.into_split());
            let count = Arc::clone(&count);
            tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
            tokio::spawn(async move {
                let mut buffer = vec![0; 1 << 16];
                while let Ok(length @ 1..) = from_server.read(&mut buffer).await {
                    count.fetch_add(length as u64, Ordering::Relaxed);
                    if to_client.write_all(&buffer[..length]).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    (relayed, bytes)
}
