//! Follows a run inside a cluster: what its pods come to, what the runner prints, what stands on its Lease; fetches the folder
//! when it is there. A break in any of these is no end: it looks again.

use super::fetch::fetch;
use super::set::Place;
use crate::adapters::kubernetes::{ClusterError, Deletion, Flow, Inside, Kind, Object, Patch, Propagation, Write};
use crate::exec::StopSignal;
use crate::exec::inside::Packed;
use crate::inside::{
    ANNOTATION_ARCHIVE, ANNOTATION_COLLECTED, ANNOTATION_ENDED, ANNOTATION_EXIT, ANNOTATION_HEALED, ANNOTATION_SIZE,
    PART_LABEL, SET_LABEL, Setting,
};
use crate::model::Mono;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc;

/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// One look into a log takes at most this; then it is begun again where it was.
const LOGS: Duration = Duration::from_secs(300);
/// A run whose Lease says nothing, and whose guardian neither, is given up after this, on top of what healing may take.
const SILENT: Duration = Duration::from_secs(180);

/// What a run in a cluster came to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Came {
    /// The exit code that the runner wrote.
    pub exit: Option<u8>,
    /// The archive of its folder.
    pub archive: Option<PathBuf>,
    /// What the guardian came to, if it took over.
    pub healed: Option<String>,
    /// Why nothing more is known.
    pub lost: Option<String>,
    /// The exit code of the runner's container.
    pub status: Option<i64>,
    /// The user stopped it.
    pub stopped: Option<Stopped>,
}

/// The user stopped it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped;

/// Somebody who follows a run.
pub struct Follower<'a> {
    pub place: &'a Place,
    pub setting: &'a Setting,
    pub run: &'a str,
    /// The archive goes to this file.
    pub to: &'a Path,
    pub stop: &'a StopSignal,
    /// What is to be shown, in order.
    pub say: mpsc::UnboundedSender<String>,
}

/// What the Lease says.
struct Lease {
    held: bool,
    object: Object,
}

impl Lease {
    fn says(&self, name: &str) -> Option<&str> {
        self.object.annotation(name).filter(|text| !text.is_empty())
    }
}

