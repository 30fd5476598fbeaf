//! What a runner knows of the clock of a vantage on another machine: it asks, and of some answers the quickest counts.

use super::{FromRunner, FromVantage, line};
use crate::clock::Clock;
use crate::event::What;
use crate::model::{Mono, Span};
use std::time::Duration;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncWrite, AsyncWriteExt};

/// So many questions before anything else.
const FIRST: u64 = 12;
/// Afterwards one so often.
pub(super) const ASK_EVERY: Duration = Duration::from_millis(250);
/// The quickest answer in this time is noted.
const NOTE_EVERY: Duration = Duration::from_secs(2);

/// A question, its answer, and what the other clock said in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    span: Span,
    said: Mono,
}

/// Asks before the vantage is greeted: how far its clock is behind ours.
pub(super) async fn ahead(
    lines: &mut (impl AsyncBufRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    clock: &Clock,
) -> Result<i64, String> {
    let mut best: Option<Look> = None;
    for number in 0..FIRST {
        let asked = clock.mono();
        to.write_all(&line(&FromRunner::Ping(number))).await.map_err(|e| e.to_string())?;
        to.flush().await.map_err(|e| e.to_string())?;
        let mut text = String::new();
        lines.read_line(&mut text).await.map_err(|e| e.to_string())?;
        let answered = clock.mono();
        match serde_json::from_str(&text) {
            Ok(FromVantage::Pong(of, said)) if of == number => {
                let look = Look { span: Span::new(asked, answered), said };
                best = best.filter(|best| best.span.width() <= look.span.width()).or(Some(look));
            }
            _ => return Err("it does not say what time it is".to_owned()),
        }
    }
    let best = best.ok_or("it does not say what time it is")?;
    Ok((best.span.lo.0 / 2 + best.span.hi.0 / 2).saturating_sub(best.said.0))
}

/// Questions that are not answered yet, and the best answer of late.
#[derive(Debug, Default)]
pub(super) struct Looks {
    asked: Vec<(u64, Mono)>,
    next: u64,
    best: Option<Look>,
    noted: Option<Mono>,
}

impl Looks {
    /// The next question.
    pub(super) fn ask(&mut self, now: Mono) -> FromRunner {
        self.next += 1;
        self.asked.push((self.next, now));
        FromRunner::Ping(self.next)
    }

    /// An answer; what is to be noted now, if anything.
    pub(super) fn answered(&mut self, number: u64, said: Mono, now: Mono) -> Option<(Span, Mono)> {
        let asked = self.asked.iter().find(|(of, _)| *of == number).map(|(_, asked)| *asked)?;
        self.asked.retain(|(of, _)| *of > number);
        let look = Look { span: Span::new(asked, now), said };
        self.best = self.best.filter(|best| best.span.width() <= look.span.width()).or(Some(look));
        let due = self.noted.is_none_or(|noted| now.since(noted) >= NOTE_EVERY);
        if due { self.take(now) } else { None }
    }

    /// The best of late, which counts as noted.
    pub(super) fn take(&mut self, now: Mono) -> Option<(Span, Mono)> {
        let best = self.best.take()?;
        self.noted = Some(now);
        Some((best.span, best.said))
    }
}

/// As the journal has it.
pub(super) fn noted(vantage: &str, (span, said): (Span, Mono)) -> What {
    What::VantageClock { vantage: vantage.to_owned(), span, said }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    #[test]
    fn the_quickest_answer_of_some_is_noted() {
        let mut looks = Looks::default();
        let ask = |looks: &mut Looks, at: i64, took: i64| {
            let FromRunner::Ping(number) = looks.ask(Mono(at * MS)) else { panic!("no question") };
            looks.answered(number, Mono((at + 1) * MS), Mono((at + took) * MS))
        };
        assert_eq!(ask(&mut looks, 0, 40).unwrap().0.width(), 40 * MS, "the first says something at once");
        for (at, took) in [(250, 30), (500, 10), (750, 300)] {
            assert_eq!(ask(&mut looks, at, took), None);
        }
        let (span, said) = ask(&mut looks, 2_100, 20).unwrap();
        assert_eq!((span.width(), said), (10 * MS, Mono(501 * MS)));
        assert_eq!(looks.take(Mono(0)), None, "nothing is noted twice");
        assert_eq!(looks.answered(77, Mono(0), Mono(0)), None, "nobody asked");
    }
}
