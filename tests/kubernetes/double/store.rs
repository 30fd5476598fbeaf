//! What the server keeps: objects, a version that counts every change, and the changes of late for watches and pages.

use super::json::{name, namespace, set};
use super::kinds::Kind;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Where an object is: its kind (by place in the registry), namespace (empty for none) and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    pub kind: usize,
    pub namespace: String,
    pub name: String,
}

/// A change.
#[derive(Debug, Clone)]
pub struct Event {
    pub version: u64,
    pub key: Key,
    pub old: Option<Arc<Value>>,
    /// None: deleted; then `old` has the version of the deletion.
    pub new: Option<Arc<Value>>,
}

type Objects = BTreeMap<Key, Arc<Value>>;

/// Objects and their recent past.
pub struct Store {
    pub kinds: Vec<Kind>,
    objects: Objects,
    version: u64,
    history: VecDeque<Event>,
    /// So many changes are remembered.
    pub memory: usize,
    /// Nothing up to this version is remembered.
    forgotten: u64,
    counter: u64,
    tell: tokio::sync::watch::Sender<u64>,
}

impl Store {
    pub fn new(kinds: Vec<Kind>) -> Self {
        let tell = tokio::sync::watch::channel(1).0;
        let (objects, history) = (Objects::new(), VecDeque::new());
        Self { kinds, objects, version: 1, history, memory: 50_000, forgotten: 0, counter: 0, tell }
    }

    pub fn version(&self) -> u64 {
        self.version
    }

    pub fn oldest(&self) -> u64 {
        self.forgotten
    }

    /// Hears of every change.
    pub fn listen(&self) -> tokio::sync::watch::Receiver<u64> {
        self.tell.subscribe()
    }

    /// Forgets what was: versions before now are too old.
    pub fn forget(&mut self) {
        self.history.clear();
        self.forgotten = self.version;
    }

    /// The place of a kind in the registry, by plural and group.
    pub fn find(&self, group: &str, plural: &str) -> Option<usize> {
        self.kinds.iter().position(|k| k.group == group && k.plural == plural)
    }

    /// One that is always there.
    pub fn kind(&self, group: &str, plural: &str) -> usize {
        self.find(group, plural).unwrap_or_else(|| panic!("no kind {plural} in `{group}`"))
    }

    /// The place of a kind by what an object says of itself.
    pub fn kind_of(&self, object: &Value) -> Option<usize> {
        let api = object["apiVersion"].as_str()?;
        let group = api.rsplit_once('/').map_or("", |(group, _)| group);
        self.kinds.iter().position(|k| k.group == group && Some(k.kind.as_str()) == object["kind"].as_str())
    }

    pub fn key(&self, kind: usize, namespace: &str, name: &str) -> Key {
        let namespace = if self.kinds[kind].namespaced { namespace } else { "" };
        Key { kind, namespace: namespace.to_owned(), name: name.to_owned() }
    }

    pub fn key_of(&self, kind: usize, object: &Value) -> Key {
        self.key(kind, namespace(object), name(object))
    }

    pub fn get(&self, key: &Key) -> Option<Arc<Value>> {
        self.objects.get(key).cloned()
    }

    /// All of a kind, in a namespace or in all, by namespace and name.
    pub fn all(&self, kind: usize, namespace: Option<&str>) -> Vec<Arc<Value>> {
        self.range(kind, namespace).map(|(_, object)| object.clone()).collect()
    }

    /// The same with their keys.
    pub fn range(&self, kind: usize, namespace: Option<&str>) -> impl Iterator<Item = (&Key, &Arc<Value>)> {
        let from = Key { kind, namespace: namespace.unwrap_or_default().to_owned(), name: String::new() };
        let only = namespace.map(str::to_owned);
        let fits = move |key: &Key| key.kind == kind && only.as_ref().is_none_or(|n| *n == key.namespace);
        self.objects.range(from..).take_while(move |(key, _)| fits(key))
    }

