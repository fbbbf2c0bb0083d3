//! Limits on peers, and settings that contradict each other.
use crate::{
    app::HELLO,
    client::{Client, get, h2::request, post},
    harness::{
        any_subject::AnySubject,
        case::cases,
        upgraded::{assert_echo, upgraded},
    },
};
use anyport_core::{Limits, Server, error::ErrorKind, transport::Endpoint};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

cases![
    client_over_the_limit_waits_for_a_permit,
    upgraded_connection_counts_against_the_limit also cross_thread,
    retained_request_body_holds_no_permit,
    h2_streams_over_the_limit_wait,
    settings_that_allow_no_connection_fail_the_start,
    unreachable_per_ip_limit_is_accepted,
    many_clients_share_few_permits,
    many_clients_share_one_permit_per_worker,
    client_over_the_per_ip_limit_is_closed needs PortZero under NEVER_WAITS also cross_thread,
    accept_filter_closes_rejected_peers,
];

/// Asserts that a further client is not served while the server has every opportunity to do so.
/// Then drops `leave`, and asserts that the client is served.
async fn assert_next_served_after(
    subject: &AnySubject,
    server: &crate::harness::test_server::TestServer,
    busy: &mut Client,
    leave: Client,
) {
    let (subject, endpoint) = (subject.clone(), server.endpoint().clone());
    let next = tokio::spawn(async move {
        let mut client = Client::new(
            subject
                .connect(&endpoint)
                .await
                .expect("the client must connect, possibly after a wait"),
        );
        client.get("/").await.body
    });
    for _ in 0..200 {
        assert_eq!(busy.get("/").await.body, HELLO);
    }
    assert!(
        !next.is_finished(),
        "a client over the limit was served before a permit was returned"
    );
    server.wait_for_connections(2).await;
    drop(leave);
    assert_eq!(next.await.unwrap(), HELLO);
}

async fn client_over_the_limit_waits_for_a_permit(subject: AnySubject) {
    let server =
        subject.serve_configured(|server| server.limits(Limits::default().with_connections(2)));
    let (mut first, mut second) = (server.client().await, server.client().await);
    assert_eq!(first.get("/").await.body, HELLO);
    assert_eq!(second.get("/").await.body, HELLO);
    assert_next_served_after(&subject, &server, &mut first, second).await;
    // The permit was returned when that client disconnected.
    let mut again = server.client().await;
    assert_eq!(again.get("/").await.body, HELLO);
}

async fn upgraded_connection_counts_against_the_limit(subject: AnySubject) {
    let server =
        subject.serve_configured(|server| server.limits(Limits::default().with_connections(2)));
    let mut upgraded = upgraded(&server).await;
    let mut busy = server.client().await;
    assert_eq!(busy.get("/").await.body, HELLO);
    assert_echo(&mut upgraded, "here").await;
    assert_next_served_after(&subject, &server, &mut busy, upgraded).await;
}

async fn retained_request_body_holds_no_permit(subject: AnySubject) {
    let server =
        subject.serve_configured(|server| server.limits(Limits::default().with_connections(1)));
    for _ in 0..3 {
        let mut client = server.client().await;
        client.send(format!("{}hello", post("/keep", 5))).await;
        assert_eq!(client.response().await.body, HELLO);
        drop(client);
        server.wait_for_connections(0).await;
    }
    assert_eq!(server.exchange(&get("/")).await.body, HELLO);
}

async fn h2_streams_over_the_limit_wait(subject: AnySubject) {
    let server =
        subject.serve_configured(|server| server.limits(Limits::default().with_h2_streams(2)));
    let mut h2 = server.h2().await;
    // The server's SETTINGS have arrived with the first response.
    assert_eq!(h2.get("/").await.body, HELLO);
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let (response, _) = h2.begin(request("/slow"), true).await.unwrap();
        server.state.arrived().await;
        waiting.push(response);
    }
    let mut other = h2.requests.clone();
    let third = tokio::spawn(async move {
        let (response, _) = other.send_request(request("/"), true).unwrap();
        response.await.unwrap().status()
    });
    let mut bystander = server.client().await;
    for _ in 0..50 {
        assert_eq!(bystander.get("/").await.body, HELLO);
    }
    assert!(
        !third.is_finished(),
        "a client over the limit was served before a permit was returned"
    );
    server.state.release();
    assert_eq!(third.await.unwrap(), 200);
}

