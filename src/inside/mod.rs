//! Drills inside a cluster, as objects: what a Job, its guardian, a schedule, their accounts and their files are, made from a
//! plan and what the user asks for. Pure: the objects are created, followed and removed elsewhere.

mod jobs;
mod names;
mod rights;
mod schedule;
mod times;
mod yaml;

pub use jobs::{guardian_job, runner_job};
pub use names::{
    ANNOTATION_ARCHIVE, ANNOTATION_COLLECTED, ANNOTATION_ENDED, ANNOTATION_EXIT, ANNOTATION_HEALED, ANNOTATION_HOLDER,
    ANNOTATION_POD, ANNOTATION_POD_UID, ANNOTATION_RUN, ANNOTATION_SIZE, ANNOTATION_WATCHES, LEASE_SECONDS, Names,
    PART_LABEL, PURPOSE_LABEL, SET_LABEL, label_value,
};
pub use rights::{account, bindings, minimal_role};
pub use schedule::{Cron, CronError, TIME_ZONES_SINCE, ZoneError, cron_jobs, next, zone};
pub use times::Times;
pub use yaml::documents;

use crate::model::Dur;
use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A file that a drill needs, with its path below the folder that all of them share.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct File {
    /// Its path, `/` between parts.
    pub path: String,
    /// What stands in it.
    pub bytes: Vec<u8>,
    /// May it be executed?
    pub kind: FileMode,
}

/// What may be done with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileMode {
    /// Read.
    Read,
    /// Read and executed.
    Execute,
}

/// More than this does not go into a ConfigMap (the API server takes 1 MiB with all else).
pub const MOST_BYTES: usize = 1_000_000;

/// Secrets that the cluster has already. Only their names are here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretUse {
    /// Each of its keys is an environment variable.
    Variables(String),
    /// Each of its keys is a file in this folder.
    Folder(String, String),
}

/// Must the guardian be on another node?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Apart {
    /// Yes: no drill otherwise.
    Always,
    /// If there is another: a cluster of one node.
    IfPossible,
}

/// What the objects are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// One run; whoever ordered it removes them.
    Run,
    /// Every run of a schedule; they stay.
    Schedule,
}

/// How a drill is set up in a cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// The drill's name.
    pub drill: String,
    /// What the objects are for.
    pub purpose: Purpose,
    /// The names of all objects.
    pub names: Names,
    /// The namespace of all of them.
    pub namespace: String,
    /// The image that has this program.
    pub image: String,
    /// The program in it, with what always stands before its arguments.
    pub program: Vec<String>,
    /// The account; made with the drill's own rights if none.
    pub account: Option<String>,
    /// The namespaces in which the drill's faults are recorded.
    pub homes: Vec<String>,
    /// Do faults of it reach what is neither in this cluster nor in the pod? They are recorded in the pod's namespace.
    pub reaches_out: bool,
    /// Secrets of the cluster.
    pub secrets: Vec<SecretUse>,
    /// Where the guardian may be.
    pub apart: Apart,
    /// Runs are kept in this PersistentVolumeClaim, too.
    pub claim: Option<String>,
    /// Where the container has its folders.
    pub home: String,
    /// The playbook's path below the folder that the files share.
    pub playbook: String,
    /// Variables that the playbook is written with.
    pub variables: BTreeMap<String, String>,
    /// More arguments of `blackstart run`.
    pub arguments: Vec<String>,
    /// How long things may take.
    pub times: Times,
}

impl Setting {
    /// Where the playbook and its files are, in the container.
    #[must_use]
    pub fn drill_folder(&self) -> String {
        format!("{}/drill", self.home)
    }

    /// Where runs are written, in the container.
    #[must_use]
    pub fn reports_folder(&self) -> String {
        format!("{}/data/reports", self.home)
    }

    /// The account that the pods have.
    #[must_use]
    pub fn account_name(&self) -> &str {
        self.account.as_deref().unwrap_or(&self.names.set)
    }

    fn metadata(&self, name: &str, part: &str) -> Value {
        json!({"name": name, "namespace": self.namespace, "labels": self.labels(part)})
    }

    /// The labels of an object of this set.
    #[must_use]
    pub fn labels(&self, part: &str) -> Value {
        json!({
            "app.kubernetes.io/name": "blackstart",
            "app.kubernetes.io/managed-by": "blackstart",
            "blackstart.dev/drill": label_value(&self.drill),
            crate::faults::kubernetes::OWNER_LABEL: self.names.set,
            crate::faults::kubernetes::RECORD_LABEL: "run",
            SET_LABEL: self.names.set,
            PURPOSE_LABEL: if self.purpose == Purpose::Run { "run" } else { "schedule" },
            PART_LABEL: part,
        })
    }
}

/// The files as a ConfigMap. None of them is a secret: those stay where they are.
#[must_use]
pub fn config_map(setting: &Setting, files: &[File]) -> Value {
    let (mut text, mut binary) = (Map::new(), Map::new());
    for (n, file) in files.iter().enumerate() {
        match std::str::from_utf8(&file.bytes) {
            Ok(readable) => text.insert(key(n, file), json!(readable)),
            Err(_) => binary.insert(key(n, file), json!(BASE64_STANDARD.encode(&file.bytes))),
        };
    }
    let mut object = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": setting.metadata(&setting.names.files, "files"), "data": text});
    if let Some(object) = object.as_object_mut() {
        if !binary.is_empty() {
            object.insert("binaryData".to_owned(), Value::Object(binary));
        }
        // Those of a schedule change with the drill.
        if setting.purpose == Purpose::Run {
            object.insert("immutable".to_owned(), json!(true));
        }
    }
    object
}

/// A key for people, and unique.
fn key(n: usize, file: &File) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    let name: String = file.path.rsplit('/').next().unwrap_or_default().chars().map(plain).take(200).collect();
    format!("{n:03}-{name}")
}

/// The volume that shows the files under their paths.
#[must_use]
pub fn files_volume(setting: &Setting, files: &[File]) -> Value {
    let item = |(n, file): (usize, &File)| {
        let mode = if file.kind == FileMode::Execute { 0o555 } else { 0o444 };
        json!({"key": key(n, file), "path": file.path, "mode": mode})
    };
    let items: Vec<Value> = files.iter().enumerate().map(item).collect();
    json!({"name": "drill", "configMap": {"name": setting.names.files, "items": items}})
}

/// A Lease that nobody holds yet.
#[must_use]
pub fn lease(setting: &Setting, name: &str, part: &str) -> Value {
    json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": setting.metadata(name, part),
        "spec": {"leaseDurationSeconds": LEASE_SECONDS}})
}

/// What a person is told about how long it may take.
#[must_use]
pub fn limits_in_words(times: &Times) -> String {
    format!("at most {} in all, {} of them to heal if it is stopped", Dur(times.deadline()), Dur(times.grace()))
}

#[cfg(test)]
mod tests;
