//! One drill per target at a time: a file per target in the state directory, held by the kernel as long as its runner
//! lives, and by its open faults after that. What identifies a target is decided here, too.

use super::objects;
use crate::journal::state::Index;
use crate::model::{PinnedTarget, RunId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A lock file that is replaced under our hands is opened again so often.
const ATTEMPTS: u32 = 100;

/// Who holds a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Holder {
    /// What is held.
    pub target: String,
    /// By which run.
    pub run: RunId,
    /// Its process.
    pub pid: u32,
    /// Until then at the latest, UTC.
    pub until: String,
}

/// A target that is ours; free again when this is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    key: String,
    file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While it is still locked: whoever waits for it sees that the file is another one, and opens that.
        let _gone = fs::remove_file(&self.path);
        let _unlocked = self.file.unlock();
    }
}

/// What makes a target the same for two drills, whatever they call it.
pub(super) fn keys(targets: &[PinnedTarget]) -> BTreeSet<String> {
    targets.iter().flat_map(key).collect()
}

fn key(target: &PinnedTarget) -> Vec<String> {
    if !target.processes.is_empty() {
        return target.processes.iter().map(|p| format!("process {} of boot {}", p.pid, p.boot)).collect();
    }
    let field = |name: &str| target.fields.get(name).map(String::as_str).unwrap_or_default();
    if !target.objects.is_empty() {
        let parts = objects::parts(&target.objects);
        return parts.into_iter().map(|part| format!("{part} of the cluster {}", field("server"))).collect();
    }
    if !field("identity").is_empty() {
        return vec![format!("{} {}", target.kind, field("identity"))];
    }
    if !field("host").is_empty() {
        let host = if field("host") == "localhost" { "127.0.0.1" } else { field("host") };
        return vec![format!("address {host}:{}", field("port"))];
    }
    let fields: Vec<String> = target.fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
    vec![format!("{} {}", target.kind, fields.join(" "))]
}

/// Takes those that are not held yet by `mine`; all or none. `Err` says who has them.
pub(super) fn take(
    state_dir: &Path,
    index: &Index,
    wanted: BTreeSet<String>,
    holder: impl Fn(String) -> Holder,
    mine: &[Lock],
) -> Result<Vec<Lock>, Vec<String>> {
    let folder = state_dir.join("locks");
    fs::create_dir_all(&folder).map_err(|e| vec![format!("cannot make {}: {e}", folder.display())])?;
    let (mut taken, mut held) = (Vec::new(), Vec::new());
    for key in wanted.into_iter().filter(|key| mine.iter().all(|lock| lock.key != *key)) {
        match one(&folder, index, holder(key.clone())) {
            Ok(lock) => taken.push(lock),
            Err(why) => held.push(why),
        }
    }
    if held.is_empty() { Ok(taken) } else { Err(held) }
}

fn one(folder: &Path, index: &Index, holder: Holder) -> Result<Lock, String> {
    let key = holder.target.clone();
    let digest = Sha256::digest(key.as_bytes());
    let name: String = digest.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    let path = folder.join(name);
    let cannot = |e: io::Error| format!("cannot lock {key} ({}): {e}", path.display());
    for _ in 0..ATTEMPTS {
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(cannot)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(busy(&key, said(&mut file).as_ref())),
            Err(TryLockError::Error(error)) => return Err(cannot(error)),
        }
        let ours = file.metadata().map_err(cannot)?;
        if fs::metadata(&path).is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())) {
            // Its runner is dead; its faults may not be.
            let before = said(&mut file).filter(|before| before.run != holder.run);
            if let Some(before) = before.filter(|before| open_still(index, &before.run)) {
                return Err(format!("{key} is still held by the open faults of the run {}", before.run));
            }
            write(&mut file, &holder).map_err(cannot)?;
            return Ok(Lock { path, key, file });
        }
    }
    Err(format!("cannot lock {key}: others take and free it all the time"))
}

fn open_still(index: &Index, run: &RunId) -> bool {
    index.list().is_ok_and(|runs| runs.iter().any(|open| open.run == *run))
}

fn busy(key: &str, holder: Option<&Holder>) -> String {
    match holder {
        Some(Holder { run, pid, until, .. }) => {
            format!("{key} is held by the run {run} (pid {pid}), until {until} at the latest")
        }
        None => format!("{key} is held by another run"),
    }
}

