//! The load against small servers, whose responses are right or wrong.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod server;
mod tls;
mod websocket;

use anyport_bench_load::{
    Address, Amount, Clients, IdleConnections, Interrupted, Kind, Load as _, Mixed, Timeout,
    Workload, fetch,
};
use server::{
    RESPONSE, closing, healthy, on_each_connection, request, response, serve, short_timeout,
    timeout,
};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

const PLAINTEXT: Kind = Kind::KeepAlive(Workload::Plaintext);

fn server(responses: Vec<Vec<Vec<u8>>>, requests: usize) -> Address {
    on_each_connection(move |_, stream| serve(stream, &responses, requests))
}

fn load(address: &Address, kind: Kind, connections: usize) -> Clients {
    Clients::connect(address, kind, connections, &timeout()).unwrap()
}

/// The error of a load of two clients.
fn failure(address: &Address, kind: Kind) -> String {
    failure_within(&timeout(), address, kind)
}

/// The error of a load of two clients that ends with the short timeout.
fn failure_in_time(address: &Address, kind: Kind) -> String {
    failure_within(&short_timeout(), address, kind)
}

fn failure_within(timeout: &Timeout, address: &Address, kind: Kind) -> String {
    let made = Clients::connect(address, kind, 2, timeout);
    let ran = made.and_then(|mut load| load.run(Amount::Requests(100)));
    format!("{:#}", ran.unwrap_err())
}

fn contains(text: &str, parts: &[&str]) {
    assert!(parts.iter().any(|part| text.contains(part)), "{text}");
}

#[test]
fn run_sends_exactly_as_many_requests_as_told() {
    for address in [healthy(), tls::healthy()] {
        let mut load = load(&address, PLAINTEXT, 8);
        for requests in [0, 1, 7, 8, 9, 1000] {
            let outcome = load.run(Amount::Requests(requests)).unwrap();
            assert_eq!(outcome.count, requests);
        }
    }
}

#[test]
fn timed_run_ends_with_no_request_in_flight() {
    let mut load = load(&healthy(), PLAINTEXT, 3);
    // On a busy machine, a server may answer nothing for a second. Then the next run is longer.
    let nobody_is_starved = |seconds| {
        let outcome = load.run(Amount::For(Duration::from_secs(seconds))).unwrap();
        (load.take_starved() == 0).then_some(outcome)
    };
    let outcome = [1, 4, 16].into_iter().find_map(nobody_is_starved).unwrap();
    assert!(outcome.count >= 3, "{outcome:?}");
    let busy = outcome.cpu.share();
    assert!(busy > 0.0 && busy <= 1.0, "{busy}");
    assert!(outcome.cpu.elapsed >= Duration::from_secs(1));
    assert_eq!(load.run(Amount::Requests(10)).unwrap().count, 10);
}

#[test]
fn unix_sockets_get_all_kinds_of_load() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("load.sock");
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            thread::spawn(move || closing(stream));
        }
    });
    let address = Address::Unix(path);
    for kind in [PLAINTEXT, Kind::Churn] {
        let mut load = load(&address, kind, 3);
        assert_eq!(load.run(Amount::Requests(30)).unwrap().count, 30);
    }
    let idle = IdleConnections::connect(&address, Workload::Plaintext, 3, &timeout());
    idle.unwrap().request().unwrap();
    let response = fetch(&address, Workload::Plaintext, &timeout()).unwrap();
    assert_eq!(response.body, b"Hello, World!");
    let length = ("content-length".to_owned(), "13".to_owned());
    assert_eq!((response.status, response.headers), (200, vec![length]));
}

#[test]
fn every_workload_is_requested_and_its_response_compared() {
    for workload in [
        Workload::Headers,
        Workload::Json,
        Workload::Echo,
        Workload::Download1M,
        Workload::Discard16M,
    ] {
        let right = response(&workload.response_body());
        let address = server(vec![vec![right.clone()]], usize::MAX);
        let mut good = load(&address, Kind::KeepAlive(workload), 2);
        let run = good.run(Amount::Requests(10));
        assert_eq!(run.unwrap().count, 10, "{workload:?}");
        let fetched = fetch(&address, workload, &timeout()).unwrap();
        assert_eq!(fetched.body, workload.response_body());

        let mut wrong = right;
        *wrong.last_mut().unwrap() ^= 1;
        let address = server(vec![vec![wrong]], usize::MAX);
        let last = workload.response_body().len() - 1;
        let error = failure(&address, Kind::KeepAlive(workload));
        contains(&error, &[&format!("from its byte {last} on")]);
    }
}

