use proptest::prelude::*;

use super::*;

const NONE: Limits = Limits {
    concurrency: None,
    requests_per_minute: None,
    tokens_per_minute: None,
};

const fn at(millis: u64) -> Moment {
    Moment::after_start(Duration::from_millis(millis))
}

fn room(result: Result<Admitted, Full>) -> Room {
    result.map_or_else(|full| full.room, |_| Room::Free)
}

#[test]
fn a_target_without_limits_is_never_full() {
    let mut load = Load::within(NONE);
    for _ in 0..10_000 {
        assert!(load.admit(at(1), u64::MAX / 4).is_ok());
    }
    assert_eq!(load.room(at(1)), Room::Free);
    assert_eq!(load.running(), 10_000);
}

#[test]
fn a_place_is_free_again_when_its_call_has_ended() {
    let mut load = Load::within(Limits {
        concurrency: Some(1),
        ..NONE
    });
    assert!(load.admit(at(0), 10).is_ok());
    let full = load.admit(at(90_000), 10).unwrap_err();
    assert_eq!(
        full,
        Full {
            room: Room::FullConcurrency,
            free_in: None
        }
    );
    load.finish();
    assert_eq!(load.room(at(90_000)), Room::Free);
    // One too many takes nothing from anybody.
    load.finish();
    assert_eq!(load.running(), 0);
}

#[test]
fn requests_of_a_minute_are_free_again_a_minute_later_and_the_wait_is_told() {
    let mut load = Load::within(Limits {
        requests_per_minute: Some(2),
        ..NONE
    });
    assert!(load.admit(at(500), 0).is_ok());
    assert!(load.admit(at(10_500), 0).is_ok());
    load.finish();
    let full = load.admit(at(20_000), 0).unwrap_err();
    assert_eq!(full.room, Room::FullRequests);
    assert_eq!(full.free_in, Some(Duration::from_secs(41)));
    assert_eq!(room(load.admit(at(60_999), 0)), Room::FullRequests);
    assert_eq!(room(load.admit(at(61_000), 0)), Room::Free);
    assert_eq!(room(load.admit(at(61_000), 0)), Room::FullRequests);
    assert_eq!(room(load.admit(at(71_000), 0)), Room::Free);
}

#[test]
fn tokens_that_were_expected_and_not_used_are_given_back() {
    let mut load = Load::within(Limits {
        tokens_per_minute: Some(1_000),
        ..NONE
    });
    let first = load.admit(at(0), 900).unwrap();
    assert_eq!(room(load.admit(at(1_000), 200)), Room::FullTokens);
    load.settle(first, 100, at(1_000));
    assert_eq!(room(load.admit(at(1_000), 200)), Room::Free);
    assert_eq!(room(load.admit(at(1_000), 701)), Room::FullTokens);
}

#[test]
fn tokens_beyond_what_was_expected_count_when_they_were_written() {
    let mut load = Load::within(Limits {
        tokens_per_minute: Some(1_000),
        ..NONE
    });
    let long = load.admit(at(0), 100).unwrap();
    load.settle(long, 1_100, at(50_000));
    let full = load.admit(at(62_000), 1).unwrap_err();
    assert_eq!(full.room, Room::FullTokens);
    assert_eq!(full.free_in, Some(Duration::from_secs(49)));
    assert_eq!(load.room(at(111_000)), Room::Free);
}

#[test]
fn a_request_larger_than_the_limit_is_let_in_where_nothing_else_was() {
    let mut load = Load::within(Limits {
        tokens_per_minute: Some(1_000),
        ..NONE
    });
    assert_eq!(room(load.admit(at(0), 5_000)), Room::Free);
    assert_eq!(room(load.admit(at(0), 1)), Room::FullTokens);
    let settled_late = load.admit(at(61_000), 5_000).unwrap();
    // Its second is long forgotten, and belongs to another by now.
    assert!(load.admit(at(200_000), 900).is_ok());
    load.settle(settled_late, 0, at(200_000));
    assert_eq!(room(load.admit(at(200_000), 101)), Room::FullTokens);
}

#[test]
fn other_limits_count_what_was_there_before_them() {
    let mut load = Load::within(NONE);
    for _ in 0..3 {
        assert!(load.admit(at(0), 10).is_ok());
    }
    load.limit(Limits {
        concurrency: Some(3),
        ..NONE
    });
    assert_eq!(load.room(at(0)), Room::FullConcurrency);
    load.finish();
    assert_eq!(load.room(at(0)), Room::Free);
}

