//! Requests at a constant rate: when they're sent, and from when on their latency counts.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop")]

mod server;

use anyport_bench_load::{Address, Amount, ClosedLoop, OpenLoop, Workload};
use server::{RESPONSE, each, healthy, impatience, patience, request, serve};
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);

fn open(address: &Address, connections: usize) -> OpenLoop {
    OpenLoop::connect(address, Workload::Plaintext, connections, &patience()).unwrap()
}

/// Stalls for `stall` before every `nth` answer of a connection, at the first time in the middle of it.
fn stalling(nth: usize, stall: Duration) -> Address {
    each(move |_, mut stream| {
        for number in nth / 2.. {
            if request(&mut stream).is_none() {
                return;
            }
            if number % nth == nth - 1 {
                thread::sleep(stall);
            }
            if stream.write_all(RESPONSE).is_err() {
                return;
            }
        }
    })
}

#[test]
fn all_that_is_due_is_sent_and_answered() {
    let mut load = open(&healthy(), 4);
    for (rate, milliseconds, requests) in [(1000.0, 500, 500), (37.5, 400, 15), (10.0, 50, 0)] {
        let outcome = load.run(rate, Duration::from_millis(milliseconds)).unwrap();
        assert_eq!((outcome.requests, outcome.unsent), (requests, 0));
        assert_eq!(outcome.latency.len(), requests);
    }
}

#[test]
fn requests_are_sent_when_they_are_due_and_no_drift_adds_up() {
    let (sender, arrivals) = mpsc::channel();
    let address = each(move |_, mut stream| {
        while request(&mut stream).is_some() {
            sender.send(Instant::now()).unwrap();
            stream.write_all(RESPONSE).unwrap();
        }
    });
    let begun = Instant::now();
    let outcome = open(&address, 3).run(300.0, SECOND).unwrap();
    let mut arrivals: Vec<Duration> = arrivals
        .try_iter()
        .map(|arrival| arrival.duration_since(begun))
        .collect();
    arrivals.sort();
    assert_eq!((arrivals.len(), outcome.requests), (300, 300));
    for (index, arrival) in arrivals.iter().enumerate() {
        let due = Duration::from_secs_f64(index as f64 / 300.0);
        assert!(
            (due..due + Duration::from_secs(5)).contains(arrival),
            "request {index} was due at {due:?} and came at {arrival:?}"
        );
    }
}

#[test]
fn a_stall_is_charged_with_all_who_would_have_asked_meanwhile() {
    let stall = Duration::from_millis(400);
    let mut open = OpenLoop::connect(&stalling(800, stall), Workload::Plaintext, 1, &patience()).unwrap();
    let outcome = open.run(1000.0, SECOND).unwrap();
    // Of a thousand requests, the 400 that were due in the stall waited for its rest, each a millisecond less than the one before it.
    assert_eq!(outcome.requests, 1000);
    let latency = outcome.latency;
    assert!(
        latency.percentile(80.0) >= Duration::from_millis(195),
        "{latency:?}"
    );
    assert!(
        latency.percentile(95.0) >= Duration::from_millis(345),
        "{latency:?}"
    );
    assert!(latency.max() >= stall, "{latency:?}");
    // The load sent what it could: what was due in the stall was in line, and that's no lateness of the load.
    assert!(outcome.lateness.len() <= 601, "{:?}", outcome.lateness);

    // Who asks one after the other sees one slow answer in a thousand: this is what's omitted there.
    let closed = ClosedLoop::connect(&stalling(800, stall), Workload::Plaintext, 1, &patience()).unwrap();
    let outcome = closed.with_latency().run(Amount::Requests(1000)).unwrap();
    let latency = outcome.latency.unwrap();
    assert!(latency.max() >= stall, "{latency:?}");
    assert!(latency.percentile(95.0) < stall, "{latency:?}");
}

#[test]
fn short_stalls_of_a_few_show_among_the_slowest_of_a_thousand() {
    let stall = Duration::from_millis(20);
    let outcome = open(&stalling(100, stall), 4).run(2000.0, SECOND).unwrap();
    assert_eq!(outcome.requests, 2000);
    // A connection's requests are 2 ms apart, so that a stall delays ten of a hundred, by 11 ms on average.
    assert!(outcome.latency.percentile(99.9) >= stall, "{:?}", outcome.latency);
    assert!(
        outcome.latency.percentile(97.0) >= Duration::from_millis(10),
        "{:?}",
        outcome.latency
    );
}

