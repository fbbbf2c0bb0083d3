//! Certificates are replaced while the server runs.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use crate::client::{Authority, Client, Identity};
use crate::fixture::{Folder, HELLO, TIMEOUT, TestServer, over_tcp, wait_until};
use crate::wire::RawClient;
use anyport_core::error::ErrorKind;
use anyport_tls::{
    ClientAuth, Provider, Roots, TlsConfig,
    rustls::{
        self, HandshakeKind, ServerConfig,
        pki_types::CertificateDer,
        version::{TLS12, TLS13},
    },
};
use std::{
    fs,
    io::{self, Read, Write},
    net::TcpStream,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::client::TlsStream;

type Stream = TlsStream<tokio::net::TcpStream>;

/// A server whose certificate and key are in one file, which is replaced atomically.
struct Case {
    authority: Authority,
    folder: Folder,
    file: PathBuf,
    tls: TlsConfig,
    old: Identity,
    new: Identity,
    server: TestServer,
}

impl Case {
    fn new() -> Self {
        let authority = Authority::new();
        let folder = Folder::new();
        let old = authority.issue("old", &["localhost"]);
        let new = authority.issue("new", &["localhost"]);
        let file = folder.file("both.pem", both(&old));
        let tls = TlsConfig::from_pem_files(&file, &file);
        let server = TestServer::start(over_tcp(tls.clone()));
        Self {
            authority,
            folder,
            file,
            tls,
            old,
            new,
            server,
        }
    }

    fn replace_certificate(&self, identity: &Identity) {
        let next = self.folder.file("next.pem", both(identity));
        fs::rename(next, &self.file).unwrap();
        self.tls.reload().unwrap();
    }

    async fn connect(&self, client: &Client) -> Stream {
        client.handshake(self.server.connect().await).await.unwrap()
    }

    /// The certificate that a new client receives.
    fn shown(&self) -> CertificateDer<'static> {
        let stream = self.server.run(self.connect(&self.authority.client()));
        certificate(&stream)
    }
}

fn both(identity: &Identity) -> String {
    format!("{}{}", identity.chain, identity.key)
}

fn certificate(stream: &Stream) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0].clone()
}

/// Sends one of several requests.
async fn get_response(stream: &mut Stream) -> io::Result<()> {
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await?;
    stream.flush().await?;
    let mut response = Vec::new();
    while !response.ends_with(HELLO.as_bytes()) {
        if stream.read_buf(&mut response).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

#[test]
fn reload_changes_new_connections_only() {
    let case = Case::new();
    let mut before = case.server.run(case.connect(&case.authority.client()));
    assert_eq!(case.shown(), case.old.der);
    case.server.run(get_response(&mut before)).unwrap();
    case.replace_certificate(&case.new);
    assert_eq!(case.shown(), case.new.der);
    case.server.run(get_response(&mut before)).unwrap();
    assert_eq!(certificate(&before), case.old.der);
    drop(before);
    case.server.shut_down();
}

#[test]
fn changed_files_have_no_effect_before_a_reload() {
    let case = Case::new();
    fs::write(&case.file, both(&case.new)).unwrap();
    assert_eq!(case.shown(), case.old.der);
    case.server.shut_down();
}

#[test]
fn failed_reload_keeps_the_previous_configuration() {
    let case = Case::new();
    let path = case.file.display();
    for (contents, why) in [
        (
            String::new(),
            format!("cannot use the certificate {path}: it is empty"),
        ),
        (
            format!("{}{}", case.new.chain, case.old.key),
            format!(
                "cannot use the private key {path}: it does not belong to the certificate {path}"
            ),
        ),
        (
            case.new.chain.clone(),
            format!(
                "cannot use the private key {path}: it contains a certificate and no private key (are the two swapped?)"
            ),
        ),
    ] {
        fs::write(&case.file, contents).unwrap();
        let error = case.tls.reload().unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("{why}; the previous configuration stays in use")
        );
        assert_eq!(error.kind(), ErrorKind::Config);
        assert_eq!(case.shown(), case.old.der);
    }
    fs::remove_file(&case.file).unwrap();
    let error = case.tls.reload().unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "cannot use the certificate {path}: no such file; the previous configuration stays in use"
        )
    );
    assert_eq!(case.shown(), case.old.der);
    // A later reload succeeds.
    case.replace_certificate(&case.new);
    assert_eq!(case.shown(), case.new.der);
    case.server.shut_down();
}

#[test]
fn reload_replaces_client_authorities() {
    let (authority, first, second) = (Authority::new(), Authority::new(), Authority::new());
    let folder = Folder::new();
    let roots = folder.file("roots.pem", first.root_pem());
    let auth = ClientAuth::Required(Roots::pem_file(&roots));
    let tls = authority.server().with_client_auth(auth);
    let server = TestServer::start(over_tcp(tls.clone()));
    let clients = [&first, &second].map(|issuer| {
        let shown = issuer.issue("client", &["client"]);
        Client::new(authority.client_config(Some(&shown)))
    });
    // In TLS 1.3 the request fails, not the handshake.
    let succeeds = |client: &Client| {
        server.run(async {
            let stream = client.handshake(server.connect().await).await;
            match stream {
                Ok(mut stream) => get_response(&mut stream).await.is_ok(),
                Err(_) => false,
            }
        })
    };
    assert_eq!(clients.each_ref().map(succeeds), [true, false]);
    fs::write(&roots, second.root_pem()).unwrap();
    tls.reload().unwrap();
    // The first client's session has not outlived its authority either.
    assert_eq!(clients.each_ref().map(succeeds), [false, true]);
    server.shut_down();
}