/// What happens to a load.
#[derive(Debug, Clone, Copy)]
enum Happens {
    Admit { tokens: u64 },
    Finish { which: usize, used: Option<u64> },
    Wait { millis: u64 },
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        4 => (0_u64..500).prop_map(|tokens| Happens::Admit { tokens }),
        3 => (any::<usize>(), proptest::option::of(0_u64..800))
            .prop_map(|(which, used)| Happens::Finish { which, used }),
        2 => (0_u64..20_000).prop_map(|millis| Happens::Wait { millis }),
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    (
        proptest::option::of(1_u32..5),
        proptest::option::of(1_u32..8),
        proptest::option::of(1_u64..1_000),
    )
        .prop_map(
            |(concurrency, requests_per_minute, tokens_per_minute)| Limits {
                concurrency,
                requests_per_minute,
                tokens_per_minute,
            },
        )
}

/// The same with a list of all that ever happened.
#[derive(Default)]
struct Naive {
    running: Vec<(usize, Admitted)>,
    /// When each was let in, and the tokens that count for it then.
    admitted: Vec<(u64, u64)>,
    beyond: Vec<(u64, u64)>,
}

impl Naive {
    fn requests(&self, now: u64) -> usize {
        let is_of_minute = |then: u64| now / 1_000 <= then / 1_000 + 60;
        self.admitted
            .iter()
            .filter(|(then, _)| is_of_minute(*then))
            .count()
    }

    fn tokens(&self, now: u64) -> u64 {
        self.admitted
            .iter()
            .chain(&self.beyond)
            .filter(|(then, _)| now / 1_000 <= then / 1_000 + 60)
            .map(|(_, tokens)| tokens)
            .sum()
    }

    fn expects(&self, limits: Limits, tokens: u64, now: u64) -> Room {
        let used = self.tokens(now);
        if limits
            .concurrency
            .is_some_and(|it| it as usize <= self.running.len())
        {
            Room::FullConcurrency
        } else if limits
            .requests_per_minute
            .is_some_and(|it| it as usize <= self.requests(now))
        {
            Room::FullRequests
        } else if limits
            .tokens_per_minute
            .is_some_and(|it| 0 < used && (it <= used || it < used + tokens))
        {
            Room::FullTokens
        } else {
            Room::Free
        }
    }
}

proptest! {
    #[test]
    fn limits_hold_in_any_order_of_calls_and_ends(
        limits in limits(), events in proptest::collection::vec(happens(), 1..200),
    ) {
        let mut load = Load::within(limits);
        let mut naive = Naive::default();
        let mut now = 0;
        for event in events {
            match event {
                Happens::Admit { tokens } => {
                    let expected = naive.expects(limits, tokens, now);
                    let result = load.admit(at(now), tokens);
                    prop_assert_eq!(room(result), expected);
                    match result {
                        Ok(admitted) => {
                            naive.running.push((naive.admitted.len(), admitted));
                            naive.admitted.push((now, tokens));
                        }
                        Err(Full { free_in: Some(wait), room: full }) => {
                            // Told to the second at which it becomes true, and not a moment early.
                            let then = now + u64::try_from(wait.as_millis()).unwrap();
                            prop_assert!(0 < wait.as_millis());
                            prop_assert_eq!(naive.expects(limits, tokens, then - 1), full);
                            prop_assert_ne!(naive.expects(limits, tokens, then), full);
                        }
                        Err(full) => prop_assert_eq!(full.room, Room::FullConcurrency),
                    }
                }
                Happens::Finish { which, used } if !naive.running.is_empty() => {
                    let which = which % naive.running.len();
                    let (idx, admitted) = naive.running.swap_remove(which);
                    load.finish();
                    if let Some(used) = used {
                        load.settle(admitted, used, at(now));
                        let (_, expected) = &mut naive.admitted[idx];
                        naive.beyond.push((now, used.saturating_sub(*expected)));
                        *expected = (*expected).min(used);
                    }
                }
                Happens::Finish { .. } => {}
                Happens::Wait { millis } => now += millis,
            }
            prop_assert_eq!(load.running() as usize, naive.running.len());
            let bound = limits.concurrency.unwrap_or(u32::MAX);
            prop_assert!(load.running() <= bound);
            prop_assert_eq!(load.room(at(now)), naive.expects(limits, 0, now));
        }
        for _ in naive.running.drain(..) {
            load.finish();
        }
        // Nothing leaked: a minute later all of it is free.
        prop_assert_eq!(load.running(), 0);
        prop_assert_eq!(load.room(at(now + 61_000)), Room::Free);
        prop_assert_eq!(load.sum, Used::default());
    }
}
