//! What an answer of a node says about a document that was sent: was it definitely not written, does nobody know, and has
//! everybody it who should? Pure. Errors before anything was sent never come here: those are always `Fail`.

use super::rest::{Refusal, Trouble};
use crate::adapters::connection::Failure;
use crate::model::Outcome;
use serde_json::Value;

/// An answer that says it was created: by as many copies as were asked for, and without one that failed?
pub(super) fn created(answer: &Value, asked: u64) -> Outcome {
    if answer["result"] != "created" {
        return Outcome::Unknown;
    }
    let shards = |name: &str| answer["_shards"][name].as_u64();
    match (shards("successful"), shards("failed")) {
        (Some(successful), Some(0)) if successful >= asked => Outcome::Ok,
        (Some(successful), Some(_)) if successful > 0 => Outcome::OkLocal,
        _ => Outcome::Unknown,
    }
}

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

/// 400 (malformed, closed index), 401, 403 (no right, index read-only), 404 (no such index or alias), 405, 413 and 429 (too many
/// requests, no memory, disk too full) are said before a primary carries anything out.
///
/// 409 says that a document of this name is there. Only this attempt has the name: the node that was asked has sent the
/// write a second time by itself, after a primary was lost that may have carried it out. 503 (no primary, not enough copies,
/// no master) may come after such a loss, too; and what comes of 500, 502, 504 and 408 nobody says.
fn definite(refusal: &Refusal) -> bool {
    [400, 401, 403, 404, 405, 413, 429].contains(&refusal.status)
}

/// What it means when nothing but the way to a node was tried.
pub(super) fn before_sending(trouble: &Trouble) -> Outcome {
    match trouble {
        Trouble::Failed(Failure::Resources(_)) => Outcome::Unsent,
        _ => Outcome::Fail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_is_refused_beforehand_is_definite() {
        let of = |status| after_sending(&Trouble::Refused(Refusal { status, kind: "some".to_owned() }));
        for status in [400, 401, 403, 404, 413, 429] {
            assert_eq!(of(status), Outcome::Fail, "{status}");
        }
        for status in [302, 408, 409, 500, 502, 503, 504] {
            assert_eq!(of(status), Outcome::Unknown, "{status}");
        }
        let why = String::new;
        assert_eq!(after_sending(&Trouble::Failed(Failure::Undecided(why()))), Outcome::Unknown);
        assert_eq!(before_sending(&Trouble::Failed(Failure::Undecided(why()))), Outcome::Fail);
        assert_eq!(before_sending(&Trouble::Failed(Failure::Resources(why()))), Outcome::Unsent);
    }

    #[test]
    fn what_fewer_copies_have_than_were_asked_for_is_there_and_less_safe() {
        let of = |successful: u64, failed: u64, asked| {
            let shards = json!({"total": 2, "successful": successful, "failed": failed});
            created(&json!({"result": "created", "_shards": shards}), asked)
        };
        assert_eq!((of(2, 0, 2), of(1, 0, 1), of(2, 0, 1)), (Outcome::Ok, Outcome::Ok, Outcome::Ok));
        assert_eq!((of(1, 0, 2), of(1, 1, 1)), (Outcome::OkLocal, Outcome::OkLocal));
        for strange in [json!({}), json!({"result": "updated"}), json!({"result": "created"})] {
            assert_eq!(created(&strange, 1), Outcome::Unknown, "{strange}");
        }
    }
}
