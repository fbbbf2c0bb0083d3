//! `openssl s_client`, which can be told every detail of what it does.
use crate::{
    client::{Authority, Identity},
    programs::{Said, Tests, run},
    scene::{Folder, HELLO, Served, made, over_tcp},
    tests,
};
use anyport_core::TlsVersion;
use anyport_tls::{Certificate, ClientAuth, Roots, TlsConfig};
use std::iter;

pub(crate) fn tests(tests: Tests) -> Tests {
    tests!(
        tests,
        "openssl": tls_1_2_and_1_3_are_spoken,
        older_versions_are_refused,
        tls_1_2_can_be_turned_off,
        alpn_chooses_among_what_the_server_speaks,
        without_a_common_protocol_there_is_no_handshake,
        sessions_are_resumed,
        client_certificates_are_required,
        client_certificates_are_optional,
        client_certificates_are_not_asked_for_by_default,
        the_name_chooses_the_certificate,
        a_single_certificate_is_for_every_name,
        the_client_chooses_between_rsa_and_ecdsa,
        a_mebibyte_arrives_intact,
    )
}

const GET: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// A request, and all that's said to it.
fn s_client(served: &Served, arguments: &[&str]) -> Said {
    talk(served, &[&["-ign_eof"], arguments].concat(), GET)
}

/// A handshake alone.
fn handshake(served: &Served, arguments: &[&str]) -> Said {
    talk(served, arguments, "")
}

fn talk(served: &Served, arguments: &[&str], input: &str) -> Said {
    let addr = served.addr().to_string();
    let begin = ["s_client", "-connect", &addr];
    run("openssl", begin.iter().chain(arguments), input)
}

fn tls_1_2_and_1_3_are_spoken() {
    let authority = Authority::new();
    let folder = Folder::new();
    let root = folder.file("root.pem", authority.root_pem());
    let served = Served::start(over_tcp(authority.server()));
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
        let said = s_client(&served, &[&verified[..], &[version]].concat());
        said.succeeded()
            .has(&format!("New, {name}, Cipher is"))
            .has("Verify return code: 0 (ok)")
            .has("Verified peername: localhost")
            .has("HTTP/1.1 200 OK")
            .has(HELLO);
        // `closed` at the end, and nothing about an end that came too soon.
        said.lacks("unexpected eof").has("closed");
    }
    // Encrypt-then-MAC is of no matter: suites are AEAD, with forward secrecy.
    for suite in [
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
    ] {
        s_client(&served, &["-tls1_2", "-cipher", suite])
            .has(&format!("Cipher is {suite}"))
            .has("Extended master secret: yes")
            .has(HELLO);
    }
    for suite in [
        "ECDHE-ECDSA-AES128-SHA",
        "AES128-GCM-SHA256",
        "DHE-RSA-AES128-GCM-SHA256",
    ] {
        handshake(&served, &["-tls1_2", "-cipher", suite])
            .failed()
            .has("handshake failure");
    }
    served.ends();
}

fn older_versions_are_refused() {
    let served = Served::start(over_tcp(Authority::new().server()));
    for version in ["-tls1", "-tls1_1"] {
        // Else OpenSSL wouldn't even ask.
        let said = handshake(&served, &[version, "-cipher", "DEFAULT:@SECLEVEL=0"]);
        said.failed()
            .has(":SSL alert number ")
            .has("Cipher is (NONE)");
    }
    served.log.closed(2);
    for (_, _, error) in &served.log.told().failed {
        assert_eq!(
            error,
            "peer is incompatible: SignatureAlgorithmsExtensionRequired"
        );
    }
    served.ends();
}

fn tls_1_2_can_be_turned_off() {
    let tls = Authority::new()
        .server()
        .with_min_version(TlsVersion::Tls13);
    let served = Served::start(over_tcp(tls));
    handshake(&served, &["-tls1_2"])
        .failed()
        .has("alert protocol version");
    s_client(&served, &[])
        .succeeded()
        .has("New, TLSv1.3")
        .has(HELLO);
    served.ends();
}

