//! When attempts begin, which one wins, and what an error says.
use super::{
    fixture::{only_ipv4, run, scripted},
    network::{
        Fate::{BadHandshake, Connects, Fails, SilentHandshake},
        Network, a, aaaa,
    },
};
use crate::{Attempt, ConnectErrorKind, HappyEyeballs};
use std::{
    error::Error,
    io::ErrorKind,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    time::Duration,
};

const REFUSED: ErrorKind = ErrorKind::ConnectionRefused;

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn dead_first_address_costs_250_ms() {
    let network = Network::new(&[("192.0.2.1", Connects(7))]);
    let answers = || vec![(0, aaaa("2001:db8::1")), (0, a("192.0.2.1"))];
    let run = run(&network, &scripted(&network, answers));
    let log = [(0, "2001:db8::1"), (250, "192.0.2.1")];
    run.assert_won("192.0.2.1:443", 257, &log);
}

#[test]
fn next_attempt_begins_at_once_when_one_fails() {
    let network = Network::new(&[
        ("2001:db8::1", Fails(3, REFUSED)),
        ("192.0.2.1", Fails(0, REFUSED)),
        ("2001:db8::2", Connects(1)),
    ]);
    let answers = || vec![(0, aaaa("2001:db8::1 2001:db8::2")), (0, a("192.0.2.1"))];
    let run = run(&network, &scripted(&network, answers));
    let log = [(0, "2001:db8::1"), (3, "192.0.2.1"), (3, "2001:db8::2")];
    run.assert_won("[2001:db8::2]:443", 4, &log);
}

#[test]
fn failure_restarts_the_delay_of_the_next_attempt() {
    let network = Network::new(&[
        ("2001:db8::1", Fails(100, REFUSED)),
        ("192.0.2.2", Connects(0)),
    ]);
    let answers = || vec![(0, aaaa("2001:db8::1")), (0, a("192.0.2.1 192.0.2.2"))];
    let run = run(&network, &scripted(&network, answers));
    let log = [(0, "2001:db8::1"), (100, "192.0.2.1"), (350, "192.0.2.2")];
    run.assert_won("192.0.2.2:443", 350, &log);
}

#[test]
fn slow_first_attempt_may_still_win() {
    let network = Network::new(&[("2001:db8::1", Connects(300)), ("192.0.2.1", Connects(51))]);
    let answers = || vec![(0, aaaa("2001:db8::1")), (0, a("192.0.2.1"))];
    let run = run(&network, &scripted(&network, answers));
    let log = [(0, "2001:db8::1"), (250, "192.0.2.1")];
    run.assert_won("[2001:db8::1]:443", 300, &log);
}

#[test]
fn late_ipv6_addresses_delay_ipv4_by_50_ms() {
    let network = Network::new(&[("192.0.2.1", Connects(5)), ("2001:db8::1", Connects(0))]);
    let answers = || vec![(10, a("192.0.2.1")), (1000, aaaa("2001:db8::1"))];
    let run = run(&network, &scripted(&network, answers));
    run.assert_won("192.0.2.1:443", 65, &[(60, "192.0.2.1")]);
}

#[test]
fn ipv6_within_the_resolution_delay_is_first() {
    let network = Network::new(&[("192.0.2.1", Connects(0)), ("2001:db8::1", Connects(2))]);
    let answers = || vec![(10, a("192.0.2.1")), (59, aaaa("2001:db8::1"))];
    let run = run(&network, &scripted(&network, answers));
    run.assert_won("[2001:db8::1]:443", 61, &[(59, "2001:db8::1")]);
}

#[test]
fn ipv6_does_not_wait_for_ipv4() {
    let network = Network::new(&[("2001:db8::1", Connects(2))]);
    let answers = || vec![(10, aaaa("2001:db8::1")), (5000, a("192.0.2.1"))];
    let run = run(&network, &scripted(&network, answers));
    run.assert_won("[2001:db8::1]:443", 12, &[(10, "2001:db8::1")]);
}

