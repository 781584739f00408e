use proptest::prelude::*;

use super::*;

fn levels() -> Vec<Level> {
    let mut levels = vec![Level::PORTABLE];
    if Level::detect() != Level::PORTABLE {
        levels.push(Level::detect());
    }
    levels
}

/// Numbers between −1 and 1 that follow from their seed.
fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12_345);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from(u16::try_from(state >> 16).unwrap()) / 32_768.0 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn assert_close(found: f32, expected: f64, most: f64) {
    assert!(
        (f64::from(found) - expected).abs() <= most,
        "{found} is not {expected}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_product_is_that_of_the_definition_for_every_shape(
        count in 1_usize..20,
        depth in 1_usize..600,
        columns in 1_usize..40,
        gap in 0_usize..5,
        seed in any::<u32>(),
    ) {
        let stride = depth + gap;
        let values = numbers(count * stride, seed);
        let matrix = numbers(depth * columns, seed ^ 1);
        let bias = numbers(columns, seed ^ 2);
        let mut panels = Panels::default();
        panels.fill(depth, columns, |row, column| matrix[row * columns + column]);
        for level in levels() {
            let mut out = vec![f32::NAN; count * panels.width()];
            let rows = Rows { values: &values, stride, count };
            multiply(level, rows, &panels, &bias, &mut out);
            for row in 0..count {
                for column in 0..columns {
                    let products = (0..depth).map(|at| {
                        f64::from(values[row * stride + at]) * f64::from(matrix[at * columns + column])
                    });
                    let expected = products.sum::<f64>() + f64::from(bias[column]);
                    assert_close(out[row * panels.width() + column], expected, 1e-3);
                }
            }
        }
    }
}

#[test]
fn gelu_is_near_the_error_function() {
    // x · Φ(x), from a table of the normal distribution.
    let table = [
        (0.0, 0.0),
        (1.0, 0.841_344_75),
        (-1.0, -0.158_655_25),
        (2.0, 1.954_499_7),
        (-2.0, -0.045_500_26),
        (3.0, 2.995_950_3),
        (-3.0, -0.004_049_69),
        (-5.0, -0.000_001_433),
        (0.5, 0.345_731_23),
    ];
    for level in levels() {
        for (at, expected) in table {
            let mut values = [at];
            gelu(level, &mut values);
            assert_close(values[0], expected, 4e-5);
        }
        let mut far = [100.0, -100.0];
        gelu(level, &mut far);
        assert_close(far[0], 100.0, 1e-3);
        assert_close(far[1], 0.0, 1e-3);
    }
}

#[test]
fn softmax_sums_to_one_and_leaves_the_filling_empty() {
    for level in levels() {
        let mut row: Vec<f32> = numbers(32, 5).iter().map(|value| value * 40.0).collect();
        let scores: Vec<f64> = row[..21].iter().map(|value| f64::from(*value)).collect();
        let largest = scores.iter().copied().fold(f64::MIN, f64::max);
        let total: f64 = scores.iter().map(|score| (score - largest).exp()).sum();
        softmax(level, &mut row, 32, 21);
        for (share, score) in row.iter().zip(&scores) {
            assert_close(*share, (score - largest).exp() / total, 1e-6);
        }
        assert!(
            row[21..]
                .iter()
                .all(|value| value.abs() <= f32::MIN_POSITIVE)
        );
    }
}

#[test]
fn a_normalised_row_has_mean_zero_and_variance_one() {
    let norm = Norm {
        scale: vec![1.0; 24],
        shift: vec![0.0; 24],
        epsilon: 1e-12,
    };
    for level in levels() {
        let mut rows = numbers(48, 9);
        add_and_normalise(level, &mut rows, &numbers(48, 10), &norm);
        for row in rows.chunks_exact(24) {
            let mean = row.iter().sum::<f32>() / 24.0;
            let variance = row.iter().map(|value| value * value).sum::<f32>() / 24.0;
            assert_close(mean, 0.0, 1e-5);
            assert_close(variance, 1.0, 1e-4);
        }
    }
}