fn alpn_chooses_among_what_the_server_speaks() {
    let served = Served::start(over_tcp(Authority::new().server()));
    for version in ["-tls1_2", "-tls1_3"] {
        for (offered, chosen) in [
            ("h2", "h2"),
            ("http/1.1", "http/1.1"),
            // The server's preference counts.
            ("http/1.1,h2", "h2"),
            ("spdy/1,http/1.1", "http/1.1"),
        ] {
            handshake(&served, &[version, "-alpn", offered])
                .succeeded()
                .has(&format!("ALPN protocol: {chosen}\n"));
        }
        s_client(&served, &[version])
            .has("No ALPN negotiated")
            .has(HELLO);
    }
    served.ends();
}

/// RFC 7301 3.2.
fn without_a_common_protocol_there_is_no_handshake() {
    let served = Served::start(over_tcp(Authority::new().server()));
    for version in ["-tls1_2", "-tls1_3"] {
        handshake(&served, &[version, "-alpn", "spdy/1"])
            .failed()
            .has("alert no application protocol")
            .has("SSL alert number 120");
    }
    served.ends();
}

fn sessions_are_resumed() {
    let served = Served::start(over_tcp(Authority::new().server()));
    let folder = Folder::new();
    for (version, name) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let session = folder.path(name);
        let session = session.to_str().unwrap();
        s_client(&served, &[version, "-sess_out", session])
            .has(&format!("New, {name}"))
            .has(HELLO);
        s_client(&served, &[version, "-sess_in", session])
            .succeeded()
            .has(&format!("Reused, {name}"))
            .has(HELLO);
    }
    served.ends();
}

/// A server that asks for certificates, and the files of clients.
struct Mutual {
    served: Served,
    folder: Folder,
}

impl Mutual {
    fn new(auth: impl FnOnce(Roots) -> ClientAuth) -> Self {
        let (authority, foreign) = (Authority::new(), Authority::new());
        let folder = Folder::new();
        for (name, whose) in [("known", &authority), ("foreign", &foreign)] {
            let Identity { chain, key, .. } = whose.issue("client", &["client"]);
            folder.file(name, format!("{chain}{key}"));
        }
        let roots = Roots::pem_file(folder.file("roots.pem", authority.root_pem()));
        let served = Served::start(over_tcp(authority.server().with_client_auth(auth(roots))));
        Self { served, folder }
    }

    fn ask(&self, version: &str, shown: Option<&str>) -> Said {
        let path = shown.map(|name| self.folder.path(name));
        let certificate = path
            .iter()
            .flat_map(|path| ["-cert", path.to_str().unwrap()]);
        let arguments: Vec<&str> = iter::once(version).chain(certificate).collect();
        s_client(&self.served, &arguments)
    }
}

fn client_certificates_are_required() {
    let mutual = Mutual::new(ClientAuth::Required);
    for version in ["-tls1_2", "-tls1_3"] {
        mutual
            .ask(version, Some("known"))
            .succeeded()
            .has("Acceptable client certificate CA names")
            .has(HELLO);
        mutual
            .ask(version, Some("foreign"))
            .failed()
            .has("alert unknown ca")
            .lacks(HELLO);
    }
    for version in ["-tls1_2", "-tls1_3"] {
        let said = mutual.ask(version, None);
        said.failed().has("alert certificate required").lacks(HELLO);
    }
    mutual.served.ends();
}

fn client_certificates_are_optional() {
    let mutual = Mutual::new(ClientAuth::Optional);
    for version in ["-tls1_2", "-tls1_3"] {
        mutual.ask(version, Some("known")).succeeded().has(HELLO);
        mutual.ask(version, None).succeeded().has(HELLO);
        mutual
            .ask(version, Some("foreign"))
            .failed()
            .has("alert unknown ca")
            .lacks(HELLO);
    }
    mutual.served.ends();
}

fn client_certificates_are_not_asked_for_by_default() {
    let mutual = Mutual::new(|_| ClientAuth::Off);
    for version in ["-tls1_2", "-tls1_3"] {
        let said = mutual.ask(version, Some("foreign"));
        said.succeeded()
            .has("No client certificate CA names sent")
            .has(HELLO);
    }
    mutual.served.ends();
}

