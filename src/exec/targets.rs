//! From a target as written to what it is right now: live processes by identity, addresses without secrets. A target
//! that resolves to nothing is an error, never a skip.

use super::scene::Scene;
use crate::adapters::disk::Form;
use crate::adapters::systems::{DirectoryAsk, Question};
use crate::adapters::{AdapterError, NetworkPlace, World, host};
use crate::faults::service::Service;
use crate::faults::{Cx, container};
use crate::model::{PinnedTarget, ProcessIdentity, RunId, TargetRef, Template};
use crate::plan::{NetworkTarget, Plan, ProcessTarget, S3Target, ServiceTarget, TargetSpec};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// One attempt to reach an address.
const CONNECT: Duration = Duration::from_secs(2);
const AGAIN: Duration = Duration::from_millis(100);

/// What a target is now.
pub(super) async fn resolve(name: &str, spec: &TargetSpec, cx: &Cx<'_>) -> Result<PinnedTarget, String> {
    let (kind, found) = match spec {
        TargetSpec::Process(target) => ("process", processes(name, target, cx).await),
        TargetSpec::Http(target) => ("http", url_fields(&target.url, 80, cx)),
        TargetSpec::Kv(target) => ("kv", url_fields(&target.url, 80, cx)),
        TargetSpec::Postgres(target) => ("postgres", url_fields(&target.url, 5432, cx)),
        TargetSpec::Mysql(target) => ("mysql", url_fields(&target.url, 3306, cx)),
        TargetSpec::S3(target) => ("s3", bucket(target, cx)),
        TargetSpec::Redis(target) => ("redis", url_fields(&target.url, 6379, cx)),
        TargetSpec::Couchdb(target) => ("couchdb", database(&target.url, cx)),
        TargetSpec::Etcd(target) => ("etcd", url_fields(&target.url, 2379, cx)),
        TargetSpec::Mongodb(target) => ("mongodb", url_fields(&target.url, 27017, cx)),
        TargetSpec::Rabbitmq(target) => ("rabbitmq", url_fields(&target.url, 5672, cx)),
        TargetSpec::Elasticsearch(target) => ("elasticsearch", url_fields(&target.url, 9200, cx)),
        TargetSpec::Host(_) => ("host", Ok(this_machine())),
        TargetSpec::Service(target) => ("service", service(name, target, cx).await),
        TargetSpec::Tcp(target) => ("tcp", address_fields(&shown(&target.address, cx))),
        TargetSpec::Container(target) => {
            ("container", container::find(target, cx).await.map(|fields| (Vec::new(), fields)))
        }
        TargetSpec::Kubernetes(target) => return super::objects::resolve(name, target, cx).await,
        TargetSpec::File(target) => ("file", path_fields(&target.path, PathKind::File, cx).await),
        TargetSpec::Directory(target) => ("directory", path_fields(&target.path, PathKind::Directory, cx).await),
        TargetSpec::Network(target) => ("network", network(target, cx)),
        TargetSpec::Proxy(_) | TargetSpec::Resolver(_) => {
            (spec.kind(), super::doors::found(name, spec, cx).await.map(|fields| (Vec::new(), fields)))
        }
    };
    let (processes, fields) = found.map_err(|why| format!("target `{name}`: {why}"))?;
    Ok(PinnedTarget { name: name.to_owned(), kind: kind.to_owned(), processes, fields, objects: Vec::new() })
}

type Found = (Vec<ProcessIdentity>, BTreeMap<String, String>);

/// Everything filled in but secrets.
fn shown(template: &Template, cx: &Cx<'_>) -> String {
    cx.journalable(template).to_string()
}

async fn processes(name: &str, target: &ProcessTarget, cx: &Cx<'_>) -> Result<Found, String> {
    let said = said_pids(target, cx).await?;
    let mut fields = BTreeMap::new();
    let mut pids: Vec<i32> = Vec::new();
    for line in said.lines().map(str::trim).filter(|l| !l.is_empty()) {
        match (line.parse::<i32>(), line.split_once('=')) {
            (Ok(pid), _) => pids.push(pid),
            (_, Some((key, value))) => {
                fields.insert(key.trim().to_owned(), value.trim().to_owned());
            }
            _ => return Err(format!("`{line}` is neither a pid nor name=value")),
        }
    }
    let mut live: Vec<ProcessIdentity> = Vec::new();
    for pid in &pids {
        live.extend(cx.world.processes.identify(*pid).map_err(|e| e.to_string())?);
    }
    let listed = |all: Vec<String>| all.join(" ");
    if live.is_empty() {
        let pids = listed(pids.iter().map(ToString::to_string).collect());
        let what = if pids.is_empty() { "no pid was given".to_owned() } else { format!("pid {pids} is not alive") };
        return Err(format!("{what}, so there is no process `{name}`"));
    }
    fields.insert("pid".to_owned(), live[0].pid.to_string());
    fields.insert("pids".to_owned(), listed(live.iter().map(|p| p.pid.to_string()).collect()));
    fields.entry("name".to_owned()).or_insert_with(|| live[0].name.clone());
    Ok((live, fields))
}

