//! Whole numbers of small units, written as decimals: exact, and without a detour over floating point, which
//! costs ten times as much for every answer's headers.

/// The most characters: the twenty digits of a `u64`, and a point.
const CHARS_MAX: usize = 21;

/// The most decimals: a point before the first of twenty digits would leave no room for the zero in front of it.
const DECIMALS_MAX: usize = CHARS_MAX - 2;

/// The text of a decimal.
#[derive(Debug, Clone, Copy)]
pub struct Decimal {
    chars: [u8; CHARS_MAX],
    start: usize,
}

impl Decimal {
    /// So many units, of which `10^DECIMALS` make one, with all the decimals.
    pub fn full<const DECIMALS: usize>(units: u64) -> Self {
        const { assert!(DECIMALS <= DECIMALS_MAX) };
        Self::of(units, DECIMALS)
    }

    /// The same number without zeros at the end of its fraction, and without a point where nothing is left
    /// behind it.
    pub fn short<const DECIMALS: usize>(units: u64) -> Self {
        const { assert!(DECIMALS <= DECIMALS_MAX) };
        let (mut units, mut decimals) = (units, DECIMALS);
        while 0 < decimals && units.is_multiple_of(10) {
            units /= 10;
            decimals -= 1;
        }
        Self::of(units, decimals)
    }

    fn of(units: u64, decimals: usize) -> Self {
        let (mut chars, mut start, mut left) = ([b'0'; CHARS_MAX], CHARS_MAX, units);
        let mut n_digits = 0;
        // The last digit first.
        while 0 < left || n_digits <= decimals {
            if 0 < decimals && n_digits == decimals {
                start -= 1;
                chars[start] = b'.';
            }
            start -= 1;
            chars[start] += u8::try_from(left % 10).unwrap_or_default();
            left /= 10;
            n_digits += 1;
        }
        Self { chars, start }
    }

    /// The digits and the point.
    pub fn as_bytes(&self) -> &[u8] {
        &self.chars[self.start..]
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        // Digits and a point are always a text.
        str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn zeros_are_cut_behind_the_point_and_nowhere_else() {
        for (units, full, short) in [
            (0, "0.000", "0"),
            (7, "0.007", "0.007"),
            (1_500, "1.500", "1.5"),
            (100_000, "100.000", "100"),
        ] {
            assert_eq!(Decimal::full::<3>(units).as_str(), full);
            assert_eq!(Decimal::short::<3>(units).as_str(), short);
        }
        assert_eq!(Decimal::short::<0>(100).as_str(), "100");
        assert_eq!(Decimal::short::<12>(112_500).as_str(), "0.0000001125");
    }

    /// The same by division of whole numbers and the standard library's zeros.
    fn exact(units: u64, decimals: u32) -> String {
        let one = 10_u128.pow(decimals);
        let units = u128::from(units);
        let width = decimals as usize;
        format!("{}.{:0width$}", units / one, units % one)
    }

    proptest! {
        #[test]
        fn a_decimal_is_exact(units in any::<u64>(), shift in 0_u32..64) {
            let units = units >> shift;
            let plain = Decimal::full::<0>(units);
            prop_assert_eq!(plain.as_str(), units.to_string());
            for (full, short, decimals) in [
                (Decimal::full::<1>(units), Decimal::short::<1>(units), 1),
                (Decimal::full::<3>(units), Decimal::short::<3>(units), 3),
                (Decimal::full::<12>(units), Decimal::short::<12>(units), 12),
                (Decimal::full::<19>(units), Decimal::short::<19>(units), 19),
            ] {
                let exact = exact(units, decimals);
                prop_assert_eq!(full.as_str(), &exact);
                let trimmed = exact.trim_end_matches('0').trim_end_matches('.');
                prop_assert_eq!(short.as_str(), trimmed);
            }
        }
    }
}
