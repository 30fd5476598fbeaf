//! The files that the kernel knows of, each by a number and held by a handle without rights (`O_PATH`): it stays the same
//! file whatever it is called, also where a mount covers it.

use fuser::{FileAttr, FileType, INodeNo};
use rustix::fs::{Mode, OFlags, Stat};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// The number of the mount's root.
pub(super) const ROOT: u64 = 1;

/// A file.
pub(super) struct Node {
    pub handle: OwnedFd,
    key: (u64, u64),
}

impl Node {
    /// A path that leads to the very file.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.handle.as_raw_fd()))
    }

    pub fn stat(&self) -> io::Result<Stat> {
        Ok(rustix::fs::fstat(&self.handle)?)
    }
}

/// All of them.
pub(super) struct Nodes {
    table: Mutex<Table>,
}

struct Table {
    nodes: HashMap<u64, (Arc<Node>, u64)>,
    numbers: HashMap<(u64, u64), u64>,
    next: u64,
}

fn key(stat: &Stat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

impl Nodes {
    /// With this directory as root.
    pub fn of(directory: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = rustix::fs::open(directory, flags, Mode::empty())?;
        let key = key(&rustix::fs::fstat(&handle)?);
        let nodes = HashMap::from([(ROOT, (Arc::new(Node { handle, key }), 1))]);
        let table = Table { nodes, numbers: HashMap::from([(key, ROOT)]), next: ROOT + 1 };
        Ok(Self { table: Mutex::new(table) })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn get(&self, number: INodeNo) -> io::Result<Arc<Node>> {
        let table = self.table();
        let found = table.nodes.get(&number.0).map(|(node, _)| Arc::clone(node));
        found.ok_or_else(|| rustix::io::Errno::STALE.into())
    }

    /// Looks a name up, and counts that the kernel knows it.
    pub fn lookup(&self, parent: &Node, name: &OsStr) -> io::Result<FileAttr> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = rustix::fs::openat(&parent.handle, name, flags, Mode::empty())?;
        let stat = rustix::fs::fstat(&handle)?;
        let key = key(&stat);
        let mut table = self.table();
        let number = match table.numbers.get(&key) {
            Some(number) => *number,
            None => {
                let number = table.next;
                table.next += 1;
                table.numbers.insert(key, number);
                table.nodes.insert(number, (Arc::new(Node { handle, key }), 0));
                number
            }
        };
        if let Some((_, known)) = table.nodes.get_mut(&number) {
            *known += 1;
        }
        Ok(attributes(number, &stat))
    }

    /// The kernel has forgotten it so many times.
    pub fn forget(&self, number: u64, times: u64) {
        let mut table = self.table();
        let Some((node, known)) = table.nodes.get_mut(&number) else { return };
        *known = known.saturating_sub(times);
        if *known == 0 && number != ROOT {
            let key = node.key;
            table.nodes.remove(&number);
            table.numbers.remove(&key);
        }
    }
}

fn time(seconds: i64, nanos: u64) -> SystemTime {
    let nanos = Duration::from_nanos(nanos);
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let base = if seconds < 0 { SystemTime::UNIX_EPOCH - whole } else { SystemTime::UNIX_EPOCH + whole };
    base + nanos
}

fn form(mode: u32) -> FileType {
    match rustix::fs::FileType::from_raw_mode(mode) {
        rustix::fs::FileType::Directory => FileType::Directory,
        rustix::fs::FileType::Symlink => FileType::Symlink,
        rustix::fs::FileType::Fifo => FileType::NamedPipe,
        rustix::fs::FileType::Socket => FileType::Socket,
        rustix::fs::FileType::CharacterDevice => FileType::CharDevice,
        rustix::fs::FileType::BlockDevice => FileType::BlockDevice,
        _ => FileType::RegularFile,
    }
}

/// What the kernel wants to know of a file.
pub(super) fn attributes(number: u64, stat: &Stat) -> FileAttr {
    FileAttr {
        ino: INodeNo(number),
        size: stat.st_size.unsigned_abs(),
        blocks: stat.st_blocks.unsigned_abs(),
        atime: time(stat.st_atime, stat.st_atime_nsec),
        mtime: time(stat.st_mtime, stat.st_mtime_nsec),
        ctime: time(stat.st_ctime, stat.st_ctime_nsec),
        crtime: SystemTime::UNIX_EPOCH,
        kind: form(stat.st_mode),
        perm: (stat.st_mode & 0o7777) as u16,
        nlink: stat.st_nlink as u32,
        uid: stat.st_uid,
        gid: stat.st_gid,
        rdev: stat.st_rdev as u32,
        blksize: stat.st_blksize as u32,
        flags: 0,
    }
}
