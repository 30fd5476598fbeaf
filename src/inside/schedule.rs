//! Drills on a schedule: cron expressions and time zones as a CronJob takes them, when they come next, and the CronJobs.

use super::jobs::{guardian_spec, runner_spec};
use super::{File, Setting};
use crate::playbook::suggest::nearest;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde_json::{Value, json};
use thiserror::Error;

/// The first version whose CronJobs have a time zone without a feature gate: 1.27. (It was there from 1.25 as a beta, on
/// by default; older servers drop the field without a word.)
pub const TIME_ZONES_SINCE: (u32, u32) = (1, 27);
/// A drill that could not begin within this long of its time does not begin late.
const LATE: u32 = 600;
/// So many finished Jobs are kept.
const KEPT: u32 = 5;

/// A cron expression with five fields: minute, hour, day of the month, month, day of the week.
#[derive(Debug, Clone)]
pub struct Cron {
    text: String,
    parsed: croner::Cron,
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// Why a text is no cron expression.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CronError {
    /// It has not five fields.
    #[error("`{0}` has {1} fields, not five: minute, hour, day of the month, month, day of the week")]
    Fields(String, usize),
    /// A field cannot be read.
    #[error("`{0}` is no cron expression: {1}")]
    Unreadable(String, String),
    /// Something that the parser knows and a CronJob does not.
    #[error("`{0}` uses `{1}`, which a CronJob does not know")]
    NotThere(String, char),
    /// It names no day that comes.
    #[error("`{0}` never comes: no such day within the next years")]
    Never(String),
}

/// Why a text is no time zone.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ZoneError {
    /// There is none of that name.
    #[error("there is no time zone `{0}`")]
    Unknown(String, Option<String>),
}

impl ZoneError {
    /// What to write instead.
    #[must_use]
    pub fn mend(&self) -> String {
        match self {
            Self::Unknown(_, Some(near)) => format!("--time-zone {near}"),
            Self::Unknown(_, None) => "--time-zone Europe/Berlin: names as in the IANA database".to_owned(),
        }
    }
}

impl std::str::FromStr for Cron {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Self, CronError> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let text = fields.join(" ");
        if fields.len() != 5 {
            return Err(CronError::Fields(text, fields.len()));
        }
        // `L`, `#` and `W` are of other crons; letters of `JUL` and `WED` are not meant.
        let strange = fields.iter().find_map(|field| {
            let alone = |(at, c): (usize, char)| {
                let beside =
                    |at: Option<usize>| at.and_then(|at| field.as_bytes().get(at)).is_some_and(u8::is_ascii_alphabetic);
                let word = beside(at.checked_sub(1)) || beside(Some(at + 1));
                c == '#' || c == '+' || ("LWlw".contains(c) && !word)
            };
            field.char_indices().find(|found| alone(*found)).map(|(_, c)| c)
        });
        if let Some(strange) = strange {
            return Err(CronError::NotThere(text, strange));
        }
        let parser = croner::parser::CronParser::builder()
            .seconds(croner::parser::Seconds::Disallowed)
            .year(croner::parser::Year::Disallowed)
            .build();
        let parsed = parser.parse(&text).map_err(|e| CronError::Unreadable(text.clone(), reason(&e)))?;
        Ok(Self { text, parsed })
    }
}

/// The parser's reason as a fragment.
fn reason(error: &croner::errors::CronError) -> String {
    let text = error.to_string();
    let text = text.split_once(": ").map_or(text.as_str(), |(_, rest)| rest).trim_end_matches('.');
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().collect::<String>() + letters.as_str()).unwrap_or_default()
}

impl Cron {
    /// As it was written, one space between fields.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// A time zone by its name.
///
/// # Errors
/// When there is none, with a name that is near.
pub fn zone(name: &str) -> Result<Tz, ZoneError> {
    name.parse().map_err(|_| {
        let names: Vec<&str> = chrono_tz::TZ_VARIANTS.iter().map(|tz| tz.name()).collect();
        let last = name.rsplit('/').next().unwrap_or(name).replace(' ', "_");
        // `Berlin` is meant as the city that it is in some region.
        let city = names.iter().find(|full| full.rsplit('/').next().is_some_and(|c| c.eq_ignore_ascii_case(&last)));
        let near = city.copied().or_else(|| nearest(name, names.iter().copied()));
        ZoneError::Unknown(name.to_owned(), near.map(str::to_owned))
    })
}

/// The next times after a moment.
///
/// # Errors
/// When it never comes.
pub fn next(cron: &Cron, zone: Tz, after: DateTime<Utc>, count: usize) -> Result<Vec<DateTime<Tz>>, CronError> {
    let mut at = after.with_timezone(&zone);
    let mut found = Vec::new();
    while found.len() < count {
        at = cron.parsed.find_next_occurrence(&at, false).map_err(|_| CronError::Never(cron.text.clone()))?;
        found.push(at);
    }
    Ok(found)
}

/// The drill's CronJob and that of its guardian, at the same times: either alone does nothing.
#[must_use]
pub fn cron_jobs(setting: &Setting, files: &[File], (cron, zone): (&Cron, Option<Tz>)) -> [Value; 2] {
    let one = |name: &str, part: &str, job: Value| {
        let mut spec = json!({"schedule": cron.text(), "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": LATE, "successfulJobsHistoryLimit": KEPT, "failedJobsHistoryLimit": KEPT,
            "jobTemplate": {"metadata": {"labels": setting.labels(part)}, "spec": job}});
        if let (Some(zone), Some(spec)) = (zone, spec.as_object_mut()) {
            spec.shift_insert(1, "timeZone".to_owned(), json!(zone.name()));
        }
        json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": setting.metadata(name, part), "spec": spec})
    };
    [
        one(&setting.names.guardian, "guardian", guardian_spec(setting, files)),
        one(&setting.names.set, "runner", runner_spec(setting, files, None)),
    ]
}
