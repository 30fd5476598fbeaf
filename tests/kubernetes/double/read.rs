//! Lists in pages, and watches.

use super::call::Call;
use super::json::{set, take};
use super::select::Selector;
use super::status::Refusal;
use super::store::{Event, Key, Store};
use super::{Shared, Violation, table};
use base64::Engine;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// One by its name.
pub fn get(store: &Store, call: &Call) -> Result<Value, Refusal> {
    let kind = &store.kinds[call.kind];
    let found = store.get(&call.key(kind));
    let found = found.ok_or_else(|| Refusal::missing(&kind.plural, &kind.group, call.name()))?;
    Ok(table::one(call, kind, store.shown(call.kind, &call.version, &found)))
}

pub fn selector(store: &Store, call: &Call) -> Result<Selector, Refusal> {
    let mut fields = call.ask("fieldSelector").to_owned();
    if let Some(name) = &call.name {
        let comma = if fields.is_empty() { "" } else { "," };
        fields = format!("metadata.name={name}{comma}{fields}");
    }
    Selector::parse(call.ask("labelSelector"), &fields, &store.kinds[call.kind].plural)
}

/// Where a list goes on.
struct Token {
    version: u64,
    after: (String, String),
}

impl Token {
    fn text(&self) -> String {
        let token = json!({"v": "meta.k8s.io/v1", "rv": self.version, "start": [self.after.0, self.after.1]});
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(token.to_string())
    }

    fn parse(text: &str) -> Result<Self, Refusal> {
        let bad = || Refusal::bad("continue key is not valid");
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).map_err(|_| bad())?;
        let token: Value = serde_json::from_slice(&bytes).map_err(|_| bad())?;
        let version = token["rv"].as_u64().ok_or_else(bad)?;
        let after = |i: usize| token["start"][i].as_str().map(str::to_owned).ok_or_else(bad);
        Ok(Self { version, after: (after(0)?, after(1)?) })
    }
}

/// Which version a list is asked of, and from where.
fn start(store: &Store, call: &Call) -> Result<(u64, Option<(String, String)>), Refusal> {
    let (resume, asked) = (call.ask("continue"), call.ask("resourceVersion"));
    if !resume.is_empty() {
        if !["", "0"].contains(&asked) {
            return Err(Refusal::bad("specifying resource version is not allowed when using continue"));
        }
        let token = Token::parse(resume)?;
        if token.version == 0 {
            return Ok((store.version(), Some(token.after)));
        }
        if token.version < store.oldest() {
            let on = Token { version: 0, after: token.after };
            let gone = Refusal::expired("the continue parameter is too old to go on with the same list");
            return Err(Refusal { resume: Some(on.text()), ..gone });
        }
        return Ok((token.version, Some(token.after)));
    }
    let wanted = version(asked)?;
    if wanted > store.version() {
        let message = format!("Too large resource version: {wanted}, current: {}", store.version());
        return Err(Refusal::new(504, "Timeout", message));
    }
    if call.ask("resourceVersionMatch") == "Exact" {
        if wanted < store.oldest() {
            return Err(Refusal::expired("the requested resource version is too old"));
        }
        return Ok((wanted, None));
    }
    Ok((store.version(), None))
}

fn version(text: &str) -> Result<u64, Refusal> {
    let wrong = |_| Refusal::invalid("ListOptions", "", "", "resourceVersion", &format!("invalid: `{text}`"));
    if text.is_empty() { Ok(0) } else { text.parse().map_err(wrong) }
}

/// A page.
pub fn list(store: &Store, call: &Call, violations: &[Violation]) -> Result<Value, Refusal> {
    let selector = selector(store, call)?;
    let limit: usize = call.ask("limit").parse().unwrap_or(0);
    let (version, after) = start(store, call)?;
    let all: Vec<(Key, Arc<Value>)> = if store.after(call.kind, version).is_empty() {
        store.range(call.kind, call.namespace.as_deref()).map(|(k, o)| (k.clone(), o.clone())).collect()
    } else {
        let then = store.snapshot(call.kind, version);
        let then = then.ok_or_else(|| Refusal::expired("the requested resource version is too old"))?;
        then.into_iter().filter(|(k, _)| call.namespace.as_ref().is_none_or(|n| *n == k.namespace)).collect()
    };
    let mut from = after.map_or(0, |(ns, name)| {
        all.partition_point(|(k, _)| (k.namespace.as_str(), k.name.as_str()) <= (ns.as_str(), name.as_str()))
    });
    if from > 0 && violations.contains(&Violation::SkipsPage) {
        from = (from + limit.max(1)).min(all.len());
    }
    let (mut found, mut end) = (Vec::new(), from);
    for (_, object) in &all[from..] {
        if limit > 0 && found.len() == limit {
            break;
        }
        end += 1;
        if selector.is_empty() || selector.fits(object) {
            found.push(shown(store, call, object));
        }
    }
    let mut metadata = json!({"resourceVersion": version.to_string()});
    let more = all[end..].iter().any(|(_, o)| selector.is_empty() || selector.fits(o));
    if more {
        let (key, _) = &all[end - 1];
        let token = Token { version, after: (key.namespace.clone(), key.name.clone()) };
        metadata["continue"] = json!(token.text());
        if selector.is_empty() {
            metadata["remainingItemCount"] = json!(all.len() - end);
        }
    }
    Ok(table::many(call, &store.kinds[call.kind], &metadata, found, store.api(call)))
}

