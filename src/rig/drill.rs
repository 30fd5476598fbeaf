//! A drill against a rig: its playbook, the rig beside it, and the real binary that runs it, as a user would run it.

use super::judge::{Client, Op, Role};
use super::names::NAME;
use super::script::{Play, Script};
use super::store::Lies;
use super::truth::Truth;
use super::{RigError, log, program};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

/// Ports tried before it is given up.
const TRIES: u16 = 200;
/// Workloads of a drill give up an operation after this.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Visits a second of the probe that a ledger brings along.
const PROBE: u32 = 50;

/// How a visitor speaks to the rig.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// Over HTTP/1.1.
    Http,
    /// In a plain line over TCP.
    Tcp,
}

/// A workload of visits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visitor {
    /// Its name, and its path at the rig.
    pub name: &'static str,
    /// Visits a second.
    pub rate: u32,
    /// `fresh` or `pooled`.
    pub client: &'static str,
    /// How it speaks.
    pub over: Over,
}

impl Visitor {
    /// The workload in a playbook. Where the service moves, its name is looked up for each connection.
    fn workload(&self, listen: SocketAddr, found: Found) -> String {
        let Self { name, rate, client, .. } = self;
        let timeout = TIMEOUT.as_millis();
        let (place, resolver) = match found {
            Found::Address => (listen.to_string(), String::new()),
            Found::Name => (format!("{NAME}:{}", listen.port()), format!("resolver: \"{listen}\", ")),
        };
        let what = match self.over {
            Over::Http => format!(
                "http: {{url: \"http://{place}/visit/{name}?nonce={{nonce}}\", expect: {{status: 200, body: {{contains: \
                 \"nonce {{nonce}}<\"}}}}"
            ),
            Over::Tcp => format!(
                "tcp: {{address: \"{place}\", send: \"visit {name} {{nonce}}\\n\", expect: \"nonce {{nonce}}<\""
            ),
        };
        format!("{what}, {resolver}rate: {rate}/s, client: {client}, timeout: {timeout}ms}}")
    }
}

/// How visitors find the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Address,
    Name,
}

/// What is drilled, and by whom.
#[derive(Debug, Clone)]
pub struct Drill {
    /// Its name.
    pub name: String,
    /// What the rig plays.
    pub script: Script,
    /// What its store does wrong.
    pub lies: Lies,
    /// Who visits.
    pub visitors: Vec<Visitor>,
    /// Writes a second of a ledger; none if 0.
    pub writes: u32,
    /// The service's deadline.
    pub deadline: Duration,
    /// How long service must hold.
    pub stable: Duration,
}

/// Where drills are run, and by which program.
#[derive(Debug, Clone)]
pub struct Host {
    /// The binary; this program if not given.
    pub program: Option<PathBuf>,
    /// An empty folder of the drill's own.
    pub home: PathBuf,
    /// Called beside the drill with the runner's pid and the rig's folder, for whoever wants to disturb it.
    pub beside: Option<fn(u32, &Path)>,
    /// Variables of the runner's environment, which the rig does not have.
    pub variables: Vec<(&'static str, PathBuf)>,
}

/// A drill that has run.
#[derive(Debug)]
pub struct Ran {
    /// The run's folder, if it got one.
    pub folder: Option<PathBuf>,
    /// The program's exit status.
    pub status: Option<i32>,
    /// What it said.
    pub said: String,
    /// What is true.
    pub truth: Truth,
}

impl Drill {
    /// The playbook; `dir` is the rig's.
    #[must_use]
    pub fn playbook(&self, listen: SocketAddr, controller: u32, dir: &Path) -> String {
        let (name, dir, timeout) = (&self.name, dir.display(), TIMEOUT.as_millis());
        let (deadline, stable) = (self.deadline.as_millis(), self.stable.as_millis());
        let promised = |share: u32| format!("{{availability: {share}%, deadline: {deadline}ms, stable: {stable}ms}}");
        let mut text = format!(
            "drill: {name}\nenvironment: embedded\nobjectives: {{rto: 2m{}}}\n\
             targets:\n  store: {{kv: {{url: \"http://{listen}\"}}}}\nworkload:\n",
            if self.writes > 0 { ", rpo: {time: 2m, writes: 1000000}" } else { "" }
        );
        if self.writes > 0 {
            let _infallible = writeln!(
                text,
                "  orders:\n    ledger: {{target: store, rate: {}/s, writers: 4, payload: 32B, read_rate: 20/s, \
                 probe_rate: {PROBE}/s, timeout: {timeout}ms}}\n    service: {}",
                self.writes,
                promised(if self.lies.refuse() { 90 } else { 100 })
            );
        }
        let moves = self.script.0.iter().any(|spell| spell.play == Play::Moves);
        let found = if moves { Found::Name } else { Found::Address };
        for visitor in &self.visitors {
            let (name, what) = (visitor.name, visitor.workload(listen, found));
            let _infallible = writeln!(text, "  {name}:\n    {what}\n    service: {}", promised(100));
        }
        let within = self.script.lasting().as_secs() + 10;
        let _infallible = write!(
            text,
            r#"guards:
  - {{max_duration: 10m}}
baseline: 1500ms
outage:
  - id: spell
    inject:
      command:
        inject: [sh, -c, "kill -USR1 {controller}"]
        effective: [test, -e, "{dir}/begun"]
        heal: [sh, -c, "kill -USR2 {controller}"]
        healed: [test, "!", -e, "{dir}/broken"]
    deadline: {within}s
failover:
  - {{id: over, expect: {{command: {{argv: [test, "!", -e, "{dir}/broken"]}}}}, within: {within}s}}
restore:
  - {{id: healed, heal: spell}}
"#
        );
        text
    }

