//! Kinds of values that several sections use.

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

/// A length of time, written with its unit: `250ms`, `20s`, `5m`, `1h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Period(Duration);

/// A day: no request, and no wait within one, is meant to take longer.
const PERIOD_MAX: Duration = Duration::from_hours(24);

/// What a period looks like.
const PERIOD_PATTERN: &str = r"^[0-9]+(\.[0-9]+)?(ms|s|m|h)$";

impl Period {
    /// So long.
    pub const fn of(duration: Duration) -> Self {
        Self(duration)
    }

    /// The length of time.
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl TryFrom<String> for Period {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        const UNITS: [(&str, f64); 4] = [("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3_600.0)];
        let duration = length_of_time(&text, &UNITS, "250ms, 20s, 5m or 1h")?;
        if duration.is_zero() || PERIOD_MAX < duration {
            return Err(format!("{text:?} must be more than 0 and at most 24h"));
        }
        Ok(Self(duration))
    }
}

/// A number and its unit, one of these, each with its seconds.
fn length_of_time(text: &str, units: &[(&str, f64)], examples: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a length of time; write it like {examples}");
    let unit_at = text
        .find(|c: char| c.is_ascii_alphabetic())
        .ok_or_else(wrong)?;
    let (number, unit) = text.split_at(unit_at);
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let (_, seconds) = units
        .iter()
        .find(|(name, _)| *name == unit)
        .ok_or_else(wrong)?;
    Duration::try_from_secs_f64(number * seconds).map_err(|_| wrong())
}

impl JsonSchema for Period {
    fn schema_name() -> Cow<'static, str> {
        "Period".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": PERIOD_PATTERN })
    }
}

/// A length of time that may last for days: `30m`, `12h`, `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Span(Duration);

/// Nobody means more than a year.
const SPAN_MAX: Duration = Duration::from_hours(24 * 366);

/// What a span looks like.
const SPAN_PATTERN: &str = r"^[0-9]+(\.[0-9]+)?(s|m|h|d)$";

impl Span {
    /// The length of time.
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        const UNITS: [(&str, f64); 4] = [("s", 1.0), ("m", 60.0), ("h", 3_600.0), ("d", 86_400.0)];
        let duration = length_of_time(&text, &UNITS, "30s, 30m, 12h or 7d")?;
        if duration < Duration::from_secs(1) || SPAN_MAX < duration {
            return Err(format!("{text:?} must be at least 1s and at most 366d"));
        }
        Ok(Self(duration))
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": SPAN_PATTERN })
    }
}

/// An amount of data, written with its unit: `64KiB`, `256MiB`, `10MB`, `1GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ByteSize(u64);

/// What an amount of data looks like.
const BYTE_SIZE_PATTERN: &str = r"^[0-9]+(B|KB|MB|GB|KiB|MiB|GiB)$";

impl ByteSize {
    /// So many mebibytes.
    pub const fn mebibytes(n: u64) -> Self {
        Self(n << 20)
    }

    /// In bytes.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl TryFrom<String> for ByteSize {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || {
            format!("{text:?} is not an amount of data; write it like 64KiB, 256MiB, 10MB or 1GiB")
        };
        let unit_at = text
            .find(|c: char| c.is_ascii_alphabetic())
            .ok_or_else(wrong)?;
        let (number, unit) = text.split_at(unit_at);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let unit_bytes = match unit {
            "B" => 1,
            "KB" => 1_000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return Err(wrong()),
        };
        match number.checked_mul(unit_bytes) {
            Some(bytes) if 0 < bytes => Ok(Self(bytes)),
            _ => Err(wrong()),
        }
    }
}

impl JsonSchema for ByteSize {
    fn schema_name() -> Cow<'static, str> {
        "ByteSize".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": BYTE_SIZE_PATTERN })
    }
}

/// A secret, by where it lies: `env:NAME` or `file:PATH`. The config never holds one itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum SecretRef {
    /// In this variable of the environment.
    Env(String),
    /// In this file.
    File(PathBuf),
}

/// What a reference looks like.
pub(super) const SECRET_PATTERN: &str = "^(env|file):.+";

/// What is said of a secret that stands in the config itself.
pub(super) const SECRET_ELSEWHERE: &str = "a secret is not written here: say env:NAME or file:PATH";

/// As it is written.
impl std::fmt::Display for SecretRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

impl TryFrom<String> for SecretRef {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() => Ok(Self::Env(name.to_owned())),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(PathBuf::from(path))),
            // The text may be a key that was pasted here, so it is not repeated.
            _ => Err(SECRET_ELSEWHERE.to_owned()),
        }
    }
}

impl JsonSchema for SecretRef {
    fn schema_name() -> Cow<'static, str> {
        "SecretRef".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": SECRET_PATTERN })
    }
}

/// One value, or a list of them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "OneOrMany{T}")]
pub enum OneOrMany<T> {
    /// One.
    One(T),
    /// Several.
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    /// All of them.
    pub fn as_slice(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn period(text: &str) -> Result<Duration, String> {
        Period::try_from(text.to_owned()).map(Period::get)
    }

    #[test]
    fn a_period_is_read_with_its_unit() {
        assert_eq!(period("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(period("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(period("24h"), Ok(PERIOD_MAX));
    }

    #[test]
    fn a_period_without_a_unit_or_past_a_day_is_refused() {
        for text in ["20", "s", "", "1d", "-1s", "0s", "25h", "1e9h"] {
            assert!(period(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_span_may_last_for_days_and_not_for_milliseconds() {
        let span = |text: &str| Span::try_from(text.to_owned()).map(Span::get);
        assert_eq!(span("7d"), Ok(Duration::from_hours(168)));
        assert_eq!(span("1s"), Ok(Duration::from_secs(1)));
        for text in ["500ms", "0.5s", "367d", "d", "-1h"] {
            assert!(span(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_key_pasted_into_the_config_is_refused_and_not_repeated() {
        let problem = SecretRef::try_from("sk-123:456".to_owned()).unwrap_err();
        assert!(!problem.contains("sk-123"), "{problem}");
    }
}
