//! The runner's end: starts a guardian, has intents confirmed, beats, and notices when the guardian is gone.

use super::lease::Seen;
use super::{Ends, FromGuardian, FromRunner, Guarding, Hello, line};
use crate::adapters::guardian;
use crate::clock::Clock;
use crate::event::FaultIntent;
use crate::model::{FaultId, ProcessIdentity};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, Lines};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

/// Until a guardian that was started says that it is ready.
const READY: Duration = Duration::from_secs(20);
/// Until it has taken note of a goodbye.
const FAREWELL: Duration = Duration::from_secs(5);
/// More than a runner has to say while its guardian is held up for a whole lease.
const WORDS: usize = 1024;

type Waiting = Mutex<BTreeMap<FaultId, oneshot::Sender<Result<(), String>>>>;

/// What the tasks of the runner's end share.
struct Shared {
    waiting: Waiting,
    /// Why the guardian is gone, once it is.
    lost: watch::Sender<Option<String>>,
    /// How often it was heard.
    heard: watch::Sender<u64>,
    /// It may go.
    let_go: AtomicBool,
}

impl Shared {
    fn lose(&self, why: &str) {
        self.lost.send_if_modified(|lost| {
            let first = lost.is_none();
            lost.get_or_insert_with(|| why.to_owned());
            first
        });
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<FaultId, oneshot::Sender<Result<(), String>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answered(&self, fault: &FaultId, answer: Result<(), String>) {
        if let Some(asked) = self.waiting().remove(fault) {
            // Whoever asked may have given up.
            let _late = asked.send(answer);
        }
    }
}

/// A guardian that watches over this run. Dropped without a goodbye, it takes over.
pub(in crate::exec) struct Link {
    /// Its process.
    pub who: Option<ProcessIdentity>,
    say: mpsc::Sender<FromRunner>,
    shared: Arc<Shared>,
    limit: Duration,
    listener: JoinHandle<()>,
    heart: JoinHandle<()>,
}

impl Link {
    /// Starts one; `Ok(None)` if nobody is to guard. When it returns, the guardian knows the run.
    pub async fn start(guarding: &Guarding, hello: Hello, clock: &Clock) -> Result<Option<Self>, String> {
        let ends = match guarding {
            Guarding::Nobody(_) => return Ok(None),
            Guarding::Within(make) => make(),
            Guarding::Process(argv) => {
                let mut argv = argv.clone();
                argv.push(hello.run.to_string());
                guardian::start(&argv).map_err(|e| e.to_string())?
            }
        };
        let lease = hello.limits.lease;
        let Ends { from, mut to } = ends;
        let mut lines = BufReader::new(from).lines();
        let greeting = async {
            to.write_all(&line(&FromRunner::Hello(Box::new(hello)))).await.map_err(|e| e.to_string())?;
            to.flush().await.map_err(|e| e.to_string())?;
            ready(&mut lines).await
        };
        let who = tokio::time::timeout(READY, greeting)
            .await
            .map_err(|_| format!("the guardian was not ready within {} s", READY.as_secs()))??;
        let (say, words) = mpsc::channel(WORDS);
        let (lost, heard) = (watch::Sender::new(None), watch::Sender::new(0));
        let shared = Arc::new(Shared { waiting: Mutex::default(), lost, heard, let_go: AtomicBool::new(false) });
        tokio::spawn(speak(words, to, Arc::clone(&shared)));
        let listener = tokio::spawn(listen(lines, Arc::clone(&shared)));
        let heart = tokio::spawn(beat(say.clone(), Arc::clone(&shared), clock.clone(), lease));
        Ok(Some(Self { who, say, shared, limit: lease, listener, heart }))
    }

    /// Tells it, without waiting.
    pub fn tell(&self, said: FromRunner) {
        if self.say.try_send(said).is_err() && self.shared.lost.borrow().is_none() {
            self.shared.lose("the guardian no longer listens");
        }
    }

