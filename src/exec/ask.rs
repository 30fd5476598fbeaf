//! Where answers to `ask` steps come from: a person at the terminal (`cli` brings that), a file, or nobody.

use crate::adapters::Fut;
use crate::clock::Clock;
use crate::model::StepId;
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What a person said.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The step.
    pub step: StepId,
    /// Is it done? False: it could not be done.
    pub done: bool,
    /// Who said so.
    pub by: String,
}

/// Answers `ask` steps.
pub trait Answers: Send + Sync {
    /// Waits for the answer; the step's own limit ends the wait. An error means that none can come.
    fn answer<'a>(&'a self, step: &'a StepId, question: &'a str, clock: &'a Clock) -> Fut<'a, Result<Answer, String>>;
}

/// Nobody is there.
pub struct Nobody;

impl Answers for Nobody {
    fn answer<'a>(&'a self, _: &'a StepId, _: &'a str, _: &'a Clock) -> Fut<'a, Result<Answer, String>> {
        Box::pin(async { Err("nobody is there to answer; use a terminal or --answers FILE".to_owned()) })
    }
}

/// A file that gets a line of JSON per answer: `{"step": "cut_over", "done": true, "by": "ann"}`. It may appear late.
pub struct AnswerFile {
    path: PathBuf,
}

impl AnswerFile {
    /// Answers from this file.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    fn look(&self, step: &StepId) -> Result<Option<Answer>, String> {
        // Not there yet is not answered yet.
        let text = std::fs::read_to_string(&self.path).unwrap_or_default();
        // A line without its end may still be being written.
        let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n') && !line.trim().is_empty());
        for line in lines {
            let answer: Answer =
                serde_json::from_str(line).map_err(|e| format!("{}: `{}`: {e}", self.path.display(), line.trim()))?;
            if answer.step == *step {
                return Ok(Some(answer));
            }
        }
        Ok(None)
    }
}

impl Answers for AnswerFile {
    fn answer<'a>(&'a self, step: &'a StepId, _: &'a str, clock: &'a Clock) -> Fut<'a, Result<Answer, String>> {
        Box::pin(async move {
            loop {
                if let Some(answer) = self.look(step)? {
                    return Ok(answer);
                }
                clock.sleep_until(clock.mono().after(LOOK_EVERY)).await;
            }
        })
    }
}
