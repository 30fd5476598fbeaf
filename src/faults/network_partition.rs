//! Cuts connections: packets vanish, both ways or one way, as when a cable is pulled or a route is lost.

use super::network::cut::filter;
use super::network::rules::Verdict;
use super::network::{self};
use super::{Cx, FaultError, Look, Search};
use crate::adapters::World;

filter! {
    /// Cuts a machine off from its peers: packets vanish, those of established connections too. The rules stand in an
    /// nftables table of our own, in the target's network namespace; nobody else's rules are touched. Packets that a
    /// bridge passes on do not meet them: choose the namespace of an end, or of a router.
    NetworkPartition = "network_partition",
    "cut connections: packets vanish, both ways or one way",
    {}, |_me| Verdict::Drop, residue: network::residue
}
