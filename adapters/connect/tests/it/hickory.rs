//! hickory-resolver with a name server that is late, silent, or has no address.
use crate::{
    fixture::{ALIVE, Loopback},
    name_server::{self, A, AAAA, Reply},
};
use anyport_connect::{ConnectError, ConnectErrorKind, HappyEyeballs, HickoryResolver};
use anyport_core::{
    Connection, Runtime,
    runtime::{SharedTimer, Tokio, block_on},
    transport::{Connector, Endpoint},
};
use anyport_monoio::{MonoioConnector, MonoioPerCore};
use anyport_tcp::TcpConnector;
use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig},
    net::runtime::TokioRuntimeProvider,
};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

fn resolver(server: SocketAddr) -> HickoryResolver {
    let mut udp = ConnectionConfig::udp();
    udp.port = server.port();
    let server = NameServerConfig::new(server.ip(), true, vec![udp]);
    let config = ResolverConfig::from_name_servers(vec![server]);
    let provider = TokioRuntimeProvider::default();
    let mut builder = TokioResolver::builder_with_config(config, provider);
    // Longer than the name server may take on a busy machine.
    builder.options_mut().timeout = Duration::from_secs(60);
    HickoryResolver::new(builder.build().unwrap()).unwrap()
}

async fn connect<C: Connector>(
    connector: C,
    timer: SharedTimer,
    server: SocketAddr,
    port: u16,
) -> Result<Endpoint, ConnectError> {
    let happy_eyeballs = HappyEyeballs::new(connector, timer).with_resolver(resolver(server));
    let connection = happy_eyeballs.connect("host.test.", port).await?;
    Ok(connection.info().peer().clone())
}

/// IPv4 is used although the other answer never comes.
fn silent_for_ipv6() -> SocketAddr {
    name_server::start(|kind| match kind {
        A => Reply::After(Duration::from_millis(20), vec![ALIVE]),
        _ => Reply::Never,
    })
}

#[tokio::test]
async fn addresses_are_used_without_the_other_answer() {
    let loopback = Loopback::new();
    let server = silent_for_ipv6();
    let timer = Tokio::current().timer();
    let peer = connect(TcpConnector::new(), timer, server, loopback.port)
        .await
        .unwrap();
    assert_eq!(peer, SocketAddr::new(ALIVE, loopback.port).into());
}

#[test]
fn it_works_on_monoio_inside_of_tokio() {
    let loopback = Loopback::new();
    let (server, port) = (silent_for_ipv6(), loopback.port);
    let peer = block_on::<MonoioPerCore, _>(None, move || {
        connect(
            MonoioConnector::new(),
            MonoioPerCore::current().timer(),
            server,
            port,
        )
    });
    let peer = peer.unwrap().unwrap();
    assert_eq!(peer, SocketAddr::new(ALIVE, port).into());
}

#[tokio::test]
async fn both_families_are_asked_once_and_cached() {
    let loopback = Loopback::new();
    // If a reply is late, the query is sent again.
    for _ in 0..10 {
        let queries = queries_of_three_connections(&loopback).await;
        // An empty answer has no SOA record here, so nothing says how long it is valid (RFC 2308).
        assert!(queries.iter().all(|queries| *queries >= 1), "{queries:?}");
        if queries[0] == 1 && queries[1] <= 3 {
            return;
        }
    }
    panic!("asked more than once each time");
}

/// How often the name server is asked for an address of IPv4, and of IPv6.
async fn queries_of_three_connections(loopback: &Loopback) -> [usize; 2] {
    let queries = Arc::<[AtomicUsize; 2]>::default();
    let asked = Arc::clone(&queries);
    let server = name_server::start(move |kind| {
        asked[usize::from(kind == AAAA)].fetch_add(1, SeqCst);
        match kind {
            A => Reply::After(Duration::ZERO, vec![ALIVE]),
            _ => Reply::After(Duration::ZERO, Vec::new()),
        }
    });
    let happy_eyeballs = HappyEyeballs::new(TcpConnector::new(), Tokio::current().timer());
    let happy_eyeballs = happy_eyeballs.with_resolver(resolver(server));
    for _ in 0..3 {
        happy_eyeballs
            .connect("host.test.", loopback.port)
            .await
            .unwrap();
    }
    [0, 1].map(|index: usize| queries[index].load(SeqCst))
}

#[tokio::test]
async fn name_that_does_not_exist_is_an_error() {
    let server = name_server::start(|_| Reply::Error(3));
    let timer = Tokio::current().timer();
    let error = connect(TcpConnector::new(), timer, server, 1)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::NoAddress);
    let expected = "cannot connect to host.test.:1: no address found \
        (AAAA: no such host; A: no such host)";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn without_tokio_it_says_so() {
    let error = HickoryResolver::from_system().unwrap_err();
    assert!(error.to_string().contains("needs tokio"), "{error}");
}
