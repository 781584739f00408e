//! Reading a provider's reply, bounded in size and time.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream::Stream;
use hyper::body::{Body, Incoming};
use tokio::time::Instant;

use crate::domain::chat::Chunk;
use crate::domain::event::{FailoverReason, Failure};
use crate::provider::alarm::Alarm;
use crate::provider::caller::client::{Response, next_bytes, poll_bytes};
use crate::provider::caller::{causes, deadline_in};
use crate::wire::sse::{DecodeError, Decoder};
use crate::wire::{StreamEvent, StreamReader};

/// Why a body could not be read.
pub(super) enum Fault {
    /// The connection broke.
    Broken(hyper::Error),
    /// It goes past its bound.
    TooLong,
}

/// Reads a whole body of at most so many bytes.
pub(super) async fn read_whole(reply: Response, bytes_max: usize) -> Result<Bytes, Fault> {
    let mut rest = reply.into_body();
    let mut body = BytesMut::new();
    while let Some(piece) = next_bytes(&mut rest).await {
        let piece = piece.map_err(Fault::Broken)?;
        if bytes_max < body.len() + piece.len() {
            return Err(Fault::TooLong);
        }
        if body.is_empty() && rest.is_end_stream() {
            // Mostly all of it comes at once, and then nothing is copied.
            return Ok(piece);
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.freeze())
}

/// Reads the beginning of a body, as much as comes and fits.
pub(super) async fn read_start(reply: Response, bytes_max: usize) -> Vec<u8> {
    let mut rest = reply.into_body();
    let mut body = Vec::new();
    while let Some(Ok(piece)) = next_bytes(&mut rest).await {
        let room = bytes_max - body.len();
        body.extend_from_slice(&piece[..piece.len().min(room)]);
        if body.len() == bytes_max {
            break;
        }
    }
    body
}

/// How fast the pieces of an answer must come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// When the first must be there.
    pub(super) first_until: Instant,
    /// How long each further one may take.
    pub(super) between: Duration,
}

/// The pieces of a streamed answer. Time counts only while the next piece is waited for, so a slow
/// reader is not taken for a slow provider.
pub(super) struct Chunks {
    reader: StreamReader,
    body: Incoming,
    decoder: Decoder,
    progress: Progress,
    fault: Option<DecodeError>,
    pace: Pace,
    /// When the bytes that are waited for must be there, if the answer has begun.
    wait_until: Option<Instant>,
    alarm: Alarm,
    end: End,
}

/// Whether more may come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Ahead,
    Reached,
}

impl Stream for Chunks {
    type Item = Result<Chunk, Failure>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let chunks = self.get_mut();
        if chunks.end == End::Reached {
            return Poll::Ready(None);
        }
        let next = ready!(chunks.poll_chunk(context));
        if !matches!(next, Ok(Some(_))) {
            chunks.end = End::Reached;
        }
        Poll::Ready(next.transpose())
    }
}

/// How far an answer has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Nothing has come.
    Silent,
    /// A piece has come.
    Speaking,
    /// A piece has said why the answer ends, so the stream may end without a word.
    Finished,
}

/// What an event came to.
enum Heard {
    Chunk(Chunk),
    Nothing,
    End,
}

impl Chunks {
    /// What this reply will bring.
    pub(super) fn of(reply: Response, reader: StreamReader, pace: Pace) -> Self {
        Self {
            reader,
            body: reply.into_body(),
            decoder: Decoder::default(),
            progress: Progress::Silent,
            fault: None,
            pace,
            wait_until: None,
            alarm: Alarm::at(pace.first_until),
            end: End::Ahead,
        }
    }

    /// The next piece; nothing after the last.
    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Chunk>, Failure>> {
        loop {
            if let Some(data) = self.decoder.next_event() {
                match self.read(data)? {
                    Heard::Chunk(chunk) => return Poll::Ready(Ok(Some(chunk))),
                    Heard::End => return Poll::Ready(Ok(None)),
                    Heard::Nothing => continue,
                }
            }
            if let Some(error) = self.fault {
                return Poll::Ready(Err(malformed(&error)));
            }
            match ready!(self.poll_in_time(context))? {
                // What was whole before the fault comes first.
                Some(Ok(bytes)) => self.fault = self.decoder.push(&bytes).err(),
                Some(Err(error)) => return Poll::Ready(self.broken(&error)),
                None => return Poll::Ready(self.ended()),
            }
        }
    }

    /// The next bytes. Any of them show that the provider is there: some send nothing but signs of life
    /// while their model thinks. But an answer that never begins is not waited for any longer.
    fn poll_in_time(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Result<Bytes, hyper::Error>>, Failure>> {
        if let Poll::Ready(bytes) = poll_bytes(&mut self.body, context) {
            self.wait_until = None;
            return Poll::Ready(Ok(bytes));
        }
        let pace = self.pace;
        let until = match self.progress {
            Progress::Silent => pace.first_until,
            Progress::Speaking | Progress::Finished => *self
                .wait_until
                .get_or_insert_with(|| deadline_in(pace.between)),
        };
        ready!(self.alarm.poll_until(until, context));
        Poll::Ready(match self.progress {
            Progress::Silent => Err(too_slow(FailoverReason::TimeoutFirstToken)),
            Progress::Speaking => Err(too_slow(FailoverReason::TimeoutBetweenTokens)),
            // The answer is whole; only the count of its tokens may be missing.
            Progress::Finished => Ok(None),
        })
    }

    fn read(&mut self, data: String) -> Result<Heard, Failure> {
        let event = self
            .reader
            .read(data)
            .map_err(|problem| malformed(&problem))?;
        match event {
            StreamEvent::Chunk(chunk) => {
                self.note(&chunk);
                Ok(Heard::Chunk(chunk))
            }
            StreamEvent::Idle => Ok(Heard::Nothing),
            StreamEvent::Done => Ok(Heard::End),
            StreamEvent::Failed(message) => Err(Failure::unavailable(
                FailoverReason::StreamCut,
                format!("the provider gave up in its stream: {message}"),
            )),
        }
    }

    fn note(&mut self, chunk: &Chunk) {
        self.progress = match (self.progress, &chunk.finish) {
            (Progress::Finished, _) | (_, Some(_)) => Progress::Finished,
            (Progress::Silent | Progress::Speaking, None) => Progress::Speaking,
        };
    }

    /// What it means that the stream is over without having said so.
    fn ended(&self) -> Result<Option<Chunk>, Failure> {
        match self.progress {
            Progress::Finished => Ok(None),
            Progress::Silent | Progress::Speaking => Err(Failure::unavailable(
                FailoverReason::StreamCut,
                "the provider's stream ended before its answer did".to_owned(),
            )),
        }
    }

    fn broken(&self, error: &hyper::Error) -> Result<Option<Chunk>, Failure> {
        let reason = match self.progress {
            Progress::Silent => FailoverReason::Reset,
            Progress::Speaking => FailoverReason::StreamCut,
            Progress::Finished => return Ok(None),
        };
        let message = format!("the provider's stream broke: {}", causes(error));
        Err(Failure::unavailable(reason, message))
    }
}

fn malformed(problem: &dyn std::fmt::Display) -> Failure {
    let message = format!("the provider's stream cannot be read: {problem}");
    Failure::unavailable(FailoverReason::Malformed, message)
}

fn too_slow(reason: FailoverReason) -> Failure {
    Failure::unavailable(reason, "the provider's stream stalled".to_owned())
}
