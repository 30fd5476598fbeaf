//! Has Velero restore one of its backups, and reads what became of it. That Velero says `Completed` is not enough: items must
//! have been restored, without errors, and the restore's own probe looks at the result.
//!
//! Source: <https://velero.io/docs/main/api-types/restore/>

use super::cluster::{self, Look, Patience, Place, plain};
use super::{Course, refused};
use crate::adapters::backups::{Dump, exposure_of_dumps};
use crate::adapters::kubernetes::{At, ClusterError, Deletion, Flow, Kind, Object, Query, Scope, Write};
use crate::faults::{Cx, Done, FaultError, quote};
use crate::model::{Mono, Resource, RestorePart, Right, Span, TargetRef, Template};
use crate::probes::ProbeSpec;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Read;
use std::time::Duration;

/// Where Velero is, if nothing is said.
const VELERO: &str = "velero";
/// The label by which a backup names its schedule.
const SCHEDULE: &str = "velero.io/schedule-name";
/// So many restores of one run may have been made.
const MOST_NAMES: u32 = 100;
/// For what Velero wrote down of a restore.
const MESSAGES: Duration = Duration::from_secs(15);
/// More of that is not read.
const MOST_MESSAGES: u64 = 8 << 20;
/// So many messages are shown.
const SHOWN: usize = 3;

/// Has Velero restore a backup into the cluster, waits for its end, and reads its errors and warnings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VeleroRestore {
    /// A target of kind `kubernetes` in the cluster that is restored to.
    pub target: TargetRef,
    /// The namespace in which Velero runs; `velero` if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub velero: Option<Template>,
    /// The backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<Template>,
    /// In place of it a schedule, whose newest complete backup is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Template>,
    /// Which namespaces of the backup; all if not given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<Template>,
    /// Namespaces that get another name: `{shop: shop-restored}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub mapping: BTreeMap<String, Template>,
    /// What becomes of objects that are there already; `keep` if not given.
    #[serde(default)]
    pub existing: Existing,
    /// What must be true afterwards.
    pub verify: ProbeSpec,
}

/// What becomes of objects that are there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Existing {
    /// They stay as they are; Velero warns of each that is different.
    #[default]
    Keep,
    /// They become what the backup has.
    Update,
}

/// A kind of Velero's.
fn kind(name: &str, plural: &str) -> Kind {
    Kind::of("velero.io", "v1", name, plural, Scope::Namespaced)
}

/// A restore that goes on.
struct Going<'a> {
    cx: &'a Cx<'a>,
    place: Place,
    velero: String,
    until: Mono,
}

/// A backup that can be restored.
struct Chosen {
    backup: Object,
    /// All of its schedule that can be.
    history: Vec<Dump>,
}

impl VeleroRestore {
    /// What does not go together in it, and what to write instead.
    #[must_use]
    pub fn mistake(&self) -> Option<(&'static str, &'static str)> {
        match (&self.backup, &self.schedule) {
            (None, None) => {
                Some(("`velero` has no backup", "write `backup: NAME`, or `schedule: NAME` for its newest"))
            }
            (Some(_), Some(_)) => Some(("`velero` has both `backup` and `schedule`", "take one of them out")),
            _ => None,
        }
    }

    /// Velero's objects are in a namespace of their own.
    pub(super) fn rights(&self) -> Vec<Right> {
        let of = |plural: &str, verbs: &[&str]| {
            let resource = Resource::Everywhere("velero.io".to_owned(), plural.to_owned());
            Right::each(&self.target, &resource, verbs)
        };
        let messages = of("downloadrequests", &["create", "get", "delete"]);
        [of("backups", &["get", "list"]), of("restores", &["create", "get"]), messages].concat()
    }

    pub(super) async fn restore(&self, cx: &Cx<'_>, until: Mono, course: &Course) -> Result<Done, FaultError> {
        if let Some((what, help)) = self.mistake() {
            return Err(FaultError::Reference(format!("{what}: {help}")));
        }
        let clock = &cx.world.clock;
        let began = clock.mono();
        let place = cluster::place(&self.target, cx).await?;
        let velero = self.velero.as_ref().map(|name| cx.text(name)).transpose()?;
        let going = Going { cx, place, velero: velero.unwrap_or_else(|| VELERO.to_owned()), until };
        let chosen = self.choose(&going).await?;
        let backup = chosen.backup.name().to_owned();
        course.claim(|claim| {
            claim.backup.clone_from(&backup);
            claim.taken = time(&chosen.backup, "/status/completionTimestamp");
            // What was written while it was made may be in it or not.
            claim.recovered_to = time(&chosen.backup, "/status/startTimestamp");
            claim.exposure = Some(exposure_of_dumps(&chosen.history));
        });
        course.part(RestorePart::Locate, Span::new(began, clock.mono()), None);
        let began = clock.mono();
        let at = going.make(&self.spec(&backup, cx)?).await?;
        let ended = going.ended(&at).await?;
        let detail = going.judge(&ended, &backup).await?;
        course.part(RestorePart::Load, Span::new(began, clock.mono()), None);
        let answer = json!({
            "backup": backup, "restore": at.name, "items": ended.number("/status/progress/itemsRestored"),
            "warnings": ended.number("/status/warnings").unwrap_or_default(),
        });
        Ok(Done { ok: true, detail, answer: answer.to_string() })
    }

