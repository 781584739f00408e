use proptest::prelude::*;

use super::*;

fn levels() -> Vec<Level> {
    let mut levels = vec![Level::PORTABLE];
    if Level::detect() != Level::PORTABLE {
        levels.push(Level::detect());
    }
    levels
}

/// The table of what four signs add.
fn table_of(added: [i8; 4]) -> Table {
    std::array::from_fn(|choice| {
        let set = (0..4).filter(|sign| (choice >> sign) & 1 == 1);
        let sum: i8 = set.map(|sign: usize| added[sign]).sum();
        31_u8.wrapping_add_signed(sum)
    })
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
    fn rows_from_anywhere_have_the_products_that_they_have_alone(
        values in prop::collection::vec(-1.0_f32..1.0, 80..1_500),
        length in 1_usize..=40,
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let (query, rows) = values.split_at(length);
        let rows: Vec<&[f32]> = rows.chunks_exact(length).collect();
        let chosen: Vec<&[f32]> = places.iter().map(|place| *place.get(&rows)).collect();
        for level in levels() {
            let mut found = vec![f32::NAN; chosen.len()];
            dots_of(level, &chosen, query, &mut found);
            for (found, row) in found.iter().zip(&chosen) {
                prop_assert_eq!(found.to_bits(), dot(level, row, query).to_bits());
            }
        }
    }

    #[test]
    fn every_level_adds_up_what_the_tables_say(
        columns in prop::collection::vec(any::<[u8; 32]>(), 0..70),
        added in prop::collection::vec(prop::array::uniform4(-7_i8..=7), COLUMNS..20),
    ) {
        let tables: Vec<Table> = added.into_iter().map(table_of).collect();
        let tables = &tables[..tables.len() / COLUMNS * COLUMNS];
        for level in levels() {
            let mut found = vec![[u16::MAX; BLOCK]; columns.len() / tables.len()];
            sums_by_tables(level, &columns, tables, &mut found);
            for (block, found) in columns.chunks_exact(tables.len()).zip(&found) {
                for (row, found) in found.iter().enumerate() {
                    let signs = |column: &Column| match row {
                        0..32 => column[row] % 16,
                        _ => column[row - 32] / 16,
                    };
                    let entry = |(column, table): (&Column, &Table)| {
                        u16::from(table[usize::from(signs(column))])
                    };
                    let expected: u16 = block.iter().zip(tables).map(entry).sum();
                    prop_assert_eq!(*found, expected);
                }
            }
        }
    }

    #[test]
    fn every_level_scales_sums_alike(
        sums in prop::collection::vec(any::<u16>(), 0..100),
        (zero, factor, raise) in (0.0_f32..9_999.0, -2.0_f32..2.0, -2.0_f32..2.0),
    ) {
        let scale = Scale { zero, factor, raise };
        let units: Vec<Unit> = (0_u8..100)
            .map(|row| Unit { factor: 1.0 / f32::from(1 + row), raise: f32::from(row) })
            .collect();
        for level in levels() {
            let mut found = vec![f32::NAN; sums.len()];
            scaled(level, &sums, scale, &units, &mut found);
            for ((found, sum), unit) in found.iter().zip(&sums).zip(&units) {
                let expected = (f32::from(*sum) - zero) * factor * unit.factor + unit.raise + raise;
                prop_assert_eq!(found.to_bits(), expected.to_bits());
            }
        }
    }

    #[test]
    fn the_highest_and_the_first_that_is_high_enough_are_found(
        mut values in prop::collection::vec(-1.0_f32..1.0, 0..100),
        broken in any::<prop::sample::Index>(),
        least in -1.0_f32..1.0,
    ) {
        if !values.is_empty() {
            let at = broken.index(values.len());
            values[at] = f32::NAN;
        }
        for level in levels() {
            let expected = values.iter().copied().fold(least, f32::max);
            prop_assert_eq!(highest(level, &values, least).to_bits(), expected.to_bits());
            let expected = values.iter().position(|value| least <= *value);
            prop_assert_eq!(first_from(level, &values, least), expected);
        }
    }

    #[test]
    fn powers_are_those_of_the_library_and_the_same_at_every_level(
        values in prop::collection::vec(-40.0_f32..0.0, 0..100),
        unit in 0.05_f32..2.0,
    ) {
        let with_most = [&values[..], &[0.0]].concat();
        let expected: f64 = with_most
            .iter()
            .map(|value| (f64::from(*value) / f64::from(unit)).exp())
            .sum();
        let portable = sum_of_powers(Level::PORTABLE, &with_most, 0.0, unit);
        prop_assert!((f64::from(portable) - expected).abs() < expected * 4e-6);
        for level in levels() {
            let found = sum_of_powers(level, &with_most, 0.0, unit);
            prop_assert_eq!(found.to_bits(), portable.to_bits());
        }
    }
}

#[test]
fn a_power_is_off_by_two_of_the_last_bits_at_most() {
    for step in 0..870_000_u32 {
        #[expect(clippy::cast_precision_loss, reason = "a step of a test")]
        let exponent = step as f32 * -1e-4;
        let exact = f64::from(exponent).exp();
        let off = (f64::from(power_of_e(exponent)) - exact) / exact;
        assert!(
            off.abs() < 2.0 * f64::from(f32::EPSILON),
            "{exponent}: {off}"
        );
    }
    let lowest = [f32::NEG_INFINITY, -1e30, -88.0].map(power_of_e);
    assert!(lowest.iter().all(|power| (0.0..2e-38).contains(power)));
}