    /// Runs it, with a rig of its own.
    ///
    /// # Errors
    /// When the rig does not start, or the program cannot be run.
    pub fn run(&self, host: &Host) -> Result<Ran, RigError> {
        let make = |name: &str| -> Result<PathBuf, RigError> {
            let path = host.home.join(name);
            std::fs::create_dir_all(&path).map_err(|cause| RigError::file("cannot make", &path, cause))?;
            Ok(path)
        };
        let (dir, state) = (make("rig")?, make("state")?);
        let binary = host.program.clone().unwrap_or_else(program);
        let mut rig = Rig::start(self, &binary, &dir)?;
        let book = host.home.join(format!("{}.yaml", self.name));
        let text = self.playbook(rig.listen, rig.child.id(), &dir);
        std::fs::write(&book, text).map_err(|cause| RigError::file("cannot write", &book, cause))?;
        let reports = host.home.join("reports");
        let runner = Command::new(&binary)
            .envs(host.variables.iter().cloned())
            .arg("run")
            .arg(&book)
            .arg("--reports")
            .arg(&reports)
            .args(["--output", "plain", "--volatile-state"])
            .env("BLACKSTART_STATE_DIR", &state)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|cause| RigError::System("run a drill", cause))?;
        let pid = runner.id();
        let ran = std::thread::scope(|scope| {
            if let Some(beside) = host.beside {
                let dir = &dir;
                scope.spawn(move || beside(pid, dir));
            }
            runner.wait_with_output()
        });
        let ran = ran.map_err(|cause| RigError::System("run a drill", cause))?;
        rig.end()?;
        let said = [ran.stdout, ran.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        let read =
            |path: PathBuf| std::fs::read_to_string(&path).map_err(|cause| RigError::file("cannot read", &path, cause));
        let truth = Truth::of(&read(log::server(&dir))?, &read(log::control(&dir))?);
        Ok(Ran { folder: only_run(&reports), status: ran.status.code(), said, truth })
    }

    /// What the judge must know of its workloads, given each one's operations in order of their due time.
    pub fn clients(&self, mut ops: impl FnMut(&str) -> Vec<Op>) -> Vec<Client> {
        let nanos = |d: Duration| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX);
        let client = |name: &str, role: Role, rate: u32, ops: Vec<Op>| Client {
            name: name.to_owned(),
            role,
            rate: f64::from(rate),
            deadline: nanos(self.deadline),
            timeout: nanos(TIMEOUT),
            stable: nanos(self.stable),
            ops,
        };
        let mut clients = Vec::new();
        if self.writes > 0 {
            let role = if self.lies.refuse() { Role::Books } else { Role::Ledger };
            clients.push(client("orders", role, self.writes.min(PROBE), ops("orders")));
        }
        // Whom a half-open rig leaves out depends on the connections that each happened to have.
        let partly = self.script.0.iter().any(|spell| spell.play == Play::HalfOpen);
        for visitor in self.visitors.iter().filter(|v| !partly || v.client == "fresh") {
            clients.push(client(visitor.name, Role::Visitor, visitor.rate, ops(visitor.name)));
        }
        clients
    }
}

/// The folder of the only run below `reports`.
fn only_run(reports: &Path) -> Option<PathBuf> {
    let below = |dir: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
    };
    let runs: Vec<PathBuf> = below(reports).iter().flat_map(|drill| below(drill)).collect();
    runs.into_iter().next()
}

/// A rig's controller; it is gone when this is.
struct Rig {
    child: Child,
    listen: SocketAddr,
}

impl Rig {
    fn start(drill: &Drill, binary: &Path, dir: &Path) -> Result<Self, RigError> {
        let listen = free()?;
        let child = Command::new(binary)
            .args(["rig", "--dir"])
            .arg(dir)
            .args(["--listen", &listen.to_string(), "--script", &drill.script.to_string()])
            .args(drill.lies.arguments())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|cause| RigError::System("start a rig", cause))?;
        let mut rig = Self { child, listen };
        let mut line = String::new();
        let heard = rig.child.stdout.as_mut().map(|out| BufReader::new(out).read_line(&mut line));
        match heard {
            Some(Ok(1..)) => Ok(rig),
            _ => Err(RigError::Server("did not start".to_owned())),
        }
    }

    fn end(&mut self) -> Result<(), RigError> {
        drop(self.child.stdin.take());
        self.child.wait().map(|_| ()).map_err(|cause| RigError::System("wait for a rig", cause))
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        // It ends with its standard input; both are no errors when it has ended already.
        drop(self.child.stdin.take());
        let _ended = self.child.wait();
    }
}

/// A port that nobody has, at neither address nor for names, below the range that the system hands out by itself: one that is closed for a while must not
/// become somebody's own.
fn free() -> Result<SocketAddr, RigError> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let own = (std::process::id() % 1_500) as u16 * 5;
    let mut last = std::io::Error::from(std::io::ErrorKind::AddrInUse);
    for _ in 0..TRIES {
        let port = 24_000 + (own + NEXT.fetch_add(1, Ordering::Relaxed)) % 8_000;
        let [address, other] = [1, 2].map(|host| SocketAddr::from(([127, 0, 0, host], port)));
        let taken = (TcpListener::bind(address), TcpListener::bind(other), UdpSocket::bind(address));
        match taken {
            (Ok(_), Ok(_), Ok(_)) => return Ok(address),
            (Err(cause), ..) | (_, Err(cause), _) | (.., Err(cause)) => last = cause,
        }
    }
    Err(RigError::System("find a free port", last))
}
