//! WebSockets through the proxy to the example `websocket`.
use super::{OVER_TCP, ProxyUnderTest, messages::OK, target::Target};
use crate::example::{Example, TIMEOUT};
use anyport::runtime::TokioIo;
use futures_util::{SinkExt, StreamExt};
use http_body_util::Empty;
use hyper::{Request, client::conn, ext::Protocol, upgrade::Upgraded};
use std::process::{Command, Stdio};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role},
};

/// The Python of the system, with its packages.
const PYTHON: &str = "/usr/bin/python3";

pub(crate) fn needs_python() -> Option<String> {
    let mut check = Command::new(PYTHON);
    let check = check
        .args(["-c", "import websockets"])
        .stderr(Stdio::null())
        .status();
    match check {
        Ok(status) if status.success() => None,
        _ => Some("needs python3-websockets".into()),
    }
}

/// The client of `tests/programs` sends a text, a mebibyte, and a close with a reason.
pub(crate) fn python_opens_a_web_socket() {
    let (target, proxy) = start("tcp");
    let client = include_str!("../../programs/web_socket.py");
    let url = format!("ws://{}/echo", proxy.example.endpoint);
    let output = Command::new(PYTHON)
        .args(["-c", client, &url, ""])
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(printed.trim(), "passed", "{error}");
    proxy.end();
    target.terminate().assert_success();
}

fn start(transport: &str) -> (Example, ProxyUnderTest) {
    let target = Example::spawn(
        Command::new(crate::example::binary("websocket")).args(["--listen", "127.0.0.1:0"]),
    );
    let mut target = target.unwrap();
    target.endpoint = target.line_after("listening on ");
    let proxy = ProxyUnderTest::on(transport, &format!("http://{}", target.endpoint));
    (target, proxy)
}

/// HTTP/2 by extended CONNECT (RFC 8441); the target gets an upgrade of HTTP/1.1.
pub(crate) fn web_sockets_pass_over_both_versions_of_http() {
    for transport in OVER_TCP {
        web_sockets_pass_over(transport);
    }
}

fn web_sockets_pass_over(transport: &str) {
    let (target, proxy) = start(transport);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let addr = proxy.example.endpoint.clone();
    runtime.block_on(async {
        timeout(TIMEOUT, async {
            echo(http1(&addr).await).await;
            echo(http2(&addr).await).await;
        })
        .await
        .unwrap();
    });
    drop(runtime);
    proxy.end();
    target.terminate().assert_success();
}

async fn http1(addr: &str) -> Upgraded {
    let stream = TcpStream::connect(addr).await.unwrap();
    let (mut client, http) = conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(http.with_upgrades());
    let request = Request::get("/echo")
        .header("host", "localhost")
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .body(Empty::<bytes::Bytes>::new());
    let response = client.send_request(request.unwrap()).await.unwrap();
    assert_eq!(response.status(), 101, "{response:?}");
    let accept = &response.headers()["sec-websocket-accept"];
    assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    hyper::upgrade::on(response).await.unwrap()
}

async fn http2(addr: &str) -> Upgraded {
    let stream = TcpStream::connect(addr).await.unwrap();
    let builder = conn::http2::Builder::new(Tokio);
    let (mut client, http) = builder.handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(http);
    // The server's SETTINGS allow extended CONNECT, and must have come.
    client.ready().await.unwrap();
    let response = loop {
        let request = Request::connect(format!("http://{addr}/echo"))
            .extension(Protocol::from_static("websocket"))
            .header("sec-websocket-version", "13")
            .body(Empty::<bytes::Bytes>::new());
        match client.send_request(request.unwrap()).await {
            Ok(response) => break response,
            Err(error) if error.is_user() => tokio::task::yield_now().await,
            Err(error) => panic!("{error:?}"),
        }
    };
    assert_eq!(response.status(), 200, "{response:?}");
    assert!(response.headers().get("sec-websocket-accept").is_none());
    hyper::upgrade::on(response).await.unwrap()
}

#[derive(Clone)]
struct Tokio;

impl<F: Future<Output: Send> + Send + 'static> hyper::rt::Executor<F> for Tokio {
    fn execute(&self, future: F) {
        tokio::spawn(future);
    }
}

/// An echo, and a close from this side.
async fn echo(upgraded: Upgraded) {
    let mut socket =
        WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, None).await;
    for text in ["Hello", &"x".repeat(100_000)] {
        socket.send(Message::text(text)).await.unwrap();
        let echoed = socket.next().await.unwrap().unwrap();
        assert_eq!(echoed.into_text().unwrap(), text);
    }
    socket.close(None).await.unwrap();
    while let Some(Ok(message)) = socket.next().await {
        assert!(message.is_close(), "{message:?}");
    }
}

/// A target without WebSockets responds as usual, and the connection goes on.
pub(crate) fn refused_upgrade_passes() {
    let target = Target::start(OK);
    let proxy = ProxyUnderTest::start(&target.url);
    let answer = proxy.example.exchange(
        "GET /\nConnection: upgrade\nUpgrade: websocket\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    );
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("ok"),
        "{answer}"
    );
    let got = target.next();
    assert_eq!(got.field("upgrade"), Some("websocket"));
    assert_eq!(got.field("connection"), Some("upgrade"));
    proxy.end();
}
