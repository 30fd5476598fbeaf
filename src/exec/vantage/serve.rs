//! The vantage's end: opens its workloads, drives them when it is told to, says how they stand, and ends when it is told
//! to or when its runner is gone.

use super::{Assignment, FromRunner, FromVantage, Hello, REPORT_EVERY, Standing, line};
use crate::adapters::guardian::Ends;
use crate::adapters::{self, World, network};
use crate::event::What;
use crate::exec::sampler::{self, Recorder, Sampler};
use crate::exec::vigil::Vigil;
use crate::journal::ops::OpsWriter;
use crate::model::WorkloadName;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::{AsyncBufReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// What waits to be said; a runner that reads none of it for so long is no runner.
const WORDS: usize = 4096;
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

/// Works until it is told to end, or its runner is gone.
///
/// # Errors
/// When it cannot open its workloads.
pub async fn serve(hello: Hello, ends: Ends, world: &World) -> Result<(), String> {
    let (say, words) = channel(WORDS);
    let Ends { from, to } = ends;
    let speaker = tokio::spawn(speak(words, to));
    let deaf = Arc::new(AtomicBool::new(false));
    let opened = open(&hello, world, &say, &deaf).await;
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
    let mut reports = tokio::time::interval(REPORT_EVERY);
    reports.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while told && !deaf.load(Ordering::SeqCst) {
        tokio::select! {
            next = lines.next_line() => match next.ok().flatten().as_deref().map(serde_json::from_str) {
                // The runner is gone, or has no more use for it.
                None => break,
                Some(Ok(FromRunner::Start(workload, origin))) => start(&seats, &workload, origin, &say),
                Some(Ok(FromRunner::Stop(workload))) => stop(&seats, workload, &say),
                Some(Err(_)) => {}
            },
            (span, cause) = vigil.next() => whole.record(What::Stall { span, cause, workload: None }),
            _ = reports.tick() => {
                // A runner that is held up has the next one.
                told = !matches!(say.try_send(report(&seats)), Err(tokio::sync::mpsc::error::TrySendError::Closed(_)));
            }
        }
    }
    Ok(())
}

type Seats = BTreeMap<WorkloadName, Arc<Sampler>>;

async fn open(
    hello: &Hello,
    world: &World,
    say: &Sender<FromVantage>,
    deaf: &Arc<AtomicBool>,
) -> Result<Seats, String> {
    let each = hello.seats.iter().map(|seat| sampler::capacity(seat.plan.rate, seat.plan.timeout) as u64);
    adapters::allow_descriptors(each.sum::<u64>() + OTHER_DESCRIPTORS).map_err(|e| e.to_string())?;
    let mut seats = Seats::new();
    for seat in &hello.seats {
        let recorder = Teller { say: say.clone(), deaf: Arc::clone(deaf) };
        let sampler = open_one(seat, &hello.dir, world, recorder).await;
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

fn stop(seats: &Seats, workload: WorkloadName, say: &Sender<FromVantage>) {
    let Some(sampler) = seats.get(&workload).cloned() else { return };
    let say = say.clone();
    tokio::spawn(async move {
        let mark = sampler.stop().await.map_err(|e| e.to_string());
        // Whoever asked may be gone.
        let _gone = say.send(FromVantage::Stopped(workload, mark)).await;
    });
}

fn report(seats: &Seats) -> FromVantage {
    let standing =
        |sampler: &Arc<Sampler>| Standing { stats: sampler.stats(), mark: sampler.mark().map_err(|e| e.to_string()) };
    FromVantage::Report(seats.values().map(standing).collect())
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
