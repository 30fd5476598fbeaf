//! What an error of a server says about a write that was sent: did it definitely not happen, or does nobody know? Pure.
//! Errors before the write was sent never come here: those are always `Fail`.

use super::resp::Refusal;
use crate::model::Outcome;

/// The outcome of a write that a server answered with this error.
///
/// Only the first word is looked at, which is what Redis gives programs to go by. Those that count as a definite failure
/// are said before a command is carried out. `ERR` is what every other error begins with, and proxies in front of Redis say
/// it too when *their* time-out is over and the command may have been carried out: nobody knows.
pub(super) fn after_sending(refusal: &Refusal) -> Outcome {
    /// READONLY: a replica. LOADING: it reads its data set. MASTERDOWN: a replica that lost its primary and may not serve.
    /// NOREPLICAS: fewer replicas than `min-replicas-to-write`. MISCONF: it cannot save, and refuses writes. OOM: no
    /// memory. BUSY: a script runs. CLUSTERDOWN, MOVED, ASK, CROSSSLOT, TRYAGAIN: another node's, or nobody's.
    /// NOAUTH, WRONGPASS, NOPERM: not allowed. WRONGTYPE: the key holds something else. DENIED: protected mode.
    const DEFINITE: [&str; 17] = [
        "READONLY",
        "LOADING",
        "MASTERDOWN",
        "NOREPLICAS",
        "MISCONF",
        "OOM",
        "BUSY",
        "CLUSTERDOWN",
        "MOVED",
        "ASK",
        "CROSSSLOT",
        "TRYAGAIN",
        "NOAUTH",
        "WRONGPASS",
        "NOPERM",
        "WRONGTYPE",
        "DENIED",
    ];
    if DEFINITE.contains(&refusal.code.as_str()) { Outcome::Fail } else { Outcome::Unknown }
}

/// Will this server go on refusing, so that a client looks for another one?
pub(super) fn elsewhere(refusal: &Refusal) -> bool {
    ["READONLY", "LOADING", "MASTERDOWN", "CLUSTERDOWN", "MOVED"].contains(&refusal.code.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &str) -> Outcome {
        let code = words.split(' ').next().unwrap().to_owned();
        after_sending(&Refusal { code, words: words.to_owned() })
    }

    #[test]
    fn what_is_refused_beforehand_is_definite() {
        for words in [
            "READONLY You can't write against a read only replica.",
            "LOADING Redis is loading the dataset in memory",
            "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
            "NOREPLICAS Not enough good replicas to write.",
            "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
            "OOM command not allowed when used memory > 'maxmemory'.",
            "NOPERM this user has no permissions",
        ] {
            assert_eq!(of(words), Outcome::Fail, "{words}");
        }
    }

    #[test]
    fn what_is_not_known_is_in_doubt() {
        for words in ["ERR Connection timed out", "ERR unknown command", "UNBLOCKED force unblock", "EXECABORT", "x"] {
            assert_eq!(of(words), Outcome::Unknown, "{words}");
        }
    }
}