async fn said_pids(target: &ProcessTarget, cx: &Cx<'_>) -> Result<String, String> {
    if let Some(pid) = &target.pid {
        return cx.text(pid).map_err(|e| e.to_string());
    }
    if let Some(file) = &target.pidfile {
        let path = cx.scope.base().join(cx.text(file).map_err(|e| e.to_string())?);
        let text = std::fs::read_to_string(&path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
        return Ok(text.lines().next().unwrap_or_default().to_owned());
    }
    let Some(command) = &target.command else { return Err("it has neither pid, pidfile nor command".to_owned()) };
    let done = cx.run_command(command).await.map_err(|e| e.to_string())?;
    if done.ok { Ok(done.answer) } else { Err(done.detail) }
}

fn this_machine() -> Found {
    let name = host::name().unwrap_or_else(|| "this machine".to_owned());
    (Vec::new(), BTreeMap::from([("name".to_owned(), name)]))
}

/// A service that is active, by its main process where it has one.
async fn service(name: &str, target: &ServiceTarget, cx: &Cx<'_>) -> Result<Found, String> {
    let service = Service::of(name, target, cx);
    let state = service.state(cx).await.map_err(|e| e.to_string())?;
    if !state.active {
        return Err(format!("{}, so there is nothing to break", state.words));
    }
    let mut fields = BTreeMap::from([("name".to_owned(), service.name.clone())]);
    fields.extend(service.unit().map(|unit| ("unit".to_owned(), unit)));
    fields.extend(service.target.pidfile.iter().map(|file| ("pidfile".to_owned(), file.to_string())));
    fields.extend(state.process.iter().map(|process| ("pid".to_owned(), process.pid.to_string())));
    Ok((state.process.into_iter().collect(), fields))
}

fn url_fields(url: &Template, port: u16, cx: &Cx<'_>) -> Result<Found, String> {
    let url = known(shown(url, cx))?;
    let (scheme, rest) = url.split_once("://").ok_or_else(|| "its URL has no scheme://".to_owned())?;
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (login, address) = authority.rsplit_once('@').unwrap_or(("", authority));
    let listed = ["redis", "etcd", "postgres", "mysql", "mongodb", "amqp", "elasticsearch"];
    let listed = listed.iter().any(|system| scheme.starts_with(system));
    let first = if listed { address.split(',').next().unwrap_or_default() } else { address };
    let port = match scheme {
        "https" => 443,
        "amqps" => 5671,
        _ => port,
    };
    // Of several, the first that is named stands for all.
    let sentinel = scheme.ends_with("+sentinel");
    let port = if sentinel { 26379 } else { port };
    let (host, port) = host_port(first).unwrap_or((first, port));
    let slash = if path.is_empty() { "" } else { "/" };
    let mut fields = BTreeMap::from([
        ("url".to_owned(), format!("{scheme}://{address}{slash}{path}")),
        ("host".to_owned(), host.trim_matches(['[', ']']).to_owned()),
        ("port".to_owned(), port.to_string()),
    ]);
    // A single server of a database is its `host`.
    if listed && (!scheme.starts_with("postgres") || address.contains(',')) {
        fields.insert("hosts".to_owned(), address.to_owned());
    }
    if scheme.starts_with("postgres") || scheme == "mysql" {
        fields.insert("database".to_owned(), path.to_owned());
        fields.insert("user".to_owned(), login.split(':').next().unwrap_or_default().to_owned());
    }
    Ok((Vec::new(), fields))
}

/// A server by its URL, and the database in it.
fn database(url: &Template, cx: &Cx<'_>) -> Result<Found, String> {
    let (processes, mut fields) = url_fields(url, 80, cx)?;
    let name = fields.get("url").and_then(|url| url.trim_end_matches('/').rsplit('/').next()).map(str::to_owned);
    fields.extend(name.map(|name| ("database".to_owned(), name)));
    Ok((processes, fields))
}

/// The service by its endpoint, and the bucket in it.
fn bucket(target: &S3Target, cx: &Cx<'_>) -> Result<Found, String> {
    let (processes, mut fields) = url_fields(&target.endpoint, 80, cx)?;
    fields.insert("bucket".to_owned(), known(shown(&target.bucket, cx))?);
    Ok((processes, fields))
}

/// A file system that is alive says where a path leads in less.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PathKind {
    File,
    Directory,
}

