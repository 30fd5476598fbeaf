//! A folder on a disk with a drill in it, and what may be left of one: processes by pidfile, open faults, a guardian.

use crate::program::{Case, Program};
use blackstart::adapters::{ProcessState, World};
use blackstart::event::{Event, What};
use blackstart::journal;
use blackstart::model::ProcessIdentity;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Nothing here takes as long as this.
pub const LONG: Duration = Duration::from_secs(90);
const CONFIG: &str = "environments:\n  test:\n    hosts: [127.0.0.1, localhost]\n    namespaces: [machine.net]\n";

/// A folder of its own, gone with the value, with everything that was started in it.
pub struct Place {
    folder: tempfile::TempDir,
    pub world: World,
    _alive: StandIn,
}

/// A process that looks like a guardian, ended with the value: what others that run meanwhile leave on this machine is
/// for somebody alive, then, and not for nobody.
struct StandIn(std::process::Child);

impl StandIn {
    fn new(folder: &Path) -> Self {
        std::fs::write(folder.join("guardian"), "read -r _\n").unwrap();
        let mut command = Command::new("bash");
        command.arg0("blackstart").args(["guardian", "stand-in"]).current_dir(folder).stdin(Stdio::piped());
        Self(command.spawn().unwrap())
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The name of the run in a folder.
pub fn run_id(folder: &Path) -> String {
    folder.file_name().unwrap().to_string_lossy().replace("blackstart-crash.", "run-")
}

/// A command that is over.
pub struct Done {
    pub code: i32,
    pub said: String,
}

impl Place {
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("blackstart-crash.").tempdir_in("/var/tmp").unwrap();
        let _alive = StandIn::new(folder.path());
        let place = Self { folder, _alive, world: World::system_with(Some(env!("CARGO_BIN_EXE_blackstart").into())) };
        place.write("blackstart.yaml", CONFIG);
        place
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// Does nothing if there is no such file.
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// A script beside the drill; it runs in the place's folder.
    pub fn script(&self, name: &str, body: &str) {
        self.write(name, &format!("#!/bin/sh\ncd \"$(dirname \"$0\")\" || exit 1\n{body}\n"));
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(self.path(name), mode).unwrap();
    }

    pub fn sh(&self, command: &str) -> Done {
        done(Command::new("sh").args(["-c", command]).current_dir(self.folder()).stdin(Stdio::null()).output().unwrap())
    }

    /// `start.sh` starts a process that does nothing; it is started.
    pub fn victim(&self) {
        self.script("start.sh", "sleep 3600 >/dev/null 2>&1 </dev/null & echo $! > pid");
        // Not run as a program: a fork of another test may still hold it open for writing.
        let started = self.sh("sh start.sh");
        assert_eq!(started.code, 0, "{}", started.said);
    }

    /// The victim, and a network namespace `./machine.net`; both are gone with the place.
    pub fn machine(&self) {
        self.victim();
        self.write("machine.net", "");
        let made = self.sh("unshare --net=\"$PWD/machine.net\" ip link set lo up");
        assert_eq!(made.code, 0, "{}", made.said);
    }

    /// What a command says in it.
    pub fn in_machine(&self, command: &str) -> String {
        self.sh(&format!("nsenter --net=\"$PWD/machine.net\" {command}")).said
    }

    /// The process of a pidfile.
    pub fn process(&self, pidfile: &str) -> Option<ProcessIdentity> {
        let pid = self.read(pidfile).trim().parse().ok()?;
        self.world.processes.identify(pid).unwrap()
    }

    pub fn state(&self, pidfile: &str) -> Option<ProcessState> {
        self.process(pidfile).map(|who| self.world.processes.state(&who).unwrap())
    }

    pub fn run_dir(&self) -> PathBuf {
        self.path("reports/crash").join(self.run_id())
    }

    /// What is in the journal so far.
    pub fn events(&self) -> Vec<Event> {
        journal::read_events(&self.run_dir()).map(|stored| stored.events).unwrap_or_default()
    }

    pub fn said(&self, fits: impl Fn(&What) -> bool) -> bool {
        self.events().iter().any(|event| fits(&event.what))
    }

    /// The guardian of the run, if it got one.
    pub fn guardian(&self) -> Option<ProcessIdentity> {
        self.events().into_iter().find_map(|event| match event.what {
            What::Guarded { guardian, .. } => guardian,
            _ => None,
        })
    }

    pub fn is_gone(&self, who: &ProcessIdentity) -> bool {
        self.world.processes.state(who).unwrap() == ProcessState::Gone
    }

    pub fn kill(&self, who: &ProcessIdentity) {
        // It may be gone already.
        drop(self.world.processes.signal(who, "KILL"));
        self.until("it is gone", || self.is_gone(who));
    }

    #[track_caller]
    pub fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let deadline = Instant::now() + LONG;
        while !holds() {
            assert!(Instant::now() < deadline, "never: {what}\n{}", self.story());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The guardian has done what it had to do.
    #[track_caller]
    pub fn until_guardian_is_gone(&self) {
        if let Some(guardian) = self.guardian() {
            self.until("the guardian is gone", || self.is_gone(&guardian));
        }
    }

    /// Is the run listed as one that may have left something open?
    pub fn listed(&self) -> bool {
        std::fs::read_dir(self.path("state/open")).is_ok_and(|list| list.count() > 0)
    }

    /// Faults that the record has open.
    pub fn open(&self) -> Vec<String> {
        journal::open_faults(&self.events()).into_iter().map(|intent| intent.fault.to_string()).collect()
    }

    /// The binary, from another folder than the drill's.
    pub fn blackstart(&self, words: &[&str]) -> Done {
        done(self.command(words).output().unwrap())
    }

    /// The same, not started yet.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_blackstart"));
        command.args(words).current_dir("/").env("BLACKSTART_STATE_DIR", self.path("state"));
        command.env("BLACKSTART_REPORTS", self.path("reports")).env("COLUMNS", "120").stdin(Stdio::null());
        command
    }

    /// The program that runs the drill and dies as the case says.
    pub fn start(&self, case: &Case) -> Program {
        Program::start(self.folder(), case)
    }

    /// Differs from that of every other place: what a fault leaves on a host carries it.
    pub fn run_id(&self) -> String {
        run_id(self.folder())
    }

    /// For messages of failed assertions.
    pub fn story(&self) -> String {
        let events = self.events();
        let start = events.first().map_or(0, |e| e.at.mono.0);
        let notable = events.iter().filter(|e| !matches!(e.what, What::RunStarted(_) | What::OpsMark(_)));
        let line = |e: &Event| {
            let text = format!("{:?}", e.what);
            format!("{:8.3} {}\n", (e.at.mono.0 - start) as f64 / 1e9, text.chars().take(300).collect::<String>())
        };
        notable.map(line).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.path("machine.net").exists() {
            self.sh("umount -l machine.net");
        }
        let guardian = self.guardian();
        let files = std::fs::read_dir(self.folder()).into_iter().flatten().flatten();
        let pids = files.filter(|file| file.file_name().to_string_lossy().ends_with("pid"));
        let left = pids.filter_map(|file| self.process(&file.file_name().to_string_lossy()));
        for who in left.chain(guardian) {
            drop(self.world.processes.signal(&who, "KILL"));
            // libfaketime leaves these behind when its process is killed.
            for left in ["faketime_shm_", "sem.faketime_sem_"] {
                drop(std::fs::remove_file(format!("/dev/shm/{left}{}", who.pid)));
            }
        }
    }
}

fn done(output: Output) -> Done {
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Done { code: output.status.code().unwrap_or(-1), said }
}

impl Done {
    #[track_caller]
    pub fn code(self, wanted: i32) -> Self {
        assert_eq!(self.code, wanted, "{}", self.said);
        self
    }
}
