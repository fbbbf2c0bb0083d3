//! The load against servers of a few lines, which answer well or badly.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop")]

mod server;

use anyport_bench_load::{
    Address, Amount, ClosedLoop, Crowd, Interrupted, Mixed, Patience, Workload, ask,
};
use server::{RESPONSE, each, healthy, impatience, nobody, patience, request, response, serve};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex, atomic::AtomicBool, mpsc};
use std::thread;
use std::time::Duration;

fn server(answers: Vec<Vec<Vec<u8>>>, requests: usize) -> Address {
    each(move |_, stream| serve(stream, &answers, requests))
}

fn failure(address: &Address) -> String {
    let mut load = ClosedLoop::connect(address, Workload::Plaintext, 2, &patience()).unwrap();
    format!("{:#}", load.run(Amount::Requests(100)).unwrap_err())
}

#[test]
fn exactly_as_many_requests_are_answered_as_were_ordered() {
    let mut load = ClosedLoop::connect(&healthy(), Workload::Plaintext, 8, &patience()).unwrap();
    for requests in [0, 1, 7, 8, 9, 1000] {
        assert_eq!(
            load.run(Amount::Requests(requests)).unwrap().requests,
            requests
        );
    }
}

#[test]
fn a_duration_ends_and_leaves_nothing_in_flight() {
    let mut load = ClosedLoop::connect(&healthy(), Workload::Plaintext, 4, &patience()).unwrap();
    let done = load
        .run(Amount::For(Duration::from_millis(50)))
        .unwrap()
        .requests;
    assert!(done >= 4, "{done}");
    assert_eq!(load.run(Amount::Requests(10)).unwrap().requests, 10);
}

#[test]
fn a_response_may_be_split_at_every_byte() {
    let answers = (1..RESPONSE.len())
        .map(|at| vec![RESPONSE[..at].to_vec(), RESPONSE[at..].to_vec()])
        .collect();
    let mut load = ClosedLoop::connect(
        &server(answers, usize::MAX),
        Workload::Plaintext,
        2,
        &patience(),
    )
    .unwrap();
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
        ask(&address, Workload::Plaintext, &patience())
            .unwrap()
            .body,
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
    let mut load = ClosedLoop::connect(&address, Workload::Plaintext, 1, &impatience()).unwrap();
    let error = load.run(Amount::Requests(1)).unwrap_err().to_string();
    assert!(error.contains("answered nothing for 1s"), "{error}");
}

#[test]
fn a_server_that_serves_only_some_is_told() {
    let address = each(|number, mut stream| {
        if number == 1 {
            while request(&mut stream).is_some() {}
        }
        serve(stream, &[vec![RESPONSE.to_vec()]], usize::MAX);
    });
    let mut load = ClosedLoop::connect(&address, Workload::Plaintext, 3, &impatience()).unwrap();
    let error = load
        .run(Amount::For(Duration::from_millis(50)))
        .unwrap_err()
        .to_string();
    assert!(error.contains("1 of 3 connections wait for it"), "{error}");
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
    let mut load = ClosedLoop::connect(&address, Workload::Plaintext, 3, &patience()).unwrap();
    let outcome = load.run(Amount::For(Duration::from_millis(100))).unwrap();
    assert_eq!(outcome.starved, 1);
    assert!(outcome.requests > 3);
}

#[test]
fn who_answers_all_starves_nobody() {
    let mut load = ClosedLoop::connect(&healthy(), Workload::Plaintext, 3, &patience()).unwrap();
    let outcome = load.run(Amount::For(Duration::from_secs(1))).unwrap();
    assert_eq!(outcome.starved, 0);
    let busy = outcome.effort.busy();
    assert!(busy > 0.0 && busy <= 1.0, "{busy}");
    assert!(outcome.effort.elapsed >= Duration::from_secs(1));
}

#[test]
fn every_workload_is_asked_and_its_answer_compared() {
    for workload in Workload::ALL {
        if workload == Workload::WebSocket {
            continue;
        }
        let answer = response(&workload.response_body());
        let address = server(vec![vec![answer.clone()]], usize::MAX);
        let mut load = ClosedLoop::connect(&address, workload, 2, &patience()).unwrap();
        assert_eq!(
            load.run(Amount::Requests(20)).unwrap().requests,
            20,
            "{workload}"
        );
        assert_eq!(
            ask(&address, workload, &patience()).unwrap().body,
            workload.response_body()
        );

        let mut wrong = answer;
        *wrong.last_mut().unwrap() ^= 1;
        let address = server(vec![vec![wrong]], usize::MAX);
        let mut load = ClosedLoop::connect(&address, workload, 2, &patience()).unwrap();
        let error = format!("{:#}", load.run(Amount::Requests(20)).unwrap_err());
        let last = format!(
            "another body than the expected one, from its byte {} on",
            workload.response_body().len() - 1
        );
        assert!(error.contains(&last), "{error}");
    }
}

#[test]
fn an_answer_that_nobody_asked_for_is_an_error() {
    let failure = failure(&server(vec![vec![RESPONSE.repeat(2)]], usize::MAX));
    assert!(
        failure.contains("bytes more than the response announced"),
        "{failure}"
    );
}

#[test]
fn a_run_that_is_ended_early_tells_what_there_was() {
    let end = Arc::new(AtomicBool::new(true));
    let patience = patience().ending_with(Arc::clone(&end));
    let mut load = ClosedLoop::connect(&healthy(), Workload::Plaintext, 2, &patience).unwrap();
    let outcome = load.run(Amount::For(Duration::from_secs(600))).unwrap();
    assert_eq!(outcome.requests, 2);
}

#[test]
fn a_run_can_be_interrupted() {
    let stop = Arc::new(AtomicBool::new(false));
    let patience = Patience::new(Duration::from_secs(60), Arc::clone(&stop));
    let mut load = ClosedLoop::connect(&healthy(), Workload::Plaintext, 1, &patience).unwrap();
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let error = load.run(Amount::For(Duration::from_secs(600))).unwrap_err();
    assert!(error.is::<Interrupted>(), "{error}");
}

#[test]
fn nobody_listening_is_an_error_that_names_the_address() {
    let (_reserved, address) = nobody();
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
    assert_eq!(
        answer.headers,
        [("content-length".to_owned(), "13".to_owned())]
    );
    assert_eq!(answer.body, b"Hello, World!");
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
    let (responses, _) = mixed.run(Duration::from_millis(50)).unwrap();
    assert!(responses >= 100, "{responses}");
    // No turn leaves a response half read but those of slow readers.
    mixed.run(Duration::from_millis(50)).unwrap();
}
