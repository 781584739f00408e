//! McNemar's exact test: of the rows that only one of two classifiers has right, whether those of the
//! one are more than a fair coin would make them (McNemar 1947, in the exact form).

use crate::eval::as_f64;

/// How probable a split at least as uneven would be by chance, two-sided; 1 where nothing differs.
pub(super) fn p_value(left: usize, right: usize) -> f64 {
    let (few, n) = (left.min(right), left + right);
    // Terms are built up from the first in logarithms, since 2^-n is 0 in 64 bits from about 1,075 on.
    let mut log_term = -as_f64(n) * std::f64::consts::LN_2;
    let mut log_sum = log_term;
    for k in 1..=few {
        log_term += (as_f64(n - k + 1) / as_f64(k)).ln();
        log_sum += (log_term - log_sum).exp().ln_1p();
    }
    (2.0 * log_sum.exp()).min(1.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn small_cases_agree_with_counting_by_hand() {
        assert!((p_value(0, 0) - 1.0).abs() < 1e-12);
        // Five tosses all the same: 2 / 32.
        assert!((p_value(0, 5) - 0.0625).abs() < 1e-12);
        // At most one of six: 2 · (1 + 6) / 64.
        assert!((p_value(5, 1) - 0.21875).abs() < 1e-12);
    }

    #[test]
    fn thousands_of_rows_do_not_vanish() {
        let p = p_value(2_000, 2_200);
        // The normal approximation: 200 / √4200 = 3.09 standard errors, about 0.002.
        assert!((0.001..0.004).contains(&p), "{p}");
        assert!(p_value(1_000, 3_000) < 1e-100);
    }

    proptest! {
        #[test]
        fn it_is_a_probability_and_knows_no_sides(left in 0_usize..400, right in 0_usize..400) {
            let p = p_value(left, right);
            prop_assert!(0.0 < p && p <= 1.0);
            prop_assert!((p - p_value(right, left)).abs() < 1e-12);
        }
    }
}
