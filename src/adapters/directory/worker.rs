//! The processes that do a ledger's file operations. One that is stuck in the kernel is given up, and another takes its
//! place: it begins files of its own, so that what the first one may still do, late, is in nobody's way.

use super::wire::{Answer, HELPER, OWNER, Order, Place, READY as READY_WORD, Said, What};
use crate::adapters::AdapterError;
use crate::model::Outcome;
use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::AbortHandle;

/// A process that was started has so long to say so.
const READY: Duration = Duration::from_secs(20);
/// Processes of one ledger that live at the same time, those that are stuck included.
const MOST: usize = 64;
/// Orders that wait to be handed over.
const QUEUE: usize = 1 << 14;
/// Answers to one order that wait to be taken.
const ANSWERS: usize = 64;
/// A longer line is no answer: a listing of all names in a directory is the longest.
const LINE: u64 = 256 << 20;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Gone {
    /// The order reached nobody.
    NotSent(String),
    /// The process ended with the order in it.
    Ended,
}

/// Processes for one place: one that works, and any number that are stuck, up to a bound.
pub(super) struct Pool {
    program: Option<PathBuf>,
    place: Place,
    rooms: Arc<Semaphore>,
    state: tokio::sync::Mutex<State>,
}

#[derive(Default)]
struct State {
    current: Option<Arc<Worker>>,
    started: u32,
}

impl Pool {
    /// Nothing is started yet. The processes run `program`, or what runs now if none is given.
    pub fn new(program: Option<PathBuf>, place: Place) -> Self {
        Self { program, place, rooms: Arc::new(Semaphore::new(MOST)), state: tokio::sync::Mutex::default() }
    }

    /// What they work on.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What an order comes to that was given up before it was handed over: it failed if everybody who could have carried it
    /// out is stuck, and is our own gap if a process was not started in time.
    pub fn not_handed_over(&self) -> Outcome {
        if self.rooms.available_permits() == 0 { Outcome::Fail } else { Outcome::Unsent }
    }

    /// The process that works, if this slot is not stuck in it; a new one if it is.
    pub async fn worker(&self, slot: u32) -> Result<Arc<Worker>, AdapterError> {
        let mut state = self.state.lock().await;
        if let Some(worker) = state.current.as_ref().filter(|worker| worker.takes(slot)) {
            return Ok(Arc::clone(worker));
        }
        state.current = None;
        state.started += 1;
        let worker = Arc::new(self.start(state.started).await?);
        state.current = Some(Arc::clone(&worker));
        Ok(worker)
    }

    /// A process for one purpose, which ends when it is dropped.
    pub async fn alone(&self) -> Result<Worker, AdapterError> {
        let number = {
            let mut state = self.state.lock().await;
            state.started += 1;
            state.started
        };
        self.start(number).await
    }

    async fn start(&self, number: u32) -> Result<Worker, AdapterError> {
        let closed = |_| AdapterError::Other("no process for file operations".to_owned());
        let room = Arc::clone(&self.rooms).acquire_owned().await.map_err(closed)?;
        let place = Place { process: number, ..self.place.clone() };
        Worker::start(self.program.clone(), &place, room).await
    }
}

/// One process. Dropping it ends it, if the kernel lets it.
pub(super) struct Worker {
    orders: mpsc::Sender<String>,
    next: AtomicU64,
    waiting: Arc<Waiting>,
    tasks: [AbortHandle; 2],
    process: Option<(Child, OwnedSemaphorePermit)>,
    runtime: tokio::runtime::Handle,
}

/// Who waits for what. An order that was given up stays, for its slot is taken until it is answered.
#[derive(Default)]
struct Waiting {
    /// None once its output has ended.
    open: Mutex<Option<HashMap<u64, Asked>>>,
}

