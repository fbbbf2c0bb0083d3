//! How do I serve an axum app whose handlers know their connection?
//! `cargo run --example axum_app`, or over a Unix socket with `-- --unix app.sock`.
//!
//! ```text
//! curl http://127.0.0.1:3000/
//! curl -H 'content-type: application/json' -d '{"text": "buy milk"}' http://127.0.0.1:3000/notes
//! curl http://127.0.0.1:3000/notes
//! ```
//!
//! SIGTERM or Ctrl-C drains the server. `draining` shows how handlers take part in that.
use anyport::{
    Result, Tcp, Unix,
    axum::{Credentials, Peer, app},
    http::StatusCode,
    runtime::shutdown,
    serve_with,
};
use anyport_examples::{exit_code, print_curl};
use axum::{Json, Router, extract::State, routing::get};
use clap::Parser;
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, process::ExitCode, sync::Arc, sync::Mutex};

#[derive(Parser)]
#[command(about = "Serves an axum app: a list of notes")]
struct Options {
    /// The TCP address: HOST:PORT; port 0 is any free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000")]
    listen: String,
    /// The path of a Unix socket, instead of TCP.
    #[arg(long, value_name = "PATH")]
    unix: Option<PathBuf>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Note {
    text: String,
}

type Notes = Arc<Mutex<Vec<Note>>>;

async fn add(State(notes): State<Notes>, Json(note): Json<Note>) -> Result<StatusCode, StatusCode> {
    let mut notes = notes.lock().or(Err(StatusCode::INTERNAL_SERVER_ERROR))?;
    notes.push(note);
    Ok(StatusCode::CREATED)
}

async fn list(State(notes): State<Notes>) -> Result<Json<Vec<Note>>, StatusCode> {
    let notes = notes.lock().or(Err(StatusCode::INTERNAL_SERVER_ERROR))?;
    Ok(Json(notes.clone()))
}

/// The extractors work over every transport. Only Unix sockets have the user of the peer.
async fn whoami(Peer(peer): Peer, credentials: Option<Credentials>) -> String {
    match credentials {
        Some(Credentials(cred)) => format!("You are {peer}, user {}\n", cred.uid),
        None => format!("You are {peer}\n"),
    }
}

fn router() -> Router {
    Router::new()
        .route("/", get(whoami))
        .route("/notes", get(list).post(add))
        .with_state(Notes::default())
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().init();
    exit_code(run(&Options::parse()).await)
}

async fn run(options: &Options) -> Result<()> {
    let app = app(router());
    let server = match &options.unix {
        Some(path) => serve_with(Unix::bind(path), app),
        None => serve_with(Tcp::bind(&*options.listen), app),
    };
    let running = server.with_graceful_shutdown(shutdown::signal()).start()?;
    print_curl(&running, "http");
    running.wait().await?;
    Ok(())
}
