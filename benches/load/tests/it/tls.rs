//! The load over TLS, against rustls in a few lines.

use crate::server::{RESPONSE, config, each, impatience, patience, response, serve};
use crate::{PLAINTEXT, closing, contains, failure, load};
use anyport_bench_load::{Address, Amount, Crowd, Handshake, Kind, Workload, ask};
use rustls::crypto::ring;
use rustls::{HandshakeKind, ServerConfig, ServerConnection, StreamOwned, version};
use std::io::Write as _;
use std::net::TcpStream;
use std::sync::{Arc, mpsc};

const FULL: Kind = Kind::Handshakes(Handshake::Full);
const RESUMED: Kind = Kind::Handshakes(Handshake::Resumed);

type Session = StreamOwned<ServerConnection, TcpStream>;

/// A server on a port of its own, with a thread for each connection.
fn server(config: ServerConfig, session: impl Fn(Session) + Clone + Send + 'static) -> Address {
    let config = Arc::new(config);
    let address = each(move |_, stream| {
        let tls = ServerConnection::new(Arc::clone(&config)).unwrap();
        session(StreamOwned::new(tls, stream));
    });
    match address {
        Address::Tcp(address) => Address::Tls(address),
        other => other,
    }
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

#[test]
fn requests_are_answered_and_answers_told_whole() {
    let mut short = load(&healthy(), PLAINTEXT, 8);
    for requests in [0, 1, 7, 8, 9, 1000] {
        assert_eq!(
            short.run(Amount::Requests(requests)).unwrap().count,
            requests
        );
    }
    let answer = ask(&healthy(), Workload::Plaintext, &patience()).unwrap();
    assert_eq!(answer.body, b"Hello, World!");
    // Longer than any record.
    let answer = response(&Workload::Download1M.response_body());
    let kind = Kind::KeepAlive(Workload::Download1M);
    let mut long = load(&answering(config(), vec![answer]), kind, 2);
    assert_eq!(long.run(Amount::Requests(10)).unwrap().count, 10);
}

#[test]
fn a_response_may_be_split_into_records_at_every_byte() {
    for at in 1..RESPONSE.len() {
        let parts = vec![RESPONSE[..at].to_vec(), RESPONSE[at..].to_vec()];
        let mut load = load(&answering(config(), parts), PLAINTEXT, 1);
        assert_eq!(load.run(Amount::Requests(3)).unwrap().count, 3, "{at}");
    }
}

#[test]
fn churn_makes_full_handshakes() {
    for says_so in [true, false] {
        let (sender, kinds) = mpsc::channel();
        let address = server(config(), move |mut stream| {
            closing(&mut stream);
            if says_so {
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
            let _ = sender.send(stream.conn.handshake_kind());
        });
        let outcome = load(&address, Kind::Churn, 3)
            .run(Amount::Requests(20))
            .unwrap();
        assert_eq!(outcome.count, 20);
        let kinds: Vec<_> = kinds.iter().take(21).collect();
        assert_eq!(kinds, [Some(HandshakeKind::Full); 21]);
    }
}

#[test]
fn a_crowd_is_silent_then_shakes_hands_then_asks() {
    let mut crowd = Crowd::connect(&healthy(), Workload::Plaintext, 20, &patience()).unwrap();
    crowd.open_each().unwrap();
    crowd.ask_each().unwrap();
    crowd.ask_each().unwrap();
}

#[test]
fn handshakes_are_to_the_server_what_they_are_to_the_load() {
    for (kind, expected) in [
        (FULL, HandshakeKind::Full),
        (RESUMED, HandshakeKind::Resumed),
    ] {
        let (address, kinds) = telling(config());
        let mut load = load(&address, kind, 3);
        for handshakes in [0, 1, 20] {
            assert_eq!(
                load.run(Amount::Requests(handshakes)).unwrap().count,
                handshakes
            );
        }
        // Three of them to begin with.
        let kinds: Vec<_> = kinds.iter().take(24).collect();
        let (first, others) = kinds.split_at(3);
        assert_eq!(first, [Some(HandshakeKind::Full); 3]);
        assert_eq!(others, [Some(expected); 21]);
    }
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
    contains(&failure(&telling(config).0, RESUMED), &["didn't resume"]);
}

#[test]
fn a_server_without_tickets_is_not_waited_for_forever() {
    let mut config = config();
    config.send_tls13_tickets = 0;
    let error = failure(&telling(config).0, FULL);
    contains(&error, &["sent no ticket"]);
}

#[test]
fn other_servers_are_refused() {
    let asked = |config| {
        let address = answering(config, vec![RESPONSE.to_vec()]);
        format!(
            "{:#}",
            ask(&address, Workload::Plaintext, &patience()).unwrap_err()
        )
    };
    let mut deaf = config();
    deaf.alpn_protocols.clear();
    contains(&asked(deaf), &["chooses nothing by ALPN"]);
    let old = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let mut old = old
        .with_protocol_versions(&[&version::TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(config().cert_resolver);
    old.alpn_protocols = vec![b"http/1.1".to_vec()];
    contains(&asked(old), &["cannot make a TLS handshake"]);
    let Address::Tcp(plain) = each(|_, mut stream| drop(stream.write_all(RESPONSE))) else {
        panic!("no TCP")
    };
    let error = ask(&Address::Tls(plain), Workload::Plaintext, &impatience()).unwrap_err();
    contains(&format!("{error:#}"), &["cannot make a TLS handshake"]);
}
