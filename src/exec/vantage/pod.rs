//! A vantage as a pod of a cluster: a Job of one attempt that listens inside its pod only and is reached through the API
//! server. It holds no right and no secret: what it is to do comes over that connection, and it ends when that does.

use super::HELPER;
use crate::adapters::guardian::Ends;
use crate::adapters::kubernetes::{
    Cluster, ClusterError, Deletion, Flow, Inside, Kind, Object, Propagation, Query, Scope, Write,
};
use crate::adapters::{AdapterError, World};
use crate::clock::Clock;
use crate::event::VantagePlaced;
use crate::exec::StopSignal;
use crate::faults::kubernetes::{OWNER_LABEL, RECORD_LABEL};
use crate::model::Mono;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What the Job is, in [`RECORD_LABEL`].
pub(in crate::exec) const RECORD: &str = "vantage";
/// Until its pod runs: an image may have to be pulled.
const RUNNING: Duration = Duration::from_secs(180);
/// Until it listens once its pod runs.
const LISTENING: Duration = Duration::from_secs(30);
const CONNECT: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(250);
/// It is gone once its connection is; nobody waits longer for that.
const GONE: Duration = Duration::from_secs(15);
/// A Job that nobody removed is removed by the cluster after this, where it can.
const KEPT: u32 = 600;
/// The user and group of the container: nobody in particular.
const USER: u32 = 65532;
/// Where it may write.
const DATA: &str = "/data";
/// Ports that nobody else has in a pod of its own.
const PORTS: (u16, u16) = (20_000, 10_000);
/// Why a container does not start, and never will.
const HOPELESS: [&str; 5] =
    ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError", "CreateContainerError"];

/// What its pod is made of.
pub(in crate::exec) struct Made {
    pub image: String,
    pub program: String,
    pub nodes: BTreeMap<String, String>,
    pub service_account: Option<String>,
    /// The tag of the run's own things.
    pub tag: String,
    /// It is ended after this at the latest.
    pub lasts: Duration,
}

/// A Job that was made.
pub(in crate::exec) struct Pod {
    cluster: Arc<dyn Cluster>,
    clock: Clock,
    placed: VantagePlaced,
    port: u16,
    /// Who wants the drill to stop does not wait for an image.
    stop: StopSignal,
}

fn job() -> Kind {
    Kind::of("batch", "v1", "Job", "jobs", Scope::Namespaced)
}

/// The name of the Job of a vantage of a run.
pub(in crate::exec) fn name(tag: &str, vantage: &str) -> String {
    format!("{tag}-{}", vantage.replace('_', "-").trim_matches('-'))
}

/// The same for a run's vantage each time, so that two on one loopback (of a test's node) do not meet.
fn port(job: &str) -> u16 {
    let mixed = job.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
    PORTS.0 + u16::try_from(mixed % u32::from(PORTS.1)).unwrap_or_default()
}

