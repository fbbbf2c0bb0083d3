//! Output to `tracing`: errors of peers at DEBUG at most, errors of the app at ERROR, and all of it
//! in the connection's span.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use anyport_core::{Body, observe::Tracing, serve_with};
use anyport_memory::Memory;
use http::{Request, Response};
use std::{
    convert::Infallible,
    io::{self, Write},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

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
    let app = tower::service_fn(|request: Request<Body>| async move {
        tracing::info!(path = request.uri().path(), "in the app");
        if request.uri().path() == "/panic" {
            panic!("deliberate");
        }
        Ok::<_, Infallible>(Response::new(Body::empty()))
    });
    let running = serve_with(memory, app).observer(Tracing).start().unwrap();
    let mut client = connector.connect().unwrap();
    client.write_all(send).await.unwrap();
    let mut response = Vec::new();
    // Only the log matters, not the end of the connection.
    let _ = client.read_to_end(&mut response).await;
    running.shutdown(Duration::ZERO).await.unwrap();
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
            .filter(|line| !line.contains("listening") && !line.contains("draining"))
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