/// The path without links, for what is done to a file is done to what the links name.
async fn path_fields(path: &Template, kind: PathKind, cx: &Cx<'_>) -> Result<Found, String> {
    let written = cx.scope.base().join(shown(path, cx));
    let written = std::path::absolute(&written).unwrap_or(written);
    if kind == PathKind::Directory {
        // By a process of its own first: a mount whose server is gone would keep this one from ever ending.
        let question = Question::Directory(written.clone(), DirectoryAsk::Mounted);
        if let Err(AdapterError::TimedOut(why)) = cx.world.systems.look(&question, PATIENCE).await {
            return Err(format!("{why}: is what is mounted there dead?"));
        }
    }
    let path = std::fs::canonicalize(&written).map_err(|e| format!("cannot find {}: {e}", written.display()))?;
    let form = cx.world.disks.facts(&path).await.map_err(|e| e.to_string())?.map(|f| f.form);
    let text = path.to_str().ok_or_else(|| format!("{} is not UTF-8", path.display()))?.to_owned();
    match (kind, form) {
        (PathKind::File, Some(Form::File)) | (PathKind::Directory, Some(Form::Directory)) => {}
        (PathKind::File, _) => return Err(format!("{text} is no regular file")),
        (PathKind::Directory, _) => return Err(format!("{text} is no directory")),
    }
    let part = |p: Option<&std::ffi::OsStr>| p.unwrap_or_default().to_string_lossy().into_owned();
    let folder = part(path.parent().map(Path::as_os_str));
    let fields = [("path", text), ("name", part(path.file_name())), ("folder", folder)];
    Ok((Vec::new(), fields.map(|(k, v)| (k.to_owned(), v)).into()))
}

/// Another target's fields may not be there yet.
fn known(text: String) -> Result<String, String> {
    if text.contains("${targets.") { Err(format!("`{text}` is not known yet")) } else { Ok(text) }
}

fn address_fields(address: &str) -> Result<Found, String> {
    let address = known(address.to_owned())?;
    let address = address.as_str();
    let (host, port) = host_port(address).ok_or_else(|| format!("`{address}` is not host:port"))?;
    let fields = [("address", address), ("host", host), ("port", &port.to_string())];
    Ok((Vec::new(), fields.map(|(k, v)| (k.to_owned(), v.to_owned())).into()))
}

fn host_port(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    Some((host, port.parse().ok()?))
}

/// A path starts from the playbook's folder, wherever it is healed from; a name stays one.
pub(super) fn from_base(namespace: String, cx: &Cx<'_>) -> String {
    if !namespace.contains('/') {
        return namespace;
    }
    let path = cx.scope.base().join(&namespace);
    std::path::absolute(&path).unwrap_or(path).to_string_lossy().into_owned()
}

fn owned((name, value): (&str, String)) -> (String, String) {
    (name.to_owned(), value)
}

/// The namespace and its inode, by which it cannot be mistaken for another of the same name.
fn network(target: &NetworkTarget, cx: &Cx<'_>) -> Result<Found, String> {
    let text = |t: &Option<Template>| t.as_ref().map(|t| cx.text(t).map_err(|e| e.to_string())).transpose();
    let (namespace, pid) = (text(&target.namespace)?, text(&target.pid)?);
    let named =
        pid.map(|pid| format!("/proc/{pid}/ns/net")).or(namespace.map(|n| from_base(n, cx))).unwrap_or_default();
    let found = cx.world.network.namespace(&NetworkPlace::named(&named)).map_err(|e| e.to_string())?;
    let identity = found.ok_or_else(|| format!("there is no network namespace `{named}`"))?;
    let (inode, interface) = (identity.inode.to_string(), text(&target.interface)?);
    // By whatever name two drills know it, it is the same one.
    let own = interface.as_deref().map_or_else(|| inode.clone(), |interface| format!("{inode} {interface}"));
    let mut fields = BTreeMap::from([("namespace", named), ("inode", inode), ("identity", own)].map(owned));
    fields.extend(interface.map(|interface| ("interface".to_owned(), interface)));
    Ok((Vec::new(), fields))
}

