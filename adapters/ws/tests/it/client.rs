//! The client in memory, with a paused clock and with the exact bytes of both ends.
use crate::fixture::*;
use anyport_core::{
    ConnInfo, Runtime,
    runtime::Tokio,
    transport::{Conn, Endpoint},
};
use anyport_ws::{
    ClientHandshake, CloseFrame, Config, Deflate, Error, HandshakeErrorKind as Kind, Message,
    WebSocket,
};
use http::{HeaderName, HeaderValue, header};
use hyper_util::rt::TokioIo;
use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, DuplexStream, ReadBuf, duplex},
    time::{Instant, advance, timeout},
};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

fn connection<S>(stream: S) -> Conn<TokioIo<S>> {
    let info = ConnInfo::new(Endpoint::custom("server"), Endpoint::custom("client"));
    Conn::new(TokioIo::new(stream), info)
}

/// The head of a request.
async fn request(peer: &mut DuplexStream) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        head.push(peer.read_u8().await.unwrap().into());
    }
    head
}

/// A client, the head of its request, and the server's end.
async fn open(handshake: ClientHandshake) -> (WebSocket, String, Peer) {
    let (client, server) = duplex(1 << 16);
    open_over(handshake, client, server).await
}

async fn open_over<S>(
    handshake: ClientHandshake,
    client: S,
    mut server: DuplexStream,
) -> (WebSocket, String, Peer)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let timer = Tokio::current().timer();
    let serving = async {
        let head = request(&mut server).await;
        let key = head.lines().find_map(|line| {
            let (name, key) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("sec-websocket-key")
                .then_some(key)
        });
        let accept = derive_accept_key(key.unwrap().as_bytes());
        let mut peer = Peer(Box::new(server));
        peer.send(format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        ))
        .await;
        (head, peer)
    };
    let (opened, (head, peer)) = tokio::join!(handshake.open(connection(client), timer), serving);
    (opened.unwrap().0, head, peer)
}

fn to(address: &str) -> ClientHandshake {
    ClientHandshake::new(address).unwrap()
}

/// The next frame of a client: its first byte, and its payload.
async fn frame_of(peer: &mut Peer) -> (u8, Vec<u8>) {
    let first = peer.0.read_u8().await.unwrap();
    let len = peer.0.read_u8().await.unwrap();
    assert_eq!(len & 0x80, 0x80, "masked");
    let mut mask = [0; 4];
    peer.0.read_exact(&mut mask).await.unwrap();
    let mut payload = vec![0; usize::from(len & 0x7f)];
    peer.0.read_exact(&mut payload).await.unwrap();
    for (n, byte) in payload.iter_mut().enumerate() {
        *byte ^= mask[n % 4];
    }
    (first, payload)
}

#[tokio::test]
async fn request_has_the_headers_of_the_rfc_and_those_of_the_user() {
    let config = Config::default()
        .with_protocols(["v2", "v1"])
        .with_deflate(Deflate::default());
    let handshake = to("ws://example.com:8080/a/b?c=d#e")
        .with_config(config)
        .with_header(
            header::ORIGIN,
            HeaderValue::from_static("https://example.com"),
        );
    let (_, head, _) = open(handshake).await;
    let head = head.to_ascii_lowercase();
    assert!(head.starts_with("get /a/b?c=d http/1.1\r\n"), "{head}");
    for line in [
        "host: example.com:8080",
        "connection: upgrade",
        "upgrade: websocket",
        "sec-websocket-version: 13",
        "sec-websocket-protocol: v2, v1",
        "sec-websocket-extensions: permessage-deflate; client_max_window_bits; client_no_context_takeover; server_no_context_takeover",
        "origin: https://example.com",
    ] {
        let count = head.lines().filter(|other| *other == line).count();
        assert_eq!(count, 1, "{line}\n{head}");
    }
    let key = head
        .lines()
        .find(|line| line.starts_with("sec-websocket-key: "));
    assert_eq!(key.unwrap().len(), "sec-websocket-key: ".len() + 24);
}

