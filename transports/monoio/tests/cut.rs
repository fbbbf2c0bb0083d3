//! Connections that are cut in the middle of what they do, a thousand of each kind: no descriptor stays.
//!
//! Alone in its process, whose descriptors it counts.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

mod scene;

use anyport_core::{Body, Server, serve_with};
use anyport_monoio::Driver;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use scene::{DRIVERS, GRACE, connect, descriptors, get, one, until};
use std::{
    future::pending,
    io::{self, Write},
    net::TcpStream,
    time::Duration,
};
use tower::service_fn;

const CONNECTIONS: usize = 1000;
const BATCH: usize = 250;
const MIB: usize = 1024 * 1024;

/// What a connection is in the middle of.
#[derive(Clone, Copy, Debug)]
enum Amid {
    Silence,
    Head,
    Upload,
    Download,
    Answer,
    Nap,
}

const ALL: [Amid; 6] = [
    Amid::Silence,
    Amid::Head,
    Amid::Upload,
    Amid::Download,
    Amid::Answer,
    Amid::Nap,
];

fn server(driver: Driver) -> Server {
    let much = Bytes::from(vec![7; 16 * MIB]);
    let app = service_fn(move |request: Request<Body>| {
        let much = much.clone();
        async move {
            if request.uri().path() == "/never" {
                pending::<()>().await;
            }
            let path = request.uri().path().to_owned();
            // Whoever leaves in the middle of it, is noticed.
            request.into_body().collect().await.map_err(io::Error::other)?;
            let body = match &*path {
                "/much" => Body::from(much),
                _ => Body::from("Hello"),
            };
            Ok::<_, io::Error>(Response::new(body))
        }
    });
    serve_with(one(driver), app)
}

impl Amid {
    fn begin(self, client: &mut TcpStream) {
        let said = match self {
            Self::Silence => String::new(),
            Self::Head => "GET / HTTP/1.1\r\nHo".into(),
            Self::Upload => {
                let body = "x".repeat(20_000);
                format!("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\n{body}")
            }
            Self::Download => "GET /much HTTP/1.1\r\nHost: test\r\n\r\n".into(),
            Self::Answer => "GET /never HTTP/1.1\r\nHost: test\r\n\r\n".into(),
            Self::Nap => "GET / HTTP/1.1\r\nHost: test\r\n\r\n".into(),
        };
        client.write_all(said.as_bytes()).unwrap();
    }
}

#[tokio::test]
async fn a_thousand_connections_that_are_cut_leave_no_descriptor() {
    for driver in DRIVERS {
        let handle = server(driver).start().unwrap();
        assert_eq!(get(&handle, "/").unwrap(), "Hello");
        until("the first is gone", || handle.connections() == 0);
        let before = descriptors();
        for amid in ALL {
            for batch in 0..CONNECTIONS / BATCH {
                let mut clients: Vec<_> = (0..BATCH).map(|_| connect(&handle)).collect();
                clients.iter_mut().for_each(|client| amid.begin(client));
                until("they're accepted", || handle.connections() == BATCH);
                for (n, client) in clients.into_iter().enumerate() {
                    if (batch + n) % 2 == 0 {
                        let linger = Some(Duration::ZERO);
                        socket2::SockRef::from(&client).set_linger(linger).unwrap();
                    }
                }
                until(&format!("{driver}: dropped amid {amid:?}"), || {
                    handle.connections() == 0
                });
                let left = || descriptors() <= before;
                until(&format!("{driver}: closed amid {amid:?}"), left);
            }
        }
        // And by the server.
        for amid in ALL {
            let handle = server(driver).start().unwrap();
            let mut clients: Vec<_> = (0..BATCH).map(|_| connect(&handle)).collect();
            clients.iter_mut().for_each(|client| amid.begin(client));
            until("they're accepted", || handle.connections() == BATCH);
            handle.abort().await.unwrap();
            drop(clients);
            let left = || descriptors() <= before;
            until(&format!("{driver}: aborted amid {amid:?}"), left);
        }
        assert_eq!(get(&handle, "/").unwrap(), "Hello");
        handle.shutdown(GRACE).await.unwrap();
    }
}