    /// A kind's objects as they were at a version; none if that is forgotten.
    pub fn snapshot(&self, kind: usize, version: u64) -> Option<Vec<(Key, Arc<Value>)>> {
        if version < self.forgotten {
            return None;
        }
        let mut then: Objects = self.range(kind, None).map(|(k, o)| (k.clone(), o.clone())).collect();
        for event in self.history.iter().rev().take_while(|e| e.version > version).filter(|e| e.key.kind == kind) {
            match (&event.old, &event.new) {
                (Some(old), _) => then.insert(event.key.clone(), old.clone()),
                (None, _) => then.remove(&event.key),
            };
        }
        Some(then.into_iter().collect())
    }

    /// What changed of a kind after a version.
    pub fn after(&self, kind: usize, version: u64) -> Vec<Event> {
        let start = self.history.partition_point(|e| e.version <= version);
        self.history.range(start..).filter(|e| e.key.kind == kind).cloned().collect()
    }

    /// A new uid or a suffix of a name: never the same twice, the same in every run.
    pub fn count(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// A uid.
    pub fn uid(&mut self) -> String {
        let n = self.count();
        format!("{:08x}-0b1a-4c57-a27d-{n:012x}", n.wrapping_mul(2_654_435_761) & 0xffff_ffff)
    }

    /// Five letters that make a name unique.
    pub fn suffix(&mut self) -> String {
        const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        let mut n = self.count().wrapping_mul(7_919_317) % 14_348_907;
        let mut word = String::new();
        for _ in 0..5 {
            word.push(char::from(LETTERS[usize::try_from(n % 27).unwrap_or(0)]));
            n /= 27;
        }
        word
    }

    /// Keeps an object; as it is kept.
    pub fn put(&mut self, key: &Key, mut object: Value) -> Arc<Value> {
        self.version += 1;
        set(&mut object, &["metadata", "resourceVersion"], self.version.to_string());
        let object = Arc::new(object);
        let old = self.objects.insert(key.clone(), object.clone());
        self.remember(key, old, Some(object.clone()));
        object
    }

    /// Changes an object if the closure does.
    pub fn change(&mut self, key: &Key, how: impl FnOnce(&mut Value)) -> Option<Arc<Value>> {
        let old = self.get(key)?;
        let mut new = Value::clone(&old);
        how(&mut new);
        Some(if new == *old { old } else { self.put(key, new) })
    }

    /// Takes an object away; as it was last.
    pub fn remove(&mut self, key: &Key) -> Option<Arc<Value>> {
        let old = self.objects.remove(key)?;
        self.version += 1;
        self.remember(key, Some(old.clone()), None);
        Some(old)
    }

    fn remember(&mut self, key: &Key, old: Option<Arc<Value>>, new: Option<Arc<Value>>) {
        self.history.push_back(Event { version: self.version, key: key.clone(), old, new });
        while self.history.len() > self.memory {
            self.forgotten = self.history.pop_front().map_or(self.forgotten, |e| e.version);
        }
        self.tell.send_replace(self.version);
    }

    /// The API that a request speaks, as `apiVersion` has it.
    pub fn api(&self, call: &super::call::Call) -> String {
        let group = &self.kinds[call.kind].group;
        if group.is_empty() { call.version.clone() } else { format!("{group}/{}", call.version) }
    }

    /// An object as a version of its API shows it.
    pub fn shown(&self, kind: usize, version: &str, object: &Value) -> Value {
        let kind = &self.kinds[kind];
        let api = if kind.group.is_empty() { version.to_owned() } else { format!("{}/{version}", kind.group) };
        let mut shown = json!({"kind": kind.kind, "apiVersion": api});
        if let (Some(shown), Some(object)) = (shown.as_object_mut(), object.as_object()) {
            let rest = object.iter().filter(|(k, _)| *k != "kind" && *k != "apiVersion");
            shown.extend(rest.map(|(k, v)| (k.clone(), v.clone())));
        }
        shown
    }
}
