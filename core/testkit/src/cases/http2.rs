//! HTTP/2 by prior knowledge (RFC 9113 3.3), on the same port as HTTP/1.
use crate::{
    app::{HELLO, script::pattern},
    client::{
        Client, Io, get,
        h2::{H2, request, send_all, whole},
    },
    harness::{case::cases, site::Site},
};
use anyport_core::{HttpOptions, HttpVersions};
use http::StatusCode;
use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

cases![
    a_response_comes_back,
    a_connection_serves_many_requests,
    streams_are_answered_independently,
    a_large_body_comes_back,
    both_versions_are_served_at_once,
    the_preface_may_arrive_byte_by_byte,
    http_1_alone_can_be_asked_for,
    http_2_alone_can_be_asked_for,
    a_reset_stream_drops_its_request,
];

async fn a_response_comes_back(site: Site) {
    let server = site.serve();
    let mut h2 = server.h2().await;
    let response = h2.get("/").await;
    assert_eq!(
        (response.status, &*response.body),
        (StatusCode::OK, HELLO.as_bytes())
    );
    assert_eq!(h2.get("/none").await.status, StatusCode::NOT_FOUND);
}

async fn a_connection_serves_many_requests(site: Site) {
    let server = site.serve();
    let mut h2 = server.h2().await;
    for _ in 0..300 {
        assert_eq!(h2.get("/").await.body, HELLO);
    }
    server.settles(1).await;
}

async fn streams_are_answered_independently(site: Site) {
    let server = site.serve();
    let mut h2 = server.h2().await;
    let mut waiting = Vec::new();
    for _ in 0..20 {
        let (response, _) = h2.begin(request("/slow"), true).await.unwrap();
        server.state.arrived().await;
        waiting.push(response);
    }
    assert_eq!(h2.get("/").await.body, HELLO, "not held up by the others");
    (0..20).for_each(|_| server.state.release());
    for response in waiting {
        assert_eq!(whole(response).await.unwrap().body, HELLO);
    }
}

async fn a_large_body_comes_back(site: Site) {
    let server = site.serve();
    let mut h2 = server.h2().await;
    let body = pattern(2_000_000);
    let mut post = request("/echo");
    *post.method_mut() = http::Method::POST;
    let (response, mut send) = h2.begin(post, false).await.unwrap();
    let (sent, response) = tokio::join!(
        send_all(&mut send, body.clone().into(), true),
        whole(response)
    );
    sent.unwrap();
    assert!(response.unwrap().body == body, "all bytes, in order");
}

async fn both_versions_are_served_at_once(site: Site) {
    let server = site.serve();
    let (mut h2, mut h1) = (server.h2().await, server.client().await);
    for _ in 0..10 {
        assert_eq!(h2.get("/").await.body, HELLO);
        assert_eq!(h1.get("/").await.body, HELLO);
    }
}

async fn the_preface_may_arrive_byte_by_byte(site: Site) {
    let server = site.serve();
    let mut h2 = H2::new(Box::new(Trickle::new(server.connect_h2().await))).await;
    assert_eq!(h2.get("/").await.body, HELLO);
}

async fn http_1_alone_can_be_asked_for(site: Site) {
    let only = HttpOptions::default().with_versions(HttpVersions::Http1);
    let server = site.serve_as(|server| server.http(only));
    assert_eq!(server.ask(&get("/")).await.body, HELLO);
    // Over TLS, ALPN would have said so already.
    let mut h2 = H2::new(server.connect().await).await;
    assert!(h2.try_get("/").await.is_err());
}

async fn http_2_alone_can_be_asked_for(site: Site) {
    let only = HttpOptions::default().with_versions(HttpVersions::Http2);
    let server = site.serve_as(|server| server.http(only));
    assert_eq!(server.h2().await.get("/").await.body, HELLO);
    let mut h1 = Client::new(server.connect().await);
    h1.send(get("/")).await;
    assert!(h1.try_response().await.is_err() || server.handle.connections() == 0);
}

async fn a_reset_stream_drops_its_request(site: Site) {
    let server = site.serve();
    let mut h2 = server.h2().await;
    let (response, mut send) = h2.begin(request("/forever"), false).await.unwrap();
    server.state.arrived().await;
    send.send_reset(h2::Reason::CANCEL);
    drop(response);
    server.state.dropped().await;
    assert_eq!(h2.get("/").await.body, HELLO, "the connection goes on");
}

/// Writes one byte at a time, and takes its time over each.
struct Trickle {
    io: Io,
    pause: Pin<Box<Sleep>>,
}

impl Trickle {
    fn new(io: Io) -> Self {
        Self {
            io,
            pause: Box::pin(sleep(PAUSE)),
        }
    }
}

const PAUSE: Duration = Duration::from_millis(1);

impl AsyncWrite for Trickle {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.pause.as_mut().poll(cx));
        let one = &buf[..buf.len().min(1)];
        let n = ready!(Pin::new(&mut self.io).poll_write(cx, one));
        self.pause.as_mut().reset(Instant::now() + PAUSE);
        Poll::Ready(n)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl AsyncRead for Trickle {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}
