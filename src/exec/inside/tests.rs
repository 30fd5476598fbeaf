//! Runner and guardian over a cluster that is a map, on simulated time: who begins, who notices what, and who heals when.

use super::*;
use crate::adapters::kubernetes::{
    Allowed, Change, Cluster, Deletion, Facts, Flow, Inside, May, Object, Patch, Query, Stream, Write,
};
use crate::adapters::{CommandOutput, Fut};
use crate::clock::Clock;
use crate::event::AbortCause;
use crate::exec::StopSignal;
use crate::inside::{ANNOTATION_COLLECTED, ANNOTATION_HEALED};
use crate::model::RunId;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::future::ready;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Objects by where they are. Cut off, it answers nobody.
#[derive(Default)]
struct Map {
    objects: Mutex<BTreeMap<String, Value>>,
    cut: AtomicBool,
}

impl Map {
    fn with(leases: &[&str]) -> Arc<Self> {
        let map = Self::default();
        for name in leases {
            let at = seat().at(name).to_string();
            let lease = json!({"metadata": {"name": name, "resourceVersion": "1"}, "spec": {}});
            map.objects.lock().unwrap().insert(at, lease);
        }
        Arc::new(map)
    }

    fn answer<T>(
        &self,
        answer: impl FnOnce(&mut BTreeMap<String, Value>) -> Result<T, ClusterError>,
    ) -> Result<T, ClusterError> {
        if self.cut.load(Ordering::SeqCst) {
            return Err(ClusterError::Unreachable("cut".into()));
        }
        answer(&mut self.objects.lock().unwrap())
    }

    fn says(&self, pointer: &str) -> Value {
        let objects = self.objects.lock().unwrap();
        objects[&seat().runner().to_string()].pointer(pointer).cloned().unwrap_or_default()
    }

    fn pod(&self, name: &str, uid: &str) {
        let at = super::pod("drills", name).to_string();
        self.objects
            .lock()
            .unwrap()
            .insert(at, json!({"metadata": {"name": name, "uid": uid}, "status": {"phase": "Running"}}));
    }

    fn has_pod(&self, name: &str) -> bool {
        self.objects.lock().unwrap().contains_key(&super::pod("drills", name).to_string())
    }
}

fn merge(into: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    for (key, value) in patch {
        match value {
            Value::Null => drop(into.as_object_mut().unwrap().remove(key)),
            value => merge(&mut into[key], value),
        }
    }
}

fn no<T: Send + 'static>() -> Fut<'static, Result<T, ClusterError>> {
    Box::pin(ready(Err(ClusterError::Other("not in this map".into()))))
}

impl Cluster for Map {
    fn facts(&self) -> Facts {
        Facts { server: "map".into(), version: (1, 33), namespace: "drills".into() }
    }
    fn kind<'a>(&'a self, _: &'a str) -> Fut<'a, Result<Kind, ClusterError>> {
        no()
    }
    fn get<'a>(&'a self, at: &'a At) -> Fut<'a, Result<Option<Object>, ClusterError>> {
        Box::pin(ready(self.answer(|objects| Ok(objects.get(&at.to_string()).cloned().map(Object)))))
    }
    fn list<'a>(
        &'a self,
        _: &'a Query,
        _: &'a mut (dyn FnMut(Object) -> Flow + Send),
    ) -> Fut<'a, Result<String, ClusterError>> {
        no()
    }
    fn watch<'a>(
        &'a self,
        _: &'a Query,
        _: &'a str,
        _: Duration,
        _: &'a mut (dyn FnMut(Change) -> Flow + Send),
    ) -> Fut<'a, Result<(), ClusterError>> {
        no()
    }
    fn create<'a>(
        &'a self,
        _: &'a Kind,
        _: Option<&'a str>,
        _: &'a Value,
        _: Write,
    ) -> Fut<'a, Result<Object, ClusterError>> {
        no()
    }
    fn apply<'a>(&'a self, _: &'a At, _: &'a Value, _: Write) -> Fut<'a, Result<Object, ClusterError>> {
        no()
    }
    fn patch<'a>(
        &'a self,
        at: &'a At,
        _: Option<&'a str>,
        patch: &'a Patch,
        _: Write,
    ) -> Fut<'a, Result<Object, ClusterError>> {
        Box::pin(ready(self.answer(|objects| {
            let object = objects.get_mut(&at.to_string()).ok_or_else(|| ClusterError::Missing(at.to_string()))?;
            let version: u64 = object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
            match patch {
                Patch::Merge(patch) => {
                    let wanted = patch.pointer("/metadata/resourceVersion").and_then(Value::as_str);
                    if wanted.is_some_and(|wanted| wanted != version.to_string()) {
                        return Err(ClusterError::Conflict(at.to_string()));
                    }
                    merge(object, patch);
                }
                Patch::Json(steps) => {
                    for step in steps.as_array().unwrap() {
                        let path = step["path"].as_str().unwrap().trim_start_matches("/spec/");
                        match step["op"].as_str() {
                            Some("test") if object["spec"].get(path) != Some(&step["value"]) => {
                                return Err(ClusterError::Invalid(at.to_string()));
                            }
                            Some("add") => object["spec"][path] = step["value"].clone(),
                            _ => {}
                        }
                    }
                }
                Patch::Strategic(_) => return Err(ClusterError::Invalid(at.to_string())),
            }
            object["metadata"]["resourceVersion"] = json!((version + 1).to_string());
            Ok(Object(object.clone()))
        })))
    }
    fn delete<'a>(&'a self, at: &'a At, how: &'a Deletion, _: Write) -> Fut<'a, Result<(), ClusterError>> {
        Box::pin(ready(self.answer(|objects| {
            let uid = objects.get(&at.to_string()).and_then(|object| object["metadata"]["uid"].as_str());
            match uid {
                None => Err(ClusterError::Missing(at.to_string())),
                Some(uid) if how.uid.as_deref().is_some_and(|wanted| wanted != uid) => {
                    Err(ClusterError::Conflict(at.to_string()))
                }
                Some(_) => {
                    objects.remove(&at.to_string());
                    Ok(())
                }
            }
        })))
    }
    fn evict<'a>(&'a self, _: &'a At, _: &'a Deletion, _: Write) -> Fut<'a, Result<(), ClusterError>> {
        no()
    }
    fn exec<'a>(&'a self, _: &'a Inside, _: &'a [String], _: Duration) -> Fut<'a, Result<CommandOutput, ClusterError>> {
        no()
    }
    fn logs<'a>(
        &'a self,
        _: &'a Inside,
        _: Duration,
        _: &'a mut (dyn FnMut(&str) -> Flow + Send),
    ) -> Fut<'a, Result<(), ClusterError>> {
        no()
    }
    fn connect<'a>(&'a self, _: &'a Inside, _: u16, _: Duration) -> Fut<'a, Result<Box<dyn Stream>, ClusterError>> {
        no()
    }
    fn may<'a>(&'a self, _: &'a May) -> Fut<'a, Result<Allowed, ClusterError>> {
        no()
    }
}

