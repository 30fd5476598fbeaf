//! Refuses connections, as a firewall or a machine without the service does: clients learn it at once.

use super::network::cut::filter;
use super::network::rules::Verdict;
use super::network::{self};
use super::{Cx, FaultError, Look, Search};
use crate::adapters::World;

filter! {
    /// Refuses packets: TCP is answered by a reset, so that established connections break at once, everything else but
    /// ICMP by an ICMP message. Like `network_partition` in everything else.
    NetworkReject = "network_reject",
    "refuse connections: TCP by a reset, the rest by an ICMP message",
    {}, |_me| Verdict::Reject, residue: network::no_residue
}
