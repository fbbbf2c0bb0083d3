//! The load over TLS, against rustls in a few lines.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop")]

mod server;

use anyport_bench_load::{
    Address, Amount, Churn, ClosedLoop, Crowd, Handshake, Handshakes, Patience, Workload, ask,
};
use rustls::crypto::ring;
use rustls::{HandshakeKind, ServerConfig, ServerConnection, StreamOwned, version};
use server::{RESPONSE, config, patience, response, serve};
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::num::NonZeroU64;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

type Session = StreamOwned<ServerConnection, TcpStream>;

/// A server on a port of its own, with a thread for each connection.
fn server(config: ServerConfig, each: impl Fn(Session) + Clone + Send + 'static) -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = Address::Tls(listener.local_addr().unwrap());
    let config = Arc::new(config);
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            stream.set_nodelay(true).unwrap();
            let session = ServerConnection::new(Arc::clone(&config)).unwrap();
            let each = each.clone();
            thread::spawn(move || each(StreamOwned::new(session, stream)));
        }
    });
    address
}

fn answering(config: ServerConfig, parts: Vec<Vec<u8>>) -> Address {
    server(config, move |stream| {
        serve(stream, std::slice::from_ref(&parts), usize::MAX);
    })
}

fn healthy() -> Address {
    answering(config(), vec![RESPONSE.to_vec()])
}

/// Tells of each handshake what kind it was, as the server sees it.
fn telling(config: ServerConfig) -> (Address, mpsc::Receiver<Option<HandshakeKind>>) {
    let (sender, kinds) = mpsc::channel();
    let address = server(config, move |mut stream| {
        while stream.conn.is_handshaking() && stream.conn.complete_io(&mut stream.sock).is_ok() {}
        // Until the client goes.
        while stream
            .conn
            .complete_io(&mut stream.sock)
            .is_ok_and(|(read, _)| read > 0)
        {}
        let _ = sender.send(stream.conn.handshake_kind());
    });
    (address, kinds)
}

