//! The runner's end of a vantage: starts the process, tells it when to begin and to end, knows how it stands, and notices
//! when it is gone. That is the runner's own gap, never an outage.

use super::clock::{self, Looks};
use super::pod::Pod;
use super::{Assignment, FromRunner, FromVantage, HELPER, Hello, REPORT_EVERY, SILENCE, Standing, line};
use crate::adapters::guardian::Ends;
use crate::adapters::{Attached, AttachedProcess, NamespaceIdentity, World};
use crate::clock::Clock;
use crate::event::{OpsMark, What};
use crate::exec::sampler::Recorder;
use crate::journal::JournalError;
use crate::journal::ops::file_name;
use crate::model::{Mono, Owner, WorkloadName, WorkloadStats};
use base64::Engine;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
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
    /// What it hands on is written into this folder, if it shares no disk with us.
    logs: Option<PathBuf>,
}

/// What a vantage is.
pub(in crate::exec) enum Place {
    /// A process beside the runner.
    Beside,
    /// A pod, made already.
    Pod(Box<Pod>),
}

enum Body {
    Process(AttachedProcess),
    Pod(Box<Pod>),
}

#[derive(Default)]
struct State {
    standing: BTreeMap<WorkloadName, (Standing, Mono)>,
    stopped: BTreeMap<WorkloadName, Result<OpsMark, String>>,
    /// Why it is gone, once it is.
    lost: Option<String>,
    /// It may go.
    let_go: bool,
    /// Of another machine's clock.
    looks: Looks,
    /// When anything was heard last.
    last: Option<Mono>,
}

/// A vantage that runs.
pub(in crate::exec) struct Link {
    shared: Arc<Shared>,
    say: mpsc::Sender<FromRunner>,
    body: tokio::sync::Mutex<Option<Body>>,
    tasks: Vec<JoinHandle<()>>,
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
        (place, dir, namespace, seats): (Place, &Path, Option<NamespaceIdentity>, Vec<Assignment>),
        recorder: Arc<dyn Recorder>,
    ) -> Result<Arc<Self>, String> {
        let (ends, body) = match place {
            Place::Beside => {
                let attached = world.helpers.attach(owner, HELPER, name).map_err(|e| e.to_string())?;
                let Attached { ends, process } = attached;
                (Ok(ends), Body::Process(process))
            }
            Place::Pod(pod) => (pod.connect().await, Body::Pod(pod)),
        };
        let greeted = match ends {
            Ok(ends) => Self::greet(world, name, (ends, &body), (dir, namespace, seats), recorder).await,
            Err(why) => Err(why),
        };
        match greeted {
            Ok((shared, say, tasks)) => {
                Ok(Arc::new(Self { shared, say, body: tokio::sync::Mutex::new(Some(body)), tasks }))
            }
            Err(why) => Err(match body.end().await {
                Ok(()) => why,
                Err(left) => format!("{why}; besides, {left}"),
            }),
        }
    }

    async fn greet(
        world: &World,
        name: &str,
        (ends, body): (Ends, &Body),
        (dir, namespace, seats): (&Path, Option<NamespaceIdentity>, Vec<Assignment>),
        recorder: Arc<dyn Recorder>,
    ) -> Result<(Arc<Shared>, mpsc::Sender<FromRunner>, Vec<JoinHandle<()>>), String> {
        let (mut reader, mut to) = (BufReader::new(ends.from), ends.to);
        let mut hello = Hello { dir: dir.to_path_buf(), namespace, seats, ahead: None };
        let far = matches!(body, Body::Pod(_));
        if far {
            let asked = tokio::time::timeout(READY, clock::ahead(&mut reader, &mut to, &world.clock)).await;
            hello.ahead = Some(asked.map_err(|_| "it does not answer".to_owned())??);
            for seat in &hello.seats {
                log_of(dir, &seat.plan.name)?;
            }
        }
        let mut lines = reader.lines();
        let greeting = async {
            to.write_all(&line(&hello)).await.map_err(|e| e.to_string())?;
            to.flush().await.map_err(|e| e.to_string())?;
            ready(&mut lines).await
        };
        let greeted = tokio::time::timeout(READY, greeting).await;
        greeted.map_err(|_| format!("it was not ready within {} s", READY.as_secs()))??;
        let (say, words) = mpsc::channel(WORDS);
        let (state, heard, logs) = (Mutex::default(), watch::Sender::new(0), far.then(|| dir.to_path_buf()));
        let (name, clock) = (name.to_owned(), world.clock.clone());
        let shared = Arc::new(Shared { name, clock, recorder, state, heard, logs });
        let mut tasks =
            vec![tokio::spawn(speak(words, to, Arc::clone(&shared))), tokio::spawn(listen(lines, Arc::clone(&shared)))];
        if far {
            tasks.push(tokio::spawn(ask(say.clone(), Arc::clone(&shared))));
        }
        Ok((shared, say, tasks))
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
    ///
    /// # Errors
    /// What of it is still there.
    pub async fn end(&self) -> Result<(), String> {
        let last = {
            let mut state = self.shared.state();
            state.let_go = true;
            state.looks.take(self.shared.clock.mono())
        };
        if let Some(look) = last {
            self.shared.recorder.record(clock::noted(&self.shared.name, look));
        }
        // The pipe to it is the speaker's; a connection is the listener's, too.
        match self.body.lock().await.take() {
            Some(body @ Body::Process(_)) => {
                self.tasks[0].abort();
                body.end().await
            }
            Some(body @ Body::Pod(_)) => {
                self.tasks.iter().for_each(JoinHandle::abort);
                body.end().await.map_err(|why| format!("the vantage `{}` is not removed: {why}", self.shared.name))
            }
            None => Ok(()),
        }
    }
}