struct Asked {
    slot: u32,
    answers: Option<mpsc::Sender<Said>>,
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, Option<HashMap<u64, Asked>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An order that was handed over. Dropping it gives it up.
pub(super) struct Pending {
    id: u64,
    waiting: Arc<Waiting>,
    answers: mpsc::Receiver<Said>,
}

impl Pending {
    /// The next answer.
    pub async fn answer(&mut self) -> Result<Said, Gone> {
        self.answers.recv().await.ok_or(Gone::Ended)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(asked) = self.waiting.lock().as_mut().and_then(|open| open.get_mut(&self.id)) {
            asked.answers = None;
        }
    }
}

impl Worker {
    async fn start(program: Option<PathBuf>, place: &Place, room: OwnedSemaphorePermit) -> Result<Self, AdapterError> {
        let failed = |why: String| AdapterError::Other(format!("a process for file operations does not start: {why}"));
        let mut child = spawn(program).map_err(|e| failed(e.to_string()))?;
        let (Some(mut to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed("it has no pipes".to_owned()));
        };
        let mut from = BufReader::new(from);
        let first = serde_json::to_string(place).map_err(|e| failed(e.to_string()))? + "\n";
        let mut hello = String::new();
        let greeting = async {
            to.write_all(first.as_bytes()).await?;
            (&mut from).take(LINE).read_line(&mut hello).await
        };
        match tokio::time::timeout(READY, greeting).await {
            Ok(Ok(1..)) if hello.trim_end() == READY_WORD => {}
            Ok(Ok(1..)) => return Err(failed("it is no program of ours".to_owned())),
            Ok(Ok(0)) => return Err(failed("it ended at once".to_owned())),
            Ok(Err(e)) => return Err(failed(e.to_string())),
            Err(_) => return Err(failed(format!("it was not ready within {READY:?}"))),
        }
        let (orders, queue) = mpsc::channel(QUEUE);
        let waiting = Arc::new(Waiting { open: Mutex::new(Some(HashMap::new())) });
        let writing = tokio::spawn(hand_over(to, queue)).abort_handle();
        let reading = tokio::spawn(take_answers(from, Arc::clone(&waiting))).abort_handle();
        Ok(Self {
            orders,
            next: AtomicU64::new(1),
            waiting,
            tasks: [writing, reading],
            process: Some((child, room)),
            runtime: tokio::runtime::Handle::current(),
        })
    }

    /// Does it live, and is this slot free?
    fn takes(&self, slot: u32) -> bool {
        self.waiting.lock().as_ref().is_some_and(|open| !open.values().any(|asked| asked.slot == slot))
    }

    /// Hands an order over.
    pub fn ask(&self, slot: u32, what: What) -> Result<Pending, Gone> {
        let not_sent = |why: &str| Gone::NotSent(why.to_owned());
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let line = serde_json::to_string(&Order { id, slot, what }).map_err(|e| Gone::NotSent(e.to_string()))? + "\n";
        let (answer, answers) = mpsc::channel(ANSWERS);
        let mut open = self.waiting.lock();
        let list = open.as_mut().ok_or_else(|| not_sent("the process has ended"))?;
        list.insert(id, Asked { slot, answers: Some(answer) });
        if self.orders.try_send(line).is_err() {
            list.remove(&id);
            return Err(not_sent("the process takes no more"));
        }
        drop(open);
        Ok(Pending { id, waiting: Arc::clone(&self.waiting), answers })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It sees the end of its input.
        self.tasks.iter().for_each(AbortHandle::abort);
        let Some((mut child, room)) = self.process.take() else { return };
        let _runtime = self.runtime.enter();
        tokio::spawn(async move {
            // One that is stuck in the kernel dies when it is let go, which may be never: it keeps its room until then.
            let _gone = child.kill().await;
            drop(room);
        });
    }
}

fn spawn(program: Option<PathBuf>) -> std::io::Result<Child> {
    // The file behind it stays the one that runs, also when an upgrade has replaced it.
    let program = program.unwrap_or_else(|| PathBuf::from("/proc/self/exe"));
    let mut command = Command::new(program);
    command.arg0("blackstart").args(["helper", "--owner", OWNER, HELPER, "files"]);
    // Not in the directory that it works on: that must be free to be unmounted.
    command.current_dir("/").env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).kill_on_drop(true);
    command.spawn()
}

async fn hand_over(mut to: ChildStdin, mut queue: mpsc::Receiver<String>) {
    while let Some(line) = queue.recv().await {
        if to.write_all(line.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Hands each answer to who waits for it; when the output ends, nobody gets one any more.
async fn take_answers(mut from: BufReader<ChildStdout>, waiting: Arc<Waiting>) {
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut from).take(LINE).read_until(b'\n', &mut line).await;
        if !matches!(read, Ok(1..)) || line.last() != Some(&b'\n') {
            break;
        }
        let Ok(Answer { id, said }) = serde_json::from_slice(&line) else { break };
        let more = matches!(said, Said::Lines(_));
        let to = waiting.lock().as_mut().and_then(|open| match more {
            true => open.get(&id).and_then(|asked| asked.answers.clone()),
            false => open.remove(&id).and_then(|asked| asked.answers),
        });
        if let Some(to) = to {
            // An error means that it was given up meanwhile.
            let _given_up = to.send(said).await;
        }
    }
    waiting.lock().take();
}
