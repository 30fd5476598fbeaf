//! The networks of this machine. A namespace is entered by a thread of its own, which ends with the look: no thread that
//! others use is ever anywhere else, and what a child process is started in is the namespace that was checked.

use super::{NAMED, NamespaceIdentity, Network, NetworkPlace};
use crate::adapters::{AdapterError, Command, CommandOutput, Fut, command};
use crate::clock::Clock;
use nix::sched::{CloneFlags, setns, unshare};
use std::fs::File;
use std::io::{Error, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::runtime::Handle;

const OWN: &str = "/proc/thread-self/ns/net";
/// The kernel's magic number of the file system that namespaces live in.
const NSFS: nix::sys::statfs::FsType = nix::sys::statfs::FsType(0x6e73_6673);

/// The networks of this machine.
pub(in crate::adapters) struct SystemNetwork;

fn boot() -> Result<String, AdapterError> {
    let file = "/proc/sys/kernel/random/boot_id";
    let text = std::fs::read_to_string(file).map_err(|e| AdapterError::Other(format!("cannot read {file}: {e}")))?;
    Ok(text.trim().to_owned())
}

/// The open file of a namespace, and its inode. A file that is no namespace (what `ip netns` leaves behind when its
/// mount is gone) is none.
fn open(path: &Path) -> Result<Option<(File, u64)>, AdapterError> {
    let cannot = |e: Error| {
        let text = format!("cannot look at {}: {e}", path.display());
        if e.kind() == ErrorKind::PermissionDenied { AdapterError::Refused(text) } else { AdapterError::Other(text) }
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        // The process whose it was has ended meanwhile.
        Err(e) if e.raw_os_error() == Some(nix::libc::ESRCH) => return Ok(None),
        Err(e) => return Err(cannot(e)),
    };
    let kind = nix::sys::statfs::fstatfs(&file).map_err(|e| cannot(e.into()))?;
    let inode = file.metadata().map_err(cannot)?.ino();
    Ok((kind.filesystem_type() == NSFS).then_some((file, inode)))
}

fn identity(path: Option<&Path>) -> Result<Option<NamespaceIdentity>, AdapterError> {
    let Some((_, inode)) = open(path.unwrap_or(Path::new(OWN)))? else { return Ok(None) };
    Ok(Some(NamespaceIdentity { path: path.map(Path::to_path_buf), inode, boot: boot()? }))
}

/// The files in a folder; none if there is no such folder.
fn files(dir: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn named() -> impl Iterator<Item = PathBuf> {
    NAMED.into_iter().flat_map(files)
}

/// The namespaces of all processes.
fn of_processes() -> impl Iterator<Item = PathBuf> {
    let is_pid = |path: &PathBuf| path.file_name().is_some_and(|n| n.as_encoded_bytes().iter().all(u8::is_ascii_digit));
    files("/proc").into_iter().filter(is_pid).map(|dir| dir.join("ns/net"))
}

/// A namespace's path and open file; neither if this process is in it.
type Place = (Option<PathBuf>, Option<File>);

/// The file of exactly this namespace.
fn find(who: &NamespaceIdentity) -> Result<Option<Place>, AdapterError> {
    if who.boot != boot()? {
        return Ok(None);
    }
    if open(Path::new(OWN))?.is_some_and(|(_, inode)| inode == who.inode) {
        return Ok(Some((None, None)));
    }
    let places = who.path.clone().into_iter().chain(named()).chain(of_processes());
    for path in places {
        // Others' processes cannot be looked at without privileges, and come and go: what cannot be opened is not it.
        if let Ok(Some((file, inode))) = open(&path)
            && inode == who.inode
        {
            return Ok(Some((Some(path), Some(file))));
        }
    }
    Ok(None)
}

fn heirs(who: &NamespaceIdentity) -> Result<Vec<NamespaceIdentity>, AdapterError> {
    let mut found = Vec::new();
    if let Some((path, _)) = find(who)? {
        found.push(NamespaceIdentity { path, ..who.clone() });
    }
    let place = identity(who.path.as_deref())?;
    found.extend(place.filter(|heir| found.iter().all(|f| f.inode != heir.inode)));
    Ok(found)
}

fn all() -> Result<Vec<NamespaceIdentity>, AdapterError> {
    let mut found: Vec<NamespaceIdentity> = identity(None)?.into_iter().collect();
    for path in named() {
        if let Ok(Some(one)) = identity(Some(&path))
            && found.iter().all(|f| f.inode != one.inode)
        {
            found.push(one);
        }
    }
    Ok(found)
}

/// Where a thread goes before it works.
enum Into {
    /// To exactly this namespace.
    Known(NamespaceIdentity),
    /// To a new one.
    New,
}

impl Into {
    fn enter(&self) -> Result<(), AdapterError> {
        let cannot = |what: &str, e: nix::errno::Errno| {
            let text = format!("cannot {what}: {e}; it needs CAP_SYS_ADMIN");
            if e == nix::errno::Errno::EPERM { AdapterError::Refused(text) } else { AdapterError::Other(text) }
        };
        match self {
            Self::New => {
                unshare(CloneFlags::CLONE_NEWNET).map_err(|e| cannot("make a network namespace to try things out", e))
            }
            Self::Known(who) => match find(who)? {
                None => Err(AdapterError::Missing(format!("the {} is gone", who.shown()))),
                Some((_, None)) => Ok(()),
                Some((_, Some(file))) => {
                    setns(&file, CloneFlags::CLONE_NEWNET).map_err(|e| cannot(&format!("enter the {}", who.shown()), e))
                }
            },
        }
    }
}

/// Takes this thread, and all that it starts later, to exactly this namespace.
///
/// # Errors
/// `Missing` if it is gone, `Refused` without CAP_SYS_ADMIN.
pub fn enter(who: &NamespaceIdentity) -> Result<(), AdapterError> {
    Into::Known(who.clone()).enter()
}

/// Does something in a namespace, on a thread that ends with it.
async fn inside<T: Send + 'static>(
    place: Into,
    work: impl FnOnce() -> Result<T, AdapterError> + Send + 'static,
) -> Result<T, AdapterError> {
    let (tell, told) = tokio::sync::oneshot::channel();
    let name = || std::thread::Builder::new().name("network".to_owned());
    let started = name().spawn(move || {
        // Nobody waits for it any more when the receiver is gone.
        let _nobody = tell.send(place.enter().and_then(|()| work()));
    });
    started.map_err(|e| AdapterError::Other(format!("cannot start a thread: {e}")))?;
    told.await.map_err(|_| AdapterError::Other("a look into the network broke off".to_owned()))?
}

async fn run_in(place: Into, what: &Command) -> Result<CommandOutput, AdapterError> {
    let (mut owned, runtime) = (what.clone(), Handle::current());
    if let Some(program) = owned.argv.first_mut()
        && let Some(path) = crate::adapters::host::tool(program)
    {
        *program = path.to_string_lossy().into_owned();
    }
    let (child, group) = inside(place, move || {
        let _entered = runtime.enter();
        let stdin = if owned.stdin.is_some() { Stdio::piped() } else { Stdio::null() };
        command::start(&owned, stdin)
    })
    .await?;
    command::to_its_end(what, child, group).await
}

fn connect(address: SocketAddr, limit: Duration) -> Result<Duration, AdapterError> {
    let clock = Clock::System;
    let began = clock.mono();
    match TcpStream::connect_timeout(&address, limit) {
        Ok(_stream) => Ok(clock.mono().since(began)),
        Err(e) if e.kind() == ErrorKind::TimedOut => {
            Err(AdapterError::TimedOut(format!("{address}: no answer within {limit:?}")))
        }
        Err(e) => Err(AdapterError::Unreachable(format!("{address}: {e}"))),
    }
}

impl Network for SystemNetwork {
    fn namespace(&self, place: &NetworkPlace) -> Result<Option<NamespaceIdentity>, AdapterError> {
        match place {
            NetworkPlace::Own => identity(None),
            NetworkPlace::File(path) => identity(Some(path)),
        }
    }

    fn heirs(&self, who: &NamespaceIdentity) -> Result<Vec<NamespaceIdentity>, AdapterError> {
        heirs(who)
    }

    fn all(&self) -> Result<Vec<NamespaceIdentity>, AdapterError> {
        all()
    }

    fn run<'a>(
        &'a self,
        who: &'a NamespaceIdentity,
        command: &'a Command,
    ) -> Fut<'a, Result<CommandOutput, AdapterError>> {
        Box::pin(run_in(Into::Known(who.clone()), command))
    }

    fn try_out<'a>(&'a self, command: &'a Command) -> Fut<'a, Result<CommandOutput, AdapterError>> {
        Box::pin(run_in(Into::New, command))
    }

    fn connect<'a>(
        &'a self,
        who: &'a NamespaceIdentity,
        address: &'a str,
        limit: Duration,
    ) -> Fut<'a, Result<Duration, AdapterError>> {
        Box::pin(async move {
            let target: SocketAddr =
                address.parse().map_err(|_| AdapterError::Other(format!("`{address}` is not IP:PORT")))?;
            inside(Into::Known(who.clone()), move || connect(target, limit)).await
        })
    }
}
