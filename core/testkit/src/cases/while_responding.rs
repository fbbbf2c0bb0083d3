//! HTTP/1 peers that disconnect, or send their next request, while the server responds.
use crate::{
    app::{HELLO, script::pattern},
    client::{get, post},
    harness::{any_subject::AnySubject, case::cases},
};
use anyport_core::Limits;

cases![
    disconnect_after_body_was_read_drops_the_handler,
    disconnect_before_body_is_read_drops_the_handler,
    disconnect_after_earlier_requests_drops_the_handler,
    disconnect_during_slow_response_drops_the_body,
    reset_behind_unread_body_drops_the_handler needs PeerState under PEER_STATE,
    reset_behind_unread_requests_drops_the_handler needs PeerState under PEER_STATE,
    reset_behind_unread_bytes_frees_the_permit needs PeerState under PEER_STATE,
    request_sent_while_responding_is_answered_next,
    request_with_body_sent_while_responding_is_answered_next,
    head_trickled_while_responding_is_answered_next,
];

async fn disconnect_after_body_was_read_drops_the_handler(subject: AnySubject) {
    let server = subject.serve();
    let mut client = server.client().await;
    client.send(format!("{}hello", post("/slow-len", 5))).await;
    server.state.arrived().await;
    drop(client);
    server.state.dropped().await;
    server.wait_for_connections(0).await;
}

async fn disconnect_before_body_is_read_drops_the_handler(subject: AnySubject) {
    let server = subject.serve();
    for body in ["", "hello", "hello, wor", "hello, world"] {
        let mut client = server.client().await;
        client.send(format!("{}{body}", post("/hold", 12))).await;
        server.state.arrived().await;
        drop(client);
        server.state.dropped().await;
    }
    server.wait_for_connections(0).await;
}

async fn disconnect_after_earlier_requests_drops_the_handler(subject: AnySubject) {
    let server = subject.serve();
    let mut client = server.client().await;
    for _ in 0..100 {
        assert_eq!(client.get("/").await.body, HELLO);
    }
    client.send(get("/forever")).await;
    server.state.arrived().await;
    drop(client);
    server.state.dropped().await;
    server.wait_for_connections(0).await;
}

/// The server detects the end of the connection, not a failed write.
async fn disconnect_during_slow_response_drops_the_body(subject: AnySubject) {
    let server = subject.serve();
    let mut client = server.client().await;
    client.send(get("/stalls")).await;
    assert_eq!(client.head().await.unwrap().status, 200);
    server.state.arrived().await;
    drop(client);
    server.state.dropped().await;
    server.wait_for_connections(0).await;
}

/// The transport holds unread bytes, so a read would not return the reset that follows them.
async fn reset_behind_unread_body_drops_the_handler(subject: AnySubject) {
    let server = subject.serve();
    for path in ["/hold", "/forever"] {
        for sent in [1_000, 10_000] {
            let mut client = server.resetting_client().await;
            client.send(post(path, 10_000)).await;
            server.state.arrived().await;
            client.send("x".repeat(sent)).await;
            drop(client);
            server.state.dropped().await;
        }
    }
    server.wait_for_connections(0).await;
}

async fn reset_behind_unread_requests_drops_the_handler(subject: AnySubject) {
    let server = subject.serve();
    for requests in [1, 100] {
        let mut client = server.resetting_client().await;
        client.send(get("/forever")).await;
        server.state.arrived().await;
        client.send(get("/").repeat(requests)).await;
        drop(client);
        server.state.dropped().await;
    }
    server.wait_for_connections(0).await;
}

/// Repeated until the limit is reached; then another client is served.
async fn reset_behind_unread_bytes_frees_the_permit(subject: AnySubject) {
    let limits = Limits::default().with_connections(4);
    let server = subject.serve_configured(|server| server.limits(limits));
    for _ in 0..4 {
        let mut client = server.resetting_client().await;
        client.send(post("/hold", 10_000)).await;
        server.state.arrived().await;
        client.send("x".repeat(5_000)).await;
    }
    assert_eq!(server.exchange(&get("/")).await.body, HELLO);
}

/// More bytes than the server reads at once, so some of them stay with the transport.
async fn request_sent_while_responding_is_answered_next(subject: AnySubject) {
    let server = subject.serve();
    let (mut write, mut read) = server.client().await.split();
    write.send(get("/slow")).await;
    server.state.arrived().await;
    let body = pattern(100_000);
    let mut next = post("/echo", body.len()).into_bytes();
    next.extend_from_slice(&body);
    next.extend_from_slice(get("/").as_bytes());
    // The server must read these, or the write would block on the smallest pipe.
    write.send(&next[..1000]).await;
    server.state.release();
    let sends = write.send(&next[1000..]);
    let reads = async {
        assert_eq!(read.response().await.body, HELLO);
        assert_eq!(read.response().await.body, body);
        assert_eq!(read.response().await.body, HELLO);
    };
    tokio::join!(sends, reads);
}

async fn request_with_body_sent_while_responding_is_answered_next(subject: AnySubject) {
    let server = subject.serve();
    let mut client = server.client().await;
    client.send(format!("{}hello", post("/slow-len", 5))).await;
    server.state.arrived().await;
    client.send(format!("{}bye", post("/len", 3))).await;
    server.state.release();
    assert_eq!(client.response().await.body, "5");
    assert_eq!(client.response().await.body, "3");
    assert_eq!(client.get("/").await.body, HELLO);
}

async fn head_trickled_while_responding_is_answered_next(subject: AnySubject) {
    let server = subject.serve();
    let mut client = server.client().await;
    client.send(get("/slow")).await;
    server.state.arrived().await;
    let (next, released) = (get("/"), get("/").len() / 2);
    for (sent, byte) in next.bytes().enumerate() {
        client.send([byte]).await;
        if sent == released {
            server.state.release();
            assert_eq!(client.response().await.body, HELLO);
        }
    }
    assert_eq!(client.response().await.body, HELLO);
}
