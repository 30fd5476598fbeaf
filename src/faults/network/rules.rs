//! From traffic as a playbook describes it to nft commands, as JSON (libnftables-json(5)). Pure; who runs them is not
//! known here.

use crate::model::Percent;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::net::IpAddr;

/// Before connection tracking and everything that others have: an established connection is hit like a new one.
const PRIORITY: i32 = -400;
/// nft keeps a comment up to this.
const MOST_COMMENT: usize = 120;
/// Of so many packets, on average, a share is dropped.
const SHARES: f64 = 10_000.0;

/// Which way packets go, seen from the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// To the peers and from them.
    #[default]
    Both,
    /// Only what comes from the peers: what the target says still arrives there.
    In,
    /// Only what goes to the peers: what they say still arrives.
    Out,
}

/// Which packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// Every one; with `ports`, TCP and UDP.
    #[default]
    Any,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP and ICMPv6: ping, say.
    Icmp,
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    /// It vanishes.
    Drop,
    /// It vanishes with this likelihood.
    DropShare(Percent),
    /// Its sender is told: TCP by a reset, anything but ICMP by an ICMP message.
    Reject,
}

/// An address or a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Net {
    address: IpAddr,
    length: u8,
}

impl Net {
    /// From `10.0.0.1`, `10.0.0.0/24`, `fd00::/8`; none if it is nothing of the kind.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, length) = text.split_once('/').map_or((text, None), |(a, l)| (a, Some(l)));
        let address: IpAddr = address.trim_matches(['[', ']']).parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = length.map_or(Some(most), |l| l.parse().ok())?;
        (length <= most).then_some(Self { address, length })
    }

    /// Is it so wide that it is no choice at all?
    pub fn is_everything(self) -> bool {
        self.length < if self.address.is_ipv4() { 8 } else { 16 }
    }

    fn family(self) -> &'static str {
        if self.address.is_ipv4() { "ip" } else { "ip6" }
    }

    fn expression(self) -> Value {
        json!({"prefix": {"addr": self.address.to_string(), "len": self.length}})
    }
}

/// Traffic, everything filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Traffic {
    /// The other ends; all if empty.
    pub peers: Vec<Net>,
    /// Ports at either end; all if empty.
    pub ports: Vec<u16>,
    pub protocol: Protocol,
    pub direction: Direction,
    pub interface: Option<String>,
}

fn matches(op: &str, left: Value, right: Value) -> Value {
    json!({"match": {"op": op, "left": left, "right": right}})
}

fn meta(key: &str) -> Value {
    json!({"meta": {"key": key}})
}

fn field(protocol: &str, name: &str) -> Value {
    json!({"payload": {"protocol": protocol, "field": name}})
}

/// To the peers, or from them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    To,
    From,
}

impl Traffic {
    /// Does it leave anything out? An operator's own connection, say.
    pub fn is_everything(&self) -> bool {
        let all_peers = self.peers.is_empty() || self.peers.iter().any(|net| net.is_everything());
        all_peers && self.ports.is_empty() && self.interface.as_deref() != Some("lo")
    }

    fn ways(&self) -> &'static [Way] {
        match self.direction {
            Direction::Both => &[Way::To, Way::From],
            Direction::In => &[Way::From],
            Direction::Out => &[Way::To],
        }
    }

    fn through(&self, way: Way) -> Option<Value> {
        let key = meta(if way == Way::To { "oifname" } else { "iifname" });
        match &self.interface {
            Some(interface) => Some(matches("==", key, json!(interface))),
            // Everything means the network: a host that is cut off can still talk to itself.
            None if self.peers.is_empty() && self.ports.is_empty() => Some(matches("!=", key, json!("lo"))),
            None => None,
        }
    }

    fn of_protocol(&self, verdict: Verdict) -> Vec<Option<Value>> {
        let (is, list) = (|what: Value| Some(matches("==", meta("l4proto"), what)), |l: &[&str]| json!({"set": l}));
        match (self.protocol, verdict) {
            (Protocol::Tcp, _) => vec![is(json!("tcp"))],
            (Protocol::Udp, _) => vec![is(json!("udp"))],
            (Protocol::Icmp, _) => vec![is(list(&["icmp", "ipv6-icmp"]))],
            (Protocol::Any, Verdict::Reject) if self.ports.is_empty() => {
                let others = matches("!=", meta("l4proto"), list(&["tcp", "icmp", "ipv6-icmp"]));
                vec![is(json!("tcp")), Some(others)]
            }
            (Protocol::Any, Verdict::Reject) => vec![is(json!("tcp")), is(json!("udp"))],
            (Protocol::Any, _) if self.ports.is_empty() => vec![None],
            (Protocol::Any, _) => vec![is(list(&["tcp", "udp"]))],
        }
    }

    fn of_ports(&self) -> Vec<Option<Value>> {
        if self.ports.is_empty() {
            return vec![None];
        }
        let set = json!({ "set": self.ports });
        ["sport", "dport"].map(|end| Some(matches("==", field("th", end), set.clone()))).to_vec()
    }

    fn of_peers(&self, way: Way) -> Vec<Option<Value>> {
        if self.peers.is_empty() {
            return vec![None];
        }
        let end = if way == Way::To { "daddr" } else { "saddr" };
        self.peers.iter().map(|net| Some(matches("==", field(net.family(), end), net.expression()))).collect()
    }

    /// The rules of a chain, without what becomes of a packet.
    fn of_way(&self, way: Way, verdict: Verdict) -> Vec<Vec<Value>> {
        let mut rules = Vec::new();
        for protocol in self.of_protocol(verdict) {
            for peer in self.of_peers(way) {
                for port in self.of_ports() {
                    let parts = [self.through(way), peer.clone(), protocol.clone(), port];
                    rules.push(parts.into_iter().flatten().collect());
                }
            }
        }
        rules
    }
}

