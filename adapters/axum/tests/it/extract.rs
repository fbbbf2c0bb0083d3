//! Tests the facts that handlers get about their connection, over several transports.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use crate::fixture::{Outcome, ScriptedTransport, ask};
use anyport_axum::{ConnectionInfo, Credentials, Peer, TlsSession, app};
use anyport_core::{
    ConnInfo, Handle, HttpOptions, Server, per_worker, serve_with,
    transport::{TlsInfo, TlsVersion},
};
use anyport_memory::Memory;
use anyport_tcp::Tcp;
use anyport_unix::Unix;
use axum::{Extension, Router, routing::get};
use http::StatusCode;
use std::net::SocketAddr;
use tokio::net::{TcpStream, UnixStream};

const OK: StatusCode = StatusCode::OK;

/// A handler per extractor.
fn router() -> Router {
    Router::new()
        .route(
            "/connection",
            get(async |ConnectionInfo(info): ConnectionInfo| {
                format!(
                    "{} {} {} {}",
                    info.id(),
                    info.worker(),
                    info.peer(),
                    info.local()
                )
            }),
        )
        .route(
            "/extension",
            get(async |Extension(info): Extension<ConnInfo>| info.peer().to_string()),
        )
        .route("/peer", get(async |Peer(peer): Peer| peer.to_string()))
        .route(
            "/tls",
            get(async |TlsSession(tls): TlsSession| described(&tls)),
        )
        .route(
            "/tls/maybe",
            get(async |tls: Option<TlsSession>| {
                tls.map_or_else(none, |TlsSession(tls)| described(&tls))
            }),
        )
        .route(
            "/credentials",
            get(async |credentials: Credentials| credentials_of(credentials)),
        )
        .route(
            "/credentials/maybe",
            get(async |credentials: Option<Credentials>| {
                credentials.map_or_else(none, credentials_of)
            }),
        )
}

fn none() -> String {
    "none".into()
}

fn described(tls: &TlsInfo) -> String {
    format!(
        "{} {} {:?}",
        tls.version(),
        tls.cipher_suite(),
        tls.server_name()
    )
}

fn credentials_of(Credentials(cred): Credentials) -> String {
    format!("{:?} {} {}", cred.pid, cred.uid, cred.gid)
}

fn addr(handle: &Handle) -> SocketAddr {
    handle.endpoints()[0].socket_addr().unwrap()
}

#[tokio::test]
async fn tcp_connection_has_a_peer_address_without_tls_and_credentials() {
    let running = serve_with(Tcp::bind("127.0.0.1:0"), app(router()))
        .start()
        .unwrap();
    let addr = addr(&running);
    let stream = TcpStream::connect(addr).await.unwrap();
    let me = stream.local_addr().unwrap();
    let expected = (OK, format!("1 0 {me} {addr}"));
    assert_eq!(ask(stream, "/connection").await, expected);
    for path in ["/peer", "/extension"] {
        let stream = TcpStream::connect(addr).await.unwrap();
        let me = stream.local_addr().unwrap().to_string();
        assert_eq!(ask(stream, path).await, (OK, me), "{path}");
    }
    for path in ["/tls/maybe", "/credentials/maybe"] {
        let stream = TcpStream::connect(addr).await.unwrap();
        assert_eq!(ask(stream, path).await, (OK, "none".into()), "{path}");
    }
    for (path, what) in [
        ("/tls", "requires TLS"),
        ("/credentials", "requires a Unix socket"),
    ] {
        let (status, body) = ask(TcpStream::connect(addr).await.unwrap(), path).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{path}");
        assert!(body.contains(what), "{path}: {body}");
    }
    running.abort().await.unwrap();
}

#[tokio::test]
async fn unix_connection_has_the_credentials_of_its_peer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    let running = serve_with(Unix::bind(&path), app(router()))
        .start()
        .unwrap();
    let (pid, uid, gid) = (
        std::process::id(),
        rustix::process::geteuid().as_raw(),
        rustix::process::getegid().as_raw(),
    );
    for asked in ["/credentials", "/credentials/maybe"] {
        let stream = UnixStream::connect(&path).await.unwrap();
        let expected = format!("{:?} {uid} {gid}", Some(pid));
        assert_eq!(ask(stream, asked).await, (OK, expected), "{asked}");
    }
    let stream = UnixStream::connect(&path).await.unwrap();
    assert_eq!(ask(stream, "/peer").await, (OK, "unix:".into()));
    running.abort().await.unwrap();
}

