//! The world around two simulated sites: clients of each, processes and commands.

use super::rng::Rng;
use super::sites::{LINK, Pair, PairState, SITES};
use crate::adapters::{
    Act, AdapterError, Answer, Client, ClientSettings, Clients, Command, CommandOutput, Commands, Done, Endpoint, Fut,
    Http, LedgerStore, Opened, Operation, ProcessState, Processes, Request, Row, Sql, Tcp, World, absent,
};
use crate::clock::Clock;
use crate::model::{Found, Key, Mono, Outcome, ProcessIdentity};
use crate::workloads::payload;
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How often the link looks for what it has to carry.
const SHIP_EVERY: Duration = Duration::from_millis(10);

impl Pair {
    /// The world around them, in which time passes from now on. Call it inside the runtime whose clock is paused.
    #[must_use]
    pub fn world(self: &Arc<Self>) -> World {
        tokio::spawn(ship(Arc::downgrade(self)));
        let around = || Around(Arc::clone(self));
        World {
            clock: self.clock.clone(),
            processes: Arc::new(around()),
            commands: Arc::new(around()),
            http: Arc::new(around()),
            tcp: Arc::new(around()),
            sql: Arc::new(around()),
            systems: absent(),
            clients: Arc::new(around()),
            files: absent(),
            disks: absent(),
            helpers: absent(),
            network: absent(),
            containers: absent(),
            clusters: absent(),
            proxies: absent(),
            data: absent(),
            resolvers: absent(),
        }
    }

    /// The address of a site, for playbooks.
    #[must_use]
    pub fn url(site: usize) -> String {
        format!("http://127.0.0.1:1750{site}")
    }

    /// A request to one site from its arrival to its end; `carry_out` happens at the moment it is served. The error is what
    /// its client knows of it.
    async fn request<T>(
        &self,
        site: usize,
        mut rng: Rng,
        carry_out: impl FnOnce(&mut PairState, Mono) -> T,
    ) -> Result<T, Outcome> {
        let due = self.clock.mono().after(rng.millis(0, 2));
        let asked = self.state().nodes[site].pid;
        let mut seen = false;
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            let (pid, state) = {
                let state = self.state();
                (state.nodes[site].pid, state.nodes[site].state)
            };
            match state {
                _ if pid != asked => return Err(Outcome::Unknown),
                ProcessState::Gone | ProcessState::Dying if seen => return Err(Outcome::Unknown),
                ProcessState::Gone | ProcessState::Dying => return Err(Outcome::Fail),
                ProcessState::Stopped => changed.await,
                ProcessState::Running if due <= self.clock.mono() => {
                    return Ok(carry_out(&mut self.state(), self.clock.mono()));
                }
                // In a stated order, or the same seed would not always give the same run.
                ProcessState::Running => tokio::select! {
                    biased;
                    () = self.clock.sleep_until(due) => {}
                    () = changed => {}
                },
            }
            seen = true;
        }
    }
}

async fn ship(pair: Weak<Pair>) {
    while let Some(pair) = pair.upgrade() {
        pair.ship();
        drop(pair);
        tokio::time::sleep(SHIP_EVERY).await;
    }
}

/// A client of one site, and its copy of the ledger.
struct AtSite {
    pair: Arc<Pair>,
    site: usize,
    settings: ClientSettings,
}

impl AtSite {
    fn chance(&self, thing: u64) -> Rng {
        Rng::of(self.pair.settings.seed ^ (self.site as u64), thing)
    }

    async fn limited<T>(&self, request: impl Future<Output = Result<T, Outcome>>) -> Result<T, Outcome> {
        tokio::time::timeout(self.settings.timeout, request).await.unwrap_or(Err(Outcome::Unknown))
    }

    async fn write(&self, key: Key) -> Outcome {
        let rng = self.chance((1 << 62) | (u64::from(key.writer) << 40) | key.seq);
        let take = |state: &mut PairState, now| state.take(self.site, key, now);
        let done = self.limited(self.pair.request(self.site, rng, take)).await;
        let outcome = done.map_or_else(|outcome| outcome, |()| Outcome::Ok);
        self.pair.told(key, outcome);
        outcome
    }

    async fn read(&self, key: Key) -> (Outcome, Option<Found>) {
        let rng = self.chance((1 << 61) | (u64::from(key.writer) << 40) | key.seq);
        let find = |state: &mut PairState, _| if state.has(self.site, key) { Found::Intact } else { Found::Absent };
        match self.limited(self.pair.request(self.site, rng, find)).await {
            Ok(found) => (Outcome::Ok, Some(found)),
            Err(outcome) => (outcome, None),
        }
    }

    async fn visit(&self, number: u64) -> Outcome {
        let request = self.pair.request(self.site, self.chance(number), |_, _| ());
        self.limited(request).await.map_or_else(|outcome| outcome, |()| Outcome::Ok)
    }
}

