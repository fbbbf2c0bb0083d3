//! Options that do not apply are errors or warnings.

use crate::client::Authority;
use crate::fixture::{Folder, TestServer, over_tcp};
use anyport_core::transport::TlsVersion;
use anyport_tls::{ClientAuth, Provider, Roots, TlsConfig, rustls::ServerConfig};
use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
};

#[test]
fn options_on_a_rustls_config_are_an_error_at_start() {
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
            error.contains(&format!("`{method}` does not apply")),
            "{error}"
        );
    }
    TestServer::start(over_tcp(tls.with_alpn(["http/1.1"]))).shut_down();
}

#[test]
fn each_start_reads_the_files() {
    let authority = Authority::new();
    let folder = Folder::new();
    let identity = authority.localhost();
    let file = folder.file("both.pem", format!("{}{}", identity.chain, identity.key));
    let tls = TlsConfig::from_pem_files(&file, &file);
    TestServer::start(over_tcp(tls.clone())).shut_down();
    fs::write(&file, "broken").unwrap();
    let error = over_tcp(tls).run().unwrap_err().to_string();
    assert!(error.contains("both.pem"), "{error}");
}

#[test]
fn certificate_without_dns_name_is_warned_about() {
    let authority = Authority::new();
    let named = authority.issue("one", &["one.test"]);
    let nameless = authority.issue("cn-only.test", &[]);
    let tls = named.server().with_certificate(nameless.certificate());
    let server = TestServer::start(over_tcp(tls.clone()));
    let warnings = tls.warnings();
    assert!(
        warnings.len() == 1 && warnings[0].contains("no DNS name"),
        "{warnings:?}"
    );
    server.shut_down();
}

#[test]
fn plain_text_to_a_raw_server_gets_no_http_response() {
    let authority = Authority::new();
    let raw = anyport_core::serve_raw_with(
        anyport_tls::Tls::new(anyport_tcp::Tcp::bind("127.0.0.1:0"), authority.server()),
        |_| async {},
    );
    let server = TestServer::start(raw);
    let mut client = TcpStream::connect(server.addr()).unwrap();
    client.write_all(b"EHLO me\r\n").unwrap();
    let mut response = Vec::new();
    client.read_to_end(&mut response).unwrap();
    assert!(
        !response.starts_with(b"HTTP"),
        "{}",
        response.escape_ascii()
    );
    server.shut_down();
}
