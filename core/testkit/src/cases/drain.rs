//! The end of a server: accepted requests are answered, idle connections close, and the grace is
//! kept.
use crate::{
    app::{BIG, HELLO, script::Script},
    client::{
        Client, get,
        h2::{receive, request, whole},
        post,
    },
    harness::{
        attempts::{in_time, in_time_of},
        case::cases,
        site::{Site, Told},
        upgraded::{echoes, upgraded},
    },
};
use anyport_core::{DrainReport, Endpoint, ErrorKind};
use std::{
    future::IntoFuture,
    time::{Duration, Instant},
};
use tokio::{sync::oneshot, time::sleep};

cases![
    an_idle_server_ends_at_once,
    an_idle_connection_is_closed,
    a_fresh_connection_is_closed,
    a_request_in_flight_is_answered,
    a_head_that_has_begun_is_let_finish,
    an_upload_under_way_is_let_finish,
    a_download_under_way_is_let_finish,
    an_h2_request_in_flight_is_answered,
    an_h2_download_under_way_is_let_finish,
    an_upgraded_connection_is_aborted_at_the_end also abroad,
    requests_in_the_lame_duck_stage_are_told_to_leave,
    the_report_is_exact also abroad,
    the_grace_is_kept,
    no_grace_aborts_at_once,
    a_second_shutdown_shortens_the_first,
    a_second_shutdown_lengthens_nothing,
    abort_ends_everything also abroad,
    a_dropped_server_future_aborts_the_server,
    nobody_connects_after_the_end,
    everybody_who_waits_is_told,
    a_shutdown_future_begins_the_drain,
    run_serves_from_a_plain_thread,
    start_on_a_plain_thread_works_or_says_what_to_do,
];

/// Longer than anything here takes, and so is a tenth of it, which is what a peer gets that owes
/// the rest of something.
const AMPLE: Duration = Duration::from_secs(60);
/// So long a drain lets clients ask before it closes what's idle.
const LAME_DUCK: Duration = Duration::from_secs(1);

fn assert_report(report: DrainReport, completed: usize, aborted: usize, upgraded: usize) {
    let got = (report.completed, report.aborted, report.upgraded);
    assert_eq!(
        got,
        (completed, aborted, upgraded),
        "completed, aborted, upgraded"
    );
}

/// Not before the grace is over, and far from any longer one.
fn assert_in_time(begin: Instant, grace: Duration) {
    let elapsed = begin.elapsed();
    assert!(
        (grace..grace + AMPLE).contains(&elapsed),
        "{elapsed:?} for a grace of {grace:?}"
    );
}

/// There's nobody who'd have to be told, so there's no lame duck stage.
async fn an_idle_server_ends_at_once(site: Site) {
    in_time_of(&[LAME_DUCK; 5], site, |site, lame_duck, pace| async move {
        let server = site.serve();
        let begin = Instant::now();
        pace.rest();
        assert_report(server.handle.shutdown(AMPLE).await.unwrap(), 0, 0, 0);
        let elapsed = begin.elapsed();
        pace.step();
        assert!(elapsed < lame_duck, "{elapsed:?}");
    })
    .await;
}

async fn an_idle_connection_is_closed(site: Site) {
    let server = site.serve();
    let mut client = server.client().await;
    assert_eq!(client.get("/").await.body, HELLO);
    let ended = server.handle.shutdown(AMPLE);
    client.closed().await;
    assert_report(ended.await.unwrap(), 1, 0, 0);
}

async fn a_fresh_connection_is_closed(site: Site) {
    let server = site.serve();
    let mut client = server.client().await;
    server.settles(1).await;
    let ended = server.handle.shutdown(AMPLE);
    client.closed().await;
    assert_report(ended.await.unwrap(), 1, 0, 0);
}

async fn a_request_in_flight_is_answered(site: Site) {
    let server = site.serve();
    let mut client = server.client().await;
    client.send(get("/slow")).await;
    server.state.arrived().await;
    let ended = server.handle.shutdown(AMPLE);
    // Then every worker has left the lame duck stage.
    server.refuses().await;
    server.state.release();
    let response = client.response().await;
    assert_eq!(response.body, HELLO);
    assert!(response.closes(), "{response:?}");
    client.closed().await;
    assert_eq!(ended.await.unwrap().aborted, 0);
}

