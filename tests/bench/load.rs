//! What an operation over HTTP costs the one who sends it, beside the usual load generators, against the same nginx:
//!
//!     cargo bench --bench load
//!     cargo bench --bench load -- memory
//!
//! Processor time (user and system) of the sending process alone, for each operation. Ours has its schedule, its
//! classes of outcomes and its operations log on. Needs nginx, wrk, ab and hey; oha (`cargo install oha`) if it is there.
//! `memory` sends ten million operations and prints how much memory that took.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on says where")]

use blackstart::adapters::{ClientSettings, Endpoint, Line, Request, World};
use blackstart::clock::Clock;
use blackstart::event::What;
use blackstart::exec::sampler::{Recorder, Sampler};
use blackstart::journal::ops::{OpsWriter, read};
use blackstart::model::{ClientBehaviour, OpRecord, Outcome, Service};
use blackstart::plan::{Place, WorkloadPlan};
use blackstart::workloads::{HttpVisits, WorkloadSpec};
use nix::sys::resource::{UsageWho, getrusage};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// Connections of the others.
const CONNECTIONS: &str = "16";

struct Quiet;

impl Recorder for Quiet {
    fn record(&self, _: What) {}
}

/// An nginx that answers with a line; down with the value.
struct Nginx {
    master: Child,
    url: String,
}

impl Nginx {
    fn start(dir: &Path) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = dir.join("nginx.conf");
        let text = format!(
            "daemon off; pid {0}/pid; error_log {0}/error.log; worker_processes 1; events {{ worker_connections 16384; }}\n\
             http {{ access_log off; keepalive_requests 1000000000; client_body_temp_path {0}; proxy_temp_path {0};\n\
             fastcgi_temp_path {0}; uwsgi_temp_path {0}; scgi_temp_path {0};\n\
             server {{ listen 127.0.0.1:{port} backlog=16384; location / {{ return 200 \"it is up\\n\"; }} }} }}\n",
            dir.display()
        );
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new("nginx");
        command.arg("-c").arg(&config).arg("-p").arg(dir).stdout(Stdio::null()).stderr(Stdio::null());
        let master = command.spawn().expect("nginx is installed");
        let up = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
        assert!(
            (0..500).any(|_| up() || {
                std::thread::park_timeout(Duration::from_millis(10));
                false
            }),
            "nginx is up"
        );
        Self { master, url: format!("http://127.0.0.1:{port}/") }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(self.master.id().cast_signed());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).ok();
        self.master.wait().ok();
    }
}

/// Processor seconds so far.
fn cpu(who: UsageWho) -> f64 {
    let usage = getrusage(who).unwrap();
    let seconds = |t: nix::sys::time::TimeVal| t.tv_sec() as f64 + t.tv_usec() as f64 / 1e6;
    seconds(usage.user_time()) + seconds(usage.system_time())
}

fn plan(rate: f64) -> WorkloadPlan {
    let visits: HttpVisits = serde_yaml::from_str("{url: 'http://127.0.0.1/', rate: 1/s}").unwrap();
    WorkloadPlan {
        name: "page".into(),
        spec: WorkloadSpec::Http(visits),
        service: Service::default(),
        rate,
        timeout: Duration::from_secs(1),
        client: ClientBehaviour::Fresh,
        writers: 0,
        probe_of: None,
        place: Place::default(),
    }
}

/// What a turn came to.
struct Turn {
    operations: usize,
    /// Seconds of wall and of processor time.
    took: f64,
    used: f64,
    /// Of ours: its records.
    records: Vec<OpRecord>,
}

/// One workload of ours for so long.
async fn ours(url: &str, behaviour: ClientBehaviour, rate: f64, lasting: Duration) -> Turn {
    let dir = tempfile::tempdir().unwrap();
    let plan = plan(rate);
    let settings =
        ClientSettings { run: "bench".into(), behaviour, timeout: plan.timeout, writers: 0, payload: 0, rate };
    let request = Request {
        method: "GET".to_owned(),
        url: url.to_owned(),
        headers: std::collections::BTreeMap::new(),
        body: None,
        timeout: plan.timeout,
    };
    let endpoint =
        Endpoint::Http { request, status: vec![200], contains: Some("is up".to_owned()), line: Line::default() };
    let ops = OpsWriter::create(dir.path(), &plan.name).unwrap();
    let sampler = Sampler::open(&World::system(), &plan, endpoint, settings, ops, Arc::new(Quiet)).await.unwrap();
    let (before, origin) = (cpu(UsageWho::RUSAGE_SELF), Clock::System.mono().after(Duration::from_millis(20)));
    sampler.start(origin).unwrap();
    Clock::System.sleep_until(origin.after(lasting)).await;
    let _mark = sampler.stop().await.unwrap();
    let (used, took) = (cpu(UsageWho::RUSAGE_SELF) - before, Clock::System.mono().since(origin).as_secs_f64());
    let records = read(&dir.path().join("ops/page.ops")).unwrap().records.to_vec();
    let operations = records.iter().filter(|record| record.outcome == Outcome::Ok).count();
    Turn { operations, took, used, records }
}

