//! From a workload as planned to what its client needs: references filled in, the target's URL put in its place.
//! Nothing is opened here.

use crate::adapters::directory::records;
use crate::adapters::elasticsearch::SearchPlace;
use crate::adapters::s3::BucketPlace;
use crate::adapters::{
    ClientSettings, Command, DirectoryPlace, Endpoint, HttpVersion, Line, RedisWait, Request, ServerPlace,
};
use crate::faults::{Cx, FaultError};
use crate::model::{ClientBehaviour, Comparison, Dur, RunId, Template};
use crate::plan::{S3Target, TargetSpec, WorkloadPlan};
use crate::probes;
use crate::workloads::{CommandClient, HttpVisits, LEDGER_TABLE, Ledger, TcpTalks, WorkloadSpec};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;

const PAYLOAD: u64 = 128;

/// Why a workload cannot be opened as planned.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EndpointError {
    /// A reference cannot be filled in.
    #[error("workload `{0}`: {1}")]
    Reference(String, FaultError),
    /// Lowering lets no such plan through.
    #[error("workload `{0}`: {1}")]
    Unfit(String, String),
}

/// What the workload's client needs. `target` is the target that a ledger names, as planned.
///
/// # Errors
/// When a reference cannot be filled in, or a ledger's target is of no kind that can hold one.
pub fn endpoint(
    plan: &WorkloadPlan,
    target: Option<&TargetSpec>,
    run: &RunId,
    cx: &Cx<'_>,
) -> Result<(Endpoint, ClientSettings), EndpointError> {
    let wrong = |e| EndpointError::Reference(plan.name.to_string(), e);
    let endpoint = match &plan.spec {
        WorkloadSpec::Ledger(ledger) => ledger_endpoint(plan, ledger, target, cx)?,
        WorkloadSpec::Http(visits) => http_endpoint(plan, visits, cx)?,
        WorkloadSpec::Tcp(talks) => tcp_endpoint(talks, cx).map_err(wrong)?,
        WorkloadSpec::Command(client) => Endpoint::Command { command: command(client, plan, cx).map_err(wrong)? },
    };
    let payload = match &plan.spec {
        WorkloadSpec::Ledger(ledger) => ledger.payload.map_or(PAYLOAD, |size| size.0),
        WorkloadSpec::Http(_) | WorkloadSpec::Tcp(_) | WorkloadSpec::Command(_) => PAYLOAD,
    };
    let settings = ClientSettings {
        run: run.clone(),
        behaviour: if plan.probe_of.is_some() { ClientBehaviour::Fresh } else { plan.client.clone() },
        timeout: plan.timeout,
        writers: writers(plan),
        payload,
        rate: plan.rate,
    };
    Ok((endpoint, settings))
}

/// All numbers of writers are below this. What one site holds is from the writers of all.
fn writers(plan: &WorkloadPlan) -> u16 {
    match &plan.spec {
        _ if plan.probe_of.is_some() => 0,
        WorkloadSpec::Ledger(ledger) if plan.site.is_some() => ledger.writers,
        _ => plan.writers,
    }
}

fn command(client: &CommandClient, plan: &WorkloadPlan, cx: &Cx<'_>) -> Result<Command, FaultError> {
    let env = client.env.iter().map(|(name, value)| Ok((name.clone(), cx.text(value)?)));
    let base = cx.scope.base();
    Ok(Command {
        argv: client.argv.iter().map(|word| cx.text(word)).collect::<Result<_, _>>()?,
        env: env.collect::<Result<_, FaultError>>()?,
        stdin: None,
        cwd: Some(client.cwd.as_ref().map(|dir| cx.text(dir)).transpose()?.map_or(base.clone(), |dir| base.join(dir))),
        timeout: plan.timeout,
    })
}

