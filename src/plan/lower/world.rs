//! Secrets, targets and staging.

use super::references::{self, Stage, no_steps};
use super::{Cx, clusters};
use crate::model::{CommandSpec, OPTIONAL, Optional, Reference};
use crate::plan::{
    ElasticsearchTarget, EmbeddedStaging, ProxyTarget, RabbitmqTarget, ResolverTarget, S3Target, SecretSource,
    ServiceTarget, StagingPlan, TargetPlan, TargetSpec,
};
use crate::playbook::ast::DrillAst;
use crate::playbook::fields::Fields;
use crate::playbook::tree::{Name, Node};
use crate::playbook::{Region, is_snake};
use serde::Deserialize;
use std::collections::BTreeMap;

fn name_fits(cx: &Cx<'_>, what: &str, name: &Name) {
    if !is_snake(&name.text) {
        let message = format!("`{}` cannot name a {what}: lower-case letters, digits and `_` can", name.text);
        let fixed = name.text.to_lowercase().replace(['-', '.', ' '], "_");
        cx.wrong(name.region, message, format!("write `{fixed}`"));
    }
}

pub(super) fn secrets(cx: &Cx<'_>, sections: &DrillAst<'_>) -> BTreeMap<String, SecretSource> {
    let mut secrets = BTreeMap::new();
    for (name, node) in sections.secrets {
        name_fits(cx, "secret", name);
        // A staging may make its own passwords: a secret is read again when the staging is up.
        references::check(cx, node, Stage::Targets, &no_steps);
        // The text itself must not be shown: the name is pointed at.
        if node.text().is_some() {
            let message = format!("the secret `{}` is written into the playbook", name.text);
            let help = format!(
                "say where it comes from: `{}: {{env: {}}}`, `{{file: PATH}}` or `{{command: [PROGRAM]}}`",
                name.text,
                name.text.to_uppercase()
            );
            cx.wrong(name.region, message, help);
            continue;
        }
        secrets.extend(cx.decode::<SecretSource>(node, &name.text).map(|s| (name.text.clone(), s)));
    }
    secrets
}

pub(super) fn targets(cx: &Cx<'_>, sections: &DrillAst<'_>, environment: Option<&str>) -> BTreeMap<String, TargetPlan> {
    let mut targets = BTreeMap::new();
    for (name, node) in sections.targets {
        name_fits(cx, "target", name);
        references::check(cx, node, Stage::Targets, &no_steps);
        let Some(spec) = cx.decode::<TargetSpec>(node, &name.text) else { continue };
        in_this_build(cx, &spec, node);
        one_way_to_find_it(cx, &spec, node);
        host_is_allowed(cx, &spec, node, environment);
        if let TargetSpec::Kubernetes(objects) = &spec {
            clusters::target(cx, objects, node.get("kubernetes").unwrap_or(node));
        }
        if let TargetSpec::S3(bucket) = &spec {
            signed_by_secrets(cx, bucket, node);
        }
        targets.insert(name.text.clone(), TargetPlan { spec, place: cx.place(name.region) });
    }
    targets
}

/// A client that this build lacks is told of before anything runs.
fn in_this_build(cx: &Cx<'_>, spec: &TargetSpec, node: &Node) {
    let Some(feature) = Optional::lacking(OPTIONAL, spec.kind()) else { return };
    let message = format!("this build has no client for targets of kind {}", spec.kind());
    let help = format!("build it in: `cargo build --release --features {feature}` (or `--all-features`)");
    cx.wrong(node.region, message, help);
}

fn one_way_to_find_it(cx: &Cx<'_>, spec: &TargetSpec, node: &Node) {
    if let TargetSpec::Service(service) = spec {
        one_way_to_manage_it(cx, service, node);
    }
    if let TargetSpec::Network(network) = spec
        && network.namespace.is_some()
        && network.pid.is_some()
    {
        cx.wrong(node.region, "a network namespace is found in one way", "write `namespace` or `pid`, not both");
    }
    if let TargetSpec::Container(container) = spec {
        let ways = [container.name.is_some(), !container.labels.is_empty(), container.compose.is_some()];
        if ways.iter().filter(|w| **w).count() != 1 {
            let help = "write one of `name`, `labels` and `compose`";
            cx.wrong(node.region, "a container target is found in exactly one way", help);
        }
    }
    if let TargetSpec::Proxy(proxy) = spec {
        one_way_to_have_it(cx, proxy, node);
    }
    if let TargetSpec::Resolver(resolver) = spec {
        one_resolver(cx, resolver, node);
    }
    let TargetSpec::Process(process) = spec else { return };
    let ways = [process.pid.is_some(), process.pidfile.is_some(), process.command.is_some()];
    if ways.iter().filter(|w| **w).count() != 1 {
        cx.wrong(
            node.region,
            "a process target is found in exactly one way",
            "write one of `pid`, `pidfile` and `command`",
        );
    }
}

