//! What a drill may touch: its environment names it in the configuration, its own label says so, or the drill's own
//! staging made it. Judged for targets as they were found, so that nothing that only a run knows slips through.

use super::Drill;
use crate::config::Environment;
use crate::model::PinnedTarget;
use std::path::{Path, PathBuf};

mod clusters;

/// The label by which a container offers itself, and its value.
const LABEL: (&str, &str) = ("label.blackstart", "allowed");
/// How the machine's own network namespace is named in the configuration.
const OWN: &str = "host";

impl Drill {
    /// May this target be touched? What lies in `folders` (the playbook's, the run's) is the drill's own.
    ///
    /// # Errors
    /// When it may not, with what to write.
    pub fn allows(&self, target: &PinnedTarget, folders: &[PathBuf]) -> Result<(), String> {
        let field = |name: &str| target.fields.get(name).map(String::as_str).unwrap_or_default();
        match target.kind.as_str() {
            "service" if !field("unit").is_empty() => {
                self.named(target, "the service", field("unit"), "services", &self.allowed.services)
            }
            "file" | "directory" => self.path(target, Path::new(field("path")), folders),
            "network" => {
                let namespace = if field("namespace").is_empty() { OWN } else { field("namespace") };
                let name = namespace.rsplit('/').next().filter(|_| !namespace.starts_with("/proc/"));
                let name = name.unwrap_or(namespace);
                self.named(target, "the network namespace", name, "namespaces", &self.allowed.namespaces)
            }
            "container" if field(LABEL.0) == LABEL.1 => Ok(()),
            "container" => {
                // Labels and a Compose service name several: each must be allowed.
                let names = if field("names").is_empty() { field("name") } else { field("names") };
                let judge = |name| self.named(target, "the container", name, "containers", &self.allowed.containers);
                names.split(' ').try_for_each(judge)
            }
            "proxy" | "resolver" => {
                // Whoever breaks a proxy breaks what it leads to.
                let upstream = field("upstream").rsplit_once(':').map_or("", |(host, _)| host.trim_matches(['[', ']']));
                self.hosts(target, field("host")).and_then(|()| self.hosts(target, upstream))
            }
            "kubernetes" => self.clusters(target),
            // One of several stands for all in `host`.
            "postgres" if !field("hosts").is_empty() => self.hosts(target, field("hosts")),
            "redis" | "etcd" | "mysql" | "mongodb" | "rabbitmq" | "elasticsearch" => self.hosts(target, field("hosts")),
            _ if target.processes.is_empty() => self.hosts(target, field("host")),
            _ => Ok(()),
        }
    }

    fn hosts(&self, target: &PinnedTarget, hosts: &str) -> Result<(), String> {
        for host in hosts.split(',').filter(|h| !h.is_empty()) {
            // `host:port` in a list; an IPv6 address has more than one `:`.
            let name = host.split_once(':').filter(|(_, port)| !port.contains(':')).map_or(host, |(name, _)| name);
            let host = name.strip_prefix('[').and_then(|name| name.split(']').next()).unwrap_or(name);
            if !self.allowed.allows(host) {
                return Err(self.refusal(target, &format!("`{host}`"), "hosts"));
            }
        }
        Ok(())
    }

    fn named(
        &self,
        target: &PinnedTarget,
        what: &str,
        name: &str,
        key: &str,
        allowed: &[String],
    ) -> Result<(), String> {
        if self.of_its_staging(target) || allowed.iter().any(|pattern| Environment::fits(pattern, name)) {
            return Ok(());
        }
        Err(self.refusal(target, &format!("{what} `{name}`"), key))
    }

    fn path(&self, target: &PinnedTarget, path: &Path, folders: &[PathBuf]) -> Result<(), String> {
        let below = |folder: &Path| !folder.as_os_str().is_empty() && path.starts_with(folder);
        let allowed = self.allowed.paths.iter().any(|folder| below(folder)) || folders.iter().any(|f| below(f));
        if allowed || self.of_its_staging(target) {
            return Ok(());
        }
        Err(self.refusal(target, &format!("`{}`", path.display()), "paths"))
    }

