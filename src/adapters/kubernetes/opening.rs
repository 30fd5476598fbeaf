//! Clusters opened: one connection for each access, with the login that its kubeconfig says.

use super::access::{Found, Surroundings, find};
use super::call::{Ask, Caller, within};
use super::client::System;
use super::discovery::Discovery;
use super::{Access, Cluster, ClusterError, Clusters, Facts};
use crate::adapters::Fut;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::{Handle, Id};
use tokio::sync::OnceCell;

/// To open a cluster may take a program that gets the credentials.
const OPEN: Duration = Duration::from_secs(30);

type Opened = Arc<OnceCell<Arc<System>>>;

/// What kubeconfigs name.
#[derive(Default)]
pub(super) struct SystemClusters {
    /// A connection belongs to the runtime that it was made in.
    open: Mutex<BTreeMap<Access, Vec<(Id, Opened)>>>,
}

impl SystemClusters {
    fn place(&self, access: &Access) -> Opened {
        let runtime = Handle::current().id();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let places = open.entry(access.clone()).or_default();
        if let Some((_, opened)) = places.iter().find(|(id, _)| *id == runtime) {
            return Arc::clone(opened);
        }
        let opened = Opened::default();
        places.push((runtime, Arc::clone(&opened)));
        opened
    }
}

impl Clusters for SystemClusters {
    fn open<'a>(&'a self, access: &'a Access) -> Fut<'a, Result<Arc<dyn Cluster>, ClusterError>> {
        Box::pin(async move {
            let place = self.place(access);
            let system = place.get_or_try_init(|| System::open(access)).await?;
            let cluster: Arc<dyn Cluster> = Arc::clone(system) as Arc<dyn Cluster>;
            Ok(cluster)
        })
    }
}

/// Every access leads to one.
pub(super) struct Redirected {
    pub(super) to: Access,
    pub(super) through: Arc<dyn Clusters>,
}

impl Clusters for Redirected {
    fn open<'a>(&'a self, _: &'a Access) -> Fut<'a, Result<Arc<dyn Cluster>, ClusterError>> {
        self.through.open(&self.to)
    }
}

impl System {
    async fn open(access: &Access) -> Result<Arc<Self>, ClusterError> {
        crate::adapters::install_tls();
        let found = find(access, &Surroundings::of_this_process()).await?;
        let namespace = found.config.default_namespace.clone();
        let (told, server, context) = (found.told.clone(), found.server.clone(), found.context.clone());
        let client = connect(found).await?;
        let caller = Caller { client, server: server.clone() };
        let ask = Ask::get("/version".to_owned(), format!("open {told}"));
        let version = caller.json(&ask).await?;
        let none = || ClusterError::Other(format!("open {told}: {server} does not answer as a Kubernetes API server"));
        let version = version_of(&version).ok_or_else(none)?;
        Ok(Arc::new(Self { caller, facts: Facts { server, version, namespace }, context, kinds: Discovery::default() }))
    }
}

/// Major and minor: `"1"` and `"20+"`, or of `v1.20.2`; zeros if whoever built it did not say. None if it is none.
fn version_of(answer: &Value) -> Option<(u32, u32)> {
    let text = |name: &str| answer.get(name).and_then(Value::as_str);
    let number = |text: &str| text.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok());
    let whole = text("gitVersion")?;
    let said = text("major").and_then(number).zip(text("minor").and_then(number));
    let mut parts = whole.trim_start_matches('v').split('.').map(number);
    Some(said.or_else(|| parts.next()?.zip(parts.next()?)).unwrap_or_default())
}

/// A program of the user's may get the credentials, and kube waits for it where it is: on a thread that nobody waits for.
async fn connect(found: Found) -> Result<kube::Client, ClusterError> {
    let told = found.told.clone();
    let (answer, asked) = tokio::sync::oneshot::channel();
    let runtime = Handle::current();
    std::thread::spawn(move || {
        let _in = runtime.enter();
        // Nobody may wait any more.
        let _late = answer.send(kube::Client::try_from(found.config));
    });
    let doing = format!("get the credentials of {told}");
    let made =
        within(OPEN, &doing, async { asked.await.map_err(|_| ClusterError::Other(format!("{told} cannot be used"))) });
    made.await?.map_err(|error| credentials(&told, &error))
}

/// Never what a credential program wrote, for that may be the credentials.
fn credentials(told: &str, error: &kube::Error) -> ClusterError {
    use kube::client::AuthError as E;
    let what = match error {
        kube::Error::Auth(E::AuthExecStart(io)) => format!("its credential program does not start: {}", io.kind()),
        kube::Error::Auth(E::AuthExecRun { cmd, out }) => {
            let program = cmd.split_whitespace().next().unwrap_or_default();
            format!("its credential program `{program}` failed ({})", out.status)
        }
        kube::Error::Auth(E::ReadTokenFile(io, path)) => {
            format!("cannot read the token in {}: {}", path.display(), io.kind())
        }
        kube::Error::Auth(_) => "its login cannot be used".to_owned(),
        kube::Error::InferKubeconfig(_) => "its client certificate or key cannot be read".to_owned(),
        kube::Error::RustlsTls(_) => "its certificates or key are not in a form that TLS takes".to_owned(),
        _ => "it cannot be used".to_owned(),
    };
    ClusterError::Invalid(format!("{told}: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_version_is_read_as_far_as_it_is_said() {
        let of = |major: &str, minor: &str, git: &str| {
            version_of(&json!({ "major": major, "minor": minor, "gitVersion": git }))
        };
        assert_eq!(of("1", "20+", "v1.20.2-gke.1"), Some((1, 20)));
        assert_eq!(of("", "", "v1.33.0"), Some((1, 33)));
        assert_eq!(of("", "", "v0.0.0-master"), Some((0, 0)));
        assert_eq!(version_of(&json!({ "name": "another" })), None);
    }
}
