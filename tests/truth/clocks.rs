//! Clocks that move under a running drill: the machine slept, or somebody set its clock. Really moving them would move them
//! for everybody, so a library between the runner and the system (`clocks.c`) does it for the runner alone.

use super::known::{Setting, run_in};
use super::runner::{drill, right, unseen};
use super::support::until;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const MS: i64 = 1_000_000;
const HOUR: i64 = 3_600_000 * MS;

/// The library; it is made once and lives as long as this.
struct Library(tempfile::TempDir);

impl Library {
    fn make() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/truth/clocks.c");
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(dir.path().join("clocks.so")).arg(source);
        let made = cc.output().unwrap_or_else(|e| panic!("cc: {e} (tests/install.sh)"));
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Self(dir)
    }

    fn setting(&self, beside: fn(u32, &Path)) -> Setting {
        Setting { beside: Some(beside), clocks: Some(self.0.path().join("clocks.so")) }
    }
}

/// What a runner is started with whose files are in `home`.
pub fn variables(library: &Path, home: &Path) -> Vec<(&'static str, PathBuf)> {
    let file = home.join("clocks");
    std::fs::write(&file, [0; 16]).unwrap();
    vec![("LD_PRELOAD", library.to_path_buf()), ("BLACKSTART_TEST_CLOCKS", file)]
}

/// From now on the runner's wall clock is so far ahead, and so is its clock that goes on while the machine sleeps.
fn ahead(rig: &Path, wall: i64, boot: i64) {
    // In place, because the runner has mapped it.
    let mut file = std::fs::OpenOptions::new().write(true).open(rig.with_file_name("clocks")).unwrap();
    file.write_all(&[wall.to_ne_bytes(), boot.to_ne_bytes()].concat()).unwrap();
}

fn begun(rig: &Path, after: u64) {
    until("the outage begins", || rig.join("begun").exists().then_some(()));
    std::thread::sleep(Duration::from_millis(after));
}

/// Two seconds of sleep inside the outage.
fn sleeps(_: u32, rig: &Path) {
    begun(rig, 600);
    ahead(rig, 2_000 * MS, 2_000 * MS);
}

/// An hour ahead shortly before service is back, and to where it was once it is.
fn is_set(_: u32, rig: &Path) {
    begun(rig, 800);
    ahead(rig, HOUR, 0);
    std::thread::sleep(Duration::from_millis(1_500));
    ahead(rig, 0, 0);
}

/// Side by side: each has a runner and clocks of its own.
#[test]
fn clocks_that_go_on_while_the_machine_sleeps_or_are_set_move_no_figure() {
    std::thread::scope(|scope| {
        scope.spawn(a_machine_that_slept_is_known_and_no_time_of_it_counts);
        scope.spawn(a_wall_clock_that_is_set_moves_no_figure);
    });
}

fn a_machine_that_slept_is_known_and_no_time_of_it_counts() {
    let known = run_in(drill("refuse:1800ms"), Library::make().setting(sleeps));
    right(&known);
    let stalls = &known.report["stalls"];
    let slept = unseen(&known.report, &["suspend"]);
    assert!((0.4..3.0).contains(&slept), "{slept}: {stalls}");
    assert_eq!(unseen(&known.report, &["clock_step"]), 0.0, "{stalls}");
}

fn a_wall_clock_that_is_set_moves_no_figure() {
    let known = run_in(drill("refuse:1000ms"), Library::make().setting(is_set));
    right(&known);
    let stalls = &known.report["stalls"];
    let set = stalls.as_array().unwrap().iter().filter(|stall| stall["cause"] == "clock_step").count();
    assert_eq!(set, 2, "there and back: {stalls}");
    assert_eq!(unseen(&known.report, &["suspend"]), 0.0, "{stalls}");
    let long = known.report["run"]["seconds"].as_f64().unwrap();
    assert!(long < 600.0, "{long} s, whatever the wall clock says");
}
