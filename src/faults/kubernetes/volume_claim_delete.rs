//! Deletes PersistentVolumeClaims. Nothing brings their data back but a restore.

use super::config::together;
use super::lost::known;
use super::{Held, Home, Now, home, kubectl, objects};
use crate::adapters::AdapterError;
use crate::adapters::kubernetes::{ClusterError, Deletion, Flow, Object, Query, Write};
use crate::faults::{Cx, Fault, FaultError, Look, Reversibility};
use crate::model::{Resource, Right, TargetRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Deletes PersistentVolumeClaims; what becomes of their data is the reclaim policy's of their volumes. A claim that pods
/// use is only marked: the cluster keeps it (finalizer `kubernetes.io/pvc-protection`) until the last of them has ended.
/// A claim that is marked cannot be unmarked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VolumeClaimDelete {
    /// A target of kind `kubernetes`: PersistentVolumeClaims.
    pub target: TargetRef,
    /// What becomes of claims that pods use; `refuse` if not given.
    #[serde(default)]
    pub in_use: InUse,
}

/// What becomes of claims that pods use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InUse {
    /// The fault is refused.
    #[default]
    Refuse,
    /// They are marked, and go when the last pod that uses them has ended: a later step ends the pods.
    Mark,
}

/// A claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The very claim.
    pub held: Held,
    /// The volume that it is bound to; empty if none.
    pub volume: String,
}

/// The claims.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undo {
    /// Where the record stands.
    pub home: Home,
    /// As they were.
    pub claims: Vec<Claim>,
}

/// The pods of a namespace that have not ended, by the claims that they use.
async fn users(held: &Held, cx: &Cx<'_>) -> Result<BTreeMap<String, Vec<String>>, FaultError> {
    let namespace = held.object.namespace.clone();
    let query = Query { kind: known("pod")?, namespace, labels: String::new(), fields: String::new() };
    let mut users: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut each = |pod: Object| {
        if !["Succeeded", "Failed"].contains(&pod.text("/status/phase")) {
            for volume in pod.items("/spec/volumes") {
                let claim = volume.pointer("/persistentVolumeClaim/claimName").and_then(Value::as_str);
                if let Some(claim) = claim {
                    users.entry(claim.to_owned()).or_default().push(pod.name().to_owned());
                }
            }
        }
        Flow::On
    };
    held.cluster(cx).await?.list(&query, &mut each).await?;
    Ok(users)
}