/// An item of a list: those of built-in kinds do not say what they are.
fn shown(store: &Store, call: &Call, object: &Arc<Value>) -> Value {
    let mut item = store.shown(call.kind, &call.version, object);
    if store.kinds[call.kind].builtin && !table::asked(call) {
        take(&mut item, &["kind"]);
        take(&mut item, &["apiVersion"]);
    }
    item
}

/// A watch as it goes on.
pub struct Watch {
    shared: Arc<Shared>,
    call: Call,
    selector: Selector,
    at: u64,
    pending: VecDeque<Value>,
    news: tokio::sync::watch::Receiver<u64>,
    until: Option<tokio::time::Instant>,
    bookmarks: bool,
    over: bool,
}

impl Watch {
    pub fn new(shared: &Arc<Shared>, store: &Store, call: &Call) -> Result<Self, Refusal> {
        let selector = selector(store, call)?;
        let asked = version(call.ask("resourceVersion"))?;
        let (mut pending, mut over) = (VecDeque::new(), false);
        let mut at = asked;
        if asked == 0 {
            at = store.version();
            let all = store.all(call.kind, call.namespace.as_deref());
            let fit = all.iter().filter(|o| selector.fits(o));
            pending.extend(fit.map(|o| change(store, call, "ADDED", o, None)));
        } else if asked < store.oldest() {
            let gone = Refusal::expired(&format!("too old resource version: {asked} ({})", store.oldest()));
            pending.push_back(json!({"type": "ERROR", "object": gone.object()}));
            over = true;
        }
        let seconds = call.ask("timeoutSeconds").parse::<u64>().ok().filter(|s| *s > 0);
        let until = seconds.map(|s| tokio::time::Instant::now() + Duration::from_secs(s));
        let bookmarks = ["true", "1"].contains(&call.ask("allowWatchBookmarks"));
        let news = store.listen();
        let (shared, call) = (shared.clone(), call.clone());
        Ok(Self { shared, call, selector, at, pending, news, until, bookmarks, over })
    }

    /// The next change; none when the watch is over.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            self.shared.open().await;
            if let Some(next) = self.pending.pop_front() {
                return Some(next);
            }
            if self.over {
                return None;
            }
            self.news.borrow_and_update();
            self.look();
            if !self.pending.is_empty() || self.over {
                continue;
            }
            let end = self.until;
            let timeout = async {
                match end {
                    Some(end) => tokio::time::sleep_until(end).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = self.news.changed() => if changed.is_err() { return None },
                () = self.shared.broken.notified() => return None,
                () = timeout => self.end(),
            }
        }
    }

    /// What is new since it looked last.
    fn look(&mut self) {
        let mut state = self.shared.lock();
        if self.at < state.store.oldest() {
            let gone = Refusal::expired(&format!("too old resource version: {}", self.at));
            self.pending.push_back(json!({"type": "ERROR", "object": gone.object()}));
            self.over = true;
            return;
        }
        for event in state.store.after(self.call.kind, self.at) {
            let seen = self.seen(&state.store, &event);
            if seen.is_some() && state.loses() {
                continue;
            }
            self.pending.extend(seen);
        }
        self.at = self.at.max(state.store.version());
    }

    fn seen(&self, store: &Store, event: &Event) -> Option<Value> {
        if self
            .call
            .namespace
            .as_ref()
            .is_some_and(|n| store.kinds[self.call.kind].namespaced && *n != event.key.namespace)
        {
            return None;
        }
        let fits = |o: &Option<Arc<Value>>| o.as_ref().filter(|o| self.selector.fits(o)).cloned();
        let version = Some(event.version);
        match (fits(&event.old), fits(&event.new)) {
            (None, Some(new)) => Some(change(store, &self.call, "ADDED", &new, None)),
            (Some(_), Some(new)) => Some(change(store, &self.call, "MODIFIED", &new, None)),
            (Some(old), None) => Some(change(store, &self.call, "DELETED", &old, version)),
            (None, None) => None,
        }
    }

    /// The time is over: a last bookmark if they are wanted.
    fn end(&mut self) {
        self.over = true;
        if self.bookmarks {
            let state = self.shared.lock();
            let mut mark = json!({"metadata": {"resourceVersion": self.at.to_string(), "creationTimestamp": null}});
            mark = state.store.shown(self.call.kind, &self.call.version, &mark);
            self.pending.push_back(json!({"type": "BOOKMARK", "object": mark}));
        }
    }
}

fn change(store: &Store, call: &Call, what: &str, object: &Value, version: Option<u64>) -> Value {
    let mut shown = store.shown(call.kind, &call.version, object);
    if let Some(version) = version {
        set(&mut shown, &["metadata", "resourceVersion"], version.to_string());
    }
    json!({"type": what, "object": table::one(call, &store.kinds[call.kind], shown)})
}
