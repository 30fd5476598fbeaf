//! Looks at a pgBackRest repository: is there a sound backup, how old is it, is what came after it archived, and how much a
//! disaster at the worst moment of the history would have cost.

use super::{Probe, ProbeError, Sample};
use crate::adapters::backups::{Backup, Repository, Segment, Via, exposure, segment_size};
use crate::faults::{Cx, FaultError};
use crate::model::{Dur, Exposure, Template};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Of one look, if the playbook says nothing.
const LIMIT: Duration = Duration::from_secs(30);

/// What a repository must have. What is not given is not asked for; that it is well and holds a backup always is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PgbackrestProbe {
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
    /// What the newest backup found; `sound` if not given. `broken`: pages with wrong checksums.
    #[serde(default)]
    pub newest: Newest,
    /// The newest sound backup is no older than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age: Option<Dur>,
    /// WAL was archived no longer ago than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archived: Option<Dur>,
    /// No disaster since the oldest sound backup would have cost more than this, and nothing is missing in the archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposure: Option<Dur>,
    /// Limit of one look; 30s if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Dur>,
}

/// What a backup found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Newest {
    /// All pages have the right checksums.
    #[default]
    Sound,
    /// Some have not.
    Broken,
}

/// What was found out.
#[derive(Debug, Default, Serialize)]
struct Figures {
    /// The newest backup.
    backup: String,
    /// Has it pages with wrong checksums?
    broken: bool,
    /// How many backups there are.
    backups: usize,
    /// Seconds since the newest sound one was complete.
    age: Option<i64>,
    /// Seconds since WAL was archived.
    archived: Option<i64>,
    /// What the worst moment would have cost at most, in seconds.
    exposure: Option<f64>,
    /// Places where the archive has a hole.
    holes: Option<u64>,
}

impl PgbackrestProbe {
    fn repository(&self, cx: &Cx<'_>) -> Result<Repository, FaultError> {
        Ok(Repository {
            via: Via { words: cx.prefix(&self.via)? },
            config: self.config.as_ref().map(|config| cx.word(config)).transpose()?,
            stanza: cx.word(&self.stanza)?,
            repo: self.repo,
            bin: None,
        })
    }

    /// What is wrong, in words.
    fn wrong(&self, figures: &Figures) -> Vec<String> {
        let mut wrong = Vec::new();
        match (self.newest, figures.broken) {
            (Newest::Sound, true) => wrong.push(format!("{} has pages with wrong checksums", figures.backup)),
            (Newest::Broken, false) => wrong.push(format!("{} found no page with a wrong checksum", figures.backup)),
            _ => {}
        }
        let over = |limit: Option<Dur>, is: Option<f64>, what: &str| match (limit, is) {
            (Some(limit), Some(is)) if is > limit.0.as_secs_f64() => {
                Some(format!("{what} {is:.0} s\nwanted: at most {limit}"))
            }
            (Some(_), None) => Some(format!("{what} not known")),
            _ => None,
        };
        let whole = |seconds: Option<i64>| seconds.map(|seconds| seconds as f64);
        wrong.extend(over(self.age, whole(figures.age), "the age of the newest sound backup is"));
        wrong.extend(over(self.archived, whole(figures.archived), "the age of the newest archived WAL is"));
        wrong.extend(over(self.exposure, figures.exposure, "the exposure between recovery points is up to"));
        if let (Some(_), Some(holes @ 1..)) = (self.exposure, figures.holes) {
            wrong.push(format!("WAL is missing in the archive at {holes} places"));
        }
        wrong
    }
}

impl Probe for PgbackrestProbe {
    const KIND: &'static str = "pgbackrest";
    const SUMMARY: &'static str =
        "backups in a pgBackRest repository: sound, how old, archived how far, with which gaps";

