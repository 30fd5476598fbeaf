//! What drills have left on this host, by owner's tag: found without any record, then compared with the records there
//! are. What belongs to an open fault of a known run is that fault's business; the rest is left behind.

use super::doors;
use crate::adapters::{AdapterError, Vault, World, host};
use crate::faults::{self, Residue, Unseen};
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

/// Where nobody could look for what is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blind {
    /// What was to be looked at, and why it could not be.
    pub what: String,
    /// Does this user lack the right, or this machine the tool, to have left anything there?
    pub able: Able,
}

/// May this user look there at all?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Able {
    /// It should have worked: somebody has to look again.
    Yes,
    /// Not without more rights, or without a tool that is missing.
    No,
}

/// Everything of ours on this host that no run of this state directory accounts for, and where nobody could look.
///
/// # Errors
/// When the state directory cannot be read.
pub async fn left_behind(state_dir: &Path, world: &World) -> Result<(Vec<Left>, Vec<Blind>), JournalError> {
    let (mut strange, mut unseen) = strange(state_dir, world).await?;
    if !strange.is_empty() || !unseen.is_empty() {
        // A run that was just ending has ended by the second look.
        let again = self::strange(state_dir, world).await?;
        strange.retain(|residue| again.0.contains(residue));
        unseen.retain(|one| again.1.iter().any(|other| other.place == one.place));
    }
    let blind = unseen.iter().map(blind).collect();
    if strange.is_empty() {
        return Ok((Vec::new(), blind));
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
    Ok((strange.into_iter().map(of).collect(), blind))
}

fn blind(unseen: &Unseen) -> Blind {
    let missing = matches!(unseen.error, AdapterError::Missing(_));
    let able = if missing || !host::is_root() { Able::No } else { Able::Yes };
    Blind { what: format!("{}: {}", unseen.place, unseen.error), able }
}

async fn strange(state_dir: &Path, world: &World) -> Result<(Vec<Residue>, Vec<Unseen>), JournalError> {
    // What is there first, what is known second: an intent is on disk before anything is there.
    let mut search = faults::residue(world).await;
    search.found.extend(kept(state_dir));
    let (_, tags) = known(state_dir)?;
    search.found.retain(|residue| !tags.contains(&residue.tag));
    Ok((search.found, search.unseen))
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
    use crate::adapters::{Fut, Helpers};
    use crate::model::ProcessIdentity;
    use std::sync::Arc;

    #[tokio::test]
    async fn what_nobody_accounts_for_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let world = World { helpers: crate::adapters::absent(), ..World::system() };
        let ours = |left: Vec<Left>| left.into_iter().filter(|l| l.residue.what.contains("put back")).count();
        assert_eq!(ours(left_behind(dir.path(), &world).await.unwrap().0), 0);
        let owner = Owner { run: "r1".into(), fault: "f1".into() };
        let file = dir.path().join("key");
        std::fs::write(&file, "x").unwrap();
        Vault::at(dir.path()).keep(&owner, "key", &file).unwrap();
        let (left, _) = left_behind(dir.path(), &world).await.unwrap();
        let mine = left.iter().find(|l| l.residue.tag == owner.tag()).unwrap();
        assert!(mine.residue.by_hand.starts_with("rm -r ") && mine.perhaps.is_empty(), "{mine:?}");
    }

    /// Helpers that nobody can list.
    struct Hidden(AdapterError);

    impl Helpers for Hidden {
        fn start<'a>(
            &'a self,
            _: &'a Owner,
            _: &'a str,
            _: &'a serde_json::Value,
            _: std::time::Duration,
        ) -> Fut<'a, Result<String, AdapterError>> {
            Box::pin(std::future::ready(Err(self.0.clone())))
        }

        fn all(&self) -> Result<Vec<(String, ProcessIdentity)>, AdapterError> {
            Err(self.0.clone())
        }

        fn end<'a>(&'a self, _: &'a Owner, _: std::time::Duration) -> Fut<'a, Result<(), AdapterError>> {
            Box::pin(std::future::ready(Err(self.0.clone())))
        }
    }

    #[tokio::test]
    async fn where_nobody_could_look_is_said_and_is_not_nothing() {
        let dir = tempfile::tempdir().unwrap();
        for error in [AdapterError::Other("out of order".into()), AdapterError::Missing("no tool".into())] {
            let able = if matches!(error, AdapterError::Missing(_)) || !host::is_root() { Able::No } else { Able::Yes };
            let world = World { helpers: Arc::new(Hidden(error.clone())), ..World::system() };
            let (_, blind) = left_behind(dir.path(), &world).await.unwrap();
            assert!(blind.contains(&Blind { what: format!("helper processes: {error}"), able }), "{blind:?}");
        }
    }
}
