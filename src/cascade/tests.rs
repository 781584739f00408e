//! Stories of cascades, told without a provider or a clock.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::domain::event::{Check, FailureKind};
use crate::domain::model::Tier;

const CHEAP: ModelId = ModelId(0);
const STRONG: ModelId = ModelId(1);
const SPARE: ModelId = ModelId(2);

fn at(seconds: u64) -> Moment {
    Moment::after_start(Duration::from_secs(seconds))
}

fn tier(target: ModelId, stand_ins: &[ModelId]) -> Tier {
    Tier {
        target,
        stand_ins: stand_ins.to_vec(),
    }
}

fn limits(on_limit: OnLimit) -> Limits {
    Limits {
        deadline: at(60),
        on_limit,
    }
}

fn two_tiers(on_limit: OnLimit) -> Cascade {
    let tiers = [tier(CHEAP, &[]), tier(STRONG, &[SPARE])];
    Cascade::new(&tiers, Checking::Drafts, limits(on_limit))
}

fn passed() -> Event {
    Event::Verified(Verdict {
        check: Check::JsonSchema,
        fault: None,
    })
}

fn fault() -> Fault {
    Fault {
        path: "/total".to_owned(),
        keyword: "type".to_owned(),
        message: "\"12\" is not a number".to_owned(),
    }
}

fn failed_check() -> Event {
    Event::Verified(Verdict {
        check: Check::JsonSchema,
        fault: Some(fault()),
    })
}

fn down(reason: FailoverReason) -> Event {
    Event::Failed(Failure::unavailable(reason, "down"))
}

fn call(target: ModelId, purpose: Purpose) -> Step {
    Step::Call { target, purpose }
}

#[test]
fn a_good_draft_of_the_cheap_model_is_answered_and_nobody_else_is_asked() {
    let mut cascade = two_tiers(OnLimit::Error);
    assert_eq!(
        cascade.next(Event::Begun, at(0)).step,
        call(CHEAP, Purpose::Draft)
    );
    assert_eq!(cascade.next(Event::Drafted, at(1)).step, Step::Verify);
    let end = cascade.next(passed(), at(1));
    assert_eq!(
        (end.step, end.change),
        (Step::Answer(Acceptance::Passed), None)
    );
}

#[test]
fn a_failed_check_escalates_and_says_what_failed() {
    let mut cascade = two_tiers(OnLimit::Error);
    cascade.next(Event::Begun, at(0));
    cascade.next(Event::Drafted, at(1));
    let transition = cascade.next(failed_check(), at(1));
    assert_eq!(transition.step, call(STRONG, Purpose::Escalation));
    let Some(Change::Escalated { from, to, verdict }) = transition.change else {
        panic!("not an escalation: {:?}", transition.change);
    };
    assert_eq!((from, to, verdict.fault), (CHEAP, STRONG, Some(fault())));
}

#[test]
fn a_cheap_model_that_is_down_is_failed_over_and_does_not_count_as_an_escalation() {
    let mut cascade = two_tiers(OnLimit::Error);
    cascade.next(Event::Begun, at(0));
    let transition = cascade.next(down(FailoverReason::Connect), at(1));
    assert_eq!(transition.step, call(STRONG, Purpose::Failover));
    assert_eq!(
        transition.change,
        Some(Change::FailedOver {
            from: CHEAP,
            to: STRONG,
            reason: FailoverReason::Connect
        })
    );
}

#[test]
fn a_stand_in_whose_draft_fails_is_not_escalated_within_its_own_tier() {
    let tiers = [tier(CHEAP, &[SPARE]), tier(STRONG, &[])];
    let mut cascade = Cascade::new(&tiers, Checking::Drafts, limits(OnLimit::Error));
    cascade.next(Event::Begun, at(0));
    cascade.next(Event::Drafted, at(1));
    assert_eq!(
        cascade.next(failed_check(), at(1)).step,
        call(STRONG, Purpose::Escalation),
        "the spare stands in for a cheap model that is down, not for a bad draft"
    );
}

#[test]
fn when_every_draft_failed_the_route_says_whether_that_is_an_error() {
    for (on_limit, expected) in [
        (
            OnLimit::Error,
            Step::GiveUp(Defeat::DraftsRejected(fault())),
        ),
        (OnLimit::BestDraft, Step::Answer(Acceptance::Rejected)),
    ] {
        let tiers = [tier(CHEAP, &[]), tier(STRONG, &[])];
        let mut cascade = Cascade::new(&tiers, Checking::Drafts, limits(on_limit));
        cascade.next(Event::Begun, at(0));
        cascade.next(failed_check(), at(1));
        assert_eq!(cascade.next(failed_check(), at(2)).step, expected);
    }
}

