//! A double of the Kubernetes API server with a small cluster behind it, in this process: for tests of faults, probes,
//! restores and guards that take milliseconds. Where it differs from a real server, it is wrong (the contract suite
//! says so).
//!
//! ```text
//! let double = Double::start();                       // own thread: works in sync and async tests; ends when dropped
//! double.seed_nodes(6, &["a", "b", "c"]);             // n1..n6, zones in turn (topology.kubernetes.io/zone)
//! double.namespace("shop");
//! double.deploy("shop", "web", 3);                    // Deployment and Service `web`, waits until 3 pods are ready
//! double.object(json!({"kind": "ConfigMap", …}));     // anything, as it is (status too); makes its namespace
//! double.kubeconfig(), double.access()                // for the binary, for adapters
//! double.get("pods", "shop", "web-…"), .list("pods", "shop")    // straight from the store: Option<Value>, Vec<Value>
//! double.change("nodes", "", "n1", |node| …)          // behind everybody's back
//! double.wait(|d| d.ready("shop") == 3)               // until it is so, 20 s at most
//! double.user("ann", vec![Rule::of("shop", "", "pods", "get,list")]);  double.kubeconfig_of("ann"), .access_of("ann")
//! double.harm(Only::verb("patch").of("deployments"), Harm::Refuse(403)); double.harm_once(…); double.unharm();
//! double.cut(); double.mend(); double.forget_history(); double.break_watches(); double.violate(Violation::…)
//! double.requests()                                   // what came: Vec<Seen>; double.log("shop", "web-1", "web", "text")
//! double.program(|run| (run.argv[0] == "date").then(|| Ran::ok("today\n")));  double.ran();
//! double.port("shop", "", 8080, addr);                // port-forward to any pod of shop leads to addr
//! double.settings(|s| s.controllers = false);         // before many are made at once:
//! double.seed_nodes(500, &["a", "b", "c"]); double.seed_pods("shop", "web", 5_000, 500);
//! double.settings(|s| s.ready_after = …)              // also stop_after, controllers; Double::old() is a 1.20
//! ```
//!
//! Simplified: custom resources have no schema; of built-in ones only the fields that drills touch are checked,
//! unknown ones are kept; all versions of a kind are one; one set of owned fields per manager for all parts of an
//! object; no quotas, admission, protobuf (but for access reviews) or SPDY; a restarted container of a Job's pod is a
//! failed pod; no events.

pub mod access;
mod apply;
mod call;
mod controllers;
mod defaults;
mod delete;
mod discovery;
mod fields;
mod http;
pub mod inject;
pub mod json;
pub mod kinds;
mod patch;
mod pods;
pub mod programs;
mod protobuf;
mod read;
mod scale;
mod seed;
mod select;
mod status;
mod store;
mod table;
mod write;

pub use access::Rule;
pub use inject::{Harm, Only, Seen, Violation};
pub use kinds::Kind;
pub use programs::{Ran, Run};
pub use seed::BAD_IMAGE;

use access::User;
use base64::Engine;
use blackstart::adapters::kubernetes::Access;
use call::Call;
use inject::Injection;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use store::Store;

/// How the cluster behind the server behaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Do controllers act by themselves? If not, [`Double::tick`] makes them.
    pub controllers: bool,
    /// A pod runs and is ready so long after it got its node.
    pub ready_after: Duration,
    /// A pod that is being deleted is gone after this, or its grace if that is shorter.
    pub stop_after: Duration,
    /// What `/version` says; below 1.21 only the old versions of policy, CronJob and EndpointSlice are there.
    pub version: (u32, u32),
}

/// Everything that the server knows.
pub struct State {
    store: Store,
    settings: Settings,
    users: Vec<User>,
    violations: Vec<Violation>,
    injections: Vec<Injection>,
    seen: Vec<Seen>,
    /// Since when something is under way that needs time.
    timers: HashMap<String, Instant>,
    /// Does a controller wait for time to pass?
    waiting: bool,
    /// Pods whose probes fail, by namespace and name.
    sick: HashSet<(String, String)>,
    /// What containers do.
    programs: Vec<programs::Program>,
    /// What was run in containers.
    ran: Vec<Run>,
    /// Where ports of pods lead.
    ports: Vec<programs::Port>,
    /// What containers wrote, by namespace, pod and container.
    logs: BTreeMap<(String, String, String), String>,
}

impl State {
    fn violates(&self, what: Violation) -> bool {
        self.violations.contains(&what)
    }

    /// Is this the change that a watch is not told of?
    fn loses(&mut self) -> bool {
        let at = self.violations.iter().position(|v| *v == Violation::LosesWatchEvent);
        at.map(|at| self.violations.remove(at)).is_some()
    }

