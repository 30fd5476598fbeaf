//! Asks helpers and proxies of ours over their control sockets: one JSON object a line, one answer a line.

use super::AdapterError;
use crate::model::Owner;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

/// A helper answers at once, or not at all.
const LIMIT: Duration = Duration::from_secs(5);
/// The longest answer.
const LINE: u64 = 1 << 20;

/// Asks and waits for the answer.
///
/// # Errors
/// `Missing` when nobody is there, `Refused` when it is not ours, `TimedOut` when it does not answer.
pub(super) async fn ask<A: Serialize + Sync, S: DeserializeOwned>(control: &Path, ask: &A) -> Result<S, AdapterError> {
    let shown = control.display();
    let line = tokio::time::timeout(LIMIT, exchange(control, ask)).await;
    let line = line.map_err(|_| AdapterError::TimedOut(format!("the control socket {shown} does not answer")))?;
    let line = line.map_err(|e| match e.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::UnexpectedEof => {
            AdapterError::Missing(format!("nobody answers on the control socket {shown}"))
        }
        io::ErrorKind::PermissionDenied => {
            AdapterError::Refused(format!("the control socket {shown} is not ours: {e}"))
        }
        _ => AdapterError::Other(format!("the control socket {shown}: {e}")),
    })?;
    serde_json::from_str(&line).map_err(|e| AdapterError::Other(format!("the control socket {shown}: {e}")))
}

async fn exchange<A: Serialize>(control: &Path, ask: &A) -> io::Result<String> {
    let mut stream = UnixStream::connect(control).await?;
    let mut question = serde_json::to_vec(ask)?;
    question.push(b'\n');
    stream.write_all(&question).await?;
    let mut line = String::new();
    if BufReader::new(stream.take(LINE)).read_line(&mut line).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line)
}

/// The file of a control socket, known from the owner and the name alone. A socket's file name may have 107 bytes, so it is
/// not in the state directory but in a folder of our own for things that need not outlive a reboot.
pub(super) fn path(owner: &Owner, name: &str) -> Result<PathBuf, AdapterError> {
    let user = nix::unistd::geteuid();
    let folder = match std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from) {
        Some(dir) if dir.is_absolute() && dir.is_dir() => dir.join("blackstart"),
        _ if user.is_root() => PathBuf::from("/run/blackstart"),
        _ => std::env::temp_dir().join(format!("blackstart-{user}")),
    };
    let cannot = |e: io::Error| AdapterError::Other(format!("cannot have the folder {}: {e}", folder.display()));
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(cannot)?;
    let meta = std::fs::symlink_metadata(&folder).map_err(cannot)?;
    if !meta.is_dir() || meta.uid() != user.as_raw() || meta.mode() & 0o022 != 0 {
        return Err(AdapterError::Refused(format!("{} is not ours alone", folder.display())));
    }
    let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).take(32).collect();
    Ok(folder.join(format!("{}-{name}.sock", owner.tag())))
}

/// The control sockets of all processes of ours of this kind, by their command lines: `blackstart KIND … --control FILE`
/// and `blackstart helper --owner TAG KIND {"control": FILE …}`.
pub(super) fn sockets(kind: &str) -> Vec<PathBuf> {
    let pids = super::process::all_pids().unwrap_or_default();
    let found = pids.into_iter().filter_map(|pid| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let file = socket(kind, &line)?;
        // A relative one is relative to where it was started.
        let folder = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
        Some(folder.join(file))
    });
    found.collect()
}

fn socket(kind: &str, line: &[u8]) -> Option<PathBuf> {
    let words: Vec<&str> = line.split(|b| *b == 0).map(|w| std::str::from_utf8(w).unwrap_or_default()).collect();
    if words.first()?.rsplit('/').next() != Some("blackstart") {
        return None;
    }
    if *words.get(1)? == kind {
        let at = words.iter().position(|w| *w == "--control" || w.starts_with("--control="))?;
        let file = words[at].strip_prefix("--control=").or_else(|| words.get(at + 1).copied())?;
        // Only one that serves, not one that asks.
        return words.iter().any(|w| w.starts_with("--listen")).then(|| PathBuf::from(file));
    }
    if *words.get(1)? != "helper" || *words.get(4)? != kind {
        return None;
    }
    let parameters: Parameters = serde_json::from_str(words.get(5)?).ok()?;
    Some(parameters.control)
}

/// What parameters of all kinds have.
#[derive(serde::Deserialize)]
struct Parameters {
    control: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_known_by_command_lines() {
        let line = |words: &[&str]| words.join("\0").into_bytes();
        let helper = ["blackstart", "helper", "--owner", "bs-0123456789ab", "proxy", r#"{"control":"/x.sock"}"#];
        assert_eq!(socket("proxy", &line(&helper)), Some("/x.sock".into()));
        assert_eq!(socket("resolver", &line(&helper)), None);
        let own = ["/usr/bin/blackstart", "proxy", "--listen", "127.0.0.1:1", "--control", "a/b"];
        assert_eq!(socket("proxy", &line(&own)), Some("a/b".into()));
        assert_eq!(socket("proxy", &line(&["blackstart", "proxy", "--control=a", "--state"])), None);
        assert_eq!(socket("proxy", &line(&["vi", "proxy"])), None);
        assert_eq!(socket("proxy", b""), None);
    }
}
