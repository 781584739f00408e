use proptest::prelude::*;

use super::float::{attend_body, gelu, normalise_body};
use super::integer::{Dot, product_body, quantise_body};
use super::lanes::{PlainLanes, PortableLanes};
use super::*;

/// What sizes are divided by where an interpreter runs the tests, a thousand times slower.
const SMALLER: usize = if cfg!(miri) { 10 } else { 1 };

/// Numbers between −1 and 1 that follow from their seed.
fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12_345);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from(u16::try_from(state >> 16).unwrap()) / 32_768.0 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn bytes(count: usize, seed: u32) -> Vec<u8> {
    let numbers = numbers(count, seed);
    let bytes = numbers.iter().map(|number| number.to_bits().to_le_bytes());
    bytes.map(|[_, low, high, _]| low ^ high).collect()
}

fn assert_close(found: f32, expected: f64, most: f64) {
    assert!(
        (f64::from(found) - expected).abs() <= most,
        "{found} is not {expected}"
    );
}

/// Weights of so many columns.
struct Weights {
    integers: Vec<i8>,
    scales: Vec<f32>,
    bias: Vec<f32>,
    input_factors: Option<Vec<f32>>,
}

impl Weights {
    fn of(depth: usize, columns: usize, seed: u32) -> Self {
        let integers = bytes(depth * columns, seed);
        Self {
            // −128 is no weight: the form is symmetric.
            integers: integers
                .iter()
                .map(|it| it.cast_signed().max(-127))
                .collect(),
            scales: numbers(columns, seed ^ 5)
                .iter()
                .map(|it| it.abs() + 0.1)
                .collect(),
            bias: numbers(columns, seed ^ 6),
            input_factors: None,
        }
    }

    fn pack(&self, level: Level, depth: usize) -> PackedLinear {
        let unpacked = Unpacked {
            integers: &self.integers,
            scales: &self.scales,
            bias: &self.bias,
            input_factors: self.input_factors.as_deref(),
        };
        PackedLinear::pack(Layout::of(level), depth, &unpacked)
    }
}

/// What goes once through every operation.
struct Case {
    rows: Vec<f32>,
    weights: Weights,
    norm: Norm,
}

impl Case {
    const DEPTH: usize = 96;
    /// Of a head; three of them are the columns.
    const LENGTH: usize = 32;

    fn of(count: usize, seed: u32) -> Self {
        Self {
            rows: numbers(count * Self::DEPTH, seed),
            weights: Weights::of(Self::DEPTH, 3 * Self::LENGTH, seed),
            norm: Norm {
                scale: numbers(Self::DEPTH, seed ^ 3),
                shift: numbers(Self::DEPTH, seed ^ 4),
                epsilon: 1e-12,
            },
        }
    }

