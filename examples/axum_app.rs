//! How do I serve a whole axum app over any transport?
//! `cargo run --example axum_app -- --transport tcp-per-core --listen 127.0.0.1:3000`.
//!
//! A list of notes, with state, JSON, path, query, a form, server-sent events, a WebSocket, static
//! files, compression, and request ids:
//!
//! ```text
//! curl -H 'content-type: application/json' -d '{"text": "buy milk"}' http://127.0.0.1:3000/notes
//! curl --data-urlencode 'text=buy bread' http://127.0.0.1:3000/notes/form
//! curl 'http://127.0.0.1:3000/notes?containing=milk'
//! curl -N http://127.0.0.1:3000/notes/events
//! curl http://127.0.0.1:3000/whoami
//! ```
//!
//! SIGTERM or Ctrl-C drains it; what would go on for ever, the events and the WebSocket, ends then.
//! `tests/axum_app` has it answer the same over every transport as over `axum::serve`.
use anyport::{
    Endpoint, Result, Server, StatusCode, Tcp, TlsConfig, TlsExt, UnixName,
    for_axum::{Credentials, Peer, Tls, app},
    serve_with, shutdown,
};
use axum::{
    Form, Json, Router,
    extract::{
        Path, Query, State, WebSocketUpgrade,
        ws::{Message, WebSocket},
    },
    response::{Redirect, Response, Sse, sse::Event},
    routing::{any, get, post},
};
use clap::{Parser, ValueEnum};
use futures_util::stream::{self, Stream};
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, process::ExitCode, sync::Arc};
use tokio::sync::watch;
use tower_http::{
    compression::CompressionLayer,
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer},
    services::ServeDir,
};

#[derive(Parser)]
#[command(about = "Serves an axum app over the transport of your choice: a list of notes")]
struct Options {
    /// What carries the bytes.
    #[arg(long, value_enum, default_value = "tcp")]
    transport: Transport,
    /// Where to listen: HOST:PORT (port 0 is any free one), or a path [default: 127.0.0.1:3000 or
    /// notes.sock]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// The folder of the static files.
    #[arg(long, value_name = "DIR", default_value = "examples/assets")]
    assets: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Transport {
    /// TCP on tokio, work stealing.
    Tcp,
    /// TCP on tokio, one runtime and one socket per core.
    TcpPerCore,
    /// TLS over TCP on tokio, with a certificate for development.
    Tls,
    /// Unix sockets on tokio, work stealing.
    #[cfg(unix)]
    Unix,
    /// Unix sockets on tokio, one runtime per core.
    #[cfg(unix)]
    UnixPerCore,
    /// TLS over Unix sockets on tokio, with a certificate for development.
    #[cfg(unix)]
    TlsUnix,
}

impl Transport {
    fn is_encrypted(self) -> bool {
        match self {
            Self::Tls => true,
            #[cfg(unix)]
            Self::TlsUnix => true,
            _ => false,
        }
    }
}

/// The notes, and whoever waits for more.
#[derive(Clone, Default)]
pub(crate) struct Notes(Arc<watch::Sender<Book>>);

#[derive(Default)]
struct Book {
    notes: Vec<Note>,
    /// There won't be more.
    closed: bool,
}

#[derive(Clone, Serialize)]
struct Note {
    id: usize,
    text: String,
}

#[derive(Deserialize)]
struct NewNote {
    text: String,
}

#[derive(Deserialize)]
struct Filter {
    #[serde(default)]
    containing: String,
}

#[derive(Deserialize)]
struct Since {
    /// The number of the last note that the client knows.
    #[serde(default)]
    after: usize,
}

impl Notes {
    fn add(&self, NewNote { text }: NewNote) -> Note {
        let mut added = Note { id: 0, text };
        self.0.send_modify(|book| {
            added.id = book.notes.len() + 1;
            book.notes.push(added.clone());
        });
        added
    }

