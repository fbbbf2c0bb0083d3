//! `haproxy`: both versions, TLS facts, health checks, and limits for its clients.
use crate::{
    client::{Authority, Client},
    program::{Front, Proxy},
    server::{GET, LIMIT, PROXY, Served, TRUSTED, ask},
};
use anyport_core::{Limits, transport::Endpoint};
use anyport_proxy_protocol::{Policy, ProxyProtocol, ProxyProtocolExt};
use anyport_tcp::{Tcp, TcpPerCore};
use anyport_tls::TlsExt;
use std::{net::Ipv4Addr, process::Command};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UnixStream},
    time::timeout,
};

const CLIENT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
const OTHER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 4);

fn transport() -> ProxyProtocol<TcpPerCore> {
    let tcp = Tcp::bind("127.0.0.1:0").per_core().with_workers(2);
    // A haproxy that stalls is not closed.
    tcp.proxy_protocol(Policy::required_from(TRUSTED).with_timeout(10 * LIMIT))
}

/// haproxy in front of this server. `bind` and `server` are options of these lines.
fn start(front: Front, served: &Served, bind: &str, server: &str) -> Proxy {
    let (fd, to) = (front.descriptor(), served.addr());
    let stats = front.path("stats");
    let configuration = format!(
        "global\n stats socket {stats}\n\
         defaults\n mode tcp\n timeout connect 60s\n timeout check 60s\n timeout client 60s\n timeout server 60s\n\
         frontend front\n bind fd@{fd} {bind}\n unique-id-format %ci-%Ts\n default_backend back\n\
         backend back\n option httpchk GET /\n source {PROXY}\n server app {to} {server}\n"
    );
    let file = front.file("configuration", &configuration);
    front.start(Command::new("haproxy").args(["-db", "-f", &file]))
}

pub(crate) async fn every_kind_of_header_names_the_client() {
    let served = Served::start(transport());
    for (server, says) in [
        ("send-proxy", ""),
        ("send-proxy-v2", ""),
        ("send-proxy-v2-ssl-cn", "tls: None"),
        (
            "send-proxy-v2 proxy-v2-options crc32c,unique-id",
            "unique_id: Some(\"127.0.0.3-",
        ),
    ] {
        let proxy = start(Front::listening(), &served, "", server);
        for _ in 0..3 {
            let answer = ask(proxy.connect_from(CLIENT).await, GET).await;
            let wanted = "peer=127.0.0.3 proxy=Some(\"127.0.0.2\")";
            assert!(answer.contains(wanted), "{server}: {answer}");
            assert!(answer.contains(says), "{server}: {answer}");
        }
    }
    assert_eq!(served.events.take(), [""; 0]);
}

pub(crate) async fn tls_at_haproxy_is_told() {
    let served = Served::start(transport());
    let (authority, front) = (Authority::new(), Front::listening());
    let identity = authority.localhost();
    let pem = front.file("pem", &(identity.chain.clone() + &identity.key));
    let roots = front.file("roots", &authority.root_pem());
    let bind = format!("ssl crt {pem} ca-file {roots} verify optional alpn http/1.1");
    let server =
        "send-proxy-v2 proxy-v2-options ssl,cert-cn,ssl-cipher,cert-key,cert-sig,authority,crc32c";
    let proxy = start(front, &served, &bind, server);
    let shown = authority.issue("a client", &["client"]);
    for (identity, wanted) in [
        (None, "common_name: None"),
        (Some(&shown), "common_name: Some(\"a client\")"),
    ] {
        let mut config = authority.client_config(identity);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let stream = proxy.connect_from(CLIENT).await;
        let stream = Client::new(config).connect(stream).await.unwrap();
        let answer = ask(stream, GET).await;
        let verified = format!("has_certificate: {0}, verified: {0}", identity.is_some());
        for part in [
            "peer=127.0.0.3 proxy=Some(\"127.0.0.2\") tls=false",
            wanted,
            &verified,
            "alpn: Some(\"http/1.1\")",
            "authority: Some(\"localhost\")",
            "version: Some(\"TLSv1.3\")",
            "cipher: Some(\"TLS_",
            "key_algorithm: Some(\"EC256\")",
            "signature_algorithm: Some(\"ecdsa-with-SHA256\")",
        ] {
            assert!(answer.contains(part), "no {part:?} in:\n{answer}");
        }
    }
    assert_eq!(served.events.take(), [""; 0]);
}

