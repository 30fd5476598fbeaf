//! The life of a pod on its node: volumes, first its init containers, then the others, restarts as its policy says, and
//! its end with grace. What the API server is told of it is in `status`.

use super::container::{Container, Ended, State};
use super::environment::{self, items};
use super::register::now;
use super::{Link, Node, Shared, images, probes, status, volumes};
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// A container that ends is started again at once, then after this, then twice that, up to [`BACK_OFF_MOST`]. A kubelet
/// begins with 10 s.
const BACK_OFF: Duration = Duration::from_millis(500);
const BACK_OFF_MOST: Duration = Duration::from_secs(8);
/// What is missing is looked for again after this.
const AGAIN: Duration = Duration::from_millis(500);
/// An image is pulled again after this.
const PULL_AGAIN: Duration = Duration::from_secs(2);
/// Files from ConfigMaps and Secrets are brought up to date so often. A kubelet takes a minute.
const REFRESH: Duration = Duration::from_secs(2);

/// What others ask of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Wish {
    Live,
    /// It has been deleted without waiting for its node.
    BeGone,
    /// The test ends.
    DieNow,
}

pub struct Pod {
    pub uid: String,
    pub namespace: String,
    pub name: String,
    pub node: Arc<Node>,
    pub address: Ipv4Addr,
    pub folder: PathBuf,
    pub first: Vec<Arc<Container>>,
    pub containers: Vec<Arc<Container>>,
    pub since: String,
    /// Increases when something of its status has changed.
    pub changed: watch::Sender<u64>,
    object: watch::Sender<Arc<Value>>,
    wish: watch::Sender<Wish>,
    /// No container is started any more.
    stopped: AtomicBool,
    living: AtomicBool,
    /// What it waits for before anything can start.
    pub wanting: Mutex<String>,
}

impl Pod {
    pub fn new(shared: &Shared, node: &Arc<Node>, object: Value) -> Self {
        let text = |key: &str| object["metadata"][key].as_str().unwrap_or_default().to_owned();
        let all = |key: &str| items(&object["spec"], key).iter().map(|spec| Arc::new(Container::new(spec))).collect();
        Self {
            uid: text("uid"),
            namespace: text("namespace"),
            name: text("name"),
            node: Arc::clone(node),
            address: shared.range.address(),
            folder: shared.folder.join(text("uid")),
            first: all("initContainers"),
            containers: all("containers"),
            since: now(),
            changed: watch::Sender::new(0),
            wish: watch::Sender::new(Wish::Live),
            stopped: AtomicBool::new(false),
            living: AtomicBool::new(true),
            wanting: Mutex::default(),
            object: watch::Sender::new(Arc::new(object)),
        }
    }

    /// It as the API server has it.
    pub fn object(&self) -> Arc<Value> {
        Arc::clone(&self.object.borrow())
    }

    pub fn heard(&self) -> watch::Receiver<Arc<Value>> {
        self.object.subscribe()
    }

    pub fn is(&self, object: Value) {
        self.object.send_replace(Arc::new(object));
    }

    pub fn is_gone(&self) {
        self.wish.send_modify(|wish| *wish = (*wish).max(Wish::BeGone));
    }

    /// Kills it without a word to anybody.
    pub fn kill(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.wish.send_replace(Wish::DieNow);
        self.all().for_each(|container| container.kill());
    }

    pub fn runs(&self) -> bool {
        self.living.load(Ordering::SeqCst)
    }

    pub fn all(&self) -> impl Iterator<Item = &Arc<Container>> {
        self.first.iter().chain(&self.containers)
    }

    pub fn container(&self, name: &str) -> Option<&Arc<Container>> {
        self.all().find(|container| container.name == name)
    }

