//! A bad line, by the kernel's netem: delay with jitter, loss, corruption, duplication, reordering.

use super::network::qdisc;
use super::{Cx, Fault, FaultError, Look, Reversibility};
use crate::adapters::World;
use crate::model::{Dur, Percent, TargetRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Makes the line behind an interface a bad one, for what leaves through it. Needs a kernel with netem (`sch_netem`);
/// `blackstart doctor` says whether this one has it. An interface that has a queueing discipline of somebody's own is
/// refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkNetem {
    /// A target of kind `network` with an `interface`.
    pub target: TargetRef,
    /// Packets arrive later by this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<Dur>,
    /// The delay varies by this, up and down; needs `delay`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Dur>,
    /// So many packets are lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<Percent>,
    /// So many packets have a wrong bit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrupt: Option<Percent>,
    /// So many packets arrive twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicate: Option<Percent>,
    /// So many packets overtake the delayed ones; needs `delay`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reorder: Option<Percent>,
}

impl NetworkNetem {
    fn words(&self) -> Vec<String> {
        let time = |dur: Dur| format!("{}us", dur.0.as_micros());
        let mut words = vec!["netem".to_owned()];
        if let Some(delay) = self.delay {
            words.extend(["delay".to_owned(), time(delay)]);
            words.extend(self.jitter.map(time));
        }
        let shares =
            [("loss", self.loss), ("corrupt", self.corrupt), ("duplicate", self.duplicate), ("reorder", self.reorder)];
        for (word, share) in shares {
            words.extend(share.into_iter().flat_map(|share| [word.to_owned(), share.to_string()]));
        }
        words
    }

    /// What cannot be meant.
    fn complete(&self) -> Result<(), FaultError> {
        if self.words().len() == 1 {
            return Err(FaultError::NothingToBreak("no delay, loss, corruption or anything else is named".to_owned()));
        }
        if self.delay.is_none() && (self.jitter.is_some() || self.reorder.is_some()) {
            return Err(FaultError::NothingToBreak("`jitter` and `reorder` need a `delay`".to_owned()));
        }
        Ok(())
    }
}

impl Fault for NetworkNetem {
    const KIND: &'static str = "network_netem";
    const SUMMARY: &'static str = "a bad line: delay, loss, corruption, duplication, reordering (netem)";
    const REVERSIBILITY: Reversibility = Reversibility::Reversible;
    const TARGETS: &'static [&'static str] = &["network"];
    type Undo = qdisc::Undo;

    fn targets(&self) -> Vec<&TargetRef> {
        vec![&self.target]
    }

    fn permissions(&self) -> Vec<String> {
        [qdisc::permissions(), vec!["a kernel with netem (sch_netem)".to_owned()]].concat()
    }

    fn way_back(&self) -> String {
        "its queueing discipline is removed, and the kernel puts its default back".to_owned()
    }

    async fn unavailable(&self, world: &World) -> Option<String> {
        self.complete().ok()?;
        qdisc::unavailable(&self.words(), world).await
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Self::Undo, FaultError> {
        self.complete()?;
        qdisc::prepare(&self.target, |_| self.words(), cx).await
    }

    async fn inject(&self, undo: &Self::Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        qdisc::inject(undo, cx).await
    }

    async fn effective(&self, undo: &Self::Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        qdisc::effective(undo, cx).await
    }

    async fn heal(&self, undo: &Self::Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        qdisc::heal(undo, cx).await
    }

    async fn healed(&self, undo: &Self::Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        qdisc::healed(undo, cx).await
    }

    fn by_hand(&self, undo: &Self::Undo) -> String {
        qdisc::undo_by_hand(undo)
    }

    fn touched(&self, undo: &Self::Undo) -> Vec<String> {
        qdisc::touched(undo)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn netem(parameters: serde_json::Value) -> NetworkNetem {
        let mut all = serde_json::json!({"target": "line"});
        all.as_object_mut().unwrap().extend(parameters.as_object().unwrap().clone());
        serde_json::from_value(all).unwrap()
    }

    #[test]
    fn tcs_words() {
        let fault = netem(serde_json::json!({"delay": "100ms", "jitter": "20ms", "loss": "1%", "reorder": "25%"}));
        assert_eq!(fault.words().join(" "), "netem delay 100000us 20000us loss 1% reorder 25%");
        assert!(fault.complete().is_ok());
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        assert!(netem(serde_json::json!({})).complete().is_err());
        assert!(netem(serde_json::json!({"jitter": "1ms", "loss": "1%"})).complete().is_err());
    }
}