fn the_name_chooses_the_certificate() {
    let authority = Authority::new();
    let tls = TlsConfig::new(
        authority
            .issue("first", &["a.example", "b.example"])
            .certificate(),
    )
    .with_certificate(authority.issue("second", &["c.example"]).certificate())
    .with_certificate(authority.issue("wildcard", &["*.c.example"]).certificate());
    let served = Served::start(over_tcp(tls));
    for version in ["-tls1_2", "-tls1_3"] {
        let ask = |name: &str| handshake(&served, &[version, "-servername", name]);
        for (name, shown) in [
            ("a.example", "first"),
            ("b.example", "first"),
            ("c.example", "second"),
            ("C.Example", "second"),
            ("d.c.example", "wildcard"),
            ("E.C.EXAMPLE", "wildcard"),
        ] {
            ask(name)
                .succeeded()
                .has(&format!("subject=CN = {shown}\n"));
        }
        // A wildcard is one label (RFC 9525 6.3).
        for unknown in ["d.example", "f.d.c.example", "example", "xc.example"] {
            ask(unknown)
                .failed()
                .has("no peer certificate available")
                .has(":SSL alert number ");
        }
        handshake(&served, &[version, "-noservername"])
            .succeeded()
            .has("subject=CN = first\n");
    }
    served.ends();
}

fn a_single_certificate_is_for_every_name() {
    let served = Served::start(over_tcp(Authority::new().server()));
    for name in ["localhost", "elsewhere.example"] {
        handshake(&served, &["-servername", name])
            .succeeded()
            .has("subject=CN = server\n");
    }
    served.ends();
}

/// A certificate for `localhost` with an RSA key, signed by itself: nobody here but OpenSSL makes
/// such keys.
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

fn the_client_chooses_between_rsa_and_ecdsa() {
    let folder = Folder::new();
    let ecdsa = Authority::new().issue("ecdsa", &["localhost"]);
    for first_is_rsa in [true, false] {
        let tls = match first_is_rsa {
            true => TlsConfig::new(rsa(&folder)).with_certificate(ecdsa.certificate()),
            false => ecdsa.server().with_certificate(rsa(&folder)),
        };
        let served = Served::start(over_tcp(tls));
        let ask = |arguments: &[&str]| {
            let named = [&["-servername", "localhost"], arguments].concat();
            handshake(&served, &named)
        };
        for version in ["-tls1_2", "-tls1_3"] {
            ask(&[version, "-sigalgs", "RSA-PSS+SHA256"])
                .succeeded()
                .has("subject=CN = rsa\n");
            ask(&[version, "-sigalgs", "ECDSA+SHA256"])
                .succeeded()
                .has("subject=CN = ecdsa\n");
            // Whoever can do both gets the first.
            let preferred = if first_is_rsa { "rsa" } else { "ecdsa" };
            ask(&[version])
                .succeeded()
                .has(&format!("subject=CN = {preferred}\n"));
        }
        // In TLS 1.2, the suite says it too.
        for (suite, shown) in [
            ("ECDHE-RSA-AES128-GCM-SHA256", "rsa"),
            ("ECDHE-ECDSA-AES128-GCM-SHA256", "ecdsa"),
        ] {
            let said = ask(&["-tls1_2", "-cipher", suite]);
            said.succeeded().has(&format!("subject=CN = {shown}\n"));
        }
        served.ends();
    }
}

fn a_mebibyte_arrives_intact() {
    const LENGTH: usize = 1 << 20;
    let served = Served::start(over_tcp(Authority::new().server()));
    let request = GET.replace("/ ", &format!("/{LENGTH} "));
    for version in ["-tls1_2", "-tls1_3"] {
        let said = talk(&served, &["-quiet", version], &request);
        let body = said.out.split_at(said.out.len() - LENGTH).1;
        assert!(body == made(LENGTH), "{version}");
    }
    served.ends();
}