fn seat() -> Seat {
    Seat { namespace: "drills".into(), lease: "run".into() }
}

fn sitter(pod: &str) -> Sitter {
    Sitter { pod: pod.into(), uid: format!("{pod}-uid") }
}

/// Keeps what it was told, and can fail.
#[derive(Default)]
struct Healer {
    healed: Mutex<Vec<String>>,
    open: Option<String>,
    /// The runner's pod at that moment.
    map: Option<Arc<Map>>,
}

impl Healing for Healer {
    fn heal<'a>(&'a self, run: &'a RunId) -> Fut<'a, Result<String, String>> {
        let alive = self.map.as_ref().is_some_and(|map| map.has_pod("runner"));
        assert!(!alive, "it heals while its runner may still act");
        self.healed.lock().unwrap().push(run.to_string());
        Box::pin(ready(self.open.clone().map_or_else(|| Ok("one fault".to_owned()), Err)))
    }
    fn say(&self, _: &str) {}
}

const WAIT: Duration = Duration::from_secs(60);

fn guarding(map: &Arc<Map>, clock: &Clock, healer: Arc<Healer>) -> tokio::task::JoinHandle<Result<Guarded, SeatError>> {
    let (map, clock): (Arc<dyn Cluster>, Clock) = (Arc::clone(map) as _, clock.clone());
    tokio::spawn(async move {
        let (seat, me, stop) = (seat(), sitter("guardian"), StopSignal::new());
        guard(&clock, map, (&seat, &me, WAIT), (&stop, healer.as_ref())).await
    })
}

async fn beginning(map: &Arc<Map>, clock: &Clock, stop: &StopSignal) -> Result<Kept, SeatError> {
    let (map, seat, me, run): (Arc<dyn Cluster>, _, _, _) =
        (Arc::clone(map) as _, seat(), sitter("runner"), RunId("r1".into()));
    begin(clock, map, (&seat, &me, &run), WAIT, stop).await
}

fn both() -> Arc<Map> {
    let map = Map::with(&["run", "run-guardian"]);
    map.pod("runner", "runner-uid");
    map
}

#[tokio::test(start_paused = true)]
async fn a_run_begins_when_its_guardian_watches_and_ends_with_a_goodbye() {
    let (map, clock, stop) = (both(), Clock::simulated(), StopSignal::new());
    let healer = Arc::new(Healer::default());
    let guardian = guarding(&map, &clock, Arc::clone(&healer));
    let kept = beginning(&map, &clock, &stop).await.unwrap();
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(stop.requested(), None);
    let packed = Packed { digest: "d1".into(), size: 7 };
    let collect = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        lease::note(map.as_ref(), &seat().runner(), json!({ANNOTATION_COLLECTED: "d1"})).await
    };
    let (handed, _) = tokio::join!(kept.hand_over(&packed, 0, WAIT), collect);
    assert_eq!(handed, Ok(Collected::Yes));
    kept.release().await.unwrap();
    assert_eq!(guardian.await.unwrap(), Ok(Guarded::Released));
    assert!(healer.healed.lock().unwrap().is_empty() && map.has_pod("runner"));
    assert_eq!(map.says("/metadata/annotations/blackstart.dev~1exit"), "0");
}

