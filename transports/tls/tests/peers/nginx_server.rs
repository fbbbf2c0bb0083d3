//! nginx as the peer of a TLS connector.
use crate::{
    client::Authority,
    fixture::Folder,
    openssl_server::{block_on, identity},
    programs::{KillOnDrop, Tests},
    tests,
};
use anyport_core::{
    ConnInfo, Connection,
    transport::{Connector, Target},
};
use anyport_tcp::TcpConnector;
use anyport_tls::{TlsClientConfig, TlsConnectorExt};
use hyper_util::rt::TokioIo;
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::{Command, Stdio},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
    runtime::Builder,
};

pub(crate) fn tests(tests: Tests) -> Tests {
    tests!(
        tests,
        "nginx": nginx_answers_over_tls,
        nginx_selects_alpn,
        nginx_verifies_a_client_certificate,
    )
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

struct Nginx {
    addr: SocketAddr,
    /// Reserves the port.
    _socket: TcpSocket,
    _running: KillOnDrop,
}

impl Nginx {
    /// `options` are directives of its server.
    fn start(folder: &Folder, certificate: &Path, options: &str) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let _entered = runtime.enter();
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseport(true).unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let addr = socket.local_addr().unwrap();
        let (pem, at) = (certificate.display(), folder.path(""));
        let at = at.display();
        let configuration = folder.file(
            "nginx.conf",
            format!(
                "daemon off; master_process off; pid {at}/pid; error_log stderr crit;\n\
                 events {{ worker_connections 64; }}\n\
                 http {{ access_log off; client_body_temp_path {at}/1; proxy_temp_path {at}/2;\n\
                 fastcgi_temp_path {at}/3; uwsgi_temp_path {at}/4; scgi_temp_path {at}/5;\n\
                 server {{ listen {addr} ssl http2 reuseport; {options}\n\
                 ssl_certificate {pem}; ssl_certificate_key {pem};\n\
                 location / {{ return 200 \"hello of $ssl_protocol\"; }} }} }}\n"
            ),
        );
        let child = Command::new("nginx")
            .arg("-c")
            .arg(configuration)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            addr,
            _socket: socket,
            _running: KillOnDrop(child),
        }
    }

    /// Sends a request, and returns the response with the facts.
    fn exchange(&self, config: TlsClientConfig) -> (String, ConnInfo) {
        let connector = TcpConnector::new().tls(config).unwrap();
        let target = Target::new(self.addr).with_host("localhost");
        block_on(async {
            let handshake = loop {
                match connector.connect(&target).await {
                    // nginx does not listen yet.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                        tokio::task::yield_now().await;
                    }
                    connected => break connected.unwrap(),
                }
            };
            let connection = handshake.await.unwrap();
            let info = connection.info().clone();
            let mut response = Vec::new();
            if info.alpn() != Some(b"h2") {
                let mut io = TokioIo::new(connection);
                io.write_all(REQUEST).await.unwrap();
                io.read_to_end(&mut response).await.unwrap();
            }
            (String::from_utf8_lossy(&response).into_owned(), info)
        })
    }
}

fn nginx_answers_over_tls() {
    let folder = Folder::new();
    let (certificate, roots) = identity(&folder, &["localhost"], None);
    for version in ["TLSv1.2", "TLSv1.3"] {
        let nginx = Nginx::start(&folder, &certificate, &format!("ssl_protocols {version};"));
        let (response, _) = nginx.exchange(TlsClientConfig::new(roots.clone()));
        let expected = format!("hello of {version}");
        assert!(response.ends_with(&expected), "{response}");
    }
}

fn nginx_selects_alpn() {
    let folder = Folder::new();
    let (certificate, roots) = identity(&folder, &["localhost"], None);
    let nginx = Nginx::start(&folder, &certificate, "");
    for protocol in ["h2", "http/1.1"] {
        let config = TlsClientConfig::new(roots.clone()).with_alpn([protocol]);
        let (_, info) = nginx.exchange(config);
        assert_eq!(info.alpn(), Some(protocol.as_bytes()));
    }
}

fn nginx_verifies_a_client_certificate() {
    let folder = Folder::new();
    let (certificate, roots) = identity(&folder, &["localhost"], None);
    let clients = Authority::new();
    let known = folder.file("clients.pem", clients.root_pem());
    let verify = format!(
        "ssl_verify_client on; ssl_client_certificate {};",
        known.display()
    );
    let nginx = Nginx::start(&folder, &certificate, &verify);
    let config = TlsClientConfig::new(roots);
    let client = clients.issue("client", &["client"]);
    let (response, _) = nginx.exchange(config.clone().with_certificate(client.certificate()));
    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
    let (response, _) = nginx.exchange(config);
    assert!(
        response.contains("No required SSL certificate"),
        "{response}"
    );
}
