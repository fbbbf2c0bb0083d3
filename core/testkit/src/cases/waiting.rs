//! Futures that wait for the end of a server, or for its drain: each is woken, and leaves nothing
//! behind.
use crate::{
    app::script::Script,
    harness::{case::cases, site::Site},
};
use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Wake, Waker},
    time::{Duration, Instant},
};

cases![
    a_dropped_wait_leaves_nothing_behind,
    a_wait_keeps_its_latest_waker_alone,
    a_drain_is_told_to_one_of_several_futures,
];

/// Wakes nobody; what counts is how many of it there are.
struct Nobody;

impl Wake for Nobody {
    fn wake(self: Arc<Self>) {}
}

async fn a_dropped_wait_leaves_nothing_behind(site: Site) {
    let server = site.serve();
    let nobody = Arc::new(Nobody);
    let waker = Waker::from(Arc::clone(&nobody));
    let before = Arc::strong_count(&nobody);
    for _ in 0..100 {
        let wait = pin!(server.handle.wait());
        assert!(wait.poll(&mut Context::from_waker(&waker)).is_pending());
    }
    assert_eq!(Arc::strong_count(&nobody), before, "some are kept");
}

async fn a_wait_keeps_its_latest_waker_alone(site: Site) {
    let server = site.serve();
    let (first, second) = (Arc::new(Nobody), Arc::new(Nobody));
    let mut wait = pin!(server.handle.wait());
    for nobody in [&first, &second] {
        let waker = Waker::from(Arc::clone(nobody));
        for _ in 0..10 {
            assert!(
                wait.as_mut()
                    .poll(&mut Context::from_waker(&waker))
                    .is_pending()
            );
        }
    }
    assert_eq!(Arc::strong_count(&first), 1, "nobody waits there any more");
    assert_eq!(Arc::strong_count(&second), 2, "kept once");
}

async fn a_drain_is_told_to_one_of_several_futures(site: Site) {
    let grace = Duration::from_secs(30);
    let server = site.raw(Script::Goodbye);
    let mut client = server.client().await;
    assert_eq!(client.exactly(5).await.unwrap(), "hello");
    let begin = Instant::now();
    let ended = server.handle.shutdown(grace);
    assert_eq!(client.rest().await, "bye");
    assert_eq!(ended.await.unwrap().aborted, 0);
    assert!(begin.elapsed() < grace / 2, "{:?}", begin.elapsed());
}