    /// A request came; its number, and what goes wrong with it.
    fn note(&mut self, call: &Call) -> (usize, Option<Harm>) {
        let seen = Seen::of(call, &self.store.kinds[call.kind]);
        let found = self.injections.iter_mut().find(|i| i.left != Some(0) && i.only.fits(&seen));
        let harm = found.map(|injection| {
            injection.left = injection.left.map(|left| left - 1);
            injection.harm.clone()
        });
        self.seen.push(seen);
        (self.seen.len() - 1, harm)
    }

    fn answered(&mut self, number: usize, status: u16) {
        if let Some(seen) = self.seen.get_mut(number) {
            seen.status = status;
        }
    }

    /// A new object as controllers and tests make it, with what the server adds.
    fn bear(&mut self, kind: usize, mut object: Value) -> Arc<Value> {
        defaults::born(self, kind, &mut object);
        let key = self.store.key_of(kind, &object);
        self.store.put(&key, object)
    }
}

/// The state, and what its users wait for.
pub struct Shared {
    state: Mutex<State>,
    broken: tokio::sync::Notify,
    cut: tokio::sync::watch::Sender<bool>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Waits while the way here is cut.
    async fn open(&self) {
        let mut cut = self.cut.subscribe();
        let _ = cut.wait_for(|cut| !cut).await;
    }
}

