//! How do long-running handlers end when the server shuts down?
//! `cargo run --example draining`, then Ctrl-C while one of these commands runs:
//!
//! ```text
//! curl -N http://127.0.0.1:3000/events
//! curl http://127.0.0.1:3000/poll
//! websocat ws://127.0.0.1:3000/echo
//! ```
//!
//! Each handler also waits for the drain. The events end, the long poll gets its response, and the
//! WebSocket gets a close frame. Otherwise the server would abort all three after the grace of 30
//! seconds.
use anyport::{
    Result, Tcp,
    axum::{DrainSignal, app},
    runtime::shutdown,
    serve_with,
};
use axum::{
    Router,
    extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code},
    response::{Response, Sse, sse::Event},
    routing::{any, get},
};
use futures_util::{Stream, StreamExt, stream};
use std::{convert::Infallible, process::ExitCode, time::Duration};
use tokio::time::sleep;

/// One tick per second, until the drain.
async fn events(
    DrainSignal(drain): DrainSignal,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let ticks = stream::unfold(1, |tick| async move {
        sleep(Duration::from_secs(1)).await;
        Some((Ok(Event::default().data(tick.to_string())), tick + 1))
    });
    Sse::new(ticks.take_until(drain))
}

/// A long poll, which ends before a proxy would end it.
async fn poll(DrainSignal(drain): DrainSignal) -> &'static str {
    tokio::select! {
        () = drain => "try again on another server",
        () = sleep(Duration::from_secs(50)) => "no news",
    }
}

async fn echo(DrainSignal(drain): DrainSignal, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(|socket| echo_messages(socket, drain))
}

async fn echo_messages(mut socket: WebSocket, mut drain: anyport::transport::Drain) {
    loop {
        tokio::select! {
            message = socket.recv() => {
                let Some(Ok(message)) = message else { return };
                if socket.send(message).await.is_err() {
                    return;
                }
            }
            () = &mut drain => break,
        }
    }
    let close = CloseFrame {
        code: close_code::AWAY,
        reason: "the server is shutting down".into(),
    };
    if socket.send(Message::Close(Some(close))).await.is_ok() {
        // Reads the peer's close frame, and the end.
        while let Some(Ok(_)) = socket.recv().await {}
    }
}

pub(crate) fn router() -> Router {
    Router::new()
        .route("/events", get(events))
        .route("/poll", get(poll))
        .route("/echo", any(echo))
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().init();
    anyport_examples::exit_code(run().await)
}

async fn run() -> Result<()> {
    let server = serve_with(Tcp::bind("127.0.0.1:3000"), app(router()));
    server.with_graceful_shutdown(shutdown::signal()).await?;
    Ok(())
}
