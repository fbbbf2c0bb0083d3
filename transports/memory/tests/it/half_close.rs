//! A client that has ended its sending half and is to be answered: it's looked at while its handler waits, and costs next to nothing.
use crate::scene::{GET, Scene, settled};
use anyport_core::{Body, HttpOptions};
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

#[tokio::test(start_paused = true)]
async fn it_is_answered_long_after_its_end_was_seen() {
    let released = Arc::new(Notify::new());
    let mut scene = serve(&released);
    let mut client = scene.connect();
    client.write_all(GET.as_bytes()).await.unwrap();
    client.shutdown().await.unwrap();
    settled().await;
    sleep(LATER).await;
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
    let mut client = scene.connect();
    client.write_all(GET.as_bytes()).await.unwrap();
    client.shutdown().await.unwrap();
    settled().await;
    sleep(LATER).await;
    drop(client);
    let end = scene.end().await;
    assert!(end.timed_out.is_none() && !end.aborted, "{end:?}");
}
