//! Secrets, targets and staging.

use super::Cx;
use super::references::{self, Stage, no_steps};
use crate::model::{CommandSpec, Reference};
use crate::plan::{
    EmbeddedStaging, ProxyTarget, ResolverTarget, S3Target, SecretSource, ServiceTarget, StagingPlan, TargetPlan,
    TargetSpec,
};
use crate::playbook::ast::DrillAst;
use crate::playbook::fields::Fields;
use crate::playbook::is_snake;
use crate::playbook::tree::{Name, Node};
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
        one_way_to_find_it(cx, &spec, node);
        host_is_allowed(cx, &spec, node, environment);
        if let TargetSpec::S3(bucket) = &spec {
            signed_by_secrets(cx, bucket, node);
        }
        targets.insert(name.text.clone(), TargetPlan { spec, place: cx.place(name.region) });
    }
    targets
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
        TargetSpec::Http(t) | TargetSpec::Kv(t) | TargetSpec::Postgres(t) | TargetSpec::Mysql(t) => &t.url,
        TargetSpec::Tcp(t) => &t.address,
        TargetSpec::S3(t) => &t.endpoint,
        TargetSpec::Process(_) | TargetSpec::Service(_) | TargetSpec::File(_) | TargetSpec::Directory(_) => return,
        TargetSpec::Network(_) | TargetSpec::Container(_) | TargetSpec::Host(_) => return,
        TargetSpec::Proxy(ProxyTarget { upstream, .. }) | TargetSpec::Resolver(ResolverTarget { upstream, .. }) => {
            let Some(upstream) = upstream else { return };
            upstream
        }
    };
    let shown = template.to_string();
    let at = node.find_text(&shown).unwrap_or(node.region);
    if !matches!(spec, TargetSpec::Tcp(_) | TargetSpec::Proxy(_) | TargetSpec::Resolver(_))
        && !shown.contains("://")
        && !shown.starts_with("${")
    {
        return cx.wrong(
            at,
            format!("`{shown}` is not a URL"),
            "write it like http://127.0.0.1:8080 or postgresql://user@host:5432/db",
        );
    }
    if matches!(spec, TargetSpec::Postgres(_))
        && shown.split_once('?').is_some_and(|(_, query)| query.split('&').any(|q| q.starts_with("host")))
    {
        return cx.wrong(
            at,
            "a host does not hide in a URL's query",
            "write it before the path: postgresql://user@HOST:5432/db",
        );
    }
    let Some(environment) = environment.and_then(|e| cx.inputs.config.environments.get(e).map(|c| (e, c))) else {
        return;
    };
    for host in hosts_of(&shown).into_iter().filter(|host| !environment.1.allows(host)) {
        let message = format!("the environment `{}` does not allow the host `{host}`", environment.0);
        cx.wrong(
            at,
            message,
            format!("add it in `blackstart.yaml`: `environments: {{{}: {{hosts: [{host}]}}}}`", environment.0),
        );
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
