//! What every kind of fault must hold, tried on real processes: a small bench with one process that can be killed,
//! started again and replaced. Tests only.

use super::{Cx, FaultSpec, PreparedFault, Scope, journaled};
use crate::adapters::{Fut, Sql, Vault, World};
use crate::model::{Owner, PinnedTarget, Reference, TargetRef};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SECRET: &str = "correct-horse-battery";

/// A process `victim` with a start script, in a folder of its own.
pub(crate) struct Bench {
    world: World,
    scope: BenchScope,
    _folder: tempfile::TempDir,
}

struct BenchScope {
    world: World,
    dir: PathBuf,
    pinned: Mutex<Option<PinnedTarget>>,
}

fn owner() -> Owner {
    Owner { run: "r1".into(), fault: "f1".into() }
}

impl Bench {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = folder.path().to_path_buf();
        // Until it is the victim that runs there, the process still bears the shell's name.
        let script = "#!/bin/sh\ncd \"$(dirname \"$0\")\" || exit 1\nsleep 600 >/dev/null 2>&1 & echo $! > pid\necho x >> starts\n\
             while read -r name < /proc/$!/comm && [ \"$name\" != sleep ]; do :; done\n";
        std::fs::write(dir.join("start.sh"), script).expect("a script");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(dir.join("start.sh"), mode).expect("executable");
        let world = World::system();
        let scope = BenchScope { world: world.clone(), dir, pinned: Mutex::new(None) };
        let bench = Self { world, scope, _folder: folder };
        bench.start();
        bench.pin().await;
        bench
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.scope.dir
    }

    pub(crate) fn cx(&self) -> Cx<'_> {
        Cx { world: &self.world, scope: &self.scope, owner: owner() }
    }

    /// Starts the victim (again).
    pub(crate) fn start(&self) {
        let script = self.dir().join("start.sh");
        assert!(Command::new(script).stdin(Stdio::null()).status().expect("it runs").success());
    }

    pub(crate) fn starts(&self) -> usize {
        std::fs::read_to_string(self.dir().join("starts")).map_or(0, |t| t.lines().count())
    }

    /// Kills the victim, whoever it is now.
    pub(crate) fn kill(&self) {
        if let Some(process) = self.scope.now() {
            self.world.processes.signal(&process, "KILL").expect("killed");
            for _ in 0..500 {
                if self.scope.now().is_none() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            panic!("pid {} does not die", process.pid);
        }
    }

    pub(crate) async fn pin(&self) {
        let now = self.scope.target(&TargetRef::Now("victim".into())).await.expect("it lives");
        *self.scope.pinned.lock().expect("lock") = Some(now);
    }

    pub(crate) async fn until<F: Future<Output = bool>>(&self, mut holds: impl FnMut() -> F) {
        for _ in 0..1000 {
            if holds().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never held");
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.kill();
    }
}

impl BenchScope {
    fn now(&self) -> Option<crate::model::ProcessIdentity> {
        let pid = std::fs::read_to_string(self.dir.join("pid")).ok()?.trim().parse().ok()?;
        self.world.processes.identify(pid).ok()?
    }
}

impl Scope for BenchScope {
    fn lookup(&self, reference: &Reference) -> Result<String, String> {
        match reference {
            Reference::Secret(_) => Ok(SECRET.to_owned()),
            Reference::Target(name, field) if name == "victim" && field == "name" => Ok("v1".to_owned()),
            other => Err(format!("no {other}")),
        }
    }

    fn target<'a>(&'a self, target: &'a TargetRef) -> Fut<'a, Result<PinnedTarget, String>> {
        Box::pin(async move {
            let pinned = self.pinned.lock().expect("lock").clone();
            match (target, pinned) {
                (TargetRef::Pinned(_), Some(pinned)) => Ok(pinned),
                _ => {
                    let process = self.now().ok_or("no such process")?;
                    let fields = BTreeMap::from([("name".to_owned(), "v1".to_owned())]);
                    let (name, kind) = ("victim".to_owned(), "process".to_owned());
                    Ok(PinnedTarget { name, kind, processes: vec![process], fields, ..Default::default() })
                }
            }
        })
    }

    fn url(&self, target: &TargetRef) -> Result<String, String> {
        Err(format!("`{}` has no URL", target.name()))
    }

    fn base(&self) -> PathBuf {
        self.dir.clone()
    }

    fn vault(&self) -> Vault {
        Vault::at(&self.dir.join("state"))
    }
}

/// The fault as another process would read it from the journal.
fn from_journal(spec: &FaultSpec, prepared: &PreparedFault, cx: &Cx<'_>) -> PreparedFault {
    let spec = journaled(serde_json::to_value(spec).expect("JSON"), cx);
    let undo = journaled(serde_json::to_value(&prepared.undo).expect("JSON"), cx);
    let text = format!("{spec}{undo}");
    assert!(!text.contains(SECRET), "a secret in the journal: {text}");
    assert!(!text.contains("${targets"), "only secrets may stay references: {text}");
    let read = |e| panic!("the journal cannot be read: {e}");
    PreparedFault {
        spec: serde_json::from_value(spec).unwrap_or_else(read),
        undo: serde_json::from_value(undo).unwrap_or_else(|e| panic!("the journal cannot be read: {e}")),
    }
}

async fn prepared(spec: &FaultSpec, cx: &Cx<'_>) -> PreparedFault {
    PreparedFault { spec: spec.clone(), undo: spec.prepare(cx).await.expect("prepared") }
}

/// Life of a fault: effective after injection, repeatable, healed by what the journal holds, also when its target was
/// replaced meanwhile.
pub(crate) async fn conforms(spec: FaultSpec, bench: &Bench) {
    let cx = bench.cx();
    let fault = prepared(&spec, &cx).await;
    assert!(!fault.effective(&cx).await.expect("a look").holds, "effective before it was injected");
    assert!(!fault.by_hand().is_empty());
    let other = from_journal(&spec, &fault, &cx);
    for _ in 0..2 {
        fault.inject(&cx).await.expect("injected");
        bench.until(|| async { fault.effective(&bench.cx()).await.expect("a look").holds }).await;
    }
    assert!(!other.healed(&cx).await.expect("a look").holds, "healed before it was healed");
    // Another process: no pinned targets, only the journal and the secrets.
    let stranger = BenchScope { world: bench.world.clone(), dir: bench.scope.dir.clone(), pinned: Mutex::new(None) };
    let elsewhere = Cx { world: &bench.world, scope: &stranger, owner: owner() };
    for _ in 0..2 {
        other.heal(&elsewhere).await.expect("healed");
        bench.until(|| async { other.healed(&bench.cx()).await.expect("a look").holds }).await;
    }
    bench.pin().await;
    let fault = prepared(&spec, &cx).await;
    fault.inject(&cx).await.expect("injected");
    bench.until(|| async { fault.effective(&bench.cx()).await.expect("a look").holds }).await;
    bench.kill();
    bench.start();
    fault.heal(&cx).await.expect("healed after the target was replaced");
    bench.until(|| async { fault.healed(&bench.cx()).await.expect("a look").holds }).await;
    let starts = bench.starts();
    fault.heal(&cx).await.expect("healed again");
    assert_eq!(bench.starts(), starts, "a heal that is not needed started something");
}

/// A database that answers what a test says; targets have a URL, and nothing else.
pub(crate) struct SqlBench {
    world: World,
    folder: tempfile::TempDir,
}

impl SqlBench {
    pub(crate) fn new(sql: Arc<dyn Sql>) -> Self {
        Self { world: World { sql, ..World::system() }, folder: tempfile::tempdir().expect("a folder") }
    }

    pub(crate) fn dir(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn cx(&self) -> Cx<'_> {
        Cx { world: &self.world, scope: self, owner: owner() }
    }
}

impl Scope for SqlBench {
    fn lookup(&self, reference: &Reference) -> Result<String, String> {
        Err(format!("no {reference}"))
    }

    fn target<'a>(&'a self, target: &'a TargetRef) -> Fut<'a, Result<PinnedTarget, String>> {
        Box::pin(async move { Err(format!("`{}` has only a URL", target.name())) })
    }

    fn url(&self, _: &TargetRef) -> Result<String, String> {
        Ok("postgresql://app@127.0.0.1:1/app".to_owned())
    }

    fn base(&self) -> PathBuf {
        self.dir().to_path_buf()
    }

    fn vault(&self) -> Vault {
        Vault::at(self.dir())
    }
}
