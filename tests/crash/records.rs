//! Records that are torn, cut off, corrupted or gone; state directories that are full or read-only; a reboot; several who
//! want to heal at once.

use crate::families::PAUSE;
use crate::place::Place;
use crate::program::{Case, Moment, Who};
use crate::sweep::drill;
use blackstart::adapters::ProcessState;
use blackstart::event::What;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use sha2::{Digest, Sha256};
use std::path::PathBuf;

/// A place whose runner and guardian died with the fault open.
fn broken() -> Place {
    let place = Place::new();
    place.victim();
    place.write("drill.yaml", &drill(PAUSE));
    die(&place);
    place
}

fn die(place: &Place) {
    let case = Case::new(Who::Both, Moment::After("fault_effect".to_owned(), 1));
    assert!(!place.start(&case).wait().success(), "{}", place.story());
    place.kill(&place.guardian().unwrap());
    assert_eq!(place.state("pid"), Some(ProcessState::Stopped), "{}", place.story());
}

fn journal(place: &Place) -> PathBuf {
    place.run_dir().join("journal.jsonl")
}

#[test]
fn a_torn_journal_is_cut_and_healed_from() {
    // Torn in the middle of whatever came after the intent.
    type Cut = fn(intent: usize, whole: usize) -> usize;
    let cuts: [Cut; 3] = [|intent, _| intent + 1, |intent, whole| usize::midpoint(intent, whole), |_, whole| whole - 1];
    for cut in cuts {
        let place = broken();
        let whole = std::fs::read(journal(&place)).unwrap();
        let intent = whole.windows(14).position(|w| w == b"\"fault_intent\"").unwrap();
        let after_intent = intent + whole[intent..].iter().position(|b| *b == b'\n').unwrap() + 1;
        let length = cut(after_intent, whole.len());
        std::fs::write(journal(&place), &whole[..length]).unwrap();
        place.blackstart(&["status"]).code(3);
        place.blackstart(&["recover"]).code(0);
        assert_eq!(place.state("pid"), Some(ProcessState::Running), "{length}: {}", place.story());
        assert!(place.open().is_empty() && !place.listed(), "{length}: {}", place.story());
    }
}

/// A line in the middle does not verify: what stands before it is healed, and that more may be open is said.
#[test]
fn a_corrupted_journal_is_healed_from_as_far_as_it_can_be_read_and_never_called_healed() {
    let place = broken();
    let mut bytes = std::fs::read(journal(&place)).unwrap();
    let injected = bytes.windows(16).position(|w| w == b"\"fault_injected\"").unwrap();
    bytes[injected + 2] ^= 1;
    std::fs::write(journal(&place), &bytes).unwrap();
    let said = place.blackstart(&["recover"]).code(3).said;
    assert_eq!(place.state("pid"), Some(ProcessState::Running), "{said}");
    assert!(said.contains("healed      fault") && said.contains("could not be written down"), "{said}");
    assert!(place.listed(), "it is forgotten although nobody knows what else is open");
    let refused = place.blackstart(&["run", &place.path("drill.yaml").to_string_lossy(), "--output", "plain"]);
    assert_eq!(refused.code, 3, "{}", refused.said);
}

#[test]
fn a_journal_that_is_gone_or_empty_is_said_and_never_called_healed() {
    let place = broken();
    for empty in [true, false] {
        if empty {
            std::fs::write(journal(&place), "").unwrap();
        } else {
            std::fs::remove_file(journal(&place)).unwrap();
        }
        let drill = place.path("drill.yaml").to_string_lossy().into_owned();
        for words in [&["recover"][..], &["status"], &["run", &drill, "--output", "plain"]] {
            let said = place.blackstart(words);
            assert_eq!(said.code, 3, "{words:?}: {}", said.said);
        }
        assert!(place.listed());
    }
}

