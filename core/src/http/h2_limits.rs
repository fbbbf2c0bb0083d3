//! Limits of HTTP/2 beside [`Limits`](crate::Limits), and its clock.
use crate::engine::WorkerState;
use hyper::rt::{Sleep, Timer};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

/// Streams that the client reset before they were accepted: "rapid reset", CVE-2023-44487. This is
/// h2's own value.
pub(super) const PENDING_RESETS: usize = 20;
/// Streams that the client made the server reset or refuse, and frames of reset streams that h2 has
/// forgotten: "made you reset", CVE-2025-8671. The limit is for a connection's whole life, which a
/// proxy may share among many clients. So it is four times h2's own value. A client that reads none
/// of the answers makes the server hold 3 MB.
pub(super) const ERROR_RESETS: usize = 4096;
/// How long a client may take to answer a PING.
pub(super) const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// The worker's clock for hyper, which has to own a timer. Hyper measures answers to PING by it. If
/// the process was paused, the wait is extended, like every other timeout.
pub(super) struct Clock(pub(super) Arc<WorkerState>);

impl Timer for Clock {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, at: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(ExtendedSleep {
            inner: self.0.timer().sleep_until(at),
            at,
            worker: Arc::clone(&self.0),
        })
    }

    fn now(&self) -> Instant {
        self.0.now()
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn Sleep>>, at: Instant) {
        match sleep.as_mut().downcast_mut_pin::<ExtendedSleep>() {
            Some(mut patient) => patient.reset(at),
            None => *sleep = self.sleep_until(at),
        }
    }
}

/// A sleep that is extended if its end was noticed late.
struct ExtendedSleep {
    inner: Pin<Box<dyn Sleep>>,
    at: Instant,
    worker: Arc<WorkerState>,
}

impl ExtendedSleep {
    fn reset(&mut self, at: Instant) {
        self.at = at;
        self.worker.timer().reset(&mut self.inner, at);
    }
}

impl Future for ExtendedSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.inner.as_mut().poll(cx));
            let now = self.worker.now();
            let at = self.worker.catch_up(self.at, now);
            if at <= now {
                return Poll::Ready(());
            }
            self.reset(at);
        }
    }
}

impl Sleep for ExtendedSleep {}
