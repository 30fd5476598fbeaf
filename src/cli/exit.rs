//! The exit codes: one table, from which help, README and documentation are made. Which code a run gets is decided
//! here and nowhere else.

use crate::model::{RunState, Verdict};

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exit {
    /// 0
    Pass,
    /// 1
    Fail,
    /// 2
    Inconclusive,
    /// 3
    NotHealed,
    /// 4
    Aborted,
    /// 5
    NotRun,
    /// 64
    Usage,
    /// 65
    Playbook,
    /// 69
    Preflight,
    /// 70
    Internal,
}

/// A row of the table.
struct Row {
    exit: Exit,
    code: u8,
    word: &'static str,
    meaning: &'static str,
}

/// By code. Which one wins among several drills is [`MERGE`].
const TABLE: [Row; 10] = [
    Row { exit: Exit::Pass, code: 0, word: "pass", meaning: "every objective was met and every expectation held" },
    Row {
        exit: Exit::Fail,
        code: 1,
        word: "fail",
        meaning: "an objective was missed, an `expect`, `check` or `restore` was false, or data is not what it was",
    },
    Row {
        exit: Exit::Inconclusive,
        code: 2,
        word: "inconclusive",
        meaning: "not measured well enough, or the fault was not effective",
    },
    Row {
        exit: Exit::NotHealed,
        code: 3,
        word: "not healed",
        meaning: "a fault of ours is still open; `blackstart recover` heals it",
    },
    Row {
        exit: Exit::Aborted,
        code: 4,
        word: "aborted",
        meaning: "a guard, a signal or the user stopped the drill, and everything is healed",
    },
    Row {
        exit: Exit::NotRun,
        code: 5,
        word: "not run",
        meaning: "the drill may not run now: a lock is held, the kill switch is engaged, or it is outside its window",
    },
    Row { exit: Exit::Usage, code: 64, word: "usage", meaning: "the command line is wrong" },
    Row { exit: Exit::Playbook, code: 65, word: "playbook", meaning: "the playbook is wrong" },
    Row { exit: Exit::Preflight, code: 69, word: "preflight", meaning: "preflight failed; nothing was touched" },
    Row { exit: Exit::Internal, code: 70, word: "internal", meaning: "an internal error" },
];

/// Of several drills the one that stands first here decides.
const MERGE: [Exit; 10] = [
    Exit::NotHealed,
    Exit::Internal,
    Exit::Playbook,
    Exit::Usage,
    Exit::Fail,
    Exit::Aborted,
    Exit::Inconclusive,
    Exit::Preflight,
    Exit::NotRun,
    Exit::Pass,
];

/// What stands below `--help`; a test keeps it equal to the table.
pub(super) const HELP: &str = "Exit codes: 0 pass, 1 fail, 2 inconclusive, 3 not healed, 4 aborted, 5 not run, \
64 usage, 65 playbook, 69 preflight, 70 internal";

impl Exit {
    /// What the shell sees.
    #[must_use]
    pub fn code(self) -> u8 {
        self.row().code
    }

    /// The one that has this code.
    #[must_use]
    pub fn of_code(code: u8) -> Option<Self> {
        TABLE.iter().find(|row| row.code == code).map(|row| row.exit)
    }

    /// Its name.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.row().word
    }

    /// What it tells the reader.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        self.row().meaning
    }

    fn row(self) -> &'static Row {
        &TABLE[TABLE.iter().position(|row| row.exit == self).unwrap_or(TABLE.len() - 1)]
    }

    fn rank(self) -> usize {
        MERGE.iter().position(|exit| *exit == self).unwrap_or(0)
    }

    /// Of two drills the one that matters more.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        if self.rank() <= other.rank() { self } else { other }
    }

    /// Of several drills the one that matters most; pass if there are none.
    pub fn all(exits: impl IntoIterator<Item = Self>) -> Self {
        exits.into_iter().fold(Self::Pass, Self::merge)
    }

    /// What a run's record amounts to: an open fault outranks an abort, and an abort outranks the judgement.
    #[must_use]
    pub fn of_run(state: RunState, verdict: Verdict) -> Self {
        match (state, verdict) {
            (RunState::Dirty, _) => Self::NotHealed,
            (RunState::Aborted, _) => Self::Aborted,
            (RunState::NotRun, _) => Self::Preflight,
            (RunState::Held, _) => Self::NotRun,
            (RunState::Ended, Verdict::Pass) => Self::Pass,
            (RunState::Ended, Verdict::Inconclusive) => Self::Inconclusive,
            (RunState::Ended, Verdict::Fail) => Self::Fail,
        }
    }

    /// The table as Markdown: what README and the documentation show.
    #[must_use]
    pub fn markdown() -> String {
        let rows: String = TABLE.iter().map(|r| format!("| {} | {} | {} |\n", r.code, r.word, r.meaning)).collect();
        let order: Vec<String> = MERGE.iter().map(|exit| exit.code().to_string()).collect();
        format!(
            "| code | word | meaning |\n|---:|---|---|\n{rows}\nSeveral drills in one call: the first of {} decides.\n",
            order.join(" > ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_documented_ones_and_every_exit_has_a_rank() {
        let codes: Vec<u8> = TABLE.iter().map(|r| r.code).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 64, 65, 69, 70]);
        for row in &TABLE {
            assert_eq!(MERGE.iter().filter(|exit| **exit == row.exit).count(), 1, "{}", row.word);
            assert_eq!(row.exit.code(), row.code);
        }
    }

    #[test]
    fn merging_follows_the_documented_order() {
        let codes: Vec<u8> = MERGE.iter().map(|exit| exit.code()).collect();
        assert_eq!(codes, [3, 70, 65, 64, 1, 4, 2, 69, 5, 0]);
        for (i, higher) in MERGE.iter().enumerate() {
            for lower in &MERGE[i..] {
                assert_eq!(higher.merge(*lower), *higher);
                assert_eq!(lower.merge(*higher), *higher);
            }
        }
        assert_eq!(Exit::all([]), Exit::Pass);
    }

    #[test]
    fn an_open_fault_outranks_every_judgement() {
        for verdict in [Verdict::Pass, Verdict::Inconclusive, Verdict::Fail] {
            assert_eq!(Exit::of_run(RunState::Dirty, verdict), Exit::NotHealed);
            assert_eq!(Exit::of_run(RunState::Aborted, verdict), Exit::Aborted);
        }
    }

    #[test]
    fn help_names_every_code() {
        for row in &TABLE {
            assert!(HELP.contains(&format!("{} {}", row.code, row.word)), "{}", row.word);
        }
    }
}
