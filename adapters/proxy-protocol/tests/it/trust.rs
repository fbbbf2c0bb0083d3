//! Tests which peers are trusted to send a header.
use crate::server::{GET, LINE, PROXY, Served, TRUSTED, ask, v2};
use anyport_core::error::ErrorKind;
use anyport_proxy_protocol::{Policy, ProxyProtocolExt, Trusted};
use anyport_tcp::Tcp;
use std::{io, net::Ipv4Addr, time::Duration};

const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

#[tokio::test]
async fn untrusted_peer_is_refused_if_a_header_is_required() {
    let transport = Tcp::bind("127.0.0.1:0").proxy_protocol(Policy::required_from(TRUSTED));
    let served = Served::start(transport);
    for bytes in [&[LINE, GET].concat(), GET, ""] {
        let answer = ask(served.connect_from(STRANGER).await, bytes).await;
        assert_eq!(answer, "");
        served.settles(0).await;
        let error = &served.events.take()[0];
        assert!(error.contains("127.0.0.3:"), "{error}");
        assert!(error.contains("is not a trusted proxy"), "{error}");
        assert_eq!(served.events.kinds(), [io::ErrorKind::PermissionDenied]);
    }
    assert!(
        served
            .ask([LINE, GET].concat())
            .await
            .contains("peer=192.0.2.1")
    );
}

#[tokio::test]
async fn untrusted_peer_is_an_ordinary_client_otherwise() {
    let transport = Tcp::bind("127.0.0.1:0").proxy_protocol(Policy::only_from(TRUSTED));
    let served = Served::start(transport);
    let answer = ask(served.connect_from(STRANGER).await, GET).await;
    assert!(answer.contains("peer=127.0.0.3 proxy=None"), "{answer}");
    // The headers of an untrusted peer are data, including forged LOCAL headers.
    let forged = v2(0x20, 0x11, &[6; 12]);
    for header in [LINE.as_bytes(), &forged] {
        let bytes = [header, GET.as_bytes()].concat();
        let answer = ask(served.connect_from(STRANGER).await, bytes).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
    // A trusted peer must send a header.
    assert_eq!(ask(served.connect_from(PROXY).await, GET).await, "");
    let error = &served.events.take()[0];
    assert!(error.contains("that may be HTTP"), "{error}");
}

#[tokio::test]
async fn ipv4_network_contains_the_peers_of_an_ipv6_socket() {
    // On a socket bound to `[::]`, an IPv4 peer has a mapped address.
    let transport = Tcp::bind("[::]:0").proxy_protocol(Policy::required_from(["127.0.0.0/8"]));
    let served = Served::start(transport);
    let port = served.addr().port();
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await;
    let answer = ask(stream.unwrap(), [LINE, GET].concat()).await;
    assert!(answer.contains("peer=192.0.2.1:4711"), "{answer}");
}

#[test]
fn invalid_policies_are_errors_at_start() {
    for (policy, says) in [
        (Policy::required_from(["balancer"]), "\"balancer\""),
        (Policy::only_from(Trusted::default()), "no proxy is trusted"),
        (
            Policy::required_from(TRUSTED).with_timeout(Duration::ZERO),
            "with_timeout is zero",
        ),
    ] {
        let transport = Tcp::bind("127.0.0.1:0").per_core().proxy_protocol(policy);
        let server = anyport_core::serve_with(transport, crate::server::app());
        let error = server.start().err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(says), "{error}");
    }
}
