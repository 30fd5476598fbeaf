//! How often something is due, or how long it is kept: `90d`, `6w`, `7y`, or a word such as `quarterly`.

use super::Dur;
use std::time::Duration;

/// Words with their days: the longest that the calendar has, so that nothing is overdue before its quarter is over.
pub const PERIODS: [(&str, u64); 8] = [
    ("daily", 1),
    ("weekly", 7),
    ("fortnightly", 14),
    ("monthly", 31),
    ("quarterly", 92),
    ("half-yearly", 184),
    ("yearly", 366),
    ("annually", 366),
];
/// Units that durations of a drill do not have, with their days.
const UNITS: [(&str, u64); 3] = [("w", 7), ("mo", 31), ("y", 366)];
const DAY: u64 = 86_400;

/// A period longer than nothing; none if it is not one.
#[must_use]
pub fn period(text: &str) -> Option<Duration> {
    let text = text.trim();
    let word = text.to_lowercase().replace(['_', ' '], "-");
    let days = PERIODS.iter().find(|(known, _)| *known == word).map(|(_, days)| *days);
    let counted = || {
        let (unit, days) = UNITS.iter().find(|(unit, _)| text.ends_with(unit))?;
        text.strip_suffix(unit)?.trim().parse::<u64>().ok()?.checked_mul(*days)
    };
    let span = match days.or_else(counted) {
        Some(days) => Duration::from_secs(days.checked_mul(DAY)?),
        None => text.parse::<Dur>().ok()?.0,
    };
    (!span.is_zero()).then_some(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_durations_or_words() {
        let days = |text: &str| period(text).map(|d| d.as_secs() / DAY);
        for (text, wanted) in
            [("90d", 90), ("quarterly", 92), ("Half yearly", 184), ("2w", 14), ("7y", 2562), ("6mo", 186)]
        {
            assert_eq!(days(text), Some(wanted), "{text}");
        }
        assert_eq!(period("36h"), Some(Duration::from_secs(129_600)));
        for wrong in ["", "0d", "90", "often", "-3d", "99999999999999999999y", "18446744073709551615y"] {
            assert_eq!(period(wrong), None, "{wrong}");
        }
    }
}
