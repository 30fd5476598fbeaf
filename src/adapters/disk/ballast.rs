//! How full a file system is, and one file that takes the rest of it. Space is taken with fallocate(2); where that only
//! promises (it is not supported, or gives a hole), noise is written, which no compression makes small.

use super::mounts::{mount_of, mounts};
use super::{AdapterError, Goal, Space, failed};
use rustix::fs::{FallocateFlags, Mode, OFlags};
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Attempts to come nearer to the goal; each takes at least half of what is missing.
const ROUNDS: usize = 48;
/// Less than this is not worth another round: metadata moves by as much.
const CLOSE: u64 = 64 * 1024;
const PIECE: usize = 1 << 20;

/// How full the file system is that holds a path.
pub(super) fn space(path: &Path) -> Result<Space, AdapterError> {
    let seen = rustix::fs::statvfs(path).map_err(|e| failed("look at the file system of", path, &e.into()))?;
    let about = std::fs::metadata(path).map_err(|e| failed("look at", path, &e))?;
    let absolute = std::fs::canonicalize(path).map_err(|e| failed("look at", path, &e))?;
    let all = mounts()?;
    let mount = mount_of(&absolute, &all)
        .ok_or_else(|| AdapterError::Other(format!("no mount is found for {}", path.display())))?;
    Ok(Space {
        used: (seen.f_blocks.saturating_sub(seen.f_bfree)) * seen.f_frsize,
        free: seen.f_bavail * seen.f_frsize,
        // btrfs keeps nothing back for root; its `f_bfree` counts raw space, of which metadata takes a part.
        free_root: if mount.kind == "btrfs" { seen.f_bavail } else { seen.f_bfree } * seen.f_frsize,
        fsid: seen.f_fsid,
        device: about.dev(),
        mount: mount.point.clone(),
        kind: mount.kind.clone(),
        source: mount.source.clone(),
    })
}

/// See [`super::Disks::fill`].
pub(super) fn fill(path: &Path, goal: Goal) -> Result<u64, AdapterError> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = rustix::fs::open(path, flags, Mode::from_raw_mode(0o600));
    let mut file = File::from(opened.map_err(|e| failed("create the ballast", path, &e.into()))?);
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut most = u64::MAX;
    for _ in 0..ROUNDS {
        let have = length(&file, path)?;
        let missing = goal.missing(&space(folder)?, have).min(most);
        if missing < CLOSE && (missing == 0 || !matches!(goal, Goal::Bytes(_))) {
            break;
        }
        match take(&mut file, have, missing) {
            Ok(()) => {}
            // Nearly all can be had: half of it next time.
            Err(e) if e.kind() == ErrorKind::StorageFull && missing > CLOSE => most = missing / 2,
            Err(e) if e.kind() == ErrorKind::StorageFull => break,
            Err(e) => return Err(failed("let the ballast grow", path, &e)),
        }
        file.sync_all().or_else(full_is_fine).map_err(|e| failed("write the ballast", path, &e))?;
    }
    length(&file, path)
}

fn full_is_fine(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == ErrorKind::StorageFull { Ok(()) } else { Err(error) }
}

fn length(file: &File, path: &Path) -> Result<u64, AdapterError> {
    file.metadata().map(|m| m.len()).map_err(|e| failed("look at the ballast", path, &e))
}

/// Takes `missing` bytes behind the first `have`.
fn take(file: &mut File, have: u64, missing: u64) -> std::io::Result<()> {
    match rustix::fs::fallocate(&*file, FallocateFlags::empty(), have, missing) {
        Ok(()) if is_taken(file, have + missing)? => Ok(()),
        Ok(()) | Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS | rustix::io::Errno::INVAL) => {
            write_noise(file, have, missing)
        }
        Err(error) => Err(error.into()),
    }
}

/// Do so many bytes of it really take space?
fn is_taken(file: &File, bytes: u64) -> std::io::Result<bool> {
    Ok(file.metadata()?.blocks() * 512 >= bytes - bytes / 50)
}

fn write_noise(file: &mut File, from: u64, bytes: u64) -> std::io::Result<()> {
    use std::io::Seek;
    file.seek(std::io::SeekFrom::Start(from))?;
    let mut state = from | 1;
    let mut left = bytes;
    let mut piece = vec![0_u8; PIECE];
    while left > 0 {
        for eight in piece.chunks_exact_mut(8) {
            // xorshift64*: https://www.jstatsoft.org/article/view/v008i14
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            eight.copy_from_slice(&state.wrapping_mul(0x2545_F491_4F6C_DD1D).to_le_bytes());
        }
        let now = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
        file.write_all(&piece[..now])?;
        left -= now as u64;
    }
    Ok(())
}

/// Removes a file, and returns when its space is free. A file system that copies on write gives it back only with its
/// next transaction, and can be too full to remove a name: cutting the file off comes first then.
pub(super) fn remove(path: &Path) -> Result<(), AdapterError> {
    let removed = match std::fs::remove_file(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        Err(e) if e.kind() == ErrorKind::StorageFull => {
            let cut = std::fs::OpenOptions::new().write(true).truncate(true).open(path);
            cut.and_then(|_| std::fs::remove_file(path))
        }
        other => other,
    };
    removed.map_err(|e| failed("remove", path, &e))?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let open = File::open(folder).map_err(|e| failed("open", folder, &e))?;
    nix::unistd::syncfs(&open).map_err(|e| failed("sync the file system of", folder, &e.into()))
}
