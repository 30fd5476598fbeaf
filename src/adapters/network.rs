//! The network of this machine: packet filter, queues, namespaces. What a rule is for is not known here.

use std::sync::Arc;

/// Packet filter, queues and namespaces.
pub trait Network: Send + Sync {}

struct SystemNetwork;

impl Network for SystemNetwork {}

/// This machine's.
pub(super) fn system() -> Arc<dyn Network> {
    Arc::new(SystemNetwork)
}
