//! Binding IPv6, with and without IPv4.
use crate::fixture::{GRACE, addr_of, connect, describe_connection, get, hello, port_of, read_all};
use anyport_core::{serve_raw_with, serve_with};
use anyport_tcp::Tcp;
use anyport_testkit::requirements::{Tests, block_on};
use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
};

pub(crate) fn tests(tests: Tests) -> Tests {
    let bound = TcpListener::bind("[::1]:0");
    let missing = bound.err().map(|_| "needs IPv6".to_owned());
    tests
        .unless(
            missing.clone(),
            "ipv6::bare_port_serves_ipv6_and_ipv4",
            || block_on(bare_port_serves_ipv6_and_ipv4()),
        )
        .unless(missing, "ipv6::v6_only_refuses_ipv4", || {
            block_on(v6_only_refuses_ipv4());
        })
}

async fn bare_port_serves_ipv6_and_ipv4() {
    let handle = serve_raw_with(Tcp::bind(0), describe_connection)
        .start()
        .unwrap();
    let port = port_of(&handle);
    assert_eq!(addr_of(&handle), (Ipv6Addr::UNSPECIFIED, port).into());
    for addr in [
        SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        (Ipv6Addr::LOCALHOST, port).into(),
    ] {
        let stream = connect(addr).unwrap();
        let me = stream.local_addr().unwrap();
        assert_eq!(read_all(stream).unwrap(), format!("{me} {addr} 0"));
    }
    handle.shutdown(GRACE).await.unwrap();
}

async fn v6_only_refuses_ipv4() {
    let tcp = Tcp::bind((Ipv6Addr::UNSPECIFIED, 0)).with_v6_only(true);
    let handle = serve_with(tcp, hello()).start().unwrap();
    let port = port_of(&handle);
    assert_eq!(get((Ipv6Addr::LOCALHOST, port)).unwrap(), "Hello");
    // Another test may have been given this port at 127.0.0.1.
    let refused = get((Ipv4Addr::new(127, 0, 0, 77), port)).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    handle.shutdown(GRACE).await.unwrap();
}
