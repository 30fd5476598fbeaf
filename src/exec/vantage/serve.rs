//! The vantage's end: opens its workloads, drives them when it is told to, says how they stand, and ends when it is told
//! to or when its runner is gone.

use super::{Assignment, FromRunner, FromVantage, GREETING, Hello, REPORT_EVERY, SILENCE, Standing, line};
use crate::adapters::guardian::Ends;
use crate::adapters::{self, World, network};
use crate::clock::Clock;
use crate::event::OpsMark;
use crate::event::What;
use crate::exec::sampler::{self, Recorder, Sampler};
use crate::exec::vigil::Vigil;
use crate::journal::ops::{OpsWriter, file_name};
use crate::model::WorkloadName;
use base64::Engine;
use std::collections::BTreeMap;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// What waits to be said; a runner that reads none of it for so long is no runner.
const WORDS: usize = 4096;
/// So much of a log goes at once.
const PIECE: u64 = 48 << 10;
/// A greeting is not longer.
const MOST: u64 = 16 << 20;
/// Descriptors that are not the workloads'.
const OTHER_DESCRIPTORS: u64 = 128;

/// Reads the first line.
///
/// # Errors
/// When it is none; nothing of what stands in it is repeated.
pub fn hello(text: &str) -> Result<Hello, String> {
    serde_json::from_str(text).map_err(|_| "the first line is no greeting of a runner".to_owned())
}

/// Goes to where it is to work. Before any other thread is started: a namespace is a thread's own.
///
/// # Errors
/// When the namespace is gone, or may not be entered.
pub fn enter(hello: &Hello) -> Result<(), String> {
    hello.namespace.as_ref().map_or(Ok(()), |namespace| network::enter(namespace).map_err(|e| e.to_string()))
}

/// Says that it cannot begin, for [`serve`] was not reached.
///
/// # Errors
/// When nobody listens.
pub async fn refuse(mut to: Box<dyn AsyncWrite + Send + Unpin>, why: String) -> std::io::Result<()> {
    to.write_all(&line(&FromVantage::Ready(Err(why)))).await?;
    to.flush().await
}

/// Waits for its runner at a port of this machine's loopback, which the cluster leads to; says what time it is as often as
/// it is asked, until it is greeted.
///
/// # Errors
/// When it cannot listen, or nobody comes.
pub async fn listen(port: u16, patience: Duration) -> Result<(Hello, Ends), String> {
    let failed = |e: std::io::Error| format!("port {port}: {e}");
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.map_err(failed)?;
    let waited = async {
        loop {
            // One that only looked whether somebody listens is none.
            if let Some(met) = meet(listener.accept().await.map_err(failed)?.0).await {
                return Ok(met);
            }
        }
    };
    tokio::time::timeout(patience, waited).await.map_err(|_| "no runner came".to_owned())?
}

async fn meet(stream: tokio::net::TcpStream) -> Option<(Hello, Ends)> {
    // Answers that wait for more say a wrong time.
    stream.set_nodelay(true).ok()?;
    let (from, mut to) = stream.into_split();
    let mut from = BufReader::new(from);
    to.write_all(GREETING).await.ok()?;
    loop {
        let mut text = String::new();
        let mut line_of = (&mut from).take(MOST);
        let read = tokio::time::timeout(SILENCE, line_of.read_line(&mut text)).await.ok()?.ok()?;
        if read == 0 {
            return None;
        }
        match serde_json::from_str(&text) {
            Ok(FromRunner::Ping(number)) => {
                let pong = FromVantage::Pong(number, Clock::System.mono());
                to.write_all(&line(&pong)).await.ok()?;
            }
            _ => {
                let hello = hello(&text).ok()?;
                return Some((hello, Ends { from: Box::new(from), to: Box::new(to) }));
            }
        }
    }
}

/// The world as a vantage has it: its clock is set by its runner's.
#[must_use]
pub fn world(hello: &Hello) -> World {
    let system = World::system();
    match hello.ahead {
        Some(ahead) => World { clock: Clock::Continuing(ahead), ..system },
        None => system,
    }
}

