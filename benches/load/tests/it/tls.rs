//! The load over TLS, against small servers on rustls.

use crate::server::{
    RESPONSE, closing, on_each_connection, response, serve, short_timeout, timeout, tls_config,
};
use crate::{PLAINTEXT, contains, failure, load};
use anyport_bench_load::{Address, Amount, Handshake, IdleConnections, Kind, Workload, fetch};
use rustls::crypto::ring;
use rustls::{HandshakeKind, ServerConfig, ServerConnection, StreamOwned, version};
use std::io::Write as _;
use std::net::TcpStream;
use std::sync::{Arc, mpsc};

const FULL: Kind = Kind::Handshakes(Handshake::Full);
const RESUMED: Kind = Kind::Handshakes(Handshake::Resumed);

type Session = StreamOwned<ServerConnection, TcpStream>;

/// A server on its own port, with a thread for each connection.
fn server(config: ServerConfig, session: impl Fn(Session) + Clone + Send + 'static) -> Address {
    let config = Arc::new(config);
    let address = on_each_connection(move |_, stream| {
        let tls = ServerConnection::new(Arc::clone(&config)).unwrap();
        session(StreamOwned::new(tls, stream));
    });
    match address {
        Address::Tcp(address) => Address::Tls(address),
        other => other,
    }
}

fn responding(config: ServerConfig, response: Vec<u8>) -> Address {
    let responses = [vec![response]];
    server(config, move |stream| serve(stream, &responses, usize::MAX))
}

fn healthy() -> Address {
    responding(tls_config(), RESPONSE.to_vec())
}

/// Sends the kind of each handshake, as the server sees it.
fn recording(config: ServerConfig) -> (Address, mpsc::Receiver<Option<HandshakeKind>>) {
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
fn requests_get_their_whole_response() {
    let mut short = load(&healthy(), PLAINTEXT, 8);
    for requests in [0, 1, 7, 8, 9, 1000] {
        assert_eq!(
            short.run(Amount::Requests(requests)).unwrap().count,
            requests
        );
    }
    let fetched = fetch(&healthy(), Workload::Plaintext, &timeout()).unwrap();
    assert_eq!(fetched.body, b"Hello, World!");
    // Longer than a record.
    let response = response(&Workload::Download1M.response_body());
    let kind = Kind::KeepAlive(Workload::Download1M);
    let mut long = load(&responding(tls_config(), response), kind, 2);
    assert_eq!(long.run(Amount::Requests(10)).unwrap().count, 10);
}

#[test]
fn churn_makes_full_handshakes() {
    for sends_close_notify in [true, false] {
        let (sender, kinds) = mpsc::channel();
        let address = server(tls_config(), move |mut stream| {
            closing(&mut stream);
            if sends_close_notify {
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
fn idle_connections_make_their_handshake_once() {
    let mut idle =
        IdleConnections::connect(&healthy(), Workload::Plaintext, 20, &timeout()).unwrap();
    idle.open().unwrap();
    idle.request().unwrap();
    idle.request().unwrap();
}

#[test]
fn handshakes_have_the_kind_that_was_told() {
    for (kind, expected) in [
        (FULL, HandshakeKind::Full),
        (RESUMED, HandshakeKind::Resumed),
    ] {
        let (address, kinds) = recording(tls_config());
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
fn server_that_forgets_its_tickets_is_an_error() {
    /// Makes tickets, and reads none.
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
    let mut config = tls_config();
    config.ticketer = Arc::new(Forgetful);
    contains(&failure(&recording(config).0, RESUMED), &["did not resume"]);
}

#[test]
fn server_without_tickets_times_out() {
    let mut config = tls_config();
    config.send_tls13_tickets = 0;
    let error = failure(&recording(config).0, FULL);
    contains(&error, &["did not make a handshake and send a ticket"]);
}

#[test]
fn other_protocols_are_errors() {
    let error_of = |config| {
        let address = responding(config, RESPONSE.to_vec());
        format!(
            "{:#}",
            fetch(&address, Workload::Plaintext, &timeout()).unwrap_err()
        )
    };
    let mut without_alpn = tls_config();
    without_alpn.alpn_protocols.clear();
    contains(&error_of(without_alpn), &["chooses nothing by ALPN"]);
    let old = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let mut old = old
        .with_protocol_versions(&[&version::TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(tls_config().cert_resolver);
    old.alpn_protocols = vec![b"http/1.1".to_vec()];
    contains(&error_of(old), &["cannot make a TLS handshake"]);
    let Address::Tcp(plain) = on_each_connection(|_, mut stream| drop(stream.write_all(RESPONSE)))
    else {
        panic!("no TCP")
    };
    let error = fetch(&Address::Tls(plain), Workload::Plaintext, &short_timeout()).unwrap_err();
    contains(&format!("{error:#}"), &["cannot make a TLS handshake"]);
}
