//! Disks that run full, on file systems made for the test: images on loop devices, and one in memory.

use crate::support::{
    Place, blackstart, conforms, fault, heals_a_replaced_target, heals_what_was_never_injected, run_drill,
};
use blackstart::adapters::disk::Space;
use blackstart::faults::{FaultError, PreparedFault};
use blackstart::model::PinnedTarget;
use serde_json::json;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs a program that must succeed.
pub fn ran(words: &[&str]) {
    let output = Command::new(words[0]).args(&words[1..]).output().unwrap_or_else(|e| panic!("{words:?}: {e}"));
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A file system of its own at a folder, for as long as this lives.
pub struct Mounted {
    pub point: PathBuf,
    pub folder: tempfile::TempDir,
}

impl Mounted {
    /// A fresh image with this file system.
    pub fn image(mkfs: &[&str], megabytes: u64) -> Self {
        let folder = tempfile::Builder::new().prefix("blackstart-disk.").tempdir_in("/var/tmp").unwrap();
        let image = folder.path().join("image");
        std::fs::File::create(&image).unwrap().set_len(megabytes << 20).unwrap();
        let image = image.to_str().unwrap();
        ran(&[mkfs, &[image]].concat());
        let mounted = Self { point: folder.path().join("disk"), folder };
        std::fs::create_dir(&mounted.point).unwrap();
        mounted.mount();
        mounted
    }

    pub fn in_memory() -> Self {
        let folder = tempfile::Builder::new().prefix("blackstart-disk.").tempdir_in("/var/tmp").unwrap();
        let mounted = Self { point: folder.path().join("disk"), folder };
        std::fs::create_dir(&mounted.point).unwrap();
        ran(&["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", mounted.point.to_str().unwrap()]);
        mounted
    }

    /// Mounts the image (again).
    pub fn mount(&self) {
        let image = self.folder.path().join("image");
        ran(&["mount", "-o", "loop", image.to_str().unwrap(), self.point.to_str().unwrap()]);
    }

    pub fn data(&self) -> PathBuf {
        let data = self.point.join("data");
        std::fs::create_dir_all(&data).unwrap();
        data
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.point).status());
    }
}

/// A place with a target of kind `directory`.
pub fn with_directory(place: Place, path: &Path) -> Place {
    let path = path.to_str().unwrap().to_owned();
    let find = move || {
        let fields = BTreeMap::from([("path".to_owned(), path.clone())]);
        Ok(PinnedTarget { name: "data".into(), kind: "directory".into(), fields, ..Default::default() })
    };
    place.with("data", find)
}

async fn space(place: &Place, path: &Path) -> Space {
    place.world.disks.space(path).await.unwrap()
}

/// Its whole life on a file system, to a share and to what is left, and then that nobody can write any more.
async fn fills(disk: Mounted) {
    let place = Place::new();
    let data = disk.data();
    std::fs::write(data.join("precious"), "kept").unwrap();
    let place = with_directory(place, &data);
    let to_share = fault(json!({"disk_fill": {"target": "data", "to": {"share": "90%"}}}));
    conforms(&place, &to_share).await;
    heals_what_was_never_injected(&place, &to_share).await;
    let full = fault(json!({"disk_fill": {"target": "data", "to": {"free": "0B"}, "seen_by": "root"}}));
    place.pin();
    let undo = full.prepare(&place.cx()).await.unwrap();
    let full = PreparedFault { spec: full, undo };
    full.inject(&place.cx()).await.unwrap();
    let look = full.effective(&place.cx()).await.unwrap();
    assert!(look.holds, "{}", look.detail);
    let (now, block) = (space(&place, &data).await, vec![7_u8; 4 << 20]);
    let error = std::fs::write(data.join("more"), block).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull, "{now:?}");
    std::fs::remove_file(data.join("more")).unwrap();
    assert_eq!(place.residue().await.len(), 1, "it is found with no record");
    full.heal(&place.cx()).await.unwrap();
    let look = full.healed(&place.cx()).await.unwrap();
    assert!(look.holds, "{}", look.detail);
    assert_eq!(place.residue().await, []);
    assert_eq!(std::fs::read_to_string(data.join("precious")).unwrap(), "kept");
}

#[tokio::test]
async fn a_full_ext4_disk_is_freed() {
    fills(Mounted::image(&["mkfs.ext4", "-q"], 48)).await;
}

#[tokio::test]
async fn a_full_btrfs_disk_is_freed() {
    fills(Mounted::image(&["mkfs.btrfs", "-q"], 160)).await;
}

#[tokio::test]
async fn a_full_tmpfs_is_freed() {
    fills(Mounted::in_memory()).await;
}

#[tokio::test]
async fn the_ballast_is_found_when_its_directory_was_replaced() {
    let place = Place::new();
    let disk = Mounted::in_memory();
    let data = disk.data();
    let place = with_directory(place, &data);
    let fill = fault(json!({"disk_fill": {"target": "data", "to": {"size": "8MiB"}}}));
    let renamed = disk.point.join("data.old");
    heals_a_replaced_target(&place, &fill, || {
        std::fs::rename(&data, &renamed).unwrap();
        std::fs::create_dir(&data).unwrap();
    })
    .await;
    assert_eq!(std::fs::read_dir(&renamed).unwrap().count(), 0, "the ballast went along and was removed");
}

