//! The chat room of the example over each transport. All clients receive each message, on any
//! worker. A drain sends each client the last message.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

#[path = "../../websocket.rs"]
#[expect(
    dead_code,
    reason = "the example is a program, whose `main` does not run here"
)]
mod example;

use anyport::{Body, Request, Response, Server, Tcp, serve_with, service_fn};
use anyport_testkit::requirements::{Tests, block_on};
use example::{Room, app};
use futures_util::{SinkExt, StreamExt};
use std::{collections::HashSet, process::ExitCode, time::Duration};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, protocol::frame::coding::CloseCode},
};

const LOCAL: &str = "127.0.0.1:0";
const CLIENTS: usize = 16;
/// Upper bound of every wait. Only a test that hangs reaches it.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The name of a transport, and a function that makes its server.
type Served = (&'static str, fn() -> Server);

type Client = WebSocketStream<TcpStream>;

macro_rules! served {
    ($transport:expr) => {{
        let room = Room::new(256);
        serve_with(
            $transport,
            service_fn(move |request| app(request, room.clone())),
        )
    }};
}

fn main() -> ExitCode {
    let mut tests = Tests::default();
    let servers: &[Served] = &[
        ("tcp", || served!(Tcp::bind(LOCAL))),
        ("tcp_per_core", || {
            served!(Tcp::bind(LOCAL).per_core().with_workers(2))
        }),
        #[cfg(all(feature = "monoio", target_os = "linux"))]
        ("monoio", || {
            served!(anyport::Monoio::bind(LOCAL).with_workers(2))
        }),
        #[cfg(all(feature = "glommio", target_os = "linux"))]
        ("glommio", || {
            served!(anyport::Glommio::bind(LOCAL).with_workers(2))
        }),
    ];
    for (name, server) in servers {
        tests = tests.always(&format!("a_room_over_{name}"), move || {
            block_on(talk(server()))
        });
    }
    tests
        .always("the_page_is_served", || block_on(page()))
        .run()
}

async fn next(client: &mut Client) -> Message {
    timeout(TIMEOUT, client.next())
        .await
        .unwrap()
        .unwrap()
        .unwrap()
}

async fn talk(server: Server) {
    let handle = server.start().unwrap();
    let addr = handle.endpoints()[0].socket_addr().unwrap();
    let url = format!("ws://{addr}/chat");
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let stream = TcpStream::connect(addr).await.unwrap();
        clients.push(client_async(&url, stream).await.unwrap().0);
    }
    // A client joins the room some time after its handshake. It has joined once it receives a
    // message.
    for client in &mut clients {
        client.send("here".into()).await.unwrap();
    }
    for client in &mut clients {
        assert_eq!(next(client).await.into_text().unwrap().as_str(), "here");
    }
    let mut said = HashSet::new();
    for (n, client) in clients.iter_mut().enumerate() {
        let text = format!("I am number {n}");
        client.send(text.clone().into()).await.unwrap();
        said.insert(text);
    }
    for client in &mut clients {
        let mut missing = said.clone();
        while !missing.is_empty() {
            let text = next(client).await.into_text().unwrap();
            missing.remove(text.as_str());
        }
    }
    let drained = handle.shutdown(TIMEOUT);
    for mut client in clients {
        loop {
            match next(&mut client).await {
                Message::Text(text) if text.as_str() == "here" => {}
                Message::Text(text) => assert_eq!(text.as_str(), "The server says goodbye."),
                Message::Close(Some(frame)) => {
                    assert_eq!(frame.code, CloseCode::Away);
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
        // The client answers the close, and reads the end.
        while let Some(Ok(_)) = timeout(TIMEOUT, client.next()).await.unwrap() {}
    }
    let report = drained.await.unwrap();
    assert_eq!((report.completed, report.aborted), (CLIENTS, 0), "{report}");
}

async fn page() {
    let request = Request::new(Body::empty());
    let response: Response<Body> = app(request, Room::new(1)).await.unwrap();
    assert_eq!(
        response.headers()["content-type"],
        "text/html; charset=utf-8"
    );
}
