//! Futures that wait for the end of a server or for its drain: they complete, and leave no waker
//! behind.
use crate::{
    app::script::Script,
    harness::{any_subject::AnySubject, case::cases},
};
use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Wake, Waker},
    time::{Duration, Instant},
};

cases![
    dropped_wait_future_leaves_no_waker,
    wait_future_keeps_only_its_latest_waker,
    drain_wakes_a_future_with_its_own_waker,
];

/// Does nothing when woken. Its reference count shows how many wakers exist.
struct NoopWaker;

impl Wake for NoopWaker {
    fn wake(self: Arc<Self>) {}
}

async fn dropped_wait_future_leaves_no_waker(subject: AnySubject) {
    let server = subject.serve();
    let waker_state = Arc::new(NoopWaker);
    let waker = Waker::from(Arc::clone(&waker_state));
    let before = Arc::strong_count(&waker_state);
    for _ in 0..100 {
        let wait = pin!(server.handle.wait());
        assert!(wait.poll(&mut Context::from_waker(&waker)).is_pending());
    }
    assert_eq!(
        Arc::strong_count(&waker_state),
        before,
        "expected no waker of a dropped future"
    );
}

async fn wait_future_keeps_only_its_latest_waker(subject: AnySubject) {
    let server = subject.serve();
    let (first, second) = (Arc::new(NoopWaker), Arc::new(NoopWaker));
    let mut wait = pin!(server.handle.wait());
    for waker_state in [&first, &second] {
        let waker = Waker::from(Arc::clone(waker_state));
        for _ in 0..10 {
            assert!(
                wait.as_mut()
                    .poll(&mut Context::from_waker(&waker))
                    .is_pending()
            );
        }
    }
    assert_eq!(
        Arc::strong_count(&first),
        1,
        "references to the first waker, which the second one replaced"
    );
    assert_eq!(
        Arc::strong_count(&second),
        2,
        "references to the latest waker"
    );
}

async fn drain_wakes_a_future_with_its_own_waker(subject: AnySubject) {
    let grace = Duration::from_secs(30);
    let server = subject.raw(Script::ByeOnDrain);
    let mut client = server.client().await;
    assert_eq!(client.exactly(5).await.unwrap(), "hello");
    let begin = Instant::now();
    let ended = server.handle.shutdown(grace);
    assert_eq!(client.read_to_close().await, "bye");
    assert_eq!(ended.await.unwrap().aborted, 0);
    assert!(begin.elapsed() < grace / 2, "{:?}", begin.elapsed());
}
