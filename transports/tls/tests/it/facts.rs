//! What an app learns of a connection's TLS, over every transport.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use crate::client::{Authority, Client, Identity, Stream};
use crate::scene::{Folder, HELLO, Served};
use anyport_core::{
    App, Body, ConnInfo, HttpOptions, Server, TlsVersion, Worker, serve_raw_with, serve_with,
};
use anyport_memory::Memory;
use anyport_tcp::Tcp;
use anyport_tls::{
    ClientAuth, Provider, Roots, TlsConfig, TlsExt,
    rustls::{
        ClientConfig,
        version::{TLS12, TLS13},
    },
};
use anyport_unix::Unix;
use http::{Request, Response};
use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};
use tower::util::ServiceFn;

type Service = ServiceFn<fn(Request<Body>) -> Ready<Result<Response<Body>, Infallible>>>;

/// Remembers each connection that makes a request.
#[derive(Clone, Default)]
struct Curious(Arc<Mutex<Vec<ConnInfo>>>);

impl App for Curious {
    type Service = Service;

    fn make(&self, _: &Worker) -> Service {
        tower::service_fn(|request| {
            // Whoever wants it in each request has it there, too.
            let there = request
                .extensions()
                .get::<ConnInfo>()
                .is_some_and(|info| info.tls().is_some());
            ready(Ok(Response::new(if there {
                HELLO.into()
            } else {
                Body::empty()
            })))
        })
    }

    fn connect(&self, service: Service, info: &ConnInfo) -> Service {
        self.0.lock().unwrap().push(info.clone());
        service
    }
}

/// A server whose clients show certificates, and such a client.
struct Case {
    app: Curious,
    authority: Authority,
    shown: Identity,
}

impl Case {
    fn new() -> Self {
        let authority = Authority::new();
        let shown = authority.issue("client", &["client"]);
        let app = Curious::default();
        Self {
            app,
            authority,
            shown,
        }
    }

    fn tls(&self) -> TlsConfig {
        let roots = Roots::pem(self.authority.root_pem());
        self.authority
            .server()
            .with_client_auth(ClientAuth::Optional(roots))
    }

    fn config(&self) -> ClientConfig {
        let mut config = self.authority.client_config(Some(&self.shown));
        config.alpn_protocols = vec![b"http/1.1".into()];
        config
    }

    fn serve(server: Server) -> Served {
        Served::start(server.http(HttpOptions::default().with_conn_info()))
    }

    /// What the server knows of the last connection.
    fn known(&self) -> ConnInfo {
        self.app.0.lock().unwrap().last().unwrap().clone()
    }

    fn is_known(&self) {
        let known = self.known();
        let tls = known.tls().unwrap();
        assert_eq!(tls.version(), TlsVersion::Tls13);
        assert_eq!(tls.cipher_suite(), "TLS13_AES_256_GCM_SHA384");
        assert_eq!(tls.server_name(), Some("localhost"));
        assert!(!tls.resumed());
        assert_eq!(tls.peer_certificates(), [self.shown.der.to_vec()]);
        assert_eq!(known.alpn(), Some(&b"http/1.1"[..]));
    }
}

async fn ask(client: &Client, stream: impl Stream) {
    let mut stream = client.handshake(stream).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with(HELLO), "{answer}");
}

fn over_tcp(case: &Case, tls: TlsConfig) -> Served {
    Case::serve(serve_with(
        Tcp::bind("127.0.0.1:0").tls(tls),
        case.app.clone(),
    ))
}

#[test]
fn over_tcp_it_is_known() {
    let case = Case::new();
    let served = over_tcp(&case, case.tls());
    served.run(async { ask(&Client::new(case.config()), served.connect().await).await });
    case.is_known();
    // What the transport below knows, stays.
    assert_eq!(case.known().local(), &served.handle.endpoints()[0]);
    assert!(case.known().peer().socket_addr().is_some());
    served.ends();
}

#[test]
fn over_a_unix_socket_it_is_known() {
    let case = Case::new();
    let folder = Folder::new();
    let path = folder.path("app.sock");
    let served = Case::serve(serve_with(
        Unix::bind(&path).tls(case.tls()),
        case.app.clone(),
    ));
    served.run(async {
        ask(
            &Client::new(case.config()),
            UnixStream::connect(&path).await.unwrap(),
        )
        .await
    });
    case.is_known();
    assert!(case.known().peer_cred().is_some());
    served.ends();
}

