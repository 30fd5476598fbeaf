//! Takes a file away. It gets another name in its directory and stays the same file: nothing has to be copied, however
//! large it is, and owner, mode, attributes, times, other names and open handles stay what they are. The space it takes
//! is not freed.

use super::left::{Place, newer, own_name, put_aside};
use super::{Cx, Fault, FaultError, Look, Reversibility, word};
use crate::adapters::AdapterError;
use crate::adapters::disk::Facts;
use crate::model::TargetRef;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// So often a service may make the file anew while it is being put back.
const ROUNDS: usize = 5;

/// Removes a file until it is healed. Programs that have it open go on with it. If somebody makes a file of that name
/// meanwhile, the heal keeps it beside the one that comes back, as `NAME.newer-TAG`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileRemove {
    /// A target of kind `file`.
    pub target: TargetRef,
}

/// Where the file is meanwhile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    /// The file.
    pub path: PathBuf,
    /// What it is called meanwhile.
    pub aside: PathBuf,
    /// What it was.
    pub facts: Facts,
}

impl Undo {
    /// Is it the file that was there? Some file systems change the number with the name.
    fn is_it(&self, now: &Facts) -> bool {
        now.is_same(&self.facts) || (now.size, now.modified) == (self.facts.size, self.facts.modified)
    }
}

impl Fault for FileRemove {
    const KIND: &'static str = "file_remove";
    const TARGETS: &'static [&'static str] = &["file"];
    const SUMMARY: &'static str = "take a file away, and put the same file back";
    const REVERSIBILITY: Reversibility = Reversibility::Reversible;
    type Undo = Undo;

    fn targets(&self) -> Vec<&TargetRef> {
        vec![&self.target]
    }

    fn permissions(&self) -> Vec<String> {
        vec!["write permission in the file's directory".to_owned()]
    }

    fn way_back(&self) -> String {
        "the file gets its name back".to_owned()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Undo, FaultError> {
        let Place { path, facts } = Place::of(&self.target, cx).await?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let aside = path.with_file_name(format!("{}.{name}", own_name(&cx.owner)));
        if cx.world.disks.facts(&aside).await?.is_some() {
            return Err(AdapterError::Refused(format!("{} is in the way", aside.display())).into());
        }
        Ok(Undo { path, aside, facts })
    }

    async fn inject(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        if cx.world.disks.facts(&undo.aside).await?.is_none() {
            cx.world.disks.mark(&cx.owner.tag(), &undo.aside);
            cx.world.disks.rename(&undo.path, &undo.aside).await?;
        }
        Ok(())
    }

    async fn effective(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let aside = cx.world.disks.facts(&undo.aside).await?.is_some();
        let now = cx.world.disks.facts(&undo.path).await?;
        let detail = match (&now, aside) {
            (None, true) => "it is not there".to_owned(),
            (Some(_), true) => "it was taken away; somebody has made another".to_owned(),
            (_, false) => "it was not taken away".to_owned(),
        };
        Ok(Look { holds: aside, detail })
    }

    async fn heal(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        let disks = &cx.world.disks;
        for _ in 0..ROUNDS {
            if disks.facts(&undo.aside).await?.is_none() {
                break;
            }
            put_aside(&undo.path, cx).await?;
            match disks.rename(&undo.aside, &undo.path).await {
                // Made anew between the two.
                Err(AdapterError::Refused(_)) if disks.facts(&undo.path).await?.is_some() => {}
                other => other?,
            }
        }
        disks.unmark(&cx.owner.tag());
        Ok(())
    }

    async fn healed(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let path = undo.path.display();
        if cx.world.disks.facts(&undo.aside).await?.is_some() {
            return Ok(Look { holds: false, detail: format!("{path} is still called {}", undo.aside.display()) });
        }
        Ok(match cx.world.disks.facts(&undo.path).await? {
            Some(now) if undo.is_it(&now) => {
                Look { holds: true, detail: format!("{path} is back{}", newer(&undo.path, cx)) }
            }
            Some(_) => Look { holds: false, detail: format!("another file is at {path}, and the one before is gone") },
            None => Look { holds: false, detail: format!("{path} is gone, and so is what was kept of it") },
        })
    }

    fn by_hand(&self, undo: &Undo) -> String {
        format!("mv -n {} {}", word(&undo.aside.to_string_lossy()), word(&undo.path.to_string_lossy()))
    }

    fn touched(&self, undo: &Undo) -> Vec<String> {
        vec![undo.path.display().to_string()]
    }
}
