//! Clients that shut down their sending half after a request. An option decides whether they get a
//! response; a reset always means that they left.
use crate::{
    app::script::pattern,
    client::{get, post, stop_writing},
    harness::{case::cases, running::Running, site::Site},
};
use anyport_core::HttpOptions;

cases![
    by_default_it_means_that_the_client_left needs HalfClose,
    a_handler_that_waits_answers_if_asked_to needs HalfClose,
    all_that_was_pipelined_is_answered_if_asked_to needs HalfClose,
    an_upload_that_was_whole_is_answered_if_asked_to needs HalfClose,
    a_stream_is_sent_to_its_end_if_asked_to needs HalfClose,
    a_reset_means_that_the_client_left needs PeerState,
    a_half_closed_client_that_resets_left needs PeerState,
];

fn answering(site: &Site) -> Running {
    site.serve_as(|server| server.http(HttpOptions::default().with_half_close()))
}

async fn by_default_it_means_that_the_client_left(site: Site) {
    let server = site.serve();
    let mut client = server.client().await;
    client.send(get("/forever")).await;
    server.state.arrived().await;
    stop_writing(&mut client.io).await;
    server.state.dropped().await;
    client.closed().await;
    server.settles(0).await;
}

async fn a_handler_that_waits_answers_if_asked_to(site: Site) {
    let server = answering(&site);
    for _ in 0..3 {
        let mut client = server.client().await;
        client.send(get("/slow")).await;
        stop_writing(&mut client.io).await;
        server.state.arrived().await;
        // Whoever came later, is served: so it has been seen by then.
        server.serves_others().await;
        server.state.release();
        assert_eq!(client.response().await.status, 200);
        client.closed().await;
    }
    server.settles(0).await;
}

async fn all_that_was_pipelined_is_answered_if_asked_to(site: Site) {
    let server = answering(&site);
    let mut client = server.client().await;
    client
        .send(format!("{}{}{}", get("/slow"), get("/host"), get("/slow")))
        .await;
    stop_writing(&mut client.io).await;
    server.state.arrived().await;
    server.serves_others().await;
    server.state.release();
    assert_eq!(client.response().await.status, 200);
    assert_eq!(client.response().await.body, "test");
    server.state.arrived().await;
    server.state.release();
    assert_eq!(client.response().await.status, 200);
    client.closed().await;
    server.settles(0).await;
}

async fn an_upload_that_was_whole_is_answered_if_asked_to(site: Site) {
    let server = answering(&site);
    let mut client = server.client().await;
    client.send(post("/slow-len", 100_000)).await;
    client.send(pattern(100_000)).await;
    stop_writing(&mut client.io).await;
    server.state.arrived().await;
    server.serves_others().await;
    server.state.release();
    assert_eq!(client.response().await.body, "100000");
    client.closed().await;
    server.settles(0).await;
}

async fn a_stream_is_sent_to_its_end_if_asked_to(site: Site) {
    let server = answering(&site);
    let mut client = server.client().await;
    client.send(get("/chunks/1000000")).await;
    stop_writing(&mut client.io).await;
    assert!(client.response().await.body == pattern(3_000_000));
    client.closed().await;
}

async fn a_reset_means_that_the_client_left(site: Site) {
    let server = answering(&site);
    let mut client = server.resetting_client().await;
    client.send(get("/forever")).await;
    server.state.arrived().await;
    drop(client);
    server.state.dropped().await;
    server.settles(0).await;
}

async fn a_half_closed_client_that_resets_left(site: Site) {
    let server = answering(&site);
    let mut client = server.resetting_client().await;
    client.send(get("/forever")).await;
    server.state.arrived().await;
    stop_writing(&mut client.io).await;
    server.serves_others().await;
    drop(client);
    server.state.dropped().await;
    server.settles(0).await;
}
