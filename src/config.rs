//! Environments, their guard rails, and where things are kept: the configuration file `blackstart.yaml`.
//! Finding and reading the file is the command line's business.

use crate::model::Dur;
use crate::playbook::{self, Diagnostic, Diagnostics, SourceText, Sources};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

mod also;
mod clusters;
mod evidence;
mod upload;

pub use also::Also;
pub use clusters::{AllowedCluster, Reach};
pub use evidence::{Evidence, Signing, Timestamp};
pub use upload::{LockMode, NoSuchMode, ObjectLock, Upload};

/// The configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The environments that drills may run in. `embedded` is always one.
    #[serde(default)]
    pub environments: BTreeMap<String, Environment>,
    /// Where runs are written; `reports` if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reports: Option<PathBuf>,
    /// Where open faults are remembered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_dir: Option<PathBuf>,
    /// What stops every drill at once, besides `blackstart kill-switch on`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kill_switch: Option<KillSwitch>,
    /// How runs become evidence.
    #[serde(default, skip_serializing_if = "Evidence::is_default")]
    pub evidence: Evidence,
    /// Where it was read from; nothing for the built-in one.
    #[serde(skip)]
    #[schemars(skip)]
    pub path: Option<PathBuf>,
}

/// What stops every drill at once, and lets no new one begin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KillSwitch {
    /// Engaged while this file exists; its first line is the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// Engaged unless this URL answers `{"engaged": false}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The URL is asked that often; 2s if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Dur>,
    /// So many times in a row it may fail to answer; 2 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerate: Option<u32>,
}

/// An environment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// Drills are refused here.
    #[serde(default)]
    pub protected: bool,
    /// Hosts that targets may be on, `*.staging.example.com` for all below; this machine only if not given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// systemd units that may be touched; `*` stands for any letters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<String>,
    /// Folders below which files and directories may be touched, besides the playbook's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<PathBuf>,
    /// Containers that may be touched, besides those that carry the label `blackstart=allowed`; `*` for any letters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub containers: Vec<String>,
    /// Network namespaces that may be touched; `*` for any letters, `host` for this machine's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// Parts of Kubernetes clusters that may be touched, besides namespaces labelled `blackstart: allowed`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kubernetes: Vec<AllowedCluster>,
    /// A run's Leases in clusters last so long without being renewed; 30s if not given, 3s at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Dur>,
}

/// The environment of the staging that this binary brings along.
pub const EMBEDDED: &str = "embedded";

impl Default for Config {
    fn default() -> Self {
        let environments = BTreeMap::from([(EMBEDDED.to_owned(), Environment::default())]);
        Self {
            environments,
            reports: None,
            state_dir: None,
            kill_switch: None,
            evidence: Evidence::default(),
            path: None,
        }
    }
}

impl Config {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// Everything that is wrong in it.
    pub fn parse(source: SourceText) -> Result<Self, Vec<Diagnostic>> {
        let path = source.path.clone();
        let said = Diagnostics::new(Sources(vec![Arc::new(source)]));
        let tree = playbook::tree::parse(0, &said);
        let config: Option<Self> = tree.and_then(|t| playbook::decode::decode(&t, "configuration", &said));
        match config {
            Some(mut config) if !said.failed() => {
                config.environments.entry(EMBEDDED.to_owned()).or_default();
                Ok(Self { path: Some(path), ..config })
            }
            _ => Err(said.finish()),
        }
    }
}

impl Environment {
    /// Is this the name that a pattern means? `*` stands for any letters, also for none.
    #[must_use]
    pub fn fits(pattern: &str, name: &str) -> bool {
        match pattern.split_once('*') {
            None => pattern == name,
            Some((head, rest)) => name.strip_prefix(head).is_some_and(|left| {
                let cuts = left.char_indices().map(|(at, _)| at).chain([left.len()]);
                cuts.into_iter().any(|at| Self::fits(rest, &left[at..]))
            }),
        }
    }

    /// May a target be on this host?
    #[must_use]
    pub fn allows(&self, host: &str) -> bool {
        let host = host.trim_matches(['[', ']']);
        let local = host.parse::<std::net::IpAddr>().map_or(host == "localhost", |ip| ip.is_loopback());
        local
            || self.hosts.iter().any(|pattern| match pattern.strip_prefix("*.") {
                Some(domain) => host.strip_suffix(domain).is_some_and(|left| left.ends_with('.')),
                None => pattern == host || pattern == "*",
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_one_allows_this_machine_only() {
        let config = Config::default();
        let embedded = &config.environments[EMBEDDED];
        for (host, allowed) in
            [("127.0.0.1", true), ("localhost", true), ("::1", true), ("[::1]", true), ("db.example.com", false)]
        {
            assert_eq!(embedded.allows(host), allowed, "{host}");
        }
    }

    #[test]
    fn hosts_match_by_name_or_domain() {
        let text = "environments:\n  staging: {hosts: [db, \"*.staging.example.com\"]}\n  live: {protected: true}\n";
        let config = Config::parse(SourceText::new("blackstart.yaml", text)).unwrap();
        let staging = &config.environments["staging"];
        assert!(staging.allows("db") && staging.allows("a.staging.example.com"));
        assert!(!staging.allows("staging.example.com") && !staging.allows("evilstaging.example.com"));
        assert!(config.environments["live"].protected && config.environments.contains_key(EMBEDDED));
    }

    #[test]
    fn a_pattern_fits_what_it_says() {
        for (pattern, name, fits) in [
            ("web", "web", true),
            ("web", "web2", false),
            ("web*", "web2", true),
            ("web*", "web", true),
            ("*-staging.service", "db-staging.service", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("*", "", true),
            ("", "x", false),
        ] {
            assert_eq!(Environment::fits(pattern, name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn its_mistakes_are_shown_in_place() {
        let text = "environments:\n  live: {protcted: true}\nstate: x\n";
        let wrong = Config::parse(SourceText::new("blackstart.yaml", text)).unwrap_err();
        let said = playbook::render_all(&wrong, playbook::RenderStyle::Plain);
        assert!(said.contains("did you mean `protected`?") && said.contains("blackstart.yaml:3:1"), "{said}");
    }
}
