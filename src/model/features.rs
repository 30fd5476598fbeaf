//! What a build may lack: kinds of targets whose client is only built with a feature of Cargo. Whether one is built is asked
//! in this table and in that client's own `mod.rs` (which takes `enabled.rs` or `disabled.rs`), and nowhere else.

/// A kind of target whose client is only built with a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Optional {
    /// The key in a playbook.
    pub kind: &'static str,
    /// The feature, as `cargo build --features` takes it.
    pub feature: &'static str,
    /// Has this build got it? `cfg!(feature = "…")`.
    pub built: bool,
}

/// All of them. Their playbooks can be read by every build, and the ones that lack the client say so before anything runs.
pub const OPTIONAL: &[Optional] = &[];

impl Optional {
    /// The feature that targets of this kind need and that a build with this table lacks.
    #[must_use]
    pub fn lacking(table: &[Self], kind: &str) -> Option<&'static str> {
        table.iter().find(|optional| optional.kind == kind && !optional.built).map(|optional| optional.feature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_not_built_is_lacking() {
        let row = |kind, built| Optional { kind, feature: "heavy", built };
        let table = [row("a", false), row("b", true)];
        let lacking = |kind| Optional::lacking(&table, kind);
        assert_eq!((lacking("a"), lacking("b"), lacking("c")), (Some("heavy"), None, None));
    }
}
