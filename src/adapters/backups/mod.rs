//! Backup tools of this machine, or of one that a prefix of words leads to: what they say they have, in their own JSON, and
//! what a restored folder is. Nothing here decides by an error's text, or takes an exit status for a proof.

mod control;
mod dump;
mod history;
mod mysql_dump;
mod pgbackrest;
mod wal;

pub use control::Control;
pub use dump::{Dump, Dumps, Listed};
pub use history::{Backup, exposure, exposure_of_dumps};
pub use mysql_dump::{LogPlace, LogUntil, SqlDumps, Stretch, before, covering, stretch};
pub use pgbackrest::{Order, Repository, Stanza, Until};
pub use wal::{Segment, SegmentName, segment_size};

use super::{AdapterError, Command, CommandOutput, Commands};
use std::collections::BTreeMap;
use std::time::Duration;

/// How a program is reached: words that stand before it (`setpriv …`, `sudo -u postgres`, `ssh host`), and its environment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Via {
    /// The words.
    pub words: Vec<String>,
}

impl Via {
    /// A program with its arguments, as it is run from here.
    #[must_use]
    pub fn command(&self, argv: &[&str], limit: Duration) -> Command {
        // ssh hands a text to a shell over there, and no words.
        let shell = self.words.first().is_some_and(|program| program.rsplit('/').next() == Some("ssh"));
        let word = |word: &&str| if shell { quoted(word) } else { (*word).to_owned() };
        let argv = self.words.iter().cloned().chain(argv.iter().map(word)).collect();
        // What programs print for people is the same everywhere.
        let env = BTreeMap::from([("LC_ALL", "C"), ("TZ", "UTC")].map(|(k, v)| (k.to_owned(), v.to_owned())));
        Command { argv, env, stdin: None, cwd: Some("/".into()), timeout: limit }
    }

    /// What a program that must succeed prints.
    ///
    /// # Errors
    /// `Refused` with its words if it ends in another way than exit status 0.
    pub async fn output(
        &self,
        commands: &dyn Commands,
        argv: &[&str],
        limit: Duration,
    ) -> Result<String, AdapterError> {
        let output = commands.run(&self.command(argv, limit)).await?;
        if output.status == Some(0) { Ok(output.stdout) } else { Err(refused(argv, &output)) }
    }

    /// Is there nothing at this path, or an empty folder?
    ///
    /// # Errors
    /// When nobody can say.
    pub async fn is_empty(&self, commands: &dyn Commands, path: &str, limit: Duration) -> Result<bool, AdapterError> {
        // Its parent is looked at first: a path that cannot be looked at is not one with nothing in it.
        let script = "cd \"$(dirname -- \"$1\")\" && { [ ! -e \"$1\" ] && [ ! -L \"$1\" ] || \
                      { cd -- \"$1\" && ls -A; }; }";
        Ok(self.output(commands, &["sh", "-c", script, "sh", path], limit).await?.trim().is_empty())
    }

    /// The bytes of all that is below a path.
    ///
    /// # Errors
    /// When nobody can say.
    pub async fn size(&self, commands: &dyn Commands, path: &str, limit: Duration) -> Result<u64, AdapterError> {
        let said = self.output(commands, &["du", "-s", "--bytes", "--", path], limit).await?;
        let first = said.split_whitespace().next().and_then(|word| word.parse().ok());
        first.ok_or_else(|| AdapterError::Other(format!("`du` of {path} said no number")))
    }
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A program's own words, after what was run and how it ended.
fn refused(argv: &[&str], output: &CommandOutput) -> AdapterError {
    let program = argv.first().copied().unwrap_or_default();
    let how = output.status.map_or_else(|| "a signal ended it".to_owned(), |status| format!("exit status {status}"));
    let said = if output.stderr.trim().is_empty() { &output.stdout } else { &output.stderr };
    let said: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = said[said.len().saturating_sub(3)..].join("; ");
    AdapterError::Refused(format!("{program}: {how}: {}", last.chars().take(400).collect::<String>()))
}

#[cfg(test)]
mod tests {
    use super::super::World;
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const LIMIT: Duration = Duration::from_secs(20);

    /// Programs run here, through `env`, and through an `ssh` that does what the real one does with words.
    fn ways(folder: &std::path::Path) -> [Via; 3] {
        let ssh = folder.join("ssh");
        std::fs::write(&ssh, "#!/bin/sh\nshift\nexec sh -c \"$*\"\n").expect("a script");
        std::fs::set_permissions(&ssh, PermissionsExt::from_mode(0o755)).expect("executable");
        let via = |words: &[&str]| Via { words: words.iter().map(|word| (*word).to_owned()).collect() };
        [via(&[]), via(&["env", "A=b"]), via(&[&ssh.to_string_lossy(), "host"])]
    }

    #[tokio::test]
    async fn words_stay_words_however_a_program_is_reached() {
        let folder = tempfile::tempdir().unwrap();
        let commands = World::system().commands;
        let odd = "a b'c $(echo d) \"e";
        for via in ways(folder.path()) {
            let said = via.output(&*commands, &["printf", "%s|%s", odd, "$HOME"], LIMIT).await.unwrap();
            assert_eq!(said, format!("{odd}|$HOME"), "{via:?}");
            let why =
                via.output(&*commands, &["sh", "-c", "echo one; echo no disk >&2; exit 3"], LIMIT).await.unwrap_err();
            assert!(matches!(&why, AdapterError::Refused(why) if why == "sh: exit status 3: no disk"), "{why}");
        }
    }

    #[tokio::test]
    async fn an_empty_place_is_told_from_one_that_is_taken_or_cannot_be_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let commands = World::system().commands;
        let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        std::fs::create_dir(path("empty")).unwrap();
        std::fs::create_dir_all(path("taken/.hidden")).unwrap();
        std::fs::write(path("file"), "x").unwrap();
        std::os::unix::fs::symlink("/nowhere/at/all", path("dangling")).unwrap();
        for via in ways(folder.path()) {
            let empty = |name: &str| {
                let (via, path, commands) = (via.clone(), path(name), commands.clone());
                async move { via.is_empty(&*commands, &path, LIMIT).await }
            };
            assert_eq!(empty("not there").await, Ok(true), "{via:?}");
            assert_eq!(empty("empty").await, Ok(true), "{via:?}");
            assert_eq!(empty("taken").await, Ok(false), "{via:?}");
            for unclear in ["file", "dangling", "no folder/x"] {
                assert!(empty(unclear).await.is_err(), "{unclear} {via:?}");
            }
            assert_eq!(via.size(&*commands, &path("file"), LIMIT).await, Ok(1));
        }
    }
}
