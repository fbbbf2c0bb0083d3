//! A drain that takes its time tells the observer again and again what's left, also while the
//! listener can't be emptied for a limit.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use crate::scene::{GET, TICK, settled};
use anyport_core::{Body, ConnInfo, Event, HttpOptions, Limits, Observer, serve_with};
use anyport_memory::Memory;
use http::{Request, Response};
use std::{
    convert::Infallible,
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, timeout},
};
use tower::service_fn;

#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<(Instant, String)>>>);

impl Observer for Told {
    fn on(&self, event: &Event<'_>) {
        if let Event::Draining { left, .. } = event {
            self.0
                .lock()
                .unwrap()
                .push((Instant::now(), left.to_string()));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_left_is_told_every_five_seconds() {
    for limit in [usize::MAX, 1] {
        let (memory, told) = (Memory::new(), Told::default());
        let connector = memory.connector();
        let app = service_fn(|_: Request<Body>| pending::<Result<Response<Body>, Infallible>>());
        let running = serve_with(memory, app)
            .limits(Limits::default().with_connections(limit))
            .observer(told.clone())
            .start()
            .unwrap();
        let mut client = connector.connect().unwrap();
        client.write_all(GET.as_bytes()).await.unwrap();
        settled().await;
        let begin = Instant::now();
        let report = running.shutdown(Duration::from_secs(12)).await.unwrap();
        assert_eq!(report.aborted, 1);
        let told = told.0.lock().unwrap();
        assert_eq!(told.len(), 3, "{told:?}");
        for ((at, left), seconds) in told.iter().zip([0, 5, 10]) {
            let late = *at - begin - Duration::from_secs(seconds);
            assert!(late <= 2 * TICK && left == "1 connection", "{told:?}");
        }
    }
}

/// Whoever waits for the drain is woken when it begins, and whoever asks later needn't wait.
#[tokio::test(start_paused = true)]
async fn a_handler_is_told_of_the_drain() {
    let memory = Memory::new();
    let connector = memory.connector();
    let app = service_fn(|request: Request<Body>| async move {
        let drain = request.extensions().get::<ConnInfo>().unwrap().drain();
        let before = drain.is_draining();
        // More than one may wait, and one that's dropped leaves the others waiting.
        let (other, given_up) = (drain.clone(), drain.clone());
        assert!(timeout(Duration::from_secs(1), given_up).await.is_err());
        tokio::join!(drain.clone(), other);
        drain.clone().await;
        let text = format!("{before} {}", drain.is_draining());
        Ok::<_, Infallible>(Response::new(Body::from(text)))
    });
    let running = serve_with(memory, app)
        .http(HttpOptions::default().with_conn_info())
        .start()
        .unwrap();
    let mut client = connector.connect().unwrap();
    client.write_all(GET.as_bytes()).await.unwrap();
    settled().await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let begin = Instant::now();
    let ended = running.shutdown(Duration::from_secs(30));
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("false true"), "{answer}");
    drop(client);
    assert_eq!(ended.await.unwrap().aborted, 0);
    assert!(
        begin.elapsed() < Duration::from_secs(2),
        "{:?}",
        begin.elapsed()
    );
}
