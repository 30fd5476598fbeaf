//! What an operation over HTTP costs the one who sends it, beside the usual load generators, against the same nginx:
//!
//!     cargo bench --bench load
//!     cargo bench --bench load -- kept
//!     cargo bench --bench load -- memory
//!
//! Processor time (user and system) of the sending process alone, for each operation. Ours has its schedule, its
//! classes of outcomes and its operations log on. Needs nginx, wrk, ab and hey; oha (`cargo install oha`) and Chaos Toolkit
//! (`pip install chaostoolkit`) if they are there, also where the variables OHA and CHAOS say. `kept` takes turns with
//! oha alone, flat out with kept connections; `memory` sends ten million operations and prints how much memory that took.

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

fn plan(name: &str, rate: f64) -> WorkloadPlan {
    let visits: HttpVisits = serde_yaml::from_str("{url: 'http://127.0.0.1/', rate: 1/s}").unwrap();
    WorkloadPlan {
        name: name.into(),
        spec: WorkloadSpec::Http(visits),
        service: Service::default(),
        rate,
        timeout: Duration::from_secs(1),
        client: ClientBehaviour::Fresh,
        writers: 0,
        probe_of: None,
        vantage: None,
        site: None,
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

/// A visit of the page.
fn page(url: &str) -> Endpoint {
    let headers = std::collections::BTreeMap::new();
    let (method, url, timeout) = ("GET".to_owned(), url.to_owned(), Duration::from_secs(1));
    let request = Request { method, url, headers, body: None, timeout };
    Endpoint::Http { request, status: vec![200], contains: Some("is up".to_owned()), line: Line::default() }
}

/// The same by hand, over TCP.
fn talk(url: &str) -> Endpoint {
    let address = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let (send, expect) = (Some("GET / HTTP/1.1\r\nhost: a\r\n\r\n".to_owned()), Some("is up".to_owned()));
    Endpoint::Tcp { address, send, expect, resolver: None }
}

async fn sampler(dir: &Path, name: &str, endpoint: &Endpoint, behaviour: &ClientBehaviour, rate: f64) -> Sampler {
    let plan = plan(name, rate);
    let (behaviour, timeout) = (behaviour.clone(), plan.timeout);
    let settings = ClientSettings { run: "bench".into(), behaviour, timeout, writers: 0, payload: 0, rate };
    let ops = OpsWriter::create(dir, &plan.name).unwrap();
    Sampler::open(&World::system(), &plan, endpoint.clone(), settings, ops, Arc::new(Quiet)).await.unwrap()
}

/// So many workloads of ours at once for so long, each at this rate.
async fn ours(endpoint: &Endpoint, behaviour: ClientBehaviour, many: usize, rate: f64, lasting: Duration) -> Turn {
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let mut samplers = Vec::new();
    for number in 0..many {
        samplers.push(sampler(dir.path(), &format!("page{number}"), endpoint, &behaviour, rate).await);
    }
    let (before, origin) = (cpu(UsageWho::RUSAGE_SELF), Clock::System.mono().after(Duration::from_millis(20)));
    samplers.iter().for_each(|sampler| sampler.start(origin).unwrap());
    Clock::System.sleep_until(origin.after(lasting)).await;
    for sampler in &samplers {
        sampler.stop().await.unwrap();
    }
    let (used, took) = (cpu(UsageWho::RUSAGE_SELF) - before, Clock::System.mono().since(origin).as_secs_f64());
    let log = |number: usize| read(&dir.path().join(format!("ops/page{number}.ops"))).unwrap().records.to_vec();
    let operations = (0..many).map(|n| log(n).iter().filter(|r| r.outcome == Outcome::Ok).count()).sum();
    Turn { operations, took, used, records: log(0) }
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
    let (page, talk) = (page(url), talk(url));
    let near = (carried * 0.7).round();
    let pooled = ClientBehaviour::Pooled;
    let own = ours(&page, pooled.clone(), 1, near, lasting).await;
    let each = row(&format!("{near}/s open loop, keep-alive"), "blackstart", Some(&own));
    if let (Some(own), Some(oha)) = (each, figures[1]) {
        println!("| | of oha | {:.2} | | | | |", own / oha);
    }
    for (what, endpoint) in [("50000/s open loop, keep-alive", &page), ("50000/s open loop, tcp", &talk)] {
        row(what, "blackstart", Some(&ours(endpoint, pooled.clone(), 1, 50_000.0, lasting).await));
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
    let own = ours(&page, ClientBehaviour::Fresh, 1, rate, lasting).await;
    row(&format!("{rate}/s open loop, a connection each"), "blackstart", Some(&own));
    let words = [&oha, "--no-tui", "--output-format", "json", "-q", "1000", "-c", CONNECTIONS, "-z", &limit, url];
    row("1000/s open loop, keep-alive", "oha", theirs(&words, of_oha).as_ref());
    let hey = ["hey", "-q", "62.5", "-c", CONNECTIONS, "-z", &limit, url];
    row("1000/s, keep-alive", "hey", theirs(&hey, of_hey).as_ref());
    for (what, behaviour) in [("keep-alive", ClientBehaviour::Pooled), ("a connection each", ClientBehaviour::Fresh)] {
        let own = ours(&page, behaviour, 1, 1000.0, lasting).await;
        row(&format!("1000/s open loop, {what}"), "blackstart", Some(&own));
    }
    let own = ours(&page, ClientBehaviour::Fresh, 20, 50.0, lasting).await;
    row("20 workloads of 50/s each, a connection each", "blackstart", Some(&own));
}

/// Flat out with kept connections, in turns: oha with 16 connections, then ours with more than it can carry.
async fn kept(url: &str, lasting: Duration) {
    let (oha, page, limit) = (oha(), page(url), format!("{}s", lasting.as_secs()));
    let mut ratios = Vec::new();
    for _ in 0..5 {
        let words = [&oha, "--no-tui", "--output-format", "json", "-c", CONNECTIONS, "-z", &limit, url];
        let theirs = row("flat out, keep-alive", "oha", theirs(&words, of_oha).as_ref());
        let own = ours(&page, ClientBehaviour::Pooled, 1, 250_000.0, lasting).await;
        let own = row("250000/s open loop, keep-alive", "blackstart", Some(&own));
        ratios.extend(own.zip(theirs).map(|(own, theirs)| own / theirs));
    }
    ratios.sort_by(f64::total_cmp);
    println!("\nof oha: {ratios:.2?}");
}

/// What a probe costs Chaos Toolkit, besides what its start costs: the same page, a hundred times.
fn chaos(url: &str, dir: &Path) {
    let program = std::env::var("CHAOS").unwrap_or_else(|_| "chaos".to_owned());
    let probe = serde_json::json!({"type": "probe", "name": "page", "provider": {"type": "http", "url": url}});
    let run = |probes: usize| {
        let file = dir.join(format!("{probes}.json"));
        let method = vec![probe.clone(); probes];
        let text = serde_json::json!({"title": "t", "description": "d", "tags": [], "method": method, "rollbacks": []});
        std::fs::write(&file, text.to_string()).unwrap();
        let before = cpu(UsageWho::RUSAGE_CHILDREN);
        let mut command = Command::new(&program);
        command.arg("run").arg(&file).current_dir(dir).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().ok().map(|_| cpu(UsageWho::RUSAGE_CHILDREN) - before)
    };
    let Some((few, many)) = run(1).zip(run(101)) else {
        row("a probe", "Chaos Toolkit", None);
        return;
    };
    println!("| a probe | Chaos Toolkit | 100 | | {:.0} | | |", (many - few) / 100.0 * 1e6);
    println!("| start and one probe | Chaos Toolkit | 1 | | {:.0} | | |", few * 1e6);
}

async fn memory(url: &str) {
    let (rate, operations) = (100_000.0, 10_000_000.0);
    let (before, dir) = (peak(), tempfile::tempdir_in("/var/tmp").unwrap());
    let sampler = sampler(dir.path(), "page", &page(url), &ClientBehaviour::Pooled, rate).await;
    let origin = Clock::System.mono().after(Duration::from_millis(20));
    sampler.start(origin).unwrap();
    Clock::System.sleep_until(origin.after(Duration::from_secs_f64(operations / rate))).await;
    let sent = sampler.stop().await.unwrap().operations;
    println!("{sent} operations at {rate}/s: at most {:.1} MiB, of which {before:.1} MiB before the first", peak());
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
    if asked("kept") {
        return runtime.block_on(kept(&nginx.url, lasting));
    }
    println!("| load | who | operations | a second | µs of CPU each | late p50 / p99, µs | gap p99, µs |");
    println!("|---|---|--:|--:|--:|--:|--:|");
    runtime.block_on(side_by_side(&nginx.url, lasting));
    chaos(&nginx.url, dir.path());
    println!(
        "\nload average {}, most memory {:.1} MiB (the records that are compared here included)",
        load_average(),
        peak()
    );
}
