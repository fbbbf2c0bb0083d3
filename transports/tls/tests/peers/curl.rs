//! `curl`: HTTP/1.1 and HTTP/2, on TCP and on Unix sockets.
use crate::{
    client::{Authority, Identity},
    programs::{Said, Tests, run},
    scene::{Folder, HELLO, Served, app, made, over_tcp},
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
        who_forgets_the_s_is_told_so,
        an_unknown_authority_is_refused_by_the_client,
        a_client_shows_its_certificate,
    )
}

/// No settings of the machine, and no proxy.
const PLAIN: [&str; 7] = [
    "--disable",
    "--noproxy",
    "*",
    "--silent",
    "--show-error",
    "--max-time",
    "15",
];
/// What it says after the body.
const FACTS: [&str; 2] = [
    "--write-out",
    "\nHTTP %{http_version}, %{num_connects} connects",
];

fn curl(arguments: &[&str]) -> Said {
    run("curl", PLAIN.iter().chain(&FACTS).chain(arguments), "")
}

/// The folder's path of the certificate that clients trust.
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
    let served = Served::start(over_tcp(authority.server()));
    let url = format!("https://localhost:{}/", served.addr().port());
    let there = format!("localhost:{}:127.0.0.1", served.addr().port());
    let common = ["--cacert", &root, "--resolve", &there];
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
            let said = curl(&[&common[..], tls, &[option, &url, &url]].concat());
            said.succeeded()
                .has(&format!("{HELLO}\nHTTP {version}, 1 connects"))
                .has(&format!("{HELLO}\nHTTP {version}, 0 connects"));
        }
        let said = curl(&[&common[..], &[option, &format!("{url}300000")]].concat());
        assert!(said.succeeded().out.starts_with(&made(300_000)));
    }
    // What it does when it isn't told.
    curl(&[&common[..], &[&url]].concat())
        .succeeded()
        .has("HTTP 2, ");
    served.ends();
}

fn http_1_and_2_over_a_unix_socket() {
    let (authority, folder) = (Authority::new(), Folder::new());
    let root = root(&folder, &authority);
    let path = folder.path("app.sock");
    let served = Served::start(serve_with(Unix::bind(&path).tls(authority.server()), app()));
    let common = ["--cacert", &root, "--unix-socket", path.to_str().unwrap()];
    for (option, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
        curl(&[&common[..], &[option, "https://localhost/"]].concat())
            .succeeded()
            .has(&format!("{HELLO}\nHTTP {version}, "));
    }
    served.ends();
}

fn who_forgets_the_s_is_told_so() {
    let served = Served::start(over_tcp(Authority::new().server()));
    let url = format!("http://{}/", served.addr());
    let said = curl(&["--include", &url]);
    said.succeeded().has("HTTP/1.1 400 Bad Request\r\n").has(
        "\r\n\r\nThis port speaks HTTPS: begin the address with https:// instead of http://.\n",
    );
    assert_eq!(served.log.one_failure().1, "the peer spoke without TLS");
    served.ends();
}

fn an_unknown_authority_is_refused_by_the_client() {
    let (authority, folder) = (Authority::new(), Folder::new());
    let root = root(&folder, &Authority::new());
    let served = Served::start(over_tcp(authority.server()));
    let url = format!("https://{}/", served.addr());
    let said = curl(&["--cacert", &root, &url]);
    said.failed().has("SSL certificate problem").lacks(HELLO);
    let (_, error) = served.log.one_failure();
    assert!(error.starts_with("received fatal alert"), "{error}");
    // The one that signed it, but for another name.
    let signer = folder.file("signer.pem", authority.root_pem());
    let said = curl(&["--cacert", signer.to_str().unwrap(), &url]);
    said.failed()
        .has("no alternative certificate subject name matches")
        .lacks(HELLO);
    served.ends();
}

fn a_client_shows_its_certificate() {
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
    let served = Served::start(over_tcp(tls));
    let url = format!("https://localhost:{}/", served.addr().port());
    let there = format!("localhost:{}:127.0.0.1", served.addr().port());
    let common = ["--cacert", &root, "--resolve", &there, &url];
    // Which way it fails is chance: it sends its request without waiting for what the server says
    // of its certificate.
    curl(&common).failed().lacks(HELLO);
    assert_eq!(served.log.one_failure().1, "peer sent no certificates");
    let shown = [
        "--cert",
        chain.to_str().unwrap(),
        "--key",
        key.to_str().unwrap(),
    ];
    curl(&[&common[..], &shown].concat())
        .succeeded()
        .has(HELLO)
        .has("HTTP 2, ");
    served.ends();
}
