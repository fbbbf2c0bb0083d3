//! `openssl s_client` as a client, which can force each detail of a handshake.
use crate::{
    client::{Authority, Identity},
    fixture::{Folder, HELLO, TestServer, body_of, over_tcp},
    programs::{Output, Tests, run},
    tests,
};
use anyport_core::transport::TlsVersion;
use anyport_tls::{Certificate, ClientAuth, Roots, TlsConfig};
use std::iter;

pub(crate) fn tests(tests: Tests) -> Tests {
    tests!(
        tests,
        "openssl": tls_1_2_and_1_3_are_supported,
        older_versions_are_refused,
        tls_1_2_can_be_turned_off,
        alpn_selects_a_protocol_of_the_server,
        no_common_alpn_protocol_fails_the_handshake,
        sessions_are_resumed,
        client_certificates_are_required,
        client_certificates_are_optional,
        client_certificates_are_not_requested_by_default,
        server_name_selects_the_certificate,
        single_certificate_serves_every_name,
        client_selects_rsa_or_ecdsa,
        one_mebibyte_arrives_intact,
    )
}

const GET: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// A request, and all that is received.
fn s_client(server: &TestServer, arguments: &[&str]) -> Output {
    run_s_client(server, &[&["-ign_eof"], arguments].concat(), GET)
}

fn handshake(server: &TestServer, arguments: &[&str]) -> Output {
    run_s_client(server, arguments, "")
}

fn run_s_client(server: &TestServer, arguments: &[&str], input: &str) -> Output {
    let addr = server.addr().to_string();
    let begin = ["s_client", "-connect", &addr];
    run("openssl", begin.iter().chain(arguments), input)
}

fn tls_1_2_and_1_3_are_supported() {
    let authority = Authority::new();
    let folder = Folder::new();
    let root = folder.file("root.pem", authority.root_pem());
    let server = TestServer::start(over_tcp(authority.server()));
    let verified = [
        "-CAfile",
        root.to_str().unwrap(),
        "-verify_return_error",
        "-verify_hostname",
        "localhost",
        "-servername",
        "localhost",
    ];
    for (version, name) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let output = s_client(&server, &[&verified[..], &[version]].concat());
        output
            .succeeded()
            .contains(&format!("New, {name}, Cipher is"))
            .contains("Verify return code: 0 (ok)")
            .contains("Verified peername: localhost")
            .contains("HTTP/1.1 200 OK")
            .contains(HELLO);
        // `closed` at the end means a clean end: there is no message about an unexpected end.
        output.lacks("unexpected eof").contains("closed");
    }
    // All suites are AEAD with forward secrecy, so encrypt-then-MAC does not matter.
    for suite in [
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
    ] {
        s_client(&server, &["-tls1_2", "-cipher", suite])
            .contains(&format!("Cipher is {suite}"))
            .contains("Extended master secret: yes")
            .contains(HELLO);
    }
    for suite in [
        "ECDHE-ECDSA-AES128-SHA",
        "AES128-GCM-SHA256",
        "DHE-RSA-AES128-GCM-SHA256",
    ] {
        handshake(&server, &["-tls1_2", "-cipher", suite])
            .failed()
            .contains("handshake failure");
    }
    server.shut_down();
}

fn older_versions_are_refused() {
    let server = TestServer::start(over_tcp(Authority::new().server()));
    for version in ["-tls1", "-tls1_1"] {
        // OpenSSL would not try these versions at its default security level.
        let output = handshake(&server, &[version, "-cipher", "DEFAULT:@SECLEVEL=0"]);
        output
            .failed()
            .contains(":SSL alert number ")
            .contains("Cipher is (NONE)");
    }
    server.log.wait_closed(2);
    for (_, _, error) in &server.log.events().failed {
        assert_eq!(
            error,
            "peer is incompatible: SignatureAlgorithmsExtensionRequired"
        );
    }
    server.shut_down();
}

fn tls_1_2_can_be_turned_off() {
    let tls = Authority::new()
        .server()
        .with_min_version(TlsVersion::Tls13);
    let server = TestServer::start(over_tcp(tls));
    handshake(&server, &["-tls1_2"])
        .failed()
        .contains("alert protocol version");
    s_client(&server, &[])
        .succeeded()
        .contains("New, TLSv1.3")
        .contains(HELLO);
    server.shut_down();
}

