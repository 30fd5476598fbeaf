//! How exactly a figure is told: so many digits as its error bar deserves, and an end of an interval never rounded
//! inward. Everything that is read by people speaks through here; `report.json` keeps every digit.

use super::Interval;

const MICRO: i64 = 1_000;
const MILLI: i64 = 1_000 * MICRO;
const SECOND: i64 = 1_000 * MILLI;
/// From here on durations are told in minutes.
const LONG: i64 = 120 * SECOND;
const HOUR: i64 = 3_600 * SECOND;

/// What an error bar may come to in the last place of its figure: one digit, or two that begin with 1, 2 or 3. So
/// rounding never makes it longer by more than about a third.
const MOST_ERROR: i64 = 39;

/// The same of an interval that is told by its ends: two digits.
const MOST_WIDTH: i64 = 99;

/// Which way a figure is rounded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Nearest,
    Down,
    Up,
}

/// A duration in the unit that a person would choose: `350 µs`, `4.2 ms`, `20.6 s`, `3 min 05 s`.
#[must_use]
pub fn duration(nanos: i64) -> String {
    told(nanos, Way::Nearest)
}

/// What a duration is at least: like [`duration`], rounded down.
#[must_use]
pub fn at_least(nanos: i64) -> String {
    told(nanos, Way::Down)
}

/// What a duration is at most: like [`duration`], rounded up.
#[must_use]
pub fn at_most(nanos: i64) -> String {
    told(nanos, Way::Up)
}

/// A duration with its error bar: `20.574 ± 0.010 s`; where the bar is lopsided its ends are told too,
/// `21.550 s (21.548–21.565)`. What is told covers the whole interval.
#[must_use]
pub fn interval(i: Interval) -> String {
    let Some(figure) = Figure::of(i) else { return plainly(i) };
    let (below, above) = (i.best - i.low, i.high - i.best);
    if figure.has_middle() && (below - above).abs() > below.max(above) / 10 + figure.step {
        return format!("{} {} ({})", figure.digits(figure.middle()), figure.name, figure.ends());
    }
    about(i)
}

/// Like [`interval`], but short: a lopsided bar counts as long as its longer side.
#[must_use]
pub fn about(i: Interval) -> String {
    let Some(figure) = Figure::of(i) else { return plainly(i) };
    if !figure.has_middle() {
        return format!("{} {}", figure.ends(), figure.name);
    }
    let (best, error) = (figure.digits(figure.middle()), figure.digits(figure.error()));
    format!("{best} ± {error} {}", figure.name)
}

fn plainly(i: Interval) -> String {
    if i.low == i.high { duration(i.best) } else { format!("{} to {}", at_least(i.low), at_most(i.high)) }
}

/// An interval in its unit, with the last place that its error bar deserves.
struct Figure {
    of: Interval,
    name: &'static str,
    unit: i64,
    /// The last place, in nanoseconds.
    step: i64,
}

impl Figure {
    /// Nothing for what is exact, and for what is told in minutes.
    fn of(of: Interval) -> Option<Self> {
        let (unit, name) = match of.high {
            _ if of.low >= of.high => return None,
            ..MILLI => (MICRO, "µs"),
            MILLI..SECOND => (MILLI, "ms"),
            SECOND..1_000_000_000_000 => (SECOND, "s"),
            _ => return None,
        };
        let mut figure = Self { of, name, unit, step: unit / 1_000 };
        while figure.is_too_fine() {
            figure.step *= 10;
        }
        Some(figure)
    }

    fn is_too_fine(&self) -> bool {
        match self.has_middle() {
            true => self.error() > MOST_ERROR * self.step,
            false => self.of.high - self.of.low.max(0) > MOST_WIDTH * self.step,
        }
    }

    /// The best estimate as it is told.
    fn middle(&self) -> i64 {
        rounded(self.of.best, self.step, Way::Nearest)
    }

    /// The error bar as it is told: from there it reaches both ends.
    fn error(&self) -> i64 {
        let middle = self.middle();
        rounded((middle - self.of.low).max(self.of.high - middle), self.step, Way::Up)
    }

    /// Would a bar around the middle not reach below nothing at all?
    fn has_middle(&self) -> bool {
        self.of.low > 0 && self.middle() >= self.error()
    }

