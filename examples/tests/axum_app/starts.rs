//! What an app needs of tokio, it finds over every transport, and however its server was started.
use crate::{
    HELLO, PATIENCE, WEB_SOCKET,
    client::{Answer, Client, Version, ask},
    expect_frame,
    place::{Place, WAYS},
    whole::{ASKS, Shared, router},
};
use anyport::{Endpoint, ErrorKind, Event, Observer, Result, Server};
use futures_util::future::join_all;
use std::{sync::Mutex, thread};
use tokio::{
    runtime::{Builder, Runtime},
    sync::oneshot,
    time::timeout,
};

/// What it's called, and how it runs a server to its end, on a thread that's in no runtime.
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
        // Not on this thread: it's in no runtime.
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

/// As `#[tokio::main]` makes it.
fn multi_threaded() -> Runtime {
    Builder::new_multi_thread().enable_all().build().unwrap()
}

/// As `#[tokio::main(flavor = "current_thread")]` makes it.
fn single_threaded() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Tells where the server listens.
struct Tell(Mutex<Option<oneshot::Sender<Endpoint>>>);

impl Observer for Tell {
    fn on(&self, event: &Event<'_>) {
        if let Event::Listening { endpoint } = event
            && let Some(tell) = self.0.lock().unwrap().take()
        {
            tell.send((*endpoint).clone()).unwrap();
        }
    }
}

/// A server that runs in its own way.
struct Running {
    place: Place,
    stop: oneshot::Sender<()>,
    ends: thread::JoinHandle<Result<()>>,
}

impl Running {
    /// None: it says that it can't be started so.
    async fn start(
        mut place: Place,
        server: Server,
        start: fn(Server) -> Result<()>,
    ) -> Option<Self> {
        let (tell, told) = oneshot::channel();
        let (stop, stopped) = oneshot::channel();
        let server = server
            .observer(Tell(Mutex::new(Some(tell))))
            .with_graceful_shutdown(async { drop(stopped.await) });
        let ends = thread::spawn(move || start(server));
        let Ok(endpoint) = told.await else {
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
        place.listens_at(endpoint);
        Some(Self { place, stop, ends })
    }

    async fn end(self) {
        self.stop.send(()).unwrap();
        while !self.ends.is_finished() {
            tokio::task::yield_now().await;
        }
        self.ends.join().unwrap().unwrap();
    }
}

/// Each place is asked in one of them.
const VERSIONS: [Version; 2] = [Version::Http1, Version::Http2];

async fn answers(place: &Place, version: Version) -> Vec<Answer> {
    let mut client = Client::connect(place, version).await;
    let mut answers = Vec::new();
    for (ask, ..) in ASKS {
        answers.push(timeout(PATIENCE, client.ask(ask)).await.unwrap());
    }
    answers
}

/// How many of the answers were the reference's, for one way to serve and one to start; `-` if it
/// says that it can't be started so.
async fn cell(
    nth: usize,
    name: &str,
    mut place: Place,
    (how, start): Start,
    references: &[Vec<Answer>; 2],
) -> Option<String> {
    let server = place.take_server()?;
    let Some(running) = Running::start(place, server, start).await else {
        return Some("-".to_owned());
    };
    let which = nth % VERSIONS.len();
    let version = VERSIONS[which];
    let answers = answers(&running.place, version).await;
    for (((ask, ..), answer), expected) in ASKS.iter().zip(&answers).zip(&references[which]) {
        assert_eq!(answer, expected, "{version:?} over {name}, {how}: {ask:?}");
    }
    running.end().await;
    Some(answers.len().to_string())
}

/// A row of a table: one way to serve, started in each way at once, since most of the time they
/// wait.
async fn row(
    nth: usize,
    name: &str,
    make: fn(axum::Router) -> Place,
    references: &[Vec<Answer>; 2],
) -> Option<String> {
    let cells = STARTS.iter().enumerate().map(async |(start_nth, &start)| {
        let place = make(router(Shared::new().await));
        cell(nth + start_nth, name, place, start, references).await
    });
    let cells: Option<Vec<_>> = join_all(cells).await.into_iter().collect();
    Some(format!("| {name} | {} |", cells?.join(" | ")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_app_needs_of_tokio_is_there_however_its_server_was_started() {
    let place = Place::reference(router(Shared::new().await));
    let references = [
        answers(&place, VERSIONS[0]).await,
        answers(&place, VERSIONS[1]).await,
    ];
    place.drain().await;
    for ((ask, status, begins), answer) in ASKS.iter().zip(&references[0]) {
        assert_eq!(answer.status, *status, "{ask:?}: {answer:?}");
        assert!(
            answer.body.starts_with(begins.as_bytes()),
            "{ask:?}: {answer:?}"
        );
    }
    let rows = WAYS.iter().enumerate();
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

/// axum's own, as far as peers have such an address.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connect_info_is_there_over_every_transport_with_ip_addresses() {
    let with_addresses = WAYS
        .iter()
        .filter(|(name, (peer, _), _)| *peer == "127.0.0.1:" && !name.starts_with("axum::serve"));
    join_all(with_addresses.map(async |(name, _, serve)| {
        let place = serve(router(Shared::new().await)).started();
        for version in VERSIONS {
            let mut client = Client::connect(&place, version).await;
            let ask = ask("GET", "/connect-info", &[], "");
            assert_eq!(
                client.ask(&ask).await.text(),
                "127.0.0.1",
                "{version:?} over {name}"
            );
        }
        place.drain().await;
    }))
    .await;
}

/// Two who hear what either says: each of their WebSockets is served by tasks on tokio.
async fn chat(place: Place) {
    let mut clients = Vec::new();
    for _ in 0..2 {
        let mut stream = place.connect(Version::Http1).await;
        let request = WEB_SOCKET.replace("/echo", "/chat");
        crate::send(&mut stream, request.as_bytes()).await;
        crate::head(&mut stream).await;
        crate::send(&mut stream, HELLO).await;
        // It's heard by who said it, who has joined by then.
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
    place.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_works_over_every_transport() {
    chat(Place::reference(router(Shared::new().await))).await;
    join_all(WAYS.iter().map(async |(_, _, serve)| {
        chat(serve(router(Shared::new().await)).started()).await;
    }))
    .await;
}
