//! Looks at a directory and the file system it is on.

use crate::adapters::AdapterError;
use crate::adapters::disk::{Mount, mount_of, parse_mounts};
use crate::adapters::systems::{DirectoryAsk, Seen};
use rustix::fs::StatVfsMountFlags;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::Path;

fn said(doing: &str, path: &Path, error: &io::Error) -> AdapterError {
    let text = format!("cannot {doing} {}: {error}", path.display());
    match error.kind() {
        ErrorKind::NotFound => AdapterError::Missing(text),
        ErrorKind::PermissionDenied => AdapterError::Refused(text),
        _ => AdapterError::Other(text),
    }
}

pub(super) fn look(path: &Path, ask: &DirectoryAsk) -> Result<Seen, AdapterError> {
    let seen = rustix::fs::statvfs(path).map_err(|e| said("look at the file system of", path, &e.into()))?;
    let absolute = std::fs::canonicalize(path).map_err(|e| said("look at", path, &e))?;
    let table = Path::new("/proc/self/mountinfo");
    let mounts = parse_mounts(&std::fs::read_to_string(table).map_err(|e| said("read", table, &e))?);
    let mount = mount_of(&absolute, &mounts);
    let mount = mount.ok_or_else(|| AdapterError::Other(format!("no mount is found for {}", path.display())))?;
    let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
    let value = match ask {
        DirectoryAsk::Free => seen.f_bavail.saturating_mul(seen.f_frsize).to_string(),
        DirectoryAsk::ReadOnly => yes(seen.f_flag.contains(StatVfsMountFlags::RDONLY)),
        DirectoryAsk::Mounted => yes(mount.point == absolute),
        DirectoryAsk::Kind => mount.kind.clone(),
        DirectoryAsk::Source => source(mount),
        DirectoryAsk::SnapshotAge | DirectoryAsk::Generation => {
            return Err(AdapterError::Other("only btrfs itself can say this".to_owned()));
        }
    };
    let fields = [
        ("path", absolute.display().to_string()),
        ("mount", mount.point.display().to_string()),
        ("kind", mount.kind.clone()),
        ("source", source(mount)),
    ];
    Ok(Seen { value, fields: BTreeMap::from(fields.map(|(name, value)| (name.to_owned(), value))) })
}

/// What is mounted: a device or an export, and for a part of a file system which folder of it.
fn source(mount: &Mount) -> String {
    if mount.root == Path::new("/") {
        mount.source.clone()
    } else {
        format!("{}[{}]", mount.source, mount.root.display())
    }
}
