//! Files with the findings of a read-back: JSON of [`ReadBack`], named in the journal with their digest.

use super::{JournalError, format, writer};
use crate::event::{ReadBack, ReadBackDone, ReadBackStage};
use crate::model::WorkloadName;
use std::fs::File;
use std::io::Write;
use std::path::Path;

/// Stores findings and says what to journal about them; the caller adds when the read-back began.
///
/// # Errors
/// If the file cannot be written or synced.
pub fn write(
    dir: &Path,
    workload: &WorkloadName,
    stage: ReadBackStage,
    site: &str,
    findings: &ReadBack,
) -> Result<ReadBackDone, JournalError> {
    let file = file_name(workload, stage, site);
    let path = dir.join(&file);
    let bytes = serde_json::to_vec(findings)?;
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(JournalError::io("create", parent))?;
    }
    let mut out = File::create(&path).map_err(JournalError::io("create", &path))?;
    out.write_all(&bytes).map_err(JournalError::io("write", &path))?;
    out.sync_data().map_err(JournalError::io("sync", &path))?;
    writer::sync_dir(path.parent().unwrap_or(dir))?;
    let digest = Some(format::digest(&bytes));
    let (workload, site) = (workload.clone(), site.to_owned());
    Ok(ReadBackDone { workload, stage, site, began: None, file: Some(file), digest, error: None })
}

/// The file of a read-back, relative to the run's folder.
#[must_use]
pub fn file_name(workload: &WorkloadName, stage: ReadBackStage, site: &str) -> String {
    let stage = match stage {
        ReadBackStage::Early => "early",
        ReadBackStage::Final => "final",
    };
    let safe = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    let site: String = site.chars().map(safe).collect();
    format!("ops/{workload}.readback-{stage}-{site}.json")
}

/// The findings in a file whose digest is known.
pub(super) fn read(path: &Path, digest: &str) -> Result<ReadBack, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
    if format::digest(&bytes) != digest {
        return Err(format!("`{}` has another digest than the journal says", path.display()));
    }
    serde_json::from_slice(&bytes).map_err(|error| format!("`{}` holds no findings: {error}", path.display()))
}
