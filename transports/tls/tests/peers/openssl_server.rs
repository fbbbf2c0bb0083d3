//! `openssl s_server` as the peer of a TLS connector.
use crate::{
    client::Authority,
    fixture::{Folder, TIMEOUT},
    programs::{KillOnDrop, Tests, run},
    tests,
};
use anyport_core::{
    Connection,
    transport::{Connector, Target, TlsVersion},
};
use anyport_tcp::TcpConnector;
use anyport_tls::{Roots, TlsClientConfig, TlsConnectorExt};
use hyper_util::rt::TokioIo;
use rcgen::date_time_ymd;
use std::{
    future::Future,
    io::{self, BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::Builder,
    time::timeout,
};

pub(crate) fn tests(tests: Tests) -> Tests {
    tests!(
        tests,
        "openssl": s_server_answers_over_tls_1_2_and_1_3,
        s_server_selects_alpn,
        s_server_verifies_a_client_certificate,
        wrong_name_of_s_server_is_refused,
        expired_certificate_of_s_server_is_refused,
        self_signed_certificate_of_openssl_is_refused,
        silent_s_server_is_left,
    )
}

/// A server that sends each line back, reversed.
struct SServer {
    addr: SocketAddr,
    _running: KillOnDrop,
}

impl SServer {
    fn start(certificate: &Path, arguments: &[&str]) -> Self {
        let child = Command::new("openssl")
            .args(["s_server", "-accept", "127.0.0.1:0", "-rev", "-cert"])
            .arg(certificate)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut running = KillOnDrop(child);
        let mut lines = BufReader::new(running.0.stdout.take().unwrap()).lines();
        // `ACCEPT 127.0.0.1:41001`.
        let addr = lines.find_map(|line| line.unwrap().strip_prefix("ACCEPT ")?.parse().ok());
        // The rest is read, so that its pipe does not fill.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            addr: addr.unwrap(),
            _running: running,
        }
    }

    fn target(&self) -> Target {
        Target::new(self.addr).with_host("localhost")
    }
}

/// The PEM file of a certificate for these names, and the roots of its authority.
pub(crate) fn identity(
    folder: &Folder,
    names: &[&str],
    not_after: Option<i32>,
) -> (std::path::PathBuf, Roots) {
    let authority = Authority::new();
    let identity = authority.issue_with(names, |params| {
        if let Some(year) = not_after {
            params.not_after = date_time_ymd(year, 1, 31);
        }
    });
    let pem = format!("{}{}", identity.chain, identity.key);
    (
        folder.file("server.pem", pem),
        Roots::pem(authority.root_pem()),
    )
}

pub(crate) fn block_on<T>(client: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { timeout(TIMEOUT, client).await.unwrap() })
}

/// Sends a line, and returns the answer with the facts.
fn exchange(
    config: TlsClientConfig,
    target: &Target,
) -> io::Result<(String, anyport_core::ConnInfo)> {
    let connector = TcpConnector::new().tls(config).unwrap();
    block_on(async {
        let connection = connector.connect(target).await?.await?;
        let info = connection.info().clone();
        let mut io = TokioIo::new(connection);
        io.write_all(b"stressed\n").await?;
        let mut answer = [0; 9];
        io.read_exact(&mut answer).await?;
        io.shutdown().await?;
        Ok((String::from_utf8_lossy(&answer).into_owned(), info))
    })
}

#[track_caller]
fn refused(config: TlsClientConfig, target: &Target) -> String {
    let error = exchange(config, target).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
    error.to_string()
}

fn s_server_answers_over_tls_1_2_and_1_3() {
    let folder = Folder::new();
    let (certificate, roots) = identity(&folder, &["localhost"], None);
    for (version, expected) in [
        ("-tls1_2", TlsVersion::Tls12),
        ("-tls1_3", TlsVersion::Tls13),
    ] {
        let server = SServer::start(&certificate, &[version]);
        let config = TlsClientConfig::new(roots.clone());
        let (answer, info) = exchange(config, &server.target()).unwrap();
        assert_eq!(answer, "desserts\n");
        let tls = info.tls().unwrap();
        assert_eq!(
            (tls.version(), tls.server_name()),
            (expected, Some("localhost"))
        );
    }
}

