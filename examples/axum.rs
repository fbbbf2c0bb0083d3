//! How do I serve an axum `Router`? As it is: `cargo run --example axum -- --listen 127.0.0.1:3000`.
//!
//! A list of notes, with state, JSON, path and query:
//!
//! ```text
//! curl -H 'content-type: application/json' -d '{"text": "buy milk"}' http://127.0.0.1:3000/notes
//! curl http://127.0.0.1:3000/notes/1
//! curl 'http://127.0.0.1:3000/notes?containing=milk'
//! ```
//!
//! SIGTERM or Ctrl-C drains it.
use anyport::{Result, StatusCode, Tcp, serve_with, shutdown};
use axum::{
    Json, Router,
    extract::{Path, Query, State},
    routing::get,
};
use clap::Parser;
use serde::{Deserialize, Serialize};
use std::{process::ExitCode, sync::Arc};
use tokio::sync::RwLock;

#[derive(Parser)]
#[command(about = "Serves an axum router: a list of notes")]
struct Options {
    /// Where to listen: HOST:PORT; port 0 is any free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000")]
    listen: String,
}

type Notes = Arc<RwLock<Vec<Note>>>;

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

async fn add(State(notes): State<Notes>, Json(new): Json<NewNote>) -> (StatusCode, Json<Note>) {
    let mut notes = notes.write().await;
    let note = Note {
        id: notes.len() + 1,
        text: new.text,
    };
    notes.push(note.clone());
    (StatusCode::CREATED, Json(note))
}

async fn one(State(notes): State<Notes>, Path(id): Path<usize>) -> Result<Json<Note>, StatusCode> {
    let notes = notes.read().await;
    let note = notes.iter().find(|note| note.id == id);
    note.cloned().map(Json).ok_or(StatusCode::NOT_FOUND)
}

async fn list(State(notes): State<Notes>, Query(filter): Query<Filter>) -> Json<Vec<Note>> {
    let notes = notes.read().await;
    let found = notes.iter().filter(|note| note.text.contains(&filter.containing));
    Json(found.cloned().collect())
}

fn router() -> Router {
    Router::new()
        .route("/notes", get(list).post(add))
        .route("/notes/{id}", get(one))
        .with_state(Notes::default())
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
    let server = serve_with(Tcp::bind(options.listen.as_str()), router());
    let running = server.with_graceful_shutdown(shutdown::signal()).start()?;
    for endpoint in running.endpoints() {
        println!("listening on {endpoint} (try: curl http://{endpoint}/notes)");
    }
    println!("{}", running.wait().await?);
    Ok(())
}