#[tokio::test]
async fn it_is_not_called_healed_while_its_disk_is_away() {
    let place = Place::new();
    let disk = Mounted::image(&["mkfs.ext4", "-q"], 16);
    let data = disk.data();
    let place = with_directory(place, &data);
    place.pin();
    let spec = fault(json!({"disk_fill": {"target": "data", "to": {"size": "2MiB"}}}));
    let undo = spec.prepare(&place.cx()).await.unwrap();
    let fill = PreparedFault { spec, undo };
    fill.inject(&place.cx()).await.unwrap();
    ran(&["umount", disk.point.to_str().unwrap()]);
    fill.heal(&place.cx()).await.unwrap();
    let look = fill.healed(&place.cx()).await.unwrap();
    assert!(!look.holds && look.detail.contains("another file system"), "{}", look.detail);
    disk.mount();
    assert!(!fill.healed(&place.cx()).await.unwrap().holds, "it is there again");
    fill.heal(&place.cx()).await.unwrap();
    assert!(fill.healed(&place.cx()).await.unwrap().holds);
}

#[tokio::test]
async fn our_own_records_keep_their_room() {
    let place = Place::new();
    let disk = Mounted::in_memory();
    let data = disk.data();
    std::os::unix::fs::symlink(&disk.point, place.path().join("state")).unwrap();
    let place = with_directory(place, &data);
    place.pin();
    let spec = |more: serde_json::Value| {
        let mut parameters = json!({"target": "data", "to": {"share": "99%"}});
        parameters.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        fault(json!({"disk_fill": parameters}))
    };
    let refused = spec(json!({})).prepare(&place.cx()).await.err().expect("refused");
    assert!(matches!(&refused, FaultError::World(_)) && refused.to_string().contains("own_records"), "{refused}");
    assert!(spec(json!({"acknowledge": "own_records"})).prepare(&place.cx()).await.is_ok());
    std::fs::write(data.join("much"), vec![1; 65 << 20]).unwrap_err();
    let full = spec(json!({"acknowledge": "own_records"})).prepare(&place.cx()).await.err().expect("full");
    assert!(matches!(full, FaultError::NothingToBreak(_)), "{full}");
}

#[tokio::test]
async fn a_mount_becomes_read_only_and_writable_again() {
    let disk = Mounted::image(&["mkfs.ext4", "-q"], 16);
    let place = with_directory(Place::new(), &disk.point);
    let spec = fault(json!({"disk_read_only": {"target": "data"}}));
    conforms(&place, &spec).await;
    heals_what_was_never_injected(&place, &spec).await;
    heals_a_replaced_target(&place, &spec, || {
        ran(&["umount", disk.point.to_str().unwrap()]);
        disk.mount();
    })
    .await;
    place.pin();
    let undo = spec.prepare(&place.cx()).await.unwrap();
    let read_only = PreparedFault { spec, undo };
    let options = || place.world.disks.mounts().unwrap().into_iter().find(|m| m.point == disk.point).unwrap().options;
    let before = options();
    read_only.inject(&place.cx()).await.unwrap();
    let error = std::fs::write(disk.point.join("a"), "a").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    read_only.heal(&place.cx()).await.unwrap();
    assert!(read_only.healed(&place.cx()).await.unwrap().holds);
    assert_eq!(options(), before);
    // A file that stays open for writing is in the way: the kernel refuses, nothing is broken, and it is named.
    let open = std::fs::File::create(disk.point.join("a")).unwrap();
    let error = read_only.inject(&place.cx()).await.unwrap_err().to_string();
    assert!(error.contains("open for writing"), "{error}");
    read_only.heal(&place.cx()).await.unwrap();
    assert!(read_only.healed(&place.cx()).await.unwrap().holds);
    drop(open);
    let folder = disk.data();
    let inside = with_directory(Place::new(), &folder);
    inside.pin();
    let refused = read_only.spec.prepare(&inside.cx()).await.err().expect("no mount point");
    assert!(refused.to_string().contains("no mount point"), "{refused}");
}

#[test]
fn the_drill_makes_a_disk_read_only() {
    let staging = tempfile::Builder::new().prefix("blackstart-ro.").tempdir_in("/tmp").unwrap();
    let dir = format!("dir={}/staging", staging.path().display());
    std::fs::set_permissions(staging.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let ran = run_drill("drills/faults/disk-read-only.yaml", &["--param", &dir, "--param", "port=15704"]);
    assert_eq!(ran.code, 0, "{}", ran.text);
    assert!(ran.bit("read_only") && ran.healed("read_only"), "{}", ran.text);
}

#[test]
fn the_drill_fills_a_disk_and_leaves_nothing() {
    let staging = tempfile::Builder::new().prefix("blackstart-disk.").tempdir_in("/tmp").unwrap();
    let dir = format!("dir={}/staging", staging.path().display());
    std::fs::set_permissions(staging.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let ran = run_drill("drills/faults/disk-fill.yaml", &["--param", &dir, "--param", "port=15701"]);
    assert_eq!(ran.code, 0, "{}", ran.text);
    assert!(ran.bit("disk_full") && ran.healed("disk_full"), "{}", ran.text);
    let status = blackstart(ran.place.path()).arg("status").output().unwrap();
    assert_eq!(status.status.code(), Some(0), "{}", String::from_utf8_lossy(&status.stdout));
}
