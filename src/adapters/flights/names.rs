//! Where a service is: an address, or a name that is looked up anew for each connection. Looking up blocks, so it is done
//! by threads of the runtime; their findings wait here until the thread of the schedule takes them.

use super::poll::Waker;
use super::slots::Token;
use crate::adapters::names::look_up;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

/// Look-ups at once; a resolver that hangs must not use up all threads of the runtime.
const LOOKUPS: usize = 128;

/// What was found, for whom.
pub(super) type Found = (Token, io::Result<Vec<SocketAddr>>);

/// Where a service is.
pub(in crate::adapters) struct Place {
    host: String,
    port: u16,
    /// For an address there is nothing to look up.
    address: Option<SocketAddr>,
    /// Names are asked for here; as the machine does it if not given.
    resolver: Option<String>,
    runtime: Handle,
    lookups: Arc<Semaphore>,
    found: Arc<Mutex<Vec<Found>>>,
}

impl Place {
    /// Call it inside a runtime.
    pub fn new(host: &str, port: u16, resolver: Option<&str>) -> Self {
        Self {
            host: host.to_owned(),
            port,
            address: host.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, port)),
            resolver: resolver.map(str::to_owned),
            runtime: Handle::current(),
            lookups: Arc::new(Semaphore::new(LOOKUPS)),
            found: Arc::default(),
        }
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Begins to look the name up; what is found before `limit` is put here, and `waker` is woken.
    pub(super) fn look_up(&self, token: Token, limit: Duration, waker: Waker) {
        let (lookups, found) = (Arc::clone(&self.lookups), Arc::clone(&self.found));
        let (host, port, resolver) = (self.host.clone(), self.port, self.resolver.clone());
        self.runtime.spawn(async move {
            // Too late it is of no use: the operation has been given up.
            let Ok(Ok(_turn)) = tokio::time::timeout(limit, lookups.acquire_owned()).await else { return };
            let addresses = match &resolver {
                // What hangs here is in a thread of the system's, and keeps its turn.
                None => look_up(&host, port, None).await,
                asked => match tokio::time::timeout(limit, look_up(&host, port, asked.as_deref())).await {
                    Ok(addresses) => addresses,
                    Err(_) => return,
                },
            };
            found.lock().unwrap_or_else(PoisonError::into_inner).push((token, addresses));
            waker.wake();
        });
    }

    /// What was found since the last time.
    pub(super) fn take_found(&self) -> Vec<Found> {
        if self.address.is_some() {
            return Vec::new();
        }
        std::mem::take(&mut *self.found.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
