//! How a server starts and ends: by its future, by a handle, or on a plain thread.
use crate::{
    app::{HELLO, script::Script},
    cases::drain::{AMPLE, assert_report},
    client::{Client, get},
    harness::{
        any_subject::{AnySubject, BoundEndpoint},
        case::cases,
        upgraded::assert_echo,
    },
};
use anyport_core::{error::ErrorKind, transport::Endpoint};
use std::{future::IntoFuture, time::Duration};
use tokio::{sync::oneshot, time::sleep};

cases![
    dropped_server_future_aborts_the_server,
    connect_fails_after_the_end,
    every_wait_future_gets_the_report,
    shutdown_future_starts_the_drain,
    run_serves_from_a_plain_thread,
    start_on_a_plain_thread_works_or_names_run,
];

async fn dropped_server_future_aborts_the_server(subject: AnySubject) {
    let bound = BoundEndpoint::default();
    let serving = tokio::spawn(subject.raw_server(Script::Echo, &bound).into_future());
    let endpoint = bound_endpoint(&bound).await;
    let mut client = Client::new(subject.connect(&endpoint).await.unwrap());
    assert_echo(&mut client, "served").await;
    serving.abort();
    assert!(serving.await.unwrap_err().is_cancelled());
    client.assert_closed().await;
    while subject.connect(&endpoint).await.is_ok() {
        sleep(Duration::from_millis(1)).await;
    }
}

async fn bound_endpoint(bound: &BoundEndpoint) -> Endpoint {
    loop {
        if let Some(endpoint) = bound.lock().unwrap().clone() {
            return endpoint;
        }
        sleep(Duration::from_millis(1)).await;
    }
}

async fn connect_fails_after_the_end(subject: AnySubject) {
    let server = subject.serve();
    assert_eq!(server.exchange(&get("/")).await.body, HELLO);
    server
        .handle
        .shutdown(Duration::from_millis(100))
        .await
        .unwrap();
    assert!(
        subject.connect(server.endpoint()).await.is_err(),
        "expected a refused connection after the end of the server"
    );
}

async fn every_wait_future_gets_the_report(subject: AnySubject) {
    let server = subject.serve();
    let handle = server.handle.clone();
    let waits: Vec<_> = (0..5).map(|_| tokio::spawn(handle.wait())).collect();
    server.assert_serves_new_clients().await;
    server.wait_for_connections(0).await;
    assert!(waits.iter().all(|wait| !wait.is_finished()));
    assert_report(handle.shutdown(AMPLE).await.unwrap(), 0, 0, 0);
    for wait in waits {
        assert_report(wait.await.unwrap().unwrap(), 0, 0, 0);
    }
    assert_report(handle.wait().await.unwrap(), 0, 0, 0);
}

async fn shutdown_future_starts_the_drain(subject: AnySubject) {
    let (stop, stopped) = oneshot::channel::<()>();
    let server = subject
        .serve_configured(|server| server.with_graceful_shutdown(async { drop(stopped.await) }));
    let mut client = server.client().await;
    assert_eq!(client.get("/").await.body, HELLO);
    stop.send(()).unwrap();
    client.assert_closed().await;
    assert_report(server.handle.wait().await.unwrap(), 1, 0, 0);
}

async fn run_serves_from_a_plain_thread(subject: AnySubject) {
    let (stop, stopped) = oneshot::channel::<()>();
    let bound = BoundEndpoint::default();
    let server = subject.raw_server(Script::Echo, &bound);
    let server = server.with_graceful_shutdown(async { drop(stopped.await) });
    let thread = std::thread::spawn(move || server.run());
    let endpoint = bound_endpoint(&bound).await;
    // The endpoint is known before the server listens, so an early client may have to try again.
    let io = loop {
        match subject.connect(&endpoint).await {
            Ok(io) => break io,
            Err(_) => sleep(Duration::from_millis(1)).await,
        }
    };
    let mut client = Client::new(io);
    assert_echo(&mut client, "served").await;
    drop(client);
    stop.send(()).unwrap();
    let ended = tokio::task::spawn_blocking(|| thread.join()).await.unwrap();
    ended.unwrap().unwrap();
}

async fn start_on_a_plain_thread_works_or_names_run(subject: AnySubject) {
    let server = subject.raw_server(Script::Echo, &BoundEndpoint::default());
    let started = std::thread::spawn(|| server.start()).join().unwrap();
    match started {
        Ok(handle) => {
            let mut client = Client::new(subject.connect(&handle.endpoints()[0]).await.unwrap());
            assert_echo(&mut client, "served").await;
            assert_report(handle.abort().await.unwrap(), 0, 1, 0);
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Start);
            assert!(error.to_string().contains(".run()"), "{error}");
        }
    }
}
