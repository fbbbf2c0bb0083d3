//! Elements in their notation, what clients forge, and what a parser reads back.
use super::*;

fn node(ip: &str) -> Node {
    Node::from(ip.parse::<IpAddr>().unwrap())
}

fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_static(value));
    }
    headers
}

fn values(headers: &HeaderMap, name: &str) -> Vec<String> {
    let values = headers.get_all(name).iter();
    values
        .map(|value| value.to_str().unwrap().to_owned())
        .collect()
}

#[test]
fn nodes_are_written_as_rfc_7239_does() {
    let address = |text: &str| Node::from(text.parse::<SocketAddr>().unwrap());
    for (node, text) in [
        (node("192.0.2.43"), "192.0.2.43"),
        (node("2001:db8:cafe::17"), "\"[2001:db8:cafe::17]\""),
        (node("::ffff:192.0.2.43"), "192.0.2.43"),
        (address("192.0.2.43:47011"), "\"192.0.2.43:47011\""),
        (
            address("[2001:db8:cafe::17]:4711"),
            "\"[2001:db8:cafe::17]:4711\"",
        ),
        (address("[fe80::1%7]:80"), "\"[fe80::1]:80\""),
        (Node::UNKNOWN, "unknown"),
        (Node::obfuscated("gazonk").unwrap(), "_gazonk"),
        (Node::from(&Endpoint::custom("vsock:3:9")), "unknown"),
        (
            Node::from(&Endpoint::from(SocketAddr::from(([192, 0, 2, 1], 9)))),
            "192.0.2.1",
        ),
    ] {
        assert_eq!(node.to_string(), text);
    }
    for name in ["", "a b", "a,b", "a\"", "\u{e9}"] {
        assert_eq!(Node::obfuscated(name), None, "{name}");
    }
}

#[cfg(unix)]
#[test]
fn peer_of_a_unix_socket_is_unknown() {
    use anyport_core::transport::UnixName;
    let unix = Endpoint::Unix(UnixName::Unnamed);
    let info = ConnInfo::new(unix.clone(), unix);
    let request = Request::get("/")
        .header("host", "example.com")
        .body(())
        .unwrap();
    let element = Forwarded::of(&info, &request).to_string();
    assert_eq!(element, "for=unknown;host=example.com;proto=http");
}

#[test]
fn host_is_quoted_where_it_must_be_and_left_out_where_it_is_no_host() {
    let element = |host: &str| {
        Forwarded::new(node("192.0.2.1"))
            .with_host(host)
            .to_string()
    };
    assert_eq!(element("example.com"), "for=192.0.2.1;host=example.com");
    assert_eq!(
        element("example.com:8080"),
        "for=192.0.2.1;host=\"example.com:8080\""
    );
    assert_eq!(element("[::1]:80"), "for=192.0.2.1;host=\"[::1]:80\"");
    for host in [
        "",
        "a,for=10.0.0.1",
        "a;proto=https",
        "a\"",
        "a\\",
        "a b",
        "a\u{e9}",
        "a\tb",
    ] {
        assert_eq!(element(host), "for=192.0.2.1", "{host}");
    }
}

#[test]
fn scheme_is_that_of_the_client_even_behind_a_balancer() {
    use anyport_core::transport::{Proxied, ProxiedTls, TlsInfo, TlsVersion};
    let address = |text: &str| Endpoint::from(text.parse::<SocketAddr>().unwrap());
    let plain = ConnInfo::new(address("192.0.2.7:9"), address("192.0.2.1:80"));
    let tls = plain
        .clone()
        .with_tls(TlsInfo::new(TlsVersion::Tls13, "suite"));
    let mut proxied = Proxied::default();
    proxied.tls = Some(Box::new(ProxiedTls::default()));
    let balanced = plain
        .clone()
        .with_client(address("198.51.100.3:9"), proxied);
    let by_proxy = plain
        .clone()
        .with_client(address("198.51.100.3:9"), Proxied::default());
    for (info, element) in [
        (plain, "for=192.0.2.7;proto=http"),
        (tls, "for=192.0.2.7;proto=https"),
        (balanced, "for=198.51.100.3;proto=https"),
        (by_proxy, "for=198.51.100.3;proto=http"),
    ] {
        assert_eq!(Forwarded::of(&info, &Request::new(())).to_string(), element);
    }
}

#[test]
fn element_is_appended_behind_those_of_other_proxies() {
    let mut map = headers(&[
        ("forwarded", "for=198.51.100.1"),
        ("x-forwarded-for", "198.51.100.1"),
    ]);
    let by = Node::obfuscated("edge").unwrap();
    Forwarded::new(node("192.0.2.1"))
        .with_by(by)
        .append(&mut map);
    assert_eq!(
        values(&map, "forwarded"),
        ["for=198.51.100.1", "for=192.0.2.1;by=_edge"]
    );
    assert_eq!(values(&map, "x-forwarded-for"), ["198.51.100.1"]);
}

/// Receivers may join the fields by commas, so half of a string would swallow the next element.
#[test]
fn field_with_open_quotes_is_removed() {
    for (sent, is_open) in [
        ("for=\"", true),
        ("for=198.51.100.1;host=\"a", true),
        ("for=\"_a\\\"", true),
        ("for=\"[::1]\"", false),
        ("for=\"a\\\"b\"", false),
        ("for=a\\", false),
    ] {
        let mut map = headers(&[("forwarded", sent)]);
        Forwarded::new(node("192.0.2.1")).append(&mut map);
        let fields = values(&map, "forwarded");
        assert_eq!(fields.len(), if is_open { 1 } else { 2 }, "{sent}");
        assert_eq!(fields.last().unwrap(), "for=192.0.2.1");
    }
}

#[test]
fn untrusted_client_forges_nothing() {
    let forged = [
        ("forwarded", "for=10.0.0.1;proto=https"),
        ("x-forwarded-for", "10.0.0.1"),
        ("x-forwarded-host", "admin"),
        ("x-forwarded-proto", "https"),
        ("x-real-ip", "10.0.0.1"),
    ];
    let client = Forwarded::new(node("2001:db8::7"))
        .with_host("a")
        .with_proto("http");
    let mut map = headers(&forged);
    client.replace(&mut map);
    assert_eq!(map.len(), 1, "{map:?}");
    assert_eq!(map["forwarded"], "for=\"[2001:db8::7]\";host=a;proto=http");
    let mut map = headers(&forged);
    client.with_x_forwarded().replace(&mut map);
    assert_eq!(map["x-forwarded-for"], "2001:db8::7");
    assert_eq!(map["x-forwarded-host"], "a");
    assert_eq!(map["x-forwarded-proto"], "http");
}

#[test]
fn x_forwarded_for_is_one_list_and_the_others_are_the_first_proxys() {
    let mut map = headers(&[
        ("x-forwarded-for", "198.51.100.1, 198.51.100.2"),
        ("x-forwarded-for", "198.51.100.3"),
        ("x-forwarded-proto", "https"),
    ]);
    let client = Forwarded::new(node("192.0.2.1"))
        .with_host("a")
        .with_proto("http");
    client.with_x_forwarded().append(&mut map);
    let list = "198.51.100.1, 198.51.100.2, 198.51.100.3, 192.0.2.1";
    assert_eq!(values(&map, "x-forwarded-for"), [list]);
    assert_eq!(
        (&map["x-forwarded-proto"], &map["x-forwarded-host"]),
        (&"https".parse().unwrap(), &"a".parse().unwrap())
    );
}
