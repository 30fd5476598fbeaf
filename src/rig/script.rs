//! What a rig plays: spells, one after another, written as `refuse:200ms,up:1s,freeze:2s`. Pure.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// What the service does to those who ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Play {
    /// Answers.
    Up,
    /// Answers 503, and says that nothing was done.
    Refuse,
    /// Is not there: no listener, and every connection is reset.
    Closed,
    /// Is frozen by SIGSTOP, and goes on after SIGCONT with all that waited.
    Freeze,
    /// Reads requests, and never answers them.
    BlackHole,
    /// Never answers on connections that were open when this began; new ones work.
    HalfOpen,
    /// Answers so many milliseconds later.
    Slow(u32),
    /// Refuses every n-th request.
    Errors(u32),
    /// A router that keeps a dead backend of two: every second connection is reset once its request was read.
    Router,
    /// Its address is dead, and the name still leads there; when this ends, the name leads to another one, which works.
    Moves,
}

impl Play {
    /// Its word in a script.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Refuse => "refuse",
            Self::Closed => "closed",
            Self::Freeze => "freeze",
            Self::BlackHole => "black-hole",
            Self::HalfOpen => "half-open",
            Self::Slow(_) => "slow",
            Self::Errors(_) => "errors",
            Self::Router => "router",
            Self::Moves => "moves",
        }
    }
}

/// A play and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spell {
    /// What.
    pub play: Play,
    /// How long.
    pub lasting: Duration,
}

/// Spells in the order in which they are played.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Script(pub Vec<Spell>);

/// Why a text is no script.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no spell; write WORD:TIME, like refuse:200ms, slow/300:1s or errors/3:2s")]
pub struct ScriptError(String);

impl Script {
    /// How long it takes.
    #[must_use]
    pub fn lasting(&self) -> Duration {
        self.0.iter().map(|spell| spell.lasting).sum()
    }
}

impl FromStr for Spell {
    type Err = ScriptError;

    fn from_str(text: &str) -> Result<Self, ScriptError> {
        let wrong = || ScriptError(text.to_owned());
        let (play, time) = text.split_once(':').ok_or_else(wrong)?;
        let (word, number) = play.split_once('/').map_or((play, None), |(word, number)| (word, Some(number)));
        let number = number.map(|n| n.parse::<u32>().map_err(|_| wrong())).transpose()?;
        let play = match (word, number) {
            ("up", None) => Play::Up,
            ("refuse", None) => Play::Refuse,
            ("closed", None) => Play::Closed,
            ("freeze", None) => Play::Freeze,
            ("black-hole", None) => Play::BlackHole,
            ("half-open", None) => Play::HalfOpen,
            ("router", None) => Play::Router,
            ("moves", None) => Play::Moves,
            ("slow", Some(millis)) => Play::Slow(millis),
            ("errors", Some(every)) if every > 0 => Play::Errors(every),
            _ => return Err(wrong()),
        };
        Ok(Self { play, lasting: time_of(time).ok_or_else(wrong)? })
    }
}

fn time_of(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let count: u64 = text[..digits].parse().ok()?;
    match &text[digits..] {
        "us" => Some(Duration::from_micros(count)),
        "ms" => Some(Duration::from_millis(count)),
        "s" => Some(Duration::from_secs(count)),
        _ => None,
    }
}

impl FromStr for Script {
    type Err = ScriptError;

    fn from_str(text: &str) -> Result<Self, ScriptError> {
        text.split(',').filter(|spell| !spell.is_empty()).map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for Spell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.play.word();
        match self.play {
            Play::Slow(n) | Play::Errors(n) => write!(f, "{word}/{n}:{}us", self.lasting.as_micros()),
            _ => write!(f, "{word}:{}us", self.lasting.as_micros()),
        }
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, spell) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str(",")?;
            }
            spell.fmt(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_read_as_it_is_written() {
        let text =
            "refuse:200ms,up:1s,slow/300:1500us,errors/3:2s,freeze:1ms,half-open:1s,router:1s,closed:2s,moves:1s";
        let script: Script = text.parse().unwrap();
        assert_eq!(script.0.len(), 9);
        assert_eq!(script.0[2], Spell { play: Play::Slow(300), lasting: Duration::from_micros(1500) });
        assert_eq!(script.to_string().parse(), Ok(script.clone()));
        assert_eq!(script.lasting(), Duration::from_micros(8_202_500));
    }

    #[test]
    fn nonsense_is_refused_with_its_words() {
        for bad in ["refuse", "refuse:5", "refuse/2:1s", "slow:1s", "errors/0:1s", "explode:1s", "up:-1s", "up:9x"] {
            let error = bad.parse::<Script>().unwrap_err();
            assert!(error.to_string().contains(bad), "{error}");
        }
    }
}
