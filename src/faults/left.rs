//! Files of other people that faults work on, and what they leave beside them: while a fault is open, names with its
//! owner's tag, so that they are found with no record; after it, what a program had written meanwhile.

use super::{Cx, FaultError, Residue, Search, word};
use crate::adapters::disk::{Facts, Form, Mount};
use crate::adapters::{AdapterError, World};
use crate::model::{Owner, Reference, TargetRef};
use std::path::{Path, PathBuf};

/// How such a name begins; the owner's tag follows, and after a dot what a file was called that was put aside.
const PREFIX: &str = ".blackstart-";
/// At most so many newer versions of one file are kept beside it.
const MOST_NEWER: usize = 9;

/// The name of a file of this owner.
pub(super) fn own_name(owner: &Owner) -> String {
    format!("{PREFIX}{}", owner.tag())
}

/// The file of a target.
pub(super) struct Place {
    pub path: PathBuf,
    pub facts: Facts,
}

impl Place {
    pub async fn of(target: &TargetRef, cx: &Cx<'_>) -> Result<Self, FaultError> {
        let target = cx.scope.target(target).await.map_err(FaultError::NothingToBreak)?;
        let path = PathBuf::from(target.fields.get("path").cloned().unwrap_or_default());
        let none = |why: &str| FaultError::NothingToBreak(format!("{} {why}", path.display()));
        match cx.world.disks.facts(&path).await? {
            None => Err(none("is not there")),
            Some(facts) if facts.form != Form::File => Err(none("is no regular file")),
            Some(facts) => Ok(Self { path, facts }),
        }
    }
}

/// Names for what a program has written meanwhile; one heal may be broken off, and the next finds more.
fn newer_names(path: &Path, owner: &Owner) -> impl Iterator<Item = PathBuf> {
    let name = format!("{}.newer-{}", path.file_name().unwrap_or_default().to_string_lossy(), owner.tag());
    let path = path.to_path_buf();
    let numbered = move |n: usize| path.with_file_name(if n == 1 { name.clone() } else { format!("{name}-{n}") });
    (1..=MOST_NEWER).map(numbered)
}

async fn free_name(path: &Path, cx: &Cx<'_>) -> Result<PathBuf, FaultError> {
    for name in newer_names(path, &cx.owner) {
        if cx.world.disks.facts(&name).await?.is_none() {
            return Ok(name);
        }
    }
    let why = format!("there are already {MOST_NEWER} newer versions of {} beside it", path.display());
    Err(AdapterError::Refused(why).into())
}

/// Gives what is at a path now another name beside it; nothing there is fine.
pub(super) async fn put_aside(path: &Path, cx: &Cx<'_>) -> Result<(), FaultError> {
    if cx.world.disks.facts(path).await?.is_none() {
        return Ok(());
    }
    let name = free_name(path, cx).await?;
    match cx.world.disks.rename(path, &name).await {
        Err(AdapterError::Missing(_)) => Ok(()),
        other => Ok(other?),
    }
}

/// Copies what is at a path now beside it.
pub(super) async fn keep_beside(path: &Path, cx: &Cx<'_>) -> Result<(), FaultError> {
    Ok(cx.world.disks.copy(path, &free_name(path, cx).await?).await?)
}

/// What was kept beside a path, for a sentence about it; empty if nothing was.
pub(super) fn newer(path: &Path, cx: &Cx<'_>) -> String {
    let there: Vec<String> = newer_names(path, &cx.owner)
        .filter(|name| name.symlink_metadata().is_ok())
        .map(|name| name.display().to_string())
        .collect();
    if there.is_empty() { String::new() } else { format!("; what was written meanwhile is {}", there.join(", ")) }
}

/// Where our own records are: the state directory and the run's folder, as far as they exist.
pub(super) fn own_places(cx: &Cx<'_>) -> Vec<(&'static str, PathBuf)> {
    let vault = cx.scope.vault().root().to_path_buf();
    let state = vault.ancestors().skip(1).find(|p| p.is_dir()).map(Path::to_path_buf);
    let run = cx.scope.lookup(&Reference::Run("dir".to_owned())).ok().map(PathBuf::from);
    let run = run.and_then(|run| run.ancestors().find(|p| p.is_dir()).map(Path::to_path_buf));
    [("our state directory", state), ("the run's folder", run)].into_iter().filter_map(|(n, p)| Some((n, p?))).collect()
}

/// Files that are named by an owner's tag: at the root of every mount, and wherever a mark says.
pub(super) fn left_behind(world: &World) -> Search {
    let mut search = Search::default();
    let mounts = search.look("mounts", world.disks.mounts());
    let (far, near): (Vec<_>, Vec<_>) = mounts.into_iter().filter(|m| m.kind != "proc").partition(Mount::is_far);
    let roots: Vec<PathBuf> = near.into_iter().map(|m| m.point).collect();
    let marked = world.disks.marks().into_iter().filter(|(_, place)| place.symlink_metadata().is_ok());
    let mut named = world.disks.named(&roots, PREFIX);
    for mount in far {
        named.extend(search.look("files on a mount", world.disks.named_far(&mount.point, PREFIX)));
    }
    let named = named.into_iter();
    let found = named.filter_map(|path| Some((tag_of(&path)?, path)));
    let mut all: Vec<(String, PathBuf)> =
        found.chain(marked.filter(|(tag, place)| tag_of(place).as_ref() == Some(tag))).collect();
    all.sort();
    all.dedup();
    let residue = |(tag, path): (String, PathBuf)| {
        let by_hand = match origin(&path) {
            Some(before) => format!("mv -n {} {}", word(&path.to_string_lossy()), word(&before.to_string_lossy())),
            None => format!("rm -f {}", word(&path.to_string_lossy())),
        };
        Residue { tag, what: format!("the file {}", path.display()), by_hand }
    };
    search.found = all.into_iter().map(residue).collect();
    search
}

/// The owner's tag in a name like `.blackstart-TAG` or `.blackstart-TAG.NAME`.
fn tag_of(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?.strip_prefix(PREFIX)?;
    let tag = name.split('.').next()?;
    Owner::is_tag(tag).then(|| tag.to_owned())
}

/// What a file was called that was put aside as `.blackstart-TAG.NAME`.
fn origin(path: &Path) -> Option<PathBuf> {
    let (_, before) = path.file_name()?.to_str()?.strip_prefix(PREFIX)?.split_once('.')?;
    Some(path.with_file_name(before))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_its_owner_and_what_it_was() {
        let owner = Owner { run: "r1".into(), fault: "f1".into() };
        let ballast = Path::new("/srv").join(own_name(&owner));
        assert_eq!((tag_of(&ballast), origin(&ballast)), (Some(owner.tag()), None));
        let aside = Path::new("/srv").join(format!("{}.a.conf", own_name(&owner)));
        assert_eq!(tag_of(&aside), Some(owner.tag()));
        assert_eq!(origin(&aside), Some("/srv/a.conf".into()));
        assert_eq!(tag_of(Path::new("/srv/.blackstart-x")), None);
        assert_eq!(tag_of(Path::new("/srv/a.conf")), None);
    }
}
