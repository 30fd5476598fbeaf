//! What an answer of a server says about a write that was sent: did it definitely not happen, is it less durable than was
//! asked, or does nobody know? Pure, and by numbers alone (`src/mongo/base/error_codes.yml` of the server names them). Errors
//! before the write was sent never come here: those are always `Fail`.

use super::bson::Doc;
use crate::model::Outcome;

/// An error as a server says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The error's number: what programs go by.
    pub code: i64,
    /// For people.
    pub words: String,
}

impl Refusal {
    /// What `ok: 0`, a write error or a write concern's error says.
    pub fn of(doc: Doc<'_>) -> Self {
        Self { code: doc.number("code").unwrap_or_default(), words: doc.text("errmsg").to_owned() }
    }
}

/// Not allowed.
pub(super) const UNAUTHORIZED: i64 = 13;
/// Wrong user or password.
pub(super) const AUTHENTICATION_FAILED: i64 = 18;
/// There is such a record.
pub(super) const DUPLICATE_KEY: i64 = 11_000;

/// This server is no primary, said when a command comes in: NotWritablePrimary, NotPrimaryNoSecondaryOk,
/// NotPrimaryOrSecondary, and what old servers say.
const NOT_PRIMARY: [i64; 4] = [10_107, 13_435, 13_436, 10_058];
/// It is one no more, or goes down, said also to commands that are under way: PrimarySteppedDown,
/// InterruptedDueToReplStateChange, InterruptedAtShutdown, ShutdownInProgress.
const CHANGED: [i64; 4] = [189, 11_602, 11_600, 91];

/// The outcome of a write that a server answered with this error instead of carrying it out.
pub(super) fn after_sending(code: i64) -> Outcome {
    /// BadValue, FailedToParse, Unauthorized, TypeMismatch, AuthenticationFailed, IllegalOperation, CommandNotFound,
    /// InvalidOptions, InvalidNamespace, DocumentValidationFailure, CommandNotSupportedOnView, BSONObjectTooLarge,
    /// ReauthenticationRequired: not allowed, or not understood. NamespaceNotFound; a record with this identifier.
    const DEFINITE: [i64; 15] =
        [2, 9, UNAUTHORIZED, 14, AUTHENTICATION_FAILED, 20, 26, 59, 72, 73, 121, 166, 10_334, 391, DUPLICATE_KEY];
    if NOT_PRIMARY.contains(&code) || DEFINITE.contains(&code) { Outcome::Fail } else { Outcome::Unknown }
}

/// The outcome of a write that was carried out and is not known to be as durable as was asked.
fn less_durable(code: i64) -> Outcome {
    /// WriteConcernFailed (its time was over), UnsatisfiableWriteConcern (there are not so many members): the server is
    /// primary still, and has it.
    const ALONE: [i64; 2] = [64, 100];
    if ALONE.contains(&code) { Outcome::OkLocal } else { Outcome::Unknown }
}

/// Will this server go on refusing, so that a client looks for another one?
pub(super) fn elsewhere(code: i64) -> bool {
    NOT_PRIMARY.contains(&code) || CHANGED.contains(&code)
}

/// What a server's answer to a write says of its only statement: the outcome, and the error's number if there is one.
/// `done` is how many documents must have been written or removed, if that is known.
pub(super) fn answer(reply: Doc<'_>, done: Option<i64>) -> (Outcome, Option<i64>) {
    if reply.number("ok") != Some(1) {
        let code = reply.number("code").unwrap_or_default();
        return (after_sending(code), Some(code));
    }
    if let Some(error) = reply.items("writeErrors").next() {
        let code = error.doc().and_then(|error| error.number("code")).unwrap_or_default();
        return (after_sending(code), Some(code));
    }
    if reply.get("writeErrors").is_some() || done.is_some_and(|done| reply.number("n") != Some(done)) {
        return (Outcome::Unknown, None);
    }
    match reply.doc("writeConcernError") {
        Some(error) => {
            let code = error.number("code").unwrap_or_default();
            (less_durable(code), Some(code))
        }
        None if reply.get("writeConcernError").is_some() => (Outcome::Unknown, None),
        None => (Outcome::Ok, None),
    }
}

#[cfg(test)]
mod tests {
    use super::super::bson::{Fields, Value};
    use super::*;

    fn of(fields: Fields) -> (Outcome, Option<i64>) {
        let mut bytes = Vec::new();
        fields.finish_into(&mut bytes);
        answer(Doc::whole(&bytes).unwrap(), Some(1))
    }

    fn done() -> Fields {
        Fields::new().add("n", 1_i32).add("ok", Value::Raw(0x01, 1.0_f64.to_le_bytes().to_vec()))
    }

    fn error(code: i32) -> Fields {
        Fields::new().add("index", 0_i32).add("code", code).add("errmsg", "not primary")
    }

    #[test]
    fn what_is_refused_beforehand_is_definite_and_what_was_interrupted_is_in_doubt() {
        for code in [10_107, 13_435, 13_436, 10_058, 13, 18, 121, 11_000] {
            let refused = (Outcome::Fail, Some(i64::from(code)));
            assert_eq!(of(error(code).add("ok", 0_i32)), refused);
            assert_eq!(
                of(Fields::new().add("n", 0_i32).add("ok", 1_i32).add("writeErrors", array(error(code)))),
                refused
            );
        }
        for code in [189, 11_602, 11_600, 91, 50, 262, 112, 6, 7, 89, 9_001, 1, 0, 79] {
            assert_eq!(of(error(code).add("ok", 0_i32)).0, Outcome::Unknown, "{code}");
        }
        assert!([10_107, 189, 11_602, 11_600, 91, 13_436].into_iter().all(elsewhere));
        assert!(![64, 13, 11_000, 0].into_iter().any(elsewhere));
    }

    fn array(error: Fields) -> Value {
        Value::Array(vec![error.into()])
    }

    #[test]
    fn a_write_concern_that_was_not_met_is_no_loss_and_a_primary_that_changed_is_doubt() {
        assert_eq!(of(done()), (Outcome::Ok, None));
        for (code, outcome) in [
            (64, Outcome::OkLocal),
            (100, Outcome::OkLocal),
            (189, Outcome::Unknown),
            (11_602, Outcome::Unknown),
            (91, Outcome::Unknown),
            (79, Outcome::Unknown),
        ] {
            assert_eq!(of(done().add("writeConcernError", error(code))), (outcome, Some(i64::from(code))));
        }
    }

    #[test]
    fn an_answer_that_says_nothing_decides_nothing() {
        for fields in [
            Fields::new(),
            Fields::new().add("ok", 1_i32),
            Fields::new().add("ok", 1_i32).add("n", 0_i32),
            done().add("writeErrors", 7_i32),
            done().add("writeConcernError", 7_i32),
            Fields::new().add("ok", "yes").add("n", 1_i32),
        ] {
            assert_eq!(of(fields.clone()).0, Outcome::Unknown, "{fields:?}");
        }
    }
}
