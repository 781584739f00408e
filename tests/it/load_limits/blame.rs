//! What calls say of their targets: how fast they are, and who is to blame for a failure.

use super::*;

#[tokio::test]
async fn a_target_is_known_by_its_answers_and_failures_and_not_by_its_callers() {
    let engaged = Engaged::with("timeout: {}");
    assert_eq!(engaged.standing("small", "alone"), Standing::default());
    drop(engaged.stream("alone").await.unwrap());
    assert_eq!(n_answers(engaged.standing("small", "alone").long), 0);
    to_the_end(engaged.stream("alone").await.unwrap()).await;
    let usage = engaged.last_record()["attempts"][0]["usage"].clone();
    let standing = engaged.standing("small", "alone");
    assert_eq!(standing.long, standing.short);
    assert_eq!(
        (n_answers(standing.long), standing.failure_share),
        (1, Some(0.0))
    );
    let at_once = Some(Measured {
        value: Duration::ZERO,
        n: 1,
    });
    assert_eq!(standing.long.ttft, at_once, "on a clock that stands still");
    assert_eq!(standing.long.tpot, at_once);
    assert_eq!(
        standing.output_tokens_anywhere,
        usage["output_tokens"].as_f64()
    );
    // A whole answer says nothing of the first token.
    engaged.whole("both").await.unwrap();
    let standing = engaged.standing("small", "both");
    assert_eq!(n_answers(standing.long), 2);
    assert_eq!(standing.long.ttft, at_once);
    assert!(engaged.whole("down").await.is_err());
    let down = engaged.standing("down", "down");
    assert_eq!((n_answers(down.long), down.failure_share), (0, Some(1.0)));
    engaged.clock.advance(Duration::from_mins(4));
    let later = engaged.standing("small", "alone");
    assert_eq!((n_answers(later.long), n_answers(later.short)), (2, 0));
    engaged.clock.advance(Duration::from_hours(1));
    assert_eq!(n_answers(engaged.standing("small", "alone").long), 0);
    assert_eq!(engaged.standing("down", "down").failure_share, None);
}

/// Two calls of one request, one after the other, that fail so after so long: the share of the second
/// target's calls that failed, when nothing was left of the request's time.
fn failure_share_of_second(
    first: (Duration, FailoverReason),
    of_all: FailoverReason,
) -> Option<f64> {
    let engaged = Engaged::with("timeout: {}");
    let body = json!({ "model": "both", "messages": [{ "role": "user", "content": "hello" }] });
    let request = Inbound::OpenAi
        .read_request(body.to_string().as_bytes())
        .unwrap();
    let mut ledger = Ledger::open(&engaged.engine, "/v1/test", "request".to_owned());
    ledger.limit(Duration::from_secs(30));
    let plan = ledger.plan();
    for (name, purpose, call) in [
        ("small", Purpose::Answer, Some(first)),
        ("large", Purpose::Failover, None),
    ] {
        let target = target(&plan, name);
        let permit = ledger
            .admit(target, 0)
            .unwrap_or_else(|_| panic!("{name} has room"));
        ledger.call_began(target, purpose, &request.original, permit);
        let (took, reason) = call.unwrap_or((ledger.time_left(), of_all));
        engaged.clock.advance(took);
        ledger.call_failed(&Failure::unavailable(reason, "as told"));
    }
    engaged.standing("large", "both").failure_share
}

#[tokio::test]
async fn a_target_that_had_most_of_the_time_is_to_blame_however_many_were_asked_before() {
    use FailoverReason::{Status429, TimeoutFirstToken};
    let refused = (Duration::from_millis(1), Status429);
    assert_eq!(
        failure_share_of_second(refused, TimeoutFirstToken),
        Some(1.0)
    );
    let hung = (Duration::from_secs(16), TimeoutFirstToken);
    assert_eq!(failure_share_of_second(hung, TimeoutFirstToken), None);
}

#[tokio::test]
async fn a_held_stream_that_was_writing_when_the_time_was_over_had_begun() {
    for (script, reason) in [
        ("per_token_ms: 9000", "timeout_between_tokens"),
        ("first_token_ms: 9000", "timeout_first_token"),
    ] {
        let model = format!("script: {{ style: follows_schema, {script} }}");
        let config = config(&model);
        let engaged = Engaged::on(&format!("{config}server: {{ request_timeout: 300ms }}\n"));
        let schema = json!({ "stream": true, "response_format": { "type": "json_schema", "json_schema": {
            "name": "answer",
            "schema": { "type": "object", "properties": { "n": { "enum": ["one two three four"] } }, "required": ["n"] },
        } } });
        // The first draft, which failed its check, is all that there is.
        if let Ok(Reply::Streamed(pieces)) = engaged.ask("checked", schema).await {
            to_the_end(pieces).await;
        }
        let record = engaged.last_record();
        assert_eq!(record["attempts"][1]["target"], "small");
        let result = record["attempts"][1]["result"].to_string();
        assert!(result.contains(reason), "{script}: {result}");
    }
}
