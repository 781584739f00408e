use super::*;
use crate::domain::chat::Format;
use crate::domain::event::{Failure, FailureKind};
use crate::wire::Outbound;

fn read(status: u16, body: &str) -> Failure {
    Outbound::Gemini.read_failure(status, body, None)
}

fn kind(status: u16, body: &str) -> FailureKind {
    read(status, body).kind
}

const KEY_INVALID: &str = r#"{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID","domain":"googleapis.com"}]}}"#;

const EXHAUSTED: &str = r#"{"error":{"code":429,"message":"You exceeded your current quota.","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[]},{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.074824224s"}]}}"#;

#[test]
fn a_bad_request_that_is_about_our_key_or_our_place_is_not_blamed_on_the_caller() {
    let ours = FailureKind::Unavailable(FailoverReason::Status4xx);
    assert_eq!(kind(400, KEY_INVALID), ours);
    let place = r#"{"error":{"code":400,"message":"User location is not supported for the API use.","status":"FAILED_PRECONDITION"}}"#;
    assert_eq!(kind(400, place), ours);
    let theirs = r#"{"error":{"code":400,"message":"Invalid value","status":"INVALID_ARGUMENT","details":[{"reason":"BAD"}]}}"#;
    assert_eq!(kind(400, theirs), FailureKind::Rejected);
}

#[test]
fn the_wait_stands_in_the_details_and_a_header_goes_before() {
    let wait = |failure: Failure| failure.upstream.unwrap().retry_after;
    assert_eq!(wait(read(429, EXHAUSTED)), Some(Duration::from_secs(35)));
    let header = Some(Duration::from_secs(2));
    let failure = Outbound::Gemini.read_failure(429, EXHAUSTED, header);
    assert_eq!(wait(failure), header);
    for delay in ["-1s", "1e300s", "NaNs", "soon", "5"] {
        let body = EXHAUSTED.replace("34.074824224s", delay);
        assert_eq!(wait(read(429, &body)), None, "{delay}");
    }
}

#[test]
fn a_failure_keeps_what_the_provider_said_alone_or_in_a_list() {
    for body in [EXHAUSTED.to_owned(), format!("[{EXHAUSTED}]")] {
        let failure = read(429, &body);
        assert_eq!(
            failure.message,
            "the provider answered 429: You exceeded your current quota."
        );
        let upstream = failure.upstream.unwrap();
        assert_eq!(upstream.said.as_ref(), "You exceeded your current quota.");
        assert_eq!(upstream.body.as_ref(), body);
        assert_eq!(upstream.format, Format::Gemini);
    }
}

#[test]
fn what_is_no_error_of_the_format_is_told_as_it_came() {
    for odd in [
        "[]",
        "[3]",
        "{\"error\":3}",
        "{\"error\":{\"details\":3}}",
        "3",
    ] {
        let upstream = read(500, odd).upstream.unwrap();
        assert_eq!(upstream.said.as_ref(), odd);
    }
}
