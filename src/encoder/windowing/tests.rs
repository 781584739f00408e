use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits {
    content_tokens: 10,
    windows_max: 4,
};

fn passage(tokens: std::ops::Range<u32>, weight: f32) -> TokenisedPassage {
    TokenisedPassage {
        tokens: tokens.collect(),
        weight,
    }
}

fn lengths(windowed: &Windowed) -> Vec<usize> {
    let windows = windowed.windows.iter();
    windows.map(|window| window.tokens.len()).collect()
}

#[test]
fn a_short_text_is_one_window() {
    let windowed = plan(&[passage(0..7, 1.0)], LIMITS);
    assert_eq!((lengths(&windowed), windowed.tokens), (vec![7], 7));
    assert!(!windowed.truncated);
}

#[test]
fn a_text_of_nothing_has_no_window_and_lost_nothing() {
    assert_eq!(plan(&[], LIMITS), Windowed::default());
    assert_eq!(plan(&[passage(0..0, 1.0)], LIMITS), Windowed::default());
}

#[test]
fn a_long_text_is_cut_in_nearly_equal_windows() {
    let windowed = plan(&[passage(0..23, 1.0)], LIMITS);
    assert_eq!(lengths(&windowed), [7, 8, 8]);
    assert!(!windowed.truncated);
}

#[test]
fn what_is_past_the_last_window_is_left_out_and_said() {
    let windowed = plan(&[passage(0..41, 1.0)], LIMITS);
    assert_eq!(lengths(&windowed), [10, 10, 10, 10]);
    assert!(windowed.truncated && windowed.tokens == 40);
    assert_eq!(windowed.windows[3].tokens.last(), Some(&39));
}

#[test]
fn turns_of_equal_weight_share_a_window() {
    let windowed = plan(&[passage(0..3, 1.0), passage(3..8, 1.0)], LIMITS);
    assert_eq!(lengths(&windowed), [8]);
}

#[test]
fn a_window_counts_by_its_tokens_and_its_passage() {
    let windowed = plan(&[passage(0..4, 0.5), passage(4..7, 2.0)], LIMITS);
    assert_eq!(windowed.weights, [2.0, 6.0]);
}

#[test]
fn the_lightest_passage_goes_first() {
    let light = passage(0..5, 0.1);
    let windowed = plan(&[light, passage(5..45, 1.0)], LIMITS);
    assert_eq!(lengths(&windowed), [10, 10, 10, 10]);
    assert_eq!(windowed.windows[0].tokens.first(), Some(&5));
    assert!(windowed.truncated);
}

#[test]
fn a_weight_that_is_no_weight_leaves_its_passage_out() {
    for weight in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        let windowed = plan(&[passage(0..5, weight), passage(5..8, 1.0)], LIMITS);
        assert_eq!(lengths(&windowed), [3], "weight {weight}");
    }
}

#[test]
fn characters_are_counted_and_not_bytes() {
    let bounded = bound("  ééééé", 3);
    assert_eq!((bounded.text, bounded.truncated), ("ééé", true));
    let whole = bound("ééé", 3);
    assert_eq!((whole.characters, whole.truncated), (3, false));
}

proptest! {
    #[test]
    fn no_window_is_empty_or_too_long_and_every_token_is_kept_or_said_to_be_lost(
        passages in prop::collection::vec((0_u32..60, 0_u8..4), 0..6),
        content_tokens in 1_usize..20,
        windows_max in 0_usize..6,
    ) {
        let passages: Vec<_> = passages
            .into_iter()
            .map(|(length, weight)| passage(0..length, f32::from(weight)))
            .collect();
        let limits = Limits { content_tokens, windows_max };
        let windowed = plan(&passages, limits);
        prop_assert!(windowed.windows.len() <= windows_max);
        prop_assert_eq!(windowed.windows.len(), windowed.weights.len());
        prop_assert!(lengths(&windowed).iter().all(|length| (1..=content_tokens).contains(length)));
        let counted = passages.iter().filter(|passage| 0.0 < passage.weight);
        let all: usize = counted.map(|passage| passage.tokens.len()).sum();
        prop_assert_eq!(windowed.tokens, lengths(&windowed).iter().sum::<usize>());
        prop_assert_eq!(windowed.truncated, windowed.tokens < all);
    }
}
