//! A real control plane for a test: etcd, kube-apiserver, kube-controller-manager and kube-scheduler as processes of
//! this machine, on loopback ports of their own, in a folder that goes with them. RBAC is on. What pods run on is in
//! `node`.
//!
//! The programs are Debian's etcd and Kubernetes 1.20 as `control_plane.sh` builds it. Times that are minutes in a
//! cluster are seconds here: a node that says nothing for 20 s is lost (less if a test asks for it), and its pods are
//! evicted 3 s later.
//!
//! The same tests can be held to a cluster that is there: with `BLACKSTART_TEST_CLUSTER=given` the cluster that
//! `KUBECONFIG` names is used ([`given`]). Both must be set, so that nobody's tests ever reach a cluster that was only
//! left in the environment. Tests that stop the API server, cut nodes off or need the router have an own one in any
//! case.

use crate::api::{Api, wait};
use crate::ports;
use crate::processes::{Process, Processes, bound, folder};
use base64::Engine;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The administrator's login, which is worth nothing outside of a test.
const TOKEN: &str = "administrator-of-a-test";
/// A control plane is up within this, on a machine with ten times as much to do as it can.
const LIMIT: Duration = Duration::from_secs(120);

/// What may be otherwise.
#[derive(Debug, Clone)]
pub struct Options {
    /// A node is lost that has said nothing for so many seconds.
    pub grace: u32,
    /// Its pods are evicted so many seconds later, if they say nothing else.
    pub tolerate: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { grace: 20, tolerate: 3 }
    }
}

/// The kubeconfig of a cluster that the caller has said these tests may use.
pub fn given() -> Option<PathBuf> {
    let said = std::env::var("BLACKSTART_TEST_CLUSTER").is_ok_and(|said| said == "given");
    std::env::var_os("KUBECONFIG").filter(|_| said).map(PathBuf::from)
}

/// One control plane.
pub struct ControlPlane {
    api_server: Option<Process>,
    _others: Vec<Process>,
    processes: Processes,
    authority: CertifiedIssuer<'static, KeyPair>,
    options: Options,
    ports: u16,
    dir: TempDir,
}

impl ControlPlane {
    pub fn start() -> Self {
        Self::started(Options::default())
    }

