//! What the faults that filter packets share: a table of our own, made and deleted as a whole. What they have of their
//! own is what becomes of a packet.

use super::rules::{self, Direction, Net, Protocol, Traffic, Verdict};
use super::{Site, settled, site, table};
use crate::adapters::{AdapterError, NamespaceIdentity, World};
use crate::faults::{Cx, FaultError, Look};
use crate::model::{TargetRef, Template};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;

/// Before the fault an address answers within this.
const ANSWERS: Duration = Duration::from_secs(2);
/// Under the fault it has at least this long, and several times what it took before.
const ATTEMPT: Duration = Duration::from_millis(250);
const TIMES: u32 = 5;
/// So many rules are one outage; more is a mistake.
const MOST_RULES: usize = 2_000;

/// An address that is tried, so that traffic is seen to be cut and not only a rule to be there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    /// `IP:PORT`; it must answer before the fault.
    pub address: Template,
    /// Who tries; the target if not given.
    #[serde(default)]
    pub from: Side,
}

/// Who tries an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The target's namespace.
    #[default]
    Target,
    /// The runner, from where it is.
    Runner,
}

/// What must be said when a fault would cut this machine off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Acknowledged {
    /// Everything from and to this machine is hit, the operator's own connection too.
    CutsOffThisMachine,
}

/// All that makes the table, and all that heals it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    /// Where the table is.
    pub namespace: NamespaceIdentity,
    /// Its name, which holds the owner's tag.
    pub table: String,
    /// The nft commands that make it.
    pub commands: Value,
    /// How many rules it has.
    pub rules: usize,
    /// What is tried, from where, and how long it may take under the fault.
    pub attempt: Option<(NamespaceIdentity, SocketAddr, Duration)>,
}

/// What a kind of these faults is asked, its parameters not yet filled in.
pub struct Asked<'a> {
    pub target: &'a TargetRef,
    pub peers: &'a [Template],
    pub ports: &'a [Template],
    pub protocol: Protocol,
    pub direction: Direction,
    pub look: Option<&'a Attempt>,
    pub acknowledge: Option<Acknowledged>,
    pub verdict: Verdict,
}

fn wrong(text: String) -> FaultError {
    FaultError::Reference(text)
}

