//! A client in any language: a program that gets one JSON request per line on its standard input and answers each with
//! one JSON line on its standard output, in any order. The protocol is described in `docs/command_workload.md`.

use super::command::{Group, Tail, start};
use super::{Act, AdapterError, Client, ClientSettings, Command, Done, Fut, LedgerStore, Opened, Operation, Row};
use super::{hex, unhex};
use crate::clock::Clock;
use crate::model::{Found, Key, Mono, Outcome};
use crate::workloads::payload;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::mpsc;

/// The version of the protocol.
const PROTOCOL: u32 = 1;
/// The program has so long to say hello, and a ledger so long to prepare.
const HELLO: Duration = Duration::from_secs(15);
/// A whole read-back may take so long.
const READ_BACK: Duration = Duration::from_secs(600);
/// A program that ended is started again, at most this often.
const AGAIN: Duration = Duration::from_secs(1);
/// A longer line ends the session: its answers cannot be told apart any more.
const LINE: u64 = 1 << 20;
/// Requests that wait to be written.
const QUEUE: usize = 1 << 14;
/// Rows that wait to be taken.
const ROWS: usize = 1 << 10;

#[derive(Serialize)]
struct Ask<'a> {
    id: u64,
    #[serde(flatten)]
    what: What<'a>,
}

#[derive(Serialize)]
#[serde(tag = "op", rename_all = "snake_case")]
enum What<'a> {
    Hello { protocol: u32, run: &'a str, writers: u16, payload: u64, timeout_ms: u64 },
    Prepare,
    Visit { nonce: String },
    Write { writer: u16, seq: u64, attempt: u32, payload: String },
    Read { writer: u16, seq: u64 },
    ReadBack,
}

/// A line of the program: a row of a read-back, or the end of a request.
#[derive(Debug, Deserialize)]
struct Said {
    id: u64,
    outcome: Option<Word>,
    error: Option<String>,
    protocol: Option<u32>,
    payload: Option<String>,
    row: Option<SaidRow>,
    rows: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Ok,
    OkLocal,
    Fail,
    Unknown,
}

#[derive(Debug, Deserialize)]
struct SaidRow {
    writer: Option<u16>,
    seq: Option<u64>,
    attempt: Option<u32>,
    payload: Option<String>,
    name: Option<String>,
}

/// The program as it runs; dropping it ends it with its children.
struct Session {
    requests: mpsc::Sender<(u64, String)>,
    waiting: Arc<Waiting>,
    tasks: [tokio::task::AbortHandle; 2],
    _group: Group,
    _child: tokio::process::Child,
}

/// Who waits for which answer; nobody any more once the program's output has ended.
#[derive(Default)]
struct Waiting {
    open: Mutex<Option<HashMap<u64, mpsc::Sender<Said>>>>,
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, Option<HashMap<u64, mpsc::Sender<Said>>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::AbortHandle::abort);
    }
}

/// A request that was handed over; dropping it makes sure that no late answer reaches anybody.
struct Pending {
    id: u64,
    waiting: Arc<Waiting>,
    answers: mpsc::Receiver<Said>,
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(open) = self.waiting.lock().as_mut() {
            open.remove(&self.id);
        }
    }
}

/// Keeps the program running and speaks to it.
struct Program {
    clock: Clock,
    command: Command,
    settings: ClientSettings,
    next: AtomicU64,
    session: tokio::sync::Mutex<(Option<Arc<Session>>, Mono)>,
}

/// Starts the program and hears its hello.
///
/// # Errors
/// When it cannot be started, or answers anything but the protocol.
pub(super) async fn open(clock: &Clock, command: &Command, settings: &ClientSettings) -> Result<Opened, AdapterError> {
    let program = Arc::new(Program {
        clock: clock.clone(),
        command: command.clone(),
        settings: settings.clone(),
        next: AtomicU64::new(1),
        session: tokio::sync::Mutex::new((None, Mono(i64::MIN))),
    });
    let session = program.begin().await?;
    *program.session.lock().await = (Some(Arc::new(session)), clock.mono());
    let store = (settings.writers > 0).then(|| Arc::<Program>::clone(&program) as Arc<dyn LedgerStore>);
    Ok(Opened { client: program, store })
}

impl Program {
    fn name(&self) -> &str {
        self.command.argv.first().map_or("", String::as_str)
    }

