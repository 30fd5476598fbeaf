//! Restores a PostgreSQL backup by pgBackRest into a folder of its own, starts a server on it, and follows the replay. What
//! the tool's exit status says is never enough: the folder, the cluster's identifier, the bytes, and the server's own
//! position are looked at.

use super::{Course, megabytes, refused};
use crate::adapters::AdapterError;
use crate::adapters::backups::{Backup, Order, Repository, Segment, Stanza, Until, Via, exposure, segment_size};
use crate::faults::{Cx, Done, FaultError};
use crate::model::{Mono, RestorePart, RunSpec, Span, TargetRef, Template};
use crate::probes::ProbeSpec;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One question to a server.
const ASK: Duration = Duration::from_secs(2);
/// Between two looks at a server that replays.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// What the tool and the folder may differ by in size: what it writes itself, and what it leaves out.
const LEAST_SHARE: f64 = 0.9;

/// What is asked of a server that replays, as one text: is it still at it, up to where, and the last commit in that.
const PROGRESS: &str = "select concat_ws(' ', pg_is_in_recovery(), coalesce(pg_last_wal_replay_lsn()::text, '-'), \
     coalesce((extract(epoch from pg_last_xact_replay_timestamp()) * 1000000)::bigint::text, '-'), \
     current_setting('transaction_read_only'), (select system_identifier from pg_control_system()))";

/// Restores a PostgreSQL backup into a folder of its own, and starts a server on it. Nobody may answer at the target before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PgbackrestRestore {
    /// The stanza.
    pub stanza: Template,
    /// pgBackRest's configuration; its own default if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<Template>,
    /// Which of several repositories, as pgBackRest numbers them; the first that has the stanza if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo: Option<u32>,
    /// Words before each command: how to become the servers' user, or how to reach their host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub via: Vec<Template>,
    /// The folder of PostgreSQL's programs; searched if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bin: Option<Template>,
    /// The data folder that is made, as an absolute path; it must be empty or not there.
    pub into: Template,
    /// Up to where; everything that is archived if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<UntilSpec>,
    /// Does the restored server archive its own WAL? `off` if not given: an isolated copy must not write into the archive.
    #[serde(default)]
    pub archive_mode: ArchiveMode,
    /// Starts the server on the folder.
    pub start: RunSpec,
    /// The restored server, a target of kind `postgres`.
    pub target: TargetRef,
    /// What must be true afterwards.
    pub verify: ProbeSpec,
}

/// Up to where is restored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UntilSpec {
    /// What was committed up to this moment of the server's clock, with its zone: `2026-11-21 12:03:56.739665+00`.
    Time(Template),
    /// What stands before this position in the WAL: `0/1600028`.
    Lsn(Template),
}

/// Whether a restored server archives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ArchiveMode {
    /// Not at all.
    #[default]
    Off,
    /// As the one that was backed up: for a server that takes its place.
    Preserve,
}

/// What was found in the repository.
struct Found {
    backup: Backup,
    stanza: Stanza,
    segments: Result<Vec<Segment>, AdapterError>,
    until: Until,
}

/// How far a server has replayed.
struct Progress {
    replaying: bool,
    position: Option<String>,
    committed: Option<DateTime<Utc>>,
    writable: bool,
    system: u64,
}

/// A restore that goes on.
struct Going<'a> {
    cx: &'a Cx<'a>,
    until: Mono,
    course: &'a Course,
    repository: Repository,
    into: String,
    url: String,
    target: &'a str,
}