/// A guardian was told everything: it needs no journal.
#[test]
fn a_guardian_heals_without_any_journal() {
    let place = Place::new();
    place.victim();
    place.script("again.sh", "rm reports/crash/*/journal.jsonl; kill -9 $(cat runner)");
    let outage = format!(
        "{PAUSE}  - {{id: gone, run: {{command: [sh, -c, 'echo $PPID > runner; exec ./again.sh']}}, within: 9s}}\n"
    );
    place.write("drill.yaml", &drill(&outage));
    assert!(!place.start(&Case::none()).wait().success());
    place.until("running", || place.state("pid") == Some(ProcessState::Running));
    assert!(place.listed(), "nobody can look at its record any more");
}

/// A file system of its own, gone with the value.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn new(dir: PathBuf) -> Self {
        std::fs::create_dir_all(&dir).unwrap();
        mount(Some("tmpfs"), &dir, Some("tmpfs"), MsFlags::empty(), Some("size=80m"))
            .expect("mounting needs root: run the tests as root");
        Self(dir)
    }

    fn read_only(&self) {
        let flags = MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        mount(None::<&str>, &self.0, None::<&str>, flags, None::<&str>).unwrap();
    }

    fn writable(&self) {
        mount(None::<&str>, &self.0, None::<&str>, MsFlags::MS_REMOUNT, None::<&str>).unwrap();
    }

    fn fill(&self) {
        let mut file = std::fs::File::create(self.0.join("filler")).unwrap();
        while std::io::Write::write_all(&mut file, &[0; 4096]).is_ok() {}
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        umount2(&self.0, MntFlags::MNT_DETACH).ok();
    }
}

#[test]
fn with_a_read_only_state_directory_and_record_recover_heals_and_says_what_it_could_not_write() {
    let place = Place::new();
    let (state, reports) = (SmallDisk::new(place.path("state")), SmallDisk::new(place.path("reports")));
    place.victim();
    place.write("drill.yaml", &drill(PAUSE));
    die(&place);
    state.read_only();
    reports.read_only();
    let said = place.blackstart(&["recover"]).code(3).said;
    assert_eq!(place.state("pid"), Some(ProcessState::Running), "{said}");
    assert!(said.contains("healed      fault") && said.contains("Read-only"), "{said}");
    place.blackstart(&["status"]).code(3);
    state.writable();
    reports.writable();
    place.blackstart(&["recover"]).code(0);
    assert!(!place.listed() && place.open().is_empty());
}

#[test]
fn with_a_full_disk_the_guardian_and_recover_heal() {
    let place = Place::new();
    let state = SmallDisk::new(place.path("state"));
    let reports = SmallDisk::new(place.path("reports"));
    place.victim();
    place.write("drill.yaml", &drill(PAUSE));
    die(&place);
    state.fill();
    reports.fill();
    let said = place.blackstart(&["recover"]).said;
    assert_eq!(place.state("pid"), Some(ProcessState::Running), "{said}");
    assert!(said.contains("healed      fault"), "{said}");
    drop((state, reports));
}

/// The machine is switched off and on: no process of ours lives, the boot id is another one, the monotonic clock begins
/// anew. Only the state directory and the run's folder are left.
#[test]
fn after_a_reboot_recover_heals_from_the_state_directory_alone() {
    let place = broken();
    let old = place.process("pid").unwrap();
    place.kill(&old);
    let text = std::fs::read_to_string(journal(&place)).unwrap();
    std::fs::write(journal(&place), of_another_boot(&text, &old.boot)).unwrap();
    assert!(place.open() == ["fault"], "{}", place.story());
    // What the machine started when it came up.
    assert_eq!(place.sh("./start.sh").code, 0);
    let said = place.blackstart(&["status"]).code(3).said;
    assert!(said.contains("open:") && said.contains("started anew"), "{said}");
    place.blackstart(&["recover"]).code(0);
    assert_eq!(place.state("pid"), Some(ProcessState::Running), "{}", place.story());
    let stored = blackstart::journal::read(&place.run_dir()).unwrap();
    assert!(stored.cut.is_none() && stored.problems.is_empty(), "{:?} {:?}", stored.cut, stored.problems);
    let times: Vec<i64> = stored.events.iter().map(|event| event.at.mono.0).collect();
    assert!(times.is_sorted(), "the record goes back in time: {times:?}");
    place.blackstart(&["analyze", &place.run_dir().to_string_lossy()]).code(4);
}

