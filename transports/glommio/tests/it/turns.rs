//! The tasks of a worker: in turn, apart from each other, and at home.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use crate::scene::{GRACE, connect, get, hello, one, until};
use anyport_core::{Accepted, Body, Handle, Runtime, Timeouts, serve_raw_with, serve_with, spawn};
use anyport_glommio::{Glommio, GlommioConnection, GlommioPerCore};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use std::{
    cell::Cell,
    future::{pending, poll_fn},
    io::{self, Read, Write},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    task::Poll,
    thread,
    time::Duration,
};
use tower::service_fn;

async fn ends(handle: &Handle) {
    handle.shutdown(GRACE).await.unwrap();
}

/// hyper's task wakes itself after a while of reading without a pause; so may an app.
pub(crate) async fn a_task_that_wakes_itself_again_and_again_starves_nobody() {
    let polls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&polls);
    let app = service_fn(move |request: Request<Body>| {
        let count = Arc::clone(&count);
        async move {
            match request.uri().path() {
                "/spin" => {
                    poll_fn(|cx| {
                        count.fetch_add(1, SeqCst);
                        cx.waker().wake_by_ref();
                        Poll::<()>::Pending
                    })
                    .await;
                }
                // A timer has its turn, too.
                "/sleep" => sleep(Duration::from_millis(5)).await,
                _ => {}
            }
            Ok::<_, io::Error>(Response::new(Body::from("Hello")))
        }
    });
    let handle = serve_with(one(), app).start().unwrap();
    let mut spinning = connect(&handle);
    write!(spinning, "GET /spin HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    until("it spins", || polls.load(SeqCst) > 1000);
    for path in ["/", "/sleep", "/"] {
        assert_eq!(get(&handle, path).unwrap(), "Hello", "{path}");
    }
    // It's told that its peer has left, too.
    drop(spinning);
    until("it's dropped", || handle.connections() == 0);
    ends(&handle).await;
}

async fn sleep(duration: Duration) {
    let timer = GlommioPerCore::current().timer();
    timer.sleep(duration).await;
}

pub(crate) async fn a_panic_ends_its_task_and_no_other() {
    let app = service_fn(|request: Request<Body>| async move {
        if request.uri().path() == "/panic" {
            spawn(async { panic!("deliberate: in the background") }).unwrap();
            panic!("deliberate: in the app");
        }
        Ok::<_, io::Error>(Response::new(Body::from("Hello")))
    });
    let handle = serve_with(one(), app).start().unwrap();
    for _ in 0..3 {
        let mut client = connect(&handle);
        write!(
            client,
            "GET /panic HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut response = String::new();
        client.read_to_string(&mut response).unwrap();
        assert!(response.starts_with("HTTP/1.1 500 "), "{response}");
        assert_eq!(get(&handle, "/").unwrap(), "Hello");
    }
    ends(&handle).await;
}

pub(crate) async fn an_app_spawns_on_its_worker() {
    let (tell, told) = mpsc::channel();
    let app = service_fn(move |_: Request<Body>| {
        let tell = tell.clone();
        async move {
            spawn(async move {
                // Woken by a timer and from another thread.
                sleep(Duration::from_millis(1)).await;
                let (send, wait) = tokio::sync::oneshot::channel();
                thread::spawn(move || send.send(()));
                wait.await.unwrap();
                let _ = tell.send(thread::current().name().map(str::to_owned));
            })?;
            Ok::<_, anyport_core::Error>(Response::new(Body::from("Hello")))
        }
    });
    let handle = serve_with(one(), app).start().unwrap();
    assert_eq!(get(&handle, "/").unwrap(), "Hello");
    let name = told.recv_timeout(crate::scene::PATIENCE).unwrap();
    assert_eq!(name.as_deref(), Some("anyport-0"));
    ends(&handle).await;
}

/// While the worker goes on by itself, or falls asleep, or wakes up: glommio, told of it in its own way, may fall asleep with a task that's ready, for good if nothing else happens.
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

/// A request's body may be read anywhere: its deadlines work there, too.
pub(crate) async fn a_body_that_is_read_on_another_thread_keeps_its_deadline() {
    let app = service_fn(|request: Request<Body>| async move {
        let (send, wait) = tokio::sync::oneshot::channel();
        let body = request.into_body();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let read = runtime.block_on(body.collect());
            send.send(read.map(|body| body.to_bytes().len()).map_err(|e| e.to_string()))
        });
        let read = wait.await.unwrap();
        let status = if read.is_ok() {
            StatusCode::OK
        } else {
            StatusCode::REQUEST_TIMEOUT
        };
        let body = read.map_or_else(|error| error, |len| len.to_string());
        Ok::<_, io::Error>(Response::builder().status(status).body(body).unwrap())
    });
    let timeouts = Timeouts::default().with_body_gap(Duration::from_millis(50));
    let handle = serve_with(one(), app).timeouts(timeouts).start().unwrap();
    let mut client = connect(&handle);
    write!(
        client,
        "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello"
    )
    .unwrap();
    let mut head = [0; 12];
    client.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    let mut client = connect(&handle);
    write!(
        client,
        "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhel"
    )
    .unwrap();
    client.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 408");
    ends(&handle).await;
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

/// A timer that's due before all others is set while the worker waits for one of those, and the other way round.
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
    // A worker of a busy machine may be kept from setting one until another is due: then they're further apart.
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
