//! Who is let in beside whom.

use super::gate::{Order, Story, one_thread, wait_for};
use super::*;

/// Ten words, twelve tokens.
const LONG: &str = "b b b b b b b b b b";

/// A queue whose one thread was seen to take 10 ms a token: 40 ms a group, 120 ms the long text, which
/// while others wait may therefore wait 80 ms less than the 90 of the others.
fn measured() -> Story {
    measured_with(1, 90)
}

/// Where a text so long is never let in behind others, however short the wait: it may wait 80 ms less than this.
const TOO_SHORT_FOR_LONG: u64 = 70;

fn measured_with(threads: usize, wait_max: u64) -> Story {
    let story = Story::with(Settings {
        threads: Some(threads),
        wait_max: Duration::from_millis(wait_max),
        group_tokens_max: Some(4),
        ..one_thread()
    });
    let first = story.call("a");
    story.batch();
    story.order(Order::EncodeFor(30));
    assert!(wait_for(first).is_ok());
    story
}

#[test]
fn a_long_text_that_nobody_waits_beside_is_encoded() {
    let story = measured_with(1, TOO_SHORT_FOR_LONG);
    let call = story.call(LONG);
    story.batch();
    story.order(Order::EncodeFor(120));
    assert_eq!(wait_for(call).unwrap().queued, Duration::ZERO);
}

#[test]
fn a_long_text_is_let_in_beside_others_while_a_thread_is_left() {
    let story = measured_with(2, TOO_SHORT_FOR_LONG);
    let short = story.call("a");
    story.batch();
    let long = story.call(LONG);
    story.batch();
    assert_eq!(story.refused(LONG), Refusal::Saturated);
    story.order(Order::Encode);
    story.order(Order::Encode);
    assert!(wait_for(short).is_ok() && wait_for(long).is_ok());
}

#[test]
fn behind_others_a_long_text_is_refused_at_once_and_shorter_ones_are_not() {
    let story = measured();
    let running = story.call("a");
    story.batch();
    assert_eq!(story.refused(LONG), Refusal::Saturated);
    // The second waits 60 ms, as long as its seven tokens may.
    let others = [story.call("b"), story.call("b b b b b")];
    story.order(Order::Encode);
    for _ in &others {
        story.batch();
        story.order(Order::Encode);
    }
    assert!(wait_for(running).is_ok());
    assert!(others.map(wait_for).iter().all(Result::is_ok));
}

#[test]
fn a_long_text_is_let_in_behind_a_group_that_is_nearly_done() {
    let story = measured();
    let running = story.call("a");
    story.batch();
    story.clock.fetch_add(19, Ordering::SeqCst);
    assert_eq!(story.refused(LONG), Refusal::Saturated);
    story.clock.fetch_add(1, Ordering::SeqCst);
    let long = story.call(LONG);
    story.order(Order::EncodeFor(10));
    story.batch();
    story.order(Order::Encode);
    assert!(wait_for(running).is_ok());
    assert_eq!(wait_for(long).unwrap().queued, Duration::from_millis(10));
}

#[test]
fn a_long_text_that_is_begun_too_late_to_be_done_in_time_is_refused() {
    let story = measured();
    let running = story.call("a");
    story.batch();
    story.clock.fetch_add(25, Ordering::SeqCst);
    let long = story.call(LONG);
    // The group takes 7 ms longer than expected.
    story.order(Order::EncodeFor(12));
    assert!(wait_for(running).is_ok());
    assert_eq!(wait_for(long), Err(Refusal::Saturated));
}

#[test]
fn a_text_whose_windows_are_long_together_is_a_long_text() {
    let story = measured();
    let running = story.call("a");
    story.batch();
    // Two windows of eight tokens, each of which could wait 50 ms.
    assert_eq!(story.refused("b b b b b b b b b b b b"), Refusal::Saturated);
    story.order(Order::Encode);
    assert!(wait_for(running).is_ok());
}

#[test]
fn a_long_text_is_let_in_behind_bulk_and_bulk_behind_anything() {
    let story = measured();
    let running = story.call_as(Class::Bulk, "a");
    story.batch();
    let person = story.call(LONG);
    let bulk = story.call_as(Class::Bulk, LONG);
    for order in [Order::Encode, Order::Encode, Order::Encode] {
        story.order(order);
    }
    for call in [running, person, bulk] {
        assert!(wait_for(call).is_ok());
    }
}
