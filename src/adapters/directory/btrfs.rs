//! What `btrfs subvolume show` says (btrfs-progs; it needs root). Only its labels are read, which are the same since 4.

use crate::adapters::systems::{DirectoryAsk, Seen};
use crate::adapters::{AdapterError, Command, CommandOutput, Commands};
use crate::clock::Clock;
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// Snapshots of one folder that are looked at.
const MOST: usize = 1_000;

async fn run(argv: &[&str], limit: Duration) -> Result<CommandOutput, AdapterError> {
    let command = Command {
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        env: BTreeMap::from([("TZ".to_owned(), "UTC".to_owned()), ("LC_ALL".to_owned(), "C".to_owned())]),
        stdin: None,
        cwd: None,
        timeout: limit,
    };
    crate::adapters::command::SystemCommands.run(&command).await
}

/// The fields of a subvolume; `None` if the path is none.
async fn show(path: &str, limit: Duration) -> Result<Option<BTreeMap<String, String>>, AdapterError> {
    let out = run(&["btrfs", "subvolume", "show", path], limit).await?;
    if out.status == Some(0) {
        return Ok(Some(fields(&out.stdout)));
    }
    if nix::unistd::geteuid().is_root() {
        return Ok(None);
    }
    Err(AdapterError::Refused(format!("{path}: only root may ask about subvolumes of btrfs: {}", out.stderr.trim())))
}

/// `Label: value` lines.
fn fields(text: &str) -> BTreeMap<String, String> {
    let pair = |line: &str| {
        let (label, value) = line.trim().split_once(':')?;
        Some((label.to_owned(), value.trim().to_owned()))
    };
    text.lines().filter_map(pair).collect()
}

fn made(fields: &BTreeMap<String, String>) -> Option<DateTime<Utc>> {
    let text = fields.get("Creation time")?;
    DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S %z").ok().map(|at| at.with_timezone(&Utc))
}

fn is_whole(fields: &BTreeMap<String, String>) -> bool {
    fields.get("Flags").is_some_and(|flags| flags.split(',').any(|flag| flag.trim() == "readonly"))
}

/// The names directly in a folder, by a command: the folder's file system may not answer.
async fn names(path: &str, limit: Duration) -> Result<Vec<String>, AdapterError> {
    let out = run(&["find", path, "-mindepth", "1", "-maxdepth", "1", "-type", "d", "-printf", "%f\\n"], limit).await?;
    if out.status != Some(0) {
        return Err(AdapterError::Missing(format!("cannot list {path}: {}", out.stderr.trim())));
    }
    Ok(out.stdout.lines().map(str::to_owned).collect())
}

pub(super) async fn look(path: &Path, ask: &DirectoryAsk, limit: Duration) -> Result<Seen, AdapterError> {
    let text = path.display().to_string();
    if *ask == DirectoryAsk::Generation {
        let found = show(&text, limit).await?;
        let found = found.ok_or_else(|| AdapterError::Refused(format!("{text} is no subvolume of a btrfs")))?;
        let value = found.get("Generation").cloned().unwrap_or_default();
        let uuid = found.get("UUID").cloned().unwrap_or_default();
        return Ok(Seen { value, fields: BTreeMap::from([("uuid".to_owned(), uuid)]) });
    }
    let mut newest: Option<(DateTime<Utc>, String)> = None;
    for name in names(&text, limit).await?.into_iter().take(MOST) {
        let Some(fields) = show(&format!("{text}/{name}"), limit).await? else { continue };
        // One that is still being received can be written to, and becomes read-only with its last byte.
        let Some(at) = made(&fields).filter(|_| is_whole(&fields)) else { continue };
        newest = newest.max(Some((at, name)));
    }
    let (at, name) =
        newest.ok_or_else(|| AdapterError::Missing(format!("there is no read-only snapshot in {text}")))?;
    let age = (Clock::System.stamp().wall - at).num_seconds().max(0);
    Ok(Seen { value: age.to_string(), fields: BTreeMap::from([("newest".to_owned(), name)]) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_and_the_flags_are_read() {
        let shown = "snapshots/7\n\tName: \t\t\t7\n\tUUID: \t\t\tab-cd\n\tReceived UUID: \t\t-\n\
            \tCreation time: \t\t2026-03-01 10:11:12 +0100\n\tGeneration: \t\t31\n\tFlags: \t\t\treadonly\n";
        let fields = fields(shown);
        assert_eq!(made(&fields).unwrap().to_rfc3339(), "2026-03-01T09:11:12+00:00");
        assert!(is_whole(&fields));
        assert_eq!((fields["Generation"].as_str(), fields["UUID"].as_str()), ("31", "ab-cd"));
        assert!(!is_whole(&self::fields("Flags: -")));
    }
}
