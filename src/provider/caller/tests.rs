use std::io::Read;
use std::net::TcpListener;

use futures_util::TryStreamExt;
use serde_json::json;

use super::*;
use crate::domain::chat::{Body, Chunk, Finish, Request, Usage};
use crate::provider::Timeouts;
use crate::wire::{Inbound, LengthField, StreamUsage};

mod opening;
mod upstream;

use upstream::{Act, Seen, Upstream};

/// Far more than anything here takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(10);

impl Upstream {
    async fn whole(&self) -> Result<Answer, Failure> {
        call_at(&self.url).await
    }

    /// The pieces of a streamed answer, and the failure that ended it, if one did.
    async fn streamed(&self) -> (Vec<Chunk>, Option<Failure>) {
        let opened = open(&self.url)
            .stream(call(&request("true"), patient()))
            .await;
        collect(opened.unwrap().reply).await
    }
}

async fn collect(mut chunks: ChunkStream) -> (Vec<Chunk>, Option<Failure>) {
    let mut read = Vec::new();
    loop {
        match chunks.try_next().await {
            Ok(Some(chunk)) => read.push(chunk),
            Ok(None) => return (read, None),
            Err(failure) => {
                assert!(chunks.next().await.is_none(), "nothing follows a failure");
                return (read, Some(failure));
            }
        }
    }
}

fn settings(url: &str) -> Settings {
    Settings {
        dialect: Outbound::OpenAi,
        manners: Manners {
            stream_usage: StreamUsage::Untold,
            length_field: LengthField::MaxTokens,
        },
        key_header: KeyHeader::Bearer,
        base_url: url.to_owned(),
        endpoint: Endpoint::OfDialect,
        api_key: Some(Secret::new("key-1")),
        headers: vec![("X-Team".to_owned(), Secret::new("blue"))],
    }
}

fn open(url: &str) -> Caller {
    Caller::open(&HttpClient::open().unwrap(), &settings(url)).unwrap()
}

fn request(stream: &str) -> Request {
    let body = format!(
        r#"{{"model":"assistant","stream":{stream},"messages":[{{"role":"user","content":"hi"}}],"x":1.0}}"#
    );
    Inbound::OpenAi.read_request(body.as_bytes()).unwrap()
}

fn patient() -> Timeouts {
    Timeouts {
        first_token: PATIENCE,
        between_tokens: PATIENCE,
        whole: PATIENCE,
    }
}

/// Timeouts that pass at once.
fn hasty() -> Timeouts {
    let soon = Duration::from_millis(30);
    Timeouts {
        first_token: soon,
        between_tokens: soon,
        whole: soon,
    }
}

fn call(request: &Request, timeouts: Timeouts) -> Call<'_> {
    Call {
        overrides: None,
        request,
        model: "big",
        timeouts,
    }
}

async fn call_at(url: &str) -> Result<Answer, Failure> {
    let answered = open(url).call(call(&request("false"), patient())).await;
    answered.map(|brought| brought.reply)
}

fn reason(failure: &Failure) -> Option<FailoverReason> {
    match failure.kind {
        FailureKind::Unavailable(reason) => Some(reason),
        FailureKind::Rejected | FailureKind::Unsayable => None,
    }
}

/// A reply with its length.
fn reply(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
}

/// The head of a stream that lasts as long as its connection.
const STREAM: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

/// The event of a piece with this text.
fn piece(text: &str) -> String {
    let data = json!({ "choices": [{ "index": 0, "delta": { "content": text } }] });
    format!("data: {data}\n\n")
}

const LAST_PIECE: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\n";

fn text_of(chunks: &[Chunk]) -> String {
    chunks.iter().map(|chunk| chunk.text.as_str()).collect()
}

const ANSWER: &str = r#"{"id":"a","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1},"extra":true}"#;

