//! The runner's end of a vantage: starts the process, tells it when to begin and to end, knows how it stands, and notices
//! when it is gone. That is the runner's own gap, never an outage.

use super::{Assignment, FromRunner, FromVantage, HELPER, Hello, REPORT_EVERY, Standing, line};
use crate::adapters::{Attached, AttachedProcess, NamespaceIdentity, World};
use crate::clock::Clock;
use crate::event::{OpsMark, What};
use crate::exec::sampler::Recorder;
use crate::journal::JournalError;
use crate::model::{Mono, Owner, WorkloadName, WorkloadStats};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, Lines};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Until a vantage that was started is ready.
const READY: Duration = Duration::from_secs(20);
/// Until its process is gone once its pipe is closed.
const FAREWELL: Duration = Duration::from_secs(5);
/// On top of what ending a schedule may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// What a vantage said longer ago says nothing of its last second.
const FRESH: i64 = 5 * REPORT_EVERY.as_nanos() as i64;
/// More than a runner ever has to say at once.
const WORDS: usize = 256;

/// What the tasks of this end share.
struct Shared {
    name: String,
    clock: Clock,
    recorder: Arc<dyn Recorder>,
    state: Mutex<State>,
    /// Grows with everything that is heard, and when the vantage is gone.
    heard: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    standing: BTreeMap<WorkloadName, (Standing, Mono)>,
    stopped: BTreeMap<WorkloadName, Result<OpsMark, String>>,
    /// Why it is gone, once it is.
    lost: Option<String>,
    /// It may go.
    let_go: bool,
}

/// A vantage that runs.
pub(in crate::exec) struct Link {
    shared: Arc<Shared>,
    say: mpsc::Sender<FromRunner>,
    process: tokio::sync::Mutex<Option<AttachedProcess>>,
    tasks: [JoinHandle<()>; 2],
}

/// One workload of a vantage, as the runner drives it.
pub(in crate::exec) struct Seat {
    link: Arc<Link>,
    workload: WorkloadName,
    /// Ending its schedule takes no longer.
    limit: Duration,
}

type Words = Lines<BufReader<Box<dyn AsyncRead + Send + Unpin>>>;

impl Link {
    /// Starts a vantage; when it returns, all its workloads are opened and nothing is due yet.
    pub async fn open(
        world: &World,
        owner: &Owner,
        name: &str,
        (dir, namespace, seats): (&Path, Option<NamespaceIdentity>, Vec<Assignment>),
        recorder: Arc<dyn Recorder>,
    ) -> Result<Arc<Self>, String> {
        let Attached { ends, process } = world.helpers.attach(owner, HELPER, name).map_err(|e| e.to_string())?;
        let (mut lines, mut to) = (BufReader::new(ends.from).lines(), ends.to);
        let hello = Hello { dir: dir.to_path_buf(), namespace, seats };
        let greeting = async {
            to.write_all(&line(&hello)).await.map_err(|e| e.to_string())?;
            to.flush().await.map_err(|e| e.to_string())?;
            ready(&mut lines).await
        };
        let greeted = tokio::time::timeout(READY, greeting).await;
        greeted.map_err(|_| format!("it was not ready within {} s", READY.as_secs()))??;
        let (say, words) = mpsc::channel(WORDS);
        let (state, heard) = (Mutex::default(), watch::Sender::new(0));
        let shared = Arc::new(Shared { name: name.to_owned(), clock: world.clock.clone(), recorder, state, heard });
        let tasks =
            [tokio::spawn(speak(words, to, Arc::clone(&shared))), tokio::spawn(listen(lines, Arc::clone(&shared)))];
        Ok(Arc::new(Self { shared, say, process: tokio::sync::Mutex::new(Some(process)), tasks }))
    }

    /// A workload of it.
    pub fn seat(self: &Arc<Self>, workload: &WorkloadName, limit: Duration) -> Seat {
        Seat { link: Arc::clone(self), workload: workload.clone(), limit: limit + PATIENCE }
    }

    fn tell(&self, said: FromRunner) {
        if self.say.try_send(said).is_err() {
            self.shared.lose("it no longer listens");
        }
    }