/// A server that runs until this is dropped.
pub struct Double {
    shared: Arc<Shared>,
    folder: tempfile::TempDir,
    /// `https://127.0.0.1:PORT`
    pub url: String,
    /// The server's certificate, PEM.
    pub certificate: String,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Double {
    /// A current one (1.33), with namespaces `default` and `kube-system` and no nodes.
    pub fn start() -> Self {
        Self::of((1, 33))
    }

    /// One like Debian's 1.20.
    pub fn old() -> Self {
        Self::of((1, 20))
    }

    fn of(version: (u32, u32)) -> Self {
        let settings = Settings { controllers: true, ready_after: Duration::ZERO, stop_after: Duration::ZERO, version };
        let state = State {
            store: Store::new(kinds::all(version < (1, 21))),
            settings,
            users: vec![User { name: access::ADMIN.to_owned(), token: access::ADMIN.to_owned(), rules: Vec::new() }],
            violations: Vec::new(),
            injections: Vec::new(),
            seen: Vec::new(),
            timers: HashMap::new(),
            waiting: false,
            sick: HashSet::new(),
            programs: Vec::new(),
            ran: Vec::new(),
            ports: Vec::new(),
            logs: BTreeMap::new(),
        };
        let cut = tokio::sync::watch::channel(false).0;
        let shared = Arc::new(Shared { state: Mutex::new(state), broken: tokio::sync::Notify::new(), cut });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let (certificate, tls) = http::encryption();
        let thread = std::thread::spawn({
            let shared = shared.clone();
            move || serve(listener, tls, shared, stopped)
        });
        let folder = tempfile::tempdir().unwrap();
        let double = Self { shared, folder, url, certificate, stop: Some(stop), thread: Some(thread) };
        double.write_kubeconfig(access::ADMIN, access::ADMIN);
        for namespace in ["default", "kube-system"] {
            double.namespace(namespace);
        }
        double.forget_history();
        double
    }

    fn write_kubeconfig(&self, user: &str, token: &str) {
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: double\n\
             clusters: [{{name: double, cluster: {{server: \"{}\", \
             certificate-authority-data: {}}}}}]\n\
             contexts: [{{name: double, context: {{cluster: double, user: \"{user}\", namespace: default}}}}]\n\
             users: [{{name: \"{user}\", user: {{token: \"{token}\"}}}}]\n",
            self.url,
            base64::engine::general_purpose::STANDARD.encode(&self.certificate)
        );
        std::fs::write(self.kubeconfig_of(user), text).unwrap();
    }

    /// The kubeconfig of somebody who may do everything.
    pub fn kubeconfig(&self) -> PathBuf {
        self.kubeconfig_of(access::ADMIN)
    }

    /// The kubeconfig of a user.
    pub fn kubeconfig_of(&self, user: &str) -> PathBuf {
        self.folder.path().join(format!("{}.kubeconfig", user.replace(':', "-")))
    }

    /// The way to it as an adapter takes it.
    pub fn access(&self) -> Access {
        Access { kubeconfig: Some(self.kubeconfig()), context: None }
    }

    /// The same as a user.
    pub fn access_of(&self, user: &str) -> Access {
        Access { kubeconfig: Some(self.kubeconfig_of(user)), context: None }
    }

    /// A folder that ends with the server.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Somebody with a token. Besides these rules, stored Roles and ClusterRoles count as they are bound; an account
    /// of a pod is `system:serviceaccount:NAMESPACE:NAME`.
    pub fn user(&self, name: &str, rules: Vec<Rule>) {
        let token = format!("token-of-{name}");
        let mut state = self.shared.lock();
        state.users.retain(|u| u.name != name);
        state.users.push(User { name: name.to_owned(), token: token.clone(), rules });
        drop(state);
        self.write_kubeconfig(name, &token);
    }

    /// From now on this goes wrong with these requests.
    pub fn harm(&self, only: Only, harm: Harm) {
        self.shared.lock().injections.push(Injection { only, harm, left: None });
    }

    /// The next of these requests goes wrong.
    pub fn harm_once(&self, only: Only, harm: Harm) {
        self.shared.lock().injections.push(Injection { only, harm, left: Some(1) });
    }

    /// Nothing goes wrong any more.
    pub fn unharm(&self) {
        self.shared.lock().injections.clear();
    }

    /// Accepts and never answers, until [`Self::mend`].
    pub fn cut(&self) {
        self.shared.cut.send_replace(true);
    }

    /// Answers again, also what was asked meanwhile.
    pub fn mend(&self) {
        self.shared.cut.send_replace(false);
    }

    /// Versions before now are too old (410).
    pub fn forget_history(&self) {
        self.shared.lock().store.forget();
    }

    /// So many changes are remembered.
    pub fn remember(&self, changes: usize) {
        self.shared.lock().store.memory = changes;
    }

    /// Ends all watches that are open.
    pub fn break_watches(&self) {
        self.shared.broken.notify_waiters();
    }

    /// From now on it breaks this rule of the API.
    pub fn violate(&self, violation: Violation) {
        self.shared.lock().violations.push(violation);
    }

    /// What came so far, but for discovery.
    pub fn requests(&self) -> Vec<Seen> {
        self.shared.lock().seen.clone()
    }

    /// Forgets what came.
    pub fn forget_requests(&self) {
        self.shared.lock().seen.clear();
    }

    /// Changes how the cluster behaves.
    pub fn settings(&self, how: impl FnOnce(&mut Settings)) {
        how(&mut self.shared.lock().settings);
    }

    /// A kind that a test adds.
    pub fn kind(&self, kind: Kind) {
        self.shared.lock().store.kinds.push(kind);
    }

    /// One round of all controllers.
    pub fn tick(&self) {
        controllers::tick(&mut self.shared.lock());
    }

    /// What programs do in containers: for `exec`, and for pods that do not run for ever. The newest that knows the
    /// program counts; of the rest, `kill` restarts the container, `true` and `echo` work, a Job's pod ends well.
    pub fn program(&self, script: impl Fn(&Run) -> Option<Ran> + Send + Sync + 'static) {
        self.shared.lock().programs.push(Arc::new(script));
    }

    /// What was run in containers so far.
    pub fn ran(&self) -> Vec<Run> {
        self.shared.lock().ran.clone()
    }

    /// This port of pods leads there; namespace and pod may be empty for all.
    pub fn port(&self, namespace: &str, pod: &str, port: u16, to: std::net::SocketAddr) {
        let (namespace, pod) = (namespace.to_owned(), pod.to_owned());
        self.shared.lock().ports.push(programs::Port { namespace, pod, port, to });
    }

    /// What a container wrote.
    pub fn log(&self, namespace: &str, pod: &str, container: &str, text: &str) {
        let key = (namespace.to_owned(), pod.to_owned(), container.to_owned());
        self.shared.lock().logs.entry(key).or_default().push_str(text);
    }

    /// Waits until something is so; panics with what there is after 20 s.
    pub fn wait(&self, so: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !so(self) {
            if start.elapsed() > Duration::from_secs(20) {
                let pods = self.list("pods", "");
                panic!("not so after 20 s; pods: {pods:#?}");
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Serves and lets the controllers act until it is stopped.
fn serve(
    listener: std::net::TcpListener,
    tls: tokio_rustls::TlsAcceptor,
    shared: Arc<Shared>,
    stopped: tokio::sync::oneshot::Receiver<()>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        tokio::select! {
            () = http::accept(listener, tls, shared.clone()) => {}
            () = control(shared) => {}
            _ = stopped => {}
        }
    });
    runtime.shutdown_background();
}

async fn control(shared: Arc<Shared>) {
    let mut news = shared.lock().store.listen();
    loop {
        let before = *news.borrow_and_update();
        let waiting = {
            let mut state = shared.lock();
            if state.settings.controllers {
                controllers::tick(&mut state);
            }
            state.waiting && state.settings.controllers
        };
        if *news.borrow() != before {
            tokio::task::yield_now().await;
            continue;
        }
        if waiting {
            let _ = tokio::time::timeout(Duration::from_millis(10), news.changed()).await;
        } else if news.changed().await.is_err() {
            return;
        }
    }
}