impl Client for AtSite {
    fn operate(&self, operation: Operation) -> Fut<'_, Done> {
        Box::pin(async move {
            let sent = self.pair.clock.mono();
            let (outcome, found) = match operation.act {
                Act::Write(key) => (self.write(key).await, None),
                Act::Read(key) => self.read(key).await,
                Act::Visit(number) => (self.visit(number).await, None),
            };
            Done { sent, done: self.pair.clock.mono(), outcome, found }
        })
    }
}

impl LedgerStore for AtSite {
    fn prepare(&self) -> Fut<'_, Result<(), AdapterError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn read_back<'a>(&'a self, row: &'a mut (dyn FnMut(Row) + Send)) -> Fut<'a, Result<(), AdapterError>> {
        let (state, keys) = {
            let state = self.pair.state();
            (state.nodes[self.site].state, state.copy(self.site))
        };
        if state != ProcessState::Running {
            let why = format!("read back the ledger: {} does not answer", SITES[self.site]);
            return Box::pin(std::future::ready(Err(AdapterError::Unreachable(why))));
        }
        let size = usize::try_from(self.settings.payload).unwrap_or(0);
        for key in keys {
            row(Row { key: Ok(key), attempt: 1, payload: payload::payload(&self.settings.run, key, size) });
        }
        Box::pin(std::future::ready(Ok(())))
    }
}

struct Around(Arc<Pair>);

impl Clients for Around {
    fn open<'a>(
        &'a self,
        _: &'a Clock,
        endpoint: &'a Endpoint,
        settings: &'a ClientSettings,
    ) -> Fut<'a, Result<Opened, AdapterError>> {
        let (url, ledger) = match endpoint {
            Endpoint::KvLedger { url } => (url.as_str(), true),
            Endpoint::Http { request, .. } => (request.url.as_str(), false),
            _ => ("", false),
        };
        let site = (0..SITES.len()).find(|site| url.starts_with(&Pair::url(*site)));
        let opened = site.map(|site| {
            let at = Arc::new(AtSite { pair: Arc::clone(&self.0), site, settings: settings.clone() });
            let store = ledger.then(|| Arc::<AtSite>::clone(&at) as Arc<dyn LedgerStore>);
            Opened { client: at, store }
        });
        let missing = || AdapterError::Missing("such a client is not simulated".to_owned());
        Box::pin(std::future::ready(opened.ok_or_else(missing)))
    }
}

impl Processes for Around {
    fn identify(&self, pid: i32) -> Result<Option<ProcessIdentity>, AdapterError> {
        Ok(self.0.identity(pid))
    }

    fn state(&self, who: &ProcessIdentity) -> Result<ProcessState, AdapterError> {
        Ok(self.0.process_state(who.pid))
    }

    fn signal(&self, who: &ProcessIdentity, signal: &str) -> Result<(), AdapterError> {
        self.0.signal(who.pid, signal).map_err(AdapterError::Missing)
    }

    fn descendants(&self, _: &ProcessIdentity) -> Result<Vec<ProcessIdentity>, AdapterError> {
        Ok(Vec::new())
    }
}

/// `pid NAME`: prints the pid of a site or of the link; `start`: starts what is gone.
impl Commands for Around {
    fn run<'a>(&'a self, command: &'a Command) -> Fut<'a, Result<CommandOutput, AdapterError>> {
        Box::pin(async move {
            let words: Vec<&str> = command.argv.iter().map(|word| word.rsplit('/').next().unwrap_or(word)).collect();
            let stdout = match words[..] {
                ["pid", name] => {
                    let place = SITES.iter().chain([&LINK]).position(|known| *known == name);
                    let place = place.ok_or_else(|| AdapterError::Missing(format!("there is no `{name}`")))?;
                    format!("{}\n", self.0.state().nodes[place].pid)
                }
                ["start"] => {
                    tokio::time::sleep(self.0.settings.restart).await;
                    self.0.start_gone();
                    String::new()
                }
                _ => return Err(AdapterError::Missing(format!("cannot run `{}`: it is not there", words.join(" ")))),
            };
            Ok(CommandOutput { status: Some(0), stdout, stderr: String::new() })
        })
    }
}

impl Http for Around {
    fn send<'a>(&'a self, _: &'a Request) -> Fut<'a, Result<Answer, AdapterError>> {
        let answer = Answer { status: 404, headers: BTreeMap::new(), body: String::new() };
        Box::pin(std::future::ready(Ok(answer)))
    }
}

impl Tcp for Around {
    fn connect<'a>(&'a self, address: &'a str, _: Duration) -> Fut<'a, Result<(), AdapterError>> {
        let site = (0..SITES.len()).find(|site| Pair::url(*site).ends_with(address));
        let there = site.is_some_and(|site| self.0.state().nodes[site].state == ProcessState::Running);
        let refused = || AdapterError::Unreachable(format!("connect to {address}: refused"));
        Box::pin(std::future::ready(if there { Ok(()) } else { Err(refused()) }))
    }
}

impl Sql for Around {
    fn scalar<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: &'a [String],
        _: Duration,
    ) -> Fut<'a, Result<Option<String>, AdapterError>> {
        Box::pin(std::future::ready(Err(AdapterError::Missing("SQL is not simulated".to_owned()))))
    }
}
