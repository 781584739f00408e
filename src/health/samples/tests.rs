use proptest::prelude::*;

use super::*;

const fn at(secs: u64) -> Moment {
    Moment::after_start(Duration::from_secs(secs))
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const fn over(n: usize, millis: u64) -> Measured {
    Measured {
        value: ms(millis),
        n,
    }
}

/// The answers in a window: each has a time in which it was done.
fn n_answers(pace: Pace) -> usize {
    pace.p95.map_or(0, |it| it.n)
}

fn streamed(ttft: u64, tpot: u64, total: u64) -> Ended {
    Ended::Answered(Took {
        ttft: Some(ms(ttft)),
        tpot: Some(ms(tpot)),
        total: ms(total),
    })
}

fn whole(tpot: u64, total: u64) -> Ended {
    Ended::Answered(Took {
        ttft: None,
        tpot: Some(ms(tpot)),
        total: ms(total),
    })
}

#[test]
fn a_target_that_nobody_asked_is_unknown_and_not_fast() {
    let mut samples = Samples::default();
    for window in [Window::Long, Window::Short] {
        assert_eq!(samples.pace(at(5), window), Pace::default());
    }
    assert_eq!(samples.failure_share(at(5)), None);
}

#[test]
fn a_target_that_was_slow_an_hour_ago_is_unknown_now_and_fast_once_it_was_asked_again() {
    let mut samples = Samples::default();
    for second in 0..50 {
        samples.add(streamed(9_000, 400, 60_000), at(second));
        samples.add(Ended::Failed, at(second));
    }
    let slow = samples.pace(at(60), Window::Short);
    assert_eq!(slow.ttft, Some(over(50, 9_000)));
    assert_eq!(samples.failure_share(at(60)), Some(0.5));
    let later = 60 * 60;
    assert_eq!(samples.pace(at(later), Window::Long), Pace::default());
    assert_eq!(samples.failure_share(at(later)), None);
    samples.add(streamed(200, 20, 1_000), at(later));
    let now = samples.pace(at(later + 1), Window::Long);
    assert_eq!(
        now,
        Pace {
            ttft: Some(over(1, 200)),
            tpot: Some(over(1, 20)),
            p95: Some(over(1, 1_000)),
        }
    );
    assert_eq!(samples.failure_share(at(later + 1)), Some(0.0));
}

#[test]
fn the_short_window_shows_what_the_long_one_does_not_yet() {
    let mut samples = Samples::default();
    for second in 0..20 {
        samples.add(streamed(100, 10, 500), at(second));
    }
    for second in 400..405 {
        samples.add(streamed(900, 90, 5_000), at(second));
    }
    assert_eq!(
        samples.pace(at(410), Window::Long).ttft,
        Some(over(25, 100))
    );
    assert_eq!(
        samples.pace(at(410), Window::Short).ttft,
        Some(over(5, 900))
    );
}

#[test]
fn whole_answers_tell_the_time_per_token_only_where_no_streamed_one_does() {
    let mut samples = Samples::default();
    samples.add(whole(50, 1_000), at(1));
    let pace = samples.pace(at(2), Window::Long);
    assert_eq!(
        (pace.ttft, pace.tpot, pace.p95),
        (None, Some(over(1, 50)), Some(over(1, 1_000)))
    );
    samples.add(streamed(300, 30, 900), at(3));
    let pace = samples.pace(at(4), Window::Long);
    assert_eq!(
        (pace.ttft, pace.tpot, pace.p95),
        (Some(over(1, 300)), Some(over(1, 30)), Some(over(2, 1_000)))
    );
}

#[test]
fn each_figure_says_how_many_answers_it_rests_on_and_not_how_many_there_were() {
    let mut samples = Samples::default();
    for second in 0..99 {
        samples.add(whole(10, 1_000), at(second));
    }
    samples.add(streamed(9_000, 400, 60_000), at(99));
    let pace = samples.pace(at(100), Window::Long);
    assert_eq!(
        (pace.ttft, pace.tpot, pace.p95),
        (
            Some(over(1, 9_000)),
            Some(over(1, 400)),
            Some(over(100, 1_000))
        )
    );
}

#[test]
fn failures_push_no_answer_out() {
    let mut samples = Samples::default();
    samples.add(streamed(100, 10, 500), at(1));
    for second in 2..500 {
        samples.add(Ended::Failed, at(second));
    }
    assert_eq!(n_answers(samples.pace(at(500), Window::Long)), 1);
    assert_eq!(samples.failure_share(at(500)), Some(1.0));
}

#[test]
fn a_sample_told_late_is_not_older_than_the_one_before_it() {
    let mut samples = Samples::default();
    samples.add(streamed(100, 10, 500), at(1_300));
    samples.add(streamed(300, 30, 700), at(50));
    assert_eq!(n_answers(samples.pace(at(1_301), Window::Long)), 2);
    assert_eq!(n_answers(samples.pace(at(60), Window::Long)), 2);
}

/// All samples ever, in order.
type Told = Vec<(Moment, Ended)>;

fn naive_median(mut of: Vec<Duration>) -> Option<Measured> {
    of.sort_unstable();
    let (below, above) = (of.len().checked_sub(1)? / 2, of.len() / 2);
    Some(Measured {
        value: of[below] + of[above].saturating_sub(of[below]) / 2,
        n: of.len(),
    })
}

fn naive_pace(told: &Told, now: Moment, age_max: Duration) -> Pace {
    let answers = told.iter().filter_map(|(at, ended)| match ended {
        Ended::Answered(took) => Some((*at, *took)),
        Ended::Failed => None,
    });
    let answers: Vec<Took> = answers
        .rev()
        .take(SAMPLES_MAX)
        .filter(|(at, _)| now.since(*at) <= age_max)
        .map(|(_, took)| took)
        .collect();
    let tpots = |is_streamed: bool| {
        let of_kind = answers.iter().filter(|it| it.ttft.is_some() == is_streamed);
        naive_median(of_kind.filter_map(|it| it.tpot).collect())
    };
    let mut totals: Vec<Duration> = answers.iter().map(|it| it.total).collect();
    totals.sort_unstable();
    let p95 = totals
        .iter()
        .find(|it| totals.len() * 95 <= totals.iter().filter(|other| other <= it).count() * 100);
    Pace {
        ttft: naive_median(answers.iter().filter_map(|it| it.ttft).collect()),
        tpot: tpots(true).or_else(|| tpots(false)),
        p95: p95.map(|it| Measured {
            value: *it,
            n: totals.len(),
        }),
    }
}

fn naive_share(told: &Told, now: Moment) -> Option<f64> {
    let calls: Vec<bool> = told
        .iter()
        .rev()
        .take(SAMPLES_MAX)
        .filter(|(at, _)| now.since(*at) <= LONG)
        .map(|(_, ended)| *ended == Ended::Failed)
        .collect();
    let n_failed = calls.iter().filter(|it| **it).count();
    #[expect(clippy::cast_precision_loss, reason = "at most 100")]
    (!calls.is_empty()).then(|| n_failed as f64 / calls.len() as f64)
}

fn ended() -> impl Strategy<Value = Ended> {
    // Few values, so that there are equal ones.
    let took = (
        proptest::option::of(0_u64..20),
        proptest::option::of(0_u64..20),
        0_u64..20,
    );
    let answered = took.prop_map(|(ttft, tpot, total)| {
        Ended::Answered(Took {
            ttft: ttft.map(ms),
            tpot: tpot.map(ms),
            total: ms(total),
        })
    });
    prop_oneof![4 => answered, 1 => Just(Ended::Failed)]
}

proptest! {
    #[test]
    fn figures_are_those_of_a_recomputation_from_all_samples(
        // Dense enough to fill the 100, and with pauses in which windows run empty.
        steps in proptest::collection::vec(
            (prop_oneof![8 => 0_u64..5, 1 => 0_u64..400], ended(), any::<bool>()), 1..400,
        ),
    ) {
        let mut samples = Samples::default();
        let mut told = Told::new();
        let mut now = 0;
        for (wait, ended, is_read) in steps {
            now += wait;
            samples.add(ended, at(now));
            told.push((at(now), ended));
            if is_read {
                now += wait;
                prop_assert_eq!(samples.pace(at(now), Window::Long), naive_pace(&told, at(now), LONG));
                prop_assert_eq!(samples.pace(at(now), Window::Short), naive_pace(&told, at(now), SHORT));
                prop_assert_eq!(samples.failure_share(at(now)), naive_share(&told, at(now)));
            }
        }
        let hour_later = at(now + 60 * 60);
        prop_assert_eq!(samples.pace(hour_later, Window::Long), Pace::default());
        prop_assert_eq!(samples.failure_share(hour_later), None);
    }
}
