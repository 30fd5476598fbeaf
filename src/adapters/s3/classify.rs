//! What an answer of a server says about an object that was sent: was it definitely not stored, or does nobody know? Pure.
//! Errors before anything was sent never come here: those are always `Fail`.

use super::wire::{Refusal, Trouble};
use crate::adapters::connection::Failure;
use crate::model::Outcome;

/// The outcome of a write that ended like this after it was sent.
pub(super) fn after_sending(trouble: &Trouble) -> Outcome {
    match trouble {
        Trouble::Failed(Failure::NotSent(_)) => Outcome::Fail,
        Trouble::Failed(Failure::Resources(_)) => Outcome::Unsent,
        Trouble::Failed(Failure::Undecided(_)) => Outcome::Unknown,
        Trouble::Refused(refusal) if definite(refusal) => Outcome::Fail,
        Trouble::Refused(_) => Outcome::Unknown,
    }
}

/// A redirection or a refusal comes in place of storing the object, and an object is stored whole or not at all. `SlowDown`
/// is a refusal too: it is said of a request that was not begun. Everything else of 500 and above, and a proxy's own 503,
/// may come after the object was stored, or while it is. 408 is what a proxy says that heard nothing from behind it.
fn definite(refusal: &Refusal) -> bool {
    match refusal.status {
        408 => false,
        300..=499 => true,
        503 => refusal.code.as_deref() == Some("SlowDown"),
        _ => false,
    }
}

/// What it means when nothing but the way to the server was tried.
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
        let of = |status, code: &str| {
            let code = Some(code.to_owned()).filter(|code| !code.is_empty());
            after_sending(&Trouble::Refused(Refusal { status, code }))
        };
        for (status, code) in [
            (301, "PermanentRedirect"),
            (307, ""),
            (400, "BadDigest"),
            (403, "AccessDenied"),
            (404, "NoSuchBucket"),
            (409, "OperationAborted"),
            (412, "PreconditionFailed"),
            (429, ""),
            (503, "SlowDown"),
        ] {
            assert_eq!(of(status, code), Outcome::Fail, "{status} {code}");
        }
        for (status, code) in [
            (201, ""),
            (204, ""),
            (408, ""),
            (500, "InternalError"),
            (500, "SlowDown"),
            (502, ""),
            (503, ""),
            (503, "ServiceUnavailable"),
            (504, ""),
        ] {
            assert_eq!(of(status, code), Outcome::Unknown, "{status} {code}");
        }
        let why = String::new;
        assert_eq!(after_sending(&Trouble::Failed(Failure::Undecided(why()))), Outcome::Unknown);
        assert_eq!(after_sending(&Trouble::Failed(Failure::NotSent(why()))), Outcome::Fail);
        assert_eq!(before_sending(&Trouble::Failed(Failure::Undecided(why()))), Outcome::Fail);
        assert_eq!(before_sending(&Trouble::Failed(Failure::Resources(why()))), Outcome::Unsent);
    }
}
