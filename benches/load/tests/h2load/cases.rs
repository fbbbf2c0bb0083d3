//! The tests.

use crate::server::{config, patience};
use anyport_bench_load::{Address, Amount, H2Load, Interrupted, Workload};
use bytes::Bytes;
use http::{Response, StatusCode};
use libtest_mimic::{Arguments, Failed, Trial};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::{Arc, atomic::AtomicBool, mpsc};
use std::thread;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio_rustls::TlsAcceptor;

const TESTS: [(&str, fn()); 8] = [
    ("exactly_as_many_requests_are_answered_as_were_ordered", requests),
    ("a_duration_ends", duration),
    ("latencies_are_told_on_demand", latency),
    ("tls_and_unix_sockets_are_asked_alike", transports),
    ("a_body_is_sent_and_comes_back", body),
    ("another_status_is_told", status),
    ("another_length_is_told", length),
    ("a_run_can_be_interrupted", interruption),
];

pub(crate) fn run() -> ExitCode {
    let missing = Command::new("h2load").arg("--version").output().err();
    let mut trials: Vec<Trial> = TESTS
        .into_iter()
        .map(|(name, body)| match &missing {
            None => trial(name, body),
            // Also if somebody asks for ignored tests: a test that can't be run is never green.
            Some(error) => {
                let why = format!("needs h2load: {error}");
                Trial::test(name, move || Err(Failed::from(why)))
                    .with_kind("needs h2load")
                    .with_ignored_flag(true)
            }
        })
        .collect();
    trials.push(trial("a_websocket_is_refused", websocket));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn trial(name: &str, body: fn()) -> Trial {
    Trial::test(name, move || {
        body();
        Ok(())
    })
}

/// What's answered to every request with this body.
type Answer = fn(Bytes) -> (StatusCode, Bytes);

fn hello(_: Bytes) -> (StatusCode, Bytes) {
    (StatusCode::OK, Bytes::from_static(b"Hello, World!"))
}

/// A server over one of the transports, in a thread that ends with the test's process.
fn server(transport: Transport, answer: Answer) -> Address {
    let (sender, bound) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .unwrap();
        runtime.block_on(accept(transport, answer, &sender));
    });
    bound.recv().unwrap()
}

#[derive(Clone)]
enum Transport {
    Tcp,
    Tls,
    Unix(PathBuf),
}

async fn accept(transport: Transport, answer: Answer, bound: &mpsc::Sender<Address>) {
    if let Transport::Unix(path) = transport {
        let listener = UnixListener::bind(&path).unwrap();
        bound.send(Address::Unix(path)).unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(stream, answer));
        }
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut config = config();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let is_tls = matches!(transport, Transport::Tls);
    bound
        .send(if is_tls {
            Address::Tls(address)
        } else {
            Address::Tcp(address)
        })
        .unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            if is_tls {
                serve(acceptor.accept(stream).await.unwrap(), answer).await;
            } else {
                serve(stream, answer).await;
            }
        });
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, answer: Answer) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    // A client that goes may say so or not.
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        tokio::spawn(async move {
            let mut body = request.into_body();
            let mut bytes = Vec::new();
            while let Some(Ok(piece)) = body.data().await {
                let _ = body.flow_control().release_capacity(piece.len());
                bytes.extend_from_slice(&piece);
            }
            let (status, body) = answer(bytes.into());
            let head = Response::builder().status(status).body(()).unwrap();
            if let Ok(mut stream) = respond.send_response(head, false) {
                let _ = stream.send_data(body, true);
            }
        });
    }
}

fn load(address: &Address, workload: Workload) -> H2Load {
    let (connections, streams) = (NonZeroUsize::new(3).unwrap(), NonZeroUsize::new(8).unwrap());
    H2Load::new(address, workload, connections, streams, &patience()).unwrap()
}

fn failure(answer: Answer) -> String {
    let load = load(&server(Transport::Tcp, answer), Workload::Plaintext);
    load.run(Amount::Requests(100)).unwrap_err().to_string()
}

fn requests() {
    let load = load(&server(Transport::Tcp, hello), Workload::Plaintext);
    for requests in [3, 100, 2000] {
        let outcome = load.run(Amount::Requests(requests)).unwrap();
        assert_eq!(outcome.requests, requests);
        assert!(outcome.elapsed <= outcome.effort.elapsed, "{outcome:?}");
    }
    let error = load.run(Amount::Requests(2)).unwrap_err().to_string();
    assert!(error.contains("fewer than the 3 connections"), "{error}");
}

fn duration() {
    let load = load(&server(Transport::Tcp, hello), Workload::Plaintext);
    let outcome = load.run(Amount::For(Duration::from_millis(500))).unwrap();
    assert!(outcome.requests > 3);
    assert!(
        outcome.effort.elapsed >= Duration::from_millis(500),
        "{outcome:?}"
    );
}

fn latency() {
    let load = load(&server(Transport::Tcp, hello), Workload::Plaintext);
    assert!(load.run(Amount::Requests(50)).unwrap().latency.is_none());
    let outcome = load.with_latency().run(Amount::Requests(50)).unwrap();
    let latency = outcome.latency.unwrap();
    assert_eq!(latency.len(), 50);
    assert!(
        latency.min() > Duration::ZERO && latency.max() <= outcome.effort.elapsed,
        "{latency:?}"
    );
}

fn transports() {
    let folder = tempfile::tempdir().unwrap();
    let unix = Transport::Unix(folder.path().join("h2.sock"));
    for transport in [Transport::Tls, unix] {
        let load = load(&server(transport, hello), Workload::Plaintext);
        assert_eq!(load.run(Amount::Requests(50)).unwrap().requests, 50);
    }
}

fn body() {
    let load = load(
        &server(Transport::Tcp, |body| (StatusCode::OK, body)),
        Workload::Echo,
    );
    assert_eq!(load.run(Amount::Requests(50)).unwrap().requests, 50);
}

fn status() {
    let failure = failure(|body| (StatusCode::NOT_FOUND, body));
    // h2load calls those failed, too.
    assert!(failure.contains("100 requests failed"), "{failure}");
    let redirected = self::failure(|body| (StatusCode::FOUND, hello(body).1));
    assert!(
        redirected.contains("100 of 100 requests were answered with another status"),
        "{redirected}"
    );
}

fn length() {
    let failure = failure(|_| (StatusCode::OK, Bytes::from_static(b"Hello")));
    assert!(failure.contains("and 500 bytes came"), "{failure}");
}

fn interruption() {
    let end = Arc::new(AtomicBool::new(true));
    let patience = patience().ending_with(end);
    let one = NonZeroUsize::MIN;
    let address = server(Transport::Tcp, hello);
    let load = H2Load::new(&address, Workload::Plaintext, one, one, &patience).unwrap();
    let error = load.run(Amount::For(Duration::from_secs(600))).unwrap_err();
    assert!(error.is::<Interrupted>(), "{error}");
}

/// Needs no h2load: nothing is run.
fn websocket() {
    let address = Address::Tcp(([127, 0, 0, 1], 1).into());
    let one = NonZeroUsize::MIN;
    let error = H2Load::new(&address, Workload::WebSocket, one, one, &patience()).unwrap_err();
    assert!(error.to_string().contains("over HTTP"), "{error}");
}
