//! Slow and failing input and output for a directory, through a pass-through file system of our own (FUSE).
//!
//! If the directory is the root of such a mount already (a staging put one there before its service started), the fault
//! only switches it: then everything that runs sees it. Else one is mounted over the directory for as long as the fault
//! lasts: programs see it from the next file that they open by its path; files that are open already, and programs that
//! work inside the directory (PostgreSQL does), do not, and are named.

use super::left::own_places;
use super::{Cx, Fault, FaultError, Look, Residue, Reversibility, Search, word};
use crate::adapters::disk::disturb::{ATTRIBUTE, Disturb, IoError, Operation, of_ours};
use crate::adapters::disk::{Facts, Mount, mount_of};
use crate::adapters::{AdapterError, Fut, World};
use crate::model::{Dur, Owner, Percent, TargetRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;

const HELPER: &str = "slowfs";
const START: Duration = Duration::from_secs(15);
/// One question to a mount; its helper may hang.
const ASK: Duration = Duration::from_secs(3);
/// The helper ends when nobody has a file open through it.
const ENDS: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// So long after its deadline it ends by itself.
const BEYOND: Duration = Duration::from_secs(30);
/// If nobody says how long: this is longer than a drill.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// A mount that is covered by others of ours is dug out in so many steps.
const MOST_MOUNTS: usize = 16;

/// Delays operations on the files of a directory, or lets them fail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiskIo {
    /// A target of kind `directory`.
    pub target: TargetRef,
    /// Which operations; reads, writes and syncs if not given.
    #[serde(default = "data")]
    pub operations: Vec<Operation>,
    /// Added to each; nothing if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<Dur>,
    /// The delay varies by up to this, both ways.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Dur>,
    /// What they end with, after the delay; they work if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<IoError>,
    /// Which share of the operations is disturbed; all if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Percent>,
    /// It ends by itself after this, whatever happens; a little after the deadline if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Dur>,
}

fn data() -> Vec<Operation> {
    vec![Operation::Read, Operation::Write, Operation::Fsync]
}

/// How it reaches the directory, and what it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    /// The directory.
    pub directory: PathBuf,
    /// What it was, beneath everything.
    pub facts: Facts,
    /// How.
    pub way: Way,
    /// What is done to it.
    pub disturb: Disturb,
    /// Processes that do not see it.
    pub blind: Vec<String>,
}

/// How the fault reaches a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// A mount of its own, over it.
    Over,
    /// One that was there before.
    Within,
}

/// The mounts of a tag, the newest first.
fn mounts_of(tag: &str, world: &World) -> Result<Vec<Mount>, FaultError> {
    let mut all = world.disks.mounts()?;
    all.retain(|mount| of_ours(mount) == Some(tag));
    all.reverse();
    Ok(all)
}

/// An answer within a limit, also from a mount whose helper hangs.
async fn ask<T>(what: Fut<'_, Result<T, AdapterError>>) -> Result<T, AdapterError> {
    let late = |_| AdapterError::TimedOut("the mount does not answer".to_owned());
    tokio::time::timeout(ASK, what).await.map_err(late)?
}

impl DiskIo {
    fn disturb(&self) -> Disturb {
        let none = Dur(Duration::ZERO);
        Disturb {
            operations: self.operations.clone(),
            delay: self.delay.unwrap_or(none),
            jitter: self.jitter.unwrap_or(none),
            error: self.error,
            share: self.share.map_or(1.0, |share| share.0),
            limit: self.limit.unwrap_or(Dur(LONGEST)),
            hits: 0,
        }
    }

    /// A mount over our own records would disturb ourselves.
    fn spares_own_records(directory: &Path, cx: &Cx<'_>) -> Result<(), FaultError> {
        for (what, place) in own_places(cx) {
            if std::fs::canonicalize(&place).is_ok_and(|place| place.starts_with(directory)) {
                let text = format!("{what} {} is in {}", place.display(), directory.display());
                return Err(AdapterError::Refused(text).into());
            }
        }
        Ok(())
    }

