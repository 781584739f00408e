//! A connection that gives up when its client stops reading.
//!
//! Without it such a client would be bounded by nothing: its answer, the call of its provider and the open
//! record would stay for as long as it likes. TCP does not help, since the client's system goes on to say that
//! it is there. The timer is only set while a write waits, so a client that reads pays nothing for it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// The longest that a write to a client may wait. It is what nginx (`send_timeout`) grants too: the system holds
/// megabytes for a client that pauses, so one that makes a write wait is far behind, and networks that fail for so
/// long lose the connection anyway. A write gets on when the client has taken a good part of those megabytes, not
/// with every byte.
pub(super) const TAKE_WAIT_MAX: Duration = Duration::from_mins(1);

/// A socket whose writes fail if none gets on for so long.
#[derive(Debug)]
pub(super) struct Impatient<S> {
    socket: S,
    /// Rings when the write that waits has waited too long.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl<S> Impatient<S> {
    pub(super) const fn new(socket: S) -> Self {
        Self {
            socket,
            alarm: None,
        }
    }
}

impl<S: AsyncWrite + Unpin> Impatient<S> {
    /// Does something with the socket, which may take so long and no longer.
    fn in_time<T>(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        act: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let this = self.get_mut();
        let done = act(Pin::new(&mut this.socket), context);
        if done.is_ready() {
            this.alarm = None;
            return done;
        }
        let alarm = this
            .alarm
            .get_or_insert_with(|| Box::pin(sleep(TAKE_WAIT_MAX)));
        ready!(alarm.as_mut().poll(context));
        tracing::info!(
            "nothing could be written to a client for {TAKE_WAIT_MAX:?}: its connection is closed"
        );
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Impatient<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Impatient<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.in_time(context, |socket, context| socket.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.in_time(context, |socket, context| {
            socket.poll_write_vectored(context, slices)
        })
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.in_time(context, AsyncWrite::poll_flush)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.in_time(context, AsyncWrite::poll_shutdown)
    }
}

#[cfg(test)]
mod tests;
