//! Responses of targets. Those that switch protocols are in the tests of upgrades.
use super::*;

#[test]
fn response_loses_what_belongs_to_the_targets_connection() {
    let mut response = Response::builder()
        .version(Version::HTTP_10)
        .header("connection", "close, x-debug, host")
        .header("keep-alive", "timeout=5")
        .header("proxy-authenticate", "Basic")
        .header("upgrade", "h2c")
        .header("x-debug", "1")
        .header("content-length", "5")
        .header("transfer-encoding", "chunked")
        .header("set-cookie", "a=1")
        .header("set-cookie", "b=2")
        .body(())
        .unwrap();
    assert!(prepare_response(&mut response, None).unwrap().is_none());
    let kept: Vec<_> = response
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect();
    assert_eq!(kept, [("set-cookie", &b"a=1"[..]), ("set-cookie", b"b=2")]);
    assert_eq!(response.version(), Version::HTTP_11);
}

#[test]
fn response_whose_end_is_ambiguous_is_an_error() {
    for (lengths, is_error) in [(["5", "5"], false), (["5", "6"], true)] {
        let mut response = Response::new(());
        for length in lengths {
            let length = http::HeaderValue::from_static(length);
            response.headers_mut().append("content-length", length);
        }
        let outcome = prepare_response(&mut response, None);
        assert_eq!(
            outcome.err().map(|error| error.status()),
            is_error.then_some(StatusCode::BAD_GATEWAY)
        );
    }
}