#[tokio::test]
async fn a_whole_answer_comes_back_as_the_provider_wrote_it() {
    let upstream = Upstream::answers(&reply("200 OK", "", ANSWER));
    let answer = upstream.whole().await.unwrap();
    assert_eq!(answer.text, "Hello");
    assert_eq!(answer.usage.map(Usage::total), Some(4));
    let Body::Original(original) = answer.body else {
        panic!("it travels as it came");
    };
    assert_eq!(original.text, ANSWER);

    let Seen::Request(seen) = upstream.saw() else {
        panic!("the request comes first");
    };
    let (head, body) = seen.split_once("\r\n\r\n").unwrap();
    assert!(
        head.starts_with("POST /v1/chat/completions HTTP/1.1"),
        "{head}"
    );
    for header in [
        "authorization: Bearer key-1",
        "x-team: blue",
        "content-type: application/json",
        concat!("user-agent: semroute/", env!("CARGO_PKG_VERSION")),
    ] {
        assert!(head.contains(header), "{header} in {head}");
    }
    let original = &request("false").original.text;
    assert_eq!(body, original.replace("\"assistant\"", "\"big\""));
}

#[tokio::test]
async fn a_streamed_answer_comes_piece_by_piece() {
    let events = format!(
        "{STREAM}: hello\n\n{}{}{LAST_PIECE}data: [DONE]\n\n",
        piece("Hel"),
        piece("lo")
    );
    let (chunks, failure) = Upstream::answers(&events).streamed().await;
    assert_eq!(failure, None);
    assert_eq!(text_of(&chunks), "Hello");
    let last = chunks.last().unwrap();
    assert_eq!(last.finish, Some(Finish::Stop));
    assert_eq!(last.usage.map(Usage::total), Some(5));
}

#[tokio::test]
async fn a_long_stream_in_pieces_of_64_kib_loses_nothing() {
    let text = "漢字 and words ".repeat(4_000);
    let mut stream = STREAM.as_bytes().to_vec();
    for word in text.split_inclusive(' ') {
        stream.extend_from_slice(piece(word).as_bytes());
    }
    stream.extend_from_slice(b"data: [DONE]\n\n");
    let cuts = stream.chunks(64 * 1024);
    let upstream = Upstream::follows(cuts.map(|cut| Act::Send(cut.to_vec())).collect());
    let (chunks, failure) = upstream.streamed().await;
    assert_eq!(failure, None);
    assert!(text_of(&chunks) == text, "{} pieces", chunks.len());
}

#[tokio::test]
async fn too_many_requests_brings_the_wait_that_the_provider_asks_for() {
    let body = r#"{"error":{"message":"slow down"}}"#;
    let busy = reply("429 Too Many Requests", "retry-after: 7\r\n", body);
    let failure = Upstream::answers(&busy).whole().await.unwrap_err();
    assert_eq!(reason(&failure), Some(FailoverReason::Status429));
    let upstream = failure.upstream.unwrap();
    assert_eq!(upstream.retry_after, Some(Duration::from_secs(7)));
    assert_eq!(upstream.body.as_ref(), body);
}

#[tokio::test]
async fn a_stream_that_is_refused_is_never_opened() {
    for (status, expected) in [
        ("500 Internal Server Error", Some(FailoverReason::Status5xx)),
        ("401 Unauthorized", Some(FailoverReason::Status4xx)),
        ("400 Bad Request", None),
        ("302 Found", Some(FailoverReason::Malformed)),
    ] {
        let upstream = Upstream::answers(&reply(status, "location: /elsewhere\r\n", "no"));
        let asked = request("true");
        let opened = open(&upstream.url).stream(call(&asked, patient())).await;
        let failure = opened.err().unwrap();
        assert_eq!(reason(&failure), expected, "{status}");
    }
}

#[tokio::test]
async fn the_body_of_an_error_is_kept_up_to_its_bound() {
    let page = "x".repeat(ERROR_BYTES_MAX + 1);
    let broken = reply("502 Bad Gateway", "", &page);
    let failure = Upstream::answers(&broken).whole().await.unwrap_err();
    assert_eq!(failure.upstream.unwrap().body.len(), ERROR_BYTES_MAX);
}

#[tokio::test]
async fn nobody_at_the_address_is_a_failure_to_connect() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    drop(listener);
    let failure = call_at(&url).await.unwrap_err();
    assert_eq!(reason(&failure), Some(FailoverReason::Connect));
    assert!(failure.message.contains(&url), "{}", failure.message);
}