#[test]
fn in_memory_it_is_known() {
    let case = Case::new();
    let memory = Memory::new();
    let connector = memory.connector();
    let served = Case::serve(serve_with(memory.tls(case.tls()), case.app.clone()));
    served.run(ask(
        &Client::new(case.config()),
        connector.connect().unwrap(),
    ));
    case.is_known();
    served.ends();
}

/// It's the inner one that's known: that's whom the app speaks with.
#[test]
fn over_another_tls_it_is_known() {
    let case = Case::new();
    let memory = Memory::new();
    let connector = memory.connector();
    let (outer, tls) = (Authority::new(), case.tls());
    let served = Case::serve(serve_with(
        memory.tls(outer.server()).tls(tls),
        case.app.clone(),
    ));
    served.run(async {
        let tunnel = outer
            .client()
            .handshake(connector.connect().unwrap())
            .await
            .unwrap();
        ask(&Client::new(case.config()), tunnel).await;
    });
    case.is_known();
    served.ends();
}

/// As the client sends it, its own certificate first.
#[test]
fn a_chain_is_known_as_a_whole() {
    let case = Case::new();
    let below = case.authority.below();
    let shown = below.issue("client", &["client"]);
    let chain = vec![shown.der.clone(), below.root_der()];
    let config = ClientConfig::builder_with_provider(Provider::Ring.rustls())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(case.authority.roots())
        .with_client_auth_cert(chain.clone(), shown.key_der)
        .unwrap();
    let served = over_tcp(&case, case.tls());
    served.run(async { ask(&Client::new(config), served.connect().await).await });
    let known = case.known();
    assert_eq!(
        known.tls().unwrap().peer_certificates(),
        [chain[0].to_vec(), chain[1].to_vec()]
    );
    served.ends();
}

#[test]
fn a_client_without_certificate_name_and_alpn_has_none() {
    let case = Case::new();
    let served = over_tcp(&case, case.tls());
    let mut config = case.authority.client_config(None);
    config.enable_sni = false;
    served.run(async { ask(&Client::new(config), served.connect().await).await });
    let known = case.known();
    let tls = known.tls().unwrap();
    assert_eq!((tls.server_name(), known.alpn()), (None, None));
    assert_eq!(tls.peer_certificates(), [""; 0]);
    served.ends();
}

/// Who a resumed session's client is, is known from its first handshake.
#[test]
fn a_resumed_session_is_known_as_one() {
    for (version, expected) in [(&TLS12, TlsVersion::Tls12), (&TLS13, TlsVersion::Tls13)] {
        let case = Case::new();
        let served = over_tcp(&case, case.tls());
        let client = Client::new(case.authority.only_as(version, &case.shown));
        for resumed in [false, true] {
            served.run(async { ask(&client, served.connect().await).await });
            let known = case.known();
            let tls = known.tls().unwrap();
            assert_eq!((tls.version(), tls.resumed()), (expected, resumed));
            assert_eq!(tls.server_name(), Some("localhost"));
            assert_eq!(tls.peer_certificates(), [case.shown.der.to_vec()]);
        }
        served.ends();
    }
}

#[test]
fn a_raw_handler_knows_it_and_its_own_alpn() {
    let authority = Authority::new();
    let known = Arc::new(Mutex::new(None));
    let handler = {
        let known = Arc::clone(&known);
        move |connection: anyport_core::Accepted<_>| {
            let info: &ConnInfo = anyport_core::Connection::info(&connection);
            *known.lock().unwrap() = Some(info.clone());
            ready(())
        }
    };
    let tls = authority.server().with_alpn(["echo/1"]);
    let served = Served::start(serve_raw_with(Tcp::bind("127.0.0.1:0").tls(tls), handler));
    let mut config = authority.client_config(None);
    config.alpn_protocols = vec![b"other".into(), b"echo/1".into()];
    served.run(async {
        let mut stream = Client::new(config)
            .handshake(served.connect().await)
            .await
            .unwrap();
        // Dropped without a word.
        stream.read_to_end(&mut Vec::new()).await.unwrap_err();
    });
    let known: ConnInfo = known.lock().unwrap().clone().unwrap();
    assert_eq!(known.alpn(), Some(&b"echo/1"[..]));
    assert_eq!(known.tls().unwrap().server_name(), Some("localhost"));
    served.ends();
}
