//! Drops a share of the packets, as a bad line or an overloaded switch does.

use super::network::cut::filter;
use super::network::rules::Verdict;
use super::network::{self};
use super::{Cx, FaultError, Look, Search};
use crate::adapters::World;
use crate::model::Percent;

filter! {
    /// Drops a share of the packets, each by chance. Established connections slow down or stall; new ones may take
    /// seconds. Like `network_partition` in everything else.
    NetworkDrop = "network_drop",
    "drop a share of the packets",
    {
        /// So many packets vanish, on average.
        share: Percent,
    }, |me| Verdict::DropShare(me.share), residue: network::no_residue
}
