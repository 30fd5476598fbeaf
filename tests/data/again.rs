//! Whether a drill that ran for real runs once more: on a machine that is too busy to serve clients, or to look at them,
//! nothing is learned about the drill. Nothing else is ever a reason.

/// Exit codes: an objective missed, undecided, and a preflight that failed.
const MISSED: i32 = 1;
const UNDECIDED: i32 = 2;
const NOT_READY: i32 = 69;

/// It was not decided, not begun, or it missed an objective while the runner itself got no processor. The first story is
/// printed; whatever the second run says, stands.
pub fn once_more(drill: &str, exit: Option<i32>, said: &str) -> bool {
    let starved = exit == Some(MISSED) && said.contains("the runner got no processor");
    let again = matches!(exit, Some(UNDECIDED | NOT_READY)) || starved;
    if again {
        println!("{drill} is run once more:\n{said}");
    }
    again
}

#[test]
fn only_a_busy_machine_is_a_reason() {
    assert!(once_more("d", Some(2), "") && once_more("d", Some(69), ""));
    assert!(once_more("d", Some(1), "… the runner got no processor for 2 s …"));
    for exit in [Some(0), Some(1), Some(3), Some(70), None] {
        assert!(!once_more("d", exit, "missed"));
    }
}
