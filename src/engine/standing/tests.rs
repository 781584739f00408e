use std::time::Duration;

use super::*;
use crate::health::samples::Took;

const NOW: Moment = Moment::after_start(Duration::from_secs(100));

fn place() -> Place {
    Place {
        route: "only".parse().unwrap(),
        assistant: "assistant".parse().unwrap(),
    }
}

fn one_at_a_time() -> Arc<TargetState> {
    Arc::new(TargetState::within(Limits {
        concurrency: Some(1),
        ..Limits::default()
    }))
}

#[test]
fn a_place_is_free_as_soon_as_its_permit_is_dropped() {
    let state = one_at_a_time();
    let permit = state.permit(NOW, 0).unwrap();
    assert_eq!(state.room(NOW), Room::FullConcurrency);
    assert_eq!(state.standing(&place(), NOW).room, Room::FullConcurrency);
    assert_eq!(
        state.full(NOW).map(|it| it.room),
        Some(Room::FullConcurrency)
    );
    assert!(state.permit(NOW, 0).is_err());
    assert_eq!(state.running(), 1);
    drop(permit);
    assert_eq!(state.full(NOW), None);
    assert_eq!(state.room(NOW), Room::Free);
    assert_eq!(state.running(), 0);
}

#[test]
fn what_a_call_says_of_its_target_is_known_when_its_tokens_are_and_its_place_is_free_before() {
    let state = one_at_a_time();
    let unsettled = state.permit(NOW, 0).unwrap().ended();
    assert_eq!(state.room(NOW), Room::Free);
    assert_eq!(state.standing(&place(), NOW), Standing::default());
    let took = Took {
        ttft: Some(Duration::from_millis(200)),
        tpot: Some(Duration::from_millis(20)),
        total: Duration::from_secs(1),
    };
    let observed = Observed {
        ended: Some(Ended::Answered(took)),
        output: Some((place(), 40)),
        tokens_used: Some(50),
    };
    unsettled.settle(observed, NOW);
    let standing = state.standing(&place(), NOW);
    assert_eq!(standing.long, standing.short);
    let ttft = standing.long.ttft.unwrap();
    assert_eq!((Some(ttft.value), ttft.n), (took.ttft, 1));
    assert_eq!(standing.failure_share, Some(0.0));
    assert_eq!(standing.output_tokens, None, "one answer says little");
    assert_eq!(standing.output_tokens_anywhere, Some(40.0));
}

#[test]
fn a_lock_that_was_held_by_a_panic_is_still_a_lock() {
    let state = one_at_a_time();
    let held = Arc::clone(&state);
    let panicked = std::thread::spawn(move || {
        let _known = held.known();
        panic!("in the middle");
    });
    assert!(panicked.join().is_err());
    assert!(state.permit(NOW, 0).is_ok());
}

#[test]
fn however_many_threads_ask_a_limit_holds_and_no_place_is_lost() {
    let state = Arc::new(TargetState::within(Limits {
        concurrency: Some(3),
        ..Limits::default()
    }));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..2_000 {
                    let permit = state.permit(NOW, 1);
                    assert!(state.running() <= 3);
                    drop(permit);
                }
            });
        }
    });
    assert_eq!(state.running(), 0);
}
