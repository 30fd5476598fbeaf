//! What clients do, and the guards that watch over the drill.

use super::expressions;
use super::references::{self, Stage, no_steps};
use super::vantages::{self, Vantages};
use super::{Cx, kind_of, sites};
use crate::model::{
    ClientBehaviour, Comparison, Dur, FileLayout, Fsync, Percent, RetryPolicy, Service, Template, WorkloadName,
};
use crate::plan::{Budget, GuardCheck, GuardPlan, ServiceSpec, TargetPlan, TargetSpec, Waiver, WorkloadPlan};
use crate::playbook::Region;
use crate::playbook::ast::DrillAst;
use crate::playbook::fields::Fields;
use crate::playbook::is_snake;
use crate::playbook::tree::{Name, Node};
use crate::probes::{self, CouchdbProbe, HttpExpect, PostgresProbe, ProbeSpec, S3Probe};
use crate::workloads::{self, ClientSpec, HttpVisits, Ledger, TcpTalks, WorkloadSpec};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(5);
/// Operations a second of the availability probe that a ledger brings along.
const PROBE_RATE: f64 = 20.0;
/// More operations in flight than there are ports towards one address.
const MOST_IN_FLIGHT: f64 = 28_000.0;
const MOST_RATE: f64 = 1_000_000.0;
const MOST_WRITERS: u16 = 4096;
const MOST_PAYLOAD: u64 = 1 << 20;

/// Kinds of targets that can hold a ledger.
pub(super) const LEDGERS: &[&str] =
    &["kv", "postgres", "mysql", "redis", "etcd", "directory", "couchdb", "s3", "mongodb", "rabbitmq", "elasticsearch"];

type Targets = BTreeMap<String, TargetPlan>;

pub(super) fn workloads(
    cx: &Cx<'_>,
    sections: &DrillAst<'_>,
    targets: &Targets,
    vantages: &Vantages,
) -> Vec<WorkloadPlan> {
    let mut plans = Vec::new();
    for (name, node) in sections.workloads {
        if !is_snake(&name.text) {
            let message = format!("`{}` cannot name a workload: lower-case letters, digits and `_` can", name.text);
            cx.wrong(
                name.region,
                message,
                format!("write `{}`", name.text.to_lowercase().replace(['-', '.', ' '], "_")),
            );
        }
        references::check(cx, node, Stage::Run, &no_steps);
        expressions::check(cx, node);
        let plan = workload(cx, name, node, targets);
        plans.extend(vantages::spread(cx, node, plan, vantages));
    }
    plans
}

fn workload(cx: &Cx<'_>, name: &Name, node: &Node, targets: &Targets) -> Vec<WorkloadPlan> {
    let kinds: Vec<&str> = workloads::KINDS.iter().map(|k| k.kind).collect();
    let service_node = node.get("service");
    let service = service_node.map(|n| cx.decode::<ServiceSpec>(n, "service"));
    let Some(kind) = kind_of(cx, node, &name.text, &kinds, &["service", "from"]) else { return Vec::new() };
    let Some(spec) = cx.decode::<WorkloadSpec>(&kind, &name.text) else { return Vec::new() };
    let Some(service) = service.unwrap_or_else(|| Some(ServiceSpec::default())) else { return Vec::new() };
    let at = |key: &str| find_key(&kind, key).unwrap_or(name.region);
    let timeout = spec.timeout().map_or(TIMEOUT, |t| t.0);
    if timeout.is_zero() {
        cx.wrong(at("timeout"), "a time-out must be longer than nothing", "write it like 5s");
    }
    let usual = match &spec {
        WorkloadSpec::Ledger(_) | WorkloadSpec::Command(_) => ClientBehaviour::Pooled,
        WorkloadSpec::Http(_) | WorkloadSpec::Tcp(_) => ClientBehaviour::Fresh,
    };
    let (rate, writers) = (spec.rate().0, spec.writers());
    let client = behaviour(cx, spec.client(), timeout, at("client"), usual);
    check_rate(cx, rate, at("rate"));
    // From here on that of one site.
    let rate = rate / f64::from(sites::count(&spec));
    let service = judged(cx, &service, service_node, rate, timeout);
    match &spec {
        WorkloadSpec::Ledger(ledger) => check_ledger(cx, ledger, &kind, targets),
        WorkloadSpec::Http(visits) => check_visits(cx, visits, &kind, rate, timeout),
        WorkloadSpec::Tcp(talks) => check_talks(cx, talks, &kind, rate, timeout),
        WorkloadSpec::Command(command) => check_words(cx, &command.argv, kind.region),
    }
    let place = cx.place(name.region);
    let plan = WorkloadPlan {
        name: WorkloadName(name.text.clone()),
        spec,
        service,
        rate,
        timeout,
        client,
        writers,
        probe_of: None,
        vantage: None,
        site: None,
        place,
    };
    sites::spread(plan)
        .into_iter()
        .flat_map(|plan| {
            let probe = probe(&plan, targets);
            std::iter::once(plan).chain(probe)
        })
        .collect()
}