    fn spec(&self, backup: &str, cx: &Cx<'_>) -> Result<Value, FaultError> {
        let namespaces = self.namespaces.iter().map(|name| cx.text(name)).collect::<Result<Vec<_>, _>>()?;
        let mapping = self.mapping.iter().map(|(from, to)| Ok((from.clone(), cx.text(to)?)));
        let mapping = mapping.collect::<Result<BTreeMap<_, _>, FaultError>>()?;
        let mut spec = json!({"backupName": backup});
        if !namespaces.is_empty() {
            spec["includedNamespaces"] = json!(namespaces);
        }
        if !mapping.is_empty() {
            spec["namespaceMapping"] = json!(mapping);
        }
        if self.existing == Existing::Update {
            spec["existingResourcePolicy"] = json!("update");
        }
        Ok(spec)
    }

    /// The backup that is named, or the newest complete one of its schedule.
    async fn choose(&self, going: &Going<'_>) -> Result<Chosen, FaultError> {
        let cx = going.cx;
        let named = match &self.backup {
            None => None,
            Some(name) => {
                let at = kind("Backup", "backups").at(Some(&going.velero), &cx.text(name)?);
                Some(cluster::there(&*going.place.cluster, &at).await?)
            }
        };
        let schedule = match (&self.schedule, &named) {
            (Some(name), _) => Some(cx.text(name)?),
            (None, Some(backup)) => backup.label(SCHEDULE).map(str::to_owned),
            (None, None) => None,
        };
        let all = match &schedule {
            Some(schedule) => going.backups(schedule).await?,
            None => named.iter().cloned().collect(),
        };
        let history = all.iter().filter(|backup| complete(backup)).filter_map(dump).collect();
        let backup = match named {
            Some(backup) => backup,
            None => newest(all)
                .map_err(|why| refused(format!("schedule {}: {why}", schedule.as_deref().unwrap_or_default())))?,
        };
        if !complete(&backup) {
            let phase = backup.text("/status/phase");
            let phase = if phase.is_empty() { "not begun" } else { phase };
            return Err(refused(format!("backup {} is {phase}: only a complete one is restored", backup.name())));
        }
        Ok(Chosen { backup, history })
    }
}

/// Has everything that it should have been backed up?
fn complete(backup: &Object) -> bool {
    backup.text("/status/phase") == "Completed" && !backup.ending()
}

fn newest(backups: Vec<Object>) -> Result<Object, String> {
    let all = backups.len();
    let done = |backup: &Object| time(backup, "/status/completionTimestamp");
    let found = backups.into_iter().filter(complete).max_by_key(done);
    found.ok_or_else(|| match all {
        0 => "it has no backup".to_owned(),
        all => format!("none of its {all} backups is complete"),
    })
}

fn time(object: &Object, pointer: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(object.text(pointer)).ok().map(|time| time.to_utc())
}

/// A backup as a point in a history.
fn dump(backup: &Object) -> Option<Dump> {
    let began = time(backup, "/status/startTimestamp")?.timestamp();
    let complete = time(backup, "/status/completionTimestamp")?.timestamp();
    Some(Dump { began, complete, path: backup.name().to_owned() })
}

