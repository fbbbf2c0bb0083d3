//! How do handlers that would go on for ever end when the server shuts down?
//! `cargo run --example draining`, then Ctrl-C while one of these runs:
//!
//! ```text
//! curl -N http://127.0.0.1:3000/events
//! curl http://127.0.0.1:3000/poll
//! websocat ws://127.0.0.1:3000/echo
//! ```
//!
//! Each of them waits for the drain, too: the events end, the long poll is answered, the WebSocket
//! is closed with a word. Without that, all three would be cut off at the end of the grace, which
//! is 30 seconds here; and the server would run for as long.
use anyport::{
    Observer, Result, Tcp,
    for_axum::{Drain, app},
    serve_with, shutdown,
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

/// A tick per second, until the drain.
async fn events(Drain(drain): Drain) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let ticks = stream::unfold(1, |tick| async move {
        sleep(Duration::from_secs(1)).await;
        Some((Ok(Event::default().data(tick.to_string())), tick + 1))
    });
    Sse::new(ticks.take_until(drain))
}

/// Waits for news for as long as proxies let it.
async fn poll(Drain(drain): Drain) -> &'static str {
    tokio::select! {
        () = drain => "ask again, of somebody else",
        () = sleep(Duration::from_secs(50)) => "no news",
    }
}

async fn echo(Drain(drain): Drain, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(|socket| echo_messages(socket, drain))
}

async fn echo_messages(mut socket: WebSocket, mut drain: anyport::Drain) {
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
        // The peer's own close, and the end.
        while let Some(Ok(_)) = socket.recv().await {}
    }
}

pub(crate) fn router() -> Router {
    Router::new()
        .route("/events", get(events))
        .route("/poll", get(poll))
        .route("/echo", any(echo))
}

/// As `anyport::observe::Tracing` does in the log.
struct TellWhatIsLeft;

impl Observer for TellWhatIsLeft {
    fn on(&self, event: &anyport::Event<'_>) {
        if let anyport::Event::Draining { left, grace } = event {
            eprintln!(
                "draining: {left} left, for {grace:?} at the most; another Ctrl-C ends it now"
            );
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let running = serve_with(Tcp::bind("127.0.0.1:3000"), app(router()))
        .observer(TellWhatIsLeft)
        .with_graceful_shutdown(shutdown::signal())
        .start()?;
    println!("listening on {}", running.endpoints()[0]);
    println!("{}", running.wait().await?);
    Ok(())
}
