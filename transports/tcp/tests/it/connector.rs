//! The options of the TCP connector.
use anyport_core::{
    Connection,
    transport::{Connector, Target},
};
use anyport_tcp::{TcpConnection, TcpConnector};
use socket2::SockRef;
use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    time::Duration,
};

async fn connect(connector: &TcpConnector, to: SocketAddr) -> io::Result<TcpConnection> {
    connector.connect(&Target::new(to)).await?.await
}

#[tokio::test]
async fn options_are_set_on_the_socket() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap();
    let plain = connect(&TcpConnector::new(), to).await.unwrap();
    assert!(plain.stream().nodelay().unwrap());
    assert!(!SockRef::from(plain.stream()).keepalive().unwrap());
    let connector = TcpConnector::new()
        .with_nodelay(false)
        .with_keepalive(Duration::from_secs(60));
    let connection = connect(&connector, to).await.unwrap();
    assert!(!connection.stream().nodelay().unwrap());
    let socket = SockRef::from(connection.stream());
    assert!(socket.keepalive().unwrap());
    #[cfg(target_os = "linux")]
    assert_eq!(
        socket.tcp_keepalive_time().unwrap(),
        Duration::from_secs(60)
    );
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn local_address_is_that_of_the_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // All of 127.0.0.0/8 is loopback.
    let local = Ipv4Addr::new(127, 0, 0, 9);
    let connector = TcpConnector::new().with_local_address(local);
    let to = listener.local_addr().unwrap();
    let connection = connect(&connector, to).await.unwrap();
    let (_, client) = listener.accept().unwrap();
    assert_eq!(client.ip(), local);
    assert_eq!(connection.info().local().socket_addr(), Some(client));
}

#[tokio::test]
async fn unusable_local_address_is_an_error() {
    let connector = TcpConnector::new().with_local_address(Ipv4Addr::LOCALHOST);
    let to = SocketAddr::from((Ipv6Addr::LOCALHOST, 1));
    let error = connect(&connector, to).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert_eq!(
        error.to_string(),
        "cannot connect to [::1]:1: the local address 127.0.0.1 is not of the same family (choose one of that family, or none)"
    );
    // An address of documentation (RFC 5737).
    let connector = TcpConnector::new().with_local_address(Ipv4Addr::new(192, 0, 2, 1));
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let error = connect(&connector, to).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
    let begin = "cannot connect to 127.0.0.1:1: cannot bind the local address 192.0.2.1: ";
    assert!(error.to_string().starts_with(begin), "{error}");
}
