//! An app that uses all of tokio that apps need: tasks, blocking threads, timers, sockets, files,
//! and the layers of tower-http that need tokio.
use crate::{
    ASSETS,
    client::{TestRequest, request},
};
use anyport::http::StatusCode;
use axum::{
    Json, Router,
    extract::{
        ConnectInfo, Path, Query, State, WebSocketUpgrade,
        ws::{Message, WebSocket},
    },
    response::{Response, Sse, sse},
    routing::{any, get, post},
};
use futures_util::{Stream, StreamExt, stream};
use serde::{Deserialize, Serialize};
use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    fs,
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::{Mutex, broadcast, mpsc, oneshot},
    task::{JoinSet, spawn_blocking},
    time,
};
use tower_http::{
    compression::CompressionLayer, cors::CorsLayer, services::ServeDir, timeout::TimeoutLayer,
    trace::TraceLayer,
};

const MOMENT: Duration = Duration::from_millis(2);

/// State of the handlers. It is created before the server, on the runtime of the caller.
#[derive(Clone)]
pub(crate) struct Shared {
    /// The address of a stand-in for a database, which responds to each line with its capitals.
    database: SocketAddr,
    /// A pool of one connection, which the first request opens.
    pool: Arc<Mutex<Option<BufReader<TcpStream>>>>,
    chat: broadcast::Sender<String>,
}

impl Shared {
    /// Creates the state, with a database on the tokio of the test.
    pub(crate) async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let database = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer_in_capitals(stream));
            }
        });
        Self {
            database,
            pool: Arc::default(),
            chat: broadcast::Sender::new(16),
        }
    }
}

async fn answer_in_capitals(stream: TcpStream) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while stream.read_line(&mut line).await? > 0 {
        stream.write_all(line.to_uppercase().as_bytes()).await?;
        line.clear();
    }
    Ok(())
}

pub(crate) fn router(shared: Shared) -> Router {
    let limit = TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, 10 * MOMENT);
    Router::new()
        .route("/json", post(json))
        .route("/path/{word}/{number}", get(path))
        .route("/query", get(query))
        .route("/spawn", get(spawned))
        .route("/join-set", get(join_set))
        .route("/spawn-blocking", get(blocking))
        .route("/channel", get(channel))
        .route("/oneshot", get(one_shot))
        .route("/select", get(select))
        .route("/sleep", get(sleep))
        .route("/interval", get(interval))
        .route("/timeout", get(timeout))
        .route("/for-ever", get(std::future::pending::<()>).layer(limit))
        .route("/tcp", get(tcp))
        .route("/pool", get(pool))
        .route("/udp", get(udp))
        .route("/file", get(file))
        .route("/temporary", get(temporary))
        .route("/events", get(events))
        .route("/connect-info", get(connect_info))
        .route("/chat", any(chat))
        .with_state(shared)
        .fallback_service(ServeDir::new(ASSETS))
        .layer(CompressionLayer::new())
        .layer(CorsLayer::permissive())
        .layer(TraceLayer::new_for_http())
}

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];
const ORIGIN: &[(&str, &str)] = &[("origin", "http://elsewhere")];
const PREFLIGHT: &[(&str, &str)] = &[
    ("origin", "http://elsewhere"),
    ("access-control-request-method", "POST"),
];
const GZIP: &[(&str, &str)] = &[("accept-encoding", "gzip")];
const RANGE: &[(&str, &str)] = &[("range", "bytes=2-8")];

/// The requests, with the status and the beginning of the body of each response.
pub(crate) const REQUESTS: &[(TestRequest, u16, &str)] = &[
    (
        request("POST", "/json", JSON, r#"{"word":"axum","number":8}"#),
        200,
        r#"{"word":"AXUM","number":9}"#,
    ),
    (request("GET", "/path/word/7", &[], ""), 200, "word 7"),
    (
        request("GET", "/query?word=b&number=3", &[], ""),
        200,
        "b 3",
    ),
    (request("GET", "/spawn", &[], ""), 200, "spawned"),
    (request("GET", "/join-set", &[], ""), 200, "45"),
    (request("GET", "/spawn-blocking", &[], ""), 200, "blocked"),
    (request("GET", "/channel", &[], ""), 200, "abc"),
    (request("GET", "/oneshot", &[], ""), 200, "once"),
    (request("GET", "/select", &[], ""), 200, "the timer"),
    (request("GET", "/sleep", &[], ""), 200, "slept"),
    (request("GET", "/interval", &[], ""), 200, "ticked"),
    (
        request("GET", "/timeout", &[], ""),
        200,
        "deadline has elapsed",
    ),
    (request("GET", "/for-ever", &[], ""), 504, ""),
    (request("GET", "/tcp", &[], ""), 200, "SELECT 1"),
    (request("GET", "/pool", &[], ""), 200, "SELECT 2"),
    (request("GET", "/pool", &[], ""), 200, "SELECT 2"),
    (request("GET", "/udp", &[], ""), 200, "datagram"),
    (request("GET", "/file", &[], ""), 200, "<!doctype html>"),
    (request("GET", "/temporary", &[], ""), 200, "written"),
    (
        request("GET", "/events", &[], ""),
        200,
        ":\n\ndata: at last\n\n",
    ),
    (
        request("GET", "/index.html", GZIP, ""),
        200,
        "<!doctype html>",
    ),
    (request("GET", "/index.html", RANGE, ""), 206, "doctype"),
    (request("OPTIONS", "/json", PREFLIGHT, ""), 200, ""),
    (request("GET", "/sleep", ORIGIN, ""), 200, "slept"),
];

#[derive(Deserialize, Serialize)]
struct Pair {
    word: String,
    number: u32,
}

async fn json(Json(pair): Json<Pair>) -> Json<Pair> {
    Json(Pair {
        word: pair.word.to_uppercase(),
        number: pair.number + 1,
    })
}

async fn path(Path((word, number)): Path<(String, u32)>) -> String {
    format!("{word} {number}")
}

async fn query(Query(pair): Query<Pair>) -> String {
    format!("{} {}", pair.word, pair.number)
}

async fn spawned() -> &'static str {
    tokio::spawn(async { "spawned" }).await.unwrap()
}

