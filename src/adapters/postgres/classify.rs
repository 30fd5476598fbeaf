//! What an error says about a statement that was sent: did it definitely not happen, or does nobody know? Pure.
//! Errors before the statement was sent never come here: those are always `Fail`.

use crate::model::Outcome;
use tokio_postgres::error::{DbError, SqlState};

/// The outcome of an autocommit statement that was sent and ended in this error.
///
/// Only the server's own word counts as a definite failure: an error response means that the transaction was rolled
/// back. A broken connection decides nothing, and neither does a SQLSTATE that is not known to come before the commit:
/// those of operator intervention (57P01 and its like) and of internal or system errors can reach the client when the
/// commit record is already on disk, and 08007 and 40003 say so themselves.
pub(super) fn after_sending(error: &tokio_postgres::Error) -> Outcome {
    match error.code() {
        Some(code) if definitely_not(code) => Outcome::Fail,
        _ => Outcome::Unknown,
    }
}

/// SQLSTATEs after which the statement certainly had no effect, by class (PostgreSQL documentation, appendix A).
fn definitely_not(code: &SqlState) -> bool {
    /// 0A not supported, 21 cardinality, 22 data, 23 constraint, 25 transaction state (25006: read-only, not the
    /// primary any more), 26 statement name, 28 authorization, 3D and 3F names, 40 rollback (40001 serialization,
    /// 40P01 deadlock), 42 syntax and access rules, 44 check option, 53 resources (53100 disk full), 54 limits,
    /// 55 object state (55P03 lock not available).
    const CLASSES: [&str; 15] =
        ["0A", "21", "22", "23", "25", "26", "28", "3D", "3F", "40", "42", "44", "53", "54", "55"];
    let text = code.code();
    // 40003: statement completion unknown. 57014: cancelled; a statement that was cancelled while it waited for a
    // standby is not an error but a success with a warning (see `says_local_only`). 57P03: cannot connect now.
    text != "40003" && (CLASSES.iter().any(|class| text.starts_with(class)) || matches!(text, "57014" | "57P03"))
}

/// Does this notice, which came with the acknowledgement of our own insert, say that the commit is only local?
///
/// PostgreSQL acknowledges a commit whose wait for a synchronous standby was cancelled, and says so in a WARNING of
/// SQLSTATE 01000; there is no code of its own for it. 01000 is what every plain WARNING has, but the ledger's table has
/// no triggers, so during its insert nothing else warns. Should something else do after all, an acknowledgement is
/// counted as less durable than it was, which never turns into a loss that did not happen.
/// The text is translated and is not looked at.
pub(super) fn says_local_only(notice: &DbError) -> bool {
    use tokio_postgres::error::Severity;
    *notice.code() == SqlState::WARNING && !matches!(notice.parsed_severity(), Some(Severity::Notice | Severity::Info))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejection_before_the_commit_is_definite() {
        for code in ["25006", "40001", "40P01", "23505", "42P01", "53100", "53300", "57014", "57P03", "55P03", "28P01"]
        {
            assert!(definitely_not(&SqlState::from_code(code)), "{code}");
        }
    }

    #[test]
    fn what_may_come_after_the_commit_and_what_is_not_known_is_in_doubt() {
        for code in
            ["57P01", "57P02", "57P05", "08006", "08007", "40003", "58030", "XX000", "XX001", "01000", "ZZZZZ", ""]
        {
            assert!(!definitely_not(&SqlState::from_code(code)), "{code}");
        }
    }
}
