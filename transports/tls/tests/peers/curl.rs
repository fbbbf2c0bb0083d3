//! `curl` as a client: HTTP/1.1 and HTTP/2, on TCP and on Unix sockets.
use crate::{
    client::{Authority, Identity},
    fixture::{Folder, HELLO, TestServer, app, body_of, over_tcp},
    programs::{Output, Tests, run},
    tests,
};
use anyport_core::serve_with;
use anyport_tls::{ClientAuth, Roots, TlsExt};
use anyport_unix::Unix;

pub(crate) fn tests(tests: Tests) -> Tests {
    tests!(
        tests,
        "curl": http_1_and_2_over_tcp,
        http_1_and_2_over_a_unix_socket,
        http_url_gets_a_400_response,
        curl_rejects_an_unknown_authority,
        curl_presents_a_client_certificate,
    )
}

/// These options exclude the user's settings and proxies.
const COMMON: [&str; 7] = [
    "--disable",
    "--noproxy",
    "*",
    "--silent",
    "--show-error",
    "--max-time",
    "15",
];
/// The options for the line that curl prints after the body.
const WRITE_OUT: [&str; 2] = [
    "--write-out",
    "\nHTTP %{http_version}, %{num_connects} connects",
];

fn curl(arguments: &[&str]) -> Output {
    run("curl", COMMON.iter().chain(&WRITE_OUT).chain(arguments), "")
}

/// The path of the certificate that clients trust.
fn root(folder: &Folder, authority: &Authority) -> String {
    folder
        .file("root.pem", authority.root_pem())
        .to_str()
        .unwrap()
        .to_owned()
}

fn http_1_and_2_over_tcp() {
    let (authority, folder) = (Authority::new(), Folder::new());
    let root = root(&folder, &authority);
    let server = TestServer::start(over_tcp(authority.server()));
    let url = format!("https://localhost:{}/", server.addr().port());
    let resolve = format!("localhost:{}:127.0.0.1", server.addr().port());
    let common = ["--cacert", &root, "--resolve", &resolve];
    for (option, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
        for tls in ["--tls-max=1.2", "--tlsv1.3"] {
            let (tls, value) = tls.split_once('=').unwrap_or((tls, ""));
            let tls = [tls, value];
            let tls = if value.is_empty() {
                &tls[..1]
            } else {
                &tls[..]
            };
            // Twice, on one connection.
            let output = curl(&[&common[..], tls, &[option, &url, &url]].concat());
            output
                .succeeded()
                .contains(&format!("{HELLO}\nHTTP {version}, 1 connects"))
                .contains(&format!("{HELLO}\nHTTP {version}, 0 connects"));
        }
        let output = curl(&[&common[..], &[option, &format!("{url}300000")]].concat());
        assert!(output.succeeded().out.starts_with(&body_of(300_000)));
    }
    // Without a further option, curl selects HTTP/2.
    curl(&[&common[..], &[&url]].concat())
        .succeeded()
        .contains("HTTP 2, ");
    server.shut_down();
}

fn http_1_and_2_over_a_unix_socket() {
    let (authority, folder) = (Authority::new(), Folder::new());
    let root = root(&folder, &authority);
    let path = folder.path("app.sock");
    let server = TestServer::start(serve_with(Unix::bind(&path).tls(authority.server()), app()));
    let common = ["--cacert", &root, "--unix-socket", path.to_str().unwrap()];
    for (option, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
        curl(&[&common[..], &[option, "https://localhost/"]].concat())
            .succeeded()
            .contains(&format!("{HELLO}\nHTTP {version}, "));
    }
    server.shut_down();
}

fn http_url_gets_a_400_response() {
    let server = TestServer::start(over_tcp(Authority::new().server()));
    let url = format!("http://{}/", server.addr());
    let output = curl(&["--include", &url]);
    output
        .succeeded()
        .contains("HTTP/1.1 400 Bad Request\r\n")
        .contains(
            "\r\n\r\nThis port serves HTTPS: begin the address with https:// instead of http://.\n",
        );
    assert_eq!(
        server.log.single_failure().1,
        "the peer sent plain HTTP instead of TLS"
    );
    server.shut_down();
}

fn curl_rejects_an_unknown_authority() {
    let (authority, folder) = (Authority::new(), Folder::new());
    let root = root(&folder, &Authority::new());
    let server = TestServer::start(over_tcp(authority.server()));
    let url = format!("https://{}/", server.addr());
    let output = curl(&["--cacert", &root, &url]);
    output
        .failed()
        .contains("SSL certificate problem")
        .lacks(HELLO);
    let (_, error) = server.log.single_failure();
    assert!(error.starts_with("received fatal alert"), "{error}");
    // The authority that issued the certificate, but for another name.
    let signer = folder.file("signer.pem", authority.root_pem());
    let output = curl(&["--cacert", signer.to_str().unwrap(), &url]);
    output
        .failed()
        .contains("no alternative certificate subject name matches")
        .lacks(HELLO);
    server.shut_down();
}

fn curl_presents_a_client_certificate() {
    let (authority, folder) = (Authority::new(), Folder::new());
    let root = root(&folder, &authority);
    let Identity { chain, key, .. } = authority.issue("client", &["client"]);
    let (chain, key) = (
        folder.file("client.pem", chain),
        folder.file("client.key", key),
    );
    let tls = authority
        .server()
        .with_client_auth(ClientAuth::Required(Roots::pem_file(&root)));
    let server = TestServer::start(over_tcp(tls));
    let url = format!("https://localhost:{}/", server.addr().port());
    let resolve = format!("localhost:{}:127.0.0.1", server.addr().port());
    let common = ["--cacert", &root, "--resolve", &resolve, &url];
    // The error varies: curl sends its request without waiting for the server's verdict on its
    // certificate.
    curl(&common).failed().lacks(HELLO);
    assert_eq!(server.log.single_failure().1, "peer sent no certificates");
    let shown = [
        "--cert",
        chain.to_str().unwrap(),
        "--key",
        key.to_str().unwrap(),
    ];
    curl(&[&common[..], &shown].concat())
        .succeeded()
        .contains(HELLO)
        .contains("HTTP 2, ");
    server.shut_down();
}
