//! A model's server that answers at once: whole, or in pieces that each leave by themselves.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use memchr::memmem;
use tokio::net::TcpListener;

/// The model that takes its time between pieces.
pub(crate) const SLOW: &str = "slow";

/// The model that does not.
pub(crate) const FAST: &str = "fast";

/// Pieces of a streamed answer.
pub(crate) const PIECES: usize = 64;

/// The time between two pieces of the slow model: streams stay open for seconds.
const PAUSE: Duration = Duration::from_millis(100);

/// Where in a body the model and the delivery stand, at the latest.
const HEAD_BYTES: usize = 256;

type Body = BoxBody<Bytes, Infallible>;

/// Answers whoever connects.
pub(crate) async fn serve(listener: TcpListener) -> anyhow::Result<()> {
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        tokio::spawn(async move {
            let connection = http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service_fn(answer))
                .await;
            // Whoever measures closes connections in the middle.
            drop(connection);
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Body>, hyper::Error> {
    let body = request.into_body().collect().await?.to_bytes();
    let head = &body[..body.len().min(HEAD_BYTES)];
    let says = |text: &str| memmem::find(head, text.as_bytes()).is_some();
    let (kind, body) = if says("\"stream\":true") {
        let pause = says("\"slow\"").then_some(PAUSE);
        let body = StreamBody::new(pieces(pause).map(|piece| Ok(Frame::data(piece))));
        ("text/event-stream", BodyExt::boxed(body))
    } else {
        (
            "application/json",
            Full::new(Bytes::from_static(WHOLE.as_bytes())).boxed(),
        )
    };
    let mut response = Response::new(body);
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(response)
}

/// The events of a streamed answer. Each gives way before the next, so that each is written by itself, as
/// tokens are.
fn pieces(pause: Option<Duration>) -> impl Stream<Item = Bytes> + Send + Sync {
    let events = (0..PIECES).map(|_| PIECE).chain([LAST, "data: [DONE]\n\n"]);
    stream::iter(events).then(move |event| async move {
        match pause {
            Some(pause) => tokio::time::sleep(pause).await,
            None => tokio::task::yield_now().await,
        }
        Bytes::from_static(event.as_bytes())
    })
}

const PIECE: &str = concat!(
    "data: {\"id\":\"chatcmpl-BzT4VuKNqXb2cdGwPbRM0Q8yXr1s7\",\"object\":\"chat.completion.chunk\",",
    "\"created\":1795235786,\"model\":\"fast\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_44709d6fcb\",",
    "\"choices\":[{\"index\":0,\"delta\":{\"content\":\" token\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n"
);

const LAST: &str = concat!(
    "data: {\"id\":\"chatcmpl-BzT4VuKNqXb2cdGwPbRM0Q8yXr1s7\",\"object\":\"chat.completion.chunk\",",
    "\"created\":1795235786,\"model\":\"fast\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_44709d6fcb\",",
    "\"choices\":[{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\"}],",
    "\"usage\":{\"prompt_tokens\":240,\"completion_tokens\":64,\"total_tokens\":304}}\n\n"
);

/// About 1 KB, as a short answer is.
const WHOLE: &str = concat!(
    "{\"id\":\"chatcmpl-BzT4VuKNqXb2cdGwPbRM0Q8yXr1s7\",\"object\":\"chat.completion\",\"created\":1795235786,",
    "\"model\":\"fast\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"A loop ends when its ",
    "condition is false at the moment of its check. Yours never becomes false, because the variable that it looks at ",
    "is shadowed inside the body: the one that you add to is another one, which is dropped at the end of each turn. ",
    "Take the `let` away and the loop will end after ten turns. If you want to keep the name, give the inner one ",
    "another, such as `next`, and assign it to the outer one as the last thing that the body does.\",",
    "\"refusal\":null,\"annotations\":[]},\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":240,",
    "\"completion_tokens\":96,\"total_tokens\":336,\"prompt_tokens_details\":{\"cached_tokens\":0,\"audio_tokens\":0},",
    "\"completion_tokens_details\":{\"reasoning_tokens\":0,\"audio_tokens\":0,\"accepted_prediction_tokens\":0,",
    "\"rejected_prediction_tokens\":0}},\"service_tier\":\"default\",\"system_fingerprint\":\"fp_44709d6fcb\"}\n"
);
