//! The truth program: from what the staging's processes wrote down, and from the data file of the node that led last,
//! it computes when service really was away and what really became of each write. It knows nothing of how the tool
//! measures and uses none of its code; it reads JSON lines and text.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Writer and sequence number.
pub type Key = (u64, u64);

/// A moment on CLOCK_MONOTONIC in nanoseconds, known to lie in `[lo, hi]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    pub lo: i64,
    pub hi: i64,
}

/// How the leader went away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    Died,
    Froze,
}

/// A time in which the leader could not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Away {
    pub node: String,
    pub cause: Cause,
    /// The leader stopped working.
    pub stop: Moment,
    /// Somebody works again for any request; nothing if nobody ever did.
    pub back: Option<Moment>,
    /// Somebody accepts writes again.
    pub writes_back: Option<Moment>,
    /// Who.
    pub back_by: Option<String>,
}

/// What became of the writes of one run.
#[derive(Debug, Default)]
pub struct Writes {
    /// Acknowledged as asked: the router handed a 200 to the client.
    pub acked: BTreeSet<Key>,
    /// Acknowledged, but only on one node, and the answer said so.
    pub local: BTreeSet<Key>,
    /// Definitely refused.
    pub failed: BTreeSet<Key>,
    /// Anything else that reached the router or a node.
    pub unknown: BTreeSet<Key>,
    /// Rows in the data file of the node that led last: how many of each, in its order.
    pub rows: BTreeMap<Key, u64>,
    /// When each write was first accepted by a node.
    pub accepted: BTreeMap<Key, i64>,
    /// Seeded lies: violation, and whom it was told about.
    pub lies: Vec<(String, Key)>,
}

impl Writes {
    pub fn lost(&self) -> BTreeSet<Key> {
        self.acked.iter().filter(|k| !self.rows.contains_key(k)).copied().collect()
    }

    /// How many of `keys` are there at the end.
    pub fn present(&self, keys: &BTreeSet<Key>) -> u64 {
        keys.iter().filter(|k| self.rows.contains_key(k)).count() as u64
    }

    /// Whether any client tried to write it.
    pub fn attempted(&self, key: &Key) -> bool {
        [&self.acked, &self.local, &self.failed, &self.unknown].iter().any(|class| class.contains(key))
    }

    pub fn told(&self, violation: &str) -> BTreeSet<Key> {
        self.lies.iter().filter(|(v, _)| v == violation).map(|(_, k)| *k).collect()
    }
}

/// Everything the staging knows about itself.
pub struct Truth {
    facts: BTreeMap<String, Vec<Fact>>,
    data: BTreeMap<String, String>,
}

struct Fact {
    t: i64,
    event: String,
    value: Value,
}

impl Fact {
    fn text(&self, key: &str) -> &str {
        self.value[key].as_str().unwrap_or("")
    }

    fn serves(&self) -> bool {
        matches!(self.event.as_str(), "accepted" | "read" | "visited")
    }

    fn key(&self) -> Key {
        (self.value["writer"].as_u64().unwrap(), self.value["seq"].as_u64().unwrap())
    }
}

impl Truth {
    /// Reads what the staging in `dir` wrote down.
    pub fn read(dir: &Path) -> Self {
        let facts = ["cluster", "a", "b"].map(|name| {
            let text = std::fs::read_to_string(dir.join("truth").join(format!("{name}.jsonl"))).unwrap();
            (name.to_owned(), text.lines().filter_map(parse).collect())
        });
        let data = ["a", "b"].map(|name| {
            (name.to_owned(), std::fs::read_to_string(dir.join(format!("{name}.data"))).unwrap_or_default())
        });
        Self { facts: facts.into(), data: data.into() }
    }

    /// Who led from when on.
    fn reigns(&self) -> Vec<(i64, String)> {
        let routed = self.facts["cluster"].iter().filter(|f| f.event == "routed_to");
        routed.map(|f| (f.t, f.text("node").to_owned())).collect()
    }

