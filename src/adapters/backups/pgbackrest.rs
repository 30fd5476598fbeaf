//! A pgBackRest repository: what `info` and `repo-ls` say in JSON, and restoring from it.
//! Fields are read as the user guide of pgBackRest 2 documents them; what is not known is not guessed.

use super::history::Backup;
use super::wal::{Segment, SegmentName, position};
use super::{Control, Via};
use crate::adapters::{AdapterError, CommandOutput, Commands};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// An archive has no more folders than this, as far as we look; each holds 4 GB of WAL.
const MOST_FOLDERS: usize = 4096;

/// A stanza of a repository, and how its programs are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// How programs are reached.
    pub via: Via,
    /// pgBackRest's configuration; its own default if none.
    pub config: Option<String>,
    /// The stanza.
    pub stanza: String,
    /// Which of several repositories, as pgBackRest numbers them; the first that has the stanza if none.
    pub repo: Option<u32>,
    /// The folder of PostgreSQL's programs; searched if none.
    pub bin: Option<String>,
}

/// What a repository says of a stanza.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stanza {
    /// Backups of the newest cluster, oldest first.
    pub backups: Vec<Backup>,
    /// The identifier of that cluster.
    pub system: u64,
    /// The repository it is in.
    pub repo: u32,
    /// The folder of its archive, like `15-1`.
    pub archive: Option<String>,
    /// Its newest archived segment.
    pub newest: Option<SegmentName>,
    /// Why it is not well, if the tool says so; its status code and words.
    pub unwell: Option<(i64, String)>,
}

/// Up to where is restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Until {
    /// All that is archived.
    Latest,
    /// Everything that was committed up to this moment, by the server's clock.
    Time(DateTime<Utc>),
    /// Everything before this position.
    Position(String, u64),
}

impl Until {
    /// A position as PostgreSQL writes it.
    #[must_use]
    pub fn position(text: &str) -> Option<Self> {
        Some(Self::Position(text.trim().to_owned(), position(text)?))
    }
}

/// What is to be restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The backup's label.
    pub backup: String,
    /// The repository that it is in.
    pub repo: u32,
    /// The data folder that is made.
    pub into: String,
    /// Up to where.
    pub until: Until,
    /// `off` or `preserve`.
    pub archive_mode: &'static str,
}

#[derive(Deserialize)]
struct InfoStanza {
    name: String,
    status: InfoStatus,
    #[serde(default)]
    db: Vec<InfoDb>,
    #[serde(default)]
    archive: Vec<InfoArchive>,
    #[serde(default)]
    backup: Vec<InfoBackup>,
}

#[derive(Deserialize)]
struct InfoStatus {
    code: i64,
    #[serde(default)]
    message: String,
}

/// A cluster as one of the repositories knows it.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
struct InfoDbRef {
    id: i64,
    #[serde(rename = "repo-key", default = "first")]
    repo: u32,
}

fn first() -> u32 {
    1
}

#[derive(Deserialize)]
struct InfoDb {
    id: i64,
    #[serde(rename = "repo-key", default = "first")]
    repo: u32,
    #[serde(rename = "system-id")]
    system: u64,
}

#[derive(Deserialize)]
struct InfoArchive {
    id: String,
    database: InfoDbRef,
    max: Option<String>,
}

#[derive(Deserialize)]
struct InfoBackup {
    label: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    error: Option<bool>,
    database: InfoDbRef,
    archive: InfoSegments,
    timestamp: InfoTimes,
    lsn: Option<InfoPositions>,
    info: InfoSize,
}

#[derive(Deserialize)]
struct InfoSegments {
    start: Option<String>,
}

#[derive(Deserialize)]
struct InfoTimes {
    start: i64,
    stop: i64,
}

#[derive(Deserialize)]
struct InfoPositions {
    start: Option<String>,
    stop: Option<String>,
}

#[derive(Deserialize)]
struct InfoSize {
    size: u64,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    time: Option<i64>,
}

fn unreadable(what: &str, why: impl std::fmt::Display) -> AdapterError {
    AdapterError::Other(format!("what pgbackrest {what} printed cannot be read: {why}"))
}

/// Reads the answer of `info --output=json` for one stanza: the newest cluster in the repository that is asked for, or in
/// the first.
fn stanza(text: &str, name: &str, repo: Option<u32>) -> Result<Stanza, AdapterError> {
    let all: Vec<InfoStanza> = serde_json::from_str(text).map_err(|e| unreadable("info", e))?;
    let missing = || AdapterError::Missing(format!("the repository has no stanza `{name}`"));
    let found = all.into_iter().find(|stanza| stanza.name == name).ok_or_else(missing)?;
    let unwell = (found.status.code != 0).then(|| (found.status.code, found.status.message.clone()));
    let repo = repo.or_else(|| found.db.iter().map(|db| db.repo).min());
    let Some(db) = found.db.iter().filter(|db| Some(db.repo) == repo).max_by_key(|db| db.id) else {
        let system = 0;
        return Ok(Stanza { backups: Vec::new(), system, repo: 1, archive: None, newest: None, unwell });
    };
    let this = InfoDbRef { id: db.id, repo: db.repo };
    let mut backups: Vec<Backup> = found.backup.iter().filter(|b| b.database == this).filter_map(backup).collect();
    backups.sort_by_key(|backup| backup.times.1);
    let archive = found.archive.iter().find(|archive| archive.database == this);
    let newest = archive.and_then(|a| a.max.as_deref()).and_then(SegmentName::parse);
    Ok(Stanza { backups, system: db.system, repo: db.repo, archive: archive.map(|a| a.id.clone()), newest, unwell })
}

