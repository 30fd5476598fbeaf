//! Looks into folders of file systems that may never answer, like a network's whose server is gone: whoever looks into one
//! cannot be stopped then, often not even by SIGKILL, so a process does that can be given up.

use super::{AdapterError, failed};
use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// A look takes at most so long.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often it is asked whether it is over.
const STEP: Duration = Duration::from_millis(5);

/// What in this folder has such a name (`PREFIX*`). What may not be looked at counts as empty.
pub(super) fn named(folder: &Path, prefix: &str) -> Result<Vec<PathBuf>, AdapterError> {
    let mut find = Command::new("find");
    find.arg(folder).args(["-mindepth", "1", "-maxdepth", "1", "-name", &format!("{prefix}*"), "-print0"]);
    let found = given_up_after(&mut find, PATIENCE)
        .map_err(|e| failed("look by `find` into", folder, &e))?
        .ok_or_else(|| AdapterError::TimedOut(format!("{} does not answer within {PATIENCE:?}", folder.display())))?;
    let path = |name: &[u8]| PathBuf::from(OsStr::from_bytes(name));
    Ok(found.split(|byte| *byte == 0).filter(|name| !name.is_empty()).map(path).collect())
}

/// What a command says on standard output; none if it did not end in time. It is killed then, and not waited for.
fn given_up_after(command: &mut Command, limit: Duration) -> std::io::Result<Option<Vec<u8>>> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let steps = limit.as_millis() / STEP.as_millis();
    for _ in 0..steps {
        if child.try_wait()?.is_some() {
            let mut said = Vec::new();
            if let Some(mut out) = child.stdout.take() {
                out.read_to_end(&mut said)?;
            }
            return Ok(Some(said));
        }
        std::thread::park_timeout(STEP);
    }
    drop(child.kill());
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_as_by_looking_oneself() {
        let folder = tempfile::tempdir().unwrap();
        for name in [".blackstart-a", ".blackstart-b\nc", "other"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        std::fs::create_dir(folder.path().join("below")).unwrap();
        std::fs::write(folder.path().join("below/.blackstart-d"), "").unwrap();
        let mut found = named(folder.path(), ".blackstart-").unwrap();
        found.sort();
        assert_eq!(found, super::super::files::named(&[folder.path().to_path_buf()], ".blackstart-"));
        assert_eq!(found.len(), 2);
        assert_eq!(named(&folder.path().join("nowhere"), ".blackstart-"), Ok(Vec::new()));
    }

    #[test]
    fn what_never_ends_is_given_up() {
        let limit = Duration::from_millis(100);
        assert_eq!(given_up_after(Command::new("sleep").arg("600"), limit).unwrap(), None);
        assert_eq!(given_up_after(Command::new("echo").arg("there"), PATIENCE).unwrap(), Some(b"there\n".to_vec()));
        assert!(given_up_after(&mut Command::new("/no/such/program"), limit).is_err());
    }
}
