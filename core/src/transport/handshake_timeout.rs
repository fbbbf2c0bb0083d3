//! A timeout within a handshake, without a timer of its own in a server.
use crate::runtime::SharedTimer;
use hyper::rt::Sleep;
use std::{
    cell::Cell,
    fmt,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

thread_local! {
    /// The request of the handshake that is being polled on this thread to its server.
    static REQUEST: Cell<Request> = const { Cell::new(Request::NoServer) };
}

#[derive(Clone, Copy)]
enum Request {
    /// No server polls the handshake.
    NoServer,
    None,
    WakeAt(Instant),
}

/// Polls a handshake for a server. Also returns the latest time of the next poll, if the handshake
/// requested one.
pub(crate) fn poll_in_server<T>(poll: impl FnOnce() -> T) -> (T, Option<Instant>) {
    /// Restores the previous request, also after a panic.
    struct Restore(Request);
    impl Drop for Restore {
        fn drop(&mut self) {
            REQUEST.set(self.0);
        }
    }
    let _restore = Restore(REQUEST.replace(Request::None));
    let polled = poll();
    match REQUEST.get() {
        Request::WakeAt(at) => (polled, Some(at)),
        Request::NoServer | Request::None => (polled, None),
    }
}

/// A timeout within a [handshake](crate::Listener::Handshake), such as that of a PROXY header.
///
/// A worker of a server has one queue of deadlines for all its connections. This timeout uses that
/// queue, so it allocates nothing. If no server polls the handshake, the timeout makes a timer.
///
/// The server's own timeout for handshakes applies as well.
#[derive(Default)]
pub struct HandshakeTimeout {
    deadline: Option<Instant>,
    sleep: Option<Pin<Box<dyn Sleep>>>,
}

impl HandshakeTimeout {
    /// Ready once `timeout` has passed since the first poll. Otherwise, the task is woken at that
    /// time.
    ///
    /// # Contract
    ///
    /// Call it in each poll of the handshake that returns `Pending`, with the worker's timer
    /// ([`Runtime::timer`](crate::runtime::Runtime::timer)).
    pub fn poll(
        &mut self,
        timeout: Duration,
        timer: &SharedTimer,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let now = timer.now();
        let deadline = match self.deadline {
            Some(deadline) => deadline,
            None => match now.checked_add(timeout) {
                Some(deadline) => *self.deadline.insert(deadline),
                None => return Poll::Pending,
            },
        };
        if now >= deadline {
            return Poll::Ready(());
        }
        match REQUEST.get() {
            Request::NoServer => {
                let sleep = self
                    .sleep
                    .get_or_insert_with(|| timer.sleep_until(deadline));
                return sleep.as_mut().poll(cx);
            }
            Request::WakeAt(earlier) if earlier <= deadline => {}
            Request::None | Request::WakeAt(_) => REQUEST.set(Request::WakeAt(deadline)),
        }
        Poll::Pending
    }
}

impl fmt::Debug for HandshakeTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HandshakeTimeout")
            .field(&self.deadline)
            .finish()
    }
}

#[cfg(all(test, feature = "tokio"))]
mod tests {
    use super::*;
    use crate::runtime::{Runtime, Tokio};
    use std::future::poll_fn;

    const TIMEOUT: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn server_is_asked_for_the_earliest_wake_up() {
        let timer = Tokio::current().timer();
        let mut timeouts = [HandshakeTimeout::default(), HandshakeTimeout::default()];
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let mut poll = |shortest: Duration| {
            poll_in_server(|| {
                let polled = timeouts
                    .iter_mut()
                    .zip([2 * shortest, shortest])
                    .map(|(timeout, after)| timeout.poll(after, &timer, &mut cx).is_ready());
                polled.collect::<Vec<_>>()
            })
        };
        let begin = timer.now();
        let wanted = (vec![false, false], Some(begin + TIMEOUT));
        assert_eq!(poll(TIMEOUT), wanted);
        tokio::time::advance(TIMEOUT).await;
        let wanted = (vec![false, true], Some(begin + 2 * TIMEOUT));
        assert_eq!(poll(TIMEOUT), wanted);
        assert_eq!(poll_in_server(|| ()).1, None, "of another handshake");
    }

    #[tokio::test(start_paused = true)]
    async fn handshake_without_a_server_has_a_timer() {
        let timer = Tokio::current().timer();
        let begin = timer.now();
        let mut timeout = HandshakeTimeout::default();
        poll_fn(|cx| timeout.poll(TIMEOUT, &timer, cx)).await;
        assert!(timer.now() - begin >= TIMEOUT);
    }
}