async fn a_head_that_has_begun_is_let_finish(site: Site) {
    let server = site.serve();
    let (mut first, mut second) = (server.client().await, server.client().await);
    assert_eq!(second.get("/").await.body, HELLO);
    let (begin, end) = ("GET / HTTP/1.1\r\nHo", "st: test\r\n\r\n");
    for client in [&mut first, &mut second] {
        client.send(begin).await;
    }
    server.settles(2).await;
    let ended = server.handle.shutdown(AMPLE);
    server.refuses().await;
    for client in [&mut first, &mut second] {
        client.send(end).await;
        let response = client.response().await;
        assert_eq!(response.body, HELLO);
        assert!(response.closes(), "{response:?}");
        client.closed().await;
    }
    assert_eq!(ended.await.unwrap().aborted, 0);
}

async fn an_upload_under_way_is_let_finish(site: Site) {
    let server = site.serve();
    let mut client = server.client().await;
    client.send(format!("{}hello", post("/len", 10))).await;
    server.settles(1).await;
    let ended = server.handle.shutdown(AMPLE);
    server.refuses().await;
    client.send("world").await;
    assert_eq!(client.response().await.body, "10");
    client.closed().await;
    assert_eq!(ended.await.unwrap().aborted, 0);
}

async fn a_download_under_way_is_let_finish(site: Site) {
    let server = site.serve();
    let mut client = server.client().await;
    client.send(get("/big")).await;
    assert_eq!(client.head().await.unwrap().status, 200);
    let ended = server.handle.shutdown(AMPLE);
    server.refuses().await;
    let n = client.rest().await.len();
    assert_eq!(n, BIG, "all of it");
    assert_eq!(ended.await.unwrap().aborted, 0);
}

async fn an_h2_request_in_flight_is_answered(site: Site) {
    let server = site.serve();
    let mut h2 = server.h2().await;
    let (waiting, _) = h2.begin(request("/slow"), true).await.unwrap();
    server.state.arrived().await;
    let ended = server.handle.shutdown(AMPLE);
    // Until the GOAWAY is there, requests are answered; after it, they're not even made.
    let told = loop {
        match h2.try_get("/").await {
            Ok(response) => assert_eq!(response.body, HELLO),
            Err(error) => break error,
        }
    };
    assert!(told.is_go_away() && told.is_remote(), "{told}");
    server.state.release();
    assert_eq!(whole(waiting).await.unwrap().body, HELLO);
    h2.closed().await;
    assert_report(ended.await.unwrap(), 1, 0, 0);
}

async fn an_h2_download_under_way_is_let_finish(site: Site) {
    let server = site.serve();
    let mut h2 = server.h2().await;
    let (response, _) = h2.begin(request("/big"), true).await.unwrap();
    let mut body = response.await.unwrap().into_body();
    let mut n = receive(&mut body).await.unwrap().unwrap().len();
    let ended = server.handle.shutdown(AMPLE);
    server.refuses().await;
    while let Some(piece) = receive(&mut body).await.unwrap() {
        n += piece.len();
    }
    assert_eq!(n, BIG, "all of it");
    h2.closed().await;
    assert_eq!(ended.await.unwrap().aborted, 0);
}

async fn an_upgraded_connection_is_aborted_at_the_end(site: Site) {
    in_time(site, |site, grace, pace| async move {
        let server = site.serve();
        let mut client = upgraded(&server).await;
        let begin = Instant::now();
        pace.rest();
        let ended = server.handle.shutdown(grace);
        echoes(&mut client, "still served").await;
        pace.step();
        client.closed().await;
        assert_report(ended.await.unwrap(), 0, 1, 1);
        assert_in_time(begin, grace);
        server.settles(0).await;
    })
    .await;
}