fn ledger_endpoint(
    plan: &WorkloadPlan,
    ledger: &Ledger,
    target: Option<&TargetSpec>,
    cx: &Cx<'_>,
) -> Result<Endpoint, EndpointError> {
    let text = |template| cx.text(template).map_err(|e| EndpointError::Reference(plan.name.to_string(), e));
    let server = |url, connect, response| Ok::<_, EndpointError>(place(text(url)?, connect, response));
    let name = ledger.table.clone().unwrap_or_else(|| LEDGER_TABLE.to_owned());
    let Some(target) = target else { return Err(no_ledger(plan, ledger)) };
    let (records, visits) = match target {
        TargetSpec::Kv(kv) => {
            let url = base(text(&kv.url)?);
            (Endpoint::KvLedger { url: url.clone() }, probe(plan, &url))
        }
        TargetSpec::Postgres(db) => {
            let url = text(&db.url)?;
            (Endpoint::PostgresLedger { url: url.clone(), table: name }, Endpoint::PostgresProbe { url })
        }
        TargetSpec::Mysql(db) => {
            let place = server(&db.url, db.connect_timeout, db.response_timeout)?;
            (Endpoint::MysqlLedger { place: place.clone(), table: name }, Endpoint::MysqlProbe { place })
        }
        TargetSpec::Redis(redis) => {
            let place = server(&redis.url, redis.connect_timeout, redis.response_timeout)?;
            let wait = ledger.wait.map(|wait| RedisWait { replicas: wait.replicas, timeout: wait.timeout.0 });
            let probe = Endpoint::RedisProbe { place: place.clone(), prefix: name.clone() };
            (Endpoint::RedisLedger { place, prefix: name, wait }, probe)
        }
        TargetSpec::Etcd(etcd) => {
            let place = server(&etcd.url, etcd.connect_timeout, etcd.response_timeout)?;
            let probe = Endpoint::EtcdProbe { place: place.clone(), prefix: name.clone() };
            (Endpoint::EtcdLedger { place, prefix: name }, probe)
        }
        TargetSpec::Couchdb(couchdb) => {
            let place = server(&couchdb.url, couchdb.connect_timeout, couchdb.response_timeout)?;
            let probe = Endpoint::CouchdbProbe { place: place.clone(), prefix: name.clone() };
            (Endpoint::CouchdbLedger { place, prefix: name }, probe)
        }
        TargetSpec::Mongodb(set) => {
            let place = server(&set.url, set.connect_timeout, set.response_timeout)?;
            let probe = Endpoint::MongodbProbe { place: place.clone(), prefix: name.clone() };
            (Endpoint::MongodbLedger { place, prefix: name }, probe)
        }
        TargetSpec::Rabbitmq(rabbitmq) => {
            let place = server(&rabbitmq.url, rabbitmq.connect_timeout, rabbitmq.response_timeout)?;
            let queue = ledger.queue.clone().unwrap_or_default();
            let probe = Endpoint::RabbitmqProbe { place: place.clone(), prefix: name.clone(), queue: queue.clone() };
            (Endpoint::RabbitmqLedger { place, prefix: name, queue }, probe)
        }
        TargetSpec::Elasticsearch(search) => {
            let server = server(&search.url, search.connect_timeout, search.response_timeout)?;
            let api_key = search.api_key.as_ref().map(text).transpose()?;
            let place = SearchPlace { server, api_key, active_shards: search.active_shards };
            (Endpoint::ElasticLedger(place.clone(), name.clone()), Endpoint::ElasticProbe(place, name))
        }
        TargetSpec::S3(s3) => {
            let place = bucket_place(plan, s3, cx)?;
            (Endpoint::S3Ledger(place.clone(), name.clone()), Endpoint::S3Probe(place, name))
        }
        TargetSpec::Directory(directory) => {
            let place = directory_place(ledger, text(&directory.path)?, name, cx);
            (Endpoint::DirectoryLedger { place: place.clone() }, Endpoint::DirectoryProbe { place })
        }
        _ => return Err(no_ledger(plan, ledger)),
    };
    Ok(if plan.probe_of.is_some() { visits } else { records })
}

fn no_ledger(plan: &WorkloadPlan, ledger: &Ledger) -> EndpointError {
    let why = format!("target `{}` is of a kind that holds no ledger", ledger.target);
    EndpointError::Unfit(plan.name.to_string(), why)
}

