//! What `pg_controldata` says of a PostgreSQL data folder. Pure.

use std::collections::BTreeMap;

/// A data folder as its control file describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// Given to a cluster when it is made; its copies have the same.
    pub system: u64,
    /// Bytes of a WAL segment.
    pub segment: u64,
    /// `in production`, `in archive recovery`, `shut down` …
    pub state: String,
}

impl Control {
    /// Reads `NAME: VALUE` lines as `pg_controldata` prints them with `LC_ALL=C`; none if one of ours is not there.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fields: BTreeMap<&str, &str> =
            text.lines().filter_map(|line| line.split_once(':')).map(|(k, v)| (k.trim(), v.trim())).collect();
        Some(Self {
            system: fields.get("Database system identifier")?.parse().ok()?,
            segment: fields.get("Bytes per WAL segment")?.parse().ok()?,
            state: (*fields.get("Database cluster state")?).to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_tool_prints_is_read_and_nothing_else() {
        let text = "pg_control version number:            1300\n\
                    Database system identifier:           7710594170578278808\n\
                    Database cluster state:               in archive recovery\n\
                    pg_control last modified:             Sat Nov 21 12:03:29 2026\n\
                    Bytes per WAL segment:                1048576\n";
        let control = Control::parse(text).unwrap();
        assert_eq!((control.system, control.segment), (7_710_594_170_578_278_808, 1 << 20));
        assert_eq!(control.state, "in archive recovery");
        assert_eq!(Control::parse("Database system identifier: many"), None);
        assert_eq!(Control::parse(""), None);
    }
}