impl Going<'_> {
    async fn backups(&self, schedule: &str) -> Result<Vec<Object>, FaultError> {
        let labels = format!("{SCHEDULE}={schedule}");
        let namespace = Some(self.velero.clone());
        let query = Query { kind: kind("Backup", "backups"), namespace, labels, fields: String::new() };
        let mut backups = Vec::new();
        let mut each = |backup: Object| {
            backups.push(backup);
            Flow::On
        };
        self.place.cluster.list(&query, &mut each).await.map_err(plain)?;
        Ok(backups)
    }

    /// Asks Velero for it by an object that nobody else made.
    async fn make(&self, spec: &Value) -> Result<At, FaultError> {
        let restore = kind("Restore", "restores");
        let run = self.cx.owner.run.to_string();
        let stem: String = run.to_lowercase().chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
        for number in 1..=MOST_NAMES {
            let name = format!("blackstart-{stem}-{number}");
            let metadata = json!({"name": name, "namespace": self.velero, "annotations": {"blackstart.dev/run": run}});
            let object = json!({"apiVersion": restore.api(), "kind": restore.kind, "metadata": metadata, "spec": spec});
            match self.place.cluster.create(&restore, Some(&self.velero), &object, Write::Real).await {
                Ok(_) => return Ok(restore.at(Some(&self.velero), &name)),
                Err(ClusterError::Exists(_)) => {}
                Err(error) => return Err(plain(error)),
            }
        }
        Err(refused(format!("this run has asked Velero for {MOST_NAMES} restores already")))
    }

    /// The restore object when nothing goes on any more.
    async fn ended(&self, at: &At) -> Result<Object, FaultError> {
        let patience = Patience::until(self.until, format!("{at} was not over"), self.cx);
        loop {
            if let Some(restore) = patience.over(self.look(at).await).await? {
                return Ok(restore);
            }
        }
    }

    async fn look(&self, at: &At) -> Result<Look<Object>, FaultError> {
        let restore = cluster::there(&*self.place.cluster, at).await?;
        let progress = |name: &str| restore.number(&format!("/status/progress/{name}")).unwrap_or_default();
        let phase = restore.text("/status/phase");
        Ok(match phase {
            "Completed" | "PartiallyFailed" | "Failed" | "FailedValidation" => Look::Done(restore),
            "" | "New" => Look::NotYet(format!("nobody has taken it up; does Velero run in {}?", self.velero)),
            phase => {
                let (done, all) = (progress("itemsRestored"), progress("totalItems"));
                Look::NotYet(format!("it is {phase}, {done} of {all} items; Velero goes on with it by itself"))
            }
        })
    }

    /// What it came to; `Refused` if it is not what was asked for.
    async fn judge(&self, restore: &Object, backup: &str) -> Result<String, FaultError> {
        let figure = |name: &str| restore.number(&format!("/status/{name}")).unwrap_or_default();
        let (errors, warnings) = (figure("errors"), figure("warnings"));
        let messages = if errors > 0 || warnings > 0 { self.messages(restore.name()).await } else { String::new() };
        match wrong(restore) {
            Some(why) => Err(refused(format!("backup {backup}: {why}{messages}"))),
            None => {
                let items = figure("progress/itemsRestored");
                Ok(format!("backup {backup}: {items} items restored, {warnings} warnings{messages}"))
            }
        }
    }

    /// What Velero wrote down of it, beginning with the errors; that it cannot be read is said, and decides nothing.
    async fn messages(&self, restore: &str) -> String {
        match tokio::time::timeout(MESSAGES, self.written(restore)).await {
            Ok(Ok(said)) if said.is_empty() => String::new(),
            Ok(Ok(said)) => format!(": {}", quote(&said.join("; "), 600)),
            Ok(Err(why)) => format!(" (its messages cannot be read: {why})"),
            Err(_) => " (its messages cannot be read: no answer in time)".to_owned(),
        }
    }

    /// Where they can be fetched; whoever has the address can.
    async fn address(&self, at: &At, moment: Mono) -> Result<String, FaultError> {
        let patience = Patience::until(moment, "Velero gave no address for them", self.cx);
        loop {
            let look = match cluster::there(&*self.place.cluster, at).await?.text("/status/downloadURL") {
                "" => Look::NotYet("no address yet".to_owned()),
                url => Look::Done(url.to_owned()),
            };
            if let Some(url) = patience.over(Ok(look)).await? {
                return Ok(url);
            }
        }
    }

    async fn written(&self, restore: &str) -> Result<Vec<String>, FaultError> {
        let request = kind("DownloadRequest", "downloadrequests");
        let at = request.at(Some(&self.velero), &format!("{restore}-results"));
        let object = json!({
            "apiVersion": request.api(), "kind": request.kind,
            "metadata": {"name": at.name, "namespace": self.velero},
            "spec": {"target": {"kind": "RestoreResults", "name": restore}},
        });
        self.place.cluster.create(&request, Some(&self.velero), &object, Write::Real).await?;
        let moment = self.cx.world.clock.mono().after(MESSAGES);
        let url = self.address(&at, moment).await;
        drop(self.place.cluster.delete(&at, &Deletion::default(), Write::Real).await);
        let packed = self.cx.world.http.fetch(&url?, MESSAGES).await?;
        let mut text = String::new();
        let unpacked = flate2::read::MultiGzDecoder::new(&packed[..]).take(MOST_MESSAGES).read_to_string(&mut text);
        let odd = |e: &dyn std::fmt::Display| FaultError::Reference(format!("they are odd: {e}"));
        unpacked.map_err(|e| odd(&e))?;
        let said: Value = serde_json::from_str(&text).map_err(|e| odd(&e))?;
        Ok(["errors", "warnings"].iter().flat_map(|list| lines(&said, list)).take(SHOWN).collect())
    }
}