/// A backup of which everything is known that a restore needs; what has no positions is not consistent by itself.
fn backup(info: &InfoBackup) -> Option<Backup> {
    let lsn = info.lsn.as_ref()?;
    Some(Backup {
        label: info.label.clone(),
        kind: info.kind.clone(),
        times: (info.timestamp.start, info.timestamp.stop),
        positions: (position(lsn.start.as_deref()?)?, position(lsn.stop.as_deref()?)?),
        from: SegmentName::parse(info.archive.start.as_deref()?)?,
        size: info.info.size,
        broken: info.error == Some(true),
    })
}

fn entries(text: &str) -> Result<BTreeMap<String, Entry>, AdapterError> {
    serde_json::from_str(text).map_err(|e| unreadable("repo-ls", e))
}

impl Repository {
    async fn ask(&self, commands: &dyn Commands, words: &[&str], limit: Duration) -> Result<String, AdapterError> {
        let argv = self.argv(words);
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        self.via.output(commands, &argv, limit).await
    }

    fn argv(&self, words: &[&str]) -> Vec<String> {
        let mut argv = vec!["pgbackrest".to_owned()];
        argv.extend(self.config.iter().map(|config| format!("--config={config}")));
        argv.push(format!("--stanza={}", self.stanza));
        // Its words for people go to stderr, and only what is wrong.
        argv.extend(["--log-level-console=off".to_owned(), "--log-level-stderr=warn".to_owned()]);
        argv.extend(words.iter().map(|word| (*word).to_owned()));
        argv
    }

    /// What the repository says of the stanza now.
    ///
    /// # Errors
    /// `Missing` if it has no such stanza; when the tool says no, or what nobody can read.
    pub async fn info(&self, commands: &dyn Commands, limit: Duration) -> Result<Stanza, AdapterError> {
        stanza(&self.ask(commands, &["info", "--output=json"], limit).await?, &self.stanza, self.repo)
    }

    /// All archived segments of a stanza as `info` found it, in no order.
    ///
    /// # Errors
    /// When they cannot be listed, or are too many.
    pub async fn segments(
        &self,
        commands: &dyn Commands,
        stanza: &Stanza,
        limit: Duration,
    ) -> Result<Vec<Segment>, AdapterError> {
        let missing = || AdapterError::Missing(format!("the stanza `{}` has no archive", self.stanza));
        let path = format!("archive/{}/{}", self.stanza, stanza.archive.as_ref().ok_or_else(missing)?);
        let repo = format!("--repo={}", stanza.repo);
        let list = |path: String| {
            let repo = repo.clone();
            async move { entries(&self.ask(commands, &["repo-ls", "--output=json", &repo, &path], limit).await?) }
        };
        let all = list(path.clone()).await?;
        let folders: Vec<&String> =
            all.iter().filter(|(name, entry)| entry.kind == "path" && name.len() == 16).map(|(name, _)| name).collect();
        if folders.len() > MOST_FOLDERS {
            let text = format!("the archive has {} folders, more than {MOST_FOLDERS}", folders.len());
            return Err(AdapterError::Other(text));
        }
        let mut segments = Vec::new();
        for folder in folders {
            let files = list(format!("{path}/{folder}")).await?;
            segments.extend(
                files
                    .iter()
                    .filter_map(|(name, entry)| Some(Segment { name: SegmentName::parse(name)?, stored: entry.time? })),
            );
        }
        Ok(segments)
    }

    /// Restores into a folder that is not there or empty.
    ///
    /// # Errors
    /// When the tool cannot be started, or does not end in time. That it said no is in its exit status.
    pub async fn restore(
        &self,
        commands: &dyn Commands,
        order: &Order,
        limit: Duration,
    ) -> Result<CommandOutput, AdapterError> {
        let mut words = vec![
            format!("--pg1-path={}", order.into),
            format!("--set={}", order.backup),
            format!("--repo={}", order.repo),
            format!("--archive-mode={}", order.archive_mode),
        ];
        match &order.until {
            Until::Latest => {}
            Until::Time(when) => {
                let when = when.format("%Y-%m-%d %H:%M:%S%.6f+00");
                words.extend(["--type=time".to_owned(), format!("--target={when}"), PROMOTE.to_owned()]);
            }
            Until::Position(text, _) => {
                let exclusive = "--target-exclusive".to_owned();
                words.extend(["--type=lsn".to_owned(), format!("--target={text}"), exclusive, PROMOTE.to_owned()]);
            }
        }
        words.push("restore".to_owned());
        let argv = self.argv(&words.iter().map(String::as_str).collect::<Vec<_>>());
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        commands.run(&self.via.command(&argv, limit)).await
    }

