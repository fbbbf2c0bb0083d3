//! Faulty clients disconnect at any moment, send nothing, or are too many. Other clients are not
//! affected.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use crate::fixture::connect;
use crate::test_server::{
    Client, GeneratedBody, HELLO, TestServer, TokioFlavor, ambient, equals, per_core, wait_until,
};
use anyport_core::{
    Body, Limits,
    error::BoxError,
    observe::{Event, Observer},
    serve_with,
};
use anyport_testkit::instrumented::{Counters, instrumented};
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

/// How many requests or connections are open, and the most that were open at once.
#[derive(Default)]
struct Gauge {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Gauge {
    fn add(&self) {
        let now = self.now.fetch_add(1, SeqCst) + 1;
        self.most.fetch_max(now, SeqCst);
    }

    fn remove(&self) {
        self.now.fetch_sub(1, SeqCst);
    }

    fn enter(self: &Arc<Self>) -> GaugeGuard {
        self.add();
        GaugeGuard(Arc::clone(self))
    }

    fn now(&self) -> usize {
        self.now.load(SeqCst)
    }
}

/// Counts the open connections.
struct ConnectionGauge(Arc<Gauge>);

impl Observer for ConnectionGauge {
    fn on(&self, event: &Event<'_>) {
        match event {
            Event::Accepted { .. } => self.0.add(),
            Event::Closed { .. } => self.0.remove(),
            _ => {}
        }
    }
}

/// Counts a request until it is dropped.
struct GaugeGuard(Arc<Gauge>);

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.0.remove();
    }
}

#[test]
fn client_resets_do_not_affect_others_on_ambient_tokio() {
    check_client_resets_do_not_affect_others(TokioFlavor::Ambient);
}

#[test]
fn client_resets_do_not_affect_others_per_core() {
    check_client_resets_do_not_affect_others(TokioFlavor::PerCore);
}

/// Clients are reset at each step of a request, repeatedly, while another client sends requests.
fn check_client_resets_do_not_affect_others(flavor: TokioFlavor) {
    const ROUNDS: usize = 50;
    let uploads = Arc::new(Gauge::default());
    let app = {
        let uploads = Arc::clone(&uploads);
        service_fn(move |request: Request<Body>| {
            let uploads = Arc::clone(&uploads);
            async move {
                Ok::<_, BoxError>(Response::new(match request.uri().path() {
                    "/upload" => {
                        let _guard = uploads.enter();
                        request.into_body().collect().await?.to_bytes().into()
                    }
                    "/download" => GeneratedBody(1 << 30).body(),
                    _ => HELLO.into(),
                }))
            }
        })
    };
    let server = TestServer::serve(flavor, app, |server| server);
    let mut good = server.client();
    let mut assert_unaffected = |after| assert_eq!(good.get("/").unwrap(), HELLO, "after {after}");
    for _ in 0..ROUNDS {
        let mut starting = server.client();
        starting.send("GET / HT").unwrap();
        starting.reset();
        assert_unaffected("a reset in its first head");

        // The beginning of the second head is read with the first one, so the server has it when it
        // has sent the first response.
        let mut pipelining = server.client();
        pipelining
            .send("GET / HTTP/1.1\r\nHost: test\r\n\r\nGET / HTTP/1.1\r\nHo")
            .unwrap();
        assert_eq!(pipelining.read_body().unwrap(), HELLO);
        pipelining.reset();
        assert_unaffected("a reset in a second head");

        let mut uploading = server.client();
        uploading
            .send("POST /upload HTTP/1.1\r\nHost: test\r\nContent-Length: 100\r\n\r\nsome of it")
            .unwrap();
        wait_until("the upload has begun", || {
            (uploads.now() == 1).then_some(()).ok_or(0)
        });
        uploading.reset();
        wait_until("the upload is dropped", || equals(0, uploads.now()));
        assert_unaffected("a reset in a body");

        let mut downloading = server.client();
        downloading
            .send("GET /download HTTP/1.1\r\nHost: test\r\n\r\n")
            .unwrap();
        assert_eq!(downloading.read_head().unwrap(), 1 << 30);
        downloading.0.read_exact(&mut [0; 100_000]).unwrap();
        downloading.reset();
        assert_unaffected("a reset in a download");
    }
    server.wait_for_connections(1);
    drop(good);
    server.shut_down();
}

#[test]
fn stalled_clients_do_not_delay_others_on_ambient_tokio() {
    check_stalled_clients_do_not_delay_others(TokioFlavor::Ambient);
}

#[test]
fn stalled_clients_do_not_delay_others_per_core() {
    check_stalled_clients_do_not_delay_others(TokioFlavor::PerCore);
}

