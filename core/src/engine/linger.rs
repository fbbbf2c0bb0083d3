//! The lingering close: who has been told all there is may be sending still. Closing at once would
//! reset the connection, and with it what the peer hasn't read yet (RFC 9112 9.6).
use super::{ConnState, Stage};
use crate::transport::Connection;
use hyper::rt::ReadBuf;
use std::{
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

/// How long a peer may send nothing, and not close its end either.
const QUIET: Duration = Duration::from_secs(2);

/// How long a peer may go on sending.
const LONGEST: Duration = Duration::from_secs(30);

/// How much is thrown away by one read.
const READ: usize = 8192;

/// How many reads there are before others get their turn.
const READS: usize = 16;

/// A connection whose sending half has been shut down, and whose peer is waited for.
pub(super) struct Linger {
    until: Instant,
    latest: Instant,
}

impl Linger {
    pub(super) fn begin(state: &ConnState) -> Self {
        state.begin_lingering();
        let now = state.now();
        Self {
            until: now + QUIET,
            latest: now + LONGEST,
        }
    }

    /// Throws away what the peer sends. Ready when it has closed its end, or has had the time for
    /// it.
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
                    // A drain isn't held up by it.
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