    async fn begin(&self) -> Result<Session, AdapterError> {
        let (mut child, group) = start(&self.command, Stdio::piped())?;
        let complaints = Tail::of(child.stderr.take());
        let (requests, queue) = mpsc::channel(QUEUE);
        let waiting = Arc::new(Waiting { open: Mutex::new(Some(HashMap::new())) });
        let writing = tokio::spawn(write_requests(child.stdin.take(), queue, Arc::clone(&waiting)));
        let reading = tokio::spawn(read_answers(child.stdout.take(), Arc::clone(&waiting)));
        let tasks = [writing.abort_handle(), reading.abort_handle()];
        let session = Session { requests, waiting, tasks, _group: group, _child: child };
        let timeout_ms = u64::try_from(self.settings.timeout.as_millis()).unwrap_or(u64::MAX);
        let ClientSettings { run, writers, payload, .. } = &self.settings;
        let hello =
            What::Hello { protocol: PROTOCOL, run: run.as_str(), writers: *writers, payload: *payload, timeout_ms };
        let answer = match self.ask(&session, hello, 1) {
            Some(mut pending) => tokio::time::timeout(HELLO, pending.answers.recv()).await,
            None => Ok(None),
        };
        let why = match answer {
            Ok(Some(Said { outcome: Some(Word::Ok), protocol: Some(PROTOCOL), .. })) => return Ok(session),
            Ok(Some(Said { error: Some(why), .. })) => why,
            Ok(Some(_)) => format!("it must answer hello with outcome ok and protocol {PROTOCOL}"),
            Ok(None) => "it ended before it answered hello".to_owned(),
            Err(_) => "it did not answer hello in time".to_owned(),
        };
        drop(session);
        let said = complaints.text().await;
        let said = said.lines().last().map(|line| format!(" (it said: {line})")).unwrap_or_default();
        Err(AdapterError::Other(format!("start the client `{}`: {why}{said}", self.name())))
    }

    /// The running program; one that ended is started again, but not all the time.
    async fn session(&self) -> Option<Arc<Session>> {
        let mut held = self.session.lock().await;
        let alive = held.0.as_ref().is_some_and(|session| session.waiting.lock().is_some());
        if !alive {
            held.0 = None;
            if self.clock.mono().since(held.1) < AGAIN {
                return None;
            }
            held.0 = self.begin().await.ok().map(Arc::new);
            held.1 = self.clock.mono();
        }
        held.0.clone()
    }

    /// Hands a request over; none if it certainly does not reach the program.
    fn ask(&self, session: &Session, what: What<'_>, room: usize) -> Option<Pending> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let line = serde_json::to_string(&Ask { id, what }).ok()? + "\n";
        let (answer, answers) = mpsc::channel(room);
        session.waiting.lock().as_mut()?.insert(id, answer);
        let pending = Pending { id, waiting: Arc::clone(&session.waiting), answers };
        session.requests.try_send((id, line)).ok().map(|()| pending)
    }

    async fn carry_out(&self, act: Act) -> (Outcome, Option<Found>) {
        let handed_over = AtomicBool::new(false);
        let exchange = async {
            let session = self.session().await?;
            let mut pending = self.ask(&session, self.request(act), 1)?;
            handed_over.store(true, Ordering::Relaxed);
            // The output ended: what the program did with the request, nobody knows.
            Some(pending.answers.recv().await)
        };
        match tokio::time::timeout(self.settings.timeout, exchange).await {
            // It was being started again all the while.
            Err(_) if !handed_over.load(Ordering::Relaxed) => (Outcome::Unsent, None),
            Err(_) | Ok(Some(None)) => (Outcome::Unknown, None),
            Ok(None) => (Outcome::Unsent, None),
            Ok(Some(Some(said))) => self.outcome(act, &said),
        }
    }

