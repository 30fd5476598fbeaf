//! Removes ConfigMaps and Secrets. Healing makes them again from their copies.

use super::config::{self, Kept, Undo, refused};
use super::{Home, Now, mark};
use crate::adapters::kubernetes::{ClusterError, Deletion, Write};
use crate::faults::{Cx, Fault, FaultError, Look, Reversibility};
use crate::model::{Right, TargetRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Removes ConfigMaps or Secrets until it is healed. They come back with the same data, labels, annotations, owners and
/// `immutable`, but with a new uid. Pods that run keep what they have read; pods that start meanwhile find nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigRemove {
    /// A target of kind `kubernetes`: ConfigMaps or Secrets.
    pub target: TargetRef,
}

async fn remove(kept: &Kept, cx: &Cx<'_>) -> Result<(), FaultError> {
    kept.keep(cx).await?;
    let Now::Same(object) = kept.held.now(cx).await? else { return Ok(()) };
    if object.ending() {
        return Ok(());
    }
    // Marked as the very version that the copy is of, and only then removed.
    kept.change(&json!({}), Write::Real, cx).await?;
    let how = Deletion { uid: Some(kept.held.object.uid.clone()), ..Deletion::default() };
    match kept.held.cluster(cx).await?.delete(&kept.held.at(), &how, Write::Real).await {
        Ok(()) | Err(ClusterError::Missing(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

async fn make_again(kept: &Kept, cx: &Cx<'_>) -> Result<(), FaultError> {
    let (at, tag) = (kept.held.at(), cx.owner.tag());
    match kept.held.now(cx).await? {
        Now::Same(object) | Now::Replaced(object) if object.ending() && mark::of(&object, &tag) == mark::Mark::Ours => {
            let why = object.items("/metadata/finalizers");
            return Err(refused(format!("{at} is still being removed; its finalizers hold it: {why:?}")));
        }
        Now::Same(_) | Now::Replaced(_) => {
            mark::put_back(&kept.held, &tag, cx, |_| None).await?;
        }
        Now::Gone => kept.make_again(cx).await?,
    }
    kept.forget(cx).await
}

impl Fault for ConfigRemove {
    const KIND: &'static str = "config_remove";
    const SUMMARY: &'static str = "remove ConfigMaps or Secrets, and make them again";
    const REVERSIBILITY: Reversibility = Reversibility::Reversible;
    const TARGETS: &'static [&'static str] = &["kubernetes"];
    type Undo = Undo;

    fn targets(&self) -> Vec<&TargetRef> {
        vec![&self.target]
    }

    fn permissions(&self) -> Vec<String> {
        vec!["to read, create, patch and delete the objects, and copies beside them".to_owned()]
    }

    fn rights(&self) -> Vec<Right> {
        config::rights(&self.target, &["patch"])
    }

    fn way_back(&self) -> String {
        "the objects are made again from their copies, with new uids".to_owned()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Undo, FaultError> {
        Ok(config::prepare(&self.target, cx).await?.0)
    }

    async fn rehearse(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        for kept in &undo.objects {
            kept.rehearse_copy(cx).await?;
            kept.change(&json!({}), Write::Dry, cx).await?;
            let how = Deletion { uid: Some(kept.held.object.uid.clone()), ..Deletion::default() };
            kept.held.cluster(cx).await?.delete(&kept.held.at(), &how, Write::Dry).await?;
        }
        Ok(())
    }

    async fn inject(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        for kept in &undo.objects {
            remove(kept, cx).await?;
        }
        Ok(())
    }

    async fn effective(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let mut looks = Vec::new();
        for kept in &undo.objects {
            let at = kept.held.at();
            looks.push(match kept.held.now(cx).await? {
                Now::Gone => Look { holds: true, detail: format!("{at} is gone") },
                Now::Same(_) => Look { holds: false, detail: format!("{at} is there") },
                Now::Replaced(_) => Look { holds: false, detail: format!("{at} was made again by somebody") },
            });
        }
        Ok(config::together(looks))
    }

    async fn heal(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        let mut failed = None;
        for kept in undo.objects.iter().rev() {
            failed = make_again(kept, cx).await.err().or(failed);
        }
        failed.map_or(Ok(()), Err)
    }

    async fn healed(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        undo.healed(cx).await
    }

    fn home(undo: &Undo) -> Option<&Home> {
        Some(&undo.home)
    }

    fn by_hand(&self, undo: &Undo) -> String {
        undo.by_hand("create")
    }

    fn touched(&self, undo: &Undo) -> Vec<String> {
        undo.touched()
    }
}
