//! Faults that change values of ConfigMaps and Secrets in place: what is done to them, given what the new values are.

use super::Now;
use super::config::{Kept, PARTS, Undo, together};
use crate::adapters::kubernetes::Write;
use crate::faults::{Cx, FaultError, Look};
use serde_json::Value;

/// What a kind of these faults makes of an original: a merge patch with `data` and `binaryData`.
pub(super) trait Values: Sync {
    fn values(&self, original: &Value, cx: &Cx<'_>) -> Result<Value, FaultError>;
}

pub(super) async fn inject(fault: &impl Values, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
    for kept in &undo.objects {
        let ours = fault.values(&kept.keep(cx).await?, cx)?;
        if matches!(kept.held.now(cx).await?, Now::Same(_)) {
            kept.change(&ours, Write::Real, cx).await?;
        }
    }
    Ok(())
}

pub(super) async fn rehearse(fault: &impl Values, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
    for kept in &undo.objects {
        if let Now::Same(now) = kept.held.now(cx).await? {
            kept.rehearse_copy(cx).await?;
            kept.change(&fault.values(&super::config::original(&now), cx)?, Write::Dry, cx).await?;
        }
    }
    Ok(())
}

/// Does every object hold all of our values?
pub(super) async fn effective(fault: &impl Values, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
    let mut looks = Vec::new();
    for kept in &undo.objects {
        looks.push(one(fault, kept, cx).await?);
    }
    Ok(together(looks))
}

async fn one(fault: &impl Values, kept: &Kept, cx: &Cx<'_>) -> Result<Look, FaultError> {
    let at = kept.held.at();
    let Some(original) = kept.original(cx).await? else {
        return Ok(Look { holds: false, detail: format!("{at} has no copy, so nothing was changed") });
    };
    let Now::Same(now) = kept.held.now(cx).await? else {
        return Ok(Look { holds: false, detail: format!("{at} is gone or was replaced") });
    };
    let ours = fault.values(&original, cx)?;
    let (mut all, mut set) = (0, 0);
    for part in PARTS {
        for (key, value) in ours.get(part).and_then(Value::as_object).into_iter().flatten() {
            all += 1;
            set += usize::from(now.0.get(part).and_then(|data| data.get(key)) == Some(value));
        }
    }
    Ok(Look { holds: set == all && all > 0, detail: format!("{set} of {all} values of {at} are ours") })
}

pub(super) async fn heal(fault: &impl Values, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
    let mut failed = None;
    for kept in undo.objects.iter().rev() {
        failed = put_back(fault, kept, cx).await.err().or(failed);
    }
    failed.map_or(Ok(()), Err)
}

async fn put_back(fault: &impl Values, kept: &Kept, cx: &Cx<'_>) -> Result<(), FaultError> {
    let Some(original) = kept.original(cx).await? else { return untouched(kept, cx).await };
    let ours = fault.values(&original, cx)?;
    kept.put_back(&ours, &original, cx).await?;
    kept.forget(cx).await
}

/// There is no copy: then nothing was changed, or all is healed already.
async fn untouched(kept: &Kept, cx: &Cx<'_>) -> Result<(), FaultError> {
    if let Now::Same(now) | Now::Replaced(now) = kept.held.now(cx).await?
        && super::mark::of(&now, &cx.owner.tag()) == super::mark::Mark::Ours
    {
        let why = format!("{} carries our change, and the copy {} is gone", kept.held.at(), kept.copy);
        return Err(super::config::refused(why));
    }
    Ok(())
}

/// None of these objects may be immutable: their values cannot be changed.
pub(super) fn mutable(undo: &Undo, originals: &[Value]) -> Result<(), FaultError> {
    for (kept, original) in undo.objects.iter().zip(originals) {
        if original.get("immutable").and_then(Value::as_bool) == Some(true) {
            let why = format!("{} is immutable: it can be removed (config_remove), not changed", kept.held.at());
            return Err(super::config::refused(why));
        }
    }
    Ok(())
}
