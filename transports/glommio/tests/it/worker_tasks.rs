//! A worker's tasks: wakes, timers, where they end, and several transports that drain as one
//! server.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use crate::fixture::{GRACE, connect, get, hello, one_worker, wait_until};
use anyport_core::{
    Body, Handle, Runtime, protocol::Accepted, runtime::spawn, serve_raw_with, serve_with,
};
use anyport_glommio::{Glommio, GlommioConnection, GlommioPerCore};
use http::{Request, Response};
use std::{
    cell::Cell,
    future::{pending, poll_fn},
    rc::Rc,
    sync::mpsc,
    task::Poll,
    thread,
    time::Duration,
};
use tower::service_fn;

async fn shut_down(handle: &Handle) {
    handle.shutdown(GRACE).await.unwrap();
}

async fn sleep(duration: Duration) {
    let timer = GlommioPerCore::current().timer();
    timer.sleep(duration).await;
}

/// The wakes hit the worker while it runs, while it falls asleep and while it wakes up. A wake by
/// glommio itself from another thread may be lost while the worker falls asleep. The task then
/// never runs.
pub(crate) async fn wake_from_another_thread_is_not_lost() {
    const TIMES: usize = 30_000;
    let (wake, to_wake) = mpsc::channel::<(tokio::sync::oneshot::Sender<()>, u32)>();
    let other = thread::spawn(move || {
        for (wake, after) in to_wake {
            for _ in 0..after {
                std::hint::spin_loop();
            }
            let _ = wake.send(());
        }
    });
    let (tx, rx) = mpsc::channel();
    let handler = move |_: Accepted<GlommioConnection>| {
        let (wake, tx) = (wake.clone(), tx.clone());
        async move {
            for n in 0..TIMES {
                let (send, wait) = tokio::sync::oneshot::channel();
                wake.send((send, (n % 97 * 7) as u32)).unwrap();
                for _ in 0..n % 13 {
                    yield_now().await;
                }
                wait.await.unwrap();
            }
            tx.send(()).unwrap();
        }
    };
    let handle = serve_raw_with(one_worker(), handler).start().unwrap();
    let _client = connect(&handle);
    rx.recv_timeout(crate::fixture::TIMEOUT).unwrap();
    handle.abort().await.unwrap();
    other.join().unwrap();
}

/// Yields to the other tasks once.
async fn yield_now() {
    let mut is_over = false;
    poll_fn(|cx| {
        if is_over {
            return Poll::Ready(());
        }
        is_over = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

pub(crate) async fn pending_tasks_are_dropped_on_their_worker_thread() {
    struct DropReporter(mpsc::Sender<Option<String>>);
    impl Drop for DropReporter {
        fn drop(&mut self) {
            let _ = self.0.send(thread::current().name().map(str::to_owned));
        }
    }
    let (tx, rx) = mpsc::channel();
    let handler = move |_: Accepted<GlommioConnection>| {
        let reporter = (DropReporter(tx.clone()), Rc::new(Cell::new(0)));
        async move {
            let _reporter = reporter;
            pending().await
        }
    };
    let handle = serve_raw_with(one_worker(), handler).start().unwrap();
    let _client = connect(&handle);
    wait_until("the connection is accepted", || handle.connections() == 1);
    handle.abort().await.unwrap();
    let name = rx.recv_timeout(crate::fixture::TIMEOUT).unwrap();
    assert_eq!(name.as_deref(), Some("anyport-0"));
}

/// Two transports are two executors, but one server and one drain.
pub(crate) async fn server_with_two_transports_drains_as_one() {
    let server = serve_with(one_worker(), hello()).and(one_worker(), hello());
    let handle = server.start().unwrap();
    assert_eq!(handle.endpoints().len(), 2);
    assert_eq!(get(&handle, "/").unwrap(), "Hello");
    shut_down(&handle).await;
}

/// Each executor locks little memory, so that many of them fit into the default limit.
pub(crate) async fn thirty_two_workers_fit_into_the_default_memlock_limit() {
    let glommio = Glommio::bind("127.0.0.1:0").with_workers(32);
    let handle = serve_with(glommio, hello()).start().unwrap();
    for _ in 0..64 {
        assert_eq!(get(&handle, "/").unwrap(), "Hello");
    }
    shut_down(&handle).await;
}

/// A timer that is due first is set while the worker waits for another one, and the other way
/// round.
pub(crate) async fn timers_fire_in_order() {
    let (tx, rx) = mpsc::channel();
    let app = service_fn(move |request: Request<Body>| {
        let tx = tx.clone();
        async move {
            let unit: u32 = request.uri().path()[1..].parse().unwrap();
            for units in [60_000, 80, 20, 50, 1] {
                let tx = tx.clone();
                spawn(async move {
                    sleep(unit * units * Duration::from_millis(1)).await;
                    let _ = tx.send(units);
                })?;
            }
            Ok::<_, anyport_core::Error>(Response::new(Body::from("Hello")))
        }
    });
    let handle = serve_with(one_worker(), app).start().unwrap();
    // On a busy machine a worker may be late to set one timer, until another is due. Each attempt
    // sets them further apart.
    let goes_well = |unit: u32| {
        assert_eq!(get(&handle, &format!("/{unit}")).unwrap(), "Hello");
        let order = [(); 4].map(|()| rx.recv_timeout(crate::fixture::TIMEOUT).unwrap());
        order == [1, 20, 50, 80]
    };
    assert!([1, 5, 25].into_iter().any(goes_well));
    shut_down(&handle).await;
    // The last timer is dropped with its worker.
    assert!(rx.recv_timeout(crate::fixture::TIMEOUT).is_err());
}