    /// Something of its status has changed.
    pub fn touch(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    fn set(&self, container: &Container, state: State) {
        container.view.lock().unwrap().state = state;
        self.touch();
    }

    fn waits(&self, container: &Container, reason: &'static str, message: &str) {
        self.set(container, State::Waiting { reason, message: message.to_owned() });
    }

    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// A rest, cut short when nothing is to be started any more.
    async fn rest(&self, time: Duration) {
        let end = Instant::now() + time;
        while !self.is_stopped() && Instant::now() < end {
            sleep(Duration::from_millis(50)).await;
        }
    }

    fn policy(&self) -> String {
        self.object()["spec"]["restartPolicy"].as_str().unwrap_or("Always").to_owned()
    }

    /// Has it come to its end by itself?
    fn is_over(&self) -> bool {
        matches!(self.object()["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
    }

    /// Until it is to end, as far as its node can know.
    async fn to_end(&self) -> Wish {
        let (mut object, mut wish) = (self.heard(), self.wish.subscribe());
        loop {
            let wished = *wish.borrow_and_update();
            if wished == Wish::DieNow {
                return wished;
            }
            let deleted = object.borrow_and_update()["metadata"]["deletionTimestamp"].is_string();
            if (deleted || wished == Wish::BeGone) && self.node.is_up() {
                return wished;
            }
            tokio::select! {
                _sender_is_in_self = object.changed() => {}
                _sender_is_in_self = wish.changed() => {}
                () = sleep(Duration::from_millis(200)), if deleted || wished == Wish::BeGone => {}
            }
        }
    }
}

/// From its arrival on the node to its end.
pub async fn live(shared: Arc<Shared>, pod: Arc<Pod>) {
    let runs = (!pod.is_over()).then(|| tokio::spawn(run(Arc::clone(&shared), Arc::clone(&pod))));
    let told = tokio::spawn(status::tell(Arc::clone(&shared), Arc::clone(&pod)));
    let power = tokio::spawn(without_power(Arc::clone(&pod)));
    let wish = pod.to_end().await;
    pod.stopped.store(true, Ordering::SeqCst);
    if wish == Wish::Live {
        finish(&shared, &pod).await;
    }
    pod.all().for_each(|container| container.kill());
    if let Some(runs) = runs {
        // It ends when its processes have; one that cannot be killed is not waited for.
        let _ended = timeout(Duration::from_secs(20), runs).await;
    }
    power.abort();
    told.abort();
    if wish == Wish::Live {
        status::last(&shared, &pod).await;
        let path = format!("/api/v1/namespaces/{}/pods/{}", pod.namespace, pod.name);
        while shared.api.delete(&path, Some(&pod.uid)).await.status == 0 && *pod.wish.borrow() != Wish::DieNow {
            sleep(AGAIN).await;
        }
    }
    shared.range.give_back(pod.address);
    shared.pods.lock().unwrap().remove(&pod.uid);
    if let Err(e) = std::fs::remove_dir_all(&pod.folder)
        && e.kind() != std::io::ErrorKind::NotFound
    {
        eprintln!("{}: {e}", pod.folder.display());
    }
    pod.living.store(false, Ordering::SeqCst);
}

/// Kills its containers whenever its node loses power.
async fn without_power(pod: Arc<Pod>) {
    let mut link = pod.node.link.subscribe();
    loop {
        if link.wait_for(|link| *link == Link::Dead).await.is_err() {
            return;
        }
        pod.all().for_each(|container| container.kill());
        pod.node.up().await;
    }
}

/// Ends its containers as they are asked to end: what is to be done before, a signal, and after the time of grace the
/// end.
async fn finish(shared: &Shared, pod: &Pod) {
    let grace = pod.object()["metadata"]["deletionGracePeriodSeconds"].as_u64().unwrap_or(30);
    let end = Instant::now() + Duration::from_secs(grace);
    status::event(shared, pod, "Normal", "Killing", "Stopping the containers").await;
    for container in &pod.containers {
        let hook = &container.spec["lifecycle"]["preStop"];
        if hook.is_object() && container.runs() {
            let left = end.saturating_duration_since(Instant::now());
            probes::hook(pod, container, hook, left).await;
        }
        container.ask_to_end();
    }
    while pod.all().any(|container| container.runs()) && Instant::now() < end {
        let heard = *pod.wish.borrow();
        if heard != Wish::Live {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Its volumes, its first containers one after the other, and then the others.
async fn run(shared: Arc<Shared>, pod: Arc<Pod>) {
    pod.node.up().await;
    while let Err(why) = volumes::make(&shared, &pod).await {
        let changed = std::mem::replace(&mut *pod.wanting.lock().unwrap(), why.clone()) != why;
        if changed {
            status::event(&shared, &pod, "Warning", "FailedMount", &why).await;
        }
        pod.rest(AGAIN).await;
        if pod.is_stopped() {
            return;
        }
    }
    pod.wanting.lock().unwrap().clear();
    pod.touch();
    for container in &pod.first {
        if keep(&shared, &pod, container, "OnFailure").await != Some(0) {
            return;
        }
    }
    let refresh = tokio::spawn(refresh(Arc::clone(&shared), Arc::clone(&pod)));
    let policy = pod.policy();
    let all = pod.containers.iter().map(|container| keep(&shared, &pod, container, &policy));
    futures_util::future::join_all(all).await;
    refresh.abort();
}

async fn refresh(shared: Arc<Shared>, pod: Arc<Pod>) {
    loop {
        sleep(REFRESH).await;
        pod.node.up().await;
        // What is missing now stays as it was.
        let _kept = volumes::make(&shared, &pod).await;
    }
}

/// Keeps a container running as the policy says, to its last end: the code that it has ended with, if it ever ran.
async fn keep(shared: &Arc<Shared>, pod: &Arc<Pod>, container: &Arc<Container>, policy: &str) -> Option<i32> {
    let (mut code, mut wait) = (None, Duration::ZERO);
    loop {
        pod.node.up().await;
        if pod.is_stopped() {
            return code;
        }
        let Some(mut child) = begin(shared, pod, container).await else { continue };
        let started = Instant::now();
        let since = now();
        pod.set(container, State::Running { since: since.clone() });
        let probes = tokio::spawn(probes::watch(Arc::clone(shared), Arc::clone(pod), Arc::clone(container)));
        let status = child.wait().await.expect("a child of its own");
        probes.abort();
        let (exit, signal) = container.ended(status);
        let ended = Ended { code: exit, signal, since, at: now() };
        code = Some(exit);
        // An init container is ready when it is done.
        container.view.lock().unwrap().ready = exit == 0 && pod.first.iter().any(|first| first.name == container.name);
        pod.set(container, State::Ended(ended.clone()));
        let again = policy == "Always" || policy == "OnFailure" && exit != 0;
        if pod.is_stopped() || !again {
            return code;
        }
        wait = if started.elapsed() > BACK_OFF_MOST { Duration::ZERO } else { wait };
        if !wait.is_zero() {
            status::event(shared, pod, "Warning", "BackOff", "Back-off restarting failed container").await;
            container.view.lock().unwrap().last = Some(ended.clone());
            pod.waits(container, "CrashLoopBackOff", "back-off restarting failed container");
        }
        pod.rest(wait).await;
        wait = (wait * 2).clamp(BACK_OFF, BACK_OFF_MOST);
        if pod.is_stopped() {
            pod.set(container, State::Ended(ended));
            return code;
        }
        let mut view = container.view.lock().unwrap();
        (view.last, view.restarts) = (Some(ended), view.restarts + 1);
    }
}

/// Pulls its image and starts it; if that cannot be, says why and waits a while.
async fn begin(shared: &Shared, pod: &Pod, container: &Container) -> Option<tokio::process::Child> {
    let image = container.spec["image"].as_str().unwrap_or_default();
    let policy = container.spec["imagePullPolicy"].as_str().unwrap_or("IfNotPresent");
    if let Err(why) = images::pull(&pod.node, image, policy).await {
        status::event(shared, pod, "Warning", "Failed", &why).await;
        pod.waits(container, "ErrImagePull", &why);
        pod.rest(AGAIN).await;
        pod.waits(container, "ImagePullBackOff", &format!("Back-off pulling image {image:?}"));
        pod.rest(PULL_AGAIN).await;
        return None;
    }
    let env = environment::of(shared, pod, &container.spec).await;
    let mounts = volumes::mounts(shared, pod, &container.spec).await;
    let (env, mounts) = match env.and_then(|env| Ok((env, mounts?))) {
        Ok(both) => both,
        Err(why) => {
            pod.waits(container, "CreateContainerConfigError", &why);
            pod.rest(AGAIN).await;
            return None;
        }
    };
    match container.start(pod, env, &mounts) {
        Ok(child) => {
            container.settled(pod).await;
            status::event(shared, pod, "Normal", "Started", &format!("Started container {}", container.name)).await;
            Some(child)
        }
        Err(e) => {
            pod.waits(container, "CreateContainerError", &e.to_string());
            pod.rest(AGAIN).await;
            None
        }
    }
}

/// For the API: how a run has ended.
pub fn ended(ended: &Ended) -> Value {
    let reason = if ended.code == 0 { "Completed" } else { "Error" };
    let mut said = json!({"exitCode": ended.code, "reason": reason, "startedAt": ended.since, "finishedAt": ended.at});
    if let Some(signal) = ended.signal {
        said["signal"] = json!(signal);
    }
    said
}
