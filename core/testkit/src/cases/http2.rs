//! HTTP/2 with prior knowledge (RFC 9113 3.3), on the same endpoint as HTTP/1.
use crate::{
    app::{HELLO, script::pattern},
    client::{
        Client, Io, get,
        h2::{H2, request, send_all, whole},
    },
    harness::{any_subject::AnySubject, case::cases},
};
use anyport_core::{HttpOptions, protocol::HttpVersions};
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
    request_gets_its_response,
    connection_serves_many_requests,
    slow_stream_does_not_block_other_streams,
    large_body_is_echoed,
    both_versions_are_served_at_once,
    preface_arriving_byte_by_byte_is_recognized,
    http_1_only_server_refuses_http_2,
    http_2_only_server_refuses_http_1,
    stream_reset_drops_the_request,
];

async fn request_gets_its_response(subject: AnySubject) {
    let server = subject.serve();
    let mut h2 = server.h2().await;
    let response = h2.get("/").await;
    assert_eq!(
        (response.status, &*response.body),
        (StatusCode::OK, HELLO.as_bytes())
    );
    assert_eq!(h2.get("/none").await.status, StatusCode::NOT_FOUND);
}

async fn connection_serves_many_requests(subject: AnySubject) {
    let server = subject.serve();
    let mut h2 = server.h2().await;
    for _ in 0..300 {
        assert_eq!(h2.get("/").await.body, HELLO);
    }
    server.wait_for_connections(1).await;
}

async fn slow_stream_does_not_block_other_streams(subject: AnySubject) {
    let server = subject.serve();
    let mut h2 = server.h2().await;
    let mut waiting = Vec::new();
    for _ in 0..20 {
        let (response, _) = h2.begin(request("/slow"), true).await.unwrap();
        server.state.arrived().await;
        waiting.push(response);
    }
    assert_eq!(
        h2.get("/").await.body,
        HELLO,
        "GET / beside 20 waiting streams"
    );
    (0..20).for_each(|_| server.state.release());
    for response in waiting {
        assert_eq!(whole(response).await.unwrap().body, HELLO);
    }
}

async fn large_body_is_echoed(subject: AnySubject) {
    let server = subject.serve();
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
    assert!(
        response.unwrap().body == body,
        "expected exactly the bytes that were sent, in order"
    );
}

async fn both_versions_are_served_at_once(subject: AnySubject) {
    let server = subject.serve();
    let (mut h2, mut h1) = (server.h2().await, server.client().await);
    for _ in 0..10 {
        assert_eq!(h2.get("/").await.body, HELLO);
        assert_eq!(h1.get("/").await.body, HELLO);
    }
}

async fn preface_arriving_byte_by_byte_is_recognized(subject: AnySubject) {
    let server = subject.serve();
    let mut h2 = H2::new(Box::new(Trickle::new(server.connect_h2().await))).await;
    assert_eq!(h2.get("/").await.body, HELLO);
}

async fn http_1_only_server_refuses_http_2(subject: AnySubject) {
    let only = HttpOptions::default().with_versions(HttpVersions::Http1);
    let server = subject.serve_configured(|server| server.http(only));
    assert_eq!(server.exchange(&get("/")).await.body, HELLO);
    // Over TLS, `connect_h2` would fail in ALPN already.
    let mut h2 = H2::new(server.connect().await).await;
    assert!(h2.try_get("/").await.is_err());
}

async fn http_2_only_server_refuses_http_1(subject: AnySubject) {
    let only = HttpOptions::default().with_versions(HttpVersions::Http2);
    let server = subject.serve_configured(|server| server.http(only));
    assert_eq!(server.h2().await.get("/").await.body, HELLO);
    let mut h1 = Client::new(server.connect().await);
    h1.send(get("/")).await;
    assert!(h1.try_response().await.is_err() || server.handle.connections() == 0);
}

async fn stream_reset_drops_the_request(subject: AnySubject) {
    let server = subject.serve();
    let mut h2 = server.h2().await;
    let (response, mut send) = h2.begin(request("/forever"), false).await.unwrap();
    server.state.arrived().await;
    send.send_reset(h2::Reason::CANCEL);
    drop(response);
    server.state.dropped().await;
    assert_eq!(
        h2.get("/").await.body,
        HELLO,
        "GET / on the same connection, which must stay usable"
    );
}

/// Writes one byte at a time, with a pause after each.
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