fn one_resolver(cx: &Cx<'_>, resolver: &ResolverTarget, node: &Node) {
    let own = resolver.listen.is_some() || resolver.upstream.is_some() || !resolver.names.is_empty();
    match (&resolver.control, own) {
        (Some(_), true) => cx.wrong(
            node.region,
            "a resolver that runs already has its own `listen`, `upstream` and `names`",
            "keep `control` alone, or take it out",
        ),
        (None, _) if resolver.upstream.is_none() && resolver.names.is_empty() => cx.wrong(
            node.region,
            "this resolver knows no name",
            "add `upstream: ADDRESS:PORT`, or `names: {db.example.com: [127.0.0.1]}`",
        ),
        _ => {}
    }
}

fn one_way_to_have_it(cx: &Cx<'_>, proxy: &ProxyTarget, node: &Node) {
    match (&proxy.upstream, &proxy.control) {
        (Some(_), None) | (None, Some(_)) if proxy.control.is_none() || proxy.listen.is_none() => {}
        (None, None) => cx.wrong(
            node.region,
            "nothing is known that this proxy stands in front of",
            "add `upstream: HOST:PORT`, or `control: FILE` for one that runs already",
        ),
        _ => cx.wrong(
            node.region,
            "a proxy that runs already has its own `listen` and `upstream`",
            "keep `control` alone, or take it out",
        ),
    }
}

fn one_way_to_manage_it(cx: &Cx<'_>, service: &ServiceTarget, node: &Node) {
    let own = service.start.is_some() || service.stop.is_some() || service.patience.is_some();
    match (&service.systemd, &service.pidfile) {
        (Some(_), None) if own => cx.wrong(
            node.region,
            "systemd starts and stops a unit itself",
            "take `start`, `stop` and `patience` out, or write `pidfile` instead of `systemd`",
        ),
        (Some(_), None) => {}
        (None, Some(_)) if service.start.is_none() => cx.wrong(
            node.region,
            "nothing is known that starts this service again",
            "add `start: {command: [./start.sh]}`",
        ),
        (None, Some(_)) => {}
        _ => cx.wrong(
            node.region,
            "a service is managed in exactly one way",
            "write `systemd: UNIT`, or `pidfile: FILE` with `start: {command: […]}`",
        ),
    }
}

/// Both keys or none, and what is secret of them only by reference.
fn signed_by_secrets(cx: &Cx<'_>, bucket: &S3Target, node: &Node) {
    if bucket.access_key.is_some() != bucket.secret_key.is_some() {
        let help = "write both `access_key` and `secret_key`, or none of them for a public bucket";
        cx.wrong(node.region, "a request is signed with a key and its secret", help);
    }
    for (name, given) in [("secret_key", &bucket.secret_key), ("session_token", &bucket.session_token)] {
        let Some(template) = given else { continue };
        if !template.references().any(|r| matches!(r, Reference::Secret(_))) {
            // The text itself must not be shown.
            let message = format!("`{name}` is written into the playbook");
            let help = format!("declare it in `secrets`, and write `{name}: \"${{secrets.NAME}}\"`");
            cx.wrong(node.region, message, help);
        }
    }
}

fn host_is_allowed(cx: &Cx<'_>, spec: &TargetSpec, node: &Node, environment: Option<&str>) {
    let template = match spec {
        TargetSpec::Http(t) | TargetSpec::Kv(t) | TargetSpec::Postgres(t) => &t.url,
        TargetSpec::Mysql(t) => &t.url,
        TargetSpec::Redis(t) => &t.url,
        TargetSpec::Etcd(t) => &t.url,
        TargetSpec::Couchdb(t) => &t.url,
        TargetSpec::Mongodb(t) => &t.url,
        TargetSpec::Rabbitmq(t) => &t.url,
        TargetSpec::Elasticsearch(t) => &t.url,
        TargetSpec::Tcp(t) => &t.address,
        TargetSpec::S3(t) => &t.endpoint,
        TargetSpec::Process(_) | TargetSpec::Service(_) | TargetSpec::File(_) | TargetSpec::Directory(_) => return,
        TargetSpec::Network(_) | TargetSpec::Container(_) | TargetSpec::Host(_) | TargetSpec::Kubernetes(_) => return,
        TargetSpec::Proxy(ProxyTarget { upstream, .. }) | TargetSpec::Resolver(ResolverTarget { upstream, .. }) => {
            let Some(upstream) = upstream else { return };
            upstream
        }
    };
    let shown = template.to_string();
    let at = node.find_text(&shown).unwrap_or(node.region);
    if url_is_wrong(cx, spec, &shown, (at, node)) {
        return;
    }
    let Some(environment) = environment.and_then(|e| cx.inputs.config.environments.get(e).map(|c| (e, c))) else {
        return;
    };
    // Whoever is asked about a broker is told its password too.
    let management = match spec {
        TargetSpec::Rabbitmq(RabbitmqTarget { management: Some(url), .. }) => url.to_string(),
        _ => String::new(),
    };
    let hosts = hosts_of(&shown).into_iter().chain(hosts_of(&management));
    for host in hosts.filter(|host| !environment.1.allows(host)) {
        let message = format!("the environment `{}` does not allow the host `{host}`", environment.0);
        cx.wrong(
            at,
            message,
            format!("add it in `blackstart.yaml`: `environments: {{{}: {{hosts: [{host}]}}}}`", environment.0),
        );
    }
}

