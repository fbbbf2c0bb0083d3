//! Resolvers that find nothing, fail, return wrong or too many answers, or never end.
use super::{
    fixture::{run, scripted},
    network::{
        Fate::{Connects, Fails},
        Network, a, aaaa,
    },
};
use crate::{Answer, ConnectErrorKind, HappyEyeballs, Hosts};
use std::{
    error::Error,
    io::{self, ErrorKind},
    net::{Ipv4Addr, Ipv6Addr},
};

fn failure(text: &'static str) -> io::Error {
    io::Error::other(text)
}

#[test]
fn no_address_is_an_error_that_has_the_answer_for_each_family() {
    type Answers = fn() -> Vec<(u64, Answer)>;
    let cases: [(Answers, u64, &str); 5] = [
        (Vec::new, 0, "(AAAA: no answer; A: no answer)"),
        (
            || vec![(0, a("")), (20, aaaa(""))],
            20,
            "(AAAA: no usable address; A: no usable address)",
        ),
        (
            || {
                vec![
                    (3, Answer::Aaaa(Err(failure("no such record")))),
                    (9, Answer::A(Err(failure("server failure")))),
                ]
            },
            9,
            "(AAAA: no such record; A: server failure)",
        ),
        (
            || vec![(1, Answer::A(Err(failure("refused"))))],
            1,
            "(AAAA: no answer; A: refused)",
        ),
        // Nobody has these addresses; 0.0.0.0 would be this machine.
        (
            || {
                vec![
                    (0, aaaa(":: ff02::1 ::ffff:0.0.0.0")),
                    (0, a("0.0.0.0 224.0.0.1 255.255.255.255")),
                ]
            },
            0,
            "(AAAA: no usable address; A: no usable address)",
        ),
    ];
    for (answers, millis, reason) in cases {
        let network = Network::new(&[]);
        let run = run(&network, &scripted(&network, answers));
        let error = format!("cannot connect to example.com:443: no address found {reason}");
        run.assert_failed(&error, millis, &[]);
        let error = run.result.unwrap_err();
        assert_eq!(error.kind(), ConnectErrorKind::NoAddress);
        assert_eq!(format!("{error:?}"), error.to_string());
        if reason.contains("server failure") {
            assert_eq!(error.source().unwrap().to_string(), "server failure");
        }
        assert_eq!(io::Error::from(error).kind(), ErrorKind::NotFound);
    }
}

#[test]
fn failed_lookup_of_one_family_is_in_the_error_of_the_attempts() {
    let network = Network::new(&[("192.0.2.1", Fails(0, ErrorKind::ConnectionRefused))]);
    let answers = || {
        vec![
            (0, Answer::Aaaa(Err(failure("server failure")))),
            (0, a("192.0.2.1")),
        ]
    };
    let error = "cannot connect to example.com:443: 192.0.2.1:443 refused; AAAA: server failure";
    run(&network, &scripted(&network, answers)).assert_failed(error, 0, &[(0, "192.0.2.1")]);
}

#[test]
fn lookup_that_never_ends_ends_at_the_deadline() {
    let network = Network::new(&[]);
    let happy_eyeballs = scripted(&network, Vec::new);
    let endless = super::network::Script::new(&network.clock, Vec::new).endless();
    let run = run(&network, &happy_eyeballs.with_resolver(endless));
    let error = "cannot connect to example.com:443 within 30s: AAAA: no answer; A: no answer";
    run.assert_failed(error, 30_000, &[]);
    assert_eq!(run.result.unwrap_err().kind(), ConnectErrorKind::Deadline);
}

#[test]
fn one_family_that_is_never_answered_does_not_matter() {
    let network = Network::new(&[("192.0.2.1", Connects(3))]);
    let happy_eyeballs = scripted(&network, Vec::new);
    let answers = || vec![(5, a("192.0.2.1"))];
    let endless = super::network::Script::new(&network.clock, answers).endless();
    let run = run(&network, &happy_eyeballs.with_resolver(endless));
    run.assert_won("192.0.2.1:443", 58, &[(55, "192.0.2.1")]);
}

#[test]
fn thousand_addresses_are_cut() {
    let network = Network::new(&[]);
    let answers = || {
        let six = (0..1000).map(|n| Ipv6Addr::from_bits((0x2001_0db8 << 96) | n));
        let four = (0..1000).map(|n| Ipv4Addr::from_bits(0xc633_0000 + n));
        vec![
            (0, Answer::Aaaa(Ok(six.collect()))),
            (0, Answer::A(Ok(four.collect()))),
        ]
    };
    let happy_eyeballs = scripted(&network, answers).with_max_addresses(6);
    let run = run(&network, &happy_eyeballs);
    let expected = [
        (0, "2001:db8::"),
        (250, "198.51.0.0"),
        (500, "2001:db8::1"),
        (750, "198.51.0.1"),
        (1000, "2001:db8::2"),
        (1250, "198.51.0.2"),
    ];
    let error = run.result.as_ref().unwrap_err().to_string();
    assert!(
        error.ends_with("; 1994 more addresses were not tried"),
        "{error}"
    );
    run.assert_failed(&error, 30_000, &expected);
}

#[test]
fn endless_answers_are_cut() {
    let network = Network::new(&[]);
    let happy_eyeballs = HappyEyeballs::new(network.clone(), network.clock.timer());
    let resolver = Endless;
    let error = network
        .clock
        .run(
            happy_eyeballs
                .with_resolver(resolver)
                .connect("example.com", 443),
        )
        .err()
        .unwrap();
    assert_eq!(error.kind(), ConnectErrorKind::NoAddress);
}

#[derive(Clone)]
struct Endless;

impl crate::Resolve for Endless {
    type Answers = futures_util::stream::RepeatWith<fn() -> Answer>;

    fn resolve(&self, _: &str) -> Self::Answers {
        futures_util::stream::repeat_with(|| aaaa(""))
    }
}

#[test]
fn repeated_and_mapped_addresses_are_tried_once() {
    let refused = Fails(0, ErrorKind::ConnectionRefused);
    let network = Network::new(&[("192.0.2.1", refused), ("2001:db8::1", refused)]);
    let answers = || {
        vec![
            (0, aaaa("2001:db8::1 ::ffff:192.0.2.1 2001:db8::1")),
            (0, a("192.0.2.1 192.0.2.1")),
            (5, aaaa("2001:db8::1")),
        ]
    };
    let error =
        "cannot connect to example.com:443: [2001:db8::1]:443 refused; 192.0.2.1:443 refused";
    let log = [(0, "2001:db8::1"), (0, "192.0.2.1")];
    run(&network, &scripted(&network, answers)).assert_failed(error, 5, &log);
}

#[test]
fn table_of_hosts_ignores_case_and_the_dot_of_the_root() {
    let hosts = Hosts::new().with("Example.COM.", ["192.0.2.1".parse().unwrap()]);
    for (host, found) in [
        ("example.com", true),
        ("EXAMPLE.com.", true),
        ("example.org", false),
    ] {
        let network = Network::new(&[("192.0.2.1", Connects(0))]);
        let happy_eyeballs = scripted(&network, Vec::new).with_resolver(hosts.clone());
        let result = network.clock.run(happy_eyeballs.connect(host, 443));
        assert_eq!(result.is_ok(), found, "{host}");
        if let Err(error) = result {
            let expected = "cannot connect to example.org:443: no address found \
                (AAAA: not in the table of hosts; A: not in the table of hosts)";
            assert_eq!(error.to_string(), expected);
        }
    }
}
