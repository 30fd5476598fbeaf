//! Signals by name or number, as a playbook writes them. Sending one is an adapter's matter.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// Names in the order of their numbers, from 1: signal(7), "Signal numbering for standard signals", x86 and ARM.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM",
    "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO",
    "PWR", "SYS",
];
/// Other names that signal(7) knows.
const SYNONYMS: [(&str, &str); 4] = [("IOT", "ABRT"), ("CLD", "CHLD"), ("POLL", "IO"), ("UNUSED", "SYS")];

/// A standard signal: `TERM`, `SIGTERM` or `15`. Kept by its short name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignalName(&'static str);

impl SignalName {
    /// Ends a process at once.
    pub const KILL: Self = Self("KILL");
    /// Makes many servers read their files again.
    pub const HUP: Self = Self("HUP");

    /// Its name without `SIG`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> i32 {
        let at = NAMES.iter().position(|name| *name == self.0).unwrap_or_default();
        i32::try_from(at + 1).unwrap_or_default()
    }

    /// Does it stop a process, or let it go on, instead of ending it?
    #[must_use]
    pub fn is_job_control(self) -> bool {
        matches!(self.0, "STOP" | "TSTP" | "TTIN" | "TTOU" | "CONT")
    }
}

impl FromStr for SignalName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let upper = text.trim().to_ascii_uppercase();
        let by_number = upper.parse::<usize>().ok().and_then(|n| NAMES.get(n.checked_sub(1)?));
        let short = upper.strip_prefix("SIG").unwrap_or(&upper);
        let short = SYNONYMS.iter().find(|(other, _)| *other == short).map_or(short, |(_, name)| name);
        let found = by_number.or_else(|| NAMES.iter().find(|name| **name == short));
        found.map(|name| Self(name)).ok_or_else(|| match upper.parse::<u32>() {
            Ok(32..=64) => format!("{upper} is a real-time signal; write a standard one, 1 to 31"),
            _ => format!("`{text}` is no signal; write a name or a number, like TERM, SIGHUP or 9"),
        })
    }
}

impl fmt::Display for SignalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Serialize for SignalName {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.0)
    }
}

impl<'de> Deserialize<'de> for SignalName {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for SignalName {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SignalName".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": ["string", "integer"], "description": "a signal by name or number, like TERM, SIGHUP or 9"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_has_a_name_and_a_number_and_a_playbook_may_write_either() {
        for (text, name, number) in
            [("KILL", "KILL", 9), ("sigterm", "TERM", 15), ("1", "HUP", 1), ("31", "SYS", 31), ("SIGIOT", "ABRT", 6)]
        {
            let signal: SignalName = text.parse().unwrap();
            assert_eq!((signal.as_str(), signal.number()), (name, number), "{text}");
        }
        for wrong in ["", "0", "32", "65", "-9", "SIG", "NOPE"] {
            assert!(wrong.parse::<SignalName>().is_err(), "{wrong}");
        }
        assert!("34".parse::<SignalName>().unwrap_err().contains("real-time"));
        assert!(SignalName::from_str("STOP").unwrap().is_job_control() && !SignalName::KILL.is_job_control());
    }

    #[test]
    fn the_platform_numbers_them_the_same_way() {
        for (at, name) in NAMES.iter().enumerate() {
            let number = i32::try_from(at + 1).unwrap();
            let known = nix::sys::signal::Signal::try_from(number).unwrap();
            assert_eq!(known.as_str().strip_prefix("SIG"), Some(*name));
        }
    }
}