/// Another program for so long; what it prints says how many operations it did.
fn theirs(words: &[&str], count: fn(&str) -> Option<usize>) -> Option<Turn> {
    let (before, began) = (cpu(UsageWho::RUSAGE_CHILDREN), Clock::System.mono());
    let output = Command::new(words[0]).args(&words[1..]).stdin(Stdio::null()).output().ok()?;
    let (used, took) = (cpu(UsageWho::RUSAGE_CHILDREN) - before, Clock::System.mono().since(began).as_secs_f64());
    let text = String::from_utf8_lossy(&output.stdout);
    let operations =
        count(&text).unwrap_or_else(|| panic!("{words:?}: {text}{}", String::from_utf8_lossy(&output.stderr)));
    Some(Turn { operations, took, used, records: Vec::new() })
}

/// The number before or after a word.
fn beside(text: &str, word: &str) -> Option<usize> {
    let at = text.find(word)?;
    let digits = |s: &str| s.trim().parse().ok();
    let after = text[at + word.len()..].split_whitespace().next().and_then(digits);
    after.or_else(|| text[..at].split_whitespace().next_back().and_then(digits))
}

fn of_wrk(text: &str) -> Option<usize> {
    beside(text, "requests in")
}

fn of_ab(text: &str) -> Option<usize> {
    beside(text, "Complete requests:")
}

fn of_hey(text: &str) -> Option<usize> {
    beside(text, "responses")
}

fn of_oha(text: &str) -> Option<usize> {
    let json: serde_json::Value = serde_json::from_str(text).ok()?;
    Some(json.get("statusCodeDistribution")?.get("200")?.as_u64()? as usize)
}

/// Prints a row; microseconds for each operation.
fn row(load: &str, who: &str, turn: Option<&Turn>) -> Option<f64> {
    let Some(turn) = turn else {
        println!("| {load} | {who} | not installed | | | |");
        return None;
    };
    let each = turn.used / turn.operations as f64 * 1e6;
    let rate = turn.operations as f64 / turn.took;
    let (late, gap) = punctuality(&turn.records);
    println!("| {load} | {who} | {} | {rate:.0} | {each:.1} | {late} | {gap} |", turn.operations);
    Some(each)
}

/// Lateness p50 and p99, and the gap between two sends p99, in microseconds.
fn punctuality(records: &[OpRecord]) -> (String, String) {
    if records.is_empty() {
        return (String::new(), String::new());
    }
    let at = |sorted: &[i64], share: f64| sorted[((sorted.len() - 1) as f64 * share) as usize] / 1000;
    let mut late: Vec<i64> = records.iter().map(|record| record.sent - record.due).collect();
    let mut sent: Vec<_> = records.iter().map(|record| record.sent).collect();
    sent.sort_unstable();
    let mut gaps: Vec<i64> = sent.windows(2).map(|two| two[1] - two[0]).collect();
    late.sort_unstable();
    gaps.sort_unstable();
    (format!("{} / {}", at(&late, 0.5), at(&late, 0.99)), at(&gaps, 0.99).to_string())
}

fn load_average() -> String {
    std::fs::read_to_string("/proc/loadavg").unwrap_or_default().split(' ').take(1).collect()
}

fn oha() -> String {
    let home = std::env::var("HOME").unwrap_or_default();
    let asked = std::env::var("OHA").ok().into_iter();
    let places = asked.chain([format!("{home}/.cargo/bin/oha"), "/usr/local/bin/oha".to_owned()]);
    places.into_iter().find(|place| Path::new(place).exists()).unwrap_or_else(|| "oha".to_owned())
}

/// The most memory this process ever had, in MiB.
fn peak() -> f64 {
    getrusage(UsageWho::RUSAGE_SELF).unwrap().max_rss() as f64 / 1024.0
}

