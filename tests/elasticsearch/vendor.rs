//! The double is held to what it says by the vendor's own client, and what it does wrong on purpose is found by it.

use crate::server::Three;

fn ended(said: &std::process::Output) -> (bool, String) {
    (said.status.success(), String::from_utf8_lossy(&said.stderr).trim().to_owned())
}

#[test]
fn the_vendors_client_works_with_the_double_and_finds_what_it_does_wrong() {
    let mut three = Three::up();
    assert_eq!(ended(&three.vendor(&["suite"])), (true, String::new()));
    assert_eq!(ended(&three.vendor(&["drain"])), (true, String::new()));
    // Without violations the loss of the primary loses nothing.
    for (number, violation, lost_node, found) in [
        ("60", None, true, ""),
        ("61", Some("acknowledged_early"), true, "lost"),
        ("62", Some("lost_on_promotion"), true, "lost"),
        ("63", Some("duplicated"), false, "duplicated"),
        ("64", Some("corrupted"), false, "corrupted"),
        ("65", Some("stale"), false, "lost"),
    ] {
        three.violate(&violation.map_or_else(Vec::new, |violation| vec![violation]));
        assert_eq!(ended(&three.vendor(&["write", number])), (true, String::new()), "{violation:?}");
        let node = three.primary(&format!("vendor-{number}"));
        if lost_node {
            three.kill(node);
        }
        assert_eq!(ended(&three.vendor(&["verify", number])), (violation.is_none(), found.to_owned()), "{violation:?}");
        if lost_node {
            three.start_again(node);
        }
    }
}
