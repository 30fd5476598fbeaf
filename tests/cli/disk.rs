//! A disk that fills up under a run, and one that is full or read-only from the start. Needs root, for the mount.

use crate::drill;
use crate::support::{Ended, Place};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

/// A small file system of its own, gone with the value.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn new(place: &Place, name: &str, options: &str) -> Self {
        let dir = place.path().join(name);
        std::fs::create_dir(&dir).unwrap();
        mount(Some("tmpfs"), &dir, Some("tmpfs"), MsFlags::empty(), Some(options))
            .expect("mounting needs root: run the tests as root");
        Self(dir)
    }

    fn fill(&self) {
        let mut file = std::fs::File::create(self.0.join("filler")).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        umount2(&self.0, MntFlags::MNT_DETACH).ok();
    }
}

#[test]
fn a_disk_that_fills_up_ends_the_run_healed() {
    let place = Place::new();
    let disk = SmallDisk::new(&place, "small", "size=80m");
    let victim = place.sleeper("victim.pid");
    // The fault is not in the staging, whose own files are on the same disk.
    let text = drill::text(18_300)
        .replace("target: primary", "target: victim")
        .replace("  standby: ", "  victim:  {process: {pidfile: victim.pid}}\n  standby: ");
    let start = text.find("      process_kill:").unwrap();
    let end = text.find("    deadline: 1m").unwrap();
    let text = text.replace(&text[start..end], "      process_pause: {target: victim}\n");
    let text = text.replace("failover:\n", "  - wait: 20s\nfailover:\n");
    place.file("small.yaml", &text);
    let mut child = place.start(&["run", "small.yaml", "--reports", "small", "--output", "plain"]);
    let mut progress = BufReader::new(child.stderr.take().unwrap());
    let mut seen = String::new();
    while !seen.contains("took effect") {
        assert_ne!(progress.read_line(&mut seen).unwrap(), 0, "no fault:\n{seen}");
    }
    assert_eq!(place.state_of(victim.0.id()), 'T');
    disk.fill();
    progress.read_to_string(&mut seen).unwrap();
    let ended = Ended { err: seen, ..Ended::new(child.wait_with_output().unwrap()) };
    assert_ne!(place.state_of(victim.0.id()), 'T', "still paused: {ended:?}");
    let ended = ended.code(4);
    assert!(ended.out.contains("ABORTED"), "{}", ended.out);
    let says = ["No space left", "the disk is full"].iter().any(|words| ended.err.contains(words));
    assert!(says, "nobody says that the disk is full: {}", ended.err);
    place.nothing_left(18_300);

    std::fs::remove_file(disk.0.join("filler")).unwrap();
    let dir = place.only_run("small/small");
    assert_eq!(place.events(&dir).pop().unwrap()["what"]["run_ended"]["state"], "aborted");
    place.run(&["analyze", dir.to_str().unwrap()]).code(4);
    assert!(dir.join("report.json").is_file());
    assert!(!dir.join("journal.reserve").exists());
    assert!(!place.run(&["status"]).code(0).out.contains("open: "));
}

#[test]
fn a_disk_without_room_is_refused_before_anything_is_touched() {
    let place = Place::new();
    let disk = SmallDisk::new(&place, "full", "size=8m");
    place.file("small.yaml", &drill::text(18_310));
    let ended = place.run(&["run", "small.yaml", "--reports", "full"]).code(69);
    assert!(ended.err.contains("MiB"), "{}", ended.err);
    assert!(empty(&disk.0));
    drop(disk);
    let disk = SmallDisk::new(&place, "read-only", "size=80m,ro");
    let ended = place.run(&["run", "small.yaml", "--reports", "read-only"]).code(69);
    assert!(ended.err.contains("read-only"), "{}", ended.err);
    assert!(empty(&disk.0));
    place.nothing_left(18_310);
}

fn empty(dir: &Path) -> bool {
    std::fs::read_dir(dir).unwrap().next().is_none()
}
