use axum::http::HeaderValue;
use futures_util::StreamExt;
use futures_util::stream;
use serde::Deserialize;

use super::*;

type Piece = Result<Bytes, std::io::Error>;

fn pieces(pieces: impl IntoIterator<Item = Vec<u8>, IntoIter: Send + 'static>) -> Body {
    Body::from_stream(stream::iter(
        pieces.into_iter().map(|it| Piece::Ok(it.into())),
    ))
}

async fn read(body: Body) -> Result<Bytes, Error> {
    let mut body = body;
    collect(&mut body).await
}

#[tokio::test]
async fn a_body_in_pieces_is_put_together() {
    let whole = read(pieces([b"{\"a\"".to_vec(), b":1}".to_vec()])).await;
    assert_eq!(whole.unwrap(), r#"{"a":1}"#);
    assert_eq!(read(pieces([])).await.unwrap(), "");
    assert_eq!(read(Body::from("{}")).await.unwrap(), "{}");
}

#[tokio::test]
async fn a_body_that_does_not_say_its_length_is_given_up_past_the_limit() {
    const PIECE: usize = 1024 * 1024;
    let of = |n_pieces| pieces((0..n_pieces).map(|_| vec![b' '; PIECE]));
    let longest = read(of(BODY_BYTES_MAX / PIECE)).await.unwrap();
    assert_eq!(longest.len(), BODY_BYTES_MAX);
    let longer = read(of(BODY_BYTES_MAX / PIECE + 1)).await;
    assert_eq!(longer, Err(TOO_LARGE));
    let at_once = read(pieces([vec![b' '; BODY_BYTES_MAX + 1]])).await;
    assert_eq!(at_once, Err(TOO_LARGE));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stalls_is_given_up() {
    let stalling = stream::iter([Piece::Ok("{".into())]).chain(stream::pending());
    let began = Instant::now();
    let problem = read(Body::from_stream(stalling)).await.unwrap_err();
    assert_eq!((problem.status(), problem.code()), (408, "request_timeout"));
    assert!((PAUSE_MAX..PAUSE_MAX * 2).contains(&began.elapsed()));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_trickles_in_is_given_up_as_well() {
    let trickling = stream::repeat(()).then(|()| async {
        // The pause between two pieces; it takes no time, since the clock is the test's.
        tokio::time::sleep(PAUSE_MAX / 2).await;
        Piece::Ok(" ".into())
    });
    let began = Instant::now();
    let problem = read(Body::from_stream(trickling)).await.unwrap_err();
    assert_eq!(problem.code(), "request_timeout");
    assert!((BODY_WAIT_MAX..BODY_WAIT_MAX + PAUSE_MAX).contains(&began.elapsed()));
}

#[test]
fn json_of_every_name_is_accepted_and_what_a_form_can_send_is_not() {
    for kind in [
        "application/json",
        "Application/JSON; charset=utf-8",
        "application/vnd.api+json",
        "",
    ] {
        assert_eq!(verdict(CONTENT_TYPE, kind), Ok(()), "{kind}");
    }
    for kind in [
        "text/plain",
        "text/plain;charset=UTF-8",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/octet-stream",
        "application/jsonlines",
        "+json",
    ] {
        let expected = Error::UnsupportedMedia(Media::Kind(kind.to_owned()));
        assert_eq!(verdict(CONTENT_TYPE, kind), Err(expected));
    }
    assert_eq!(verdict(CONTENT_ENCODING, "Identity"), Ok(()));
    let expected = Error::UnsupportedMedia(Media::Encoding("gzip".to_owned()));
    assert_eq!(verdict(CONTENT_ENCODING, "gzip"), Err(expected));
}

fn verdict(name: HeaderName, value: &'static str) -> Result<(), Error> {
    let headers = HeaderMap::from_iter([(name, HeaderValue::from_static(value))]);
    acceptable(&headers, &Body::empty())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only whether it can be read is looked at")]
struct Outer {
    inner: Inner,
    count: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only whether it can be read is looked at")]
struct Inner {
    texts: Vec<String>,
}

#[test]
fn the_field_at_fault_is_named_by_its_path() {
    for (text, expected) in [
        (r#"{"inner":{"texts":["a",1]}}"#, "inner.texts[1]"),
        (r#"{"inner":{}}"#, "inner.texts"),
        (r#"{"inner":{"texts":[]},"count":-1}"#, "count"),
        (r#"{"inner":{"texts":[]},"count":1e999}"#, "count"),
        (r#"{"other":1,"inner":01}"#, ""),
        (r#"{"inner":{"texts":[]},"other":1}"#, "other"),
        (r#"{"inner":{"texts":[],"other":1}}"#, "inner.other"),
        (r#"{"inner":{"texts":[]},"inner":{"texts":[]}}"#, "inner"),
        ("{}", "inner"),
        ("[]", ""),
        ("{", ""),
        ("", ""),
        (r#"{"inner":{"texts":[]}} x"#, ""),
    ] {
        let Err(Error::Invalid { param, .. }) = parse::<Outer>(text.as_bytes()) else {
            panic!("{text} was read");
        };
        assert_eq!(param.as_deref().unwrap_or_default(), expected, "{text}");
    }
}