fn alpn_selects_a_protocol_of_the_server() {
    let server = TestServer::start(over_tcp(Authority::new().server()));
    for version in ["-tls1_2", "-tls1_3"] {
        for (offered, chosen) in [
            ("h2", "h2"),
            ("http/1.1", "http/1.1"),
            // The server's preference decides.
            ("http/1.1,h2", "h2"),
            ("spdy/1,http/1.1", "http/1.1"),
        ] {
            handshake(&server, &[version, "-alpn", offered])
                .succeeded()
                .contains(&format!("ALPN protocol: {chosen}\n"));
        }
        s_client(&server, &[version])
            .contains("No ALPN negotiated")
            .contains(HELLO);
    }
    server.shut_down();
}

/// RFC 7301 3.2.
fn no_common_alpn_protocol_fails_the_handshake() {
    let server = TestServer::start(over_tcp(Authority::new().server()));
    for version in ["-tls1_2", "-tls1_3"] {
        handshake(&server, &[version, "-alpn", "spdy/1"])
            .failed()
            .contains("alert no application protocol")
            .contains("SSL alert number 120");
    }
    server.shut_down();
}

fn sessions_are_resumed() {
    let server = TestServer::start(over_tcp(Authority::new().server()));
    let folder = Folder::new();
    for (version, name) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let session = folder.path(name);
        let session = session.to_str().unwrap();
        s_client(&server, &[version, "-sess_out", session])
            .contains(&format!("New, {name}"))
            .contains(HELLO);
        s_client(&server, &[version, "-sess_in", session])
            .succeeded()
            .contains(&format!("Reused, {name}"))
            .contains(HELLO);
    }
    server.shut_down();
}

/// A server that requests certificates, and the files of clients.
struct Mutual {
    server: TestServer,
    folder: Folder,
}

impl Mutual {
    fn new(auth: impl FnOnce(Roots) -> ClientAuth) -> Self {
        let (authority, foreign) = (Authority::new(), Authority::new());
        let folder = Folder::new();
        for (name, authority) in [("known", &authority), ("foreign", &foreign)] {
            let Identity { chain, key, .. } = authority.issue("client", &["client"]);
            folder.file(name, format!("{chain}{key}"));
        }
        let roots = Roots::pem_file(folder.file("roots.pem", authority.root_pem()));
        let server = TestServer::start(over_tcp(authority.server().with_client_auth(auth(roots))));
        Self { server, folder }
    }

    fn s_client_with(&self, version: &str, presented: Option<&str>) -> Output {
        let path = presented.map(|name| self.folder.path(name));
        let certificate = path
            .iter()
            .flat_map(|path| ["-cert", path.to_str().unwrap()]);
        let arguments: Vec<&str> = iter::once(version).chain(certificate).collect();
        s_client(&self.server, &arguments)
    }
}

fn client_certificates_are_required() {
    let mutual = Mutual::new(ClientAuth::Required);
    for version in ["-tls1_2", "-tls1_3"] {
        mutual
            .s_client_with(version, Some("known"))
            .succeeded()
            .contains("Acceptable client certificate CA names")
            .contains(HELLO);
        mutual
            .s_client_with(version, Some("foreign"))
            .failed()
            .contains("alert unknown ca")
            .lacks(HELLO);
    }
    for version in ["-tls1_2", "-tls1_3"] {
        let output = mutual.s_client_with(version, None);
        output
            .failed()
            .contains("alert certificate required")
            .lacks(HELLO);
    }
    mutual.server.shut_down();
}

fn client_certificates_are_optional() {
    let mutual = Mutual::new(ClientAuth::Optional);
    for version in ["-tls1_2", "-tls1_3"] {
        mutual
            .s_client_with(version, Some("known"))
            .succeeded()
            .contains(HELLO);
        mutual
            .s_client_with(version, None)
            .succeeded()
            .contains(HELLO);
        mutual
            .s_client_with(version, Some("foreign"))
            .failed()
            .contains("alert unknown ca")
            .lacks(HELLO);
    }
    mutual.server.shut_down();
}

fn client_certificates_are_not_requested_by_default() {
    let mutual = Mutual::new(|_| ClientAuth::Off);
    for version in ["-tls1_2", "-tls1_3"] {
        let output = mutual.s_client_with(version, Some("foreign"));
        output
            .succeeded()
            .contains("No client certificate CA names sent")
            .contains(HELLO);
    }
    mutual.server.shut_down();
}

