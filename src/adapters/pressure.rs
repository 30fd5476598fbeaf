//! What a helper that puts pressure on a machine is told. What it does with it is in `helpers`.

use crate::model::Dur;
use serde::{Deserialize, Serialize};

/// Keep cores busy.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CpuLoad {
    /// Threads.
    pub workers: u32,
    /// How much of the time each is busy, up to 1.
    pub share: f64,
    /// It ends by itself after this.
    pub limit: Dur,
}

impl CpuLoad {
    /// The helper's name.
    pub const HELPER: &'static str = "cpu";
}

/// Hold memory.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HeldMemory {
    /// So much.
    pub bytes: u64,
    /// So much must stay available to others.
    pub reserve: u64,
    /// It ends by itself after this.
    pub limit: Dur,
}

impl HeldMemory {
    /// The helper's name.
    pub const HELPER: &'static str = "memory";
}