    async fn sample(&self, cx: &Cx<'_>) -> Result<Sample, ProbeError> {
        let repository = self.repository(cx)?;
        let limit = self.timeout.map_or(LIMIT, |d| d.0);
        let commands = &*cx.world.commands;
        let stanza = repository.info(commands, limit).await?;
        let mut sample = Sample { holds: true, ..Sample::default() };
        if let Some((code, words)) = &stanza.unwell {
            sample.fail(format!("the stanza `{}` is not well: status {code}, {words}", repository.stanza));
            return Ok(sample);
        }
        let Some(newest) = stanza.backups.last() else {
            sample.fail(format!("the stanza `{}` holds no backup", repository.stanza));
            return Ok(sample);
        };
        let now = cx.world.clock.stamp().wall.timestamp();
        let sound = stanza.backups.iter().rfind(|backup| !backup.broken);
        let mut figures = Figures {
            backup: newest.label.clone(),
            broken: newest.broken,
            backups: stanza.backups.len(),
            age: sound.map(|backup| now - backup.times.1),
            ..Figures::default()
        };
        if stanza.archive.is_some() && (self.archived.is_some() || self.exposure.is_some()) {
            let segments = repository.segments(commands, &stanza, limit).await?;
            figures.archived = segments.iter().map(|segment| segment.stored).max().map(|stored| now - stored);
            if let Ok(found) = history(&stanza.backups, &segments) {
                (figures.exposure, figures.holes) = (Some(found.worst.high as f64 / 1e9), Some(found.holes));
            }
        }
        let wrong = self.wrong(&figures);
        let summary = format!(
            "{}: {} backups, the newest sound one is {} s old",
            repository.stanza,
            figures.backups,
            figures.age.unwrap_or(-1)
        );
        sample.judge((wrong.is_empty(), if wrong.is_empty() { summary } else { wrong.join("; ") }));
        sample.answer = serde_json::to_string(&figures).map_err(|e| ProbeError::Undecided(e.to_string()))?;
        sample.fields.insert("backup".to_owned(), figures.backup);
        Ok(sample)
    }
}

fn history(backups: &[Backup], segments: &[Segment]) -> Result<Exposure, String> {
    let known: Vec<_> = backups.iter().map(|backup| (backup.positions.0, backup.from)).collect();
    let size = segment_size(&known).ok_or("the size of WAL segments is not known")?;
    exposure(backups, segments, size)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(json: serde_json::Value) -> PgbackrestProbe {
        let mut whole = serde_json::json!({"stanza": "main"});
        for (key, value) in json.as_object().unwrap() {
            whole[key] = value.clone();
        }
        serde_json::from_value(whole).unwrap()
    }

    fn figures() -> Figures {
        let (age, archived) = (Some(3_600), Some(5));
        Figures { backup: "b".into(), backups: 2, age, archived, exposure: Some(4.0), holes: Some(0), broken: false }
    }

    #[test]
    fn only_what_is_asked_for_is_judged() {
        let old = Figures { age: Some(1 << 40), exposure: None, ..figures() };
        assert!(probe(serde_json::json!({})).wrong(&old).is_empty());
        let all = probe(serde_json::json!({"age": "2h", "archived": "10s", "exposure": "4s"}));
        assert!(all.wrong(&figures()).is_empty());
        for (wrong, word) in [
            (Figures { age: Some(7_201), ..figures() }, "age of the newest sound backup"),
            (Figures { age: None, ..figures() }, "not known"),
            (Figures { archived: Some(11), ..figures() }, "archived WAL"),
            (Figures { exposure: Some(4.1), ..figures() }, "exposure"),
            (Figures { exposure: None, ..figures() }, "not known"),
            (Figures { holes: Some(1), ..figures() }, "missing"),
            (Figures { broken: true, ..figures() }, "wrong checksums"),
        ] {
            let said = all.wrong(&wrong).join("; ");
            assert!(said.contains(word), "{said}");
        }
        let broken = probe(serde_json::json!({"newest": "broken"}));
        assert!(!broken.wrong(&figures()).is_empty());
        assert!(broken.wrong(&Figures { broken: true, ..figures() }).is_empty());
    }
}
