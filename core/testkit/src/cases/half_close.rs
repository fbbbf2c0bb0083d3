//! Clients that send FIN after their requests. An option of the server decides whether such clients
//! get responses. A reset always cancels the request.
use crate::{
    app::script::pattern,
    client::{get, post, shut_down_write},
    harness::{any_subject::AnySubject, case::cases, test_server::TestServer},
};
use anyport_core::HttpOptions;

cases![
    half_close_cancels_request_by_default needs HalfClose,
    half_close_option_lets_waiting_handler_respond needs HalfClose,
    half_close_option_answers_all_pipelined_requests needs HalfClose,
    half_close_option_answers_complete_upload needs HalfClose,
    half_close_option_sends_whole_response needs HalfClose,
    reset_cancels_request_despite_half_close_option needs PeerState under PEER_STATE,
    reset_after_half_close_cancels_request needs PeerState under PEER_STATE,
];

fn answering(subject: &AnySubject) -> TestServer {
    subject.serve_configured(|server| server.http(HttpOptions::default().with_half_close()))
}

async fn half_close_cancels_request_by_default(subject: AnySubject) {
    let server = subject.serve();
    let mut client = server.client().await;
    client.send(get("/forever")).await;
    server.state.arrived().await;
    shut_down_write(&mut client.io).await;
    server.state.dropped().await;
    client.assert_closed().await;
    server.wait_for_connections(0).await;
}

async fn half_close_option_lets_waiting_handler_respond(subject: AnySubject) {
    let server = answering(&subject);
    for _ in 0..3 {
        let mut client = server.client().await;
        client.send(get("/slow")).await;
        shut_down_write(&mut client.io).await;
        server.state.arrived().await;
        // A later client is served, so the server has seen the FIN by now.
        server.assert_serves_new_clients().await;
        server.state.release();
        assert_eq!(client.response().await.status, 200);
        client.assert_closed().await;
    }
    server.wait_for_connections(0).await;
}

async fn half_close_option_answers_all_pipelined_requests(subject: AnySubject) {
    let server = answering(&subject);
    let mut client = server.client().await;
    client
        .send(format!("{}{}{}", get("/slow"), get("/host"), get("/slow")))
        .await;
    shut_down_write(&mut client.io).await;
    server.state.arrived().await;
    server.assert_serves_new_clients().await;
    server.state.release();
    assert_eq!(client.response().await.status, 200);
    assert_eq!(client.response().await.body, "test");
    server.state.arrived().await;
    server.state.release();
    assert_eq!(client.response().await.status, 200);
    client.assert_closed().await;
    server.wait_for_connections(0).await;
}

async fn half_close_option_answers_complete_upload(subject: AnySubject) {
    let server = answering(&subject);
    let mut client = server.client().await;
    client.send(post("/slow-len", 100_000)).await;
    client.send(pattern(100_000)).await;
    shut_down_write(&mut client.io).await;
    server.state.arrived().await;
    server.assert_serves_new_clients().await;
    server.state.release();
    assert_eq!(client.response().await.body, "100000");
    client.assert_closed().await;
    server.wait_for_connections(0).await;
}

async fn half_close_option_sends_whole_response(subject: AnySubject) {
    let server = answering(&subject);
    let mut client = server.client().await;
    client.send(get("/chunks/1000000")).await;
    shut_down_write(&mut client.io).await;
    assert!(client.response().await.body == pattern(3_000_000));
    client.assert_closed().await;
}

async fn reset_cancels_request_despite_half_close_option(subject: AnySubject) {
    let server = answering(&subject);
    let mut client = server.resetting_client().await;
    client.send(get("/forever")).await;
    server.state.arrived().await;
    drop(client);
    server.state.dropped().await;
    server.wait_for_connections(0).await;
}

async fn reset_after_half_close_cancels_request(subject: AnySubject) {
    let server = answering(&subject);
    let mut client = server.resetting_client().await;
    client.send(get("/forever")).await;
    server.state.arrived().await;
    shut_down_write(&mut client.io).await;
    server.assert_serves_new_clients().await;
    drop(client);
    server.state.dropped().await;
    server.wait_for_connections(0).await;
}