fn failure(address: &Address, handshake: Handshake, patience: &Patience) -> String {
    let made = Handshakes::new(address, 2, handshake, patience)
        .and_then(|mut load| load.run(Amount::Requests(10)));
    format!("{:#}", made.unwrap_err())
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
fn a_response_may_be_split_into_records_at_every_byte() {
    for at in 1..RESPONSE.len() {
        let parts = vec![RESPONSE[..at].to_vec(), RESPONSE[at..].to_vec()];
        let mut load = ClosedLoop::connect(
            &answering(config(), parts),
            Workload::Plaintext,
            1,
            &patience(),
        )
        .unwrap();
        assert_eq!(load.run(Amount::Requests(3)).unwrap().requests, 3, "{at}");
    }
}

#[test]
fn a_body_larger_than_any_record_is_read_to_its_end() {
    let answer = response(&Workload::Download1M.response_body());
    let mut load = ClosedLoop::connect(
        &answering(config(), vec![answer]),
        Workload::Download1M,
        2,
        &patience(),
    )
    .unwrap();
    assert_eq!(load.run(Amount::Requests(10)).unwrap().requests, 10);
}

#[test]
fn an_answer_is_told_whole() {
    assert_eq!(
        ask(&healthy(), Workload::Plaintext, &patience())
            .unwrap()
            .body,
        b"Hello, World!"
    );
}

/// Answers so many requests, and closes, with or without saying so.
fn closing(requests: usize, says_so: bool) -> (Address, mpsc::Receiver<Option<HandshakeKind>>) {
    let (sender, kinds) = mpsc::channel();
    let address = server(config(), move |mut stream| {
        serve(&mut stream, &[vec![RESPONSE.to_vec()]], requests);
        if says_so {
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
        let _ = sender.send(stream.conn.handshake_kind());
    });
    (address, kinds)
}

#[test]
fn churn_makes_full_handshakes() {
    for says_so in [true, false] {
        for requests in [1, 3] {
            let (address, kinds) = closing(requests, says_so);
            let each = NonZeroU64::new(requests as u64).unwrap();
            let mut load = Churn::new(&address, Workload::Plaintext, 3, each, &patience()).unwrap();
            let outcome = load.run(Amount::Requests(20)).unwrap();
            assert_eq!(
                (outcome.connections, outcome.requests),
                (20, 20 * requests as u64)
            );
            let kinds: Vec<_> = kinds.iter().take(21).collect();
            assert_eq!(kinds, [Some(HandshakeKind::Full); 21]);
        }
    }
}

#[test]
fn a_crowd_is_silent_then_shakes_hands_then_asks() {
    let mut crowd = Crowd::connect(&healthy(), Workload::Plaintext, 20, &patience()).unwrap();
    crowd.shake_hands_each().unwrap();
    crowd.ask_each().unwrap();
    crowd.ask_each().unwrap();
}

#[test]
fn full_handshakes_are_full_to_the_server_too() {
    let (address, kinds) = telling(config());
    let mut load = Handshakes::new(&address, 3, Handshake::Full, &patience()).unwrap();
    assert_eq!(load.run(Amount::Requests(20)).unwrap().handshakes, 20);
    // Three of them to begin with.
    let kinds: Vec<_> = kinds.iter().take(23).collect();
    assert_eq!(kinds, [Some(HandshakeKind::Full); 23]);
}

#[test]
fn resumed_handshakes_are_resumed_to_the_server_too() {
    let (address, kinds) = telling(config());
    let mut load = Handshakes::new(&address, 3, Handshake::Resumed, &patience()).unwrap();
    for handshakes in [0, 1, 20] {
        let outcome = load.run(Amount::Requests(handshakes)).unwrap();
        assert_eq!(outcome.handshakes, handshakes);
    }
    let kinds: Vec<_> = kinds.iter().take(24).collect();
    let resumed = |kind: &&_| **kind == Some(HandshakeKind::Resumed);
    assert_eq!(kinds.iter().filter(resumed).count(), 21, "{kinds:?}");
}

#[test]
fn handshakes_end_with_their_time_and_tell_what_they_took() {
    let (address, _kinds) = telling(config());
    let mut load = Handshakes::new(&address, 2, Handshake::Full, &patience()).unwrap();
    let outcome = load.run(Amount::For(Duration::from_millis(50))).unwrap();
    assert!(outcome.handshakes >= 2, "{outcome:?}");
    // Nobody makes a key exchange for nothing.
    assert!(outcome.effort.busy() > 0.0, "{outcome:?}");
    assert!(
        outcome.effort.elapsed >= Duration::from_millis(50),
        "{outcome:?}"
    );
}

#[test]
fn a_server_that_forgets_its_tickets_is_told() {
    /// Gives tickets that nobody can read.
    #[derive(Debug)]
    struct Forgetful;
    impl rustls::server::ProducesTickets for Forgetful {
        fn enabled(&self) -> bool {
            true
        }
        fn lifetime(&self) -> u32 {
            60
        }
        fn encrypt(&self, _: &[u8]) -> Option<Vec<u8>> {
            Some(vec![7; 32])
        }
        fn decrypt(&self, _: &[u8]) -> Option<Vec<u8>> {
            None
        }
    }
    let mut config = config();
    config.ticketer = Arc::new(Forgetful);
    let failure = failure(&telling(config).0, Handshake::Resumed, &patience());
    assert!(failure.contains("didn't resume"), "{failure}");
}

#[test]
fn a_server_without_tickets_is_not_waited_for_forever() {
    let mut config = config();
    config.send_tls13_tickets = 0;
    let patience = Patience::new(Duration::from_secs(1), Arc::default());
    let failure = failure(&telling(config).0, Handshake::Full, &patience);
    assert!(failure.contains("sent no ticket for 1s"), "{failure}");
}

#[test]
fn a_server_that_ignores_alpn_is_told() {
    let mut config = config();
    config.alpn_protocols.clear();
    let error = ask(
        &answering(config, vec![RESPONSE.to_vec()]),
        Workload::Plaintext,
        &patience(),
    )
    .unwrap_err();
    assert!(
        error.to_string().contains("chooses nothing by ALPN"),
        "{error}"
    );
}

#[test]
fn an_older_version_is_refused() {
    let old = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let mut old = old
        .with_protocol_versions(&[&version::TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(config().cert_resolver);
    old.alpn_protocols = vec![b"http/1.1".to_vec()];
    let error = format!(
        "{:#}",
        ask(
            &answering(old, vec![RESPONSE.to_vec()]),
            Workload::Plaintext,
            &patience()
        )
        .unwrap_err()
    );
    assert!(error.contains("cannot make a TLS handshake"), "{error}");
}

#[test]
fn a_server_without_tls_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = Address::Tls(listener.local_addr().unwrap());
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.write_all(RESPONSE);
        }
    });
    let error = format!(
        "{:#}",
        ask(&address, Workload::Plaintext, &patience()).unwrap_err()
    );
    assert!(error.contains("cannot make a TLS handshake"), "{error}");
    let failure = failure(&address, Handshake::Full, &patience());
    assert!(
        failure.contains("TLS handshake") || failure.contains("closed"),
        "{failure}"
    );
}