async fn join_set() -> String {
    let mut tasks: JoinSet<u32> = (0..10).map(|n| async move { n }).collect();
    let mut sum = 0;
    while let Some(n) = tasks.join_next().await {
        sum += n.unwrap();
    }
    sum.to_string()
}

async fn blocking() -> &'static str {
    let blocks = || {
        std::thread::sleep(MOMENT);
        "blocked"
    };
    spawn_blocking(blocks).await.unwrap()
}

async fn channel() -> String {
    let (send, mut receive) = mpsc::channel(1);
    tokio::spawn(async move {
        for letter in ["a", "b", "c"] {
            send.send(letter).await.unwrap();
        }
    });
    let mut all = String::new();
    while let Some(letter) = receive.recv().await {
        all += letter;
    }
    all
}

async fn one_shot() -> &'static str {
    let (send, receive) = oneshot::channel();
    tokio::spawn(async move {
        time::sleep(MOMENT).await;
        send.send("once")
    });
    receive.await.unwrap()
}

async fn select() -> &'static str {
    tokio::select! {
        () = std::future::pending() => "nothing",
        () = time::sleep(MOMENT) => "the timer",
    }
}

async fn sleep() -> &'static str {
    let before = Instant::now();
    time::sleep(MOMENT).await;
    assert!(before.elapsed() >= MOMENT);
    "slept"
}

async fn interval() -> &'static str {
    let mut ticks = time::interval(MOMENT);
    for _ in 0..3 {
        ticks.tick().await;
    }
    "ticked"
}

async fn timeout() -> String {
    let late = time::timeout(MOMENT, std::future::pending::<()>()).await;
    late.unwrap_err().to_string()
}

async fn tcp(State(shared): State<Shared>) -> String {
    let stream = TcpStream::connect(shared.database).await.unwrap();
    query_database(&mut BufReader::new(stream), "select 1").await
}

async fn pool(State(shared): State<Shared>) -> String {
    let mut pooled = shared.pool.lock().await;
    let connection = match &mut *pooled {
        Some(connection) => connection,
        none => none.insert(BufReader::new(
            TcpStream::connect(shared.database).await.unwrap(),
        )),
    };
    query_database(connection, "select 2").await
}

async fn query_database(connection: &mut BufReader<TcpStream>, query: &str) -> String {
    connection
        .write_all(format!("{query}\n").as_bytes())
        .await
        .unwrap();
    let mut line = String::new();
    connection.read_line(&mut line).await.unwrap();
    line.trim_end().to_owned()
}

async fn udp() -> String {
    let (one, other) = (
        UdpSocket::bind("127.0.0.1:0").await.unwrap(),
        UdpSocket::bind("127.0.0.1:0").await.unwrap(),
    );
    one.send_to(b"datagram", other.local_addr().unwrap())
        .await
        .unwrap();
    let mut buf = [0; 16];
    let (n, _) = other.recv_from(&mut buf).await.unwrap();
    String::from_utf8_lossy(&buf[..n]).into_owned()
}

async fn file() -> String {
    fs::read_to_string(format!("{ASSETS}/index.html"))
        .await
        .unwrap()
}

async fn temporary() -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "written").await.unwrap();
    fs::read_to_string(&path).await.unwrap()
}

/// One event that comes after keep-alive comments, even on a busy machine: a thread that stalls is
/// late for one of the sleeps only, and a comment follows.
async fn events() -> Sse<impl Stream<Item = Result<sse::Event, Infallible>>> {
    let event = stream::once(async {
        for _ in 0..20 {
            time::sleep(Duration::from_millis(50)).await;
        }
        Ok(sse::Event::default().data("at last"))
    });
    Sse::new(event).keep_alive(sse::KeepAlive::new().interval(10 * MOMENT))
}

async fn connect_info(ConnectInfo(peer): ConnectInfo<SocketAddr>) -> String {
    peer.ip().to_string()
}

/// Every client receives every message, as in axum's own example of a chat.
async fn chat(State(shared): State<Shared>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(|socket| talk(socket, shared.chat))
}

async fn talk(socket: WebSocket, chat: broadcast::Sender<String>) {
    let mut heard = chat.subscribe();
    let (mut to_client, mut from_client) = socket.split();
    let mut hears = tokio::spawn(async move {
        use futures_util::SinkExt;
        while let Ok(text) = heard.recv().await {
            if to_client.send(Message::text(text)).await.is_err() {
                break;
            }
        }
    });
    let mut says = tokio::spawn(async move {
        while let Some(Ok(Message::Text(text))) = from_client.next().await {
            let _ = chat.send(text.to_string());
        }
    });
    tokio::select! {
        _ = &mut hears => says.abort(),
        _ = &mut says => hears.abort(),
    }
}
