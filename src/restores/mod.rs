//! Restore actions that verify themselves: one file per kind, and their registry. What their tools print is read in
//! `adapters`; when they are run, and the verification, is `exec`'s business.

use crate::faults::{Cx, Done, FaultError, KindInfo};
use crate::model::{
    CommandSpec, Dur, Mono, RestoreClaim, RestorePart, RestoreTime, Right, RunSpec, Span, TargetRef, Template,
};
use crate::probes::ProbeSpec;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

mod cluster;
mod manifests;
mod mysql_dump;
mod pg_restore;
mod pgbackrest;
mod velero;
mod volume_snapshot;

pub use manifests::{ConflictsSpec, GitSource, ManifestsRestore};
pub use mysql_dump::{LogUntilSpec, MysqlDumpRestore};
pub use pg_restore::PgRestore;
pub use pgbackrest::{ArchiveMode, PgbackrestRestore, UntilSpec};
pub use velero::{Existing, VeleroRestore};
pub use volume_snapshot::VolumeSnapshotRestore;

/// A restore by a command, verified by a probe of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandRestore {
    /// Program and arguments; a relative program path is relative to the playbook.
    pub argv: Vec<Template>,
    /// Environment variables besides those of the runner. Secrets belong here, never into `argv`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, Template>,
    /// Text for its standard input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<Template>,
    /// Working directory; the playbook's folder if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<Template>,
    /// It is ended (with its children) after this; 60s if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Dur>,
    /// What must be true afterwards.
    pub verify: ProbeSpec,
}

impl CommandRestore {
    /// The command alone.
    #[must_use]
    pub fn command(&self) -> CommandSpec {
        CommandSpec {
            argv: self.argv.clone(),
            env: self.env.clone(),
            stdin: self.stdin.clone(),
            cwd: self.cwd.clone(),
            timeout: self.timeout,
        }
    }
}

/// A restore of any kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum RestoreSpec {
    /// `command`
    #[serde(rename = "command")]
    Command(CommandRestore),
    /// `pgbackrest`
    #[serde(rename = "pgbackrest")]
    Pgbackrest(PgbackrestRestore),
    /// `pg_restore`
    #[serde(rename = "pg_restore")]
    PgRestore(PgRestore),
    /// `mysql_dump`
    #[serde(rename = "mysql_dump")]
    MysqlDump(MysqlDumpRestore),
    /// `manifests`
    #[serde(rename = "manifests")]
    Manifests(ManifestsRestore),
    /// `velero`
    #[serde(rename = "velero")]
    Velero(VeleroRestore),
    /// `volume_snapshot`
    #[serde(rename = "volume_snapshot")]
    VolumeSnapshot(VolumeSnapshotRestore),
}

/// All kinds, in the order of the registry.
pub const KINDS: &[KindInfo] = &[
    KindInfo {
        kind: "command",
        summary: "a command that restores, verified by a probe of its own",
        note: "",
        schema: || schemars::schema_for!(CommandRestore),
    },
    KindInfo {
        kind: "pgbackrest",
        summary: "a PostgreSQL backup and its WAL into a folder of its own, by pgBackRest, part by part",
        note: "",
        schema: || schemars::schema_for!(PgbackrestRestore),
    },
    KindInfo {
        kind: "pg_restore",
        summary: "a dump of pg_dump into an empty PostgreSQL database, part by part",
        note: "",
        schema: || schemars::schema_for!(PgRestore),
    },
    KindInfo {
        kind: "mysql_dump",
        summary: "a dump of mysqldump or mariadb-dump into an empty database, and binary logs after it, part by part",
        note: "",
        schema: || schemars::schema_for!(MysqlDumpRestore),
    },
    KindInfo {
        kind: "manifests",
        summary: "objects of a Kubernetes cluster from a folder or from Git, by server-side apply, until they are ready",
        note: "",
        schema: || schemars::schema_for!(ManifestsRestore),
    },
    KindInfo {
        kind: "velero",
        summary: "a backup of Velero, with its errors and warnings read",
        note: "",
        schema: || schemars::schema_for!(VeleroRestore),
    },
    KindInfo {
        kind: "volume_snapshot",
        summary: "a new claim of a Kubernetes cluster from a VolumeSnapshot",
        note: "",
        schema: || schemars::schema_for!(VolumeSnapshotRestore),
    },
];

/// What a restore has come to so far: filled in while it goes on, so that one that is given up still has its parts.
#[derive(Debug, Default)]
pub struct Course(Mutex<(Vec<RestoreTime>, RestoreClaim)>);

impl Course {
    /// A part ended.
    pub fn part(&self, part: RestorePart, span: Span, bytes: Option<u64>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.push(RestoreTime { part, span, bytes });
    }