impl PgbackrestRestore {
    pub(super) async fn restore(&self, cx: &Cx<'_>, until: Mono, course: &Course) -> Result<Done, FaultError> {
        let one = |template: &Option<Template>| template.as_ref().map(|t| cx.word(t)).transpose();
        let going = Going {
            cx,
            until,
            course,
            repository: Repository {
                via: Via { words: cx.prefix(&self.via)? },
                config: one(&self.config)?,
                stanza: cx.word(&self.stanza)?,
                repo: self.repo,
                bin: one(&self.bin)?,
            },
            into: cx.word(&self.into)?,
            url: cx.scope.url(&self.target).map_err(FaultError::Reference)?,
            target: self.target.name(),
        };
        let found = going.locate(self.upto(cx)?).await?;
        let bytes = going.fetch(&found, self.archive_mode).await?;
        going.start(&self.start).await?;
        let progress = going.replay(&found).await?;
        let position = progress.position.unwrap_or_default();
        let claim = course.so_far().1;
        let upto = claim.recovered_to.map_or_else(|| "unknown".to_owned(), |when| when.to_rfc3339());
        let detail = format!(
            "{}: {} fetched; replayed to {position}, the last commit of {upto}",
            claim.backup,
            megabytes(bytes)
        );
        let answer = serde_json::json!({"backup": claim.backup, "position": position, "recovered_to": upto});
        Ok(Done { ok: true, detail, answer: answer.to_string() })
    }

    fn upto(&self, cx: &Cx<'_>) -> Result<Until, FaultError> {
        match &self.until {
            None => Ok(Until::Latest),
            Some(UntilSpec::Time(template)) => {
                let text = cx.word(template)?;
                let why = || FaultError::Reference(format!("`{text}` is no moment; write 2026-11-21 12:03:56.739+00"));
                moment(&text).map(Until::Time).ok_or_else(why)
            }
            Some(UntilSpec::Lsn(template)) => {
                let text = cx.word(template)?;
                let why = || FaultError::Reference(format!("`{text}` is no position in the WAL; write 0/1600028"));
                Until::position(&text).ok_or_else(why)
            }
        }
    }
}

/// A moment with its zone, as RFC 3339 or as PostgreSQL writes it.
fn moment(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    let own = ["%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M:%S%.f%#z"];
    let read = |format: &&str| DateTime::parse_from_str(text, format).ok();
    let found = DateTime::parse_from_rfc3339(text).ok().or_else(|| own.iter().find_map(read));
    found.map(|moment| moment.with_timezone(&Utc))
}

/// The newest sound backup from which that can be reached. A backup is consistent only from its end on.
fn choose<'a>(stanza: &'a Stanza, until: &Until) -> Result<&'a Backup, String> {
    let reaches = |backup: &&Backup| match until {
        Until::Latest => true,
        // Times of backups are whole seconds, rounded down.
        Until::Time(when) => backup.times.1 < when.timestamp(),
        Until::Position(_, at) => backup.positions.1 <= *at,
    };
    let sound = || stanza.backups.iter().filter(|backup| !backup.broken);
    if let Some(backup) = sound().rfind(reaches) {
        return Ok(backup);
    }
    match (stanza.backups.len(), sound().next()) {
        (0, _) => Err("the repository holds no backup".to_owned()),
        (all, None) => Err(format!("none of the {all} backups is sound: their pages have wrong checksums")),
        (_, Some(oldest)) => {
            let complete = DateTime::from_timestamp(oldest.times.1, 0).map_or_else(String::new, |t| t.to_rfc3339());
            Err(format!(
                "no backup is old enough: {} was complete at {complete}, after what is asked for",
                oldest.label
            ))
        }
    }
}

