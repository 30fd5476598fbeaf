//! A file system of a test's own: an image on a loop device, or one in memory. It is gone when it is dropped, also when the
//! test failed.

use crate::common::{ground, output, until};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

pub struct Volume {
    place: TempDir,
    device: Option<String>,
}

impl Volume {
    fn at(name: &str) -> Self {
        let place = tempfile::Builder::new().prefix(name).tempdir_in(ground()).unwrap();
        std::fs::create_dir(place.path().join("mnt")).unwrap();
        Self { place, device: None }
    }

    /// An image of this size, with this kind of file system.
    pub fn image(mkfs: &[&str], size: &str) -> Self {
        let mut volume = Self::at("blackstart-test-volume-");
        let image = volume.image_file();
        output(Command::new("truncate").args(["-s", size]).arg(&image));
        output(Command::new(mkfs[0]).args(&mkfs[1..]).arg(&image));
        let device = output(Command::new("losetup").args(["-f", "--show"]).arg(&image));
        volume.device = Some(device.clone());
        output(Command::new("mount").arg(device).arg(volume.path()));
        volume
    }

    pub fn ext4() -> Self {
        Self::image(&["mkfs.ext4", "-q"], "48M")
    }

    pub fn btrfs() -> Self {
        Self::image(&["mkfs.btrfs", "-q", "-M"], "64M")
    }

    /// In memory, with so many bytes.
    pub fn memory(size: &str) -> Self {
        let volume = Self::at("blackstart-test-memory-");
        output(Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(volume.path()));
        volume
    }

    /// Where it is mounted.
    pub fn path(&self) -> PathBuf {
        self.place.path().join("mnt")
    }

    fn image_file(&self) -> PathBuf {
        self.place.path().join("image")
    }

    pub fn device(&self) -> &str {
        self.device.as_deref().unwrap()
    }

    /// Its disk is gone: every access is an error from now on.
    pub fn lose(&self) {
        let size = format!("/sys/block/{}/size", self.device().trim_start_matches("/dev/"));
        // A write that comes between the two makes the image as long as it was.
        until("the device has no bytes any more", || {
            std::fs::File::options().write(true).open(self.image_file()).unwrap().set_len(0).unwrap();
            output(Command::new("losetup").args(["-c", self.device()]));
            std::fs::read_to_string(&size).unwrap().trim() == "0"
        });
    }

    /// Nobody can write, and whoever tries waits in the kernel, where no signal reaches him.
    pub fn freeze(&self) {
        output(Command::new("fsfreeze").arg("-f").arg(self.path()));
    }

    pub fn thaw(&self) {
        output(Command::new("fsfreeze").arg("-u").arg(self.path()));
    }

    pub fn remount(&self, option: &str) {
        output(Command::new("mount").args(["-o", &format!("remount,{option}")]).arg(self.path()));
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        let quiet = |command: &mut Command| drop(command.output());
        let path = self.path();
        // Thawing what is not frozen is an error that means nothing here.
        quiet(Command::new("fsfreeze").arg("-u").arg(&path));
        quiet(Command::new("umount").arg("-l").arg(&path));
        if let Some(device) = &self.device {
            quiet(Command::new("losetup").args(["-d", device]));
        }
    }
}

/// Lines of a command that lists something about a place.
pub fn lines(folder: &Path, script: &str) -> Vec<String> {
    let out = output(Command::new("sh").args(["-c", script]).current_dir(folder));
    out.lines().map(str::to_owned).collect()
}