    /// Where that can be told from outside: a sync of the directory takes as long, and ends so.
    async fn measured(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Option<String>, FaultError> {
        let Disturb { operations, delay, jitter, error, share, .. } = &undo.disturb;
        if !operations.contains(&Operation::Fsync) || *share < 1.0 || delay.0 + jitter.0 > ASK {
            return Ok(None);
        }
        let clock = &cx.world.clock;
        let began = clock.mono();
        let ended = cx.world.disks.sync_folder(&undo.directory).await?;
        let took = clock.mono().since(began);
        if took + jitter.0 < delay.0 || ended != error.map(IoError::number) {
            let text = format!("a sync took {took:?} and ended with {ended:?}");
            return Err(AdapterError::Other(text).into());
        }
        let how = error.map_or_else(String::new, |error| format!(", ends with {error:?}"));
        Ok(Some(format!("a sync takes {took:.0?}{how}")))
    }

    /// Waits a little until the helper has ended.
    async fn ended(cx: &Cx<'_>) -> Result<bool, FaultError> {
        let until = cx.world.clock.mono().after(ENDS);
        loop {
            if cx.world.helpers.find(&cx.owner)?.is_empty() {
                return Ok(true);
            }
            if cx.world.clock.mono() >= until {
                return Ok(false);
            }
            cx.world.clock.sleep_until(cx.world.clock.mono().after(LOOK_EVERY)).await;
        }
    }

    async fn uncover(cx: &Cx<'_>) -> Result<(), FaultError> {
        let tag = cx.owner.tag();
        for mount in mounts_of(&tag, cx.world)? {
            // Those who wait go on; a dead or hanging mount is taken away all the same.
            let _dead = ask(cx.world.disks.disturb(&mount.point, &tag, None)).await;
        }
        for helper in cx.world.helpers.find(&cx.owner)? {
            let _gone = cx.world.processes.signal(&helper, "TERM");
        }
        for _ in 0..MOST_MOUNTS {
            let Some(mount) = mounts_of(&tag, cx.world)?.into_iter().next() else { break };
            match cx.world.disks.detach(&mount.point).await {
                // The helper was faster.
                Err(_) if mounts_of(&tag, cx.world)?.is_empty() => {}
                other => other?,
            }
        }
        Self::ended(cx).await?;
        Ok(())
    }

    /// Clears a mount of somebody else's helper that has died; nothing can be seen through it.
    async fn clear_dead(directory: &Path, cx: &Cx<'_>) -> Result<(), FaultError> {
        let all = cx.world.disks.mounts()?;
        let seen = all.iter().rfind(|m| m.point == directory && of_ours(m).is_some());
        if let Some(mount) = seen
            && ask(cx.world.disks.facts(&mount.point)).await.is_err()
        {
            cx.world.disks.detach(&mount.point).await?;
        }
        Ok(())
    }

    async fn is_uncovered(undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let directory = undo.directory.display();
        if let Some(mount) = mounts_of(&cx.owner.tag(), cx.world)?.first() {
            return Ok(Look { holds: false, detail: format!("{} is still mounted", mount.point.display()) });
        }
        let Some(now) = ask(cx.world.disks.facts(&undo.directory)).await? else {
            return Ok(Look { holds: false, detail: format!("{directory} is not there") });
        };
        let helpers = cx.world.helpers.find(&cx.owner)?;
        let left: Vec<String> = helpers.iter().map(|p| format!("pid {}", p.pid)).collect();
        let through = match left.is_empty() {
            true => String::new(),
            false => format!("; files opened meanwhile go on, undisturbed, through {}", left.join(", ")),
        };
        let same = if now.is_same(&undo.facts) { "is itself again" } else { "was replaced, and nothing covers it" };
        Ok(Look { holds: true, detail: format!("{directory} {same}{through}") })
    }
}

impl Fault for DiskIo {
    const KIND: &'static str = "disk_io";
    const TARGETS: &'static [&'static str] = &["directory"];
    const SUMMARY: &'static str = "slow or failing input and output for a directory (FUSE)";
    const REVERSIBILITY: Reversibility = Reversibility::Reversible;
    type Undo = Undo;

    fn targets(&self) -> Vec<&TargetRef> {
        vec![&self.target]
    }

    fn permissions(&self) -> Vec<String> {
        vec!["/dev/fuse, and root (CAP_SYS_ADMIN) to mount; without root fusermount3, and only own files".to_owned()]
    }

    fn way_back(&self) -> String {
        "the disturbance is taken away, and what was mounted for it is unmounted".to_owned()
    }

