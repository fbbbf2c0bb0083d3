//! What the target gets of a message, and requests that are meant to be read differently by a proxy
//! and its target (request smuggling).
use super::{
    ProxyUnderTest,
    target::{Received, Target},
};
use crate::example::{TIMEOUT, exchange};
use std::{
    io::{Read, Write},
    net::TcpStream,
};

pub(crate) const OK: &[u8] =
    b"HTTP/1.1 200 OK\r\nConnection: keep-alive, x-target\r\nX-Target: 1\r\n\
    Keep-Alive: timeout=9\r\nX-Kept: 1\r\nContent-Length: 2\r\n\r\nok";

/// Hop-by-hop fields do not pass, in either direction; those that name the client do.
pub(crate) fn fields_of_one_connection_do_not_pass() {
    let target = Target::start(OK);
    let proxy = ProxyUnderTest::start(&target.url);
    let answer = proxy.example.exchange(
        "GET /a?b\nX-A: 1\nKeep-Alive: timeout=5\nProxy-Connection: keep-alive\nX-Kept: 1\n\
         TE: trailers, gzip\nForwarded: for=10.0.0.1\nX-Forwarded-For: 10.0.0.1",
    );
    assert!(
        answer.ends_with("\r\n\r\nok") && answer.contains("x-kept: 1\r\n"),
        "{answer}"
    );
    assert!(
        !answer.contains("x-target:") && !answer.contains("keep-alive"),
        "{answer}"
    );
    let got = target.next();
    assert_eq!(got.line, "GET /a?b HTTP/1.1");
    assert_eq!(got.field("host"), Some("test"));
    assert_eq!(got.field("te"), Some("trailers"));
    assert_eq!(got.field("x-kept"), Some("1"));
    let forwarded: Vec<_> = got
        .fields
        .iter()
        .filter(|(name, _)| name == "forwarded")
        .collect();
    assert_eq!(forwarded.len(), 1, "{got:?}");
    assert_eq!(forwarded[0].1, "for=127.0.0.1;host=test;proto=http");
    for removed in ["keep-alive", "proxy-connection", "x-forwarded-for"] {
        assert_eq!(got.field(removed), None, "{got:?}");
    }
    proxy.end();
}

/// The head of an attack without its `Host`; the bytes after the head; and what is right.
struct Attack {
    head: &'static str,
    rest: &'static str,
    right: Right,
}

enum Right {
    /// The proxy refuses it with this status. The target gets nothing.
    Refused(u16),
    /// The target gets this body, and no field of these names.
    Body(&'static str, &'static [&'static str]),
}
use Right::{Body, Refused};

const fn attack(head: &'static str, rest: &'static str, right: Right) -> Attack {
    Attack { head, rest, right }
}

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

const ATTACKS: &[Attack] = &[
    // RFC 9112 6.3: Transfer-Encoding counts, and the connection closes.
    attack(
        "POST / HTTP/1.1\r\nContent-Length: 40\r\nTransfer-Encoding: chunked",
        "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        Body("", &[]),
    ),
    attack(
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 4",
        "23\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n\r\n0\r\n\r\n",
        Body(SMUGGLED, &[]),
    ),
    attack(
        "POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6",
        "hello!",
        Refused(400),
    ),
    attack(
        "POST / HTTP/1.1\r\nContent-Length: 5, 6",
        "hello!",
        Refused(400),
    ),
    attack(
        "POST / HTTP/1.1\r\nContent-Length: +5",
        "hello",
        Refused(400),
    ),
    attack(
        "POST / HTTP/1.1\r\nContent-Length : 5",
        "hello",
        Refused(400),
    ),
    attack(
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked, chunked",
        "0\r\n\r\n",
        Refused(400),
    ),
    attack(
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked, identity",
        "0\r\n\r\n",
        Refused(400),
    ),
    attack(
        "POST / HTTP/1.1\r\nTransfer-Encoding: xchunked",
        "0\r\n\r\n",
        Refused(400),
    ),
    attack(
        "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked",
        "0\r\n\r\n",
        Refused(501),
    ),
    attack(
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked",
        "0\r\n\r\n",
        Refused(400),
    ),
    // The fields that frame a message cannot be named away.
    attack(
        "POST / HTTP/1.1\r\nConnection: content-length\r\nContent-Length: 5",
        "hello",
        Body("hello", &["connection"]),
    ),
    attack(
        "POST / HTTP/1.1\r\nConnection: transfer-encoding\r\nTransfer-Encoding: chunked",
        "5\r\nhello\r\n0\r\n\r\n",
        Body("hello", &["connection"]),
    ),
    // The bodies of methods that usually have none.
    attack(
        "GET / HTTP/1.1\r\nContent-Length: 35",
        SMUGGLED,
        Body(SMUGGLED, &[]),
    ),
    attack(
        "GET / HTTP/1.1\r\nTransfer-Encoding: chunked",
        "23\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n\r\n0\r\n\r\n",
        Body(SMUGGLED, &[]),
    ),
    // Neither the host nor what the proxy adds can be named away.
    attack(
        "GET / HTTP/1.1\r\nConnection: host, forwarded",
        "",
        Body("", &["connection"]),
    ),
    attack(
        "GET / HTTP/1.1\r\nConnection: x-own, close\r\nX-Own: 1",
        "",
        Body("", &["connection", "x-own"]),
    ),
    attack(
        "GET / HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk",
        "",
        Body("", &["connection", "upgrade", "http2-settings"]),
    ),
    attack("CONNECT a:80 HTTP/1.1", "", Refused(501)),
];

/// After each attack, the next request on the target's connection is the one that was sent next.
pub(crate) fn requests_cannot_be_smuggled() {
    for attack in ATTACKS {
        let target = Target::start(OK);
        let proxy = ProxyUnderTest::start(&target.url);
        let Attack { head, rest, right } = attack;
        let status = send(&proxy, &format!("{head}\r\nHost: a\r\n\r\n{rest}"));
        let what = |got: &Received| format!("{head}: {got:?}");
        match right {
            Refused(refused) => assert_eq!(status, refused.to_string(), "{head}"),
            Body(body, missing) => {
                assert_eq!(status, "200", "{head}");
                let got = target.next();
                assert_eq!(String::from_utf8_lossy(&got.body), *body, "{}", what(&got));
                assert_eq!(got.field("host"), Some("a"), "{}", what(&got));
                assert!(got.field("forwarded").is_some(), "{}", what(&got));
                for name in *missing {
                    assert_eq!(got.field(name), None, "{}", what(&got));
                }
            }
        }
        let next = exchange(proxy.example.connect(), "GET /next");
        assert!(next.starts_with("HTTP/1.1 200 "), "{head}: {next}");
        let got = target.next();
        // A request of the attacker on its own connection may come first: it was not hidden.
        assert_eq!(got.line, "GET /next HTTP/1.1", "{}", what(&got));
        assert!(target.requests.try_recv().is_err(), "{head}");
        proxy.end();
    }
}

/// The status of the first response. The connection closes behind it.
fn send(proxy: &ProxyUnderTest, request: &str) -> String {
    let mut stream: TcpStream = proxy.example.connect();
    stream.write_all(request.as_bytes()).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    let mut head = [0; 12];
    stream.read_exact(&mut head).unwrap();
    String::from_utf8_lossy(&head[9..]).into_owned()
}
