//! Connections that come and go.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop")]

mod server;

use anyport_bench_load::{Address, Amount, Churn, Patience, Workload};
use server::{RESPONSE, each, impatience, nobody, patience, request};
use std::io::{Read as _, Write as _};
use std::num::NonZeroU64;
use std::os::unix::net::UnixListener;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

fn churn(address: &Address, requests: u64, patience: &Patience) -> anyhow::Result<Churn> {
    let requests = NonZeroU64::new(requests).unwrap();
    Churn::new(address, Workload::Plaintext, 3, requests, patience)
}

fn failure(address: &Address, requests: u64) -> String {
    let made =
        churn(address, requests, &impatience()).and_then(|mut load| load.run(Amount::Requests(10)));
    format!("{:#}", made.unwrap_err())
}

/// Answers until the client asks for the end; gives the number of requests, and of those that asked
/// for the end.
fn serve(stream: &mut (impl std::io::Read + std::io::Write)) -> (usize, usize) {
    let mut counts = (0, 0);
    while let Some(head) = request(stream) {
        counts.0 += 1;
        stream.write_all(RESPONSE).unwrap();
        if head.contains("\r\nConnection: close\r\n") {
            counts.1 += 1;
            break;
        }
    }
    counts
}

#[test]
fn each_connection_has_its_requests_and_is_closed_by_the_server() {
    for requests in [1, 2, 10] {
        let (sender, visits) = mpsc::channel();
        let address = each(move |_, mut stream| {
            let counts = serve(&mut stream);
            sender.send(counts).unwrap();
        });
        let mut load = churn(&address, requests, &patience()).unwrap();
        let mut all = 1;
        for connections in [0, 1, 2, 100] {
            let outcome = load.run(Amount::Requests(connections)).unwrap();
            assert_eq!(outcome.connections, connections);
            assert_eq!(outcome.requests, connections * requests);
            all += connections as usize;
        }
        let visits: Vec<_> = visits.iter().take(all).collect();
        assert_eq!(visits, vec![(requests as usize, 1); all]);
    }
}

#[test]
fn a_duration_ends_and_its_connections_are_finished() {
    let address = each(|_, mut stream| {
        serve(&mut stream);
    });
    let mut load = churn(&address, 2, &patience()).unwrap();
    let outcome = load.run(Amount::For(Duration::from_millis(100))).unwrap();
    assert!(outcome.connections >= 3);
    assert_eq!(outcome.requests, 2 * outcome.connections);
}

#[test]
fn unix_sockets_come_and_go_alike() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("churn.sock");
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            thread::spawn(move || serve(&mut stream));
        }
    });
    let mut load = churn(&Address::Unix(path), 2, &patience()).unwrap();
    assert_eq!(load.run(Amount::Requests(50)).unwrap().connections, 50);
}

#[test]
fn a_server_that_does_not_close_is_told() {
    let address = each(|_, mut stream| {
        while request(&mut stream).is_some() {
            stream.write_all(RESPONSE).unwrap();
        }
    });
    let failure = failure(&address, 2);
    assert!(
        failure.contains("didn't close a connection for 1s"),
        "{failure}"
    );
}

#[test]
fn a_server_that_closes_too_early_is_told() {
    let address = each(|_, mut stream| {
        request(&mut stream);
        stream.write_all(RESPONSE).unwrap();
    });
    let early = failure(&address, 2);
    assert!(
        early.contains("the server closed it") || early.contains("reset"),
        "{early}"
    );
    let never = failure(&each(|_, mut stream| drop(request(&mut stream))), 1);
    assert!(
        never.contains("a new connection: the server closed it"),
        "{never}"
    );
}

#[test]
fn a_silent_server_is_not_waited_for_forever() {
    let address = each(|_, mut stream| drop(stream.read_to_end(&mut Vec::new())));
    let failure = failure(&address, 1);
    assert!(failure.contains("answered nothing for 1s"), "{failure}");
}

#[test]
fn a_wrong_answer_and_one_too_many_are_told() {
    let wrong = each(|_, mut stream| {
        request(&mut stream);
        stream.write_all(b"HTTP/1.1 404 Not Found\r\n\r\n").unwrap();
    });
    let wrong = failure(&wrong, 1);
    assert!(wrong.contains("status 404"), "{wrong}");
    let surplus = each(|_, mut stream| {
        request(&mut stream);
        stream.write_all(&[RESPONSE, b"x"].concat()).unwrap();
    });
    let surplus = failure(&surplus, 1);
    assert!(surplus.contains("1 bytes more"), "{surplus}");
}

#[test]
fn nobody_listening_is_an_error() {
    let (_reserved, address) = nobody();
    let failure = failure(&address, 1);
    assert!(failure.contains("refused"), "{failure}");
}

#[test]
fn there_is_no_churn_of_websockets() {
    let address = each(|_, _| {});
    let one = NonZeroU64::MIN;
    let error = Churn::new(&address, Workload::WebSocket, 1, one, &patience()).unwrap_err();
    assert!(
        error.to_string().contains("over HTTP without a body"),
        "{error}"
    );
}
