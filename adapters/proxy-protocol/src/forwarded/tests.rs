//! Tests which client the fields of a request name.
use super::*;
use anyport_core::transport::Endpoint;
use http::HeaderValue;

const PROXY: &str = "10.0.0.1";

fn forwarded() -> ForwardedLayer {
    ForwardedLayer::forwarded(["10.0.0.0/8"]).unwrap()
}

fn x_forwarded_for() -> ForwardedLayer {
    ForwardedLayer::x_forwarded_for(["10.0.0.0/8"]).unwrap()
}

fn info(peer: &str) -> ConnInfo {
    let peer = SocketAddr::new(peer.parse().unwrap(), 1);
    ConnInfo::new(peer, Endpoint::custom("server"))
}

/// The client that a request from this peer names. Each value is a field line of its own.
fn from(layer: &ForwardedLayer, peer: &str, values: &[&str]) -> String {
    let name = match layer.field {
        Field::Forwarded => FORWARDED,
        Field::XForwardedFor => X_FORWARDED_FOR,
    };
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(&name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    match layer.client(&info(peer), &headers) {
        Ok(Some(forwarded)) => forwarded.client.to_string(),
        Ok(None) => "none".to_owned(),
        Err(Malformed) => "malformed".to_owned(),
    }
}

#[test]
fn last_address_that_is_not_trusted_is_the_client() {
    for (values, client) in [
        (&["192.0.2.1"][..], "192.0.2.1"),
        (&["6.6.6.6, 192.0.2.1"], "192.0.2.1"),
        (&["6.6.6.6", "192.0.2.1"], "192.0.2.1"),
        (&["6.6.6.6", "192.0.2.1, 10.1.2.3"], "192.0.2.1"),
        (&["192.0.2.1, , ::ffff:10.1.2.3,"], "192.0.2.1"),
        (&["192.0.2.1:4711"], "192.0.2.1"),
        (&["[2001:db8::1]:4711"], "2001:db8::1"),
        (&["2001:db8::1"], "2001:db8::1"),
        (&["::ffff:192.0.2.1"], "192.0.2.1"),
        // All addresses are proxies, so the first one is the best known client.
        (&["10.9.9.9, 10.1.2.3"], "10.9.9.9"),
        (&["unknown"], "none"),
        (&["192.0.2.1, unknown"], "none"),
        (&[], "none"),
        (&["not an address"], "malformed"),
        // The part that the client sent is not parsed.
        (&["not an address, 192.0.2.1"], "192.0.2.1"),
    ] {
        assert_eq!(
            from(&x_forwarded_for(), PROXY, values),
            client,
            "{values:?}"
        );
    }
}

#[test]
fn forwarded_is_parsed_as_in_its_rfc() {
    for (values, client) in [
        (&["for=192.0.2.1"][..], "192.0.2.1"),
        (&["for=6.6.6.6, For=192.0.2.1;proto=https"], "192.0.2.1"),
        (&["for=192.0.2.1", "for=10.1.2.3;by=10.1.2.4"], "192.0.2.1"),
        (&["for=\"[2001:db8::1]:4711\""], "2001:db8::1"),
        (&["for=\"192.0.2.1:4711\""], "192.0.2.1"),
        (&["for=unknown"], "none"),
        (&["for=_hidden"], "none"),
        (&["proto=https"], "none"),
        (&["garbage"], "malformed"),
    ] {
        assert_eq!(from(&forwarded(), PROXY, values), client, "{values:?}");
    }
}

#[test]
fn quoted_separators_are_malformed() {
    for value in [
        // The client sends half a quoted string, which would hide the proxy's element.
        "for=\"x, for=192.0.2.1",
        "for=\"x, for=\"[2001:db8::1]\"",
        // A host that the proxy quotes looks like another element.
        "for=192.0.2.1;host=\"a, for=6.6.6.6\"",
        "for=192.0.2.1;host=\"a;for=6.6.6.6\"",
        "for=192.0.2.1;host=\"a\\\"\"",
    ] {
        assert_eq!(from(&forwarded(), PROXY, &[value]), "malformed", "{value}");
    }
}

#[test]
fn field_of_an_untrusted_peer_is_ignored() {
    for peer in ["192.0.2.9", "2001:db8::9"] {
        assert_eq!(from(&x_forwarded_for(), peer, &["6.6.6.6"]), "none");
        assert_eq!(from(&forwarded(), peer, &["for=6.6.6.6"]), "none");
        assert_eq!(from(&forwarded(), peer, &["for=\"malformed"]), "none");
    }
}

#[test]
fn proto_and_host_are_those_of_the_client() {
    let mut headers = HeaderMap::new();
    let value = "for=192.0.2.1;proto=https;host=\"example.com:8443\", for=10.1.2.3;proto=http";
    headers.insert(FORWARDED, HeaderValue::from_static(value));
    let client = forwarded().client(&info(PROXY), &headers).unwrap().unwrap();
    assert_eq!(client.proto.as_deref(), Some("https"));
    assert_eq!(client.host.as_deref(), Some("example.com:8443"));
}
