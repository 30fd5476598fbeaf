//! A fault on several targets at once.

use crate::support::{blackstart, run_drill};
use blackstart::event::What;

#[test]
fn the_drill_on_two_of_three_passes_and_leaves_nothing() {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let dir = format!("dir={}", folder.path().join("web").display());
    let ran = run_drill("drills/faults/web-workers.yaml", &["--param", &dir, "--param", "port=17851"]);
    assert_eq!(ran.code, 0, "{}", ran.text);
    for fault in ["die", "die.2"] {
        assert!(ran.bit(fault) && ran.healed(fault), "{fault}: {}", ran.text);
    }
    assert!(!ran.bit("die.3"), "{}", ran.text);
    let said =
        |what: &What| matches!(what, What::Note { text } if text.contains("breaks 2 of 3 (in random order, seed 7)"));
    assert!(ran.events.iter().any(|e| said(&e.what)), "{}", ran.text);
    let moments = ran.events.iter().filter_map(|e| match &e.what {
        What::FaultInjected { span, .. } => Some(span.lo),
        _ => None,
    });
    let apart: Vec<_> = moments.collect();
    assert!(apart[1].since(apart[0]) >= std::time::Duration::from_millis(500), "{apart:?}");
    assert_eq!(blackstart(ran.place.path()).arg("status").status().unwrap().code(), Some(0));
}
