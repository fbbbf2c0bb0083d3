//! Addresses that refuse and addresses that drop SYNs.
use crate::fixture::{ALIVE, DEAD, Loopback, REFUSING, host};
use anyport_connect::{ConnectErrorKind, HappyEyeballs};
use anyport_core::{Connection, Runtime, runtime::Tokio, transport::Endpoint};
use anyport_tcp::TcpConnector;
use std::{
    io::ErrorKind,
    net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener},
    time::{Duration, Instant},
};

fn alive(port: u16) -> Endpoint {
    SocketAddr::new(ALIVE, port).into()
}

#[tokio::test]
async fn dead_and_refusing_addresses_are_passed_over() {
    let loopback = Loopback::new();
    let orders: [&[IpAddr]; 4] = [
        &[DEAD, ALIVE],
        &[REFUSING, ALIVE],
        &[DEAD, REFUSING, ALIVE],
        &[IpAddr::V6(Ipv6Addr::LOCALHOST), DEAD, REFUSING, ALIVE],
    ];
    for addresses in orders {
        let host = host(TcpConnector::new(), Tokio::current().timer(), addresses);
        let connection = host.connect("host.test", loopback.port).await.unwrap();
        assert_eq!(
            connection.info().peer(),
            &alive(loopback.port),
            "{addresses:?}"
        );
    }
}

#[tokio::test]
async fn error_says_what_each_address_did() {
    let loopback = Loopback::new();
    let port = loopback.port;
    let host = host(
        TcpConnector::new(),
        Tokio::current().timer(),
        &[DEAD, REFUSING],
    );
    let host = host.with_deadline(Duration::from_secs(1));
    let mut tries = 0;
    let error = loop {
        let begin = Instant::now();
        let error = host.connect("host.test", port).await.err().unwrap();
        // A thread that stalls may try the second address only at the deadline, and meets it late.
        let took = begin.elapsed();
        if took < Duration::from_millis(1900) {
            break error;
        }
        tries += 1;
        assert!(tries < 20, "the deadline of 1 s came after {took:?}");
    };
    assert_eq!(error.kind(), ConnectErrorKind::Deadline);
    let [dead, refusing] = error.attempts() else {
        panic!("{error}");
    };
    assert!(
        dead.error().is_none() && dead.lasted() >= Duration::from_millis(999),
        "{dead:?}"
    );
    assert_eq!(
        refusing.error().unwrap().kind(),
        ErrorKind::ConnectionRefused
    );
    let text = error.to_string();
    let expected =
        format!("cannot connect to host.test:{port} within 1s: 127.0.0.2:{port} timed out after 1");
    assert!(text.starts_with(&expected), "{text}");
    assert!(
        text.ends_with(&format!(
            " ms; 127.0.0.3:{port} refused; AAAA: no usable address"
        )),
        "{text}"
    );
}

#[tokio::test]
async fn error_of_a_refusing_address_has_the_system_error_as_its_source() {
    let loopback = Loopback::new();
    let port = loopback.port;
    let happy_eyeballs = HappyEyeballs::new(TcpConnector::new(), Tokio::current().timer());
    let error = happy_eyeballs
        .connect("127.0.0.3", port)
        .await
        .err()
        .unwrap();
    let text = format!("cannot connect to 127.0.0.3:{port}: 127.0.0.3:{port} refused");
    assert_eq!(error.to_string(), text);
    let debug = format!("{text}\n  caused by: Connection refused (os error 111)");
    assert_eq!(format!("{error:?}"), debug);
}

#[tokio::test]
async fn localhost_is_both_loopback_addresses() {
    let loopback = Loopback::new();
    let happy_eyeballs = HappyEyeballs::new(TcpConnector::new(), Tokio::current().timer());
    // Only IPv4 listens on this port.
    let connection = happy_eyeballs
        .connect("localhost", loopback.port)
        .await
        .unwrap();
    assert_eq!(connection.info().peer(), &alive(loopback.port));
    let Ok(six) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) else {
        return;
    };
    let address = six.local_addr().unwrap();
    let connection = happy_eyeballs
        .connect("localhost", address.port())
        .await
        .unwrap();
    assert_eq!(connection.info().peer(), &address.into());
}

#[tokio::test]
async fn system_resolver_knows_this_host() {
    // hosts(5) has it, or a plug-in of nss(5) does; otherwise the error names the lookup.
    let name = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    let happy_eyeballs = HappyEyeballs::new(TcpConnector::new(), Tokio::current().timer());
    let happy_eyeballs = happy_eyeballs.with_deadline(Duration::from_secs(5));
    let Err(error) = happy_eyeballs.connect(&name, 1).await else {
        panic!("something listens on port 1");
    };
    let expected = format!("cannot connect to {}:1", name.to_ascii_lowercase());
    assert!(error.to_string().starts_with(&expected), "{error}");
    assert_ne!(error.kind(), ConnectErrorKind::InvalidName, "{error}");
}
