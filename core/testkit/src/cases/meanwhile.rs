//! HTTP/1 peers that disconnect, or send the next request, while a response is in progress.
use crate::{
    app::{HELLO, script::pattern},
    client::{get, post},
    harness::{case::cases, site::Site},
};
use anyport_core::Limits;

cases![
    a_peer_that_leaves_after_its_body_was_read_is_noticed,
    a_peer_that_leaves_before_its_body_is_read_is_noticed,
    a_peer_that_leaves_after_earlier_requests_is_noticed,
    a_peer_that_leaves_a_slow_response_is_noticed,
    a_peer_that_leaves_behind_an_unread_body_is_noticed needs PeerState,
    a_peer_that_leaves_behind_unread_requests_is_noticed needs PeerState,
    peers_that_left_behind_unread_bytes_free_their_places needs PeerState,
    what_is_sent_meanwhile_is_the_next_request,
    a_body_that_is_sent_meanwhile_is_the_next_one_s,
    a_head_that_is_sent_meanwhile_byte_by_byte_is_the_next_one_s,
];

async fn a_peer_that_leaves_after_its_body_was_read_is_noticed(site: Site) {
    let server = site.serve();
    let mut client = server.client().await;
    client.send(format!("{}hello", post("/slow-len", 5))).await;
    server.state.arrived().await;
    drop(client);
    server.state.dropped().await;
    server.settles(0).await;
}

async fn a_peer_that_leaves_before_its_body_is_read_is_noticed(site: Site) {
    let server = site.serve();
    for body in ["", "hello", "hello, wor", "hello, world"] {
        let mut client = server.client().await;
        client.send(format!("{}{body}", post("/hold", 12))).await;
        server.state.arrived().await;
        drop(client);
        server.state.dropped().await;
    }
    server.settles(0).await;
}

async fn a_peer_that_leaves_after_earlier_requests_is_noticed(site: Site) {
    let server = site.serve();
    let mut client = server.client().await;
    for _ in 0..100 {
        assert_eq!(client.get("/").await.body, HELLO);
    }
    client.send(get("/forever")).await;
    server.state.arrived().await;
    drop(client);
    server.state.dropped().await;
    server.settles(0).await;
}

/// It's the connection's end that's noticed, not a write that fails.
async fn a_peer_that_leaves_a_slow_response_is_noticed(site: Site) {
    let server = site.serve();
    let mut client = server.client().await;
    client.send(get("/stalls")).await;
    assert_eq!(client.head().await.unwrap().status, 200);
    server.state.arrived().await;
    drop(client);
    server.state.dropped().await;
    server.settles(0).await;
}

/// The body waits with the transport, so nothing that reads would see the reset behind it.
async fn a_peer_that_leaves_behind_an_unread_body_is_noticed(site: Site) {
    let server = site.serve();
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
    server.settles(0).await;
}

async fn a_peer_that_leaves_behind_unread_requests_is_noticed(site: Site) {
    let server = site.serve();
    for requests in [1, 100] {
        let mut client = server.resetting_client().await;
        client.send(get("/forever")).await;
        server.state.arrived().await;
        client.send(get("/").repeat(requests)).await;
        drop(client);
        server.state.dropped().await;
    }
    server.settles(0).await;
}

/// As often as the limit lets them, and somebody else is served then.
async fn peers_that_left_behind_unread_bytes_free_their_places(site: Site) {
    let limits = Limits::default().with_connections(4);
    let server = site.serve_as(|server| server.limits(limits));
    for _ in 0..4 {
        let mut client = server.resetting_client().await;
        client.send(post("/hold", 10_000)).await;
        server.state.arrived().await;
        client.send("x".repeat(5_000)).await;
    }
    assert_eq!(server.ask(&get("/")).await.body, HELLO);
}

/// More than the server takes in at once, so some of it waits in the transport.
async fn what_is_sent_meanwhile_is_the_next_request(site: Site) {
    let server = site.serve();
    let (mut write, mut read) = server.client().await.split();
    write.send(get("/slow")).await;
    server.state.arrived().await;
    let body = pattern(100_000);
    let mut next = post("/echo", body.len()).into_bytes();
    next.extend_from_slice(&body);
    next.extend_from_slice(get("/").as_bytes());
    // The server has to take these, or this would wait for ever on the smallest pipe.
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

async fn a_body_that_is_sent_meanwhile_is_the_next_one_s(site: Site) {
    let server = site.serve();
    let mut client = server.client().await;
    client.send(format!("{}hello", post("/slow-len", 5))).await;
    server.state.arrived().await;
    client.send(format!("{}bye", post("/len", 3))).await;
    server.state.release();
    assert_eq!(client.response().await.body, "5");
    assert_eq!(client.response().await.body, "3");
    assert_eq!(client.get("/").await.body, HELLO);
}

async fn a_head_that_is_sent_meanwhile_byte_by_byte_is_the_next_one_s(site: Site) {
    let server = site.serve();
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
