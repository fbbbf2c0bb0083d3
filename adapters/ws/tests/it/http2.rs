//! WebSockets on streams of HTTP/2 (RFC 8441).
use crate::fixture::*;
use anyport_ws::{Config, Error};
use bytes::Bytes;
use h2::{RecvStream, SendStream, client::SendRequest, ext::Protocol};
use http::{Method, Request, StatusCode};
use std::{io, time::Duration};

async fn connect(server: &Server) -> SendRequest<Bytes> {
    let (mut requests, connection) = h2::client::handshake(server.connector.connect().unwrap())
        .await
        .unwrap();
    tokio::spawn(connection);
    // The server's SETTINGS have arrived before the first response.
    let (answer, _) = requests
        .send_request(Request::get("http://test/").body(()).unwrap(), true)
        .unwrap();
    assert_eq!(
        answer.await.unwrap().status(),
        StatusCode::BAD_REQUEST,
        "a GET is no handshake here"
    );
    assert!(requests.is_extended_connect_protocol_enabled());
    requests
}

async fn ask(
    requests: &mut SendRequest<Bytes>,
    protocol: Option<&'static str>,
    version: Option<&str>,
) -> (StatusCode, Stream) {
    let mut request = Request::builder()
        .method(Method::CONNECT)
        .uri("http://test/");
    if let Some(version) = version {
        request = request.header("sec-websocket-version", version);
    }
    let mut request = request.body(()).unwrap();
    match protocol {
        Some(protocol) => drop(
            request
                .extensions_mut()
                .insert(Protocol::from_static(protocol)),
        ),
        None => *request.uri_mut() = "test:80".parse().unwrap(),
    }
    let (answer, send) = requests.send_request(request, false).unwrap();
    let answer = answer.await.unwrap();
    assert!(answer.headers().get("sec-websocket-accept").is_none());
    assert!(answer.headers().get("upgrade").is_none());
    let status = answer.status();
    (status, Stream(send, answer.into_body()))
}

struct Stream(SendStream<Bytes>, RecvStream);

impl Stream {
    fn send(&mut self, bytes: Vec<u8>) {
        self.0.send_data(bytes.into(), false).unwrap();
    }

    /// Reads this many bytes, or fewer at the end.
    async fn read(&mut self, len: usize) -> Vec<u8> {
        let mut got = Vec::new();
        while got.len() < len
            && let Some(data) = self.1.data().await
        {
            let data = data.unwrap();
            self.1.flow_control().release_capacity(data.len()).unwrap();
            got.extend_from_slice(&data);
        }
        got
    }
}

#[tokio::test]
async fn extended_connect_becomes_a_web_socket() {
    let mut server = serve(Config::default(), echo);
    let mut requests = connect(&server).await;
    let (status, mut one) = ask(&mut requests, Some("websocket"), Some("13")).await;
    let (_, mut other) = ask(&mut requests, Some("websocket"), Some("13")).await;
    assert_eq!(status, StatusCode::OK);
    for stream in [&mut one, &mut other] {
        stream.send([frame(TEXT, "one"), frame(PING, "two")].concat());
        assert_eq!(stream.read(10).await, b"\x81\x03one\x8a\x03two");
    }
    // The first WebSocket is closed, and its stream ends with END_STREAM. The other one continues.
    one.send(close(1000, "bye"));
    assert_eq!(one.read(usize::MAX).await, b"\x88\x05\x03\xe8bye");
    assert!(one.1.is_end_stream());
    assert!(server.end().await.is_none());
    other.send(frame(TEXT, "still here"));
    assert_eq!(other.read(12).await, b"\x81\x0astill here");
    // A reset of one stream is an error of that WebSocket only.
    other.0.send_reset(h2::Reason::CANCEL);
    let error = server.end().await;
    assert!(matches!(error, Some(Error::Io(_))), "{error:?}");
}

#[tokio::test]
async fn invalid_handshakes_are_refused() {
    let server = serve(Config::default(), echo);
    let mut requests = connect(&server).await;
    for (status, protocol, version) in [
        (501, Some("webtransport"), Some("13")),
        (400, None, Some("13")),
        (426, Some("websocket"), Some("8")),
        (426, Some("websocket"), None),
    ] {
        let (got, _) = ask(&mut requests, protocol, version).await;
        assert_eq!(got.as_u16(), status, "{protocol:?} {version:?}");
    }
}

#[tokio::test]
async fn drain_closes_web_sockets_on_streams() {
    let server = serve(Config::default(), echo);
    let mut requests = connect(&server).await;
    let (_, mut stream) = ask(&mut requests, Some("websocket"), Some("13")).await;
    let drained = server.drain(Duration::from_secs(40));
    let head = stream.read(4).await;
    assert_eq!((head[0], &head[2..4]), (CLOSE, &1001_u16.to_be_bytes()[..]));
    stream.send(close(1001, ""));
    stream.read(usize::MAX).await;
    drop((stream, requests));
    assert_eq!(drained.await.unwrap().aborted, 0);
}

/// The window is opened for a large message.
#[tokio::test]
async fn large_message_is_echoed() {
    let server = serve(Config::default(), echo);
    let mut requests = connect(&server).await;
    let (_, mut stream) = ask(&mut requests, Some("websocket"), Some("13")).await;
    let sent = vec![9; 1 << 20];
    let Stream(send, recv) = &mut stream;
    let sending = async {
        let mut bytes = Bytes::from(frame(BINARY, &sent));
        while !bytes.is_empty() {
            send.reserve_capacity(bytes.len());
            let room = std::future::poll_fn(|cx| send.poll_capacity(cx)).await;
            let room = room.ok_or(io::ErrorKind::BrokenPipe).unwrap().unwrap();
            send.send_data(bytes.split_to(room.min(bytes.len())), false)
                .unwrap();
        }
    };
    let receiving = async {
        let mut got = 0;
        while got < sent.len() + 10 {
            let data = recv.data().await.unwrap().unwrap();
            recv.flow_control().release_capacity(data.len()).unwrap();
            got += data.len();
        }
        got
    };
    let ((), got) = tokio::join!(sending, receiving);
    assert_eq!(got, sent.len() + 10);
}

/// A stream of HTTP/2 has a timer of its own.
#[tokio::test(start_paused = true)]
async fn silent_stream_is_pinged_and_then_times_out() {
    let interval = Duration::from_secs(7);
    let mut server = serve(Config::default().with_heartbeat(interval), echo);
    let mut requests = connect(&server).await;
    let (_, mut stream) = ask(&mut requests, Some("websocket"), Some("13")).await;
    assert_eq!(stream.read(2).await, [PING, 0]);
    stream.send(frame(PONG, ""));
    assert_eq!(stream.read(2).await, [PING, 0]);
    assert!(matches!(server.end().await, Some(Error::Timeout)));
}
