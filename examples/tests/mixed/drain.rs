//! One drain covers all transports: it waits for their connections, and ends them.
use crate::{
    GRACE, TIMEOUT,
    client::Client,
    server::{TestServer, TestServerBuilder},
};
use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};
use tokio::time::timeout;

/// A waiting request and an echoing connection on each transport.
async fn busy(server: &TestServer) -> (Vec<Client>, Vec<Client>) {
    let (mut waiting, mut echoing) = (Vec::new(), Vec::new());
    for (_, mut client) in server.connect_all().await {
        client.send("/slow", "").await;
        waiting.push(client);
    }
    for (_, mut client) in server.connect_all().await {
        client.upgrade().await;
        echoing.push(client);
    }
    timeout(TIMEOUT, server.signals.arrived(server.len()))
        .await
        .unwrap();
    (waiting, echoing)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drain_waits_for_active_connections_on_every_transport() {
    let server = TestServerBuilder::all().start();
    let transports = server.len();
    let (mut waiting, mut echoing) = busy(&server).await;
    // An idle connection on the first transport.
    let mut idle = server.connect(0).await;
    assert_eq!(idle.ask("/").await.0, 200);

    let mut draining = pin!(server.handle.shutdown(GRACE));
    timeout(TIMEOUT, idle.assert_closed()).await.unwrap();
    server.signals.release(transports);
    for client in &mut waiting {
        assert_eq!(client.answer().await.unwrap().0, 200);
        client.assert_closed().await;
    }
    // Only echoing connections remain. They end one by one, and the last one ends the drain.
    while let Some(mut client) = echoing.pop() {
        let pending = poll_fn(|cx| Poll::Ready(draining.as_mut().poll(cx).is_pending())).await;
        assert!(
            pending,
            "the drain ended with {} connections open",
            echoing.len() + 1
        );
        client.assert_echo().await;
    }
    let report = timeout(TIMEOUT, draining).await.unwrap().unwrap();
    let counts = (report.completed, report.aborted, report.upgraded);
    assert_eq!(counts, (2 * transports + 1, 0, transports), "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_transport_aborts_remaining_connections_after_the_grace() {
    let server = TestServerBuilder::all().start();
    let transports = server.len();
    let (mut waiting, mut echoing) = busy(&server).await;
    let draining = server.handle.shutdown(Duration::from_millis(50));
    let report = timeout(TIMEOUT, draining).await.unwrap().unwrap();
    let counts = (report.completed, report.aborted, report.upgraded);
    assert_eq!(counts, (0, 2 * transports, transports), "{report}");
    for client in waiting.iter_mut().chain(&mut echoing) {
        client.assert_closed().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn abort_ends_every_transport_at_once() {
    let server = TestServerBuilder::all().start();
    let transports = server.len();
    let (mut waiting, mut echoing) = busy(&server).await;
    // An abort also ends a drain in progress, whatever its grace is.
    let draining = server.handle.shutdown(GRACE);
    let report = timeout(TIMEOUT, server.handle.abort())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (report.aborted, report.upgraded),
        (2 * transports, transports),
        "{report}"
    );
    assert_eq!(draining.await.unwrap(), report);
    for client in waiting.iter_mut().chain(&mut echoing) {
        client.assert_closed().await;
    }
    assert_eq!(server.handle.connections(), 0);
}