/// One good client, beside 300 that send nothing and 300 that send an endless head byte by byte.
/// Idle connections are not polled, so they cost the others nothing. A slow client costs only polls
/// for its own bytes.
fn check_stalled_clients_do_not_delay_others(flavor: TokioFlavor) {
    const EACH: usize = 300;
    const ROUNDS: usize = 50;
    /// The most polls for a request or for a byte: reads, writes and flushes.
    const POLLS: usize = 20;
    let app =
        service_fn(|_: Request<Body>| async { Ok::<_, BoxError>(Response::new(HELLO.to_owned())) });
    let notes = Arc::new(Counters::default());
    let noted = Arc::clone(&notes);
    let server = TestServer::start(|| match flavor {
        TokioFlavor::Ambient => serve_with(instrumented(ambient(), noted), app),
        TokioFlavor::PerCore => serve_with(instrumented(per_core(), noted), app),
    });
    let clients = || -> Vec<_> { (0..EACH).map(|_| connect(server.addr()).unwrap()).collect() };
    let (idle, mut trickling) = (clients(), clients());
    let mut good = server.client();
    assert_eq!(good.get("/").unwrap(), HELLO);
    server.wait_for_connections(1 + 2 * EACH);

    let mut get_times = |times| (0..times).for_each(|_| assert_eq!(good.get("/").unwrap(), HELLO));
    let before = notes.polls();
    get_times(ROUNDS);
    let polls = notes.polls() - before;
    assert!(polls <= POLLS * ROUNDS, "{polls} polls beside idle clients");

    let before = notes.polls();
    let head = b"GET / HTTP/1.1\r\nHost: test\r\nX: ";
    for byte in head.iter().chain(b"slowly".iter().cycle()).take(ROUNDS) {
        for client in &mut trickling {
            client.write_all(&[*byte]).unwrap();
        }
        get_times(1);
    }
    let polls = notes.polls() - before;
    // If each byte caused polls of all connections, there would be a hundred times as many.
    assert!(
        polls <= POLLS * ROUNDS * (EACH + 1),
        "{polls} polls beside trickling clients"
    );
    server.wait_for_connections(1 + 2 * EACH);
    drop((idle, trickling, good));
    server.shut_down();
}

#[test]
fn connection_limit_is_exact_on_ambient_tokio() {
    check_connection_limit_is_exact(TokioFlavor::Ambient);
}

#[test]
fn connection_limit_is_exact_per_core() {
    check_connection_limit_is_exact(TokioFlavor::PerCore);
}

/// 200 clients connect repeatedly to a server with a limit of 50 connections. Each connection sends
/// two requests, so it stays open for a while.
fn check_connection_limit_is_exact(flavor: TokioFlavor) {
    const LIMIT: usize = 50;
    const CLIENTS: usize = 200;
    const CONNECTIONS_EACH: usize = 10;
    let requests = Arc::new(Gauge::default());
    // No response is sent before the limit is reached.
    let gate = Arc::new(Semaphore::new(0));
    let app = {
        let (requests, gate) = (Arc::clone(&requests), Arc::clone(&gate));
        service_fn(move |_: Request<Body>| {
            let (requests, gate) = (Arc::clone(&requests), Arc::clone(&gate));
            async move {
                let _guard = requests.enter();
                drop(gate.acquire().await?);
                // Other requests run in between.
                tokio::task::yield_now().await;
                Ok::<_, BoxError>(Response::new(HELLO.to_owned()))
            }
        })
    };
    let limits = Limits::default().with_connections(LIMIT);
    let open = Arc::new(Gauge::default());
    let observer = ConnectionGauge(Arc::clone(&open));
    let server = TestServer::serve(flavor, app, |server| {
        server.limits(limits).observer(observer)
    });
    let (addr, start) = (server.addr(), Arc::new(Barrier::new(CLIENTS)));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let start = Arc::clone(&start);
            thread::spawn(move || -> io::Result<usize> {
                start.wait();
                let mut served = 0;
                for _ in 0..CONNECTIONS_EACH {
                    let mut client = Client::new(connect(addr)?);
                    for _ in 0..2 {
                        served += usize::from(client.get("/")? == HELLO);
                    }
                }
                Ok(served)
            })
        })
        .collect();
    wait_until("the limit is reached", || equals(LIMIT, requests.now()));
    gate.add_permits(CLIENTS);
    let served: usize = clients
        .into_iter()
        .map(|client| client.join().unwrap().unwrap())
        .sum();
    assert_eq!(
        served,
        CLIENTS * CONNECTIONS_EACH * 2,
        "every request is served in the end"
    );
    assert_eq!(requests.most.load(SeqCst), LIMIT, "requests at once");
    assert_eq!(open.most.load(SeqCst), LIMIT, "connections at once");
    server.shut_down();
}