fn object(placed: &VantagePlaced, made: &Made, port: u16) -> Value {
    let labels = json!({OWNER_LABEL: made.tag, RECORD_LABEL: RECORD});
    let container = json!({
        "name": "vantage",
        "image": made.image,
        "command": [made.program],
        "args": ["helper", "--owner", made.tag, "--listen", port.to_string(), HELPER, placed.vantage],
        "env": [{"name": "HOME", "value": DATA}, {"name": "TMPDIR", "value": DATA}],
        // No limit of processor time: a client that is throttled measures its own gaps.
        "resources": {"requests": {"cpu": "250m", "memory": "64Mi"}},
        "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "data", "mountPath": DATA}],
    });
    let mut spec = json!({
        "restartPolicy": "Never",
        "automountServiceAccountToken": false,
        "terminationGracePeriodSeconds": 5,
        "securityContext": {"runAsNonRoot": true, "runAsUser": USER, "runAsGroup": USER, "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [{"name": "data", "emptyDir": Map::new()}],
    });
    if !made.nodes.is_empty() {
        spec["nodeSelector"] = json!(made.nodes);
    }
    if let Some(account) = &made.service_account {
        spec["serviceAccountName"] = json!(account);
    }
    json!({"apiVersion": "batch/v1", "kind": "Job",
    "metadata": {"name": placed.job, "labels": labels,
        "annotations": {"blackstart.dev/of": format!("vantage {}", placed.vantage)}},
    "spec": {
        "backoffLimit": 0,
        "activeDeadlineSeconds": made.lasts.as_secs(),
        "ttlSecondsAfterFinished": KEPT,
        "template": {
            "metadata": {"labels": labels, "annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}},
            "spec": spec,
        },
    }})
}

impl Pod {
    /// Makes the Job. `noted` is called when the server would take it, before it is made.
    pub async fn make(
        cluster: Arc<dyn Cluster>,
        (world, stop): (&World, &StopSignal),
        (placed, made): (VantagePlaced, &Made),
        noted: impl FnOnce(VantagePlaced),
    ) -> Result<Self, String> {
        let port = port(&placed.job);
        let object = object(&placed, made, port);
        let namespace = Some(placed.namespace.as_str());
        cluster.create(&job(), namespace, &object, Write::Dry).await.map_err(|e| e.to_string())?;
        noted(placed.clone());
        cluster.create(&job(), namespace, &object, Write::Real).await.map_err(|e| e.to_string())?;
        Ok(Self { cluster, clock: world.clock.clone(), placed, port, stop: stop.clone() })
    }

    /// Waits until it runs, and connects.
    pub async fn connect(&self) -> Result<Ends, String> {
        let pod = self.running().await?;
        let until = self.clock.mono().after(LISTENING);
        loop {
            match self.cluster.connect(&pod, self.port, CONNECT).await {
                // That nobody listens yet is heard only by who speaks.
                Ok(stream) => match greeted(stream).await {
                    Ok(ends) => return Ok(ends),
                    Err(why) if self.clock.mono() >= until => return Err(format!("it does not listen: {why}")),
                    Err(_) => {}
                },
                Err(error @ ClusterError::Forbidden(_)) => return Err(error.to_string()),
                Err(error) if self.clock.mono() >= until => return Err(error.to_string()),
                Err(_) => {}
            }
            self.goes_on()?;
            self.clock.sleep_until(self.clock.mono().after(LOOK)).await;
        }
    }

    fn goes_on(&self) -> Result<(), String> {
        self.stop.requested().map_or(Ok(()), |_| Err("the drill was stopped".to_owned()))
    }

    async fn running(&self) -> Result<Inside, String> {
        let VantagePlaced { namespace, job, .. } = &self.placed;
        let Some(kind) = Kind::known("pod") else { return Err("pods are unknown".to_owned()) };
        let (labels, fields) = (format!("job-name={job}"), String::new());
        let query = Query { kind, namespace: Some(namespace.clone()), labels, fields };
        let until = self.clock.mono().after(RUNNING);
        let mut last = "no pod was made for it".to_owned();
        loop {
            let mut found: Option<Object> = None;
            let mut take = |pod: Object| {
                found = Some(pod);
                Flow::Enough
            };
            match self.cluster.list(&query, &mut take).await {
                Ok(_) => {}
                Err(error @ ClusterError::Forbidden(_)) => return Err(error.to_string()),
                Err(error) => last = error.to_string(),
            }
            if let Some(pod) = found {
                match stands(&pod) {
                    Stands::Runs => {
                        let (namespace, pod, container) = (namespace.clone(), pod.name().to_owned(), None);
                        return Ok(Inside { namespace, pod, container });
                    }
                    Stands::Waits(why) => last = why,
                    Stands::Never(why) => return Err(format!("its pod {}: {why}", pod.name())),
                }
            }
            self.goes_on()?;
            if self.clock.mono() >= until {
                return Err(format!("its pod does not run after {} s: {last}", RUNNING.as_secs()));
            }
            self.clock.sleep_until(self.clock.mono().after(LOOK)).await;
        }
    }

    /// Removes it, and looks until it is gone.
    pub async fn remove(&self) -> Result<(), String> {
        remove(&*self.cluster, &self.placed, &self.clock.mono().after(GONE), &self.clock).await
    }
}

/// How a pod stands.
enum Stands {
    Runs,
    Waits(String),
    Never(String),
}

fn stands(pod: &Object) -> Stands {
    let waiting = |field: &str| pod.text(&format!("/status/containerStatuses/0/state/waiting/{field}")).to_owned();
    match pod.text("/status/phase") {
        "Running" => Stands::Runs,
        "Failed" | "Succeeded" => Stands::Never("it has ended".to_owned()),
        _ if HOPELESS.contains(&waiting("reason").as_str()) => {
            Stands::Never(format!("{}: {}", waiting("reason"), waiting("message")))
        }
        phase => {
            let unschedulable = pod.0.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
            let said = unschedulable
                .filter(|c| c["type"] == "PodScheduled" && c["status"] == "False")
                .find_map(|c| c["message"].as_str());
            Stands::Waits(said.map_or_else(|| format!("it is {phase}"), str::to_owned))
        }
    }
}

/// The vantage says a line first, so that a port nobody listens at is told apart.
async fn greeted(stream: Box<dyn crate::adapters::kubernetes::Stream>) -> Result<Ends, String> {
    use tokio::io::AsyncReadExt;
    let (mut from, to) = tokio::io::split(stream);
    let mut greeting = [0_u8; super::GREETING.len()];
    let read = tokio::time::timeout(CONNECT, from.read_exact(&mut greeting)).await;
    match read {
        Ok(Ok(_)) if greeting == *super::GREETING => Ok(Ends { from: Box::new(from), to: Box::new(to) }),
        Ok(Ok(_)) => Err("somebody else listens there".to_owned()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("it says nothing".to_owned()),
    }
}

/// Removes the Job of a vantage with its pod; it is known by its name and its label.
async fn remove(cluster: &dyn Cluster, placed: &VantagePlaced, until: &Mono, clock: &Clock) -> Result<(), String> {
    let at = job().at(Some(&placed.namespace), &placed.job);
    loop {
        match cluster.get(&at).await {
            Ok(None) | Err(ClusterError::Missing(_)) => return Ok(()),
            Ok(Some(there)) if there.label(RECORD_LABEL) != Some(RECORD) => return Ok(()),
            Ok(Some(there)) => {
                let uid = Some(there.uid().to_owned());
                let how = Deletion { uid, grace: None, propagation: Some(Propagation::Background) };
                match cluster.delete(&at, &how, Write::Real).await {
                    Ok(()) | Err(ClusterError::Missing(_)) => {}
                    Err(error) if clock.mono() >= *until => return Err(format!("{at}: {error}")),
                    Err(_) => {}
                }
            }
            Err(error) if clock.mono() >= *until => return Err(format!("{at}: {error}")),
            Err(_) => {}
        }
        if clock.mono() >= *until {
            return Err(format!("{at} is still there"));
        }
        clock.sleep_until(clock.mono().after(LOOK)).await;
    }
}

/// Removes what a run that is gone has left of a vantage.
pub(in crate::exec) async fn removed(placed: &VantagePlaced, world: &World) -> Result<(), String> {
    let access =
        crate::adapters::kubernetes::Access { kubeconfig: placed.kubeconfig.clone(), context: placed.context.clone() };
    let cluster = world.clusters.open(&access).await.map_err(|e| AdapterError::from(e).to_string())?;
    remove(&*cluster, placed, &world.clock.mono().after(GONE), &world.clock).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(vantage: &str) -> VantagePlaced {
        VantagePlaced {
            vantage: vantage.to_owned(),
            kubeconfig: None,
            context: None,
            server: "https://here".to_owned(),
            namespace: "drills".to_owned(),
            job: name("bs-0123456789ab", vantage),
        }
    }

    #[test]
    fn its_job_holds_no_secret_and_no_right() {
        let made = Made {
            image: "registry/blackstart:1".to_owned(),
            program: "blackstart".to_owned(),
            nodes: BTreeMap::from([("topology.kubernetes.io/zone".to_owned(), "a".to_owned())]),
            service_account: None,
            tag: "bs-0123456789ab".to_owned(),
            lasts: Duration::from_secs(900),
        };
        let placed = placed("far_away");
        assert_eq!(placed.job, "bs-0123456789ab-far-away");
        let job = object(&placed, &made, port(&placed.job));
        let pod = &job["spec"]["template"]["spec"];
        assert_eq!(pod["automountServiceAccountToken"], false);
        assert_eq!(pod["nodeSelector"]["topology.kubernetes.io/zone"], "a");
        assert_eq!(pod["containers"][0]["env"].as_array().unwrap().len(), 2);
        assert_eq!(
            (job["spec"]["backoffLimit"].as_i64(), job["spec"]["activeDeadlineSeconds"].as_i64()),
            (Some(0), Some(900))
        );
        assert!((20_000..30_000).contains(&port(&placed.job)) && port("a") != port("b"));
    }

    #[test]
    fn a_pod_that_can_never_run_is_told_apart_from_one_that_waits() {
        let pod = |status: Value| stands(&Object(json!({"status": status})));
        assert!(matches!(pod(json!({"phase": "Running"})), Stands::Runs));
        assert!(matches!(pod(json!({"phase": "Failed"})), Stands::Never(_)));
        let waiting = |reason: &str| json!({"phase": "Pending", "containerStatuses": [{"state": {"waiting": {"reason": reason, "message": "x"}}}]});
        assert!(matches!(pod(waiting("ImagePullBackOff")), Stands::Never(why) if why == "ImagePullBackOff: x"));
        assert!(matches!(pod(waiting("ContainerCreating")), Stands::Waits(_)));
        let full = json!({"phase": "Pending",
            "conditions": [{"type": "PodScheduled", "status": "False", "message": "no node has that zone"}]});
        assert!(matches!(pod(full), Stands::Waits(why) if why == "no node has that zone"));
    }
}
