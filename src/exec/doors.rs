//! The proxies and resolvers of a drill: started when the staging is up and before targets are found, so that clients go through them;
//! ended when the staging goes down. Their faults are in `faults`; what they do without a runner is theirs to do.

use super::drill::{Broken, Drill};
use super::targets;
use crate::adapters::World;
use crate::adapters::proxy::{Ask, Keep, ProxyStart, Said};
use crate::adapters::resolver::{ResolverAsk, ResolverStart};
use crate::faults::Cx;
use crate::model::{
    Dur, FaultId, Orphaned, Owner, PinnedTarget, ProxyTarget, Reference, ResolverTarget, RunId, Template,
};
use crate::plan::TargetSpec;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A proxy lives so much longer than its drill may take.
const SPARE: Duration = Duration::from_secs(600);
/// Without its runner a proxy lives so long.
const LINGER: Duration = Duration::from_secs(120);
/// What a resolver knows itself is good for so long, if not given.
const TTL: Duration = Duration::from_secs(5);

/// Whose the proxies of a run are: known from the run and its folder, so that they are found with no record.
pub(super) fn owner(run: &RunId, dir: &Path) -> Owner {
    Owner { run: run.clone(), fault: FaultId(format!("targets of {}", dir.display())) }
}

impl Drill<'_> {
    /// Does the drill have proxies or resolvers of its own?
    pub fn has_doors(&self) -> bool {
        self.own_doors().next().is_some()
    }

    /// Those that the drill starts itself.
    fn own_doors(&self) -> impl Iterator<Item = (&String, &TargetSpec)> {
        self.scene.target_specs().iter().filter(|(_, spec)| match spec {
            TargetSpec::Proxy(proxy) => proxy.control.is_none(),
            TargetSpec::Resolver(resolver) => resolver.control.is_none(),
            _ => false,
        })
    }

    /// Starts them. They may name fields of other targets and of each other: it takes as many rounds as the longest chain.
    pub async fn doors_up(&self) -> Result<(), Broken> {
        let failed = |why: String| Broken::Preflight(vec![why]);
        self.index.add(&self.options.run, &self.dir).map_err(|e| failed(e.to_string()))?;
        let mut waiting: BTreeMap<_, _> = self.own_doors().collect();
        loop {
            // What cannot be found yet is looked for again when all proxies are up.
            let _not_all_yet = self.unless_stopped(targets::resolve_all(&self.scene)).await?;
            let before = waiting.len();
            let mut why = Vec::new();
            for (name, spec) in waiting.clone() {
                // Not broken off half-way: a process that has only just begun is not found yet when all are ended.
                match self.door_up(name, spec).await {
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

    async fn door_up(&self, name: &str, spec: &TargetSpec) -> Result<(), String> {
        let (owner, kind) = (owner(&self.options.run, &self.dir), spec.kind());
        let (parameters, control) = match spec {
            TargetSpec::Proxy(proxy) => {
                let control = self.world.proxies.socket(&owner, name).map_err(|e| e.to_string())?;
                (json(&self.start_of_proxy(name, proxy, control.clone())?)?, control)
            }
            TargetSpec::Resolver(resolver) => {
                let control = self.world.resolvers.socket(&owner, name).map_err(|e| e.to_string())?;
                (json(&self.start_of_resolver(name, resolver, control.clone())?)?, control)
            }
            _ => return Err(format!("a target of kind `{kind}` is not started by a drill")),
        };
        let limit = self.options.limits.staging;
        self.world.helpers.start(&owner, kind, &parameters, limit).await.map_err(|e| e.to_string())?;
        let fields = fields(spec, &control, self.world).await?;
        let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
        self.say(format!("target `{name}`: a {kind} on {} before {}", field("address"), field("upstream")));
        Ok(())
    }

    fn start_of_proxy(&self, name: &str, proxy: &ProxyTarget, control: PathBuf) -> Result<ProxyStart, String> {
        let upstream = self.text(proxy.upstream.as_ref())?.ok_or("it has no upstream")?;
        if upstream.rsplit_once(':').is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
            return Err(format!("`{upstream}` is not HOST:PORT"));
        }
        self.may_lead_to(name, "proxy", &upstream)?;
        let (listen, keep) = (self.listen(proxy.listen.as_ref())?, self.keep(proxy.orphaned)?);
        Ok(ProxyStart { listen, upstream, control, keep })
    }

    fn start_of_resolver(
        &self,
        name: &str,
        resolver: &ResolverTarget,
        control: PathBuf,
    ) -> Result<ResolverStart, String> {
        let upstream = self.text(resolver.upstream.as_ref())?;
        if let Some(upstream) = &upstream {
            self.may_lead_to(name, "resolver", upstream)?;
        }
        let address = |text: String| text.parse().map_err(|_| format!("`{text}` is no ADDRESS:PORT of a name server"));
        let upstream = upstream.map(address).transpose()?;
        let (listen, keep) = (self.listen(resolver.listen.as_ref())?, self.keep(resolver.orphaned)?);
        let (names, ttl) = (resolver.names.clone(), resolver.ttl.unwrap_or(Dur(TTL)));
        Ok(ResolverStart { listen, upstream, names, ttl, control, keep })
    }

    fn text(&self, template: Option<&Template>) -> Result<Option<String>, String> {
        template.map(|template| self.scene.cx().text(template).map_err(|e| e.to_string())).transpose()
    }

    fn listen(&self, template: Option<&Template>) -> Result<SocketAddr, String> {
        let listen = self.text(template)?.unwrap_or_else(|| "127.0.0.1:0".to_owned());
        listen.parse().map_err(|_| format!("`{listen}` is no ADDRESS:PORT to listen on"))
    }

    /// What is broken behind it must be allowed, too.
    fn may_lead_to(&self, name: &str, kind: &str, upstream: &str) -> Result<(), String> {
        let fields = BTreeMap::from([("upstream".to_owned(), upstream.to_owned())]);
        let (name, kind) = (name.to_owned(), kind.to_owned());
        self.plan.allows(&PinnedTarget { name, kind, fields, ..PinnedTarget::default() }, &[])
    }

    fn keep(&self, orphaned: Orphaned) -> Result<Keep, String> {
        let pid = i32::try_from(std::process::id()).map_err(|e| e.to_string())?;
        let own = self.world.processes.identify(pid).map_err(|e| e.to_string())?;
        let runner = own.map(|who| (who.pid, who.started));
        let deadline = Some(Dur(self.plan.max_duration + SPARE));
        Ok(Keep { runner, orphaned, linger: Dur(LINGER), deadline })
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

/// Ends what a dead runner put between clients and a service: its drill is over.
pub(super) async fn left_by(run: &RunId, dir: &Path, world: &World, limit: Duration) -> Result<(), String> {
    // As the runner called its folder.
    let dir = std::fs::canonicalize(dir).unwrap_or_else(|_| dir.to_path_buf());
    doors_down(&owner(run, &dir), world, limit).await
}

/// Ends the proxies of a run, whoever started them.
async fn doors_down(owner: &Owner, world: &World, limit: Duration) -> Result<(), String> {
    world.helpers.end(owner, limit).await.map_err(|e| format!("the proxies of {} do not end: {e}", owner.run))
}

/// What a target of these kinds is now.
pub(super) async fn found(name: &str, spec: &TargetSpec, cx: &Cx<'_>) -> Result<BTreeMap<String, String>, String> {
    let given = match spec {
        TargetSpec::Proxy(proxy) => proxy.control.as_ref(),
        TargetSpec::Resolver(resolver) => resolver.control.as_ref(),
        _ => None,
    };
    let control = match given {
        Some(control) => cx.scope.base().join(cx.text(control).map_err(|e| e.to_string())?),
        None => {
            let dir = cx.scope.lookup(&Reference::Run("dir".to_owned()))?;
            let owner = owner(&cx.owner.run, Path::new(&dir));
            cx.world.proxies.socket(&owner, name).map_err(|e| e.to_string())?
        }
    };
    fields(spec, &control, cx.world).await.map_err(|why| match given {
        Some(_) => why,
        None => format!("it runs only while the drill does: {why}"),
    })
}

async fn fields(spec: &TargetSpec, control: &Path, world: &World) -> Result<BTreeMap<String, String>, String> {
    let (listen, upstream) = match spec {
        TargetSpec::Resolver(_) => {
            let state = world.resolvers.ask(control, &ResolverAsk::State).await.map_err(|e| e.to_string())?;
            (state.listen, state.upstream.map(|address| address.to_string()).unwrap_or_default())
        }
        _ => match world.proxies.ask(control, &Ask::State).await {
            Ok(Said::State(state)) => (state.listen, state.upstream),
            Ok(_) => return Err("the proxy does not say how it is".to_owned()),
            Err(error) => return Err(error.to_string()),
        },
    };
    let (host, port) = listen.rsplit_once(':').ok_or("it does not say where it listens")?;
    let fields = [
        ("address", listen.as_str()),
        ("host", host.trim_matches(['[', ']'])),
        ("port", port),
        ("upstream", &upstream),
        ("control", &control.to_string_lossy()),
    ];
    Ok(fields.map(|(k, v)| (k.to_owned(), v.to_owned())).into())
}

fn json<T: serde::Serialize>(start: &T) -> Result<serde_json::Value, String> {
    serde_json::to_value(start).map_err(|e| e.to_string())
}

/// Ends proxies and resolvers whose runner is gone: also those of a run that nothing is known of any more.
pub(super) async fn end_orphans(world: &World) {
    for control in world.proxies.all() {
        // One that does not answer, or whose runner lives, is not ours to end.
        let _left_alone = world.proxies.ask(&control, &Ask::End).await;
    }
    for control in world.resolvers.all() {
        let _left_alone = world.resolvers.ask(&control, &ResolverAsk::End).await;
    }
}
