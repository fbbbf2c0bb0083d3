//! A long drain reports the remaining connections repeatedly, also while a limit keeps the listener
//! from being emptied.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use crate::fixture::{CLOCK_TOLERANCE, GET, all_tasks_idle};
use anyport_core::{
    Body, ConnInfo, HttpOptions, Limits,
    observe::{Event, Observer},
    serve_with,
};
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
struct DrainEvents(Arc<Mutex<Vec<(Instant, String)>>>);

impl Observer for DrainEvents {
    fn on(&self, event: &Event<'_>) {
        if let Event::Draining {
            remaining: left, ..
        } = event
        {
            self.0
                .lock()
                .unwrap()
                .push((Instant::now(), left.to_string()));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn draining_events_come_every_five_seconds() {
    for limit in [usize::MAX, 1] {
        let (memory, events) = (Memory::new(), DrainEvents::default());
        let connector = memory.connector();
        let app = service_fn(|_: Request<Body>| pending::<Result<Response<Body>, Infallible>>());
        let running = serve_with(memory, app)
            .limits(Limits::default().with_connections(limit))
            .observer(events.clone())
            .start()
            .unwrap();
        let mut client = connector.connect().unwrap();
        client.write_all(GET.as_bytes()).await.unwrap();
        all_tasks_idle().await;
        let begin = Instant::now();
        let report = running.shutdown(Duration::from_secs(12)).await.unwrap();
        assert_eq!(report.aborted, 1);
        let events = events.0.lock().unwrap();
        assert_eq!(events.len(), 3, "{events:?}");
        for ((at, left), seconds) in events.iter().zip([0, 5, 10]) {
            let late = *at - begin - Duration::from_secs(seconds);
            assert!(
                late <= 2 * CLOCK_TOLERANCE && left == "1 connection",
                "{events:?}"
            );
        }
    }
}

/// A task that waits for the drain is woken when it begins. A later wait is ready at once.
#[tokio::test(start_paused = true)]
async fn handler_can_wait_for_the_drain() {
    let memory = Memory::new();
    let connector = memory.connector();
    let app = service_fn(|request: Request<Body>| async move {
        let drain = request.extensions().get::<ConnInfo>().unwrap().drain();
        let before = drain.is_draining();
        // Several waits may be pending, and a dropped one leaves the others pending.
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
    all_tasks_idle().await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let begin = Instant::now();
    let ended = running.shutdown(Duration::from_secs(30));
    let mut response = String::new();
    client.read_to_string(&mut response).await.unwrap();
    assert!(response.ends_with("false true"), "{response}");
    drop(client);
    assert_eq!(ended.await.unwrap().aborted, 0);
    assert!(
        begin.elapsed() < Duration::from_secs(2),
        "{:?}",
        begin.elapsed()
    );
}
