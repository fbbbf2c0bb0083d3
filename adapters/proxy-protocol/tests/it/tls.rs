//! Headers in front of TLS, and inside TLS.
use crate::{
    client::Authority,
    server::{GET, LINE, Served, TRUSTED, ask, to_end, v2},
};
use anyport_proxy_protocol::{Policy, ProxyProtocolExt};
use anyport_tcp::Tcp;
use anyport_tls::TlsExt;
use tokio::io::AsyncWriteExt;

fn policy() -> Policy {
    Policy::required_from(TRUSTED)
}

#[tokio::test]
async fn header_in_front_of_tls_is_read() {
    let authority = Authority::new();
    let transport = Tcp::bind("127.0.0.1:0").proxy_protocol(policy());
    let served = Served::start(transport.tls(authority.server()));
    for _ in 0..2 {
        let mut stream = served.connect().await;
        stream.write_all(LINE.as_bytes()).await.unwrap();
        let stream = authority.client().connect(stream).await.unwrap();
        let answer = ask(stream, GET).await;
        assert!(
            answer.contains("peer=192.0.2.1:4711 proxy=Some(\"127.0.0.2\") tls=true"),
            "{answer}"
        );
    }
    assert_eq!(served.events.take(), [""; 0]);
    // The peer sends no header, or sends it inside TLS.
    let stream = served.connect().await;
    assert!(authority.client().connect(stream).await.is_err());
    let error = &served.events.take()[0];
    assert!(
        error.contains("that is TLS: if the proxy sends its header inside TLS"),
        "{error}"
    );
}

#[tokio::test]
async fn header_inside_tls_is_read() {
    let authority = Authority::new();
    let transport = Tcp::bind("127.0.0.1:0").tls(authority.server());
    let served = Served::start(transport.proxy_protocol(policy()));
    let stream = authority.client().connect(served.connect().await).await;
    let answer = ask(stream.unwrap(), [LINE, GET].concat()).await;
    assert!(
        answer.contains("peer=192.0.2.1:4711 proxy=Some(\"127.0.0.2\") tls=true"),
        "{answer}"
    );
    assert_eq!(served.events.take(), [""; 0]);
    // The header comes in front of TLS instead.
    for header in [LINE.as_bytes(), &v2(0x20, 0, b"")] {
        let mut stream = served.connect().await;
        stream.write_all(header).await.unwrap();
        assert_eq!(to_end(&mut stream).await, "");
        let error = &served.events.take()[0];
        assert!(
            error.starts_with("a PROXY header instead of TLS"),
            "{error}"
        );
    }
}