#[tokio::test]
async fn tls_connection_has_the_facts_of_its_handshake() {
    fn encrypted(info: ConnInfo) -> ConnInfo {
        let tls = TlsInfo::new(TlsVersion::Tls13, "TLS13_AES_128_GCM_SHA256");
        info.with_tls(tls.with_server_name("example.com"))
    }
    let memory = Memory::new();
    let connector = memory.connector();
    let scripted = ScriptedTransport::new(
        memory,
        [Outcome::WithFacts(encrypted), Outcome::WithFacts(encrypted)],
    );
    let running = serve_with(scripted, app(router())).start().unwrap();
    let expected = (
        OK,
        "TLSv1.3 TLS13_AES_128_GCM_SHA256 Some(\"example.com\")".to_owned(),
    );
    for path in ["/tls", "/tls/maybe"] {
        assert_eq!(
            ask(connector.connect().unwrap(), path).await,
            expected,
            "{path}"
        );
    }
    running.abort().await.unwrap();
}

/// Calls each extractor on a server in memory.
async fn extract_all(server: impl Fn(Memory) -> Server) -> Vec<(StatusCode, String)> {
    let memory = Memory::new();
    let connector = memory.connector();
    let running = server(memory).start().unwrap();
    let mut answers = Vec::new();
    for path in [
        "/peer",
        "/tls",
        "/tls/maybe",
        "/credentials",
        "/credentials/maybe",
    ] {
        answers.push(ask(connector.connect().unwrap(), path).await);
    }
    running.abort().await.unwrap();
    answers
}

#[tokio::test]
async fn router_without_app_fails_with_advice() {
    for (status, body) in extract_all(|memory| serve_with(memory, router())).await {
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR, "{body}");
        assert!(
            body.contains("serve `app(router)` of anyport-axum"),
            "{body}"
        );
    }
}

#[tokio::test]
async fn http_option_and_app_wrapper_give_the_same() {
    let wrapped = extract_all(|memory| serve_with(memory, app(router()))).await;
    let options = || HttpOptions::default().with_conn_info();
    let by_option = extract_all(|memory| serve_with(memory, router()).http(options())).await;
    let both = extract_all(|memory| serve_with(memory, app(router())).http(options())).await;
    assert_eq!(wrapped[0], (OK, "memory:client-1".into()));
    assert_eq!((&by_option, &both), (&wrapped, &wrapped));
}

#[tokio::test]
async fn app_per_worker_gets_the_facts_too() {
    let memory = Memory::new();
    let connector = memory.connector();
    let app = app(per_worker(|worker| {
        let worker = worker.index();
        Router::new().route(
            "/",
            get(async move |ConnectionInfo(info): ConnectionInfo| {
                format!("{worker} {}", info.worker())
            }),
        )
    }));
    let running = serve_with(memory.per_core().with_workers(2), app)
        .start()
        .unwrap();
    let (status, body) = ask(connector.connect().unwrap(), "/").await;
    assert_eq!(status, OK);
    assert!(["0 0", "1 1"].contains(&body.as_str()), "{body}");
    running.abort().await.unwrap();
}

#[cfg(feature = "tracing")]
#[tokio::test]
async fn missing_facts_are_logged_at_debug() {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let mut lines = String::new();
    // A concurrent test may reach the same log line first. `tracing` then caches that no subscriber
    // is interested, until the next subscriber is set.
    for _ in 0..5 {
        let written = Lines::default();
        let writer = written.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        let _guard = tracing::subscriber::set_default(subscriber);
        extract_all(|memory| serve_with(memory, router())).await;
        lines = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        if lines.contains("app(router)") {
            break;
        }
    }
    let ours: Vec<_> = lines
        .lines()
        .filter(|line| line.contains("app(router)"))
        .collect();
    assert_eq!(ours.len(), 5, "{lines}");
    // With the feature `tracing`, the connection's span stands in between.
    let is_ours = |line: &&str| line.contains(" DEBUG ") && line.contains("anyport: this handler");
    assert!(ours.iter().all(is_ours), "{lines}");
}
