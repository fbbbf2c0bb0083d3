//! Requests of both versions of HTTP, as the server gives them to an app.
use super::*;
use http::header::{CONNECTION, TRANSFER_ENCODING, UPGRADE};

fn request(method: &str, version: Version, uri: &str, headers: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::builder().method(method).version(version).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

fn values<B>(request: &Request<B>, name: &str) -> Vec<String> {
    let values = request.headers().get_all(name).iter();
    values
        .map(|value| value.to_str().unwrap().to_owned())
        .collect()
}

#[test]
fn host_of_http_2_is_its_authority() {
    let mut h2 = request("GET", Version::HTTP_2, "https://example.com:8443/a?b", &[]);
    assert!(prepare_request(&mut h2, &["websocket"]).unwrap().is_none());
    assert_eq!(values(&h2, "host"), ["example.com:8443"]);
    assert_eq!(h2.version(), Version::HTTP_11);
    let mut h1 = request("GET", Version::HTTP_11, "/a", &[("host", "example.com")]);
    assert!(prepare_request(&mut h1, &["websocket"]).unwrap().is_none());
    assert_eq!(values(&h1, "host"), ["example.com"]);
}

#[test]
fn cookies_of_http_2_become_one_field() {
    let cookies = [
        ("cookie", "a=1"),
        ("x-own", "1"),
        ("cookie", "b=2; c=3"),
        ("cookie", "d=4"),
    ];
    let mut h2 = request("GET", Version::HTTP_2, "https://a/", &cookies);
    prepare_request(&mut h2, &["websocket"]).unwrap();
    assert_eq!(values(&h2, "cookie"), ["a=1; b=2; c=3; d=4"]);
}

#[test]
fn request_whose_end_is_ambiguous_is_refused() {
    let headers = [
        ("host", "a"),
        ("content-length", "5"),
        ("content-length", "6"),
    ];
    let mut ambiguous = request("POST", Version::HTTP_11, "/", &headers);
    assert_eq!(
        prepare_request(&mut ambiguous, &["websocket"])
            .unwrap_err()
            .status(),
        StatusCode::BAD_REQUEST
    );
    let headers = [
        ("host", "a"),
        ("content-length", "5"),
        ("transfer-encoding", "chunked"),
    ];
    let mut chunked = request("POST", Version::HTTP_11, "/", &headers);
    prepare_request(&mut chunked, &["websocket"]).unwrap();
    assert!(!chunked.headers().contains_key("content-length"));
    assert!(!chunked.headers().contains_key(TRANSFER_ENCODING));
}

#[test]
fn connect_is_refused() {
    for (version, target) in [(Version::HTTP_11, "a:443"), (Version::HTTP_2, "a:443")] {
        let mut connect = request("CONNECT", version, target, &[]);
        assert_eq!(
            prepare_request(&mut connect, &["websocket"])
                .unwrap_err()
                .status(),
            StatusCode::NOT_IMPLEMENTED
        );
    }
}

#[test]
fn upgrade_is_taken_from_http_1_1_only() {
    let headers = [
        ("host", "a"),
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
    ];
    for (version, is_asked) in [(Version::HTTP_11, true), (Version::HTTP_10, false)] {
        let mut request = request("GET", version, "/", &headers);
        let upgrade = prepare_request(&mut request, &["websocket"]).unwrap();
        assert_eq!(upgrade.is_some(), is_asked, "{version:?}");
        assert_eq!(
            values(&request, UPGRADE.as_str()).len(),
            usize::from(is_asked)
        );
        assert_eq!(
            values(&request, CONNECTION.as_str()).len(),
            usize::from(is_asked)
        );
    }
}