/// Works until it is told to end, or its runner is gone.
///
/// # Errors
/// When it cannot open its workloads.
pub async fn serve(hello: Hello, ends: Ends, world: &World) -> Result<(), String> {
    let (say, words) = channel(WORDS);
    let Ends { from, to } = ends;
    let speaker = tokio::spawn(speak(words, to));
    let deaf = Arc::new(AtomicBool::new(false));
    let far = hello.ahead.is_some();
    // A runner elsewhere has its folder elsewhere.
    let dir = if far { std::env::temp_dir().join("blackstart-vantage") } else { hello.dir.clone() };
    let opened = open((&hello, &dir), world, &say, &deaf).await;
    let answer = opened.as_ref().map(|_| ()).map_err(Clone::clone);
    let mut told = say.send(FromVantage::Ready(answer)).await.is_ok();
    let seats = match opened {
        Ok(seats) => seats,
        Err(why) => {
            drop(say);
            let _said = speaker.await;
            return Err(why);
        }
    };
    let mut lines = BufReader::new(from).lines();
    let (whole, mut vigil) = (Teller { say: say.clone(), deaf: Arc::clone(&deaf) }, Vigil::begin(&world.clock));
    let post: Arc<Post> = Arc::new(seats.keys().map(|name| (name.clone(), Parcel::of(&dir, name))).collect());
    let mut heard = world.clock.mono();
    let mut reports = tokio::time::interval(REPORT_EVERY);
    reports.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while told && !deaf.load(Ordering::SeqCst) {
        tokio::select! {
            next = lines.next_line() => {
                heard = world.clock.mono();
                match next.ok().flatten().as_deref().map(serde_json::from_str) {
                    // The runner is gone, or has no more use for it.
                    None => break,
                    Some(Ok(FromRunner::Start(workload, origin))) => start(&seats, &workload, origin, &say),
                    Some(Ok(FromRunner::Stop(workload))) => stop(&seats, workload, far.then(|| Arc::clone(&post)), &say),
                    // One that is not asked in time is asked again.
                    Some(Ok(FromRunner::Ping(number))) => drop(say.try_send(FromVantage::Pong(number, heard))),
                    Some(Err(_)) => {}
                }
            }
            (span, cause) = vigil.next() => whole.record(What::Stall { span, cause, workload: None }),
            _ = reports.tick() => {
                if far && world.clock.mono().since(heard) > SILENCE {
                    break;
                }
                let standing = standing(&seats);
                if far {
                    // What a mark vouches for is handed on before it.
                    let marks = standing.iter().filter_map(|one| one.mark.as_ref().ok());
                    for mark in marks {
                        told = post.hand_on(mark, &say).await.map_err(|why| failed(&say, why)).is_ok() && told;
                    }
                }
                // A runner that is held up has the next one.
                let report = FromVantage::Report(standing);
                told = !matches!(say.try_send(report), Err(tokio::sync::mpsc::error::TrySendError::Closed(_))) && told;
            }
        }
    }
    Ok(())
}

fn failed(say: &Sender<FromVantage>, why: String) {
    drop(say.try_send(FromVantage::Failed(why)));
}

/// What a runner elsewhere has of each log.
struct Post(BTreeMap<WorkloadName, Parcel>);

struct Parcel {
    path: PathBuf,
    sent: tokio::sync::Mutex<u64>,
}

impl FromIterator<(WorkloadName, Parcel)> for Post {
    fn from_iter<T: IntoIterator<Item = (WorkloadName, Parcel)>>(parcels: T) -> Self {
        Self(parcels.into_iter().collect())
    }
}

impl Parcel {
    fn of(dir: &Path, workload: &WorkloadName) -> Self {
        Self { path: dir.join(file_name(workload)), sent: tokio::sync::Mutex::new(0) }
    }
}

impl Post {
    /// Hands on what of a log has been written and not handed on yet, up to a mark.
    async fn hand_on(&self, mark: &OpsMark, say: &Sender<FromVantage>) -> Result<(), String> {
        let Some(parcel) = self.0.get(&mark.workload) else { return Ok(()) };
        let mut sent = parcel.sent.lock().await;
        while *sent < mark.bytes {
            let bytes = piece(&parcel.path, *sent, (mark.bytes - *sent).min(PIECE));
            let bytes = bytes.map_err(|e| format!("cannot read its own log: {e}"))?;
            let text = base64::engine::general_purpose::STANDARD.encode(&bytes);
            let gone = |_| "nobody listens".to_owned();
            say.send(FromVantage::Log(mark.workload.clone(), text)).await.map_err(gone)?;
            *sent += bytes.len() as u64;
        }
        Ok(())
    }
}