impl Going<'_> {
    fn now(&self) -> Mono {
        self.cx.world.clock.mono()
    }

    fn left(&self) -> Duration {
        self.until.since(self.now())
    }

    fn done(&self, part: RestorePart, began: Mono, bytes: Option<u64>) {
        self.course.part(part, Span::new(began, self.now()), bytes);
    }

    /// Nobody is in the way, and the repository has what is asked for.
    async fn locate(&self, until: Until) -> Result<Found, FaultError> {
        let (began, commands) = (self.now(), &*self.cx.world.commands);
        if !self.into.starts_with('/') {
            return Err(FaultError::Reference(format!("`{}` is no absolute path", self.into)));
        }
        match self.cx.world.sql.scalar(&self.url, "select 1", &[], ASK).await {
            Err(AdapterError::Unreachable(_)) => {}
            Err(AdapterError::TimedOut(why)) => return Err(AdapterError::Other(why).into()),
            _ => {
                let target = self.target;
                return Err(refused(format!(
                    "somebody answers at `{target}` already: a restore goes to a place of its own"
                )));
            }
        }
        if !self.repository.via.is_empty(commands, &self.into, self.left()).await? {
            return Err(refused(format!("{} is not empty: a restore goes to a place of its own", self.into)));
        }
        let stanza = self.repository.info(commands, self.left()).await?;
        if let Some((code, words)) = &stanza.unwell {
            return Err(refused(format!("pgbackrest info: status {code}: {words}")));
        }
        let backup = choose(&stanza, &until).map_err(refused)?.clone();
        archived(&stanza, &until).map_err(refused)?;
        let segments = self.repository.segments(commands, &stanza, self.left()).await;
        self.course.claim(|claim| {
            claim.backup.clone_from(&backup.label);
            claim.taken = DateTime::from_timestamp(backup.times.1, 0);
        });
        self.done(RestorePart::Locate, began, None);
        Ok(Found { backup, stanza, segments, until })
    }

    /// The backup's files, and what they are.
    async fn fetch(&self, found: &Found, mode: ArchiveMode) -> Result<u64, FaultError> {
        let (began, commands) = (self.now(), &*self.cx.world.commands);
        let archive_mode = match mode {
            ArchiveMode::Off => "off",
            ArchiveMode::Preserve => "preserve",
        };
        let (backup, into) = (found.backup.label.clone(), self.into.clone());
        let (repo, until) = (found.stanza.repo, found.until.clone());
        let order = Order { backup, repo, into, until, archive_mode };
        let output = self.repository.restore(commands, &order, self.left()).await?;
        if output.status != Some(0) {
            let said: Vec<&str> = output.stderr.lines().rev().take(3).collect();
            let how = output.status.map_or_else(|| "a signal ended it".to_owned(), |s| format!("exit status {s}"));
            return Err(refused(format!("pgbackrest restore: {how}: {}", said.join("; "))));
        }
        // From here on nothing of what it said counts.
        let into = &self.into;
        let control = self.repository.control(commands, into, self.left()).await.map_err(|why| match why {
            AdapterError::Refused(why) => {
                refused(format!("pgbackrest says it restored, and {into} is no data folder: {why}"))
            }
            other => other.into(),
        })?;
        if control.system != found.stanza.system {
            let (is, wanted) = (control.system, found.stanza.system);
            return Err(refused(format!("{into} is a copy of the cluster {is}, and the backup is one of {wanted}")));
        }
        let bytes = self.repository.via.size(commands, into, self.left()).await?;
        if (bytes as f64) < found.backup.size as f64 * LEAST_SHARE {
            let (is, wanted) = (megabytes(bytes), megabytes(found.backup.size));
            return Err(refused(format!("pgbackrest says it restored, and {into} has {is} of {wanted}")));
        }
        let exposure = match &found.segments {
            Ok(segments) => exposure(&found.stanza.backups, segments, control.segment),
            Err(why) => Err(why.to_string()),
        };
        self.course.claim(|claim| claim.exposure = Some(exposure));
        self.done(RestorePart::Fetch, began, Some(bytes));
        Ok(bytes)
    }

    async fn start(&self, start: &RunSpec) -> Result<(), FaultError> {
        let began = self.now();
        let done = self.cx.run(start).await?;
        if !done.ok {
            return Err(refused(format!("the restored server was not started: {}", done.detail)));
        }
        self.done(RestorePart::Start, began, None);
        Ok(())
    }

    /// Follows the server until it takes writes.
    async fn replay(&self, found: &Found) -> Result<Progress, FaultError> {
        let began = self.now();
        let clock = &self.cx.world.clock;
        let mut replayed = None;
        loop {
            let why = match self.progress().await {
                Ok(progress) => {
                    if !progress.replaying && replayed.is_none() {
                        replayed = Some(self.now());
                        self.done(RestorePart::Replay, began, bytes_between(&found.backup, &progress));
                    }
                    if !progress.replaying && progress.writable {
                        self.course.part(RestorePart::Ready, Span::new(replayed.unwrap_or(began), self.now()), None);
                        self.judge(found, &progress)?;
                        return Ok(progress);
                    }
                    format!("it has replayed to {}", progress.position.as_deref().unwrap_or("nowhere"))
                }
                Err(why) => why.to_string(),
            };
            if self.now() >= self.until {
                let why = format!("`{}` took no writes in time: {why}{}", self.target, self.state().await);
                return Err(AdapterError::TimedOut(why).into());
            }
            clock.sleep_until(clock.mono().after(LOOK_EVERY).min(self.until)).await;
        }
    }

    /// What the folder says of a server that does not come up.
    async fn state(&self) -> String {
        match self.repository.control(&*self.cx.world.commands, &self.into, ASK).await {
            Ok(control) => format!("; its folder says: {}", control.state),
            Err(_) => String::new(),
        }
    }

    async fn progress(&self) -> Result<Progress, AdapterError> {
        let limit = ASK.min(self.left()).max(LOOK_EVERY);
        let said = self.cx.world.sql.scalar(&self.url, PROGRESS, &[], limit).await?.unwrap_or_default();
        progress(&said).ok_or_else(|| AdapterError::Other(format!("`{said}` says nothing of a replay")))
    }

    /// It is that cluster, and it stopped where it should.
    fn judge(&self, found: &Found, progress: &Progress) -> Result<(), FaultError> {
        let (target, wanted) = (self.target, found.stanza.system);
        if progress.system != wanted {
            let is = progress.system;
            return Err(refused(format!("`{target}` is the cluster {is}, and the backup is one of {wanted}")));
        }
        self.course.claim(|claim| {
            // A backup that nothing was committed after has all that was committed until its end.
            claim.recovered_to = progress.committed.or(claim.taken);
            claim.position.clone_from(&progress.position);
        });
        let at = progress.position.as_deref().and_then(Until::position);
        match (&found.until, progress.committed, at) {
            (Until::Time(wanted), Some(is), _) if is > *wanted => {
                Err(refused(format!("`{target}` has replayed to {is}, beyond {wanted}")))
            }
            (Until::Position(text, wanted), _, Some(Until::Position(is, at))) if at > *wanted => {
                Err(refused(format!("`{target}` has replayed to {is}, beyond {text}")))
            }
            _ => Ok(()),
        }
    }
}

