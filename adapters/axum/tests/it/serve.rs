//! `axum::serve` over anyport's transports, and anyport over a listener of axum's.

use crate::scene::{Fate, Staged, ask};
use anyport_axum::{AxumListener, ConnectionInfo, Peer, app, listener, transport, transport_at};
use anyport_core::{
    serve_with,
    transport::{ByteListener, Endpoint},
};
use anyport_memory::Memory;
use anyport_tcp::Tcp;
use anyport_unix::Unix;
use axum::{Router, extract::ConnectInfo, routing::get, serve::ListenerExt as _};
use http::StatusCode;
use rustix::io::Errno;
use std::{io, net::SocketAddr, os::unix, time::Duration};
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

/// `axum::serve` on a listener of ours, until the sender is used or dropped.
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
async fn axum_serve_listens_by_any_transport_and_handlers_know_their_peer() {
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
async fn a_tapped_listener_knows_its_peers_too() {
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
async fn silent_failing_and_panicking_handshakes_delay_nobody() {
    let memory = Memory::new();
    let connector = memory.connector();
    let silent = (0..300).map(|_| Fate::Silent);
    let fates = silent.chain([Fate::Fails, Fate::Panics, Fate::Welcome]);
    let staged = Staged::new(memory, fates);
    let (stop, serving) = axum_serve(listener(staged.clone()).unwrap());
    let others: Vec<_> = (0..302).map(|_| connector.connect().unwrap()).collect();
    assert_eq!(
        ask(connector.connect().unwrap(), "/").await,
        (OK, "Hello!".into())
    );
    assert_eq!(staged.fates_left(), 0, "all were met");
    drop(stop);
    serving.await.unwrap().unwrap();
    // Those that weren't done are given up with the listener.
    for mut other in others {
        assert_eq!(other.read(&mut [0]).await.unwrap(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_takes_too_long_is_given_up() {
    for (timeout, expected) in [(None, 10), (Some(3), 3)] {
        let memory = Memory::new();
        let connector = memory.connector();
        let mut listener = listener(Staged::new(memory, [Fate::Silent])).unwrap();
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
async fn errors_of_accept_are_waited_out_and_the_wait_grows() {
    fn error(errno: Errno) -> Fate {
        Fate::NotAccepted(errno.into())
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
        // Whoever is accepted ends the growth.
        (
            vec![
                error(Errno::MFILE),
                error(Errno::MFILE),
                Fate::Welcome,
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
    for (fates, expected) in cases {
        // tokio's clock counts milliseconds: each wait may be one longer.
        let late = fates.len() as u128;
        let memory = Memory::new();
        let connector = memory.connector();
        let staged = Staged::new(memory, fates);
        let (_stop, _serving) = axum_serve(listener(staged.clone()).unwrap());
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
        assert_eq!(staged.fates_left(), 0);
    }
}

#[tokio::test]
async fn a_transport_is_told_what_axum_serve_speaks() {
    let staged = Staged::new(Memory::new(), []);
    listener(staged.clone()).unwrap();
    let spoken: &[&[u8]] = if cfg!(feature = "http2") {
        &[b"h2", b"http/1.1"]
    } else {
        &[b"http/1.1"]
    };
    assert_eq!(staged.alpn(), Some(spoken));
}

#[test]
fn a_listener_needs_a_runtime_and_says_so() {
    let error = listener(Tcp::bind("127.0.0.1:0")).unwrap_err();
    assert!(error.to_string().contains("#[tokio::main]"), "{error}");
}

#[tokio::test]
async fn what_cannot_be_bound_is_said() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let error = listener(Tcp::bind(addr)).unwrap_err().to_string();
    assert!(
        error.contains(&format!("cannot bind {addr}: address already in use")),
        "{error}"
    );
}

#[tokio::test]
async fn axums_own_listeners_are_transports() {
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
async fn a_listener_of_axums_has_one_server_and_one_worker() {
    let bind = async || TcpListener::bind("127.0.0.1:0").await.unwrap();
    let shared = transport(bind().await);
    let running = serve_with(shared.clone(), router()).start().unwrap();
    let error = serve_with(shared, router())
        .start()
        .unwrap_err()
        .to_string();
    assert!(error.contains("a server has it already"), "{error}");
    running.abort().await.unwrap();
    let two = serve_with(transport(bind().await), router()).workers(2);
    let error = two.start().unwrap_err().to_string();
    assert!(error.contains("can't be shared by 2 workers"), "{error}");
}

#[tokio::test]
async fn axums_connect_info_is_there_when_asked_for_and_the_peer_has_an_ip_address() {
    let tcp = || Tcp::bind("127.0.0.1:0");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    let server = serve_with(tcp(), app(router()).with_connect_info())
        .and(tcp(), app(router()))
        .and(Unix::bind(&path), app(router()).with_connect_info());
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
    let (no_ip, _) = ask(UnixStream::connect(&path).await.unwrap(), "/connect-info").await;
    let axums_own = StatusCode::INTERNAL_SERVER_ERROR;
    assert_eq!((unasked, no_ip), (axums_own, axums_own));
    running.abort().await.unwrap();
}
