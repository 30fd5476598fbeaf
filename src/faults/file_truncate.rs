//! Cuts a file off, in place: programs that have it open see it too. The whole file is kept in the vault first.

use super::left::{Place, keep_beside, newer};
use super::{Cx, Fault, FaultError, Look, Reversibility, word};
use crate::adapters::AdapterError;
use crate::adapters::disk::{Facts, Remains};
use crate::model::{Size, TargetRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The copy's name in the vault.
const ORIGINAL: &str = "original";
/// What must stay free where the copy goes.
const ROOM: u64 = 64 << 20;

/// Cuts a file off until it is healed. The file as it was just before comes back byte for byte. If a program has written
/// to it meanwhile, its version is kept beside as `NAME.newer-TAG`; what a program only adds behind the original stays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileTruncate {
    /// A target of kind `file`.
    pub target: TargetRef,
    /// What is left of it; nothing if not given.
    #[serde(default = "nothing")]
    pub to: Size,
}

fn nothing() -> Size {
    Size(0)
}

/// What the file was. Its bytes are in the vault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    /// The file.
    pub path: PathBuf,
    /// What it was.
    pub facts: Facts,
    /// SHA-256 of its bytes, hex.
    pub digest: String,
    /// Where its bytes are, for people.
    pub kept: PathBuf,
}

impl FileTruncate {
    /// How it compares with what was kept; by its digest where nothing is kept any more.
    async fn remains(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Remains, FaultError> {
        match cx.scope.vault().kept(&cx.owner, ORIGINAL) {
            Some(kept) => Ok(cx.world.disks.compare(&undo.path, &kept).await?),
            None => Ok(match cx.world.files.look(&undo.path)? {
                None => Remains::Gone,
                Some(now) if now.digest == undo.digest => Remains::Whole,
                Some(_) => Remains::Other,
            }),
        }
    }
}

impl Fault for FileTruncate {
    const KIND: &'static str = "file_truncate";
    const TARGETS: &'static [&'static str] = &["file"];
    const SUMMARY: &'static str = "cut a file off, and put its bytes back";
    const REVERSIBILITY: Reversibility = Reversibility::Reversible;
    type Undo = Undo;

    fn targets(&self) -> Vec<&TargetRef> {
        vec![&self.target]
    }

    fn permissions(&self) -> Vec<String> {
        vec![
            "read and write permission for the file".to_owned(),
            "root, or write permission in its directory, to keep a newer version beside it".to_owned(),
        ]
    }

    fn way_back(&self) -> String {
        "the file's bytes are put back from the vault".to_owned()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Undo, FaultError> {
        let Place { path, facts } = Place::of(&self.target, cx).await?;
        if facts.size <= self.to.0 {
            let why = format!("{} has only {} bytes", path.display(), facts.size);
            return Err(FaultError::NothingToBreak(why));
        }
        let vault = cx.scope.vault();
        let place = vault.root().ancestors().find(|p| p.is_dir()).unwrap_or(Path::new("/"));
        let free = cx.world.disks.space(place).await?.free;
        if free < facts.size.saturating_add(ROOM) {
            let (path, size, place) = (path.display(), facts.size, place.display());
            let why = format!("{path} has {size} bytes, and {place} has no room to keep them ({free} bytes are free)");
            return Err(AdapterError::Refused(why).into());
        }
        let digest = vault.keep(&cx.owner, ORIGINAL, &path)?;
        let kept = vault.kept(&cx.owner, ORIGINAL).unwrap_or_default();
        Ok(Undo { path, facts, digest, kept })
    }

    async fn inject(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        let now = cx.world.disks.facts(&undo.path).await?;
        if now.is_some_and(|now| now.size > self.to.0) {
            cx.world.disks.truncate(&undo.path, self.to.0).await?;
        }
        Ok(())
    }

    async fn effective(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let remains = self.remains(undo, cx).await?;
        let size = cx.world.disks.facts(&undo.path).await?.map_or(0, |now| now.size);
        let detail = format!("{size} of {} bytes are there", undo.facts.size);
        Ok(Look { holds: !matches!(remains, Remains::Whole | Remains::Longer), detail })
    }

    async fn heal(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        let remains = self.remains(undo, cx).await?;
        if matches!(remains, Remains::Whole | Remains::Longer) {
            return Ok(());
        }
        let Some(kept) = cx.scope.vault().kept(&cx.owner, ORIGINAL) else {
            let why = format!("what was kept of {} is gone", undo.path.display());
            return Err(AdapterError::Missing(why).into());
        };
        if remains == Remains::Other {
            keep_beside(&undo.path, cx).await?;
        }
        Ok(cx.world.disks.put_back(&kept, &undo.path, &undo.facts).await?)
    }

    async fn healed(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let (path, newer) = (undo.path.display(), newer(&undo.path, cx));
        Ok(match self.remains(undo, cx).await? {
            Remains::Whole => Look { holds: true, detail: format!("{path} is whole{newer}") },
            Remains::Longer => Look { holds: true, detail: format!("{path} is whole, and has grown since{newer}") },
            Remains::Beginning => Look { holds: false, detail: format!("the end of {path} is missing") },
            Remains::Other => Look { holds: false, detail: format!("{path} holds something else") },
            Remains::Gone => Look { holds: false, detail: format!("{path} is not there") },
        })
    }

    fn by_hand(&self, undo: &Undo) -> String {
        format!("cat {} > {}", word(&undo.kept.to_string_lossy()), word(&undo.path.to_string_lossy()))
    }

    fn touched(&self, undo: &Undo) -> Vec<String> {
        vec![undo.path.display().to_string()]
    }
}