    /// The times in which the leader was dead or frozen, in order.
    pub fn away(&self) -> Vec<Away> {
        let reigns = self.reigns();
        let mut away: Vec<Away> = Vec::new();
        for (place, (from, node)) in reigns.iter().enumerate() {
            let next = reigns.get(place + 1);
            let until = next.map_or(i64::MAX, |n| n.0);
            let mut free_from = *from;
            for event in self.facts["cluster"].iter().filter(|f| f.text("node") == node && f.t < until) {
                let cause = match event.event.as_str() {
                    "child_exited" if !event.text("status").contains("exit status: 0") => Cause::Died,
                    "child_stopped" => Cause::Froze,
                    _ => continue,
                };
                if event.t < free_from {
                    continue;
                }
                let own = self.facts[node].iter().rfind(|f| f.t < event.t).map_or(*from, |f| f.t);
                let stop = Moment { lo: own, hi: event.t };
                let back = self.back(node, event.t, next);
                free_from = back.map_or(i64::MAX, |(_, _, moment)| moment.hi);
                let writes_back = back.and_then(|(leader, since, _)| self.writes_back(leader, since));
                let back_by = back.map(|(leader, ..)| leader.to_owned());
                away.push(Away { node: node.clone(), cause, stop, back: back.map(|b| b.2), writes_back, back_by });
            }
        }
        away
    }

    /// Who works again after the leader went away at `gone`, since when that was possible, and when it was first seen.
    fn back<'a>(&self, node: &'a str, gone: i64, next: Option<&'a (i64, String)>) -> Option<(&'a str, i64, Moment)> {
        let own = self.facts[node].iter().find(|f| f.t > gone && (f.event == "started" || f.serves())).map(|f| f.t);
        let (leader, since) = match (own, next) {
            (Some(own), Some((routed, _))) if own < *routed => (node, own),
            (Some(own), None) => (node, own),
            (_, Some((routed, other))) => (other.as_str(), *routed),
            (None, None) => return None,
        };
        let seen = self.facts[leader].iter().find(|f| f.t >= since && f.serves())?;
        Some((leader, since, Moment { lo: since, hi: seen.t }))
    }

    fn writes_back(&self, leader: &str, since: i64) -> Option<Moment> {
        let facts = &self.facts[leader];
        let first = facts.iter().find(|f| f.t >= since && f.event == "accepted")?.t;
        let refused = facts.iter().rfind(|f| f.t < first && f.t >= since && f.event == "refused");
        Some(Moment { lo: refused.map_or(since, |f| f.t), hi: first })
    }

    /// What became of the writes of `run`.
    pub fn writes(&self, run: &str) -> Writes {
        let mut writes = Writes::default();
        for node in ["a", "b"] {
            for fact in self.facts[node].iter().filter(|f| f.text("run") == run) {
                match fact.event.as_str() {
                    "accepted" => {
                        let at = writes.accepted.entry(fact.key()).or_insert(fact.t);
                        *at = (*at).min(fact.t);
                        writes.unknown.insert(fact.key());
                    }
                    "refused" | "undecided" => {
                        writes.unknown.insert(fact.key());
                    }
                    "violated" => writes.lies.push((fact.text("violation").to_owned(), fact.key())),
                    _ => {}
                }
            }
        }
        for fact in self.facts["cluster"].iter().filter(|f| f.event == "relayed" && f.text("method") == "PUT") {
            let Some(key) = key_of(fact.text("path"), run) else { continue };
            let class = match (fact.value["status"].as_u64(), fact.text("outcome")) {
                (Some(200), "") => &mut writes.acked,
                (Some(200), "local") => &mut writes.local,
                (_, "fail") => &mut writes.failed,
                _ => &mut writes.unknown,
            };
            class.insert(key);
        }
        let decided = [&writes.acked, &writes.local, &writes.failed].into_iter().flatten().copied().collect::<Vec<_>>();
        for key in decided {
            writes.unknown.remove(&key);
        }
        let last = self.reigns().pop().unwrap().1;
        for line in self.data[&last].lines() {
            let words: Vec<&str> = line.split(' ').collect();
            if words[1] == run {
                *writes.rows.entry((words[2].parse().unwrap(), words[3].parse().unwrap())).or_default() += 1;
            }
        }
        // A promoted liar hides what it dropped, though its file still has it.
        for key in writes.told("drop_prefix") {
            writes.rows.remove(&key);
        }
        writes
    }

    /// The runs whose writes it has seen.
    pub fn runs(&self) -> BTreeSet<String> {
        let relayed = self.facts["cluster"].iter().filter(|f| f.event == "relayed" && f.text("method") == "PUT");
        relayed.filter_map(|f| f.text("path").split('/').nth(2).map(str::to_owned)).collect()
    }
}

fn key_of(path: &str, run: &str) -> Option<Key> {
    let mut words = path.strip_prefix("/ledger/")?.strip_prefix(run)?.strip_prefix('/')?.split('/');
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

fn parse(line: &str) -> Option<Fact> {
    // A killed process can leave half a line.
    let value: Value = serde_json::from_str(line).ok()?;
    Some(Fact { t: value["t"].as_i64()?, event: value["event"].as_str()?.to_owned(), value })
}