async fn requests_in_the_lame_duck_stage_are_told_to_leave(site: Site) {
    in_time_of(&[LAME_DUCK; 3], site, |site, _, pace| async move {
        let server = site.serve();
        let mut client = server.client().await;
        assert_eq!(client.get("/").await.body, HELLO);
        pace.rest();
        let ended = server.handle.shutdown(AMPLE);
        // The stage begins when the worker hears of it.
        loop {
            client.send(get("/")).await;
            pace.step();
            let response = client.response().await;
            assert_eq!(response.body, HELLO);
            if response.closes() {
                break;
            }
        }
        client.closed().await;
        assert_eq!(ended.await.unwrap().aborted, 0);
    })
    .await;
}

async fn the_report_is_exact(site: Site) {
    in_time(site, |site, short, pace| async move {
        let server = site.serve();
        let mut gone = server.client().await;
        assert_eq!(gone.get("/").await.body, HELLO);
        drop(gone);
        server.settles(0).await;

        let (mut idle, mut fresh) = (server.client().await, server.client().await);
        assert_eq!(idle.get("/").await.body, HELLO);
        let mut answered = server.client().await;
        answered.send(get("/slow")).await;
        server.state.arrived().await;
        let mut stuck = server.client().await;
        stuck.send(get("/forever")).await;
        server.state.arrived().await;
        let mut h2 = server.h2().await;
        let (_stuck, _) = h2.begin(request("/forever"), true).await.unwrap();
        server.state.arrived().await;
        let upgraded = upgraded(&server).await;
        server.settles(6).await;

        pace.rest();
        // A quarter of it is the lame duck stage.
        let ended = server.handle.shutdown(4 * short);
        idle.closed().await;
        fresh.closed().await;
        pace.rest();
        drop(upgraded);
        server.state.release();
        assert_eq!(answered.response().await.body, HELLO);
        answered.closed().await;
        pace.step();
        let report = ended.await.unwrap();
        assert_report(report, 4, 2, 1);
        assert_eq!(
            report.to_string(),
            "drained: 4 completed, 2 aborted (1 of them upgraded)"
        );
        stuck.closed().await;
        h2.closed().await;
        server.settles(0).await;
    })
    .await;
}

async fn the_grace_is_kept(site: Site) {
    let grace = Duration::from_millis(400);
    let server = site.serve();
    let mut client = server.client().await;
    client.send(get("/forever")).await;
    server.state.arrived().await;
    let begin = Instant::now();
    assert_report(server.handle.shutdown(grace).await.unwrap(), 0, 1, 0);
    assert_in_time(begin, grace);
    client.closed().await;
    server.state.dropped().await;
}

async fn no_grace_aborts_at_once(site: Site) {
    let server = site.serve();
    let mut client = server.client().await;
    client.send(get("/forever")).await;
    server.state.arrived().await;
    let begin = Instant::now();
    assert_report(
        server.handle.shutdown(Duration::ZERO).await.unwrap(),
        0,
        1,
        0,
    );
    assert_in_time(begin, Duration::ZERO);
    client.closed().await;
}

async fn a_second_shutdown_shortens_the_first(site: Site) {
    let grace = Duration::from_millis(400);
    let server = site.serve();
    let mut client = server.client().await;
    client.send(get("/forever")).await;
    server.state.arrived().await;
    let first = server.handle.shutdown(2 * AMPLE);
    let begin = Instant::now();
    assert_report(server.handle.shutdown(grace).await.unwrap(), 0, 1, 0);
    assert_in_time(begin, grace);
    assert_report(first.await.unwrap(), 0, 1, 0);
}

async fn a_second_shutdown_lengthens_nothing(site: Site) {
    let grace = Duration::from_millis(400);
    let server = site.serve();
    let mut client = server.client().await;
    client.send(get("/forever")).await;
    server.state.arrived().await;
    let begin = Instant::now();
    drop(server.handle.shutdown(grace));
    assert_report(server.handle.shutdown(2 * AMPLE).await.unwrap(), 0, 1, 0);
    assert_in_time(begin, grace);
}