impl Asked<'_> {
    fn traffic(&self, site: &Site, cx: &Cx<'_>) -> Result<Traffic, FaultError> {
        let peer = |template: &Template| {
            let text = cx.text(template)?;
            Net::parse(&text)
                .ok_or_else(|| wrong(format!("`{text}` is neither an IP address nor a network like 10.0.0.0/24")))
        };
        let port = |template: &Template| {
            let text = cx.text(template)?;
            text.parse().map_err(|_| wrong(format!("`{text}` is not a port")))
        };
        let traffic = Traffic {
            peers: self.peers.iter().map(peer).collect::<Result<_, FaultError>>()?,
            ports: self.ports.iter().map(port).collect::<Result<_, FaultError>>()?,
            protocol: self.protocol,
            direction: self.direction,
            interface: site.interface.clone(),
        };
        if self.protocol == Protocol::Icmp && !traffic.ports.is_empty() {
            return Err(wrong("ICMP has no ports".to_owned()));
        }
        if self.protocol == Protocol::Icmp && self.verdict == Verdict::Reject {
            return Err(wrong("ICMP cannot be rejected; use network_partition or network_drop".to_owned()));
        }
        if site.namespace.path.is_none() && traffic.is_everything() && self.acknowledge.is_none() {
            let text = "it names neither peers nor ports, so it would cut off this machine and whoever works on it; name \
                        some, or write `acknowledge: cuts_off_this_machine`";
            return Err(wrong(text.to_owned()));
        }
        Ok(traffic)
    }

    async fn attempt(
        &self,
        site: &Site,
        cx: &Cx<'_>,
    ) -> Result<Option<(NamespaceIdentity, SocketAddr, Duration)>, FaultError> {
        let Some(attempt) = self.look else { return Ok(None) };
        let text = cx.text(&attempt.address)?;
        let address: SocketAddr = text.parse().map_err(|_| wrong(format!("`{text}` is not IP:PORT")))?;
        let from = match attempt.from {
            Side::Target => site.namespace.clone(),
            Side::Runner => super::own(cx)?,
        };
        let took = cx.world.network.connect(&from, &text, ANSWERS).await.map_err(|e| {
            FaultError::NothingToBreak(format!("{e}, from {}: it must answer before the fault", from.shown()))
        })?;
        Ok(Some((from, address, ATTEMPT.max(took * TIMES))))
    }

    /// Read-only: what would be done, asked of the kernel without doing it.
    pub async fn prepare(&self, cx: &Cx<'_>) -> Result<Undo, FaultError> {
        let site = site(self.target, cx).await?;
        let traffic = self.traffic(&site, cx)?;
        let table = table(&cx.owner);
        let (commands, rules) = rules::ruleset(&traffic, self.verdict, &table, &cx.owner.to_string());
        if rules > MOST_RULES {
            return Err(wrong(format!("{rules} rules are too many; name networks, not every address")));
        }
        cx.world.network.nft_check(&site.namespace, &commands).await?;
        let attempt = self.attempt(&site, cx).await?;
        Ok(Undo { namespace: site.namespace, table, commands, rules, attempt })
    }

    /// The rules are there; and if there is something to try, it is hit.
    pub async fn effective(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let there = cx.world.network.rules(&undo.namespace, &undo.table).await?.unwrap_or_default();
        if there.len() != undo.rules {
            let detail = format!("{} of {} rules are there", there.len(), undo.rules);
            return Ok(Look { holds: false, detail });
        }
        let Some((from, address, limit)) = &undo.attempt else {
            let detail = format!("{} rules, {} packets hit", undo.rules, rules::hits(&there));
            return Ok(Look { holds: true, detail });
        };
        let tried = cx.world.network.connect(from, &address.to_string(), *limit).await;
        let now = cx.world.network.rules(&undo.namespace, &undo.table).await?.unwrap_or_default();
        let hits = rules::hits(&now);
        let (cut, said) = match tried {
            Ok(took) => (false, format!("{address} answered in {took:?}")),
            Err(e @ (AdapterError::TimedOut(_) | AdapterError::Unreachable(_))) => (true, e.to_string()),
            Err(other) => return Err(other.into()),
        };
        // Of a share that is dropped, an attempt may be spared: then packets that were hit tell.
        let holds = hits > 0 && (cut || matches!(self.verdict, Verdict::DropShare(_)));
        Ok(Look { holds, detail: format!("{said}; {hits} packets hit") })
    }
}

pub async fn inject(undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
    Ok(cx.world.network.nft(&undo.namespace, &undo.commands).await?)
}

/// The namespaces where the table still is.
async fn places(undo: &Undo, cx: &Cx<'_>) -> Result<Vec<NamespaceIdentity>, FaultError> {
    let mut found = Vec::new();
    for heir in cx.world.network.heirs(&undo.namespace)? {
        let tables = settled(cx.world.network.tables(&heir).await, &heir, cx)?;
        if tables.contains(&undo.table) {
            found.push(heir);
        }
    }
    Ok(found)
}

/// Deletes the table, wherever its namespace is known now; in another one of the same name there is none of that name.
pub async fn heal(undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
    let delete = json!([{"delete": {"table": {"family": "inet", "name": undo.table}}}]);
    let mut error = None;
    for place in places(undo, cx).await? {
        error = cx.world.network.nft(&place, &delete).await.err().or(error);
    }
    match error {
        // Somebody else may have been quicker.
        Some(error) if !places(undo, cx).await?.is_empty() => Err(error.into()),
        _ => Ok(()),
    }
}

pub async fn healed(undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
    let there = places(undo, cx).await?;
    let detail = match there.first() {
        Some(place) => format!("the table {} is still in {}", undo.table, place.shown()),
        None if cx.world.network.heirs(&undo.namespace)?.is_empty() => {
            format!("{} is gone, and every rule with it", undo.namespace.shown())
        }
        None => format!("no table {} in {}", undo.table, undo.namespace.shown()),
    };
    Ok(Look { holds: there.is_empty(), detail })
}

pub fn by_hand(undo: &Undo) -> String {
    format!("{}nft delete table inet {}", undo.namespace.by_hand(), undo.table)
}

