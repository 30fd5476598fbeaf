//! Files that faults leave in other people's directories while they are open: named by their owner's tag, so that they
//! are found with no record.

use super::{Residue, word};
use crate::adapters::World;
use crate::model::Owner;
use std::path::{Path, PathBuf};

/// How such a name begins; the owner's tag follows, and after a dot what a file was called that was put aside.
const PREFIX: &str = ".blackstart-";

/// The name of a file of this owner.
pub(super) fn own_name(owner: &Owner) -> String {
    format!("{PREFIX}{}", owner.tag())
}

/// Files that are named by an owner's tag: at the root of every mount, and wherever a mark says.
pub(super) fn left_behind(world: &World) -> Vec<Residue> {
    let mounts = world.disks.mounts().unwrap_or_default();
    let roots: Vec<PathBuf> = mounts.into_iter().filter(|m| m.kind != "proc").map(|m| m.point).collect();
    let marked = world.disks.marks().into_iter().filter(|(_, place)| place.symlink_metadata().is_ok());
    let named = world.disks.named(&roots, PREFIX).into_iter();
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
    all.into_iter().map(residue).collect()
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
