//! A client has sent its FIN and waits for its response. The server probes the client while the
//! handler waits.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use crate::fixture::{GET, TestServer, all_tasks_idle};
use anyport_core::{Body, HttpOptions};
use anyport_memory::MemoryStream;
use http::{Request, Response};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Notify,
    time::sleep,
};
use tower::service_fn;

/// Longer than several probes of the peer, which come once per second.
const LATER: Duration = Duration::from_millis(3500);

fn serve(released: &Arc<Notify>) -> TestServer {
    let released = Arc::clone(released);
    let app = service_fn(move |_: Request<Body>| {
        let released = Arc::clone(&released);
        async move {
            released.notified().await;
            Ok::<_, Infallible>(Response::new(Body::from("Hello")))
        }
    });
    TestServer::serve(app, |server| {
        server.http(HttpOptions::default().with_half_close())
    })
}

/// A client that has sent a request and its FIN a while ago.
async fn half_closed(server: &TestServer) -> MemoryStream {
    let mut client = server.connect();
    client.write_all(GET.as_bytes()).await.unwrap();
    client.shutdown().await.unwrap();
    all_tasks_idle().await;
    sleep(LATER).await;
    client
}

#[tokio::test(start_paused = true)]
async fn half_closed_client_gets_a_late_response() {
    let released = Arc::new(Notify::new());
    let mut server = serve(&released);
    let mut client = half_closed(&server).await;
    released.notify_one();
    let mut response = String::new();
    client.read_to_string(&mut response).await.unwrap();
    assert!(
        response.starts_with("HTTP/1.1 200") && response.ends_with("Hello"),
        "{response}"
    );
    let end = server.end().await;
    assert!(end.timed_out.is_none() && !end.aborted, "{end:?}");
}

/// In memory, dropping the client's end is a reset.
#[tokio::test(start_paused = true)]
async fn drop_after_half_close_ends_the_connection() {
    let released = Arc::new(Notify::new());
    let mut server = serve(&released);
    let client = half_closed(&server).await;
    drop(client);
    let end = server.end().await;
    assert!(end.timed_out.is_none() && !end.aborted, "{end:?}");
}