    /// What a data folder is, by PostgreSQL's own tool.
    ///
    /// # Errors
    /// `Refused` if it is none; when nobody can say.
    pub async fn control(
        &self,
        commands: &dyn Commands,
        folder: &str,
        limit: Duration,
    ) -> Result<Control, AdapterError> {
        let name = "pg_controldata";
        let program =
            self.bin.as_ref().map_or_else(|| name.to_owned(), |b| format!("{}/{name}", b.trim_end_matches('/')));
        let said = self.via.output(commands, &[&program, folder], limit).await?;
        Control::parse(&said).ok_or_else(|| AdapterError::Other(format!("pg_controldata of {folder} cannot be read")))
    }
}

const PROMOTE: &str = "--target-action=promote";

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &str = r#"[{"name": "main", "status": {"code": 0, "lock": {}, "message": "ok"}, "cipher": "none",
        "db": [{"id": 1, "repo-key": 1, "system-id": 7710594170578278808, "version": "15"}],
        "archive": [{"database": {"id": 1}, "id": "15-1", "max": "000000010000000000000013", "min": null}],
        "backup": [
          {"label": "B", "type": "incr", "error": true, "database": {"id": 1}, "prior": "A",
           "archive": {"start": "000000010000000000000013", "stop": "000000010000000000000013"},
           "timestamp": {"start": 1795262609, "stop": 1795262610},
           "lsn": {"start": "0/1300028", "stop": "0/1300100"}, "info": {"size": 34478072, "delta": 778505}},
          {"label": "A", "type": "full", "error": false, "database": {"id": 1},
           "archive": {"start": "000000010000000000000011", "stop": "000000010000000000000011"},
           "timestamp": {"start": 1795262606, "stop": 1795262608},
           "lsn": {"start": "0/1100028", "stop": "0/1100100"}, "info": {"size": 34461689}},
          {"label": "of another cluster", "type": "full", "database": {"id": 0}, "archive": {"start": null},
           "timestamp": {"start": 1, "stop": 2}, "lsn": null, "info": {"size": 1}}]}]"#;

    #[test]
    fn backups_are_read_oldest_first_with_their_errors() {
        let stanza = stanza(INFO, "main", None).unwrap();
        let labels: Vec<(&str, bool)> = stanza.backups.iter().map(|b| (b.label.as_str(), b.broken)).collect();
        assert_eq!(labels, [("A", false), ("B", true)]);
        assert_eq!((stanza.system, stanza.archive.as_deref()), (7_710_594_170_578_278_808, Some("15-1")));
        assert_eq!(stanza.newest, SegmentName::parse("000000010000000000000013"));
        assert_eq!(stanza.backups[0].positions, (0x110_0028, 0x110_0100));
        assert_eq!(stanza.unwell, None);
    }

    #[test]
    fn several_repositories_are_not_mixed() {
        let db = |repo| format!(r#"{{"id": 1, "repo-key": {repo}, "system-id": {repo}, "version": "15"}}"#);
        let backup = |repo| {
            format!(
                r#"{{"label": "of {repo}", "type": "full", "database": {{"id": 1, "repo-key": {repo}}},
                "archive": {{"start": "000000010000000000000011"}}, "timestamp": {{"start": 1, "stop": 2}},
                "lsn": {{"start": "0/1100028", "stop": "0/1100100"}}, "info": {{"size": 1}}}}"#
            )
        };
        let text = format!(
            r#"[{{"name": "main", "status": {{"code": 0}}, "db": [{}, {}], "backup": [{}, {}]}}]"#,
            db(2),
            db(1),
            backup(1),
            backup(2)
        );
        for (asked, found) in [(None, 1), (Some(1), 1), (Some(2), 2)] {
            let stanza = stanza(&text, "main", asked).unwrap();
            let labels: Vec<&str> = stanza.backups.iter().map(|b| b.label.as_str()).collect();
            assert_eq!(
                (stanza.repo, stanza.system, labels),
                (found, u64::from(found), vec![format!("of {found}").as_str()])
            );
        }
        assert!(stanza(&text, "main", Some(3)).unwrap().backups.is_empty());
    }

    #[test]
    fn what_is_not_there_is_named() {
        assert!(matches!(stanza(INFO, "other", None), Err(AdapterError::Missing(why)) if why.contains("`other`")));
        assert!(stanza("no JSON", "main", None).is_err());
        let empty = r#"[{"name": "main", "status": {"code": 2, "message": "no valid backups"}}]"#;
        let found = stanza(empty, "main", None).unwrap();
        assert_eq!((found.backups.len(), found.unwell), (0, Some((2, "no valid backups".to_owned()))));
    }

    #[test]
    fn a_list_of_the_archive_has_times() {
        let text =
            r#"{".": {"type": "path"}, "000000010000000000000008-5a.lz4": {"type": "file", "size": 4, "time": 7}}"#;
        let found = entries(text).unwrap();
        assert_eq!(found["000000010000000000000008-5a.lz4"].time, Some(7));
        assert!(entries("[]").is_err());
    }
}