/// A part of a file, just written: it is in memory still.
fn piece(path: &Path, from: u64, length: u64) -> std::io::Result<Vec<u8>> {
    let mut file = std::fs::File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

type Seats = BTreeMap<WorkloadName, Arc<Sampler>>;

async fn open(
    (hello, dir): (&Hello, &Path),
    world: &World,
    say: &Sender<FromVantage>,
    deaf: &Arc<AtomicBool>,
) -> Result<Seats, String> {
    let each = hello.seats.iter().map(|seat| sampler::capacity(seat.plan.rate, seat.plan.timeout) as u64);
    adapters::allow_descriptors(each.sum::<u64>() + OTHER_DESCRIPTORS).map_err(|e| e.to_string())?;
    let mut seats = Seats::new();
    for seat in &hello.seats {
        let recorder = Teller { say: say.clone(), deaf: Arc::clone(deaf) };
        let sampler = open_one(seat, dir, world, recorder).await;
        let sampler = sampler.map_err(|why| format!("workload `{}`: {why}", seat.plan.name))?;
        seats.insert(seat.plan.name.clone(), Arc::new(sampler));
    }
    Ok(seats)
}

async fn open_one(seat: &Assignment, dir: &Path, world: &World, recorder: Teller) -> Result<Sampler, String> {
    let ops = OpsWriter::create(dir, &seat.plan.name).map_err(|e| e.to_string())?;
    let (endpoint, settings) = (seat.endpoint.clone(), seat.settings.clone());
    Sampler::open(world, &seat.plan, endpoint, settings, ops, Arc::new(recorder)).await.map_err(|e| e.to_string())
}

fn start(seats: &Seats, workload: &WorkloadName, origin: crate::model::Mono, say: &Sender<FromVantage>) {
    let started = seats.get(workload).map_or(Ok(()), |sampler| sampler.start(origin));
    if let Err(why) = started {
        let _gone = say.try_send(FromVantage::Failed(format!("workload `{workload}`: {why}")));
    }
}

fn stop(seats: &Seats, workload: WorkloadName, post: Option<Arc<Post>>, say: &Sender<FromVantage>) {
    let Some(sampler) = seats.get(&workload).cloned() else { return };
    let say = say.clone();
    tokio::spawn(async move {
        let mut mark = sampler.stop().await.map_err(|e| e.to_string());
        if let (Some(post), Ok(written)) = (post, &mark) {
            mark = post.hand_on(written, &say).await.and(mark);
        }
        // Whoever asked may be gone.
        let _gone = say.send(FromVantage::Stopped(workload, mark)).await;
    });
}

fn standing(seats: &Seats) -> Vec<Standing> {
    let standing =
        |sampler: &Arc<Sampler>| Standing { stats: sampler.stats(), mark: sampler.mark().map_err(|e| e.to_string()) };
    seats.values().map(standing).collect()
}

/// Tells the runner what a sampler saw of the vantage itself.
struct Teller {
    say: Sender<FromVantage>,
    /// Does the runner hear nothing any more? What it does not hear of would look like an outage.
    deaf: Arc<AtomicBool>,
}

impl Recorder for Teller {
    fn record(&self, what: What) {
        if let What::Stall { span, cause, workload } = what {
            // Full means that nobody has read for minutes.
            if self.say.try_send(FromVantage::Stalled(span, cause, workload)).is_err() {
                self.deaf.store(true, Ordering::SeqCst);
            }
        }
    }
}

async fn speak(mut words: Receiver<FromVantage>, mut to: Box<dyn AsyncWrite + Send + Unpin>) {
    while let Some(said) = words.recv().await {
        let written = async {
            to.write_all(&line(&said)).await?;
            to.flush().await
        };
        if written.await.is_err() {
            return;
        }
    }
}
