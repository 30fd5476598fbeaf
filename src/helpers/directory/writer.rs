//! One writer's records: into a file that only it appends to, into one that all share, or each into one of its own. After
//! any error a file is never appended to, and never synced, again: what a failed fsync(2) left of it nobody knows.

use super::group::Group;
use crate::adapters::directory::records::{probe_name, record_name, segment_name};
use crate::adapters::directory::wire::{Keep, Place, Spot, Step, Trouble, Whose};
use crate::model::{FileLayout, Fsync, Key};
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A new file is begun after so many bytes.
pub(super) const SEGMENT: u64 = 64 << 20;

/// The folder of a run's records.
pub(super) fn folder(place: &Place) -> PathBuf {
    place.path.join(&place.name).join(&place.run)
}

/// A writer, and where it is.
#[derive(Default)]
pub(super) struct Writer {
    /// Files that it has begun.
    begun: u32,
    segment: Option<Segment>,
}

/// A file that records are appended to.
pub(super) struct Segment {
    pub name: String,
    /// None between records, if files are not kept open.
    pub file: Option<File>,
    /// How long it is.
    pub length: u64,
    pub whose: Whose,
}

fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(nix::errno::Errno::EIO as i32)
}

/// An error of a step, nothing of the record having been taken.
pub(super) fn trouble(step: Step, whose: Whose) -> impl Fn(io::Error) -> Trouble {
    move |error| Trouble { step, errno: errno(&error), taken: 0, whose }
}

impl Writer {
    /// Writes one record, and returns when it is as safe as was asked for.
    pub fn write(&mut self, place: &Place, group: &Group, key: Key, attempt: u32, line: &str) -> Result<Spot, Trouble> {
        match (place.layout, place.fsync) {
            (FileLayout::Files, fsync) => whole_file(place, key, attempt, line, fsync),
            (FileLayout::Segments, Fsync::Group) => group.write(place, line),
            (FileLayout::Segments, fsync) => self.append(place, key.writer, line, fsync),
        }
    }

    fn append(&mut self, place: &Place, writer: u16, line: &str, fsync: Fsync) -> Result<Spot, Trouble> {
        // Taken out: after an error it does not come back.
        let mut segment = match self.segment.take().and_then(|segment| segment.again(place)) {
            Some(segment) => segment,
            None => {
                self.begun += 1;
                Segment::begin(place, segment_name(Some(writer), place.process, self.begun), fsync)?
            }
        };
        let at = segment.append(line)?;
        if let (Fsync::Each, Some(file)) = (fsync, &segment.file) {
            file.sync_data().map_err(trouble(Step::Sync, segment.whose))?;
        }
        let spot = Spot { file: segment.name.clone(), at };
        if place.keep == Keep::Closed {
            segment.file = None;
        }
        self.segment = Some(segment);
        Ok(spot)
    }
}

impl Segment {
    /// Makes it, and its name durable, before anything is written to it.
    pub fn begin(place: &Place, name: String, fsync: Fsync) -> Result<Self, Trouble> {
        let failed = trouble(Step::Open, Whose::Other);
        let file = create(place, &name).map_err(&failed)?;
        if fsync != Fsync::None {
            sync_folder(&folder(place)).map_err(&failed)?;
        }
        let whose = whose(&file);
        Ok(Self { name, file: Some(file), length: 0, whose })
    }

    /// The same for the next record: one that is not kept open is looked up by its path again. If what is there is not
    /// what was left there (another volume was put in its place), nothing is appended to it.
    fn again(mut self, place: &Place) -> Option<Self> {
        if self.length >= SEGMENT {
            return None;
        }
        if self.file.is_none() {
            let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = File::from(rustix::fs::open(folder(place).join(&self.name), flags, Mode::empty()).ok()?);
            self.file = Some(file).filter(|file| file.metadata().is_ok_and(|meta| meta.len() == self.length));
        }
        self.file.is_some().then_some(self)
    }

    /// Writes a line at its end; where it begins.
    pub fn append(&mut self, line: &str) -> Result<u64, Trouble> {
        let at = self.length;
        let Some(file) = &self.file else {
            return Err(Trouble {
                step: Step::Open,
                errno: nix::errno::Errno::EBADF as i32,
                taken: 0,
                whose: self.whose,
            });
        };
        write_all(file, line.as_bytes(), self.whose)?;
        self.length += line.len() as u64;
        Ok(at)
    }
}

