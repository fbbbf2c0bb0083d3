//! The events that an observer receives: one start and one end for each connection, and every
//! failure in between.
use crate::{
    app::{DELIBERATE, HELLO},
    client::get,
    harness::{
        any_subject::AnySubject, case::cases, retries::retry_if_late, test_server::TestServer,
        upgraded::upgraded,
    },
};
use anyport_core::{
    Timeouts,
    observe::{Event, Observer},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::sleep;

cases![
    each_connection_is_accepted_and_closed_once,
    closed_event_says_upgraded_or_aborted also cross_thread,
    draining_event_counts_open_connections also cross_thread,
    server_events_are_in_order,
    aborted_server_has_no_drain_events,
    refused_peer_emits_only_refused,
    panic_emits_one_event,
    timeout_emits_timed_out,
    panicking_observer_does_not_affect_connections,
];

/// A grace that is never used up.
const AMPLE: Duration = Duration::from_secs(40);

/// Records the events.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Events>>);

#[derive(Default)]
struct Events {
    /// How many times each connection was accepted, established and closed.
    connections: BTreeMap<u64, [u32; 3]>,
    refused: u32,
    upgraded: u32,
    aborted: u32,
    panics: Vec<String>,
    timed_out: Vec<String>,
    bad_responses: Vec<String>,
    /// What is left, at each step of a drain.
    drains: Vec<(String, Duration)>,
    /// The events of the server: their names, with the endpoint or the report.
    server: Vec<String>,
    errors: Vec<String>,
}

impl Observer for Log {
    fn on(&self, event: &Event<'_>) {
        let mut events = self.0.lock().unwrap();
        match event {
            Event::Accepted { id, .. } => {
                let earlier = events.connections.insert(*id, [1, 0, 0]);
                if earlier.is_some() {
                    events
                        .errors
                        .push(format!("connection {id} was accepted twice"));
                }
            }
            Event::Established { info } => events.connections.entry(info.id()).or_default()[1] += 1,
            Event::Closed {
                id,
                upgraded,
                aborted,
                ..
            } => {
                events.connections.entry(*id).or_default()[2] += 1;
                events.upgraded += u32::from(*upgraded);
                events.aborted += u32::from(*aborted);
            }
            Event::Listening { endpoint } => events.server.push(format!("listening on {endpoint}")),
            Event::Draining { remaining, grace } => {
                events.drains.push((remaining.to_string(), *grace));
                events.server.push("draining".to_owned());
            }
            Event::Drained { report } => events.server.push(report.to_string()),
            Event::Refused { .. } => events.refused += 1,
            Event::Panicked { message, .. } => events.panics.push((*message).to_owned()),
            Event::BadResponse { what, .. } => events.bad_responses.push((*what).to_owned()),
            Event::TimedOut { what, .. } => events.timed_out.push(format!("{what:?}")),
            _ => {}
        }
    }
}

impl Log {
    /// Waits until no handshake is in progress.
    async fn all_established(&self) {
        let established = || {
            let events = self.0.lock().unwrap();
            events
                .connections
                .values()
                .all(|[accepted, established, _]| accepted == established)
        };
        while !established() {
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// The number of upgraded connections that ended, and the messages of panics.
    pub(crate) fn upgraded(&self) -> (u32, Vec<String>) {
        let events = self.0.lock().unwrap();
        (events.upgraded, events.panics.clone())
    }

    /// The bad responses since the last call, which must be this many. Waits for them, since a
    /// response may arrive before its event.
    pub(crate) async fn bad_responses(&self, count: usize) -> Vec<String> {
        while self.0.lock().unwrap().bad_responses.len() < count {
            sleep(Duration::from_millis(1)).await;
        }
        let events = std::mem::take(&mut self.0.lock().unwrap().bad_responses);
        assert_eq!(events.len(), count, "{events:?}");
        events
    }

    /// Asserts that every connection so far was accepted, established and closed exactly once.
    pub(crate) fn assert_complete(&self, connections: usize) {
        let events = self.0.lock().unwrap();
        assert!(
            events.errors.is_empty(),
            "expected consistent events, got {:?}",
            events.errors
        );
        assert_eq!(
            events.connections.len(),
            connections,
            "{:?}",
            events.connections
        );
        for (id, times) in &events.connections {
            assert_eq!(
                times,
                &[1, 1, 1],
                "connection {id}: accepted, established, closed"
            );
        }
    }
}

fn serve(subject: &AnySubject) -> (TestServer, Log) {
    let log = Log::default();
    let observer = log.clone();
    (
        subject.serve_configured(|server| server.observer(observer)),
        log,
    )
}

async fn each_connection_is_accepted_and_closed_once(subject: AnySubject) {
    let (server, log) = serve(&subject);
    for _ in 0..20 {
        server.assert_serves_new_clients().await;
    }
    let silent = server.connect().await;
    log.all_established().await;
    drop(silent);
    let mut partial = server.client().await;
    partial.send("GET / HT").await;
    log.all_established().await;
    drop(partial);
    for path in ["/panic", "/error"] {
        server.exchange(&get(path)).await;
    }
    drop(upgraded(&server).await);
    server.wait_for_connections(0).await;
    log.assert_complete(45);
}

async fn closed_event_says_upgraded_or_aborted(subject: AnySubject) {
    let (server, log) = serve(&subject);
    drop(upgraded(&server).await);
    server.wait_for_connections(0).await;
    let mut stuck = server.client().await;
    stuck.send(get("/forever")).await;
    server.state.arrived().await;
    let _upgraded = upgraded(&server).await;
    server.handle.shutdown(Duration::ZERO).await.unwrap();
    stuck.assert_closed().await;
    server.wait_for_connections(0).await;
    log.assert_complete(3);
    let events = log.0.lock().unwrap();
    assert_eq!((events.upgraded, events.aborted), (2, 2));
}

/// One event for all workers together, with the same numbers as the handle. Another follows at most
/// once a second, if the numbers have changed.
async fn draining_event_counts_open_connections(subject: AnySubject) {
    let (server, log) = serve(&subject);
    let mut waiting = server.client().await;
    waiting.send(get("/slow")).await;
    server.state.arrived().await;
    let (one, other) = (upgraded(&server).await, upgraded(&server).await);
    server.wait_for_connections(3).await;
    let open = server.handle.open();
    assert_eq!((open.upgraded, open.others, open.total()), (2, 1, 3));
    let ended = server.handle.shutdown(AMPLE);
    server.wait_until_refusing().await;
    drop((one, other));
    server.wait_for_connections(1).await;
    assert_eq!(server.handle.open().to_string(), "1 connection");
    server.state.release();
    assert_eq!(waiting.response().await.body, HELLO);
    drop(waiting);
    assert_eq!(ended.await.unwrap().aborted, 0);
    let events = log.0.lock().unwrap();
    let (left, grace) = &events.drains[0];
    assert_eq!(left, "3 connections (2 upgraded)");
    assert!(*grace <= AMPLE && *grace > AMPLE / 2, "{grace:?}");
    let mut steps = events.drains.windows(2);
    assert!(
        steps.all(|steps| steps[0].0 != steps[1].0),
        "{:?}",
        events.drains
    );
}

/// Each server has one beginning and one end, however many workers it has, and its end is reported
/// before its future is ready.
async fn server_events_are_in_order(subject: AnySubject) {
    let (server, log) = serve(&subject);
    let listening = format!("listening on {}", server.endpoint());
    assert_eq!(log.0.lock().unwrap().server.len(), 1);
    let mut stuck = server.client().await;
    stuck.send(get("/forever")).await;
    server.state.arrived().await;
    let report = server.handle.shutdown(Duration::ZERO).await.unwrap();
    assert_eq!(report.aborted, 1);
    let expected = [listening, "draining".to_owned(), report.to_string()];
    assert_eq!(log.0.lock().unwrap().server, expected);
    stuck.assert_closed().await;
}

async fn aborted_server_has_no_drain_events(subject: AnySubject) {
    let (server, log) = serve(&subject);
    let _connected = server.client().await;
    server.handle.abort().await.unwrap();
    let events = log.0.lock().unwrap();
    assert_eq!(
        events.server,
        [format!("listening on {}", server.endpoint())]
    );
}

async fn refused_peer_emits_only_refused(subject: AnySubject) {
    let log = Log::default();
    let observer = log.clone();
    let server =
        subject.serve_configured(|server| server.accept_filter(|_| false).observer(observer));
    for _ in 0..3 {
        server.pending_client().await.assert_closed().await;
    }
    server.wait_for_connections(0).await;
    let recorded = log.0.lock().unwrap();
    assert_eq!(recorded.refused, 3);
    // The client of a proxy is refused after the handshake.
    let after_handshake = recorded.connections.len();
    assert!(
        matches!(after_handshake, 0 | 3),
        "{:?}",
        recorded.connections
    );
    for times in recorded.connections.values() {
        assert_eq!(times, &[1, 0, 1], "accepted, established, closed");
    }
}

async fn panic_emits_one_event(subject: AnySubject) {
    let (server, log) = serve(&subject);
    for path in ["/panic", "/panic-call"] {
        let mut h1 = server.client().await;
        assert_eq!(h1.get(path).await.status, 500);
        let mut h2 = server.h2().await;
        assert_eq!(h2.get(path).await.status, 500);
    }
    let mut client = server.client().await;
    client.send(get("/panic-body")).await;
    client.read_to_close().await;
    server.wait_for_connections(0).await;
    let events = log.0.lock().unwrap();
    assert_eq!(events.panics.len(), 5, "{:?}", events.panics);
    assert!(
        events
            .panics
            .iter()
            .all(|message| message.contains(DELIBERATE)),
        "{:?}",
        events.panics
    );
}

async fn timeout_emits_timed_out(subject: AnySubject) {
    retry_if_late(subject, |subject, short, timer| async move {
        let log = Log::default();
        let observer = log.clone();
        let timeouts = Timeouts::default().with_head(short).with_keep_alive(short);
        let server =
            subject.serve_configured(|server| server.observer(observer).timeouts(timeouts));
        server.client().await.assert_closed().await;
        timer.restart();
        let mut idle = server.client().await;
        idle.send(get("/")).await;
        timer.step();
        assert_eq!(idle.response().await.body, HELLO);
        idle.assert_closed().await;
        server.wait_for_connections(0).await;
        log.assert_complete(2);
        assert_eq!(log.0.lock().unwrap().timed_out, ["Head", "KeepAlive"]);
    })
    .await;
}

/// Panics at every event.
struct Panicking;

impl Observer for Panicking {
    fn on(&self, _: &Event<'_>) {
        panic!("{DELIBERATE} in an observer");
    }
}

async fn panicking_observer_does_not_affect_connections(subject: AnySubject) {
    let server = subject.serve_configured(|server| server.observer(Panicking));
    for _ in 0..5 {
        server.assert_serves_new_clients().await;
        assert_eq!(server.exchange(&get("/panic")).await.status, 500);
    }
    drop(upgraded(&server).await);
    server.wait_for_connections(0).await;
    let report = server
        .handle
        .shutdown(Duration::from_secs(20))
        .await
        .unwrap();
    assert_eq!(report.aborted, 0);
}