async fn abort_ends_everything(site: Site) {
    let server = site.serve();
    let mut idle = server.client().await;
    assert_eq!(idle.get("/").await.body, HELLO);
    let mut client = upgraded(&server).await;
    let mut h2 = server.h2().await;
    let (_waiting, _) = h2.begin(request("/forever"), true).await.unwrap();
    server.state.arrived().await;
    let begin = Instant::now();
    assert_report(server.handle.abort().await.unwrap(), 0, 3, 1);
    idle.closed().await;
    client.closed().await;
    h2.closed().await;
    server.state.dropped().await;
    assert!(begin.elapsed() < AMPLE, "{:?}", begin.elapsed());
    server.settles(0).await;
}

async fn a_dropped_server_future_aborts_the_server(site: Site) {
    let told = Told::default();
    let serving = tokio::spawn(site.raw_server(Script::Echo, &told).into_future());
    let endpoint = where_it_listens(&told).await;
    let mut client = Client::new(site.connect(&endpoint).await.unwrap());
    echoes(&mut client, "served").await;
    serving.abort();
    assert!(serving.await.unwrap_err().is_cancelled());
    client.closed().await;
    while site.connect(&endpoint).await.is_ok() {
        sleep(Duration::from_millis(1)).await;
    }
}

async fn where_it_listens(told: &Told) -> Endpoint {
    loop {
        if let Some(endpoint) = told.lock().unwrap().clone() {
            return endpoint;
        }
        sleep(Duration::from_millis(1)).await;
    }
}

async fn nobody_connects_after_the_end(site: Site) {
    let server = site.serve();
    assert_eq!(server.ask(&get("/")).await.body, HELLO);
    server
        .handle
        .shutdown(Duration::from_millis(100))
        .await
        .unwrap();
    assert!(
        site.connect(server.endpoint()).await.is_err(),
        "connected to nobody"
    );
}

async fn everybody_who_waits_is_told(site: Site) {
    let server = site.serve();
    let handle = server.handle.clone();
    let waits: Vec<_> = (0..5).map(|_| tokio::spawn(handle.wait())).collect();
    server.serves_others().await;
    server.settles(0).await;
    assert!(waits.iter().all(|wait| !wait.is_finished()));
    assert_report(handle.shutdown(AMPLE).await.unwrap(), 0, 0, 0);
    for wait in waits {
        assert_report(wait.await.unwrap().unwrap(), 0, 0, 0);
    }
    assert_report(handle.wait().await.unwrap(), 0, 0, 0);
}

async fn a_shutdown_future_begins_the_drain(site: Site) {
    let (stop, stopped) = oneshot::channel::<()>();
    let server =
        site.serve_as(|server| server.with_graceful_shutdown(async { drop(stopped.await) }));
    let mut client = server.client().await;
    assert_eq!(client.get("/").await.body, HELLO);
    stop.send(()).unwrap();
    client.closed().await;
    assert_report(server.handle.wait().await.unwrap(), 1, 0, 0);
}

async fn run_serves_from_a_plain_thread(site: Site) {
    let (stop, stopped) = oneshot::channel::<()>();
    let told = Told::default();
    let server = site.raw_server(Script::Echo, &told);
    let server = server.with_graceful_shutdown(async { drop(stopped.await) });
    let thread = std::thread::spawn(move || server.run());
    let endpoint = where_it_listens(&told).await;
    // Told before it listens: an early client may have to try again.
    let io = loop {
        match site.connect(&endpoint).await {
            Ok(io) => break io,
            Err(_) => sleep(Duration::from_millis(1)).await,
        }
    };
    let mut client = Client::new(io);
    echoes(&mut client, "served").await;
    drop(client);
    stop.send(()).unwrap();
    let report = tokio::task::spawn_blocking(|| thread.join()).await.unwrap();
    assert_eq!(report.unwrap().unwrap().aborted, 0);
}

async fn start_on_a_plain_thread_works_or_says_what_to_do(site: Site) {
    let server = site.raw_server(Script::Echo, &Told::default());
    let started = std::thread::spawn(|| server.start()).join().unwrap();
    match started {
        Ok(handle) => {
            let mut client = Client::new(site.connect(&handle.endpoints()[0]).await.unwrap());
            echoes(&mut client, "served").await;
            assert_report(handle.abort().await.unwrap(), 0, 1, 0);
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Start);
            assert!(error.to_string().contains(".run()"), "{error}");
        }
    }
}
