//! Fills a file system with one file of our own; healing removes exactly that file.
//!
//! The ballast lies in the target's directory (so that a quota on it counts too) and is named by its owner. It takes its
//! space at once, where the file system can do that, and holds noise where it cannot. What other programs write or free
//! meanwhile changes how full it is: the ballast does not follow.

use super::left::{left_behind, own_name, own_places};
use super::{Cx, Fault, FaultError, Look, Reversibility, Search, word};
use crate::adapters::disk::{Goal, Reader, Space};
use crate::adapters::{AdapterError, World, host};
use crate::model::{Percent, Size, TargetRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What must stay free where our own records are: they grow while a drill runs, and healing is written down too.
const OWN_NEED: u64 = 64 << 20;
/// How far from the goal still counts: the share of the file system, and at least this many bytes.
const NEAR_SHARE: f64 = 0.005;
const NEAR_BYTES: u64 = 1 << 20;

/// Fills the file system that a directory is on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiskFill {
    /// A target of kind `directory`.
    pub target: TargetRef,
    /// How far.
    pub to: Fullness,
    /// Whose space counts: a part may be kept back for root, who can still write when users cannot. `users` if not
    /// given.
    #[serde(default)]
    pub seen_by: Reader,
    /// `own_records` lets it fill the file system that our own journal or state directory is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledge: Option<Acknowledged>,
}

/// How far a file system is filled.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fullness {
    /// Until this share of it is taken, as `df` shows it.
    Share(Percent),
    /// Until no more than this is left.
    Free(Size),
    /// By this much.
    Size(Size),
}

/// What a person has thought of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Acknowledged {
    /// Our own journal may have no room left but what it has kept back.
    OwnRecords,
}

/// Where the ballast is, and how full it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    /// The directory.
    pub folder: PathBuf,
    /// Its number: another directory at its place has another one.
    pub inode: u64,
    /// The ballast.
    pub ballast: PathBuf,
    /// How far.
    pub goal: Goal,
    /// The file system before.
    pub before: Space,
}

