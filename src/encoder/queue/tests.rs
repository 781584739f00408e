use std::sync::atomic::Ordering;

use futures_util::future::poll_immediate;

use super::*;

mod crowd;
mod gate;
mod load;

use gate::{Order, Story, one_thread, wait_for};

#[test]
fn an_idle_queue_encodes_a_prompt_at_once_and_alone() {
    let story = Story::new();
    let call = story.call("a short prompt");
    assert_eq!(story.batch(), 1);
    story.order(Order::EncodeFor(7));
    let embedding = wait_for(call).unwrap();
    assert_eq!(embedding.vector, [1.0, 0.0]);
    assert_eq!(
        (embedding.tokens, embedding.windows, embedding.truncated),
        (3, 1, false)
    );
    assert_eq!(
        (embedding.queued, embedding.batch_size),
        (Duration::ZERO, 1)
    );
    assert_eq!(embedding.encoded, Duration::from_millis(7));
}

#[test]
fn who_comes_while_the_encoder_is_busy_shares_the_next_batch() {
    let story = Story::new();
    let first = story.call("a");
    story.batch();
    let others = [story.call("b"), story.call("a"), story.call("b b")];
    assert_eq!(story.queue.depth(Class::Interactive), 3);
    story.order(Order::EncodeFor(5));
    assert_eq!(story.batch(), 3);
    assert_eq!(story.queue.depth(Class::Interactive), 0);
    story.order(Order::Encode);
    assert!(wait_for(first).is_ok());
    let answers = others.map(|call| wait_for(call).unwrap());
    let along_a = answers.each_ref().map(|answer| 0.5 < answer.vector[0]);
    assert_eq!(along_a, [false, true, false], "each gets its own");
    assert!(
        answers
            .iter()
            .all(|answer| answer.queued == Duration::from_millis(5))
    );
    let seen = story.seen.lock().unwrap();
    let counts = seen
        .iter()
        .map(|batch| (batch.prompts, batch.windows, batch.tokens));
    // The special tokens count: the model sees them too.
    assert_eq!(counts.collect::<Vec<_>>(), [(1, 1, 3), (3, 3, 10)]);
}

#[test]
fn a_group_takes_what_still_fits_and_leaves_what_does_not() {
    let story = Story::with(Settings {
        group_tokens_max: Some(8),
        ..one_thread()
    });
    let first = story.call("a");
    story.batch();
    // Three, six and five tokens with the special ones: the second does not fit beside the first.
    let others = [story.call("b"), story.call("b b b b"), story.call("a b b")];
    story.order(Order::Encode);
    assert_eq!(story.batch(), 2);
    story.order(Order::Encode);
    assert_eq!(story.batch(), 1);
    story.order(Order::Encode);
    assert!(wait_for(first).is_ok() && others.map(wait_for).iter().all(Result::is_ok));
    let seen = story.seen.lock().unwrap();
    let tokens = seen.iter().map(|group| group.tokens);
    assert_eq!(tokens.collect::<Vec<_>>(), [3, 8, 6]);
}

#[test]
fn threads_work_beside_each_other_and_a_long_prompt_is_shared_among_them() {
    let story = Story::with(Settings {
        threads: Some(2),
        group_tokens_max: Some(12),
        ..one_thread()
    });
    let call = story.call(&format!("{}{}", "a ".repeat(10), "b ".repeat(10)));
    // Both windows stand at the gate before either is let through.
    assert_eq!([story.batch(), story.batch()], [1, 1]);
    story.order(Order::Encode);
    story.order(Order::Encode);
    let embedding = wait_for(call).unwrap();
    assert!((embedding.vector[0] - embedding.vector[1]).abs() < 1e-6);
}

#[test]
fn whoever_waits_for_an_answer_goes_before_bulk_that_came_earlier() {
    let story = Story::with(Settings {
        group_tokens_max: Some(3),
        ..one_thread()
    });
    let first = story.call("a");
    story.batch();
    let bulk = story.call_as(Class::Bulk, "b");
    let person = story.call("a");
    story.order(Order::EncodeFor(5));
    story.batch();
    story.order(Order::EncodeFor(5));
    assert_eq!(wait_for(person).unwrap().queued, Duration::from_millis(5));
    story.batch();
    story.order(Order::Encode);
    assert_eq!(wait_for(bulk).unwrap().queued, Duration::from_millis(10));
    assert!(wait_for(first).is_ok());
}

