//! How do I serve WebSockets over any transport?
//! `cargo run --example websocket -- --transport tcp-per-core`, then open the page that it names in
//! two windows.
//!
//! `/echo` echoes, and `/chat` is a room: whatever worker a client is on, it reads what all others
//! say. Ctrl-C drains the server: each client is told goodbye, and closed with 1001. The page is
//! `assets/chat.html`; `tests/websocket.rs` has clients of other people's making talk over every
//! transport.
use anyport::{
    Body, Error, Request, Response, Result, Server, Tcp, TlsConfig, TlsExt, header, serve_with,
    service_fn, shutdown,
    ws::{self, Config, Deflate, Message, Utf8Bytes, WebSocket},
};
use clap::{Parser, ValueEnum};
use tokio::sync::broadcast;

#[derive(Parser)]
#[command(about = "Serves an echo and a chat room over the transport of your choice")]
struct Options {
    /// What carries the bytes; monoio and glommio are features of the examples.
    #[arg(long, value_enum, default_value = "tcp")]
    transport: Transport,
    /// Where to listen: HOST:PORT; port 0 is any free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000")]
    listen: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum Transport {
    Tcp,
    TcpPerCore,
    Tls,
    Monoio,
    Glommio,
}

/// What is said; it crosses from worker to worker.
pub(crate) type Room = broadcast::Sender<Utf8Bytes>;

async fn echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        // Several that came at once are answered by one write: `recv` flushes when it has to wait.
        if message.is_data() && socket.feed(message).await.is_err() {
            return;
        }
    }
}

async fn chat(mut socket: WebSocket, room: Room) {
    let mut heard = room.subscribe();
    socket.set_last_message(Message::text("The server says goodbye."));
    loop {
        tokio::select! {
            said = socket.recv() => match said {
                Some(Ok(Message::Text(text))) => drop(room.send(text)),
                Some(Ok(_)) => {}
                _ => return,
            },
            // Whoever is too slow for the room misses some of it; and if it can't be sent any more,
            // `recv` says why.
            text = heard.recv() => if let Ok(text) = text {
                let _ = socket.send(Message::Text(text)).await;
            },
        }
    }
}

pub(crate) async fn app(mut request: Request<Body>, room: Room) -> Result<Response<Body>> {
    let config = Config::default()
        .with_max_message(32 << 20)
        .with_deflate(Deflate::default());
    Ok(match request.uri().path() {
        "/echo" => ws::upgrade(&mut request, &config, echo),
        "/chat" => ws::upgrade(&mut request, &config, |socket| chat(socket, room)),
        _ => {
            let mut page = Response::new(Body::from(include_str!("assets/chat.html")));
            let html = header::HeaderValue::from_static("text/html; charset=utf-8");
            page.headers_mut().insert(header::CONTENT_TYPE, html);
            page
        }
    })
}

fn server(options: &Options) -> Result<Server> {
    let (addr, room) = (options.listen.as_str(), Room::new(256));
    let app = service_fn(move |request| app(request, room.clone()));
    Ok(match options.transport {
        Transport::Tcp => serve_with(Tcp::bind(addr), app),
        Transport::TcpPerCore => serve_with(Tcp::bind(addr).per_core(), app),
        Transport::Tls => serve_with(
            Tcp::bind(addr).tls(TlsConfig::self_signed(["localhost"])),
            app,
        ),
        #[cfg(all(feature = "monoio", target_os = "linux"))]
        Transport::Monoio => serve_with(anyport::Monoio::bind(addr), app),
        #[cfg(all(feature = "glommio", target_os = "linux"))]
        Transport::Glommio => serve_with(anyport::Glommio::bind(addr), app),
        #[allow(
            unreachable_patterns,
            reason = "with both features on, there's nothing left"
        )]
        _ => {
            return Err(Error::config(
                "this transport is a feature of the examples: add --features",
            ));
        }
    })
}

#[tokio::main]
async fn main() -> Result<()> {
    let running = server(&Options::parse())?
        .with_graceful_shutdown(shutdown::signal())
        .start()?;
    println!("listening on {}", running.endpoints()[0]);
    println!("{}", running.wait().await?);
    Ok(())
}