pub(crate) async fn tls_passes_through() {
    let authority = Authority::new();
    let served = Served::start(transport().tls(authority.server()));
    for server in ["send-proxy", "send-proxy-v2"] {
        let proxy = start(Front::listening(), &served, "", server);
        let stream = proxy.connect_from(CLIENT).await;
        let stream = authority.client().connect(stream).await.unwrap();
        let answer = ask(stream, GET).await;
        let wanted = "peer=127.0.0.3 proxy=Some(\"127.0.0.2\") tls=true";
        assert!(answer.contains(wanted), "{server}: {answer}");
    }
}

pub(crate) async fn health_checks_succeed() {
    for server in ["send-proxy", "send-proxy-v2"] {
        let served = Served::start(transport());
        let front = Front::listening();
        // LOCAL in version 2, the proxy's own address in version 1.
        let proxy = start(front, &served, "", &format!("{server} check inter 50ms"));
        let succeeds = async {
            while !status(&proxy).await.contains("L7OK") {
                tokio::task::yield_now().await;
            }
        };
        timeout(LIMIT, succeeds).await.unwrap();
        let answer = ask(proxy.connect_from(CLIENT).await, GET).await;
        assert!(answer.contains("peer=127.0.0.3 "), "{answer}");
        // The end of the proxy may cut a check.
        assert_eq!(served.events.take(), [""; 0]);
    }
}

/// The status of the server according to haproxy.
async fn status(proxy: &Proxy) -> String {
    let mut text = String::new();
    if let Ok(mut stats) = UnixStream::connect(proxy.path("stats")).await {
        stats.write_all(b"show stat\n").await.unwrap();
        stats.read_to_string(&mut text).await.unwrap();
    }
    text
}

/// A connection that has received a response, and stays open.
async fn open(proxy: &Proxy, from: Ipv4Addr) -> TcpStream {
    let mut stream = proxy.connect_from(from).await;
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let mut status = [0; 15];
    stream.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 200 OK");
    stream
}

pub(crate) async fn limit_per_address_holds_for_each_client() {
    let limits = Limits::default().with_connections_per_ip(3);
    let served = Served::start_as(transport(), |server| server.limits(limits));
    for server in ["send-proxy", "send-proxy-v2"] {
        let proxy = start(Front::listening(), &served, "", server);
        let mut kept = Vec::new();
        for client in [CLIENT, OTHER] {
            for _ in 0..3 {
                kept.push(open(&proxy, client).await);
            }
        }
        for client in [CLIENT, OTHER] {
            for _ in 0..5 {
                assert_eq!(ask(proxy.connect_from(client).await, GET).await, "");
                let events = served.events.take();
                assert_eq!(events.len(), 1, "{events:?}");
                let refused = format!("refused {client}:");
                assert!(events[0].starts_with(&refused), "{events:?}");
            }
        }
        served.settles(6).await;
        drop(kept);
        served.settles(0).await;
    }
}

pub(crate) async fn accept_filter_sees_the_client() {
    let filter = |client: &Endpoint| {
        let address = client.socket_addr().map(|address| address.ip());
        address == Some(OTHER.into())
    };
    let served = Served::start_as(transport(), |server| server.accept_filter(filter));
    let proxy = start(Front::listening(), &served, "", "send-proxy-v2");
    for _ in 0..3 {
        assert_eq!(ask(proxy.connect_from(CLIENT).await, GET).await, "");
        assert!(served.events.take()[0].starts_with("refused 127.0.0.3:"));
        let answer = ask(proxy.connect_from(OTHER).await, GET).await;
        assert!(answer.contains("peer=127.0.0.4 "), "{answer}");
    }
}
