//! The quickstart drills and every playbook of the rig become plans, without an error and without a warning.

use super::rig::drills;
use blackstart::config::Config;
use blackstart::plan::{Inputs, compile};
use blackstart::playbook::{RenderStyle, SourceText, render_all};
use std::collections::BTreeMap;
use std::path::Path;

/// Everything that is said about a playbook; nothing if it is right.
fn said(name: &str, text: &str) -> String {
    let (config, params) = (Config::default(), BTreeMap::new());
    let inputs = Inputs { params: &params, env: &|_| None, config: &config };
    let diagnostics = match compile(&SourceText::new(name, text), &inputs) {
        Ok(plans) => {
            assert_eq!(plans.len(), 1, "{name}");
            plans[0].warnings.clone()
        }
        Err(diagnostics) => diagnostics,
    };
    render_all(&diagnostics, RenderStyle::Plain)
}

#[test]
fn shipped_playbooks_are_right() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shipped = ["quickstart", "quickstart-sync", "quickstart-freeze"].map(|n| format!("drills/{n}.yaml"));
    for path in shipped.into_iter().chain(["tests/truth/playbooks/already-dead.yaml".to_owned()]) {
        let text = std::fs::read_to_string(root.join(&path)).unwrap();
        assert_eq!(said(&path, &text), "");
    }
}

#[test]
fn playbooks_of_the_rig_are_right() {
    for drill in drills() {
        assert_eq!(said(drill.name, &drill.playbook(18_000, Path::new("/tmp/staging"))), "", "{}", drill.name);
    }
}
