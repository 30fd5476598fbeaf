//! The virtual machine: QEMU with a root disk from the cache that is never written to, a disk with the binary and the
//! test's files, and an empty one.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vm");

/// A machine that runs; it is gone with this value.
pub struct Machine {
    qemu: std::cell::RefCell<Child>,
    folder: tempfile::TempDir,
}

#[track_caller]
fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|e| panic!("{program}: {e}; tests/install.sh installs it"));
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A disk with what the guest's script needs.
fn test_disk(folder: &Path) {
    let files = folder.join("files");
    std::fs::create_dir_all(files.join("drill")).unwrap();
    std::fs::copy(Path::new(HERE).join("guest.sh"), files.join("guest.sh")).unwrap();
    std::fs::copy(Path::new(HERE).join("reboot.yaml"), files.join("drill/reboot.yaml")).unwrap();
    std::fs::copy(Path::new(HERE).join("blackstart.yaml"), files.join("drill/blackstart.yaml")).unwrap();
    // Without what only a debugger reads it is a fifth of the size.
    let stripped = files.join("blackstart");
    run("strip", &["-o", &stripped.to_string_lossy(), env!("CARGO_BIN_EXE_blackstart")]);
    disk(&folder.join("test.img"), "test", "160M", Some(&files));
    disk(&folder.join("data.img"), "data", "64M", None);
}

fn disk(file: &Path, label: &str, size: &str, from: Option<&Path>) {
    let (file, from) = (file.to_string_lossy(), from.map(|path| path.to_string_lossy()));
    let mut arguments = vec!["-q", "-t", "ext4", "-L", label];
    arguments.extend(from.iter().flat_map(|path| ["-d", path]));
    run("/usr/sbin/mke2fs", &[&arguments[..], &[&file, size]].concat());
}

/// The processor's own virtualisation where this machine has it, and translation of every instruction elsewhere. That
/// /dev/kvm opens is not enough: in some clouds it only runs kernels that are made for it.
fn accelerator() -> [&'static str; 4] {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let hardware = cpu.split_whitespace().any(|flag| flag == "vmx" || flag == "svm");
    let kvm = std::fs::OpenOptions::new().read(true).write(true).open("/dev/kvm");
    if hardware && kvm.is_ok() {
        return ["-accel", "kvm", "-cpu", "host"];
    }
    ["-accel", "tcg,thread=multi", "-cpu", "max"]
}

impl Machine {
    /// Booting.
    pub fn start() -> Self {
        let image = run(&format!("{HERE}/image.sh"), &[]);
        let folder = tempfile::Builder::new().prefix("blackstart-vm.").tempdir_in("/var/tmp").unwrap();
        test_disk(folder.path());
        let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args(accelerator()).args(["-m", "768", "-smp", "2"]);
        qemu.args(["-nodefaults", "-no-user-config", "-display", "none", "-nic", "none"]);
        qemu.args(["-kernel", &format!("{image}/vmlinuz"), "-initrd", &format!("{image}/initrd.img")]);
        qemu.args(["-append", "root=LABEL=root rw console=ttyS0 quiet panic=-1 systemd.show_status=no"]);
        // What the guest writes to its root disk is kept beside it until the machine ends: a reset does not lose it.
        qemu.args(["-drive", &format!("file={image}/root.img,if=virtio,format=raw,snapshot=on")]);
        qemu.args(["-drive", &format!("file={},if=virtio,format=raw,readonly=on", at("test.img"))]);
        qemu.args(["-drive", &format!("file={},if=virtio,format=raw", at("data.img"))]);
        qemu.args(["-serial", &format!("file:{}", at("console")), "-serial", &format!("file:{}", at("said"))]);
        qemu.args(["-monitor", &format!("unix:{},server=on,wait=off", at("monitor"))]);
        qemu.env("TMPDIR", folder.path()).stdin(Stdio::null()).stdout(Stdio::null());
        let qemu = qemu.spawn().unwrap_or_else(|e| panic!("qemu-system-x86_64: {e}; tests/install.sh installs it"));
        Self { qemu: std::cell::RefCell::new(qemu), folder }
    }

    fn text(&self, name: &str) -> String {
        let bytes = std::fs::read(self.folder.path().join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).replace('\r', "")
    }

    /// Waits until the guest has said this; everything it has said so far.
    #[track_caller]
    pub fn until(&self, line: &str, limit: Duration) -> String {
        let deadline = Instant::now() + limit;
        loop {
            let said = self.text("said");
            if said.lines().any(|l| l.trim() == line) {
                return said;
            }
            let ended = self.qemu.borrow_mut().try_wait().unwrap();
            if ended.is_some() || Instant::now() > deadline {
                panic!("never: {line} (qemu: {ended:?})\n── said\n{said}\n── console\n{}", self.text("console"));
            }
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    /// As the button at the front does: nothing in the machine is told.
    pub fn reset(&self) {
        let mut monitor = UnixStream::connect(self.folder.path().join("monitor")).unwrap();
        monitor.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        // A command is read after the prompt, and done when the next one comes.
        prompt(&mut monitor);
        monitor.write_all(b"system_reset\n").unwrap();
        prompt(&mut monitor);
    }
}

fn prompt(monitor: &mut UnixStream) {
    let mut said = Vec::new();
    while !said.ends_with(b"\n(qemu) ") {
        let mut byte = [0];
        monitor.read_exact(&mut byte).unwrap();
        said.extend(byte);
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let qemu = self.qemu.get_mut();
        drop(qemu.kill());
        drop(qemu.wait());
    }
}
