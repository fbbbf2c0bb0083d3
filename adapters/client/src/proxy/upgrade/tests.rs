//! Upgrades asked for in HTTP/1.1 and HTTP/2, and the answers of targets.
use super::*;
use crate::proxy::{prepare_request, prepare_response};
use http::Version;

fn http1(protocol: &str) -> Request<()> {
    Request::get("/chat")
        .version(Version::HTTP_11)
        .header("host", "a")
        .header("connection", "keep-alive, Upgrade")
        .header("upgrade", protocol)
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .body(())
        .unwrap()
}

fn http2(protocol: &'static str) -> Request<()> {
    let mut request = Request::connect("https://a/chat")
        .version(Version::HTTP_2)
        .header("sec-websocket-version", "13")
        // RFC 9110 9.3.6: CONNECT has no content.
        .header("content-length", "100")
        .body(())
        .unwrap();
    let protocol = hyper::ext::Protocol::from_static(protocol);
    request.extensions_mut().insert(protocol);
    request
}

fn ask(mut request: Request<()>) -> (Request<()>, Upgrade) {
    let upgrade = prepare_request(&mut request, &["websocket"])
        .unwrap()
        .unwrap();
    (request, upgrade)
}

fn response(status: u16, upgrade: Option<&str>) -> Response<()> {
    let mut response = Response::builder().status(status);
    if let Some(protocol) = upgrade {
        response = response
            .header("upgrade", protocol)
            .header("connection", "upgrade");
        response = response.header("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
    response.body(()).unwrap()
}

#[test]
fn only_known_protocols_are_asked_for() {
    for (asked, wanted) in [
        ("websocket", Some("websocket")),
        ("WebSocket", Some("WebSocket")),
        ("h2c, websocket,, tls/1.0", Some("websocket")),
        ("h2c", None),
        ("websockets", None),
        ("", None),
        (",", None),
    ] {
        let mut request = http1(asked);
        let upgrade = prepare_request(&mut request, &["websocket"]).unwrap();
        let protocol = upgrade
            .as_ref()
            .map(|upgrade| upgrade.protocol().to_str().unwrap());
        assert_eq!(protocol, wanted, "{asked}");
        let field = request
            .headers()
            .get("upgrade")
            .map(|field| field.to_str().unwrap());
        assert_eq!(field, wanted, "{asked}");
        assert_eq!(
            request.headers().contains_key("connection"),
            wanted.is_some()
        );
    }
}

/// As a plain GET, it would get a response that looks like an open tunnel to the client.
#[test]
fn extended_connect_to_an_unknown_protocol_is_refused() {
    for (protocol, allowed) in [("connect-udp", &["websocket"][..]), ("websocket", &[])] {
        let error = prepare_request(&mut http2(protocol), allowed).unwrap_err();
        assert_eq!(error.status(), StatusCode::NOT_IMPLEMENTED, "{protocol}");
    }
}

#[test]
fn upgrade_of_http_1_1_passes_both_ways() {
    let (request, upgrade) = ask(http1("websocket"));
    assert_eq!(request.headers()["connection"], "upgrade");
    assert_eq!(request.headers()["upgrade"], "websocket");
    assert_eq!(
        request.headers()["sec-websocket-key"],
        "dGhlIHNhbXBsZSBub25jZQ=="
    );
    let mut switched = response(101, Some("WebSocket"));
    assert!(
        prepare_response(&mut switched, Some(upgrade))
            .unwrap()
            .is_some()
    );
    assert_eq!(switched.status(), 101);
    assert_eq!(switched.headers()["upgrade"], "WebSocket");
    assert_eq!(switched.headers()["connection"], "upgrade");
    assert_eq!(
        switched.headers()["sec-websocket-accept"],
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    );
}

#[test]
fn refused_upgrade_is_a_usual_response() {
    for status in [200, 302, 400, 426, 503] {
        let (_, upgrade) = ask(http1("websocket"));
        let mut refused = response(status, None);
        assert!(
            prepare_response(&mut refused, Some(upgrade))
                .unwrap()
                .is_none()
        );
        assert_eq!(refused.status(), status);
    }
}

#[test]
fn switch_to_what_nobody_asked_for_is_an_error() {
    for switched in [None, Some("h2c"), Some("websocket, h2c"), Some("")] {
        let (_, upgrade) = ask(http1("websocket"));
        let mut response = response(101, switched);
        let error = prepare_response(&mut response, Some(upgrade)).unwrap_err();
        assert_eq!(error.status(), StatusCode::BAD_GATEWAY, "{switched:?}");
    }
    let mut unasked = response(101, Some("websocket"));
    assert_eq!(
        prepare_response(&mut unasked, None).unwrap_err().status(),
        StatusCode::BAD_GATEWAY
    );
}

#[test]
fn extended_connect_becomes_an_upgrade_of_http_1_1() {
    let (request, upgrade) = ask(http2("websocket"));
    assert_eq!(request.method(), Method::GET);
    assert_eq!(request.headers()["connection"], "upgrade");
    assert_eq!(request.headers()["upgrade"], "websocket");
    assert_eq!(request.headers()["host"], "a");
    assert!(!request.headers().contains_key("content-length"));
    assert!(request.extensions().get::<hyper::ext::Protocol>().is_none());
    let mut switched = response(101, Some("websocket"));
    assert!(
        prepare_response(&mut switched, Some(upgrade))
            .unwrap()
            .is_some()
    );
    assert_eq!(switched.status(), 200);
    assert_eq!(switched.headers().len(), 0, "{:?}", switched.headers());
}

/// To the client, success means that the tunnel is open.
#[test]
fn success_without_a_switch_is_an_error_of_an_extended_connect() {
    for (status, is_error) in [(200, true), (204, true), (302, false), (403, false)] {
        let (_, upgrade) = ask(http2("websocket"));
        let outcome = prepare_response(&mut response(status, None), Some(upgrade));
        assert_eq!(outcome.is_err(), is_error, "{status}");
    }
}

#[test]
fn key_is_sixteen_bytes_of_base64_and_differs_each_time() {
    let keys: std::collections::HashSet<_> = (0..100)
        .map(|_| {
            let (request, _) = ask(http2("websocket"));
            let key = request.headers()["sec-websocket-key"]
                .to_str()
                .unwrap()
                .to_owned();
            assert!(key.len() == 24 && key.ends_with("=="), "{key}");
            assert!(
                "AQgw".contains(&key[21..22]),
                "the last bits are zero: {key}"
            );
            key
        })
        .collect();
    assert_eq!(keys.len(), 100);
}
