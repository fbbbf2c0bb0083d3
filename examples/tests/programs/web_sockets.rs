//! WebSockets with clients in Python, for Node.js and in a browser. In the app, it's
//! tokio-tungstenite on a task of tokio's, or anyport's own, which compresses.
use crate::proxy::Place;
use anyport::{
    Body, BoxError, Request, Response, StatusCode, TokioIo, header,
    http::{Method, Version},
    ws::{self, Config, Deflate},
};
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use std::{
    collections::HashMap,
    process::{Output, Stdio},
    sync::{LazyLock, Mutex},
    time::Duration,
};
use tokio::{
    process::Command,
    time::{sleep, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{handshake::derive_accept_key, protocol::Role},
};

/// Longer than a browser takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// What each client does: a text, a mebibyte, and a close with a reason come back as they were
/// sent.
const PYTHON: &str = include_str!("web_socket.py");
const NODE: &str = include_str!("web_socket.js");
const PAGE: &str = include_str!("web_socket.html");

/// Python, as the system has it, with its packages.
const SYSTEM_PYTHON: &str = "/usr/bin/python3";

/// Where Debian keeps node's packages.
const NODE_PATH: (&str, &str) = ("NODE_PATH", "/usr/share/nodejs");

/// What browsers reported, by what their page was asked for.
static REPORTS: LazyLock<Mutex<HashMap<String, String>>> = LazyLock::new(Mutex::default);

/// Upgrades the connection, or a stream of HTTP/2 (RFC 8441), and echoes on it. A browser that has
/// the page over HTTP/2 does that.
pub(crate) fn echo(mut request: Request<Body>) -> Result<Response<Body>, BoxError> {
    let mut response = Response::new(Body::empty());
    if request.method() != Method::CONNECT {
        let key = request.headers().get("sec-websocket-key").ok_or("no key")?;
        let accept = derive_accept_key(key.as_bytes()).parse()?;
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(
            header::CONNECTION,
            header::HeaderValue::from_static("upgrade"),
        );
        headers.insert(
            header::UPGRADE,
            header::HeaderValue::from_static("websocket"),
        );
        headers.insert("sec-websocket-accept", accept);
    }
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        if let Ok(upgraded) = upgrade.await {
            echo_messages(upgraded).await;
        }
    });
    Ok(response)
}

/// The same by anyport's own. Its subprotocol tells the browser over which version of HTTP it came.
pub(crate) fn our_echo(mut request: Request<Body>) -> Response<Body> {
    let version = match request.version() {
        Version::HTTP_2 => "h2",
        _ => "h1",
    };
    let config = Config::default()
        .with_deflate(Deflate::default())
        .with_protocols([version]);
    ws::upgrade(&mut request, &config, |mut socket| async move {
        while let Some(Ok(message)) = socket.recv().await {
            if message.is_data() && socket.send(message).await.is_err() {
                return;
            }
        }
    })
}

async fn echo_messages(upgraded: Upgraded) {
    let io = TokioIo::new(upgraded);
    let mut socket = WebSocketStream::from_raw_socket(io, Role::Server, None).await;
    while let Some(Ok(message)) = socket.next().await {
        // A close answers itself.
        if !message.is_close() && socket.send(message).await.is_err() {
            return;
        }
    }
}

/// The page that a browser runs.
pub(crate) fn page() -> Response<Body> {
    let mut response = Response::new(PAGE.into());
    let html = header::HeaderValue::from_static("text/html");
    response.headers_mut().insert(header::CONTENT_TYPE, html);
    response
}

/// Takes a browser's report.
pub(crate) fn report(query: &str, report: String) {
    REPORTS.lock().unwrap().insert(query.to_owned(), report);
}

/// Why a client can't be run here, if that's so.
pub(crate) fn needs(client: &Client) -> Option<String> {
    let mut check = std::process::Command::new(client.program);
    let found = check
        .args(client.check)
        .env(NODE_PATH.0, NODE_PATH.1)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match found {
        Ok(status) if status.success() => None,
        _ => Some(format!("needs {}", client.needs)),
    }
}

/// A client of other people's making.
pub(crate) struct Client {
    pub(crate) name: &'static str,
    needs: &'static str,
    program: &'static str,
    check: &'static [&'static str],
    run: &'static [&'static str],
}

pub(crate) const CLIENTS: &[Client] = &[
    Client {
        name: "python",
        needs: "python3-websockets",
        program: SYSTEM_PYTHON,
        check: &["-c", "import websockets"],
        run: &["-c", PYTHON],
    },
    Client {
        name: "node",
        needs: "node-ws",
        program: "node",
        check: &["-e", "require('ws')"],
        run: &["-e", NODE],
    },
];

pub(crate) const CHROMIUM: Client = Client {
    name: "chromium",
    needs: "chromium",
    program: "chromium",
    check: &["--version"],
    run: &[
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--ignore-certificate-errors",
        "--no-first-run",
    ],
};

/// Runs a client that says `passed`; `at` is the path of the WebSocket.
pub(crate) async fn talk(client: &Client, place: &Place, at: &str) {
    let (url, path) = match place {
        Place::Tcp(addr, false) => (format!("ws://{addr}{at}"), String::new()),
        Place::Tcp(addr, true) => (format!("wss://{addr}{at}"), String::new()),
        Place::Unix(path) => (format!("ws://localhost{at}"), path.display().to_string()),
    };
    let mut command = Command::new(client.program);
    command
        .args(client.run)
        .args([&url, &path])
        .env(NODE_PATH.0, NODE_PATH.1);
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let Output { stdout, stderr, .. } = timeout(PATIENCE, output).await.unwrap().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&stdout).trim(),
        "passed",
        "{} at {url} {path}: {}",
        client.name,
        String::from_utf8_lossy(&stderr)
    );
}

/// Has a browser run the page, which says what came of it to the server. Browsers know no Unix
/// sockets.
pub(crate) async fn browse(place: &Place, name: &str, at: &str) {
    let Place::Tcp(addr, is_secure) = place else {
        return;
    };
    let scheme = if *is_secure { "https" } else { "http" };
    let profile = tempfile::tempdir().unwrap();
    let mut command = Command::new(CHROMIUM.program);
    command
        .args(CHROMIUM.run)
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("{scheme}://{addr}/page{at}?{name}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let mut browser = command.spawn().unwrap();
    let reported = async {
        loop {
            if let Some(report) = REPORTS.lock().unwrap().remove(name) {
                return report;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    let reported = timeout(PATIENCE, reported).await;
    browser.kill().await.unwrap();
    assert_eq!(reported.unwrap(), "passed", "{name}");
}
