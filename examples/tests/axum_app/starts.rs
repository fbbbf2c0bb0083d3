//! Tokio works in handlers over every transport, with every way to start the server.
use crate::{
    HELLO, TIMEOUT, WEB_SOCKET,
    client::{Client, TestResponse, Version, request},
    expect_frame,
    servers::{TRANSPORTS, TestServer},
    tokio_app::{REQUESTS, Shared, router},
};
use anyport::{
    Result, Server,
    error::ErrorKind,
    observe::{Event, Observer},
    transport::Endpoint,
};
use futures_util::future::join_all;
use std::{sync::Mutex, thread};
use tokio::{
    runtime::{Builder, Runtime},
    sync::oneshot,
    time::timeout,
};

/// The name, and a function that runs a server to its end on a thread without a runtime.
type Start = (&'static str, fn(Server) -> Result<()>);

const STARTS: &[Start] = &[
    ("`.await` in tokio", |server| {
        multi_threaded().block_on(awaited(server))
    }),
    ("`.await` in one thread", |server| {
        single_threaded().block_on(awaited(server))
    }),
    ("`.start()` in tokio", |server| {
        multi_threaded().block_on(started(server))
    }),
    ("`.start()` in one thread", |server| {
        single_threaded().block_on(started(server))
    }),
    ("`.start()` in a plain `main`", |server| {
        let running = server.start()?;
        // This thread has no runtime, so another one waits.
        let ends = thread::spawn(move || single_threaded().block_on(running.wait()));
        ends.join().unwrap().map(drop)
    }),
    ("`.run()` in a plain `main`", |server| {
        server.run().map(drop)
    }),
];

async fn awaited(server: Server) -> Result<()> {
    server.await.map(drop)
}

async fn started(server: Server) -> Result<()> {
    server.start()?.wait().await.map(drop)
}

/// The runtime of `#[tokio::main]`.
fn multi_threaded() -> Runtime {
    Builder::new_multi_thread().enable_all().build().unwrap()
}

/// The runtime of `#[tokio::main(flavor = "current_thread")]`.
fn single_threaded() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Sends the endpoint of the server to the test.
struct SendEndpoint(Mutex<Option<oneshot::Sender<Endpoint>>>);

impl Observer for SendEndpoint {
    fn on(&self, event: &Event<'_>) {
        if let Event::Listening { endpoint } = event
            && let Some(sender) = self.0.lock().unwrap().take()
        {
            sender.send((*endpoint).clone()).unwrap();
        }
    }
}

/// A server that was started in one of the ways.
struct RunningServer {
    served: TestServer,
    stop: oneshot::Sender<()>,
    ends: thread::JoinHandle<Result<()>>,
}

impl RunningServer {
    /// Returns `None` if the server cannot be started in this way.
    async fn start(
        mut served: TestServer,
        server: Server,
        start: fn(Server) -> Result<()>,
    ) -> Option<Self> {
        let (sender, listening) = oneshot::channel();
        let (stop, stopped) = oneshot::channel();
        let server = server
            .observer(SendEndpoint(Mutex::new(Some(sender))))
            .with_graceful_shutdown(async { drop(stopped.await) });
        let ends = thread::spawn(move || start(server));
        let Ok(endpoint) = listening.await else {
            let error = ends.join().unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Start, "{error}");
            assert!(
                error
                    .to_string()
                    .contains("(use `.run()`, or `#[tokio::main]`"),
                "{error}"
            );
            return None;
        };
        served.set_endpoint(endpoint);
        Some(Self { served, stop, ends })
    }

    async fn end(self) {
        self.stop.send(()).unwrap();
        while !self.ends.is_finished() {
            tokio::task::yield_now().await;
        }
        self.ends.join().unwrap().unwrap();
    }
}

/// Each server is tested with one of them.
const VERSIONS: [Version; 2] = [Version::Http1, Version::Http2];

async fn responses(served: &TestServer, version: Version) -> Vec<TestResponse> {
    let mut client = Client::connect(served, version).await;
    let mut responses = Vec::new();
    for (request, ..) in REQUESTS {
        responses.push(timeout(TIMEOUT, client.send(request)).await.unwrap());
    }
    responses
}

