//! The last look before a run is sealed: no file of its folder may hold a secret. Files are read in pieces that overlap, so
//! that large ones cost little memory and nothing slips through between two pieces.

use crate::redact::Forms;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Stands in a folder that was not sealed, and says why.
pub const UNSEALED: &str = "UNSEALED";
/// So much of a file is read at once, besides what overlaps.
const PIECE: usize = 1 << 20;
/// More leaks are not listed.
const MOST: usize = 100;

/// A secret in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leak {
    /// Relative to the run's folder, `/` between parts.
    pub file: String,
    /// Of its first byte.
    pub offset: u64,
    /// What it is, never its value: ``the secret `db` ``, `a GitHub token`.
    pub what: String,
}

/// Why a folder could not be searched.
#[derive(Debug, Error)]
#[error("cannot search {path} for secrets: {why}")]
pub struct ScanError {
    path: PathBuf,
    why: io::Error,
}

/// Searches every file of a folder, also the binary ones, by path. Links are not followed. At most 100 leaks are named.
///
/// # Errors
/// When something in it cannot be read: then nobody knows what it holds.
pub fn scan(dir: &Path, secrets: &Forms) -> Result<Vec<Leak>, ScanError> {
    let mut leaks = Vec::new();
    for (path, name) in files(dir)? {
        if name == UNSEALED || leaks.len() >= MOST {
            continue;
        }
        let searched = File::open(&path).and_then(|file| search(file, secrets, PIECE));
        let found = searched.map_err(|why| ScanError { path, why })?;
        leaks.extend(found.into_iter().map(|(offset, what)| Leak { file: name.clone(), offset, what }));
    }
    leaks.truncate(MOST);
    Ok(leaks)
}

/// Leaves the note that the folder is not sealed, and why; on disk when this returns.
///
/// # Errors
/// When it cannot be written.
pub fn mark(dir: &Path, leaks: &[Leak]) -> io::Result<()> {
    let mut text = String::from(
        "This run is not sealed: secrets stand in its files. Its figures are what they are; the folder must not be \
         handed on.\n\n",
    );
    leaks.iter().for_each(|leak| text.push_str(&format!("{leak}\n")));
    text.push('\n');
    text.push_str(MEND);
    text.push('\n');
    let path = dir.join(UNSEALED);
    fs::write(&path, text)?;
    File::open(&path)?.sync_all()
}

/// What to do about a leak.
pub const MEND: &str = "change the secret wherever it is in use, then let the playbook name it (`secrets:`) and keep the \
     program that shows it from writing it into the run's folder; remove this folder and run the drill again";

impl std::fmt::Display for Leak {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} holds {} (at byte {})", self.file, self.what, self.offset)
    }
}

/// Regular files below a folder, sorted by their path in it.
fn files(dir: &Path) -> Result<Vec<(PathBuf, String)>, ScanError> {
    let (mut found, mut todo) = (Vec::new(), vec![(dir.to_owned(), String::new())]);
    while let Some((folder, prefix)) = todo.pop() {
        let failed = |why| ScanError { path: folder.clone(), why };
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            let kind = entry.file_type().map_err(failed)?;
            if kind.is_dir() {
                todo.push((entry.path(), format!("{name}/")));
            } else if kind.is_file() {
                found.push((entry.path(), name));
            }
        }
    }
    found.sort_by(|a, b| a.1.cmp(&b.1));
    Ok(found)
}

/// Where what stands in it.
fn search(mut from: impl Read, secrets: &Forms, piece: usize) -> io::Result<Vec<(u64, String)>> {
    let reach = secrets.reach();
    let mut window: Vec<u8> = Vec::with_capacity(piece + reach);
    let (mut before, mut seen, mut found) = (0_u64, 0_u64, Vec::new());
    loop {
        let read = from.by_ref().take(piece as u64).read_to_end(&mut window)?;
        for hit in secrets.find(&window) {
            let (at, end) = (before + hit.at as u64, before + hit.end as u64);
            // What stands in the overlap was seen a piece ago.
            if end > seen && found.len() < MOST {
                found.push((at, hit.what));
                seen = end;
            }
        }
        if read == 0 {
            return Ok(found);
        }
        let gone = window.len().saturating_sub(reach);
        window.drain(..gone);
        before += gone as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "kT9-vbQ2xZ-7Lm";

    fn known() -> Forms {
        let secrets = Forms::default();
        secrets.register("db", SECRET);
        secrets
    }

    #[test]
    fn nothing_slips_through_between_two_pieces() {
        let secrets = known();
        for at in 0..200 {
            let mut bytes = vec![b'.'; 300];
            bytes[at..at + SECRET.len()].copy_from_slice(SECRET.as_bytes());
            let found = search(bytes.as_slice(), &secrets, 7).unwrap();
            assert_eq!(found, [(at as u64, "the secret `db`".to_owned())]);
        }
        let long =
            [vec![0_u8; 200_000], SECRET.as_bytes().to_vec(), vec![0; 90_000], SECRET.as_bytes().to_vec()].concat();
        let found = search(long.as_slice(), &secrets, 1000).unwrap();
        assert_eq!(found.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [200_000, 290_014]);
    }

    #[test]
    fn files_below_are_searched_and_the_note_says_no_secret() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("ops")).unwrap();
        fs::write(dir.path().join("ops/a.ops"), format!("\0\u{1}{SECRET}\0")).unwrap();
        fs::write(dir.path().join("journal.jsonl"), "{\"url\":\"postgresql://app:hunter2@h\"}").unwrap();
        fs::write(dir.path().join("clean"), "${secrets.db}").unwrap();
        let leaks = scan(dir.path(), &known()).unwrap();
        let said: Vec<String> = leaks.iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            ["journal.jsonl holds a password in a URL (at byte 21)", "ops/a.ops holds the secret `db` (at byte 2)"]
        );
        mark(dir.path(), &leaks).unwrap();
        let note = fs::read_to_string(dir.path().join(UNSEALED)).unwrap();
        assert!(note.contains(&said[1]) && !note.contains(SECRET) && !note.contains("hunter2"), "{note}");
        assert_eq!(scan(dir.path(), &known()).unwrap(), leaks, "the note itself is not searched");
        assert!(scan(Path::new("/nowhere/at/all"), &known()).is_err());
    }
}
