//! Certificates are exchanged while the server serves.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use crate::client::{Authority, Client, Identity};
use crate::scene::{Folder, HELLO, PATIENCE, Served, over_tcp, until};
use crate::wire::Talk;
use anyport_core::ErrorKind;
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

/// A server whose certificate and key are in one file, which is exchanged as a whole.
struct Case {
    authority: Authority,
    folder: Folder,
    file: PathBuf,
    tls: TlsConfig,
    old: Identity,
    new: Identity,
    served: Served,
}

impl Case {
    fn new() -> Self {
        let authority = Authority::new();
        let folder = Folder::new();
        let old = authority.issue("old", &["localhost"]);
        let new = authority.issue("new", &["localhost"]);
        let file = folder.file("both.pem", both(&old));
        let tls = TlsConfig::from_pem_files(&file, &file);
        let served = Served::start(over_tcp(tls.clone()));
        Self {
            authority,
            folder,
            file,
            tls,
            old,
            new,
            served,
        }
    }

    fn exchange(&self, identity: &Identity) {
        let next = self.folder.file("next.pem", both(identity));
        fs::rename(next, &self.file).unwrap();
        self.tls.reload().unwrap();
    }

    async fn connect(&self, client: &Client) -> Stream {
        client.handshake(self.served.connect().await).await.unwrap()
    }

    /// The certificate that a new client is shown.
    fn shown(&self) -> CertificateDer<'static> {
        let stream = self.served.run(self.connect(&self.authority.client()));
        certificate(&stream)
    }
}

fn both(identity: &Identity) -> String {
    format!("{}{}", identity.chain, identity.key)
}

fn certificate(stream: &Stream) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0].clone()
}

/// One request of several.
async fn ask(stream: &mut Stream) -> io::Result<()> {
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await?;
    stream.flush().await?;
    let mut answer = Vec::new();
    while !answer.ends_with(HELLO.as_bytes()) {
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

#[test]
fn new_connections_see_the_new_certificate_and_old_ones_stay() {
    let case = Case::new();
    let mut before = case.served.run(case.connect(&case.authority.client()));
    assert_eq!(case.shown(), case.old.der);
    case.served.run(ask(&mut before)).unwrap();
    case.exchange(&case.new);
    assert_eq!(case.shown(), case.new.der);
    case.served.run(ask(&mut before)).unwrap();
    assert_eq!(certificate(&before), case.old.der);
    drop(before);
    case.served.ends();
}

#[test]
fn without_a_reload_nothing_changes() {
    let case = Case::new();
    fs::write(&case.file, both(&case.new)).unwrap();
    assert_eq!(case.shown(), case.old.der);
    case.served.ends();
}

#[test]
fn what_cannot_be_used_changes_nothing_and_says_so() {
    let case = Case::new();
    let path = case.file.display();
    for (contents, why) in [
        (
            String::new(),
            format!("cannot use the certificate {path}: it's empty"),
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
                "cannot use the private key {path}: it holds a certificate, no private key (are the two mixed up?)"
            ),
        ),
    ] {
        fs::write(&case.file, contents).unwrap();
        let error = case.tls.reload().unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("{why}; what was in use stays in use")
        );
        assert_eq!(error.kind(), ErrorKind::Config);
        assert_eq!(case.shown(), case.old.der);
    }
    fs::remove_file(&case.file).unwrap();
    let error = case.tls.reload().unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "cannot use the certificate {path}: there's no such file; what was in use stays in use"
        )
    );
    assert_eq!(case.shown(), case.old.der);
    // And then it's mended.
    case.exchange(&case.new);
    assert_eq!(case.shown(), case.new.der);
    case.served.ends();
}

#[test]
fn authorities_are_exchanged_too() {
    let (authority, mine, yours) = (Authority::new(), Authority::new(), Authority::new());
    let folder = Folder::new();
    let roots = folder.file("roots.pem", mine.root_pem());
    let auth = ClientAuth::Required(Roots::pem_file(&roots));
    let tls = authority.server().with_client_auth(auth);
    let served = Served::start(over_tcp(tls.clone()));
    let clients = [&mine, &yours].map(|whose| {
        let shown = whose.issue("client", &["client"]);
        Client::new(authority.client_config(Some(&shown)))
    });
    // In TLS 1.3 it's the request that fails.
    let may = |client: &Client| {
        served.run(async {
            let stream = client.handshake(served.connect().await).await;
            match stream {
                Ok(mut stream) => ask(&mut stream).await.is_ok(),
                Err(_) => false,
            }
        })
    };
    assert_eq!(clients.each_ref().map(may), [true, false]);
    fs::write(&roots, yours.root_pem()).unwrap();
    tls.reload().unwrap();
    // Nor has the first one's session outlived its authority.
    assert_eq!(clients.each_ref().map(may), [false, true]);
    served.ends();
}