#[test]
fn a_rate_that_is_too_high_is_told() {
    let address = each(|_, mut stream| {
        while request(&mut stream).is_some() {
            thread::sleep(Duration::from_millis(5));
            if stream.write_all(RESPONSE).is_err() {
                return;
            }
        }
    });
    // At most 200 a second: the last of 1,000 would be answered 4 s after the end.
    let outcome = open(&address, 1).run(1000.0, SECOND).unwrap();
    assert!(!outcome.kept_rate());
    assert!(outcome.achieved <= 200.0, "{}", outcome.achieved);
    assert_eq!(outcome.requests + outcome.unsent, 1000);
    assert!(outcome.requests <= 401, "{}", outcome.requests);
    assert_eq!(outcome.latency.len(), outcome.requests);
}

#[test]
fn what_stands_in_line_at_the_end_is_still_answered() {
    // The stall outlasts the run's time by 250 ms or more.
    let outcome = open(&stalling(100, Duration::from_millis(500)), 1)
        .run(200.0, Duration::from_millis(500))
        .unwrap();
    assert_eq!((outcome.requests, outcome.unsent), (100, 0));
    assert!(outcome.achieved < 200.0, "{}", outcome.achieved);
}

#[test]
fn a_silent_server_is_not_waited_for_forever() {
    let address = each(|_, mut stream| while request(&mut stream).is_some() {});
    let mut load = OpenLoop::connect(&address, Workload::Plaintext, 3, &impatience()).unwrap();
    let error = load.run(1000.0, 20 * SECOND).unwrap_err().to_string();
    assert!(
        error.contains("answered nothing for 1s, and 3 of 3 connections wait"),
        "{error}"
    );
}

#[test]
fn a_server_that_serves_only_some_is_told() {
    let address = each(|number, mut stream| {
        if number == 1 {
            while request(&mut stream).is_some() {}
        }
        serve(stream, &[vec![RESPONSE.to_vec()]], usize::MAX);
    });
    let mut load = OpenLoop::connect(&address, Workload::Plaintext, 3, &impatience()).unwrap();
    let error = load
        .run(100.0, Duration::from_millis(100))
        .unwrap_err()
        .to_string();
    assert!(error.contains("1 of 3 connections wait"), "{error}");
}

#[test]
fn a_connection_that_is_closed_while_it_is_idle_is_an_error() {
    let address = each(|_, stream| serve(stream, &[vec![RESPONSE.to_vec()]], 1));
    let error = format!("{:#}", open(&address, 2).run(20.0, 10 * SECOND).unwrap_err());
    assert!(
        error.contains("after 1 responses: the server closed it"),
        "{error}"
    );
}

#[test]
fn what_is_no_rate_is_refused() {
    let mut load = open(&healthy(), 1);
    for rate in [0.0, -1.0, 1e9, f64::NAN, f64::INFINITY] {
        let error = load.run(rate, SECOND).unwrap_err().to_string();
        assert!(
            error.contains("has to be more than 0 and at most 10000000"),
            "{error}"
        );
    }
    let error = OpenLoop::connect(&healthy(), Workload::Plaintext, 0, &patience()).unwrap_err();
    assert!(error.to_string().contains("at least one connection"), "{error}");
}

#[test]
fn a_run_that_is_ended_early_tells_what_there_was() {
    let end = Arc::new(AtomicBool::new(false));
    let patience = patience().ending_with(Arc::clone(&end));
    let address = each(move |_, mut stream| {
        while request(&mut stream).is_some() {
            end.store(true, Ordering::Relaxed);
            stream.write_all(RESPONSE).unwrap();
        }
    });
    let mut load = OpenLoop::connect(&address, Workload::Plaintext, 1, &patience).unwrap();
    let outcome = load.run(1000.0, 600 * SECOND).unwrap();
    assert!((1..60_000).contains(&outcome.requests), "{outcome:?}");
}
