//! A run's folder comes back from its pod: packed there, read in parts over exec, checked against the digest that the runner
//! wrote on its Lease, and unpacked beside other runs.

use super::super::{Complaint, Exit, files};
use crate::adapters::kubernetes::{Cluster, Inside};
use crate::exec::inside::Packed;
use base64::prelude::{BASE64_STANDARD, Engine};
use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

/// Bytes of one part.
pub const PART: u64 = 512 << 10;
/// A part takes no longer.
const LIMIT: Duration = Duration::from_secs(30);
/// A part is asked for so often.
const ATTEMPTS: u32 = 5;
/// More than this is no run.
const MOST: u64 = 8 << 30;

/// Where a run is packed, beside its reports.
pub fn archive_beside(reports: &Path, run: &str) -> PathBuf {
    reports.parent().unwrap_or(Path::new("")).join(format!("{run}.tar.gz"))
}

/// Digest and size of a file.
///
/// # Errors
/// When it cannot be read.
pub fn measured(path: &Path) -> io::Result<Packed> {
    let (mut file, mut digest) = (File::open(path)?, Sha256::new());
    let size = io::copy(&mut file, &mut digest)?;
    Ok(Packed { digest: hex(&digest.finalize()), size })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A part of a file as text.
///
/// # Errors
/// When it cannot be read.
pub fn part(path: &Path, offset: u64, length: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(length.min(PART)).read_to_end(&mut bytes)?;
    Ok(BASE64_STANDARD.encode(bytes))
}

/// Fetches an archive into a file.
///
/// # Errors
/// When it does not come, or is not what was packed.
pub async fn fetch(
    (cluster, inside): (&dyn Cluster, &Inside),
    (program, from): (&[String], &str),
    packed: &Packed,
    to: &Path,
) -> Result<(), String> {
    if packed.size > MOST {
        return Err(format!("its archive has {} bytes", packed.size));
    }
    let mut file = File::create(to).map_err(|e| format!("{}: {}", to.display(), files::plain(&e)))?;
    let mut digest = Sha256::new();
    let mut offset = 0;
    while offset < packed.size {
        let length = PART.min(packed.size - offset);
        let bytes = one((cluster, inside), program, (from, offset, length)).await?;
        digest.update(&bytes);
        file.write_all(&bytes).map_err(|e| format!("{}: {}", to.display(), files::plain(&e)))?;
        offset += length;
    }
    file.sync_all().map_err(|e| format!("{}: {}", to.display(), files::plain(&e)))?;
    if hex(&digest.finalize()) == packed.digest { Ok(()) } else { Err("what came is not what was packed".to_owned()) }
}

async fn one(
    (cluster, inside): (&dyn Cluster, &Inside),
    program: &[String],
    (from, offset, length): (&str, u64, u64),
) -> Result<Vec<u8>, String> {
    let words = ["part".to_owned(), from.to_owned(), offset.to_string(), length.to_string()];
    let argv = [program, &words].concat();
    let mut why = String::new();
    for _ in 0..ATTEMPTS {
        why = match cluster.exec(inside, &argv, LIMIT).await {
            Ok(output) if output.status == Some(0) => match BASE64_STANDARD.decode(output.stdout.trim()) {
                Ok(bytes) if bytes.len() as u64 == length => return Ok(bytes),
                _ => "a part came broken".to_owned(),
            },
            Ok(output) => format!("reading it there failed: {}", output.stderr.trim()),
            Err(error) => error.to_string(),
        };
    }
    Err(why)
}

/// Unpacks an archive of a run into `reports/DRILL/RUN`, which appears whole or not at all.
///
/// # Errors
/// When it is there already, or holds what no archive of a run holds.
pub fn unpack(archive: &Path, (reports, drill, run): (&Path, &str, &str)) -> Result<PathBuf, Complaint> {
    let folder = reports.join(drill);
    let failed =
        |why: String| Complaint::new(Exit::Inconclusive, format!("the run's folder cannot be unpacked: {why}"));
    let (beside, dir) = (folder.join(format!(".{run}.new")), folder.join(run));
    if dir.exists() {
        return Err(failed(format!("{} is there already", dir.display())).mend("--run-id, or --reports DIR"));
    }
    let unpacked =
        fs::create_dir_all(&beside).map_err(|e| files::plain(&e)).and_then(|()| entries(archive, run, &beside));
    let placed = unpacked.and_then(|()| fs::rename(&beside, &dir).map_err(|e| files::plain(&e)));
    if placed.is_err() {
        drop(fs::remove_dir_all(&beside));
    }
    placed.map(|()| dir).map_err(failed)
}

fn entries(archive: &Path, run: &str, into: &Path) -> Result<(), String> {
    let file = File::open(archive).map_err(|e| files::plain(&e))?;
    let mut tar = tar::Archive::new(GzDecoder::new(file).take(MOST));
    for entry in tar.entries().map_err(|e| files::plain(&e))? {
        let mut entry = entry.map_err(|e| files::plain(&e))?;
        let path = entry.path().map_err(|e| files::plain(&e))?.into_owned();
        let inside = path.strip_prefix(run).map_err(|_| format!("{} is not of this run", path.display()))?;
        let plain = inside.components().all(|part| matches!(part, Component::Normal(_)));
        if !plain || !entry.header().entry_type().is_file() {
            return Err(format!("{} is no file of a run", path.display()));
        }
        let to = into.join(inside);
        fs::create_dir_all(to.parent().unwrap_or(into)).map_err(|e| files::plain(&e))?;
        let mut file = File::create_new(&to).map_err(|e| files::plain(&e))?;
        io::copy(&mut entry, &mut file).map_err(|e| files::plain(&e))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::archive;

    #[test]
    fn a_run_comes_back_as_it_was() {
        let place = tempfile::tempdir().unwrap();
        let (run, packed) = (place.path().join("run"), place.path().join("run.tar.gz"));
        fs::create_dir_all(run.join("ops")).unwrap();
        fs::write(run.join("events.jsonl"), "{}\n").unwrap();
        fs::write(run.join("ops/page.ops"), vec![7; 3 << 19]).unwrap();
        archive::pack(&run, "run", 1, File::create(&packed).unwrap()).unwrap();
        let size = measured(&packed).unwrap().size;
        let text = part(&packed, size - 5, 100).unwrap();
        assert_eq!(BASE64_STANDARD.decode(text).unwrap().len(), 5);
        let reports = place.path().join("reports");
        let dir = unpack(&packed, (&reports, "drill", "run")).unwrap();
        assert_eq!(dir, reports.join("drill/run"));
        assert_eq!(fs::read(dir.join("ops/page.ops")).unwrap(), vec![7; 3 << 19]);
        assert!(unpack(&packed, (&reports, "drill", "run")).is_err_and(|why| why.what.contains("already")));
    }

    #[test]
    fn an_archive_that_leads_elsewhere_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let (run, packed) = (place.path().join("run"), place.path().join("run.tar.gz"));
        fs::create_dir_all(&run).unwrap();
        fs::write(run.join("x"), "x").unwrap();
        archive::pack(&run, "other", 1, File::create(&packed).unwrap()).unwrap();
        let reports = place.path().join("reports");
        assert!(unpack(&packed, (&reports, "drill", "run")).is_err());
        assert!(!reports.join("drill/run").exists() && !reports.join("drill/.run.new").exists());
    }
}
