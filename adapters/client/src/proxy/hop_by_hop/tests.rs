//! Tables of header sections before and after, with the attacks that the rules are for.
use super::*;

fn headers(text: &str) -> HeaderMap {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let fields = lines.map(|line| {
        let (name, value) = line.split_once(':').unwrap();
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        (name, HeaderValue::from_str(value.trim()).unwrap())
    });
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(name, value);
    }
    headers
}

/// The fields that stay, and the upgrade.
#[track_caller]
fn assert_kept(before: &str, kept: &str, upgrade: Option<&str>) {
    let mut got = headers(before);
    let asked = remove_hop_by_hop(&mut got);
    assert_eq!(got, headers(kept), "of {before}");
    assert_eq!(
        asked.as_ref().map(HeaderValue::as_bytes),
        upgrade.map(str::as_bytes)
    );
}

#[test]
fn end_to_end_fields_stay() {
    let message = "Host: a\nAccept: */*\nCache-Control: no-cache\nExpect: 100-continue\n\
        Content-Length: 5\nCookie: a=b\nTrailer: x-sum\nVia: 1.1 edge\nWarning: 1\nX-Own: 1\nX-Own: 2";
    assert_kept(message, message, None);
    assert_kept("", "", None);
}

#[test]
fn fields_of_one_connection_are_removed() {
    for field in [
        "Connection: close",
        "Keep-Alive: timeout=5",
        "Proxy-Connection: keep-alive",
        "TE: gzip",
        "Transfer-Encoding: chunked",
        "Upgrade: websocket",
        "HTTP2-Settings: AAMAAABk",
        "Proxy-Authenticate: Basic",
        "Proxy-Authentication-Info: nextnonce=1",
        "Proxy-Authorization: Basic YTpi",
    ] {
        assert_kept(
            &format!("Host: a\n{field}\nX-Own: 1"),
            "Host: a\nX-Own: 1",
            None,
        );
        assert_kept(&format!("{field}\n{field}"), "", None);
    }
}

#[test]
fn connection_names_fields_in_any_spelling_and_number() {
    for connection in [
        "Connection: x-a, X-B",
        "Connection: keep-alive ,\tX-a,,x-b , ",
        "Connection: x-a\nConnection: close\nConnection: X-B",
        "connection: close, x-b, x-missing, x-a",
    ] {
        let before = format!("X-A: 1\n{connection}\nx-b: 2\nX-B: 3\nX-C: 4");
        assert_kept(&before, "X-C: 4", None);
    }
}

#[test]
fn options_that_name_no_field_are_ignored() {
    for option in [
        "x a", "\"x-a\"", "x-a;q=1", "x-a=1", "(x-a)", "x-\u{e9}", "@", "",
    ] {
        let connection = format!("Connection: {option}, close");
        assert_kept(&format!("X-A: 1\n{connection}"), "X-A: 1", None);
    }
}

#[test]
fn trailers_stay_accepted() {
    for te in [
        "trailers",
        "gzip, Trailers",
        "deflate;q=0.5 , trailers ,",
        "gzip\nTE: trailers",
    ] {
        for connection in ["", "Connection: TE", "Connection: close, te"] {
            assert_kept(&format!("{connection}\nTE: {te}"), "TE: trailers", None);
        }
    }
    for te in ["gzip", "trailers;q=1", "trailer", "xtrailers", ""] {
        assert_kept(&format!("TE: {te}"), "", None);
    }
}

/// RFC 9112 6.3: a request with both may be an attack, and only `Transfer-Encoding` is right.
#[test]
fn content_length_beside_transfer_encoding_is_removed() {
    for coding in ["chunked", "gzip, chunked", "identity", "xchunked", ""] {
        let before = format!("Content-Length: 5\nTransfer-Encoding: {coding}\nHost: a");
        assert_kept(&before, "Host: a", None);
        let before = format!("Transfer-Encoding: {coding}\nHost: a\nContent-Length: 5");
        assert_kept(&before, "Host: a", None);
    }
}

/// A client can name any field. What is removed must not change where the request goes.
#[test]
fn host_stays_even_if_it_is_named() {
    assert_kept("Host: a\nConnection: host, close", "Host: a", None);
    assert_kept(
        "Connection: HOST\nHost: a\nX-A: 1\nConnection: x-a",
        "Host: a",
        None,
    );
}

/// hyper frames each body by its own length, so the message ends where it did.
#[test]
fn named_content_length_is_removed() {
    assert_kept(
        "Host: a\nContent-Length: 5\nConnection: content-length",
        "Host: a",
        None,
    );
    let both = "Connection: transfer-encoding, content-length\nContent-Length: 5\nTransfer-Encoding: chunked";
    assert_kept(both, "", None);
}

#[test]
fn upgrade_is_returned_if_connection_names_it() {
    for connection in [
        "Upgrade",
        "keep-alive, upgrade",
        "close\nConnection: UPGRADE",
    ] {
        let before =
            format!("Connection: {connection}\nUpgrade: WebSocket\nSec-WebSocket-Version: 13");
        assert_kept(&before, "Sec-WebSocket-Version: 13", Some("WebSocket"));
    }
    let list = "Connection: upgrade\nUpgrade: h2c, websocket";
    assert_kept(list, "", Some("h2c, websocket"));
    for not_asked in [
        "Upgrade: websocket",
        "Connection: close\nUpgrade: websocket",
        "Connection: upgrade",
        "Connection: upgrade\nUpgrade: a\nUpgrade: b",
    ] {
        assert_kept(not_asked, "", None);
    }
}

/// An upgrade to cleartext HTTP/2 would take the rest of the connection past the proxy.
#[test]
fn h2c_leaves_nothing_behind() {
    let before =
        "Host: a\nConnection: Upgrade, HTTP2-Settings\nUpgrade: h2c\nHTTP2-Settings: AAMAAABk";
    assert_kept(before, "Host: a", Some("h2c"));
}
