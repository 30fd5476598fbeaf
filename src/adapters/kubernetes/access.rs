//! From what a playbook names to how the cluster is reached: kubeconfig, context, or the account of the pod that this runs
//! in. What is wrong is said with the place to mend it, and without anything secret. Nothing is connected here.

use super::{Access, ClusterError};
use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

const CONNECT: Duration = Duration::from_secs(5);
const WRITE: Duration = Duration::from_secs(10);
const MEND: &str = "write `kubeconfig:` and `context:` at the target, or set KUBECONFIG";

/// Where kubeconfigs are looked for.
pub(super) struct Surroundings {
    /// `KUBECONFIG`
    pub(super) named: Option<OsString>,
    /// The home folder.
    pub(super) home: Option<PathBuf>,
    /// Does this run in a pod?
    pub(super) pod: bool,
}

impl Surroundings {
    pub(super) fn of_this_process() -> Self {
        Self {
            named: std::env::var_os("KUBECONFIG").filter(|paths| !paths.is_empty()),
            home: std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute()),
            pod: std::env::var_os("KUBERNETES_SERVICE_HOST").is_some(),
        }
    }
}

/// How a cluster is reached.
pub(super) struct Found {
    pub(super) config: Config,
    /// For people: whose login this is.
    pub(super) told: String,
    /// The context that is used.
    pub(super) context: Option<String>,
    /// The URL without a login.
    pub(super) server: String,
}

/// Finds it.
pub(super) async fn find(access: &Access, around: &Surroundings) -> Result<Found, ClusterError> {
    let (mut config, context, told) = match read(access, around)? {
        Some((kubeconfig, place)) => {
            let context = choose(&kubeconfig, &place, access)?;
            let told = format!("context `{context}` of {place}");
            (from(kubeconfig, &context, &told).await?, Some(context), told)
        }
        None if around.pod => (in_pod(access)?, None, "this pod's account".to_owned()),
        None => {
            let usual = around.home.as_ref().map(|home| format!(" at {}", usual(home).display())).unwrap_or_default();
            return Err(ClusterError::Missing(format!("no cluster is named: there is no kubeconfig{usual}; {MEND}")));
        }
    };
    config.connect_timeout = Some(CONNECT);
    config.write_timeout = Some(WRITE);
    // A refusal is data here: an eviction that a budget does not allow is not to be tried fifteen times.
    config.default_retry = false;
    let server = without_login(&config.cluster_url);
    Ok(Found { config, told, context, server })
}

fn usual(home: &Path) -> PathBuf {
    home.join(".kube/config")
}

/// The kubeconfig and the words for its place; none if there is none.
fn read(access: &Access, around: &Surroundings) -> Result<Option<(Kubeconfig, String)>, ClusterError> {
    if let Some(path) = &access.kubeconfig {
        return Ok(Some((one(path)?, path.display().to_string())));
    }
    if let Some(named) = &around.named {
        return several(named).map(Some);
    }
    match around.home.as_deref().map(usual).filter(|path| path.exists()) {
        Some(path) => Ok(Some((one(&path)?, path.display().to_string()))),
        None => Ok(None),
    }
}

/// As `kubectl` does: files that are not there are passed over, the first that says something wins.
fn several(named: &OsString) -> Result<(Kubeconfig, String), ClusterError> {
    let paths: Vec<PathBuf> = std::env::split_paths(named).filter(|path| !path.as_os_str().is_empty()).collect();
    let mut all = Kubeconfig::default();
    let mut read = Vec::new();
    for path in paths.iter().filter(|path| path.exists()) {
        all = all.merge(one(path)?).map_err(|error| wrong("KUBECONFIG", &error))?;
        read.push(path.display().to_string());
    }
    if read.is_empty() {
        let named = named.to_string_lossy();
        return Err(ClusterError::Missing(format!("KUBECONFIG names `{named}`, where nothing is; {MEND}")));
    }
    Ok((all, format!("{} (KUBECONFIG)", read.join(", "))))
}

fn one(path: &Path) -> Result<Kubeconfig, ClusterError> {
    Kubeconfig::read_from(path).map_err(|error| wrong(&path.display().to_string(), &error))
}

fn choose(kubeconfig: &Kubeconfig, place: &str, access: &Access) -> Result<String, ClusterError> {
    let there: Vec<String> = kubeconfig.contexts.iter().map(|context| format!("`{}`", context.name)).collect();
    let there = if there.is_empty() { "it has none".to_owned() } else { format!("it has {}", there.join(", ")) };
    let current = kubeconfig.current_context.clone().filter(|name| !name.is_empty());
    let Some(context) = access.context.clone().or(current) else {
        let text = format!("{place} has no current context; write `context:` at the target: {there}");
        return Err(ClusterError::Missing(text));
    };
    if !kubeconfig.contexts.iter().any(|one| one.name == context) {
        return Err(ClusterError::Missing(format!("{place} has no context `{context}`: {there}")));
    }
    Ok(context)
}

async fn from(kubeconfig: Kubeconfig, context: &str, told: &str) -> Result<Config, ClusterError> {
    if has_proxy(&kubeconfig, context) {
        return Err(ClusterError::Invalid(format!(
            "{told} goes through a proxy (`proxy-url`), which is not supported"
        )));
    }
    let options = KubeConfigOptions { context: Some(context.to_owned()), cluster: None, user: None };
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| wrong(told, &error))?;
    // From HTTPS_PROXY: what leads to web pages does not lead to a cluster unless its kubeconfig says so.
    config.proxy_url = None;
    Ok(config)
}