#[test]
fn bulk_waits_longer_than_a_person_would() {
    let story = Story::new();
    let first = story.call("a");
    story.batch();
    let (person, bulk) = (story.call("b"), story.call_as(Class::Bulk, "b"));
    story.clock.fetch_add(5_000, Ordering::SeqCst);
    story.order(Order::Encode);
    story.batch();
    story.order(Order::Encode);
    assert!(wait_for(first).is_ok() && wait_for(bulk).is_ok());
    assert_eq!(wait_for(person), Err(Refusal::Saturated));
}

#[test]
fn bulk_that_waited_too_long_is_refused_while_people_keep_coming() {
    let story = Story::with(Settings {
        group_tokens_max: Some(3),
        ..one_thread()
    });
    let mut begun = story.call_as(Class::Bulk, &"b ".repeat(20));
    story.batch();
    let mut late = story.call_as(Class::Bulk, "b");
    drop(story.call_as(Class::Bulk, "b"));
    assert_eq!(story.queue.depth(Class::Bulk), 3);
    let past = BULK_WAIT_MAX + Duration::from_millis(1);
    let past = u64::try_from(past.as_millis()).unwrap();
    story.clock.fetch_add(past, Ordering::SeqCst);
    let people = [story.call("a"), story.call("a")];
    story.order(Order::Encode);
    story.batch();
    assert_eq!(story.queue.depth(Class::Interactive), 1);
    assert_eq!(story.queue.depth(Class::Bulk), 1, "the one that is begun");
    let answer = wait_for(poll_immediate(&mut late));
    assert_eq!(answer, Some(Err(Refusal::Saturated)));
    assert!(wait_for(poll_immediate(&mut begun)).is_none());
    for _ in 0..3 {
        story.order(Order::Encode);
    }
    assert!(people.map(wait_for).iter().all(Result::is_ok));
    assert!(wait_for(begun).is_ok());
}

#[test]
fn what_was_embedded_is_remembered_and_a_failure_is_not() {
    let story = Story::with(Settings {
        remembered_max: 8,
        ..one_thread()
    });
    let failing = story.call("a");
    story.batch();
    story.order(Order::Fail);
    assert!(wait_for(failing).is_err());
    let first = story.call("a");
    story.batch();
    story.order(Order::EncodeFor(3));
    let first = wait_for(first).unwrap();
    let passages = [Passage::new("a")];
    let again = poll_immediate(story.queue.embed(&passages, Class::Interactive));
    let again = wait_for(again).expect("an answer at once").unwrap();
    assert_eq!((again.vector, again.tokens), (first.vector, first.tokens));
    assert_eq!((again.encoded, again.batch_size), (Duration::ZERO, 0));
    // The same words with another weight are another text.
    let passages = [Passage {
        text: "a".to_owned(),
        weight: 0.5,
    }];
    let mut other = Box::pin(story.queue.embed(&passages, Class::Interactive));
    assert!(wait_for(poll_immediate(&mut other)).is_none());
    story.batch();
    story.order(Order::Encode);
    assert!(wait_for(other).is_ok());
}

#[test]
fn who_asks_the_same_at_once_shares_one_encoding_even_if_the_first_one_leaves() {
    let story = Story::with(Settings {
        remembered_max: 8,
        ..one_thread()
    });
    let busy = story.call("b");
    story.batch();
    let [first, second, third] = ["a", "a", "a"].map(|text| story.call(text));
    assert_eq!(
        story.queue.depth(Class::Interactive),
        1,
        "one of the three is queued"
    );
    drop(first);
    story.order(Order::Encode);
    assert!(wait_for(busy).is_ok());
    story.order(Order::Encode);
    let answers = wait_for(futures_util::future::join(second, third));
    assert!(answers.0.is_ok() && answers.1.is_ok());
    assert_eq!(story.seen.lock().unwrap().len(), 2);
}

#[test]
fn a_prompt_past_the_budget_is_a_batch_by_itself() {
    let story = Story::with(Settings {
        group_tokens_max: Some(1),
        ..one_thread()
    });
    let call = story.call("b b b b");
    assert_eq!(story.batch(), 1);
    story.order(Order::Encode);
    assert!(wait_for(call).is_ok());
}

#[test]
fn a_long_prompt_is_several_windows_and_one_vector() {
    let story = Story::new();
    let call = story.call(&format!("{}{}", "a ".repeat(10), "b ".repeat(10)));
    assert_eq!(story.batch(), 2);
    story.order(Order::Encode);
    let embedding = wait_for(call).unwrap();
    assert_eq!((embedding.windows, embedding.tokens), (2, 20));
    assert!((embedding.vector[0] - embedding.vector[1]).abs() < 1e-6);
}