#[test]
fn reload_of_a_rustls_config_is_an_error() {
    let authority = Authority::new();
    let identity = authority.localhost();
    let config = ServerConfig::builder_with_provider(Provider::Ring.rustls())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![identity.der.clone()], identity.key_der.clone_key())
        .unwrap();
    let error = TlsConfig::from_rustls(config).reload().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let error = error.to_string();
    assert!(
        error.starts_with(
            "cannot reload the TLS configuration: it was built from a rustls ServerConfig"
        ),
        "{error}"
    );
}

/// Connects and sends a request, so that session tickets arrive. Returns the kind of the handshake.
fn handshake_kind(case: &Case, client: &Client) -> HandshakeKind {
    case.server.run(async {
        let mut stream = case.connect(client).await;
        get_response(&mut stream).await.unwrap();
        stream.get_ref().1.handshake_kind().unwrap()
    })
}

#[test]
fn reload_invalidates_tickets() {
    for version in [&TLS12, &TLS13] {
        let case = Case::new();
        let client = Client::new(case.authority.only(version));
        assert_eq!(handshake_kind(&case, &client), HandshakeKind::Full);
        assert_eq!(handshake_kind(&case, &client), HandshakeKind::Resumed);
        // Even if the file has not changed.
        case.tls.reload().unwrap();
        assert_eq!(handshake_kind(&case, &client), HandshakeKind::Full);
        assert_eq!(handshake_kind(&case, &client), HandshakeKind::Resumed);
        case.server.shut_down();
    }
}

/// The client sends its ClientHello or a half of it, the certificate is replaced, and the client
/// continues.
#[test]
fn handshake_in_progress_survives_a_reload() {
    for sends_whole_hello in [true, false] {
        let case = Case::new();
        let mut client = RawClient::new(case.authority.client_config(None));
        let mut stream = TcpStream::connect(case.server.addr()).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        let client_hello = client.flight();
        let (first, rest) = client_hello.split_at(if sends_whole_hello {
            client_hello.len()
        } else {
            client_hello.len() / 2
        });
        stream.write_all(first).unwrap();
        if sends_whole_hello {
            // The server has responded to the ClientHello.
            stream.peek(&mut [0]).unwrap();
        }
        case.replace_certificate(&case.new);
        stream.write_all(rest).unwrap();
        while client.0.is_handshaking() || client.0.wants_write() {
            client.0.complete_io(&mut stream).unwrap();
        }
        let shown = if sends_whole_hello {
            &case.old
        } else {
            &case.new
        };
        assert_eq!(client.0.peer_certificates().unwrap()[0], shown.der);
        let mut tls = rustls::Stream::new(&mut client.0, &mut stream);
        tls.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut response = String::new();
        tls.read_to_string(&mut response).unwrap();
        assert!(response.ends_with(HELLO), "{response}");
        case.server.shut_down();
    }
}

/// Clients connect again and again, some with resumed sessions, and each keeps one connection open.
/// None of them may see an error.
#[test]
fn reloads_under_load_fail_no_client() {
    const CLIENTS: usize = 20;
    const RELOADS: usize = 100;
    let case = Case::new();
    let is_over = Arc::new(AtomicBool::new(false));
    let seen = Arc::new([const { AtomicUsize::new(0) }; 2]);
    let requests = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (is_over, seen, requests) = (
                Arc::clone(&is_over),
                Arc::clone(&seen),
                Arc::clone(&requests),
            );
            let client = case.authority.client();
            let (addr, certificates) = (
                case.server.addr(),
                [case.old.der.clone(), case.new.der.clone()],
            );
            case.server.spawn(async move {
                let connect = || async {
                    let stream = tokio::net::TcpStream::connect(addr).await?;
                    stream.set_nodelay(true)?;
                    client.handshake(stream).await
                };
                let mut kept = connect().await?;
                while !is_over.load(SeqCst) {
                    let mut stream = connect().await?;
                    get_response(&mut stream).await?;
                    get_response(&mut kept).await?;
                    let certificate = certificate(&stream);
                    let which = certificates.iter().position(|known| *known == certificate);
                    seen[which.ok_or(io::ErrorKind::InvalidData)?].fetch_add(1, SeqCst);
                    requests.fetch_add(1, SeqCst);
                }
                Ok::<_, io::Error>(())
            })
        })
        .collect();
    for n in 0..RELOADS {
        // Clients must be connecting at each reload.
        wait_until("clients make requests", || {
            let requests = requests.load(SeqCst);
            // A failed client is reported below.
            let failed = clients.iter().any(tokio::task::JoinHandle::is_finished);
            if failed || requests >= n * CLIENTS / 2 {
                Ok(())
            } else {
                Err(requests)
            }
        });
        case.replace_certificate([&case.new, &case.old][n % 2]);
    }
    is_over.store(true, SeqCst);
    for client in clients {
        case.server.run(client).unwrap().unwrap();
    }
    let seen: Vec<_> = seen.iter().map(|count| count.load(SeqCst)).collect();
    println!(
        "{} requests, {RELOADS} reloads; each certificate was seen {seen:?} times",
        requests.load(SeqCst)
    );
    assert!(seen.iter().all(|&count| count > RELOADS), "{seen:?}");
    assert_eq!(case.server.log.events().failed, []);
    case.server.shut_down();
}
