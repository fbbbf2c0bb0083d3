//! Slow clients.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop")]

mod server;

use anyport_bench_load::{Amount, ClosedLoop, Trickle, Workload};
use server::{RESPONSE, each, healthy, patience, request};
use std::io::{Read as _, Write as _};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(2);

#[test]
fn a_request_comes_byte_by_byte() {
    let (sender, pieces) = mpsc::channel();
    let address = each(move |_, mut stream| {
        let mut head = Vec::new();
        let mut piece = [0; 64];
        while let Ok(read @ 1..) = stream.read(&mut piece) {
            head.extend_from_slice(&piece[..read]);
            let is_last = head.ends_with(b"\r\n\r\n");
            sender.send((head.len(), Instant::now(), is_last)).unwrap();
            if is_last {
                break;
            }
        }
    });
    let begun = Instant::now();
    let clients = Trickle::start(&address, Workload::Plaintext, 1, PAUSE, &patience()).unwrap();
    loop {
        let (length, arrival, is_last) = pieces.recv().unwrap();
        // However late the server reads, no byte comes before its time.
        let due = PAUSE * (length as u32 - 1);
        let arrival = arrival.duration_since(begun);
        assert!(arrival >= due, "{length} bytes came within {arrival:?}");
        if is_last {
            break;
        }
    }
    drop(clients);
}

#[test]
fn slow_clients_go_on_beside_others() {
    let (sender, answered) = mpsc::channel();
    let address = each(move |_, mut stream| {
        while request(&mut stream).is_some() {
            stream.write_all(RESPONSE).unwrap();
            let _ = sender.send(());
        }
    });
    let clients = Trickle::start(&address, Workload::Plaintext, 5, PAUSE, &patience()).unwrap();
    // Two of each, so that the first answer was read.
    for _ in 0..10 {
        answered.recv().unwrap();
    }
    let mut others = ClosedLoop::connect(&address, Workload::Plaintext, 2, &patience()).unwrap();
    assert_eq!(others.run(Amount::Requests(100)).unwrap().requests, 100);
    let outcome = clients.stop().unwrap();
    assert!(outcome.requests >= 5, "{outcome:?}");
    assert_eq!(outcome.turned_away, 0);
    assert!(outcome.bytes >= 35 * outcome.requests, "{outcome:?}");
}

#[test]
fn who_is_turned_away_is_replaced_and_counted() {
    let (sender, turned_away) = mpsc::channel();
    let address = each(move |number, mut stream| {
        let _ = stream.read(&mut [0; 5]);
        // Some servers say why, some don't.
        if number % 2 == 0 {
            let _ = stream.write_all(b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\n\r\n");
        }
        let _ = sender.send(());
    });
    let clients = Trickle::start(&address, Workload::Plaintext, 2, PAUSE, &patience()).unwrap();
    for _ in 0..10 {
        turned_away.recv().unwrap();
    }
    let outcome = clients.stop().unwrap();
    assert!(outcome.turned_away >= 8, "{outcome:?}");
    assert_eq!(outcome.requests, 0);
}

#[test]
fn a_wrong_answer_is_an_error() {
    let (sender, answered) = mpsc::channel();
    let address = each(move |_, mut stream| {
        request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n");
        // Until the client goes, which it does when it has read that.
        let _ = stream.read_to_end(&mut Vec::new());
        let _ = sender.send(());
    });
    let clients = Trickle::start(&address, Workload::Plaintext, 1, PAUSE, &patience()).unwrap();
    answered.recv().unwrap();
    let error = format!("{:#}", clients.stop().unwrap_err());
    assert!(error.contains("a slow client: status 500"), "{error}");
}

#[test]
fn there_has_to_be_a_pause() {
    let error = Trickle::start(&healthy(), Workload::Plaintext, 1, Duration::ZERO, &patience()).unwrap_err();
    assert!(error.to_string().contains("need a pause"), "{error}");
}
