//! The tasks of a worker: in turn, apart from each other, and at home.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use crate::scene::{GRACE, connect, get, hello, one, until};
use anyport_core::{Accepted, Body, Handle, Runtime, serve_raw_with, serve_with, spawn};
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

async fn ends(handle: &Handle) {
    handle.shutdown(GRACE).await.unwrap();
}

async fn sleep(duration: Duration) {
    let timer = GlommioPerCore::current().timer();
    timer.sleep(duration).await;
}

/// While the worker goes on by itself, or falls asleep, or wakes up: glommio, told of it in its own
/// way, may fall asleep with a task that's ready, for good if nothing else happens.
pub(crate) async fn no_wake_from_another_thread_is_lost() {
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
    let (tell, told) = mpsc::channel();
    let handler = move |_: Accepted<GlommioConnection>| {
        let (wake, tell) = (wake.clone(), tell.clone());
        async move {
            for n in 0..TIMES {
                let (send, wait) = tokio::sync::oneshot::channel();
                wake.send((send, (n % 97 * 7) as u32)).unwrap();
                for _ in 0..n % 13 {
                    turn().await;
                }
                wait.await.unwrap();
            }
            tell.send(()).unwrap();
        }
    };
    let handle = serve_raw_with(one(), handler).start().unwrap();
    let _client = connect(&handle);
    told.recv_timeout(crate::scene::PATIENCE).unwrap();
    handle.abort().await.unwrap();
    other.join().unwrap();
}

/// Ready again at once, after the others.
async fn turn() {
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

/// What was spawned is dropped where it lived, when its worker ends.
pub(crate) async fn what_is_left_when_a_worker_ends_is_dropped_on_its_thread() {
    struct Witness(mpsc::Sender<Option<String>>);
    impl Drop for Witness {
        fn drop(&mut self) {
            let _ = self.0.send(thread::current().name().map(str::to_owned));
        }
    }
    let (tell, told) = mpsc::channel();
    let handler = move |_: Accepted<GlommioConnection>| {
        let witness = (Witness(tell.clone()), Rc::new(Cell::new(0)));
        async move {
            let _here = witness;
            pending().await
        }
    };
    let handle = serve_raw_with(one(), handler).start().unwrap();
    let _client = connect(&handle);
    until("it's accepted", || handle.connections() == 1);
    handle.abort().await.unwrap();
    let name = told.recv_timeout(crate::scene::PATIENCE).unwrap();
    assert_eq!(name.as_deref(), Some("anyport-0"));
}

/// Two transports of one server, so two executors, and one drain.
pub(crate) async fn a_server_of_several_transports_drains_as_one() {
    let server = serve_with(one(), hello()).and(one(), hello());
    let handle = server.start().unwrap();
    assert_eq!(handle.endpoints().len(), 2);
    assert_eq!(get(&handle, "/").unwrap(), "Hello");
    ends(&handle).await;
}

/// Each executor's memory is small: many of them share a limit that's the usual one.
pub(crate) async fn thirty_two_workers_have_room() {
    let glommio = Glommio::bind("127.0.0.1:0").with_workers(32);
    let handle = serve_with(glommio, hello()).start().unwrap();
    for _ in 0..64 {
        assert_eq!(get(&handle, "/").unwrap(), "Hello");
    }
    ends(&handle).await;
}

/// A timer that's due before all others is set while the worker waits for one of those, and the
/// other way round.
pub(crate) async fn timers_go_off_in_their_order() {
    let (tell, told) = mpsc::channel();
    let app = service_fn(move |request: Request<Body>| {
        let tell = tell.clone();
        async move {
            let unit: u32 = request.uri().path()[1..].parse().unwrap();
            for units in [60_000, 80, 20, 50, 1] {
                let tell = tell.clone();
                spawn(async move {
                    sleep(unit * units * Duration::from_millis(1)).await;
                    let _ = tell.send(units);
                })?;
            }
            Ok::<_, anyport_core::Error>(Response::new(Body::from("Hello")))
        }
    });
    let handle = serve_with(one(), app).start().unwrap();
    // A worker of a busy machine may be kept from setting one until another is due: then they're
    // further apart.
    let goes_well = |unit: u32| {
        assert_eq!(get(&handle, &format!("/{unit}")).unwrap(), "Hello");
        let order = [(); 4].map(|()| told.recv_timeout(crate::scene::PATIENCE).unwrap());
        order == [1, 20, 50, 80]
    };
    assert!([1, 5, 25].into_iter().any(goes_well));
    ends(&handle).await;
    // The last one is gone with its worker.
    assert!(told.recv_timeout(crate::scene::PATIENCE).is_err());
}
