//! `axum::serve` over anyport's transports, and anyport over a listener of axum's.

use crate::fixture::{Outcome, ScriptedTransport, ask};
use anyport_axum::{AxumListener, ConnectionInfo, Peer, app, listener, transport, transport_at};
use anyport_core::{
    observe::{Event, Observer},
    serve_with,
    transport::{ByteListener, Endpoint},
};
use anyport_memory::Memory;
use anyport_tcp::Tcp;
use anyport_unix::Unix;
use axum::{Router, extract::ConnectInfo, routing::get, serve::ListenerExt as _};
use http::StatusCode;
use rustix::io::Errno;
use std::{
    io,
    net::SocketAddr,
    os::unix,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::oneshot,
    task::JoinHandle,
    time::Instant,
};

const OK: StatusCode = StatusCode::OK;

fn router() -> Router {
    Router::new()
        .route("/", get(async || "Hello!"))
        .route("/peer", get(async |Peer(peer): Peer| peer.to_string()))
        .route(
            "/connect-info",
            get(async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.to_string()),
        )
}

/// `axum::serve` on a listener of anyport, until the sender is used or dropped.
fn axum_serve<L>(listener: AxumListener<L>) -> (oneshot::Sender<()>, JoinHandle<io::Result<()>>)
where
    L: ByteListener<Handshake: Send> + Send,
{
    let (stop, stopped) = oneshot::channel();
    let service = router().into_make_service_with_connect_info::<ConnectionInfo>();
    let serving = axum::serve(listener, service).with_graceful_shutdown(async {
        let _ = stopped.await;
    });
    (stop, tokio::spawn(serving.into_future()))
}

