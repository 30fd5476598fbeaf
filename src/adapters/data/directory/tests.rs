//! Directories against real files: what changes a fingerprint, what must not, and what must not hang it.

use super::*;
use crate::model::{Named, NamedChange};
use std::fs::OpenOptions;
use std::io::{Seek, SeekFrom as From, Write};
use std::os::unix::fs::{PermissionsExt, symlink};

fn asked(path: &Path) -> Directory {
    let exclude = vec!["*.tmp".to_owned(), "cache".to_owned()];
    Directory { name: "data".to_owned(), path: path.to_owned(), exclude, times: Counts::No, owners: Counts::No }
}

async fn fingerprint(asked: &Directory, _limit: Duration) -> Result<Taken, AdapterError> {
    super::take(asked)
}

async fn take(path: &Path) -> Taken {
    fingerprint(&asked(path), Duration::from_secs(60)).await.unwrap()
}

fn filled() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("a/b")).unwrap();
    fs::create_dir_all(at("cache")).unwrap();
    for (name, content) in [("one", "1"), ("a/two", "2"), ("a/b/three", "3"), ("x.tmp", "x"), ("cache/y", "y")] {
        fs::write(at(name), content).unwrap();
    }
    symlink("one", at("link")).unwrap();
    folder
}

#[tokio::test]
async fn order_and_what_is_left_out_do_not_matter() {
    let (one, other) = (filled(), tempfile::tempdir().unwrap());
    let at = |name: &str| other.path().join(name);
    symlink("one", at("link")).unwrap();
    fs::create_dir_all(at("a/b")).unwrap();
    for (name, content) in [("a/b/three", "3"), ("one", "1"), ("a/two", "2"), ("z.tmp", "other")] {
        fs::write(at(name), content).unwrap();
    }
    let (one, other) = (take(one.path()).await, take(other.path()).await);
    assert_eq!(one, other);
    assert_eq!(one.print.parts["data"].count, 6, "three files, two folders, a link");
}

#[tokio::test]
async fn every_change_is_seen_and_named() {
    let folder = filled();
    let at = |name: &str| folder.path().join(name);
    let before = take(folder.path()).await;
    fs::write(at("a/two"), "!").unwrap();
    fs::remove_file(at("one")).unwrap();
    fs::write(at("new"), "n").unwrap();
    fs::set_permissions(at("a/b/three"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::remove_file(at("link")).unwrap();
    symlink("new", at("link")).unwrap();
    let after = take(folder.path()).await;
    assert_eq!(before.print.differences(&after.print), ["`data`: 6 entries before and after, and not the same ones"]);
    let named = before.listing.unwrap().compare(&after.listing.unwrap());
    let first = [
        ("a/b/three", NamedChange::Changed),
        ("a/two", NamedChange::Changed),
        ("link", NamedChange::Changed),
        ("one", NamedChange::Missing),
        ("new", NamedChange::Added),
    ];
    let first = first.map(|(name, change)| (name.to_owned(), change)).to_vec();
    assert_eq!(named, Named { missing: 1, added: 1, changed: 3, first });
}

#[tokio::test]
async fn times_count_only_if_asked_for() {
    let folder = filled();
    let timed = Directory { times: Counts::Yes, owners: Counts::Yes, ..asked(folder.path()) };
    let limit = Duration::from_secs(60);
    let (before, plain) = (fingerprint(&timed, limit).await.unwrap(), take(folder.path()).await);
    let file = OpenOptions::new().write(true).open(folder.path().join("one")).unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(take(folder.path()).await, plain);
    assert_ne!(fingerprint(&timed, limit).await.unwrap().print, before.print);
    assert_ne!(before.print.parts["data"].shape, plain.print.parts["data"].shape);
}

/// A terabyte of holes is read in no time, and zeros that were written out count as the holes they could be.
#[tokio::test]
async fn holes_cost_nothing_and_equal_zeros() {
    let (sparse, dense) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let write = |folder: &Path, dense: bool| {
        let mut file = File::create(folder.join("f")).unwrap();
        if dense {
            file.write_all(&vec![0; 3 << 20]).unwrap();
        }
        for place in [0, 70_000, (3 << 20) - 1] {
            file.seek(From::Start(place)).unwrap();
            file.write_all(b"x").unwrap();
        }
    };
    write(sparse.path(), false);
    write(dense.path(), true);
    assert_eq!(take(sparse.path()).await, take(dense.path()).await);
    let before = take(sparse.path()).await;
    let mut file = OpenOptions::new().write(true).open(sparse.path().join("f")).unwrap();
    file.set_len(1 << 40).unwrap();
    file.seek(From::Start((1 << 40) - 10)).unwrap();
    file.write_all(b"end").unwrap();
    let huge = take(sparse.path()).await;
    assert_ne!(before, huge);
    file.seek(From::Start((1 << 40) - 10)).unwrap();
    file.write_all(b"END").unwrap();
    assert_ne!(take(sparse.path()).await, huge, "a change at the end of a terabyte");
}

#[tokio::test]
async fn pipes_and_sockets_are_not_opened_and_odd_names_are_no_trouble() {
    let folder = tempfile::tempdir().unwrap();
    nix::unistd::mkfifo(&folder.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
    fs::write(folder.path().join(OsStr::from_bytes(b"not\xffutf8\n")), "x").unwrap();
    symlink("nowhere", folder.path().join("dangling")).unwrap();
    symlink(".", folder.path().join("loop")).unwrap();
    assert_eq!(take(folder.path()).await.print.parts["data"].count, 5);
}

#[tokio::test]
async fn what_is_not_there_is_said_and_a_file_is_no_directory() {
    let folder = tempfile::tempdir().unwrap();
    let taken = take(&folder.path().join("no")).await;
    assert!(taken.print.parts.is_empty());
    assert!(taken.absent[0].contains("/no"), "{taken:?}");
    fs::write(folder.path().join("f"), "").unwrap();
    let refused = fingerprint(&asked(&folder.path().join("f")), Duration::from_secs(60)).await;
    assert!(matches!(refused, Err(AdapterError::Refused(_))), "{refused:?}");
}
