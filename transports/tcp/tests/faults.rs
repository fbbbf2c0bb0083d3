//! Clients that go wrong: they vanish in the middle of things, say nothing, or are too many. The others don't notice.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

mod scene;
mod stage;

use anyport_core::{Body, BoxError, Limits};
use http::{Request, Response};
use http_body_util::BodyExt;
use scene::connect;
use stage::{Client, HELLO, Made, On, Stage, is, until};
use std::{
    io::{self, Read, Write},
    net::TcpStream,
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;
use tower::service_fn;

/// How many requests are with the app, and how many have been at once.
#[derive(Default)]
struct Attendance {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Attendance {
    fn enter(self: &Arc<Self>) -> Present {
        let now = self.now.fetch_add(1, SeqCst) + 1;
        self.most.fetch_max(now, SeqCst);
        Present(Arc::clone(self))
    }

    fn now(&self) -> usize {
        self.now.load(SeqCst)
    }
}

/// A request is with the app as long as this lives.
struct Present(Arc<Attendance>);

impl Drop for Present {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, SeqCst);
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

/// A client vanishes at each step of a request, over and over, while another one makes its requests.
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

        // The beginning of the second head is read with the first one, so it's there when that has been answered.
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

/// The 99th percentile of a good client's requests, with 300 silent and 300 trickling clients beside it and without them.
///
/// Both are measured in turns, so that what else the machine does hits both. The median of the rounds counts, and less than [`NOISE`] counts as
/// nothing: an answer takes tens of microseconds here, and one turn of another process on the same core takes milliseconds.
fn a_silent_crowd_delays_nobody(on: On) {
    const ROUNDS: usize = 7;
    const NOISE: Duration = Duration::from_millis(2);
    let app = service_fn(|_: Request<Body>| async { Ok::<_, BoxError>(Response::new(HELLO.to_owned())) });
    let stage = Stage::serve(on, app, |server| server);
    let mut good = stage.client();
    let (mut alone, mut crowded) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        alone.push(percentile_99(&mut good));
        let crowd = Crowd::gather(&stage);
        crowded.push(percentile_99(&mut good));
        crowd.disperse();
        stage.settles(1);
    }
    let (alone, crowded) = (median(alone), median(crowded));
    println!("{on:?}: p99 {alone:?} alone, {crowded:?} beside the crowd");
    assert!(
        crowded <= (2 * alone).max(NOISE),
        "{crowded:?} beside the crowd, {alone:?} alone"
    );
    drop(good);
    stage.ends();
}

fn percentile_99(client: &mut Client) -> Duration {
    const REQUESTS: usize = 500;
    let mut times: Vec<Duration> = (0..REQUESTS)
        .map(|_| {
            let begin = Instant::now();
            assert_eq!(client.get("/").unwrap(), HELLO);
            begin.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[REQUESTS * 99 / 100]
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// 300 clients that say nothing, and 300 that send a byte now and then.
struct Crowd {
    silent: Vec<TcpStream>,
    trickling: thread::JoinHandle<()>,
    goes_on: Arc<AtomicBool>,
}

impl Crowd {
    const EACH: usize = 300;

    fn gather(stage: &Stage) -> Self {
        let clients = || {
            let clients = (0..Self::EACH).map(|_| connect(stage.addr()).unwrap());
            clients.collect::<Vec<_>>()
        };
        let (silent, mut trickling) = (clients(), clients());
        stage.settles(1 + 2 * Self::EACH);
        let goes_on = Arc::new(AtomicBool::new(true));
        let trickle = {
            let goes_on = Arc::clone(&goes_on);
            move || {
                // A head that never ends.
                let head = b"GET / HTTP/1.1\r\nHost: test\r\nX: ";
                let bytes = head.iter().chain(b"slowly".iter().cycle());
                for byte in bytes.take_while(|_| goes_on.load(SeqCst)) {
                    for client in &mut trickling {
                        client.write_all(&[*byte]).unwrap();
                    }
                    // Not to wait for anything: these clients are slow by nature.
                    thread::sleep(Duration::from_millis(20));
                }
            }
        };
        Self {
            silent,
            trickling: thread::spawn(trickle),
            goes_on,
        }
    }

    fn disperse(self) {
        self.goes_on.store(false, SeqCst);
        self.trickling.join().unwrap();
        drop(self.silent);
    }
}

#[test]
fn the_connection_limit_is_exact_on_the_ambient_tokio() {
    the_connection_limit_is_exact(On::Ambient);
}

#[test]
fn the_connection_limit_is_exact_per_core() {
    the_connection_limit_is_exact(On::PerCore);
}

/// 200 clients come back again and again to a server that lets 50 in. Each of them holds its place for a while, since it asks twice.
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
    let stage = Stage::serve(on, app, |server| server.limits(limits));
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
    // As long as any of them is there: how many are open at once.
    let mut open = 0;
    while clients.iter().any(|client| !client.is_finished()) {
        open = open.max(stage.handle.connections());
        thread::yield_now();
    }
    let served: usize = clients
        .into_iter()
        .map(|client| client.join().unwrap().unwrap())
        .sum();
    assert_eq!(served, CLIENTS * VISITS * 2, "all are served in the end");
    assert_eq!(attendance.most.load(SeqCst), LIMIT, "requests at once");
    assert!(open <= LIMIT, "{open} connections at once");
    stage.ends();
}