#[test]
fn errors_name_connection_and_response() {
    let right = vec![RESPONSE.to_vec()];
    let unavailable = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n".to_vec();
    let second = server(vec![right.clone(), vec![unavailable]], usize::MAX);
    let status = "of 2: after 1 responses: status 503 instead of 200";
    contains(&failure(&second, PLAINTEXT), &[status]);
    let ended = failure(&server(vec![right], 3), PLAINTEXT);
    let closed = "after 3 responses: the server closed it";
    contains(&ended, &[closed, "the server reset it"]);
    let twice = server(vec![vec![RESPONSE.repeat(2)]], usize::MAX);
    let twice = failure(&twice, PLAINTEXT);
    contains(&twice, &["bytes more than the response has"]);
    let nothing = Address::Unix("/no/such/socket".into());
    let refused = "cannot connect to unix:/no/such/socket: No such file";
    contains(&failure(&nothing, PLAINTEXT), &[refused]);
}

#[test]
fn server_that_ignores_a_connection_times_out() {
    let says_so = |seconds| {
        let address = on_each_connection(|number, mut stream| {
            if number == 1 {
                while request(&mut stream).is_some() {}
            }
            serve(stream, &[vec![RESPONSE.to_vec()]], usize::MAX);
        });
        let short = timeout().with_duration(Duration::from_secs(seconds));
        let ran = Clients::connect(&address, PLAINTEXT, 3, &short)
            .and_then(|mut load| load.run(Amount::For(Duration::from_millis(50))));
        let error = ran.unwrap_err().to_string();
        println!("{error}");
        error.contains(&format!(
            "answered nothing, and 1 of 3 connections wait for it for {seconds}s"
        ))
    };
    // On a busy machine, the others may be late, too. Then the next timeout is longer.
    assert!([1, 5, 25].into_iter().any(says_so));
}

#[test]
fn clients_without_response_in_time_are_starved() {
    let one_is_starved = |millis| {
        let run = Duration::from_millis(millis);
        let address = on_each_connection(move |number, mut stream| {
            while request(&mut stream).is_some() {
                if number == 0 {
                    // Its response comes after the run, which began before the request.
                    thread::sleep(2 * run);
                }
                stream.write_all(RESPONSE).unwrap();
            }
        });
        let mut load = load(&address, PLAINTEXT, 3);
        let outcome = load.run(Amount::For(run)).unwrap();
        let starved = load.take_starved();
        println!("{starved} starved: {outcome:?}");
        starved == 1 && outcome.count > 3
    };
    // On a busy machine, the others may be late, too. Then the next run is longer.
    assert!([100, 1_000, 10_000].into_iter().any(one_is_starved));
}

#[test]
fn runs_can_be_interrupted() {
    let stop = Arc::new(AtomicBool::new(false));
    let timeout = Timeout::new(Duration::from_secs(60), Arc::clone(&stop));
    let mut load = Clients::connect(&healthy(), PLAINTEXT, 1, &timeout).unwrap();
    stop.store(true, Relaxed);
    let error = load.run(Amount::For(Duration::from_secs(600))).unwrap_err();
    assert!(error.is::<Interrupted>(), "{error}");
}

#[test]
fn churn_waits_until_the_server_closes() {
    let (sender, visits) = mpsc::channel();
    let address = on_each_connection(move |_, stream| {
        closing(stream);
        sender.send(()).unwrap();
    });
    let mut load = load(&address, Kind::Churn, 3);
    for connections in [0, 1, 2, 100] {
        let outcome = load.run(Amount::Requests(connections)).unwrap();
        assert_eq!(outcome.count, connections);
    }
    // One more was made for a try.
    assert_eq!(visits.iter().take(104).count(), 104);
}

#[test]
fn churn_errors_say_what_the_server_did() {
    let right = [vec![RESPONSE.to_vec()]];
    let stays = on_each_connection(move |_, stream| serve(stream, &right, usize::MAX));
    let silent = on_each_connection(|_, mut stream| drop(stream.read_to_end(&mut Vec::new())));
    for address in [stays, silent] {
        let error = failure_in_time(&address, Kind::Churn);
        contains(&error, &["did not answer `Connection: close` and close"]);
    }
    let leaves = on_each_connection(|_, mut stream| drop(request(&mut stream)));
    let error = failure(&leaves, Kind::Churn);
    contains(&error, &["the server closed it", "the server reset it"]);
}

#[test]
fn mixed_load_uses_all_kinds_of_connections() {
    let downloads = [Workload::Download64K, Workload::Download1M]
        .map(|workload| (workload, response(&workload.response_body())));
    let address = on_each_connection(move |_, mut stream| {
        while let Some(head) = request(&mut stream) {
            let download = downloads
                .iter()
                .find(|(workload, _)| head.contains(&format!(" {} ", workload.path())));
            let response = download.map_or(RESPONSE, |(_, response)| response);
            if stream.write_all(response).is_err() || head.contains("Connection: close") {
                return;
            }
        }
    });
    let mut mixed = Mixed::connect(&address, 20, &timeout()).unwrap();
    let mut whole = 0;
    // A turn has a hundred responses, and now and then one more of a slow reader.
    while whole == 0 {
        let outcome = mixed.run_for(Duration::from_millis(50)).unwrap();
        assert!(outcome.count >= 100, "{outcome:?}");
        whole = outcome.count % 100;
    }
}