impl Body {
    async fn end(self) -> Result<(), String> {
        match self {
            Self::Process(process) => {
                process.end(FAREWELL).await;
                Ok(())
            }
            Self::Pod(pod) => pod.remove().await,
        }
    }
}

/// The log of a workload, empty and new.
fn log_of(dir: &Path, workload: &WorkloadName) -> Result<(), String> {
    let path = dir.join(file_name(workload));
    let made = path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| File::create_new(&path));
    made.map(drop).map_err(|e| format!("cannot create {}: {e}", path.display()))
}

/// Appends what a vantage handed on. When this returns, it has reached the disk.
fn append(dir: &Path, workload: &WorkloadName, text: &str) -> Result<(), String> {
    let path = dir.join(file_name(workload));
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).map_err(|e| e.to_string())?;
    let append = || {
        let mut file = File::options().append(true).open(&path)?;
        file.write_all(&bytes)?;
        file.sync_data()
    };
    append().map_err(|e| format!("cannot write {}: {e}", path.display()))
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
            FromVantage::Pong(number, said) => {
                let now = self.clock.mono();
                let look = self.state().looks.answered(number, said, now);
                if let Some(look) = look {
                    self.recorder.record(clock::noted(&self.name, look));
                }
            }
            FromVantage::Log(workload, text) => {
                let known = self.logs.as_ref().map(|dir| append(dir, &workload, &text));
                if let Some(Err(why)) = known {
                    self.state().stopped.insert(workload, Err(why.clone()));
                    self.lose(&why);
                }
            }
            FromVantage::Ready(_) => {}
        }
        self.state().last = Some(self.clock.mono());
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
        match serde_json::from_str(&text) {
            // It waits for a disk.
            Ok(said @ FromVantage::Log(..)) => {
                let shared = Arc::clone(&shared);
                let _written = tokio::task::spawn_blocking(move || shared.hear(said)).await;
            }
            Ok(said) => shared.hear(said),
            Err(_) => {}
        }
    }
    shared.lose(if shared.logs.is_some() { "the connection to it ended" } else { "its process ended" });
}

/// Asks a vantage on another machine what time it is, and notices when it says nothing any more.
async fn ask(say: mpsc::Sender<FromRunner>, shared: Arc<Shared>) {
    loop {
        let now = shared.clock.mono();
        let (question, last) = {
            let mut state = shared.state();
            (state.looks.ask(now), *state.last.get_or_insert(now))
        };
        if now.since(last) > SILENCE {
            return shared.lose(&format!("it has said nothing for {} s", SILENCE.as_secs()));
        }
        // Whoever has much to say is asked later.
        let _full = say.try_send(question);
        shared.clock.sleep_until(now.after(clock::ASK_EVERY)).await;
    }
}
