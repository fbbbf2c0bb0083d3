//! `testssl`, a scanner of TLS servers.
use super::openssl::rsa;
use crate::{
    client::Authority,
    fixture::{Folder, TestServer, over_tcp},
    programs::{Tests, run_within},
    tests,
};
use anyport_tls::TlsConfig;
use std::time::Duration;

pub(crate) fn tests(tests: Tests) -> Tests {
    tests!(tests, "testssl": testssl_finds_no_weakness)
}

/// Tests protocols, cipher categories, forward secrecy, and all attacks of testssl's list. Its
/// findings about the test's certificates do not matter.
fn testssl_finds_no_weakness() {
    let folder = Folder::new();
    let ecdsa = Authority::new().issue("ecdsa", &["localhost"]);
    let server = TestServer::start(over_tcp(
        TlsConfig::new(rsa(&folder)).with_certificate(ecdsa.certificate()),
    ));
    let findings = folder.path("findings.csv");
    let address = format!("localhost:{}", server.addr().port());
    let arguments = [
        "--quiet",
        "--color",
        "0",
        "--warnings",
        "batch",
        "--nodns",
        "none",
        "--ip",
        "127.0.0.1",
        "--protocols",
        "--std",
        "--fs",
        "--vulnerable",
        "--server-preference",
        "--csvfile",
        findings.to_str().unwrap(),
        &address,
    ];
    let output = run_within(Duration::from_secs(300), "testssl", arguments, "");
    let findings = std::fs::read_to_string(findings).unwrap();
    for expected in [
        r#""TLS1_1","localhost/127.0.0.1","PORT","INFO","not offered""#,
        r#""TLS1_3","localhost/127.0.0.1","PORT","OK","offered with final""#,
        r#""PFS","localhost/127.0.0.1","PORT","OK","offered""#,
        r#""ROBOT","localhost/127.0.0.1","PORT","OK","#,
    ] {
        let expected = expected.replace("PORT", &server.addr().port().to_string());
        assert!(
            findings.contains(&expected),
            "no {expected} in:\n{findings}\n{}",
            output.text
        );
    }
    let weaknesses: Vec<&str> = findings
        .lines()
        .skip(1)
        .filter(|line| {
            ["OK", "INFO"]
                .iter()
                .all(|good| !line.contains(&format!(r#","{good}","#)))
        })
        // testssl reports what this machine's OpenSSL lacks.
        .filter(|line| !line.starts_with(r#""engine_problem""#))
        .collect();
    assert_eq!(weaknesses, [""; 0], "{}", output.text);
    server.shut_down();
}
