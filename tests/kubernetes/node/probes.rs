//! Startup, readiness and liveness of a container, by HTTP, TCP or a program in it; and its hooks.

use super::Shared;
use super::container::{Container, State};
use super::environment::items;
use super::pod::Pod;
use super::status;
use serde_json::Value;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// More of a page is not read.
const KEEP: u64 = 64 * 1024;

/// Probes a container while it runs.
pub async fn watch(shared: Arc<Shared>, pod: Arc<Pod>, container: Arc<Container>) {
    if container.spec["startupProbe"].is_object() {
        once(&shared, &pod, &container, "startupProbe").await;
    }
    let ready = async {
        if container.spec["readinessProbe"].is_object() {
            readiness(&shared, &pod, &container).await;
        } else {
            be(&pod, &container, true);
        }
    };
    let alive = async {
        if container.spec["livenessProbe"].is_object() {
            again_and_again(&shared, &pod, &container, "livenessProbe").await;
        }
    };
    futures_util::future::join(ready, alive).await;
}

fn number(probe: &Value, key: &str, default: u64) -> u64 {
    probe[key].as_u64().unwrap_or(default)
}

fn period(probe: &Value) -> Duration {
    Duration::from_secs(number(probe, "periodSeconds", 10).max(1))
}

fn be(pod: &Pod, container: &Container, ready: bool) {
    let mut view = container.view.lock().unwrap();
    let ready = ready && matches!(view.state, State::Running { .. });
    let changed = view.ready != ready;
    view.ready = ready;
    drop(view);
    if changed {
        pod.touch();
    }
}

async fn readiness(shared: &Shared, pod: &Pod, container: &Container) {
    let probe = &container.spec["readinessProbe"];
    let (good, bad) = (number(probe, "successThreshold", 1), number(probe, "failureThreshold", 3));
    let (mut held, mut failed) = (0, 0);
    sleep(Duration::from_secs(number(probe, "initialDelaySeconds", 0))).await;
    loop {
        let holds = holds(pod, container, probe).await;
        (held, failed) = if holds { (held + 1, 0) } else { (0, failed + 1) };
        if held >= good {
            be(pod, container, true);
        }
        if failed == bad {
            status::event(shared, pod, "Warning", "Unhealthy", "Readiness probe failed").await;
        }
        if failed >= bad {
            be(pod, container, false);
        }
        sleep(if holds || container.look().ready { period(probe) } else { period(probe).min(Duration::from_secs(1)) })
            .await;
    }
}

/// Until the probe holds for the first time; a container that takes too long is ended.
async fn once(shared: &Shared, pod: &Pod, container: &Container, name: &str) {
    let probe = &container.spec[name];
    for _ in 0..number(probe, "failureThreshold", 3) {
        if holds(pod, container, probe).await {
            return;
        }
        sleep(period(probe)).await;
    }
    end(shared, pod, container, name).await;
}

/// For ever; a container that fails is ended.
async fn again_and_again(shared: &Shared, pod: &Pod, container: &Container, name: &str) {
    let probe = &container.spec[name];
    let mut failed = 0;
    sleep(Duration::from_secs(number(probe, "initialDelaySeconds", 0))).await;
    loop {
        failed = if holds(pod, container, probe).await { 0 } else { failed + 1 };
        if failed >= number(probe, "failureThreshold", 3) {
            end(shared, pod, container, name).await;
        }
        sleep(period(probe)).await;
    }
}

async fn end(shared: &Shared, pod: &Pod, container: &Container, name: &str) {
    status::event(shared, pod, "Warning", "Unhealthy", &format!("{name} failed")).await;
    container.ask_to_end();
    sleep(Duration::from_secs(pod.object()["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap_or(30))).await;
    container.kill();
}

async fn holds(pod: &Pod, container: &Container, probe: &Value) -> bool {
    let limit = Duration::from_secs(number(probe, "timeoutSeconds", 1).max(1));
    timeout(limit, act(pod, container, probe)).await.unwrap_or(false)
}

/// What is done before a container is ended.
pub async fn hook(pod: &Pod, container: &Container, hook: &Value, limit: Duration) {
    // It is ended whether that was done or not.
    let _done = timeout(limit, act(pod, container, hook)).await;
}

async fn act(pod: &Pod, container: &Container, what: &Value) -> bool {
    if let Some(words) = what["exec"]["command"].as_array() {
        let argv: Vec<String> = words.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        let Some(mut command) = container.beside(pod, &argv) else { return false };
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        return command.status().await.is_ok_and(|status| status.success());
    }
    let get = &what["httpGet"];
    let at = if get.is_object() { get } else { &what["tcpSocket"] };
    let host = at["host"].as_str().map_or_else(|| pod.address.to_string(), str::to_owned);
    let Some(port) = port(container, &at["port"]) else { return false };
    let Ok(stream) = TcpStream::connect((host.as_str(), port)).await else { return false };
    !get.is_object() || status_of(stream, &host, get).await.is_some_and(|status| (200..400).contains(&status))
}

/// A port by number or by its name in the container.
fn port(container: &Container, port: &Value) -> Option<u16> {
    let named = |name: &str| items(&container.spec, "ports").iter().find(|port| port["name"] == name);
    let number = port.as_u64().or_else(|| named(port.as_str()?)?["containerPort"].as_u64());
    number.and_then(|number| u16::try_from(number).ok())
}

/// The status that a page answers with.
async fn status_of(mut stream: TcpStream, host: &str, get: &Value) -> Option<u16> {
    let path = get["path"].as_str().unwrap_or("/");
    let mut head =
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: kube-probe/1.20\r\nConnection: close\r\n");
    for header in items(get, "httpHeaders") {
        let text = |key: &str| header[key].as_str().unwrap_or_default();
        head += &format!("{}: {}\r\n", text("name"), text("value"));
    }
    stream.write_all((head + "\r\n").as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    stream.take(KEEP).read_to_end(&mut answer).await.ok()?;
    String::from_utf8_lossy(&answer).split_whitespace().nth(1)?.parse().ok()
}