/// All targets as they are now. They may name fields of each other, so it takes as many rounds as the longest chain.
pub(super) async fn resolve_all(scene: &Scene) -> Result<Vec<PinnedTarget>, Vec<String>> {
    let mut found: BTreeMap<String, PinnedTarget> = BTreeMap::new();
    loop {
        let mut errors = Vec::new();
        let before = found.len();
        for (name, spec) in scene.target_specs() {
            if found.contains_key(name) {
                continue;
            }
            match resolve(name, spec, &scene.cx()).await {
                Ok(target) => {
                    scene.add_found(target.clone());
                    found.insert(name.clone(), target);
                }
                Err(why) => errors.push(why),
            }
        }
        if errors.is_empty() {
            return Ok(found.into_values().collect());
        }
        if found.len() == before {
            return Err(errors);
        }
    }
}

/// Every target as it is now, or why it cannot be resolved, without a run: read-only, for `plan`.
pub async fn look(plan: &Plan, world: &World) -> BTreeMap<String, Result<PinnedTarget, String>> {
    let scene = Scene::new(plan, world, &RunId("plan".to_owned()), Path::new("."), Path::new("."));
    let missing = resolve_all(&scene).await.err().unwrap_or_default();
    let found = scene.found();
    let why = |name: &str| {
        let prefix = format!("target `{name}`: ");
        let said = missing.iter().find_map(|why| why.strip_prefix(&prefix));
        said.unwrap_or("cannot be resolved now").to_owned()
    };
    let names = plan.targets.keys();
    names.map(|name| (name.clone(), found.get(name).cloned().ok_or_else(|| why(name)))).collect()
}

/// A database may say itself that no drill runs on it: `ALTER DATABASE app SET blackstart.protected = 'on'`. One that
/// cannot be asked is judged by the steady state, not here.
pub(super) async fn protected(targets: &[PinnedTarget], scene: &Scene) -> Vec<String> {
    const ASK: &str = "select current_setting('blackstart.protected', true)";
    let mut reasons = Vec::new();
    for target in targets.iter().filter(|target| target.kind == "postgres") {
        let name = &target.name;
        let Ok(url) = scene.cx().scope.url(&TargetRef::Now(name.clone())) else { continue };
        let said = scene.world.sql.scalar(&url, ASK, &[], CONNECT).await;
        let says = said.ok().flatten().unwrap_or_default().to_lowercase();
        if !["", "off", "false", "no", "0"].contains(&says.as_str()) {
            reasons.push(format!(
                "target `{name}` says that it is protected (blackstart.protected = {says}): no drill runs on it"
            ));
        }
    }
    reasons
}

/// Where a target accepts connections, `host:port` each: one of several is enough.
fn addresses(target: &PinnedTarget) -> Vec<String> {
    let (Some(host), Some(port)) = (target.fields.get("host"), target.fields.get("port")) else { return Vec::new() };
    let whole = |host: &str, port: &str| {
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    };
    let Some(listed) = target.fields.get("hosts") else { return vec![whole(host, port)] };
    let each = listed.split(',').filter(|address| !address.is_empty());
    each.map(|address| {
        host_port(address).map_or_else(|| whole(address.trim_matches(['[', ']']), port), |_| address.to_owned())
    })
    .collect()
}

/// Waits until every target with an address accepts connections; of one with several, until any does.
pub(super) async fn reach(targets: &[PinnedTarget], world: &World, limit: Duration) -> Vec<String> {
    let until = world.clock.mono().after(limit);
    let mut errors = Vec::new();
    for target in targets {
        let addresses = addresses(target);
        while !addresses.is_empty() {
            let mut last = None;
            for address in &addresses {
                match world.tcp.connect(address, CONNECT).await {
                    Ok(()) => {
                        last = None;
                        break;
                    }
                    Err(why) => last = Some(why),
                }
            }
            match last {
                None => break,
                Some(_) if world.clock.mono() < until => {
                    world.clock.sleep_until(world.clock.mono().after(AGAIN)).await;
                }
                Some(why) => {
                    errors.push(format!("target `{}` cannot be reached: {why}", target.name));
                    break;
                }
            }
        }
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_several_servers_is_enough_and_each_has_its_port() {
        let of = |fields: &[(&str, &str)]| {
            let fields = fields.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            addresses(&PinnedTarget { fields, ..PinnedTarget::default() })
        };
        assert_eq!(of(&[("host", "::1"), ("port", "80")]), ["[::1]:80"]);
        let several = of(&[("host", "h1"), ("port", "5433"), ("hosts", "h1:5433,h2,[::1]:5434")]);
        assert_eq!(several, ["h1:5433", "h2:5433", "[::1]:5434"]);
        assert!(of(&[("path", "/srv")]).is_empty());
    }
}
