use proptest::prelude::*;

use super::*;

fn levels() -> Vec<Level> {
    let mut levels = vec![Level::PORTABLE];
    if Level::detect() != Level::PORTABLE {
        levels.push(Level::detect());
    }
    levels
}

/// The sum in its parts, value by value.
fn dot_by_definition(left: &[f32], right: &[f32]) -> f32 {
    let whole = left.len().min(right.len()) / LANES * LANES;
    let mut sums = vec![0.0_f32; LANES];
    for at in 0..whole {
        sums[at % LANES] += left[at] * right[at];
    }
    while 1 < sums.len() {
        let half = sums.len() / 2;
        sums = (0..half)
            .map(|lane| sums[lane] + sums[lane + half])
            .collect();
    }
    let mut rest = 0.0;
    for at in whole..left.len().min(right.len()) {
        rest += left[at] * right[at];
    }
    sums[0] + rest
}

proptest! {
    #[test]
    fn every_level_gives_the_bits_of_the_definition(
        values in prop::collection::vec(-1.0_f32..1.0, 0..1_500),
        length in 1_usize..90,
    ) {
        let (query, rows) = values.split_at(length.min(values.len()));
        let n_rows = rows.len() / length;
        for level in levels() {
            let mut found = vec![f32::NAN; n_rows];
            dots(level, rows, query, &mut found);
            for (found, row) in found.iter().zip(rows.chunks_exact(length)) {
                let expected = dot_by_definition(row, query);
                prop_assert_eq!(found.to_bits(), expected.to_bits());
                prop_assert_eq!(dot(level, row, query).to_bits(), expected.to_bits());
            }
        }
    }

    #[test]
    fn the_values_of_the_shorter_one_count(
        left in prop::collection::vec(-1.0_f32..1.0, 0..70),
        right in prop::collection::vec(-1.0_f32..1.0, 0..70),
    ) {
        for level in levels() {
            let found = dot(level, &left, &right);
            prop_assert_eq!(found.to_bits(), dot_by_definition(&left, &right).to_bits());
        }
    }

    #[test]
    fn every_level_counts_the_bits_that_differ(
        words in prop::collection::vec(any::<u64>(), 0..200),
        length in 1_usize..20,
    ) {
        let (query, rows) = words.split_at(length.min(words.len()));
        for level in levels() {
            let mut found = vec![u16::MAX; rows.len() / length];
            differences(level, rows, query, &mut found);
            for (found, row) in found.iter().zip(rows.chunks_exact(length)) {
                let bits = |at: usize| (row[at / 64] ^ query[at / 64]) >> (at % 64) & 1;
                let expected: u64 = (0..length * 64).map(bits).sum();
                prop_assert_eq!(u64::from(*found), expected);
            }
        }
    }
}