#[tokio::test]
async fn a_connection_that_breaks_before_the_answer_is_a_reset() {
    // To leave while bytes lie unread resets the connection.
    let upstream = Upstream::serves(|mut stream, _| drop(stream.read(&mut [0])));
    let failure = upstream.whole().await.unwrap_err();
    assert_eq!(reason(&failure), Some(FailoverReason::Reset));
}

#[tokio::test]
async fn a_whole_answer_that_breaks_off_is_a_reset() {
    let whole = reply("200 OK", "", ANSWER);
    let failure = Upstream::answers(&whole[..whole.len() - 9]).whole().await;
    assert_eq!(reason(&failure.unwrap_err()), Some(FailoverReason::Reset));
}

#[tokio::test]
async fn a_provider_that_stays_silent_times_out_whole_and_streamed() {
    for head in [String::new(), STREAM.to_owned()] {
        let acts = || vec![Act::Send(head.clone().into_bytes()), Act::Stall];
        let upstream = Upstream::follows(acts());
        let asked = request("true");
        let caller = open(&upstream.url);
        let failure = match caller.stream(call(&asked, hasty())).await {
            Ok(chunks) => collect(chunks.reply).await.1.unwrap(),
            Err(failure) => failure,
        };
        assert_eq!(reason(&failure), Some(FailoverReason::TimeoutFirstToken));
    }
    let upstream = Upstream::follows(vec![Act::Stall]);
    let asked = request("false");
    let failure = open(&upstream.url).call(call(&asked, hasty())).await;
    let expected = Some(FailoverReason::TimeoutFirstToken);
    assert_eq!(reason(&failure.unwrap_err()), expected);
}

#[tokio::test]
async fn a_whole_answer_that_stalls_in_the_middle_times_out() {
    let whole = reply("200 OK", "", ANSWER);
    let half = whole.as_bytes()[..whole.len() - 9].to_vec();
    let upstream = Upstream::follows(vec![Act::Send(half), Act::Stall]);
    let asked = request("false");
    let failure = open(&upstream.url).call(call(&asked, hasty())).await;
    let expected = Some(FailoverReason::TimeoutBetweenTokens);
    assert_eq!(reason(&failure.unwrap_err()), expected);
}

#[tokio::test]
async fn a_stream_that_stalls_times_out_and_comments_do_not_keep_it_alive() {
    let begun = format!("{STREAM}{}: still here\n\n", piece("Hel"));
    let upstream = Upstream::follows(vec![Act::Send(begun.into_bytes()), Act::Stall]);
    let asked = request("true");
    let timeouts = Timeouts {
        between_tokens: Duration::from_millis(30),
        ..patient()
    };
    let chunks = open(&upstream.url).stream(call(&asked, timeouts)).await;
    let (chunks, failure) = collect(chunks.unwrap().reply).await;
    assert_eq!(text_of(&chunks), "Hel");
    let expected = Some(FailoverReason::TimeoutBetweenTokens);
    assert_eq!(reason(&failure.unwrap()), expected);
}

#[tokio::test]
async fn a_stream_that_is_cut_says_so_however_it_is_cut() {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let event = piece("Hel");
    let length = event.len();
    for cut in [
        format!("{STREAM}{event}"),
        format!("{STREAM}{event}data: {{\"choices\":"),
        format!("{chunked}{length:x}\r\n{event}\r\n"),
        format!("{STREAM}{event}data: {{\"error\":{{\"message\":\"gone\"}}}}\n\n"),
    ] {
        let (chunks, failure) = Upstream::answers(&cut).streamed().await;
        assert_eq!(text_of(&chunks), "Hel", "{cut}");
        let failure = failure.unwrap();
        assert_eq!(reason(&failure), Some(FailoverReason::StreamCut), "{cut}");
    }
}

