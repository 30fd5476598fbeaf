//! Slow and failing input and output: over a directory, and within a mount that was there before.

use crate::disk::with_directory;
use crate::support::{
    Place, blackstart, conforms, fault, heals_a_replaced_target, heals_what_was_never_injected, run_drill,
};
use blackstart::faults::{FaultSpec, PreparedFault};
use serde_json::{Value, json};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A place with a directory that holds a file.
fn with_data() -> (Place, PathBuf) {
    let place = Place::new();
    let data = place.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("old"), "written before").unwrap();
    (with_directory(place, &data), data)
}

fn disturb(parameters: Value) -> FaultSpec {
    let mut whole = json!({"target": "data", "limit": "5m"});
    whole.as_object_mut().unwrap().extend(parameters.as_object().unwrap().clone());
    fault(json!({"disk_io": whole}))
}

async fn injected(place: &Place, spec: FaultSpec) -> PreparedFault {
    place.pin();
    let undo = spec.prepare(&place.cx()).await.unwrap();
    let fault = PreparedFault { spec, undo };
    fault.inject(&place.cx()).await.unwrap();
    let look = fault.effective(&place.cx()).await.unwrap();
    assert!(look.holds, "{}", look.detail);
    fault
}

async fn heals(place: &Place, fault: &PreparedFault) -> String {
    fault.heal(&place.cx()).await.unwrap();
    let look = fault.healed(&place.cx()).await.unwrap();
    assert!(look.holds, "{}", look.detail);
    look.detail
}

/// Writes a file and syncs it.
fn write(path: &Path) -> std::io::Result<()> {
    let mut file = std::fs::File::create(path)?;
    file.write_all(b"some bytes")?;
    file.sync_all()
}

fn took(work: impl FnOnce()) -> Duration {
    let began = Instant::now();
    work();
    began.elapsed()
}

#[tokio::test]
async fn a_directory_is_slow_and_then_itself_again() {
    let (place, data) = with_data();
    let slow = disturb(json!({"delay": "150ms", "operations": ["fsync", "write"]}));
    conforms(&place, &slow).await;
    heals_what_was_never_injected(&place, &slow).await;
    let before = std::fs::metadata(&data).unwrap().ino();
    let fault = injected(&place, slow).await;
    assert!(took(|| write(&data.join("new")).unwrap()) >= Duration::from_millis(290), "a write and a sync");
    assert_eq!(std::fs::read_to_string(data.join("old")).unwrap(), "written before");
    heals(&place, &fault).await;
    assert_eq!(std::fs::metadata(&data).unwrap().ino(), before);
    assert_eq!(std::fs::read_to_string(data.join("new")).unwrap(), "some bytes", "it went to the directory beneath");
    assert_eq!(place.residue().await, []);
}

#[tokio::test]
async fn operations_fail_as_asked() {
    for (error, kind) in [("ENOSPC", ErrorKind::StorageFull), ("EROFS", ErrorKind::ReadOnlyFilesystem)] {
        let (place, data) = with_data();
        let fault = injected(&place, disturb(json!({"error": error, "operations": ["write", "fsync"]}))).await;
        assert_eq!(write(&data.join("new")).unwrap_err().kind(), kind);
        heals(&place, &fault).await;
        write(&data.join("new")).unwrap();
    }
    let (place, data) = with_data();
    let fault = injected(&place, disturb(json!({"error": "EIO", "share": "50%", "operations": ["read"]}))).await;
    let failed = (0..200).filter(|_| std::fs::read(data.join("old")).is_err()).count();
    assert!((40..160).contains(&failed), "{failed} of 200");
    heals(&place, &fault).await;
    assert!((0..50).all(|_| std::fs::read(data.join("old")).is_ok()));
}

