//! The signals of a server whose runtime is not tokio, started on a thread that is outside of
//! tokio.
#![cfg(all(unix, feature = "shutdown"))]

use anyport_core::runtime::shutdown;
use rustix::process::{Signal, getpid, kill_process};
use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

const TIMEOUT: Duration = Duration::from_secs(60);

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Signals belong to the whole process, so one test covers them. If it fails, the signal may end
/// the process.
#[test]
fn a_signal_after_the_first_poll_wakes_the_task() {
    let mut asked = pin!(shutdown::signal());
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&waker);
    assert!(asked.as_mut().poll(&mut cx).is_pending());
    kill_process(getpid(), Signal::TERM).unwrap();
    let by = Instant::now() + TIMEOUT;
    while asked.as_mut().poll(&mut cx).is_pending() {
        assert!(Instant::now() < by, "the signal was not noticed");
        thread::park_timeout(TIMEOUT);
    }
}
