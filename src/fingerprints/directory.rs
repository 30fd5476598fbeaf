//! Everything under a directory: files by content, folders, links.

use super::Print;
use crate::adapters::data::{Counts, Directory, Store};
use crate::faults::{Cx, FaultError};
use crate::model::Template;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Everything under a directory: path, kind, mode and content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DirectoryPrint {
    /// The directory; a relative one is relative to the playbook.
    pub path: Template,
    /// What is left out: `*.tmp` at any depth, `cache/*` from the directory on, `**` across folders.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// The time of a file's last change counts too; no if not given.
    #[serde(default)]
    pub times: bool,
    /// User and group count too; no if not given.
    #[serde(default)]
    pub owners: bool,
}

impl Print for DirectoryPrint {
    const KIND: &'static str = "directory";
    const SUMMARY: &'static str = "everything under a directory: files by content and mode, folders, links";

    fn store(&self, cx: &Cx<'_>, _: &[String]) -> Result<Store, FaultError> {
        let path = cx.text(&self.path)?;
        let counts = |asked: bool| if asked { Counts::Yes } else { Counts::No };
        Ok(Store::Directory(Directory {
            path: cx.scope.base().join(&path),
            // As written: a run's folder moves from machine to machine, its report shall not differ by that.
            name: cx.journalable(&self.path).to_string(),
            exclude: self.exclude.clone(),
            times: counts(self.times),
            owners: counts(self.owners),
        }))
    }

    fn words(&self) -> String {
        format!("everything under {}", self.path)
    }
}
