//! What an answer of a broker says about a message that was sent: is it definitely in no queue, or does nobody know? Pure.

use super::connection::{Refusal, Told, Trouble};
use super::frame::name;
use crate::model::Outcome;

/// The outcome of a message that a broker confirmed, returned or refused.
///
/// A `nack` decides nothing: the broker says it when the process of a queue ended before it confirmed, and what that had
/// written comes back with it. (It also says it when a full queue refuses, and only its own settings tell which.)
pub(super) fn told(told: Told) -> Outcome {
    match told {
        Told::Acked => Outcome::Ok,
        Told::Returned => Outcome::Fail,
        Told::Nacked => Outcome::Unknown,
    }
}

/// The outcome of a message that ended in trouble after it was sent.
pub(super) fn after_sending(trouble: &Trouble) -> Outcome {
    match trouble {
        Trouble::NotSent(_) | Trouble::Late(_) => Outcome::Fail,
        Trouble::Resources(_) => Outcome::Unsent,
        Trouble::Undecided(_) => Outcome::Unknown,
        Trouble::Refused(refusal) if definite(refusal) => Outcome::Fail,
        Trouble::Refused(_) => Outcome::Unknown,
    }
}

/// Said of `basic.publish` itself, before the message went to any queue: CONTENT_TOO_LARGE 311, ACCESS_REFUSED 403,
/// NOT_FOUND 404, PRECONDITION_FAILED 406, NOT_ALLOWED 530, NOT_IMPLEMENTED 540. The channel has one message in flight, so it
/// is this one. CONNECTION_FORCED 320 (an operator ends it), INTERNAL_ERROR 541 and all others decide nothing.
fn definite(refusal: &Refusal) -> bool {
    refusal.about == name::PUBLISH && [311, 403, 404, 406, 530, 540].contains(&refusal.code)
}

/// What it means when nothing but the way to a node was tried.
pub(super) fn before_sending(trouble: &Trouble) -> Outcome {
    match trouble {
        Trouble::Resources(_) => Outcome::Unsent,
        _ => Outcome::Fail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_refused_beforehand_is_definite() {
        let of = |code, about| after_sending(&Trouble::Refused(Refusal { code, words: String::new(), about }));
        for code in [311, 403, 404, 406, 530, 540] {
            assert_eq!(of(code, name::PUBLISH), Outcome::Fail, "{code}");
            assert_eq!(of(code, (0, 0)), Outcome::Unknown, "{code}");
        }
        for code in [200, 320, 501, 504, 506, 541] {
            assert_eq!(of(code, name::PUBLISH), Outcome::Unknown, "{code}");
        }
        assert_eq!((told(Told::Acked), told(Told::Returned)), (Outcome::Ok, Outcome::Fail));
        assert_eq!(told(Told::Nacked), Outcome::Unknown);
        let why = String::new;
        assert_eq!(after_sending(&Trouble::Undecided(why())), Outcome::Unknown);
        assert_eq!(before_sending(&Trouble::Undecided(why())), Outcome::Fail);
        assert_eq!(before_sending(&Trouble::Resources(why())), Outcome::Unsent);
    }
}
