//! Workers and their listeners: no connection is lost between workers, and an app may stay on its
//! worker's thread.
use crate::{
    app::{HELLO, local::LocalApp, script::Script},
    client::{Client, get},
    harness::{
        attempts::in_time_of,
        case::cases,
        running::Running,
        site::Site,
        wrap::{Mood, Trouble},
    },
};
use anyport_core::ErrorKind;
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::sleep;

cases![
    a_listener_that_is_polled_and_left_loses_nobody,
    clients_that_left_early_hold_nobody_up,
    running_out_of_descriptors_neither_spins_nor_ends_the_server,
    a_broken_listener_ends_the_server_with_an_error,
    a_panicking_listener_ends_the_server_with_an_error,
    stalled_handshakes_hold_nobody_up_and_are_cut_off,
    failed_handshakes_cost_nothing,
    two_hundred_clients_at_once_are_served,
    silent_clients_hold_nobody_up,
    what_an_app_spawns_outlives_its_request_and_its_connection,
    two_servers_do_not_disturb_each_other,
    a_worker_that_cannot_listen_fails_the_start,
    a_worker_keeps_its_app_on_its_thread needs Local,
    a_worker_that_panics_as_it_starts_fails_the_start needs Local,
];

/// This many clients, all at once, are served.
async fn serves(site: &Site, server: &Running, clients: u32) {
    let clients = (0..clients).map(|i| {
        let (site, endpoint) = (site.clone(), server.endpoint().clone());
        tokio::spawn(async move {
            let mut client = Client::new(site.connect(&endpoint).await.unwrap());
            client.try_send(i.to_be_bytes()).await.unwrap();
            assert_eq!(client.exactly(4).await.unwrap()[..], i.to_be_bytes());
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    server.settles(0).await;
}

async fn a_listener_that_is_polled_and_left_loses_nobody(site: Site) {
    let mood = Mood::new(Trouble::Left);
    let server = site.moody(Script::Echo, &mood);
    serves(&site, &server, 200).await;
    while mood.times() < 1000 {
        serves(&site, &server, 1).await;
    }
}

async fn clients_that_left_early_hold_nobody_up(site: Site) {
    let mood = Mood::new(Trouble::Aborted);
    serves(&site, &site.moody(Script::Echo, &mood), 100).await;
    assert!(mood.times() > 100);
}

async fn running_out_of_descriptors_neither_spins_nor_ends_the_server(site: Site) {
    let mood = Mood::new(Trouble::None);
    let server = site.moody(Script::Echo, &mood);
    serves(&site, &server, 1).await;
    mood.set(Trouble::Exhausted);
    let waiting = tokio::spawn({
        let (site, endpoint) = (site.clone(), server.endpoint().clone());
        async move {
            let mut client = Client::new(site.connect(&endpoint).await.unwrap());
            client.try_send("here").await.unwrap();
            client.exactly(4).await.unwrap()
        }
    });
    while mood.times() < 4 {
        sleep(Duration::from_millis(1)).await;
    }
    // Each of two workers waits for 5, 10, 20, 40 ms and so on up to a second: a spinning loop
    // makes thousands.
    let begin = Instant::now();
    sleep(Duration::from_millis(100)).await;
    let seconds = u32::try_from(begin.elapsed().as_secs()).unwrap();
    assert!(
        mood.times() < 20 + 2 * seconds,
        "tried {} times",
        mood.times()
    );
    assert!(!waiting.is_finished());
    mood.set(Trouble::None);
    assert_eq!(waiting.await.unwrap(), "here");
    serves(&site, &server, 50).await;
}

/// The server ends with an error of this kind once somebody connects.
async fn ends_with(site: &Site, trouble: Trouble, kind: ErrorKind) {
    let mood = Mood::new(Trouble::None);
    let server = site.moody(Script::Echo, &mood);
    serves(site, &server, 1).await;
    mood.set(trouble);
    // Not everybody is accepted, some perhaps not even connected.
    let _ = site.knock(server.endpoint()).await;
    let error = server
        .handle
        .wait()
        .await
        .expect_err("a server that can't go on");
    assert_eq!(error.kind(), kind, "{error}");
    // The others are told to end, too.
    server.refuses().await;
}

async fn a_broken_listener_ends_the_server_with_an_error(site: Site) {
    ends_with(&site, Trouble::Broken, ErrorKind::Accept).await;
}

async fn a_panicking_listener_ends_the_server_with_an_error(site: Site) {
    ends_with(&site, Trouble::Panics, ErrorKind::Worker).await;
}

async fn stalled_handshakes_hold_nobody_up_and_are_cut_off(site: Site) {
    // Three hundred have to come before the first is cut off.
    let deadlines = [1, 5, 20].map(Duration::from_secs);
    in_time_of(&deadlines, site, |site, deadline, pace| async move {
        let mood = Mood::new(Trouble::Stalls);
        let server = site.moody_for(Script::Echo, &mood, deadline);
        let mut stalled = Vec::new();
        pace.rest();
        for _ in 0..300 {
            stalled.push(server.knocking().await);
        }
        pace.step();
        server.settles(300).await;
        mood.set(Trouble::None);
        let mut client = server.client().await;
        client.try_send("here").await.unwrap();
        assert_eq!(client.exactly(4).await.unwrap(), "here");
        assert!(server.handle.connections() > 300, "while they're all there");
        pace.step();
        for client in &mut stalled {
            client.closed().await;
        }
        server.settles(1).await;
    })
    .await;
}

async fn failed_handshakes_cost_nothing(site: Site) {
    let mood = Mood::new(Trouble::Fails);
    let server = site.moody(Script::Echo, &mood);
    for _ in 0..100 {
        server.knocking().await.closed().await;
    }
    server.settles(0).await;
    mood.set(Trouble::None);
    serves(&site, &server, 10).await;
}

async fn two_hundred_clients_at_once_are_served(site: Site) {
    let server = site.serve();
    let mut clients = Vec::new();
    for _ in 0..200 {
        clients.push(server.client().await);
    }
    for client in &mut clients {
        client.send(get("/")).await;
    }
    for client in &mut clients {
        assert_eq!(client.response().await.body, HELLO);
    }
    server.settles(200).await;
    drop(clients);
    server.settles(0).await;
}

async fn silent_clients_hold_nobody_up(site: Site) {
    const SILENT: usize = 300;
    const REQUESTS: usize = 100;
    let (server, notes) = site.serve_watched(|server| server);
    let mut silent = Vec::new();
    for i in 0..SILENT {
        let mut client = server.client().await;
        // Half of them say one byte.
        if i % 2 == 0 {
            client.send("G").await;
        }
        silent.push(client);
    }
    server.serves_others().await;
    server.settles(SILENT).await;
    let mut client = server.client().await;
    let before = notes.polls();
    for _ in 0..REQUESTS {
        assert_eq!(client.get("/").await.body, HELLO);
    }
    // A worker that looked at the silent ones for each request, would have polled each of them as
    // often.
    let polls = notes.polls() - before;
    assert!(polls < 10 * REQUESTS + SILENT, "{polls} polls");
    assert!(server.handle.connections() > SILENT, "they're all there");
}

/// `anyport_core::spawn`, which an app calls without knowing what its worker runs on.
async fn what_an_app_spawns_outlives_its_request_and_its_connection(site: Site) {
    let server = site.serve();
    for _ in 0..10 {
        assert_eq!(server.ask(&get("/background")).await.body, HELLO);
        server.state.arrived().await;
        server.settles(0).await;
        server.state.release();
        server.state.dropped().await;
    }
}

async fn two_servers_do_not_disturb_each_other(site: Site) {
    let (first, second) = (site.serve(), site.serve());
    assert_eq!(first.ask(&get("/")).await.body, HELLO);
    let mut client = second.client().await;
    assert_eq!(client.get("/").await.body, HELLO);
    first.handle.abort().await.unwrap();
    assert_eq!(client.get("/").await.body, HELLO);
    second.serves_others().await;
}

async fn a_worker_that_cannot_listen_fails_the_start(site: Site) {
    let server = site.moody_server(Script::Echo, &Mood::new(Trouble::Deaf));
    let error = server.start().expect_err("a worker that can't listen");
    assert_eq!(error.kind(), ErrorKind::Start, "{error}");
}

async fn a_worker_that_panics_as_it_starts_fails_the_start(site: Site) {
    let server = site.local_server(LocalApp::failing);
    let error = server.start().expect_err("a worker that panics");
    assert_eq!(error.kind(), ErrorKind::Worker, "{error}");
    assert!(error.to_string().contains("in make"), "{error}");
}

async fn a_worker_keeps_its_app_on_its_thread(site: Site) {
    let server = Running::start(&site, site.local_server(LocalApp::new), Arc::default());
    let mut seen: HashMap<String, Vec<u64>> = HashMap::new();
    let mut total = 0;
    for _ in 0..20 {
        let mut client = server.client().await;
        for _ in 0..5 {
            let body = client.get("/").await.body;
            let body = std::str::from_utf8(&body).unwrap();
            let (worker, count) = body.split_once(' ').unwrap();
            seen.entry(worker.to_owned())
                .or_default()
                .push(count.parse().unwrap());
            total += 1;
        }
        let mut h2 = server.h2().await;
        let body = h2.get("/").await.body;
        let body = std::str::from_utf8(&body).unwrap();
        let (worker, count) = body.split_once(' ').unwrap();
        seen.entry(worker.to_owned())
            .or_default()
            .push(count.parse().unwrap());
        total += 1;
    }
    // Each worker counted its own requests, one by one.
    for (worker, counts) in &seen {
        let expected: Vec<_> = (1..=counts.len() as u64).collect();
        assert_eq!(counts, &expected, "worker {worker}");
    }
    assert_eq!(seen.values().map(Vec::len).sum::<usize>(), total);
}