/// What ends a rule. Told from its packets' protocol how a rejection says so.
fn end(rule: &[Value], verdict: Verdict) -> Vec<Value> {
    let counter = json!({"counter": {"packets": 0, "bytes": 0}});
    match verdict {
        Verdict::Drop => vec![counter, json!({"drop": null})],
        Verdict::DropShare(share) => {
            let numbers = json!({"numgen": {"mode": "random", "mod": SHARES as u32, "offset": 0}});
            let below = (share.0 * SHARES).round() as u32;
            vec![matches("<", numbers, json!(below)), counter, json!({"drop": null})]
        }
        Verdict::Reject => {
            let tcp = matches("==", meta("l4proto"), json!("tcp"));
            if rule.contains(&tcp) {
                // The reset itself must get out.
                let reset = json!({"&": [field("tcp", "flags"), "rst"]});
                return vec![matches("!=", reset, json!("rst")), counter, json!({"reject": {"type": "tcp reset"}})];
            }
            vec![counter, json!({"reject": {"type": "icmpx", "expr": "admin-prohibited"}})]
        }
    }
}

/// The nft commands that make the table, all at once: what was there of ours before is replaced. And how many rules it
/// has.
pub fn ruleset(traffic: &Traffic, verdict: Verdict, table: &str, comment: &str) -> (Value, usize) {
    let comment: String = comment.chars().take(MOST_COMMENT).collect();
    let named = json!({"table": {"family": "inet", "name": table}});
    let mut commands = vec![json!({ "add": named }), json!({ "delete": named }), json!({ "add": named })];
    let mut count = 0;
    for (chain, way) in [("input", Way::From), ("output", Way::To), ("forward", Way::From), ("forward", Way::To)] {
        if !traffic.ways().contains(&way) {
            continue;
        }
        commands.push(json!({"add": {"chain": {
            "family": "inet", "table": table, "name": chain,
            "type": "filter", "hook": chain, "prio": PRIORITY, "policy": "accept",
        }}}));
        for mut rule in traffic.of_way(way, verdict) {
            let end = end(&rule, verdict);
            rule.extend(end);
            commands.push(json!({"add": {"rule": {
                "family": "inet", "table": table, "chain": chain, "comment": comment, "expr": rule,
            }}}));
            count += 1;
        }
    }
    (Value::Array(commands), count)
}

/// Packets that the rules have hit so far.
pub fn hits(rules: &[Value]) -> u64 {
    let parts = rules.iter().flat_map(|rule| rule["expr"].as_array().into_iter().flatten());
    parts.filter_map(|part| part["counter"]["packets"].as_u64()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traffic(peers: &[&str], ports: &[u16]) -> Traffic {
        Traffic {
            peers: peers.iter().map(|p| Net::parse(p).unwrap()).collect(),
            ports: ports.to_vec(),
            protocol: Protocol::Any,
            direction: Direction::Both,
            interface: None,
        }
    }

    #[test]
    fn addresses_and_networks() {
        assert!(Net::parse("10.0.0.1").is_some() && Net::parse("fd00::/8").is_some() && Net::parse("[::1]").is_some());
        for wrong in ["", "10.0.0", "10.0.0.0/33", "host", "10.0.0.1:80", "fd00::/200", "1.2.3.4/-1"] {
            assert_eq!(Net::parse(wrong), None, "{wrong}");
        }
        assert!(Net::parse("0.0.0.0/0").unwrap().is_everything() && !Net::parse("10.0.0.0/8").unwrap().is_everything());
    }

    #[test]
    fn what_names_neither_peer_nor_port_is_everything() {
        assert!(traffic(&[], &[]).is_everything());
        assert!(traffic(&["10.0.0.1", "::/0"], &[]).is_everything());
        assert!(!traffic(&["10.0.0.1"], &[]).is_everything());
        assert!(!traffic(&["0.0.0.0/0"], &[80]).is_everything());
    }

    #[test]
    fn a_rule_for_each_peer_way_and_end_of_a_port() {
        let (_, both) = ruleset(&traffic(&["10.0.0.1", "fd00::1"], &[80, 443]), Verdict::Drop, "t", "c");
        assert_eq!(both, 4 * 2 * 2);
        let one_way = Traffic { direction: Direction::In, ..traffic(&["10.0.0.1"], &[]) };
        let (commands, count) = ruleset(&one_way, Verdict::Drop, "t", "c");
        assert_eq!(count, 2);
        let text = commands.to_string();
        assert!(text.contains("saddr") && !text.contains("daddr") && !text.contains("output"), "{text}");
    }

    #[test]
    fn the_table_is_made_anew_in_one_go_and_nothing_else_is_named() {
        let (commands, _) = ruleset(&traffic(&[], &[22]), Verdict::Reject, "blackstart_bs-1", "r/f");
        for command in commands.as_array().unwrap() {
            let what = command.get("add").or(command.get("delete")).unwrap();
            let of = what.get("table").map_or_else(
                || what["chain"]["table"].as_str().or(what["rule"]["table"].as_str()),
                |table| table["name"].as_str(),
            );
            assert_eq!(of, Some("blackstart_bs-1"), "{command}");
        }
    }

    #[test]
    fn hits_are_added_up() {
        let rule = |n: u64| json!({"expr": [{"counter": {"packets": n, "bytes": 1}}, {"drop": null}]});
        assert_eq!(hits(&[rule(2), rule(3), json!({})]), 5);
    }
}