/// The availability probe that a ledger brings along: fresh connections to the same target, so that an outage is seen
/// even while every writer waits for an answer.
fn probe(ledger: &WorkloadPlan, targets: &Targets) -> Option<WorkloadPlan> {
    let WorkloadSpec::Ledger(spec) = &ledger.spec else { return None };
    let rate = spec.probe_rate.map_or(PROBE_RATE, |r| r.0);
    let spec = match targets.get(&spec.target).map(|t| &t.spec) {
        Some(TargetSpec::Kv(_)) => WorkloadSpec::Http(HttpVisits {
            url: Template::parse(&format!("${{targets.{}.url}}/?nonce={{nonce}}", spec.target)).ok()?,
            method: "GET".to_owned(),
            headers: BTreeMap::new(),
            body: None,
            expect: HttpExpect::default(),
            version: None,
            ca: None,
            server_name: None,
            resolver: None,
            rate: crate::model::Rate(rate),
            timeout: spec.timeout,
            client: Some(ClientSpec::Fresh),
        }),
        _ => ledger.spec.clone(),
    };
    Some(WorkloadPlan {
        name: WorkloadName(format!("{}.probe", ledger.name)),
        spec,
        rate,
        writers: 0,
        client: ClientBehaviour::Fresh,
        probe_of: Some(ledger.name.clone()),
        site: None,
        ..ledger.clone()
    })
}

/// Where the value of a key stands, anywhere in a value.
pub(super) fn find_key(node: &Node, key: &str) -> Option<Region> {
    node.get(key).map(|n| n.region).or_else(|| node.entries().iter().find_map(|(_, n)| find_key(n, key)))
}

fn check_rate(cx: &Cx<'_>, rate: f64, at: Region) {
    if rate <= 0.0 {
        cx.wrong(at, "a rate must be more than nothing", "write it like 50/s");
    } else if rate > MOST_RATE {
        cx.wrong(at, format!("a rate of {rate}/s is more than one runner can send"), format!("at most {MOST_RATE}/s"));
    }
}

fn behaviour(
    cx: &Cx<'_>,
    spec: Option<&ClientSpec>,
    timeout: Duration,
    at: Region,
    default: ClientBehaviour,
) -> ClientBehaviour {
    let retry = match spec {
        None => return default,
        Some(ClientSpec::Fresh) => return ClientBehaviour::Fresh,
        Some(ClientSpec::Pooled) => return ClientBehaviour::Pooled,
        Some(ClientSpec::Retrying(retry)) => retry,
    };
    if retry.attempts < 2 {
        cx.wrong(at, "a retrying client makes at least 2 attempts", "write `attempts: 2` or more, or `client: pooled`");
    }
    let attempt_timeout = retry.attempt_timeout.map_or(timeout / 4, |d| d.0);
    if attempt_timeout > timeout {
        cx.wrong(
            at,
            "one attempt may take longer than all of them together",
            "make `attempt_timeout` shorter than `timeout`",
        );
    }
    ClientBehaviour::Retrying(RetryPolicy {
        attempts: retry.attempts,
        backoff: retry.backoff.map_or(Duration::from_millis(100), |d| d.0),
        max_backoff: retry.max_backoff.map_or(Duration::from_secs(1), |d| d.0),
        attempt_timeout,
    })
}

