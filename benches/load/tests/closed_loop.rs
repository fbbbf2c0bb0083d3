//! The load against servers of a few lines, which answer well or badly.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop")]

mod server;

use anyport_bench_load::{Address, Amount, ClosedLoop, Crowd, Interrupted, Patience, Workload, ask};
use server::{RESPONSE, patience, response, serve};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::{Arc, atomic::AtomicBool};
use std::thread;
use std::time::Duration;

/// A server on a port of its own; its threads end with their connections, and the one that accepts with the test's process.
fn server(answers: Vec<Vec<Vec<u8>>>, requests: usize) -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = Address::Tcp(listener.local_addr().unwrap());
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            stream.set_nodelay(true).unwrap();
            let answers = answers.clone();
            thread::spawn(move || serve(stream, &answers, requests));
        }
    });
    address
}

fn healthy() -> Address {
    server(vec![vec![RESPONSE.to_vec()]], usize::MAX)
}

fn failure(address: &Address) -> String {
    let mut load = ClosedLoop::connect(address, Workload::Plaintext, 2, &patience()).unwrap();
    format!("{:#}", load.run(Amount::Requests(100)).unwrap_err())
}

#[test]
fn exactly_as_many_requests_are_answered_as_were_ordered() {
    let mut load = ClosedLoop::connect(&healthy(), Workload::Plaintext, 8, &patience()).unwrap();
    for requests in [0, 1, 7, 8, 9, 1000] {
        assert_eq!(load.run(Amount::Requests(requests)).unwrap().requests, requests);
    }
}

#[test]
fn a_duration_ends_and_leaves_nothing_in_flight() {
    let mut load = ClosedLoop::connect(&healthy(), Workload::Plaintext, 4, &patience()).unwrap();
    let done = load.run(Amount::For(Duration::from_millis(50))).unwrap().requests;
    assert!(done >= 4, "{done}");
    assert_eq!(load.run(Amount::Requests(10)).unwrap().requests, 10);
}

#[test]
fn a_response_may_be_split_at_every_byte() {
    let answers = (1..RESPONSE.len())
        .map(|at| vec![RESPONSE[..at].to_vec(), RESPONSE[at..].to_vec()])
        .collect();
    let mut load =
        ClosedLoop::connect(&server(answers, usize::MAX), Workload::Plaintext, 2, &patience()).unwrap();
    assert_eq!(load.run(Amount::Requests(400)).unwrap().requests, 400);
}

#[test]
fn a_body_larger_than_any_buffer_is_read_to_its_end() {
    let address = server(
        vec![vec![response(&Workload::Download1M.response_body())]],
        usize::MAX,
    );
    let mut load = ClosedLoop::connect(&address, Workload::Download1M, 2, &patience()).unwrap();
    assert_eq!(load.run(Amount::Requests(10)).unwrap().requests, 10);
}

#[test]
fn unix_sockets_are_asked_alike() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("load.sock");
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            thread::spawn(move || serve(stream, &[vec![RESPONSE.to_vec()]], usize::MAX));
        }
    });
    let address = Address::Unix(path);
    let mut load = ClosedLoop::connect(&address, Workload::Plaintext, 3, &patience()).unwrap();
    assert_eq!(load.run(Amount::Requests(30)).unwrap().requests, 30);
    Crowd::connect(&address, Workload::Plaintext, 3, &patience())
        .unwrap()
        .ask_each()
        .unwrap();
    assert_eq!(
        ask(&address, Workload::Plaintext, &patience()).unwrap().body,
        b"Hello, World!"
    );
}

#[test]
fn a_wrong_status_is_an_error_that_names_it() {
    let unavailable = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n".to_vec();
    let answers = vec![vec![RESPONSE.to_vec()], vec![unavailable]];
    let failure = failure(&server(answers, usize::MAX));
    assert!(failure.contains("after 1 responses"), "{failure}");
    assert!(failure.contains("status 503 instead of 200"), "{failure}");
}

#[test]
fn a_closed_connection_is_an_error_that_says_when() {
    let failure = failure(&server(vec![vec![RESPONSE.to_vec()]], 3));
    assert!(failure.contains("of 2, after 3 responses"), "{failure}");
    assert!(
        failure.contains("the server closed it") || failure.contains("reset"),
        "{failure}"
    );
}

#[test]
fn a_silent_server_is_not_waited_for_forever() {
    let address = server(vec![vec![]], usize::MAX);
    let patience = Patience::new(Duration::from_millis(100), Arc::default());
    let mut load = ClosedLoop::connect(&address, Workload::Plaintext, 1, &patience).unwrap();
    let error = load.run(Amount::Requests(1)).unwrap_err().to_string();
    assert!(error.contains("answered nothing for 100ms"), "{error}");
}

#[test]
fn a_run_can_be_interrupted() {
    let stop = Arc::new(AtomicBool::new(false));
    let patience = Patience::new(Duration::from_secs(20), Arc::clone(&stop));
    let mut load = ClosedLoop::connect(&healthy(), Workload::Plaintext, 1, &patience).unwrap();
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let error = load.run(Amount::For(Duration::from_secs(600))).unwrap_err();
    assert!(error.is::<Interrupted>(), "{error}");
}

#[test]
fn nobody_listening_is_an_error_that_names_the_address() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = Address::Tcp(listener.local_addr().unwrap());
    drop(listener);
    let error = ClosedLoop::connect(&address, Workload::Plaintext, 1, &patience())
        .unwrap_err()
        .to_string();
    assert!(error.contains(&address.to_string()), "{error}");
}

#[test]
fn a_crowd_asks_on_each_of_its_connections() {
    let mut crowd = Crowd::connect(&healthy(), Workload::Plaintext, 50, &patience()).unwrap();
    crowd.ask_each().unwrap();
    crowd.ask_each().unwrap();
}

#[test]
fn an_answer_is_told_whole() {
    let answer = ask(&healthy(), Workload::Plaintext, &patience()).unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers, [("content-length".to_owned(), "13".to_owned())]);
    assert_eq!(answer.body, b"Hello, World!");
}