    /// Lets those go who wait for more.
    pub(crate) fn close(&self) {
        self.0.send_modify(|book| book.closed = true);
    }
}

async fn add(State(notes): State<Notes>, Json(new): Json<NewNote>) -> (StatusCode, Json<Note>) {
    (StatusCode::CREATED, Json(notes.add(new)))
}

async fn add_by_form(State(notes): State<Notes>, Form(new): Form<NewNote>) -> Redirect {
    notes.add(new);
    Redirect::to("/")
}

async fn one(State(notes): State<Notes>, Path(id): Path<usize>) -> Result<Json<Note>, StatusCode> {
    let book = notes.0.borrow();
    let note = book.notes.iter().find(|note| note.id == id);
    note.cloned().map(Json).ok_or(StatusCode::NOT_FOUND)
}

async fn list(State(notes): State<Notes>, Query(filter): Query<Filter>) -> Json<Vec<Note>> {
    let book = notes.0.borrow();
    let found = book
        .notes
        .iter()
        .filter(|note| note.text.contains(&filter.containing));
    Json(found.cloned().collect())
}

/// All notes, and each further one when it's added.
async fn events(
    State(notes): State<Notes>,
    Query(since): Query<Since>,
) -> Sse<impl Stream<Item = Result<Event, axum::Error>>> {
    let book = notes.0.subscribe();
    Sse::new(stream::unfold(
        (book, since.after),
        |(mut book, known)| async move {
            let next = {
                let book = book
                    .wait_for(|book| book.closed || book.notes.len() > known)
                    .await;
                book.ok()?.notes.get(known).cloned()?
            };
            let event = Event::default().id(next.id.to_string()).json_data(&next);
            Some((event, (book, next.id)))
        },
    ))
}

async fn echo(State(notes): State<Notes>, upgrade: WebSocketUpgrade) -> Response {
    // By default it has 128 KiB, which are filled with zeros before each read and kept while a
    // WebSocket waits.
    let upgrade = upgrade.read_buffer_size(4096);
    upgrade.on_upgrade(|socket| echo_messages(socket, notes))
}

async fn echo_messages(mut socket: WebSocket, notes: Notes) {
    let mut book = notes.0.subscribe();
    loop {
        let message = tokio::select! {
            message = socket.recv() => message,
            _ = book.wait_for(|book| book.closed) => None,
        };
        let Some(Ok(message)) = message else { return };
        // A close is answered by the next `recv`, which then finds the end.
        let echoed = matches!(message, Message::Close(_)) || socket.send(message).await.is_ok();
        if !echoed {
            return;
        }
    }
}

async fn whoami(Peer(peer): Peer, tls: Option<Tls>, credentials: Option<Credentials>) -> String {
    let how = match tls {
        Some(Tls(tls)) => format!("over {}", tls.version()),
        None => "in plain text".into(),
    };
    let who = credentials.map_or(String::new(), |Credentials(cred)| {
        format!(" as user {}", cred.uid)
    });
    format!("You are {peer}, and ask {how}{who}\n")
}

pub(crate) fn router(notes: Notes, assets: PathBuf) -> Router {
    Router::new()
        .route("/notes", get(list).post(add))
        .route("/notes/form", post(add_by_form))
        .route("/notes/events", get(events))
        .route("/notes/{id}", get(one))
        .route("/echo", any(echo))
        .route("/whoami", get(whoami))
        .with_state(notes)
        .fallback_service(ServeDir::new(assets))
        .layer(CompressionLayer::new())
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
}

/// The one line that changes with the transport.
fn server(options: &Options, router: Router) -> Server {
    let (listen, app) = (options.listen.as_deref(), app(router));
    let addr = listen.unwrap_or("127.0.0.1:3000");
    #[cfg(unix)]
    let path = listen.unwrap_or("notes.sock");
    let tls = || TlsConfig::self_signed(["localhost", "127.0.0.1"]);
    match options.transport {
        Transport::Tcp => serve_with(Tcp::bind(addr), app),
        Transport::TcpPerCore => serve_with(Tcp::bind(addr).per_core(), app),
        Transport::Tls => serve_with(Tcp::bind(addr).tls(tls()), app),
        #[cfg(unix)]
        Transport::Unix => serve_with(anyport::Unix::bind(path), app),
        #[cfg(unix)]
        Transport::UnixPerCore => serve_with(anyport::Unix::bind(path).per_core(), app),
        #[cfg(unix)]
        Transport::TlsUnix => serve_with(anyport::Unix::bind(path).tls(tls()), app),
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<()> {
    let notes = Notes::default();
    let server = server(options, router(notes.clone(), options.assets.clone()));
    let stopping = async move {
        shutdown::signal().await;
        notes.close();
    };
    let running = server.with_graceful_shutdown(stopping).start()?;
    for endpoint in running.endpoints() {
        println!(
            "listening on {endpoint} (try: curl {})",
            address(endpoint, options.transport)
        );
    }
    println!("{}", running.wait().await?);
    Ok(())
}

/// How curl is told.
fn address(endpoint: &Endpoint, transport: Transport) -> String {
    let scheme = if transport.is_encrypted() {
        "-k https"
    } else {
        "http"
    };
    match endpoint {
        Endpoint::Unix(UnixName::Path(path)) => {
            format!(
                "--unix-socket {} {scheme}://localhost/whoami",
                path.display()
            )
        }
        other => format!("{scheme}://{other}/whoami"),
    }
}
