//! `blackstart run --repeat N`, and the runs of a matrix: in which order, when they end early, and what they say
//! together.

use super::playbooks::Scheduled;
use super::stats::{self, Confidence};
use super::{Exit, Output, Terminal};
use crate::analysis::stats::Sample;
use crate::model::Dur;
use serde_json::json;
use std::time::Duration;

/// How often, and how far apart.
#[derive(Debug, Clone, clap::Args)]
pub struct Again {
    /// Run it all so many times; ends early when a run is not healed, is stopped, or cannot run
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    repeat: u32,
    /// Wait so long between runs
    #[arg(long, value_name = "TIME", default_value = "0s")]
    pause: Dur,
}

impl Again {
    pub fn times(&self) -> usize {
        self.repeat as usize
    }

    pub fn pause(&self) -> Duration {
        self.pause.0
    }
}

/// All runs in order: each drill or combination once, then each once more. What changes with time then touches all
/// combinations alike.
pub fn rounds<'a>(drills: &'a [Scheduled], again: &Again) -> Vec<&'a Scheduled> {
    (0..again.times()).flat_map(|_| drills).collect()
}

/// Is some drill among them more than once?
pub fn is_series(runs: &[&Scheduled]) -> bool {
    runs.iter().enumerate().any(|(n, run)| runs[..n].iter().any(|other| other.plan.name == run.plan.name))
}

/// A series goes on after a failed or undecided run: it is a measurement, too. What was not healed, what somebody or a
/// guard stopped, and what could not run at all is no ground for the next run.
pub fn ends_series(exit: Exit) -> bool {
    !matches!(exit, Exit::Pass | Exit::Fail | Exit::Inconclusive)
}

/// Said after each run of a series.
pub fn one_of(n: usize, runs: usize, exit: Exit) -> String {
    format!("run {n} of {runs}: {} ({})", exit.word(), exit.code())
}

/// What the runs of a series say together.
pub fn together(samples: Vec<Sample>, output: Output, exit: Exit, terminal: &mut Terminal) {
    if samples.is_empty() {
        return;
    }
    let made = stats::made(samples, &Confidence::default());
    match output {
        Output::Json => {
            let statistics = made.value();
            terminal.say(
                &json!({"together": {"exit_code": exit.code(), "word": exit.word(), "statistics": statistics}})
                    .to_string(),
            );
        }
        Output::Human | Output::Plain => terminal.say(&made.drawn(terminal)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measurements_go_on_and_everything_else_ends_a_series() {
        for exit in [Exit::Pass, Exit::Fail, Exit::Inconclusive] {
            assert!(!ends_series(exit));
        }
        for exit in [Exit::NotHealed, Exit::Aborted, Exit::NotRun, Exit::Preflight, Exit::Internal] {
            assert!(ends_series(exit));
        }
        assert_eq!(one_of(2, 5, Exit::Fail), "run 2 of 5: fail (1)");
    }
}