#[test]
fn negative_answer_for_ipv6_ends_the_resolution_delay() {
    for (early, late) in [(10, 30), (30, 10)] {
        let network = Network::new(&[("192.0.2.1", Connects(0))]);
        let answers = move || {
            let mut both = vec![(early, a("192.0.2.1")), (late, aaaa(""))];
            both.sort_by_key(|(at, _)| *at);
            both
        };
        let run = run(&network, &scripted(&network, answers));
        run.assert_won("192.0.2.1:443", 30, &[(30, "192.0.2.1")]);
    }
}

#[test]
fn later_addresses_join_a_race() {
    let network = Network::new(&[("2001:db8::1", Connects(20))]);
    let answers = || vec![(0, a("192.0.2.1 192.0.2.2")), (1000, aaaa("2001:db8::1"))];
    let happy_eyeballs = scripted(&network, answers).with_attempt_delay(millis(480));
    let run = run(&network, &happy_eyeballs);
    let log = [(50, "192.0.2.1"), (530, "192.0.2.2"), (1010, "2001:db8::1")];
    run.assert_won("[2001:db8::1]:443", 1030, &log);
}

#[test]
fn later_addresses_begin_at_once_if_nothing_is_in_flight() {
    let network = Network::new(&[
        ("192.0.2.1", Fails(10, REFUSED)),
        ("2001:db8::1", Connects(1)),
    ]);
    let answers = || vec![(0, a("192.0.2.1")), (1000, aaaa("2001:db8::1"))];
    let run = run(&network, &scripted(&network, answers));
    let log = [(50, "192.0.2.1"), (1000, "2001:db8::1")];
    run.assert_won("[2001:db8::1]:443", 1001, &log);
}

#[test]
fn family_of_the_last_winner_is_first_and_waits_for_no_other() {
    let network = Network::new(&[("192.0.2.1", Connects(5)), ("2001:db8::1", Connects(400))]);
    let answers = || vec![(0, a("192.0.2.1")), (0, aaaa("2001:db8::1"))];
    let happy_eyeballs = scripted(&network, answers);
    // A clone remembers, too.
    let clone = happy_eyeballs.clone();
    run(&network, &happy_eyeballs)
        .assert_history_ends_with(&[(0, "2001:db8::1"), (250, "192.0.2.1")]);
    let run = run(&network, &clone);
    run.assert_history_ends_with(&[(255, "192.0.2.1")]);
}

#[test]
fn addresses_wait_for_the_family_of_the_last_winner() {
    for (late, log) in [(300, (300, "192.0.2.1")), (306, (305, "2001:db8::1"))] {
        let network = Network::new(&[("192.0.2.1", Connects(5)), ("2001:db8::1", Connects(400))]);
        let runs = AtomicUsize::new(0);
        let answers = move || match runs.fetch_add(1, SeqCst) {
            0 => vec![(0, aaaa("2001:db8::1")), (0, a("192.0.2.1"))],
            // From 255 on, when the first run has ended.
            _ => vec![(255, aaaa("2001:db8::1")), (late, a("192.0.2.1"))],
        };
        let happy_eyeballs = scripted(&network, answers);
        run(&network, &happy_eyeballs);
        let second = run(&network, &happy_eyeballs);
        assert_eq!(second.log[2], (log.0, log.1.to_owned()), "{late}");
    }
}

#[test]
fn attempt_delay_is_within_the_bounds_of_rfc_8305() {
    for (set, expected) in [(0, 10), (9, 10), (100, 100), (2000, 2000), (60_000, 2000)] {
        let network = Network::new(&[("192.0.2.1", Connects(0))]);
        let answers = || vec![(0, aaaa("2001:db8::1")), (0, a("192.0.2.1"))];
        let happy_eyeballs = scripted(&network, answers).with_attempt_delay(millis(set));
        let log = [(0, "2001:db8::1"), (expected, "192.0.2.1")];
        run(&network, &happy_eyeballs).assert_won("192.0.2.1:443", expected, &log);
    }
}

#[test]
fn oldest_attempt_makes_room_after_3_s() {
    let network = Network::new(&[("192.0.2.4", Connects(0))]);
    let answers = || {
        vec![
            (0, a("192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4")),
            (0, aaaa("")),
        ]
    };
    let happy_eyeballs = scripted(&network, answers).with_max_in_flight(2);
    let log = [
        (0, "192.0.2.1"),
        (250, "192.0.2.2"),
        (3000, "192.0.2.3"),
        (3250, "192.0.2.4"),
    ];
    run(&network, &happy_eyeballs).assert_won("192.0.2.4:443", 3250, &log);
}

