//! What an error of a member says about a write that was sent: did it definitely not happen, or does nobody know? Pure.
//! Errors before the write was sent never come here: those are always `Fail`.

use super::gateway::{Refusal, Trouble};
use crate::adapters::connection::Failure;
use crate::model::Outcome;

/// The outcome of a write that ended like this after it was sent.
///
/// Only gRPC's status code is looked at. UNAVAILABLE (14) is what etcd says of a proposal that had no leader, whose leader
/// changed, or that was not agreed upon in time: some of these are carried out later, and which only the text could say.
/// UNKNOWN, CANCELLED, DEADLINE_EXCEEDED, INTERNAL, ABORTED and DATA_LOSS decide nothing either.
pub(super) fn after_sending(trouble: &Trouble) -> Outcome {
    match trouble {
        Trouble::Failed(Failure::NotSent(_)) => Outcome::Fail,
        Trouble::Failed(Failure::Resources(_)) => Outcome::Unsent,
        Trouble::Failed(Failure::Undecided(_)) => Outcome::Unknown,
        Trouble::Refused(refusal) if definite(refusal) => Outcome::Fail,
        Trouble::Refused(_) => Outcome::Unknown,
    }
}

/// INVALID_ARGUMENT 3 (too large, no key), NOT_FOUND 5, PERMISSION_DENIED 7, RESOURCE_EXHAUSTED 8 (no space: the alarm
/// refuses writes when they are applied, on every member alike; too many requests), FAILED_PRECONDITION 9, OUT_OF_RANGE
/// 11, UNIMPLEMENTED 12, UNAUTHENTICATED 16.
fn definite(refusal: &Refusal) -> bool {
    [3, 5, 7, 8, 9, 11, 12, 16].contains(&refusal.code)
}

/// What it means when nothing but the way to a member was tried.
pub(super) fn before_sending(trouble: &Trouble) -> Outcome {
    match trouble {
        Trouble::Failed(Failure::Resources(_)) => Outcome::Unsent,
        _ => Outcome::Fail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_refused_beforehand_is_definite() {
        let of = |code| after_sending(&Trouble::Refused(Refusal { code, words: String::new() }));
        for code in [3, 7, 8, 16] {
            assert_eq!(of(code), Outcome::Fail, "{code}");
        }
        for code in [0, 1, 2, 4, 10, 13, 14, 15, 99, -1] {
            assert_eq!(of(code), Outcome::Unknown, "{code}");
        }
        let failed = |failure| Trouble::Failed(failure);
        let why = String::new;
        assert_eq!(after_sending(&failed(Failure::Undecided(why()))), Outcome::Unknown);
        assert_eq!(before_sending(&failed(Failure::Undecided(why()))), Outcome::Fail);
        assert_eq!(before_sending(&failed(Failure::Resources(why()))), Outcome::Unsent);
    }
}
