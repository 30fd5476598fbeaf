//! What an answer says about a write that was sent: was it done, did it definitely not happen, or does nobody know? Pure.
//! Errors before the write was sent never come here: those are always `Fail`.

use super::server::{Answer, Trouble};
use crate::adapters::connection::Failure;
use crate::model::Outcome;
use serde_json::json;

/// CouchDB says that a document with another revision is there.
const CONFLICT: u16 = 409;

/// Was an earlier attempt at the same record left in doubt?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    /// No: this is the first, or all before it definitely failed.
    Clear,
    /// Yes: what it wrote may be there.
    Doubt,
}

/// The outcome of a PUT of a new document that was answered.
///
/// 201: as many copies as asked for have it. 202: at least one has it, and not as many as asked for. An answer that is not
/// CouchDB's own (another page with a status of success) says nothing.
pub(super) fn answered(answer: &Answer, id: &str) -> Outcome {
    match (answer.status, answer.body["ok"] == json!(true) && answer.body["id"] == json!(id)) {
        (201, true) => Outcome::Ok,
        (202, true) => Outcome::OkLocal,
        _ => Outcome::Unknown,
    }
}

/// The outcome of a PUT of a new document that was not answered, or with no.
///
/// 409 says that the document is there. Nobody but this client has this id: after an attempt in doubt it is what that one
/// wrote, so the record is safe as far as any client can be told. Without one, something between repeated the request.
pub(super) fn after_sending(trouble: &Trouble, before: Before) -> Outcome {
    match trouble {
        Trouble::Failed(Failure::NotSent(_)) => Outcome::Fail,
        Trouble::Failed(Failure::Resources(_)) => Outcome::Unsent,
        Trouble::Failed(Failure::Undecided(_)) => Outcome::Unknown,
        Trouble::Refused(no) if no.status == CONFLICT && no.code == "conflict" && before == Before::Doubt => {
            Outcome::Ok
        }
        Trouble::Refused(no) if definite(no.status) => Outcome::Fail,
        Trouble::Refused(_) => Outcome::Unknown,
    }
}

/// Said before anything is written, by the server or by what stands before it: 400 bad request, 401 and 403 no rights, 404
/// no database, 405, 406, 411, 413 too large, 414, 415, 417, 429 too many requests. 408 and everything from 500 on is not:
/// a server or a proxy also says it of what was carried out.
fn definite(status: u16) -> bool {
    [400, 401, 403, 404, 405, 406, 411, 413, 414, 415, 417, 429].contains(&status)
}

/// What it means when nothing but the way to the server was tried.
pub(super) fn before_sending(trouble: &Trouble) -> Outcome {
    match trouble {
        Trouble::Failed(Failure::Resources(_)) => Outcome::Unsent,
        _ => Outcome::Fail,
    }
}

/// Whether writes are taken, by a PUT that has a revision which no document has: it goes where every write goes, and is
/// refused there as a conflict.
pub(super) fn writable(said: &Result<Answer, Trouble>) -> Outcome {
    match said {
        Err(Trouble::Refused(no)) if no.status == CONFLICT && no.code == "conflict" => Outcome::Ok,
        Err(trouble) => after_sending(trouble, Before::Clear),
        Ok(_) => Outcome::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::super::server::Refusal;
    use super::*;

    fn no(status: u16, code: &str) -> Trouble {
        Trouble::Refused(Refusal { status, code: code.to_owned(), words: String::new() })
    }

    #[test]
    fn only_couchdbs_own_words_acknowledge() {
        let of = |status, body| answered(&Answer { status, body }, "a");
        assert_eq!(of(201, json!({"ok": true, "id": "a", "rev": "1-x"})), Outcome::Ok);
        assert_eq!(of(202, json!({"ok": true, "id": "a", "rev": "1-x"})), Outcome::OkLocal);
        for (status, body) in [
            (200, json!({"ok": true, "id": "a"})),
            (201, json!({"ok": true, "id": "b"})),
            (201, json!({"ok": false, "id": "a"})),
            (201, json!([])),
            (202, json!(null)),
        ] {
            assert_eq!(of(status, body.clone()), Outcome::Unknown, "{status} {body}");
        }
    }

    #[test]
    fn only_what_is_refused_beforehand_is_definite() {
        for status in [400, 401, 403, 404, 413, 429] {
            assert_eq!(after_sending(&no(status, "x"), Before::Doubt), Outcome::Fail, "{status}");
        }
        for status in [302, 304, 408, 409, 412, 500, 502, 503, 504, 599] {
            assert_eq!(after_sending(&no(status, "conflict"), Before::Clear), Outcome::Unknown, "{status}");
        }
        let failed = |failure| Trouble::Failed(failure);
        let why = String::new;
        assert_eq!(after_sending(&failed(Failure::Undecided(why())), Before::Clear), Outcome::Unknown);
        assert_eq!(before_sending(&failed(Failure::Undecided(why()))), Outcome::Fail);
        assert_eq!(before_sending(&failed(Failure::Resources(why()))), Outcome::Unsent);
    }

    #[test]
    fn a_conflict_after_doubt_is_what_the_doubtful_attempt_wrote() {
        assert_eq!(after_sending(&no(409, "conflict"), Before::Doubt), Outcome::Ok);
        // A proxy's own 409 says nothing.
        assert_eq!(after_sending(&no(409, ""), Before::Doubt), Outcome::Unknown);
    }

    #[test]
    fn who_can_conflict_can_write() {
        assert_eq!(writable(&Err(no(409, "conflict"))), Outcome::Ok);
        assert_eq!(writable(&Err(no(403, "forbidden"))), Outcome::Fail);
        assert_eq!(writable(&Err(no(503, ""))), Outcome::Unknown);
        assert_eq!(writable(&Ok(Answer { status: 201, body: json!({}) })), Outcome::Unknown);
    }
}
