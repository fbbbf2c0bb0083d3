//! A failure of one transport ends the server. The other transports drain, and the error names the
//! failed one.
use crate::{
    TIMEOUT,
    app::{Signals, app},
    client::Client,
    fault::Fault,
    server::{TestServer, TestServerBuilder},
    transports::{Dial, FAULTY, TRANSPORTS},
};
use anyport::{Error, error::ErrorKind};
use std::thread;
use tokio::{
    runtime::{Builder, Runtime},
    time::timeout,
};

/// A waiting request on each transport.
async fn waiting(server: &TestServer) -> Vec<(&'static str, Client)> {
    let mut clients = server.connect_all().await;
    for (_, client) in &mut clients {
        client.send("/slow", "").await;
    }
    timeout(TIMEOUT, server.signals.arrived(clients.len()))
        .await
        .unwrap();
    clients
}

/// The error of the server, after all waiting requests got their responses.
async fn error_after_responses(
    server: &TestServer,
    clients: &mut [(&'static str, Client)],
) -> Error {
    server.signals.release(clients.len());
    for (name, client) in clients {
        assert_eq!(client.answer().await.unwrap(), (200, (*name).to_owned()));
        client.assert_closed().await;
    }
    timeout(TIMEOUT, server.handle.wait())
        .await
        .unwrap()
        .unwrap_err()
}

/// Serves all transports and a faulty one, to which a client connects.
async fn assert_ends_by(fault: Fault, kind: ErrorKind, expected: impl Fn(&str) -> String) {
    for (name, add) in FAULTY {
        let app = app("faulty", Signals::new());
        let server = TestServerBuilder::all()
            .map(|server| add(server, fault, app))
            .start();
        let mut clients = waiting(&server).await;
        let faulty = server.handle.endpoints().last().unwrap().clone();
        Dial::Endpoint.connect(&faulty).await.assert_closed().await;
        let error = error_after_responses(&server, &mut clients).await;
        assert_eq!(error.kind(), kind, "{name}: {error}");
        let expected = expected(&faulty.to_string());
        assert!(
            error.to_string().ends_with(&expected),
            "{name}: expected an error that ends with {expected}, got {error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn panicking_listener_lets_other_transports_drain() {
    assert_ends_by(Fault::PanicsAtAccept, ErrorKind::Worker, |endpoint| {
        format!(" of {endpoint} ended before its time: its listener panicked")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_listener_lets_other_transports_drain() {
    assert_ends_by(Fault::CannotAccept, ErrorKind::Accept, |endpoint| {
        format!(" of {endpoint} failed for good: a deliberate fault")
    })
    .await;
}

/// Transports with threads of their own outlive the runtime in which the server was started. The
/// ambient transport does not.
#[test]
fn runtime_shutdown_ends_its_transport_and_lets_others_drain() {
    let (ambient, others) = TRANSPORTS.split_first().unwrap();
    let others = others
        .iter()
        .filter(|transport| !matches!(transport.name, "unix" | "memory"));
    let client = runtime();
    let ambient_runtime = runtime();
    let server =
        ambient_runtime.block_on(async { TestServerBuilder::of(others.chain([ambient])).start() });
    client.block_on(async {
        let mut clients = waiting(&server).await;
        let (name, mut ambient_client) = clients.pop().unwrap();
        assert_eq!(name, ambient.name);
        let endpoint = server.handle.endpoints().last().unwrap().to_string();
        // Dropping a runtime blocks, which is not allowed on a thread of a runtime.
        thread::spawn(|| drop(ambient_runtime)).join().unwrap();
        ambient_client.assert_closed().await;
        let error = error_after_responses(&server, &mut clients).await;
        assert_eq!(
            error.to_string(),
            format!("worker 0 of {endpoint} ended before its time: its runtime was shut down")
        );
    });
}

fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}
