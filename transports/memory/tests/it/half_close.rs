//! A client that has ended its sending half and is to be answered: it's looked at while its handler
//! waits, and costs next to nothing.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use crate::scene::{GET, Scene, settled};
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

/// More than one look at the peer later (a second each).
const LATER: Duration = Duration::from_millis(3500);

fn serve(released: &Arc<Notify>) -> Scene {
    let released = Arc::clone(released);
    let app = service_fn(move |_: Request<Body>| {
        let released = Arc::clone(&released);
        async move {
            released.notified().await;
            Ok::<_, Infallible>(Response::new(Body::from("Hello")))
        }
    });
    Scene::serve(app, |server| {
        server.http(HttpOptions::default().with_half_close())
    })
}

/// A client that has asked and ended its sending half a while ago.
async fn half_closed(scene: &Scene) -> MemoryStream {
    let mut client = scene.connect();
    client.write_all(GET.as_bytes()).await.unwrap();
    client.shutdown().await.unwrap();
    settled().await;
    sleep(LATER).await;
    client
}

#[tokio::test(start_paused = true)]
async fn it_is_answered_long_after_its_end_was_seen() {
    let released = Arc::new(Notify::new());
    let mut scene = serve(&released);
    let mut client = half_closed(&scene).await;
    released.notify_one();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("Hello"),
        "{answer}"
    );
    let end = scene.end().await;
    assert!(end.timed_out.is_none() && !end.aborted, "{end:?}");
}

/// In memory, that's what a reset is.
#[tokio::test(start_paused = true)]
async fn it_has_left_once_its_other_half_is_gone() {
    let released = Arc::new(Notify::new());
    let mut scene = serve(&released);
    let client = half_closed(&scene).await;
    drop(client);
    let end = scene.end().await;
    assert!(end.timed_out.is_none() && !end.aborted, "{end:?}");
}