#[test]
fn only_attempt_is_not_given_up_before_the_deadline() {
    let network = Network::new(&[("192.0.2.1", Connects(29_000))]);
    let answers = || vec![(0, a("192.0.2.1")), (0, aaaa(""))];
    let happy_eyeballs = scripted(&network, answers).with_max_in_flight(1);
    run(&network, &happy_eyeballs).assert_won("192.0.2.1:443", 29_000, &[(0, "192.0.2.1")]);
}

#[test]
fn host_without_ipv6_tries_ipv4_first_and_ipv6_nevertheless() {
    let network = Network::new(&[
        ("2001:db8::1", Fails(0, ErrorKind::NetworkUnreachable)),
        ("192.0.2.1", Fails(0, REFUSED)),
        ("192.0.2.2", Connects(1)),
    ]);
    let answers = || vec![(0, aaaa("2001:db8::1")), (0, a("192.0.2.1 192.0.2.2"))];
    let happy_eyeballs = scripted(&network, answers).with_source(only_ipv4);
    let log = [(0, "192.0.2.1"), (0, "2001:db8::1"), (0, "192.0.2.2")];
    run(&network, &happy_eyeballs).assert_won("192.0.2.2:443", 1, &log);
}

#[test]
fn error_has_the_history_of_all_attempts() {
    let network = Network::new(&[
        ("2001:db8::1", Fails(400, ErrorKind::TimedOut)),
        ("192.0.2.1", Fails(12, REFUSED)),
        ("2001:db8::2", Fails(0, ErrorKind::NetworkUnreachable)),
        ("2001:db8::3", Fails(0, ErrorKind::PermissionDenied)),
    ]);
    let six = "2001:db8::1 2001:db8::2 2001:db8::3";
    let answers = move || vec![(0, aaaa(six)), (0, a("192.0.2.1"))];
    let run = run(&network, &scripted(&network, answers));
    let error = "cannot connect to example.com:443: [2001:db8::1]:443 timed out after 400 ms; \
        192.0.2.1:443 refused; [2001:db8::2]:443 has no route; \
        [2001:db8::3]:443: permission denied";
    let log = [
        (0, "2001:db8::1"),
        (250, "192.0.2.1"),
        (262, "2001:db8::2"),
        (262, "2001:db8::3"),
    ];
    run.assert_failed(error, 400, &log);
    let error = run.result.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::AllFailed);
    let attempt = &error.attempts()[1];
    assert_eq!(attempt.address().to_string(), "192.0.2.1:443");
    assert_eq!(
        (attempt.started(), attempt.lasted()),
        (millis(250), millis(12))
    );
    assert_eq!(attempt.error().unwrap().kind(), REFUSED);
    assert_eq!(error.source().unwrap().to_string(), "permission denied");
    assert_eq!(
        format!("{error:?}"),
        error.to_string(),
        "its source is in the line"
    );
    let io = std::io::Error::from(error);
    assert_eq!(io.kind(), ErrorKind::PermissionDenied);
}

#[test]
fn debug_adds_the_sources_that_the_line_lacks() {
    let network = Network::new(&[("192.0.2.1", Fails(0, REFUSED))]);
    let answers = || vec![(0, aaaa("")), (0, a("192.0.2.1"))];
    let error = run(&network, &scripted(&network, answers))
        .result
        .unwrap_err();
    let expected = "cannot connect to example.com:443: 192.0.2.1:443 refused; \
        AAAA: no usable address\n  caused by: connection refused";
    assert_eq!(format!("{error:?}"), expected);
}

#[test]
fn deadline_ends_all_attempts() {
    let network = Network::new(&[]);
    let answers = || vec![(0, aaaa("2001:db8::1")), (0, a("192.0.2.1"))];
    let happy_eyeballs = scripted(&network, answers).with_deadline(millis(9_750));
    let run = run(&network, &happy_eyeballs);
    let error = "cannot connect to example.com:443 within 9.75s: \
        [2001:db8::1]:443 timed out after 9750 ms; 192.0.2.1:443 timed out after 9500 ms";
    run.assert_failed(error, 9_750, &[(0, "2001:db8::1"), (250, "192.0.2.1")]);
    let error = run.result.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Deadline);
    assert!(error.source().is_none());
}

