//! The lingering close. After the last response, the client may still be sending. Closing at once
//! would reset the connection, and the client would lose what it has not read yet (RFC 9112 9.6).
use super::{ConnState, Stage};
use crate::transport::Connection;
use hyper::rt::ReadBuf;
use std::{
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

/// How long a client may send nothing without closing its end.
const QUIET: Duration = Duration::from_secs(2);

/// How long a client may go on sending.
const LONGEST: Duration = Duration::from_secs(30);

/// How many bytes one read discards.
const READ: usize = 8192;

/// How many reads there are before other tasks are polled.
const READS: usize = 16;

/// A connection whose sending half has been shut down, and which waits for the client's end.
pub(super) struct Linger {
    until: Instant,
    latest: Instant,
}

impl Linger {
    pub(super) fn begin(state: &ConnState) -> Self {
        state.flags.begin_lingering();
        let now = state.now();
        Self {
            until: now + QUIET,
            latest: now + LONGEST,
        }
    }

    /// Discards what the client sends. Ready when the client has closed its end, or its time is
    /// over.
    pub(super) fn poll<C: Connection>(
        &mut self,
        mut io: Pin<&mut C>,
        state: &ConnState,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let now = state.now();
        let mut scratch = [const { MaybeUninit::uninit() }; READ];
        for _ in 0..READS {
            let mut buf = ReadBuf::uninit(&mut scratch);
            match io.as_mut().poll_read(cx, buf.unfilled()) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {
                    // Lingering does not delay a drain.
                    if state.stage() == Stage::Serving {
                        self.until = self.latest.min(now + QUIET);
                    }
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => {
                    let until = state.worker.catch_up(self.until, now);
                    if now >= until {
                        return Poll::Ready(());
                    }
                    state.wake_at(Some(until));
                    return Poll::Pending;
                }
            }
        }
        if now >= self.until {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
