//! Records in the cluster: the journaled intent of an open fault as a ConfigMap, so that it is healed though the runner, its
//! machine and its state directory are gone. No secret stands in it, as none stands in the journal.

use super::{FAULT, PART, ours, why};
use crate::adapters::World;
use crate::adapters::kubernetes::{Cluster, ClusterError, Deletion, Flow, Kind, Object, Query, Write};
use crate::event::FaultIntent;
use crate::faults::kubernetes::{Home, OWNER_LABEL, RECORD_LABEL};
use crate::model::{Owner, RunId};
use serde_json::json;
use std::collections::BTreeMap;

/// A ConfigMap holds a MiB, and what is in it grows a little on the way.
const SIZE: usize = 512 << 10;
/// More than that is no record any more but a backup.
const PARTS: usize = 16;

/// An open fault as the cluster knows it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Record {
    pub tag: String,
    pub run: RunId,
    /// The machine of its runner.
    pub host: String,
    /// When it was written, UTC; the order in which faults were injected.
    pub written: String,
    pub namespace: String,
    /// Why nobody can heal from it, if so.
    pub intent: Result<FaultIntent, String>,
}

fn kind() -> Kind {
    Kind::of("", "v1", "ConfigMap", "configmaps", crate::adapters::kubernetes::Scope::Namespaced)
}

/// The first part has the tag's own name.
fn name(tag: &str, part: usize) -> String {
    if part == 0 { format!("blackstart-{tag}") } else { format!("blackstart-{tag}-{}", part + 1) }
}

/// Writes it. The first part is written last: without it there is no record.
pub(super) async fn write(home: &Home, owner: &Owner, intent: &FaultIntent, world: &World) -> Result<(), String> {
    let cluster = world.clusters.open(&home.access).await.map_err(|e| why(&e))?;
    let text = serde_json::to_string(intent).map_err(|e| e.to_string())?;
    let parts = split(&text);
    if parts.len() > PARTS {
        let (has, most) = (text.len() >> 20, (SIZE * PARTS) >> 20);
        return Err(format!("it has {has} MiB, and {most} can be kept; choose fewer objects"));
    }
    let stamp = world.clock.stamp().wall.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
    let host = crate::adapters::host::name().unwrap_or_default();
    for (number, part) in parts.iter().enumerate().rev() {
        let object = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": name(&owner.tag(), number),
                "labels": {OWNER_LABEL: owner.tag(), RECORD_LABEL: if number == 0 { FAULT } else { PART }},
            },
            "data": {
                "run": owner.run.as_str(), "fault": intent.fault.as_str(), "host": host, "written": stamp,
                "part": number.to_string(), "parts": parts.len().to_string(), "intent": part,
            },
        });
        make(&*cluster, home, owner, &Object(object)).await?;
    }
    Ok(())
}

/// Makes one part; one that an earlier round of the same step has left gives way.
async fn make(cluster: &dyn Cluster, home: &Home, owner: &Owner, object: &Object) -> Result<(), String> {
    let (kind, namespace) = (kind(), Some(home.namespace.as_str()));
    let at = kind.at(namespace, object.name());
    let mut made = cluster.create(&kind, namespace, &object.0, Write::Real).await;
    if let Err(ClusterError::Exists(_) | ClusterError::TimedOut(_)) = &made
        && let Some(there) = cluster.get(&at).await.map_err(|e| why(&e))?
    {
        if there.0["data"] == object.0["data"] {
            return Ok(());
        }
        if there.text("/data/run") != owner.run.as_str() {
            return Err(format!("{at} is there already, and is of the run {}", there.text("/data/run")));
        }
        let how = Deletion { uid: Some(there.uid().to_owned()), ..Deletion::default() };
        cluster.delete(&at, &how, Write::Real).await.map_err(|e| why(&e))?;
        made = cluster.create(&kind, namespace, &object.0, Write::Real).await;
    }
    made.map(drop).map_err(|e| why(&e))
}

