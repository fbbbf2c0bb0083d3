//! The application under test: a list of notes with state, JSON, path, query, a form, server-sent
//! events, a WebSocket, static files, compression, and request ids.
use anyport::{
    Result,
    axum::{Credentials, Peer, TlsSession},
    http::StatusCode,
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
use futures_util::stream::{self, Stream};
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, sync::Arc};
use tokio::sync::watch;
use tower_http::{
    compression::CompressionLayer,
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer},
    services::ServeDir,
};

/// The notes, and a channel for handlers that wait for more.
#[derive(Clone, Default)]
pub(crate) struct Notes(Arc<watch::Sender<Book>>);

#[derive(Default)]
struct Book {
    notes: Vec<Note>,
    /// No more notes follow.
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
    /// The id of the last note that the client has.
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

    /// Ends the handlers that wait for more notes.
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

/// All notes, and each further note once it is added.
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
    // The default of 128 KiB is zeroed before each read, and is kept while a WebSocket is idle.
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
        // The next `recv` replies to a close frame, and then returns the end.
        let echoed = matches!(message, Message::Close(_)) || socket.send(message).await.is_ok();
        if !echoed {
            return;
        }
    }
}

async fn whoami(
    Peer(peer): Peer,
    tls: Option<TlsSession>,
    credentials: Option<Credentials>,
) -> String {
    let how = match tls {
        Some(TlsSession(tls)) => format!("over {}", tls.version()),
        None => "in plain text".into(),
    };
    let who = credentials.map_or(String::new(), |Credentials(cred)| {
        format!(" as user {}", cred.uid)
    });
    format!("You are {peer}, connected {how}{who}\n")
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