fn s_server_selects_alpn() {
    let folder = Folder::new();
    let (certificate, roots) = identity(&folder, &["localhost"], None);
    let server = SServer::start(&certificate, &["-alpn", "second"]);
    let config = TlsClientConfig::new(roots).with_alpn(["first", "second"]);
    let (_, info) = exchange(config, &server.target()).unwrap();
    assert_eq!(info.alpn(), Some(&b"second"[..]));
}

fn s_server_verifies_a_client_certificate() {
    let folder = Folder::new();
    let (certificate, roots) = identity(&folder, &["localhost"], None);
    let clients = Authority::new();
    let client = clients.issue("client", &["client"]);
    let known = folder.file("clients.pem", clients.root_pem());
    let requires = ["-Verify", "2", "-verify_return_error", "-CAfile"];
    let server = SServer::start(
        &certificate,
        &[&requires[..], &[known.to_str().unwrap()]].concat(),
    );
    let config = TlsClientConfig::new(roots);
    let with_certificate = config.clone().with_certificate(client.certificate());
    let (answer, _) = exchange(with_certificate, &server.target()).unwrap();
    assert_eq!(answer, "desserts\n");
    let error = exchange(config, &server.target()).unwrap_err();
    assert!(error.to_string().contains("CertificateRequired"), "{error}");
}

fn wrong_name_of_s_server_is_refused() {
    let folder = Folder::new();
    let (certificate, roots) = identity(&folder, &["example.com"], None);
    let server = SServer::start(&certificate, &[]);
    let text = refused(TlsClientConfig::new(roots), &server.target());
    let expected = format!(
        "cannot connect to {} (localhost): the server's certificate is for example.com, and not for localhost (",
        server.addr
    );
    assert!(text.starts_with(&expected), "{text}");
}

fn expired_certificate_of_s_server_is_refused() {
    let folder = Folder::new();
    let (certificate, roots) = identity(&folder, &["localhost"], Some(2021));
    let server = SServer::start(&certificate, &[]);
    let text = refused(TlsClientConfig::new(roots), &server.target());
    assert!(
        text.contains("the server's certificate expired on 2021-01-31T00:00:00Z ("),
        "{text}"
    );
}

fn self_signed_certificate_of_openssl_is_refused() {
    let folder = Folder::new();
    let pem = folder.path("self-signed.pem");
    let pem_text = pem.to_str().unwrap();
    for (extension, reason) in [
        (
            "basicConstraints=critical,CA:FALSE",
            "the server's certificate is self-signed (if it is",
        ),
        (
            "basicConstraints=critical,CA:TRUE",
            "the server's certificate is self-signed, and a certificate authority's",
        ),
    ] {
        let arguments = [
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
            "-addext",
            extension,
            "-keyout",
            pem_text,
            "-out",
            pem_text,
        ];
        run("openssl", arguments, "").succeeded();
        let server = SServer::start(&pem, &[]);
        let foreign = Roots::pem(Authority::new().root_pem());
        let text = refused(TlsClientConfig::new(foreign), &server.target());
        assert!(text.contains(reason), "{text}");
        let trusting = TlsClientConfig::new(Roots::pem_file(&pem));
        assert_eq!(
            exchange(trusting, &server.target()).is_ok(),
            extension.contains("FALSE")
        );
    }
}

/// A stopped process: the kernel completes the TCP connection, and nothing answers.
fn silent_s_server_is_left() {
    let folder = Folder::new();
    let (certificate, roots) = identity(&folder, &["localhost"], None);
    let server = SServer::start(&certificate, &[]);
    let pid = rustix::process::Pid::from_child(&server._running.0);
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    let connector = TcpConnector::new()
        .tls(TlsClientConfig::new(roots))
        .unwrap();
    let (target, late) = (server.target(), std::time::Duration::from_millis(200));
    let handshake = block_on(async {
        let handshake = connector.connect(&target).await.unwrap();
        timeout(late, handshake).await
    });
    assert!(handshake.is_err(), "nothing answers");
    rustix::process::kill_process(pid, rustix::process::Signal::CONT).unwrap();
    assert!(block_on(async { connector.connect(&target).await?.await }).is_ok());
}