    fn bound(&mut self, deadline: Duration) {
        self.limit.get_or_insert(Dur(deadline + BEYOND));
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Undo, FaultError> {
        let disturb = self.disturb();
        if disturb.delay.0.is_zero() && disturb.error.is_none() || disturb.operations.is_empty() {
            let text = "nothing would happen: give `delay` or `error`, and at least one operation";
            return Err(FaultError::NothingToBreak(text.to_owned()));
        }
        let target = cx.scope.target(&self.target).await.map_err(FaultError::NothingToBreak)?;
        let directory = PathBuf::from(target.fields.get("path").cloned().unwrap_or_default());
        let Some(facts) = ask(cx.world.disks.facts(&directory)).await? else {
            return Err(FaultError::NothingToBreak(format!("{} is not there", directory.display())));
        };
        Self::spares_own_records(&directory, cx)?;
        let all = cx.world.disks.mounts()?;
        let mount = mount_of(&directory, &all).filter(|m| of_ours(m).is_some());
        let way = match mount {
            None => Way::Over,
            Some(mount) if mount.point == directory => Way::Within,
            Some(mount) => {
                let (directory, point) = (directory.display(), mount.point.display());
                let text = format!("{directory} is inside the mount of ours at {point}: name that directory instead");
                return Err(AdapterError::Refused(text).into());
            }
        };
        let blind = if way == Way::Over { cx.world.disks.users(&directory) } else { Vec::new() };
        Ok(Undo { directory, facts, way, disturb, blind })
    }

    async fn inject(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        let tag = cx.owner.tag();
        if undo.way == Way::Over {
            if let Some(mount) = mounts_of(&tag, cx.world)?.first()
                && ask(cx.world.disks.facts(&mount.point)).await.is_err()
            {
                cx.world.disks.detach(&mount.point).await?;
            }
            if mounts_of(&tag, cx.world)?.is_empty() {
                let limit = undo.disturb.limit;
                let parameters = serde_json::json!({"directory": undo.directory, "tag": tag, "limit": limit});
                cx.world.helpers.start(&cx.owner, HELPER, &parameters, START).await?;
            }
        }
        Ok(ask(cx.world.disks.disturb(&undo.directory, &tag, Some(&undo.disturb))).await?)
    }

    async fn effective(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let directory = undo.directory.display();
        let Some(now) = ask(cx.world.disks.disturbed(&undo.directory, &cx.owner.tag())).await? else {
            return Ok(Look { holds: false, detail: format!("{directory} is not disturbed") });
        };
        let mut detail = match self.measured(undo, cx).await {
            Ok(Some(measured)) => format!("{directory}: {measured}"),
            Ok(None) => format!("{directory}: {} operations were disturbed", now.hits),
            Err(error) => return Ok(Look { holds: false, detail: format!("{directory}: {error}") }),
        };
        if !undo.blind.is_empty() {
            let blind = undo.blind.join(", ");
            detail += &format!("; what these had open before is not disturbed: {blind}");
        }
        Ok(Look { holds: true, detail })
    }

    async fn heal(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        if undo.way == Way::Over {
            return Self::uncover(cx).await;
        }
        Self::clear_dead(&undo.directory, cx).await?;
        let tag = cx.owner.tag();
        // What cannot be read is taken away as well.
        if !matches!(ask(cx.world.disks.disturbed(&undo.directory, &tag)).await, Ok(None)) {
            ask(cx.world.disks.disturb(&undo.directory, &tag, None)).await?;
        }
        Ok(())
    }

    async fn healed(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        if undo.way == Way::Over {
            return Self::is_uncovered(undo, cx).await;
        }
        let now = ask(cx.world.disks.disturbed(&undo.directory, &cx.owner.tag())).await?;
        let word = if now.is_none() { "passes everything" } else { "is disturbed" };
        Ok(Look { holds: now.is_none(), detail: format!("{} {word}", undo.directory.display()) })
    }

    fn by_hand(&self, undo: &Undo) -> String {
        let directory = word(&undo.directory.to_string_lossy());
        match undo.way {
            Way::Over => format!("umount -l {directory}"),
            Way::Within => format!(
                "setfattr -x \"$(getfattr -m '^user.blackstart.bs-' {directory} | grep -m1 ^user)\" {directory}"
            ),
        }
    }

    fn touched(&self, undo: &Undo) -> Vec<String> {
        vec![undo.directory.display().to_string()]
    }

    async fn residue(world: &World) -> Search {
        let mut search = Search::default();
        for mount in search.look("mounts", world.disks.mounts()) {
            let Some(tag) = of_ours(&mount) else { continue };
            let point = word(&mount.point.to_string_lossy());
            if Owner::is_tag(tag) {
                let what = format!("the mount at {}", mount.point.display());
                search.found.push(Residue { tag: tag.to_owned(), what, by_hand: format!("umount -l {point}") });
                continue;
            }
            let disturbers = ask(world.disks.disturbers(&mount.point)).await;
            for tag in search.look(&format!("disturbances of {}", mount.point.display()), disturbers) {
                let what = format!("a disturbance of {}", mount.point.display());
                let by_hand = format!("setfattr -x {ATTRIBUTE}{tag} {point}");
                search.found.push(Residue { tag, what, by_hand });
            }
        }
        search
    }
}