fn judged(cx: &Cx<'_>, spec: &ServiceSpec, node: Option<&Node>, rate: f64, timeout: Duration) -> Service {
    let default = Service::default();
    let at = |key: &str| node.and_then(|n| n.get(key).or(Some(n))).map(|n| n.region).unwrap_or_default();
    let time = |d: Option<Dur>, default: Duration| d.map_or(default, |d| d.0);
    // The window in which a service is judged, so that it holds enough operations.
    let window = if rate > 0.0 { (20.0 / rate).clamp(1.0, 86_400.0) } else { 1.0 };
    let service = Service {
        availability: spec.availability.map_or(default.availability, |Percent(share)| share),
        latency: spec.latency.map(|d| d.0),
        deadline: time(spec.deadline, default.deadline.min(timeout)),
        stable: time(spec.stable, default.stable.max(Duration::from_secs_f64(window))),
        merge: time(spec.merge, default.merge),
    };
    if service.availability <= 0.0 {
        cx.wrong(
            at("availability"),
            "an availability of 0% is always met",
            "write how much must be served, like 99.9%",
        );
    }
    if service.deadline > timeout {
        let message = format!("the deadline {} is longer than the time-out {}", Dur(service.deadline), Dur(timeout));
        cx.wrong(
            at("deadline"),
            message,
            "an operation is given up at its time-out: make the deadline shorter or the time-out longer",
        );
    }
    if service.deadline.is_zero() {
        cx.wrong(at("deadline"), "no answer comes within no time", "write it like 1s");
    }
    if service.stable.as_secs_f64() < window {
        let message = format!("`stable` is shorter than the {window} s that a rate of {rate}/s needs to be judged");
        cx.wrong(at("stable"), message, format!("write `stable: {}s` or more", window.ceil()));
    }
    service
}

fn check_ledger(cx: &Cx<'_>, ledger: &Ledger, kind: &Node, targets: &Targets) {
    let at = |key: &str| find_key(kind, key).unwrap_or(kind.region);
    if !(1..=MOST_WRITERS).contains(&ledger.writers) {
        cx.wrong(at("writers"), format!("a ledger has 1 to {MOST_WRITERS} writers"), "write `writers: 8`");
    }
    if ledger.payload.is_some_and(|p| p.0 > MOST_PAYLOAD || p.0 == 0) {
        cx.wrong(at("payload"), format!("a record's payload has 1 to {MOST_PAYLOAD} bytes"), "write `payload: 128B`");
    }
    for (key, rate) in [("read_rate", ledger.read_rate), ("probe_rate", ledger.probe_rate)] {
        rate.into_iter().for_each(|r| check_rate(cx, r.0, at(key)));
    }
    if let Some(table) = &ledger.table
        && !is_snake(table)
    {
        cx.wrong(
            at("table"),
            format!("`{table}` cannot name the ledger's table"),
            "use lower-case letters, digits and `_`",
        );
    }
    sites::check(cx, ledger, kind);
    let written: Vec<&TargetSpec> = sites::written(ledger).filter_map(|t| targets.get(t)).map(|t| &t.spec).collect();
    let named = written.iter().any(|spec| !matches!(spec, TargetSpec::Kv(_)));
    if ledger.table.is_some() && !named && !written.is_empty() {
        cx.wrong(at("table"), "only a ledger in a database has a table", "take `table` out");
    }
    check_wait(cx, ledger, kind, &written);
    check_files(cx, ledger, kind, &written);
    check_queue(cx, ledger, kind, &written);
}