pub fn touched(undo: &Undo) -> Vec<String> {
    vec![undo.namespace.shown()]
}

pub fn unavailable(world: &World) -> Option<String> {
    let missing = world.commands.find("nft").is_err();
    missing.then(|| "unavailable, because `nft` is not there (Debian: nftables)".to_owned())
}

pub fn permissions() -> Vec<String> {
    vec![
        "CAP_NET_ADMIN".to_owned(),
        "CAP_SYS_ADMIN too, where the target is another network namespace".to_owned(),
        "nft (Debian: nftables)".to_owned(),
    ]
}

/// A fault that filters packets: the parameters that all have, those of its own, and what becomes of a packet.
macro_rules! filter {
    (
        $(#[$doc:meta])* $name:ident = $kind:literal, $summary:literal,
        { $($(#[$own_doc:meta])* $own:ident: $own_ty:ty),* $(,)? }, |$me:ident| $verdict:expr, residue: $residue:expr
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// A target of kind `network`: the machine whose traffic is hit, or one between.
            pub target: crate::model::TargetRef,
            $($(#[$own_doc])* pub $own: $own_ty,)*
            /// The other ends: IP addresses and networks like `10.0.0.0/24`; everyone if not given.
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            pub peers: Vec<crate::model::Template>,
            /// Ports at either end of a connection; all if not given.
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            pub ports: Vec<crate::model::Template>,
            /// Which packets; `any` if not given.
            #[serde(default)]
            pub protocol: crate::faults::network::rules::Protocol,
            /// Which way, seen from the target; `both` if not given.
            #[serde(default)]
            pub direction: crate::faults::network::rules::Direction,
            /// An address that is tried: the fault counts as effective only when its traffic is hit.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub look: Option<crate::faults::network::cut::Attempt>,
            /// Needed for this machine's own network when neither peers nor ports are named.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub acknowledge: Option<crate::faults::network::cut::Acknowledged>,
        }

        impl $name {
            fn asked(&self) -> crate::faults::network::cut::Asked<'_> {
                let $me = self;
                crate::faults::network::cut::Asked {
                    target: &self.target,
                    peers: &self.peers,
                    ports: &self.ports,
                    protocol: self.protocol,
                    direction: self.direction,
                    look: self.look.as_ref(),
                    acknowledge: self.acknowledge,
                    verdict: $verdict,
                }
            }
        }

        impl crate::faults::Fault for $name {
            const KIND: &'static str = $kind;
            const SUMMARY: &'static str = $summary;
            const REVERSIBILITY: crate::faults::Reversibility = crate::faults::Reversibility::Reversible;
            const TARGETS: &'static [&'static str] = &["network"];
            type Undo = crate::faults::network::cut::Undo;

            fn targets(&self) -> Vec<&crate::model::TargetRef> {
                vec![&self.target]
            }

            fn permissions(&self) -> Vec<String> {
                crate::faults::network::cut::permissions()
            }

            fn way_back(&self) -> String {
                "its nftables table is deleted".to_owned()
            }

            async fn unavailable(&self, world: &World) -> Option<String> {
                crate::faults::network::cut::unavailable(world)
            }

            async fn prepare(&self, cx: &Cx<'_>) -> Result<Self::Undo, FaultError> {
                self.asked().prepare(cx).await
            }

            async fn inject(&self, undo: &Self::Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
                crate::faults::network::cut::inject(undo, cx).await
            }

            async fn effective(&self, undo: &Self::Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
                self.asked().effective(undo, cx).await
            }

            async fn heal(&self, undo: &Self::Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
                crate::faults::network::cut::heal(undo, cx).await
            }

            async fn healed(&self, undo: &Self::Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
                crate::faults::network::cut::healed(undo, cx).await
            }

            fn by_hand(&self, undo: &Self::Undo) -> String {
                crate::faults::network::cut::by_hand(undo)
            }

            fn touched(&self, undo: &Self::Undo) -> Vec<String> {
                crate::faults::network::cut::touched(undo)
            }

            async fn residue(world: &World) -> Search {
                $residue(world).await
            }
        }
    };
}
pub(in crate::faults) use filter;