fn percent(share: f64) -> String {
    format!("{:.1} % used", share * 100.0)
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

impl DiskFill {
    fn goal(&self) -> Goal {
        match self.to {
            Fullness::Share(share) => Goal::Share(share.0, self.seen_by),
            Fullness::Free(left) => Goal::Left(left.0, self.seen_by),
            Fullness::Size(size) => Goal::Bytes(size.0),
        }
    }

    /// Nothing that healing needs may be left without room.
    async fn spares_own_records(&self, space: &Space, missing: u64, cx: &Cx<'_>) -> Result<(), FaultError> {
        let left = space.free.saturating_sub(missing);
        if left >= OWN_NEED || self.acknowledge == Some(Acknowledged::OwnRecords) {
            return Ok(());
        }
        for (what, place) in own_places(cx) {
            if cx.world.disks.space(&place).await?.is_same(space) {
                let (place, left) = (place.display(), megabytes(left));
                return Err(FaultError::World(crate::adapters::AdapterError::Refused(format!(
                    "{what} {place} is on the same file system, and {left} would be left for it; put it elsewhere, or \
                     write `acknowledge: own_records`"
                ))));
            }
        }
        Ok(())
    }

    fn fullness(&self, now: &Space) -> String {
        let free = megabytes(now.free_for(self.seen_by));
        format!("{}, {free} free", percent(now.share(self.seen_by)))
    }
}

/// Where the ballast is or may be: a directory that was renamed took it along.
fn places(undo: &Undo, now: Option<u64>, world: &World) -> Vec<PathBuf> {
    let mut all = vec![undo.ballast.clone()];
    if now != Some(undo.inode) {
        let name = undo.ballast.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let around = undo.folder.parent().unwrap_or(Path::new("/"));
        let folders: Vec<PathBuf> = world.disks.named(&[around.to_path_buf()], "");
        all.extend(world.disks.named(&folders, &name));
    }
    all
}

async fn inode(folder: &Path, world: &World) -> Result<Option<u64>, FaultError> {
    Ok(world.disks.facts(folder).await?.map(|facts| facts.inode))
}

impl Fault for DiskFill {
    const KIND: &'static str = "disk_fill";
    const TARGETS: &'static [&'static str] = &["directory"];
    const SUMMARY: &'static str = "fill a file system to a share, to what is left, or by a size";
    const REVERSIBILITY: Reversibility = Reversibility::Reversible;
    type Undo = Undo;

    fn targets(&self) -> Vec<&TargetRef> {
        vec![&self.target]
    }

    fn permissions(&self) -> Vec<String> {
        let root = "root, to fill what is kept back for root".to_owned();
        let mut list = vec!["write permission in the target's directory".to_owned()];
        list.extend((self.seen_by == Reader::Root).then_some(root));
        list
    }

    fn way_back(&self) -> String {
        "the one file that fills it is removed".to_owned()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Undo, FaultError> {
        let target = cx.scope.target(&self.target).await.map_err(FaultError::NothingToBreak)?;
        let folder = PathBuf::from(target.fields.get("path").cloned().unwrap_or_default());
        let about = cx.world.disks.facts(&folder).await?;
        let Some(about) = about else {
            return Err(FaultError::NothingToBreak(format!("{} is not there", folder.display())));
        };
        host::writable(&folder)
            .map_err(|e| AdapterError::Refused(format!("nothing can be written to {}: {e}", folder.display())))?;
        let (goal, before) = (self.goal(), cx.world.disks.space(&folder).await?);
        let missing = goal.missing(&before, 0);
        if missing < NEAR_BYTES.min(before.used + before.free_for(self.seen_by)) / 16 {
            let why = format!("{} is already as full: {}", folder.display(), self.fullness(&before));
            return Err(FaultError::NothingToBreak(why));
        }
        self.spares_own_records(&before, missing, cx).await?;
        let ballast = folder.join(own_name(&cx.owner));
        Ok(Undo { folder, inode: about.inode, ballast, goal, before })
    }

    async fn inject(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        cx.world.disks.mark(&cx.owner.tag(), &undo.ballast);
        cx.world.disks.fill(&undo.ballast, undo.goal).await?;
        Ok(())
    }

    async fn effective(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let Some(ballast) = cx.world.disks.facts(&undo.ballast).await? else {
            return Ok(Look { holds: false, detail: "no ballast is there".to_owned() });
        };
        let now = cx.world.disks.space(&undo.folder).await?;
        let near = ((now.used + now.free_for(self.seen_by)) as f64 * NEAR_SHARE) as u64;
        let short = undo.goal.missing(&now, ballast.size);
        let detail = format!("{}, by a ballast of {}", self.fullness(&now), megabytes(ballast.size));
        Ok(Look { holds: short <= near.max(NEAR_BYTES), detail })
    }

    async fn heal(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        for place in places(undo, inode(&undo.folder, cx.world).await?, cx.world) {
            cx.world.disks.remove(&place).await?;
        }
        cx.world.disks.unmark(&cx.owner.tag());
        Ok(())
    }

    /// The ballast is gone from the very file system that it was on.
    async fn healed(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let now = inode(&undo.folder, cx.world).await?;
        for place in places(undo, now, cx.world) {
            if let Some(left) = cx.world.disks.facts(&place).await? {
                let detail = format!("{} is there with {}", place.display(), megabytes(left.size));
                return Ok(Look { holds: false, detail });
            }
        }
        let nearest = undo.folder.ancestors().find(|p| p.exists()).unwrap_or(Path::new("/"));
        let space = cx.world.disks.space(nearest).await?;
        if !space.is_same(&undo.before) && !undo.before.in_memory() {
            let (folder, kind, source) = (undo.folder.display(), &undo.before.kind, &undo.before.source);
            let detail = format!("{folder} is on another file system now; the ballast is on the {kind} of {source}");
            return Ok(Look { holds: false, detail });
        }
        let before = percent(undo.before.share(self.seen_by));
        Ok(Look { holds: true, detail: format!("{} ({before} before)", self.fullness(&space)) })
    }

    fn by_hand(&self, undo: &Undo) -> String {
        format!("rm -f {}", word(&undo.ballast.to_string_lossy()))
    }

    fn touched(&self, undo: &Undo) -> Vec<String> {
        let Space { kind, source, mount, .. } = &undo.before;
        vec![format!("{} ({kind} of {source} at {})", undo.folder.display(), mount.display())]
    }

    async fn residue(world: &World) -> Search {
        left_behind(world)
    }
}