/// How records stand in files.
fn check_files(cx: &Cx<'_>, ledger: &Ledger, kind: &Node, written: &[&TargetSpec]) {
    let at = |key: &str| find_key(kind, key).unwrap_or(kind.region);
    if written.iter().any(|target| !matches!(target, TargetSpec::Directory(_))) {
        for (key, given) in [("fsync", ledger.fsync.is_some()), ("layout", ledger.layout.is_some())] {
            if given {
                cx.wrong(
                    at(key),
                    format!("`{key}` is about files, and only a ledger in a directory has any"),
                    format!("take `{key}` out"),
                );
            }
        }
        return;
    }
    if ledger.fsync == Some(Fsync::Group) && ledger.layout == Some(FileLayout::Files) {
        let help = "write `fsync: each`, or `layout: segments`";
        cx.wrong(at("fsync"), "records that have a file each have nothing in common that could be synced", help);
    }
    if ledger.fsync == Some(Fsync::Group) && matches!(ledger.client, Some(ClientSpec::Fresh)) {
        let help = "write `fsync: each`, or `client: pooled`";
        cx.wrong(at("client"), "a file that all writers share stays open", help);
    }
}

/// Only Redis is asked afterwards; others confirm as they are configured.
fn check_wait(cx: &Cx<'_>, ledger: &Ledger, kind: &Node, written: &[&TargetSpec]) {
    let Some(wait) = ledger.wait else { return };
    let at = find_key(kind, "wait").unwrap_or(kind.region);
    let limit = ledger.timeout.map_or(TIMEOUT, |d| d.0);
    if written.iter().any(|target| !matches!(target, TargetSpec::Redis(_))) {
        let help = "take `wait` out; for SQL, the server's own settings say when a commit is acknowledged";
        cx.wrong(at, "only a ledger in Redis waits for replicas", help);
    }
    if wait.replicas == 0 {
        cx.wrong(at, "this waits for nobody", "write `replicas: 1` or more, or take `wait` out");
    }
    let answer = written.iter().filter_map(|target| match target {
        TargetSpec::Redis(redis) => redis.response_timeout,
        _ => None,
    });
    let limit = answer.map(|d| d.0).chain([limit]).min().unwrap_or(limit);
    if wait.timeout.0.is_zero() || wait.timeout.0 >= limit {
        let message =
            format!("a write is given up after {}: it cannot wait for replicas for {}", Dur(limit), wait.timeout);
        cx.wrong(
            at,
            message,
            "make `wait: {timeout: …}` longer than nothing, and shorter than `timeout` and `response_timeout`",
        );
    }
}

/// Only RabbitMQ has queues, and what is in a queue cannot be looked up.
fn check_queue(cx: &Cx<'_>, ledger: &Ledger, kind: &Node, written: &[&TargetSpec]) {
    let at = |key: &str| find_key(kind, key).unwrap_or(kind.region);
    let queues = written.iter().filter(|target| matches!(target, TargetSpec::Rabbitmq(_))).count();
    if ledger.queue.is_some() && queues < written.len() {
        cx.wrong(at("queue"), "only a ledger in RabbitMQ has a queue", "take `queue` out");
    }
    if ledger.read_rate.is_some() && queues > 0 {
        let help = "take `read_rate` out; the whole queue is read back anyway";
        cx.wrong(at("read_rate"), "a queue cannot be asked for one record", help);
    }
    let arguments = ledger.queue.iter().flat_map(|queue| queue.arguments.keys());
    if arguments.into_iter().any(|name| name == "x-queue-type") {
        let help = "write `queue: {type: classic}` or `{type: quorum}`";
        cx.wrong(at("x-queue-type"), "the queue's type is not said by an argument", help);
    }
}

fn check_visits(cx: &Cx<'_>, visits: &HttpVisits, kind: &Node, rate: f64, timeout: Duration) {
    let at = |key: &str| find_key(kind, key).unwrap_or(kind.region);
    match &visits.expect.body {
        None | Some(Comparison::Contains(_)) => {}
        Some(_) => cx.wrong(
            at("body"),
            "the body of a visit can only be compared with `contains`",
            "write `body: {contains: TEXT}`",
        ),
    }
    if visits.version.is_some_and(|version| !(1..=2).contains(&version)) {
        cx.wrong(at("version"), "visits speak version 1 or 2 of HTTP", "write `version: 2`");
    }
    let plain = visits.url.to_string().starts_with("http://");
    for (key, given) in [("ca", visits.ca.is_some()), ("server_name", visits.server_name.is_some())] {
        if given && plain {
            cx.wrong(at(key), format!("`{key}` says nothing about http://"), "write https://, or take it out");
        }
    }
    check_in_flight(cx, at("rate"), rate, timeout);
}