/// Says what is wrong with an address of this kind. True if it cannot be read at all, so that nothing more can be said of it.
fn url_is_wrong(cx: &Cx<'_>, spec: &TargetSpec, shown: &str, (at, node): (Region, &Node)) -> bool {
    if !matches!(spec, TargetSpec::Tcp(_) | TargetSpec::Proxy(_) | TargetSpec::Resolver(_))
        && !shown.contains("://")
        && !shown.starts_with("${")
    {
        cx.wrong(
            at,
            format!("`{shown}` is not a URL"),
            "write it like http://127.0.0.1:8080 or postgresql://user@host:5432/db",
        );
        return true;
    }
    if matches!(spec, TargetSpec::Redis(_)) {
        redis_url(cx, shown, at);
    }
    if matches!(spec, TargetSpec::Etcd(_)) && !shown.starts_with("${") && !shown.starts_with("etcd") {
        let help = "write etcd://HOST:PORT,HOST:PORT (etcds with TLS), the members' addresses for clients";
        cx.wrong(at, "this is no URL of an etcd cluster", help);
    }
    if matches!(spec, TargetSpec::Mysql(_)) && !shown.starts_with("${") && !shown.starts_with("mysql://") {
        let help = "write mysql://USER@HOST:PORT/DATABASE (MariaDB too), or several with commas: HOST:PORT,HOST:PORT";
        cx.wrong(at, "this is no URL of a MySQL or MariaDB server", help);
    }
    if matches!(spec, TargetSpec::Couchdb(_)) && !names_database(shown) {
        let help = "write http://USER:PASSWORD@HOST:5984/DATABASE (https with TLS)";
        cx.wrong(at, "this is no URL of a CouchDB database", help);
    }
    if matches!(spec, TargetSpec::Mongodb(_)) {
        mongodb_url(cx, shown, at);
    }
    if matches!(spec, TargetSpec::Rabbitmq(_)) && !shown.starts_with("${") && !shown.starts_with("amqp") {
        let help = "write amqp://USER:PASSWORD@HOST:PORT,HOST:PORT/VHOST (amqps with TLS)";
        cx.wrong(at, "this is no URL of a RabbitMQ cluster", help);
    }
    if let TargetSpec::Elasticsearch(target) = spec {
        search_url(cx, target, shown, (at, node));
    }
    if matches!(spec, TargetSpec::Postgres(_))
        && shown.split_once('?').is_some_and(|(_, query)| query.split('&').any(|q| q.starts_with("host")))
    {
        cx.wrong(
            at,
            "a host does not hide in a URL's query",
            "write it before the path: postgresql://user@HOST:5432/db",
        );
        return true;
    }
    false
}

/// An HTTP URL with a path; one that begins with a reference may be anything.
fn names_database(shown: &str) -> bool {
    let Some((scheme, rest)) = shown.split_once("://").filter(|(scheme, _)| !scheme.contains("${")) else {
        return true;
    };
    let path = rest.split('?').next().unwrap_or_default().split_once('/').map_or("", |(_, path)| path);
    ["http", "https"].contains(&scheme) && !path.trim_matches('/').is_empty()
}

/// One way to log in, and no secret in the clear.
fn search_url(cx: &Cx<'_>, target: &ElasticsearchTarget, shown: &str, (at, node): (Region, &Node)) {
    if !shown.starts_with("${") && !shown.starts_with("elasticsearch://") && !shown.starts_with("elasticsearchs://") {
        let help =
            "write elasticsearch://HOST:PORT,HOST:PORT (elasticsearchs with TLS), the nodes' addresses for clients";
        cx.wrong(at, "this is no URL of an Elasticsearch cluster", help);
    }
    let Some(key) = &target.api_key else { return };
    if !key.references().any(|r| matches!(r, Reference::Secret(_))) {
        // The text itself must not be shown.
        let help = "declare it in `secrets`, and write `api_key: \"${secrets.NAME}\"`";
        cx.wrong(node.region, "`api_key` is written into the playbook", help);
    }
    if shown.contains('@') {
        cx.wrong(at, "a client logs in by a password or by an API key, not by both", "take one of them out");
    }
}