#[tokio::test(start_paused = true)]
async fn without_a_guardian_nothing_begins() {
    let (map, clock, stop) = (both(), Clock::simulated(), StopSignal::new());
    let refused = beginning(&map, &clock, &stop).await.err();
    assert!(matches!(&refused, Some(SeatError::Unguarded(why)) if why.contains("60 s")), "{refused:?}");
    // Nobody has to be waited for afterwards.
    assert_eq!(map.says("/spec/holderIdentity"), Value::Null);
    let none = beginning(&Map::with(&[]), &clock, &stop).await.err();
    assert!(matches!(none, Some(SeatError::Missing(_))), "{none:?}");
}

#[tokio::test(start_paused = true)]
async fn a_runner_that_falls_silent_is_ended_and_healed() {
    let (map, clock, stop) = (both(), Clock::simulated(), StopSignal::new());
    let healer = Arc::new(Healer { map: Some(Arc::clone(&map)), ..Healer::default() });
    let guardian = guarding(&map, &clock, Arc::clone(&healer));
    let kept = beginning(&map, &clock, &stop).await.unwrap();
    tokio::time::sleep(Duration::from_secs(30)).await;
    let begun = clock.mono();
    // As when the pod is killed: no goodbye.
    drop(kept);
    assert_eq!(guardian.await.unwrap(), Ok(Guarded::TookOver(Ok("one fault".into()))));
    let took = clock.mono().since(begun).as_secs();
    assert!((12..=30).contains(&took), "{took} s");
    assert_eq!(*healer.healed.lock().unwrap(), ["r1"]);
    assert_eq!(map.says(&format!("/metadata/annotations/{}", ANNOTATION_HEALED.replace('/', "~1"))), "ok: one fault");
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_healed_is_said_and_not_called_ended() {
    let (map, clock, stop) = (both(), Clock::simulated(), StopSignal::new());
    let healer = Arc::new(Healer { open: Some("`f`: no".into()), ..Healer::default() });
    let guardian = guarding(&map, &clock, healer);
    drop(beginning(&map, &clock, &stop).await.unwrap());
    assert_eq!(guardian.await.unwrap(), Ok(Guarded::TookOver(Err("`f`: no".into()))));
    assert_eq!(map.says("/metadata/annotations/blackstart.dev~1ended"), Value::Null);
}

#[tokio::test(start_paused = true)]
async fn a_runner_that_cannot_renew_stops_before_its_guardian_acts() {
    let (map, clock, stop) = (both(), Clock::simulated(), StopSignal::new());
    let healer = Arc::new(Healer::default());
    let guardian = guarding(&map, &clock, Arc::clone(&healer));
    let kept = beginning(&map, &clock, &stop).await.unwrap();
    tokio::time::sleep(Duration::from_secs(20)).await;
    map.cut.store(true, Ordering::SeqCst);
    let begun = clock.mono();
    stop.wait().await;
    let took = clock.mono().since(begun).as_secs();
    assert!((5..15).contains(&took), "{took} s");
    assert!(matches!(stop.requested(), Some(AbortCause::Guardian(why)) if why.contains("renewed")));
    // A guardian that sees nothing does not take that for silence.
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert!(!guardian.is_finished() && healer.healed.lock().unwrap().is_empty());
    drop(kept);
    guardian.abort();
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_guardian_is_lost_stops() {
    let (map, clock, stop) = (both(), Clock::simulated(), StopSignal::new());
    let guardian = guarding(&map, &clock, Arc::new(Healer::default()));
    let kept = beginning(&map, &clock, &stop).await.unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    guardian.abort();
    let begun = clock.mono();
    stop.wait().await;
    let took = clock.mono().since(begun).as_secs();
    assert!((20..=45).contains(&took), "{took} s");
    kept.release().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_guardian_that_comes_after_a_lost_one_goes_on() {
    let (map, clock, stop) = (both(), Clock::simulated(), StopSignal::new());
    let (first, healer) = (guarding(&map, &clock, Arc::new(Healer::default())), Arc::new(Healer::default()));
    let kept = beginning(&map, &clock, &stop).await.unwrap();
    first.abort();
    let second = tokio::spawn({
        let (map, clock, healer): (Arc<dyn Cluster>, _, _) =
            (Arc::clone(&map) as _, clock.clone(), Arc::clone(&healer));
        async move {
            let (seat, me, stop) = (seat(), sitter("guardian-2"), StopSignal::new());
            guard(&clock, map, (&seat, &me, WAIT), (&stop, healer.as_ref())).await
        }
    });
    tokio::time::sleep(Duration::from_secs(90)).await;
    assert_eq!(stop.requested(), None, "a successor within two Leases is soon enough");
    drop(kept);
    assert!(matches!(second.await.unwrap(), Ok(Guarded::TookOver(Ok(_)))));
}