    /// The normalised rows, their product with the weights and the attention among that.
    fn computed(
        &self,
        level: Level,
        normalise: impl Fn(&mut [f32], &Norm),
        mut multiply: impl FnMut(&[f32], &PackedLinear, &mut [f32]),
        attend: impl Fn(Heads<'_>, &mut [f32]),
    ) -> [Vec<f32>; 3] {
        let mut rows = self.rows.clone();
        normalise(&mut rows, &self.norm);
        let mut out = vec![0.0; rows.len()];
        multiply(&rows, &self.weights.pack(level, Self::DEPTH), &mut out);
        let mut context = vec![0.0; out.len() / 3];
        let heads = Heads {
            rows: &out,
            length: Self::LENGTH,
            place: 0,
            width: Self::LENGTH,
        };
        attend(heads, &mut context);
        [rows, out, context]
    }
}

/// Rows that integers hold exactly: whole numbers of quarters, the least and the largest among them.
fn exact_rows(count: usize, depth: usize, seed: u32) -> Vec<f32> {
    let mut integers = bytes(count * depth, seed);
    for integer in &mut integers {
        *integer >>= 1;
    }
    for row in integers.chunks_exact_mut(depth) {
        row[..2].copy_from_slice(&[0, 127]);
    }
    let values = integers
        .iter()
        .map(|integer| f32::from(*integer) * 0.25 - 30.0);
    values.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn the_product_is_that_of_the_definition_for_every_shape(
        count in 0_usize..40 / SMALLER,
        depth in 1_usize..60 / SMALLER,
        columns in 1_usize..4,
        // With small weights two steps are added up before they are widened.
        weight_max in prop_oneof![Just(64_i8), Just(127)],
        seed in any::<u32>(),
    ) {
        let (depth, columns) = (4 * depth, 32 * columns);
        let mut rows = exact_rows(count, depth, seed);
        let mut weights = Weights::of(depth, columns, seed);
        for weight in &mut weights.integers {
            *weight = (*weight).clamp(-weight_max, weight_max);
        }
        let powers = numbers(depth, seed ^ 7).into_iter();
        let factors: Vec<f32> = powers.map(|it| if it < 0.0 { 0.5 } else { 4.0 }).collect();
        for row in rows.chunks_exact_mut(depth) {
            row.iter_mut().zip(&factors).for_each(|(value, factor)| *value /= factor);
        }
        weights.input_factors = Some(factors.clone());
        for level in Level::available() {
            let linear = weights.pack(level, depth);
            let mut activations = Activations::of(level);
            quantise(level, &rows, &linear, &mut activations);
            let mut out = vec![1.0; count * columns];
            let all = Part { linear: &linear, panels: linear.panels() };
            product(level, &activations, all, Effect::Add, &mut out);
            for (row, out) in rows.chunks_exact(depth).zip(out.chunks_exact(columns)) {
                for (column, found) in out.iter().enumerate() {
                    let integers = &weights.integers[column * depth..(column + 1) * depth];
                    let products = row.iter().zip(&factors).zip(integers).map(|((value, factor), weight)| {
                        f64::from(*value) * f64::from(*factor) * f64::from(*weight)
                    });
                    let sum = products.sum::<f64>() * f64::from(weights.scales[column]);
                    let expected = 1.0 + sum + f64::from(weights.bias[column]);
                    assert_close(*found, expected, 0.05);
                }
            }
        }
    }

    #[test]
    fn every_kernel_adds_up_the_same_integers_as_the_portable_one(
        steps in 0_usize..200 / SMALLER,
        seed in any::<u32>(),
    ) {
        for_each_kernel::<1>(steps, seed);
        for_each_kernel::<2>(steps, seed);
        for_each_kernel::<3>(steps, seed);
        for_each_kernel::<5>(steps, seed);
        for_each_kernel::<6>(steps, seed);
        for_each_kernel::<12>(steps, seed);
    }

    #[test]
    fn a_row_comes_out_the_same_whatever_lies_beside_it(
        before in 0_usize..30 / SMALLER,
        after in 0_usize..30 / SMALLER,
        seed in any::<u32>(),
    ) {
        let (depth, columns) = (64, 64);
        let row = numbers(depth, seed);
        let weights = Weights::of(depth, columns, seed);
        for level in Level::available() {
            let linear = weights.pack(level, depth);
            let multiplied = |rows: &[f32]| {
                let mut activations = Activations::of(level);
                quantise(level, rows, &linear, &mut activations);
                let mut out = vec![0.0; rows.len() / depth * columns];
                let all = Part { linear: &linear, panels: linear.panels() };
                product(level, &activations, all, Effect::Gelu, &mut out);
                out
            };
            let mut rows = numbers(before * depth, seed ^ 1);
            rows.extend(&row);
            rows.extend(numbers(after * depth, seed ^ 2));
            let among = multiplied(&rows);
            let alone = multiplied(&row);
            prop_assert_eq!(&among[before * columns..(before + 1) * columns], &alone[..]);
        }
    }

    #[test]
    fn levels_that_fuse_give_the_bits_of_the_plain_twin(
        count in 1_usize..30 / SMALLER,
        seed in any::<u32>(),
    ) {
        type Twin = PlainLanes<true>;
        let case = Case::of(count, seed);
        let mut portable = Activations::of(Level::PORTABLE);
        let expected = case.computed(
            Level::PORTABLE,
            normalise_body::<Twin>,
            |rows, linear, out| {
                quantise_body::<Twin>(rows, linear, &mut portable);
                let all = Part { linear, panels: linear.panels() };
                product_body::<Twin, portable::Portable, 16>(&portable, all, Effect::Gelu, out);
            },
            |heads, context| attend_body::<Twin>(heads, &mut Attention::default(), context),
        );
        for level in Level::available() {
            if level == Level::PORTABLE && cfg!(not(target_arch = "aarch64")) {
                continue;
            }
            let mut activations = Activations::of(level);
            let found = case.computed(
                level,
                |rows, norm| normalise(level, rows, norm),
                |rows, linear, out| {
                    quantise(level, rows, linear, &mut activations);
                    let all = Part { linear, panels: linear.panels() };
                    product(level, &activations, all, Effect::Gelu, out);
                },
                |heads, context| attend(level, heads, &mut Attention::default(), context),
            );
            prop_assert_eq!(&found, &expected);
        }
    }

    #[test]
    fn attention_is_that_of_the_definition_and_levels_agree(
        tokens in prop_oneof![1_usize..70 / SMALLER, 70 / SMALLER..=512 / SMALLER],
        longer in any::<bool>(),
        seed in any::<u32>(),
    ) {
        let length = if longer { 64 } else { 32 };
        let rows: Vec<f32> = numbers(tokens * 3 * length, seed).iter().map(|it| it * 2.0).collect();
        let heads = Heads { rows: &rows, length, place: 0, width: length };
        for level in Level::available() {
            let mut context = vec![f32::NAN; tokens * length];
            attend(level, heads, &mut Attention::default(), &mut context);
            for (query, found) in rows.chunks_exact(3 * length).zip(context.chunks_exact(length)) {
                let scores: Vec<f64> = rows.chunks_exact(3 * length).map(|row| {
                    let products = query[..length].iter().zip(&row[length..2 * length]);
                    products.map(|(query, key)| f64::from(*query) * f64::from(*key)).sum()
                }).collect();
                let largest = scores.iter().copied().fold(f64::MIN, f64::max);
                let total: f64 = scores.iter().map(|score| (score - largest).exp()).sum();
                for (at, found) in found.iter().enumerate() {
                    let taken = rows.chunks_exact(3 * length).zip(&scores).map(|(row, score)| {
                        (score - largest).exp() / total * f64::from(row[2 * length + at])
                    });
                    assert_close(*found, taken.sum(), 1e-4);
                }
            }
        }
    }
}

/// Holds the integers of each kernel that this machine has against those of the definition.
fn for_each_kernel<const ROWS: usize>(steps: usize, seed: u32) {
    let mut state = bytes(steps * ROWS * 4, seed).into_iter();
    let mut next = || state.next().unwrap();
    let units: Vec<[u32; ROWS]> = (0..steps)
        .map(|_| std::array::from_fn(|_| u32::from_le_bytes([next(), next(), next(), next()])))
        .collect();
    let panel: Vec<u8> = bytes(steps * 128, seed ^ 9)
        .iter()
        .map(|byte| byte.cast_signed().max(-127).cast_unsigned())
        .collect();
    check_kernels(&units, &panel);
}

fn check_kernels<const ROWS: usize>(quads: &[[u32; ROWS]], panel: &[u8]) {
    let of_quad = |unit: u32| unit.to_le_bytes().map(i32::from).to_vec();
    let of_single = |unit: u32| {
        let wanted = |it: &i32| {
            f64::from(*it)
                .total_cmp(&f64::from(f32::from_bits(unit)))
                .is_eq()
        };
        (0..256).filter(wanted).collect()
    };
    let masked = |mask: u32| -> Vec<[u32; ROWS]> {
        let units = quads.iter().map(|units| units.map(|unit| unit & mask));
        units.collect()
    };
    let mut singles = masked(0xff);
    for unit in singles.iter_mut().flatten() {
        *unit = f32::from(u8::try_from(*unit).unwrap()).to_bits();
    }
    // Activations have seven bits.
    let quads = &masked(0x7f7f_7f7f);
    let part = |bytes: usize| &panel[..quads.len() * bytes];
    for level in Level::available() {
        match level.0 {
            Instructions::Portable => assert_eq!(
                portable::Portable::tile::<ROWS>(&singles, part(16)),
                portable::twin::<ROWS, 16>(&singles, part(16), of_single)
            ),
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => {
                assert_eq!(
                    avx2::Avx2::<1>::tile::<ROWS>(quads, part(64)),
                    portable::twin::<ROWS, 16>(quads, part(64), of_quad)
                );
                let roomy = with_room(part(64));
                assert_eq!(
                    avx2::Avx2::<2>::tile::<ROWS>(quads, &roomy),
                    portable::twin::<ROWS, 16>(quads, &roomy, of_quad)
                );
            }
            #[cfg(target_arch = "x86_64")]
            Instructions::AvxVnni => assert_eq!(
                avx_vnni::AvxVnni::tile::<ROWS>(quads, part(128)),
                portable::twin::<ROWS, 32>(quads, part(128), of_quad)
            ),
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512Vnni => assert_eq!(
                avx512::Avx512Vnni::tile::<ROWS>(quads, part(128)),
                portable::twin::<ROWS, 32>(quads, part(128), of_quad)
            ),
        }
    }
}

/// The weights made small enough that two steps fit: four add up to 258 at most.
#[cfg(target_arch = "x86_64")]
fn with_room(panel: &[u8]) -> Vec<u8> {
    let most = |at: usize| if at.is_multiple_of(2) { 65 } else { 64 };
    let weights = panel.iter().enumerate().map(|(at, byte)| {
        let weight = byte.cast_signed();
        weight.clamp(-most(at), most(at)).cast_unsigned()
    });
    weights.collect()
}

#[test]
fn two_steps_add_up_neighbours_and_those_of_the_next_step() {
    assert_eq!(two_steps_sum(&[1, 2, 0, 0, 4, 8, 0, 0]), 15);
    assert_eq!(two_steps_sum(&[1, 2, 16, 32, 4, 8, 0, 0]), 48);
    assert_eq!(two_steps_sum(&[-65, -64, 127, -1, -65, -64, 0, 100]), 258);
    // What is left of an odd number of steps is added up by itself.
    assert_eq!(two_steps_sum(&[127; 4]), 0);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn weights_without_room_for_two_steps_are_multiplied_exactly_too() {
    let (depth, columns) = (64, 32);
    let mut weights = Weights::of(depth, columns, 3);
    weights.integers.fill(127);
    let rows = vec![1.0; depth - 1];
    let rows = [rows, vec![0.0]].concat();
    for level in Level::available() {
        let linear = weights.pack(level, depth);
        let mut activations = Activations::of(level);
        quantise(level, &rows, &linear, &mut activations);
        let mut out = vec![0.0; columns];
        let all = Part {
            linear: &linear,
            panels: linear.panels(),
        };
        product(level, &activations, all, Effect::Store, &mut out);
        for ((found, scale), bias) in out.iter().zip(&weights.scales).zip(&weights.bias) {
            let expected = 63.0 * 127.0 * f64::from(*scale) + f64::from(*bias);
            assert_close(*found, expected, 0.02);
        }
    }
}

#[test]
fn the_largest_integers_do_not_saturate() {
    let units = [[0x7f7f_7f7f_u32; 2]; 384];
    for weight in [127_i8, -127] {
        check_kernels(&units, &vec![weight.cast_unsigned(); 384 * 128]);
    }
    // The portable kernel would take eight bits, too.
    let singles = [[255.0_f32.to_bits(); 2]; 1536];
    let sums = portable::Portable::tile::<2>(&singles, &vec![127; 1536 * 16]);
    assert_eq!(sums[1][15], 1536 * 255 * 127);
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
    for (at, expected) in table {
        assert_close(gelu::<PortableLanes>(at), expected, 4e-5);
    }
    assert_close(gelu::<PortableLanes>(100.0), 100.0, 1e-3);
    assert_close(gelu::<PortableLanes>(-100.0), 0.0, 1e-3);
}

#[test]
fn a_normalised_row_has_mean_zero_and_variance_one() {
    let norm = Norm {
        scale: vec![1.0; 24],
        shift: vec![0.0; 24],
        epsilon: 1e-12,
    };
    for level in Level::available() {
        let mut rows = numbers(48, 9);
        normalise(level, &mut rows, &norm);
        for row in rows.chunks_exact(24) {
            let mean = row.iter().sum::<f32>() / 24.0;
            let variance = row.iter().map(|value| value * value).sum::<f32>() / 24.0;
            assert_close(mean, 0.0, 1e-5);
            assert_close(variance, 1.0, 1e-4);
        }
    }
}

#[test]
fn a_kernel_reads_as_it_prints_and_one_that_the_machine_lacks_is_refused_by_name() {
    for kernel in Kernel::ALL {
        assert_eq!(kernel.to_string().parse::<Kernel>().unwrap(), kernel);
    }
    let problem = "avx3".parse::<Kernel>().unwrap_err().to_string();
    assert!(
        problem.contains("\"avx3\"") && problem.contains("avx2"),
        "{problem}"
    );
    for kernel in Kernel::ALL {
        match Level::forced(kernel) {
            Ok(level) => assert_eq!(level.kernel(), kernel),
            Err(problem) => assert!(
                problem.to_string().contains(&kernel.to_string()),
                "{problem}"
            ),
        }
    }
    assert!(Level::forced(Kernel::Portable).is_ok() && Level::forced(Kernel::Candle).is_err());
}
