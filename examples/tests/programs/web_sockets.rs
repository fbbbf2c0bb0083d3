//! WebSockets with clients in Python, Node.js and a browser. The app echoes with tokio-tungstenite,
//! or with anyport's own WebSockets, which compress.
use crate::proxy::Upstream;
use anyport::{
    Body, Request, Response,
    error::BoxError,
    http::{Method, StatusCode, Version, header},
    runtime::TokioIo,
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
const TIMEOUT: Duration = Duration::from_secs(120);

/// Each client sends a text, a mebibyte, and a close with a reason, and expects them back.
const PYTHON: &str = include_str!("web_socket.py");
const NODE: &str = include_str!("web_socket.js");
const PAGE: &str = include_str!("web_socket.html");

/// The Python of the system, with its packages.
const SYSTEM_PYTHON: &str = "/usr/bin/python3";

/// The folder of Debian's packages for Node.js.
const NODE_PATH: (&str, &str) = ("NODE_PATH", "/usr/share/nodejs");

/// The reports of browsers, by the query of their page.
static REPORTS: LazyLock<Mutex<HashMap<String, String>>> = LazyLock::new(Mutex::default);

/// Upgrades the connection, or a stream of HTTP/2 (RFC 8441), and echoes on it. A browser that
/// loaded the page over HTTP/2 uses the latter.
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

/// The echo with anyport's own WebSockets. The browser reads its version of HTTP from the
/// subprotocol.
pub(crate) fn anyport_echo(mut request: Request<Body>) -> Response<Body> {
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
        // Tungstenite replies to a close frame itself.
        if !message.is_close() && socket.send(message).await.is_err() {
            return;
        }
    }
}

/// The page for the browser.
pub(crate) fn page() -> Response<Body> {
    let mut response = Response::new(PAGE.into());
    let html = header::HeaderValue::from_static("text/html");
    response.headers_mut().insert(header::CONTENT_TYPE, html);
    response
}

/// Stores the report of a browser.
pub(crate) fn report(query: &str, report: String) {
    REPORTS.lock().unwrap().insert(query.to_owned(), report);
}

/// The reason to ignore a client that cannot run here.
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

/// A foreign client.
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

/// Runs a client that prints `passed`; `at` is the path of the WebSocket.
pub(crate) async fn run_client(client: &Client, upstream: &Upstream, at: &str) {
    let (url, path) = match upstream {
        Upstream::Tcp(addr, false) => (format!("ws://{addr}{at}"), String::new()),
        Upstream::Tcp(addr, true) => (format!("wss://{addr}{at}"), String::new()),
        Upstream::Unix(path) => (format!("ws://localhost{at}"), path.display().to_string()),
    };
    let mut command = Command::new(client.program);
    command
        .args(client.run)
        .args([&url, &path])
        .env(NODE_PATH.0, NODE_PATH.1);
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let Output { stdout, stderr, .. } = timeout(TIMEOUT, output).await.unwrap().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&stdout).trim(),
        "passed",
        "{} at {url} {path}: {}",
        client.name,
        String::from_utf8_lossy(&stderr)
    );
}

/// Opens the page in a browser, and waits for its report. Browsers do not support Unix sockets.
pub(crate) async fn run_browser(upstream: &Upstream, name: &str, at: &str) {
    let Upstream::Tcp(addr, is_tls) = upstream else {
        return;
    };
    let scheme = if *is_tls { "https" } else { "http" };
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
    let reported = timeout(TIMEOUT, reported).await;
    browser.kill().await.unwrap();
    assert_eq!(reported.unwrap(), "passed", "{name}");
}
