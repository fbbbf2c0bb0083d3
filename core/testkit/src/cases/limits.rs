//! Limits on peers, and contradictory settings.
use crate::{
    app::HELLO,
    client::{Client, get, h2::request, post},
    harness::{
        case::cases,
        site::Site,
        upgraded::{echoes, upgraded},
    },
};
use anyport_core::{Endpoint, ErrorKind, Limits, Server};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

cases![
    a_client_beyond_the_limit_waits_until_one_leaves,
    an_upgraded_connection_counts_against_the_limit also abroad,
    a_request_body_that_is_kept_keeps_no_permit,
    h2_streams_beyond_the_limit_wait,
    settings_that_serve_nobody_are_errors_at_start,
    a_limit_that_cannot_be_reached_does_no_harm,
    many_clients_are_served_by_few_permits,
    many_clients_are_served_by_one_permit_per_worker,
    a_client_beyond_the_limit_of_its_address_is_closed needs PortZero also abroad,
    a_filtered_peer_is_closed_before_it_speaks,
];

/// Nobody else is served, although the server has had every opportunity; then `leave` is dropped,
/// and somebody is.
async fn next_is_served_after(
    site: &Site,
    server: &crate::harness::running::Running,
    busy: &mut Client,
    leave: Client,
) {
    let (site, endpoint) = (site.clone(), server.endpoint().clone());
    let next = tokio::spawn(async move {
        let mut client = Client::new(
            site.connect(&endpoint)
                .await
                .expect("connects, now or later"),
        );
        client.get("/").await.body
    });
    for _ in 0..200 {
        assert_eq!(busy.get("/").await.body, HELLO);
    }
    assert!(!next.is_finished(), "served beyond the limit");
    server.settles(2).await;
    drop(leave);
    assert_eq!(next.await.unwrap(), HELLO);
}

async fn a_client_beyond_the_limit_waits_until_one_leaves(site: Site) {
    let server = site.serve_as(|server| server.limits(Limits::default().with_connections(2)));
    let (mut first, mut second) = (server.client().await, server.client().await);
    assert_eq!(first.get("/").await.body, HELLO);
    assert_eq!(second.get("/").await.body, HELLO);
    next_is_served_after(&site, &server, &mut first, second).await;
    // The permit came back once more, as that client has left.
    let mut again = server.client().await;
    assert_eq!(again.get("/").await.body, HELLO);
}

async fn an_upgraded_connection_counts_against_the_limit(site: Site) {
    let server = site.serve_as(|server| server.limits(Limits::default().with_connections(2)));
    let mut upgraded = upgraded(&server).await;
    let mut busy = server.client().await;
    assert_eq!(busy.get("/").await.body, HELLO);
    echoes(&mut upgraded, "here").await;
    next_is_served_after(&site, &server, &mut busy, upgraded).await;
}

async fn a_request_body_that_is_kept_keeps_no_permit(site: Site) {
    let server = site.serve_as(|server| server.limits(Limits::default().with_connections(1)));
    for _ in 0..3 {
        let mut client = server.client().await;
        client.send(format!("{}hello", post("/keep", 5))).await;
        assert_eq!(client.response().await.body, HELLO);
        drop(client);
        server.settles(0).await;
    }
    assert_eq!(server.ask(&get("/")).await.body, HELLO);
}

async fn h2_streams_beyond_the_limit_wait(site: Site) {
    let server = site.serve_as(|server| server.limits(Limits::default().with_h2_streams(2)));
    let mut h2 = server.h2().await;
    // The server's settings are there after the first answer.
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
    assert!(!third.is_finished(), "served beyond the limit");
    server.state.release();
    assert_eq!(third.await.unwrap(), 200);
}

async fn settings_that_serve_nobody_are_errors_at_start(site: Site) {
    let refused = |configure: fn(Server) -> Server, hint: &str| {
        let error = configure(site.server())
            .start()
            .expect_err("no such server");
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
    // And nothing of it was left running or bound.
    assert_eq!(site.serve().ask(&get("/")).await.body, HELLO);
}

async fn a_limit_that_cannot_be_reached_does_no_harm(site: Site) {
    // The preset allows 100 per address.
    let server = site.serve_as(|server| server.limits(Limits::strict().with_connections(2)));
    assert_eq!(server.ask(&get("/")).await.body, HELLO);
}

async fn many_clients_are_served_by_few_permits(site: Site) {
    everybody_is_served(&site, Limits::default().with_connections(3)).await;
}

async fn many_clients_are_served_by_one_permit_per_worker(site: Site) {
    everybody_is_served(&site, Limits::default().with_connections_per_worker(1)).await;
}

async fn a_client_beyond_the_limit_of_its_address_is_closed(site: Site) {
    let server =
        site.serve_as(|server| server.limits(Limits::default().with_connections_per_ip(2)));
    for _ in 0..3 {
        let (mut first, mut second) = (server.client().await, upgraded(&server).await);
        assert_eq!(first.get("/").await.body, HELLO);
        for _ in 0..5 {
            server.knocking().await.closed().await;
        }
        assert_eq!(first.get("/").await.body, HELLO);
        echoes(&mut second, "here").await;
        server.settles(2).await;
        drop((first, second));
        server.settles(0).await;
    }
}

async fn a_filtered_peer_is_closed_before_it_speaks(site: Site) {
    let asked = Arc::new(AtomicUsize::new(0));
    let filter = {
        let asked = Arc::clone(&asked);
        // Every other one.
        move |_: &Endpoint| asked.fetch_add(1, Relaxed) % 2 == 1
    };
    let server = site.serve_as(|server| server.accept_filter(filter));
    for _ in 0..5 {
        server.knocking().await.closed().await;
        assert_eq!(server.ask(&get("/")).await.body, HELLO);
    }
    assert_eq!(asked.load(Relaxed), 10, "asked once for each");
    server.settles(0).await;
}

async fn everybody_is_served(site: &Site, limits: Limits) {
    let server = site.serve_as(|server| server.limits(limits));
    let clients = (0..100).map(|_| {
        let (site, endpoint) = (site.clone(), server.endpoint().clone());
        tokio::spawn(async move {
            let mut client = Client::new(
                site.connect(&endpoint)
                    .await
                    .expect("connects, now or later"),
            );
            client.get("/").await.body
        })
    });
    for client in clients.collect::<Vec<_>>() {
        assert_eq!(client.await.unwrap(), HELLO);
    }
    server.settles(0).await;
}