/// Removes it, first its first part: what is left then heals nothing and is known to be nobody's.
pub(super) async fn remove(home: &Home, owner: &Owner, world: &World) -> Result<(), String> {
    let cluster = world.clusters.open(&home.access).await.map_err(|e| why(&e))?;
    let labels = format!("{OWNER_LABEL}={},{RECORD_LABEL} in ({FAULT},{PART})", owner.tag());
    let mut found = list(&*cluster, Some(&home.namespace), labels).await.map_err(|e| why(&e))?;
    found.sort_by(|a, b| a.name().len().cmp(&b.name().len()).then_with(|| a.name().cmp(b.name())));
    for object in found {
        let how = Deletion { uid: Some(object.uid().to_owned()), ..Deletion::default() };
        match cluster.delete(&object.at(&kind()), &how, Write::Real).await {
            Ok(()) | Err(ClusterError::Missing(_)) => {}
            Err(error) => return Err(why(&error)),
        }
    }
    Ok(())
}

async fn list(cluster: &dyn Cluster, namespace: Option<&str>, labels: String) -> Result<Vec<Object>, ClusterError> {
    let query = Query { kind: kind(), namespace: namespace.map(str::to_owned), labels, fields: String::new() };
    let mut found = Vec::new();
    let mut one = |object: Object| {
        found.push(object);
        Flow::On
    };
    cluster.list(&query, &mut one).await?;
    Ok(found)
}

/// All records there, oldest first, in a namespace or in all.
pub(super) async fn all(cluster: &dyn Cluster, namespace: Option<&str>) -> Result<Vec<Record>, ClusterError> {
    let found = list(cluster, namespace, ours(&format!("{FAULT},{PART}"))).await?;
    let mut records: Vec<Record> = Vec::new();
    let mut parts: BTreeMap<(String, String), BTreeMap<usize, String>> = BTreeMap::new();
    for object in &found {
        let tag = object.label(OWNER_LABEL).unwrap_or_default().to_owned();
        let number = object.text("/data/part").parse().unwrap_or_default();
        let namespace = object.namespace().unwrap_or_default().to_owned();
        parts.entry((namespace, tag)).or_default().insert(number, object.text("/data/intent").to_owned());
    }
    for object in found.iter().filter(|object| object.label(RECORD_LABEL) == Some(FAULT)) {
        let (tag, namespace) = (object.label(OWNER_LABEL).unwrap_or_default(), object.namespace().unwrap_or_default());
        let own = parts.remove(&(namespace.to_owned(), tag.to_owned())).unwrap_or_default();
        let wanted: usize = object.text("/data/parts").parse().unwrap_or(1);
        let text: String = (0..wanted).filter_map(|part| own.get(&part).map(String::as_str)).collect();
        let intent: Result<FaultIntent, String> = serde_json::from_str(&text)
            .map_err(|e| format!("its record {namespace}/{} cannot be read: {e}", object.name()));
        let run = RunId(object.text("/data/run").to_owned());
        // A record that somebody has put under another tag would heal something else than it says.
        let intent = intent.and_then(|intent| {
            let owner = Owner { run: run.clone(), fault: intent.fault.clone() };
            if owner.tag() == tag {
                Ok(intent)
            } else {
                Err(format!("its record {namespace}/{} is of `{owner}`", object.name()))
            }
        });
        let text = |pointer: &str| object.text(pointer).to_owned();
        let (host, written) = (text("/data/host"), text("/data/written"));
        records.push(Record { tag: tag.to_owned(), run, host, written, namespace: namespace.to_owned(), intent });
    }
    records.sort_by(|a, b| (&a.written, &a.tag).cmp(&(&b.written, &b.tag)));
    Ok(records)
}

/// Pieces that each fit into an object; never within a character.
fn split(text: &str) -> Vec<&str> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while rest.len() > SIZE {
        let end = (0..=SIZE).rev().find(|at| rest.is_char_boundary(*at)).unwrap_or(rest.len());
        let (piece, after) = rest.split_at(end);
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_record_is_split_and_nothing_is_lost() {
        for text in [String::new(), "x".repeat(SIZE), "ü".repeat(SIZE), format!("a{}", "€".repeat(SIZE))] {
            let pieces = split(&text);
            assert!(pieces.iter().all(|piece| piece.len() <= SIZE));
            assert_eq!(pieces.concat(), text);
        }
        assert_eq!((name("bs-0", 0), name("bs-0", 1)), ("blackstart-bs-0".to_owned(), "blackstart-bs-0-2".to_owned()));
    }
}
