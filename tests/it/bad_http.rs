//! Requests that are odd before anybody reads their bodies: half-sent, pipelined, with heads that
//! lie or are none. They are written byte by byte, since no client sends them.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::bad_input::{CHAT, GOOD, n_refused, with};
use crate::support::Server;

/// Sends bytes as they are and reads until the server closes, which it is asked to do.
async fn raw(server: &Server, bytes: &[u8]) -> String {
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    socket.write_all(bytes).await.unwrap();
    all_from(&mut socket).await
}

async fn all_from(socket: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A reset ends the answer like any other end; what was said before counts.
    let _ = socket.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

/// A chat request with these headers and this body, whatever the headers say of it.
fn post(headers: &str, body: &str) -> Vec<u8> {
    format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n{body}")
        .into_bytes()
}

/// The error in an answer that was read raw: its status line and code.
fn raw_error(answer: &str) -> (&str, String) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    let body: Value = serde_json::from_str(body).unwrap_or_else(|it| panic!("{it}: {answer}"));
    let code = body["error"]["code"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    (head.lines().next().unwrap_or_default(), code)
}

#[tokio::test]
async fn a_body_that_says_it_is_too_long_is_refused_before_it_is_read() {
    let server = Server::start(None).await;
    let head = "content-length: 10737418240\r\ncontent-type: application/json\r\n";
    for expect in ["", "expect: 100-continue\r\n"] {
        let answer = raw(&server, &post(&format!("{head}{expect}"), "")).await;
        assert_eq!(
            raw_error(&answer),
            ("HTTP/1.1 413 Payload Too Large", "request_too_large".into())
        );
    }
    assert_eq!(n_refused(&server).await, 2);
}

#[tokio::test]
async fn a_client_that_asks_first_is_told_to_go_on() {
    let server = Server::start(None).await;
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    let head = post(
        &format!("content-length: {}\r\nexpect: 100-continue\r\n", GOOD.len()),
        "",
    );
    socket.write_all(&head).await.unwrap();
    let mut told = [0; 25];
    socket.read_exact(&mut told).await.unwrap();
    assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
    socket.write_all(GOOD.as_bytes()).await.unwrap();
    let answer = all_from(&mut socket).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = Server::start(None).await;
    let request = |id: &str, connection: &str, body: &str| {
        format!(
            "POST {CHAT} HTTP/1.1\r\nhost: x\r\nconnection: {connection}\r\nx-request-id: {id}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let both = request("first", "keep-alive", "{") + &request("second", "close", GOOD);
    let answers = raw(&server, both.as_bytes()).await;
    let place = |text: &str| {
        answers
            .find(text)
            .unwrap_or_else(|| panic!("no {text}: {answers}"))
    };
    assert!(place("HTTP/1.1 400") < place("x-request-id: first"));
    assert!(place("x-request-id: first") < place("HTTP/1.1 200"));
    assert!(place("HTTP/1.1 200") < place("x-request-id: second"));
    assert_eq!(answers.matches("HTTP/1.1").count(), 2, "{answers}");
}

#[tokio::test]
async fn a_request_whose_sender_leaves_in_the_middle_is_noted() {
    let server = Server::start(None).await;
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    let request = post("content-length: 1000\r\n", &GOOD[..20]);
    socket.write_all(&request).await.unwrap();
    socket.shutdown().await.unwrap();
    let answer = all_from(&mut socket).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 400"),
        "{answer}"
    );
    assert_eq!(n_refused(&server).await, 1);
}

#[tokio::test]
async fn bad_chunks_are_refused_and_noted() {
    let server = Server::start(None).await;
    for chunks in [
        "zz\r\n{}\r\n0\r\n\r\n",
        "ffffffffffffffffff\r\n",
        "2\r\n{}xx\r\n0\r\n\r\n",
    ] {
        let answer = raw(&server, &post("transfer-encoding: chunked\r\n", chunks)).await;
        assert_eq!(
            raw_error(&answer),
            ("HTTP/1.1 400 Bad Request", "invalid_request".into()),
            "{chunks:?}"
        );
    }
    assert_eq!(n_refused(&server).await, 3);
    let good = format!("{:x}\r\n{GOOD}\r\n0\r\n\r\n", GOOD.len());
    let answer = raw(&server, &post("transfer-encoding: chunked\r\n", &good)).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn heads_that_are_none_are_refused() {
    let server = Server::start(None).await;
    let ask = async |text: String| {
        let answer = raw(&server, text.as_bytes()).await;
        answer.lines().next().unwrap_or_default().to_owned()
    };
    let chat = |headers: &str| {
        format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n{{}}")
    };
    for text in [
        "nonsense\r\n\r\n".to_owned(),
        "GET / HTTP/9.9\r\n\r\n".to_owned(),
        "GET /a b HTTP/1.1\r\n\r\n".to_owned(),
        // Two lengths are how requests are smuggled past a proxy.
        chat("content-length: 2\r\ncontent-length: 3\r\n"),
        chat("content-length: -2\r\n"),
        chat("content-length: 99999999999999999999999\r\n"),
        chat("x y: z\r\n"),
    ] {
        assert_eq!(
            ask(text.clone()).await,
            "HTTP/1.1 400 Bad Request",
            "{text}"
        );
    }
    let long = format!("x-long: {}\r\n", "x".repeat(100_000));
    assert_eq!(
        ask(chat(&long)).await,
        "HTTP/1.1 431 Request Header Fields Too Large"
    );
    let many = "x-many: 1\r\n".repeat(200);
    assert_eq!(
        ask(chat(&many)).await,
        "HTTP/1.1 431 Request Header Fields Too Large"
    );
    let answer = raw(
        &server,
        b"BREW /v1/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    )
    .await;
    assert_eq!(
        raw_error(&answer),
        (
            "HTTP/1.1 405 Method Not Allowed",
            "method_not_allowed".into()
        )
    );
    assert!(
        answer.to_lowercase().contains("allow: get,head"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_client_of_http_1_0_is_answered_in_its_version() {
    let server = Server::start(None).await;
    let stream = with("stream", &json!(true));
    for body in [GOOD, &stream] {
        let request = format!(
            "POST {CHAT} HTTP/1.0\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = raw(&server, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
        assert!(
            !answer.to_lowercase().contains("transfer-encoding"),
            "it knows no chunks: {answer}"
        );
        assert!(answer.contains("simulated"), "{answer}");
    }
}