#[tokio::test]
async fn everything_else_passes_through_unchanged() {
    let (place, data) = with_data();
    let fault = injected(&place, disturb(json!({"delay": "1ms", "operations": ["fsync"]}))).await;
    let at = |name: &str| data.join(name);
    std::fs::create_dir(at("folder")).unwrap();
    std::fs::rename(at("old"), at("folder/moved")).unwrap();
    std::fs::hard_link(at("folder/moved"), at("second")).unwrap();
    std::os::unix::fs::symlink("second", at("link")).unwrap();
    std::fs::set_permissions(at("second"), PermissionsExt::from_mode(0o640)).unwrap();
    std::os::unix::fs::chown(at("second"), Some(1), Some(2)).unwrap();
    rustix::fs::setxattr(at("second"), "user.colour", b"red", rustix::fs::XattrFlags::empty()).unwrap();
    let mut appended = std::fs::OpenOptions::new().append(true).open(at("second")).unwrap();
    appended.write_all(b", and after").unwrap();
    drop(appended);
    std::fs::OpenOptions::new().write(true).open(at("second")).unwrap().set_len(20).unwrap();
    let refused = std::fs::File::create_new(at("second")).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
    let big: Vec<u8> = (0..3_000_000_u32).map(|n| n as u8).collect();
    std::fs::write(at("big"), &big).unwrap();
    assert!(std::fs::read(at("big")).unwrap() == big);
    let all = |data: &Path| {
        let names = std::fs::read_dir(data).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    };
    let through = all(&data);
    assert_eq!(through, ["big", "folder", "link", "second"]);
    std::fs::remove_file(at("folder/moved")).unwrap();
    std::fs::remove_dir(at("folder")).unwrap();
    heals(&place, &fault).await;
    assert_eq!(all(&data), ["big", "link", "second"]);
    assert_eq!(std::fs::read_to_string(at("link")).unwrap(), "written before, and ");
    let meta = std::fs::metadata(at("second")).unwrap();
    assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o7777, meta.nlink()), (1, 2, 0o640, 1));
    assert!(std::fs::read(at("big")).unwrap() == big);
}

#[tokio::test]
async fn a_helper_that_was_killed_leaves_nothing_that_a_heal_does_not_clear() {
    let (place, data) = with_data();
    let spec = disturb(json!({"delay": "50ms"}));
    let kill = || {
        for helper in place.world.helpers.find(&place.owner()).unwrap() {
            place.world.processes.signal(&helper, "KILL").unwrap();
        }
        // The mount is dead from the moment that its helper is.
        for _ in 0..1000 {
            if std::fs::metadata(&data).is_err() {
                return;
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
        panic!("the mount lives without its helper");
    };
    heals_a_replaced_target(&place, &spec, kill).await;
    assert_eq!(std::fs::read_to_string(data.join("old")).unwrap(), "written before");
    // Injected once more on a dead mount: it bites again.
    let fault = injected(&place, spec).await;
    kill();
    assert!(!place.residue().await.is_empty(), "the dead mount is found with no record");
    fault.inject(&place.cx()).await.unwrap();
    assert!(fault.effective(&place.cx()).await.unwrap().holds);
    heals(&place, &fault).await;
    assert_eq!(place.residue().await, []);
}

/// Whoever looks into a mount whose process stands still waits as long as that does, and cannot even be killed.
#[tokio::test]
async fn a_mount_that_never_answers_is_said_and_not_waited_for() {
    let (place, data) = with_data();
    let fault = injected(&place, disturb(json!({"delay": "50ms"}))).await;
    let signal = |name: &str| {
        for helper in place.world.helpers.find(&place.owner()).unwrap() {
            place.world.processes.signal(&helper, name).unwrap();
        }
    };
    signal("STOP");
    let search = blackstart::faults::residue(&place.world).await;
    signal("CONT");
    let data = data.display().to_string();
    let said = search.unseen.iter().any(|unseen| unseen.error.to_string().contains(&data));
    assert!(said, "{:?}", search.unseen);
    heals(&place, &fault).await;
    assert_eq!(place.residue().await, []);
}

#[tokio::test]
async fn who_waits_goes_on_at_once_and_an_open_file_is_not_lost() {
    let (place, data) = with_data();
    let fault = injected(&place, disturb(json!({"delay": "100s", "operations": ["write"]}))).await;
    let path = data.join("new");
    let writer = std::thread::spawn(move || {
        let mut file =
            std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path).unwrap();
        file.write_all(b"late").unwrap();
        file
    });
    place.until("the writer waits", || async { !writer.is_finished() }).await;
    let began = Instant::now();
    let detail = heals(&place, &fault).await;
    let mut file = writer.join().unwrap();
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    file.write_all(b", and later").unwrap();
    assert_eq!(std::fs::read_to_string(data.join("new")).unwrap(), "late, and later", "{detail}");
    let mut nothing = String::new();
    file.read_to_string(&mut nothing).unwrap();
    drop(file);
    place.until("the helper ends", || async { place.world.helpers.find(&place.owner()).unwrap().is_empty() }).await;
}

#[tokio::test]
async fn it_ends_by_itself_at_its_limit() {
    let (place, data) = with_data();
    let before = std::fs::metadata(&data).unwrap().ino();
    let mut spec = disturb(json!({"delay": "1ms"}));
    if let FaultSpec::DiskIo(io) = &mut spec {
        io.limit = Some("2s".parse().unwrap());
    }
    place.pin();
    let undo = spec.prepare(&place.cx()).await.unwrap();
    let fault = PreparedFault { spec, undo };
    fault.inject(&place.cx()).await.unwrap();
    place
        .until("it has unmounted itself", || async { std::fs::metadata(&data).is_ok_and(|m| m.ino() == before) })
        .await;
    heals(&place, &fault).await;
}

/// A pass-through mount of somebody else.
struct Beforehand(Child, PathBuf);

impl Beforehand {
    fn over(data: &Path) -> Self {
        let parameters = json!({"directory": data, "tag": "staging"}).to_string();
        let mut helper = Command::new(env!("CARGO_BIN_EXE_blackstart"));
        helper.args(["helper", "--owner", "staging", "slowfs", &parameters]).stdout(Stdio::piped());
        let mut helper = helper.spawn().unwrap();
        let mut ready = [0; 8];
        helper.stdout.take().unwrap().read_exact(&mut ready).unwrap();
        Self(helper, data.to_path_buf())
    }
}

impl Drop for Beforehand {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.1).status());
        drop(self.0.wait());
    }
}