/// Sentinels must be told whose primary is meant, and a URL of something else is better refused before anything runs.
fn redis_url(cx: &Cx<'_>, shown: &str, at: crate::playbook::Region) {
    let Some((scheme, rest)) = shown.split_once("://").filter(|(scheme, _)| !scheme.contains("${")) else { return };
    if !["redis", "rediss", "redis+sentinel", "rediss+sentinel"].contains(&scheme) {
        let help = "write redis://HOST:PORT/DB or redis+sentinel://HOST:PORT,HOST:PORT/NAME (rediss with TLS)";
        return cx.wrong(at, format!("`{scheme}` is no scheme of Redis"), help);
    }
    let path = rest.split('?').next().unwrap_or_default().split_once('/').map_or("", |(_, path)| path);
    if scheme.ends_with("+sentinel") && path.split('/').next().unwrap_or_default().is_empty() {
        let message = "this URL does not say what the Sentinels call the primary";
        cx.wrong(at, message, "write it after the addresses, like redis+sentinel://HOST:PORT,HOST:PORT/orders");
    }
}

/// What says where a MongoDB's members are only in the DNS hides whom a drill goes to; a database must be named.
fn mongodb_url(cx: &Cx<'_>, shown: &str, at: crate::playbook::Region) {
    let help = "write mongodb://USER:PASSWORD@HOST:PORT,HOST:PORT/DATABASE?replicaSet=NAME&authSource=admin";
    let Some((scheme, rest)) = shown.split_once("://").filter(|(scheme, _)| !scheme.contains("${")) else { return };
    if scheme != "mongodb" {
        return cx.wrong(at, format!("`{scheme}` is no scheme of MongoDB that can be used here"), help);
    }
    let path = rest.split('?').next().unwrap_or_default().split_once('/').map_or("", |(_, path)| path);
    if path.is_empty() && !rest.contains("${") {
        cx.wrong(at, "this URL names no database", help);
    }
}

/// The hosts of a URL or address that are written literally; a database's URL may list several.
fn hosts_of(text: &str) -> Vec<&str> {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let authority = &rest[..end];
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let name = |address: &'_ str| -> usize {
        let end = if address.starts_with('[') { address.find(']').map(|i| i + 1) } else { address.find(':') };
        end.unwrap_or(address.len())
    };
    // A reference may hold a `:` of its own.
    let addresses = host.split(',').filter(|address| !address.contains("${") && !address.is_empty());
    addresses.map(|address| address[..name(address)].trim_matches(['[', ']'])).filter(|host| !host.is_empty()).collect()
}

/// What brings a staging up or down.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Script {
    Command(CommandSpec),
}

pub(super) fn staging(cx: &Cx<'_>, node: &Node) -> Option<StagingPlan> {
    let mut fields = Fields::of(node, "`staging`", cx.said)?;
    let embedded = fields.get("embedded");
    let (up, down) = (fields.get("up"), fields.get("down"));
    fields.finish();
    references::check(cx, node, Stage::Staging, &no_steps);
    match (embedded, up, down) {
        (Some(embedded), None, None) => {
            Some(StagingPlan::Embedded(cx.decode::<EmbeddedStaging>(embedded, "embedded")?))
        }
        (None, Some(up), Some(down)) => {
            let up = cx.decode::<Script>(up, "up");
            let down = cx.decode::<Script>(down, "down");
            let (Script::Command(up), Script::Command(down)) = (up?, down?);
            Some(StagingPlan::Commands { up, down })
        }
        (None, Some(only), None) | (None, None, Some(only)) => {
            let message = "a staging that is brought up must be brought down again, and the other way round";
            cx.wrong(only.region, message, "write both `up: {command: […]}` and `down: {command: […]}`");
            None
        }
        (Some(_), ..) => {
            cx.wrong(node.region, "`embedded` is a whole staging: it needs no `up` or `down`", "keep one of the two");
            None
        }
        (None, None, None) => {
            let help = "write `staging: {embedded: {replication: async}}`, or `up` and `down` with a command each";
            cx.wrong(node.region, "this staging says nothing", help);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::hosts_of;

    #[test]
    fn hosts_are_found_in_urls_and_addresses() {
        for (text, hosts) in [
            ("http://127.0.0.1:8080/x?y=z", vec!["127.0.0.1"]),
            ("postgresql://app:${secrets.p}@db.example.com:5432/app", vec!["db.example.com"]),
            ("postgresql://app@db1:5432,db2/app", vec!["db1", "db2"]),
            ("http://[::1]:80/", vec!["::1"]),
            ("db:5432", vec!["db"]),
            ("${staging.url}", vec![]),
            ("http://${staging.host}/", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(hosts_of(text), hosts, "{text}");
        }
    }
}