#[test]
fn a_rejected_draft_is_better_than_none_when_the_stronger_models_are_down() {
    for (on_limit, is_answered) in [(OnLimit::BestDraft, true), (OnLimit::Error, false)] {
        let tiers = [tier(CHEAP, &[]), tier(STRONG, &[])];
        let mut cascade = Cascade::new(&tiers, Checking::Drafts, limits(on_limit));
        cascade.next(Event::Begun, at(0));
        cascade.next(failed_check(), at(1));
        let end = cascade.next(down(FailoverReason::Connect), at(2)).step;
        assert_eq!(
            end == Step::Answer(Acceptance::Rejected),
            is_answered,
            "{end:?}"
        );
    }
}

#[test]
fn no_escalation_starts_after_the_deadline() {
    let mut cascade = two_tiers(OnLimit::BestDraft);
    cascade.next(Event::Begun, at(0));
    cascade.next(Event::Drafted, at(59));
    assert_eq!(
        cascade.next(failed_check(), at(60)).step,
        Step::Answer(Acceptance::Rejected)
    );
}

#[test]
fn a_failure_at_the_deadline_is_told_as_one_of_time() {
    let mut cascade = two_tiers(OnLimit::Error);
    cascade.next(Event::Begun, at(0));
    let transition = cascade.next(down(FailoverReason::TimeoutFirstToken), at(60));
    assert_eq!(transition.step, Step::GiveUp(Defeat::DeadlinePassed));
}

#[test]
fn a_request_that_any_model_would_refuse_is_not_sent_to_another() {
    let mut cascade = two_tiers(OnLimit::Error);
    cascade.next(Event::Begun, at(0));
    let refused = Failure {
        kind: FailureKind::Rejected,
        message: "bad".to_owned(),
        param: None,
        upstream: None,
    };
    assert_eq!(
        cascade.next(Event::Failed(refused.clone()), at(1)).step,
        Step::GiveUp(Defeat::Upstream(refused))
    );
}

#[test]
fn without_checks_the_first_draft_is_the_answer() {
    let mut cascade = Cascade::new(
        &[tier(CHEAP, &[])],
        Checking::Nothing,
        limits(OnLimit::Error),
    );
    assert_eq!(
        cascade.next(Event::Begun, at(0)).step,
        call(CHEAP, Purpose::Answer)
    );
    assert_eq!(
        cascade.next(Event::Drafted, at(1)).step,
        Step::Answer(Acceptance::Unchecked)
    );
}

#[test]
fn the_same_model_is_never_asked_twice() {
    let tiers = [tier(CHEAP, &[STRONG]), tier(STRONG, &[CHEAP])];
    let mut cascade = Cascade::new(&tiers, Checking::Drafts, limits(OnLimit::Error));
    cascade.next(Event::Begun, at(0));
    assert_eq!(
        cascade.next(down(FailoverReason::Reset), at(1)).step,
        call(STRONG, Purpose::Failover)
    );
    assert!(matches!(
        cascade.next(down(FailoverReason::Reset), at(1)).step,
        Step::GiveUp(Defeat::Upstream(_))
    ));
}

/// What the world may answer to a step, picked by a number.
fn reply(step: &Step, choice: u8) -> Option<Event> {
    match step {
        Step::Call { .. } if choice.is_multiple_of(3) => Some(down(FailoverReason::Status5xx)),
        Step::Call { .. } => Some(Event::Drafted),
        Step::Verify if choice.is_multiple_of(2) => Some(failed_check()),
        Step::Verify => Some(passed()),
        Step::Answer(_) | Step::GiveUp(_) => None,
    }
}

proptest! {
    #[test]
    fn every_cascade_ends_and_asks_each_model_at_most_once(
        tiers in prop::collection::vec(prop::collection::vec(0_usize..5, 1..4), 1..5),
        choices in prop::collection::vec(any::<u8>(), 64),
    ) {
        let tiers: Vec<Tier> = tiers
            .iter()
            .map(|ids| Tier {
                target: ModelId(ids[0]),
                stand_ins: ids[1..].iter().map(|id| ModelId(*id)).collect(),
            })
            .collect();
        let mut cascade = Cascade::new(&tiers, Checking::Drafts, limits(OnLimit::Error));
        let mut called = Vec::new();
        let mut transition = cascade.next(Event::Begun, at(0));
        for choice in choices {
            if let Step::Call { target, .. } = transition.step {
                prop_assert!(!called.contains(&target), "{target:?} was asked twice");
                called.push(target);
            }
            match reply(&transition.step, choice) {
                Some(event) => transition = cascade.next(event, at(1)),
                None => return Ok(()),
            }
        }
        prop_assert!(false, "the cascade did not end: {:?}", transition.step);
    }
}
