//! From a workload as planned to what its client needs: references filled in, the target's URL put in its place.
//! Nothing is opened here.

use crate::adapters::{ClientSettings, Command, Endpoint, HttpVersion, Line, Request};
use crate::faults::{Cx, FaultError};
use crate::model::{ClientBehaviour, Comparison, RunId, Template};
use crate::plan::{TargetSpec, WorkloadPlan};
use crate::workloads::{CommandClient, HttpVisits, LEDGER_TABLE, Ledger, TcpTalks, WorkloadSpec};
use std::collections::BTreeMap;
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
    match (target, plan.probe_of.is_some()) {
        (Some(TargetSpec::Kv(kv)), false) => Ok(Endpoint::KvLedger { url: base(text(&kv.url)?) }),
        (Some(TargetSpec::Kv(kv)), true) => Ok(probe(plan, &base(text(&kv.url)?))),
        (Some(TargetSpec::Postgres(db)), false) => {
            let table = ledger.table.clone().unwrap_or_else(|| LEDGER_TABLE.to_owned());
            Ok(Endpoint::PostgresLedger { url: text(&db.url)?, table })
        }
        (Some(TargetSpec::Postgres(db)), true) => Ok(Endpoint::PostgresProbe { url: text(&db.url)? }),
        _ => {
            let why = format!("target `{}` holds no ledger; it must be of kind kv or postgres", ledger.target);
            Err(EndpointError::Unfit(plan.name.to_string(), why))
        }
    }
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
    Ok(Line { version, ca, server_name: text(&visits.server_name)?, resolver: text(&visits.resolver)? })
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
