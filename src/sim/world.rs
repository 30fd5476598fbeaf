//! The simulated store as a world that a drill can reach: processes, HTTP, TCP and commands, and the time that passes
//! in it (the router's looks, the disturbances).

use super::client::SimClients;
use super::cluster::{Cluster, Weather};
use crate::adapters::{
    AdapterError, Answer, Command, CommandOutput, Commands, Fut, Http, ProcessState, Processes, Request, Sql, Tcp,
    World, absent,
};
use crate::model::ProcessIdentity;
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

impl Cluster {
    /// The world around it, in which time passes from now on. Call it inside the runtime whose clock is paused.
    #[must_use]
    pub fn world(self: &Arc<Self>) -> World {
        tokio::spawn(look(Arc::downgrade(self)));
        tokio::spawn(disturb(Arc::downgrade(self)));
        let sim = || SimWorld(Arc::clone(self));
        World {
            clock: self.clock.clone(),
            processes: Arc::new(sim()),
            commands: Arc::new(sim()),
            http: Arc::new(sim()),
            tcp: Arc::new(sim()),
            sql: Arc::new(sim()),
            systems: absent(),
            clients: Arc::new(SimClients(Arc::clone(self))),
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
}

/// The router looks at the leader, again and again, for as long as somebody has the cluster.
async fn look(cluster: Weak<Cluster>) {
    while let Some(cluster) = cluster.upgrade() {
        cluster.look();
        let every = cluster.settings.check_every;
        drop(cluster);
        tokio::time::sleep(every).await;
    }
}

/// Disturbances begin with the first signal.
async fn disturb(weak: Weak<Cluster>) {
    let Some(cluster) = weak.upgrade() else { return };
    let mut planned = cluster.settings.disturbances.clone();
    planned.sort_by_key(|disturbance| disturbance.after);
    loop {
        let mut changed = std::pin::pin!(cluster.changed.notified());
        changed.as_mut().enable();
        if cluster.state().disturbed {
            break;
        }
        changed.await;
    }
    let begun = cluster.clock.mono();
    for disturbance in planned {
        cluster.clock.sleep_until(begun.after(disturbance.after)).await;
        cluster.change(|state| state.weather = disturbance.weather);
        cluster.clock.sleep_until(begun.after(disturbance.after + disturbance.lasting)).await;
        cluster.change(|state| state.weather = Weather::Clear);
    }
}

struct SimWorld(Arc<Cluster>);

impl Processes for SimWorld {
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

impl SimWorld {
    fn view(&self) -> String {
        let state = self.0.state();
        let running = |node: &super::cluster::Node| node.state == ProcessState::Running;
        let alive = state.nodes.iter().filter(|node| running(node)).count();
        let primaries = usize::from(running(&state.nodes[state.leader]));
        let leader = if state.leader == 0 { "a" } else { "b" };
        let streaming = state.streaming();
        format!(r#"{{"leader":"{leader}","primaries":{primaries},"alive":{alive},"streaming":{streaming}}}"#)
    }

    async fn start(&self) {
        tokio::time::sleep(self.0.settings.restart).await;
        self.0.start_gone();
    }
}

fn answer(status: u16, body: String) -> Answer {
    Answer { status, headers: BTreeMap::new(), body }
}

impl Http for SimWorld {
    fn send<'a>(&'a self, request: &'a Request) -> Fut<'a, Result<Answer, AdapterError>> {
        Box::pin(async move {
            let path = request.url.splitn(4, '/').nth(3).unwrap_or_default();
            match (request.method.as_str(), path.split('?').next().unwrap_or_default()) {
                ("GET", "cluster") => Ok(answer(200, self.view())),
                ("POST", "cluster/start") => {
                    self.start().await;
                    Ok(answer(200, self.view()))
                }
                _ => Ok(answer(404, String::new())),
            }
        })
    }
}

impl Tcp for SimWorld {
    fn connect<'a>(&'a self, address: &'a str, _: Duration) -> Fut<'a, Result<(), AdapterError>> {
        let refusing = self.0.state().condition() == super::truth::Condition::Refusing;
        let result =
            if refusing { Err(AdapterError::Unreachable(format!("connect to {address}: refused"))) } else { Ok(()) };
        Box::pin(std::future::ready(result))
    }
}

/// `pid leader`, `pid standby`: prints the pid in that role; `start`: starts what is gone; `false`: fails.
impl Commands for SimWorld {
    fn run<'a>(&'a self, command: &'a Command) -> Fut<'a, Result<CommandOutput, AdapterError>> {
        Box::pin(async move {
            let words: Vec<&str> = command.argv.iter().map(|word| word.rsplit('/').next().unwrap_or(word)).collect();
            let (status, stdout) = match words[..] {
                ["pid", role @ ("leader" | "standby")] => {
                    let state = self.0.state();
                    let index = if role == "leader" { state.leader } else { 1 - state.leader };
                    (0, format!("{}\n", state.nodes[index].pid))
                }
                ["start"] => {
                    self.start().await;
                    (0, String::new())
                }
                ["false"] => (1, String::new()),
                _ => return Err(AdapterError::Missing(format!("cannot run `{}`: it is not there", words.join(" ")))),
            };
            Ok(CommandOutput { status: Some(status), stdout, stderr: String::new() })
        })
    }
}

impl Sql for SimWorld {
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