#[test]
fn a_caller_that_left_is_not_encoded() {
    let story = Story::new();
    let first = story.call("a");
    story.batch();
    drop(story.call("b"));
    let last = story.call("b");
    story.order(Order::Encode);
    assert_eq!(story.batch(), 1);
    story.order(Order::Encode);
    assert!(wait_for(first).is_ok() && wait_for(last).is_ok());
}

#[test]
fn who_waited_past_the_deadline_is_refused_and_not_encoded() {
    let story = Story::new();
    let first = story.call("a");
    story.batch();
    let late = story.call("b");
    story.clock.fetch_add(
        1 + u64::try_from(WAIT_MAX.as_millis()).unwrap(),
        Ordering::SeqCst,
    );
    let fresh = story.call("b");
    story.order(Order::Encode);
    assert_eq!(story.batch(), 1);
    story.order(Order::Encode);
    assert!(wait_for(first).is_ok());
    assert_eq!(wait_for(late), Err(Refusal::Saturated));
    assert!(wait_for(fresh).is_ok());
}

#[test]
fn who_would_wait_too_long_is_refused_at_once() {
    let story = Story::with(Settings {
        wait_max: Duration::from_millis(90),
        ..one_thread()
    });
    let first = story.call("a");
    story.batch();
    // Three tokens in thirty milliseconds.
    story.order(Order::EncodeFor(30));
    assert!(wait_for(first).is_ok());
    let running = story.call("a");
    story.batch();
    let queued = [story.call("a"), story.call("a"), story.call("a")];
    assert_eq!(story.refused("a"), Refusal::Saturated);
    story.order(Order::Encode);
    story.batch();
    story.order(Order::Encode);
    assert!(wait_for(running).is_ok() && queued.map(wait_for).iter().all(Result::is_ok));
}

#[test]
fn a_full_queue_refuses_at_once() {
    let story = Story::with(Settings {
        depth_max: 1,
        ..one_thread()
    });
    let first = story.call("a");
    story.batch();
    let waiting = story.call("b");
    assert_eq!(story.refused("b"), Refusal::Saturated);
    story.order(Order::Encode);
    story.batch();
    story.order(Order::Encode);
    assert!(wait_for(first).is_ok() && wait_for(waiting).is_ok());
}

#[test]
fn a_queue_full_of_bulk_has_room_for_a_person_and_one_full_of_people_for_bulk() {
    for (class, other) in [
        (Class::Bulk, Class::Interactive),
        (Class::Interactive, Class::Bulk),
    ] {
        let story = Story::with(Settings {
            depth_max: 1,
            ..one_thread()
        });
        let first = story.call("a");
        story.batch();
        let full = story.call_as(class, "b");
        assert_eq!(story.refused_as(class, "b"), Refusal::Saturated);
        let beside = story.call_as(other, "b");
        assert_eq!(story.refused_as(other, "b"), Refusal::Saturated);
        for _ in 0..3 {
            story.order(Order::Encode);
        }
        for call in [first, full, beside] {
            assert!(wait_for(call).is_ok());
        }
    }
}

#[test]
fn a_failure_is_answered_and_the_next_batch_is_encoded() {
    let story = Story::new();
    for (order, expected) in [
        (Order::Fail, "the encoder failed (out of order)"),
        (Order::Panic, "out of its mind"),
        (Order::GiveNothing, "1 windows gave 0 vectors"),
    ] {
        let call = story.call("a");
        story.batch();
        story.order(order);
        assert_eq!(wait_for(call), Err(Refusal::Failed(expected.to_owned())));
    }
    let call = story.call("a");
    story.batch();
    story.order(Order::Encode);
    assert!(wait_for(call).is_ok());
}

#[test]
fn a_text_without_a_word_is_refused() {
    assert_eq!(Story::new().refused(" \n\t "), Refusal::Empty);
}

#[test]
fn the_thread_ends_with_the_last_handle() {
    let story = Story::new();
    let desk = Arc::downgrade(&story.queue.workers.desk);
    let clone = story.queue.clone();
    drop(story);
    assert!(desk.upgrade().is_some(), "a handle is left");
    drop(clone);
    assert!(
        desk.upgrade().is_none(),
        "the thread was joined and let go of the encoder"
    );
}
