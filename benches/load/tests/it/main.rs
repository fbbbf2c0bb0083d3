//! The load against servers of a few lines, which answer well or badly.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop")]

mod server;
mod tls;
mod websocket;

use anyport_bench_load::{
    Address, Amount, Crowd, Interrupted, Kind, Load, Mixed, Patience, Workload, ask,
};
use server::{RESPONSE, each, healthy, impatience, patience, request, response, serve};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

const PLAINTEXT: Kind = Kind::KeepAlive(Workload::Plaintext);

fn server(answers: Vec<Vec<Vec<u8>>>, requests: usize) -> Address {
    each(move |_, stream| serve(stream, &answers, requests))
}

fn load(address: &Address, kind: Kind, connections: usize) -> Load {
    Load::connect(address, kind, connections, &patience()).unwrap()
}

/// Why a load of two connections, which is soon impatient, doesn't come to its end.
fn failure(address: &Address, kind: Kind) -> String {
    let made = Load::connect(address, kind, 2, &impatience());
    let ran = made.and_then(|mut load| load.run(Amount::Requests(100)));
    format!("{:#}", ran.unwrap_err())
}

fn contains(text: &str, parts: &[&str]) {
    assert!(parts.iter().any(|part| text.contains(part)), "{text}");
}

/// Answers, and closes after a request that asks for it.
fn closing(mut stream: impl std::io::Read + std::io::Write) {
    while let Some(head) = request(&mut stream) {
        stream.write_all(RESPONSE).unwrap();
        if head.contains("\r\nConnection: close\r\n") {
            return;
        }
    }
}

#[test]
fn exactly_as_many_requests_are_answered_as_were_ordered() {
    let mut load = load(&healthy(), PLAINTEXT, 8);
    for requests in [0, 1, 7, 8, 9, 1000] {
        assert_eq!(
            load.run(Amount::Requests(requests)).unwrap().count,
            requests
        );
    }
}

#[test]
fn a_duration_ends_and_leaves_nothing_in_flight() {
    let mut load = load(&healthy(), PLAINTEXT, 3);
    let outcome = load.run(Amount::For(Duration::from_secs(1))).unwrap();
    assert!(outcome.count >= 3, "{outcome:?}");
    assert_eq!((outcome.starved, load.starved()), (0, 0));
    let busy = outcome.effort.busy();
    assert!(busy > 0.0 && busy <= 1.0, "{busy}");
    assert!(outcome.effort.elapsed >= Duration::from_secs(1));
    assert_eq!(load.run(Amount::Requests(10)).unwrap().count, 10);
}

#[test]
fn a_response_may_be_split_at_every_byte() {
    let split = |at| vec![RESPONSE[..at].to_vec(), RESPONSE[at..].to_vec()];
    let answers = (1..RESPONSE.len()).map(split).collect();
    let mut load = load(&server(answers, usize::MAX), PLAINTEXT, 2);
    assert_eq!(load.run(Amount::Requests(400)).unwrap().count, 400);
}

#[test]
fn unix_sockets_are_asked_alike() {
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
    let crowd = Crowd::connect(&address, Workload::Plaintext, 3, &patience());
    crowd.unwrap().ask_each().unwrap();
    let answer = ask(&address, Workload::Plaintext, &patience()).unwrap();
    assert_eq!(answer.body, b"Hello, World!");
}

#[test]
fn every_workload_is_asked_and_its_answer_compared() {
    for workload in Workload::ALL.into_iter().filter(|of| !of.is_websocket()) {
        let answer = response(&workload.response_body());
        let address = server(vec![vec![answer.clone()]], usize::MAX);
        let mut good = load(&address, Kind::KeepAlive(workload), 2);
        let run = good.run(Amount::Requests(10));
        assert_eq!(run.unwrap().count, 10, "{workload}");
        let answered = ask(&address, workload, &patience()).unwrap();
        assert_eq!(answered.body, workload.response_body());

        let mut wrong = answer;
        *wrong.last_mut().unwrap() ^= 1;
        let address = server(vec![vec![wrong]], usize::MAX);
        let last = workload.response_body().len() - 1;
        let error = failure(&address, Kind::KeepAlive(workload));
        contains(&error, &[&format!("from its byte {last} on")]);
    }
}

#[test]
fn what_is_wrong_is_an_error_that_says_where() {
    let unavailable = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n".to_vec();
    let error = failure(
        &server(vec![vec![RESPONSE.to_vec()], vec![unavailable]], usize::MAX),
        PLAINTEXT,
    );
    contains(
        &error,
        &["of 2: after 1 responses: status 503 instead of 200"],
    );
    let error = failure(&server(vec![vec![RESPONSE.to_vec()]], 3), PLAINTEXT);
    contains(
        &error,
        &[
            "after 3 responses: the server closed it",
            "the server reset it",
        ],
    );
    let error = failure(
        &server(vec![vec![RESPONSE.repeat(2)]], usize::MAX),
        PLAINTEXT,
    );
    contains(&error, &["bytes more than the answer has"]);
    let (_reserved, address) = server::nobody();
    let error = failure(&address, PLAINTEXT);
    contains(
        &error,
        &[&format!("cannot connect to {address}: Connection refused")],
    );
}

