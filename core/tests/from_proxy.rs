//! Behind a proxy, the accept filter and the limit per address see the client.
#![cfg(feature = "tokio")]
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use anyport_core::{
    ConnInfo, Handle, Limits, Listener, Result, Server, Transport,
    observe::{Event, Observer},
    protocol::Accepted,
    runtime::{Tokio, Worker},
    serve_raw_with,
    transport::{Conn, Connecting, Endpoint, Proxied},
};
use hyper_util::rt::TokioIo;
use std::{
    future::{Ready, ready},
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::timeout,
};

/// Upper bound of every wait. Only a test that hangs reaches it.
const LIMIT: Duration = Duration::from_secs(60);
const PROXY: &str = "10.0.0.1:1";

type Io = Conn<TokioIo<DuplexStream>>;

/// Connections of one proxy. Each names its client; `None`: the proxy connects for itself.
#[derive(Clone)]
struct Proxy(Arc<Mutex<Option<UnboundedReceiver<Io>>>>);

struct ProxyListener(UnboundedReceiver<Io>);

impl Transport for Proxy {
    type Runtime = Tokio;
    type Socket = ();
    type Listener = ProxyListener;

    fn open(&self, workers: usize) -> Result<Vec<()>> {
        Ok(vec![(); workers])
    }

    fn endpoint(&self, (): &()) -> io::Result<Endpoint> {
        Ok(Endpoint::custom("behind a proxy"))
    }

    fn listen(&self, (): (), _: &Worker) -> io::Result<ProxyListener> {
        Ok(ProxyListener(self.0.lock().unwrap().take().unwrap()))
    }
}

impl Listener for ProxyListener {
    type Connection = Io;
    type Handshake = Ready<io::Result<Io>>;

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Connecting<Self::Handshake>>> {
        self.0.poll_recv(cx).map(|io| {
            let io = io.ok_or(io::ErrorKind::InvalidInput)?;
            let incoming = Connecting::new(endpoint(PROXY), ready(Ok(io))).from_proxy();
            // A wrapping transport would call `map`, too.
            Ok(incoming.map(|handshake| handshake))
        })
    }
}

fn endpoint(address: &str) -> Endpoint {
    address.parse::<SocketAddr>().unwrap().into()
}

#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<String>>>);

impl Events {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Observer for Events {
    fn on(&self, event: &Event<'_>) {
        let event = match event {
            Event::Accepted { peer, .. } => format!("accepted {peer}"),
            Event::Refused { peer, why } => format!("refused {peer}: {why:?}"),
            Event::Established { info } => format!("established {}", info.peer()),
            Event::Closed { .. } => "closed".to_owned(),
            _ => return,
        };
        self.0.lock().unwrap().push(event);
    }
}

struct Served {
    handle: Handle,
    connections: UnboundedSender<Io>,
    events: Events,
}

impl Served {
    /// Starts a server that echoes each byte.
    fn start(configure: impl FnOnce(Server) -> Server) -> Self {
        let (connections, accepted) = unbounded_channel();
        let proxy = Proxy(Arc::new(Mutex::new(Some(accepted))));
        let server = serve_raw_with(proxy, |connection: Accepted<Io>| async move {
            let mut io = TokioIo::new(connection);
            while let Ok(byte) = io.read_u8().await {
                if io.write_u8(byte).await.is_err() {
                    break;
                }
            }
        });
        let events = Events::default();
        let server = configure(server.observer(events.clone()));
        Self {
            handle: server.start().unwrap(),
            connections,
            events,
        }
    }

    fn connect(&self, client: Option<&str>) -> DuplexStream {
        let (here, there) = duplex(64);
        let info = ConnInfo::new(endpoint(PROXY), Endpoint::custom("server"));
        let info = match client {
            Some(client) => info.with_client(endpoint(client), Proxied::default()),
            None => info,
        };
        let io = Conn::new(TokioIo::new(there), info);
        self.connections.send(io).unwrap();
        here
    }

    /// Waits until a dropped connection is no longer counted.
    async fn settles(&self, connections: usize) {
        let settled = async {
            while self.handle.connections() != connections {
                tokio::task::yield_now().await;
            }
        };
        timeout(LIMIT, settled).await.unwrap();
    }
}

async fn is_served(io: &mut DuplexStream) -> bool {
    let answer = async {
        // A refused connection may be closed before this is written.
        let _ = io.write_u8(b'x').await;
        io.read_u8().await.is_ok()
    };
    timeout(LIMIT, answer).await.unwrap()
}

#[tokio::test]
async fn limit_per_address_counts_the_client_and_not_the_proxy() {
    let limits = Limits::default().with_connections_per_ip(2);
    let served = Served::start(|server| server.limits(limits));
    for _ in 0..3 {
        let mut open = Vec::new();
        for client in ["192.0.2.1:1", "192.0.2.2:1", "[2001:db8::1]:1", PROXY] {
            for _ in 0..2 {
                let mut io = served.connect((client != PROXY).then_some(client));
                assert!(is_served(&mut io).await, "{client}");
                open.push(io);
            }
        }
        for client in [
            "192.0.2.1:9",
            "[::ffff:192.0.2.2]:9",
            "[2001:db8::2]:9",
            PROXY,
        ] {
            let mut io = served.connect((client != PROXY).then_some(client));
            assert!(!is_served(&mut io).await, "{client}");
        }
        served.settles(open.len()).await;
        drop(open);
        served.settles(0).await;
    }
}

#[tokio::test]
async fn accept_filter_is_asked_about_the_client_once() {
    let asked = Events::default();
    let filter = {
        let asked = asked.clone();
        move |client: &Endpoint| {
            asked.0.lock().unwrap().push(client.to_string());
            client != &endpoint("192.0.2.1:1")
        }
    };
    let served = Served::start(|server| server.accept_filter(filter));
    assert!(!is_served(&mut served.connect(Some("192.0.2.1:1"))).await);
    served.settles(0).await;
    assert_eq!(asked.take(), ["192.0.2.1:1"]);
    assert_eq!(
        served.events.take(),
        [
            "accepted 10.0.0.1:1",
            "refused 192.0.2.1:1: Filter",
            "closed"
        ]
    );
    let mut other = served.connect(Some("192.0.2.2:1"));
    assert!(is_served(&mut other).await);
    assert_eq!(asked.take(), ["192.0.2.2:1"]);
    assert_eq!(
        served.events.take(),
        ["accepted 10.0.0.1:1", "established 192.0.2.2:1"]
    );
}

#[tokio::test]
async fn filter_that_panics_refuses_the_client() {
    let served = Served::start(|server| server.accept_filter(|_| panic!("deliberately")));
    assert!(!is_served(&mut served.connect(Some("192.0.2.1:1"))).await);
    served.settles(0).await;
    assert!(
        served
            .events
            .take()
            .contains(&"refused 192.0.2.1:1: Filter".to_owned())
    );
}