#[tokio::test]
async fn default_port_and_an_empty_path() {
    for (address, host) in [
        ("ws://example.com", "example.com"),
        ("ws://example.com:80/", "example.com"),
        ("ws://example.com:443/", "example.com:443"),
        ("ws://[::1]:99?x", "[::1]:99"),
    ] {
        let (_, head, _) = open(to(address)).await;
        let line = format!("host: {host}\r\n");
        assert!(
            head.to_ascii_lowercase().contains(&line),
            "{address}: {head}"
        );
        assert!(head.starts_with("GET /"), "{address}: {head}");
    }
}

#[test]
fn address_has_a_host_and_a_port() {
    for (address, host, port, is_secure) in [
        ("ws://example.com", "example.com", 80, false),
        ("wss://example.com/", "example.com", 443, true),
        ("WSS://example.com:1/", "example.com", 1, true),
        ("ws://[2001:db8::1]/", "[2001:db8::1]", 80, false),
    ] {
        let handshake = to(address);
        assert_eq!(
            (handshake.host(), handshake.port(), handshake.is_secure()),
            (host, port, is_secure)
        );
    }
    for address in [
        "",
        "example.com",
        "/path",
        "http://example.com/",
        "ws:///path",
        "ws://user:secret@example.com/",
        "ws://example.com:/",
        "ws://example.com:65536/",
        "ws://example.com/a b",
    ] {
        let error = ClientHandshake::new(address).unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidRequest, "{address}");
        let text = error.to_string();
        assert!(
            text.starts_with("cannot open ") && !text.contains("secret"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn what_cannot_be_sent_is_an_error_before_a_byte_is_sent() {
    let with =
        |name: HeaderName| to("ws://example.com/").with_header(name, HeaderValue::from_static("x"));
    let protocols = |all: &[&'static str]| {
        let config = Config::default().with_protocols(all.iter().copied());
        to("ws://example.com/").with_config(config)
    };
    for handshake in [
        with(header::HOST),
        with(header::CONNECTION),
        with(header::SEC_WEBSOCKET_KEY),
        with(header::CONTENT_LENGTH),
        protocols(&["v1", "v1"]),
        protocols(&["not a token"]),
        protocols(&[""]),
        to("wss://example.com/"),
    ] {
        let (client, mut server) = duplex(1 << 16);
        let opened = handshake.open(connection(client), Tokio::current().timer());
        assert_eq!(opened.await.unwrap_err().kind(), Kind::InvalidRequest);
        let mut sent = Vec::new();
        server.read_to_end(&mut sent).await.unwrap();
        assert_eq!(sent, b"");
    }
}

#[tokio::test(start_paused = true)]
async fn deadline_ends_the_handshake() {
    for deadline in [None, Some(Duration::from_secs(3))] {
        let (client, _server) = duplex(1 << 16);
        let handshake = match deadline {
            None => to("ws://example.com/"),
            Some(deadline) => to("ws://example.com/").with_deadline(deadline),
        };
        let begin = Instant::now();
        let opened = handshake.open(connection(client), Tokio::current().timer());
        assert_eq!(opened.await.unwrap_err().kind(), Kind::Deadline);
        let expected = deadline.unwrap_or(Duration::from_secs(30));
        assert_eq!(begin.elapsed().as_secs(), expected.as_secs());
    }
}

#[tokio::test(start_paused = true)]
async fn silent_server_is_pinged_and_then_times_out() {
    let config = Config::default().with_heartbeat(Duration::from_secs(7));
    let (mut socket, _, mut peer) = open(to("ws://example.com/").with_config(config)).await;
    let receiving = tokio::spawn(async move { socket.recv().await });
    assert_eq!(frame_of(&mut peer).await, (PING, vec![]));
    peer.send([PONG, 0]).await;
    assert_eq!(frame_of(&mut peer).await, (PING, vec![]));
    let received = receiving.await.unwrap();
    assert!(
        matches!(received, Some(Err(Error::Timeout))),
        "{received:?}"
    );
}

/// The server ends the connection first (RFC 6455 7.1.1).
#[tokio::test(start_paused = true)]
async fn client_waits_for_the_end_of_the_connection() {
    for server_ends in [true, false] {
        let config = Config::default().with_close_timeout(Duration::from_secs(5));
        let (mut socket, _, mut peer) = open(to("ws://example.com/").with_config(config)).await;
        let begin = Instant::now();
        let receiving = tokio::spawn(async move { (socket.recv().await, socket.recv().await) });
        peer.send(b"\x88\x05\x03\xe9bye").await;
        assert_eq!(frame_of(&mut peer).await, (CLOSE, b"\x03\xe9bye".to_vec()));
        if server_ends {
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert!(!receiving.is_finished());
            tokio::io::AsyncWriteExt::shutdown(&mut peer.0)
                .await
                .unwrap();
        }
        peer.expect_end().await;
        let (close, end) = receiving.await.unwrap();
        let expected = Message::Close(Some(CloseFrame::new(1001, "bye")));
        assert_eq!(close.unwrap().unwrap(), expected);
        assert!(end.is_none());
        let expected = if server_ends { 1 } else { 5 };
        assert_eq!(begin.elapsed().as_secs(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn server_that_does_not_answer_a_close_times_out() {
    let config = Config::default().with_close_timeout(Duration::from_secs(5));
    let (socket, _, mut peer) = open(to("ws://example.com/").with_config(config)).await;
    let closing = tokio::spawn(socket.close(Some(CloseFrame::new(1000, ""))));
    assert_eq!(frame_of(&mut peer).await, (CLOSE, b"\x03\xe8".to_vec()));
    let closed = closing.await.unwrap();
    assert!(matches!(closed, Err(Error::Timeout)), "{closed:?}");
}

/// A stream that can always be read while `floods` is set: it has empty binary messages, one for
/// each read.
struct Flood {
    stream: DuplexStream,
    floods: Arc<AtomicBool>,
}

impl AsyncRead for Flood {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.floods.load(Ordering::Relaxed) {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        buf.put_slice(&[0x82, 0]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Flood {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The server never stops sending: before its close, which never comes, and after it.
#[tokio::test(start_paused = true)]
async fn server_that_never_stops_sending_does_not_delay_the_end() {
    for server_closes in [false, true] {
        let config = Config::default().with_close_timeout(Duration::from_secs(5));
        let (stream, server) = duplex(1 << 16);
        let floods = Arc::new(AtomicBool::new(false));
        let client = Flood {
            stream,
            floods: Arc::clone(&floods),
        };
        let handshake = to("ws://example.com/").with_config(config);
        let (socket, _, mut peer) = open_over(handshake, client, server).await;
        let closing = timeout(Duration::from_secs(60), socket.close(None));
        let closing = tokio::spawn(closing);
        assert_eq!(frame_of(&mut peer).await, (CLOSE, vec![]));
        if server_closes {
            peer.send(b"\x88\x00").await;
            tokio::task::yield_now().await;
        }
        floods.store(true, Ordering::Relaxed);
        for _ in 0..70 {
            // A task that is never idle stops the paused clock.
            advance(Duration::from_secs(1)).await;
        }
        assert!(closing.is_finished(), "still closing after 70 s");
        let closed = closing.await.unwrap().expect("the deadline passed");
        match server_closes {
            true => closed.unwrap(),
            false => assert!(matches!(closed, Err(Error::Timeout)), "{closed:?}"),
        }
    }
}

#[tokio::test]
async fn drain_of_the_server_closes_the_client() {
    let server = serve(Config::default(), echo);
    let stream = TokioIo::new(server.connector.connect().unwrap());
    let info = ConnInfo::new(Endpoint::custom("server"), Endpoint::custom("client"));
    let opened = to("ws://example.com/").open(Conn::new(stream, info), Tokio::current().timer());
    let (mut socket, response) = opened.await.unwrap();
    assert_eq!(response.status(), 101);
    let drained = server.drain(Duration::from_secs(40));
    let close = socket.recv().await.unwrap().unwrap();
    assert!(matches!(
        close,
        Message::Close(Some(CloseFrame { code: 1001, .. }))
    ));
    assert!(socket.recv().await.is_none());
    assert_eq!(drained.await.unwrap().aborted, 0);
}

/// On the ambient tokio, a client may move between threads.
#[test]
fn handshake_and_web_socket_are_send() {
    fn is_send<T: Send>(_: T) {}
    let (client, _server) = duplex(1);
    let timer = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(async { Tokio::current().timer() });
    is_send(to("ws://example.com/").open(connection(client), timer));
}