#[tokio::test]
async fn a_stream_that_breaks_before_its_first_piece_is_a_reset() {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let (chunks, failure) = Upstream::answers(chunked).streamed().await;
    assert!(chunks.is_empty());
    assert_eq!(reason(&failure.unwrap()), Some(FailoverReason::Reset));
}

#[tokio::test]
async fn an_answer_that_said_why_it_ends_is_whole_even_without_the_last_event() {
    let finished = format!("{STREAM}{}{LAST_PIECE}", piece("Hello"));
    let (chunks, failure) = Upstream::answers(&finished).streamed().await;
    assert_eq!((text_of(&chunks).as_str(), failure), ("Hello", None));
}

#[tokio::test]
async fn a_body_that_is_no_answer_is_malformed() {
    let page = reply("200 OK", "content-type: text/html\r\n", "<html>");
    let bad_bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n\xFF".to_vec();
    for upstream in [
        Upstream::answers(&page),
        Upstream::answers(&reply("200 OK", "", "{\"choices\":[]}")),
        Upstream::follows(vec![Act::Send(bad_bytes)]),
    ] {
        let failure = upstream.whole().await.unwrap_err();
        assert_eq!(reason(&failure), Some(FailoverReason::Malformed));
    }
    let upstream = Upstream::answers(&page);
    let asked = request("true");
    let opened = open(&upstream.url).stream(call(&asked, patient())).await;
    let failure = opened.err().unwrap();
    assert_eq!(reason(&failure), Some(FailoverReason::Malformed));
}

#[tokio::test]
async fn a_stream_that_turns_into_nonsense_is_malformed_behind_what_made_sense() {
    let mut stream = format!("{STREAM}{}", piece("Hel")).into_bytes();
    stream.extend_from_slice(b"data: \xFF\n\n");
    let upstream = Upstream::follows(vec![Act::Send(stream)]);
    let (chunks, failure) = upstream.streamed().await;
    assert_eq!(text_of(&chunks), "Hel");
    assert_eq!(reason(&failure.unwrap()), Some(FailoverReason::Malformed));
}

#[tokio::test]
async fn an_answer_past_its_bound_is_not_kept() {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", u32::MAX);
    let mut acts = vec![Act::Send(head.into_bytes())];
    acts.extend((0..=ANSWER_BYTES_MAX >> 20).map(|_| Act::Send(vec![b' '; 1 << 20])));
    let failure = Upstream::follows(acts).whole().await.unwrap_err();
    assert_eq!(reason(&failure), Some(FailoverReason::Malformed));
    assert!(failure.message.contains("bytes"), "{}", failure.message);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_caller_that_leaves_ends_the_call_at_the_provider_too() {
    let begun = format!("{STREAM}{}", piece("Hel"));
    let upstream = Upstream::follows(vec![Act::Send(begun.into_bytes()), Act::Stall]);
    let asked = request("true");
    let opened = open(&upstream.url).stream(call(&asked, patient())).await;
    let mut chunks = opened.unwrap().reply;
    assert_eq!(chunks.try_next().await.unwrap().unwrap().text, "Hel");
    assert!(matches!(upstream.saw(), Seen::Request(_)));
    drop(chunks);
    assert_eq!(upstream.saw(), Seen::Departure);

    let upstream = Upstream::follows(vec![Act::Stall]);
    let caller = open(&upstream.url);
    let asked = request("false");
    let waiting = caller.call(call(&asked, patient()));
    let soon = Duration::from_millis(200);
    assert!(tokio::time::timeout(soon, waiting).await.is_err());
    assert!(matches!(upstream.saw(), Seen::Request(_)));
    assert_eq!(upstream.saw(), Seen::Departure);
}

#[tokio::test]
async fn a_draft_is_asked_for_in_one_piece_though_the_caller_wants_a_stream() {
    let upstream = Upstream::answers(&reply("200 OK", "", ANSWER));
    let asked = request("true");
    let answer = open(&upstream.url).call(call(&asked, patient())).await;
    assert_eq!(answer.unwrap().reply.text, "Hello");
    let Seen::Request(seen) = upstream.saw() else {
        panic!("the request comes first");
    };
    assert!(seen.contains("\"stream\":false"), "{seen}");
}