    /// The load is over: lets it go, and sees that it went.
    pub async fn end(&self) {
        self.shared.state().let_go = true;
        // The pipe to it is the speaker's.
        self.tasks[0].abort();
        if let Some(process) = self.process.lock().await.take() {
            process.end(FAREWELL).await;
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Seat {
    /// Its schedule begins.
    pub fn start(&self, origin: Mono) {
        self.link.tell(FromRunner::Start(self.workload.clone(), origin));
    }

    /// Is anybody looking?
    pub fn is_lost(&self) -> bool {
        self.link.shared.state().lost.is_some()
    }

    /// As it last said.
    pub fn stats(&self) -> WorkloadStats {
        let state = self.link.shared.state();
        let Some((standing, heard)) = state.standing.get(&self.workload) else {
            return WorkloadStats::none(self.workload.clone());
        };
        let old = self.link.shared.clock.mono() - *heard > FRESH || state.lost.is_some();
        if old { standing.stats.without_recent() } else { standing.stats.clone() }
    }

    /// How far its log has got, as far as is known.
    ///
    /// # Errors
    /// When operations could not be written.
    pub fn mark(&self) -> Result<Option<OpsMark>, JournalError> {
        let state = self.link.shared.state();
        let mark = state.standing.get(&self.workload).map(|(standing, _)| standing.mark.clone());
        mark.transpose().map_err(|why| self.broken(why))
    }

    /// Ends its schedule and waits until its log is complete. None if nobody can say that it is: the vantage is gone.
    ///
    /// # Errors
    /// As [`Seat::mark`].
    pub async fn stop(&self) -> Result<Option<OpsMark>, JournalError> {
        let shared = &self.link.shared;
        let mut heard = shared.heard.subscribe();
        self.link.tell(FromRunner::Stop(self.workload.clone()));
        let ended = heard.wait_for(|_| {
            let state = shared.state();
            state.lost.is_some() || state.stopped.contains_key(&self.workload)
        });
        if tokio::time::timeout(self.limit, ended).await.is_err() {
            shared.lose("it did not end its schedule in time");
        }
        let stopped = shared.state().stopped.get(&self.workload).cloned();
        stopped.transpose().map_err(|why| self.broken(why))
    }

    fn broken(&self, why: String) -> JournalError {
        JournalError::Ops { workload: self.workload.to_string(), why }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that it is gone, once, unless it was let go.
    fn lose(&self, why: &str) {
        let first = {
            let mut state = self.state();
            let first = state.lost.is_none() && !state.let_go;
            state.lost.get_or_insert_with(|| why.to_owned());
            first
        };
        if first {
            let (vantage, why) = (self.name.clone(), why.to_owned());
            self.recorder.record(What::VantageLost { vantage, at: self.clock.mono(), why });
        }
        self.heard.send_modify(|count| *count += 1);
    }

    fn hear(&self, said: FromVantage) {
        match said {
            FromVantage::Report(standing) => {
                let now = self.clock.mono();
                let named = standing.into_iter().map(|one| (one.stats.workload.clone(), (one, now)));
                self.state().standing.extend(named);
            }
            FromVantage::Stalled(span, cause, workload) => {
                self.recorder.record(What::VantageStalled { vantage: self.name.clone(), span, cause, workload });
            }
            FromVantage::Stopped(workload, mark) => {
                self.state().stopped.insert(workload, mark);
            }
            FromVantage::Failed(why) => self.lose(&why),
            FromVantage::Ready(_) => {}
        }
        self.heard.send_modify(|count| *count += 1);
    }
}

async fn ready(lines: &mut Words) -> Result<(), String> {
    let first = lines.next_line().await.map_err(|e| e.to_string())?;
    match first.as_deref().map(serde_json::from_str) {
        Some(Ok(FromVantage::Ready(opened))) => opened,
        Some(_) => Err("it said something that cannot be understood".to_owned()),
        None => Err("its process ended at once".to_owned()),
    }
}

async fn speak(mut words: mpsc::Receiver<FromRunner>, mut to: Box<dyn AsyncWrite + Send + Unpin>, shared: Arc<Shared>) {
    while let Some(said) = words.recv().await {
        let written = async {
            to.write_all(&line(&said)).await?;
            to.flush().await
        };
        if written.await.is_err() {
            return shared.lose("its process ended");
        }
    }
}

async fn listen(mut lines: Words, shared: Arc<Shared>) {
    while let Ok(Some(text)) = lines.next_line().await {
        // What cannot be understood says nothing; a vantage is of this very program.
        if let Ok(said) = serde_json::from_str(&text) {
            shared.hear(said);
        }
    }
    shared.lose("its process ended");
}
