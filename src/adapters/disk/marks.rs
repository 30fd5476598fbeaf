//! Marks: where something of an owner was left, for whoever looks without any record. A symbolic link per owner's tag
//! in a folder of the user's own under /var/tmp, which outlives the state directory. Best effort: a mark is a hint for
//! `status`, and no heal relies on one.

use crate::model::Owner;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

const ROOT: &str = "/var/tmp";
const PREFIX: &str = "blackstart-marks-";

fn own_folder() -> PathBuf {
    Path::new(ROOT).join(format!("{PREFIX}{}", nix::unistd::geteuid()))
}

/// Sets the mark of a tag; an older one of the same tag is replaced.
pub(super) fn mark(tag: &str, place: &Path) {
    let folder = own_folder();
    drop(DirBuilder::new().mode(0o700).create(&folder));
    if is_own(&folder) {
        drop(fs::remove_file(folder.join(tag)));
        drop(std::os::unix::fs::symlink(place, folder.join(tag)));
    }
}

/// Takes the mark of a tag away, and the folder with the last one.
pub(super) fn unmark(tag: &str) {
    let folder = own_folder();
    drop(fs::remove_file(folder.join(tag)));
    drop(fs::remove_dir(folder));
}

/// All marks that this user may believe: root those of everybody, others their own.
pub(super) fn marks() -> Vec<(String, PathBuf)> {
    let folders = fs::read_dir(ROOT).into_iter().flatten().flatten().map(|entry| entry.path());
    let named = folders.filter(|f| f.file_name().is_some_and(|n| n.to_string_lossy().starts_with(PREFIX)));
    let mut found = Vec::new();
    for folder in named.filter(|f| is_own(f) || nix::unistd::geteuid().is_root()) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let tag = entry.file_name().to_string_lossy().into_owned();
            if let Some(place) = fs::read_link(entry.path()).ok().filter(|_| Owner::is_tag(&tag)) {
                found.push((tag, place));
            }
        }
    }
    found.sort();
    found
}

/// A real folder of this user: /var/tmp is for everybody.
fn is_own(folder: &Path) -> bool {
    fs::symlink_metadata(folder).is_ok_and(|m| m.is_dir() && m.uid() == nix::unistd::geteuid().as_raw())
}