impl VolumeClaimDelete {
    async fn delete(&self, claim: &Claim, write: Write, cx: &Cx<'_>) -> Result<(), FaultError> {
        let Now::Same(object) = claim.held.now(cx).await? else { return Ok(()) };
        if object.ending() {
            return Ok(());
        }
        let how = Deletion { uid: Some(claim.held.object.uid.clone()), ..Deletion::default() };
        match claim.held.cluster(cx).await?.delete(&claim.held.at(), &how, write).await {
            Ok(()) | Err(ClusterError::Missing(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn look(&self, claim: &Claim, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let at = claim.held.at();
        let object = match claim.held.now(cx).await? {
            Now::Gone => return Ok(Look { holds: true, detail: format!("{at} is gone") }),
            Now::Replaced(_) => return Ok(Look { holds: true, detail: format!("{at} is gone, another has its name") }),
            Now::Same(object) => object,
        };
        if !object.ending() {
            return Ok(Look { holds: false, detail: format!("{at} is there") });
        }
        let users = users(&claim.held, cx).await?.remove(&claim.held.object.name).unwrap_or_default();
        let who = if users.is_empty() { "its finalizers".to_owned() } else { format!("pods {}", users.join(", ")) };
        let detail = format!("{at} is only marked: {who} hold it, and its data is still there");
        Ok(Look { holds: self.in_use == InUse::Mark, detail })
    }
}

impl Fault for VolumeClaimDelete {
    const KIND: &'static str = "volume_claim_delete";
    const SUMMARY: &'static str = "delete PersistentVolumeClaims, and their data with them";
    const REVERSIBILITY: Reversibility = Reversibility::Irreversible;
    const TARGETS: &'static [&'static str] = &["kubernetes"];
    type Undo = Undo;

    fn targets(&self) -> Vec<&TargetRef> {
        vec![&self.target]
    }

    fn permissions(&self) -> Vec<String> {
        vec!["to delete persistentvolumeclaims, and to list the pods that use them".to_owned()]
    }

    fn rights(&self) -> Vec<Right> {
        let pods = Resource::Namespaced(String::new(), "pods".to_owned());
        let mut rights = Right::each(&self.target, &Resource::Itself(None), &["get", "list", "delete"]);
        rights.extend(Right::each(&self.target, &pods, &["list"]));
        rights
    }

    fn way_back(&self) -> String {
        "none by itself: claims and data are restored from a snapshot or a backup".to_owned()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Undo, FaultError> {
        let mut claims = Vec::new();
        for held in objects(&self.target, cx).await? {
            let at = held.at();
            if held.object.kind != "PersistentVolumeClaim" {
                let why = format!("{at} of `{}` is no claim: write `kind: pvc`", self.target.name());
                return Err(FaultError::Reference(why));
            }
            let Now::Same(now) = held.now(cx).await? else {
                return Err(FaultError::NothingToBreak(format!("{at} is gone")));
            };
            if now.ending() {
                return Err(FaultError::NothingToBreak(format!("{at} is being removed by somebody")));
            }
            let users = users(&held, cx).await?.remove(&held.object.name).unwrap_or_default();
            if self.in_use == InUse::Refuse && !users.is_empty() {
                let why = format!(
                    "{at} is used by {}: it would only be marked until they end; end them before, or write \
                     `in_use: mark`",
                    users.join(", ")
                );
                return Err(AdapterError::Refused(why).into());
            }
            claims.push(Claim { volume: now.text("/spec/volumeName").to_owned(), held });
        }
        Ok(Undo { home: home(&self.target, cx).await?, claims })
    }

    async fn rehearse(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        for claim in &undo.claims {
            self.delete(claim, Write::Dry, cx).await?;
        }
        Ok(())
    }

    async fn inject(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        for claim in &undo.claims {
            self.delete(claim, Write::Real, cx).await?;
        }
        Ok(())
    }

    async fn effective(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let mut looks = Vec::new();
        for claim in &undo.claims {
            looks.push(self.look(claim, cx).await?);
        }
        Ok(together(looks))
    }

    async fn heal(&self, _: &Undo, _: &Cx<'_>) -> Result<(), FaultError> {
        Ok(())
    }

    async fn healed(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let mut looks = Vec::new();
        for Claim { held, .. } in &undo.claims {
            let at = held.at();
            looks.push(match held.now(cx).await? {
                Now::Gone => Look { holds: false, detail: format!("{at} is gone") },
                Now::Same(now) | Now::Replaced(now) => {
                    let bound = now.text("/status/phase") == "Bound" && !now.ending();
                    let how = if bound { "there and bound" } else { "not bound, or on its way out" };
                    Look { holds: bound, detail: format!("{at} is {how}") }
                }
            });
        }
        Ok(together(looks))
    }

    fn home(undo: &Undo) -> Option<&Home> {
        Some(&undo.home)
    }

    fn by_hand(&self, undo: &Undo) -> String {
        let line = |claim: &Claim| {
            let look = match claim.volume.as_str() {
                "" => kubectl::at(&claim.held, "get persistentvolumes"),
                volume => kubectl::at(&claim.held, &format!("get persistentvolume {volume}")),
            };
            format!(
                "{look} # if the volume is still there, its data is; else restore {} from a backup",
                claim.held.at()
            )
        };
        undo.claims.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    fn touched(&self, undo: &Undo) -> Vec<String> {
        undo.claims.iter().map(|claim| kubectl::shown(&claim.held.object)).collect()
    }
}