    /// Waits until the guardian knows how this fault is healed. `Err` says why nothing may be injected.
    pub async fn confirm(&self, intent: &FaultIntent) -> Result<(), String> {
        let (asked, answer) = oneshot::channel();
        self.shared.waiting().insert(intent.fault.clone(), asked);
        self.tell(FromRunner::Intent(Box::new(intent.clone())));
        tokio::select! {
            biased;
            why = self.lost() => Err(why),
            answer = tokio::time::timeout(self.limit, answer) => match answer {
                Ok(Ok(answer)) => answer.map_err(|why| format!("the guardian could not heal it: {why}")),
                Ok(Err(_)) | Err(_) => {
                    Err(format!("the guardian did not confirm it within {} s", self.limit.as_secs_f64()))
                }
            },
        }
    }

    /// Waits until the guardian is gone; says why.
    pub async fn lost(&self) -> String {
        let mut lost = self.shared.lost.subscribe();
        // The sender lives as long as this borrow of it.
        let why = lost.wait_for(Option::is_some).await.ok().and_then(|why| why.clone());
        why.unwrap_or_default()
    }

    /// Was it told that it may go?
    pub fn is_let_go(&self) -> bool {
        self.shared.let_go.load(Ordering::SeqCst)
    }

    /// The run is over: lets the guardian go, and waits until it went.
    pub async fn goodbye(&self) {
        self.heart.abort();
        self.shared.let_go.store(true, Ordering::SeqCst);
        self.tell(FromRunner::Goodbye);
        let _slow = tokio::time::timeout(FAREWELL, self.lost()).await;
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // With these gone the speaker hears that nobody speaks any more.
        self.heart.abort();
        self.listener.abort();
    }
}

type Words = Lines<BufReader<Box<dyn AsyncRead + Send + Unpin>>>;

async fn ready(lines: &mut Words) -> Result<Option<ProcessIdentity>, String> {
    let first = lines.next_line().await.map_err(|e| e.to_string())?;
    let first = first.ok_or("the guardian ended at once")?;
    match serde_json::from_str(&first) {
        Ok(FromGuardian::Ready(who)) => Ok(who),
        _ => Err("the guardian said something that cannot be understood".to_owned()),
    }
}

/// Writes what is said until the run says goodbye, or is dropped.
async fn speak(mut words: mpsc::Receiver<FromRunner>, mut to: Box<dyn AsyncWrite + Send + Unpin>, shared: Arc<Shared>) {
    loop {
        let said = words.recv().await.unwrap_or(FromRunner::Abandoned);
        let written = async {
            to.write_all(&line(&said)).await?;
            to.flush().await
        };
        if written.await.is_err() {
            return shared.lose("the guardian died");
        }
        if matches!(said, FromRunner::Goodbye | FromRunner::Abandoned) {
            return;
        }
    }
}

async fn listen(mut lines: Words, shared: Arc<Shared>) {
    while let Ok(Some(text)) = lines.next_line().await {
        shared.heard.send_modify(|count| *count += 1);
        match serde_json::from_str(&text) {
            Ok(FromGuardian::Confirmed(fault)) => shared.answered(&fault, Ok(())),
            Ok(FromGuardian::Refused(fault, why)) => shared.answered(&fault, Err(why)),
            Ok(FromGuardian::Ready(_) | FromGuardian::Beat) | Err(_) => {}
        }
    }
    shared.lose("the guardian died");
}

/// Says that the runner lives, and looks whether the guardian does. A task of its own: a step that keeps a thread busy
/// does not make the runner look dead.
async fn beat(say: mpsc::Sender<FromRunner>, shared: Arc<Shared>, clock: Clock, lease: Duration) {
    let every = (lease / 20).clamp(Duration::from_millis(10), Duration::from_millis(500));
    let (mut silence, mut heard) = (Seen::default(), 0);
    loop {
        // A full channel means that the guardian does not read; then it does not answer either.
        let _held_up = say.try_send(FromRunner::Beat);
        clock.sleep_until(clock.mono().after(every)).await;
        let count = *shared.heard.borrow();
        if count != heard {
            heard = count;
            silence.again();
        }
        if silence.pass(clock.mono(), every * 2) >= lease {
            shared.lose(&format!("the guardian gave no sign of life for {} s", lease.as_secs_f64()));
        }
    }
}