async fn settings_that_allow_no_connection_fail_the_start(subject: AnySubject) {
    let refused = |configure: fn(Server) -> Server, hint: &str| {
        let error = configure(subject.server())
            .start()
            .expect_err("these settings must fail the start");
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.to_string().contains(hint), "{error}");
    };
    refused(
        |s| s.limits(Limits::default().with_connections(0)),
        "allow at least 1",
    );
    refused(
        |s| s.limits(Limits::default().with_head_bytes(10)),
        "allow at least 8192",
    );
    refused(
        |s| s.limits(Limits::default().with_head_bytes(usize::MAX)),
        "allow at most 409600",
    );
    refused(
        |s| s.limits(Limits::default().with_h2_streams(0)),
        "allow at least 1",
    );
    refused(|s| s.workers(0), "zero workers");
    // None of these servers is still running or bound.
    assert_eq!(subject.serve().exchange(&get("/")).await.body, HELLO);
}

async fn unreachable_per_ip_limit_is_accepted(subject: AnySubject) {
    // The preset allows 100 connections per address.
    let server =
        subject.serve_configured(|server| server.limits(Limits::strict().with_connections(2)));
    assert_eq!(server.exchange(&get("/")).await.body, HELLO);
}

async fn many_clients_share_few_permits(subject: AnySubject) {
    assert_all_served(&subject, Limits::default().with_connections(3)).await;
}

async fn many_clients_share_one_permit_per_worker(subject: AnySubject) {
    assert_all_served(&subject, Limits::default().with_connections_per_worker(1)).await;
}

async fn client_over_the_per_ip_limit_is_closed(subject: AnySubject) {
    let server = subject
        .serve_configured(|server| server.limits(Limits::default().with_connections_per_ip(2)));
    for _ in 0..3 {
        let (mut first, mut second) = (server.client().await, upgraded(&server).await);
        assert_eq!(first.get("/").await.body, HELLO);
        for _ in 0..5 {
            server.pending_client().await.assert_closed().await;
        }
        assert_eq!(first.get("/").await.body, HELLO);
        assert_echo(&mut second, "here").await;
        server.wait_for_connections(2).await;
        drop((first, second));
        server.wait_for_connections(0).await;
    }
}

async fn accept_filter_closes_rejected_peers(subject: AnySubject) {
    let asked = Arc::new(AtomicUsize::new(0));
    let filter = {
        let asked = Arc::clone(&asked);
        // Accepts every other peer.
        move |_: &Endpoint| asked.fetch_add(1, Relaxed) % 2 == 1
    };
    let server = subject.serve_configured(|server| server.accept_filter(filter));
    for _ in 0..5 {
        server.pending_client().await.assert_closed().await;
        assert_eq!(server.exchange(&get("/")).await.body, HELLO);
    }
    assert_eq!(
        asked.load(Relaxed),
        10,
        "calls of the accept filter, one for each of 10 clients"
    );
    server.wait_for_connections(0).await;
}

async fn assert_all_served(subject: &AnySubject, limits: Limits) {
    let server = subject.serve_configured(|server| server.limits(limits));
    let clients = (0..100).map(|_| {
        let (subject, endpoint) = (subject.clone(), server.endpoint().clone());
        tokio::spawn(async move {
            let mut client = Client::new(
                subject
                    .connect(&endpoint)
                    .await
                    .expect("the client must connect, possibly after a wait"),
            );
            client.get("/").await.body
        })
    });
    for client in clients.collect::<Vec<_>>() {
        assert_eq!(client.await.unwrap(), HELLO);
    }
    server.wait_for_connections(0).await;
}
