//! The mounts of this process's namespace, from /proc/self/mountinfo (proc_pid_mountinfo(5)), and read-only remounts of
//! one mount point.

use super::{AdapterError, failed};
use nix::mount::{MsFlags, mount};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const TABLE: &str = "/proc/self/mountinfo";

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Its number; another mount at the same place has another one.
    pub id: u64,
    /// Which folder of the file system it shows.
    pub root: PathBuf,
    /// Where.
    pub point: PathBuf,
    /// Options of this mount (`ro`, `nosuid` …), in the kernel's order.
    pub options: Vec<String>,
    /// The kind of file system.
    pub kind: String,
    /// What was mounted.
    pub source: String,
}

/// Kinds of file systems that a server or a process stands behind: when it is gone, whoever looks waits for ever.
const FAR: &[&str] = &[
    "fuse",
    "nfs",
    "cifs",
    "smb",
    "9p",
    "ceph",
    "afs",
    "glusterfs",
    "lustre",
    "beegfs",
    "gpfs",
    "virtiofs",
    "ncpfs",
    "coda",
];

impl Mount {
    /// May it never answer?
    #[must_use]
    pub fn is_far(&self) -> bool {
        FAR.iter().any(|kind| self.kind.starts_with(kind)) && self.kind != "fusectl"
    }

    /// Is it read-only, as this mount?
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.options.iter().any(|o| o == "ro")
    }

    /// The same with `ro` in place of `rw`.
    #[must_use]
    pub fn read_only(&self) -> Self {
        let swap = |o: &String| if o == "rw" { "ro".to_owned() } else { o.clone() };
        Self { options: self.options.iter().map(swap).collect(), ..self.clone() }
    }
}

/// The mounts of this process's namespace.
pub(super) fn mounts() -> Result<Vec<Mount>, AdapterError> {
    let text = std::fs::read_to_string(TABLE).map_err(|e| failed("read", Path::new(TABLE), &e))?;
    Ok(parse_mounts(&text))
}

/// The lines of a mountinfo file; a line of another form is left out.
#[must_use]
pub fn parse_mounts(text: &str) -> Vec<Mount> {
    text.lines().filter_map(parse).collect()
}

fn parse(line: &str) -> Option<Mount> {
    let (front, back) = line.split_once(" - ")?;
    let mut front = front.split(' ');
    let id = front.next()?.parse().ok()?;
    let (root, point) = (front.nth(2)?, front.next()?);
    let options = front.next()?.split(',').map(str::to_owned).collect();
    let mut back = back.split(' ');
    let (kind, source) = (back.next()?.to_owned(), plain(back.next()?));
    Some(Mount { id, root: plain(root).into(), point: plain(point).into(), options, kind, source })
}

/// Spaces, tabs, line breaks and backslashes stand in the table as `\040` and so on.
fn plain(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..3).filter(|_| first == b'\\').and_then(|d| std::str::from_utf8(d).ok());
        match digits.and_then(|d| u8::from_str_radix(d, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[3..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The mount that a path (absolute, without links) is seen through: the last one made at its longest mount point.
#[must_use]
pub fn mount_of<'a>(path: &Path, mounts: &'a [Mount]) -> Option<&'a Mount> {
    let under = mounts.iter().filter(|m| path.starts_with(&m.point));
    under.max_by_key(|m| (m.point.components().count(), m.id))
}

/// See [`super::Disks::users`].
pub(super) fn users(folder: &Path) -> Vec<String> {
    let below = |link: &Path| std::fs::read_link(link).is_ok_and(|to| to.starts_with(folder));
    let mut found = Vec::new();
    for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let (path, pid) = (process.path(), process.file_name().to_string_lossy().into_owned());
        if pid.parse::<u32>().is_err() || pid == std::process::id().to_string() {
            continue;
        }
        let open = std::fs::read_dir(path.join("fd")).into_iter().flatten().flatten();
        if below(&path.join("cwd")) || open.into_iter().any(|fd| below(&fd.path())) {
            let name = std::fs::read_to_string(path.join("comm")).unwrap_or_default();
            found.push(format!("{} (pid {pid})", name.trim()));
        }
    }
    found
}

/// Gives a mount point the options that stand in `wanted`.
pub(super) fn remount(wanted: &Mount) -> Result<(), AdapterError> {
    let mut flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND;
    for option in &wanted.options {
        flags |= match option.as_str() {
            "ro" => MsFlags::MS_RDONLY,
            "nosuid" => MsFlags::MS_NOSUID,
            "nodev" => MsFlags::MS_NODEV,
            "noexec" => MsFlags::MS_NOEXEC,
            "noatime" => MsFlags::MS_NOATIME,
            "nodiratime" => MsFlags::MS_NODIRATIME,
            "relatime" => MsFlags::MS_RELATIME,
            _ => MsFlags::empty(),
        };
    }
    let none: Option<&str> = None;
    let done = mount(none, &wanted.point, none, flags, none);
    done.map_err(|e| failed("remount", &wanted.point, &std::io::Error::from_raw_os_error(e as i32)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
30 22 0:25 / /mnt/a\\040b rw,nosuid,nodev shared:2 - tmpfs tmpfs rw,size=4k
31 30 7:0 /sub /mnt/a\\040b/c ro,noexec master:1 propagate_from:2 - xfs /dev/loop0 rw
40 22 7:0 / /mnt/a\\040b rw - xfs /dev/loop0 rw
not a mount
";

    #[test]
    fn a_table_is_read_with_its_escapes_and_optional_fields() {
        let mounts = parse_mounts(TABLE);
        assert_eq!(mounts.len(), 4);
        assert_eq!(mounts[1].point, Path::new("/mnt/a b"));
        assert_eq!((mounts[2].kind.as_str(), mounts[2].source.as_str()), ("xfs", "/dev/loop0"));
        assert_eq!((mounts[2].root.as_path(), mounts[2].is_read_only()), (Path::new("/sub"), true));
        assert_eq!(mounts[1].read_only().options, ["ro", "nosuid", "nodev"]);
    }

    #[test]
    fn a_path_belongs_to_its_longest_and_newest_mount() {
        let mounts = parse_mounts(TABLE);
        let id = |path: &str| mount_of(Path::new(path), &mounts).map(|m| m.id);
        assert_eq!(id("/etc"), Some(22));
        assert_eq!(id("/mnt/a b/x"), Some(40), "the newer one covers the older");
        assert_eq!(id("/mnt/a b/c/d"), Some(31));
        assert_eq!(id("/mnt/a bc"), Some(22));
    }

    #[test]
    fn the_mounts_of_this_process_hold_the_root() {
        let mounts = mounts().unwrap();
        assert!(mount_of(Path::new("/"), &mounts).is_some());
    }
}
