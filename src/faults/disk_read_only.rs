//! Makes a mount point read-only, and writable again with the options it had. The kernel refuses that while a file on it
//! is open for writing; a service that keeps its files open is given `disk_io` with EROFS instead.

use super::left::own_places;
use super::{Cx, Fault, FaultError, Look, Reversibility, word};
use crate::adapters::AdapterError;
use crate::adapters::disk::{Mount, mount_of};
use crate::model::TargetRef;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// So long a file that is open for writing is waited for.
const BUSY: Duration = Duration::from_secs(3);
const AGAIN: Duration = Duration::from_millis(5);

/// Makes the mount at a directory read-only until it is healed. Other mounts of the same file system, and other mount
/// namespaces, do not see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiskReadOnly {
    /// A target of kind `directory` that is a mount point.
    pub target: TargetRef,
}

/// The mount as it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    /// The directory.
    pub directory: PathBuf,
    /// Its mount, with its options.
    pub mount: Mount,
}

impl Undo {
    /// The mount that is seen there now, and whether it is the one.
    fn now(&self, cx: &Cx<'_>) -> Result<Option<(Mount, Which)>, FaultError> {
        let all = cx.world.disks.mounts()?;
        let seen = all.into_iter().rfind(|m| m.point == self.directory);
        Ok(seen.map(|m| {
            let key = |m: &Mount| (m.id, m.root.clone(), m.kind.clone(), m.source.clone());
            let which = if key(&m) == key(&self.mount) { Which::Same } else { Which::Another };
            (m, which)
        }))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    Same,
    Another,
}

impl Fault for DiskReadOnly {
    const KIND: &'static str = "disk_read_only";
    const TARGETS: &'static [&'static str] = &["directory"];
    const SUMMARY: &'static str = "make a mount point read-only";
    const REVERSIBILITY: Reversibility = Reversibility::Reversible;
    type Undo = Undo;

    fn targets(&self) -> Vec<&TargetRef> {
        vec![&self.target]
    }

    fn permissions(&self) -> Vec<String> {
        vec!["root (CAP_SYS_ADMIN), to remount".to_owned()]
    }

    fn way_back(&self) -> String {
        "the mount gets the options back that it had".to_owned()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Undo, FaultError> {
        let target = cx.scope.target(&self.target).await.map_err(FaultError::NothingToBreak)?;
        let directory = PathBuf::from(target.fields.get("path").cloned().unwrap_or_default());
        let shown = directory.display();
        let refused = |why: String| Err(AdapterError::Refused(why).into());
        let all = cx.world.disks.mounts()?;
        let Some(mount) = mount_of(&directory, &all).filter(|m| m.point == directory) else {
            return refused(format!("{shown} is no mount point; name one, or use `disk_io` with EROFS"));
        };
        if directory == Path::new("/") {
            return refused("the root of the machine is not made read-only".to_owned());
        }
        for (what, place) in own_places(cx) {
            let place = std::fs::canonicalize(&place).unwrap_or(place);
            if mount_of(&place, &all).is_some_and(|m| m.id == mount.id) {
                return refused(format!("{what} {} is on the mount at {shown}", place.display()));
            }
        }
        if mount.is_read_only() || cx.world.disks.is_read_only(&directory).await? {
            return Err(FaultError::NothingToBreak(format!("{shown} is already read-only")));
        }
        Ok(Undo { mount: mount.clone(), directory })
    }

    async fn inject(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        let until = cx.world.clock.mono().after(BUSY);
        loop {
            let Some((now, Which::Same)) = undo.now(cx)? else {
                let text = format!("the mount at {} is another one now", undo.directory.display());
                return Err(AdapterError::Missing(text).into());
            };
            if now.is_read_only() {
                return Ok(());
            }
            // A short write that is under way ends; a file that stays open does not.
            match cx.world.disks.remount(&undo.mount.read_only()).await {
                Err(error) if cx.world.clock.mono() >= until => {
                    let users = cx.world.disks.users(&undo.directory);
                    let text = format!("{error}; files may be open for writing there, by {}", users.join(", "));
                    return Err(AdapterError::Refused(text).into());
                }
                Err(_) => cx.world.clock.sleep_until(cx.world.clock.mono().after(AGAIN)).await,
                Ok(()) => return Ok(()),
            }
        }
    }

    async fn effective(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let holds = cx.world.disks.is_read_only(&undo.directory).await?;
        let word = if holds { "nobody can write" } else { "it can be written to" };
        Ok(Look { holds, detail: format!("{}: {word}", undo.directory.display()) })
    }

    async fn heal(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        match undo.now(cx)? {
            Some((now, Which::Same)) if now.options != undo.mount.options => {
                Ok(cx.world.disks.remount(&undo.mount).await?)
            }
            // Unmounted, or mounted anew: what we did is gone with the mount.
            _ => Ok(()),
        }
    }

    async fn healed(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let shown = undo.directory.display();
        let (before, options) = (undo.mount.options.join(","), |m: &Mount| m.options.join(","));
        Ok(match undo.now(cx)? {
            Some((now, Which::Same)) if now.options == undo.mount.options => {
                let read_only = cx.world.disks.is_read_only(&undo.directory).await?;
                let word = if read_only { "but its file system is read-only" } else { "as before" };
                Look { holds: !read_only, detail: format!("{shown} has {before}, {word}") }
            }
            Some((now, Which::Same)) => {
                Look { holds: false, detail: format!("{shown} has {}, and had {before}", options(&now)) }
            }
            Some((now, Which::Another)) => {
                Look { holds: true, detail: format!("{shown} was mounted anew, with {}", options(&now)) }
            }
            None => Look { holds: true, detail: format!("{shown} was unmounted meanwhile") },
        })
    }

    fn by_hand(&self, undo: &Undo) -> String {
        let options = undo.mount.options.join(",");
        format!("mount -o remount,bind,{options} {}", word(&undo.directory.to_string_lossy()))
    }

    fn touched(&self, undo: &Undo) -> Vec<String> {
        let Mount { kind, source, .. } = &undo.mount;
        vec![format!("{} ({kind} of {source})", undo.directory.display())]
    }
}
