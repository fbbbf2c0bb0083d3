//! A drain reports how the number of remaining connections changes, also while a limit keeps the
//! listener from being emptied.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use crate::fixture::{GET, all_tasks_idle};
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
    time::{Instant, sleep_until, timeout},
};
use tower::service_fn;

/// The events of a drain, with their times.
#[derive(Clone, Default)]
struct DrainEvents(Arc<Mutex<Vec<(Instant, String)>>>);

impl Observer for DrainEvents {
    fn on(&self, event: &Event<'_>) {
        let said = match event {
            Event::Draining { remaining, .. } => remaining.to_string(),
            Event::Drained { report } => report.to_string(),
            _ => return,
        };
        self.0.lock().unwrap().push((Instant::now(), said));
    }
}

#[tokio::test(start_paused = true)]
async fn draining_event_follows_a_change_once_a_second() {
    // With the second limit, the listener is never emptied.
    for limit in [usize::MAX, 4] {
        let (memory, events) = (Memory::new(), DrainEvents::default());
        let connector = memory.connector();
        let app = service_fn(|_: Request<Body>| pending::<Result<Response<Body>, Infallible>>());
        let running = serve_with(memory, app)
            .limits(Limits::default().with_connections(limit))
            .observer(events.clone())
            .start()
            .unwrap();
        let mut clients = Vec::new();
        for _ in 0..4 {
            let mut client = connector.connect().unwrap();
            client.write_all(GET.as_bytes()).await.unwrap();
            clients.push(client);
        }
        all_tasks_idle().await;
        let begin = Instant::now();
        let drained = running.shutdown(Duration::from_secs(12));
        // Two clients leave within a second, and one much later.
        for (leaves, remaining) in [(3300, 3), (3600, 2), (8500, 1)] {
            sleep_until(begin + Duration::from_millis(leaves)).await;
            clients.truncate(remaining);
        }
        let report = drained.await.unwrap();
        assert_eq!((report.completed, report.aborted), (3, 1));
        let events = events.0.lock().unwrap();
        let said: Vec<_> = events.iter().map(|(_, said)| said.as_str()).collect();
        assert_eq!(
            said,
            [
                "4 connections",
                "2 connections",
                "1 connection",
                "drained: 3 completed, 1 aborted; 0 were upgraded"
            ]
        );
        for ((at, _), seconds) in events.iter().zip([0, 4, 9, 12]) {
            let late = *at - begin - Duration::from_secs(seconds);
            assert!(late < Duration::from_millis(500), "{seconds}: {events:?}");
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