fn said(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(1 << 16).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

fn write(file: &mut File, holder: &Holder) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(serde_json::to_string(holder)?.as_bytes())?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ProcessIdentity;
    use std::collections::BTreeMap;

    fn holder(run: &str) -> impl Fn(String) -> Holder {
        let run = RunId::from(run);
        move |target| Holder { target, run: run.clone(), pid: 7, until: "12:00".into() }
    }

    fn wanted(keys: &[&str]) -> BTreeSet<String> {
        keys.iter().map(|k| (*k).to_owned()).collect()
    }

    #[test]
    fn the_second_is_told_who_was_first_and_may_when_it_is_over() {
        let dir = tempfile::tempdir().unwrap();
        let index = Index::open(dir.path()).unwrap();
        let first = take(dir.path(), &index, wanted(&["a", "b"]), holder("r1"), &[]).unwrap();
        let why = take(dir.path(), &index, wanted(&["b", "c"]), holder("r2"), &[]).unwrap_err();
        assert_eq!(why, ["b is held by the run r1 (pid 7), until 12:00 at the latest"]);
        let free = take(dir.path(), &index, wanted(&["c"]), holder("r2"), &[]).unwrap();
        assert!(take(dir.path(), &index, wanted(&["a"]), holder("r1"), &first).unwrap().is_empty());
        drop((first, free));
        assert_eq!(fs::read_dir(dir.path().join("locks")).unwrap().count(), 0, "nothing is left");
        assert_eq!(take(dir.path(), &index, wanted(&["b"]), holder("r2"), &[]).unwrap().len(), 1);
    }

    #[test]
    fn a_dead_runner_holds_its_target_only_while_its_faults_are_open() {
        let dir = tempfile::tempdir().unwrap();
        let index = Index::open(dir.path()).unwrap();
        let lock = take(dir.path(), &index, wanted(&["a"]), holder("r1"), &[]).unwrap().remove(0);
        // A death does not remove the file.
        let text = fs::read(&lock.path).unwrap();
        let path = lock.path.clone();
        drop(lock);
        fs::write(&path, text).unwrap();
        index.add(&RunId::from("r1"), dir.path()).unwrap();
        let why = take(dir.path(), &index, wanted(&["a"]), holder("r2"), &[]).unwrap_err();
        assert_eq!(why, ["a is still held by the open faults of the run r1"]);
        index.remove(&RunId::from("r1")).unwrap();
        assert!(take(dir.path(), &index, wanted(&["a"]), holder("r2"), &[]).is_ok());
    }

    #[test]
    fn a_target_is_the_same_whatever_it_is_called() {
        let of = |kind: &str, fields: &[(&str, &str)]| PinnedTarget {
            name: "x".into(),
            kind: kind.into(),
            fields: fields.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<BTreeMap<_, _>>(),
            ..PinnedTarget::default()
        };
        let url = of("http", &[("host", "localhost"), ("port", "80"), ("url", "http://localhost/a")]);
        let tcp = of("tcp", &[("host", "127.0.0.1"), ("port", "80"), ("address", "127.0.0.1:80")]);
        assert_eq!(keys(&[url]), keys(&[tcp]));
        let who = ProcessIdentity { pid: 5, started: 1, boot: "b".into(), name: "n".into() };
        let process = PinnedTarget { processes: vec![who], ..of("process", &[("pid", "5"), ("name", "x")]) };
        assert_eq!(keys(&[process]), wanted(&["process 5 of boot b"]));
        let pod = |name: &str| crate::model::ObjectRef {
            api: "v1".into(),
            kind: "Pod".into(),
            namespace: Some("shop".into()),
            name: name.into(),
            uid: name.into(),
            node: None,
            zone: None,
        };
        let pods = PinnedTarget { objects: vec![pod("a"), pod("b")], ..of("kubernetes", &[("server", "https://c")]) };
        assert_eq!(keys(&[pods]), wanted(&["namespace shop of the cluster https://c"]));
        assert_eq!(keys(&[of("file", &[("identity", "/srv/a"), ("path", "a")])]), wanted(&["file /srv/a"]));
    }
}