/// The messages of a list, by whom they are about.
fn lines(said: &Value, list: &str) -> Vec<String> {
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let of = |key: &str| said[list].get(key).map(texts).unwrap_or_default();
    let spaces = said[list].get("namespaces").and_then(Value::as_object).into_iter().flatten();
    let spaces = spaces.flat_map(|(space, value)| texts(value).into_iter().map(move |text| format!("{space}: {text}")));
    of("velero").into_iter().chain(of("cluster")).chain(spaces).collect()
}

/// Why a restore that is over is not what was asked for, if so.
fn wrong(restore: &Object) -> Option<String> {
    let figure = |name: &str| restore.number(&format!("/status/{name}"));
    let errors = figure("errors").unwrap_or_default();
    let (done, all) = (figure("progress/itemsRestored"), figure("progress/totalItems"));
    let reasons: Vec<&str> = restore.items("/status/validationErrors").iter().filter_map(Value::as_str).collect();
    let reason = [reasons.join("; "), restore.text("/status/failureReason").to_owned()];
    let reason = reason.iter().filter(|text| !text.is_empty()).cloned().collect::<Vec<_>>().join("; ");
    match (restore.text("/status/phase"), done, all) {
        ("Completed", ..) if errors > 0 => Some(format!("Velero says Completed, and {errors} errors")),
        ("Completed", None | Some(0), _) => Some("Velero says Completed, and restored nothing".to_owned()),
        ("Completed", Some(done), Some(all)) if done < all => {
            Some(format!("Velero says Completed, and restored {done} of {all} items"))
        }
        ("Completed", ..) => None,
        (phase, done, all) => {
            let items = format!("{} of {} items", done.unwrap_or_default(), all.unwrap_or_default());
            let reason = if reason.is_empty() { String::new() } else { format!(", {reason}") };
            Some(format!("Velero says {phase}: {items}, {errors} errors{reason}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn restore(status: Value) -> Object {
        Object(json!({"metadata": {"name": "r"}, "status": status}))
    }

    #[test]
    fn only_what_restored_something_without_errors_is_restored() {
        let progress = json!({"itemsRestored": 7, "totalItems": 7});
        assert_eq!(wrong(&restore(json!({"phase": "Completed", "progress": progress, "warnings": 2}))), None);
        for (status, words) in [
            (json!({"phase": "Completed"}), "restored nothing"),
            (json!({"phase": "Completed", "progress": {"itemsRestored": 0, "totalItems": 0}}), "restored nothing"),
            (json!({"phase": "Completed", "progress": {"itemsRestored": 3, "totalItems": 7}}), "3 of 7"),
            (json!({"phase": "Completed", "progress": progress, "errors": 1}), "1 errors"),
            (
                json!({"phase": "PartiallyFailed", "progress": progress, "errors": 2}),
                "PartiallyFailed: 7 of 7 items, 2 errors",
            ),
            (json!({"phase": "FailedValidation", "validationErrors": ["no such backup"]}), "no such backup"),
            (json!({"phase": "Failed", "failureReason": "no storage"}), "no storage"),
        ] {
            let why = wrong(&restore(status.clone())).unwrap();
            assert!(why.contains(words), "{status}: {why}");
        }
    }

    #[test]
    fn the_newest_complete_backup_is_chosen() {
        let backup = |name: &str, phase: &str, hour: u32| {
            let done = format!("2026-11-21T{hour:02}:30:00Z");
            Object(json!({"metadata": {"name": name}, "status": {"phase": phase, "completionTimestamp": done}}))
        };
        let all = vec![backup("a", "Completed", 1), backup("b", "Completed", 3), backup("c", "PartiallyFailed", 5)];
        assert_eq!(newest(all).unwrap().name(), "b");
        assert!(newest(vec![backup("c", "Failed", 5)]).unwrap_err().contains("none of its 1"));
        assert!(newest(Vec::new()).unwrap_err().contains("no backup"));
    }

    #[test]
    fn messages_are_told_by_whom_they_are_about() {
        let said = json!({"errors": {"velero": ["a"], "cluster": ["b"], "namespaces": {"shop": ["c", "d"]}}});
        assert_eq!(lines(&said, "errors"), ["a", "b", "shop: c", "shop: d"]);
        assert!(lines(&said, "warnings").is_empty() && lines(&json!([]), "errors").is_empty());
    }
}