/// Is what is asked for archived, as far as positions tell?
fn archived(stanza: &Stanza, until: &Until) -> Result<(), String> {
    let Until::Position(text, at) = until else { return Ok(()) };
    let known: Vec<_> = stanza.backups.iter().map(|backup| (backup.positions.0, backup.from)).collect();
    let (Some(size), Some(newest)) = (segment_size(&known), stanza.newest) else { return Ok(()) };
    // What stands before the first byte of a segment is archived with the segment before it.
    let needed = at.saturating_sub(1) / size;
    if newest.number(size) >= needed { Ok(()) } else { Err(format!("the archive ends before {text}")) }
}

fn bytes_between(backup: &Backup, progress: &Progress) -> Option<u64> {
    match progress.position.as_deref().and_then(Until::position)? {
        Until::Position(_, at) => Some(at.saturating_sub(backup.positions.0)),
        _ => None,
    }
}

fn progress(said: &str) -> Option<Progress> {
    let [replaying, position, committed, read_only, system] = said.split(' ').collect::<Vec<_>>().try_into().ok()?;
    let there = |text: &str| (text != "-").then(|| text.to_owned());
    let committed = match there(committed) {
        Some(micros) => Some(DateTime::from_timestamp_micros(micros.parse().ok()?)?),
        None => None,
    };
    Some(Progress {
        replaying: replaying == "t" || replaying == "true",
        position: there(position),
        committed,
        writable: read_only == "off",
        system: system.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::backups::SegmentName;

    fn backup(label: &str, complete: i64, consistent: u64, broken: bool) -> Backup {
        let from = SegmentName { timeline: 1, log: 0, segment: (consistent >> 20) as u32 };
        let (label, kind) = (label.to_owned(), "full".to_owned());
        Backup {
            label,
            kind,
            times: (complete - 5, complete),
            positions: (consistent, consistent),
            from,
            size: 1,
            broken,
        }
    }

    fn stanza() -> Stanza {
        let backups = vec![
            backup("a", 100, 0x100028, false),
            backup("b", 200, 0x200028, false),
            backup("c", 300, 0x300028, true),
        ];
        let newest = Some(SegmentName { timeline: 1, log: 0, segment: 4 });
        Stanza { backups, system: 7, repo: 1, archive: None, newest, unwell: None }
    }

    #[test]
    fn the_newest_sound_backup_that_is_old_enough_is_chosen() {
        let at = |seconds| Until::Time(DateTime::from_timestamp(seconds, 0).unwrap());
        let (stanza, chosen) = (stanza(), |until: &Until, from: &Stanza| choose(from, until).map(|b| b.label.clone()));
        assert_eq!(chosen(&Until::Latest, &stanza).unwrap(), "b", "pages of the newest are broken");
        assert_eq!(chosen(&at(250), &stanza).unwrap(), "b");
        assert_eq!(chosen(&at(200), &stanza).unwrap(), "a", "the other may have been complete a moment later");
        assert!(chosen(&at(99), &stanza).unwrap_err().contains("no backup is old enough"));
        assert_eq!(chosen(&Until::position("0/200027").unwrap(), &stanza).unwrap(), "a");
        let broken = Stanza { backups: vec![backup("c", 300, 1, true)], ..stanza.clone() };
        assert!(chosen(&Until::Latest, &broken).unwrap_err().contains("wrong checksums"));
        let none = Stanza { backups: Vec::new(), ..stanza };
        assert!(chosen(&Until::Latest, &none).unwrap_err().contains("no backup"));
    }

    #[test]
    fn a_position_that_is_not_archived_is_refused() {
        let until = |text| Until::position(text).unwrap();
        assert!(archived(&stanza(), &until("0/500000")).is_ok(), "the end of segment 4");
        assert!(archived(&stanza(), &until("0/500028")).unwrap_err().contains("0/500028"));
        assert!(archived(&stanza(), &Until::Latest).is_ok());
    }

    #[test]
    fn moments_have_zones() {
        let is = DateTime::from_timestamp_micros(1_795_262_636_739_665).unwrap();
        for text in
            ["2026-11-21 12:03:56.739665+00", "2026-11-21T12:03:56.739665Z", " 2026-11-21 14:03:56.739665+02:00"]
        {
            assert_eq!(moment(text), Some(is), "{text}");
        }
        assert_eq!((moment("2026-11-21 12:03:56"), moment("yesterday")), (None, None));
    }

    #[test]
    fn what_a_server_says_of_its_replay_is_read() {
        let found = progress("t 0/1600000 1795262636739665 on 77").unwrap();
        assert!(found.replaying && !found.writable && found.system == 77);
        assert_eq!(found.position.as_deref(), Some("0/1600000"));
        assert_eq!(found.committed.unwrap().timestamp_micros(), 1_795_262_636_739_665);
        assert!(progress("f - - off 77").unwrap().committed.is_none());
        assert!(progress("").is_none() && progress("f - - off").is_none());
    }
}
