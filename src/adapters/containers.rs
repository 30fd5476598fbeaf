//! Containers of a Docker Engine or of Podman. What is done to them is decided elsewhere.

use std::sync::Arc;

/// Containers.
pub trait Containers: Send + Sync {}

struct Engines;

impl Containers for Engines {}

/// Those that this machine can reach.
pub(super) fn system() -> Arc<dyn Containers> {
    Arc::new(Engines)
}
