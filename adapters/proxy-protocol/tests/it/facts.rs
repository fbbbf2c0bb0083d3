//! Tests the facts that an app gets from a header.
use crate::server::{GET, LINE, Served, TRUSTED, ask, v2};
use anyport_core::transport::{Endpoint, UnixName};
use anyport_proxy_protocol::{Policy, ProxyProtocolExt, Trusted};
use anyport_tcp::Tcp;
use anyport_unix::Unix;
use tokio::net::UnixStream;

const IPV4: &[u8] = &[192, 0, 2, 1, 192, 0, 2, 9, 0x12, 0x67, 0x01, 0xBB];

fn over_tcp() -> Served {
    Served::start(Tcp::bind("127.0.0.1:0").proxy_protocol(Policy::required_from(TRUSTED)))
}

#[track_caller]
fn has(answer: &str, parts: &[&str]) {
    for part in parts {
        assert!(answer.contains(part), "no {part:?} in:\n{answer}");
    }
}

#[tokio::test]
async fn both_versions_name_the_client_and_the_proxy() {
    let served = over_tcp();
    let line = LINE.as_bytes().to_vec();
    for header in [line, v2(0x21, 0x11, IPV4)] {
        let answer = served.ask([&header, GET.as_bytes()].concat()).await;
        has(
            &answer,
            &[
                "200 OK",
                "peer=192.0.2.1:4711 ",
                "proxy=Some(\"127.0.0.2\")",
                "destination: Some(Tcp(192.0.2.9:443))",
            ],
        );
    }
    assert_eq!(served.events.take(), [""; 0]);
}

#[tokio::test]
async fn local_and_unknown_headers_keep_the_real_peer() {
    let served = over_tcp();
    for header in [
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY UNKNOWN 6.6.6.6 7.7.7.7 6 7\r\n".to_vec(),
        v2(0x20, 0, b""),
        // Addresses that are not the proxy's, and a family without its addresses.
        v2(0x20, 0x11, IPV4),
        v2(0x20, 0x21, b"lies"),
        v2(0x21, 0, b""),
    ] {
        let answer = served.ask([&header, GET.as_bytes()].concat()).await;
        has(&answer, &["200 OK", "peer=127.0.0.2 proxy=None", "None"]);
    }
}

#[tokio::test]
async fn app_gets_the_values_of_the_header() {
    let served = over_tcp();
    let values = b"\x02\0\x0bexample.com\x05\0\x02id\xEA\0\x03\x01vp";
    let header = v2(0x21, 0x11, &[IPV4, values].concat());
    let answer = served.ask([&header, GET.as_bytes()].concat()).await;
    has(
        &answer,
        &[
            "authority: Some(\"example.com\")",
            "unique_id: Some(\"id\")",
            "extensions: 1",
        ],
    );
}

#[tokio::test]
async fn proxy_on_a_unix_socket_is_trusted_by_its_user() {
    let user = rustix::process::geteuid().as_raw();
    for (users, is_trusted) in [(vec![user], true), (vec![user + 1], false)] {
        let folder = tempfile::tempdir().unwrap();
        let trusted = Trusted::default().with_unix_users(users);
        for (policy, is_served) in [
            (Policy::required_from(trusted.clone()), is_trusted),
            (Policy::only_from(trusted), is_trusted),
        ] {
            let path = folder.path().join("s");
            let served = Served::start(Unix::bind(&path).proxy_protocol(policy));
            let Endpoint::Unix(UnixName::Path(path)) = &served.handle.endpoints()[0] else {
                panic!("a path");
            };
            let stream = UnixStream::connect(path).await.unwrap();
            let answer = ask(stream, [LINE, GET].concat()).await;
            if is_served {
                has(
                    &answer,
                    &["200 OK", "peer=192.0.2.1:4711 proxy=Some(\"unix:\")"],
                );
            } else {
                assert!(!answer.contains("200 OK"), "{answer}");
            }
            drop(served.handle.abort());
            let _ = served.handle.wait().await;
        }
    }
}

#[tokio::test]
async fn client_of_two_proxies_is_the_one_that_the_inner_header_names() {
    // The first header names the second proxy, which is trusted by the outer layer.
    let transport = Tcp::bind("127.0.0.1:0")
        .proxy_protocol(Policy::required_from(TRUSTED))
        .proxy_protocol(Policy::required_from(["192.0.2.1"]));
    let served = Served::start(transport);
    let second = "PROXY TCP4 203.0.113.5 192.0.2.9 1 2\r\n";
    let answer = served.ask([LINE, second, GET].concat()).await;
    has(
        &answer,
        &["200 OK", "peer=203.0.113.5:1 proxy=Some(\"192.0.2.1\")"],
    );
    let stranger = "PROXY TCP4 192.0.2.7 192.0.2.9 4711 443\r\n";
    assert_eq!(served.ask([stranger, second, GET].concat()).await, "");
    has(
        &served.events.take()[0],
        &["192.0.2.7:4711 is not a trusted proxy"],
    );
}