fn bucket_place(plan: &WorkloadPlan, s3: &S3Target, cx: &Cx<'_>) -> Result<BucketPlace, EndpointError> {
    let bucket = probes::bucket(s3, cx).map_err(|e| EndpointError::Reference(plan.name.to_string(), e))?;
    let (connect_timeout, response_timeout) = (s3.connect_timeout.map(|d| d.0), s3.response_timeout.map(|d| d.0));
    Ok(BucketPlace { bucket, connect_timeout, response_timeout })
}

fn directory_place(ledger: &Ledger, path: String, name: String, cx: &Cx<'_>) -> DirectoryPlace {
    DirectoryPlace {
        path: absolute(&cx.scope.base().join(path)),
        name,
        fsync: ledger.fsync.unwrap_or_default(),
        layout: ledger.layout.unwrap_or_default(),
        need: None,
    }
}

/// Links stay as they are: a failover may be a link that leads somewhere else.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

/// What a ledger may write in a directory if it writes for as long as it may: so much must be free.
pub fn demand(mut endpoint: Endpoint, plan: &WorkloadPlan, settings: &ClientSettings, longest: Duration) -> Endpoint {
    if let Endpoint::DirectoryLedger { place } = &mut endpoint {
        let bytes = plan.rate * longest.as_secs_f64() * records::size(settings.payload) as f64;
        place.need = Some(bytes as u64);
    }
    endpoint
}

fn place(url: String, connect: Option<Dur>, response: Option<Dur>) -> ServerPlace {
    ServerPlace { url, connect_timeout: connect.map(|d| d.0), response_timeout: response.map(|d| d.0) }
}

fn base(mut url: String) -> String {
    url.truncate(url.trim_end_matches('/').len());
    url
}

/// The page of the embedded staging, with a nonce that must come back.
fn probe(plan: &WorkloadPlan, base: &str) -> Endpoint {
    let request = Request {
        method: "GET".to_owned(),
        url: format!("{base}/?nonce={{nonce}}"),
        headers: BTreeMap::new(),
        body: None,
        timeout: plan.timeout,
    };
    Endpoint::Http { request, status: vec![200], contains: Some("{nonce}".to_owned()), line: Line::default() }
}

fn tcp_endpoint(talks: &TcpTalks, cx: &Cx<'_>) -> Result<Endpoint, FaultError> {
    let text = |template: &Option<Template>| template.as_ref().map(|t| cx.text(t)).transpose();
    let address = cx.text(&talks.address)?;
    Ok(Endpoint::Tcp {
        address,
        send: text(&talks.send)?,
        expect: text(&talks.expect)?,
        resolver: text(&talks.resolver)?,
    })
}

fn line(visits: &HttpVisits, cx: &Cx<'_>) -> Result<Line, FaultError> {
    let text = |template: &Option<Template>| template.as_ref().map(|t| cx.text(t)).transpose();
    let ca = text(&visits.ca)?.map(|file| cx.scope.base().join(file).display().to_string());
    let version = if visits.version == Some(2) { HttpVersion::Two } else { HttpVersion::One };
    Ok(Line { version, ca, server_name: text(&visits.server_name)?, resolver: text(&visits.resolver)?, identity: None })
}

fn http_endpoint(plan: &WorkloadPlan, visits: &HttpVisits, cx: &Cx<'_>) -> Result<Endpoint, EndpointError> {
    let text = |template| cx.text(template).map_err(|e| EndpointError::Reference(plan.name.to_string(), e));
    let headers = visits.headers.iter().map(|(name, value)| Ok((name.clone(), text(value)?)));
    let request = Request {
        method: visits.method.clone(),
        url: text(&visits.url)?,
        headers: headers.collect::<Result<_, _>>()?,
        body: visits.body.as_ref().map(text).transpose()?.map(String::into_bytes),
        timeout: plan.timeout,
    };
    let contains = match &visits.expect.body {
        None => None,
        Some(Comparison::Contains(part)) => Some(text(&part.0)?),
        Some(_) => {
            let why = "the body of a visit can only be compared with `contains`".to_owned();
            return Err(EndpointError::Unfit(plan.name.to_string(), why));
        }
    };
    let line = line(visits, cx).map_err(|e| EndpointError::Reference(plan.name.to_string(), e))?;
    Ok(Endpoint::Http { request, status: visits.expect.status.into_iter().collect(), contains, line })
}
