//! The table of docs/from-axum-serve.md that says what works on which transport: each row is tried
//! over each transport, and each cell is compared with the result.
use crate::{
    HELLO, TIMEOUT, WEB_SOCKET,
    client::{Client, TestRequest, Version, get, request},
    expect_frame, head, send,
    servers::{Stream, TRANSPORTS, TestServer},
    tokio_app::{Shared, router},
};
use anyport::{
    Request,
    axum::{ConnectionInfo, Credentials, DrainSignal, Peer},
    http::StatusCode,
    runtime::TokioIo,
    ws,
};
use axum::{
    Router,
    extract::ws::{WebSocket, WebSocketUpgrade},
    response::Response,
    routing::any,
};
use futures_util::future::{LocalBoxFuture, join_all};
use http_body_util::Full;
use hyper::ext::Protocol;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

const PAGE: &str = include_str!("../../../docs/from-axum-serve.md");
const HEADING: &str = "## What works on which transport";

/// The columns, and the transports that each stands for.
const COLUMNS: &[(&str, &[&str])] = &[
    ("`Tcp`, `Unix`", &["tcp", "unix"]),
    ("`.per_core()`", &["tcp per core", "unix per core"]),
    (
        "`Monoio`, `Glommio`",
        &["monoio", "monoio unix", "glommio", "glommio unix"],
    ),
    (
        "over `.tls(..)`",
        &[
            "tls over tcp",
            "tls over tcp per core",
            "tls over unix",
            "tls over monoio",
            "tls over glommio",
        ],
    ),
];

type Probe = fn(&TestServer) -> LocalBoxFuture<'_, bool>;

/// The rows, and whether what they name works.
const ROWS: &[(&str, Probe)] = &[
    (
        "extractors, layers, state, `ServeDir`, compression",
        |served| {
            const JSON: &[(&str, &str)] = &[("content-type", "application/json")];
            const GZIP: &[(&str, &str)] = &[("accept-encoding", "gzip")];
            let requests = vec![
                request("POST", "/json", JSON, r#"{"word":"axum","number":8}"#),
                get("/query?word=b&number=3"),
                get("/pool"),
                request("GET", "/index.html", GZIP, ""),
            ];
            Box::pin(all_respond(served, requests))
        },
    ),
    ("server-sent events, long polls", |served| {
        Box::pin(all_respond(served, vec![get("/events"), get("/sleep")]))
    }),
    ("`tokio::spawn`, timers, sockets, files", |served| {
        let paths = ["/spawn", "/interval", "/tcp", "/file"].map(get);
        Box::pin(all_respond(served, paths.into()))
    }),
    ("axum's `WebSocketUpgrade`", |served| {
        Box::pin(web_socket(served, "/of-axum"))
    }),
    ("`anyport::ws`", |served| {
        Box::pin(web_socket(served, "/of-anyport"))
    }),
    (
        "WebSockets over HTTP/2 (axum: its feature `http2`)",
        |served| {
            Box::pin(async {
                let of_axum = web_socket_over_http2(served, "/of-axum").await;
                of_axum && web_socket_over_http2(served, "/of-anyport").await
            })
        },
    ),
    ("`Peer`, `ConnectionInfo`, `DrainSignal`", |served| {
        Box::pin(all_respond(served, vec![get("/connection")]))
    }),
    ("`Credentials`", |served| {
        Box::pin(all_respond(served, vec![get("/credentials")]))
    }),
    (
        "`ConnectInfo<SocketAddr>` with `with_connect_info()`",
        |served| Box::pin(all_respond(served, vec![get("/connect-info")])),
    ),
];

fn app(shared: Shared) -> Router {
    router(shared)
        .route("/of-axum", any(of_axum))
        .route("/of-anyport", any(of_anyport))
        .route("/connection", any(connection))
        .route("/credentials", any(credentials))
}

async fn of_axum(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async |mut socket: WebSocket| {
        while let Some(Ok(message)) = socket.recv().await {
            if socket.send(message).await.is_err() {
                return;
            }
        }
    })
}

async fn of_anyport(upgrade: ws::WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async |mut socket: ws::WebSocket| {
        while let Some(Ok(message)) = socket.recv().await {
            if message.is_data() && socket.send(message).await.is_err() {
                return;
            }
        }
    })
}

async fn connection(
    Peer(peer): Peer,
    ConnectionInfo(info): ConnectionInfo,
    DrainSignal(_): DrainSignal,
) -> Result<(), StatusCode> {
    if *info.peer() == peer {
        Ok(())
    } else {
        Err(StatusCode::CONFLICT)
    }
}

