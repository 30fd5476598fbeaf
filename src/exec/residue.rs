//! What drills have left on this host, by owner's tag: found without any record, then compared with the records there
//! are. What belongs to an open fault of a known run is that fault's business; the rest is left behind.

use super::doors;
use crate::adapters::{Vault, World};
use crate::faults::{self, Residue};
use crate::journal::{self, JournalError, state::Index};
use crate::model::{Owner, RunId};
use std::collections::BTreeSet;
use std::path::Path;

/// Something of ours that no run of this state directory accounts for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// What and where.
    pub residue: Residue,
    /// Runs of other state directories that are alive: it may be theirs.
    pub perhaps: Vec<RunId>,
}

/// Everything of ours on this host that no run of this state directory accounts for.
///
/// # Errors
/// When the state directory cannot be read.
pub async fn left_behind(state_dir: &Path, world: &World) -> Result<Vec<Left>, JournalError> {
    let mut strange = strange(state_dir, world).await?;
    if !strange.is_empty() {
        // A run that was just ending has ended by the second look.
        let again = self::strange(state_dir, world).await?;
        strange.retain(|residue| again.contains(residue));
    }
    if strange.is_empty() {
        return Ok(Vec::new());
    }
    let ours: BTreeSet<RunId> = known(state_dir)?.0;
    let alive = world.helpers.guardians().unwrap_or_default().into_iter().map(RunId);
    let perhaps: Vec<RunId> = alive.filter(|run| !ours.contains(run)).collect();
    let own = kept(state_dir);
    let of = |residue: Residue| {
        // What is in this state directory is of no other.
        let perhaps = if own.contains(&residue) { Vec::new() } else { perhaps.clone() };
        Left { residue, perhaps }
    };
    Ok(strange.into_iter().map(of).collect())
}

async fn strange(state_dir: &Path, world: &World) -> Result<Vec<Residue>, JournalError> {
    // What is there first, what is known second: an intent is on disk before anything is there.
    let mut found = faults::residue(world).await;
    found.extend(kept(state_dir));
    let (_, tags) = known(state_dir)?;
    found.retain(|residue| !tags.contains(&residue.tag));
    Ok(found)
}

/// The runs that are listed, and the tags of their faults.
fn known(state_dir: &Path) -> Result<(BTreeSet<RunId>, BTreeSet<String>), JournalError> {
    let (mut runs, mut tags) = (BTreeSet::new(), BTreeSet::new());
    for entry in Index::at(state_dir).list()? {
        // One that cannot be read is reported as such; here it accounts for nothing.
        let events = journal::read(&entry.dir).map(|stored| stored.events).unwrap_or_default();
        let owner = |fault| Owner { run: entry.run.clone(), fault }.tag();
        tags.extend(journal::open_faults(&events).into_iter().map(|open| owner(open.fault)));
        tags.insert(doors::owner(&entry.run, &entry.dir).tag());
        runs.insert(entry.run);
    }
    Ok((runs, tags))
}

fn kept(state_dir: &Path) -> Vec<Residue> {
    let place = state_dir.join("vault");
    let of = |tag: String| {
        let folder = place.join(&tag);
        let what = format!("bytes that were to be put back, in {}", folder.display());
        Residue { tag, what, by_hand: format!("rm -r {}, once they are back where they belong", folder.display()) }
    };
    Vault::at(state_dir).owners().into_iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_nobody_accounts_for_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let world = World { helpers: crate::adapters::absent(), ..World::system() };
        let ours = |left: Vec<Left>| left.into_iter().filter(|l| l.residue.what.contains("put back")).count();
        assert_eq!(ours(left_behind(dir.path(), &world).await.unwrap()), 0);
        let owner = Owner { run: "r1".into(), fault: "f1".into() };
        let file = dir.path().join("key");
        std::fs::write(&file, "x").unwrap();
        Vault::at(dir.path()).keep(&owner, "key", &file).unwrap();
        let left = left_behind(dir.path(), &world).await.unwrap();
        let mine = left.iter().find(|l| l.residue.tag == owner.tag()).unwrap();
        assert!(mine.residue.by_hand.starts_with("rm -r ") && mine.perhaps.is_empty(), "{mine:?}");
    }
}
