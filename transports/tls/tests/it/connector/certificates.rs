//! Certificates that the client accepts, and those that it refuses, with the reason.
use super::{connect, refusal, serve, serve_identity, target, trusting};
use crate::client::Authority;
use anyport_core::{Connection, transport::TlsInfo};
use anyport_tls::{Roots, TlsClientConfig, TlsConfig};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, date_time_ymd};

#[test]
fn certificate_is_verified_by_the_host() {
    let authority = Authority::new();
    let server = serve_identity(&authority.issue("server", &["example.com", "*.example.org"]));
    for host in ["example.com", "a.example.org", "EXAMPLE.com"] {
        let connection = connect(&server, trusting(&authority), Some(host)).unwrap();
        let info = connection.info();
        assert_eq!(info.peer(), target(&server, None).endpoint());
        let tls = info.tls().unwrap();
        let name = tls.server_name().map(str::to_ascii_lowercase);
        assert_eq!(name, Some(host.to_ascii_lowercase()));
        assert_eq!(tls.peer_certificates().len(), 1, "the server's");
    }
}

#[test]
fn certificate_is_verified_by_the_ip_address() {
    let authority = Authority::new();
    let server = serve_identity(&authority.issue("server", &["127.0.0.1"]));
    // An IP address is not sent as a server name (RFC 6066 3).
    for host in [None, Some("127.0.0.1")] {
        let connection = connect(&server, trusting(&authority), host).unwrap();
        assert_eq!(connection.info().tls().and_then(TlsInfo::server_name), None);
    }
    assert_eq!(
        refusal(&server, trusting(&authority), Some("::1")),
        "the server's certificate is for 127.0.0.1, and not for ::1 (connect by a name that it has, or add this one to it)"
    );
}

#[test]
fn wrong_name_lists_the_names_of_the_certificate() {
    let authority = Authority::new();
    let server =
        serve_identity(&authority.issue("server", &["example.com", "*.example.org", "::1"]));
    assert_eq!(
        refusal(&server, trusting(&authority), Some("other.example")),
        "the server's certificate is for example.com, *.example.org, ::1, and not for other.example (connect by a name that it has, or add this one to it)"
    );
    assert!(refusal(&server, trusting(&authority), None).contains("and not for 127.0.0.1 ("));
    let nameless = serve_identity(&authority.issue("server", &[]));
    assert!(
        refusal(&nameless, trusting(&authority), Some("example.com"))
            .starts_with("the server's certificate is for no name at all (subjectAltName), and not for example.com")
    );
}

#[test]
fn configured_name_is_verified_instead_of_the_host() {
    let authority = Authority::new();
    let server = serve_identity(&authority.issue("server", &["example.com"]));
    let config = trusting(&authority).with_server_name("example.com");
    for host in [None, Some("other.example")] {
        let connection = connect(&server, config.clone(), host).unwrap();
        let tls = connection.info().tls().unwrap();
        assert_eq!(tls.server_name(), Some("example.com"));
    }
}

#[test]
fn expired_certificate_says_since_when() {
    let authority = Authority::new();
    let expired = authority.issue_with(&["localhost"], |params| {
        params.not_after = date_time_ymd(2020, 2, 29);
    });
    let server = serve_identity(&expired);
    assert_eq!(
        refusal(&server, trusting(&authority), Some("localhost")),
        "the server's certificate expired on 2020-02-29T00:00:00Z (renew it, or correct the clock of this machine)"
    );
    let (_, alert) = server.log.single_failure();
    assert_eq!(alert, "received fatal alert: CertificateExpired");
}

#[test]
fn expired_issuer_is_named() {
    let root = Authority::new();
    let expired = root.expired_intermediate();
    let mut server = expired.issue("server", &["localhost"]);
    server.chain.push_str(&expired.root_pem());
    let refused = refusal(&serve_identity(&server), trusting(&root), Some("localhost"));
    assert!(
        refused.starts_with("the issuer `CN=authority "),
        "{refused}"
    );
    assert!(
        refused.contains("` of the server's certificate expired on 2020-02-29T00:00:00Z ("),
        "{refused}"
    );
}

#[test]
fn certificate_of_the_future_says_from_when() {
    let authority = Authority::new();
    let early = authority.issue_with(&["localhost"], |params| {
        params.not_before = date_time_ymd(2999, 12, 31);
    });
    assert_eq!(
        refusal(
            &serve_identity(&early),
            trusting(&authority),
            Some("localhost")
        ),
        "the server's certificate is not valid before 2999-12-31T00:00:00Z (correct the clock of this machine, or of the one that issued it)"
    );
}

#[test]
fn unknown_issuer_is_named() {
    let (known, other) = (Authority::new(), Authority::new());
    let server = serve(other.server());
    let refused = refusal(&server, trusting(&known), Some("localhost"));
    assert!(
        refused
            .starts_with("the issuer of the server's certificate is not trusted: `CN=authority "),
        "{refused}"
    );
    assert!(
        refused.contains("(trust its root by `Roots::pem_file`, or let"),
        "{refused}"
    );
    let (_, alert) = server.log.single_failure();
    assert_eq!(alert, "received fatal alert: UnknownCA");
    // With its root beside the known one, it is trusted.
    let both = Roots::pem(known.root_pem()).and(Roots::pem(other.root_pem()));
    connect(&server, TlsClientConfig::new(both), Some("localhost")).unwrap();
}

/// A certificate that is its own issuer, as PEM, and its key.
fn self_signed(is_ca: IsCa) -> (String, TlsConfig) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params
        .distinguished_name
        .push(DnType::CommonName, "localhost");
    params.is_ca = is_ca;
    let certificate = params.self_signed(&key).unwrap().pem();
    let config = TlsConfig::from_pem(&*certificate, key.serialize_pem());
    (certificate, config)
}

#[test]
fn self_signed_certificate_can_be_trusted() {
    let (certificate, config) = self_signed(IsCa::NoCa);
    let server = serve(config);
    assert_eq!(
        refusal(&server, trusting(&Authority::new()), Some("localhost")),
        "the server's certificate is self-signed (if it is the right one, trust it: `Roots::pem_file`)"
    );
    let trusting = TlsClientConfig::new(Roots::pem(certificate));
    connect(&server, trusting, Some("localhost")).unwrap();
}

#[test]
fn self_signed_authority_is_refused_as_a_server() {
    let (certificate, config) = self_signed(IsCa::Ca(BasicConstraints::Unconstrained));
    let server = serve(config);
    for roots in [Authority::new().root_pem(), certificate] {
        let refused = refusal(
            &server,
            TlsClientConfig::new(Roots::pem(roots)),
            Some("localhost"),
        );
        assert!(
            refused.starts_with(
                "the server's certificate is self-signed, and a certificate authority's ("
            ),
            "{refused}"
        );
        assert!(refused.contains("basicConstraints=CA:FALSE"), "{refused}");
    }
}
