//! Which parts of which Kubernetes clusters drills of an environment may touch.

use super::Environment;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parts of a cluster. An entry that names neither context nor server allows nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AllowedCluster {
    /// The context in the kubeconfig; `*` stands for any letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// The API server's URL; `*` stands for any letters. If both are given, both must fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Namespaces whose objects may be touched; `*` stands for any letters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// What may be touched besides.
    #[serde(default, skip_serializing_if = "Reach::is_default")]
    pub reach: Reach,
}

/// How far drills reach beyond namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// Only objects in the namespaces that are named.
    #[default]
    Namespaces,
    /// Nodes too.
    Nodes,
    /// Everything that belongs to the whole cluster, namespaces themselves among it.
    Cluster,
}

impl Reach {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl AllowedCluster {
    /// Is this the cluster that is meant?
    #[must_use]
    pub fn is(&self, context: &str, server: &str) -> bool {
        let fits = |pattern: &Option<String>, name: &str| pattern.as_ref().is_none_or(|p| Environment::fits(p, name));
        let named = self.context.is_some() || self.server.is_some();
        named && fits(&self.context, context) && fits(&self.server, server)
    }

    /// May objects in this namespace be touched?
    #[must_use]
    pub fn allows(&self, namespace: &str) -> bool {
        self.namespaces.iter().any(|pattern| Environment::fits(pattern, namespace))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_means_the_cluster_that_it_names() {
        let entry = |context: Option<&str>, server: Option<&str>| AllowedCluster {
            context: context.map(str::to_owned),
            server: server.map(str::to_owned),
            namespaces: vec!["shop-*".to_owned()],
            reach: Reach::default(),
        };
        let is = |entry: AllowedCluster| entry.is("staging-east", "https://10.0.0.1:6443");
        assert!(is(entry(Some("staging-*"), None)) && is(entry(None, Some("https://10.0.*"))));
        assert!(!is(entry(Some("staging-*"), Some("https://other"))), "both must fit");
        assert!(!is(entry(None, None)), "nobody is named");
        assert!(entry(None, None).allows("shop-eu") && !entry(None, None).allows("shop"));
    }
}
