//! The operations, each passed to the file beneath; what is to be disturbed goes through the gate first. One that waits
//! does so on a thread of its own, so that others do not wait with it.

use super::gate::Gate;
use super::nodes::{Node, Nodes, ROOT, attributes};
use crate::adapters::disk::disturb::{ATTRIBUTE, Operation};
use crate::model::Owner;
use fuser::{
    AccessFlags, Errno, FileHandle, Filesystem, FopenFlags, Generation, INodeNo, LockOwner, OpenFlags, RenameFlags,
    ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite,
    ReplyXattr, Request, TimeOrNow, WriteFlags,
};
use rustix::fs::{AtFlags, CWD, FallocateFlags, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{File, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirEntryExt, FileExt, PermissionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// Nothing is remembered by the kernel: the directory beneath may change behind the mount.
const FRESH: Duration = Duration::ZERO;
/// So many operations wait on threads of their own; more keep the others waiting too.
const WAITING: usize = 512;
const LARGEST: usize = 64 * 1024;

/// The file system.
pub(super) struct Pass {
    nodes: Nodes,
    gate: Arc<Gate>,
    open: Mutex<HashMap<u64, Open>>,
    next: AtomicU64,
    waiting: Arc<AtomicUsize>,
}

#[derive(Clone)]
enum Open {
    File(Arc<File>),
    Listing(Arc<Vec<(u64, fuser::FileType, Vec<u8>)>>),
}

fn mode(bits: u32) -> Mode {
    Mode::from_raw_mode(bits & 0o7777)
}

/// Flags that an open of a file that exists can have.
fn reopening(flags: i32) -> OFlags {
    let flags = OFlags::from_bits_retain(flags.cast_unsigned());
    flags.difference(OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::DIRECT) | OFlags::CLOEXEC
}

impl Pass {
    pub fn over(directory: &Path, gate: Arc<Gate>) -> io::Result<Self> {
        let (open, next) = (Mutex::default(), AtomicU64::new(1));
        Ok(Self { nodes: Nodes::of(directory)?, gate, open, next, waiting: Arc::default() })
    }

    fn opened(&self) -> MutexGuard<'_, HashMap<u64, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, open: Open) -> FileHandle {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.opened().insert(number, open);
        FileHandle(number)
    }

    fn file(&self, handle: FileHandle) -> io::Result<Arc<File>> {
        match self.opened().get(&handle.0) {
            Some(Open::File(file)) => Ok(Arc::clone(file)),
            _ => Err(rustix::io::Errno::BADF.into()),
        }
    }

    /// Does it now, or when it has waited.
    fn after(&self, operation: Operation, work: impl FnOnce(Option<Errno>) + Send + 'static) {
        let sentence = self.gate.judge(operation);
        let error = sentence.error.map(Errno::from_i32);
        if sentence.wait.is_none() || self.waiting.load(Ordering::Relaxed) >= WAITING {
            self.gate.serve(&sentence);
            return work(error);
        }
        let (gate, waiting) = (Arc::clone(&self.gate), Arc::clone(&self.waiting));
        waiting.fetch_add(1, Ordering::Relaxed);
        std::thread::spawn(move || {
            gate.serve(&sentence);
            waiting.fetch_sub(1, Ordering::Relaxed);
            work(error);
        });
    }

    /// The same for names and attributes, which are quick and need the tables: it waits here.
    fn first(&self, operation: Operation) -> io::Result<()> {
        let sentence = self.gate.judge(operation);
        self.gate.serve(&sentence);
        sentence.error.map_or(Ok(()), |error| Err(io::Error::from_raw_os_error(error)))
    }

    fn made(&self, req: &Request, parent: &Node, name: &OsStr) -> io::Result<fuser::FileAttr> {
        let (user, group) = (Uid::from_raw(req.uid()), Gid::from_raw(req.gid()));
        // A directory may hand its group on.
        let inherits = parent.stat()?.st_mode & 0o2000 != 0;
        if nix::unistd::geteuid().is_root() {
            let group = if inherits { None } else { Some(group) };
            rustix::fs::chownat(&parent.handle, name, Some(user), group, AtFlags::SYMLINK_NOFOLLOW)?;
        }
        self.nodes.lookup(parent, name)
    }

    fn attributes(&self, ino: INodeNo) -> io::Result<fuser::FileAttr> {
        Ok(attributes(ino.0, &self.nodes.get(ino)?.stat()?))
    }

    /// The tag, if an attribute is one that switches.
    fn switch(ino: INodeNo, name: &OsStr) -> Option<String> {
        let tag = name.to_str()?.strip_prefix(ATTRIBUTE)?;
        (ino.0 == ROOT && Owner::is_tag(tag)).then(|| tag.to_owned())
    }

    fn listing(&self, ino: INodeNo) -> io::Result<FileHandle> {
        let node = self.nodes.get(ino)?;
        let mut all = vec![(ino.0, fuser::FileType::Directory, b".".to_vec())];
        all.push((ino.0, fuser::FileType::Directory, b"..".to_vec()));
        for entry in std::fs::read_dir(node.path())? {
            let entry = entry?;
            let form = fuser::FileType::from_std(entry.file_type()?).unwrap_or(fuser::FileType::RegularFile);
            all.push((entry.ino(), form, entry.file_name().as_bytes().to_vec()));
        }
        Ok(self.keep(Open::Listing(Arc::new(all))))
    }

    fn change(&self, ino: INodeNo, change: &Change, handle: Option<FileHandle>) -> io::Result<fuser::FileAttr> {
        let node = self.nodes.get(ino)?;
        if let Some(mode) = change.mode {
            std::fs::set_permissions(node.path(), Permissions::from_mode(mode & 0o7777))?;
        }
        if change.owner.0.is_some() || change.owner.1.is_some() {
            let (user, group) = (change.owner.0.map(Uid::from_raw), change.owner.1.map(Gid::from_raw));
            rustix::fs::chownat(&node.handle, "", user, group, AtFlags::EMPTY_PATH)?;
        }
        if let Some(size) = change.size {
            match handle.map(|h| self.file(h)) {
                Some(file) => file?.set_len(size)?,
                None => File::options().write(true).open(node.path())?.set_len(size)?,
            }
        }
        if change.times.0.is_some() || change.times.1.is_some() {
            let times = Timestamps { last_access: when(change.times.0), last_modification: when(change.times.1) };
            rustix::fs::utimensat(CWD, node.path(), &times, AtFlags::empty())?;
        }
        self.attributes(ino)
    }

    fn open_anew(&self, ino: INodeNo, flags: OpenFlags) -> io::Result<FileHandle> {
        let node = self.nodes.get(ino)?;
        let file = rustix::fs::open(node.path(), reopening(flags.0), Mode::empty())?;
        Ok(self.keep(Open::File(Arc::new(File::from(file)))))
    }
}

/// What a setattr asks for.
struct Change {
    mode: Option<u32>,
    owner: (Option<u32>, Option<u32>),
    size: Option<u64>,
    times: (Option<TimeOrNow>, Option<TimeOrNow>),
}

fn when(time: Option<TimeOrNow>) -> Timespec {
    const NOW: i64 = 0x3fff_ffff;
    const OMIT: i64 = 0x3fff_fffe;
    match time {
        None => Timespec { tv_sec: 0, tv_nsec: OMIT },
        Some(TimeOrNow::Now) => Timespec { tv_sec: 0, tv_nsec: NOW },
        Some(TimeOrNow::SpecificTime(at)) => {
            let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let seconds = i64::try_from(since.as_secs()).unwrap_or_default();
            Timespec { tv_sec: seconds, tv_nsec: i64::from(since.subsec_nanos()) }
        }
    }
}

/// Several steps as one, each of which may fail.
fn tried<T>(steps: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    steps()
}

/// Hands a result to a reply.
macro_rules! answer {
    ($reply:expr, $result:expr, $value:pat => $good:expr) => {
        match tried(|| $result) {
            Ok($value) => $good,
            Err(error) => $reply.error(error.into()),
        }
    };
}

fn data(reply: ReplyXattr, size: u32, bytes: &[u8]) {
    match size as usize {
        0 => reply.size(bytes.len() as u32),
        most if most < bytes.len() => reply.error(Errno::ERANGE),
        _ => reply.data(bytes),
    }
}

impl Filesystem for Pass {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        answer!(reply, {
            self.first(Operation::Metadata)?;
            self.nodes.lookup(&*self.nodes.get(parent)?, name)
        }, attr => reply.entry(&FRESH, &attr, Generation(0)));
    }

    fn forget(&self, _: &Request, ino: INodeNo, times: u64) {
        self.nodes.forget(ino.0, times);
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        answer!(reply, self.attributes(ino), attr => reply.attr(&FRESH, &attr));
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _: Option<SystemTime>,
        handle: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let change = Change { mode, owner: (uid, gid), size, times: (atime, mtime) };
        answer!(reply, {
            self.first(if change.size.is_some() { Operation::Write } else { Operation::Metadata })?;
            self.change(ino, &change, handle)
        }, attr => reply.attr(&FRESH, &attr));
    }

    fn readlink(&self, _: &Request, ino: INodeNo, reply: ReplyData) {
        answer!(reply, {
            let node = self.nodes.get(ino)?;
            Ok(rustix::fs::readlinkat(&node.handle, "", Vec::new())?)
        }, link => reply.data(link.as_bytes()));
    }

    fn mknod(&self, req: &Request, parent: INodeNo, name: &OsStr, bits: u32, umask: u32, rdev: u32, reply: ReplyEntry) {
        answer!(reply, {
            self.first(Operation::Metadata)?;
            let parent = self.nodes.get(parent)?;
            let form = rustix::fs::FileType::from_raw_mode(bits);
            rustix::fs::mknodat(&parent.handle, name, form, mode(bits & !umask), u64::from(rdev))?;
            self.made(req, &parent, name)
        }, attr => reply.entry(&FRESH, &attr, Generation(0)));
    }

    fn mkdir(&self, req: &Request, parent: INodeNo, name: &OsStr, bits: u32, umask: u32, reply: ReplyEntry) {
        answer!(reply, {
            self.first(Operation::Metadata)?;
            let parent = self.nodes.get(parent)?;
            rustix::fs::mkdirat(&parent.handle, name, mode(bits & !umask))?;
            self.made(req, &parent, name)
        }, attr => reply.entry(&FRESH, &attr, Generation(0)));
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer!(reply, {
            self.first(Operation::Metadata)?;
            Ok(rustix::fs::unlinkat(&self.nodes.get(parent)?.handle, name, AtFlags::empty())?)
        }, () => reply.ok());
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer!(reply, {
            self.first(Operation::Metadata)?;
            Ok(rustix::fs::unlinkat(&self.nodes.get(parent)?.handle, name, AtFlags::REMOVEDIR)?)
        }, () => reply.ok());
    }

    fn symlink(&self, req: &Request, parent: INodeNo, name: &OsStr, target: &Path, reply: ReplyEntry) {
        answer!(reply, {
            self.first(Operation::Metadata)?;
            let parent = self.nodes.get(parent)?;
            rustix::fs::symlinkat(target, &parent.handle, name)?;
            self.made(req, &parent, name)
        }, attr => reply.entry(&FRESH, &attr, Generation(0)));
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        answer!(reply, {
            self.first(Operation::Metadata)?;
            let (from, to) = (self.nodes.get(parent)?, self.nodes.get(new_parent)?);
            let flags = rustix::fs::RenameFlags::from_bits_retain(flags.bits());
            Ok(rustix::fs::renameat_with(&from.handle, name, &to.handle, new_name, flags)?)
        }, () => reply.ok());
    }

    fn link(&self, _: &Request, ino: INodeNo, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        answer!(reply, {
            self.first(Operation::Metadata)?;
            let (node, parent) = (self.nodes.get(ino)?, self.nodes.get(parent)?);
            rustix::fs::linkat(CWD, node.path(), &parent.handle, name, AtFlags::SYMLINK_FOLLOW)?;
            self.nodes.lookup(&parent, name)
        }, attr => reply.entry(&FRESH, &attr, Generation(0)));
    }

    fn open(&self, _: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        answer!(reply, {
            self.first(Operation::Open)?;
            self.open_anew(ino, flags)
        }, handle => reply.opened(handle, FopenFlags::empty()));
    }

    fn create(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        bits: u32,
        umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        answer!(reply, {
            self.first(Operation::Open)?;
            let parent = self.nodes.get(parent)?;
            let flags = OFlags::from_bits_retain(flags.cast_unsigned()).difference(OFlags::DIRECT);
            let flags = flags | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            let file = rustix::fs::openat(&parent.handle, name, flags, mode(bits & !umask))?;
            let attr = self.made(req, &parent, name)?;
            Ok((attr, self.keep(Open::File(Arc::new(File::from(file))))))
        }, (attr, handle) => reply.created(&FRESH, &attr, Generation(0), handle, FopenFlags::empty()));
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let file = self.file(handle);
        self.after(Operation::Read, move |error| {
            answer!(reply, {
                error.map_or(Ok(()), |e| Err(io::Error::from_raw_os_error(e.code())))?;
                let (file, mut bytes, mut have) = (file?, vec![0; size as usize], 0);
                while have < bytes.len() {
                    match file.read_at(&mut bytes[have..], offset + have as u64)? {
                        0 => break,
                        more => have += more,
                    }
                }
                bytes.truncate(have);
                Ok(bytes)
            }, bytes => reply.data(&bytes));
        });
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        bytes: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let (file, bytes) = (self.file(handle), bytes.to_vec());
        self.after(Operation::Write, move |error| {
            answer!(reply, {
                error.map_or(Ok(()), |e| Err(io::Error::from_raw_os_error(e.code())))?;
                file?.write_at(&bytes, offset)
            }, written => reply.written(written as u32));
        });
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.opened().remove(&handle.0);
        reply.ok();
    }

    fn fsync(&self, _: &Request, _: INodeNo, handle: FileHandle, data_only: bool, reply: ReplyEmpty) {
        let file = self.file(handle);
        self.after(Operation::Fsync, move |error| {
            answer!(reply, {
                error.map_or(Ok(()), |e| Err(io::Error::from_raw_os_error(e.code())))?;
                if data_only { file?.sync_data() } else { file?.sync_all() }
            }, () => reply.ok());
        });
    }

    fn opendir(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        answer!(reply, self.listing(ino), handle => reply.opened(handle, FopenFlags::empty()));
    }

    fn readdir(&self, _: &Request, _: INodeNo, handle: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let Some(Open::Listing(all)) = self.opened().get(&handle.0).cloned() else {
            return reply.error(Errno::EBADF);
        };
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        for (index, (number, form, name)) in all.iter().enumerate().skip(from) {
            if reply.add(INodeNo(*number), index as u64 + 1, *form, OsStr::from_bytes(name)) {
                break;
            }
        }
        reply.ok();
    }

    fn releasedir(&self, _: &Request, _: INodeNo, handle: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.opened().remove(&handle.0);
        reply.ok();
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        let node = self.nodes.get(ino);
        self.after(Operation::Fsync, move |error| {
            answer!(reply, {
                error.map_or(Ok(()), |e| Err(io::Error::from_raw_os_error(e.code())))?;
                File::open(node?.path())?.sync_all()
            }, () => reply.ok());
        });
    }

    fn statfs(&self, _: &Request, ino: INodeNo, reply: ReplyStatfs) {
        answer!(reply, {
            Ok(rustix::fs::fstatvfs(&self.nodes.get(ino)?.handle)?)
        }, s => reply.statfs(s.f_blocks, s.f_bfree, s.f_bavail, s.f_files, s.f_ffree, s.f_bsize as u32,
            s.f_namemax as u32, s.f_frsize as u32));
    }

    fn setxattr(&self, _: &Request, ino: INodeNo, name: &OsStr, value: &[u8], flags: i32, _: u32, reply: ReplyEmpty) {
        if let Some(tag) = Self::switch(ino, name) {
            return match serde_json::from_slice(value) {
                Ok(disturb) => {
                    self.gate.set(&tag, disturb);
                    reply.ok();
                }
                Err(_) => reply.error(Errno::EINVAL),
            };
        }
        answer!(reply, {
            self.first(Operation::Metadata)?;
            let flags = XattrFlags::from_bits_retain(flags.cast_unsigned());
            Ok(rustix::fs::setxattr(self.nodes.get(ino)?.path(), name, value, flags)?)
        }, () => reply.ok());
    }

    fn getxattr(&self, _: &Request, ino: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        if let Some(tag) = Self::switch(ino, name) {
            return match self.gate.get(&tag) {
                Some(disturb) => data(reply, size, &serde_json::to_vec(&disturb).unwrap_or_default()),
                None => reply.error(Errno::ENODATA),
            };
        }
        answer!(reply, {
            let mut value = vec![0; LARGEST];
            let length = rustix::fs::getxattr(self.nodes.get(ino)?.path(), name, &mut value[..])?;
            value.truncate(length);
            Ok(value)
        }, value => data(reply, size, &value));
    }

    fn listxattr(&self, _: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        answer!(reply, {
            let mut names = vec![0; LARGEST];
            let length = rustix::fs::listxattr(self.nodes.get(ino)?.path(), &mut names[..])?;
            names.truncate(length);
            let own = if ino.0 == ROOT { self.gate.tags() } else { Vec::new() };
            own.iter().for_each(|tag| names.extend(format!("{ATTRIBUTE}{tag}\0").bytes()));
            Ok(names)
        }, names => data(reply, size, &names));
    }

    fn removexattr(&self, _: &Request, ino: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        if let Some(tag) = Self::switch(ino, name) {
            return match self.gate.remove(&tag) {
                Some(_) => reply.ok(),
                None => reply.error(Errno::ENODATA),
            };
        }
        answer!(reply, {
            Ok(rustix::fs::removexattr(self.nodes.get(ino)?.path(), name)?)
        }, () => reply.ok());
    }

    fn access(&self, _: &Request, _: INodeNo, _: AccessFlags, reply: ReplyEmpty) {
        // The kernel judges by the attributes (default_permissions).
        reply.ok();
    }

    fn fallocate(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        length: u64,
        bits: i32,
        reply: ReplyEmpty,
    ) {
        answer!(reply, {
            self.first(Operation::Write)?;
            let flags = FallocateFlags::from_bits_retain(bits.cast_unsigned());
            Ok(rustix::fs::fallocate(&*self.file(handle)?, flags, offset, length)?)
        }, () => reply.ok());
    }
}
