//! Which runs may be compared: those of the same playbook as written, in the same environment, with the same parameters and
//! the same load. The idea is that of `blackstart stats`, but it can be told before a run, from its plan.

use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// A workload, as far as it is load.
#[derive(Debug, Clone, PartialEq)]
pub struct Load<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its kind.
    pub kind: &'a str,
    /// Operations a second.
    pub rate: f64,
}

/// The class of a run: SHA-256, hex. `playbook` is the digest of the playbook as written, hex.
#[must_use]
pub fn class(playbook: &str, environment: &str, params: &BTreeMap<String, String>, loads: &[Load<'_>]) -> String {
    let mut loads: Vec<String> = loads.iter().map(|l| field(&[l.name, l.kind, &l.rate.to_string()])).collect();
    loads.sort();
    let params: Vec<String> = params.iter().map(|(name, value)| field(&[name, value])).collect();
    let text = field(&[playbook, environment, &params.concat(), &loads.concat()]);
    hex(&Sha256::digest(text.as_bytes()))
}

/// Lengths before texts, so that no two lists are the same text.
fn field(parts: &[&str]) -> String {
    parts.iter().map(|part| format!("{}:{part}", part.len())).collect()
}

/// Bytes as hexadecimal digits.
#[must_use]
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(environment: &str, params: &[(&str, &str)], rate: f64) -> String {
        let params = params.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        class("ab", environment, &params, &[Load { name: "orders", kind: "ledger", rate }])
    }

    #[test]
    fn whatever_changes_the_experiment_changes_the_class() {
        let one = of("staging", &[("a", "b")], 500.0);
        assert_eq!(one, of("staging", &[("a", "b")], 500.0));
        for other in [
            of("live", &[("a", "b")], 500.0),
            of("staging", &[("a", "c")], 500.0),
            of("staging", &[("ab", "")], 500.0),
            of("staging", &[], 500.0),
            of("staging", &[("a", "b")], 501.0),
        ] {
            assert_ne!(one, other);
        }
        assert_eq!(one.len(), 64);
    }

    #[test]
    fn the_order_of_workloads_says_nothing() {
        let (a, b) = (Load { name: "a", kind: "http", rate: 1.0 }, Load { name: "b", kind: "http", rate: 2.0 });
        let none = BTreeMap::new();
        assert_eq!(class("x", "y", &none, &[a.clone(), b.clone()]), class("x", "y", &none, &[b, a]));
    }
}