fn server_name_selects_the_certificate() {
    let authority = Authority::new();
    let tls = TlsConfig::new(
        authority
            .issue("first", &["a.example", "b.example"])
            .certificate(),
    )
    .with_certificate(authority.issue("second", &["c.example"]).certificate())
    .with_certificate(authority.issue("wildcard", &["*.c.example"]).certificate());
    let server = TestServer::start(over_tcp(tls));
    for version in ["-tls1_2", "-tls1_3"] {
        let s_client_with = |name: &str| handshake(&server, &[version, "-servername", name]);
        for (name, presented) in [
            ("a.example", "first"),
            ("b.example", "first"),
            ("c.example", "second"),
            ("C.Example", "second"),
            ("d.c.example", "wildcard"),
            ("E.C.EXAMPLE", "wildcard"),
        ] {
            s_client_with(name)
                .succeeded()
                .contains(&format!("subject=CN = {presented}\n"));
        }
        // A wildcard matches one label (RFC 9525 6.3).
        for unknown in ["d.example", "f.d.c.example", "example", "xc.example"] {
            s_client_with(unknown)
                .failed()
                .contains("no peer certificate available")
                .contains(":SSL alert number ");
        }
        handshake(&server, &[version, "-noservername"])
            .succeeded()
            .contains("subject=CN = first\n");
    }
    server.shut_down();
}

fn single_certificate_serves_every_name() {
    let server = TestServer::start(over_tcp(Authority::new().server()));
    for name in ["localhost", "elsewhere.example"] {
        handshake(&server, &["-servername", name])
            .succeeded()
            .contains("subject=CN = server\n");
    }
    server.shut_down();
}

/// A self-signed certificate for `localhost` with an RSA key. Only OpenSSL can generate one here.
pub(crate) fn rsa(folder: &Folder) -> Certificate {
    let (chain, key) = (folder.path("rsa.pem"), folder.path("rsa.key"));
    let arguments = [
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "30",
        "-subj",
        "/CN=rsa",
        "-addext",
        "subjectAltName=DNS:localhost",
        "-out",
        chain.to_str().unwrap(),
        "-keyout",
        key.to_str().unwrap(),
    ];
    run("openssl", arguments, "").succeeded();
    Certificate::pem_files(chain, key)
}

fn client_selects_rsa_or_ecdsa() {
    let folder = Folder::new();
    let ecdsa = Authority::new().issue("ecdsa", &["localhost"]);
    for first_is_rsa in [true, false] {
        let tls = match first_is_rsa {
            true => TlsConfig::new(rsa(&folder)).with_certificate(ecdsa.certificate()),
            false => ecdsa.server().with_certificate(rsa(&folder)),
        };
        let server = TestServer::start(over_tcp(tls));
        let s_client_with = |arguments: &[&str]| {
            let named = [&["-servername", "localhost"], arguments].concat();
            handshake(&server, &named)
        };
        for version in ["-tls1_2", "-tls1_3"] {
            s_client_with(&[version, "-sigalgs", "RSA-PSS+SHA256"])
                .succeeded()
                .contains("subject=CN = rsa\n");
            s_client_with(&[version, "-sigalgs", "ECDSA+SHA256"])
                .succeeded()
                .contains("subject=CN = ecdsa\n");
            // A client that supports both gets the first certificate.
            let preferred = if first_is_rsa { "rsa" } else { "ecdsa" };
            s_client_with(&[version])
                .succeeded()
                .contains(&format!("subject=CN = {preferred}\n"));
        }
        // In TLS 1.2 the cipher suite selects the certificate as well.
        for (suite, presented) in [
            ("ECDHE-RSA-AES128-GCM-SHA256", "rsa"),
            ("ECDHE-ECDSA-AES128-GCM-SHA256", "ecdsa"),
        ] {
            let output = s_client_with(&["-tls1_2", "-cipher", suite]);
            output
                .succeeded()
                .contains(&format!("subject=CN = {presented}\n"));
        }
        server.shut_down();
    }
}

fn one_mebibyte_arrives_intact() {
    const LENGTH: usize = 1 << 20;
    let server = TestServer::start(over_tcp(Authority::new().server()));
    let request = GET.replace("/ ", &format!("/{LENGTH} "));
    for version in ["-tls1_2", "-tls1_3"] {
        let output = run_s_client(&server, &["-quiet", version], &request);
        let body = output.out.split_at(output.out.len() - LENGTH).1;
        assert!(body == body_of(LENGTH), "{version}");
    }
    server.shut_down();
}
