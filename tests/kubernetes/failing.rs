//! Clusters that break off at the N-th change: the call is never made, or is made and its answer lost; after that nobody
//! answers any more, as for a process that was killed. Reads go through until then.

use blackstart::adapters::kubernetes::{
    Access, Allowed, At, Change, Cluster, ClusterError, Clusters, Deletion, Facts, Flow, Inside, Kind, May, Object,
    Patch, Query, Stream, Write,
};
use blackstart::adapters::{CommandOutput, Fut};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// What is lost of the N-th change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loses {
    Call,
    Answer,
}

/// Clusters of which all are dead after so many changes.
pub struct Failing {
    inner: Arc<dyn Clusters>,
    count: Arc<Count>,
}

struct Count {
    at: usize,
    loses: Loses,
    seen: AtomicUsize,
}

struct FailingCluster {
    inner: Arc<dyn Cluster>,
    count: Arc<Count>,
}

impl Failing {
    pub fn at(at: usize, loses: Loses, inner: Arc<dyn Clusters>) -> Arc<Self> {
        Arc::new(Self { inner, count: Arc::new(Count { at, loses, seen: AtomicUsize::new(0) }) })
    }

    /// Has it broken off?
    pub fn tripped(&self) -> bool {
        self.count.seen.load(Ordering::SeqCst) > self.count.at
    }
}

fn dead<T>() -> Result<T, ClusterError> {
    Err(ClusterError::Unreachable("broken off by the test".to_owned()))
}

impl Count {
    /// May this change be made, and its answer be heard?
    fn next(&self, write: Write) -> (bool, bool) {
        if write == Write::Dry {
            return (true, true);
        }
        let now = self.seen.fetch_add(1, Ordering::SeqCst);
        (now < self.at || (now == self.at && self.loses == Loses::Answer), now < self.at)
    }

    async fn change<T>(
        &self,
        write: Write,
        call: impl Future<Output = Result<T, ClusterError>> + Send,
    ) -> Result<T, ClusterError> {
        let (made, heard) = self.next(write);
        if !made {
            return dead();
        }
        let done = call.await;
        if heard { done } else { Err(ClusterError::TimedOut("the answer is lost".to_owned())) }
    }

    async fn read<T>(&self, call: impl Future<Output = Result<T, ClusterError>> + Send) -> Result<T, ClusterError> {
        if self.seen.load(Ordering::SeqCst) > self.at { dead() } else { call.await }
    }
}

impl Clusters for Failing {
    fn open<'a>(&'a self, access: &'a Access) -> Fut<'a, Result<Arc<dyn Cluster>, ClusterError>> {
        Box::pin(async move {
            let inner = self.inner.open(access).await?;
            Ok(Arc::new(FailingCluster { inner, count: Arc::clone(&self.count) }) as Arc<dyn Cluster>)
        })
    }
}

impl Cluster for FailingCluster {
    fn facts(&self) -> Facts {
        self.inner.facts()
    }

    fn kind<'a>(&'a self, name: &'a str) -> Fut<'a, Result<Kind, ClusterError>> {
        Box::pin(self.count.read(self.inner.kind(name)))
    }

    fn get<'a>(&'a self, at: &'a At) -> Fut<'a, Result<Option<Object>, ClusterError>> {
        Box::pin(self.count.read(self.inner.get(at)))
    }

    fn list<'a>(
        &'a self,
        query: &'a Query,
        each: &'a mut (dyn FnMut(Object) -> Flow + Send),
    ) -> Fut<'a, Result<String, ClusterError>> {
        Box::pin(self.count.read(self.inner.list(query, each)))
    }

    fn watch<'a>(
        &'a self,
        query: &'a Query,
        since: &'a str,
        limit: Duration,
        each: &'a mut (dyn FnMut(Change) -> Flow + Send),
    ) -> Fut<'a, Result<(), ClusterError>> {
        Box::pin(self.count.read(self.inner.watch(query, since, limit, each)))
    }

    fn create<'a>(
        &'a self,
        kind: &'a Kind,
        namespace: Option<&'a str>,
        object: &'a Value,
        write: Write,
    ) -> Fut<'a, Result<Object, ClusterError>> {
        Box::pin(self.count.change(write, self.inner.create(kind, namespace, object, write)))
    }

    fn apply<'a>(&'a self, at: &'a At, object: &'a Value, write: Write) -> Fut<'a, Result<Object, ClusterError>> {
        Box::pin(self.count.change(write, self.inner.apply(at, object, write)))
    }

    fn patch<'a>(
        &'a self,
        at: &'a At,
        part: Option<&'a str>,
        patch: &'a Patch,
        write: Write,
    ) -> Fut<'a, Result<Object, ClusterError>> {
        Box::pin(self.count.change(write, self.inner.patch(at, part, patch, write)))
    }

    fn delete<'a>(&'a self, at: &'a At, how: &'a Deletion, write: Write) -> Fut<'a, Result<(), ClusterError>> {
        Box::pin(self.count.change(write, self.inner.delete(at, how, write)))
    }

    fn evict<'a>(&'a self, pod: &'a At, how: &'a Deletion, write: Write) -> Fut<'a, Result<(), ClusterError>> {
        Box::pin(self.count.change(write, self.inner.evict(pod, how, write)))
    }

    fn exec<'a>(
        &'a self,
        inside: &'a Inside,
        argv: &'a [String],
        limit: Duration,
    ) -> Fut<'a, Result<CommandOutput, ClusterError>> {
        Box::pin(self.count.change(Write::Real, self.inner.exec(inside, argv, limit)))
    }

    fn logs<'a>(
        &'a self,
        inside: &'a Inside,
        limit: Duration,
        each: &'a mut (dyn FnMut(&str) -> Flow + Send),
    ) -> Fut<'a, Result<(), ClusterError>> {
        Box::pin(self.count.read(self.inner.logs(inside, limit, each)))
    }

    fn connect<'a>(
        &'a self,
        inside: &'a Inside,
        port: u16,
        limit: Duration,
    ) -> Fut<'a, Result<Box<dyn Stream>, ClusterError>> {
        Box::pin(self.count.read(self.inner.connect(inside, port, limit)))
    }

    fn may<'a>(&'a self, what: &'a May) -> Fut<'a, Result<Allowed, ClusterError>> {
        Box::pin(self.count.read(self.inner.may(what)))
    }
}
