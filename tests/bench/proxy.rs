//! What the TCP proxy carries beside HAProxy in TCP mode: the same machine, the same load, in turns, in one run.
//!
//!     cargo bench --bench proxy
//!
//! Bulk through one and through many connections, exchanges of one byte on connections that stay, and connections a
//! second (connect, one byte each way, reset). `--test` makes every turn short and checks only that all of it works.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on says where")]

use blackstart::clock::Clock;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Rounds, each with one turn of every way through.
const ROUNDS: usize = 3;
const MANY: usize = 32;
const PIECE: usize = 64 * 1024;

/// A measured load.
struct Load {
    name: &'static str,
    unit: &'static str,
    /// Of what is counted, in one of these units.
    scale: f64,
    threads: usize,
    work: fn(SocketAddr, &AtomicBool, &AtomicU64) -> std::io::Result<()>,
    /// Does it go to the source of bytes? To the echo otherwise.
    bulk: bool,
}

const LOADS: [Load; 4] = [
    Load { name: "bulk, 1 connection", unit: "GB/s", scale: 1e9, threads: 1, work: download, bulk: true },
    Load { name: "bulk, 32 connections", unit: "GB/s", scale: 1e9, threads: MANY, work: download, bulk: true },
    Load { name: "exchanges, 32 connections", unit: "1/s", scale: 1.0, threads: MANY, work: exchange, bulk: false },
    Load { name: "connections", unit: "1/s", scale: 1.0, threads: 8, work: connect, bulk: false },
];

fn download(to: SocketAddr, stop: &AtomicBool, count: &AtomicU64) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(to)?;
    let mut bytes = vec![0; 4 * PIECE];
    while !stop.load(Ordering::Relaxed) {
        let got = stream.read(&mut bytes)?;
        count.fetch_add(got as u64, Ordering::Relaxed);
    }
    Ok(())
}

fn exchange(to: SocketAddr, stop: &AtomicBool, count: &AtomicU64) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_nodelay(true)?;
    while !stop.load(Ordering::Relaxed) {
        stream.write_all(b"x")?;
        stream.read_exact(&mut [0])?;
        count.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

fn connect(to: SocketAddr, stop: &AtomicBool, count: &AtomicU64) -> std::io::Result<()> {
    while !stop.load(Ordering::Relaxed) {
        let mut stream = TcpStream::connect(to)?;
        stream.write_all(b"x")?;
        stream.read_exact(&mut [0])?;
        // Reset, so that the machine does not run out of ports in TIME_WAIT.
        rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO))?;
        count.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// A server on a free port, for as long as the process lives.
fn server(serve: fn(TcpStream) -> std::io::Result<()>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::listen(&listener, 4096).unwrap();
    let address = listener.local_addr().unwrap();
    for _ in 0..MANY + 8 {
        let listener = listener.try_clone().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _over = serve(stream);
            }
        });
    }
    address
}

fn source(mut stream: TcpStream) -> std::io::Result<()> {
    let piece = vec![7; PIECE];
    loop {
        stream.write_all(&piece)?;
    }
}

fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut byte = [0];
    loop {
        stream.read_exact(&mut byte)?;
        stream.write_all(&byte)?;
    }
}

/// A proxy process; ends with this.
struct Proxy(Child);

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn answers(at: SocketAddr) {
    for _ in 0..500 {
        if TcpStream::connect(at).is_ok() {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    panic!("nobody listens on {at}");
}

fn ours(folder: &std::path::Path, upstream: SocketAddr) -> (Proxy, SocketAddr) {
    let at = free();
    let mut command = Command::new(env!("CARGO_BIN_EXE_blackstart"));
    command.args(["proxy", "--listen", &at.to_string(), "--upstream", &upstream.to_string()]);
    command.arg("--control").arg(folder.join(format!("{}.sock", at.port())));
    let proxy = Proxy(command.stdout(Stdio::null()).spawn().unwrap());
    answers(at);
    (proxy, at)
}

fn haproxy(folder: &std::path::Path, upstream: SocketAddr, option: &str) -> (Proxy, SocketAddr) {
    let at = free();
    let config = folder.join(format!("{}.cfg", at.port()));
    let text = format!(
        "global\n  maxconn 4000\ndefaults\n  mode tcp\n  {option}\n  timeout connect 5s\n  timeout client 1m\n  \
         timeout server 1m\nlisten x\n  bind {at}\n  server s {upstream}\n"
    );
    std::fs::write(&config, text).unwrap();
    let mut command = Command::new("haproxy");
    let proxy = Proxy(command.arg("-db").arg("-f").arg(config).stderr(Stdio::null()).spawn().unwrap());
    answers(at);
    (proxy, at)
}

/// So much a second, over one turn.
fn turn(load: &Load, to: SocketAddr, length: Duration) -> f64 {
    let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let threads: Vec<_> = (0..load.threads)
        .map(|_| {
            let (stop, count) = (Arc::clone(&stop), Arc::clone(&count));
            let work = load.work;
            std::thread::spawn(move || work(to, &stop, &count))
        })
        .collect();
    let clock = Clock::System;
    // The beginning is not counted: windows open, connections are made.
    clock.block_until(clock.mono().after(length / 4));
    let (before, began) = (count.load(Ordering::Relaxed), clock.mono());
    clock.block_until(began.after(length));
    let (after, took) = (count.load(Ordering::Relaxed), clock.mono().since(began));
    stop.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().unwrap().unwrap();
    }
    (after - before) as f64 / took.as_secs_f64() / load.scale
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn main() {
    let short = std::env::args().any(|a| a == "--test");
    let (rounds, length) = if short { (1, Duration::from_millis(200)) } else { (ROUNDS, Duration::from_secs(2)) };
    let folder = tempfile::tempdir().unwrap();
    let upstreams = [server(source), server(echo)];
    println!("| load | unit | no proxy | HAProxy | HAProxy, spliced | blackstart | of HAProxy | of HAProxy, spliced |");
    println!("|---|---|--:|--:|--:|--:|--:|--:|");
    let mut least = f64::INFINITY;
    for load in &LOADS {
        let upstream = upstreams[usize::from(!load.bulk)];
        let plain = haproxy(folder.path(), upstream, "no option splice-auto");
        let spliced = haproxy(folder.path(), upstream, "option splice-auto");
        let own = ours(folder.path(), upstream);
        let ways = [upstream, plain.1, spliced.1, own.1];
        let mut figures: [Vec<f64>; 4] = Default::default();
        for round in 0..rounds {
            // In turns, each round from another one on: a machine that gets slower is slower for all.
            for step in 0..ways.len() {
                let which = (round + step) % ways.len();
                figures[which].push(turn(load, ways[which], length));
            }
        }
        let [direct, plain, spliced, own] = figures.map(median);
        let (of, of_spliced) = (own / plain, own / spliced);
        least = least.min(of);
        let digits = if load.scale > 1.0 { 2 } else { 0 };
        println!(
            "| {} | {} | {direct:.digits$} | {plain:.digits$} | {spliced:.digits$} | {own:.digits$} | {:.0} % | {:.0} % |",
            load.name,
            load.unit,
            of * 100.0,
            of_spliced * 100.0
        );
        assert!(own > 0.0);
    }
    println!("\nleast of HAProxy in TCP mode: {:.0} % (80 % are wanted)", least * 100.0);
}