    /// It says something of itself.
    pub fn claim(&self, say: impl FnOnce(&mut RestoreClaim)) {
        say(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).1);
    }

    /// All of it.
    #[must_use]
    pub fn so_far(&self) -> (Vec<RestoreTime>, RestoreClaim) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl RestoreSpec {
    /// The key in a playbook.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Command(_) => "command",
            Self::Pgbackrest(_) => "pgbackrest",
            Self::PgRestore(_) => "pg_restore",
            Self::MysqlDump(_) => "mysql_dump",
            Self::Manifests(_) => "manifests",
            Self::Velero(_) => "velero",
            Self::VolumeSnapshot(_) => "volume_snapshot",
        }
    }

    /// What must be true afterwards.
    #[must_use]
    pub fn verify(&self) -> &ProbeSpec {
        match self {
            Self::Command(restore) => &restore.verify,
            Self::Pgbackrest(restore) => &restore.verify,
            Self::PgRestore(restore) => &restore.verify,
            Self::MysqlDump(restore) => &restore.verify,
            Self::Manifests(restore) => &restore.verify,
            Self::Velero(restore) => &restore.verify,
            Self::VolumeSnapshot(restore) => &restore.verify,
        }
    }

    /// The target that it restores to, if it names one: nobody need answer there before.
    #[must_use]
    pub fn target(&self) -> Option<&TargetRef> {
        match self {
            Self::Command(_) => None,
            Self::Pgbackrest(restore) => Some(&restore.target),
            Self::PgRestore(restore) => Some(&restore.target),
            Self::MysqlDump(restore) => Some(&restore.target),
            Self::Manifests(restore) => Some(&restore.target),
            Self::Velero(restore) => Some(&restore.target),
            Self::VolumeSnapshot(restore) => Some(&restore.target),
        }
    }

    /// What it and its verification need to be allowed on the clusters of their targets.
    #[must_use]
    pub fn rights(&self) -> Vec<Right> {
        let own = match self {
            Self::Command(_) | Self::Pgbackrest(_) | Self::PgRestore(_) | Self::MysqlDump(_) => Vec::new(),
            Self::Manifests(restore) => restore.rights(),
            Self::Velero(restore) => restore.rights(),
            Self::VolumeSnapshot(restore) => restore.rights(),
        };
        own.into_iter().chain(self.verify().rights()).collect()
    }

    /// What does not go together in it, and what to write instead.
    #[must_use]
    pub fn mistake(&self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Manifests(restore) => restore.mistake(),
            Self::Velero(restore) => restore.mistake(),
            _ => None,
        }
    }

    /// Kinds of targets that it can restore to.
    #[must_use]
    pub fn targets(&self) -> &'static [&'static str] {
        match self {
            Self::Command(_) => &[],
            Self::Pgbackrest(_) | Self::PgRestore(_) => &["postgres"],
            Self::MysqlDump(_) => &["mysql"],
            Self::Manifests(_) | Self::Velero(_) | Self::VolumeSnapshot(_) => &["kubernetes"],
        }
    }

    /// Programs that it runs besides the commands that stand in it.
    #[must_use]
    pub fn programs(&self) -> Vec<String> {
        let first = |via: &[Template], own: &str| via.first().map_or_else(|| own.to_owned(), ToString::to_string);
        match self {
            Self::Command(_) => Vec::new(),
            Self::Pgbackrest(restore) => vec![first(&restore.via, "pgbackrest")],
            Self::PgRestore(restore) if restore.bin.is_none() => vec!["pg_restore".to_owned()],
            // Its programs have two names each, and are looked for when they are needed.
            Self::PgRestore(_) | Self::MysqlDump(_) | Self::Velero(_) | Self::VolumeSnapshot(_) => Vec::new(),
            Self::Manifests(restore) => restore.programs(),
        }
    }

    /// Restores, until it is done or the moment has come; the verification is not part of it.
    ///
    /// # Errors
    /// `Refused` and `TimedOut` say that it is not restored; all else that nobody knows.
    pub async fn restore(&self, cx: &Cx<'_>, until: Mono, course: &Course) -> Result<Done, FaultError> {
        match self {
            Self::Command(restore) => {
                let left = Dur(until.since(cx.world.clock.mono()) + std::time::Duration::from_secs(1));
                let mut command = restore.command();
                command.timeout = command.timeout.or(Some(left));
                cx.run(&RunSpec::Command(command)).await
            }
            Self::Pgbackrest(restore) => restore.restore(cx, until, course).await,
            Self::PgRestore(restore) => restore.restore(cx, until, course).await,
            Self::MysqlDump(restore) => restore.restore(cx, until, course).await,
            Self::Manifests(restore) => restore.restore(cx, until, course).await,
            Self::Velero(restore) => restore.restore(cx, until, course).await,
            Self::VolumeSnapshot(restore) => restore.restore(cx, until, course).await,
        }
    }
}

/// It is definitely not restored, and why.
fn refused(why: impl Into<String>) -> FaultError {
    FaultError::World(crate::adapters::AdapterError::Refused(why.into()))
}

/// Bytes for people.
fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