/// The same record as another boot would have left it, an hour into its uptime; its chain of digests made anew.
fn of_another_boot(text: &str, boot: &str) -> String {
    let other = text.replace(boot, "00000000-1111-2222-3333-444444444444");
    let (mut prev, mut out) = ("0".repeat(64), String::new());
    for line in other.lines() {
        let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["prev"] = serde_json::Value::from(prev);
        let mono = line["at"]["mono"].as_i64().unwrap();
        line["at"]["mono"] = serde_json::Value::from(mono.saturating_add(1_000_000_000_000_000));
        let line = format!("{line}\n");
        prev = Sha256::digest(line.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        out.push_str(&line);
    }
    out
}

/// Two recoveries, and one beside a runner that lives: one does it, the others say so, and nothing is done twice.
#[test]
fn one_heals_and_the_others_say_so() {
    let place = Place::new();
    place.victim();
    let slow = "  - id: fault\n    deadline: 5m\n    inject: {command: {inject: [touch, a], effective: [test, -e, a], \
        heal: [sh, -c, 'echo x >> heals; sleep 2; rm -f a'], healed: [sh, -c, 'test ! -e a']}}\n";
    place.write("drill.yaml", &drill(slow));
    let case = Case::new(Who::Both, Moment::After("fault_effect".to_owned(), 1));
    assert!(!place.start(&case).wait().success());
    place.kill(&place.guardian().unwrap());
    let mut first = place
        .command(&["recover"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    place.until("it heals", || !place.read("heals").is_empty());
    let second = place.blackstart(&["recover"]).code(3).said;
    assert!(second.contains("another recovery"), "{second}");
    let drill = place.path("drill.yaml");
    let refused = place.blackstart(&["run", &drill.to_string_lossy(), "--output", "plain"]).code(3).said;
    assert!(refused.contains("being healed right now"), "{refused}");
    assert!(first.wait().unwrap().success(), "{}", place.story());
    assert_eq!(place.read("heals"), "x\n", "{}", place.story());
    place.blackstart(&["recover"]).code(0);
}

/// A staging of scripts that its dead runner left up is brought down.
#[test]
fn a_staging_that_was_left_up_is_brought_down() {
    let staging = "staging:\n  up: {command: [sh, -c, 'touch up; echo name=one']}\n  \
        down: {command: [sh, -c, \"rm -f up; echo x >> downs\"]}\n";
    for who in [Who::Runner, Who::Both] {
        for moment in ["staging_begun", "staging_up", "fault_effect"] {
            let place = Place::new();
            place.victim();
            place.write("drill.yaml", &format!("{}{staging}", drill(PAUSE)));
            let status = place.start(&Case::new(who, Moment::After(moment.to_owned(), 1))).wait();
            assert!(std::os::unix::process::ExitStatusExt::signal(&status) == Some(9), "{}", place.read("program.log"));
            if who == Who::Both {
                place.kill(&place.guardian().unwrap());
                place.blackstart(&["status"]).code(3);
                let drill = place.path("drill.yaml");
                let again = place.blackstart(&["run", &drill.to_string_lossy(), "--output", "plain"]);
                assert_eq!(again.code, 3, "{moment}: {}", again.said);
                place.blackstart(&["recover"]).code(0);
            } else {
                place.until_guardian_is_gone();
            }
            assert!(!place.path("up").exists() && !place.listed(), "{who:?} {moment}: {}", place.story());
            let down = place.said(|w| matches!(w, What::StagingDown { error: None }));
            assert!(down && place.open().is_empty(), "{who:?} {moment}: {}", place.story());
            assert_eq!(place.read("downs"), "x\n", "{who:?} {moment}");
        }
    }
}
