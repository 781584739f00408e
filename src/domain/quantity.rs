//! Numbers with a unit, so that a share cannot be passed where a price is meant.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::decimal::Decimal;

/// A point on the process's monotonic clock, counted from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Moment(Duration);

impl Moment {
    /// A moment so long after the start of the process.
    pub const fn after_start(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// How long ago `earlier` was; zero if it is later.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// The time since the process started.
    pub const fn elapsed(self) -> Duration {
        self.0
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

/// A number from 0 to 1: a share, a similarity bound, a probability.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default, Serialize, Deserialize)]
#[serde(try_from = "f64")]
pub struct Ratio(f64);

impl JsonSchema for Ratio {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Ratio".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "number", "minimum": 0, "maximum": 1 })
    }
}

impl Ratio {
    /// All of it.
    pub const ONE: Self = Self(1.0);

    /// The number itself.
    pub const fn get(self) -> f64 {
        self.0
    }

    /// A sum of shares, which may miss 0 or 1 by a rounding.
    pub const fn clamped(sum: f64) -> Self {
        Self(sum.clamp(0.0, 1.0))
    }

    /// The share that `part` is of `whole`; 0 of nothing.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a share of counts past 2^53 is still a share"
    )]
    pub fn of_counts(part: u64, whole: u64) -> Self {
        if whole == 0 {
            return Self(0.0);
        }
        Self((part as f64 / whole as f64).clamp(0.0, 1.0))
    }
}

impl TryFrom<f64> for Ratio {
    type Error = String;

    fn try_from(value: f64) -> Result<Self, Self::Error> {
        if (0.0..=1.0).contains(&value) {
            Ok(Self(value))
        } else {
            Err(format!("{value} is not between 0 and 1"))
        }
    }
}

/// Money, in millionths of a millionth of a US dollar: fine enough that a price per million tokens
/// is a whole number a token, so that sums of costs are exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct PicoUsd(u64);

/// How many [`PicoUsd`] one dollar has.
const PICO_PER_USD: f64 = 1e12;

impl PicoUsd {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// A price a token from a list price in dollars per million tokens.
    pub fn per_token(usd_per_million: f64) -> Result<Self, String> {
        /// Far above any list price, and low enough that a token count times it cannot overflow.
        const USD_PER_MILLION_MAX: f64 = 1e6;
        if !(0.0..=USD_PER_MILLION_MAX).contains(&usd_per_million) {
            return Err(format!(
                "{usd_per_million} is not a price: give US dollars per million tokens, 0 or more"
            ));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked to lie between 0 and 1e12 just above"
        )]
        let pico = (usd_per_million * (PICO_PER_USD / 1e6)).round() as u64;
        Ok(Self(pico))
    }

    /// An amount in dollars.
    pub fn from_usd(usd: f64) -> Result<Self, String> {
        /// Far above what a request can cost, and low enough to be counted.
        const USD_MAX: f64 = 1e6;
        if !(0.0..=USD_MAX).contains(&usd) {
            return Err(format!(
                "{usd} is not an amount: give US dollars, 0 to {USD_MAX}"
            ));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked to lie between 0 and 1e18 just above"
        )]
        let pico = (usd * PICO_PER_USD).round() as u64;
        Ok(Self(pico))
    }

    /// The list price in dollars per million tokens that [`PicoUsd::per_token`] reads: exactly the same
    /// number, for any that a price list would print.
    #[expect(
        clippy::cast_precision_loss,
        reason = "prices have far fewer digits than 2^53"
    )]
    pub fn as_usd_per_million(self) -> f64 {
        self.0 as f64 / (PICO_PER_USD / 1e6)
    }

    /// This price for so many tokens.
    #[must_use]
    pub const fn times(self, n_tokens: u64) -> Self {
        Self(self.0.saturating_mul(n_tokens))
    }

    /// Such a share of the amount.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate; a share of at most 1 of an amount is an amount"
    )]
    pub fn share(self, share: f64) -> Self {
        Self((self.0 as f64 * share.clamp(0.0, 1.0)).round() as u64)
    }

    /// So many times the amount; an estimate, since the factor need not be whole.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate; casts of floats stop at the ends of the range"
    )]
    pub fn scaled(self, factor: f64) -> Self {
        Self((self.0 as f64 * factor.max(0.0)).round() as u64)
    }

    /// The amount in dollars, to the last digit.
    pub fn as_decimal(self) -> Decimal {
        Decimal::short::<12>(self.0)
    }

    /// The amount in dollars.
    #[expect(
        clippy::cast_precision_loss,
        reason = "only for display and gauges; sums are kept in whole units"
    )]
    pub fn as_usd(self) -> f64 {
        self.0 as f64 / PICO_PER_USD
    }
}

impl Add for PicoUsd {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for PicoUsd {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for PicoUsd {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for PicoUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_decimal().as_str())
    }
}

impl Serialize for PicoUsd {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.as_usd())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_past_one_is_refused_with_its_value() {
        assert_eq!(
            Ratio::try_from(1.3),
            Err("1.3 is not between 0 and 1".to_owned())
        );
        assert!(Ratio::try_from(f64::NAN).is_err());
    }

    #[test]
    fn a_share_of_nothing_is_zero() {
        assert_eq!(Ratio::of_counts(0, 0), Ratio(0.0));
        assert_eq!(Ratio::of_counts(1, 4), Ratio(0.25));
    }

    #[test]
    fn a_cheap_price_stays_exact_over_many_tokens() {
        let price = PicoUsd::per_token(0.0375).unwrap();
        assert_eq!(price.times(1_000_000).to_string(), "0.0375");
        assert_eq!(price.times(3).to_string(), "0.0000001125");
    }

    #[test]
    fn a_price_is_written_as_it_was_read() {
        for list in [0.0, 0.0375, 0.15, 0.042, 2.19, 12.5, 0.000_001, 600.0] {
            let price = PicoUsd::per_token(list).unwrap();
            assert_eq!(price.as_usd_per_million().to_string(), list.to_string());
        }
    }

    #[test]
    fn a_negative_price_is_refused() {
        assert!(PicoUsd::per_token(-1.0).is_err());
        assert!(PicoUsd::per_token(f64::INFINITY).is_err());
    }

    #[test]
    fn time_does_not_run_backwards() {
        let start = Moment::default();
        let later = start + Duration::from_secs(2);
        assert_eq!(later.since(start), Duration::from_secs(2));
        assert_eq!(start.since(later), Duration::ZERO);
    }
}