/// The number of responses that equal the reference, for one transport and one way to start. `-` if
/// the server cannot be started in this way.
async fn cell(
    nth: usize,
    name: &str,
    mut served: TestServer,
    (how, start): Start,
    references: &[Vec<TestResponse>; 2],
) -> Option<String> {
    let server = served.take_server()?;
    let Some(running) = RunningServer::start(served, server, start).await else {
        return Some("-".to_owned());
    };
    let which = nth % VERSIONS.len();
    let version = VERSIONS[which];
    let responses = responses(&running.served, version).await;
    for (((request, ..), response), expected) in
        REQUESTS.iter().zip(&responses).zip(&references[which])
    {
        assert_eq!(
            response, expected,
            "{version:?} over {name}, {how}: {request:?}"
        );
    }
    running.end().await;
    Some(responses.len().to_string())
}

/// A row of the table: one transport, with all ways to start at once, because they mostly wait.
async fn row(
    nth: usize,
    name: &str,
    make: fn(axum::Router) -> TestServer,
    references: &[Vec<TestResponse>; 2],
) -> Option<String> {
    let cells = STARTS.iter().enumerate().map(async |(start_nth, &start)| {
        let served = make(router(Shared::new().await));
        cell(nth + start_nth, name, served, start, references).await
    });
    let cells: Option<Vec<_>> = join_all(cells).await.into_iter().collect();
    Some(format!("| {name} | {} |", cells?.join(" | ")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokio_works_in_handlers_with_every_way_to_start() {
    let served = TestServer::reference(router(Shared::new().await));
    let references = [
        responses(&served, VERSIONS[0]).await,
        responses(&served, VERSIONS[1]).await,
    ];
    served.drain().await;
    for ((request, status, begins), response) in REQUESTS.iter().zip(&references[0]) {
        assert_eq!(response.status, *status, "{request:?}: {response:?}");
        assert!(
            response.body.starts_with(begins.as_bytes()),
            "{request:?}: {response:?}"
        );
    }
    let rows = TRANSPORTS.iter().enumerate();
    let rows =
        join_all(rows.map(|(nth, (name, _, make))| row(nth, name, *make, &references))).await;
    let names: Vec<_> = STARTS.iter().map(|(name, _)| *name).collect();
    let mut table = format!(
        "| | {} |\n|---|{}\n",
        names.join(" | "),
        "---|".repeat(names.len())
    );
    for row in rows.into_iter().flatten() {
        table += &row;
        table.push('\n');
    }
    println!("{table}");
    if cfg!(all(feature = "monoio", feature = "glommio")) {
        let docs = include_str!("../../../docs/tokio.md");
        assert!(
            docs.contains(&table),
            "docs/tokio.md has another table than this:\n{table}"
        );
    }
}

/// Axum's own extractor, where peers have IP addresses.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connect_info_works_over_every_transport_with_ip_addresses() {
    let with_addresses = TRANSPORTS
        .iter()
        .filter(|(name, (peer, _), _)| *peer == "127.0.0.1:" && !name.starts_with("axum::serve"));
    join_all(with_addresses.map(async |(name, _, serve)| {
        let served = serve(router(Shared::new().await)).started();
        for version in VERSIONS {
            let mut client = Client::connect(&served, version).await;
            let request = request("GET", "/connect-info", &[], "");
            assert_eq!(
                client.send(&request).await.text(),
                "127.0.0.1",
                "{version:?} over {name}"
            );
        }
        served.drain().await;
    }))
    .await;
}

/// Two clients of a chat, each served by tasks on tokio.
async fn chat(served: TestServer) {
    let mut clients = Vec::new();
    for _ in 0..2 {
        let mut stream = served.connect(Version::Http1).await;
        let request = WEB_SOCKET.replace("/echo", "/chat");
        crate::send(&mut stream, request.as_bytes()).await;
        crate::head(&mut stream).await;
        crate::send(&mut stream, HELLO).await;
        // The sender also receives its message, so it has joined by then.
        expect_frame(&mut stream, b"\x81\x05Hello").await;
        clients.push(stream);
    }
    expect_frame(&mut clients[0], b"\x81\x05Hello").await;
    for nth in 0..2 {
        crate::send(&mut clients[nth], HELLO).await;
        for client in &mut clients {
            expect_frame(client, b"\x81\x05Hello").await;
        }
    }
    drop(clients);
    served.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chat_works_over_every_transport() {
    chat(TestServer::reference(router(Shared::new().await))).await;
    join_all(TRANSPORTS.iter().map(async |(_, _, serve)| {
        chat(serve(router(Shared::new().await)).started()).await;
    }))
    .await;
}