    fn ends(&self) -> String {
        let (low, high) = (rounded(self.of.low, self.step, Way::Down), rounded(self.of.high, self.step, Way::Up));
        let low = if low <= 0 { "0".to_owned() } else { self.digits(low) };
        format!("{low}–{}", self.digits(high))
    }

    fn digits(&self, nanos: i64) -> String {
        let places = (self.unit / self.step).checked_ilog10().unwrap_or(0) as usize;
        if places == 0 {
            return (nanos / self.unit).to_string();
        }
        format!("{}.{:0places$}", nanos / self.unit, nanos % self.unit / self.step)
    }
}

fn rounded(nanos: i64, step: i64, way: Way) -> i64 {
    let down = nanos.div_euclid(step) * step;
    let up = match way {
        Way::Down => false,
        Way::Up => nanos > down,
        Way::Nearest => nanos - down >= step - step / 2,
    };
    if up { down.saturating_add(step) } else { down }
}

/// How finely a duration without an error bar is told.
fn step(nanos: i64) -> i64 {
    match nanos {
        ..MICRO => 1,
        MICRO..MILLI => MICRO,
        MILLI..10_000_000 => 100 * MICRO,
        10_000_000..SECOND => MILLI,
        SECOND..10_000_000_000 => 10 * MILLI,
        10_000_000_000..LONG => 100 * MILLI,
        LONG..HOUR => SECOND,
        HOUR.. => 60 * SECOND,
    }
}

fn told(nanos: i64, way: Way) -> String {
    if nanos < 0 {
        let other = match way {
            Way::Nearest => Way::Nearest,
            Way::Down => Way::Up,
            Way::Up => Way::Down,
        };
        return format!("−{}", told(nanos.saturating_neg(), other));
    }
    let whole = nanos % SECOND == 0;
    let n = rounded(nanos, step(nanos), way);
    match n {
        0 => "0 s".to_owned(),
        1..MICRO => format!("{n} ns"),
        MICRO..MILLI => format!("{} µs", n / MICRO),
        MILLI..10_000_000 if n % MILLI != 0 => format!("{}.{} ms", n / MILLI, n % MILLI / (100 * MICRO)),
        MILLI..SECOND => format!("{} ms", n / MILLI),
        SECOND..LONG if whole => format!("{} s", n / SECOND),
        SECOND..10_000_000_000 => format!("{}.{:02} s", n / SECOND, n % SECOND / (10 * MILLI)),
        10_000_000_000..LONG => format!("{}.{} s", n / SECOND, n % SECOND / (100 * MILLI)),
        _ => long(n / SECOND),
    }
}