    fn request(&self, act: Act) -> What<'static> {
        match act {
            Act::Visit(number) => What::Visit { nonce: number.to_string() },
            Act::Read(Key { writer, seq }) => What::Read { writer, seq },
            Act::Write(key) => {
                let bytes = payload::payload(&self.settings.run, key, self.size());
                What::Write { writer: key.writer, seq: key.seq, attempt: 1, payload: hex(&bytes) }
            }
        }
    }

    fn size(&self) -> usize {
        usize::try_from(self.settings.payload).unwrap_or(usize::MAX)
    }

    fn outcome(&self, act: Act, said: &Said) -> (Outcome, Option<Found>) {
        let outcome = match said.outcome {
            Some(Word::Ok) => Outcome::Ok,
            Some(Word::OkLocal) => Outcome::OkLocal,
            Some(Word::Fail) => Outcome::Fail,
            Some(Word::Unknown) | None => Outcome::Unknown,
        };
        let found = match (act, outcome) {
            (Act::Read(key), Outcome::Ok) => Some(self.found(key, said.payload.as_deref())),
            _ => None,
        };
        (outcome, found)
    }

    fn found(&self, key: Key, said: Option<&str>) -> Found {
        match said.map(unhex) {
            None => Found::Absent,
            Some(None) => Found::Corrupted,
            Some(Some(bytes)) => payload::check(&self.settings.run, key, self.size(), &bytes),
        }
    }

    async fn store_request(
        &self,
        what: What<'_>,
        limit: Duration,
        mut row: impl FnMut(Row),
    ) -> Result<(), AdapterError> {
        let other = |why: &str| AdapterError::Other(format!("client `{}`: {why}", self.name()));
        let work = async {
            let session = self.session().await.ok_or_else(|| other("it is not running"))?;
            let mut pending = self.ask(&session, what, ROWS).ok_or_else(|| other("it takes no request"))?;
            let mut rows = 0;
            while let Some(said) = pending.answers.recv().await {
                match (said.row, said.outcome) {
                    (Some(said), _) => {
                        rows += 1;
                        row(said.row());
                    }
                    (None, Some(Word::Ok)) if said.rows.unwrap_or(rows) == rows => return Ok(()),
                    (None, Some(Word::Ok)) => return Err(other("it counted other rows than it sent")),
                    (None, _) => {
                        return Err(AdapterError::Refused(
                            said.error.unwrap_or_else(|| format!("client `{}` failed", self.name())),
                        ));
                    }
                }
            }
            Err(other("it ended in the middle of an answer"))
        };
        let late = || AdapterError::TimedOut(format!("client `{}`: no answer in time", self.name()));
        tokio::time::timeout(limit, work).await.map_err(|_| late())?
    }
}

impl SaidRow {
    fn row(self) -> Row {
        let bytes = unhex(self.payload.as_deref().unwrap_or_default()).unwrap_or_default();
        let key = match (self.writer, self.seq) {
            (Some(writer), Some(seq)) => Ok(Key { writer, seq }),
            _ => Err(self.name.unwrap_or_default()),
        };
        Row { key, attempt: self.attempt.unwrap_or(1), payload: bytes }
    }
}

/// Writes requests that somebody still waits for.
async fn write_requests(stdin: Option<ChildStdin>, mut queue: mpsc::Receiver<(u64, String)>, waiting: Arc<Waiting>) {
    let Some(mut stdin) = stdin else { return };
    while let Some((id, line)) = queue.recv().await {
        let wanted = waiting.lock().as_ref().is_some_and(|open| open.contains_key(&id));
        if wanted && stdin.write_all(line.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Hands each line to who waits for it; when the output ends, nobody gets an answer any more.
async fn read_answers(stdout: Option<ChildStdout>, waiting: Arc<Waiting>) {
    let mut lines = stdout.map(BufReader::new);
    let mut line = Vec::new();
    while let Some(reader) = &mut lines {
        line.clear();
        let read = (&mut *reader).take(LINE).read_until(b'\n', &mut line).await;
        if !matches!(read, Ok(1..)) || line.last() != Some(&b'\n') {
            break;
        }
        // A line that is no answer is as good as none: its request runs into its time-out.
        let Ok(said) = serde_json::from_slice::<Said>(&line) else { continue };
        let to = waiting.lock().as_ref().and_then(|open| open.get(&said.id).cloned());
        if let Some(to) = to {
            // An error means that it was given up meanwhile.
            let _given_up = to.send(said).await;
        }
    }
    waiting.lock().take();
}

impl Client for Program {
    fn operate(&self, operation: Operation) -> Fut<'_, Done> {
        Box::pin(async move {
            let sent = self.clock.mono();
            let (outcome, found) = self.carry_out(operation.act).await;
            Done { sent, done: self.clock.mono(), outcome, found }
        })
    }
}

impl LedgerStore for Program {
    fn prepare(&self) -> Fut<'_, Result<(), AdapterError>> {
        Box::pin(self.store_request(What::Prepare, HELLO, |_| ()))
    }

    fn read_back<'a>(&'a self, row: &'a mut (dyn FnMut(Row) + Send)) -> Fut<'a, Result<(), AdapterError>> {
        Box::pin(self.store_request(What::ReadBack, READ_BACK, row))
    }
}
