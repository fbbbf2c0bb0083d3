//! `testssl`: what a scanner of TLS servers finds.
use super::openssl::rsa;
use crate::{
    client::Authority,
    programs::{Tests, within},
    scene::{Folder, Served, over_tcp},
    tests,
};
use anyport_tls::TlsConfig;
use std::time::Duration;

pub(crate) fn tests(tests: Tests) -> Tests {
    tests!(tests, "testssl": a_scanner_finds_no_weakness)
}

/// Protocols, kinds of ciphers, forward secrecy, and all attacks that it knows. What it says of the
/// test's certificates is of no interest.
fn a_scanner_finds_no_weakness() {
    let folder = Folder::new();
    let ecdsa = Authority::new().issue("ecdsa", &["localhost"]);
    let served = Served::start(over_tcp(
        TlsConfig::new(rsa(&folder)).with_certificate(ecdsa.certificate()),
    ));
    let findings = folder.path("findings.csv");
    let place = format!("localhost:{}", served.addr().port());
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
        &place,
    ];
    let said = within(Duration::from_secs(300), "testssl", arguments, "");
    let findings = std::fs::read_to_string(findings).unwrap();
    for wanted in [
        r#""TLS1_1","localhost/127.0.0.1","PORT","INFO","not offered""#,
        r#""TLS1_3","localhost/127.0.0.1","PORT","OK","offered with final""#,
        r#""PFS","localhost/127.0.0.1","PORT","OK","offered""#,
        r#""ROBOT","localhost/127.0.0.1","PORT","OK","#,
    ] {
        let wanted = wanted.replace("PORT", &served.addr().port().to_string());
        assert!(
            findings.contains(&wanted),
            "no {wanted} in:\n{findings}\n{}",
            said.text
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
        // What this machine's OpenSSL lacks.
        .filter(|line| !line.starts_with(r#""engine_problem""#))
        .collect();
    assert_eq!(weaknesses, [""; 0], "{}", said.text);
    served.ends();
}