impl Follower<'_> {
    fn say(&self, text: impl Into<String>) {
        // Whoever shows it lives as long as this.
        let _shown = self.say.send(text.into());
    }

    fn kind(name: &str) -> Result<Kind, ClusterError> {
        Kind::known(name).ok_or_else(|| ClusterError::Other(format!("{name} is unknown")))
    }

    async fn lease(&self) -> Result<Option<Lease>, ClusterError> {
        let at = Self::kind("lease")?.at(Some(&self.setting.namespace), &self.setting.names.set);
        let found = self.place.cluster.get(&at).await?;
        Ok(found.map(|object| Lease { held: !object.text("/spec/holderIdentity").is_empty(), object }))
    }

    async fn pod(&self, part: &str) -> Result<Option<Object>, ClusterError> {
        let labels = format!("{SET_LABEL}={},{PART_LABEL}={part}", self.setting.names.set);
        let mut pods = self.place.with(&Self::kind("pod")?, &labels).await?;
        // A guardian that was evicted has a successor.
        pods.sort_by(|a, b| a.text("/metadata/creationTimestamp").cmp(b.text("/metadata/creationTimestamp")));
        Ok(pods.pop())
    }

    /// Goes with it to its end.
    pub async fn follow(&self) -> Came {
        let mut came = Came::default();
        let logs = self.logs();
        let end = self.watch(&mut came);
        tokio::select! {
            () = end => {}
            never = logs => match never {},
        }
        came
    }

    /// Looks at Lease and pods until nothing more will come.
    async fn watch(&self, came: &mut Came) {
        let (mut said, mut held, mut alone): (String, bool, Option<Mono>) = (String::new(), false, None);
        loop {
            if came.stopped.is_none() && self.stop.requested().is_some() {
                came.stopped = Some(Stopped);
                self.order_to_stop().await;
            }
            let (lease, pod) = (self.lease().await, self.pod("runner").await);
            if let (Ok(lease), Ok(pod)) = (lease, pod) {
                let over = pod.as_ref().is_none_or(|pod| matches!(pod.text("/status/phase"), "Succeeded" | "Failed"));
                came.status = pod.as_ref().and_then(status).or(came.status);
                if let Some(lease) = &lease {
                    held |= lease.held;
                    self.read(lease, pod.as_ref(), came).await;
                    if lease.says(ANNOTATION_ENDED).is_some() && over {
                        return;
                    }
                }
                if !over && let Some(waits) = pod.as_ref().and_then(waiting).filter(|waits| *waits != said) {
                    self.say(format!("the runner's pod waits: {waits}"));
                    said = waits;
                }
                // Before the Lease is held nothing is touched, so nobody has to heal.
                if over && !held && (pod.is_some() || came.stopped.is_some()) {
                    return;
                }
                let now = self.place.clock.mono();
                let since = *alone.get_or_insert(now);
                if !over {
                    alone = None;
                } else if came.healed.is_some() {
                    return;
                } else if now.since(since) > self.setting.times.heal + SILENT {
                    came.lost = Some("the runner's pod is gone, and its guardian said nothing".to_owned());
                    return;
                }
            }
            self.place.clock.sleep_until(self.place.clock.mono().after(LOOK)).await;
        }
    }

    /// What stands on the Lease; fetches what is to be fetched.
    async fn read(&self, lease: &Lease, pod: Option<&Object>, came: &mut Came) {
        came.exit = lease.says(ANNOTATION_EXIT).and_then(|code| code.parse().ok()).or(came.exit);
        came.healed = lease.says(ANNOTATION_HEALED).map(str::to_owned).or(came.healed.take());
        let size = lease.says(ANNOTATION_SIZE).and_then(|size| size.parse().ok()).unwrap_or(0);
        let (Some(digest), Some(pod), None, true) = (lease.says(ANNOTATION_ARCHIVE), pod, &came.archive, size > 0)
        else {
            return;
        };
        let inside = self.inside(pod, "runner");
        let packed = Packed { digest: digest.to_owned(), size };
        let from = format!("{}/data/{}.tar.gz", self.setting.home, self.run);
        match fetch((self.place.cluster.as_ref(), &inside), (&self.setting.program, &from), &packed, self.to).await {
            Ok(()) => {
                came.archive = Some(self.to.to_owned());
                came.lost = None;
                self.say(format!("fetched the run's folder: {size} bytes, sha256 {digest}"));
                self.collected(digest).await;
            }
            // It is tried again as long as the pod waits.
            Err(why) => came.lost = Some(format!("the run's folder could not be fetched: {why}")),
        }
    }

    async fn collected(&self, digest: &str) {
        let Ok(kind) = Self::kind("lease") else { return };
        let at = kind.at(Some(&self.setting.namespace), &self.setting.names.set);
        let patch = Patch::Merge(json!({"metadata": {"annotations": {ANNOTATION_COLLECTED: digest}}}));
        if let Err(why) = self.place.cluster.patch(&at, None, &patch, Write::Real).await {
            self.say(format!("the runner could not be told so, and waits a while: {why}"));
        }
    }

    /// The pod is ended with all the time that healing may take.
    async fn order_to_stop(&self) {
        self.say("stopping: the drill heals in its pod first, its folder is fetched then");
        let Ok(kind) = Self::kind("job") else { return };
        let at = kind.at(Some(&self.setting.namespace), &self.setting.names.set);
        let how = Deletion { uid: None, grace: None, propagation: Some(Propagation::Background) };
        if let Err(why) = self.place.cluster.delete(&at, &how, Write::Real).await {
            self.say(format!("{at} could not be ended: {why}"));
        }
    }

    fn inside(&self, pod: &Object, container: &str) -> Inside {
        let namespace = self.setting.namespace.clone();
        Inside { namespace, pod: pod.name().to_owned(), container: Some(container.to_owned()) }
    }

    /// What the runner prints, and what the guardian says if it takes over.
    async fn logs(&self) -> std::convert::Infallible {
        let runner = self.log("runner", "");
        let guardian = self.log("guardian", "guardian: ");
        let (never, _) = tokio::join!(runner, guardian);
        match never {}
    }

    async fn log(&self, part: &str, mark: &str) -> std::convert::Infallible {
        let (mut shown, mut of) = (0_usize, String::new());
        loop {
            if let Ok(Some(pod)) = self.pod(part).await
                && matches!(pod.text("/status/phase"), "Running" | "Succeeded" | "Failed")
            {
                if of != pod.uid() {
                    (shown, of) = (0, pod.uid().to_owned());
                }
                // A log is always read from its beginning: what was shown is passed over.
                let mut line = 0;
                let mut each = |text: &str| {
                    line += 1;
                    if line > shown {
                        shown = line;
                        self.say(format!("{mark}{text}"));
                    }
                    Flow::On
                };
                let _broken = self.place.cluster.logs(&self.inside(&pod, part), LOGS, &mut each).await;
            }
            self.place.clock.sleep_until(self.place.clock.mono().after(LOOK)).await;
        }
    }
}

/// The exit code of a container that has ended.
fn status(pod: &Object) -> Option<i64> {
    pod.number("/status/containerStatuses/0/state/terminated/exitCode")
}

/// Why a pod does not run yet.
fn waiting(pod: &Object) -> Option<String> {
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let container = pod.0.pointer("/status/containerStatuses/0/state/waiting");
    let container = container.map(|state| format!("{} {}", text(state, "reason"), text(state, "message")));
    let unscheduled = pod
        .items("/status/conditions")
        .iter()
        .find(|one| text(one, "type") == "PodScheduled" && text(one, "status") == "False");
    let unscheduled = unscheduled.map(|one| format!("{} {}", text(one, "reason"), text(one, "message")));
    container.or(unscheduled).map(|why| why.trim().to_owned()).filter(|why| !why.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_that_waits_says_why() {
        let pending = json!({"status": {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False",
            "reason": "Unschedulable", "message": "0/1 nodes are available"}]}});
        assert_eq!(waiting(&Object(pending)), Some("Unschedulable 0/1 nodes are available".into()));
        let pull = json!({"status": {"containerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull"}}}]}});
        assert_eq!(waiting(&Object(pull)), Some("ErrImagePull".into()));
        let ended = json!({"status": {"containerStatuses": [{"state": {"terminated": {"exitCode": 69}}}]}});
        assert_eq!((waiting(&Object(ended.clone())), status(&Object(ended))), (None, Some(69)));
    }
}
