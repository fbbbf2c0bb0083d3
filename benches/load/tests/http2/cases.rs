//! The tests.

use crate::responder::{Answer, Transport, hello, server};
use crate::server::{healthy, impatience, patience};
use anyport_bench_load::{Address, Amount, H2Load, Interrupted, Workload, ask_over_http2};
use bytes::Bytes;
use http::StatusCode;
use libtest_mimic::{Arguments, Failed, Trial};
use std::num::NonZeroUsize;
use std::process::{Command, ExitCode};
use std::sync::{Arc, atomic::AtomicBool};
use std::time::Duration;

const BY_H2LOAD: [(&str, fn()); 10] = [
    ("exactly_as_many_requests_are_answered_as_were_ordered", requests),
    ("a_duration_ends_and_its_rate_is_of_it", duration),
    ("latencies_are_told_on_demand", latency),
    ("tls_and_unix_sockets_are_asked_alike", transports),
    ("a_body_is_sent_and_comes_back", body),
    ("another_status_is_told", status),
    ("another_length_is_told", length),
    ("a_connection_that_is_never_answered_is_told", starvation),
    ("who_answers_all_starves_nobody", no_starvation),
    ("a_run_can_be_interrupted", interruption),
];

/// Of one request, and of none.
const WITHOUT_H2LOAD: [(&str, fn()); 6] = [
    ("an_answer_is_told_whole", whole_answer),
    ("one_request_goes_over_tls_and_unix_sockets_alike", one_over_each),
    ("a_body_larger_than_any_window_is_read_to_its_end", large_body),
    ("a_server_without_http2_is_told", no_http2),
    ("a_silent_server_is_not_waited_for_forever", silence),
    ("a_websocket_is_refused", websocket),
];