pub(super) fn write_all(mut file: &File, line: &[u8], whose: Whose) -> Result<(), Trouble> {
    let mut taken = 0;
    while taken < line.len() {
        match file.write(&line[taken..]) {
            Ok(0) => return Err(Trouble { step: Step::Write, errno: nix::errno::Errno::ENOSPC as i32, taken, whose }),
            Ok(more) => taken += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(Trouble { step: Step::Write, errno: errno(&error), taken, whose }),
        }
    }
    Ok(())
}

/// Makes a file that is not there yet, in the run's folder, which is made if it is not there. The folder of ledgers is not:
/// where that is missing there is no ledger, but perhaps an empty mount point.
fn create(place: &Place, name: &str) -> io::Result<File> {
    let folder = folder(place);
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = || rustix::fs::open(folder.join(name), flags, Mode::from_raw_mode(0o644)).map(File::from);
    match open() {
        Err(rustix::io::Errno::NOENT) => {
            super::tidy::make_run(place)?;
            Ok(open()?)
        }
        opened => Ok(opened?),
    }
}

/// A record in a file of its own: written under another name, synced, named, and its folder synced.
fn whole_file(place: &Place, key: Key, attempt: u32, line: &str, fsync: Fsync) -> Result<Spot, Trouble> {
    let name = record_name(key, attempt);
    let (folder, unfinished) = (folder(place), format!(".{name}.{}", place.process));
    let file = create(place, &unfinished).map_err(trouble(Step::Open, Whose::Other))?;
    let whose = whose(&file);
    write_all(&file, line.as_bytes(), whose)?;
    if fsync != Fsync::None {
        file.sync_all().map_err(trouble(Step::Sync, whose))?;
    }
    drop(file);
    std::fs::rename(folder.join(&unfinished), folder.join(&name)).map_err(trouble(Step::Rename, whose))?;
    if fsync != Fsync::None {
        sync_folder(&folder).map_err(trouble(Step::SyncFolder, whose))?;
    }
    Ok(Spot { file: name, at: 0 })
}

/// A name in a folder is as durable as its last sync.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Kinds of file systems (statfs(2), linux/magic.h) whose write(2) says what became of this very write.
const LOCAL: [u64; 9] = [
    0xEF53,      // ext2, ext3, ext4
    0x5846_5342, // XFS
    0x9123_683E, // btrfs
    0x0102_1994, // tmpfs
    0xF2F5_2010, // F2FS
    0x2FC1_2FC1, // ZFS
    0x3153_464A, // JFS
    0x5265_4973, // ReiserFS
    0xCA45_1A4E, // bcachefs
];

pub(super) fn whose(file: &File) -> Whose {
    let kind = rustix::fs::fstatfs(file).map_or(0, |seen| seen.f_type as u64);
    if LOCAL.contains(&kind) { Whose::Local } else { Whose::Other }
}

/// A visit: a small file is written, synced, closed, and read again.
pub(super) fn visit(place: &Place, slot: u32, number: u64) -> Result<(), Trouble> {
    let path = folder(place).join(probe_name(slot));
    let text = format!("visit {number:020}\n");
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = || rustix::fs::open(&path, flags, Mode::from_raw_mode(0o644)).map(File::from);
    let failed = trouble(Step::Open, Whose::Other);
    let file = match open() {
        Err(rustix::io::Errno::NOENT) => {
            super::tidy::make_run(place).map_err(&failed)?;
            open().map_err(|e| failed(e.into()))?
        }
        opened => opened.map_err(|e| failed(e.into()))?,
    };
    file.write_all_at(text.as_bytes(), 0).map_err(trouble(Step::Write, Whose::Other))?;
    file.sync_data().map_err(trouble(Step::Sync, Whose::Other))?;
    drop(file);
    let unread = trouble(Step::Read, Whose::Other);
    let mut read = String::new();
    let again = File::open(&path).and_then(|file| file.take(64).read_to_string(&mut read)).map_err(&unread);
    again?;
    if read == text { Ok(()) } else { Err(unread(io::Error::from_raw_os_error(nix::errno::Errno::EILSEQ as i32))) }
}
