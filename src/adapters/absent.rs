//! What a world has not: every call says so. The simulation has no files, no packet filter and no containers.

use super::proxy::{Ask, Attempt, Attempted, Outcome, Proxies, Said};
use super::resolver::{Resolved, ResolverAsk, ResolverState, Resolvers};
use super::{
    AdapterError, Command, CommandOutput, Containers, FileState, Files, Fut, Helpers, NamespaceIdentity, Network,
    NetworkPlace,
};
use crate::model::{Owner, ProcessIdentity};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Has nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Absent;

/// For a field of a world that has no such thing.
#[must_use]
pub fn absent() -> Arc<Absent> {
    Arc::new(Absent)
}

fn missing<T>(what: &str) -> Result<T, AdapterError> {
    Err(AdapterError::Missing(format!("this world has no {what}")))
}

impl super::data::Data for Absent {
    fn fingerprint<'a>(
        &'a self,
        _: &'a super::data::Store,
        _: Duration,
    ) -> Fut<'a, Result<super::data::Taken, AdapterError>> {
        Box::pin(async { missing("data of users") })
    }
}

impl Files for Absent {
    fn look(&self, _: &Path) -> Result<Option<FileState>, AdapterError> {
        missing("files")
    }

    fn read(&self, _: &Path) -> Result<Vec<u8>, AdapterError> {
        missing("files")
    }

    fn put(&self, _: &Path, _: &[u8], _: &FileState) -> Result<(), AdapterError> {
        missing("files")
    }

    fn remove(&self, _: &Path) -> Result<(), AdapterError> {
        missing("files")
    }
}

impl Helpers for Absent {
    fn start<'a>(
        &'a self,
        _: &'a Owner,
        _: &'a str,
        _: &'a serde_json::Value,
        _: Duration,
    ) -> Fut<'a, Result<String, AdapterError>> {
        Box::pin(async { missing("helper processes") })
    }

    fn all(&self) -> Result<Vec<(String, ProcessIdentity)>, AdapterError> {
        Ok(Vec::new())
    }

    fn end<'a>(&'a self, _: &'a Owner, _: Duration) -> Fut<'a, Result<(), AdapterError>> {
        Box::pin(async { Ok(()) })
    }
}

impl Network for Absent {
    fn namespace(&self, _: &NetworkPlace) -> Result<Option<NamespaceIdentity>, AdapterError> {
        missing("network namespaces")
    }

    fn heirs(&self, _: &NamespaceIdentity) -> Result<Vec<NamespaceIdentity>, AdapterError> {
        missing("network namespaces")
    }

    fn all(&self) -> Result<Vec<NamespaceIdentity>, AdapterError> {
        Ok(Vec::new())
    }

    fn run<'a>(&'a self, _: &'a NamespaceIdentity, _: &'a Command) -> Fut<'a, Result<CommandOutput, AdapterError>> {
        Box::pin(async { missing("network namespaces") })
    }

    fn try_out<'a>(&'a self, _: &'a Command) -> Fut<'a, Result<CommandOutput, AdapterError>> {
        Box::pin(async { missing("network namespaces") })
    }

    fn connect<'a>(
        &'a self,
        _: &'a NamespaceIdentity,
        _: &'a str,
        _: Duration,
    ) -> Fut<'a, Result<Duration, AdapterError>> {
        Box::pin(async { missing("network namespaces") })
    }
}

impl super::systems::Systems for Absent {
    fn look<'a>(
        &'a self,
        _: &'a super::systems::Question,
        _: Duration,
    ) -> Fut<'a, Result<super::systems::Seen, AdapterError>> {
        Box::pin(async { missing("data systems") })
    }
}

impl super::disk::Disks for Absent {}

impl Containers for Absent {
    fn engine(&self, wanted: Option<&str>) -> String {
        wanted.unwrap_or_default().to_owned()
    }

    fn labelled<'a>(
        &'a self,
        _: &'a str,
        _: &'a std::collections::BTreeMap<String, String>,
    ) -> Fut<'a, Result<Vec<String>, AdapterError>> {
        Box::pin(async { missing("containers") })
    }

    fn inspect<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
    ) -> Fut<'a, Result<Option<super::containers::Container>, AdapterError>> {
        Box::pin(async { missing("containers") })
    }

    fn act<'a>(&'a self, _: &'a str, _: &'a str, _: &'a super::containers::Act) -> Fut<'a, Result<(), AdapterError>> {
        Box::pin(async { missing("containers") })
    }
}

impl Proxies for Absent {
    fn ask<'a>(&'a self, _: &'a Path, _: &'a Ask) -> Fut<'a, Result<Said, AdapterError>> {
        Box::pin(async { missing("proxies") })
    }

    fn all(&self) -> Vec<std::path::PathBuf> {
        Vec::new()
    }

    fn socket(&self, _: &Owner, _: &str) -> Result<std::path::PathBuf, AdapterError> {
        missing("proxies")
    }

    fn attempt<'a>(&'a self, _: &'a str, _: Attempt) -> Fut<'a, Attempted> {
        Box::pin(async { Attempted { outcome: Outcome::Refused, back: 0, took: Duration::ZERO } })
    }
}

impl Resolvers for Absent {
    fn ask<'a>(&'a self, _: &'a Path, _: &'a ResolverAsk) -> Fut<'a, Result<ResolverState, AdapterError>> {
        Box::pin(async { missing("resolvers") })
    }

    fn all(&self) -> Vec<std::path::PathBuf> {
        Vec::new()
    }

    fn socket(&self, _: &Owner, _: &str) -> Result<std::path::PathBuf, AdapterError> {
        missing("resolvers")
    }

    fn resolve<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: std::net::IpAddr,
        _: Duration,
    ) -> Fut<'a, Result<(Resolved, Duration), AdapterError>> {
        Box::pin(async { missing("resolvers") })
    }
}

impl super::kubernetes::Clusters for Absent {
    fn open<'a>(
        &'a self,
        _: &'a super::kubernetes::Access,
    ) -> Fut<'a, Result<Arc<dyn super::kubernetes::Cluster>, super::kubernetes::ClusterError>> {
        let error = super::kubernetes::ClusterError::Missing("this world has no clusters".to_owned());
        Box::pin(std::future::ready(Err(error)))
    }
}
