//! What a NetworkPolicy of ours says. A policy can only let through: cutting two groups apart is to select the one and to
//! let through everything but the other. Pure.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::net::IpAddr;

/// Which ways are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ends {
    /// What comes in.
    In,
    /// What goes out.
    Out,
    /// Both.
    #[default]
    Both,
}

impl Ends {
    /// The same as the other end sees it.
    pub(super) fn turned(self) -> Self {
        match self {
            Self::In => Self::Out,
            Self::Out => Self::In,
            Self::Both => Self::Both,
        }
    }

    /// Type, list of rules, and the list of partners in a rule, as a policy names them.
    fn parts(self) -> &'static [(&'static str, &'static str, &'static str)] {
        const IN: (&str, &str, &str) = ("Ingress", "ingress", "from");
        const OUT: (&str, &str, &str) = ("Egress", "egress", "to");
        match self {
            Self::In => &[IN],
            Self::Out => &[OUT],
            Self::Both => &[IN, OUT],
        }
    }
}

/// What a group is cut off from: pods with a label of ours, and the addresses that they had.
pub(super) struct Group {
    pub label: &'static str,
    pub value: String,
    pub addresses: Vec<IpAddr>,
}

/// The policy that lets everything through but this group, or nothing if there is none.
pub(super) fn spec(selector: &Value, ends: Ends, other: Option<&Group>) -> Value {
    let types: Vec<&str> = ends.parts().iter().map(|(name, _, _)| *name).collect();
    let mut spec = json!({"podSelector": selector, "policyTypes": types});
    for (_, rules, partners) in ends.parts() {
        spec[*rules] = match other {
            None => json!([]),
            Some(other) => json!([{*partners: all_but(other)}]),
        };
    }
    spec
}

fn all_but(group: &Group) -> Value {
    let blocks = |v4: bool| -> Vec<String> {
        let bits = if v4 { 32 } else { 128 };
        group.addresses.iter().filter(|a| a.is_ipv4() == v4).map(|address| format!("{address}/{bits}")).collect()
    };
    json!([
        {
            "namespaceSelector": {},
            "podSelector": {
                "matchExpressions": [{"key": group.label, "operator": "NotIn", "values": [group.value]}],
            },
        },
        {"ipBlock": {"cidr": "0.0.0.0/0", "except": blocks(true)}},
        {"ipBlock": {"cidr": "::/0", "except": blocks(false)}},
    ])
}

/// Does a policy of somebody let anything through on one of these ways?
pub(super) fn lets_through(policy: &Value, ends: Ends) -> bool {
    let spec = &policy["spec"];
    let types = spec["policyTypes"].as_array();
    ends.parts().iter().any(|(name, rules, _)| {
        // Without types it is for what comes in, and for what goes out if it has rules for that.
        let meant = types.map_or(*name == "Ingress", |types| types.iter().any(|one| one == name));
        let some = spec[*rules].as_array().is_some_and(|rules| !rules.is_empty());
        (meant || types.is_none()) && some
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group() -> Group {
        let addresses = ["10.0.0.7", "fd00::7"].map(|address| address.parse().expect("an address")).to_vec();
        Group { label: "side", value: "b".to_owned(), addresses }
    }

    #[test]
    fn from_everything_is_no_rule_and_from_a_group_all_but_it() {
        let selector = json!({"matchLabels": {"app": "web"}});
        let all = spec(&selector, Ends::Both, None);
        assert_eq!(all["policyTypes"], json!(["Ingress", "Egress"]));
        assert_eq!((&all["ingress"], &all["egress"]), (&json!([]), &json!([])));
        let one = spec(&selector, Ends::Out, Some(&group()));
        assert_eq!((&one["policyTypes"], one.get("ingress")), (&json!(["Egress"]), None));
        let to = &one["egress"][0]["to"];
        assert_eq!(to[0]["podSelector"]["matchExpressions"][0]["values"], json!(["b"]));
        assert_eq!(to[1]["ipBlock"]["except"], json!(["10.0.0.7/32"]));
        assert_eq!(to[2]["ipBlock"]["except"], json!(["fd00::7/128"]));
        assert_eq!((Ends::In.turned(), Ends::Both.turned()), (Ends::Out, Ends::Both));
    }

    #[test]
    fn only_policies_with_rules_let_through() {
        for (spec, ends, open) in [
            (json!({"policyTypes": ["Ingress"]}), Ends::Both, false),
            (json!({"policyTypes": ["Ingress"], "ingress": [{}]}), Ends::In, true),
            (json!({"policyTypes": ["Ingress"], "ingress": [{}]}), Ends::Out, false),
            (json!({"ingress": [{}]}), Ends::In, true),
            (json!({"egress": [{}]}), Ends::Out, true),
            (json!({"policyTypes": ["Egress"], "egress": []}), Ends::Out, false),
        ] {
            assert_eq!(lets_through(&json!({"spec": spec}), ends), open, "{spec}");
        }
    }
}