    /// What the drill's own staging says it made is the drill's to break.
    fn of_its_staging(&self, target: &PinnedTarget) -> bool {
        let written = self.targets.get(&target.name).map(|plan| serde_json::to_string(&plan.spec).unwrap_or_default());
        self.staging.is_some() && written.is_some_and(|text| text.contains("${staging."))
    }

    fn refusal(&self, target: &PinnedTarget, what: &str, key: &str) -> String {
        let environment = &self.environment;
        let mut text = format!(
            "target `{}` is {what}, which the environment `{environment}` does not allow; list it under `{key}` in \
             blackstart.yaml",
            target.name
        );
        if key == "containers" {
            text.push_str(", or give it the label blackstart=allowed");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::plan::{Inputs, Plan, compile};
    use crate::playbook::SourceText;
    use std::collections::BTreeMap;

    const CONFIG: &str = "environments:\n  test:\n    services: [\"web*\"]\n    paths: [/srv/data]\n    \
                          containers: [app]\n    namespaces: [\"bs-*\"]\n";
    const DRILL: &str = "drill: d\nenvironment: test\nstaging: {up: {command: [./up]}, down: {command: [./down]}}\n\
                         targets:\n  made: {directory: {path: \"${staging.data}\"}}\n  own: {network: {}}\n\
                         verify: [{check: {command: [\"true\"]}}]\n";

    fn plan() -> Plan {
        let config = Config::parse(SourceText::new("blackstart.yaml", CONFIG)).unwrap();
        let inputs = Inputs { params: &BTreeMap::new(), env: &|_| None, config: &config };
        compile(&SourceText::new("d.yaml", DRILL), &inputs).unwrap().remove(0)
    }

    fn found(name: &str, kind: &str, fields: &[(&str, &str)]) -> PinnedTarget {
        let fields = fields.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        PinnedTarget { name: name.into(), kind: kind.into(), fields, ..PinnedTarget::default() }
    }

    #[test]
    fn what_nobody_named_is_refused_with_what_to_write() {
        let plan = plan();
        for (kind, field, value, key) in [
            ("service", "unit", "sshd.service", "services"),
            ("file", "path", "/etc/passwd", "paths"),
            ("directory", "path", "/srv/database", "paths"),
            ("container", "name", "other", "containers"),
            ("container", "names", "app other", "containers"),
            ("network", "namespace", "prod", "namespaces"),
            ("network", "namespace", "", "namespaces"),
            ("network", "namespace", "/proc/1/ns/net", "namespaces"),
            ("http", "host", "db.example.com", "hosts"),
            ("proxy", "upstream", "db.example.com:5432", "hosts"),
        ] {
            let why = plan.allows(&found("x", kind, &[(field, value)]), &["/home/me/drills".into()]).unwrap_err();
            assert!(why.contains(&format!("list it under `{key}` in blackstart.yaml")), "{why}");
        }
    }

    #[test]
    fn what_is_named_labelled_or_of_the_drill_itself_is_allowed() {
        let plan = plan();
        for target in [
            found("x", "service", &[("unit", "web1.service")]),
            found("x", "service", &[("pidfile", "/run/web.pid")]),
            found("x", "file", &[("path", "/srv/data/a")]),
            found("x", "file", &[("path", "/home/me/drills/a")]),
            found("made", "directory", &[("path", "/var/tmp/anything")]),
            found("x", "container", &[("name", "app")]),
            found("x", "container", &[("name", "other"), ("label.blackstart", "allowed")]),
            found("x", "network", &[("namespace", "bs-left")]),
            found("x", "network", &[("namespace", "/run/netns/bs-left")]),
            found("x", "tcp", &[("host", "127.0.0.1")]),
            found("x", "proxy", &[("host", "127.0.0.1"), ("upstream", "[::1]:5432")]),
        ] {
            assert_eq!(plan.allows(&target, &["/home/me/drills".into()]), Ok(()), "{target:?}");
        }
    }
}