fn check_talks(cx: &Cx<'_>, talks: &TcpTalks, kind: &Node, rate: f64, timeout: Duration) {
    let at = |key: &str| find_key(kind, key).unwrap_or(kind.region);
    let kept = matches!(talks.client, Some(ClientSpec::Pooled));
    if kept && (talks.send.is_none() || talks.expect.is_none()) {
        let message = "on a connection that is kept, only an answer shows that anybody is there";
        cx.wrong(at("client"), message, "write `send` and `expect`, or `client: fresh`");
    }
    check_in_flight(cx, at("rate"), rate, timeout);
}

fn check_in_flight(cx: &Cx<'_>, at: Region, rate: f64, timeout: Duration) {
    let in_flight = rate * timeout.as_secs_f64();
    if in_flight > MOST_IN_FLIGHT {
        let message =
            format!("{rate}/s for {} are {in_flight} operations in flight: there are not so many ports", Dur(timeout));
        cx.wrong(at, message, format!("rate × timeout is at most {MOST_IN_FLIGHT}"));
    }
}

fn check_words(cx: &Cx<'_>, argv: &[Template], at: Region) {
    if argv.is_empty() {
        cx.wrong(at, "this command has no words", "write `command: [PROGRAM, ARGUMENT, …]`");
    }
}

/// A target must be there, and be of a kind that fits.
pub(super) fn target_of_kind(cx: &Cx<'_>, name: &str, at: Region, kinds: &[&str], what: &str) {
    let known: Vec<&str> = cx.scope.targets.keys().map(String::as_str).collect();
    match cx.scope.targets.get(name) {
        None => cx.unknown(at, "target", name, &known),
        Some((kind, _)) if !kinds.is_empty() && !kinds.contains(&kind.as_str()) => {
            let wanted = kinds.join(" or ");
            let fitting: Vec<&str> = known
                .iter()
                .filter(|k| cx.scope.targets.get(**k).is_some_and(|(kind, _)| kinds.contains(&kind.as_str())))
                .copied()
                .collect();
            let help = match fitting.first() {
                Some(one) => format!("`{one}` is one"),
                None => format!("declare one: `targets: {{NAME: {{{}: …}}}}`", kinds[0]),
            };
            cx.wrong(at, format!("{what} a target of kind {wanted}, and `{name}` is of kind {kind}"), help);
        }
        Some(_) => {}
    }
}

/// The guards, and how long a drill may take.
pub(super) struct Guards {
    pub guards: Vec<GuardPlan>,
    pub max_duration: Duration,
}

pub(super) fn guards(cx: &Cx<'_>, sections: &DrillAst<'_>, workloads: &[WorkloadPlan]) -> Guards {
    let mut found = Guards { guards: Vec::new(), max_duration: Duration::from_secs(3600) };
    let mut limited = false;
    for node in sections.guards {
        if let Some(limit) = node.get("max_duration") {
            if limited {
                cx.wrong(node.region, "`max_duration` stands here twice", "keep one of them");
            }
            limited = true;
            if let Some(mut fields) = Fields::of(node, "a guard", cx.said) {
                fields.get("max_duration");
                fields.finish();
            }
            found.max_duration = cx.some_time(limit, "max_duration").unwrap_or(found.max_duration);
            continue;
        }
        let Some(guard) = guard(cx, node, workloads) else { continue };
        if found.guards.iter().any(|g| g.name == guard.name) {
            let at = node.get("name").map_or(node.region, |n| n.region);
            cx.wrong(at, format!("a guard `{}` stands here already", guard.name), "give each guard a name of its own");
            continue;
        }
        found.guards.push(guard);
    }
    found
}