pub(crate) fn run() -> ExitCode {
    let missing = Command::new("h2load").arg("--version").output().err();
    let by_h2load = BY_H2LOAD.into_iter().map(|(name, body)| match &missing {
        None => trial(name, body),
        // Also if somebody asks for ignored tests: a test that can't be run is never green.
        Some(error) => {
            let why = format!("needs h2load: {error}");
            Trial::test(name, move || Err(Failed::from(why)))
                .with_kind("needs h2load")
                .with_ignored_flag(true)
        }
    });
    let others = WITHOUT_H2LOAD.into_iter().map(|(name, body)| trial(name, body));
    let trials = by_h2load.chain(others).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn trial(name: &str, body: fn()) -> Trial {
    Trial::test(name, move || {
        body();
        Ok(())
    })
}

fn load(address: &Address, workload: Workload) -> H2Load {
    let (connections, streams) = (NonZeroUsize::new(3).unwrap(), NonZeroUsize::new(8).unwrap());
    H2Load::new(address, workload, connections, streams, &patience()).unwrap()
}

fn failure(answer: Answer) -> String {
    let load = load(&server(Transport::Tcp, answer), Workload::Plaintext);
    load.run(Amount::Requests(100)).unwrap_err().to_string()
}

fn requests() {
    let load = load(&server(Transport::Tcp, hello), Workload::Plaintext);
    for requests in [3, 100, 2000] {
        let outcome = load.run(Amount::Requests(requests)).unwrap();
        assert_eq!(outcome.requests, requests);
        let elapsed = requests as f64 / outcome.rate;
        assert!(elapsed <= outcome.effort.elapsed.as_secs_f64(), "{outcome:?}");
    }
    let error = load.run(Amount::Requests(2)).unwrap_err().to_string();
    assert!(error.contains("fewer than the 3 connections"), "{error}");
}

fn duration() {
    let load = load(&server(Transport::Tcp, hello), Workload::Plaintext);
    let outcome = load.run(Amount::For(Duration::from_secs(1))).unwrap();
    assert!(outcome.requests > 3);
    assert!(
        (outcome.rate - outcome.requests as f64).abs() < 0.1,
        "{outcome:?}"
    );
    assert!(outcome.effort.elapsed >= Duration::from_secs(1), "{outcome:?}");
}

fn latency() {
    let load = load(&server(Transport::Tcp, hello), Workload::Plaintext);
    assert!(load.run(Amount::Requests(50)).unwrap().latency.is_none());
    let outcome = load.with_latency().run(Amount::Requests(50)).unwrap();
    let latency = outcome.latency.unwrap();
    assert_eq!(latency.len(), 50);
    assert!(
        latency.min() > Duration::ZERO && latency.max() <= outcome.effort.elapsed,
        "{latency:?}"
    );
}

fn transports() {
    let folder = tempfile::tempdir().unwrap();
    let unix = Transport::Unix(folder.path().join("h2.sock"));
    for transport in [Transport::Tls, unix] {
        let load = load(&server(transport, hello), Workload::Plaintext);
        assert_eq!(load.run(Amount::Requests(50)).unwrap().requests, 50);
    }
}

fn body() {
    let load = load(
        &server(Transport::Tcp, |_, body| Some((StatusCode::OK, body))),
        Workload::Echo,
    );
    assert_eq!(load.run(Amount::Requests(50)).unwrap().requests, 50);
}

fn status() {
    let failure = failure(|_, body| Some((StatusCode::NOT_FOUND, body)));
    // h2load calls those failed, too.
    assert!(failure.contains("100 requests failed"), "{failure}");
    let redirected = self::failure(|_, _| Some((StatusCode::FOUND, Bytes::from_static(b"Hello, World!"))));
    assert!(
        redirected.contains("100 of 100 requests were answered with a redirection"),
        "{redirected}"
    );
}

fn length() {
    let failure = failure(|_, _| Some((StatusCode::OK, Bytes::from_static(b"Hello"))));
    assert!(failure.contains("and 500 bytes came"), "{failure}");
}

/// One of three, for which h2load doesn't wait when the time is over.
fn starvation() {
    for transport in [Transport::Tcp, Transport::Tls] {
        let address = server(transport, |number, body| {
            (number != 1).then(|| hello(number, body)).flatten()
        });
        let outcome = load(&address, Workload::Plaintext)
            .run(Amount::For(Duration::from_secs(1)))
            .unwrap();
        assert!(outcome.starved && outcome.requests > 3, "{outcome:?}");
    }
}

fn no_starvation() {
    let load = load(&server(Transport::Tcp, hello), Workload::Plaintext);
    for amount in [Amount::For(Duration::from_secs(1)), Amount::Requests(3)] {
        let outcome = load.run(amount).unwrap();
        assert!(!outcome.starved, "{outcome:?}");
    }
}

fn interruption() {
    let end = Arc::new(AtomicBool::new(true));
    let patience = patience().ending_with(end);
    let one = NonZeroUsize::MIN;
    let address = server(Transport::Tcp, hello);
    let load = H2Load::new(&address, Workload::Plaintext, one, one, &patience).unwrap();
    let error = load.run(Amount::For(Duration::from_secs(600))).unwrap_err();
    assert!(error.is::<Interrupted>(), "{error}");
}

fn whole_answer() {
    let address = server(Transport::Tcp, |_, body| Some((StatusCode::ACCEPTED, body)));
    let answer = ask_over_http2(&address, Workload::Echo, &patience()).unwrap();
    assert_eq!(answer.status, 202);
    assert_eq!(answer.headers, [("x-number".to_owned(), "0".to_owned())]);
    assert_eq!(answer.body, Workload::Echo.request_body());
}

fn one_over_each() {
    let folder = tempfile::tempdir().unwrap();
    let unix = Transport::Unix(folder.path().join("h2.sock"));
    for transport in [Transport::Tls, unix] {
        let answer = ask_over_http2(&server(transport, hello), Workload::Plaintext, &patience()).unwrap();
        assert_eq!((answer.status, &answer.body[..]), (200, &b"Hello, World!"[..]));
    }
}

fn large_body() {
    let address = server(Transport::Tcp, |_, _| {
        let file = Workload::Download1M.response_body();
        Some((StatusCode::OK, file.into()))
    });
    let answer = ask_over_http2(&address, Workload::Download1M, &patience()).unwrap();
    assert!(answer.body == Workload::Download1M.response_body());
}

fn no_http2() {
    let error = ask_over_http2(&healthy(), Workload::Plaintext, &patience()).unwrap_err();
    let error = format!("{error:#}");
    assert!(error.contains("over HTTP/2"), "{error}");
}

fn silence() {
    let address = server(Transport::Tcp, |_, _| None);
    let error = ask_over_http2(&address, Workload::Plaintext, &impatience()).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("no response over HTTP/2 came for 1s"), "{error}");
}

/// Nothing is run.
fn websocket() {
    let address = Address::Tcp(([127, 0, 0, 1], 1).into());
    let one = NonZeroUsize::MIN;
    let error = H2Load::new(&address, Workload::WebSocket, one, one, &patience()).unwrap_err();
    assert!(error.to_string().contains("over HTTP"), "{error}");
}
