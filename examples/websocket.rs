//! How do I serve WebSockets over any transport?
//! `cargo run --example websocket -- --transport tcp-per-core`; then open the page in two windows.
//!
//! `/echo` is an echo. `/chat` is a chat room: each client receives the messages of all others, on
//! any worker. Ctrl-C drains the server: each client gets a last message and 1001. The page is
//! `assets/chat.html`. `tests/websocket` tests the room with several clients over each transport.
use anyport::tls::{TlsConfig, TlsExt};
use anyport::ws::{self, Config, Deflate, Message, Utf8Bytes, WebSocket};
use anyport::{Body, Request, Response, Result, Server, Tcp, http::header};
use anyport::{runtime::shutdown, serve_with};
use clap::{Parser, ValueEnum};
use tokio::sync::broadcast;

#[derive(Parser)]
#[command(about = "Serves an echo and a chat room over the transport of your choice")]
struct Options {
    /// The transport; monoio and glommio are features of the examples.
    #[arg(long, value_enum, default_value = "tcp")]
    transport: Transport,
    /// The address: HOST:PORT; port 0 is any free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000")]
    listen: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum Transport {
    Tcp,
    TcpPerCore,
    Tls,
    #[cfg(all(feature = "monoio", target_os = "linux"))]
    Monoio,
    #[cfg(all(feature = "glommio", target_os = "linux"))]
    Glommio,
}

/// The messages of the room, on all workers.
pub(crate) type Room = broadcast::Sender<Utf8Bytes>;

async fn echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        // Messages that arrived together are answered with one write, because `recv` flushes before
        // it waits.
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
            // A client that is too slow misses some messages. If a send fails, `recv` says why.
            new = heard.recv() => if let Ok(text) = new { let _ = socket.send(text.into()).await; },
        }
    }
}

pub(crate) async fn app(mut request: Request<Body>, room: Room) -> Result<Response<Body>> {
    let config = Config::default().with_max_message(32 << 20);
    let config = config.with_deflate(Deflate::default());
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

fn server(options: &Options) -> Server {
    let (tcp, room) = (Tcp::bind(&*options.listen), Room::new(256));
    let app = anyport::service_fn(move |request| app(request, room.clone()));
    match options.transport {
        Transport::Tcp => serve_with(tcp, app),
        Transport::TcpPerCore => serve_with(tcp.per_core(), app),
        Transport::Tls => serve_with(tcp.tls(TlsConfig::self_signed(["localhost"])), app),
        #[cfg(all(feature = "monoio", target_os = "linux"))]
        Transport::Monoio => serve_with(anyport::Monoio::bind(&*options.listen), app),
        #[cfg(all(feature = "glommio", target_os = "linux"))]
        Transport::Glommio => serve_with(anyport::Glommio::bind(&*options.listen), app),
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    tracing_subscriber::fmt().init();
    let server = server(&Options::parse()).with_graceful_shutdown(shutdown::signal());
    server.await.map(drop)
}
