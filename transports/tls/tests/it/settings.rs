//! Settings that can't be kept are told, and those that can are.

use crate::client::Authority;
use crate::scene::{Folder, Served, over_tcp};
use anyport_core::TlsVersion;
use anyport_tls::{ClientAuth, Provider, Roots, TlsConfig, rustls::ServerConfig};
use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
};

#[test]
fn what_a_config_of_rustls_cannot_be_given_is_an_error_at_start() {
    let authority = Authority::new();
    let identity = authority.localhost();
    let config = ServerConfig::builder_with_provider(Provider::Ring.rustls())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![identity.der.clone()], identity.key_der.clone_key())
        .unwrap();
    let tls = TlsConfig::from_rustls(config);
    let required = ClientAuth::Required(Roots::pem(authority.root_pem()));
    for (method, changed) in [
        ("with_client_auth", tls.clone().with_client_auth(required)),
        (
            "with_min_version",
            tls.clone().with_min_version(TlsVersion::Tls13),
        ),
        ("with_provider", tls.clone().with_provider(Provider::Ring)),
        (
            "with_certificate",
            tls.clone().with_certificate(identity.certificate()),
        ),
    ] {
        let error = over_tcp(changed).run().unwrap_err().to_string();
        assert!(
            error.contains(&format!("`{method}` changes nothing")),
            "{error}"
        );
    }
    Served::start(over_tcp(tls.with_alpn(["http/1.1"]))).ends();
}

#[test]
fn each_start_reads_the_files() {
    let authority = Authority::new();
    let folder = Folder::new();
    let identity = authority.localhost();
    let file = folder.file("both.pem", format!("{}{}", identity.chain, identity.key));
    let tls = TlsConfig::from_pem_files(&file, &file);
    Served::start(over_tcp(tls.clone())).ends();
    fs::write(&file, "broken").unwrap();
    let error = over_tcp(tls).run().unwrap_err().to_string();
    assert!(error.contains("both.pem"), "{error}");
}

#[test]
fn a_certificate_that_nobody_can_ask_for_is_warned_of() {
    let authority = Authority::new();
    let named = authority.issue("one", &["one.test"]);
    let nameless = authority.issue("cn-only.test", &[]);
    let tls = named.server().with_certificate(nameless.certificate());
    let served = Served::start(over_tcp(tls.clone()));
    let warnings = tls.warnings();
    assert!(
        warnings.len() == 1 && warnings[0].contains("no DNS name"),
        "{warnings:?}"
    );
    served.ends();
}

#[test]
fn who_speaks_in_plain_text_to_something_else_than_http_is_not_answered_in_http() {
    let authority = Authority::new();
    let raw = anyport_core::serve_raw_with(
        anyport_tls::Tls::new(anyport_tcp::Tcp::bind("127.0.0.1:0"), authority.server()),
        |_| async {},
    );
    let served = Served::start(raw);
    let mut client = TcpStream::connect(served.addr()).unwrap();
    client.write_all(b"EHLO me\r\n").unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).unwrap();
    assert!(!answer.starts_with(b"HTTP"), "{}", answer.escape_ascii());
    served.ends();
}