fn guard(cx: &Cx<'_>, node: &Node, workloads: &[WorkloadPlan]) -> Option<GuardPlan> {
    let kinds: Vec<&str> = probes::KINDS.iter().map(|k| k.kind).chain(["budget"]).collect();
    let kind = kind_of(cx, node, "guard", &kinds, &["name", "every", "tolerate"])?;
    references::check(cx, node, Stage::Run, &no_steps);
    let check = match kind.get("budget") {
        Some(budget) => budget_of(cx, budget, workloads).map(GuardCheck::Budget),
        None => {
            expressions::check(cx, &kind);
            cx.decode::<ProbeSpec>(&kind, "guard").map(|probe| GuardCheck::Probe(Box::new(probe)))
        }
    };
    let mut fields = Fields::of(node, "a guard", cx.said)?;
    let name = fields.require("name", "name: WHAT MUST HOLD").and_then(|n| cx.decode::<String>(n, "name"));
    let every = fields.get("every").map_or(Some(Duration::from_secs(1)), |n| cx.some_time(n, "every"));
    let tolerate = fields.get("tolerate").map_or(Some(0), |n| cx.decode::<u32>(n, "tolerate"));
    let check = check?;
    if let GuardCheck::Probe(probe) = &check {
        if let ProbeSpec::Fingerprint(_) | ProbeSpec::FingerprintAt(_) = &**probe {
            let help = "look at one figure by `sql` or `command` here, and `check: {fingerprint: …}` in a step";
            cx.wrong(node.region, "a fingerprint reads all of the data: it is no guard", help);
        }
        probe_target(cx, probe, &kind);
    }
    Some(GuardPlan { name: name?, check, every: every?, tolerate: tolerate?, place: cx.place(node.region) })
}

fn budget_of(cx: &Cx<'_>, node: &Node, workloads: &[WorkloadPlan]) -> Option<Budget> {
    let budget = cx.decode::<Budget>(node, "budget")?;
    let at = |key: &str| node.get(key).map_or(node.region, |n| n.region);
    let whole = workloads.iter().map(|w| w.whole().as_str());
    let mut known: Vec<&str> = workloads.iter().map(|w| w.name.as_str()).chain(whole).collect();
    known.sort_unstable();
    known.dedup();
    if !known.contains(&budget.workload.as_str()) {
        cx.unknown(at("workload"), "workload", &budget.workload, &known);
    }
    match (&budget.bad, &budget.share, &budget.over) {
        (None, None, _) => {
            let help = "write `bad: 500` (so many operations), or `share: 20%` and `over: 30s`";
            cx.wrong(node.region, "this budget says no limit", help);
        }
        (_, None, Some(_)) => cx.wrong(at("over"), "`over` belongs to a `share`", "write `share: 20%` too"),
        (_, Some(share), _) if !(0.0..1.0).contains(&share.0) => {
            cx.wrong(at("share"), "this share can never be exceeded", "write less than 100%");
        }
        _ => {}
    }
    Some(budget)
}

/// The target that a probe looks at must fit it.
pub(super) fn probe_target(cx: &Cx<'_>, probe: &ProbeSpec, node: &Node) {
    let print = match probe {
        ProbeSpec::Fingerprint(print) => Some(&print.0),
        ProbeSpec::FingerprintAt(print) => Some(&print.name),
        _ => None,
    };
    if let Some(print) = print.filter(|print| !cx.scope.fingerprints.contains(*print)) {
        let known: Vec<&str> = cx.scope.fingerprints.iter().map(String::as_str).collect();
        cx.unknown(node.find_text(print).unwrap_or(node.region), "fingerprint", print, &known);
    }
    if let ProbeSpec::Postgres(probe) = probe {
        whom_postgres_asks(cx, probe, node);
    }
    let kinds: &[&str] = match probe.kind() {
        "sql" => &["postgres", "mysql"],
        "fingerprint_at" => &["postgres", "mysql", "couchdb", "mongodb"],
        "couchdb" => &["couchdb"],
        "postgres" => &["postgres"],
        "redis" => &["redis"],
        "etcd" => &["etcd"],
        "mysql" => &["mysql"],
        "directory" => &["directory"],
        "s3" => &["s3"],
        "mongodb" => &["mongodb"],
        "rabbitmq" => &["rabbitmq"],
        "elasticsearch" => &["elasticsearch"],
        "process" => &["process"],
        "kubernetes" | "pod_http" => &["kubernetes"],
        _ => &[],
    };
    for target in probe.targets() {
        let at = node.find_text(target.name()).unwrap_or(node.region);
        target_of_kind(cx, target.name(), at, kinds, &format!("`{}` looks at", probe.kind()));
    }
    match probe {
        ProbeSpec::Couchdb(probe) => other_region(cx, probe, node),
        ProbeSpec::S3(bucket) => second_bucket(cx, bucket, node),
        ProbeSpec::Kubernetes(probe) => mistake(cx, probe.mistake(), node),
        ProbeSpec::PodHttp(probe) => mistake(cx, probe.mistake(), node),
        _ => {}
    }
}