fn has_proxy(kubeconfig: &Kubeconfig, context: &str) -> bool {
    let context = kubeconfig.contexts.iter().find(|one| one.name == context).and_then(|one| one.context.as_ref());
    let named =
        |name: &str| kubeconfig.clusters.iter().find(|one| one.name == name).and_then(|one| one.cluster.as_ref());
    let cluster = context.and_then(|context| named(&context.cluster));
    cluster.and_then(|cluster| cluster.proxy_url.as_ref()).is_some_and(|url| !url.is_empty())
}

fn in_pod(access: &Access) -> Result<Config, ClusterError> {
    if let Some(context) = &access.context {
        let text = format!("context `{context}` is asked for, and there is no kubeconfig in this pod; {MEND}");
        return Err(ClusterError::Missing(text));
    }
    Config::incluster().map_err(|error| {
        use kube::config::InClusterError as E;
        let what = match error {
            E::ReadDefaultNamespace(_) => "its namespace cannot be read",
            E::ReadCertificateBundle(_) | E::ParseCertificates(_) => "the cluster's certificate cannot be read",
            E::ReadEnvironmentVariable(_) | E::ParseClusterPort(_) | E::ParseClusterUrl(_) => {
                "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT do not say where the cluster is"
            }
        };
        let account = "has the pod `automountServiceAccountToken: false`?";
        ClusterError::Missing(format!("this pod's account cannot be used: {what}; {account}"))
    })
}

/// Says where, and what; never what a file holds, for that is keys and tokens.
fn wrong(place: &str, error: &KubeconfigError) -> ClusterError {
    use KubeconfigError as E;
    let what = match error {
        E::ReadConfig(io, _) if io.kind() == std::io::ErrorKind::NotFound => {
            return ClusterError::Missing(format!("there is no kubeconfig at {place}; {MEND}"));
        }
        E::ReadConfig(io, _) => format!("cannot be read: {}", io.kind()),
        E::Parse(_) => "is no kubeconfig: it is not YAML of that form".to_owned(),
        E::LoadContext(name) => format!("context `{name}` has no `context:`"),
        E::LoadClusterOfContext(name) => format!("its cluster `{name}` is not there"),
        E::MissingClusterUrl => "its cluster has no `server:`".to_owned(),
        E::ParseClusterUrl(_) => "`server:` of its cluster is no URL".to_owned(),
        E::LoadCertificateAuthority(_) => "its `certificate-authority` cannot be read".to_owned(),
        E::ParseCertificates(_) => "its `certificate-authority` holds no certificate (PEM)".to_owned(),
        E::LoadClientCertificate(_) => "its `client-certificate` cannot be read".to_owned(),
        E::LoadClientKey(_) => "its `client-key` cannot be read".to_owned(),
        E::KindMismatch | E::ApiVersionMismatch => "has files of different kinds".to_owned(),
        E::ParseProxyUrl(_) => "`proxy-url` or HTTPS_PROXY is no URL".to_owned(),
        _ => "cannot be used".to_owned(),
    };
    ClusterError::Invalid(format!("{place}: {what}"))
}

fn without_login(url: &hyper::Uri) -> String {
    let scheme = url.scheme_str().unwrap_or("https");
    let host = url.host().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{scheme}://{host}{port}{}", url.path().trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: 'https://joe:hunter2@127.0.0.1:6443/x/'}}]
users: [{name: u, user: {token: hunter2}}]
contexts: [{name: north, context: {cluster: c, user: u, namespace: shop}}, {name: south, context: {cluster: d, user: u}}]
";

    fn around(named: Option<&Path>) -> Surroundings {
        Surroundings { named: named.map(|path| path.as_os_str().to_owned()), home: None, pod: false }
    }

    async fn at(text: &str, context: Option<&str>) -> Result<Found, ClusterError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        std::fs::write(&path, text).unwrap();
        let access = Access { kubeconfig: None, context: context.map(str::to_owned) };
        find(&access, &around(Some(&path))).await
    }

    #[tokio::test]
    async fn a_context_is_found_and_its_server_has_no_login() {
        let found = at(FILE, Some("north")).await.unwrap();
        assert_eq!(found.server, "https://127.0.0.1:6443/x");
        assert_eq!(found.config.default_namespace, "shop");
    }

    #[tokio::test]
    async fn what_is_missing_is_said_with_what_is_there_and_no_secret() {
        let cases = [
            (at(FILE, None).await, "no current context"),
            (at(FILE, Some("east")).await, "it has `north`, `south`"),
            (at(FILE, Some("south")).await, "its cluster `d` is not there"),
            (at("users: [{name: u, user: {token: {hunter2: 1}}}]", None).await, "is no kubeconfig"),
            (find(&Access::default(), &around(None)).await, "`kubeconfig:` and `context:`"),
            (find(&Access::default(), &around(Some(Path::new("/nowhere")))).await, "`/nowhere`, where nothing is"),
        ];
        for (found, part) in cases {
            let Err(error) = found else { panic!("found, though {part}") };
            assert!(error.to_string().contains(part), "{error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