async fn side_by_side(url: &str, lasting: Duration) {
    let (oha, seconds) = (oha(), lasting.as_secs().to_string());
    let limit = format!("{seconds}s");
    let flat_out = [
        ("wrk", theirs(&["wrk", "-t1", "-c", CONNECTIONS, "-d", &limit, url], of_wrk)),
        ("oha", theirs(&[&oha, "--no-tui", "--output-format", "json", "-c", CONNECTIONS, "-z", &limit, url], of_oha)),
        ("ab", theirs(&["ab", "-q", "-k", "-c", CONNECTIONS, "-t", &seconds, "-n", "10000000", url], of_ab)),
        ("hey", theirs(&["hey", "-c", CONNECTIONS, "-z", &limit, url], of_hey)),
    ];
    let what = "flat out, keep-alive";
    let figures: Vec<_> = flat_out.iter().map(|(who, turn)| row(what, who, turn.as_ref())).collect();
    let carried = flat_out.iter().flat_map(|(_, turn)| turn).map(|t| t.operations as f64 / t.took).fold(0.0, f64::max);
    let rate = (carried * 0.7).min(50_000.0).round();
    let own = ours(url, ClientBehaviour::Pooled, rate, lasting).await;
    let each = row(&format!("{rate}/s open loop, keep-alive"), "blackstart", Some(&own));
    if let (Some(own), Some(oha)) = (each, figures[1]) {
        println!("| | of oha | {:.2} | | | | |", own / oha);
    }
    let fresh = [
        ("wrk", theirs(&["wrk", "-t1", "-c", CONNECTIONS, "-d", &limit, "-H", "Connection: close", url], of_wrk)),
        ("oha", {
            let words = [
                &oha,
                "--no-tui",
                "--output-format",
                "json",
                "--disable-keepalive",
                "-c",
                CONNECTIONS,
                "-z",
                &limit,
                url,
            ];
            theirs(&words, of_oha)
        }),
        ("ab", theirs(&["ab", "-q", "-c", CONNECTIONS, "-t", &seconds, "-n", "10000000", url], of_ab)),
        ("hey", theirs(&["hey", "-disable-keepalive", "-c", CONNECTIONS, "-z", &limit, url], of_hey)),
    ];
    for (who, turn) in &fresh {
        row("flat out, a connection each", who, turn.as_ref());
    }
    let carried = fresh.iter().flat_map(|(_, turn)| turn).map(|t| t.operations as f64 / t.took).fold(0.0, f64::max);
    let rate = (carried * 0.7).round();
    row(
        &format!("{rate}/s open loop, a connection each"),
        "blackstart",
        Some(&ours(url, ClientBehaviour::Fresh, rate, lasting).await),
    );
    let words = [&oha, "--no-tui", "--output-format", "json", "-q", "1000", "-c", CONNECTIONS, "-z", &limit, url];
    row("1000/s open loop, keep-alive", "oha", theirs(&words, of_oha).as_ref());
    let hey = ["hey", "-q", "62.5", "-c", CONNECTIONS, "-z", &limit, url];
    row("1000/s, keep-alive", "hey", theirs(&hey, of_hey).as_ref());
    for (what, behaviour) in [("keep-alive", ClientBehaviour::Pooled), ("a connection each", ClientBehaviour::Fresh)] {
        let own = ours(url, behaviour, 1000.0, lasting).await;
        row(&format!("1000/s open loop, {what}"), "blackstart", Some(&own));
    }
}

async fn memory(url: &str) {
    let (rate, operations) = (40_000.0, 10_000_000.0);
    let before = peak();
    let turn = ours_unread(url, rate, Duration::from_secs_f64(operations / rate)).await;
    println!("{turn} operations at {rate}/s: at most {:.1} MiB, {before:.1} MiB before", peak());
}

/// As [`ours`], without reading the log back, which takes memory.
async fn ours_unread(url: &str, rate: f64, lasting: Duration) -> u64 {
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let plan = plan(rate);
    let settings = ClientSettings {
        run: "bench".into(),
        behaviour: ClientBehaviour::Pooled,
        timeout: plan.timeout,
        writers: 0,
        payload: 0,
        rate,
    };
    let headers = std::collections::BTreeMap::new();
    let request = Request { method: "GET".to_owned(), url: url.to_owned(), headers, body: None, timeout: plan.timeout };
    let endpoint = Endpoint::Http { request, status: vec![200], contains: None, line: Line::default() };
    let ops = OpsWriter::create(dir.path(), &plan.name).unwrap();
    let sampler = Sampler::open(&World::system(), &plan, endpoint, settings, ops, Arc::new(Quiet)).await.unwrap();
    let origin = Clock::System.mono().after(Duration::from_millis(20));
    sampler.start(origin).unwrap();
    Clock::System.sleep_until(origin.after(lasting)).await;
    sampler.stop().await.unwrap().operations
}

fn main() {
    let asked = |word: &str| std::env::args().any(|argument| argument == word);
    let lasting = Duration::from_secs(if asked("--test") { 1 } else { 6 });
    let dir = tempfile::tempdir().unwrap();
    let nginx = Nginx::start(dir.path());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    println!("load average {}\n", load_average());
    if asked("memory") {
        return runtime.block_on(memory(&nginx.url));
    }
    println!("| load | who | operations | a second | µs of CPU each | late p50 / p99, µs | gap p99, µs |");
    println!("|---|---|--:|--:|--:|--:|--:|");
    runtime.block_on(side_by_side(&nginx.url, lasting));
    println!(
        "\nload average {}, most memory {:.1} MiB (the records that are compared here included)",
        load_average(),
        peak()
    );
}