/// Two minutes and more, in whole seconds.
fn long(total: i64) -> String {
    let (hours, minutes, secs) = (total / 3_600, total / 60 % 60, total % 60);
    match (hours, secs) {
        (0, 0) => format!("{minutes} min"),
        (0, _) => format!("{minutes} min {secs:02} s"),
        _ => format!("{hours} h {minutes:02} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_a_person_would_write_them() {
        for (nanos, text) in [
            (0, "0 s"),
            (350_000, "350 µs"),
            (999_499, "999 µs"),
            (999_500, "1 ms"),
            (4_200_000, "4.2 ms"),
            (9_949_999, "9.9 ms"),
            (9_950_000, "10 ms"),
            (20_000_000, "20 ms"),
            (999_700_000, "1.00 s"),
            (1_000_000_000, "1 s"),
            (20_574_000_000, "20.6 s"),
            (9_999_000_000, "10.0 s"),
            (30_000_000_000, "30 s"),
            (185_000_000_000, "3 min 05 s"),
            (119_990_000_000, "2 min"),
            (3_599_700_000_000, "1 h 00 min"),
            (7_500_000_000_000, "2 h 05 min"),
            (7_559_000_000_000, "2 h 06 min"),
            (-20_000_000, "−20 ms"),
        ] {
            assert_eq!(duration(nanos), text);
        }
    }

    #[test]
    fn what_is_at_most_so_is_rounded_up_and_what_is_at_least_so_is_rounded_down() {
        for (value, up, down) in [
            (302_000_001, "303 ms", "302 ms"),
            (4_200_000_000, "4.20 s", "4.20 s"),
            (4_200_000_001, "4.21 s", "4.20 s"),
            (9_999_000_000, "10.0 s", "9.99 s"),
            (61_010_000_000, "61.1 s", "61.0 s"),
            (185_000_000_001, "3 min 06 s", "3 min 05 s"),
            (7_559_000_000_000, "2 h 06 min", "2 h 05 min"),
            (999_999, "1 ms", "999 µs"),
            (-20_400_000, "−20 ms", "−21 ms"),
        ] {
            assert_eq!((at_most(value).as_str(), at_least(value).as_str()), (up, down), "{value}");
        }
        assert!(at_most(i64::MAX).ends_with("min") && at_least(i64::MIN).starts_with('−'));
    }

    #[test]
    fn an_error_bar_has_one_digit_or_two_small_ones_and_its_value_ends_with_it() {
        let of = |low, best, high| interval(Interval { low, best, high });
        assert_eq!(of(20_564_000_000, 20_574_000_000, 20_584_000_000), "20.574 ± 0.010 s");
        assert_eq!(of(20_563_900_000, 20_574_000_000, 20_584_100_000), "20.574 ± 0.011 s");
        assert_eq!(of(299_509_400, 299_609_000, 299_708_600), "299.61 ± 0.11 ms");
        assert_eq!(of(299_552_000, 299_609_000, 299_666_000), "299.61 ± 0.06 ms");
        assert_eq!(of(186_000_000, 243_000_000, 300_000_000), "240 ± 60 ms");
        assert_eq!(of(0, 10_000_000, 20_000_000), "0–20 ms");
        assert_eq!(of(0, 1_000_000, 20_000_000), "0–20 ms");
        assert_eq!(of(0, 400_000_000, 956_400_000), "0–960 ms");
        assert_eq!(of(1_000_000, 4_000_000, 50_000_000), "1–50 ms");
        assert_eq!(of(21_548_000_000, 21_550_000_000, 21_565_000_000), "21.550 s (21.548–21.565)");
        let lopsided = Interval { low: 21_548_000_000, best: 21_550_000_000, high: 21_565_000_000 };
        assert_eq!(about(lopsided), "21.550 ± 0.015 s");
        assert_eq!(of(5, 5, 5), "5 ns");
        assert_eq!(of(1_199_600_000_000, 1_200_000_000_000, 1_200_400_000_000), "19 min 59 s to 20 min 01 s");
    }

    /// The nanoseconds that a figure says, and the number of digits that its error has.
    fn read(text: &str) -> (f64, f64, usize) {
        let (figure, unit) = text.rsplit_once(' ').unwrap();
        let unit = [("µs", 1e3), ("ms", 1e6), ("s", 1e9)].iter().find(|(name, _)| *name == unit).unwrap().1;
        let number = |text: &str| text.parse::<f64>().unwrap() * unit;
        match figure.split_once(" ± ") {
            Some((best, error)) => {
                let digits = error.replace('.', "").trim_start_matches('0').trim_end_matches('0').len();
                let places = |text: &str| text.split_once('.').map_or(0, |(_, places)| places.len());
                assert_eq!(places(best), places(error), "{text}");
                (number(best) - number(error), number(best) + number(error), digits)
            }
            None => {
                let (low, high) = figure.split_once('–').unwrap();
                (number(low), number(high), 0)
            }
        }
    }

    #[test]
    fn what_is_told_covers_the_whole_interval_and_is_little_longer() {
        let mut seed = 7_u64;
        let mut draw = |below: i64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            i64::try_from(seed >> 33).unwrap() % below.max(1)
        };
        for round in 0..20_000 {
            let size = 10_i64.pow(3 + round % 9);
            let low = draw(size);
            let best = low + draw(size / 10_i64.pow(round / 9 % 4));
            let i = Interval { low, best, high: best + draw(size / 10_i64.pow(round / 36 % 4)) + 1 };
            if i.high >= 1_000_000_000_000 {
                continue;
            }
            let text = about(i);
            let (from, to, digits) = read(&text);
            let rim = 1e-3;
            assert!(from <= i.low as f64 + rim && to >= i.high as f64 - rim, "{text} does not cover {i:?}");
            assert!(digits <= 2, "{text} of {i:?}");
            let (error, finest) = ((i.best - i.low).max(i.high - i.best) as f64, Figure::of(i).unwrap().unit / 1_000);
            assert!(to - from <= 2.0 * (error * 1.4 + 1.5 * finest as f64), "{text} is much longer than {i:?}");
        }
    }
}
