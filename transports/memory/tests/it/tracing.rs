//! Output to `tracing`, which is on by default: errors of peers at DEBUG at most, errors of the app
//! at ERROR, and all that concerns a connection in its span.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use anyport_core::{
    Body, Server,
    observe::{Event, Observer},
    serve_with,
};
use anyport_memory::Memory;
use http::{Request, Response};
use std::{
    convert::Infallible,
    future::pending,
    io::{self, Write},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Notify,
};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs one client against a server, and returns the log.
async fn log_of(send: &[u8]) -> String {
    log_of_configured(send, |server| server).await
}

async fn log_of_configured(send: &[u8], configure: impl FnOnce(Server) -> Server) -> String {
    let lines = Lines::default();
    let writer = lines.clone();
    // Other tests reach the same spans without a subscriber. tracing then caches that no subscriber
    // is interested, unless the process has a subscriber that is.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry());
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let memory = Memory::new();
    let connector = memory.connector();
    let arrived = Arc::new(Notify::new());
    let arrival = Arc::clone(&arrived);
    let app = tower::service_fn(move |request: Request<Body>| {
        let arrival = Arc::clone(&arrival);
        async move {
            tracing::info!(path = request.uri().path(), "in the app");
            match request.uri().path() {
                "/panic" => panic!("deliberate"),
                "/forever" => {
                    arrival.notify_one();
                    pending::<()>().await;
                }
                _ => {}
            }
            Ok::<_, Infallible>(Response::new(Body::empty()))
        }
    });
    let running = configure(serve_with(memory, app)).start().unwrap();
    let mut client = connector.connect().unwrap();
    client.write_all(send).await.unwrap();
    if send.starts_with(b"GET /forever ") {
        arrived.notified().await;
    } else {
        let mut response = Vec::new();
        // Only the log matters, not the end of the connection.
        let _ = client.read_to_end(&mut response).await;
    }
    running.shutdown(Duration::from_secs(3)).await.unwrap();
    let bytes = lines.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

fn server_lines(log: &str) -> impl Iterator<Item = &str> {
    log.lines().filter(|line| line.contains(" anyport: "))
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn peer_errors_are_logged_at_debug() {
    for input in [
        &b"garbage\r\n\r\n"[..],
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost:",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\ngarbage",
        b"",
    ] {
        let log = log_of(input).await;
        assert!(log.contains("accepted"), "{log}");
        assert!(log.contains("closed"), "{log}");
        let loud: Vec<_> = server_lines(&log)
            .filter(|line| !line.contains("DEBUG"))
            // The operator causes these.
            .filter(|line| {
                !["listening", "draining", "drained"]
                    .iter()
                    .any(|l| line.contains(l))
            })
            .collect();
        assert!(loud.is_empty(), "{loud:#?}");
    }
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn panic_is_logged_as_error_with_its_connection() {
    let log = log_of(b"GET /panic HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    let line = server_lines(&log)
        .find(|line| line.contains("panicked"))
        .unwrap();
    assert!(
        line.contains("ERROR") && line.contains("deliberate") && line.contains("conn.id=1"),
        "{line}"
    );
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn app_logs_are_in_the_connection_span() {
    let log = log_of(b"GET /here HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    let line = log
        .lines()
        .find(|line| line.contains("in the app"))
        .unwrap();
    assert!(
        line.contains("connection{conn.id=1 peer.addr=memory:client-"),
        "{line}"
    );
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// What a server logs for its operator, without the time of each line.
fn operator_lines(log: &str) -> Vec<&str> {
    let lines = server_lines(log).filter(|line| !line.contains("DEBUG"));
    lines.map(|line| line.split_once("  ").unwrap().1).collect()
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn server_logs_its_beginning_and_its_end_by_default() {
    let log = log_of(GET).await;
    let lines = operator_lines(&log);
    assert!(
        lines[0].starts_with("INFO anyport: listening on memory:"),
        "{lines:#?}"
    );
    assert_eq!(
        lines[1..],
        [
            "INFO anyport: draining: 0 connections left",
            "INFO anyport: drained: 0 completed, 0 aborted; 0 were upgraded",
        ]
    );
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn drain_log_says_what_is_left_and_what_was_aborted() {
    let log = log_of(b"GET /forever HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(
        operator_lines(&log)[1..],
        [
            "INFO anyport: draining: 1 connection left, 3s at most",
            "INFO anyport: drained: 0 completed, 1 aborted; 0 were upgraded",
        ]
    );
}

/// Counts the events.
#[derive(Clone, Default)]
struct Count(Arc<AtomicUsize>);

impl Observer for Count {
    fn on(&self, _: &Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn observer_and_log_both_get_the_events() {
    let (beside, alone) = (Count::default(), Count::default());
    let log = log_of_configured(GET, |server| server.observer(beside.clone())).await;
    let events = server_lines(&log)
        .filter(|line| !line.contains("in the app"))
        .count();
    assert!(events > 3, "{log}");
    assert_eq!(beside.0.load(Ordering::Relaxed), events, "{log}");

    let log = log_of_configured(GET, |server| {
        server.without_logging().observer(alone.clone())
    })
    .await;
    assert_eq!(server_lines(&log).count(), 0, "{log}");
    assert_eq!(alone.0.load(Ordering::Relaxed), events);
}