#[test]
fn what_was_not_read_from_files_cannot_be_read_again() {
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
            "cannot reload the TLS configuration: it was made of a rustls ServerConfig"
        ),
        "{error}"
    );
}

/// A connection, with a request, so that the tickets have arrived; how its handshake was.
fn visit(case: &Case, client: &Client) -> HandshakeKind {
    case.served.run(async {
        let mut stream = case.connect(client).await;
        ask(&mut stream).await.unwrap();
        stream.get_ref().1.handshake_kind().unwrap()
    })
}

#[test]
fn tickets_of_before_are_of_no_use() {
    for version in [&TLS12, &TLS13] {
        let case = Case::new();
        let client = Client::new(case.authority.only(version));
        assert_eq!(visit(&case, &client), HandshakeKind::Full);
        assert_eq!(visit(&case, &client), HandshakeKind::Resumed);
        // Even of the same file.
        case.tls.reload().unwrap();
        assert_eq!(visit(&case, &client), HandshakeKind::Full);
        assert_eq!(visit(&case, &client), HandshakeKind::Resumed);
        case.served.ends();
    }
}

/// Says hello, or half of it; then there's a new certificate; then it goes on.
#[test]
fn a_handshake_in_its_middle_is_finished() {
    for hello_was_whole in [true, false] {
        let case = Case::new();
        let mut talk = Talk::new(case.authority.client_config(None));
        let mut stream = TcpStream::connect(case.served.addr()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let hello = talk.flight();
        let (first, rest) = hello.split_at(if hello_was_whole {
            hello.len()
        } else {
            hello.len() / 2
        });
        stream.write_all(first).unwrap();
        if hello_was_whole {
            // So it has been answered.
            stream.peek(&mut [0]).unwrap();
        }
        case.exchange(&case.new);
        stream.write_all(rest).unwrap();
        while talk.0.is_handshaking() || talk.0.wants_write() {
            talk.0.complete_io(&mut stream).unwrap();
        }
        let shown = if hello_was_whole {
            &case.old
        } else {
            &case.new
        };
        assert_eq!(talk.0.peer_certificates().unwrap()[0], shown.der);
        let mut tls = rustls::Stream::new(&mut talk.0, &mut stream);
        tls.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        tls.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with(HELLO), "{answer}");
        case.served.ends();
    }
}

/// Clients come again and again, resume their sessions and don't, and keep a connection each; none
/// of them may notice anything.
#[test]
fn reloads_under_load_fail_nobody() {
    const CLIENTS: usize = 20;
    const RELOADS: usize = 100;
    let case = Case::new();
    let over = Arc::new(AtomicBool::new(false));
    let seen = Arc::new([const { AtomicUsize::new(0) }; 2]);
    let visits = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (over, seen, visits) = (Arc::clone(&over), Arc::clone(&seen), Arc::clone(&visits));
            let client = case.authority.client();
            let (addr, certificates) = (
                case.served.addr(),
                [case.old.der.clone(), case.new.der.clone()],
            );
            case.served.spawn(async move {
                let connect = || async {
                    let stream = tokio::net::TcpStream::connect(addr).await?;
                    stream.set_nodelay(true)?;
                    client.handshake(stream).await
                };
                let mut kept = connect().await?;
                while !over.load(SeqCst) {
                    let mut stream = connect().await?;
                    ask(&mut stream).await?;
                    ask(&mut kept).await?;
                    let certificate = certificate(&stream);
                    let which = certificates.iter().position(|known| *known == certificate);
                    seen[which.ok_or(io::ErrorKind::InvalidData)?].fetch_add(1, SeqCst);
                    visits.fetch_add(1, SeqCst);
                }
                Ok::<_, io::Error>(())
            })
        })
        .collect();
    for n in 0..RELOADS {
        // So that clients are under way all the time.
        until("clients come", || {
            let visits = visits.load(SeqCst);
            // One that has failed is told of below.
            let failed = clients.iter().any(tokio::task::JoinHandle::is_finished);
            if failed || visits >= n * CLIENTS / 2 {
                Ok(())
            } else {
                Err(visits)
            }
        });
        case.exchange([&case.new, &case.old][n % 2]);
    }
    over.store(true, SeqCst);
    for client in clients {
        case.served.run(client).unwrap().unwrap();
    }
    let seen: Vec<_> = seen.iter().map(|count| count.load(SeqCst)).collect();
    println!(
        "{} visits, {RELOADS} reloads; each certificate was seen {seen:?} times",
        visits.load(SeqCst)
    );
    assert!(seen.iter().all(|&count| count > RELOADS), "{seen:?}");
    assert_eq!(case.served.log.told().failed, []);
    case.served.ends();
}