/// What a probe says of itself that does not go together.
fn mistake(cx: &Cx<'_>, mistake: Option<(&str, &str)>, node: &Node) {
    if let Some((what, help)) = mistake {
        cx.wrong(node.region, what, help);
    }
}

/// One target or several, and one for what one server answers alone.
fn whom_postgres_asks(cx: &Cx<'_>, probe: &PostgresProbe, node: &Node) {
    match (&probe.target, &probe.targets[..]) {
        (None, []) => cx.wrong(node.region, "`postgres` asks nobody", "write `target: db`, or `targets: [pg1, pg2]`"),
        (Some(_), [_, ..]) => {
            let at = find_key(node, "targets").unwrap_or(node.region);
            cx.wrong(
                at,
                "`postgres` has both `target` and `targets`",
                "write all of them in `targets`, or one in `target`",
            );
        }
        (None, [_, _, ..]) if probe.ask.is_of_one() => {
            let at = find_key(node, "targets").unwrap_or(node.region);
            cx.wrong(at, "this is asked of one server", "write `target: pg1`, and ask the others beside it");
        }
        _ => {}
    }
}

/// Questions about two regions name the other one, and no others do.
fn other_region(cx: &Cx<'_>, probe: &CouchdbProbe, node: &Node) {
    let at = |name: &str| node.find_text(name).unwrap_or(node.region);
    match (&probe.to, probe.ask.needs_another()) {
        (Some(to), true) if *to == probe.target => {
            cx.wrong(at(to.name()), "a region is not compared with itself", "name the other region in `to`");
        }
        (Some(to), true) => target_of_kind(cx, to.name(), at(to.name()), &["couchdb"], "`couchdb` looks at"),
        (None, true) => cx.wrong(node.region, "this asks about two regions", "name the other one: `to: TARGET`"),
        (Some(to), false) => cx.wrong(at(to.name()), "this asks about one region", "take `to` out"),
        (None, false) => {}
    }
}

/// `behind` compares two buckets; everything else looks at one.
fn second_bucket(cx: &Cx<'_>, probe: &S3Probe, node: &Node) {
    let at = |key: &str| node.get(key).map_or(node.region, |n| n.region);
    match (probe.compares(), &probe.other) {
        (true, None) => {
            cx.wrong(at("ask"), "`behind` compares with a second bucket", "name its target: `other: NAME`");
        }
        (true, Some(other)) => {
            target_of_kind(cx, other.name(), at("other"), &["s3"], "`s3` compares with");
        }
        (false, Some(_)) => cx.wrong(at("other"), "only `behind` compares with a second bucket", "take `other` out"),
        (false, None) => {}
    }
}

/// A waiver as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Waived {
    guard: String,
    reason: String,
    by: String,
}

pub(super) fn waivers(cx: &Cx<'_>, sections: &DrillAst<'_>, guards: &[GuardPlan]) -> Vec<Waiver> {
    let mut waivers = Vec::new();
    for node in sections.waive {
        let Some(Waived { guard, reason, by }) = cx.decode::<Waived>(node, "waive") else { continue };
        let at = |key: &str| node.get(key).map_or(node.region, |n| n.region);
        for (key, text) in [("reason", &reason), ("by", &by)] {
            if text.trim().is_empty() {
                cx.wrong(at(key), format!("a waiver needs its `{key}`"), "the evidence shows who waived what, and why");
            }
        }
        let known: Vec<&str> = guards.iter().map(|g| g.name.as_str()).collect();
        if !known.contains(&guard.as_str()) {
            cx.unknown(at("guard"), "guard", &guard, &known);
        }
        waivers.push(Waiver { guard, reason, by });
    }
    waivers
}