#[tokio::test]
async fn axum_serve_runs_on_anyport_transports_with_extractors() {
    let tcp = listener(Tcp::bind("127.0.0.1:0")).unwrap();
    let addr = tcp.endpoint().socket_addr().unwrap();
    assert_ne!(addr.port(), 0);
    let (stop, serving) = axum_serve(tcp);
    let stream = TcpStream::connect(addr).await.unwrap();
    let me = stream.local_addr().unwrap().to_string();
    assert_eq!(ask(stream, "/peer").await, (OK, me));
    drop(stop);
    serving.await.unwrap().unwrap();
    TcpStream::connect(addr).await.unwrap_err();

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    let (stop, serving) = axum_serve(listener(Unix::bind(&path)).unwrap());
    let stream = UnixStream::connect(&path).await.unwrap();
    assert_eq!(ask(stream, "/peer").await, (OK, "unix:".into()));
    drop(stop);
    serving.await.unwrap().unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn tapped_listener_has_the_facts_of_its_peers() {
    let memory = Memory::new();
    let connector = memory.connector();
    let (tapped, mut taps) = tokio::sync::mpsc::unbounded_channel();
    let listener = listener(memory).unwrap().tap_io(move |io| {
        use anyport_core::Connection as _;
        tapped.send(io.inner().info().peer().to_string()).unwrap();
    });
    let service = router().into_make_service_with_connect_info::<ConnectionInfo>();
    let serving = tokio::spawn(axum::serve(listener, service).into_future());
    let (status, body) = ask(connector.connect().unwrap(), "/peer").await;
    assert_eq!((status, Some(body)), (OK, taps.recv().await));
    serving.abort();
}

#[tokio::test]
async fn silent_failing_and_panicking_handshakes_delay_no_other_client() {
    let memory = Memory::new();
    let connector = memory.connector();
    let silent = (0..300).map(|_| Outcome::Stalls);
    let outcomes = silent.chain([Outcome::Fails, Outcome::Panics, Outcome::Accepted]);
    let scripted = ScriptedTransport::new(memory, outcomes);
    let (stop, serving) = axum_serve(listener(scripted.clone()).unwrap());
    let others: Vec<_> = (0..302).map(|_| connector.connect().unwrap()).collect();
    assert_eq!(
        ask(connector.connect().unwrap(), "/").await,
        (OK, "Hello!".into())
    );
    assert_eq!(scripted.remaining_outcomes(), 0, "all were used");
    drop(stop);
    serving.await.unwrap().unwrap();
    // Handshakes in progress are aborted with the listener.
    for mut other in others {
        assert_eq!(other.read(&mut [0]).await.unwrap(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn handshake_is_aborted_after_its_timeout() {
    for (timeout, expected) in [(None, 10), (Some(3), 3)] {
        let memory = Memory::new();
        let connector = memory.connector();
        let mut listener = listener(ScriptedTransport::new(memory, [Outcome::Stalls])).unwrap();
        if let Some(seconds) = timeout {
            listener = listener.with_handshake_timeout(Duration::from_secs(seconds));
        }
        let (_stop, _serving) = axum_serve(listener);
        let start = Instant::now();
        let mut silent = connector.connect().unwrap();
        assert_eq!(silent.read(&mut [0]).await.unwrap(), 0);
        assert_eq!(start.elapsed().as_secs(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn accept_errors_back_off_exponentially() {
    fn error(errno: Errno) -> Outcome {
        Outcome::AcceptFails(errno.into())
    }
    let cases = [
        (
            vec![error(Errno::CONNABORTED), error(Errno::CONNABORTED)],
            0,
        ),
        (
            vec![
                error(Errno::MFILE),
                error(Errno::MFILE),
                error(Errno::MFILE),
            ],
            5 + 10 + 20,
        ),
        // An accepted client resets the wait.
        (
            vec![
                error(Errno::MFILE),
                error(Errno::MFILE),
                Outcome::Accepted,
                error(Errno::MFILE),
            ],
            5 + 10 + 5,
        ),
        (vec![error(Errno::BADF)], 1000),
        (
            (0..10).map(|_| error(Errno::MFILE)).collect(),
            5 + 10 + 20 + 40 + 80 + 160 + 320 + 640 + 1000 + 1000,
        ),
    ];
    for (outcomes, expected) in cases {
        // tokio's clock counts milliseconds: each wait may be one longer.
        let late = outcomes.len() as u128;
        let memory = Memory::new();
        let connector = memory.connector();
        let scripted = ScriptedTransport::new(memory, outcomes);
        let (_stop, _serving) = axum_serve(listener(scripted.clone()).unwrap());
        let start = Instant::now();
        for _ in 0..2 {
            let answer = ask(connector.connect().unwrap(), "/").await;
            assert_eq!(answer, (OK, "Hello!".into()));
        }
        let waited = start.elapsed().as_millis();
        assert!(
            (expected..=expected + late).contains(&waited),
            "{waited} ms, {expected} expected"
        );
        assert_eq!(scripted.remaining_outcomes(), 0);
    }
}

#[tokio::test]
async fn transport_gets_the_protocols_of_axum_serve() {
    let scripted = ScriptedTransport::new(Memory::new(), []);
    listener(scripted.clone()).unwrap();
    let protocols: &[&[u8]] = if cfg!(feature = "http2") {
        &[b"h2", b"http/1.1"]
    } else {
        &[b"http/1.1"]
    };
    assert_eq!(scripted.alpn(), Some(protocols));
}

#[test]
fn listener_without_a_runtime_is_an_error() {
    let error = listener(Tcp::bind("127.0.0.1:0")).unwrap_err();
    assert!(error.to_string().contains("#[tokio::main]"), "{error}");
}

#[tokio::test]
async fn bind_error_is_returned() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let error = listener(Tcp::bind(addr)).unwrap_err().to_string();
    assert!(
        error.contains(&format!("cannot bind {addr}: address already in use")),
        "{error}"
    );
}

#[tokio::test]
async fn listeners_of_axum_are_transports() {
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = tcp.local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    let to_endpoint = |addr| Endpoint::from(unix::net::SocketAddr::from(addr));
    let unix = transport_at(UnixListener::bind(&path).unwrap(), to_endpoint);
    let server = serve_with(transport(tcp), app(router())).and(unix, app(router()));
    let running = server.start().unwrap();
    let shown: Vec<_> = running
        .endpoints()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        shown,
        [addr.to_string(), format!("unix:{}", path.display())]
    );
    let stream = TcpStream::connect(addr).await.unwrap();
    let me = stream.local_addr().unwrap().to_string();
    assert_eq!(ask(stream, "/peer").await, (OK, me));
    let stream = UnixStream::connect(&path).await.unwrap();
    assert_eq!(ask(stream, "/peer").await, (OK, "unix:".into()));
    let report = running.shutdown(Duration::from_secs(5)).await.unwrap();
    assert_eq!(report.aborted, 0, "{report}");
    TcpStream::connect(addr).await.unwrap_err();
}

#[tokio::test]
async fn listener_of_axum_has_one_server_and_one_worker() {
    let bind = async || TcpListener::bind("127.0.0.1:0").await.unwrap();
    let shared = transport(bind().await);
    let running = serve_with(shared.clone(), router()).start().unwrap();
    let error = serve_with(shared, router())
        .start()
        .unwrap_err()
        .to_string();
    assert!(error.contains("another server has it already"), "{error}");
    running.abort().await.unwrap();
    let two = serve_with(transport(bind().await), router()).workers(2);
    let error = two.start().unwrap_err().to_string();
    assert!(error.contains("cannot be shared by 2 workers"), "{error}");
}

#[tokio::test]
async fn connect_info_is_added_on_request_for_peers_with_an_ip_address() {
    let tcp = || Tcp::bind("127.0.0.1:0");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    let warnings = Warnings::default();
    let server = serve_with(tcp(), app(router()).with_connect_info())
        .and(tcp(), app(router()))
        .and(Unix::bind(&path), app(router()).with_connect_info())
        .observer(warnings.clone());
    let running = server.start().unwrap();
    let addrs: Vec<_> = running
        .endpoints()
        .iter()
        .filter_map(Endpoint::socket_addr)
        .collect();
    let stream = TcpStream::connect(addrs[0]).await.unwrap();
    let me = stream.local_addr().unwrap().to_string();
    assert_eq!(ask(stream, "/connect-info").await, (OK, me));
    let (unasked, _) = ask(TcpStream::connect(addrs[1]).await.unwrap(), "/connect-info").await;
    let axums_own = StatusCode::INTERNAL_SERVER_ERROR;
    assert_eq!(unasked, axums_own);
    assert_eq!(*warnings.0.lock().unwrap(), [""; 0]);
    for _ in 0..2 {
        let (no_ip, _) = ask(UnixStream::connect(&path).await.unwrap(), "/connect-info").await;
        assert_eq!(no_ip, axums_own);
    }
    let expected = format!(
        "a client of unix:{} has no IP address, so it gets a 500 from handlers that extract axum's \
         `ConnectInfo<SocketAddr>`; extract `anyport::axum::Peer` instead",
        path.display()
    );
    assert_eq!(*warnings.0.lock().unwrap(), [expected]);
    running.abort().await.unwrap();
}

#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl Observer for Warnings {
    fn on(&self, event: &Event<'_>) {
        if let Event::Warning { message, .. } = event
            && let Ok(mut warnings) = self.0.lock()
        {
            warnings.push((*message).to_owned());
        }
    }
}
