//! A request body that stalls: the app receives one error.
use anyport_core::{Body, Timeouts, serve_with};
use anyport_memory::Memory;
use http::{Request, Response};
use http_body_util::BodyExt;
use std::{convert::Infallible, time::Duration};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test(start_paused = true)]
async fn body_gap_error_is_the_last_frame() {
    let app = tower::service_fn(|request: Request<Body>| async move {
        let (mut body, mut errors) = (request.into_body(), 0);
        while let Some(frame) = body.frame().await {
            errors += usize::from(frame.is_err());
        }
        Ok::<_, Infallible>(Response::new(Body::from(format!("{errors} errors"))))
    });
    let memory = Memory::new();
    let connector = memory.connector();
    let timeouts = Timeouts::default().with_body_gap(Duration::from_millis(200));
    let running = serve_with(memory, app)
        .timeouts(timeouts)
        .start()
        .expect("the server starts");
    let mut client = connector.connect().expect("the client connects");
    let request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc";
    client
        .write_all(request)
        .await
        .expect("the request is sent");
    let mut response = String::new();
    client
        .read_to_string(&mut response)
        .await
        .expect("the response is complete");
    assert!(response.ends_with("\r\n\r\n1 errors"), "{response}");
    drop(running.abort());
}
