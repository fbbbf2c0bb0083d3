//! The accept filter and the limit per address, behind a proxy.
use crate::server::{GET, LIMIT, PROXY, Served, TRUSTED, ask, v2};
use anyport_core::{Limits, transport::Endpoint};
use anyport_proxy_protocol::{Policy, ProxyProtocolExt};
use anyport_tcp::Tcp;
use std::net::Ipv4Addr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const KEPT: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

fn transport(
    policy: Policy,
) -> impl anyport_core::transport::ByteTransport<
    Runtime = anyport_core::runtime::TokioPerCore,
    Listener: Send,
> {
    Tcp::bind("127.0.0.1:0")
        .per_core()
        .with_workers(2)
        // A client that stalls is not closed.
        .proxy_protocol(policy.with_timeout(10 * LIMIT))
}

fn line(client: &str) -> String {
    format!("PROXY TCP4 {client} 192.0.2.9 1 2\r\n")
}

/// A connection that has received a response, and stays open.
async fn open(served: &Served, header: &[u8]) -> TcpStream {
    let mut stream = served.connect().await;
    stream.write_all(header).await.unwrap();
    stream.write_all(KEPT.as_bytes()).await.unwrap();
    let mut status = [0; 15];
    stream.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 200 OK");
    stream
}

#[tokio::test]
async fn limit_per_address_is_exact_for_each_client() {
    let limits = Limits::default().with_connections_per_ip(2);
    let policy = Policy::only_from(TRUSTED);
    let served = Served::start_as(transport(policy), |server| server.limits(limits));
    for _ in 0..3 {
        let mut kept = Vec::new();
        for client in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
            for _ in 0..2 {
                kept.push(open(&served, line(client).as_bytes()).await);
            }
        }
        for client in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
            for _ in 0..3 {
                let answer = served.ask(line(client) + GET).await;
                assert_eq!(answer, "", "{client} beyond its limit");
                assert_eq!(served.events.take(), [format!("refused {client}:1: PerIp")]);
            }
        }
        // Clients without a proxy are still counted.
        let stranger = Ipv4Addr::new(127, 0, 0, 3);
        let answer = ask(served.connect_from(stranger).await, GET).await;
        assert!(answer.contains("peer=127.0.0.3 proxy=None"), "{answer}");
        served.settles(kept.len()).await;
        drop(kept);
        served.settles(0).await;
    }
}

#[tokio::test]
async fn local_connections_count_for_the_proxy_itself() {
    let limits = Limits::default().with_connections_per_ip(2);
    let policy = Policy::required_from(TRUSTED);
    let served = Served::start_as(transport(policy), |server| server.limits(limits));
    // The addresses in the block differ each time, but do not change the count.
    let local = |n: u8| v2(0x20, 0x11, &[n; 12]);
    let kept = [
        open(&served, &local(1)).await,
        open(&served, &local(2)).await,
    ];
    for n in 3..6 {
        assert_eq!(served.ask([&local(n), GET.as_bytes()].concat()).await, "");
        assert!(served.events.take()[0].starts_with("refused 127.0.0.2:"));
    }
    // That does not limit the proxy's clients.
    open(&served, line("192.0.2.1").as_bytes()).await;
    drop(kept);
}

#[tokio::test]
async fn accept_filter_sees_the_client() {
    let filter = |client: &Endpoint| {
        let ip = client.socket_addr().map(|address| address.ip());
        ip != Some("192.0.2.1".parse().unwrap()) && ip != Some(PROXY.into())
    };
    let policy = Policy::required_from(TRUSTED);
    let served = Served::start_as(transport(policy), |server| server.accept_filter(filter));
    for _ in 0..3 {
        assert_eq!(served.ask(line("192.0.2.1") + GET).await, "");
        assert_eq!(served.events.take(), ["refused 192.0.2.1:1: Filter"]);
        let answer = served.ask(line("192.0.2.2") + GET).await;
        assert!(answer.contains("peer=192.0.2.2:1"), "{answer}");
    }
}
