//! The proxies of a drill: started when the staging is up and before targets are found, so that clients go through them;
//! ended when the staging goes down. Their faults are in `faults`; what they do without a runner is theirs to do.

use super::drill::{Broken, Drill};
use super::targets;
use crate::adapters::World;
use crate::adapters::proxy::{Ask, Keep, ProxyStart, Said};
use crate::faults::Cx;
use crate::model::{Dur, FaultId, Owner, PinnedTarget, ProxyTarget, Reference, RunId, Template};
use crate::plan::TargetSpec;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// A proxy lives so much longer than its drill may take.
const SPARE: Duration = Duration::from_secs(600);
/// Without its runner a proxy lives so long.
const LINGER: Duration = Duration::from_secs(120);

/// Whose the proxies of a run are: known from the run and its folder, so that they are found with no record.
pub(super) fn owner(run: &RunId, dir: &Path) -> Owner {
    Owner { run: run.clone(), fault: FaultId(format!("targets of {}", dir.display())) }
}

impl Drill<'_> {
    /// Does the drill have proxies of its own?
    pub fn has_doors(&self) -> bool {
        self.own_proxies().next().is_some()
    }

    fn own_proxies(&self) -> impl Iterator<Item = (&String, &ProxyTarget)> {
        self.scene.target_specs().iter().filter_map(|(name, spec)| match spec {
            TargetSpec::Proxy(proxy) if proxy.control.is_none() => Some((name, proxy)),
            _ => None,
        })
    }

    /// Starts them. They may name fields of other targets and of each other: it takes as many rounds as the longest chain.
    pub async fn doors_up(&self) -> Result<(), Broken> {
        let failed = |why: String| Broken::Preflight(vec![why]);
        self.index.add(&self.options.run, &self.dir).map_err(|e| failed(e.to_string()))?;
        let mut waiting: BTreeMap<_, _> = self.own_proxies().collect();
        loop {
            // What cannot be found yet is looked for again when all proxies are up.
            let _not_all_yet = self.unless_stopped(targets::resolve_all(&self.scene)).await?;
            let before = waiting.len();
            let mut why = Vec::new();
            for (name, proxy) in waiting.clone() {
                match self.unless_stopped(self.door_up(name, proxy)).await? {
                    Ok(()) => {
                        waiting.remove(name);
                    }
                    Err(error) => why.push(format!("target `{name}`: {error}")),
                }
            }
            if waiting.is_empty() {
                return Ok(());
            }
            if waiting.len() == before {
                return Err(Broken::Preflight(why));
            }
        }
    }

    async fn door_up(&self, name: &str, proxy: &ProxyTarget) -> Result<(), String> {
        let start = self.start_of(name, proxy)?;
        let parameters = serde_json::to_value(&start).map_err(|e| e.to_string())?;
        let limit = self.options.limits.staging;
        let helpers = &self.world.helpers;
        helpers
            .start(&owner(&self.options.run, &self.dir), "proxy", &parameters, limit)
            .await
            .map_err(|e| e.to_string())?;
        let fields = fields(&start.control, self.world).await?;
        let address = fields.get("address").cloned().unwrap_or_default();
        self.say(format!("target `{name}`: a proxy on {address} leads to {}", start.upstream));
        Ok(())
    }

    fn start_of(&self, name: &str, proxy: &ProxyTarget) -> Result<ProxyStart, String> {
        let cx = self.scene.cx();
        let text = |template: &Template| cx.text(template).map_err(|e| e.to_string());
        let listen = proxy.listen.as_ref().map_or_else(|| Ok("127.0.0.1:0".to_owned()), text)?;
        let listen = listen.parse().map_err(|_| format!("`{listen}` is no ADDRESS:PORT to listen on"))?;
        let upstream = text(proxy.upstream.as_ref().ok_or("it has no upstream")?)?;
        if upstream.rsplit_once(':').is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
            return Err(format!("`{upstream}` is not HOST:PORT"));
        }
        let fields = BTreeMap::from([("upstream".to_owned(), upstream.clone())]);
        let (name_, kind) = (name.to_owned(), "proxy".to_owned());
        self.plan.allows(&PinnedTarget { name: name_, kind, fields, ..PinnedTarget::default() }, &[])?;
        let control =
            self.world.proxies.socket(&owner(&self.options.run, &self.dir), name).map_err(|e| e.to_string())?;
        Ok(ProxyStart { listen, upstream, control, keep: self.keep(proxy)? })
    }

    fn keep(&self, proxy: &ProxyTarget) -> Result<Keep, String> {
        let pid = i32::try_from(std::process::id()).map_err(|e| e.to_string())?;
        let own = self.world.processes.identify(pid).map_err(|e| e.to_string())?;
        let runner = own.map(|who| (who.pid, who.started));
        let deadline = Some(Dur(self.plan.max_duration + SPARE));
        Ok(Keep { runner, orphaned: proxy.orphaned, linger: Dur(LINGER), deadline })
    }

    /// Ends them.
    pub async fn doors_down(&self) {
        if let Err(why) =
            doors_down(&owner(&self.options.run, &self.dir), self.world, self.options.limits.staging).await
        {
            self.say(why);
        }
    }
}

/// Ends the proxies of a run, whoever started them.
async fn doors_down(owner: &Owner, world: &World, limit: Duration) -> Result<(), String> {
    world.helpers.end(owner, limit).await.map_err(|e| format!("the proxies of {} do not end: {e}", owner.run))
}

/// What a target of this kind is now.
pub(super) async fn found(name: &str, proxy: &ProxyTarget, cx: &Cx<'_>) -> Result<BTreeMap<String, String>, String> {
    let control = match &proxy.control {
        Some(control) => cx.scope.base().join(cx.text(control).map_err(|e| e.to_string())?),
        None => {
            let dir = cx.scope.lookup(&Reference::Run("dir".to_owned()))?;
            let owner = owner(&cx.owner.run, Path::new(&dir));
            cx.world.proxies.socket(&owner, name).map_err(|e| e.to_string())?
        }
    };
    fields(&control, cx.world).await.map_err(|why| match &proxy.control {
        Some(_) => why,
        None => format!("it runs only while the drill does: {why}"),
    })
}

async fn fields(control: &Path, world: &World) -> Result<BTreeMap<String, String>, String> {
    let state = match world.proxies.ask(control, &Ask::State).await {
        Ok(Said::State(state)) => state,
        Ok(_) => return Err("the proxy does not say how it is".to_owned()),
        Err(error) => return Err(error.to_string()),
    };
    let (host, port) = state.listen.rsplit_once(':').ok_or("the proxy does not say where it listens")?;
    let fields = [
        ("address", state.listen.as_str()),
        ("host", host.trim_matches(['[', ']'])),
        ("port", port),
        ("upstream", &state.upstream),
        ("control", &control.to_string_lossy()),
    ];
    Ok(fields.map(|(k, v)| (k.to_owned(), v.to_owned())).into())
}

/// Ends proxies whose runner is gone: also those of a run that nothing is known of any more.
pub(super) async fn end_orphans(world: &World) {
    for control in world.proxies.all() {
        // One that does not answer, or whose runner lives, is not ours to end.
        let _left_alone = world.proxies.ask(&control, &Ask::End).await;
    }
}
