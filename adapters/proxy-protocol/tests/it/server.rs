//! A server that responds with the facts about its client, and records its events.
#![allow(dead_code, reason = "each test program uses some of it")]
#![allow(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use anyport_core::{
    Body, ConnInfo, Handle, HttpOptions, Server, Timeouts,
    bounds::AppOver,
    observe::{Event, Observer},
    serve_with,
    transport::ByteTransport,
};
use anyport_proxy_protocol::{Policy, ProxyProtocolExt};
use anyport_tcp::Tcp;
use http::{Request, Response};
use std::{
    convert::Infallible,
    future::{Ready, ready},
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tower::util::ServiceFn;

/// Upper bound of every wait. Only a test that hangs reaches it.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// The balancer's address, which tests trust. Any other address is not trusted.
pub(crate) const PROXY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
pub(crate) const TRUSTED: [&str; 1] = ["127.0.0.2"];

pub(crate) const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
pub(crate) const LINE: &str = "PROXY TCP4 192.0.2.1 192.0.2.9 4711 443\r\n";
pub(crate) const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

pub(crate) fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &length, block].concat()
}

pub(crate) type App = ServiceFn<fn(Request<Body>) -> Ready<Result<Response<Body>, Infallible>>>;

/// Responds with the client, the proxy, and the facts that the proxy sent.
pub(crate) fn app() -> App {
    tower::service_fn(|request| {
        let info = request.extensions().get::<ConnInfo>().unwrap();
        let proxy = info.proxy().map(|proxy| match proxy.socket_addr() {
            Some(address) => address.ip().to_string(),
            None => proxy.to_string(),
        });
        let peer = match info.peer().socket_addr() {
            Some(address) if address.ip().is_loopback() => address.ip().to_string(),
            _ => info.peer().to_string(),
        };
        let answer = format!(
            "peer={peer} proxy={proxy:?} tls={} {:?}",
            info.tls().is_some(),
            info.proxied()
        );
        ready(Ok(Response::new(Body::from(answer))))
    })
}

pub(crate) struct Served {
    pub(crate) handle: Handle,
    pub(crate) events: Events,
}

impl Served {
    pub(crate) fn start<T>(transport: T) -> Self
    where
        T: ByteTransport,
        App: AppOver<T>,
    {
        Self::start_as(transport, |server| server)
    }

    pub(crate) fn start_as<T>(transport: T, configure: impl FnOnce(Server) -> Server) -> Self
    where
        T: ByteTransport,
        App: AppOver<T>,
    {
        let events = Events::default();
        let server = serve_with(transport, app())
            .http(HttpOptions::default().with_conn_info())
            .observer(events.clone());
        let handle = configure(server).start().unwrap();
        Self { handle, events }
    }

    /// Over TCP. Slow proxies have more time than any test takes.
    pub(crate) fn start_patiently(policy: Policy) -> Self {
        let timeouts = Timeouts::default().with_handshake(10 * LIMIT);
        let policy = policy.with_timeout(10 * LIMIT);
        let transport = Tcp::bind("127.0.0.1:0").proxy_protocol(policy);
        Self::start_as(transport, |server| server.timeouts(timeouts))
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.handle.endpoints()[0].socket_addr().unwrap()
    }

    /// A connection from this address.
    pub(crate) async fn connect_from(&self, from: Ipv4Addr) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((from, 0).into()).unwrap();
        let stream = socket.connect(self.addr()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// A connection from the proxy.
    pub(crate) async fn connect(&self) -> TcpStream {
        self.connect_from(PROXY).await
    }

    /// Sends these bytes as the proxy, and returns the response up to the end of the connection.
    pub(crate) async fn ask(&self, bytes: impl AsRef<[u8]>) -> String {
        ask(self.connect().await, bytes).await
    }

    pub(crate) async fn settles(&self, connections: usize) {
        let settled = async {
            while self.handle.connections() != connections {
                tokio::task::yield_now().await;
            }
        };
        timeout(LIMIT, settled).await.unwrap();
    }
}

/// Sends these bytes, and reads to the end of the connection.
pub(crate) async fn ask<S>(mut stream: S, bytes: impl AsRef<[u8]>) -> String
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let asked = async {
        // A server that refuses may close the connection before all is written.
        let _ = stream.write_all(bytes.as_ref()).await;
        let _ = stream.flush().await;
        to_end(&mut stream).await
    };
    timeout(LIMIT, asked).await.unwrap()
}

pub(crate) async fn to_end<S: AsyncRead + Unpin>(stream: &mut S) -> String {
    let mut answer = Vec::new();
    // A reset is an end, too.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

/// The failed handshakes, and the refused clients.
#[derive(Clone, Default)]
pub(crate) struct Events(Arc<Mutex<Vec<String>>>, Arc<Mutex<Vec<io::ErrorKind>>>);

impl Events {
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    pub(crate) fn kinds(&self) -> Vec<io::ErrorKind> {
        std::mem::take(&mut *self.1.lock().unwrap())
    }
}

impl Observer for Events {
    fn on(&self, event: &Event<'_>) {
        match event {
            Event::HandshakeFailed { error, .. } => {
                self.0.lock().unwrap().push(error.to_string());
                self.1.lock().unwrap().push(error.kind());
            }
            Event::Refused { peer, why } => {
                self.0
                    .lock()
                    .unwrap()
                    .push(format!("refused {peer}: {why:?}"));
            }
            _ => {}
        }
    }
}
