//! Lets names have other addresses.

use super::names::{OnNames, on_names};
use crate::adapters::resolver::NameEffect;
use crate::model::{Dur, TargetRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Seconds.
const TTL: u32 = 5;

/// Names have other addresses, as after a wrong change or a move that was forgotten. Clients keep them as long as the TTL
/// says, also when the fault is healed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DnsAnswer {
    /// A target of kind `resolver`.
    pub target: TargetRef,
    /// `db.example.com` is that name, `*.example.com` all below it.
    pub names: Vec<String>,
    /// The addresses; an asked kind (IPv4, IPv6) of which there is none gets an empty answer.
    pub addresses: Vec<IpAddr>,
    /// Clients may keep the answer so long; 5s if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Dur>,
}

impl OnNames for DnsAnswer {
    fn target(&self) -> &TargetRef {
        &self.target
    }

    fn names(&self) -> &[String] {
        &self.names
    }

    fn effect(&self) -> NameEffect {
        let ttl = self.ttl.map_or(TTL, |ttl| u32::try_from(ttl.0.as_secs()).unwrap_or(u32::MAX));
        NameEffect::Answer { addresses: self.addresses.clone(), ttl }
    }
}

on_names!(DnsAnswer, "dns_answer", "answer other addresses for names");