async fn credentials(Credentials(cred): Credentials) -> Result<(), StatusCode> {
    if cred.uid == rustix::process::geteuid().as_raw() {
        Ok(())
    } else {
        Err(StatusCode::CONFLICT)
    }
}

/// Whether all requests get a 200, by both versions of HTTP.
async fn all_respond(served: &TestServer, requests: Vec<TestRequest>) -> bool {
    let mut all = true;
    for version in [Version::Http1, Version::Http2] {
        let mut client = Client::connect(served, version).await;
        for request in &requests {
            all &= client.send(request).await.status == StatusCode::OK;
        }
    }
    all
}

async fn web_socket(served: &TestServer, path: &str) -> bool {
    let mut stream = served.connect(Version::Http1).await;
    let request = WEB_SOCKET.replace("/echo", path);
    send(&mut stream, request.as_bytes()).await;
    if !head(&mut stream).await.starts_with("HTTP/1.1 101 ") {
        return false;
    }
    echo(stream).await;
    true
}

async fn web_socket_over_http2(served: &TestServer, path: &str) -> bool {
    let mut client = Client::connect(served, Version::Http2).await;
    // The server's settings, which allow extended CONNECT, come before a response.
    client.send(&get("/spawn")).await;
    let Client::Http2(mut client) = client else {
        return false;
    };
    let request = Request::connect(format!("http://localhost{path}"))
        .header("sec-websocket-version", "13")
        .extension(Protocol::from_static("websocket"));
    let request = request.body(Full::default()).unwrap();
    let response = client.send_request(request).await.unwrap();
    if response.status() != StatusCode::OK {
        return false;
    }
    let upgraded = hyper::upgrade::on(response).await.unwrap();
    echo(Box::new(TokioIo::new(upgraded))).await;
    true
}

/// A message and its echo, a close, and the end.
async fn echo(mut stream: Box<dyn Stream>) {
    send(&mut stream, HELLO).await;
    expect_frame(&mut stream, b"\x81\x05Hello").await;
    // The server may end the stream while the close is flushed, and over TLS without close_notify.
    let _ = stream.write_all(b"\x88\x82\0\0\0\0\x03\xe8").await;
    let _ = stream.flush().await;
    let _ = timeout(TIMEOUT, stream.read_to_end(&mut Vec::new())).await;
}

/// The table's rows, each with its cells, without their links.
fn table() -> Vec<Vec<&'static str>> {
    let (_, rest) = PAGE.split_once(HEADING).unwrap();
    let lines = rest.lines().skip_while(|line| !line.starts_with('|'));
    lines
        .take_while(|line| line.starts_with('|'))
        .filter(|line| !line.starts_with("|-"))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect()
}

/// Whether a cell says that its row works over this transport.
fn is_promised(row: &[&str], transport: &str) -> bool {
    let of_transport = |(_, names): &(&str, &[&str])| names.contains(&transport);
    let cell = row[1 + COLUMNS.iter().position(of_transport).unwrap()];
    match cell.split([',', ';']).next().unwrap() {
        "yes" => true,
        "over TCP" => !transport.contains("unix"),
        "over Unix sockets" => transport.contains("unix"),
        "as the inner transport" => is_promised(row, &transport["tls over ".len()..]),
        _ => panic!("this test does not know the cell `{cell}`"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn table_of_the_guide_says_what_works_on_which_transport() {
    let table = table();
    let columns = COLUMNS.iter().map(|(column, _)| *column);
    assert_eq!(
        table[0],
        [""].into_iter().chain(columns).collect::<Vec<_>>()
    );
    let rows: Vec<_> = table[1..].iter().map(|row| row[0]).collect();
    let probed: Vec<_> = ROWS.iter().map(|(row, _)| *row).collect();
    assert_eq!(rows, probed, "each row has a probe here");

    let named: Vec<_> = COLUMNS.iter().flat_map(|(_, names)| *names).collect();
    let transports = TRANSPORTS.iter().filter(|(name, ..)| named.contains(&name));
    let differences = join_all(transports.map(async |(name, _, serve)| {
        let served = serve(app(Shared::new().await)).started();
        let mut differences = Vec::new();
        for (row, (text, probe)) in table[1..].iter().zip(ROWS) {
            let (promised, works) = (is_promised(row, name), probe(&served).await);
            if works != promised {
                let should = if works { "works" } else { "does not work" };
                differences.push(format!("over {name}, this {should}: {text}"));
            }
        }
        served.drain().await;
        differences
    }));
    assert_eq!(
        differences.await.concat(),
        [""; 0],
        "docs/from-axum-serve.md"
    );
}
