//! The life of process faults in the simulated world: the same as on real processes, with no time passing outside.

use blackstart::adapters::{Fut, Vault, World};
use blackstart::clock::Clock;
use blackstart::faults::{Cx, FaultSpec, PreparedFault, Scope};
use blackstart::model::{Owner, PinnedTarget, Reference, TargetRef};
use blackstart::sim::{Cluster, Lies, Settings};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

/// The one target is whoever leads the simulated cluster; pinned once it was asked for.
struct Leader {
    world: World,
    pinned: Mutex<Option<PinnedTarget>>,
}

fn owner() -> Owner {
    Owner { run: "r1".into(), fault: "f1".into() }
}

impl Scope for Leader {
    fn lookup(&self, reference: &Reference) -> Result<String, String> {
        Err(format!("no {reference}"))
    }

    fn target<'a>(&'a self, target: &'a TargetRef) -> Fut<'a, Result<PinnedTarget, String>> {
        Box::pin(async move {
            if let (TargetRef::Pinned(_), Some(pinned)) = (target, self.pinned.lock().unwrap().clone()) {
                return Ok(pinned);
            }
            let spec = serde_json::from_value(serde_json::json!({"argv": ["pid", "leader"]})).unwrap();
            let cx = Cx { world: &self.world, scope: self, owner: owner() };
            let said = cx.run_command(&spec).await.map_err(|e| e.to_string())?;
            let pid = said.answer.trim().parse().map_err(|_| "no pid".to_owned())?;
            let who = self.world.processes.identify(pid).map_err(|e| e.to_string())?.ok_or("the leader is dead")?;
            let found = PinnedTarget { name: "leader".into(), processes: vec![who], ..PinnedTarget::default() };
            *self.pinned.lock().unwrap() = Some(found.clone());
            Ok(found)
        })
    }

    fn url(&self, target: &TargetRef) -> Result<String, String> {
        Err(format!("`{}` has no URL", target.name()))
    }

    fn base(&self) -> PathBuf {
        "/simulated".into()
    }

    fn vault(&self) -> Vault {
        Vault::at(&self.base().join("state"))
    }
}

async fn until(fault: &PreparedFault, cx: &Cx<'_>, look: impl AsyncFn(&PreparedFault, &Cx<'_>) -> bool) {
    for _ in 0..10_000 {
        if look(fault, cx).await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never held");
}

async fn conforms(spec: serde_json::Value) {
    let settings = Settings {
        seed: 1,
        lag: Duration::from_millis(100),
        check_every: Duration::from_millis(100),
        // No failover: the leader stays the one that was hit.
        failures: None,
        restart: Duration::from_millis(700),
        disturbances: Vec::new(),
        lies: Lies::default(),
    };
    let cluster = Cluster::new(Clock::simulated(), settings);
    let world = cluster.world();
    let scope = Leader { world: world.clone(), pinned: Mutex::new(None) };
    let cx = Cx { world: &world, scope: &scope, owner: owner() };
    let spec: FaultSpec = serde_json::from_value(spec).unwrap();
    let fault = PreparedFault { undo: spec.prepare(&cx).await.unwrap(), spec };
    assert!(!fault.effective(&cx).await.unwrap().holds);
    for _ in 0..2 {
        fault.inject(&cx).await.unwrap();
        until(&fault, &cx, async |f, cx| f.effective(cx).await.unwrap().holds).await;
    }
    assert!(fault.spec.prepare(&cx).await.is_err(), "there is nothing left to break");
    // Another process has only the journaled text, and nothing pinned.
    let undo = serde_json::to_string(&fault.undo).unwrap();
    let other = PreparedFault { spec: fault.spec.clone(), undo: serde_json::from_str(&undo).unwrap() };
    let elsewhere = Leader { world: world.clone(), pinned: Mutex::new(None) };
    let cx = Cx { world: &world, scope: &elsewhere, owner: owner() };
    for _ in 0..2 {
        other.heal(&cx).await.unwrap();
        until(&other, &cx, async |f, cx| f.healed(cx).await.unwrap().holds).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_kill_conforms_in_simulated_time() {
    conforms(serde_json::json!({"process_kill": {"target": "leader", "back": {"command": {"argv": ["start"]}}}})).await;
}

#[tokio::test(start_paused = true)]
async fn a_pause_conforms_in_simulated_time() {
    conforms(serde_json::json!({"process_pause": {"target": "leader"}})).await;
}
