use super::*;
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
fn a_status_says_whether_another_target_may_do_better() {
    use FailoverReason::{Malformed, Status4xx, Status5xx, Status429};
    for status in [400, 413, 415, 422] {
        assert_eq!(kind(status, "{}"), FailureKind::Rejected, "{status}");
    }
    for (status, reason) in [
        (401, Status4xx),
        (403, Status4xx),
        (404, Status4xx),
        (429, Status429),
        (500, Status5xx),
        (503, Status5xx),
        (302, Malformed),
    ] {
        let expected = FailureKind::Unavailable(reason);
        assert_eq!(kind(status, "no"), expected, "{status}");
    }
}

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
fn a_page_of_a_proxy_is_shown_by_its_beginning_and_a_redirect_is_no_error() {
    let page = "x".repeat(10_000);
    assert!(read(502, &page).message.len() < 400);
    assert_eq!(read(302, "").upstream, None);
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
