use proptest::prelude::*;

use super::*;
use crate::vector::normalise;

fn prototypes(rows: &[[f32; 2]], n_of_intent: &[usize]) -> Prototypes {
    let vectors = Vectors::from_flat(2, rows.concat()).unwrap();
    Prototypes::nearest(vectors, n_of_intent.to_vec()).unwrap()
}

fn ranked(scores: &[f32]) -> Vec<usize> {
    let ranking = Ranking::of(scores);
    std::iter::once(ranking.first())
        .chain(ranking.behind_first())
        .map(|ranked| ranked.intent)
        .collect()
}

#[test]
fn an_intent_is_as_near_as_its_nearest_prototype() {
    let set = prototypes(&[[1.0, 0.0], [-1.0, 0.0], [0.6, 0.8]], &[2, 1]);
    let scores = set.scores(&[-1.0, 0.0]);
    assert_eq!(ranked(&scores), [0, 1]);
    assert!((scores[0] - scores[1] - 1.6).abs() < 1e-6);
}

#[test]
fn a_bias_raises_its_row() {
    let weights = Vectors::from_flat(2, vec![2.0, 0.0, 0.0, 2.0]).unwrap();
    let set = Prototypes::linear(weights, vec![-1.5, 0.5]).unwrap();
    assert_eq!(set.scores(&[1.0, 0.0]), [0.5, 0.5]);
}

#[test]
fn of_intents_equally_near_the_earlier_wins() {
    assert_eq!(ranked(&[0.0, 1.0, 1.0, 1.0, 1.0]), [1, 2, 3, 4]);
}

#[test]
fn a_broken_vector_is_far_from_everything() {
    let scores = prototypes(&[[1.0, 0.0], [0.0, 1.0]], &[1, 1]).scores(&[f32::NAN, 0.0]);
    let odds = Odds::of(&scores, scores[0], 0.1);
    assert!(
        (odds.probability(scores[0]) - 0.5).abs() < 1e-6,
        "{scores:?}"
    );
}

#[test]
fn prototypes_without_an_intent_or_intents_without_a_prototype_make_no_set() {
    let rows = || Vectors::from_flat(2, vec![1.0, 0.0, 0.0, 1.0]).unwrap();
    for n_of_intent in [vec![], vec![1], vec![2, 0], vec![1, 2], vec![usize::MAX, 2]] {
        assert_eq!(
            Prototypes::nearest(rows(), n_of_intent.clone()),
            None,
            "{n_of_intent:?}"
        );
    }
    assert_eq!(Prototypes::new(rows(), vec![0.0], vec![1, 1]), None);
}

#[test]
fn a_higher_temperature_is_less_sure() {
    let scores = [2.0, 1.0, 0.0];
    let probability = |temperature| Odds::of(&scores, 2.0, temperature).probability(2.0);
    assert!((probability(1.0) - 0.665_24).abs() < 1e-4);
    assert!(probability(2.0) < probability(1.0) && probability(1.0) < probability(0.5));
}

proptest! {
    #[test]
    fn the_nearest_is_the_one_that_trying_all_would_find(
        mut rows in prop::collection::vec(prop::array::uniform3(-1.0_f32..1.0), 1..30),
        query in prop::array::uniform3(-1.0_f32..1.0),
        n_first in 1_usize..5,
    ) {
        for row in &mut rows {
            normalise(row);
        }
        let n_first = n_first.min(rows.len());
        let n_of_intent: Vec<usize> =
            std::iter::once(n_first).chain(vec![1; rows.len() - n_first]).collect();
        let vectors = Vectors::from_flat(3, rows.concat()).unwrap();
        let scores = Prototypes::nearest(vectors, n_of_intent).unwrap().scores(&query);
        let intent_of = |row: usize| row.saturating_sub(n_first - 1);
        let mut tried: Vec<(usize, f32)> =
            rows.iter().enumerate().map(|(row, values)| (intent_of(row), dot(values, &query))).collect();
        tried.sort_by(|left, right| right.1.total_cmp(&left.1).then(left.0.cmp(&right.0)));
        let first = Ranking::of(&scores).first();
        prop_assert_eq!(first, Ranked { intent: tried[0].0, score: tried[0].1 });
        let odds = Odds::of(&scores, first.score, 0.5);
        let sum: f32 = scores.iter().map(|score| odds.probability(*score)).sum();
        prop_assert!((sum - 1.0).abs() < 1e-5);
    }

    #[test]
    fn many_prompts_at_once_score_what_each_scores_alone(
        rows in prop::collection::vec(prop::array::uniform4(-1.0_f32..1.0), 3..12),
        prompts in prop::collection::vec(prop::array::uniform4(-1.0_f32..1.0), 1..9),
        bias in -1.0_f32..1.0,
    ) {
        let n_of_intent = vec![2, rows.len() - 2];
        let vectors = Vectors::from_flat(4, rows.concat()).unwrap();
        let bias: Vec<f32> = rows.iter().zip(1_u8..).map(|(_, at)| bias * f32::from(at)).collect();
        let set = Prototypes::new(vectors, bias, n_of_intent).unwrap();
        let flat = prompts.concat();
        let together = set.scores_of(&ArrayView2::from_shape((prompts.len(), 4), &flat).unwrap());
        for (prompt, row) in prompts.iter().zip(together.outer_iter()) {
            for (alone, beside) in set.scores(prompt).iter().zip(row) {
                prop_assert!((alone - beside).abs() < 1e-4);
            }
        }
    }
}
