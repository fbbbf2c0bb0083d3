//! A request's body that doesn't come: the app is told once.
use anyport_core::{Body, Timeouts, serve_with};
use anyport_memory::Memory;
use http::{Request, Response};
use http_body_util::BodyExt;
use std::{convert::Infallible, time::Duration};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test(start_paused = true)]
async fn an_app_that_goes_on_after_the_error_comes_to_the_end() {
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
        .expect("it starts");
    let mut client = connector.connect().expect("it accepts");
    let request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc";
    client.write_all(request).await.expect("it reads");
    let mut answer = String::new();
    client
        .read_to_string(&mut answer)
        .await
        .expect("it answers, and closes");
    assert!(answer.ends_with("\r\n\r\n1 errors"), "{answer}");
    drop(running.abort());
}
