//! Quantities as a playbook writes them, always with a unit: `30s`, `500/s`, `128B`, `20%`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use thiserror::Error;

/// Why a text is not such a quantity; says what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{found}` is not {wanted}; write it like {example}")]
pub struct UnitError {
    /// What stood there.
    pub found: String,
    /// What belongs there.
    pub wanted: &'static str,
    /// Examples.
    pub example: &'static str,
}

macro_rules! unit {
    ($(#[$doc:meta])* $name:ident($inner:ty), $schema:literal, $pattern:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
        pub struct $name(pub $inner);

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"type": "string", "description": $schema, "pattern": $pattern})
            }
        }
    };
}

unit!(
    /// A duration: `250ms`, `30s`, `5m`, `2h`, `90d`, also `1m30s`.
    Dur(Duration), "a duration with its unit, like 250ms, 30s, 5m, 2h or 90d", r"^(\d+(\.\d+)?(ns|us|ms|s|m|h|d))+$|\$\{"
);
unit!(
    /// A rate in operations a second: `500/s`, `90/m`.
    Rate(f64), "a rate with its unit, like 500/s or 90/m", r"^\d+(\.\d+)?/(s|m|h)$|\$\{"
);
unit!(
    /// A size in bytes: `128B`, `4KiB`, `1MB`.
    Size(u64), "a size with its unit, like 128B, 4KiB or 1MB", r"^\d+(\.\d+)?(B|kB|KB|KiB|MB|MiB|GB|GiB)$|\$\{"
);
unit!(
    /// A share between 0 and 1, written in percent: `99.9%`.
    Percent(f64), "a percentage, like 99.9%", r"^\d+(\.\d+)?%$|\$\{"
);

unit!(
    /// A bandwidth in bytes a second: `1Mbit/s`, `128KiB/s`.
    Bandwidth(u64), "a bandwidth with its unit, like 1Mbit/s or 128KiB/s", r"^\d+(\.\d+)?([kMG]?bit|B|[kKMG]i?B)/s$|\$\{"
);

fn split_number(text: &str) -> Option<(f64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

// Whole nanoseconds: equal to itself, as the shares among the units are not.
impl Eq for Dur {}

impl FromStr for Dur {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let wrong = || UnitError { found: text.to_owned(), wanted: "a duration", example: "250ms, 30s, 5m, 2h or 90d" };
        let (mut rest, mut seconds) = (text.trim(), 0.0);
        if rest.is_empty() {
            return Err(wrong());
        }
        while !rest.is_empty() {
            let (number, after) = split_number(rest).ok_or_else(wrong)?;
            let end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
            let unit = match &after[..end] {
                "ns" => 1e-9,
                "us" | "µs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                "d" => 86400.0,
                _ => return Err(wrong()),
            };
            seconds += number * unit;
            rest = &after[end..];
        }
        // Rounded to a nanosecond, so that 0.1 s is 100 ms exactly.
        Duration::try_from_secs_f64(seconds)
            .map(|d| Self(Duration::from_nanos_u128((d.as_secs_f64() * 1e9).round() as u128)))
            .map_err(|_| wrong())
    }
}

impl fmt::Display for Dur {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        for (unit, size) in [
            ("d", 86_400_000_000_000_u128),
            ("h", 3_600_000_000_000),
            ("m", 60_000_000_000),
            ("s", 1_000_000_000),
            ("ms", 1_000_000),
            ("us", 1_000),
        ] {
            if nanos >= size && nanos.is_multiple_of(size) {
                return write!(f, "{}{unit}", nanos / size);
            }
        }
        if nanos == 0 { f.write_str("0s") } else { write!(f, "{nanos}ns") }
    }
}

impl FromStr for Rate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let wrong = || UnitError { found: text.to_owned(), wanted: "a rate", example: "500/s or 90/m" };
        let (number, unit) = split_number(text.trim()).ok_or_else(wrong)?;
        let per = match unit {
            "/s" => 1.0,
            "/m" => 60.0,
            "/h" => 3600.0,
            _ => return Err(wrong()),
        };
        Ok(Self(number / per))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", self.0)
    }
}

impl FromStr for Size {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let wrong = || UnitError { found: text.to_owned(), wanted: "a size", example: "128B, 4KiB or 1MB" };
        let (number, unit) = split_number(text.trim()).ok_or_else(wrong)?;
        let factor = match unit {
            "B" => 1.0,
            "kB" | "KB" => 1e3,
            "KiB" => 1024.0,
            "MB" => 1e6,
            "MiB" => 1024.0 * 1024.0,
            "GB" => 1e9,
            "GiB" => 1024.0 * 1024.0 * 1024.0,
            _ => return Err(wrong()),
        };
        Ok(Self((number * factor) as u64))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}B", self.0)
    }
}

impl FromStr for Bandwidth {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let wrong =
            || UnitError { found: text.to_owned(), wanted: "a bandwidth", example: "1Mbit/s, 500kbit/s or 128KiB/s" };
        let amount = text.trim().strip_suffix("/s").ok_or_else(wrong)?;
        let (number, unit) = split_number(amount).ok_or_else(wrong)?;
        let bytes = match unit {
            "bit" => number / 8.0,
            "kbit" => number * 1e3 / 8.0,
            "Mbit" => number * 1e6 / 8.0,
            "Gbit" => number * 1e9 / 8.0,
            _ => return amount.parse::<Size>().map(|size| Self(size.0)).map_err(|_| wrong()),
        };
        Ok(Self(bytes as u64))
    }
}

impl fmt::Display for Bandwidth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}B/s", self.0)
    }
}

impl FromStr for Percent {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let wrong = || UnitError { found: text.to_owned(), wanted: "a percentage", example: "99.9%" };
        match split_number(text.trim()).ok_or_else(wrong)? {
            (number, "%") if number <= 100.0 => Ok(Self(number / 100.0)),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0 * 100.0)
    }
}
