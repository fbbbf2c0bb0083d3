//! Events: one at the begin and one at the end of each connection, and one for each failure
//! between.
use crate::{
    app::{DELIBERATE, HELLO},
    client::get,
    harness::{attempts::in_time, case::cases, running::Running, site::Site, upgraded::upgraded},
};
use anyport_core::{Event, Observer, Timeouts};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::sleep;

cases![
    each_connection_begins_and_ends_once,
    what_becomes_of_a_connection_is_told also abroad,
    a_drain_tells_what_is_left also abroad,
    a_refusal_is_told_and_no_connection,
    a_panic_is_told_once,
    a_passed_deadline_is_told,
    a_panicking_observer_disturbs_nobody,
];

/// A grace that's never used up.
const AMPLE: Duration = Duration::from_secs(40);

/// Remembers what it's told.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Told>>);

#[derive(Default)]
struct Told {
    /// How often each connection was accepted, established and closed.
    connections: BTreeMap<u64, [u32; 3]>,
    refused: u32,
    upgraded: u32,
    aborted: u32,
    panics: Vec<String>,
    timed_out: Vec<String>,
    bad_responses: Vec<String>,
    drains: Vec<(String, Duration)>,
    wrong: Vec<String>,
}

impl Observer for Log {
    fn on(&self, event: &Event<'_>) {
        let mut told = self.0.lock().unwrap();
        match event {
            Event::Accepted { id, .. } => {
                let earlier = told.connections.insert(*id, [1, 0, 0]);
                if earlier.is_some() {
                    told.wrong.push(format!("{id} was accepted again"));
                }
            }
            Event::Established { info } => told.connections.entry(info.id()).or_default()[1] += 1,
            Event::Closed {
                id,
                upgraded,
                aborted,
                ..
            } => {
                told.connections.entry(*id).or_default()[2] += 1;
                told.upgraded += u32::from(*upgraded);
                told.aborted += u32::from(*aborted);
            }
            Event::Draining { left, grace } => told.drains.push((left.to_string(), *grace)),
            Event::Refused { .. } => told.refused += 1,
            Event::Panicked { message, .. } => told.panics.push((*message).to_owned()),
            Event::BadResponse { what, .. } => told.bad_responses.push((*what).to_owned()),
            Event::TimedOut { what, .. } => told.timed_out.push(format!("{what:?}")),
            _ => {}
        }
    }
}

