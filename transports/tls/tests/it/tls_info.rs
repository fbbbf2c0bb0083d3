//! The TLS information that an app gets for a connection, over every transport.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use crate::client::{Authority, Client, Identity, Stream};
use crate::fixture::{Folder, HELLO, TestServer};
use anyport_core::{
    App, Body, ConnInfo, HttpOptions, Server, runtime::Worker, serve_raw_with, serve_with,
    transport::TlsVersion,
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

/// Records each connection that makes a request.
#[derive(Clone, Default)]
struct RecordingApp(Arc<Mutex<Vec<ConnInfo>>>);

impl App for RecordingApp {
    type Service = Service;

    fn make(&self, _: &Worker) -> Service {
        tower::service_fn(|request| {
            // With `with_conn_info`, each request has it as well.
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

/// A server that requests client certificates, and such a client.
struct Case {
    app: RecordingApp,
    authority: Authority,
    identity: Identity,
}

impl Case {
    fn new() -> Self {
        let authority = Authority::new();
        let identity = authority.issue("client", &["client"]);
        let app = RecordingApp::default();
        Self {
            app,
            authority,
            identity,
        }
    }

    fn tls(&self) -> TlsConfig {
        let roots = Roots::pem(self.authority.root_pem());
        self.authority
            .server()
            .with_client_auth(ClientAuth::Optional(roots))
    }

    fn config(&self) -> ClientConfig {
        let mut config = self.authority.client_config(Some(&self.identity));
        config.alpn_protocols = vec![b"http/1.1".into()];
        config
    }

    fn serve(server: Server) -> TestServer {
        TestServer::start(server.http(HttpOptions::default().with_conn_info()))
    }

    /// The `ConnInfo` of the last connection.
    fn info(&self) -> ConnInfo {
        self.app.0.lock().unwrap().last().unwrap().clone()
    }

    fn assert_info(&self) {
        let info = self.info();
        let tls = info.tls().unwrap();
        assert_eq!(tls.version(), TlsVersion::Tls13);
        assert_eq!(tls.cipher_suite(), "TLS13_AES_256_GCM_SHA384");
        assert_eq!(tls.server_name(), Some("localhost"));
        assert!(!tls.resumed());
        assert_eq!(tls.peer_certificates(), [self.identity.der.to_vec()]);
        assert_eq!(info.alpn(), Some(&b"http/1.1"[..]));
    }
}

async fn get_response(client: &Client, stream: impl Stream) {
    let mut stream = client.handshake(stream).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    assert!(response.ends_with(HELLO), "{response}");
}

fn over_tcp(case: &Case, tls: TlsConfig) -> TestServer {
    Case::serve(serve_with(
        Tcp::bind("127.0.0.1:0").tls(tls),
        case.app.clone(),
    ))
}

#[test]
fn tls_info_is_available_over_tcp() {
    let case = Case::new();
    let server = over_tcp(&case, case.tls());
    server.run(async { get_response(&Client::new(case.config()), server.connect().await).await });
    case.assert_info();
    // Information of the inner transport is kept.
    assert_eq!(case.info().local(), &server.handle.endpoints()[0]);
    assert!(case.info().peer().socket_addr().is_some());
    server.shut_down();
}

#[test]
fn tls_info_is_available_over_unix_sockets() {
    let case = Case::new();
    let folder = Folder::new();
    let path = folder.path("app.sock");
    let server = Case::serve(serve_with(
        Unix::bind(&path).tls(case.tls()),
        case.app.clone(),
    ));
    server.run(async {
        get_response(
            &Client::new(case.config()),
            UnixStream::connect(&path).await.unwrap(),
        )
        .await
    });
    case.assert_info();
    assert!(case.info().peer_cred().is_some());
    server.shut_down();
}

#[test]
fn tls_info_is_available_in_memory() {
    let case = Case::new();
    let memory = Memory::new();
    let connector = memory.connector();
    let server = Case::serve(serve_with(memory.tls(case.tls()), case.app.clone()));
    server.run(get_response(
        &Client::new(case.config()),
        connector.connect().unwrap(),
    ));
    case.assert_info();
    server.shut_down();
}

/// The app sees the inner session, because that one ends at the app's client.
#[test]
fn nested_tls_exposes_the_inner_session() {
    let case = Case::new();
    let memory = Memory::new();
    let connector = memory.connector();
    let (outer, tls) = (Authority::new(), case.tls());
    let server = Case::serve(serve_with(
        memory.tls(outer.server()).tls(tls),
        case.app.clone(),
    ));
    server.run(async {
        let tunnel = outer
            .client()
            .handshake(connector.connect().unwrap())
            .await
            .unwrap();
        get_response(&Client::new(case.config()), tunnel).await;
    });
    case.assert_info();
    server.shut_down();
}

/// The chain is in the order of the client, its own certificate first.
#[test]
fn whole_client_chain_is_available() {
    let case = Case::new();
    let intermediate = case.authority.intermediate();
    let identity = intermediate.issue("client", &["client"]);
    let chain = vec![identity.der.clone(), intermediate.root_der()];
    let config = ClientConfig::builder_with_provider(Provider::Ring.rustls())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(case.authority.roots())
        .with_client_auth_cert(chain.clone(), identity.key_der)
        .unwrap();
    let server = over_tcp(&case, case.tls());
    server.run(async { get_response(&Client::new(config), server.connect().await).await });
    let info = case.info();
    assert_eq!(
        info.tls().unwrap().peer_certificates(),
        [chain[0].to_vec(), chain[1].to_vec()]
    );
    server.shut_down();
}

#[test]
fn absent_certificate_server_name_and_alpn_are_none() {
    let case = Case::new();
    let server = over_tcp(&case, case.tls());
    let mut config = case.authority.client_config(None);
    config.enable_sni = false;
    server.run(async { get_response(&Client::new(config), server.connect().await).await });
    let info = case.info();
    let tls = info.tls().unwrap();
    assert_eq!((tls.server_name(), info.alpn()), (None, None));
    assert_eq!(tls.peer_certificates(), [""; 0]);
    server.shut_down();
}

/// A resumed session keeps the client certificate of its first handshake.
#[test]
fn resumed_session_is_reported_as_resumed() {
    for (version, expected) in [(&TLS12, TlsVersion::Tls12), (&TLS13, TlsVersion::Tls13)] {
        let case = Case::new();
        let server = over_tcp(&case, case.tls());
        let client = Client::new(case.authority.only_as(version, &case.identity));
        for resumed in [false, true] {
            server.run(async { get_response(&client, server.connect().await).await });
            let info = case.info();
            let tls = info.tls().unwrap();
            assert_eq!((tls.version(), tls.resumed()), (expected, resumed));
            assert_eq!(tls.server_name(), Some("localhost"));
            assert_eq!(tls.peer_certificates(), [case.identity.der.to_vec()]);
        }
        server.shut_down();
    }
}

#[test]
fn raw_handler_sees_tls_info_and_custom_alpn() {
    let authority = Authority::new();
    let seen = Arc::new(Mutex::new(None));
    let handler = {
        let seen = Arc::clone(&seen);
        move |connection: anyport_core::protocol::Accepted<_>| {
            let info: &ConnInfo = anyport_core::Connection::info(&connection);
            *seen.lock().unwrap() = Some(info.clone());
            ready(())
        }
    };
    let tls = authority.server().with_alpn(["echo/1"]);
    let server = TestServer::start(serve_raw_with(Tcp::bind("127.0.0.1:0").tls(tls), handler));
    let mut config = authority.client_config(None);
    config.alpn_protocols = vec![b"other".into(), b"echo/1".into()];
    server.run(async {
        let mut stream = Client::new(config)
            .handshake(server.connect().await)
            .await
            .unwrap();
        // The handler drops the connection without `close_notify`.
        stream.read_to_end(&mut Vec::new()).await.unwrap_err();
    });
    let info: ConnInfo = seen.lock().unwrap().clone().unwrap();
    assert_eq!(info.alpn(), Some(&b"echo/1"[..]));
    assert_eq!(info.tls().unwrap().server_name(), Some("localhost"));
    server.shut_down();
}
