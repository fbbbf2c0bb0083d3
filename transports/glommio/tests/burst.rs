//! More events at once than a ring holds.
#![cfg(target_os = "linux")]

mod scene;

use anyport_core::{Body, serve_with};
use http::{Request, Response};
use scene::{GRACE, PATIENCE, connect, one, until};
use std::{
    io::{self, Read, Write},
    sync::{Arc, Mutex, mpsc},
};
use tower::service_fn;

/// A ring of 1,024 operations holds 2,048 completions.
const CLIENTS: usize = 3000;

/// The worker is kept from its ring, while each of its connections becomes readable.
#[tokio::test]
async fn events_that_the_ring_has_no_room_for_are_not_lost() {
    let (tell, told) = mpsc::channel();
    let (release, released) = mpsc::channel();
    let released = Arc::new(Mutex::new(released));
    let app = service_fn(move |request: Request<Body>| {
        if request.uri().path() == "/block" {
            tell.send(()).unwrap();
            released.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        }
        async { Ok::<_, io::Error>(Response::new(Body::from("Hello"))) }
    });
    let handle = serve_with(one(), app).start().unwrap();
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| connect(&handle)).collect();
    until("they're accepted", || handle.connections() == CLIENTS);
    for round in 0..3 {
        let mut blocking = connect(&handle);
        write!(blocking, "GET /block HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
        told.recv_timeout(PATIENCE).unwrap();
        for client in &mut clients {
            write!(client, "GET / HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
        }
        release.send(()).unwrap();
        for client in &mut clients {
            let mut head = [0; 15];
            client.read_exact(&mut head).unwrap();
            assert_eq!(&head, b"HTTP/1.1 200 OK", "in round {round}");
            let mut rest = Vec::new();
            while !rest.ends_with(b"\r\n\r\nHello") {
                let mut byte = [0];
                client.read_exact(&mut byte).unwrap();
                rest.extend(byte);
            }
        }
    }
    handle.shutdown(GRACE).await.unwrap();
}