impl Log {
    /// Waits until no handshake is under way.
    async fn all_established(&self) {
        let established = || {
            let told = self.0.lock().unwrap();
            told.connections
                .values()
                .all(|[accepted, established, _]| accepted == established)
        };
        while !established() {
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// How many connections ended that had been upgraded, and what panicked.
    pub(crate) fn upgraded(&self) -> (u32, Vec<String>) {
        let told = self.0.lock().unwrap();
        (told.upgraded, told.panics.clone())
    }

    /// What was wrong with so many responses since this was last asked: no more, and no less in the
    /// end, since a response may arrive before its event.
    pub(crate) async fn bad_responses(&self, count: usize) -> Vec<String> {
        while self.0.lock().unwrap().bad_responses.len() < count {
            sleep(Duration::from_millis(1)).await;
        }
        let told = std::mem::take(&mut self.0.lock().unwrap().bad_responses);
        assert_eq!(told.len(), count, "{told:?}");
        told
    }

    /// Every connection so far was accepted, established and closed, once each.
    pub(crate) fn assert_complete(&self, connections: usize) {
        let told = self.0.lock().unwrap();
        assert!(told.wrong.is_empty(), "{:?}", told.wrong);
        assert_eq!(
            told.connections.len(),
            connections,
            "{:?}",
            told.connections
        );
        for (id, times) in &told.connections {
            assert_eq!(
                times,
                &[1, 1, 1],
                "connection {id}: accepted, established, closed"
            );
        }
    }
}

fn serve(site: &Site) -> (Running, Log) {
    let log = Log::default();
    let observer = log.clone();
    (site.serve_as(|server| server.observer(observer)), log)
}

async fn each_connection_begins_and_ends_once(site: Site) {
    let (server, log) = serve(&site);
    for _ in 0..20 {
        server.serves_others().await;
    }
    let silent = server.connect().await;
    log.all_established().await;
    drop(silent);
    let mut rude = server.client().await;
    rude.send("GET / HT").await;
    log.all_established().await;
    drop(rude);
    for path in ["/panic", "/error"] {
        server.ask(&get(path)).await;
    }
    drop(upgraded(&server).await);
    server.settles(0).await;
    log.assert_complete(45);
}

async fn what_becomes_of_a_connection_is_told(site: Site) {
    let (server, log) = serve(&site);
    drop(upgraded(&server).await);
    server.settles(0).await;
    let mut stuck = server.client().await;
    stuck.send(get("/forever")).await;
    server.state.arrived().await;
    let _upgraded = upgraded(&server).await;
    server.handle.shutdown(Duration::ZERO).await.unwrap();
    stuck.closed().await;
    server.settles(0).await;
    log.assert_complete(3);
    let told = log.0.lock().unwrap();
    assert_eq!((told.upgraded, told.aborted), (2, 2));
}

/// Once, for all workers together; so does the handle. More often only a drain that takes its time.
async fn a_drain_tells_what_is_left(site: Site) {
    let (server, log) = serve(&site);
    let mut waiting = server.client().await;
    waiting.send(get("/slow")).await;
    server.state.arrived().await;
    let (one, other) = (upgraded(&server).await, upgraded(&server).await);
    server.settles(3).await;
    let open = server.handle.open();
    assert_eq!((open.upgraded, open.others, open.total()), (2, 1, 3));
    let ended = server.handle.shutdown(AMPLE);
    server.refuses().await;
    drop((one, other));
    server.settles(1).await;
    assert_eq!(server.handle.open().to_string(), "1 connection");
    server.state.release();
    assert_eq!(waiting.response().await.body, HELLO);
    drop(waiting);
    assert_eq!(ended.await.unwrap().aborted, 0);
    let told = log.0.lock().unwrap();
    let (left, grace) = &told.drains[0];
    assert_eq!(left, "3 connections (2 upgraded)");
    assert!(*grace <= AMPLE && *grace > AMPLE / 2, "{grace:?}");
}

async fn a_refusal_is_told_and_no_connection(site: Site) {
    let log = Log::default();
    let observer = log.clone();
    let server = site.serve_as(|server| server.accept_filter(|_| false).observer(observer));
    for _ in 0..3 {
        server.knocking().await.closed().await;
    }
    server.settles(0).await;
    log.assert_complete(0);
    assert_eq!(log.0.lock().unwrap().refused, 3);
}

async fn a_panic_is_told_once(site: Site) {
    let (server, log) = serve(&site);
    for path in ["/panic", "/panic-call"] {
        let mut h1 = server.client().await;
        assert_eq!(h1.get(path).await.status, 500);
        let mut h2 = server.h2().await;
        assert_eq!(h2.get(path).await.status, 500);
    }
    let mut client = server.client().await;
    client.send(get("/panic-body")).await;
    client.rest().await;
    server.settles(0).await;
    let told = log.0.lock().unwrap();
    assert_eq!(told.panics.len(), 5, "{:?}", told.panics);
    assert!(
        told.panics
            .iter()
            .all(|message| message.contains(DELIBERATE)),
        "{:?}",
        told.panics
    );
}

async fn a_passed_deadline_is_told(site: Site) {
    in_time(site, |site, short, pace| async move {
        let log = Log::default();
        let observer = log.clone();
        let timeouts = Timeouts::default().with_head(short).with_keep_alive(short);
        let server = site.serve_as(|server| server.observer(observer).timeouts(timeouts));
        server.client().await.closed().await;
        pace.rest();
        let mut idle = server.client().await;
        idle.send(get("/")).await;
        pace.step();
        assert_eq!(idle.response().await.body, HELLO);
        idle.closed().await;
        server.settles(0).await;
        log.assert_complete(2);
        assert_eq!(log.0.lock().unwrap().timed_out, ["Head", "KeepAlive"]);
    })
    .await;
}

/// Panics whenever it's told something.
struct Panicking;

impl Observer for Panicking {
    fn on(&self, _: &Event<'_>) {
        panic!("{DELIBERATE} in an observer");
    }
}

async fn a_panicking_observer_disturbs_nobody(site: Site) {
    let server = site.serve_as(|server| server.observer(Panicking));
    for _ in 0..5 {
        server.serves_others().await;
        assert_eq!(server.ask(&get("/panic")).await.status, 500);
    }
    drop(upgraded(&server).await);
    server.settles(0).await;
    let report = server
        .handle
        .shutdown(Duration::from_secs(20))
        .await
        .unwrap();
    assert_eq!(report.aborted, 0);
}
