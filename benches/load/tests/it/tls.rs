//! The load over TLS, against small servers on rustls.

use crate::server::{
    RESPONSE, closing, on_each_connection, response, serve, short_timeout, timeout, tls_config,
};
use crate::{contains, failure, failure_in_time, load};
use anyport_bench_load::{Address, Amount, Handshake, Kind, Workload, fetch};
use rustls::{HandshakeKind, ServerConfig, ServerConnection, StreamOwned};
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

pub(crate) fn healthy() -> Address {
    responding(tls_config(), RESPONSE.to_vec())
}

/// Makes the handshake, and reads until the client goes.
fn hold(stream: &mut Session) {
    while stream.conn.is_handshaking() && stream.conn.complete_io(&mut stream.sock).is_ok() {}
    while stream
        .conn
        .complete_io(&mut stream.sock)
        .is_ok_and(|(read, _)| read > 0)
    {}
}

/// Sends the kind of each handshake, as the server sees it.
fn recording(config: ServerConfig) -> (Address, mpsc::Receiver<Option<HandshakeKind>>) {
    let (sender, kinds) = mpsc::channel();
    let address = server(config, move |mut stream| {
        hold(&mut stream);
        let _ = sender.send(stream.conn.handshake_kind());
    });
    (address, kinds)
}

#[test]
fn response_may_be_longer_than_a_record() {
    let response = response(&Workload::Download1M.response_body());
    let address = responding(tls_config(), response);
    let mut long = load(&address, Kind::KeepAlive(Workload::Download1M), 2);
    assert_eq!(long.run(Amount::Requests(10)).unwrap().count, 10);
    let fetched = fetch(&address, Workload::Download1M, &timeout()).unwrap();
    assert_eq!(fetched.body, Workload::Download1M.response_body());
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
    let address = on_each_connection(|_, stream| {
        // The key of its tickets is new.
        let tls = ServerConnection::new(Arc::new(tls_config())).unwrap();
        hold(&mut StreamOwned::new(tls, stream));
    });
    let Address::Tcp(address) = address else {
        panic!("no TCP")
    };
    let error = failure(&Address::Tls(address), RESUMED);
    contains(&error, &["did not resume"]);
}

#[test]
fn server_without_tickets_times_out() {
    let mut config = tls_config();
    config.send_tls13_tickets = 0;
    let error = failure_in_time(&recording(config).0, FULL);
    contains(&error, &["did not make a handshake and send a ticket"]);
}

#[test]
fn other_protocols_are_errors() {
    let mut without_alpn = tls_config();
    without_alpn.alpn_protocols.clear();
    let address = responding(without_alpn, RESPONSE.to_vec());
    let error = fetch(&address, Workload::Plaintext, &timeout()).unwrap_err();
    contains(&format!("{error:#}"), &["chooses nothing by ALPN"]);
    let Address::Tcp(plain) = on_each_connection(|_, mut stream| drop(stream.write_all(RESPONSE)))
    else {
        panic!("no TCP")
    };
    let error = fetch(&Address::Tls(plain), Workload::Plaintext, &short_timeout()).unwrap_err();
    contains(&format!("{error:#}"), &["cannot make a TLS handshake"]);
}