#[tokio::test]
async fn a_mount_that_was_there_before_is_switched_for_those_who_have_files_open() {
    let (place, data) = with_data();
    let beforehand = Beforehand::over(&data);
    let mut service = std::fs::File::create(data.join("journal")).unwrap();
    let spec = disturb(json!({"delay": "150ms", "error": "EIO", "operations": ["fsync"]}));
    conforms(&place, &spec).await;
    heals_what_was_never_injected(&place, &spec).await;
    let fault = injected(&place, spec).await;
    service.write_all(b"one").unwrap();
    let slow = took(|| assert_eq!(service.sync_all().unwrap_err().raw_os_error(), Some(5)));
    assert!(slow >= Duration::from_millis(150), "{slow:?}");
    assert_eq!(place.residue().await.len(), 1, "it is found with no record");
    heals(&place, &fault).await;
    service.sync_all().unwrap();
    drop(service);
    drop(beforehand);
    assert_eq!(std::fs::read_to_string(data.join("journal")).unwrap(), "one");
}

#[test]
fn the_drill_slows_and_breaks_a_disk_that_is_in_use() {
    let staging = tempfile::Builder::new().prefix("blackstart-io.").tempdir_in("/tmp").unwrap();
    let dir = format!("dir={}/staging", staging.path().display());
    std::fs::set_permissions(staging.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let ran = run_drill("drills/faults/disk-io.yaml", &["--param", &dir, "--param", "port=15703"]);
    assert_eq!(ran.code, 0, "{}", ran.text);
    for fault in ["slow", "failing"] {
        assert!(ran.bit(fault) && ran.healed(fault), "{fault}: {}", ran.text);
    }
    let status = blackstart(ran.place.path()).arg("status").output().unwrap();
    assert_eq!(status.status.code(), Some(0), "{}", String::from_utf8_lossy(&status.stdout));
}
