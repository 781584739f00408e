//! The body of a streamed answer: its pieces, as the events that tell them.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Bytes;
use axum::body::HttpBody;
use futures_util::stream::BoxStream;
use hyper::body::Frame;

use crate::engine::serve::Piece;
use crate::gateway::{error, headers};
use crate::wire::StreamWriter;

/// How much text is put into one frame before it leaves. Pieces that are there together leave together, which
/// saves a write and a header for each but the first; with a frame of this size there is little left to save.
const FRAME_BYTES: usize = 16 * 1024;

/// The events of one answer.
pub(super) struct Events {
    pieces: BoxStream<'static, Piece>,
    /// The last piece takes it.
    writer: Option<StreamWriter>,
    request_id: String,
}

impl Events {
    /// The events that tell these pieces.
    pub(super) fn of(
        pieces: BoxStream<'static, Piece>,
        writer: StreamWriter,
        request_id: String,
    ) -> Self {
        Self {
            pieces,
            writer: Some(writer),
            request_id,
        }
    }

    /// The text of the events that tell a piece.
    fn write(&mut self, piece: Piece) -> String {
        match piece {
            Piece::Chunk(chunk) => self
                .writer
                .as_mut()
                .map_or_else(String::new, |writer| writer.write(chunk)),
            Piece::Failed(error) => {
                let message = error.to_string();
                let text = error::text(&error, &message, &self.request_id);
                self.writer
                    .take()
                    .map_or_else(String::new, |writer| writer.fail(&text))
            }
            Piece::End(record) => {
                let trailer = headers::trailer(&record).to_string();
                self.writer
                    .take()
                    .map_or_else(String::new, |writer| writer.end(&trailer))
            }
        }
    }
}

impl HttpBody for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let events = self.get_mut();
        let mut text = String::new();
        while events.writer.is_some() && text.len() < FRAME_BYTES {
            match events.pieces.as_mut().poll_next(context) {
                Poll::Ready(Some(piece)) => append(&mut text, events.write(piece)),
                Poll::Ready(None) => events.writer = None,
                Poll::Pending if text.is_empty() => return Poll::Pending,
                // What is there does not wait for what is not.
                Poll::Pending => break,
            }
        }
        let frame = (!text.is_empty()).then(|| Ok(Frame::data(Bytes::from(text))));
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.writer.is_none()
    }
}

/// Mostly there is one piece at a time, and then nothing is copied.
fn append(text: &mut String, more: String) {
    if text.is_empty() {
        *text = more;
    } else {
        text.push_str(&more);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::StreamExt;
    use futures_util::stream::{self, Stream};
    use http_body_util::BodyExt;

    use super::*;
    use crate::domain::chat::{Chunk, Format, Holds, Original, UsageReport};
    use crate::domain::record::Record;
    use crate::wire::{Inbound, Stamp};

    fn piece(text: &str) -> Piece {
        Piece::Chunk(Chunk {
            text: text.to_owned(),
            finish: None,
            usage: None,
            body: crate::domain::chat::Body::Original(Original {
                format: Format::OpenAi,
                text: text.to_owned(),
                holds: Holds::Content,
            }),
        })
    }

    fn events(pieces: impl Stream<Item = Piece> + Send + 'static) -> Events {
        let stamp = Stamp {
            request_id: "1".to_owned(),
            created_unix_s: 0,
            model: "small".to_owned(),
        };
        let writer = Inbound::OpenAi.stream_writer(stamp, UsageReport::Hidden);
        Events::of(pieces.boxed(), writer, "1".to_owned())
    }

    async fn next_text(events: &mut Events) -> Option<String> {
        let frame = events.frame().await?.unwrap();
        let text = frame.into_data().unwrap();
        Some(String::from_utf8(text.into()).unwrap())
    }

    #[tokio::test]
    async fn pieces_that_are_there_together_leave_together_and_wait_for_no_other() {
        let there = stream::iter(["one", "two", "three"].map(piece));
        let mut events = events(there.chain(stream::pending()));
        let text = next_text(&mut events).await.unwrap();
        assert_eq!(text, "data: one\n\ndata: two\n\ndata: three\n\n");
        let next = tokio::time::timeout(std::time::Duration::ZERO, events.frame());
        assert!(next.await.is_err(), "there is nothing more");
    }

    #[tokio::test]
    async fn a_frame_is_bounded_however_many_pieces_are_there() {
        const PIECES: usize = 10_000;
        let line = "x".repeat(100);
        let there = stream::repeat_with(move || piece(&line)).take(PIECES);
        let mut events = events(there);
        let mut n_bytes = 0;
        while let Some(text) = next_text(&mut events).await {
            assert!(text.len() < FRAME_BYTES + 200, "{}", text.len());
            n_bytes += text.len();
        }
        assert_eq!(n_bytes, PIECES * "data: \n\n".len() + PIECES * 100);
    }

    #[tokio::test]
    async fn the_end_leaves_with_the_last_pieces_and_nothing_follows() {
        let end = Piece::End(Arc::new(Record::default()));
        let mut events = events(stream::iter([piece("one"), end, piece("two")]));
        assert!(!events.is_end_stream());
        let text = next_text(&mut events).await.unwrap();
        assert!(text.starts_with("data: one\n\n: "), "{text}");
        assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
        assert!(events.is_end_stream());
        assert_eq!(next_text(&mut events).await, None);
    }
}
