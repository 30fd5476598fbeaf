//! A person at the terminal answers `ask` steps.

use super::progress::Progress;
use crate::adapters::Fut;
use crate::clock::Clock;
use crate::exec::{Answer, Answers};
use crate::model::StepId;
use std::sync::Arc;

/// Whoever sits there.
pub struct Person {
    /// Shows the question between the lines.
    pub progress: Arc<Progress>,
    /// Who that is.
    pub name: String,
}

impl Answers for Person {
    fn answer<'a>(&'a self, step: &'a StepId, question: &'a str, _: &'a Clock) -> Fut<'a, Result<Answer, String>> {
        Box::pin(async move {
            loop {
                self.progress.remark(&format!("? {question}\n  type `done` or `failed`, then Enter"));
                let line = tokio::task::spawn_blocking(read_line).await.map_err(|e| e.to_string())??;
                if let Some(done) = understood(&line) {
                    return Ok(Answer { step: step.clone(), done, by: self.name.clone() });
                }
            }
        })
    }
}

fn read_line() -> Result<String, String> {
    let mut line = String::new();
    match std::io::stdin().read_line(&mut line) {
        Ok(0) => Err("standard input ended before an answer".to_owned()),
        Ok(_) => Ok(line),
        Err(error) => Err(format!("cannot read the answer: {error}")),
    }
}

fn understood(line: &str) -> Option<bool> {
    match line.trim().to_lowercase().as_str() {
        "done" | "d" | "yes" | "y" => Some(true),
        "failed" | "f" | "no" | "n" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_clear_words_are_answers() {
        assert_eq!(understood("done\n"), Some(true));
        assert_eq!(understood(" No\n"), Some(false));
        assert_eq!(understood("\n"), None);
    }
}
