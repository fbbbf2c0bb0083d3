//! A running server: each transport serves, limits cover the whole server, and failures stay local.
use crate::{
    GRACE,
    server::{TestServer, TestServerBuilder},
    transports::TRANSPORTS,
};
use anyport::Limits;
use std::time::Duration;
use tokio::time::{sleep, timeout};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_transport_serves_and_its_connections_are_counted() {
    let server = TestServerBuilder::all().start();
    assert_eq!(server.handle.endpoints().len(), server.len());
    let mut clients = server.connect_all().await;
    for (name, client) in &mut clients {
        for _ in 0..10 {
            assert_eq!(client.ask("/").await, (200, (*name).to_owned()));
        }
    }
    // A listener that is being polled counts, too.
    let counted = async {
        while server.handle.connections() != server.len() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    let all = timeout(GRACE, counted).await;
    all.unwrap_or_else(|_| panic!("{} are counted", server.handle.connections()));
    let report = server.handle.shutdown(GRACE).await.unwrap();
    assert_eq!(
        (report.completed, report.aborted),
        (server.len(), 0),
        "{report}"
    );
}

/// Each pair of transports, in both orders.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn permit_is_returned_to_a_client_of_any_transport() {
    for (index, first) in TRANSPORTS.iter().enumerate() {
        let others = TRANSPORTS
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != index);
        for (_, second) in others {
            let server = TestServerBuilder::of([first, second])
                .map(|server| server.limits(Limits::default().with_connections(1)))
                .start();
            let mut inside = server.connect(0).await;
            assert_eq!(inside.ask("/").await.0, 200);
            let mut outside = server.connect(1).await;
            outside.send("/", "").await;
            assert_eq!(server.handle.connections(), 1);
            drop(inside);
            let answer = outside.answer().await.unwrap();
            assert_eq!(
                answer,
                (200, second.name.to_owned()),
                "after {}",
                first.name
            );
            drop(outside);
            drained(server).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn app_panic_fails_only_its_request() {
    let server = TestServerBuilder::all().start();
    let mut others = server.connect_all().await;
    for (name, mut client) in server.connect_all().await {
        assert_eq!(client.ask("/panic").await.0, 500, "{name}");
    }
    for (name, client) in &mut others {
        assert_eq!(client.ask("/").await, (200, (*name).to_owned()));
    }
    drop(others);
    drained(server).await;
}

async fn drained(server: TestServer) {
    let report = server.handle.shutdown(GRACE).await.unwrap();
    assert_eq!(report.aborted, 0, "{report}");
}
