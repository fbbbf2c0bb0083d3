//! Futures with a deadline, and a timer that is polled only when it has fired.
use crate::error::ErrorKind;
use anyport_core::runtime::SharedTimer;
use hyper::rt::Sleep;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

/// When a step of a request is late, and which timeout that is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    pub(crate) kind: ErrorKind,
    pub(crate) limit: Duration,
    /// `None` is never.
    pub(crate) end: Option<Instant>,
}

impl Deadline {
    /// A deadline that is `limit` from now. `Duration::MAX` is none.
    #[inline]
    pub(crate) fn after(timer: &SharedTimer, kind: ErrorKind, limit: Duration) -> Self {
        let end = match limit {
            Duration::MAX => None,
            _ => timer.now().checked_add(limit),
        };
        Self { kind, limit, end }
    }

    /// The earlier one of both.
    pub(crate) fn or(self, other: Self) -> Self {
        match (self.end, other.end) {
            (_, None) => self,
            (Some(end), Some(others)) if end <= others => self,
            _ => other,
        }
    }
}

/// The earlier one of two times. `None` is never.
pub(crate) fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    [one, other].into_iter().flatten().min()
}

/// The output of a future, or `None` at its end. `None` as the end is never. No timer is made
/// before the future is pending.
pub(crate) fn until<F: Future>(
    timer: &SharedTimer,
    end: Option<Instant>,
    future: F,
) -> Until<'_, F> {
    Until {
        timer,
        end,
        sleep: None,
        future,
    }
}

pin_project_lite::pin_project! {
    /// The future of [`until`]. As an `async fn`, it would hold the inner future twice: as its
    /// argument, and pinned.
    pub(crate) struct Until<'a, F> {
        timer: &'a SharedTimer,
        end: Option<Instant>,
        sleep: Option<Pin<Box<dyn Sleep>>>,
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for Until<'_, F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.future.poll(cx) {
            return Poll::Ready(Some(output));
        }
        let Some(end) = *this.end else {
            return Poll::Pending;
        };
        let sleep = this
            .sleep
            .get_or_insert_with(|| this.timer.sleep_until(end));
        sleep.as_mut().poll(cx).map(|()| None)
    }
}

/// A timer with a waker of its own.
#[derive(Default)]
pub(crate) struct Alarm {
    sleep: Option<Pin<Box<dyn Sleep>>>,
}

impl Alarm {
    /// Sets the time. `None` is never. The waker is woken then, or at once if it has passed.
    pub(crate) fn set(&mut self, timer: &SharedTimer, at: Option<Instant>, waker: &Waker) {
        let Some(at) = at else {
            self.sleep = None;
            return;
        };
        let sleep = match &mut self.sleep {
            Some(sleep) => {
                timer.reset(sleep, at);
                sleep
            }
            none => none.insert(timer.sleep_until(at)),
        };
        let cx = &mut Context::from_waker(waker);
        if sleep.as_mut().poll(cx).is_ready() {
            waker.wake_by_ref();
        }
    }
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alarm")
            .field("is_set", &self.sleep.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earlier_deadline_counts_and_none_is_never() {
        let now = Instant::now();
        let at = |kind, seconds: Option<u64>| Deadline {
            kind,
            limit: Duration::MAX,
            end: seconds.map(|seconds| now + Duration::from_secs(seconds)),
        };
        for (head, whole, kind) in [
            (None, None, ErrorKind::HeadTimeout),
            (Some(1), None, ErrorKind::HeadTimeout),
            (None, Some(1), ErrorKind::Timeout),
            (Some(1), Some(2), ErrorKind::HeadTimeout),
            (Some(2), Some(1), ErrorKind::Timeout),
            (Some(1), Some(1), ErrorKind::HeadTimeout),
        ] {
            let head = at(ErrorKind::HeadTimeout, head);
            let earlier = head.or(at(ErrorKind::Timeout, whole));
            assert_eq!(earlier.kind, kind, "{head:?}");
        }
    }
}
