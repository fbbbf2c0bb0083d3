//! Clients that go wrong: they vanish in the middle of things, say nothing, or are too many. The
//! others don't notice.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use crate::scene::connect;
use crate::stage::{Client, HELLO, Made, On, Stage, ambient, is, per_core, until};
use anyport_core::{Body, BoxError, Event, Limits, Observer, serve_with};
use anyport_testkit::watch::{Notes, Watched};
use http::{Request, Response};
use http_body_util::BodyExt;
use std::{
    io::{self, Read, Write},
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
};
use tokio::sync::Semaphore;
use tower::service_fn;

/// How many requests are with the app, or connections open, and how many have been at once.
#[derive(Default)]
struct Attendance {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Attendance {
    fn add(&self) {
        let now = self.now.fetch_add(1, SeqCst) + 1;
        self.most.fetch_max(now, SeqCst);
    }

    fn remove(&self) {
        self.now.fetch_sub(1, SeqCst);
    }

    fn enter(self: &Arc<Self>) -> Present {
        self.add();
        Present(Arc::clone(self))
    }

    fn now(&self) -> usize {
        self.now.load(SeqCst)
    }
}

/// Counts the connections that are open.
struct Open(Arc<Attendance>);

impl Observer for Open {
    fn on(&self, event: &Event<'_>) {
        match event {
            Event::Accepted { .. } => self.0.add(),
            Event::Closed { .. } => self.0.remove(),
            _ => {}
        }
    }
}

/// A request is with the app as long as this lives.
struct Present(Arc<Attendance>);

impl Drop for Present {
    fn drop(&mut self) {
        self.0.remove();
    }
}

#[test]
fn resets_touch_nobody_else_on_the_ambient_tokio() {
    resets_touch_nobody_else(On::Ambient);
}

#[test]
fn resets_touch_nobody_else_per_core() {
    resets_touch_nobody_else(On::PerCore);
}

/// A client vanishes at each step of a request, over and over, while another one makes its
/// requests.
fn resets_touch_nobody_else(on: On) {
    const ROUNDS: usize = 50;
    let uploads = Arc::new(Attendance::default());
    let app = {
        let uploads = Arc::clone(&uploads);
        service_fn(move |request: Request<Body>| {
            let uploads = Arc::clone(&uploads);
            async move {
                Ok::<_, BoxError>(Response::new(match request.uri().path() {
                    "/upload" => {
                        let _present = uploads.enter();
                        request.into_body().collect().await?.to_bytes().into()
                    }
                    "/download" => Made(1 << 30).body(),
                    _ => HELLO.into(),
                }))
            }
        })
    };
    let stage = Stage::serve(on, app, |server| server);
    let mut good = stage.client();
    let mut is_untouched = |after| assert_eq!(good.get("/").unwrap(), HELLO, "after {after}");
    for _ in 0..ROUNDS {
        let mut silent = stage.client();
        silent.send("GET / HT").unwrap();
        silent.reset();
        is_untouched("a reset in its first head");

        // The beginning of the second head is read with the first one, so it's there when that has
        // been answered.
        let mut pipelining = stage.client();
        pipelining
            .send("GET / HTTP/1.1\r\nHost: test\r\n\r\nGET / HTTP/1.1\r\nHo")
            .unwrap();
        assert_eq!(pipelining.answer().unwrap(), HELLO);
        pipelining.reset();
        is_untouched("a reset in a second head");

        let mut uploading = stage.client();
        uploading
            .send("POST /upload HTTP/1.1\r\nHost: test\r\nContent-Length: 100\r\n\r\nsome of it")
            .unwrap();
        until("the upload has begun", || {
            (uploads.now() == 1).then_some(()).ok_or(0)
        });
        uploading.reset();
        until("the upload is dropped", || is(0, uploads.now()));
        is_untouched("a reset in a body");

        let mut downloading = stage.client();
        downloading
            .send("GET /download HTTP/1.1\r\nHost: test\r\n\r\n")
            .unwrap();
        assert_eq!(downloading.head().unwrap(), 1 << 30);
        downloading.0.read_exact(&mut [0; 100_000]).unwrap();
        downloading.reset();
        is_untouched("a reset in a download");
    }
    stage.settles(1);
    drop(good);
    stage.ends();
}

#[test]
fn a_silent_crowd_delays_nobody_on_the_ambient_tokio() {
    a_silent_crowd_delays_nobody(On::Ambient);
}

#[test]
fn a_silent_crowd_delays_nobody_per_core() {
    a_silent_crowd_delays_nobody(On::PerCore);
}

/// A good client, beside 300 that say nothing and 300 whose heads come byte by byte and never end.
/// Who isn't heard of, isn't polled: so the silent ones cost the others nothing, and who trickles
/// costs what it sends.
fn a_silent_crowd_delays_nobody(on: On) {
    const EACH: usize = 300;
    const ROUNDS: usize = 50;
    /// So many polls a request takes at the most, or a byte: reads, writes, flushes.
    const POLLS: usize = 20;
    let app =
        service_fn(|_: Request<Body>| async { Ok::<_, BoxError>(Response::new(HELLO.to_owned())) });
    let notes = Arc::new(Notes::default());
    let noted = Arc::clone(&notes);
    let stage = Stage::start(|| match on {
        On::Ambient => serve_with(Watched::new(ambient(), noted), app),
        On::PerCore => serve_with(Watched::new(per_core(), noted), app),
    });
    let clients = || -> Vec<_> { (0..EACH).map(|_| connect(stage.addr()).unwrap()).collect() };
    let (silent, mut trickling) = (clients(), clients());
    let mut good = stage.client();
    assert_eq!(good.get("/").unwrap(), HELLO);
    stage.settles(1 + 2 * EACH);

    let mut asks = |times| (0..times).for_each(|_| assert_eq!(good.get("/").unwrap(), HELLO));
    let before = notes.polls();
    asks(ROUNDS);
    let polls = notes.polls() - before;
    assert!(
        polls <= POLLS * ROUNDS,
        "{polls} polls beside a silent crowd"
    );

    let before = notes.polls();
    let head = b"GET / HTTP/1.1\r\nHost: test\r\nX: ";
    for byte in head.iter().chain(b"slowly".iter().cycle()).take(ROUNDS) {
        for client in &mut trickling {
            client.write_all(&[*byte]).unwrap();
        }
        asks(1);
    }
    let polls = notes.polls() - before;
    // If they polled each other, that were a hundred times as much.
    assert!(
        polls <= POLLS * ROUNDS * (EACH + 1),
        "{polls} polls beside a trickling crowd"
    );
    stage.settles(1 + 2 * EACH);
    drop((silent, trickling, good));
    stage.ends();
}

#[test]
fn the_connection_limit_is_exact_on_the_ambient_tokio() {
    the_connection_limit_is_exact(On::Ambient);
}

#[test]
fn the_connection_limit_is_exact_per_core() {
    the_connection_limit_is_exact(On::PerCore);
}

/// 200 clients come back again and again to a server that lets 50 in. Each of them holds its place
/// for a while, since it asks twice.
fn the_connection_limit_is_exact(on: On) {
    const LIMIT: usize = 50;
    const CLIENTS: usize = 200;
    const VISITS: usize = 10;
    let attendance = Arc::new(Attendance::default());
    // Nobody is answered before all places are taken.
    let gate = Arc::new(Semaphore::new(0));
    let app = {
        let (attendance, gate) = (Arc::clone(&attendance), Arc::clone(&gate));
        service_fn(move |_: Request<Body>| {
            let (attendance, gate) = (Arc::clone(&attendance), Arc::clone(&gate));
            async move {
                let _present = attendance.enter();
                drop(gate.acquire().await?);
                // So that others get to run.
                tokio::task::yield_now().await;
                Ok::<_, BoxError>(Response::new(HELLO.to_owned()))
            }
        })
    };
    let limits = Limits::default().with_connections(LIMIT);
    let open = Arc::new(Attendance::default());
    let observer = Open(Arc::clone(&open));
    let stage = Stage::serve(on, app, |server| server.limits(limits).observer(observer));
    let (addr, start) = (stage.addr(), Arc::new(Barrier::new(CLIENTS)));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let start = Arc::clone(&start);
            thread::spawn(move || -> io::Result<usize> {
                start.wait();
                let mut served = 0;
                for _ in 0..VISITS {
                    let mut client = Client::new(connect(addr)?);
                    for _ in 0..2 {
                        served += usize::from(client.get("/")? == HELLO);
                    }
                }
                Ok(served)
            })
        })
        .collect();
    until("all places are taken", || is(LIMIT, attendance.now()));
    gate.add_permits(CLIENTS);
    let served: usize = clients
        .into_iter()
        .map(|client| client.join().unwrap().unwrap())
        .sum();
    assert_eq!(served, CLIENTS * VISITS * 2, "all are served in the end");
    assert_eq!(attendance.most.load(SeqCst), LIMIT, "requests at once");
    assert_eq!(open.most.load(SeqCst), LIMIT, "connections at once");
    stage.ends();
}