    /// Up: the API is ready, and the controllers have given the namespace `default` an account with a token.
    pub fn started(options: Options) -> Self {
        let dir = folder("kubernetes");
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "authority of a test");
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let processes = Processes::start();
        let (ports, api_server, _others) = (ports::five_free(), None, Vec::new());
        let mut plane = Self { api_server, _others, processes, authority, options, ports, dir };
        plane.write();
        let end = Instant::now() + LIMIT;
        plane.start_etcd(end);
        plane.start_api();
        plane.start_others();
        plane.until(end, "default has an account with a token", |api| async move {
            let account = api.get("/api/v1/namespaces/default/serviceaccounts/default").await;
            account.is_good() && account.body["secrets"].as_array().is_some_and(|all| !all.is_empty())
        });
        plane
    }

    pub fn folder(&self) -> &Path {
        self.dir.path()
    }

    fn at(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// Certificates, keys, logins and the administrator's kubeconfig.
    fn write(&self) {
        let put = |name: &str, text: &str| std::fs::write(self.dir.path().join(name), text).unwrap();
        put("ca.crt", &self.authority.pem());
        for (name, group) in [("server", "servers"), ("kubelet", "system:masters")] {
            let (cert, key) = self.certificate(name, group);
            put(&format!("{name}.crt"), &cert.pem());
            put(&format!("{name}.key"), &key.serialize_pem());
        }
        let accounts = KeyPair::generate().unwrap();
        put("accounts.key", &accounts.serialize_pem());
        put("accounts.pub", &accounts.public_key_pem());
        put("tokens", &format!("{TOKEN},administrator,administrator,system:masters\n"));
        put("kubeconfig", &kubeconfig(&[("main", self, TOKEN)]).to_string());
    }

    /// A certificate for 127.0.0.1, for servers and for clients.
    pub fn certificate(&self, name: &str, group: &str) -> (rcgen::Certificate, KeyPair) {
        let names = ["127.0.0.1", "localhost", "kubernetes.default.svc"].map(str::to_owned);
        let mut params = CertificateParams::new(names.to_vec()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.distinguished_name.push(DnType::OrganizationName, group);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.authority).unwrap(), key)
    }

    fn start_etcd(&mut self, end: Instant) {
        let (client, peer) = (self.ports, self.ports + 1);
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let args = [
            format!("--data-dir={}", self.at("etcd")),
            format!("--listen-client-urls={}", url(client)),
            format!("--advertise-client-urls={}", url(client)),
            format!("--listen-peer-urls={}", url(peer)),
            format!("--initial-advertise-peer-urls={}", url(peer)),
            format!("--initial-cluster=default={}", url(peer)),
        ];
        let etcd = self.run("etcd", "/usr/bin/etcd", &args);
        self._others.push(etcd);
        while std::net::TcpStream::connect(("127.0.0.1", client)).is_err() {
            assert!(Instant::now() < end, "etcd does not answer: {}", self.log("etcd"));
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// Starts the API server, also after [`Self::stop_api`], and waits until it is ready.
    pub fn start_api(&mut self) {
        assert!(self.api_server.is_none(), "it runs");
        let mut args = vec![
            format!("--etcd-servers=http://127.0.0.1:{}", self.ports),
            format!("--secure-port={}", self.port()),
            format!("--tls-cert-file={}", self.at("server.crt")),
            format!("--tls-private-key-file={}", self.at("server.key")),
            format!("--client-ca-file={}", self.at("ca.crt")),
            format!("--token-auth-file={}", self.at("tokens")),
            format!("--service-account-key-file={}", self.at("accounts.pub")),
            format!("--service-account-signing-key-file={}", self.at("accounts.key")),
            format!("--kubelet-certificate-authority={}", self.at("ca.crt")),
            format!("--kubelet-client-certificate={}", self.at("kubelet.crt")),
            format!("--kubelet-client-key={}", self.at("kubelet.key")),
            format!("--default-not-ready-toleration-seconds={}", self.options.tolerate),
            format!("--default-unreachable-toleration-seconds={}", self.options.tolerate),
        ];
        args.extend(API_SERVER.map(str::to_owned));
        self.api_server = Some(self.run("kube-apiserver", &program("kube-apiserver"), &args));
        let ready = |api: Api| async move { api.get("/readyz").await.is_good() };
        self.until(Instant::now() + LIMIT, "the API server is ready", ready);
    }

    /// Kills the API server: the cluster's API is lost, what runs goes on.
    pub fn stop_api(&mut self) {
        drop(self.api_server.take().expect("it runs"));
    }

    fn start_others(&mut self) {
        let kubeconfig = format!("--kubeconfig={}", self.at("kubeconfig"));
        let mut args = vec![
            kubeconfig.clone(),
            format!("--service-account-private-key-file={}", self.at("accounts.key")),
            format!("--root-ca-file={}", self.at("ca.crt")),
            format!("--node-monitor-grace-period={}s", self.options.grace),
            format!("--controllers=*,-{}", WITHOUT.join(",-")),
        ];
        args.extend(CONTROLLERS.map(str::to_owned));
        let manager = self.run("kube-controller-manager", &program("kube-controller-manager"), &args);
        let mut args = vec![kubeconfig];
        args.extend(SCHEDULER.map(str::to_owned));
        let scheduler = self.run("kube-scheduler", &program("kube-scheduler"), &args);
        self._others.extend([manager, scheduler]);
    }

    fn run(&self, name: &str, program: &str, args: &[String]) -> Process {
        let log = self.dir.path().join(format!("{name}.log"));
        let log = std::fs::File::options().create(true).append(true).open(log).unwrap();
        let mut command = bound(program);
        command
            .args(args)
            .current_dir(self.dir.path())
            .env_clear()
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap());
        command.stderr(log);
        self.processes.spawn(command)
    }

    /// The end of what a program of it has logged.
    pub fn log(&self, name: &str) -> String {
        let text = std::fs::read_to_string(self.dir.path().join(format!("{name}.log"))).unwrap_or_default();
        text.lines().rev().take(20).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    fn until<F: Future<Output = bool> + Send>(&self, end: Instant, what: &str, holds: impl Fn(Api) -> F + Send + Sync) {
        let api = self.api();
        wait(async {
            while !holds(api.clone()).await {
                assert!(Instant::now() < end, "never: {what}\n{}", self.log("kube-apiserver"));
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
    }

    /// The port of its API.
    pub fn port(&self) -> u16 {
        self.ports + 2
    }

    pub fn server(&self) -> String {
        format!("https://127.0.0.1:{}", self.port())
    }

    /// The certificate of its authority, as PEM.
    pub fn authority(&self) -> String {
        self.authority.pem()
    }

    /// A client as the administrator.
    pub fn api(&self) -> Api {
        Api::new(&self.server(), self.authority.der(), TOKEN)
    }

    /// The administrator's kubeconfig; its only context is `main`.
    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.path().join("kubeconfig")
    }

    /// A new kubeconfig for a service account that is there, by a token of an hour.
    pub fn account(&self, namespace: &str, name: &str) -> PathBuf {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token");
        let asked =
            json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": []}});
        let api = self.api();
        let token = wait(async move { api.post(&path, &asked).await }).sure();
        let file = self.dir.path().join(format!("kubeconfig-{namespace}-{name}"));
        let config = kubeconfig(&[("main", self, token["status"]["token"].as_str().unwrap())]);
        std::fs::write(&file, config.to_string()).unwrap();
        file
    }

    /// What is at a path of the API, as the administrator; nothing if there is nothing.
    pub fn get(&self, path: &str) -> Value {
        let api = self.api();
        wait(async move { api.get(path).await }).good().unwrap_or_default()
    }

    /// What `kubectl` says as the administrator; it must succeed.
    pub fn kubectl<S: AsRef<OsStr>>(&self, args: &[S]) -> String {
        let done = self.kubectl_says(args);
        let error = String::from_utf8_lossy(&done.stderr);
        let args = args.iter().map(|arg| arg.as_ref().to_string_lossy()).collect::<Vec<_>>();
        assert!(done.status.success(), "kubectl {args:?}: {error}");
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    /// The same, whether it succeeds or not.
    pub fn kubectl_says<S: AsRef<OsStr>>(&self, args: &[S]) -> Output {
        let mut command = Command::new("kubectl");
        command.arg("--kubeconfig").arg(self.kubeconfig()).arg("--request-timeout=60s").args(args);
        command
            .stdin(Stdio::null())
            .env("HOME", self.dir.path())
            .output()
            .expect("kubectl; tests/install.sh installs it")
    }

    /// Applies a manifest of one or more documents.
    pub fn apply(&self, yaml: &str) {
        let file = self.dir.path().join("manifest.yaml");
        std::fs::write(&file, yaml).unwrap();
        self.kubectl(&[OsStr::new("apply"), OsStr::new("-f"), file.as_os_str()]);
    }
}

/// A kubeconfig of one or more clusters: a context's name, its cluster, and a token. The first is the current one.
pub fn kubeconfig(all: &[(&str, &ControlPlane, &str)]) -> Value {
    let encode = |text: String| base64::engine::general_purpose::STANDARD.encode(text);
    let cluster = |(name, plane, _): &(&str, &ControlPlane, &str)| {
        let authority = encode(plane.authority());
        json!({"name": name, "cluster": {"server": plane.server(), "certificate-authority-data": authority}})
    };
    let user = |(name, _, token): &(&str, &ControlPlane, &str)| json!({"name": name, "user": {"token": token}});
    let context =
        |(name, ..): &(&str, &ControlPlane, &str)| json!({"name": name, "context": {"cluster": name, "user": name}});
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": all[0].0,
        "clusters": all.iter().map(cluster).collect::<Vec<_>>(),
        "users": all.iter().map(user).collect::<Vec<_>>(),
        "contexts": all.iter().map(context).collect::<Vec<_>>(),
    })
}

/// The administrator's kubeconfig of several clusters, by the names of their contexts.
pub fn administrators(all: &[(&str, &ControlPlane)]) -> Value {
    kubeconfig(&all.iter().map(|(name, plane)| (*name, *plane, TOKEN)).collect::<Vec<_>>())
}

/// A program that `control_plane.sh` has built.
fn program(name: &str) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kubernetes/control_plane.sh");
    let found = Command::new(script).arg("--check").output().unwrap();
    assert!(found.status.success(), "no control plane is built: tests/install.sh builds it");
    format!("{}/{name}", String::from_utf8_lossy(&found.stdout).trim())
}

const API_SERVER: [&str; 11] = [
    "--bind-address=127.0.0.1",
    "--advertise-address=127.0.0.1",
    // An Endpoints object cannot hold 127.0.0.1.
    "--endpoint-reconciler-type=none",
    "--authorization-mode=RBAC",
    "--service-account-issuer=https://kubernetes.default.svc",
    "--service-cluster-ip-range=10.96.0.0/16",
    "--kubelet-preferred-address-types=InternalIP",
    "--allow-privileged",
    "--profiling=false",
    "--insecure-port=0",
    "--feature-gates=CronJobControllerV2=true",
];

const CONTROLLERS: [&str; 11] = [
    "--leader-elect=false",
    "--bind-address=127.0.0.1",
    "--secure-port=0",
    "--port=0",
    "--kube-api-qps=500",
    "--kube-api-burst=500",
    "--node-monitor-period=500ms",
    "--node-eviction-rate=100",
    "--secondary-node-eviction-rate=100",
    "--pvclaimbinder-sync-period=1s",
    "--feature-gates=CronJobControllerV2=true",
];

const SCHEDULER: [&str; 6] = [
    "--leader-elect=false",
    "--bind-address=127.0.0.1",
    "--secure-port=0",
    "--port=0",
    "--kube-api-qps=500",
    "--kube-api-burst=500",
];

/// Controllers that have nothing to do here.
const WITHOUT: [&str; 15] = [
    "attachdetach",
    "bootstrapsigner",
    "cloud-node-lifecycle",
    "clusterrole-aggregation",
    "csrapproving",
    "csrcleaner",
    "csrsigning",
    "ephemeral-volume",
    "horizontalpodautoscaling",
    "nodeipam",
    "persistentvolume-expander",
    "root-ca-cert-publisher",
    "route",
    "service",
    "tokencleaner",
];
