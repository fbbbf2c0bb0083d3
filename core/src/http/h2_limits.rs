//! What HTTP/2 is held to, beside [`Limits`](crate::Limits), and its clock.
use crate::runtime::SharedTimer;
use hyper::rt::{Sleep, Timer};
use std::{
    pin::Pin,
    time::{Duration, Instant},
};

/// Streams that the peer reset before they were accepted: "rapid reset", CVE-2023-44487. h2's own value.
pub(super) const PENDING_RESETS: usize = 20;
/// Streams that the peer made us reset: "made you reset", CVE-2025-8671. A quarter of h2's own value.
pub(super) const ERROR_RESETS: usize = 256;
/// How long a peer may take to answer a ping.
pub(super) const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// The worker's clock for hyper, which wants to own one.
pub(super) struct Clock(pub(super) SharedTimer);

impl Timer for Clock {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.0.sleep(duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        self.0.sleep_until(deadline)
    }

    fn now(&self) -> Instant {
        self.0.now()
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn Sleep>>, new_deadline: Instant) {
        self.0.reset(sleep, new_deadline);
    }
}
