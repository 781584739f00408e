//! Reading a provider's reply, bounded in size and time.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, Stream};
use hyper::body::{Body, Incoming};
use tokio::time::{Instant, timeout, timeout_at};

use crate::domain::chat::Chunk;
use crate::domain::event::{FailoverReason, Failure};
use crate::provider::caller::causes;
use crate::provider::caller::client::{Response, next_bytes};
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
pub(super) fn chunks(
    reader: StreamReader,
    reply: Response,
    pace: Pace,
) -> impl Stream<Item = Result<Chunk, Failure>> + Send + 'static {
    let reading = Reading {
        reader,
        body: reply.into_body(),
        decoder: Decoder::default(),
        progress: Progress::Silent,
        fault: None,
    };
    stream::try_unfold(reading, move |mut reading| async move {
        let chunk = reading.next_chunk_in_time(pace).await?;
        Ok(chunk.map(|chunk| (chunk, reading)))
    })
}

/// A streamed answer that is being read.
struct Reading {
    reader: StreamReader,
    body: Incoming,
    decoder: Decoder,
    progress: Progress,
    fault: Option<DecodeError>,
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

impl Reading {
    /// The next piece; nothing after the last. It may be dropped while it waits: what was read by
    /// then is kept.
    async fn next_chunk_in_time(&mut self, pace: Pace) -> Result<Option<Chunk>, Failure> {
        loop {
            if let Some(data) = self.decoder.next_event() {
                match self.read(data)? {
                    Heard::Chunk(chunk) => return Ok(Some(chunk)),
                    Heard::End => return Ok(None),
                    Heard::Nothing => continue,
                }
            }
            if let Some(error) = self.fault {
                return Err(malformed(&error));
            }
            match self.bytes_in_time(pace).await? {
                // What was whole before the fault comes first.
                Some(Ok(bytes)) => self.fault = self.decoder.push(&bytes).err(),
                Some(Err(error)) => return self.broken(&error),
                None => return self.ended(),
            }
        }
    }

    /// The next bytes. Any of them show that the provider is there: some send nothing but signs of life
    /// while their model thinks. But an answer that never begins is not waited for any longer.
    async fn bytes_in_time(
        &mut self,
        pace: Pace,
    ) -> Result<Option<Result<Bytes, hyper::Error>>, Failure> {
        let next = next_bytes(&mut self.body);
        match self.progress {
            Progress::Silent => timeout_at(pace.first_until, next)
                .await
                .map_err(|_| too_slow(FailoverReason::TimeoutFirstToken)),
            Progress::Speaking => timeout(pace.between, next)
                .await
                .map_err(|_| too_slow(FailoverReason::TimeoutBetweenTokens)),
            // The answer is whole; only the count of its tokens may be missing.
            Progress::Finished => Ok(timeout(pace.between, next).await.unwrap_or(None)),
        }
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