#[test]
fn a_server_that_serves_only_some_is_not_waited_for_forever() {
    let address = each(|number, mut stream| {
        if number == 1 {
            while request(&mut stream).is_some() {}
        }
        serve(stream, &[vec![RESPONSE.to_vec()]], usize::MAX);
    });
    let mut load = Load::connect(&address, PLAINTEXT, 3, &impatience()).unwrap();
    let error = load.run(Amount::For(Duration::from_millis(50)));
    let error = error.unwrap_err().to_string();
    contains(
        &error,
        &["answered nothing, and 1 of 3 connections wait for it for 1s"],
    );
}

#[test]
fn a_server_that_serves_some_only_afterwards_is_told() {
    let (over, waits) = mpsc::channel();
    let waits = Arc::new(Mutex::new(waits));
    let address = each(move |number, mut stream| {
        if number == 1 {
            // After the run's time it isn't asked any more.
            stream
                .set_read_timeout(Some(Duration::from_secs(1)))
                .unwrap();
        }
        while request(&mut stream).is_some() {
            if number == 0 {
                waits.lock().unwrap().recv().unwrap();
            }
            stream.write_all(RESPONSE).unwrap();
        }
        if number == 1 {
            over.send(()).unwrap();
            stream.set_read_timeout(None).unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
        }
    });
    let mut load = load(&address, PLAINTEXT, 3);
    let outcome = load.run(Amount::For(Duration::from_millis(100))).unwrap();
    assert_eq!((outcome.starved, load.starved()), (1, 1));
    assert!(outcome.count > 3, "{outcome:?}");
}

#[test]
fn a_run_can_be_interrupted() {
    let stop = Arc::new(AtomicBool::new(false));
    let patience = Patience::new(Duration::from_secs(60), Arc::clone(&stop));
    let mut load = Load::connect(&healthy(), PLAINTEXT, 1, &patience).unwrap();
    stop.store(true, Relaxed);
    let error = load.run(Amount::For(Duration::from_secs(600))).unwrap_err();
    assert!(error.is::<Interrupted>(), "{error}");
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
    assert_eq!(
        (answer.status, answer.body),
        (200, b"Hello, World!".to_vec())
    );
    assert_eq!(
        answer.headers,
        [("content-length".to_owned(), "13".to_owned())]
    );
}

#[test]
fn connections_that_come_and_go_are_each_closed_by_the_server() {
    let (sender, visits) = mpsc::channel();
    let address = each(move |_, stream| {
        closing(stream);
        sender.send(()).unwrap();
    });
    let mut load = load(&address, Kind::Churn, 3);
    for connections in [0, 1, 2, 100] {
        let outcome = load.run(Amount::Requests(connections)).unwrap();
        assert_eq!(outcome.count, connections);
    }
    // One of them looked whether the server plays along.
    assert_eq!(visits.iter().take(104).count(), 104);
    let outcome = load.run(Amount::For(Duration::from_millis(50))).unwrap();
    assert!(outcome.count >= 3, "{outcome:?}");
}

#[test]
fn a_server_that_does_not_play_along_with_churn_is_told() {
    let stays = each(|_, stream| serve(stream, &[vec![RESPONSE.to_vec()]], usize::MAX));
    contains(
        &failure(&stays, Kind::Churn),
        &["didn't close a connection"],
    );
    let leaves = each(|_, mut stream| drop(request(&mut stream)));
    contains(
        &failure(&leaves, Kind::Churn),
        &["the server closed it", "the server reset it"],
    );
    let silent = each(|_, mut stream| drop(stream.read_to_end(&mut Vec::new())));
    contains(&failure(&silent, Kind::Churn), &["answered nothing"]);
    let wrong = each(|_, mut stream| {
        request(&mut stream);
        stream.write_all(b"HTTP/1.1 404 Not Found\r\n\r\n").unwrap();
    });
    contains(&failure(&wrong, Kind::Churn), &["status 404"]);
}

#[test]
fn a_mix_uses_all_kinds_of_connections() {
    let downloads = [Workload::Download64K, Workload::Download1M]
        .map(|workload| (workload, response(&workload.response_body())));
    let address = each(move |_, mut stream| {
        while let Some(head) = request(&mut stream) {
            let download = downloads
                .iter()
                .find(|(workload, _)| head.contains(&format!(" {} ", workload.path())));
            let answer = download.map_or(RESPONSE, |(_, answer)| answer);
            if stream.write_all(answer).is_err() || head.contains("Connection: close") {
                return;
            }
        }
    });
    let mut mixed = Mixed::connect(&address, 20, &patience()).unwrap();
    let mut whole = 0;
    // No turn leaves a response half read but those of slow readers, who have theirs in the end.
    while whole == 0 {
        let outcome = mixed.run(Duration::from_millis(50)).unwrap();
        assert!(outcome.count >= 100, "{outcome:?}");
        whole = outcome.count % 100;
    }
}
