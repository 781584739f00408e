//! Server-sent events: bytes to events and back.
//!
//! The decoder takes bytes as they come off the network, cut anywhere, and gives the data of whole
//! events. Every byte is looked at once, whatever the cuts, so a sender who dribbles costs no more
//! than one who does not. Of an event only its data counts here; names, ids and retry hints are
//! passed over, since no format that semroute speaks needs them to understand the data.

use std::collections::VecDeque;

use memchr::memchr2;

/// The longest data of one event, and the longest line. A whole answer that a provider sends in one
/// event, an image in base64 within, stays below; more is a sender out of control.
pub const EVENT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What a sender may put before the first line.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Bytes that are no stream of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// An event goes past the bound.
    #[error("an event of the stream is longer than {EVENT_BYTES_MAX} bytes")]
    TooLong,
    /// An event's data is not UTF-8.
    #[error("an event of the stream is not UTF-8")]
    NotUtf8,
}

/// Reads a stream of events, piece by piece. After an error it gives nothing more.
#[derive(Debug, Default)]
pub struct Decoder {
    /// The line that has begun and not yet ended.
    line: Vec<u8>,
    /// The data of the event that has begun and not yet ended, line feeds between its lines.
    data: Option<Vec<u8>>,
    /// Whole events that nobody has taken.
    ready: VecDeque<String>,
    /// Whether the first line is over.
    is_begun: bool,
    /// Whether the last byte was a carriage return: a line feed right after it ends no second line.
    after_return: bool,
    /// Whether there was an error.
    is_broken: bool,
}

impl Decoder {
    /// Takes the next bytes. Events that were whole before an error can still be taken.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        if self.is_broken {
            return Ok(());
        }
        let pushed = self.push_lines(bytes);
        self.is_broken = pushed.is_err();
        pushed
    }

    /// The data of the next whole event. An event that the end of the stream cuts off is none.
    pub fn next_event(&mut self) -> Option<String> {
        self.ready.pop_front()
    }

    fn push_lines(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        let mut rest = bytes;
        if self.after_return && !rest.is_empty() {
            self.after_return = false;
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        while let Some(end) = memchr2(b'\n', b'\r', rest) {
            self.end_line(&rest[..end])?;
            let line_end = rest[end];
            rest = &rest[end + 1..];
            if line_end == b'\r' {
                self.after_return = rest.is_empty();
                rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            }
        }
        self.extend_line(rest)
    }

    fn extend_line(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        if EVENT_BYTES_MAX < self.line.len() + bytes.len() {
            return Err(DecodeError::TooLong);
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    /// Takes the rest of a line. One that came in one piece, as most do, is read where it stands.
    fn end_line(&mut self, rest: &[u8]) -> Result<(), DecodeError> {
        if self.line.is_empty() && rest.len() <= EVENT_BYTES_MAX {
            return self.read_line(rest);
        }
        self.extend_line(rest)?;
        let mut line = std::mem::take(&mut self.line);
        self.read_line(&line)?;
        line.clear();
        self.line = line;
        Ok(())
    }

    fn read_line(&mut self, line: &[u8]) -> Result<(), DecodeError> {
        let mut line = line;
        if !self.is_begun {
            self.is_begun = true;
            line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
        }
        if line.is_empty() {
            return self.end_event();
        }
        match (data_of(line), &mut self.data) {
            (None, _) => {}
            (Some(value), None) => self.data = Some(value.to_vec()),
            (Some(value), Some(data)) => {
                if EVENT_BYTES_MAX < data.len() + 1 + value.len() {
                    return Err(DecodeError::TooLong);
                }
                data.push(b'\n');
                data.extend_from_slice(value);
            }
        }
        Ok(())
    }

    fn end_event(&mut self) -> Result<(), DecodeError> {
        // An event without data is no event.
        let Some(data) = self.data.take() else {
            return Ok(());
        };
        let data = String::from_utf8(data).map_err(|_| DecodeError::NotUtf8)?;
        self.ready.push_back(data);
        Ok(())
    }
}

/// The value of a line of data; nothing for a comment or another field.
fn data_of(line: &[u8]) -> Option<&[u8]> {
    let value = match line.strip_prefix(b"data")? {
        [] => &[],
        [b':', b' ', value @ ..] | [b':', value @ ..] => value,
        _ => return None,
    };
    Some(value)
}

/// The text of one event with this data.
pub fn event(data: &str) -> String {
    written("data: ", data)
}

/// The text of a comment, which readers skip.
pub fn comment(text: &str) -> String {
    written(": ", text)
}

/// A text whose every line begins so, and an empty line.
fn written(start: &str, text: &str) -> String {
    let mut written = String::with_capacity(start.len() + text.len() + "\n\n".len());
    let mut write = |line: &str| {
        written.push_str(start);
        written.push_str(line);
        written.push('\n');
    };
    if memchr2(b'\n', b'\r', text.as_bytes()).is_none() {
        write(text);
    } else {
        lines(text).for_each(write);
    }
    written.push('\n');
    written
}

/// The lines of a text, by any of the three ends that a reader would take for one.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n')
        .map(|line| line.strip_suffix('\r').unwrap_or(line))
        .flat_map(|line| line.split('\r'))
}

#[cfg(test)]
mod tests;