#[test]
fn handshake_is_made_by_the_winner_alone_and_its_error_ends_it() {
    let network = Network::new(&[
        ("2001:db8::1", Connects(300)),
        ("192.0.2.1", BadHandshake(10, 500)),
    ]);
    let answers = || vec![(0, aaaa("2001:db8::1")), (0, a("192.0.2.1"))];
    let run = run(&network, &scripted(&network, answers));
    let error = "cannot connect to example.com:443: the handshake with 192.0.2.1:443 failed: \
        the certificate is of another name";
    run.assert_failed(error, 760, &[(0, "2001:db8::1"), (250, "192.0.2.1")]);
    let error = run.result.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Handshake);
    let lasted = error.attempts().iter().map(Attempt::lasted);
    assert_eq!(
        Vec::from_iter(lasted),
        [millis(260), millis(10)],
        "ended by the winner"
    );
    assert_eq!(
        error.source().unwrap().to_string(),
        "the certificate is of another name"
    );
    assert_eq!(format!("{error:?}"), error.to_string());
    assert_eq!(std::io::Error::from(error).kind(), ErrorKind::InvalidData);
}

#[test]
fn peer_that_is_silent_in_the_handshake_is_given_up_at_the_deadline() {
    let network = Network::new(&[("192.0.2.1", SilentHandshake(10))]);
    let answers = || vec![(0, aaaa("2001:db8::1")), (0, a("192.0.2.1"))];
    let run = run(&network, &scripted(&network, answers));
    let error = "cannot connect to example.com:443 within 30s: \
        the handshake with 192.0.2.1:443 did not end";
    run.assert_failed(error, 30_000, &[(0, "2001:db8::1"), (250, "192.0.2.1")]);
    assert_eq!(run.result.unwrap_err().kind(), ConnectErrorKind::Deadline);
}

#[test]
fn addresses_and_localhost_are_connected_without_a_lookup() {
    for (host, peer, log) in [
        ("192.0.2.1", "192.0.2.1:80", &["192.0.2.1"][..]),
        ("[2001:db8::1]", "[2001:db8::1]:80", &["2001:db8::1"]),
        ("2001:db8::1", "[2001:db8::1]:80", &["2001:db8::1"]),
        ("localhost", "127.0.0.1:80", &["::1", "127.0.0.1"]),
    ] {
        let network = Network::new(&[
            ("192.0.2.1", Connects(0)),
            ("2001:db8::1", Connects(0)),
            ("::1", Fails(0, REFUSED)),
            ("127.0.0.1", Connects(0)),
        ]);
        let happy_eyeballs = scripted(&network, || panic!("a lookup"));
        let connection = network.clock.run(happy_eyeballs.connect(host, 80)).unwrap();
        assert_eq!(
            anyport_core::Connection::info(&connection)
                .peer()
                .to_string(),
            peer
        );
        let tried: Vec<_> = network
            .log()
            .into_iter()
            .map(|(_, address)| address)
            .collect();
        assert_eq!(tried, log, "{host}");
    }
}

#[test]
fn invalid_name_is_an_error_without_a_lookup() {
    let network = Network::new(&[]);
    let happy_eyeballs = scripted(&network, || panic!("a lookup"));
    let error = network
        .clock
        .run(happy_eyeballs.connect("exa mple", 443))
        .err()
        .unwrap();
    assert_eq!(error.kind(), ConnectErrorKind::InvalidName);
    let expected =
        "cannot connect to \"exa mple\": not a valid host (' ' is not allowed in a name)";
    assert_eq!(error.to_string(), expected);
    assert_eq!(std::io::Error::from(error).kind(), ErrorKind::InvalidInput);
}

#[test]
fn connect_is_send_where_its_parts_are() {
    fn is_send<T: Send>(_: &T) {}
    let network = Network::new(&[]);
    let happy_eyeballs: HappyEyeballs<_, _> = scripted(&network, Vec::new);
    is_send(&happy_eyeballs);
    is_send(&happy_eyeballs.connect("example.com", 443));
}
